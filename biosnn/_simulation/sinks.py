"""Where recordings go while a run lasts: into memory, or into files that grow."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from biosnn.devices.contract import Column, Interface
from biosnn.errors import ParameterError, StorageError
from biosnn.recording import Recording, Spikes, Trace

_SPIKES = (("i", np.int32), ("t", np.float64), ("sample", np.int64))
_READ_BYTES = 8 * 2**20


class Sink(Protocol):
    """Takes the recordings of consecutive chunks."""

    def append(self, part: Recording) -> None:
        """Take the next one."""
        ...

    def finish(self) -> Recording:
        """All of them as one."""
        ...


def columns(interface: Interface, part: Recording | None, n: int, presentations: int) -> dict:
    """File name -> rows of a chunk's recording that belong into it.

    Parameters
    ----------
    interface : Interface
        Of the network.
    part : Recording, optional
        Of a chunk; without it the rows are empty and tell dtype and width.
    n, presentations : int
        Samples and presentations before this chunk.
    """
    found: dict[str, np.ndarray] = {}

    def add(name: str, dtype: Any, width: int, rows: np.ndarray | None) -> None:
        shape = (-1, width) if width else (-1,)
        empty = np.zeros((0, width) if width else (0,), dtype)
        found[name] = empty if rows is None else np.asarray(rows, dtype).reshape(shape)

    add("shown", np.int32, 0, None if part is None else part.shown)
    for name, column in interface.per_sample.items():
        add(name, column.dtype, column.size, None if part is None else part.per_sample[name])
    for name, column in interface.snapshots.items():
        add(
            f"snapshots.{name}",
            column.dtype,
            column.size,
            None if part is None else part.snapshots[name],
        )
    for key in interface.spikes:
        for name, dtype in _SPIKES:
            rows = None if part is None else getattr(part.spikes[key], name)
            add(
                f"spikes.{key}.{name}",
                dtype,
                0,
                rows if rows is None or name != "sample" else rows.astype(np.int64) + n,
            )
    before = presentations * interface.steps_per_presentation * interface.dt
    for name, column in interface.traces.items():
        add(
            f"trace.{name}.t", np.float64, 0, None if part is None else part.traces[name].t + before
        )
        add(
            f"trace.{name}.values",
            column.dtype,
            column.size,
            None if part is None else part.traces[name].values.T,
        )
    return found


def assembled(interface: Interface, found: dict[str, np.ndarray], seconds: float) -> Recording:
    """A recording from the rows of all its files."""

    def traced(name: str, column: Column) -> Trace:
        values = found[f"trace.{name}.values"].T
        return Trace(found[f"trace.{name}.t"], values, np.asarray(column.indices), column.unit)

    return Recording(
        per_sample={name: found[name] for name in interface.per_sample},
        shown=found["shown"],
        spikes={
            key: Spikes(*(found[f"spikes.{key}.{name}"] for name, _ in _SPIKES))
            for key in interface.spikes
        },
        traces={name: traced(name, column) for name, column in interface.traces.items()},
        snapshots={name: found[f"snapshots.{name}"] for name in interface.snapshots},
        seconds=seconds,
    )


class MemorySink:
    """Keeps recordings in memory, and refuses more than its limit.

    Parameters
    ----------
    interface : Interface
        Of the network.
    total : int, optional
        Number of samples, if it is known: then they are given their place at once.
    limit : int
        Bytes.

    Raises
    ------
    ParameterError
        If what is known before the run is more than the limit.
    """

    def __init__(self, interface: Interface, total: int | None, limit: int):
        self._interface, self._limit = interface, limit
        self._n = self._presentations = self._spare = 0
        self.seconds = 0.0
        self._parts: dict[str, list[np.ndarray]] = {}
        self._whole: dict[str, np.ndarray] = {}
        self._held = 0
        if total is not None:
            self._held = interface.bounded_bytes(0, total)
            self._refuse(self._held + interface.traced_bytes(total), "needs at least")
            for name in ("shown", *interface.per_sample):
                row = columns(interface, None, 0, 0)[name]
                self._whole[name] = np.zeros((total, *row.shape[1:]), row.dtype)

    @property
    def room(self) -> int:
        """Bytes of spikes and traces that there is room for."""
        return max(self._limit - self._held, 0)

    def _refuse(self, needed: int, what: str) -> None:
        if needed > self._limit:
            raise too_much(f"a recording that {what} {needed / 2**20:.0f} MiB", self._limit)

    def append(self, part: Recording) -> None:
        """Take the recording of the next chunk."""
        for name, rows in columns(self._interface, part, self._n, self._presentations).items():
            if name in self._whole:
                self._whole[name][self._n : self._n + len(rows)] = rows
            else:
                self._parts.setdefault(name, []).append(rows)
                counted = self._whole and name.startswith("snapshots.")
                self._held += 0 if counted else rows.nbytes
        self._refuse(self._held, "has grown to")
        self._n += len(part.shown)
        self._presentations += int(part.shown.sum())
        self.seconds += part.seconds

    def finish(self) -> Recording:
        """All that was taken, as one recording."""
        found = columns(self._interface, None, 0, 0)
        found |= {name: rows[: self._n] for name, rows in self._whole.items()}
        while self._parts:
            name, parts = self._parts.popitem()
            found[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return assembled(self._interface, found, self.seconds)


def too_much(got: str, limit: int) -> ParameterError:
    """The error of a recording that does not fit."""
    return ParameterError(
        "run",
        "memory_limit",
        got,
        f"enough for what is recorded (it is {limit / 2**20:.0f} MiB)",
        "Record fewer variables, neurons or samples, keep the recording on disk with folder=..., "
        "or raise memory_limit",
    )


class FileSink:
    """Appends recordings to files, one per column, which come back memory-mapped.

    Parameters
    ----------
    interface : Interface
        Of the network.
    folder : Path
        Where they are.
    limit : int
        Bytes of spikes and traces that a chunk may have in memory.
    """

    def __init__(self, interface: Interface, folder: Path, limit: int):
        self._interface, self._folder, self.room = interface, folder, limit
        self._n = self._presentations = 0
        self.seconds = 0.0
        self._marks: dict[str, tuple[int, int]] = dict.fromkeys(
            columns(interface, None, 0, 0), (0, 0)
        )
        folder.mkdir(parents=True, exist_ok=True)

    def marks(self) -> dict[str, Any]:
        """Put everything on the disk; what :meth:`restore` needs to find it again."""
        for name in self._marks:
            with (self._folder / name).open("ab") as file:
                os.fsync(file.fileno())
        return {
            "n": self._n,
            "presentations": self._presentations,
            "seconds": self.seconds,
            "files": {name: list(mark) for name, mark in self._marks.items()},
        }

    def restore(self, marks: dict[str, Any] | None) -> None:
        """Go on from a mark, or from the beginning: check the files, then cut off what came later.

        Raises
        ------
        StorageError
            If a file is shorter than it was, or holds something else.
        """
        if marks is None:
            for path in self.files():
                os.truncate(path, 0)
            return
        for name, (size, crc) in marks["files"].items():
            path = self._folder / name
            found = path.stat().st_size if path.exists() else 0
            if found < size or _crc(path, size) != crc:
                raise StorageError(
                    f"{path} is damaged: it does not hold the {size} bytes that the checkpoint "
                    "knows; copy the folder anew, or begin again in another one"
                )
        for name, (size, _) in marks["files"].items():
            if (self._folder / name).exists():
                os.truncate(self._folder / name, size)
        self._n, self._presentations = marks["n"], marks["presentations"]
        self.seconds = marks["seconds"]
        self._marks = {name: (size, crc) for name, (size, crc) in marks["files"].items()}

    def files(self) -> list[Path]:
        """The files that are there already."""
        return [self._folder / name for name in self._marks if (self._folder / name).exists()]

    def append(self, part: Recording) -> None:
        """Write the recording of the next chunk behind the others."""
        for name, rows in columns(self._interface, part, self._n, self._presentations).items():
            data = np.ascontiguousarray(rows).data.cast("B") if rows.size else b""
            try:
                with (self._folder / name).open("ab") as file:
                    file.write(data)
            except OSError as error:
                raise StorageError(
                    f"{self._folder / name} cannot be written: {error.strerror or error}; free "
                    "some space, then resume the run"
                ) from error
            size, crc = self._marks[name]
            self._marks[name] = (size + len(data), zlib.crc32(data, crc))
        self._n += len(part.shown)
        self._presentations += int(part.shown.sum())
        self.seconds += part.seconds

    def finish(self) -> Recording:
        """All that was written; the arrays are memory-mapped."""
        found = columns(self._interface, None, 0, 0)
        for name, (size, _) in self._marks.items():
            if size:
                empty = found[name]
                mapped = np.memmap(self._folder / name, dtype=empty.dtype, mode="r")
                count = size // empty.dtype.itemsize
                found[name] = mapped[:count].reshape(-1, *empty.shape[1:])
        return assembled(self._interface, found, self.seconds)


def _crc(path: Path, size: int) -> int:
    value = 0
    for block in _blocks(path, size):
        value = zlib.crc32(block, value)
    return value


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    if size == 0:
        return
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, _READ_BYTES))):
            size -= len(block)
            yield block
