"""Brian2's own examples, brought along by ``biosnn.from_brian2`` and compared with plain Brian2.

``python -m validation brian2_examples CHECKOUT [--device cpp]``, with a checkout of Brian2's
repository, or of its folder ``examples``. In scope is each file of it but those in `OUT_OF_SCOPE`:
what biosnn does not claim to bring along, and modules that are no examples. Each one runs in a
process of its own, in a copy of the folder, for at most `TIMEOUT` seconds;
:mod:`validation._scripts` says how its simulations are compared, and what the verdicts mean. "not
run" says why nothing could be compared: no simulation in the script, or a package or data that are
not here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from biosnn.devices import registry
from biosnn.errors import ParameterError
from validation._checks import at_least, check
from validation._scripts import MOST, VERDICTS

#: Seconds for one example, after which what has been compared counts.
TIMEOUT = 180
#: Examples that shall be equal, to the bit or statistically.
WANTED = 65
#: Simulations of each that are compared, where the device builds a program for each.
MOST_COMPILED = 1

_SPATIAL = "spatial neurons"
_OPERATION = "Python code in each time step (network_operation)"
_MODULE = "a module that examples import"
#: File, or the folder of files, relative to the folder of examples -> why it is not in scope.
OUT_OF_SCOPE = {
    "compartmental": _SPATIAL,
    "frompapers/Brette_2012/params.py": _MODULE,
    "frompapers/Brette_2012": _SPATIAL,
    "frompapers/Destexhe_et_al_1998.py": _SPATIAL,
    "frompapers/Stimberg_et_al_2018/plot_utils.py": _MODULE,
    "network_operation_stop.py": _OPERATION,
    "frompapers/Nicola_Clopath_2017.py": _OPERATION,
    "advanced/compare_GSL_to_conventional.py": "integration by the GNU Scientific Library",
}
#: What the short form runs.
SHORT = ("adaptive_threshold.py", "IF_curve_LIF.py", "synapses/synapses.py", "phase_locking.py")


def why_out_of_scope(name: str) -> str:
    """Why a file is not in scope; empty if it is."""
    found = (reason for path, reason in OUT_OF_SCOPE.items() if f"{name}/".startswith(f"{path}/"))
    return next(found, "")


def examples_of(checkout: Path) -> Path:
    """The folder of examples in a checkout."""
    for folder in (checkout / "examples", checkout):
        if (folder / "CUBA.py").is_file():
            return folder
    wanted = "a checkout of Brian2's repository with its folder examples"
    raise ParameterError("brian2_examples", "CHECKOUT", str(checkout), wanted)


def compared(folder: Path, name: str, device: str = "runtime", most: int = MOST) -> dict[str, Any]:
    """Compare an example in a process of its own."""
    path, started = folder / name, time.perf_counter()
    root = str(Path(__file__).resolve().parents[1])
    with tempfile.TemporaryDirectory() as made:
        out = Path(made, "found.json")
        command = [sys.executable, "-m", "validation._scripts", path, out, TIMEOUT, device, most]
        problem = ""
        try:
            done = subprocess.run(
                [str(part) for part in command],
                cwd=path.parent,
                env={**os.environ, "PYTHONPATH": root},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT + 60,
            )
            if done.returncode:
                problem = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            problem = f"it took longer than {TIMEOUT + 60} s"
        found = {"verdict": "error", "reason": "", "simulations": [], "end": ""}
        if out.exists():
            found = json.loads(out.read_text("utf-8").replace(f"{folder}/", ""))
        if problem and not found["simulations"]:
            found |= {"verdict": "error", "reason": problem}
    return {**found, "seconds": round(time.perf_counter() - started, 1)}


def validate(
    *, short: bool = False, folder: Path | None = None, device: str = "runtime"
) -> dict[str, Any]:
    """Compare all examples that are in scope."""
    if folder is None:
        why = "name a checkout of Brian2: python -m validation brian2_examples CHECKOUT"
        return {"examples": {"not_run": why}}
    most = MOST_COMPILED if registry.devices()[device].compiled else MOST
    source = examples_of(folder)
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.py"))
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + (source / name).read_bytes())
    out_of_scope = {name: reason for name in names if (reason := why_out_of_scope(name))}
    in_scope = [name for name in names if name not in out_of_scope]
    found = {}
    with tempfile.TemporaryDirectory() as made:
        copy = Path(shutil.copytree(source, Path(made, "examples")))
        for name in SHORT if short else in_scope:
            found[name] = compared(copy, name, device, most)
            entry = found[name]
            print(f"{name}: {entry['verdict']}. {entry['reason']}", file=sys.stderr, flush=True)
    counts = Counter(entry["verdict"] for entry in found.values())
    equal = sum(counts[verdict] for verdict in VERDICTS[:3])
    return {
        "equal": at_least(equal, len(SHORT) if short else WANTED),
        "wrong": check(counts["wrong"], 0),
        "errors": check(counts["error"], 0),
        "verdicts": dict(counts),
        "in scope": len(in_scope),
        "files": len(names),
        "sha256 of the files": digest.hexdigest(),
        "device": device,
        "simulations compared per example at most": most,
        "examples": found,
        "out of scope": out_of_scope,
    }
