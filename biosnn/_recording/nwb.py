"""A recording as an NWB file, by pynwb: units, trials, time series and tables."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from biosnn._recording.observed import Observed, Trace
from biosnn._recording.parts import (
    clock_of,
    columns_of,
    labels_of,
    named,
    presentations_of,
    run_time,
    size_of,
)
from biosnn.errors import ParameterError, StorageError, needs_extra
from biosnn.files import replacement
from biosnn.validation import check_flag, check_instance, check_path
from biosnn.version import __version__

if TYPE_CHECKING:
    from hdmf.common import DynamicTable, VectorData, VectorIndex
    from pynwb import NWBFile, TimeSeries

_WHERE, _SUFFIX = "Recording.to_nwb", ".nwb"


def write(
    observed: Observed,
    path: str | os.PathLike[str],
    labels: Any,
    overwrite: bool,
    fields: dict[str, Any],
) -> Path:
    """See :meth:`biosnn.recording.Recording.to_nwb`."""
    with needs_extra(_WHERE, "results"):
        from pynwb import NWBHDF5IO
    check_path(_WHERE, "path", path)
    check_flag(_WHERE, "overwrite", overwrite)
    target = Path(path)
    if target.suffix != _SUFFIX:
        raise StorageError(f"{target} must end in {_SUFFIX}; choose such a name")
    if target.exists() and not overwrite:
        raise StorageError(f"{target} exists; choose another name, or allow it with overwrite=True")
    clock_of(_WHERE, observed)
    known = labels_of(_WHERE, observed, labels)
    file = _begun(observed, fields)
    _add_trials(file, observed, known)
    if observed.spikes:
        _add_units(file, observed)
    for name, trace in observed.traces.items():
        file.add_acquisition(_series(name, trace))
    tables = [_indices(name, trace) for name, trace in observed.traces.items()]
    tables += [_samples(observed, known)] if observed.per_sample else []
    tables += [_snapshots(observed, name) for name in observed.snapshots]
    module = file.create_processing_module(
        "simulation", "variables of the simulated network that are no time series"
    )
    for table in tables:
        module.add(table)
    with replacement(target, _SUFFIX) as part, NWBHDF5IO(str(part), "w") as io:
        io.write(file)
    return target


def _begun(observed: Observed, fields: dict[str, Any]) -> NWBFile:
    """A file that says what was simulated.

    Raises
    ------
    ParameterError
        If a field is none of NWB's, or nobody knows when the session began.
    """
    from pynwb import NWBFile

    about = observed.about
    started = fields.get("session_start_time")
    if started is None and "started" in about:
        started = datetime.datetime.fromisoformat(about["started"])
    check_instance(_WHERE, "session_start_time", started, datetime.datetime, optional=True)
    if started is None or started.tzinfo is None:
        wanted = "a datetime with a time zone for a recording that does not know when it was made"
        raise ParameterError(_WHERE, "session_start_time", started, wanted)
    network = about.get("network")
    named_so = f" of the network {network!r}" if network else ""
    given = {
        "session_description": f"Simulation{named_so}. Times are simulated time in s.",
        "identifier": str(uuid4()),
        "notes": json.dumps(about),
        "was_generated_by": [("biosnn", str(about.get("biosnn", __version__)))],
        **fields,
        "session_start_time": started,
    }
    try:
        return NWBFile(**given)
    except (TypeError, ValueError) as error:
        got = ", ".join(fields) or "nothing"
        wanted = f"arguments of pynwb.NWBFile, which says: {error}"
        raise ParameterError(_WHERE, "fields", got, wanted) from error


def _add_trials(file: NWBFile, observed: Observed, labels: NDArray[Any] | None) -> None:
    """One row for each presentation."""
    from pynwb.epoch import TimeIntervals

    shown = presentations_of(clock_of(_WHERE, observed))
    columns = [
        _column("start_time", "onset of the presentation, in s", shown.onset),
        _column(
            "stop_time", "end of the presentation with its rest, in s", shown.onset + shown.slot
        ),
        _column("sample", "row of the sample that was shown", shown.sample),
        _column("attempt", "how often it had been shown before, in a row", shown.attempt),
    ]
    if labels is not None:
        columns.append(_column("label", "label of the sample", labels[shown.sample]))
    file.trials = TimeIntervals(
        name="trials",
        description="presentations of samples",
        columns=columns,
        id=np.arange(len(shown.onset)),
    )


def _add_units(file: NWBFile, observed: Observed) -> None:
    """One row for each neuron, silent ones included."""
    from pynwb.misc import Units

    owners: list[str] = []
    neurons, times, ends = [], [], [np.zeros(0, np.int64)]
    values: dict[str, list[NDArray[Any]]] = {}
    keys = [f"{key}.{name}" for key, spikes in observed.spikes.items() for name in spikes.values]
    own = columns_of(keys, observed.units, ())
    units = {own[key]: observed.units.get(key, "") for key in keys}
    before = 0
    for key, spikes in observed.spikes.items():
        n, t = size_of(spikes), run_time(spikes)
        order = np.lexsort((t, spikes.i))
        owners += [key] * n
        neurons.append(np.arange(n))
        times.append(t[order])
        ends.append(before + np.cumsum(np.bincount(spikes.i, minlength=n)))
        before += len(t)
        present = {own[f"{key}.{name}"]: array for name, array in spikes.values.items()}
        for column in units:
            silent = np.full(len(t), np.nan)
            values.setdefault(column, []).append(present.get(column, silent)[order])
    index = np.concatenate(ends)
    columns: list[VectorData] = [
        *_ragged("spike_times", "in s since the beginning of the run", times, index),
        _column("population", "population of the neuron, or its monitor", np.array(owners)),
        _column("neuron", "index of the neuron in its population", np.concatenate(neurons)),
    ]
    for name, parts in values.items():
        told = f"{name} at each spike{_said(units[name])}"
        columns += _ragged(f"{name}_at_spikes", told, parts, index)
    clock = clock_of(_WHERE, observed)
    length = clock.presentations * clock.slot
    watched = np.tile([clock.begin, clock.begin + length], (len(owners), 1))
    told = "when each was simulated, in s"
    columns += _ragged("obs_intervals", told, [watched], np.arange(1, len(owners) + 1))
    file.units = Units(
        name="units",
        description="simulated neurons",
        columns=columns,
        id=np.arange(len(owners)),
        resolution=clock.dt,
    )


def _series(name: str, trace: Trace) -> TimeSeries:
    """A trace, [time, neuron]."""
    from pynwb import TimeSeries

    time = np.asarray(trace.time)
    period = np.diff(time)
    regular = len(time) > 1 and np.allclose(period, period[0], rtol=0, atol=1e-3 * abs(period[0]))
    when: dict[str, Any] = {"timestamps": time}
    if regular:
        when = {"starting_time": float(time[0]), "rate": float(1 / np.mean(period))}
    owner, variable = named(name)
    return TimeSeries(
        name=name,
        data=np.asarray(trace.values).T,
        unit=trace.unit or "1",
        description=f"{variable} of {owner}; the table {name}.indices says of which of its members",
        **when,
    )


def _indices(name: str, trace: Trace) -> DynamicTable:
    column = _column("index", "member of the population or projection", np.asarray(trace.indices))
    return _table(f"{name}.indices", f"what the columns of {name} are", [column])


def _samples(observed: Observed, labels: NDArray[Any] | None) -> DynamicTable:
    """One row for each sample."""
    columns = [_column("shown", "how often the sample was presented", np.asarray(observed.shown))]
    if labels is not None:
        columns.append(_column("label", "label of the sample", labels))
    for name, values in observed.per_sample.items():
        unit = _said(observed.units.get(name, ""))
        told = f"{name} of each neuron at the end of the sample's last presentation{unit}"
        columns.append(_column(name, told, np.asarray(values)))
    return _table("samples", "one row for each sample", columns)


def _snapshots(observed: Observed, name: str) -> DynamicTable:
    told = f"all values of {name}{_said(observed.units.get(name, ''))}"
    column = _column("values", told, np.asarray(observed.snapshots[name]))
    return _table(f"{name}.snapshots", f"{name} after every so many samples", [column])


def _table(name: str, description: str, columns: list[VectorData]) -> DynamicTable:
    from hdmf.common import DynamicTable

    n = np.arange(len(columns[0].data))
    return DynamicTable(name=name, description=description, columns=columns, id=n)


def _column(name: str, description: str, data: NDArray[Any]) -> VectorData:
    from hdmf.common import VectorData

    kept = data.tolist() if data.dtype.kind == "U" else data
    return VectorData(name=name, description=description, data=kept)


def _ragged(
    name: str, description: str, parts: list[NDArray[Any]], ends: NDArray[np.int64]
) -> tuple[VectorData, VectorIndex]:
    from hdmf.common import VectorIndex

    data = _column(name, description, np.concatenate(parts))
    return data, VectorIndex(name=f"{name}_index", data=ends, target=data)


def _said(unit: str) -> str:
    return f", in {unit}" if unit else ""
