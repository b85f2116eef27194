"""Checkpoints in the folder of a run, beside its recording, and going on from them.

``run.json`` says which run this is; ``checkpoint-<samples>.biosnn`` holds the state after so many
samples; ``recording/`` grows. A checkpoint is written in one step after the recording is on the
disk, so whatever moment a run ends at, the newest one is whole and everything it knows is there.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from biosnn.devices.base.artifact import UNREADABLE
from biosnn.errors import DataError, StorageError
from biosnn.files import inside, locked_folder, packed, read, replace, short
from biosnn.program.interface import Interface
from biosnn.simulation.run_loop.chunks import Position
from biosnn.simulation.run_loop.options import Checkpointing
from biosnn.simulation.run_loop.recorders import FileRecorder
from biosnn.state import State
from biosnn.version import __version__

_RUN, _LOCK, _WORK = "run.json", "run.lock", ".biosnn-work"
_NAME = "checkpoint-{:012d}.biosnn"
_SPARE = 16 * 2**20  # bytes that a run leaves free on the disk


class RunFolder:
    """The folder of a run, held by one process at a time.

    Parameters
    ----------
    where : Checkpointing
        Its folder, which is made if it is not there, and how often checkpoints are kept.
    interface : Interface
        Of the network.
    identity : mapping
        What decides the result: JSON types.
    limit : int
        Bytes of spikes and traces that a chunk may have in memory.

    Raises
    ------
    StorageError
        If the folder cannot be written or another process is at it.
    """

    def __init__(
        self, where: Checkpointing, interface: Interface, identity: Mapping[str, Any], limit: int
    ):
        assert where.folder is not None
        self.folder = where.folder.absolute()
        self._where = where
        self._interface = interface
        self._identity = json.loads(json.dumps(dict(identity)))
        self._saved = 0  # samples before the newest checkpoint
        self._lock = locked_folder(self.folder, _LOCK)
        try:
            for name in (_RUN, "checkpoint-*.biosnn"):
                for path in self.folder.glob(f".{name}.*.part"):  # of a killed run
                    path.unlink(missing_ok=True)
            self.recorder = FileRecorder(interface, self.folder / "recording", limit)
        except OSError as error:
            raise StorageError(
                f"{self.folder} cannot be written: {error.strerror or error}; choose a folder "
                "that you may write to"
            ) from error

    @property
    def every(self) -> int | None:
        """Samples between two checkpoints."""
        return self._where.every

    @property
    def resume(self) -> bool:
        """Whether the run was asked to go on from a checkpoint."""
        return self._where.resume

    def close(self) -> None:
        """Release the lock."""
        shutil.rmtree(self.folder / _WORK, ignore_errors=True)
        self._lock.release()

    def work(self) -> Path:
        """An empty folder for the files of a session."""
        work = self.folder / _WORK
        shutil.rmtree(work, ignore_errors=True)  # what a killed run has left
        try:
            work.mkdir()
        except OSError as error:
            raise StorageError(
                f"{work} cannot be made: {error.strerror or error}; free some space, or remove "
                "what is there"
            ) from error
        return work

    def begin(self) -> tuple[Position, State | None]:
        """Begin a run, or find the position and state from which an interrupted one goes on.

        Raises
        ------
        StorageError
            If there is a run already that shall not be resumed, or it is another one, or its
            newest checkpoint is damaged.
        """
        known = self._known()
        if known is None:
            if self.recorder.files():
                raise StorageError(
                    f"{self.folder / 'recording'} has files of an unknown run; choose another "
                    "folder"
                )
            replace(self.folder / _RUN, json.dumps(self._identity, indent=1).encode())
            return Position(), None
        if not self._where.resume:
            raise StorageError(
                f"{self.folder} holds a run already; go on with it (resume=True), or choose "
                "another folder"
            )
        different = [key for key in self._identity if known.get(key) != self._identity[key]]
        if different or set(known) - set(self._identity):
            key = (different or sorted(set(known) - set(self._identity)))[0]
            raise StorageError(
                f"{self.folder} holds another run: its {key} is {short(known.get(key))}, this "
                f"one's is {short(self._identity.get(key))}; give the same arguments, or choose "
                "another folder"
            )
        newest = max(self.checkpoints(), default=None)
        if newest is None:
            self.recorder.restore(None)
            return Position(), None
        content, at, state = self._read(newest)
        with self._understood(newest):
            self.recorder.restore(content["recording"])
        self._saved = at.position
        return at, state

    def check_space(self, n: int | None) -> None:
        """Check that the recording of so many samples and the checkpoints fit on the disk.

        Raises
        ------
        StorageError
            If they do not.
        """
        state = sum(variable.bytes for variable in self._interface.variables)
        need = (self._where.keep + 1) * state + _SPARE
        if n is not None:
            need += self._interface.bounded_bytes(0, n) + self._interface.traced_bytes(n)
        free = shutil.disk_usage(self.folder).free
        if free < need:
            raise StorageError(
                f"the disk of {self.folder} is nearly full: the run needs {need / 2**20:.0f} MiB, "
                f"{free / 2**20:.0f} MiB are free; free some, record less, or choose a folder on "
                "another disk"
            )

    def checkpoints(self) -> list[Path]:
        """The checkpoints, oldest first."""
        return sorted(self.folder.glob("checkpoint-*.biosnn"))

    def _known(self) -> dict[str, Any] | None:
        path = inside(self.folder, _RUN)
        if not path.exists():
            if self.checkpoints():
                raise StorageError(
                    f"{self.folder} has checkpoints but no {_RUN}: it is damaged; choose another "
                    "folder"
                )
            return None
        try:
            known = json.loads(path.read_text())
            if not isinstance(known, dict):
                raise ValueError
        except (OSError, ValueError, RecursionError) as error:
            raise StorageError(f"{path} is damaged; choose another folder for the run") from error
        return known

    def _read(self, path: Path) -> tuple[dict[str, Any], Position, State]:
        with self._understood(path):
            content, tensors = read(inside(self.folder, path.name), "checkpoint")
            state = self._interface.state(tensors)
            if content["identity"] != self._identity:
                raise StorageError(f"{path} belongs to another run")
            for variable in self._interface.variables:
                if state[variable.name].shape != (variable.size,):
                    raise StorageError(f"{path} does not fit the network: {variable.name}")
            at = Position(**content["place"])
            self._check_position(at)
            if content["recording"]["n"] != at.position:
                raise ValueError("the recording has another number of samples")
        return content, at, state

    def _check_position(self, at: Position) -> None:
        """Check that a run like this one can come to a position."""
        n, epochs = self._identity["samples"], self._identity["epochs"]
        numbers = (at.position, at.epoch, at.offset, *at.checksums.values())
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError("a number of samples or a checksum is none")
        fits = at.offset <= at.position and (at.offset == 0 or at.epoch < epochs)
        if n is not None:
            fits = at.position == at.epoch * n + at.offset and at.offset <= n
        if not fits or at.epoch > epochs or at.finished is not (at.epoch == epochs):
            raise ValueError(f"it is in epoch {at.epoch} of {epochs}")

    @contextlib.contextmanager
    def _understood(self, path: Path) -> Iterator[None]:
        """Say of a checkpoint that says something impossible what can be done."""
        remedy = "If an older checkpoint shall do, delete this one; nothing was changed"
        try:
            yield
        except (StorageError, DataError) as error:
            raise StorageError(f"{error}. {remedy}") from error
        except UNREADABLE as error:
            raise StorageError(f"{path} is damaged ({error}). {remedy}") from error

    def save_if_due(self, at: Position, state: Callable[[], State], stopped: bool = False) -> None:
        """Write a checkpoint if one is due here, then remove those that are too many.

        Parameters
        ----------
        at : Position
            After the last chunk, which is recorded.
        state : callable
            Gives the state there.
        stopped : bool
            Whether the run ends here, so that what it has done since the last one is kept.

        Raises
        ------
        StorageError
            If it cannot be written; those before are still there.
        """
        new = at.position > self._saved
        due = stopped or (self.every is not None and at.position % self.every == 0)
        if not at.finished and not (due and new):
            return
        try:
            marks = self.recorder.marks()
        except OSError as error:
            raise StorageError(
                f"the recording in {self.folder} cannot be written: {error.strerror or error}; "
                "free some space, then resume the run"
            ) from error
        content = {
            "identity": self._identity,
            "place": attrs.asdict(at),
            "recording": marks,
            "biosnn": __version__,
        }
        data = packed("checkpoint", content, dict(state()))
        replace(self.folder / _NAME.format(at.position), data)
        self._saved = at.position
        for path in self.checkpoints()[: -self._where.keep]:
            path.unlink(missing_ok=True)
