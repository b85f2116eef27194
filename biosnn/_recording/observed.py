"""The parts of a recording: its clock, spikes, traces, and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs
import numpy as np

from biosnn.errors import DataError, NotRecordedError
from biosnn.state import aligned, bytes_of, shape_of

#: What is kept of spikes in each sample, as users name it behind the population: how many there
#: were, and when the first one came.
COUNT, FIRST_SPIKE = "count", "t_first"


@attrs.frozen(eq=False, kw_only=True)
class RunClock:
    """Times at which the presentations of a run began.

    Parameters
    ----------
    dt : float
        Time step in seconds.
    steps : int
        Time steps of a presentation, its rest included.
    shown : numpy.ndarray of int, shape (n_samples,)
        How often each sample was presented.
    begin : float
        Seconds of simulated time before the run: 0, but in a run for a duration that goes on from
        the state of another one.

    Attributes
    ----------
    first : numpy.ndarray of int, shape (n_samples,)
        Number of presentations before the first one of each sample.
    """

    dt: float
    steps: int
    shown: np.ndarray
    begin: float = 0.0
    first: np.ndarray = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: np.cumsum(self.shown, dtype=np.int64) - self.shown, takes_self=True
        ),
    )

    @property
    def slot(self) -> float:
        """Seconds from one onset to the next."""
        return self.steps * self.dt

    @property
    def presentations(self) -> int:
        """Number of presentations in all."""
        return int(self.shown.sum())

    def onset(self, sample: Any, attempt: Any = 0) -> np.ndarray:
        """Seconds from the beginning of the run to the onset of presentations."""
        return self.time(0.0, sample, attempt)

    def time(self, t: Any, sample: Any, attempt: Any) -> np.ndarray:
        """Seconds since the beginning of the run, of times since an onset."""
        before = (self.first[sample] + attempt) * self.steps
        return (before + np.rint(np.asarray(t) / self.dt)) * self.dt

    def position(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Time since the onset, sample and attempt of times since the beginning of the run."""
        steps = np.rint((time - self.begin) / self.dt).astype(np.int64)
        number, step = np.divmod(steps, self.steps)
        sample = np.searchsorted(self.first, number, side="right") - 1
        return step * self.dt, sample, number - self.first[sample]


def no_clock(what: str) -> DataError:
    """The error for parts that were made by hand."""
    return DataError(
        f"{what} that belong to no run have no time since its beginning; take them from a run"
    )


@attrs.frozen(eq=False)
class Spikes:
    """Spikes of one population, those of all attempts at a sample.

    Parameters
    ----------
    i : numpy.ndarray of int, shape (n_spikes,)
        Neuron indices.
    t : numpy.ndarray of float, shape (n_spikes,)
        Times in seconds since the onset of their presentation.
    sample : numpy.ndarray of int, shape (n_spikes,)
        Row of the sample that was shown, in the order of the call.
    attempt : numpy.ndarray of int, shape (n_spikes,), optional
        At which attempt it was shown: 0 unless a presentation repeats samples.
    clock : RunClock, optional
        When the presentations began.
    n : int, optional
        Size of the population.
    values : dict of str to numpy.ndarray
        Variable -> its SI value at each spike, where a monitor of Brian2 recorded it.
    """

    i: np.ndarray
    t: np.ndarray
    sample: np.ndarray
    attempt: np.ndarray = attrs.Factory(
        lambda self: np.zeros(np.shape(self.sample), np.int32), takes_self=True
    )
    clock: RunClock | None = None
    n: int | None = None
    values: dict[str, np.ndarray] = attrs.Factory(dict)

    def __repr__(self) -> str:
        """How many there are."""
        of = "" if self.n is None else f" of {self.n} neurons"
        return f"Spikes({len(self.i)} spikes{of})"

    @property
    def time(self) -> np.ndarray:
        """Times in seconds since the beginning of the run, presentations one after the other."""
        if self.clock is None:
            raise no_clock("spikes")
        return self.clock.time(self.t, self.sample, self.attempt)

    def of_sample(self, sample: int, attempt: int | None = None) -> Spikes:
        """The spikes during one sample; in all attempts at it, or in one (-1: the last)."""
        mask = _chosen(self.sample, self.attempt, self.clock, sample, attempt)
        parts = (self.i[mask], self.t[mask], self.sample[mask], self.attempt[mask])
        values = {name: found[mask] for name, found in self.values.items()}
        return Spikes(*parts, self.clock, self.n, values)


@attrs.frozen(eq=False)
class Trace:
    """One variable of some neurons over time.

    Parameters
    ----------
    time : numpy.ndarray, shape (n_times,)
        Beginnings of time steps, in seconds since the beginning of the run.
    values : numpy.ndarray, shape (n_indices, n_times)
        SI values at these times: at an onset those that the step starts from, after resets and
        new inputs, as Brian2's ``StateMonitor`` records them.
    indices : numpy.ndarray of int, shape (n_indices,)
        The neurons.
    unit : str
        SI unit, e.g. ``"V"``; empty for numbers.
    clock : RunClock, optional
        When the presentations began.
    """

    time: np.ndarray
    values: np.ndarray
    indices: np.ndarray
    unit: str
    clock: RunClock | None = None

    def __repr__(self) -> str:
        """Shape, unit and times."""
        n, points = np.shape(self.values)
        unit = f" in {self.unit}" if self.unit else ""
        span = f", {self.time[0]:g} to {self.time[-1]:g} s" if points else ""
        return f"Trace({n} x {points} values{unit}{span})"

    def _position(self, part: int) -> np.ndarray:
        if self.clock is None:
            raise no_clock("values")
        return self.clock.position(self.time)[part]

    @property
    def t(self) -> np.ndarray:
        """Times in seconds since the onset of their presentation, shape (n_times,)."""
        return self._position(0)

    @property
    def sample(self) -> np.ndarray:
        """Row of the sample that was shown, shape (n_times,)."""
        return self._position(1)

    @property
    def attempt(self) -> np.ndarray:
        """At which attempt it was shown, shape (n_times,)."""
        return self._position(2)

    def of_sample(self, sample: int, attempt: int | None = None) -> Trace:
        """The values during one sample; in all attempts at it, or in one (-1: the last)."""
        mask = _chosen(self.sample, self.attempt, self.clock, sample, attempt)
        return Trace(self.time[mask], self.values[:, mask], self.indices, self.unit, self.clock)


def _chosen(
    samples: np.ndarray,
    attempts: np.ndarray,
    clock: RunClock | None,
    sample: int,
    attempt: int | None,
) -> np.ndarray:
    """Which entries belong to a sample, and to an attempt at it."""
    mask = samples == sample
    if attempt is None:
        return mask
    if attempt < 0:
        if clock is None:
            raise no_clock("spikes")
        attempt += int(clock.shown[sample])
    return mask & (attempts == attempt)


class Recorded(dict[str, Any]):
    """What was recorded, by name; the error for a missing name lists the others."""

    def __init__(self, kind: str, found: Mapping[str, Any] | None = None):
        super().__init__(found or {})
        self._kind = kind

    def __missing__(self, name: str) -> Any:
        raise NotRecordedError(
            f"{name!r} is not among the recorded {self._kind}: "
            f"{', '.join(map(repr, sorted(self))) or 'there are none'}; record it with "
            f"simulation.compile(..., {self._kind}=...)"
        )


@attrs.frozen(eq=False)
class Observed:
    """The arrays of a :class:`biosnn.recording.Recording`, which documents them."""

    per_sample: dict[str, np.ndarray] = attrs.field(converter=partial(Recorded, "per_sample"))
    shown: np.ndarray
    spikes: dict[str, Spikes] = attrs.field(factory=dict, converter=partial(Recorded, "spikes"))
    traces: dict[str, Trace] = attrs.field(factory=dict, converter=partial(Recorded, "traces"))
    snapshots: dict[str, np.ndarray] = attrs.field(
        factory=dict, converter=partial(Recorded, "snapshots")
    )
    seconds: float = 0.0
    clock: RunClock | None = None
    units: dict[str, str] = attrs.Factory(dict)
    about: dict[str, Any] = attrs.Factory(dict)

    def __repr__(self) -> str:
        """Names, shapes, units and bytes of what was recorded."""
        arrays = [("per_sample", name, array) for name, array in self.per_sample.items()]
        arrays += [("snapshots", name, array) for name, array in self.snapshots.items()]
        rows = [
            (kind, name, f"{shape_of(array)}", self.units.get(name, ""), array.nbytes)
            for kind, name, array in arrays
        ]
        for name, spikes in self.spikes.items():
            parts = (spikes.i, spikes.t, spikes.sample, spikes.attempt)
            rows.append(
                ("spikes", name, f"{len(spikes.i)} spikes", "", sum(p.nbytes for p in parts))
            )
        for name, trace in self.traces.items():
            n = trace.time.nbytes + trace.values.nbytes
            rows.append(("traces", name, shape_of(trace.values), trace.unit, n))
        n, again = len(self.shown), int((self.shown > 1).sum())
        total = bytes_of(sum(row[-1] for row in rows) + self.shown.nbytes)
        repeated = f" ({again} shown again)" if again else ""
        lines = [(*row[:-1], bytes_of(row[-1])) for row in rows]
        return "\n".join([f"Recording of {n} samples{repeated}, {total}", *aligned(lines)])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.per_sample[name]

    def counts(self, population: str) -> np.ndarray:
        """Spike counts of a population, int, shape (n_samples, n_neurons)."""
        return self[f"{population}.{COUNT}"]

    def latencies(self, population: str) -> np.ndarray:
        """Times of first spikes in s since onset, shape (n_samples, n_neurons); inf if silent."""
        return self[f"{population}.{FIRST_SPIKE}"]
