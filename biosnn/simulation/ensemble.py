"""Many independent networks in one program: other seeds, other parameters, the same samples."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.contract import (
    Chunk,
    NotFiniteError,
    Report,
    Settings,
    Stop,
    TooMuchRecordedError,
)
from biosnn.errors import DataError, DeviceError, Interrupted, ParameterError
from biosnn.progress import ProgressBar
from biosnn.recording import Recording
from biosnn.simulation.argument_checks import checked_state, learning_of
from biosnn.simulation.inputs import ArraySource, source_of
from biosnn.simulation.recorders import MemorySink, too_much
from biosnn.simulation.run_loop import default_limit
from biosnn.simulation.signals import SafePoint
from biosnn.state import State
from biosnn.validation import LARGEST, check_whole

_CHUNK_BYTES = 32 * 2**20


class Ensemble:
    """Independent networks that run side by side, made by :func:`biosnn.simulation.ensemble`.

    Attributes
    ----------
    n : int
        How many there are.
    members : tuple of NetworkModel
        Their declarations; a member's results are those of its declaration run alone.
    interface : Interface
        Inputs, variables and recorders of one of them.
    device, device_reason : str
        Where it runs, and why there.
    """

    def __init__(
        self,
        made: CompiledNetwork,
        members: Sequence[Any],
        default: Callable[[Any], State],
        device: str,
        device_reason: str,
    ):
        self._made = made
        self.device, self.device_reason = device, device_reason
        self._default = default
        self.interface = made.interface
        self.members = tuple(members)
        self.n = len(self.members)

    def __repr__(self) -> str:
        return f"Ensemble of {self.n} networks on {self.device}: {self.interface}"

    @property
    def build_seconds(self) -> float:
        """Seconds that building took."""
        return self._made.build_seconds

    def initial_states(self, seeds: int | Sequence[int] | None = None) -> list[State]:
        """Each member's complete state before the first sample.

        Parameters
        ----------
        seeds : int or sequence of int, optional
            Seeds of the random parts, one per member or one for all; default: 0, 1, 2, ...
        """
        states = []
        for member, seed in zip(self.members, self._seeds(seeds), strict=True):
            drawn = {
                variable.name: variable.draw.sample(seed, variable.name)
                for variable in self.interface.variables
                if variable.draw is not None
            }
            states.append(self._default(member).updated(drawn))
        return states

    def run(
        self,
        samples: Any,
        states: Sequence[State] | None = None,
        *,
        learn: bool | Iterable[str] = False,
        seeds: int | Sequence[int] | None = None,
        epoch: int = 0,
        first_sample: int = 0,
        horizon: int | None = None,
        chunk_size: int | None = None,
        memory_limit: int | None = None,
        progress: bool | Callable[[int, int | None], None] = True,
    ) -> list[tuple[Recording, State]]:
        """Show the same samples, in the same order, to every member.

        Parameters
        ----------
        samples, learn, epoch, first_sample, horizon, chunk_size, progress
            As in :meth:`biosnn.simulation.Runnable.run`.
        states : sequence of State, optional
            State of each member to start from; default: the initial ones for ``seeds``.
        seeds : int or sequence of int, optional
            Seeds of the counter-based draws, one per member or one for all; default: 0, 1, 2, ...
        memory_limit : int, optional
            Bytes of memory that all recordings may take; default: a quarter of all memory.

        Returns
        -------
        list of (Recording, State)
            What was observed in each member, and its state after the last sample. With
            ``math="strict"`` they are, to the bit, those of ``members[k]`` run alone with its seed
            and state. ``seconds`` is the time that all took together.

        Raises
        ------
        DataError
            If samples or states have the wrong shape, values or number.
        ParameterError
            If another argument is out of its range, or the recordings do not fit.
        DeviceError
            If the run fails or a member's state variable becomes NaN or infinite.
        Interrupted
            If Ctrl-C or SIGTERM stopped it. Nothing is kept.
        """
        check_whole("run", "epoch", epoch, 0, LARGEST)
        return self._execute(
            samples,
            states,
            learn=learn,
            seeds=seeds,
            epochs=1,
            first_epoch=epoch,
            first_sample=first_sample,
            horizon=horizon,
            chunk_size=chunk_size,
            memory_limit=memory_limit,
            progress=progress,
        )

    def fit(
        self,
        samples: Any,
        states: Sequence[State] | None = None,
        *,
        epochs: int = 1,
        learn: bool | Iterable[str] = True,
        seeds: int | Sequence[int] | None = None,
        first_epoch: int = 0,
        horizon: int | None = None,
        chunk_size: int | None = None,
        memory_limit: int | None = None,
        progress: bool | Callable[[int, int | None], None] = True,
    ) -> list[tuple[Recording, State]]:
        """Let every member learn from the same samples, several times over.

        Parameters
        ----------
        samples, states, learn, seeds, horizon, chunk_size, memory_limit, progress
            As in :meth:`run`; plasticity is on. An iterable must begin anew for each epoch.
        epochs : int
            How often all samples are shown.
        first_epoch : int
            Number of the first of them in the key of the counter-based draws.

        Returns
        -------
        list of (Recording, State)
            As :meth:`run`.

        Raises
        ------
        DataError, ParameterError, DeviceError, Interrupted
            As :meth:`run`.
        """
        check_whole("fit", "epochs", epochs, 1, LARGEST)
        check_whole("fit", "first_epoch", first_epoch, 0, LARGEST)
        if epochs > 1 and isinstance(samples, Iterator):
            wanted = "an array or an iterable that begins anew each time, for more than one epoch"
            raise ParameterError("fit", "samples", "an iterator", wanted)
        return self._execute(
            samples,
            states,
            learn=learn,
            seeds=seeds,
            epochs=epochs,
            first_epoch=first_epoch,
            first_sample=0,
            horizon=horizon,
            chunk_size=chunk_size,
            memory_limit=memory_limit,
            progress=progress,
        )

    def _seeds(self, seeds: int | Sequence[int] | None) -> tuple[int, ...]:
        if seeds is None:
            return tuple(range(self.n))
        if not isinstance(seeds, Iterable):
            check_whole("ensemble", "seeds", seeds, 0, LARGEST)
            return (int(seeds),) * self.n
        found = tuple(seeds)
        if len(found) != self.n:
            raise ParameterError("ensemble", "seeds", f"{len(found)} seeds", f"{self.n}, or one")
        for k, seed in enumerate(found):
            check_whole("ensemble", f"seeds[{k}]", seed, 0, LARGEST)
        return tuple(int(seed) for seed in found)

    def _starts(self, states: Sequence[State] | None, seeds: tuple[int, ...]) -> list[State]:
        if states is None:
            return self.initial_states(seeds)
        if isinstance(states, State) or len(states) != self.n:
            got = "one state" if isinstance(states, State) else f"{len(states)} states"
            raise DataError(f"run: states must be a list of {self.n}, one per member, got {got}")
        for state in states:
            checked_state(self._made.defaults, state)
        return list(states)

    def _execute(
        self,
        samples: Any,
        states: Sequence[State] | None,
        *,
        learn: bool | Iterable[str],
        seeds: int | Sequence[int] | None,
        epochs: int,
        first_epoch: int,
        first_sample: int,
        horizon: int | None,
        chunk_size: int | None,
        memory_limit: int | None,
        progress: bool | Callable[[int, int | None], None],
    ) -> list[tuple[Recording, State]]:
        check_whole("run", "first_sample", first_sample, 0, LARGEST)
        for name, value in (("horizon", horizon), ("chunk_size", chunk_size)):
            if value is not None:
                check_whole("run", name, value, 1, LARGEST)
        if memory_limit is not None:
            check_whole("run", "memory_limit", memory_limit, 1, 2**62)
        limit = memory_limit or default_limit()
        source = source_of(self.interface, samples)
        if isinstance(source, ArraySource):
            source.check()
            check_whole("run", "first_sample", first_sample, 0, LARGEST - source.n + 1)
        learning = learning_of(self.interface, learn)
        keys = self._seeds(seeds)
        starts = self._starts(states, keys)
        total = None if source.n is None else source.n * epochs
        if horizon is None and total is None and learning and self.interface.scheduled:
            remedy = "Say how many samples the schedules run over"
            raise ParameterError(
                "run", "horizon", None, "given where a stream of samples is learned", remedy
            )
        horizons = tuple(horizon or max(s.samples_seen + (total or 0), 1) for s in starts)
        sinks = [MemorySink(self.interface, total, limit // self.n) for _ in starts]
        rows = chunk_size or self._rows(source.sample_bytes, limit)
        position = 0
        with (
            tempfile.TemporaryDirectory(prefix="biosnn-run-") as work,
            self._made.ensemble(starts, Path(work)) as session,
            ProgressBar(total, progress) as bar,
            SafePoint(bar.note) as stop,
        ):
            for epoch in range(first_epoch, first_epoch + epochs):
                cursor, offset = source.begin(0, {}), 0
                while (chunk := cursor.take(rows, stop)) is not None:
                    settings = Settings(
                        seed=keys,
                        epoch=epoch,
                        first_sample=first_sample + offset,
                        position=position,
                        horizon=horizons,
                        learning=learning,
                        recorder_limit=sum(sink.room for sink in sinks),
                    )
                    report = _reporter(bar, position)
                    parts = self._shown(session.run_all, chunk, settings, report, stop, limit)
                    if stop.requested:
                        raise Interrupted("stopped; an ensemble keeps nothing", stop.signal)
                    for sink, part in zip(sinks, parts, strict=True):
                        sink.append(part)
                    offset += chunk.n
                    position += chunk.n
                if offset == 0:
                    raise DataError("run: samples must not be empty, got a stream without any")
            ends = session.states()
        return [(sink.finish(), end) for sink, end in zip(sinks, ends, strict=True)]

    def _rows(self, sample_bytes: int, limit: int) -> int:
        """Samples per chunk."""
        recorded = self.interface.bounded_bytes(0, 1) * self.n
        rows = max(min(_CHUNK_BYTES, limit // 2) // max(sample_bytes, recorded, 1), 1)
        return rows if self._made.longest_chunk is None else min(rows, self._made.longest_chunk)

    def _shown(
        self,
        run_all: Callable[[Chunk, Settings, Report, Stop], tuple[int, list[Recording]]],
        chunk: Chunk,
        settings: Settings,
        report: Report,
        stop: Stop,
        limit: int,
    ) -> list[Recording]:
        try:
            return run_all(chunk, settings, report, stop)[1]
        except NotFiniteError as error:
            raise DeviceError(
                f"state variable {error.name!r} of member {error.replica} became NaN or infinite "
                f"at index {error.index} in sample {settings.position + error.sample} of the run: "
                "lower the learning rate or the time step, or check the equations"
            ) from None
        except TooMuchRecordedError:
            raise too_much("spikes that need more", limit) from None


def _reporter(bar: ProgressBar, position: int) -> Report:
    return lambda done, presentations, spikes: bar.update(position + done)
