"""Read AEDAT 2.0 and 3.x, recordings of event cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biosnn.datasets.addresses import content_of, units_of
from biosnn.errors import DataError

#: Camera -> height and width.
CAMERAS = {"dvs128": (128, 128), "davis240": (180, 240), "davis346": (260, 346)}
_PACKET = np.dtype(
    [("type", "<i2"), ("source", "<i2")]
    + [(k, "<i4") for k in ("size", "offset", "overflow", "capacity", "number", "valid")]
)
_POLARITY_EVENT = 1


def read_aedat(file: Path, camera: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read the events of a recording, AEDAT 2.0 or 3.x: units and times since the first event.

    Row 0 is the upper one. Events that are none of pixels (frames, inertial sensors, triggers) and
    those marked as invalid are left out.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another version, or of another camera.

    References
    ----------
    iniVation AG, AEDAT 2.0 and AEDAT 3.1, docs.inivation.com; DAVIS as tonic.io.read_davis_346.
    """
    content = content_of(file)
    version, start = _aedat_header(file, content)
    height, width = CAMERAS[camera]
    if version.startswith("2"):
        x, y, polarity, time = _aedat2(file, content[start:], camera)
    elif version.startswith("3"):
        x, y, polarity, time = _aedat3(file, content, start, version)
        y = y if version != "3.0" else height - 1 - y
    else:
        raise DataError(
            f"{file} is AEDAT {version}, and 2.0 and 3.x are read; of 4.0, give "
            "from_tonic what tonic.io.read_aedat4 reads"
        )
    if len(time) and (back := np.diff(time) < 0).any():
        raise DataError(
            f"{file}: times go back at event {back.argmax() + 1}; cut the recording there"
        )
    unit = units_of(str(file), x, y, polarity, (2, height, width))
    return unit, (time - time[:1]) / 1e6


def _aedat_header(file: Path, content: bytes) -> tuple[str, int]:
    """Version, and where the data begin: after the lines that begin with a #."""
    first = content[:40].split(b"\r\n")[0]
    if not first.startswith(b"#!AER-DAT"):
        raise DataError(f"{file} must begin with the line #!AER-DAT and a version, got {first!r}")
    version, start = first.removeprefix(b"#!AER-DAT").decode("ascii", "replace"), 0
    while content[start : start + 1] == b"#":
        end = content.find(b"\n", start)
        if end < 0:
            raise DataError(f"{file} ends within its header; copy it again")
        line, start = content[start:end], end + 1
        if line.startswith(b"#!END-HEADER"):
            break
    return version, start


def _aedat2(file: Path, data: bytes, camera: str) -> tuple[NDArray[np.int64], ...]:
    if len(data) % 8:
        raise DataError(f"{file} must have 8 bytes for each event, got {len(data)}; copy it again")
    address, time = np.frombuffer(data, ">i4").reshape(-1, 2).T.astype(np.int64)
    height, width = CAMERAS[camera]
    if camera == "dvs128":
        pixel = address & 0x8000 == 0  # and not a trigger
        x, y, polarity = address >> 1 & 0x7F, address >> 8 & 0x7F, address & 1
    else:
        pixel = address & 0x80000400 == 0  # and neither a frame nor an inertial sensor
        x, y = width - 1 - (address >> 12 & 0x3FF), address >> 22 & 0x1FF
        polarity = address >> 11 & 1
    return x[pixel], height - 1 - y[pixel], polarity[pixel], time[pixel]


def _aedat3(file: Path, content: bytes, start: int, version: str) -> tuple[NDArray[np.int64], ...]:
    found = [np.zeros((3, 0), np.int64)]
    while start < len(content):
        body = start + _PACKET.itemsize
        header = np.frombuffer(content[start:body].ljust(_PACKET.itemsize, b"\0"), _PACKET)[0]
        size, number = int(header["size"]), int(header["number"])
        end = body + size * int(header["capacity"])
        if size < 1 or not 0 <= number <= header["capacity"] or end > len(content):
            raise DataError(f"{file} ends within a packet, or one is damaged; copy it again")
        if header["type"] == _POLARITY_EVENT:
            if size != 8:
                raise DataError(f"{file} must have events of 8 bytes, got {size}; copy it again")
            events = np.frombuffer(content, "<u4", 2 * number, body).reshape(-1, 2)
            address, time = events[events[:, 0] & 1 == 1].T.astype(np.int64)
            found.append(np.array([address, time + (int(header["overflow"]) << 31), address]))
        start = end
    address, time, _ = np.concatenate(found, axis=1)
    return address >> 17, address >> 2 & 0x7FFF, address >> 1 & 1, time
