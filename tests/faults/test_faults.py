"""A run that is interrupted and resumed ends as one that never was, to the bit.

The short form of ``benchmarks/faults.py``: one disturbance of each kind.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("finds processes in /proc", allow_module_level=True)


def harness() -> ModuleType:
    """benchmarks/faults.py, which is not in a package."""
    path = Path(__file__).parents[2] / "benchmarks" / "faults.py"
    spec = importlib.util.spec_from_file_location("faults", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


faults = harness()
Kill = faults.Kill
SIZE = faults.Size(samples=500, checkpoint_every=100)

#: Name -> disturbances of one run, and the least sample from which it must have gone on.
RUNS = {
    "binary and python": (
        (
            Kill(where="binary", how="SIGTERM", after=200, share=0.1),
            Kill(where="python", how="SIGKILL", after=500, delay=0.02),
        ),
        (200, 500),
    ),
    "binary": ((Kill(where="binary", how="SIGINT", after=300, share=0.3),), (300,)),
    "python": ((Kill(where="python", how="SIGTERM", after=300),), (300,)),
    "binary not ready": (
        (Kill(where="python", how="SIGTERM", phase="hearing", n=3),),
        (200,),
    ),
    "checkpoint": (
        (Kill(where="write", how="checkpoint.write", phase="half", n=4),),
        (300,),
    ),
    "before a checkpoint": (
        (Kill(where="write", how="checkpoint.rename", phase="before", n=1),),
        (0,),
    ),
    "full disk": ((Kill(where="disk", how="checkpoint.fsync", phase="before", n=3),), (200,)),
}


@pytest.fixture(scope="module")
def prepared():
    """A folder with the compiled network, and what the undisturbed run ends with."""
    with faults.bench(SIZE) as folder:
        yield folder, faults.undisturbed(folder, SIZE)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed_and_resumed_ends_to_the_bit_as_one_that_is_not(prepared, name):
    folder, expected = prepared
    kills, least = RUNS[name]
    run = faults.one_run(folder, folder / name.replace(" ", "-"), kills, SIZE, expected)
    resumed = [kill["resumed_from"] or 0 for kill in run["kills"]]
    assert len(resumed) == len(kills)
    assert all(k >= at for k, at in zip(resumed, least, strict=True)), resumed
    assert run["equal"] == dict.fromkeys(run["equal"], True)
    assert {"weights", "thresholds"} <= set(run["equal"])
