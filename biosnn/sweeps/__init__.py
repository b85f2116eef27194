"""One function, or one experiment, under many settings and seeds, on one machine or on many.

>>> from biosnn import sweeps
>>> def accuracy(setting, seed):
...     return {"accuracy": 0.5}
>>> if __name__ == "__main__":
...     found = sweeps.sweep(accuracy, {"neurons": [100, 400]}, seeds=5, folder="runs/sweep")

Runs go to the workers of Dask (``pip install "biosnn[sweeps]"``): those of a ``LocalCluster`` that
is started for them, of any scheduler, or of SLURM. Each finished run is on disk at once, and the
same call goes on with those that are missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Name -> the module that has it. Workers need none of them but their runs.
_EXPORTS = {
    "PlannedRun": "plan",
    "Sweep": "tables",
    "planned_runs": "plan",
    "slurm_cluster": "clusters",
    "sweep": "run_sweep",
    "with_copies": "clusters",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"biosnn.sweeps.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
