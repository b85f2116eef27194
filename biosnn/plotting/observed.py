"""Take arrays with units out of a Recording or a State."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np
from brian2 import Quantity, get_unit
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    additional_unit_register,
    standard_unit_register,
)
from numpy.typing import NDArray

from biosnn.errors import NotRecordedError, ParameterError
from biosnn.plotting.checks import BrianUnit, Floats, best_unit, indices, numbers
from biosnn.recording import COUNT, Recording
from biosnn.state import State
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


def per_sample_of(where: str, recording: Recording, name: Any) -> tuple[Any, str]:
    """A variable at the ends of samples [n_samples, n_neurons], and how to call it."""
    key = f"{name}.{COUNT}" if isinstance(name, str) and "." not in name else name
    values = _found(where, "name", key, recording.per_sample)
    unit = recording.units.get(key, "")
    return with_dimension(values, unit), _label(key, unit)


def weights_of(
    where: str, weights: Any, projection: Any, *, matrix: bool = True
) -> tuple[Floats, BrianUnit]:
    """Weights, given or those of a projection of a State, and the unit that they are in."""
    if not isinstance(weights, State):
        if projection is not None:
            got = type(weights).__name__
            raise ParameterError(where, "weights", got, "a State, where a projection is named")
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
