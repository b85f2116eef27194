"""Replaying a bundle: what was run elsewhere is returned, and what comes later is run here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from biosnn.devices.base.artifact import Artifact, read_states
from biosnn.devices.base.chunk_files import read_recordings
from biosnn.devices.base.contract import Chunk, Device, Report, Settings, Stop
from biosnn.errors import StorageError
from biosnn.files import inside
from biosnn.recording import Recording
from biosnn.simulation.inputs import ArraySource, StreamSource
from biosnn.simulation.jobs import bundle as bundles
from biosnn.simulation.jobs.bundle import (
    Bundle,
    activated,
    chunk_folder,
    chunk_settings,
    digest_name,
    settings_file,
)
from biosnn.simulation.run_loop import Course, Order
from biosnn.simulation.runnable import Runnable
from biosnn.state import State

if TYPE_CHECKING:
    from biosnn.networks import NetworkModel
    from biosnn.program.recorders import Record


class BundleReplay:
    """The results of a bundle, in the order in which its runs were asked for.

    Parameters
    ----------
    bundle : Bundle
        With results that were checked.
    rest : str
        The device here for whatever is run after them.
    """

    def __init__(self, bundle: Bundle, rest: str):
        self.bundle, self.device, self.rest = bundle, bundle.device, rest
        self._next = 0

    @contextlib.contextmanager
    def replaying(self) -> Iterator[None]:
        """Answer the runs that are asked for meanwhile."""
        with activated(self):
            yield

    @property
    def n_left(self) -> int:
        """Runs whose results were not asked for."""
        return len(self.bundle.manifest["runs"]) - self._next

    def beyond(self) -> str:
        """See :class:`biosnn.simulation.jobs.bundle.Active`: it is run here."""
        return self.rest

    def note(self) -> dict[str, Any]:
        """See :class:`biosnn.simulation.jobs.bundle.Active`."""
        return {
            "id": self.bundle.manifest["bundle"],
            "device": self.device,
            "arch": self.bundle.manifest["arch"],
            "machines": self.bundle.machines(),
            "n_runs": self._next,
            "rest_on": self.rest,
        }

    def compile(
        self,
        network: NetworkModel,
        record: Record,
        precision: str,
        math: str,
        made: Callable[[str], Device],
    ) -> Runnable:
        """See :class:`biosnn.simulation.jobs.bundle.Active`."""
        if self.n_left:
            key = bundles.network_key(network, record, precision, math)
            known = [entry["key"] for entry in self.bundle.manifest["networks"]]
            if key not in known:
                raise self.differs(f"its network {network.name!r} is not in the bundle")
            return _Replayed(self, known.index(key), network, made)
        return Runnable(made(self.rest), self.rest, lambda: network)

    def take(self, network: int) -> int:
        """The number of the next run, which is one of this network."""
        run = self.bundle.manifest["runs"][self._next]
        if run["network"] != network:
            raise self.differs(f"run {self._next} is of another network")
        self._next += 1
        return self._next - 1

    def differs(self, what: str) -> StorageError:
        """The error of an experiment that is not the recorded one."""
        return StorageError(
            f"the experiment is not the one that {self.bundle.folder} was built from: {what}; "
            "collect with the same script, data and flags, or build the bundle anew"
        )


class _Replayed(Runnable):
    """A network whose first runs are in a bundle."""

    def __init__(
        self,
        replay: BundleReplay,
        number: int,
        network: NetworkModel,
        made: Callable[[str], Device],
    ):
        self._artifact = replay.bundle.artifact(number)
        super().__init__(_Network(replay, self._artifact, 0), replay.device, lambda: network)
        self._replay, self._number, self._build = replay, number, made

    def _perform(
        self,
        source: ArraySource | StreamSource,
        start: State,
        order: Order,
        n_jobs: int,
        folder: Path | None,
        resume: bool,
        progress: bool | Callable[[int, int | None], None],
    ) -> tuple[Recording, State]:
        if self._replay.n_left:
            made = _Network(self._replay, self._artifact, self._replay.take(self._number))
            return Course(made, source, start, order, progress).run(folder, resume)
        if isinstance(self._made, _Network):
            self._made, self.device = self._build(self._replay.rest), self._replay.rest
        return super()._perform(source, start, order, n_jobs, folder, resume, progress)


class _Network:
    """A network as a device that knows the results of a run."""

    build_seconds = 0.0

    def __init__(self, replay: BundleReplay, artifact: Artifact, run: int):
        self._replay, self._artifact, self._run = replay, artifact, run
        self.longest_chunk = replay.bundle.manifest["longest_chunk"]
        self.interface, self.defaults = artifact.interface, artifact.defaults()

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[_Session]:
        """See :class:`biosnn.devices.base.contract.Device`."""
        yield _Session(self._replay, self._artifact, self._run, state)


class _Session:
    def __init__(self, replay: BundleReplay, artifact: Artifact, run: int, state: State):
        self._replay, self._artifact, self._run = replay, artifact, run
        self._folder = replay.bundle.folder
        self._chunks = replay.bundle.manifest["runs"][run]["chunks"]
        self._state = state

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """Read what the other machine has left."""
        at = [known["position"] for known in self._chunks]
        if settings.position not in at:
            raise self._replay.differs(f"run {self._run} is cut into other chunks")
        number = at.index(settings.position)
        known = self._chunks[number]
        expected = inside(self._folder, settings_file(self._run, number)).read_text().splitlines()
        got = chunk_settings(
            self._replay.bundle.manifest["bundle"],
            chunk,
            settings,
            self._artifact.manifest["plastic"],
            known["state_in"],
            lambda _, data: digest_name(memoryview(data).cast("B") if data.size else b""),
        ).splitlines()
        different = [line for line in got if line not in expected]
        if different or len(got) != len(expected):
            name = (different or expected)[0].split()[0]
            raise self._replay.differs(f"run {self._run}, sample {settings.position}: {name}")
        begins = inside(self._folder, known["state_in"])
        before = read_states(begins, self._artifact.interface)[0]
        if before.checksum() != self._as_stored().checksum():
            raise self._replay.differs(f"run {self._run} starts from another state")
        out = inside(self._folder, chunk_folder(self._run, number))
        done, seconds = bundles.finished(out)
        self._state = read_states(out / "state", self._artifact.interface)[0]
        face = self._artifact.interface
        (recording,) = read_recordings(out, face, 1, done, settings.position)
        shown = int(recording.shown.sum())
        report(done, shown, 0)
        return done, attrs.evolve(recording, seconds=seconds)

    def _as_stored(self) -> State:
        """The present state in the types of its file."""
        face = self._artifact.interface
        arrays = {v.name: np.asarray(self._state[v.name], dtype=v.dtype) for v in face.variables}
        return State(arrays, face.shapes, face.units)

    def state(self) -> State:
        """See :class:`biosnn.devices.base.contract.Session`."""
        return self._state
