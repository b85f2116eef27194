"""Running a compiled network: the binary, its files and its last words. Needs no Brian2."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from biosnn.devices.base.artifact import BINARY, Artifact, read_states, write_states
from biosnn.devices.base.chunk_files import Places, read_recordings, settings_lines
from biosnn.devices.base.contract import (
    AddressEvents,
    Chunk,
    NotFiniteError,
    Report,
    Settings,
    Stop,
    TooMuchRecordedError,
)
from biosnn.errors import DeviceError
from biosnn.recording import Recording
from biosnn.state import State

# Exit status, as in cpp/runtime_library/biosnn.cpp.
TOO_MUCH_RECORDED, _NOT_FINITE = 3, 4
_SPARE = 16 * 2**20  # bytes that a run leaves free on the disk
_ROUNDS = 64  # samples per copy of a network in a chunk, where there are several


#: what a binary said and what it was built for -> a sentence
Explain = Callable[[str, str | None], str | None]


class CompiledNetwork:
    """A network as a binary with a manifest.

    Parameters
    ----------
    artifact : Artifact
        Where it is and what is in it.
    build_seconds : float
        What building took.
    built_now : bool
        Whether it was built for this object.
    explain : callable, optional
        Puts what the binary says when it fails, and the architecture that it was built for, into
        words; returns None where it knows none.
    """

    def __init__(
        self,
        artifact: Artifact,
        build_seconds: float = 0.0,
        built_now: bool = False,
        explain: Explain | None = None,
    ):
        self.artifact = artifact
        self.explain = explain
        self.interface = artifact.interface
        self.defaults = artifact.defaults()
        self.build_seconds = build_seconds
        self.built_now = built_now
        # Copies are at different samples when a stop is asked for, so the chunk is lost then.
        copies = artifact.interface.replicas
        self.longest_chunk: int | None = None if copies == 1 else _ROUNDS * copies

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[BinarySession]:
        """Begin a run (see :class:`biosnn.devices.base.contract.Device`)."""
        yield BinarySession(self.artifact, [state], folder, self.explain)

    @contextlib.contextmanager
    def ensemble(self, states: Sequence[State], folder: Path) -> Iterator[BinaryEnsembleSession]:
        """See :class:`biosnn.devices.base.contract.ReplicatingDevice`."""
        yield BinaryEnsembleSession(self.artifact, states, folder, self.explain)


class BinarySession:
    """A run of a binary, whose state goes from chunk to chunk as a file."""

    def __init__(
        self,
        artifact: Artifact,
        states: Sequence[State],
        folder: Path,
        explain: Explain | None = None,
        constants: Mapping[str, float] | None = None,
    ):
        self._artifact, self._constants = artifact, constants or {}
        self._explain = explain
        self._interface = artifact.interface
        self._folder = folder.absolute()  # the binary runs in another one
        if "\n" in str(self._folder):
            raise DeviceError(f"the folder {str(self._folder)!r} must not have a line break in it")
        self._state = self._folder / "state"
        self._networks = len(states)
        with said_plainly(folder):
            (self._folder / "out").mkdir()
            write_states(self._state, self._interface, states)
            if artifact.first is not None:
                write_states(self._folder / "first", self._interface, [artifact.first])

    def state(self) -> State:
        """See :class:`biosnn.devices.base.contract.Session`."""
        return read_states(self._state, self._interface)[0]

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """See :class:`biosnn.devices.base.contract.Session`."""
        done, recordings = self._show(chunk, settings, report, stop)
        return done, recordings[0] if recordings else None

    def _show(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, list[Recording]]:
        """Show samples; how many were shown, and what was observed in each network."""
        with said_plainly(self._folder):
            self._check_disk(chunk, settings)
            lines = self._write(chunk, settings)
        try:
            done, seconds = self._run(lines, chunk.n, report, stop)
        except NotFiniteError:
            # Weights are looked at when the chunk is over: find the first sample by looking
            # after each.
            self._run([*lines, "check_every_sample 1"], chunk.n, lambda *_: None, Stop())
            raise
        if done == 0:
            return 0, []
        with said_plainly(self._folder):
            recordings = read_recordings(
                self._folder / "out", self._interface, self._networks, done, settings.position
            )
            (self._folder / "state_out").replace(self._state)
        return done, [attrs.evolve(recording, seconds=seconds) for recording in recordings]

    def _check_disk(self, chunk: Chunk, settings: Settings) -> None:
        parts = [p for p in chunk.inputs.values() if p is not None]
        need = sum(
            12 * len(part.sample) if isinstance(part, AddressEvents) else part.nbytes
            for part in parts
        )
        need += self._state.stat().st_size
        need += self._networks * self._interface.bounded_bytes(settings.position, chunk.n)
        free = shutil.disk_usage(self._folder).free
        if free < need + _SPARE:
            raise DeviceError(
                f"the disk of {self._folder} is nearly full: a chunk of {chunk.n} samples needs "
                f"{(need + _SPARE) / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free; free some, "
                "set TMPDIR to another disk, or use a smaller chunk_size"
            )

    def _write(self, chunk: Chunk, settings: Settings) -> list[str]:
        """Write the inputs of a chunk; the lines of its settings."""
        folder = self._folder

        def put(name: str, data: np.ndarray) -> str:
            path = folder / f"input.{name}"
            data.tofile(path)
            return str(path)

        return settings_lines(
            chunk,
            settings,
            self._artifact.manifest["plastic"],
            Places(
                state_in=str(self._state),
                state_out=str(folder / "state_out"),
                out=str(folder / "out"),
                parent=os.getpid(),
                put=put,
                constants=self._constant_lines,
                seeds=self._artifact.manifest.get("seeds", False),
                first=str(folder / "first") if self._artifact.first is not None else "",
            ),
        )

    @property
    def _constant_lines(self) -> tuple[str, ...]:
        known = self._artifact.manifest.get("constants", [])
        return tuple(f"{known.index(key)} {value!r}" for key, value in self._constants.items())

    def _run(self, lines: list[str], n: int, report: Report, stop: Stop) -> tuple[int, float]:
        """Run the binary; how many samples it finished, and the seconds that it took."""
        settings = self._folder / "settings"
        with said_plainly(self._folder):
            settings.write_bytes(os.fsencode("\n".join(lines) + "\n"))
        end = run_binary(self._artifact.folder, settings, report, stop)
        said = end.said or "nothing"
        if end.status == -signal.SIGTERM and stop.requested:
            return 0, 0.0  # it was told before it could listen
        if end.status == _NOT_FINITE:
            name, *numbers = said.splitlines()[-1].split()
            raise NotFiniteError(name, *map(int, numbers))
        if end.status == TOO_MUCH_RECORDED:
            raise TooMuchRecordedError(said)
        complete = end.finished == n or (stop.requested and 0 < end.finished < n)
        if end.status == -signal.SIGILL:
            raise DeviceError(
                "the compiled network uses instructions that this CPU does not have: build it with "
                "portable=True (--portable), or compile it here"
            )
        if end.status != 0 or end.said or not complete:
            known = self._explain and self._explain(
                end.said, self._artifact.manifest.get("architecture")
            )
            if known:
                raise DeviceError(f"{known}. The program said: {said}")
            raise DeviceError(
                f"the compiled network stopped with status {end.status} after "
                f"{max(end.finished, 0)} of {n} samples. It said: {said}"
            )
        return end.finished, end.seconds


class BinaryEnsembleSession(BinarySession):
    """A run of independent copies of a network, which all show the same samples."""

    def state(self) -> Any:
        """See :class:`biosnn.devices.base.contract.EnsembleSession`."""
        return read_states(self._state, self._interface, self._networks)

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Any]:
        """See :class:`biosnn.devices.base.contract.EnsembleSession`."""
        return self._show(chunk, settings, report, stop)


@contextlib.contextmanager
def said_plainly(folder: Path) -> Iterator[None]:
    """Say in words what is wrong with the files of a run."""
    try:
        yield
    except OSError as error:
        raise DeviceError(
            f"the files of a run cannot be written to {folder}: {error.strerror or error}; free "
            "some space there, or set TMPDIR to another disk"
        ) from error


@attrs.define
class _End:
    """How a run of the binary ended."""

    status: int = 0
    said: str = ""
    finished: int = -1
    seconds: float = 0.0
    complaints: list[str] = attrs.field(factory=list)


def run_binary(artifact: Path, settings: Path, report: Report, stop: Stop) -> _End:
    """Run the binary in a process session of its own, so that Ctrl-C does not reach it."""
    end = _End()
    with settings.with_name("stderr").open("w+", errors="replace") as errors:
        try:
            child = subprocess.Popen(
                [str((artifact / BINARY).absolute()), str(settings)],
                cwd=artifact,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(
                f"the binary in {artifact} does not start: {error.strerror}; compile the network "
                "anew (biosnn cache clear)"
            ) from error

        def end_soon() -> None:
            # It finishes the sample that it is at.
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

        stop.add(end_soon)
        try:
            if stop.requested:
                end_soon()
            _listen(child, end, report)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        finally:
            stop.remove(end_soon)
        errors.seek(0)
        end.status, end.said = child.returncode, errors.read().strip()
        if end.status != 0:  # brian2cuda complains on stdout here and there
            end.said = end.said or "\n".join(end.complaints)
    return end


def _listen(child: subprocess.Popen[str], end: _End, report: Report) -> None:
    """Read what the binary says until it ends."""
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            word, *numbers = line.split() or [""]
            if word == "progress":
                done, presentations, spikes = map(int, numbers)
                report(done, presentations, spikes)
            elif word == "finished":
                end.finished = int(numbers[0])
                report(*map(int, numbers[:3]))
                end.seconds = float(numbers[3])
            elif "ERROR" in line:
                end.complaints.append(line.strip())
    child.wait()
