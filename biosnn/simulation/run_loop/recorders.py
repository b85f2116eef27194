"""Collect the recordings of chunks, in memory or in files that grow."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from biosnn.errors import ParameterError, StorageError
from biosnn.files import inside, short, sync_folder
from biosnn.program.interface import Column, Interface
from biosnn.recording import Recording, RunClock, Spikes, Trace

_SPIKES = (("i", np.int32), ("t", np.float64), ("sample", np.int64), ("attempt", np.int32))
_READ_BYTES = 8 * 2**20


def layout(interface: Interface) -> dict[str, np.ndarray]:
    """File name -> its rows before anything was recorded: they tell dtype and width."""
    found: dict[str, np.ndarray] = {"shown": np.zeros(0, np.int32)}
    for name, column in interface.per_sample.items():
        found[name] = np.zeros((0, column.size), column.dtype)
    for name, column in interface.snapshots.items():
        found[f"snapshots.{name}"] = np.zeros((0, column.size), column.dtype)
    for key in interface.spikes:
        for name, dtype in _SPIKES:
            found[f"spikes.{key}.{name}"] = np.zeros(0, dtype)
    for name, column in interface.traces.items():
        found[f"trace.{name}.t"] = np.zeros(0)
        found[f"trace.{name}.values"] = np.zeros((0, column.size), column.dtype)
    return found


def rows_of(
    interface: Interface, part: Recording, n: int, presentations: int
) -> dict[str, np.ndarray]:
    """File name -> the rows of a chunk's recording that belong into it.

    Parameters
    ----------
    interface : Interface
        Of the network.
    part : Recording
        Of the chunk.
    n, presentations : int
        Samples and presentations before it.
    """
    found = {"shown": part.shown, **part.per_sample}
    found |= {f"snapshots.{name}": rows for name, rows in part.snapshots.items()}
    for key, spikes in part.spikes.items():
        found[f"spikes.{key}.i"] = spikes.i.astype(np.int32)
        found[f"spikes.{key}.t"] = spikes.t
        found[f"spikes.{key}.sample"] = spikes.sample.astype(np.int64) + n
        found[f"spikes.{key}.attempt"] = spikes.attempt.astype(np.int32)
    before = presentations * interface.steps_per_presentation
    for name, trace in part.traces.items():
        # Counted in whole steps: the last digits do not tell where runs were cut.
        found[f"trace.{name}.t"] = (np.rint(trace.time / interface.dt) + before) * interface.dt
        found[f"trace.{name}.values"] = trace.values.T
    return found


def assembled(interface: Interface, found: dict[str, np.ndarray], seconds: float) -> Recording:
    """A recording from the rows of all its files."""
    clock = RunClock(dt=interface.dt, steps=interface.steps_per_presentation, shown=found["shown"])

    def traced(name: str, column: Column) -> Trace:
        time, values = found[f"trace.{name}.t"], found[f"trace.{name}.values"].T
        return Trace(time, values, np.asarray(column.indices), column.unit, clock)

    return Recording(
        per_sample={name: found[name] for name in interface.per_sample},
        shown=found["shown"],
        spikes={
            key: Spikes(*(found[f"spikes.{key}.{name}"] for name, _ in _SPIKES), clock=clock, n=n)
            for key, n in interface.spikes.items()
        },
        traces={name: traced(name, column) for name, column in interface.traces.items()},
        snapshots={name: found[f"snapshots.{name}"] for name in interface.snapshots},
        seconds=seconds,
        clock=clock,
        units={
            name: column.unit
            for name, column in (interface.per_sample | interface.snapshots).items()
        },
    )


class Room(Protocol):
    """How much the next chunk may record."""

    #: Whether a chunk that records too much for the memory may be shown in parts.
    on_disk: bool

    @property
    def room(self) -> int:
        """Bytes of spikes and traces that the next chunk may record."""
        ...


class Recorder(Room, Protocol):
    """Takes the recordings of chunks."""

    def append(self, part: Any) -> None:
        """Take the recording of the next chunk."""
        ...

    def finish(self) -> Any:
        """All that was taken."""
        ...


class MemoryRecorder:
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

    on_disk = False

    def __init__(self, interface: Interface, total: int | None, limit: int):
        self._interface, self._limit = interface, limit
        self._n = self._presentations = 0
        self.seconds = 0.0
        self._parts: dict[str, list[np.ndarray]] = {}
        self._whole: dict[str, np.ndarray] = {}
        self._held = 0
        if total is not None:
            self._held = interface.bounded_bytes(0, total)
            self._refuse(self._held + interface.traced_bytes(total), "needs at least")
            empty = layout(interface)
            for name in ("shown", *interface.per_sample):
                row = empty[name]
                self._whole[name] = np.zeros((total, *row.shape[1:]), row.dtype)

    @property
    def room(self) -> int:
        """Bytes of spikes and traces that there is room for."""
        return max(self._limit - self._held, 0)

    def _refuse(self, needed: int, what: str) -> None:
        if needed > self._limit:
            raise too_much(f"a recording that {what} {size(needed)}", self._limit)

    def append(self, part: Recording) -> None:
        """Take the recording of the next chunk."""
        for name, rows in rows_of(self._interface, part, self._n, self._presentations).items():
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
        found = layout(self._interface)
        found |= {name: rows[: self._n] for name, rows in self._whole.items()}
        while self._parts:
            name, parts = self._parts.popitem()
            found[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return assembled(self._interface, found, self.seconds)


class MemberRecorders:
    """Keeps the recordings of an ensemble's members in memory, within a limit for all.

    Parameters
    ----------
    interface, total, limit
        As for :class:`MemoryRecorder`.
    members : int
        How many there are.
    """

    on_disk = False

    def __init__(self, interface: Interface, total: int | None, limit: int, members: int):
        self._each = [MemoryRecorder(interface, total, limit // members) for _ in range(members)]

    @property
    def room(self) -> int:
        """Bytes of spikes that there is room for."""
        return sum(recorder.room for recorder in self._each)

    def append(self, part: list[Recording]) -> None:
        """Take the members' recordings of the next chunk."""
        for recorder, recording in zip(self._each, part, strict=True):
            recorder.append(recording)

    def finish(self) -> list[Recording]:
        """All that was taken, a recording for each member."""
        return [recorder.finish() for recorder in self._each]


def size(n: int) -> str:
    """A number of bytes for people."""
    return f"{n} bytes" if n < 2**20 else f"{n / 2**20:.0f} MiB"


def too_much(got: str, limit: int) -> ParameterError:
    """The error of a recording that does not fit."""
    return ParameterError(
        "run",
        "memory_limit",
        got,
        f"enough for what is recorded (it is {size(limit)})",
        "Record fewer variables, neurons or samples, keep the recording on disk with folder=..., "
        "or raise memory_limit",
    )


class FileRecorder:
    """Appends recordings to files, one per column, which come back memory-mapped.

    Parameters
    ----------
    interface : Interface
        Of the network.
    folder : Path
        Where they are.
    limit : int
        Bytes of spikes and traces that a chunk may have in memory.

    Raises
    ------
    StorageError
        If the folder or one of the files is a symbolic link.
    """

    on_disk = True

    def __init__(self, interface: Interface, folder: Path, limit: int):
        self._interface, self._folder, self.room = interface, folder, limit
        self._n = self._presentations = 0
        self.seconds = 0.0
        self._layout = layout(interface)
        self._marks: dict[str, tuple[int, int]] = dict.fromkeys(self._layout, (0, 0))
        inside(folder.parent, folder.name).mkdir(parents=True, exist_ok=True)
        self._paths = {name: inside(folder, name) for name in self._layout}

    def marks(self) -> dict[str, Any]:
        """Put everything on the disk; what :meth:`restore` needs to find it again."""
        for path in self._paths.values():
            with path.open("ab") as file:
                os.fsync(file.fileno())
        sync_folder(self._folder)  # the names of new files, too
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
        ValueError
            If the marks cannot be those of this recording.
        """
        try:
            self._restore(marks)
        except OSError as error:
            raise StorageError(
                f"{error.filename or self._folder} cannot be used: {error.strerror or error}; copy "
                "the folder anew, or begin again in another one"
            ) from error

    def _restore(self, marks: dict[str, Any] | None) -> None:
        if marks is None:
            for path in self.files():
                os.truncate(path, 0)
            return
        known = self._checked(marks)
        for name, (size, crc) in known.items():
            path = self._paths[name]
            found = path.stat().st_size if path.exists() else 0
            if found < size or _crc(path, size) != crc:
                raise StorageError(
                    f"{path} is damaged: it does not hold the {size} bytes that the checkpoint "
                    "knows; copy the folder anew, or begin again in another one"
                )
        for name, (size, _) in known.items():
            if self._paths[name].exists():
                os.truncate(self._paths[name], size)
        self._n, self._presentations = marks["n"], marks["presentations"]
        self.seconds = marks["seconds"]
        self._marks = known

    def _checked(self, marks: dict[str, Any]) -> dict[str, tuple[int, int]]:
        """The files' sizes and checksums, if they can be those of this recording."""
        n, presentations, files = marks["n"], marks["presentations"], marks["files"]
        if set(files) != set(self._layout):
            odd = sorted(set(files) ^ set(self._layout))[0]
            raise ValueError(f"{short(odd)} is not among the files of both")
        most = self._interface.max_shown
        known = {name: (size, crc) for name, (size, crc) in files.items()}
        numbers = [n, presentations, *(number for pair in known.values() for number in pair)]
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError("a number of samples, bytes or a checksum is none")
        if not n <= presentations <= n * most or not 0 <= float(marks["seconds"]) < math.inf:
            raise ValueError(f"{n} samples in {presentations} presentations, {marks['seconds']} s")
        for name, (size, _) in known.items():
            row = self._layout[name]
            width = row.dtype.itemsize * math.prod(row.shape[1:])
            per_sample = name == "shown" or name in self._interface.per_sample
            if size != n * width if per_sample else size % max(width, 1):
                raise ValueError(f"{name} has no {size} bytes after {n} samples")
        return known

    def files(self) -> list[Path]:
        """The files that are there already."""
        return [path for path in self._paths.values() if path.exists()]

    def append(self, part: Recording) -> None:
        """Write the recording of the next chunk behind the others."""
        for name, rows in rows_of(self._interface, part, self._n, self._presentations).items():
            whole = np.ascontiguousarray(rows, dtype=self._layout[name].dtype)
            data = whole.data.cast("B") if whole.size else b""
            try:
                with self._paths[name].open("ab") as file:
                    file.write(data)
            except OSError as error:
                raise StorageError(
                    f"{self._paths[name]} cannot be written: {error.strerror or error}; free "
                    "some space, then resume the run"
                ) from error
            size, crc = self._marks[name]
            self._marks[name] = (size + len(data), zlib.crc32(data, crc))
        self._n += len(part.shown)
        self._presentations += int(part.shown.sum())
        self.seconds += part.seconds

    def finish(self) -> Recording:
        """All that was written; the arrays are memory-mapped."""
        found = layout(self._interface)
        for name, (size, _) in self._marks.items():
            if size:
                empty = found[name]
                mapped = np.memmap(self._paths[name], dtype=empty.dtype, mode="r")
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
