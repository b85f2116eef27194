"""One script, adopted or run, in a process of its own, for :mod:`validation.script_lines`.

``python -m validation._lines adopt SCRIPT FACTOR CHANGED TOLD`` writes the changed script and which
lines change. ``... run SCRIPT FACTOR SEED DEVICE OUT`` runs a script, on a device where it calls
``biosnn.run``, and writes all that its objects and figures hold. Durations are divided by FACTOR.
"""

from __future__ import annotations

import functools
import json
import os
import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl
import numpy as np
from brian2 import BrianObject, Network, prefs, seed
from matplotlib import pyplot

from biosnn.cli.adopt import all_come_along, changes, judge_script, write
from biosnn.simulation import script_run


def shortened(run: Callable[..., Any], factor: int, at: int, **more: Any) -> Callable[..., Any]:
    """A function whose argument at a place is a duration, which is divided by a factor."""

    @functools.wraps(run)
    def shorter(*arguments: Any, **options: Any) -> Any:
        given = list(arguments)
        given[at] = given[at] / factor
        options["level"] = options.get("level", 0) + 1
        return run(*given, **options, **more)

    return shorter


def adopt(script: Path, factor: int, brought: Path, told: Path) -> None:
    """Write the changed script, and what changes."""
    prefs.codegen.target = "numpy"
    Network.run = shortened(Network.run, factor, 1)
    found, end = judge_script(script)
    if not all_come_along(found, end):
        raise SystemExit(f"{script} does not come along: {end}")
    made = changes(found, end)
    write(script, made, brought)
    told.write_text(json.dumps({"changes": [attrs.asdict(change) for change in made]}))


def held(names: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What the objects of a script and its figures hold."""
    found: dict[str, Any] = {}
    pending = [value for value in names.values() if isinstance(value, BrianObject)]
    while pending:
        target = pending.pop()
        pending += target.contained_objects
        for name, values in target._full_state().items() if hasattr(target, "_full_state") else ():
            if name not in ("_spikequeue", "_timebins", "_previous_dt", "_spikes_changed"):
                array = np.array(values[0] if isinstance(values, tuple) else values)
                found[f"{target.name}.{name}"] = array
    for number in pyplot.get_fignums():
        for k, axes in enumerate(pyplot.figure(number).axes):
            for m, line in enumerate(axes.get_lines()):
                found[f"figure {number}.{k}.line {m}"] = np.array(line.get_xydata())
            for m, patch in enumerate(axes.patches):  # bars of histograms
                extent = patch.get_extents()
                found[f"figure {number}.{k}.patch {m}"] = np.array(extent.bounds)
    return found


def run(script: Path, factor: int, number: int, device: str, out: Path) -> None:
    """Run a script, and write what came of it."""
    mpl.use("Agg")
    prefs.codegen.target = "numpy"
    if device:
        script_run.run = shortened(script_run.run, factor, 0, device=device, math="strict")
    if not device:
        Network.run = shortened(Network.run, factor, 1)
    elif device != "runtime":  # which is Brian2's own
        Network.run = _not_called
    sys.path.insert(0, str(script.parent))
    os.chdir(script.parent)
    seed(number)
    names = runpy.run_path(str(script), run_name="__main__")
    np.savez(out, allow_pickle=False, **held(names))


def _not_called(*_: Any, **__: Any) -> None:
    raise RuntimeError("the changed script calls Brian2's run")


if __name__ == "__main__":
    if sys.argv[1] == "adopt":
        adopt(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5]))
    else:
        run(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], Path(sys.argv[6]))
