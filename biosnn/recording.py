"""Recording: what a run observed, as arrays that belong to no device."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from biosnn.errors import DataError


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
    """

    i: np.ndarray
    t: np.ndarray
    sample: np.ndarray

    def of_sample(self, sample: int) -> Spikes:
        """The spikes during one sample."""
        mask = self.sample == sample
        return Spikes(self.i[mask], self.t[mask], self.sample[mask])


@attrs.frozen(eq=False)
class Trace:
    """One variable of some neurons over time.

    Parameters
    ----------
    t : numpy.ndarray, shape (n_times,)
        Beginnings of the time steps, in seconds since the beginning of the run.
    values : numpy.ndarray, shape (n_indices, n_times)
        SI values at the end of each step.
    indices : numpy.ndarray of int, shape (n_indices,)
        The neurons.
    unit : str
        SI unit, e.g. ``"V"``; empty for numbers.
    """

    t: np.ndarray
    values: np.ndarray
    indices: np.ndarray
    unit: str


@attrs.frozen(eq=False)
class Recording:
    """What a run observed.

    Parameters
    ----------
    per_sample : dict of str to numpy.ndarray
        ``"population.variable"`` -> array of shape (n_samples, n_neurons), as it was at the end
        of each sample's last presentation.
    shown : numpy.ndarray of int, shape (n_samples,)
        How often each sample was presented.
    spikes : dict of str to Spikes
        Population -> its spikes, where they were recorded.
    traces : dict of str to Trace
        ``"population.variable"`` -> its course, where it was recorded.
    seconds : float
        Wall-clock time of the simulation, without compilation.
    """

    per_sample: dict[str, np.ndarray]
    shown: np.ndarray
    spikes: dict[str, Spikes] = attrs.Factory(dict)
    traces: dict[str, Trace] = attrs.Factory(dict)
    seconds: float = 0.0

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.per_sample:
            raise DataError(
                f"{name!r} was not recorded per sample; recorded are "
                f"{', '.join(sorted(self.per_sample)) or 'none'} (compile(..., per_sample=...))"
            )
        return self.per_sample[name]

    def counts(self, population: str) -> np.ndarray:
        """Spike counts of a population, int, shape (n_samples, n_neurons)."""
        return self[f"{population}.count"]

    def latencies(self, population: str) -> np.ndarray:
        """Times of first spikes in s since onset, shape (n_samples, n_neurons); inf if silent."""
        return self[f"{population}.t_first"]


def concatenate(recordings: list[Recording]) -> Recording:
    """Join the recordings of consecutive chunks into one."""
    if len(recordings) == 1:
        return recordings[0]
    starts = np.cumsum([0] + [len(part.shown) for part in recordings])
    spans = np.cumsum([0.0] + [_span(part) for part in recordings])
    first = recordings[0]

    def joined(pieces: list[Any], axis: int = 0) -> np.ndarray:
        return np.concatenate(pieces, axis=axis)

    return Recording(
        per_sample={
            key: joined([part.per_sample[key] for part in recordings]) for key in first.per_sample
        },
        shown=joined([part.shown for part in recordings]),
        spikes={
            key: Spikes(
                joined([part.spikes[key].i for part in recordings]),
                joined([part.spikes[key].t for part in recordings]),
                joined(
                    [
                        part.spikes[key].sample + start
                        for part, start in zip(recordings, starts[:-1], strict=True)
                    ]
                ),
            )
            for key in first.spikes
        },
        traces={
            key: Trace(
                joined(
                    [
                        part.traces[key].t + span
                        for part, span in zip(recordings, spans[:-1], strict=True)
                    ]
                ),
                joined([part.traces[key].values for part in recordings], axis=1),
                trace.indices,
                trace.unit,
            )
            for key, trace in first.traces.items()
        },
        seconds=sum(part.seconds for part in recordings),
    )


def _span(recording: Recording) -> float:
    """Simulated time of a recording with traces, in s."""
    for trace in recording.traces.values():
        if len(trace.t) > 1:
            return float(trace.t[-1] + trace.t[1] - trace.t[0])
    return 0.0
