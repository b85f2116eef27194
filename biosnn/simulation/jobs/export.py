"""Writing a job: the run loop over a session that writes chunks down instead of running them."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from biosnn.devices.base.artifact import (
    BINARY,
    MANIFEST,
    Artifact,
    digest_of,
    export,
    new_folder,
    sha256_of,
    write_states,
)
from biosnn.devices.base.chunk_files import Places, settings_lines
from biosnn.devices.base.contract import Chunk, Report, Settings, Stop
from biosnn.errors import ParameterError
from biosnn.simulation.inputs import ArraySource
from biosnn.simulation.jobs import job as jobs
from biosnn.simulation.jobs.job import Job
from biosnn.simulation.jobs.targets import target_of
from biosnn.simulation.run_loop.chunks import Position, Run, shown_chunks
from biosnn.simulation.run_loop.run import check_samples, identity_of
from biosnn.state import State
from biosnn.version import __version__

_SUMS, _PLAN = "checksums", "chunks/plan"
_JOB = ".."  # as the binary sees it from the network's folder


def export_job(
    run: Run, network: Artifact, folder: Path, about: Mapping[str, Any], compiled: bool
) -> Job:
    """Write a run as a job.

    Parameters
    ----------
    run : Run
        What is shown.
    network : Artifact
        With or without its binary.
    folder : Path
        Does not exist yet.
    about : mapping
        JSON data for the manifest: ``experiment`` and ``flags``.
    compiled : bool
        Whether the binary is made here.

    Raises
    ------
    ParameterError
        If the samples come from a stream.
    DataError, DeviceError, StorageError
        As :meth:`biosnn.simulation.Runnable.export_job`.
    """
    if not isinstance(run.source, ArraySource):
        remedy = "Put them into an array, which may be memory-mapped"
        raise ParameterError("export_job", "samples", "a stream", "arrays", remedy)
    check_samples(run)
    with new_folder(folder) as part:
        for name in ("inputs", "chunks"):
            (part / name).mkdir()
        export(network, part / jobs.NETWORK)
        if compiled:
            target_of(network.manifest["device"]).compile(part / jobs.NETWORK)
        session = _WritingSession(part, network, run.start)
        for _ in shown_chunks(run, session, _Unlimited(), Stop(), lambda *_: None, at=Position()):
            pass
        _finish(part, network, identity_of(run), dict(about), session)
    return jobs.open_job(folder)


class _Unlimited:
    """The disk of whoever runs a job is the limit of its recordings."""

    room = 2**62
    on_disk = True


class _WritingSession:
    """Writes down chunks as the files that the binary reads."""

    def __init__(self, folder: Path, network: Artifact, start: State):
        self._folder, self._network, self._start = folder, network, start
        self.identifier = uuid4().hex
        self.chunks: list[dict[str, Any]] = []
        path = folder / "inputs" / "state"
        write_states(path, network.interface, [start])
        self._before = f"inputs/{sha256_of(path)[:32]}"
        path.replace(folder / self._before)

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, None]:
        """Write it down."""
        number = len(self.chunks)
        places = Places(
            state_in=f"{_JOB}/{self._before}",
            state_out=f"{_JOB}/{jobs.WORK}/state",
            out=f"{_JOB}/{jobs.WORK}",
            parent=0,
            put=self._put,
            seeds=self._network.manifest.get("seeds", False),
        )
        lines = settings_lines(chunk, settings, self._network.manifest["plastic"], places)
        file = self._folder / jobs.settings_file(number)
        file.write_text("\n".join([f"job {self.identifier}", *lines]) + "\n")
        face = self._network.interface
        results = sum(variable.bytes for variable in face.variables)
        results += face.bounded_bytes(settings.position, chunk.n) + face.traced_bytes(chunk.n)
        self.chunks.append(
            {
                "n": chunk.n,
                "position": settings.position,
                "sha256": sha256_of(file),
                "bytes": results,
            }
        )
        self._before = f"{jobs.chunk_folder(number)}/state"
        return chunk.n, None

    def _put(self, _: str, data: np.ndarray) -> str:
        """Keep an array, once; its file."""
        content = memoryview(data).cast("B") if data.size else b""
        name = f"inputs/{hashlib.sha256(content).hexdigest()[:32]}"
        if not (self._folder / name).exists():
            data.tofile(self._folder / name)
        return f"{_JOB}/{name}"

    def state(self) -> State:
        """The start: nothing was computed."""
        return self._start


def _finish(
    part: Path,
    network: Artifact,
    identity: dict[str, Any],
    about: dict[str, Any],
    session: _WritingSession,
) -> None:
    """Write the plan, the manifest, checksums, and the texts that people may change."""
    chunks = session.chunks
    plan = [f"{k:04d} {chunk['n']} {chunk['bytes'] // 1024 + 1}" for k, chunk in enumerate(chunks)]
    (part / _PLAN).write_text("\n".join(plan) + "\n")
    flags = network.manifest["flags"]
    march = [flag.removeprefix("-march=") for flag in flags if flag.startswith("-march=")]
    manifest = {
        "job_format": jobs.FORMAT,
        "job": session.identifier,
        "about": about,
        "device": network.manifest["device"],
        "arch": network.manifest.get("architecture") or (march[0] if march else None),
        "versions": network.manifest["versions"] | {"biosnn": __version__},
        "identity": identity,
        "chunks": chunks,
    }
    manifest = json.loads(json.dumps(manifest))
    manifest["sha256"] = digest_of(manifest)
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    files = [
        path
        for path in sorted(part.rglob("*"))
        if path.is_file() and path.name != BINARY  # may be removed and compiled again
    ]
    sums = [f"{sha256_of(path)}  {path.relative_to(part)}" for path in files]
    (part / _SUMS).write_text("\n".join(sums) + "\n")
    _write_texts(part, network, manifest)


def _write_texts(part: Path, network: Artifact, manifest: Mapping[str, Any]) -> None:
    """The script, the job of SLURM and the description."""
    target, chunks = target_of(manifest["device"]), manifest["chunks"]
    state = sum(variable.bytes for variable in network.interface.variables)
    results = sum(chunk["bytes"] for chunk in chunks)
    words = {
        "EXPERIMENT": manifest["about"]["experiment"],
        "FLAGS": shlex.join(manifest["about"]["flags"]) or "none",
        "DEVICE": manifest["device"],
        "ARCH": manifest["arch"] or "any",
        "NEEDS": target.needs,
        "MODULE": target.module,
        "COMPILING": target.compiling,
        "RESULTS": f"{max(results // 2**20, 1)} MiB",
        "GIB": str(target.memory + (3 * state + 2**29) // 2**30),
        "SLURM": "".join(f"#SBATCH {line}\n" for line in target.slurm),
        "BIOSNN": __version__,
        "BRIAN2": manifest["versions"]["brian2"],
        "CHUNKS": str(len(chunks)),
        "SAMPLES": str(sum(chunk["n"] for chunk in chunks)),
    }
    for name in ("run.sh", "job.slurm", "README.md"):
        text = (resources.files("biosnn.simulation") / "jobs" / "templates" / name).read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        (part / name).write_text(text)
    (part / "run.sh").chmod(0o755)
