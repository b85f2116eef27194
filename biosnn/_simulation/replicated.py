"""Many samples at once, on copies of a network that share its weights.

Copy ``r`` of ``R`` shows the samples ``r``, ``r + R``, ... of a chunk, all from the state before
the chunk. That is the same as one after the other only if no sample leaves anything behind that a
later one notices, so it is checked with every chunk: its last samples, one per copy, are shown
once more from the state in which the chunk ended. If the recording and the state afterwards are the
same to the bit, what came before them does not matter.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from biosnn._simulation.independence import Outcome, check_same
from biosnn._simulation.inputs import cut
from biosnn.devices.contract import (
    Chunk,
    Device,
    NotFiniteError,
    Report,
    Session,
    Settings,
    Stop,
)
from biosnn.recording import Recording, Spikes
from biosnn.state import State

#: Samples per copy, in a chunk that is over before two samples would have been compared.
_SHORT = 16


class Replicated:
    """A network with copies that share its weights; each chunk is checked.

    Parameters
    ----------
    made : Device
        The network on its device.
    """

    def __init__(self, made: Device):
        self._made = made
        self.interface, self.defaults = made.interface, made.defaults
        self.build_seconds, self.longest_chunk = made.build_seconds, made.longest_chunk

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[_Checked]:
        """Begin a run (see :class:`biosnn.devices.contract.Device`)."""
        work = folder / "run"
        work.mkdir()
        with self._made.session(state, work) as session:
            yield _Checked(self._made, session, folder)


class _Checked:
    """A run whose chunks are checked."""

    def __init__(self, made: Device, session: Session, folder: Path):
        self._made, self._session, self._folder = made, session, folder
        self._n = made.interface.replicas
        self._begun = False

    def state(self) -> State:
        """See :class:`biosnn.devices.contract.Session`."""
        return self._session.state()

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """See :class:`biosnn.devices.contract.Session`; it shows the whole chunk or nothing.

        Raises
        ------
        ParameterError
            If samples depend on those before them.
        """
        if not self._begun and chunk.n > _SHORT * self._n:
            self._check_two(chunk, settings, stop)  # most networks that depend are found at once
            self._begun = True
        done, part = self._session.run_chunk(chunk, settings, report, stop)
        if part is not None and chunk.n > 1:
            self._check_last(chunk, settings, part, stop)
        return done, part

    def _check_two(self, chunk: Chunk, settings: Settings, stop: Stop) -> None:
        start = self.state()
        first = self._show(chunk, 0, 1, start, settings, stop)
        if first is None:
            return
        self._compare(
            self._show(chunk, 1, 2, first[1], settings, stop),
            self._show(chunk, 1, 2, start, settings, stop),
        )

    def _check_last(self, chunk: Chunk, settings: Settings, part: Recording, stop: Stop) -> None:
        end = self.state()
        first = (chunk.n - 1) // self._n * self._n
        again = self._show(chunk, first, chunk.n, end, settings, stop)
        self._compare(again, (_from(part, first), end))

    def _compare(self, one: Outcome | None, other: Outcome | None) -> None:
        if one is not None and other is not None:
            check_same(self._made.interface, one, other, "n_parallel", self._n)

    def _show(
        self, chunk: Chunk, first: int, last: int, state: State, settings: Settings, stop: Stop
    ) -> Outcome | None:
        """Show some samples of a chunk from a state; nothing if a stop was asked for."""
        part = cut(chunk, first, last)
        keyed = attrs.evolve(settings, first_sample=settings.first_sample + first)
        with (
            tempfile.TemporaryDirectory(dir=self._folder) as work,
            self._made.session(state, Path(work)) as session,
        ):
            try:
                _, found = session.run_chunk(part, keyed, lambda *_: None, stop)
            except NotFiniteError as error:
                error.sample += first
                raise
            return None if found is None else (found, session.state())


def _from(part: Recording, first: int) -> Recording:
    """A recording from one of its samples on."""

    def late(spikes: Spikes) -> Spikes:
        kept = spikes.sample >= first
        return Spikes(
            spikes.i[kept], spikes.t[kept], spikes.sample[kept] - first, spikes.attempt[kept]
        )

    return Recording(
        per_sample={name: rows[first:] for name, rows in part.per_sample.items()},
        shown=part.shown[first:],
        spikes={key: late(spikes) for key, spikes in part.spikes.items()},
        traces={},
        snapshots={},
        seconds=part.seconds,
    )
