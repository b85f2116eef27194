"""Files from strangers: nothing in them is run, and no reader goes beyond its limits.

- *Fuzz.* Texts, damaged declarations and changed bytes that Hypothesis draws go through the gate
  and the readers; what the gate lets pass is given to Brian2 and sympy. Each case ends in a value
  or in one of biosnn's errors; an audit hook sees processes that would be started and files
  outside that would be written. The longest case is reported.
- *Files.* One file of each kind that once did harm is read in a process of its own, which measures
  the time and the memory that the refusal takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brian2 import Equations
from brian2.parsing.rendering import NumpyNodeRenderer
from brian2.parsing.sympytools import str_to_sympy
from hypothesis import HealthCheck, Phase, given, seed, settings

from biosnn import storage
from biosnn.code_gate import check_equations, check_expression, check_statements
from biosnn.errors import BiosnnError
from validation import _hostile
from validation._checks import at_least, check

CASES, SHORT_CASES = 20_000, 300
#: Seconds that a case may take, and bytes that a refusal may take, beyond what was loaded before.
SECONDS, MEMORY = 5.0, 200 << 20


class Count:
    """How many cases there were, how many passed, and how long the longest took."""

    def __init__(self) -> None:
        self.cases = self.passed = 0
        self.longest, self.slowest = 0.0, ""

    def run(self, action: Callable[[], None], what: Any) -> None:
        """Run one case; anything but a value or an error of biosnn goes through."""
        start = time.process_time()
        self.cases += 1
        try:
            action()
            self.passed += 1
        except BiosnnError:
            pass
        seconds = time.process_time() - start
        if seconds > self.longest:
            self.longest, self.slowest = seconds, repr(what)[:200]


def _understood(text: str) -> None:
    """Give equations that passed the gate to Brian2 and sympy."""
    check_equations("fuzz", "equations", text)
    try:
        found = Equations(text)
    except Exception as error:  # what Brian2 does not take it refuses in its own words
        if isinstance(error, RecursionError | MemoryError | _hostile.TouchedError):
            raise
        return
    for name in found.names:
        expression = found[name].expr
        if expression is not None:
            _rendered(expression.code)


def _rendered(code: str) -> None:
    try:
        str_to_sympy(code).expand()
        NumpyNodeRenderer().render_expr(code)
    except (SyntaxError, TypeError, ValueError, NotImplementedError, AttributeError):
        return  # neither is evaluated: sympy refuses a comparison of truths, say


def _expressed(text: str) -> None:
    check_expression("fuzz", "threshold", text)
    _rendered(text)


def fuzz(cases: int, folder: Path) -> dict[str, Any]:
    """Run so many cases, a quarter of each kind; raise what must not happen."""
    each = max(cases // 4, 1)
    plain = settings(
        max_examples=each,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    kinds = {name: Count() for name in ("equations", "expressions", "declarations", "bytes")}
    path = folder / "model.biosnn"
    whole = _hostile.saved(json.loads(_hostile.WHOLE))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        storage.load_model(path)

    @seed(1)
    @plain
    @given(_hostile.equations())
    def equations(text: str) -> None:
        kinds["equations"].run(lambda: _understood(text), text)

    @seed(2)
    @plain
    @given(_hostile.expressions())
    def expressions(text: str) -> None:
        kinds["expressions"].run(lambda: _expressed(text), text)
        for line in (text, f"v = {text}"):
            try:
                check_statements("fuzz", "reset", line)
            except BiosnnError:
                continue

    @seed(3)
    @plain
    @given(_hostile.declarations())
    def declarations(data: Any) -> None:
        kinds["declarations"].run(lambda: read(_hostile.saved(data)), data)

    @seed(4)
    @plain
    @given(_hostile.changed(whole))
    def changed(data: bytes) -> None:
        kinds["bytes"].run(lambda: read(data), data[:80])

    with _hostile.watched(folder):
        for test in (equations, expressions, declarations, changed):
            test()
    return {
        name: {
            "cases": at_least(count.cases, each),
            "passed": count.passed,
            "seconds_of_the_longest": check(count.longest, SECONDS),
            "longest": count.slowest,
        }
        for name, count in kinds.items()
    }


_CHILD = """
import json, resource, sys, time
from pathlib import Path
from biosnn import storage, networks
from biosnn.errors import BiosnnError
from validation import _hostile
path = Path(sys.argv[1])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, start, words = peak(), time.perf_counter(), ""
with _hostile.watched():
    try:
        storage.load_model(path)
    except BiosnnError as error:
        words = str(error)
print(json.dumps([time.perf_counter() - start, peak() - before, words]))
"""


def hostile_files() -> dict[str, Any]:
    """One file of each kind, read in a process of its own."""
    found: dict[str, Any] = {}
    for name, data in _hostile.model_files().items():
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "model.biosnn"
            path.write_bytes(data)
            done = subprocess.run(
                [sys.executable, "-c", _CHILD, str(path)],
                cwd=place,
                env={**_hostile.environment()},
                capture_output=True,
                text=True,
                check=False,
            )
            made = sorted(found.name for found in Path(place).iterdir() if found != path)
        if done.returncode or made:
            found[name] = {"refused": check(1, 0, False, said=done.stderr[-300:], made=made)}
            continue
        seconds, memory, words = json.loads(done.stdout.splitlines()[-1])
        found[name] = {
            "refused": check(0, 0, bool(words), words=words[:300]),
            "seconds": check(seconds, 1.0),
            "memory": check(memory, MEMORY),
        }
    return found


def validate(short: bool = False) -> dict[str, Any]:
    """Run the fuzz and read the files."""
    with tempfile.TemporaryDirectory() as folder:
        cases = SHORT_CASES if short else CASES
        figures = {"fuzz": fuzz(cases, Path(folder))}
    return figures if short else {**figures, "files": hostile_files()}
