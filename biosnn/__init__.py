"""biosnn: spiking networks defined by equations, trained as one compiled program.

The parts are loaded when they are first used, so ``import biosnn`` is quick and does not need a
working Brian2.
"""

from importlib import import_module
from typing import Any

from biosnn.version import __version__

_EXPORTS = {
    "NetworkModel": "biosnn.networks",
    "NeuronModel": "biosnn.models",
    "PlasticityRule": "biosnn.plasticity",
    "Presentation": "biosnn.networks",
    "Recording": "biosnn.recording",
    "State": "biosnn.state",
    "TrainedModel": "biosnn.storage",
    "compile": "biosnn.simulation",
    "from_brian2": "biosnn.program.script",
    "load_model": "biosnn.storage",
    "run": "biosnn.simulation.script_run",
    "save_model": "biosnn.storage",
}
_MODULES = (
    "callbacks",
    "datasets",
    "encoding",
    "errors",
    "estimators",
    "models",
    "networks",
    "nir",
    "plasticity",
    "plotting",
    "readout",
    "simulation",
    "storage",
    "surrogate",
    "sweeps",
)
__all__ = [*_EXPORTS, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    if name in _MODULES:
        return import_module(f"biosnn.{name}")
    raise AttributeError(f"module 'biosnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
