"""Read one file of address events: N-MNIST's ``.bin``, and by its ending any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biosnn.datasets.addresses import content_of, units_of
from biosnn.datasets.aedat import CAMERAS, read_aedat
from biosnn.datasets.events import EventSplit, joined
from biosnn.datasets.hdf5 import read_hdf5
from biosnn.datasets.numpy_files import read_npz
from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_choice, check_path, check_shape

_OVERFLOW, _OVERFLOW_STEP = 240, 2**13  # as an event's y; microseconds that it stands for
_MOST_SAMPLES = 2**24


def read_bin(file: Path, sensor: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read the events of one sample of N-MNIST or N-Caltech101: units and times in seconds.

    Each event has five bytes: x, y, and in the last three the polarity as the highest bit and 23
    bits of microseconds. An event with y = 240 is none: it adds 8192 microseconds to all times
    from there on.

    Raises
    ------
    DataError
        If the file is missing, ends within an event, or has an address outside of the sensor.
    ParameterError
        If the sensor has more than 240 rows.

    References
    ----------
    Orchard, Jayawant, Cohen and Thakor (2015), doi:10.3389/fnins.2015.00437; overflows: the
    authors' eventvision.py, as tonic.io.read_mnist_file has them.
    """
    if sensor[0] > _OVERFLOW:
        wanted = f"at most {_OVERFLOW} rows: y = {_OVERFLOW} in a .bin is no row"
        raise ParameterError("read_events", "sensor", sensor, wanted)
    content = content_of(file)
    if len(content) % 5:
        raise DataError(
            f"{file} has {len(content)} bytes, which are no whole number of events of 5 bytes; "
            "unpack the archive again"
        )
    x, y, *last = np.frombuffer(content, np.uint8).reshape(-1, 5).T.astype(np.int64)
    polarity = last[0] >> 7
    time = ((last[0] & 127) << 16) + (last[1] << 8) + last[2]
    overflow = y == _OVERFLOW
    time += _OVERFLOW_STEP * np.cumsum(overflow)
    kept = ~overflow
    unit = units_of(str(file), x[kept], y[kept], polarity[kept], (2, *sensor))
    return unit, time[kept] / 1e6


def read_events(
    path: str | Path, *, sensor: Sequence[int] | None = None, camera: str | None = None
) -> EventSplit:
    """Read one file of address events, with labels where it has some.

    Parameters
    ----------
    path : path
        ``.bin``: a sample of N-MNIST or N-Caltech101; ``.aedat``: a recording, AEDAT 2.0 or 3.x;
        ``.h5`` or ``.hdf5``: samples as SHD and SSC have them; ``.npz``: arrays ``sample``,
        ``unit``, ``time``, ``shape`` and perhaps ``labels`` of an `EventSplit`.
    sensor : (height, width) or (channels,), optional
        Of ``.bin``, by default N-MNIST's (34, 34), and of HDF5, by default SHD's (700,).
    camera : {"dvs128", "davis240", "davis346"}, optional
        Of ``.aedat``, which does not say it.

    Returns
    -------
    EventSplit
        With the label -1 where the file has none.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another format.
    ParameterError
        If `sensor` or `camera` is missing, or would have no effect.
    """
    where = "read_events"
    check_path(where, "path", path)
    file = Path(path).expanduser()
    kind = file.suffix.lower()
    check_choice(where, "path's ending", kind, (".bin", ".aedat", ".h5", ".hdf5", ".npz"))
    if camera is not None and kind != ".aedat":
        raise ParameterError(where, "camera", repr(camera), f"left out for {kind}")
    if sensor is not None and kind in (".aedat", ".npz"):
        raise ParameterError(where, "sensor", sensor, f"left out for {kind}")
    if kind == ".aedat":
        check_choice(where, "camera", camera, tuple(CAMERAS))
        assert camera is not None
        return joined([read_aedat(file, camera)], [-1], (2, *CAMERAS[camera]))
    if kind == ".bin":
        size = check_shape(
            where, "sensor", (34, 34) if sensor is None else sensor, "(height, width)"
        )
        return joined([read_bin(file, (size[0], size[1]))], [-1], (2, *size))
    if kind == ".npz":
        return _events_of_npz(file)
    (n,) = check_shape(where, "sensor", (700,) if sensor is None else sensor, "(channels,)", (1,))
    return read_hdf5(file, n)[0]


def _events_of_npz(file: Path) -> EventSplit:
    arrays = read_npz(file)
    if missing := [k for k in ("sample", "unit", "time", "shape") if k not in arrays]:
        raise DataError(
            f"{file} lacks {', '.join(missing)} among its arrays ({', '.join(arrays) or 'none'}); "
            "load_arrays reads files that hold the parts of a dataset"
        )
    sample = arrays["sample"]
    n = int(sample.max(initial=0)) + 1 if sample.dtype.kind in "iu" else 1
    if "labels" not in arrays and n > _MOST_SAMPLES:
        raise DataError(f"{file}: sample must be below {_MOST_SAMPLES}, got {n - 1}")
    labels = arrays.get("labels", np.full(min(n, _MOST_SAMPLES), -1))
    shape = np.atleast_1d(arrays["shape"]).tolist()
    try:
        return EventSplit(sample, arrays["unit"], arrays["time"], labels, shape)
    except (DataError, ParameterError) as error:
        raise DataError(f"{file}: {error}") from error
