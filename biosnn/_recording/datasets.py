"""A recording as a Dataset of xarray: arrays with named dimensions, coordinates and units."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from biosnn._recording.observed import Observed
from biosnn._recording.parts import clock_of, labels_of, named, run_time
from biosnn.errors import needs_extra

if TYPE_CHECKING:
    import xarray as xr

_WHERE = "Recording.to_xarray"
_S = {"units": "s"}


def _dimension(role: str, name: str, taken: Collection[str]) -> str:
    """The dimension of ``"owner.variable"``, such as ``index_owner_variable``."""
    found = role + name.replace(".", "_")
    while found in taken:  # as "a.b_c" and "a_b.c" would have one
        found += "_"
    return found


def dataset(observed: Observed, labels: Any) -> xr.Dataset:
    """See :meth:`biosnn.recording.Recording.to_xarray`."""
    with needs_extra(_WHERE, "results"):
        import xarray as xr
    clock = clock_of(_WHERE, observed)
    known = labels_of(_WHERE, observed, labels)
    coordinates: dict[str, Any] = {"sample": np.arange(len(observed.shown))}
    if known is not None:
        coordinates["label"] = ("sample", known)
    found: dict[str, Any] = {"shown": ("sample", np.asarray(observed.shown))}
    for name, values in observed.per_sample.items():
        owner, _ = named(name)
        neuron = f"neuron_{owner}"
        coordinates[neuron] = np.arange(values.shape[1])
        found[name] = (("sample", neuron), values, {"units": observed.units.get(name, "")})
    for key, spikes in observed.spikes.items():
        row = f"spike_{key}"
        parts = {"neuron": spikes.i, "sample": spikes.sample, "attempt": spikes.attempt}
        found |= {f"{key}.spike_{name}": (row, np.asarray(part)) for name, part in parts.items()}
        found[f"{key}.spike_t"] = (row, np.asarray(spikes.t), _S)
        found[f"{key}.spike_time"] = (row, run_time(spikes), _S)
        for name, values in spikes.values.items():
            unit = observed.units.get(f"{key}.{name}", "")
            found[f"{key}.spike_{name}"] = (row, np.asarray(values), {"units": unit})
    axes: list[np.ndarray] = []
    for name, trace in observed.traces.items():
        number = next((k for k, time in enumerate(axes) if np.array_equal(time, trace.time)), None)
        if number is None:
            number = len(axes)
            axes.append(trace.time)
        ending = f"_{number}" if number else ""
        time, index = f"time{ending}", _dimension("index_", name, coordinates)
        if time not in coordinates:
            coordinates[time] = (time, np.asarray(trace.time), _S)
            coordinates[f"sample_at_{time}"] = (time, trace.sample)
            coordinates[f"attempt_at_{time}"] = (time, trace.attempt)
            coordinates[f"t_at_{time}"] = (time, trace.t, _S)
        coordinates[index] = np.asarray(trace.indices)
        called = f"{name}.trace" if name in found else name  # of each sample it is there, too
        found[called] = ((index, time), trace.values, {"units": trace.unit})
    used = set(coordinates)
    for name, values in observed.snapshots.items():
        dims = tuple(_dimension(role, name, used) for role in ("snapshot_", "index_of_"))
        used |= set(dims)
        held = {"units": observed.units.get(name, "")}
        found[f"{name}.snapshots"] = (dims, values, held)
    about = {"dt_s": clock.dt, "presentation_s": clock.slot, **observed.about}
    return xr.Dataset(found, coordinates, about)
