"""What readers of event files share: their bytes, addresses of pixels, and bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biosnn.errors import DataError

#: Most events that are read into one split: 16 bytes each.
MOST_EVENTS = 2**28
#: Largest file of one sample.
MOST_BYTES = 2**30


def content_of(file: Path) -> bytes:
    """The bytes of a file of one sample."""
    try:
        if not file.is_file():
            raise FileNotFoundError(0, "no such file")
        if (size := file.stat().st_size) > MOST_BYTES:
            raise DataError(f"{file} has {size} bytes, and at most {MOST_BYTES} are read")
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check the path") from error


def units_of(
    where: str, x: NDArray, y: NDArray, polarity: NDArray, shape: tuple[int, int, int]
) -> NDArray[np.int64]:
    """Addresses of events from columns, rows and polarities."""
    n_polarities, height, width = shape
    for name, values, bound in (("x", x, width), ("y", y, height), ("p", polarity, n_polarities)):
        bad = (values < 0) | (values >= bound)
        if bad.any():
            raise DataError(
                f"{where}: {name} of events must be in [0, {bound}), got {values[bad][0]} at event "
                f"{bad.argmax()}; check the size of the sensor (height, width), or unpack the file "
                "again"
            )
    place = y.astype(np.int64) * width + x.astype(np.int64)
    return place + polarity.astype(np.int64) * (height * width)


def check_number(where: str, n_events: int) -> None:
    """Check that so many events may be read into one split."""
    if n_events > MOST_EVENTS:
        raise DataError(
            f"{where} has {n_events} events or more, and at most {MOST_EVENTS} are read in one go; "
            "read fewer samples (per_class, n)"
        )
