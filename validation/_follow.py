"""A Brian2 script whose simulations follow each other, beside its network in biosnn.

The network is lifted where the script first simulates it for a time. From there on Brian2 runs each
simulation as the script asks for it, and biosnn runs its own network from its own state for the
same duration; what the script itself has set in between (rates, weights) is handed on as changed
values. Both begin with the same seed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np
from brian2 import Quantity, SpikeMonitor, prefs, seed
from brian2.core.magic import MagicNetwork

import biosnn
from biosnn.devices.runtime.script import ScriptEnd, Simulation, StopScript, run_script
from biosnn.errors import ParameterError
from biosnn.program.script import from_brian2


@attrs.frozen
class Change:
    """Lines of a script that are changed in a copy of it, and why."""

    old: str
    new: str
    why: str

    @property
    def lines(self) -> int:
        """How many."""
        return self.old.count("\n") + 1


def changed_text(path: Path, changes: tuple[Change, ...]) -> str:
    """A script's text with other lines.

    Raises
    ------
    ParameterError
        If it does not have each of them exactly once: it is another version then.
    """
    text = path.read_text().replace("\r\n", "\n")
    for change in changes:
        if text.count(change.old) != 1:
            wanted = f"a version that has {change.old!r} once"
            raise ParameterError("brian2_mnist", "script", str(path), wanted)
        text = text.replace(change.old, change.new)
    return text


def in_python_3(text: str) -> tuple[str, int]:
    """A script of Python 2 with brackets around what it prints and without ``xrange``.

    Returns
    -------
    str, int
        The script, and how many of its lines are others.
    """
    found, n = [], 0
    for line in text.splitlines():
        bare = line.lstrip()
        new = line
        if bare.startswith("print "):
            new = f"{line[: len(line) - len(bare)]}print({bare.removeprefix('print ')})"
        new = new.replace("xrange(", "range(")
        n += new != line
        found.append(new)
    return "\n".join(found) + "\n", n


@contextlib.contextmanager
def working_copy(
    checkout: Path, own: tuple[str, ...] = (), absent: tuple[str, ...] = ()
) -> Iterator[Path]:
    """A folder with links to all that a checkout holds, in which a script can write.

    Parameters
    ----------
    checkout : Path
        The checkout.
    own : tuple of str
        What is not linked, because it is written anew.
    absent : tuple of str
        Packages that the script imports for plots alone: empty modules take their place.
    """
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        for entry in checkout.resolve().iterdir():
            if entry.name not in own:
                (Path(name) / entry.name).symlink_to(entry)
        stand_ins = {module: ModuleType(module) for module in absent if module not in sys.modules}
        sys.modules.update(stand_ins)
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)
            for module in stand_ins:
                del sys.modules[module]


class Follower:
    """Is handed the simulations of a script, and lets biosnn follow.

    Parameters
    ----------
    ends : callable
        Told each simulation before it is run: whether the script shall end there.
    number : int
        Seed of both sides.
    longest : Quantity, optional
        Most that is simulated at once.
    """

    def __init__(
        self,
        ends: Callable[[Simulation], bool],
        number: int = 1,
        longest: Quantity | None = None,
    ):
        self._ends, self._number, self._longest = ends, number, longest
        self._runnable: Any = None
        self._state: Any = None
        self._after: dict[str, np.ndarray] = {}
        self.runs = self.spikes = self.runs_that_differ = self.values_set = 0
        self.differences: list[str] = []
        self.seconds = {"brian2": 0.0, "runtime": 0.0}
        #: what variables were before the first simulation, and after the last
        self.first: dict[str, np.ndarray] = {}

    def __call__(self, simulation: Simulation) -> None:
        """Run one simulation on both sides."""
        if self._ends(simulation):
            raise StopScript
        prefs.codegen.target = "numpy"
        duration = simulation.duration
        if self._longest is not None and duration > self._longest:
            duration = self._longest
        if not duration:
            simulation.simulate()
            return
        objects = {target.name: target for target in simulation.objects}
        objects |= {
            part.name: part for target in simulation.objects for part in target.contained_objects
        }
        more: dict[str, Any] = {}
        if self._runnable is None:
            self._runnable = _lifted(simulation)
            seed(self._number)
            more = {"seed": self._number}
        names = [name for name in self._runnable.initial_state() if self._is_set(name, objects)]
        now = {name: self._value(name, objects) for name in names}
        if not self.first:
            self.first = self._after = now
        given = {name: now[name] for name in names if not _same(now[name], self._after[name])}
        self.values_set += len(given)
        monitors = [m for m in simulation.objects if isinstance(m, SpikeMonitor)]
        before = {m.name: (m.num_spikes, np.array(m.count)) for m in monitors}
        started = time.perf_counter()
        simulation.simulate(duration)
        self.seconds["brian2"] += time.perf_counter() - started
        started = time.perf_counter()
        recording, self._state = self._runnable.run(duration, given, self._state, **more)
        self.seconds["runtime"] += time.perf_counter() - started
        self.runs += 1
        differ = []
        for monitor in monitors:
            n, count = before[monitor.name]
            self.spikes += int(monitor.num_spikes - n)
            found = recording[f"{monitor.name}.count"][0]
            same = np.array_equal(found, np.array(monitor.count) - count)
            if monitor.record:
                spikes = recording.spikes[monitor.name]
                same = same and _same(spikes.i, np.array(monitor.i)[n:])
                same = same and _same(spikes.t, np.array(monitor.t_)[n:])
            differ += [] if same else [monitor.name]
        self._after = {name: self._value(name, objects) for name in names}
        differ += [name for name in names if not _same(self._state[name], self._after[name])]
        if differ:
            self.runs_that_differ += 1
            self.differences = self.differences or differ

    @staticmethod
    def _is_set(name: str, objects: Mapping[str, Any]) -> bool:
        owner, _, variable = name.partition(".")
        return not variable.startswith("_") and variable in getattr(
            objects.get(owner), "variables", {}
        )

    @staticmethod
    def _value(name: str, objects: Mapping[str, Any]) -> np.ndarray:
        owner, _, variable = name.partition(".")
        return np.array(objects[owner].variables[variable].get_value())

    def moved(self) -> dict[str, float]:
        """Largest change of each variable since the first simulation."""
        return {
            name: float(np.abs(self._after[name] - self.first[name]).max())
            for name in self.first
            if self.first[name].dtype.kind == "f" and self.first[name].size
        }


def _lifted(simulation: Simulation) -> Any:
    network = simulation.network
    magic = isinstance(network, MagicNetwork)
    given = simulation.objects if magic else network
    lifted = from_brian2(given, namespace=simulation.namespace)
    if magic:  # the objects do not say at what time they are
        lifted = attrs.evolve(lifted, program=lifted.program.changed(start=network.t_))
    return biosnn.compile(lifted, device="runtime", progress=False)


def _same(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def follow(script: Path, follower: Follower) -> ScriptEnd:
    """Run a script and follow it.

    Raises
    ------
    ParameterError
        If the script fails.
    """
    end = run_script(script, follower)
    if end.status not in ("finished", "stopped"):
        raise ParameterError("brian2_mnist", "script", str(script), "one that runs", str(end))
    return end
