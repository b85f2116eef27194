"""Recording a bundle: runs are written down chunk by chunk, and are not run."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from biosnn.devices.base.artifact import (
    BINARY,
    Artifact,
    digest_of,
    open_sources,
    sha256_of,
    write_states,
)
from biosnn.devices.base.contract import Chunk, Device, Report, Settings, Stop
from biosnn.errors import DeviceError, StorageError
from biosnn.recording import Recording
from biosnn.simulation.inputs import ArraySource, StreamSource
from biosnn.simulation.jobs import bundle as bundles
from biosnn.simulation.jobs.bundle import FORMAT, MANIFEST, activated, chunk_settings, digest_name
from biosnn.simulation.jobs.targets import target_of
from biosnn.simulation.run_loop import Course, Order
from biosnn.simulation.runnable import Runnable
from biosnn.state import State
from biosnn.version import __version__

if TYPE_CHECKING:
    from biosnn.networks import NetworkModel
    from biosnn.program.recorders import Record

_SUMS, _PLAN = "checksums", "runs/plan"
_KNOWN = ("run", "samples_seen", "_seen", "__class__")


class LookedError(BaseException):
    """Something of a result was needed that is not there yet: the recording ends."""


class PendingRecording(Recording):
    """Stands for what another machine will observe."""

    def __init__(self) -> None:
        """Nothing is known of it."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return object.__getattribute__(self, name)
        raise LookedError(name)


class PendingState(State):
    """Stands for a state that another machine will compute; it may be handed to a further run.

    Parameters
    ----------
    run : int
        The run at whose end it is.
    seen : int
        Number of samples learned until then, which is known beforehand.
    """

    def __init__(self, run: int, seen: int):
        self.run, self._seen = run, seen

    def __getattribute__(self, name: str) -> Any:
        if name in _KNOWN:
            return object.__getattribute__(self, name)
        raise LookedError(name)

    @property
    def samples_seen(self) -> int:
        """Number of samples learned so far."""
        return self._seen


class BundleWriter:
    """A bundle that is being written, beside its place; :meth:`finish` puts it there.

    Parameters
    ----------
    folder : Path
        Where it shall be; does not exist yet.
    device : str
        What its networks are compiled for.
    arch : str, optional
        The architecture; see :class:`biosnn.simulation.jobs.targets.Target`.
    compiled : bool
        Whether binaries are made here and go along.
    longest_chunk : int, optional
        Most samples in a chunk: what a job that ends early may lose.
    about : mapping
        JSON data that goes into the manifest: ``experiment`` and ``flags``.

    Raises
    ------
    ParameterError
        If the device or the architecture cannot be bundled.
    StorageError
        If the folder exists or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        arch: str | None,
        *,
        compiled: bool,
        longest_chunk: int | None,
        about: Mapping[str, Any],
    ):
        self._target = target_of(device)
        self._target.check_arch(arch)
        self.folder, self.device = folder.absolute(), device
        if self.folder.exists():
            raise StorageError(f"{folder} exists; choose another folder, or remove it")
        self._arch, self._compiled, self._longest = arch, compiled, longest_chunk
        self._about = dict(about)
        self._part = self.folder.with_name(f".{self.folder.name}.{uuid4().hex}.part")
        self._identifier = uuid4().hex
        self._artifacts: list[Artifact] = []
        self.networks: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Write down the runs that are asked for meanwhile; leave at the first look at a result.

        Raises
        ------
        StorageError
            If something cannot be written.
        """
        with self._writing():
            for name in ("networks", "inputs", "runs"):
                (self._part / name).mkdir(parents=True)
        with contextlib.suppress(LookedError), activated(self):
            yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.folder} cannot be written: {error.strerror or error}; free some space "
                "there, or choose a folder that you may write to"
            ) from error

    def discard(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._part, ignore_errors=True)

    def beyond(self) -> str:
        """See :class:`biosnn.simulation.jobs.bundle.Active`: the recording ends."""
        raise LookedError("a network that shows several samples, or several networks, at once")

    def note(self) -> dict[str, Any]:
        """See :class:`biosnn.simulation.jobs.bundle.Active`."""
        return {}

    def compile(
        self,
        network: NetworkModel,
        record: Record,
        precision: str,
        math: str,
        made: Callable[[str], Device],
    ) -> Runnable:
        """See :class:`biosnn.simulation.jobs.bundle.Active`."""
        from biosnn.program.lower import lower  # imports Brian2

        key = bundles.network_key(network, record, precision, math)
        known = [entry["key"] for entry in self.networks]
        number = known.index(key) if key in known else len(known)
        if number == len(known):
            folder = f"networks/{number:03d}"
            with self._writing():
                (self._part / folder).mkdir()
                self._target.write_sources(
                    lower(network, record), precision, math, self._arch, self._part / folder
                )
            self._artifacts.append(open_sources(self._part / folder))
            if self._compiled:
                self._target.compile(self._part / folder)
            self.networks.append({"folder": folder, "name": network.name, "key": key})
        return _Recorded(self, number, network)

    def network(self, number: int) -> _Network:
        """A network as a device."""
        return _Network(self, number, self._artifacts[number], self._longest)

    def _put(self, data: np.ndarray) -> str:
        """Keep an array, once; its file."""
        name = digest_name(memoryview(data).cast("B") if data.size else b"")
        if not (self._part / name).exists():
            data.tofile(self._part / name)
        return name

    def _put_state(self, artifact: Artifact, state: State) -> str:
        """Keep a state; its file."""
        path = self._part / "inputs" / "state"
        write_states(path, artifact.interface, [state])
        name = f"inputs/{sha256_of(path)[:32]}"
        path.replace(self._part / name)
        return name

    def add_chunk(self, artifact: Artifact, chunk: Chunk, settings: Settings, start: State) -> None:
        """Write down the next chunk of the present run, which began with the state ``start``."""
        with self._writing():
            self._add_chunk(artifact, chunk, settings, start)

    def _add_chunk(
        self, artifact: Artifact, chunk: Chunk, settings: Settings, start: State
    ) -> None:
        run = self.runs[-1]
        if run["chunks"]:
            state_in = self._state_after(len(self.runs) - 1)
        elif isinstance(start, PendingState):
            state_in = self._state_after(start.run)
        else:
            state_in = self._put_state(artifact, start)
        file = self._part / bundles.settings_file(len(self.runs) - 1, len(run["chunks"]))
        file.parent.mkdir(exist_ok=True)
        plastic = artifact.manifest["plastic"]
        text = chunk_settings(
            self._identifier, chunk, settings, plastic, state_in, lambda _, array: self._put(array)
        )
        file.write_text(text)
        face = artifact.interface
        state = sum(variable.bytes for variable in face.variables)
        results = (
            state + face.bounded_bytes(settings.position, chunk.n) + face.traced_bytes(chunk.n)
        )
        run["chunks"].append(
            {
                "n": chunk.n,
                "position": settings.position,
                "state_in": state_in,
                "sha256": sha256_of(file),
                "bytes": results,
            }
        )

    def _state_after(self, run: int) -> str:
        """File of the state that a run will end with."""
        return f"{bundles.chunk_folder(run, len(self.runs[run]['chunks']) - 1)}/state"

    def finish(self) -> tuple[int, int]:
        """Write what is left, and put the bundle in its place.

        Returns
        -------
        int, int
            Bytes of the bundle, and those that its results will have, without recorded spikes.

        Raises
        ------
        DeviceError
            If nothing was run.
        StorageError
            If something cannot be written.
        """
        if not self.runs:
            raise DeviceError(
                f'nothing was run on the device "{self.device}" before a result was needed or the '
                "experiment ended, so there is nothing to bundle: choose an experiment (or flags) "
                "that simulates a network with biosnn.simulation"
            )
        with self._writing():
            return self._finish()

    def _finish(self) -> tuple[int, int]:
        chunks = [
            (run["network"], number, k, chunk)
            for number, run in enumerate(self.runs)
            for k, chunk in enumerate(run["chunks"])
        ]
        plan = [
            f"{network:03d} {run:03d} {k:04d} {chunk['n']} {chunk['bytes'] // 1024 + 1}"
            for network, run, k, chunk in chunks
        ]
        (self._part / _PLAN).write_text("\n".join(plan) + "\n")
        manifest = {
            "bundle_format": FORMAT,
            "bundle": self._identifier,
            "about": self._about,
            "device": self.device,
            "arch": self._arch,
            "versions": self._artifacts[0].manifest["versions"] | {"biosnn": __version__},
            "longest_chunk": self._longest,
            "networks": self.networks,
            "runs": self.runs,
        }
        manifest = json.loads(json.dumps(manifest))
        manifest["sha256"] = digest_of(manifest)
        (self._part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        files = [
            path
            for path in sorted(self._part.rglob("*"))
            if path.is_file() and path.name != BINARY  # may be removed and compiled again
        ]
        sums = [f"{sha256_of(path)}  {path.relative_to(self._part)}" for path in files]
        (self._part / _SUMS).write_text("\n".join(sums) + "\n")
        results = sum(chunk["bytes"] for *_, chunk in chunks)
        self._write_texts(results)
        bundle = sum(path.stat().st_size for path in self._part.rglob("*") if path.is_file())
        self._part.rename(self.folder)
        return bundle, results

    def _write_texts(self, results: int) -> None:
        """The script, the job and the description, which people may change."""
        most = max(sum(v.bytes for v in a.interface.variables) for a in self._artifacts)
        words = {
            "EXPERIMENT": self._about["experiment"],
            "FLAGS": shlex.join(self._about["flags"]) or "none",
            "DEVICE": self.device,
            "ARCH": self._arch or "any",
            "NEEDS": self._target.needs,
            "MODULE": self._target.module,
            "COMPILING": self._target.compiling,
            "RESULTS": f"{max(results // 2**20, 1)} MiB",
            "GIB": str(self._target.memory + (3 * most + 2**29) // 2**30),
            "SLURM": "".join(f"#SBATCH {line}\n" for line in self._target.slurm),
            "BIOSNN": __version__,
            "BRIAN2": self._artifacts[0].manifest["versions"]["brian2"],
            "RUNS": str(len(self.runs)),
            "CHUNKS": str(sum(len(run["chunks"]) for run in self.runs)),
            "SAMPLES": str(sum(chunk["n"] for run in self.runs for chunk in run["chunks"])),
        }
        for name in ("run.sh", "job.slurm", "README.md"):
            text = (resources.files("biosnn.simulation") / "jobs" / "templates" / name).read_text()
            for word, value in words.items():
                text = text.replace(f"@{word}@", value)
            (self._part / name).write_text(text)
        (self._part / "run.sh").chmod(0o755)


class _Recorded(Runnable):
    """A network whose runs are written down."""

    def __init__(self, writer: BundleWriter, number: int, network: NetworkModel):
        super().__init__(writer.network(number), writer.device, lambda: network)
        self._writer, self._number = writer, number

    def _start(self, state: State | None, seed: int) -> State:
        if not isinstance(state, PendingState):
            return super()._start(state, seed)
        before = self._writer.network(self._writer.runs[state.run]["network"]).interface
        if before.variables != self.interface.variables:
            raise LookedError("another network's state")
        return state

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
        self._writer.runs.append({"network": self._number, "chunks": []})
        seen = start.samples_seen
        Course(self._made, source, start, order, progress).hand_on()
        run = self._writer.runs[-1]
        if order.learning:
            seen += sum(chunk["n"] for chunk in run["chunks"])
        return PendingRecording(), PendingState(len(self._writer.runs) - 1, seen)


class _Network:
    """A network as a device that runs nothing."""

    build_seconds = 0.0

    def __init__(
        self, writer: BundleWriter, number: int, artifact: Artifact, longest_chunk: int | None
    ):
        self._writer, self._artifact = writer, artifact
        self.number, self.longest_chunk = number, longest_chunk
        self.interface, self.defaults = artifact.interface, artifact.defaults()

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[_Session]:
        """See :class:`biosnn.devices.base.contract.Device`."""
        yield _Session(self._writer, self._artifact, state)


class _Session:
    def __init__(self, writer: BundleWriter, artifact: Artifact, state: State):
        self._writer, self._artifact, self._start = writer, artifact, state

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """Write it down."""
        self._writer.add_chunk(self._artifact, chunk, settings, self._start)
        return chunk.n, None

    def state(self) -> State:
        """The start: nothing was computed."""
        return self._start
