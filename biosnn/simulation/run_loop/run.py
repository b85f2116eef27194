"""Show samples to a network from beginning to end: the run loop with its handlers."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs

from biosnn.callbacks import Calls
from biosnn.devices.base.contract import Device, Stop
from biosnn.errors import CallbackError, Interrupted, ParameterError
from biosnn.progress import ProgressBar
from biosnn.simulation.argument_checks import learning_of
from biosnn.simulation.inputs import ArraySource, source_of
from biosnn.simulation.run_loop.checkpoints import RunFolder
from biosnn.simulation.run_loop.chunks import Position, Run, shown_chunks
from biosnn.simulation.run_loop.metrics import ChunkMetrics
from biosnn.simulation.run_loop.options import Checkpointing, RunOptions
from biosnn.simulation.run_loop.recorders import MemberRecorders, MemoryRecorder, Recorder
from biosnn.simulation.run_loop.signals import SignalStop
from biosnn.validation import LARGEST, check_whole

#: Whether to show progress, or who is told it.
Progress = bool | Callable[[int, int | None], None]
_Update = Callable[[int, Mapping[str, float]], None]


def prepare(
    network: Device,
    samples: Any,
    start: Any,
    options: RunOptions,
    *,
    seeds: tuple[int, ...] = (),
    begin: Callable[[Any, Path], AbstractContextManager[Any]] | None = None,
) -> Run:
    """Check what a run is given besides its options; samples in arrays are looked through later.

    Parameters
    ----------
    network : Device
        The network on its device.
    samples : array_like, iterable or dict
        What is shown.
    start : State or list of State
        Before the first sample, checked.
    options : RunOptions
        What is done with them.
    seeds : tuple of int, optional
        Of the members of an ensemble, for each of which there is a start.
    begin : callable, optional
        Begins a session of all members; default: the network's own.

    Raises
    ------
    DataError
        If samples have the wrong shape.
    ParameterError
        If options do not fit the network or the samples.
    """
    interface = network.interface
    source = source_of(interface, samples)
    if options.epochs > 1 and isinstance(samples, Iterator):
        wanted = "an array or an iterable that begins anew each time, for more than one epoch"
        remedy = "Give an object with __iter__, such as a data loader"
        raise ParameterError("fit", "samples", "an iterator", wanted, remedy)
    learning = learning_of(interface, options.learn)
    if source.n is not None:
        check_whole("run", "first_sample", options.first_sample, 0, LARGEST - source.n + 1)
    elif options.horizon is None and learning and interface.scheduled:
        remedy = "Say how many samples the schedules run over"
        raise ParameterError(
            "run", "horizon", None, "given where a stream of samples is learned", remedy
        )
    shown = (source.n or 0) * options.epochs
    horizons = [
        options.horizon or max(state.samples_seen + shown, 1)
        for state in (start if seeds else [start])
    ]
    return Run(
        interface=interface,
        begin=begin or network.session,
        longest_chunk=network.longest_chunk,
        source=source,
        start=start,
        options=options,
        seed=seeds or options.seed,
        horizon=tuple(horizons) if seeds else horizons[0],
        learning=learning,
        members=len(seeds),
    )


def identity_of(run: Run) -> dict[str, Any]:
    """What decides the result of a run, as JSON data; looks through all samples in arrays."""
    face, options = run.interface, run.options
    return {
        "network": face.name,
        "declaration": face.fingerprint,
        "precision": face.precision,
        "recorders": {
            name: {key: attrs.asdict(part) for key, part in getattr(face, name).items()}
            for name in ("per_sample", "snapshots", "traces")
        },
        "spikes": sorted(face.spikes),
        "samples": run.source.n,
        "samples_crc32": run.source.checksums() if isinstance(run.source, ArraySource) else None,
        "seed": run.seed,
        "epochs": options.epochs,
        "first_epoch": options.first_epoch,
        "first_sample": options.first_sample,
        "horizon": run.horizon,
        "learning": run.learning,
        "state_crc32": run.start.checksum(),
    }


def execute(
    run: Run, checkpointing: Checkpointing, progress: Progress, calls: Calls | None = None
) -> tuple[Any, Any]:
    """Show all samples; what was recorded, and the state after them.

    Raises
    ------
    DataError, ParameterError, DeviceError, StorageError, CallbackError, Interrupted
        As :meth:`biosnn.simulation.Runnable.run`.
    """
    calls = Calls() if calls is None else calls
    if checkpointing.folder is None:
        check_samples(run)
        with watched(run, progress) as (bar, stop):
            found = run_in_memory(run, stop, bar.update, calls)
        if stop.signal:
            raise _too_late(run, stop, None)
        return found
    identity = identity_of(run)
    folder = RunFolder(checkpointing, run.interface, identity, run.options.memory)
    try:
        at, state = folder.begin()
        run = run if state is None else attrs.evolve(run, start=state)
        end = run.start
        if not at.finished:
            folder.check_space(None if run.total is None else run.total - at.position)
            with watched(run, progress, at.position) as (bar, stop):
                work = folder.work()
                end = _show(run, folder.recorder, work, stop, bar.update, calls, folder, at)
            if stop.signal:
                raise _too_late(run, stop, folder)
        return folder.recorder.finish(), end
    finally:
        folder.close()


def check_samples(run: Run) -> None:
    """Look through all samples, if they are in arrays.

    Raises
    ------
    DataError
        Naming the first value that cannot be, and where it is.
    """
    if isinstance(run.source, ArraySource):
        run.source.check()


@contextlib.contextmanager
def watched(
    run: Run, progress: Progress, done: int = 0
) -> Iterator[tuple[ProgressBar, SignalStop]]:
    """Show progress, and listen to signals."""
    with ProgressBar(run.total, progress, start=done) as bar:
        if done:
            bar.note(f"going on from sample {done}")
        with SignalStop(bar.note) as stop:
            yield bar, stop


def run_in_memory(
    run: Run, stop: Stop, update: _Update, calls: Calls | None = None
) -> tuple[Any, Any]:
    """Show checked samples from the first one on; recordings are kept in memory."""
    limit = run.options.memory
    recorder: Recorder = (
        MemberRecorders(run.interface, run.total, limit, run.members)
        if run.members
        else MemoryRecorder(run.interface, run.total, limit)
    )
    with tempfile.TemporaryDirectory(prefix="biosnn-run-") as work:
        end = _show(run, recorder, Path(work), stop, update, calls or Calls())
    return recorder.finish(), end


def _show(
    run: Run,
    recorder: Recorder,
    work: Path,
    stop: Stop,
    update: _Update,
    calls: Calls,
    folder: RunFolder | None = None,
    at: Position | None = None,
) -> Any:
    """Show all samples from a position on, and tell callbacks; the state after them."""
    at = at or Position()
    metrics = ChunkMetrics(run, calls)
    resume = folder is not None and folder.resume
    tally = _Tally(update, at.position, figures=not run.members)
    every = None if folder is None else folder.every
    with metrics.told(at, resume), run.begin(run.start, work) as session:
        for shown in shown_chunks(run, session, recorder, stop, tally.report, at=at, every=every):
            at = shown.at
            if shown.chunk is not None:
                recorder.append(shown.recording)
                tally.next_chunk(at.position)
                try:
                    metrics.chunk(at, shown.recording, session.state)
                except CallbackError:
                    if folder is not None:
                        folder.save_if_due(at, session.state, stopped=True)
                    raise
            if folder is not None:
                folder.save_if_due(at, session.state)
        if not at.finished:
            if folder is not None:
                folder.save_if_due(at, session.state, stopped=True)
            of = "" if run.total is None else f" of {run.total}"
            raise _interrupted(run, f"sample {at.position}{of}", stop, folder, "go on with")
        return session.state()


def _too_late(run: Run, stop: Stop, folder: RunFolder | None) -> Interrupted:
    """A signal during the last samples came too late to stop the run, not the program."""
    return _interrupted(run, "the last sample", stop, folder, "have its result with")


def _interrupted(
    run: Run, where: str, stop: Stop, folder: RunFolder | None, then: str
) -> Interrupted:
    if folder is None:
        why = "ensembles keep nothing" if run.members else "the run has no folder"
        remedy = f"nothing was kept, because {why}"
    else:
        remedy = f"{then} resume=True and folder={str(folder.folder)!r}"
    signal = stop.signal if isinstance(stop, SignalStop) else 0
    return Interrupted(f"stopped after {where}; {remedy}", signal, folder and folder.folder)


class _Tally:
    """Adds up what the chunks of a run report.

    Parameters
    ----------
    update : callable
        Is told how many samples are done, and running figures.
    start : int
        How many were done before.
    figures : bool
        Whether spikes and presentations are those of one network.
    """

    def __init__(self, update: _Update, start: int, figures: bool):
        self._update, self._figures = update, figures
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
            self._update(self._begin + done, figures if self._figures else {})

    def next_chunk(self, position: int) -> None:
        """A chunk is over."""
        self._before, self._begin = self._last, position
