"""Brian2 scripts beside themselves: each simulation by plain Brian2 and, brought along, by biosnn.

A simulation is lifted in the state in which the script starts it, run on a device with a seed, and
then run by Brian2 with that seed; the script goes on with what Brian2 has computed. What the
script's monitors recorded is compared, and all variables at the end:

- *equal*: every spike and every value, to the bit;
- *equal to 1e-9*: every spike, and values to a billionth of the largest;
- *statistically equal*: only where Brian2 itself gives something else with another seed, or,
  without random numbers, from values that differ in the last digits (:func:`nudge`). `SEEDS` runs
  of each side, with the same seeds and beginnings, are compared by Student's t test of each summary
  (:func:`summaries`), at the level `LEVEL` divided by the number of summaries. What does not vary
  must be equal to 1e-9;
- *nothing happened*: no event and no change of a variable, so that there is nothing to compare;
- *refused*: in biosnn's own words;
- *wrong*: anything else; *error*: one that is no refusal.

Run as a program, in a process of its own, it writes what it found after each simulation:
``python -m validation._scripts SCRIPT OUT TIMEOUT DEVICE MOST``.
"""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import joblib
import numpy as np
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    Quantity,
    StateMonitor,
    Synapses,
    prefs,
    second,
    seed,
)
from brian2.core.magic import MagicNetwork
from scipy import stats

import biosnn
from biosnn.devices.runtime.script import ScriptEnd, Simulation, StopScript, run_script
from biosnn.errors import ParameterError, printable
from biosnn.program.script import from_brian2

#: From best to worst. A script has the worst verdict of its simulations.
VERDICTS = (
    "equal",
    "equal to 1e-9",
    "statistically equal",
    "nothing happened",
    "refused",
    "error",
    "wrong",
)
#: Runs of each side where random numbers decide, and the level at which these are found wrong.
SEEDS, LEVEL = 6, 1e-3
#: Simulations of a script that are compared, if nothing else is said; it is stopped after them.
MOST = 3
#: Seconds that Brian2 may take for one of them; it is made shorter by 2, 5, 10, ... until it does.
BUDGET = 2.0
#: How many times longer it may take if nothing happens in that time.
LONGER = 10

#: Name of a monitor or group, and variable -> values; the last axis is time or number of the event.
Result = dict[str, np.ndarray]
#: Lifts a simulation, and returns what runs it for a duration with a seed.
Bring = Callable[[Simulation], Callable[[Quantity, int], Result]]

_AT_THE_END = " at the end"


# --- one simulation


def observed(objects: Iterable[Any], before: Mapping[str, Result]) -> Result:
    """What monitors have recorded since then, and the variables of groups and synapses."""
    found: Result = {}
    for target in objects:
        match target:
            case EventMonitor() | StateMonitor() | PopulationRateMonitor():
                old = before[target.name]
                new = {key: v[len(old[key]) :] for key, v in recorded(target).items()}
                if isinstance(target, EventMonitor):
                    new["count"] = np.asarray(target.count) - old["count"]
                    found |= _events(target.name, new)
                else:
                    del new["t"]
                    found |= {f"{target.name}.{k}": np.atleast_2d(v.T) for k, v in new.items()}
            case NeuronGroup() | Synapses():
                names = target.equations.diff_eq_names | target.equations.parameter_names
                for name in names & target.variables.keys():
                    if not target.variables[name].read_only:
                        values = target.variables[name].get_value()
                        found[f"{target.name}.{name}{_AT_THE_END}"] = np.array(values)
    return found


def recorded(monitor: Any) -> Result:
    """All that a monitor holds; the first axis is time or the number of the event."""
    names = ["rate", "t"] if isinstance(monitor, PopulationRateMonitor) else ["t"]
    names += getattr(monitor, "record_variables", ())
    known = {name: monitor.variables[name] for name in {*names, "count"} & {*monitor.variables}}
    return {name: np.array(variable.get_value()) for name, variable in known.items()}


def _events(monitor: str, columns: Mapping[str, np.ndarray]) -> Result:
    """Columns in the order of times and cells, but for the counts."""
    kept = {key: values for key, values in columns.items() if key != "count"}
    order = np.lexsort((kept["i"], kept["t"])) if kept else ...
    found = {f"{monitor}.{key}": values[order] for key, values in kept.items()}
    return {**found, f"{monitor}.count": columns["count"]}


def difference(plain: Result, brought: Result) -> tuple[str, str]:
    """Verdict without statistics: "equal", "equal to 1e-9" or "wrong", and what differs."""
    worst, reason = "equal", ""
    for name, expected in plain.items():
        if name not in brought:
            if name.endswith(_AT_THE_END):
                continue
            return "wrong", f"{name} was not recorded"
        found = brought[name]
        if found.shape != expected.shape:
            return "wrong", f"{name} has {len(found)} values, {len(expected)} in Brian2"
        if np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f"):
            continue
        if expected.dtype.kind != "f" or not close(found, expected):
            at = np.flatnonzero(found.ravel() != expected.ravel())[0]
            values = f"{found.ravel()[at]!r}, {expected.ravel()[at]!r} in Brian2"
            return "wrong", f"{name} differs first at {at} of {expected.size}: {values}"
        worst, reason = "equal to 1e-9", f"{name} differs in the last digits"
    return worst, reason


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether values are equal to a billionth of the largest."""
    finite = expected[np.isfinite(expected)]
    scale = np.abs(finite).max() if finite.size else 0.0
    return np.allclose(found, expected, rtol=0, atol=1e-9 * scale, equal_nan=True)


def summaries(result: Result) -> dict[str, float]:
    """Numbers that tell what happened: of spikes and values."""
    found: dict[str, float] = {}
    for name, array in result.items():
        values = np.asarray(array, dtype=float)
        if name.endswith(".t"):
            found[f"{name}: number"] = len(values)
            found[f"{name}: mean"] = values.mean() if len(values) else 0.0
            found[f"{name}: deviation"] = values.std() if len(values) else 0.0
        elif name.endswith(".i"):
            counts = np.unique(array, return_counts=True)[1]
            found[f"{name}: cells"] = len(counts)
            found[f"{name}: deviation of counts"] = counts.std() if len(counts) else 0.0
        elif np.isfinite(values).any():
            values = np.where(np.isfinite(values), values, np.nan)
            found[f"{name}: mean"] = float(np.nanmean(values))
            found[f"{name}: deviation"] = float(np.nanstd(values))
    return found


def compared_by_statistics(plain: list[Result], brought: list[Result]) -> tuple[str, str]:
    """Verdict over runs with several seeds, and the summary that differs, or the finest bound."""
    ours, theirs = [summaries(r) for r in brought], [summaries(r) for r in plain]
    names = [name for name in theirs[0] if all(name in one for one in (*ours, *theirs))]
    level, n = LEVEL / max(len(names), 1), len(plain)
    bounds = {}
    for name in names:
        a, b = (np.array([one[name] for one in side]) for side in (theirs, ours))
        apart = abs(a.mean() - b.mean())
        scale = max(abs(a.mean()), abs(a).max())
        error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / n)
        bound = max(stats.t.isf(level / 2, 2 * n - 2) * error, 1e-9 * scale)
        if apart > bound:
            return "wrong", f"{name}: {b.mean():.6g}, {a.mean():.6g} ± {bound:.2g} in Brian2"
        if scale and error:
            bounds[name] = bound / scale
    finest = min(bounds, key=bounds.__getitem__, default="")
    told = f"{finest} to {100 * bounds[finest]:.2g} %" if finest else ""
    return "statistically equal", f"{len(names)} summaries of {n} runs each, {told}"


def nudge(objects: Iterable[Any], number: int) -> None:
    """Change variables with differential equations in the last digits; 0 changes nothing.

    By up to 200 units in the last place: what rounding adds up to in a time constant of some
    hundred steps.
    """
    rng = np.random.default_rng(number)
    for target in objects if number else ():
        if isinstance(target, NeuronGroup | Synapses):
            for name in sorted(target.equations.diff_eq_names & target.variables.keys()):
                variable = target.variables[name]
                values = np.array(variable.get_value())
                eps = np.finfo(values.dtype).eps
                changed = values + values * eps * rng.integers(-200, 201, values.shape)
                variable.set_value(changed.astype(values.dtype))


def happened(before: Result, after: Result) -> bool:
    """Whether there was an event, or a variable is not what it was, or was not meanwhile."""
    for name, values in after.items():
        if name.endswith(".count"):
            moved = values.any()
        elif name.endswith(_AT_THE_END):
            moved = not np.array_equal(values, before[name])
        else:
            moved = values.ndim == 2 and np.any(values != values[:, :1])
        if moved:
            return True
    return False


# --- biosnn's side


def bring(simulation: Simulation, device: str = "runtime") -> Callable[[Quantity, int], Result]:
    """Lift a simulation with ``biosnn.from_brian2``, for a device (``cpp`` with strict math)."""
    network = simulation.network
    magic = isinstance(network, MagicNetwork)
    given = simulation.objects if magic else network
    lifted = from_brian2(given, namespace=simulation.namespace)
    if magic:  # the objects do not say at what time they are
        lifted = attrs.evolve(lifted, program=lifted.program.changed(start=network.t_))
    single = prefs.core.default_float_dtype is np.float32
    precision = "single" if single else "double"
    runnable = biosnn.compile(
        lifted, device=device, precision=precision, math="strict", progress=False
    )

    def run(duration: Quantity, number: int) -> Result:
        recording, state = runnable.run(duration, seed=number)
        found: Result = {f"{name}{_AT_THE_END}": np.asarray(state[name]) for name in state}
        for name, trace in recording.traces.items():
            found[name] = trace.values
        for name, spikes in recording.spikes.items():
            columns = {"i": spikes.i, "t": spikes.t, **spikes.values}
            found |= _events(name, {**columns, "count": recording[f"{name}.count"][0]})
        return found

    return run


# --- a script


class Comparison:
    """Is handed the simulations of a script, and compares them.

    Parameters
    ----------
    bring : callable
        What lifts them.
    report : callable
        Called with all that was found, after each of them.
    most : int
        How many are compared; the script is stopped after them.
    """

    def __init__(
        self,
        bring: Bring = bring,
        report: Callable[[list[dict[str, Any]]], None] = lambda _: None,
        most: int = MOST,
    ):
        self._bring, self._report, self._most = bring, report, most
        self.found: list[dict[str, Any]] = []

    def __call__(self, simulation: Simulation) -> None:
        """Compare one simulation, and let the script go on, or stop it."""
        prefs.codegen.target = "numpy"
        if not simulation.duration:
            simulation.simulate()
            return
        started = time.perf_counter()
        entry: dict[str, Any] = {"line": simulation.place.line}
        self.found.append(entry)
        state = _State(simulation)
        for budget in (BUDGET, LONGER * BUDGET):
            entry |= self._compared(simulation, state, budget)
            if entry["verdict"] != "nothing happened" or entry["shortened by"] == 1:
                break
        state.forget()
        entry["seconds"] = round(time.perf_counter() - started, 1)
        self._report(self.found)
        if len(self.found) == self._most:
            raise StopScript

    def _compared(self, simulation: Simulation, state: _State, budget: float) -> dict[str, Any]:
        duration, factor = _affordable(simulation, state, budget)
        before = observed(state.objects, state.recorded)
        verdict, reason, run = "", "", None
        try:
            run = self._bring(simulation)
            ours = run(duration, 0)
        except ParameterError as error:
            verdict, reason = "refused", printable(error)
        except Exception as error:
            while error.__cause__ is not None:  # what Brian2 says first is where, and not what
                error = error.__cause__
            verdict, reason = "error", f"{type(error).__name__}: {printable(error)}"[:500]

        def plain(number: int, nudged: int = 0) -> Result:
            state.restore()
            nudge(state.objects, nudged)
            seed(number)
            simulation.simulate(duration)
            return observed(state.objects, state.recorded)

        def brought(nudged: int) -> Result:
            state.restore()
            nudge(state.objects, nudged)
            return self._bring(simulation)(duration, 0)

        theirs = plain(0)
        found: dict[str, Any] = {
            "duration_s": float(duration),
            "shortened by": factor,
            "events": int(sum(v.sum() for name, v in theirs.items() if name.endswith(".count"))),
        }
        if verdict:
            return {**found, "verdict": verdict, "reason": reason}
        verdict, reason = difference(theirs, ours)
        if verdict == "wrong" and difference(theirs, plain(1))[0] == "wrong":
            more = [plain(number) for number in range(1, SEEDS)]
            again = [run(duration, number) for number in range(1, SEEDS)]
            found["with one seed"] = reason
            verdict, reason = compared_by_statistics([theirs, *more], [ours, *again])
        elif verdict == "wrong" and difference(theirs, plain(0, 1))[0] == "wrong":
            more = [plain(0, number) for number in range(1, SEEDS)]
            again = [brought(number) for number in range(1, SEEDS)]
            found["from one beginning"] = reason
            verdict, reason = compared_by_statistics([theirs, *more], [ours, *again])
        if verdict != "wrong" and not happened(before, theirs):
            verdict, reason = "nothing happened", ""
        if difference(theirs, plain(0))[0] != "equal":  # also what the script goes on with
            verdict, reason = "error", "Brian2 does not repeat itself with the same seed"
        return {**found, "verdict": verdict, "reason": reason}


class _State:
    """State from which a simulation starts, to come back to."""

    NAME = "before the comparison"

    def __init__(self, simulation: Simulation):
        self._network = simulation.network
        self._top = simulation.objects
        self.objects = sorted(simulation.objects, key=lambda target: target.name)
        monitors = EventMonitor | StateMonitor | PopulationRateMonitor
        self.recorded = {o.name: recorded(o) for o in self.objects if isinstance(o, monitors)}
        Network.store(self._network, self.NAME)

    def restore(self) -> None:
        """Bring it back; Brian2's magic network forgets its objects after each run."""
        self._network.objects = set(self._top)
        Network.restore(self._network, self.NAME)

    def forget(self) -> None:
        """Leave the script's network without it."""
        del self._network._stored_state[self.NAME]


def _affordable(simulation: Simulation, state: _State, budget: float) -> tuple[Quantity, int]:
    """The duration that Brian2 can simulate in so many seconds, and what it was divided by."""
    dt = min(target.clock.dt_ for target in state.objects)
    steps = round(float(simulation.duration) / dt)

    def seconds(n: int) -> float:
        state.restore()
        started = time.perf_counter()
        simulation.simulate(n * dt * second)
        return time.perf_counter() - started

    seconds(1)  # generates code
    prepared, tried, took = seconds(1), 1, 0.0  # each run is prepared, whatever its duration
    while took < 0.05 * budget and tried < steps:
        tried = min(5 * tried, steps)
        took = seconds(tried) - prepared
    state.restore()
    wanted = took * steps / tried / budget
    series = (k * 10**m for m in itertools.count() for k in (1, 2, 5))
    factor = next(k for k in series if k >= wanted)
    return (simulation.duration, 1) if factor == 1 else (steps // factor * dt * second, factor)


class _OneByOne:
    """Stands for a pool of processes, whose simulations nobody would see: works here, in order."""

    def __init__(self, *_: Any, **__: Any):
        pass

    def __enter__(self) -> _OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function: Callable[[Any], Any], items: Iterable[Any], *_: Any) -> list[Any]:
        """As ``multiprocessing.Pool.map``."""
        return [function(item) for item in items]

    imap = imap_unordered = map


def compare_script(
    script: Path,
    *,
    bring: Bring = bring,
    timeout: float | None = None,
    report: Callable[[list[dict[str, Any]]], None] = lambda _: None,
    most: int = MOST,
) -> dict[str, Any]:
    """Compare the simulations of a script.

    Returns
    -------
    dict
        ``verdict``, ``reason``, ``simulations``, and ``end``, how the script ended.
    """
    comparison = Comparison(bring, report, most)
    pool, multiprocessing.Pool = multiprocessing.Pool, _OneByOne
    try:
        with joblib.parallel_config(backend="sequential"):
            end = run_script(script, comparison, timeout=timeout)
    finally:
        multiprocessing.Pool = pool
    return judged(comparison.found, end)


def judged(found: list[dict[str, Any]], end: ScriptEnd | str) -> dict[str, Any]:
    """What a script's simulations come to."""
    whole = [entry for entry in found if "verdict" in entry]
    if not whole:
        verdict, reason = "not run", str(end)
        if getattr(end, "status", "") == "finished":
            reason = "no simulation in this process"
    else:
        worst = max(whole, key=lambda entry: VERDICTS.index(entry["verdict"]))
        verdict, reason = worst["verdict"], worst["reason"]
    return {"verdict": verdict, "reason": reason, "simulations": whole, "end": str(end)}


if __name__ == "__main__":
    path, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    chosen, number = sys.argv[4], int(sys.argv[5])

    def write(found: Any) -> None:
        """Keep what there is, should this process be ended."""
        out.write_text(json.dumps(found))

    write(
        compare_script(
            path,
            bring=functools.partial(bring, device=chosen),
            timeout=limit,
            report=lambda found: write(judged(found, "killed")),
            most=number,
        )
    )
