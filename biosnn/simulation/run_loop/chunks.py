"""The run loop itself: a generator that shows samples and yields chunk after chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from biosnn.devices.base.contract import (
    Chunk,
    NotFiniteError,
    Report,
    Session,
    Settings,
    Stop,
    TooMuchRecordedError,
)
from biosnn.errors import DataError, DeviceError
from biosnn.program.interface import Interface
from biosnn.simulation.inputs import ArraySource, StreamSource, checksums, cut
from biosnn.simulation.run_loop.options import RunOptions
from biosnn.simulation.run_loop.recorders import Room, too_much
from biosnn.validation import LARGEST

_CHUNK_BYTES = 32 * 2**20


@attrs.frozen(kw_only=True)
class Position:
    """How far a run has come.

    Parameters
    ----------
    position : int
        Samples in all.
    epoch, offset : int
        Full passes over the data, and samples in this one.
    checksums : dict
        CRC-32 of the samples of this pass, where they come from a stream.
    finished : bool
        Whether that is all.
    """

    position: int = 0
    epoch: int = 0
    offset: int = 0
    checksums: dict[str, int] = attrs.Factory(dict)
    finished: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Run:
    """What is shown to which network: checked, and ready to begin.

    Parameters
    ----------
    interface : Interface
        Of the network.
    begin : callable
        Begins a session on its device, of one network or of an ensemble: ``begin(start, work)``
        returns a context manager.
    longest_chunk : int, optional
        Most samples in a chunk of this device.
    source : ArraySource or StreamSource
        The samples.
    start : State or sequence of State
        Before the first sample.
    options : RunOptions
        As they were given.
    seed, horizon : int or tuple of int
        For the network, or for each member of an ensemble.
    learning : tuple of str
        Projections that learn.
    members : int
        Of the ensemble; 0 if it is one network. Starts, recordings and ends are then sequences.
    schedules : tuple of dict
        For callbacks: of each member, ``"owner.parameter"`` -> its
        :class:`~biosnn.models.Schedule`. Empty where nobody asks.
    """

    interface: Interface
    begin: Callable[[Any, Path], AbstractContextManager[Any]]
    longest_chunk: int | None
    source: ArraySource | StreamSource
    start: Any
    options: RunOptions
    seed: int | tuple[int, ...]
    horizon: int | tuple[int, ...]
    learning: tuple[str, ...]
    members: int = 0
    schedules: tuple[dict[str, Any], ...] = ()

    @property
    def total(self) -> int | None:
        """Number of samples in all epochs, if it is known."""
        return None if self.source.n is None else self.source.n * self.options.epochs

    def rows(self, at: Position, every: int | None) -> int:
        """How many samples the next chunk has; it ends where a checkpoint is due."""
        rows = self.options.chunk_size
        if rows is None:
            recorded = self.interface.bounded_bytes(0, 1) + self.interface.traced_bytes(1)
            row_bytes = max(self.source.sample_bytes, recorded * max(self.members, 1), 1)
            rows = max(min(_CHUNK_BYTES, self.options.memory // 2) // row_bytes, 1)
            if self.longest_chunk is not None:
                rows = min(rows, self.longest_chunk)
        return rows if every is None else min(rows, every - at.position % every)


@attrs.frozen(kw_only=True, eq=False)
class Shown:
    """A chunk that was shown, or the end of an epoch.

    Parameters
    ----------
    chunk : Chunk, optional
        Its samples; none at the end of an epoch.
    recording : Recording or list of Recording, optional
        What was observed in it.
    at : Position
        After it.
    """

    chunk: Chunk | None = None
    recording: Any = None
    at: Position


def shown_chunks(
    run: Run,
    session: Session,
    room: Room,
    stop: Stop,
    report: Report,
    *,
    at: Position,
    every: int | None = None,
) -> Iterator[Shown]:
    """Show all samples from a position on; what is yielded has been done.

    It ends after the last sample, or before if a stop is asked for: the last position tells.

    Parameters
    ----------
    run, session
        What is shown, and where.
    room : Room
        What the recordings go to: whoever asks for the next chunk has given it those before.
    stop, report
        Asks to stop, and is told the progress within a chunk.
    at : Position
        Where the run begins or goes on.
    every : int, optional
        Chunks end at multiples of so many samples.
    """
    options = run.options
    while not at.finished:
        cursor = run.source.begin(at.offset, at.checksums)
        halves: list[Chunk] = []
        while True:
            if stop.requested and at.position != run.total:
                return
            chunk = halves.pop() if halves else cursor.take(run.rows(at, every), stop)
            if chunk is None:
                break
            settings = Settings(
                seed=run.seed,
                epoch=options.first_epoch + at.epoch,
                first_sample=options.first_sample + at.offset,
                position=at.position,
                horizon=run.horizon,
                learning=run.learning,
                recorder_limit=room.room,
            )
            if settings.first_sample + chunk.n - 1 > LARGEST:
                raise DataError(
                    f"run: a sample's index must be at most {LARGEST}, got more samples"
                )
            try:
                done, recording = session.run_chunk(chunk, settings, report, stop)
            except NotFiniteError as error:
                member = f" of member {error.replica}" if run.members else ""
                raise DeviceError(
                    f"state variable {error.name!r}{member} became NaN or infinite at index "
                    f"{error.index} in sample {at.position + error.sample} of the run: lower the "
                    "learning rate or the time step, or check the equations"
                ) from None
            except TooMuchRecordedError:
                if not room.on_disk or chunk.n == 1:
                    raise too_much("spikes and traces that need more", options.memory) from None
                # On disk there is room for it; in memory for a part of it at a time.
                halves += [cut(chunk, chunk.n // 2, chunk.n), cut(chunk, 0, chunk.n // 2)]
                continue
            if done == 0:
                continue
            if run.interface.until_enough:
                _check_retries(run, recording, at.position)
            chunk = cut(chunk, 0, done)
            if run.total is None:  # nobody could look at these samples before
                at = attrs.evolve(at, checksums=checksums(chunk, at.offset, at.checksums))
            at = attrs.evolve(at, position=at.position + done, offset=at.offset + done)
            yield Shown(chunk=chunk, recording=recording, at=at)
        if stop.requested and run.total is None:  # a stream may have more to give
            return
        if at.offset == 0:
            which = f" in epoch {at.epoch}" if at.epoch else ""
            raise DataError(f"run: samples must not be empty, got a stream without any{which}")
        at = attrs.evolve(at, epoch=at.epoch + 1, offset=0, checksums={})
        at = attrs.evolve(at, finished=at.epoch == options.epochs)
        yield Shown(at=at)


def _check_retries(run: Run, recording: Any, position: int) -> None:
    """Check that no sample was shown as often as random numbers know attempts.

    Raises
    ------
    DeviceError
        Naming the first one that was.
    """
    for number, part in enumerate(recording if run.members else [recording]):
        stuck = np.flatnonzero(part.shown >= run.interface.max_shown)
        if stuck.size:
            member = f" of member {number}" if run.members else ""
            raise DeviceError(
                f"sample {position + stuck[0]} of the run{member} was shown "
                f"{run.interface.max_shown} times without enough spikes: raise "
                "Presentation.intensity_step, lower min_spikes, or give max_retries a number, "
                "after which the next sample follows"
            )
