"""A recording as a Block of Neo: spike trains, signals and epochs with units."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from biosnn._recording.observed import Observed, RunClock, Spikes, Trace
from biosnn._recording.parts import (
    Presentations,
    clock_of,
    labels_of,
    named,
    presentations_of,
    run_time,
    size_of,
)
from biosnn.errors import NotRecordedError, ParameterError, needs_extra
from biosnn.validation import check_choice, describe

if TYPE_CHECKING:
    import neo

_WHERE = "Recording.to_neo"
SEGMENTS, TRAINS = ("presentations", "run"), ("neurons", "populations")
#: A spike train of Neo takes about 4 kB and 0.1 ms, however few spikes it has.
MOST_TRAINS = 500_000


@attrs.frozen(eq=False)
class _Windows:
    """What becomes a segment each: the whole run, or presentations of it.

    Parameters
    ----------
    segments : list of neo.Segment
        Empty ones.
    place : numpy.ndarray of int
        Presentation -> its segment, or -1.
    begin, length : float
        First time of a segment, and seconds that it takes.
    onset : sequence of float
        Time of the run at which each begins.
    """

    segments: list[Any]
    place: NDArray[np.int64]
    begin: float
    length: float
    onset: NDArray[np.float64]

    def limits(self) -> dict[str, Any]:
        """First and last time of a segment."""
        import quantities as pq

        return {"t_start": self.begin * pq.s, "t_stop": (self.begin + self.length) * pq.s}

    def of(self, clock: RunClock, part: Spikes | Trace) -> NDArray[np.int64]:
        """The segment of each spike or point."""
        return self.place[clock.first[part.sample] + part.attempt]


def block(observed: Observed, segments: str, trains: str, samples: Any, labels: Any) -> neo.Block:
    """See :meth:`biosnn.recording.Recording.to_neo`."""
    with needs_extra(_WHERE, "results"):
        import neo
    check_choice(_WHERE, "segments", segments, SEGMENTS)
    check_choice(_WHERE, "trains", trains, TRAINS)
    if segments == "run" and samples is not None:
        remedy = 'It chooses among segments="presentations"'
        wanted = 'left out with segments="run"'
        raise ParameterError(_WHERE, "samples", describe(samples), wanted, remedy)
    if not observed.spikes and not observed.traces:
        raise NotRecordedError(
            f"{_WHERE}: there are no spikes and no traces in this recording, which are what a "
            "Block holds; record them with simulation.compile(..., spikes=..., traces=...)"
        )
    clock = clock_of(_WHERE, observed)
    known = labels_of(_WHERE, observed, labels)
    shown = presentations_of(clock)
    if segments == "run":
        windows = _whole(clock, shown, known)
    else:
        windows = _each(clock, shown, _chosen(shown, samples, len(observed.shown)), known)
    by_neuron = trains == "neurons"
    sizes = {key: size_of(part) if by_neuron else 1 for key, part in observed.spikes.items()}
    n = sum(sizes.values()) * len(windows.segments)
    if n > MOST_TRAINS:
        wanted = f"such that there are at most {MOST_TRAINS} spike trains"
        remedy = 'Choose samples, or take trains="populations" or segments="run"'
        got = f"{describe(samples)}, which makes {n}"
        raise ParameterError(_WHERE, "samples", got, wanted, remedy)
    made = neo.Block(name=observed.about.get("network"), **observed.about)
    made.segments.extend(windows.segments)
    limits = windows.limits()
    for key, spikes in observed.spikes.items():
        units = {name: observed.units.get(f"{key}.{name}", "") for name in spikes.values}
        times = run_time(spikes) if segments == "run" else np.asarray(spikes.t)
        pieces = _cut(times, spikes.i, windows.of(clock, spikes), sizes[key], windows)
        for segment, index, rows in pieces:
            train = _train(key, index if by_neuron else None, spikes, rows, times, limits, units)
            train.annotate(**segment.annotations)
            segment.spiketrains.append(train)
    for name, trace in observed.traces.items():
        place = windows.of(clock, trace)
        for k, segment in enumerate(windows.segments):
            rows = np.flatnonzero(place == k) if len(windows.segments) > 1 else slice(None)
            signal = _signal(name, trace, rows, windows.onset[k] - windows.begin, clock.dt)
            signal.annotate(**segment.annotations)
            regular = isinstance(signal, neo.AnalogSignal)
            kept = segment.analogsignals if regular else segment.irregularlysampledsignals
            kept.append(signal)
    return made


def quantity_units(unit: str) -> str:
    """The unit of Brian2 as ``quantities`` writes it."""
    return unit.replace("^", "**").replace(" ", "*") or "dimensionless"


def _chosen(shown: Presentations, samples: Any, n: int) -> NDArray[np.int64]:
    """Numbers of the presentations of some samples.

    Raises
    ------
    ParameterError
        If one of them was not shown.
    """
    if samples is None:
        return np.arange(len(shown.sample))
    rows = np.atleast_1d(np.asarray(samples))
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size:
        raise ParameterError(_WHERE, "samples", describe(samples), "rows of samples")
    if rows.min() < 0 or rows.max() >= n:
        bad = int(rows[(rows < 0) | (rows >= n)][0])
        raise ParameterError(_WHERE, "samples", bad, f"rows of samples from 0 to {n - 1}")
    return np.flatnonzero(np.isin(shown.sample, rows))


def _whole(clock: RunClock, shown: Presentations, labels: NDArray[Any] | None) -> _Windows:
    """One segment, with an epoch for each presentation."""
    import neo

    segment, n = neo.Segment(name="run"), len(shown.sample)
    more = {"sample": shown.sample, "attempt": shown.attempt}
    more |= {} if labels is None else {"label": labels[shown.sample]}
    epoch = neo.Epoch(
        times=shown.onset,
        durations=np.full(n, shown.slot),
        labels=shown.sample.astype(str),
        units="s",
        name="presentations",
        array_annotations=more,
    )
    segment.epochs.append(epoch)
    zeros = np.zeros(n, np.int64)
    return _Windows([segment], zeros, clock.begin, n * shown.slot, np.array([clock.begin]))


def _each(
    clock: RunClock,
    shown: Presentations,
    chosen: NDArray[np.int64],
    labels: NDArray[Any] | None,
) -> _Windows:
    """A segment for each of some presentations."""
    import neo

    made = []
    for k in chosen:
        sample, attempt = int(shown.sample[k]), int(shown.attempt[k])
        more: dict[str, Any] = {"sample": sample, "attempt": attempt}
        more |= {"onset_s": float(shown.onset[k])}
        more |= {} if labels is None else {"label": labels[sample].item()}
        again = f", attempt {attempt}" if attempt else ""
        made.append(neo.Segment(name=f"sample {sample}{again}", index=int(k), **more))
    place = np.full(len(shown.sample), -1)
    place[chosen] = np.arange(len(chosen))
    return _Windows(made, place, clock.begin, shown.slot, shown.onset[chosen])


def _cut(
    times: NDArray[np.float64],
    neurons: NDArray[np.int64],
    place: NDArray[np.int64],
    size: int,
    windows: _Windows,
) -> Iterator[tuple[Any, int, NDArray[np.int64]]]:
    """Segment, neuron and the rows of its spikes in order of time; neuron 0 stands for all."""
    keys = place * size + (neurons if size > 1 else 0)
    order = np.lexsort((times, keys))
    order = order[np.searchsorted(keys[order], 0) :]
    bounds = np.searchsorted(keys[order], np.arange(len(windows.segments) * size + 1))
    for number, (first, last) in enumerate(itertools.pairwise(bounds)):
        yield windows.segments[number // size], number % size, order[first:last]


def _train(
    population: str,
    neuron: int | None,
    spikes: Spikes,
    rows: NDArray[np.int64],
    times: NDArray[np.float64],
    limits: dict[str, Any],
    units: dict[str, str],
) -> neo.SpikeTrain:
    import neo
    import quantities as pq

    each: dict[str, Any] = {} if neuron is not None else {"neuron": np.asarray(spikes.i[rows])}
    for name, unit in units.items():
        each[name] = pq.Quantity(spikes.values[name][rows], quantity_units(unit))
    one: dict[str, Any] = {} if neuron is None else {"neuron": neuron}
    return neo.SpikeTrain(
        times[rows],
        units=pq.s,  # texts are parsed anew for each train
        **limits,
        name=population if neuron is None else f"{population} {neuron}",
        array_annotations=each,
        population=population,
        **one,
    )


def _signal(
    name: str, trace: Trace, rows: Any, before: float, dt: float
) -> neo.AnalogSignal | neo.IrregularlySampledSignal:
    """Points of a trace; regular ones if they are."""
    import neo
    import quantities as pq

    owner, variable = named(name)
    time = np.asarray(trace.time[rows]) - before
    more: dict[str, Any] = {"population": owner, "variable": variable, "name": name}
    more |= {"units": quantity_units(trace.unit)}
    more |= {"array_annotations": {"neuron": np.asarray(trace.indices)}}
    values = np.asarray(trace.values[:, rows]).T
    steps = np.rint(np.diff(time) / dt)
    if len(steps) and steps[0] > 0 and (steps == steps[0]).all():
        period = pq.Quantity(float(steps[0]) * dt, "s")
        start = pq.Quantity(time[0], "s")
        return neo.AnalogSignal(values, t_start=start, sampling_period=period, **more)
    return neo.IrregularlySampledSignal(time, values, time_units="s", **more)
