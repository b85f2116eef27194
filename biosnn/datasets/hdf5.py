"""Read the HDF5 files of SHD and SSC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biosnn.datasets.addresses import check_number
from biosnn.datasets.events import EventSplit, joined
from biosnn.errors import DataError

_MOST_SAMPLES = 2**24


def read_hdf5(
    file: Path, n_channels: int, per_class: int | None = None
) -> tuple[EventSplit, tuple[str, ...] | None]:
    """Read the samples of an HDF5 file as SHD and SSC have them, and the names of its classes.

    ``spikes/times`` (seconds) and ``spikes/units`` have an array for each sample, ``labels`` a
    number; ``extra/keys`` the names of the classes. Links that lead out of the file are refused.
    With `per_class`, the first samples of each label are read, and no others.

    Raises
    ------
    DataError
        If h5py is not installed, or the file is missing, damaged or of another layout.

    References
    ----------
    Cramer, Stradmann, Schemmel and Zenke (2022), doi:10.1109/TNNLS.2020.3044364.
    """
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f'Reading {file} needs h5py ({error}); run: pip install "biosnn[events]"'
        ) from error
    if not file.is_file():
        raise DataError(f"{file} does not exist; unpack the .h5.zip, and check the path")
    try:
        with h5py.File(file, "r") as content:
            labels = _inside(file, content, "labels")
            times, units = (_inside(file, content, f"spikes/{name}") for name in ("times", "units"))
            _check_layout(file, h5py, labels, times, units)
            for array in (times, units):
                _check_lengths(file, h5py, array)
            keys = _inside(file, content, "extra/keys", optional=True)
            if keys is not None:
                if keys.ndim != 1 or len(keys) > 2**16:
                    raise DataError(f"{file}: extra/keys must be a list of names, got {keys.shape}")
                keys = [k.decode("utf-8", "replace") if isinstance(k, bytes) else str(k)
                        for k in keys[()].tolist()]  # fmt: skip
            given = labels[()]
            rows = np.arange(len(given))
            if per_class is not None:
                first = [np.flatnonzero(given == label)[:per_class] for label in np.unique(given)]
                rows = np.sort(np.concatenate(first))
            parts, n_events = [], 0
            for row in rows.tolist():
                parts.append(_checked_sample(file, row, times[row], units[row], n_channels))
                n_events += len(parts[-1][0])
                check_number(str(file), n_events)
            split = joined(parts, given[rows], (n_channels,))
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        said = (str(error).splitlines() or [""])[0][:200]
        raise DataError(
            f"{file} cannot be read as HDF5 ({said}); unpack the archive again"
        ) from error
    return split, None if keys is None else tuple(keys)


def _inside(file: Path, content: Any, name: str, optional: bool = False) -> Any:
    """A dataset that the file itself holds; None where an optional one is missing."""
    import h5py

    at = content
    for part in name.split("/"):
        link = at.get(part, getlink=True) if isinstance(at, h5py.Group) else None
        if link is None and optional:
            return None
        if link is None:
            raise DataError(
                f"{file} has no {name}; a file of SHD or SSC holds spikes/times, spikes/units and "
                "labels"
            )
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{file}: {name} is a link to elsewhere, which is not followed")
        at = at[part]
    if not isinstance(at, h5py.Dataset) or at.is_virtual or at.external:
        raise DataError(f"{file}: {name} must be an array inside of the file")
    return at


def _check_layout(file: Path, h5py: Any, labels: Any, times: Any, units: Any) -> None:
    for name, array, kinds in (("times", times, "f"), ("units", units, "iu")):
        inner = h5py.check_vlen_dtype(array.dtype)
        if array.ndim != 1 or inner is None or np.dtype(inner).kind not in kinds:
            raise DataError(
                f"{file}: spikes/{name} must have one array of "
                f"{'numbers' if kinds == 'f' else 'whole numbers'} for each sample, got "
                f"{array.dtype} of shape {array.shape}"
            )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{file}: labels must be whole numbers [n], got {labels.dtype} {labels.shape}"
        )
    lengths = [len(labels), len(times), len(units)]
    if len(set(lengths)) > 1 or not 0 < lengths[0] <= _MOST_SAMPLES:
        raise DataError(
            f"{file}: labels, spikes/times and spikes/units must have one length from 1 to "
            f"{_MOST_SAMPLES}, got {lengths}"
        )


def _check_lengths(file: Path, h5py: Any, array: Any) -> None:
    """Check that the file can hold what the lengths of its arrays promise.

    HDF5 takes memory for a promised length before it looks whether so much is there. On disk each
    array is a reference that begins with its length, 4 bytes. References that are compressed are
    not looked at.
    """
    held = file.stat().st_size
    item = np.dtype(h5py.check_vlen_dtype(array.dtype)).itemsize
    raw = []
    if array.chunks is None:
        start, size = array.id.get_offset(), array.id.get_storage_size()
        if start is not None and size <= held:
            with file.open("rb") as stream:
                stream.seek(start)
                raw.append((stream.read(size), len(array)))
    elif not array.id.get_create_plist().get_nfilters():
        for number in range(array.id.get_num_chunks()):
            chunk = array.id.get_chunk_info(number)
            if chunk.size <= held:
                content = array.id.read_direct_chunk(chunk.chunk_offset)[1]
                raw.append((content, array.chunks[0]))
    promised = 0
    for content, n in raw:
        if len(content) % n == 0 and len(content) >= 4 * n:
            rows = np.frombuffer(content, np.uint8).reshape(n, -1)[:, :4]
            promised += int(np.ascontiguousarray(rows).view("<u4").sum(dtype=np.int64))
    if promised * item > held:
        raise DataError(
            f"{file}: {array.name} promises {promised} numbers, more than the file's {held} bytes "
            "can hold; unpack the archive again"
        )


def _checked_sample(
    file: Path, number: int, time: NDArray, unit: NDArray, n_channels: int
) -> tuple[NDArray, NDArray]:
    if len(time) != len(unit):
        raise DataError(
            f"{file}: sample {number} has {len(time)} times and {len(unit)} units; unpack the "
            "archive again"
        )
    bad = ~(np.isfinite(time) & (time >= 0))
    if bad.any():
        raise DataError(
            f"{file}: times must be finite and >= 0 s, got {time[bad][0]} in sample {number}"
        )
    if len(unit) and not 0 <= unit.min() <= unit.max() < n_channels:
        raise DataError(
            f"{file}: units must be in [0, {n_channels}), got {unit.min()} to {unit.max()} in "
            f"sample {number}"
        )
    return unit.astype(np.int32), time.astype(np.float64)
