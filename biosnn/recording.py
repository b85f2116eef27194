"""Recordings: spikes, traces and snapshots of a run, as arrays that belong to no device.

Other libraries get them by the methods ``to_neo``, ``to_pandas``, ``to_xarray`` and ``to_nwb``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from biosnn._recording.observed import (
    COUNT,
    FIRST_SPIKE,
    Observed,
    Recorded,
    RunClock,
    Spikes,
    Trace,
)

if TYPE_CHECKING:
    import neo
    import pandas as pd
    import xarray as xr

__all__ = ["COUNT", "FIRST_SPIKE", "Recorded", "Recording", "RunClock", "Spikes", "Trace"]


@attrs.frozen(eq=False, repr=False)
class Recording(Observed):
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
        ``"population.variable"`` -> its values over time, where it was recorded.
    snapshots : dict of str to numpy.ndarray
        ``"population.variable"`` or ``"projection.w"`` -> array of shape (n_snapshots, size): its
        values after every so many samples.
    seconds : float
        Wall-clock time of the simulation, without compilation.
    clock : RunClock, optional
        When the presentations began; spikes and traces have the same one.
    units : dict of str to str
        SI units of ``per_sample``, ``snapshots`` and values at spikes by name, empty for numbers.
    about : dict of str to str or int
        Where it comes from, as far as it is known: ``network``, ``fingerprint``, ``device``,
        ``precision``, ``seed``, ``epoch`` and ``first_sample`` of its first sample, ``biosnn``
        (the version) and ``started`` (date and time of the last call that ran it, ISO 8601).

    Notes
    -----
    The exports need ``pip install "biosnn[results]"``. ``labels`` of theirs are numbers or texts,
    one for each sample that was shown, in the order of ``shown``.
    """

    def to_neo(
        self,
        *,
        segments: str = "presentations",
        trains: str = "neurons",
        samples: Any = None,
        labels: Any = None,
    ) -> neo.Block:
        """Spikes and traces as a Block of Neo, which Elephant, Viziphant and Neo's writers take.

        Parameters
        ----------
        segments : {"presentations", "run"}
            A segment for each presentation, in which time counts from the onset; or one for the
            whole run, with an ``Epoch`` for each presentation.
        trains : {"neurons", "populations"}
            A spike train for each neuron, silent ones included; or one for each population, whose
            array annotation ``neuron`` says who fired.
        samples : int or sequence of int, optional
            Rows of the samples whose presentations become segments; default: all.
        labels : array_like, shape (n_samples,), optional
            Annotations ``label`` of the segments.

        Returns
        -------
        neo.Block
            Annotated with :attr:`about`. Segments have ``sample``, ``attempt`` and ``onset_s``
            besides their SpikeTrains, in s, and AnalogSignals with the units of the traces. Trains
            have ``population`` and ``neuron``, for ``block.filter``. Counts and snapshots are not
            part of it.

        Raises
        ------
        NotRecordedError
            If there are neither spikes nor traces.
        ParameterError
            If an argument is out of its bound, or there were more than 500,000 spike trains.
        DataError
            If there is not one label for each sample.
        MissingExtraError
            If Neo is not installed.

        References
        ----------
        Garcia S et al. (2014) Neo: an object model for handling electrophysiology data in multiple
        formats. Front Neuroinform 8:10, doi:10.3389/fninf.2014.00010
        """
        from biosnn._recording.blocks import block

        return block(self, segments, trains, samples, labels)

    def to_pandas(self, what: str = "spikes", *, labels: Any = None) -> pd.DataFrame:
        """One kind of what was recorded as a tidy frame of pandas.

        Parameters
        ----------
        what : {"spikes", "per_sample", "traces", "snapshots"}
            ``"spikes"``: a row for each spike, with ``population``, ``neuron``, ``sample``,
            ``attempt``, ``t`` since the onset and ``time`` since the beginning of the run, and
            variables that a monitor recorded at spikes. ``"per_sample"``: a row for each neuron and
            sample, with a column for each variable, such as ``count``. ``"traces"`` and
            ``"snapshots"``: a row for each value, with ``object``, ``variable``, ``index``,
            ``value`` and ``unit``, and the times or the number of the snapshot.
        labels : array_like, shape (n_samples,), optional
            Becomes the column ``label``.

        Returns
        -------
        pandas.DataFrame
            ``frame.attrs`` has ``units`` (column -> SI unit) and :attr:`about`. Variables of one
            name and several units have columns of their own, ``"population.variable"``.

        Raises
        ------
        NotRecordedError
            If there is none of it.
        ParameterError, DataError
            If an argument is out of its bound, or there is not one label for each sample.
        MissingExtraError
            If pandas is not installed.
        """
        from biosnn._recording.frames import frame

        return frame(self, what, labels)

    def to_xarray(self, *, labels: Any = None) -> xr.Dataset:
        """All that was recorded as a Dataset of xarray.

        Parameters
        ----------
        labels : array_like, shape (n_samples,), optional
            Becomes the coordinate ``label`` of ``sample``.

        Returns
        -------
        xarray.Dataset
            ``"population.variable"`` of each sample with the dimensions ``sample`` and
            ``neuron_<population>``; traces with ``index_<population>_<variable>`` and ``time``
            (a further ``time_1`` where others were recorded less often), named
            ``"population.variable.trace"`` where the variable is there of each sample, too; their
            coordinates
            ``sample_at_time``, ``attempt_at_time`` and ``t_at_time`` say what was shown;
            spikes along ``spike_<population>``; snapshots. ``attrs["units"]`` of each is its SI
            unit, ``attrs`` of the Dataset are :attr:`about`. No array is copied.

        Raises
        ------
        DataError
            If there is not one label for each sample.
        MissingExtraError
            If xarray is not installed.
        """
        from biosnn._recording.datasets import dataset

        return dataset(self, labels)

    def to_nwb(
        self,
        path: str | os.PathLike[str],
        *,
        labels: Any = None,
        overwrite: bool = False,
        **fields: Any,
    ) -> Path:
        """Write an NWB file.

        It has a table of units (one row for each neuron, silent ones included, with its
        ``spike_times`` in s since the beginning of the run), a table of trials (one row for each
        presentation), a TimeSeries for each trace, and in the processing module ``simulation``
        tables of what belongs to samples and of snapshots.

        Parameters
        ----------
        path : path-like
            A file name ending in ``.nwb``.
        labels : array_like, shape (n_samples,), optional
            Becomes the column ``label`` of trials and samples.
        overwrite : bool
            Whether a file that is there already may be replaced.
        **fields
            Arguments of ``pynwb.NWBFile``, such as ``experimenter``, ``institution``, ``keywords``
            or ``subject``. By default ``session_start_time`` is when the run was started,
            ``identifier`` is drawn (UUID), ``session_description`` names the network, and
            ``notes`` are :attr:`about` as JSON. Nothing is said of a subject, as there was none.

        Returns
        -------
        pathlib.Path
            The file, which is written in one step.

        Raises
        ------
        StorageError
            If the file is there already, has another suffix or cannot be written.
        ParameterError
            If a field is none, or nobody knows when the session started.
        DataError
            If there is not one label for each sample.
        MissingExtraError
            If pynwb is not installed.

        References
        ----------
        Rübel O et al. (2022) The Neurodata Without Borders ecosystem for neurophysiological data
        science. eLife 11:e78362, doi:10.7554/eLife.78362
        """
        from biosnn._recording.nwb import write

        return write(self, path, labels, overwrite, fields)
