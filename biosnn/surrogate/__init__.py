"""Surrogate gradients for any equations: declared models as differentiable torch modules.

The equations, the integration method, the threshold, the reset and the refractoriness are those
that Brian2 runs; what gradient training has changed goes back into Brian2.

>>> from brian2 import ms, nA
>>> from biosnn import models, surrogate
>>> lif = models.lif(tau_m=2 * ms, reset="soft")
>>> net = torch.nn.Sequential(  # doctest: +SKIP
...     torch.nn.Linear(784, 10), surrogate.SpikingLayer(lif, dt=1 * ms, gain=20 * nA)
... )

PyTorch is an extra (``pip install biosnn[torch]``); it is imported when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Module -> the names that it exports.
_EXPORTS = {
    "compiler.spike": "SurrogateFunction",
    "compiler.surrogate_functions": (
        "ATan Erf FastSigmoid LeakyKReLU LogTailedReLU PiecewiseLinear PiecewiseQuadratic "
        "Rectangular SURROGATES Sigmoid SoftSign SquarewaveFourier Triangle UserDefined "
        "surrogate_function"
    ),
    "conversion.convert": "accumulator accuracy_over_time convert outputs_over_time rate_neuron",
    "conversion.relu_networks": "fold_batch_norm",
    "nn.chain_modules": "StrongestChannel chain_module chain_of chain_scores n_outputs",
    "nn.containers": "ForeignStateful Sequential Stateless multi_step_forward seq_to_batch",
    "nn.helpers": "add_learners detach in_step_mode reset set_step_mode stateful_layers",
    "nn.layer": "SpikingLayer",
    "nn.learners": "Learner",
    "nn.monitors": "InputMonitor OutputMonitor VariableMonitor",
    "nn.network": "SurrogateNetwork",
    "nn.stateful": "Stateful Stepped",
    "nn.trained_constants": "TrainedConstant",
    "training.batches": "Batches DirectEncoder PoissonEncoder poisson_batch",
    "training.checkpoints": "load_module",
    "training.classifier": "LIFClassifier",
    "training.history": "History",
    "training.loop": "evaluate train",
    "training.losses": (
        "FirstSpikeCrossEntropy LOSSES MembraneCrossEntropy RateCrossEntropy RateMSE"
    ),
    "translation": "address_events to_torch",
}
_MODULES = {name: module for module, names in _EXPORTS.items() for name in names.split()}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"biosnn.surrogate.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            "biosnn.surrogate needs PyTorch: pip install 'biosnn[torch]'", name="torch"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
