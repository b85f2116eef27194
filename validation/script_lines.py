"""Lines of published scripts that change when they are brought along, and what they give then.

``python -m validation script_lines CHECKOUT``, with a checkout of Brian2's repository, or of its
folder ``examples``. ``biosnn adopt`` says which lines of a script change and writes the changed one
(:mod:`validation._lines`); both run from the same seed, shortened by the factor in `SCRIPTS`, the
changed one on the devices ``runtime`` and ``cpp`` (strict math). All variables and monitors of the
scripts' objects and all data of their figures are compared: to the bit, to 1e-9 of the largest
value, or, where a script's own random numbers decide and the device has others, by Student's t test
of their means and deviations over `SEEDS` seeds.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from validation._checks import check
from validation._scripts import close, compared_by_statistics
from validation.brian2_examples import examples_of

#: Lines that may change.
MOST_LINES = 5
#: Script -> what its durations are divided by.
SCRIPTS = {
    "CUBA.py": 10,
    "frompapers/Vogels_et_al_2011.py": 100,
    "synapses/STDP.py": 20,
    "frompapers/Clopath_et_al_2010_homeostasis.py": 4,
    "frompapers/Clopath_et_al_2010_no_homeostasis.py": 4,
}
#: What the short form runs.
SHORT = ("synapses/STDP.py",)
#: Runs of each side where random numbers decide.
SEEDS = 4


def _process(*arguments: Any) -> None:
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "validation._lines", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr.strip().splitlines()[-1:]}")


def _results(script: Path, factor: int, seed: int, device: str, out: Path) -> dict[str, Any]:
    _process("run", script, factor, seed, device, out)
    with np.load(out) as found:
        return dict(found)


def verdict(plain: dict[str, np.ndarray], brought: dict[str, np.ndarray]) -> tuple[str, str]:
    """How two runs differ at worst, and where."""
    worst, where = "equal", ""
    if plain.keys() != brought.keys():
        return "wrong", f"only one side has {sorted(plain.keys() ^ brought.keys())[0]}"
    for name, expected in plain.items():
        found = brought[name]
        if found.shape != expected.shape:
            return "wrong", f"{name}: shape {found.shape}, {expected.shape} in Brian2"
        if np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f"):
            continue
        if expected.dtype.kind != "f" or not close(found, expected):
            return "wrong", f"{name} differs"
        worst, where = "equal to 1e-9", name
    return worst, where


def changed_lines(script: Path, brought: Path) -> int:
    """Lines that were changed, added or removed."""
    old, new = (path.read_text("utf-8").splitlines() for path in (script, brought))
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for tag, a, b, c, d in codes if tag != "equal")


def compared(script: Path, factor: int, folder: Path) -> dict[str, Any]:
    """Count the lines of a script, and compare the changed script with it."""
    brought, told = folder / script.name, folder / "told.json"
    _process("adopt", script, factor, brought, told)
    made = json.loads(told.read_text())["changes"]
    found: dict[str, Any] = {"changes": [{**change, "file": script.name} for change in made]}
    out = folder / "results.npz"
    plain = [_results(script, factor, 0, "", out)]
    events = sum(int(v.sum()) for name, v in plain[0].items() if name.endswith(".count"))
    found |= {"divided by": factor, "arrays": len(plain[0]), "events": events}
    for device in ("runtime", "cpp"):
        ours = [_results(brought, factor, 0, device, out)]
        equal, where = verdict(plain[0], ours[0])
        if equal == "wrong" and device != "runtime":
            found[f"{device} with one seed"] = where
            more = range(len(plain), SEEDS)
            plain += [_results(script, factor, seed, "", out) for seed in more]
            ours += [_results(brought, factor, seed, device, out) for seed in range(1, SEEDS)]
            equal, where = compared_by_statistics(plain, ours)
        found[device] = f"{equal} ({where})" if where else equal
    lines = changed_lines(script, brought)
    wrong = sum(found[device].startswith("wrong") for device in ("runtime", "cpp"))
    return {**found, "lines": check(lines, MOST_LINES), "wrong": check(wrong, 0)}


def validate(*, short: bool = False, folder: Path | None = None) -> dict[str, Any]:
    """Count and compare all scripts."""
    if folder is None:
        why = "name a checkout of Brian2: python -m validation script_lines CHECKOUT"
        return {"lines": {"not_run": why}}
    source = examples_of(folder)
    found = {}
    for name in SHORT if short else SCRIPTS:
        with tempfile.TemporaryDirectory() as made:
            found[name] = compared(source / name, SCRIPTS[name], Path(made))
        print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    return found
