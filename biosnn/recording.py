"""Recording: what a run observed, as arrays that belong to no device."""

from __future__ import annotations

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

    The arrays of a run that was given a folder are memory-mapped files: they are read when they
    are used, and are as good as arrays otherwise.

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
    snapshots : dict of str to numpy.ndarray
        ``"population.variable"`` or ``"projection.w"`` -> array of shape (n_snapshots, size): its
        values after every so many samples.
    seconds : float
        Wall-clock time of the simulation, without compilation.
    """

    per_sample: dict[str, np.ndarray]
    shown: np.ndarray
    spikes: dict[str, Spikes] = attrs.Factory(dict)
    traces: dict[str, Trace] = attrs.Factory(dict)
    snapshots: dict[str, np.ndarray] = attrs.Factory(dict)
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
