"""The course of a run: chunk after chunk, with progress, checkpoints and safe points."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from biosnn.devices.base.contract import (
    Chunk,
    Device,
    NotFiniteError,
    Session,
    Settings,
    TooMuchRecordedError,
)
from biosnn.errors import DataError, DeviceError, Interrupted
from biosnn.progress import ProgressBar
from biosnn.recording import Recording
from biosnn.simulation.checkpoints import Place, RunFolder
from biosnn.simulation.inputs import ArraySource, StreamSource, checksums, cut
from biosnn.simulation.recorders import MemorySink, NoSink, Sink, too_much
from biosnn.simulation.signals import SafePoint
from biosnn.state import State
from biosnn.validation import LARGEST

_CHUNK_BYTES = 32 * 2**20


@attrs.frozen(kw_only=True)
class Order:
    """What a run shall do; the names are those of :meth:`Runnable.run`."""

    seed: int
    epochs: int
    first_epoch: int
    first_sample: int
    horizon: int
    learning: tuple[str, ...]
    chunk_size: int | None
    checkpoint_every: int | None
    keep: int
    memory_limit: int


def default_limit() -> int:
    """A quarter of this machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


class Course:
    """One run.

    Parameters
    ----------
    made : Device
        The network on its device.
    source : ArraySource or StreamSource
        The samples.
    start : State
        The state before the first one.
    order : Order
        What to do.
    progress : bool or callable
        See :meth:`Runnable.run`.
    """

    def __init__(
        self,
        made: Device,
        source: ArraySource | StreamSource,
        start: State,
        order: Order,
        progress: bool | Callable[[int, int | None], None],
    ):
        self._made = made
        self._face = made.interface
        self._source = source
        self._start = start
        self._order = order
        self._progress = progress
        self._total = None if source.n is None else source.n * order.epochs

    def run(self, folder: Path | None, resume: bool) -> tuple[Recording, State]:
        """Run it, in a folder or in memory."""
        arrays = self._source if isinstance(self._source, ArraySource) else None
        if folder is None:
            if arrays is not None:
                arrays.check()
            with self._watched(0) as (bar, stop):
                found = self.in_memory(stop, bar.update)
            self._heeded(stop, None)
            return found
        kept = RunFolder(
            folder,
            self._face,
            self._identity(None if arrays is None else arrays.checksums()),
            self._order.keep,
            self._order.memory_limit,
        )
        try:
            place, state = kept.begin(resume)
            if state is None:
                state = self._start
            if not place.finished:
                left = None if self._total is None else self._total - place.position
                kept.check_space(left)
                with self._watched(place.position) as (bar, stop):
                    state = self._show(place, state, kept.sink, kept.work(), kept, stop, bar.update)
                self._heeded(stop, kept)
            return kept.sink.finish(), state
        finally:
            kept.close()

    def hand_on(self) -> State:
        """Give all chunks to a device that keeps them for later: nothing is observed now."""
        if isinstance(self._source, ArraySource):
            self._source.check()
        with (
            self._watched(0) as (bar, stop),
            tempfile.TemporaryDirectory(prefix="biosnn-run-") as work,
        ):
            state = self._show(Place(), self._start, NoSink(), Path(work), None, stop, bar.update)
        self._heeded(stop, None)
        return state

    def _heeded(self, stop: SafePoint, kept: RunFolder | None) -> None:
        """A signal during the last samples came too late to stop the run, not the program."""
        if stop.signal:
            raise self._interrupted("the last sample", stop, kept, "have its result with")

    @contextlib.contextmanager
    def _watched(self, start: int) -> Iterator[tuple[ProgressBar, SafePoint]]:
        """Show progress, and listen to signals."""
        with ProgressBar(self._total, self._progress, start=start) as bar:
            if start:
                bar.note(f"going on from sample {start}")
            with SafePoint(bar.note) as stop:
                yield bar, stop

    def in_memory(
        self, stop: SafePoint, update: Callable[[int, Mapping[str, float]], None]
    ) -> tuple[Recording, State]:
        """Run it from the beginning, with the recording in memory; samples are not checked."""
        sink = MemorySink(self._face, self._total, self._order.memory_limit)
        with tempfile.TemporaryDirectory(prefix="biosnn-run-") as work:
            state = self._show(Place(), self._start, sink, Path(work), None, stop, update)
        return sink.finish(), state

    def _identity(self, checksum: dict[str, int] | None) -> dict[str, Any]:
        """What decides the result of this run."""
        order = attrs.asdict(self._order)
        for name in ("chunk_size", "checkpoint_every", "keep", "memory_limit"):
            del order[name]
        face = self._face
        return {
            "network": face.name,
            "declaration": face.fingerprint,
            "precision": face.precision,
            "recorders": {
                name: {key: attrs.asdict(part) for key, part in getattr(face, name).items()}
                for name in ("per_sample", "snapshots", "traces")
            },
            "spikes": sorted(face.spikes),
            "samples": self._source.n,
            "samples_crc32": checksum,
            **order,
            "state_crc32": self._start.checksum(),
        }

    def _show(
        self,
        place: Place,
        state: State,
        sink: Sink,
        work: Path,
        kept: RunFolder | None,
        stop: SafePoint,
        update: Callable[[int, Mapping[str, float]], None],
    ) -> State:
        """Show all samples from a place on; the state after them."""
        tally = _Tally(update, place.position)
        with self._made.session(state, work) as session:
            while not place.finished:
                place = self._chunks(place, session, sink, kept, stop, tally)
            return session.state()

    def _chunks(
        self,
        place: Place,
        session: Session,
        sink: Sink,
        kept: RunFolder | None,
        stop: SafePoint,
        tally: _Tally,
    ) -> Place:
        """Show what is left of an epoch; the place after it."""
        order, saved = self._order, place.position
        cursor = self._source.begin(place.offset, place.checksums)
        halves: list[Chunk] = []
        while True:
            chunk = halves.pop() if halves else cursor.take(self._rows(place), stop)
            if chunk is None and stop.requested and self._total is None:  # may have more to give
                if kept is not None and place.position > saved:
                    kept.save(place, session.state())
                raise self._interrupted(self._at(place), stop, kept)
            if chunk is None:
                if place.offset == 0:
                    which = f" in epoch {place.epoch}" if place.epoch else ""
                    raise DataError(
                        f"run: samples must not be empty, got a stream without any{which}"
                    )
                place = attrs.evolve(place, epoch=place.epoch + 1, offset=0, checksums={})
                place = attrs.evolve(place, finished=place.epoch == order.epochs)
                if kept is not None and place.finished:
                    kept.save(place, session.state())
                return place
            settings = Settings(
                seed=order.seed,
                epoch=order.first_epoch + place.epoch,
                first_sample=order.first_sample + place.offset,
                position=place.position,
                horizon=order.horizon,
                learning=order.learning,
                recorder_limit=sink.room,
            )
            if settings.first_sample + chunk.n - 1 > LARGEST:
                raise DataError(
                    f"run: a sample's index must be at most {LARGEST}, got more samples"
                )
            try:
                done, part = session.run_chunk(chunk, settings, tally.report, stop)
            except NotFiniteError as error:
                raise DeviceError(
                    f"state variable {error.name!r} became NaN or infinite at index {error.index} "
                    f"in sample {place.position + error.sample} of the run: lower the learning "
                    "rate or the time step, or check the equations"
                ) from None
            except TooMuchRecordedError:
                if kept is None or chunk.n == 1:
                    raise too_much("spikes and traces that need more", order.memory_limit) from None
                # On disk there is room for it; in memory for a part of it at a time.
                halves += [cut(chunk, chunk.n // 2, chunk.n), cut(chunk, 0, chunk.n // 2)]
                continue
            if part is not None:
                sink.append(part)
            if self._total is None:  # nobody could look at these samples before
                shown = checksums(cut(chunk, 0, done), place.offset, place.checksums)
                place = attrs.evolve(place, checksums=shown)
            place = attrs.evolve(place, position=place.position + done, offset=place.offset + done)
            tally.next_chunk(place.position)
            every = order.checkpoint_every
            due = every is not None and place.position % every == 0 and place.position > saved
            if kept is not None and (due or (stop.requested and place.position > saved)):
                kept.save(place, session.state())
                saved = place.position
            if stop.requested and place.position != self._total:
                raise self._interrupted(self._at(place), stop, kept)

    def _rows(self, place: Place) -> int:
        """How many samples the next chunk has."""
        order = self._order
        rows = order.chunk_size
        if rows is None:
            recorded = self._face.bounded_bytes(0, 1) + self._face.traced_bytes(1)
            row_bytes = max(self._source.sample_bytes, recorded, 1)
            rows = max(min(_CHUNK_BYTES, order.memory_limit // 2) // row_bytes, 1)
            if self._made.longest_chunk is not None:
                rows = min(rows, self._made.longest_chunk)
        if order.checkpoint_every is not None:
            rows = min(rows, order.checkpoint_every - place.position % order.checkpoint_every)
        return rows

    def _at(self, place: Place) -> str:
        return f"sample {place.position}" + ("" if self._total is None else f" of {self._total}")

    def _interrupted(
        self, where: str, stop: SafePoint, kept: RunFolder | None, then: str = "go on with"
    ) -> Interrupted:
        if kept is None:
            remedy = "nothing was kept, because the run has no folder"
        else:
            remedy = f"{then} resume=True and folder={str(kept.folder)!r}"
        message = f"stopped after {where}; {remedy}"
        return Interrupted(message, stop.signal, kept and kept.folder)


class _Tally:
    """Adds up what chunks report."""

    def __init__(self, update: Callable[[int, Mapping[str, float]], None], start: int):
        self._update = update
        self._start = self._begin = start
        self._before = self._last = (0, 0)

    def report(self, done: int, presentations: int, spikes: int) -> None:
        """Progress of the present chunk."""
        self._last = (self._before[0] + presentations, self._before[1] + spikes)
        n = self._begin + done - self._start
        if n > 0:
            shown, spikes_each = (part / n for part in self._last)
            figures = {"spikes/sample": spikes_each}
            if shown > 1:
                figures["shown"] = shown
            self._update(self._begin + done, figures)

    def next_chunk(self, position: int) -> None:
        """A chunk is over."""
        self._before, self._begin = self._last, position
