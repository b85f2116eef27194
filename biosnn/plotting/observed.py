"""Take arrays with units out of a Recording or a State, or out of Brian2's objects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np
from brian2 import (
    EventMonitor,
    PopulationRateMonitor,
    Quantity,
    StateMonitor,
    Synapses,
    get_unit,
)
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    additional_unit_register,
    standard_unit_register,
)
from numpy.typing import NDArray

from biosnn.errors import NotRecordedError, ParameterError
from biosnn.plotting.checks import BrianUnit, Floats, best_unit, indices, numbers
from biosnn.recording import COUNT, Recording, RunClock, Spikes, Trace
from biosnn.state import State, unit_name
from biosnn.validation import check_whole, describe


@attrs.frozen(kw_only=True)
class SpikeTrain:
    """Spikes of a population: neurons, times in s, its size, the length and the onsets in s."""

    i: NDArray[Any]
    t: NDArray[Any]
    n: int | None
    duration: float
    onsets: NDArray[Any]


@attrs.frozen(kw_only=True)
class TimeCourse:
    """A variable over time in s: values [n_neurons, n_times] with unit, and whose they are."""

    t: NDArray[Any]
    values: Any
    neurons: NDArray[Any]
    label: str


def spikes_of(
    where: str, recording: Recording, population: Any, sample: Any, attempt: Any
) -> SpikeTrain:
    """The spikes of a whole run, or since the onset of one presentation of a sample."""
    spikes = _found(where, "population", population, recording.spikes)
    clock = _clock(where, recording)
    if sample is None:
        refuse_without(where, "a sample", attempt=attempt)
        onsets = np.arange(int(np.sum(clock.shown))) * clock.slot
        return SpikeTrain(
            i=spikes.i,
            t=spikes.time,
            n=spikes.n,
            duration=len(onsets) * clock.slot,
            onsets=onsets,
        )
    sample, attempt = _presentation(where, clock.shown, sample, attempt)
    some = spikes.of_sample(sample, attempt)
    return SpikeTrain(i=some.i, t=some.t, n=spikes.n, duration=clock.slot, onsets=np.zeros(1))


def trace_of(
    where: str, recording: Recording, name: Any, sample: Any, attempt: Any, neurons: Any
) -> TimeCourse:
    """A variable during a whole run, or since the onset of one presentation of a sample."""
    trace = _found(where, "v", name, recording.traces)
    clock = _clock(where, recording)
    values, t = trace.values, trace.time
    if sample is None:
        refuse_without(where, "a sample", attempt=attempt)
    else:
        some = trace.of_sample(*_presentation(where, clock.shown, sample, attempt))
        values, t = some.values, some.t
    rows = np.arange(len(trace.indices))
    if neurons is not None:
        wanted = indices(where, "neurons", neurons)
        missing = sorted(set(wanted.tolist()) - set(np.asarray(trace.indices).tolist()))
        if missing or not wanted.size:
            known = ", ".join(map(str, trace.indices[:12]))
            raise ParameterError(
                where, "neurons", missing or "none of them", f"among those recorded ({known})"
            )
        rows = np.array([int(np.flatnonzero(trace.indices == k)[0]) for k in wanted])
    return TimeCourse(
        t=t,
        values=with_dimension(values[rows], trace.unit),
        neurons=np.asarray(trace.indices)[rows],
        label=_label(name, trace.unit),
    )


def events_seen(where: str, monitor: EventMonitor) -> Recording:
    """What a SpikeMonitor, or one of other events, has recorded, under its name."""
    if not monitor.record:
        got, remedy = f"'{monitor.name}', which counts only", "Make it with record=True"
        raise ParameterError(where, "monitor", got, "one that records spikes", remedy)
    clock = _run_of(where, monitor)
    i, t = (np.array(monitor.variables[name].get_value()) for name in "it")
    sample = np.zeros(len(i), dtype=np.int32)
    spikes = Spikes(i, t, sample, sample, clock, len(monitor.source))
    return Recording(per_sample={}, shown=clock.shown, spikes={monitor.name: spikes}, clock=clock)


def values_seen(where: str, monitor: StateMonitor, variable: Any) -> Recording:
    """What a StateMonitor has recorded of a variable, under ``"monitor.variable"``."""
    known = ", ".join(map(repr, sorted(monitor.record_variables)))
    if variable not in tuple(monitor.record_variables):
        wanted = f"a variable that the monitor '{monitor.name}' records ({known})"
        raise ParameterError(where, "v", describe(variable), wanted)
    clock, held = _run_of(where, monitor), monitor.variables[variable]
    t, values = np.array(monitor.variables["t"].get_value()), np.array(held.get_value())
    if not values.size:
        raise _nothing(where, monitor)
    trace = Trace(t, values.T, np.array(monitor.record), unit_name(held.dim), clock)
    traces = {f"{monitor.name}.{variable}": trace}
    return Recording(per_sample={}, shown=clock.shown, traces=traces, clock=clock)


def rates_seen(where: str, monitor: PopulationRateMonitor) -> tuple[Floats, Floats, float]:
    """Times in s and rates in Hz of a PopulationRateMonitor, and its time step in s."""
    t, rate = (np.array(monitor.variables[name].get_value()) for name in ("t", "rate"))
    if not t.size:
        raise _nothing(where, monitor)
    return t, rate, float(monitor.clock.dt_)


def _run_of(where: str, monitor: Any) -> RunClock:
    """All that Brian2 has run, as one presentation."""
    dt = float(monitor.source.clock.dt_)
    steps = round(monitor.source.clock.variables["t"].get_value().item() / dt)
    if monitor._network is None or not steps:
        raise _nothing(where, monitor)
    return RunClock(dt=dt, steps=steps, shown=np.ones(1, dtype=np.int32))


def _nothing(where: str, monitor: Any) -> ParameterError:
    got = f"'{monitor.name}', which has recorded nothing"
    return ParameterError(where, "monitor", got, "one that has recorded", "Run its network first")


def per_sample_of(where: str, recording: Recording, name: Any) -> tuple[Any, str]:
    """A variable at the ends of samples [n_samples, n_neurons], and how to call it."""
    key = f"{name}.{COUNT}" if isinstance(name, str) and "." not in name else name
    values = _found(where, "name", key, recording.per_sample)
    unit = recording.units.get(key, "")
    return with_dimension(values, unit), _label(key, unit)


def weights_of(
    where: str, weights: Any, projection: Any, *, matrix: bool = True
) -> tuple[Floats, BrianUnit]:
    """Weights, given or those of a State or of Synapses, and the unit that they are in.

    Pairs without a synapse are NaN in the matrix.
    """
    if isinstance(weights, Synapses):
        return _synaptic(where, weights, "w" if projection is None else projection, matrix)
    if not isinstance(weights, State):
        if projection is not None:
            got = type(weights).__name__
            wanted = "a State or Synapses, where a projection is named"
            raise ParameterError(where, "weights", got, wanted)
        values = weights
    elif not isinstance(projection, str):
        known = ", ".join(sorted(key.removesuffix(".w") for key in weights.shapes))
        raise ParameterError(
            where, "projection", describe(projection), f"one of the state's ({known})"
        )
    else:
        values = weights.weights(projection) if matrix else weights[f"{projection}.w"]
        values = with_dimension(values, weights.units.get(f"{projection}.w", ""))
    unit = best_unit(where, "weights", values)
    return numbers(where, "weights", values, unit, ndim=2 if matrix else None), unit


def _synaptic(where: str, synapses: Synapses, name: Any, matrix: bool) -> tuple[Floats, BrianUnit]:
    """A variable of Brian2's synapses: one value for each, or as a matrix (pre, post)."""
    known = sorted(synapses.equations.diff_eq_names | synapses.equations.parameter_names)
    if name not in known:
        wanted = f"a variable of the synapses '{synapses.name}' ({', '.join(map(repr, known))})"
        raise ParameterError(where, "projection", describe(name), wanted)
    if not len(synapses):
        got = f"'{synapses.name}', which has no synapses"
        raise ParameterError(where, "weights", got, "connected synapses", "Call connect")
    variable = synapses.variables[name]
    held = Quantity(np.array(variable.get_value(), dtype=float), dim=variable.dim)
    unit = best_unit(where, "weights", held)
    values = np.broadcast_to(numbers(where, "weights", held, unit), (len(synapses),))
    if not matrix:
        return values, unit
    i, j = np.array(synapses.i), np.array(synapses.j)
    found = np.full((len(synapses.source), len(synapses.target)), np.nan)
    if len(np.unique(i * found.shape[1] + j)) < len(i):
        got = f"'{synapses.name}', with several synapses per pair"
        raise ParameterError(where, "weights", got, "one synapse per pair", "Draw a histogram")
    found[i, j] = values
    return found, unit


def refuse_without(where: str, what: str, **given: object) -> None:
    """Refuse parameters that would have no effect."""
    for name, value in given.items():
        if value is not None:
            raise ParameterError(where, name, describe(value), f"left out without {what}")


def with_dimension(values: Any, unit: str) -> Any:
    """Give values the SI unit of this name; leave them plain where it is unknown."""
    dim = _dimensions().get(unit, DIMENSIONLESS)
    return Quantity(np.asarray(values, dtype=float), dim=dim)


def _label(name: str, unit: str) -> str:
    return name if unit in _dimensions() else f"{name} ({unit})"


@lru_cache
def _dimensions() -> dict[str, Any]:
    """Dimensions by the name of their SI unit."""
    registers = (standard_unit_register, additional_unit_register)
    known = {str(get_unit(d)): d for r in registers for d in r.units_for_dimensions}
    return {**known, "": DIMENSIONLESS}


def _found(where: str, parameter: str, name: Any, among: Any) -> Any:
    if not isinstance(name, str):
        wanted = 'a name, such as "exc" for spikes or "exc.v" for a variable'
        raise ParameterError(where, parameter, describe(name), wanted)
    try:
        return among[name]
    except NotRecordedError as error:
        raise ParameterError(where, parameter, repr(name), f"a recorded one: {error}") from error


def _clock(where: str, recording: Recording) -> Any:
    if recording.clock is None:
        raise ParameterError(where, "recording", "one without a clock", "what a run returned")
    return recording.clock


def _presentation(where: str, shown: Sequence[int], sample: Any, attempt: Any) -> tuple[int, int]:
    """A sample and an attempt at it, counted from 0."""
    sample = check_whole(where, "sample", sample, most=len(shown) - 1)
    times = int(shown[sample])
    attempt = -1 if attempt is None else attempt
    return sample, check_whole(where, "attempt", attempt, -times, times - 1) % times
