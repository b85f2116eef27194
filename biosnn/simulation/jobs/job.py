"""A job on disk: a run that another machine works through, and what it has left.

A job holds the network (``network``: sources, makefile, state), the settings of every chunk
(``chunks/0000.settings``), inputs named by their SHA-256, and a shell script that leaves one folder
per finished chunk in ``results``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from biosnn.devices.base.artifact import (
    MANIFEST,
    UNREADABLE,
    Artifact,
    open_sources,
    read_manifest,
    read_states,
    sha256_of,
)
from biosnn.devices.base.chunk_files import read_recordings
from biosnn.errors import StorageError
from biosnn.files import inside, short
from biosnn.recording import Recording
from biosnn.simulation.provenance import with_origin_of_job
from biosnn.simulation.run_loop.options import RunOptions
from biosnn.simulation.run_loop.recorders import MemoryRecorder, layout
from biosnn.state import State
from biosnn.version import __version__

FORMAT = 2
RESULTS, NETWORK, WORK = "results", "network", "results/work"


def chunk_folder(chunk: int) -> str:
    """Where the results of a chunk are."""
    return f"{RESULTS}/chunk-{chunk:04d}"


def settings_file(chunk: int) -> str:
    """Where the settings of a chunk are."""
    return f"chunks/{chunk:04d}.settings"


@attrs.frozen(kw_only=True)
class Job:
    """A job on disk, read and verified.

    Parameters
    ----------
    folder : Path
        Where it is.
    manifest : dict
        ``job`` (its identifier), ``about`` (what its maker wrote into it), ``device``, ``arch``,
        ``versions``, ``identity`` (what decides the result of the run) and ``chunks`` with ``n``,
        ``position``, ``bytes`` and the ``sha256`` of the settings.
    network : Artifact
        The network.
    """

    folder: Path
    manifest: dict[str, Any]
    network: Artifact

    @property
    def device(self) -> str:
        """The device that it is for."""
        return self.manifest["device"]

    @property
    def about(self) -> dict[str, Any]:
        """What its maker wrote into it."""
        return self.manifest["about"]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """What is known of each chunk."""
        return self.manifest["chunks"]

    @property
    def n_samples(self) -> int:
        """Samples in all chunks."""
        return sum(chunk["n"] for chunk in self.chunks)

    @property
    def result_bytes(self) -> int:
        """Bytes that the results will have, without recorded spikes."""
        return sum(chunk["bytes"] for chunk in self.chunks)

    def machines(self) -> list[str]:
        """What is known of the machines that ran it."""
        path = inside(self.folder, f"{RESULTS}/machines")
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def recordings(self) -> Iterator[Recording]:
        """What was observed in one chunk after the other."""
        for k, chunk in enumerate(self.chunks):
            out = inside(self.folder, chunk_folder(k))
            face = self.network.interface
            (recording,) = read_recordings(out, face, 1, chunk["n"], chunk["position"])
            yield attrs.evolve(recording, seconds=_finished(out)[1])

    def state(self) -> State:
        """The state after the last sample."""
        last = inside(self.folder, chunk_folder(len(self.chunks) - 1))
        return read_states(last / "state", self.network.interface)[0]

    def check_results(self) -> None:
        """Check that all results are there and are what this job asked for.

        Raises
        ------
        StorageError
            Naming the chunks that are missing, or the file that is damaged or foreign.
        """
        missing = [
            f"chunk-{k:04d}"
            for k in range(len(self.chunks))
            if not inside(self.folder, chunk_folder(k)).is_dir()
        ]
        if len(missing) == len(self.chunks):
            raise StorageError(
                f"{self.folder} has no results yet: run it (./run.sh, or sbatch job.slurm), and "
                "copy its folder results/ back"
            )
        if missing:
            raise StorageError(
                f"{self.folder} lacks the results of {len(missing)} of {len(self.chunks)} chunks "
                f"({_listed(missing)}): submit the job again, it goes on after the last finished "
                "chunk; or copy the whole folder results/ back"
            )
        for k, chunk in enumerate(self.chunks):
            self._check_chunk(self.folder / chunk_folder(k), chunk)

    def _check_chunk(self, folder: Path, known: dict[str, Any]) -> None:
        damaged = f"{folder} is damaged: %s; copy it again, or remove it and run the job again"
        face = self.network.interface
        try:
            if sha256_of(inside(folder, "settings")) != known["sha256"]:
                raise StorageError(
                    f"{folder} belongs to another job, or its settings are damaged: copy the "
                    "results of this one, or remove it and run the job again"
                )
            sums = _sums(inside(folder, "checksums"))
            names = {*layout(face), "settings", "state", "finished"}
            for key in face.spikes:  # as the binary names what the layout calls t
                names = names - {f"spikes.{key}.t"} | {f"spikes.{key}.t_sample"}
            for name in sorted(names | set(sums)):
                path = inside(folder, name)
                if name not in sums or not path.is_file():
                    raise StorageError(damaged % f"{name} is missing")
                if sha256_of(path) != sums[name]:
                    raise StorageError(damaged % f"{name} does not match its SHA-256")
            if _finished(folder)[0] != known["n"]:
                raise StorageError(damaged % f"it does not hold its {known['n']} samples")
        except (OSError, IndexError, ValueError) as error:
            raise StorageError(damaged % error) from error
        sizes = {"state": sum(variable.bytes for variable in face.variables)}
        sizes |= {name: known["n"] * column.bytes for name, column in face.per_sample.items()}
        for name, size in sizes.items():
            if (folder / name).stat().st_size != size:
                raise StorageError(damaged % f"{name} does not have {size} bytes")


def open_job(folder: str | os.PathLike[str]) -> Job:
    """Read and verify a job, without its results.

    Raises
    ------
    StorageError
        If it is none, is damaged, or was made by another version of biosnn.
    """
    folder = Path(folder).absolute()
    again = "export it anew"
    wrote = "`biosnn build` or Runnable.export_job()"
    manifest = read_manifest(folder, "job_format", FORMAT, "a job", wrote, again)
    try:
        built = short(manifest["versions"]["biosnn"]).strip("'")
        if built != __version__:
            raise StorageError(
                f"{folder} was written by biosnn {built}, this is {__version__}: collect it "
                f"with that version, or {again}"
            )
        _check(manifest)
    except UNREADABLE as error:
        raise StorageError(
            f"{folder} is damaged: {MANIFEST} cannot be understood ({error}); copy it again, or "
            f"{again}"
        ) from error
    return Job(folder=folder, manifest=manifest, network=open_sources(inside(folder, NETWORK)))


def collect_job(
    folder: str | os.PathLike[str], *, memory_limit: int | None = None
) -> tuple[Recording, State]:
    """Check and read the results of a job that :meth:`Runnable.export_job` wrote.

    Parameters
    ----------
    folder : path-like
        The job, with its results.
    memory_limit : int, optional
        Bytes of memory that the recording may take; default: a quarter of all memory.

    Returns
    -------
    Recording, State
        What the run would have returned here.

    Raises
    ------
    StorageError
        If it is no job, or its results are incomplete, damaged or foreign.
    ParameterError
        If the recording does not fit.
    """
    job = open_job(folder)
    job.check_results()
    limit = RunOptions(memory_limit=memory_limit).memory
    recorder = MemoryRecorder(job.network.interface, job.n_samples, limit)
    for recording in job.recordings():
        recorder.append(recording)
    return with_origin_of_job(recorder.finish(), job.manifest), job.state()


def _check(manifest: Mapping[str, Any]) -> None:
    """Check that a manifest says what :func:`export_job` can have said.

    Raises
    ------
    AttributeError, IndexError, KeyError, TypeError, ValueError
        If it does not.
    """
    texts = [manifest["job"], manifest["device"], manifest["about"]["experiment"]]
    texts += manifest["about"]["flags"]
    position = 0
    for chunk in manifest["chunks"]:
        texts.append(chunk["sha256"])
        if type(chunk["n"]) is not int or chunk["n"] < 1 or chunk["position"] != position:
            raise ValueError(f"a chunk has {short(chunk['n'])} samples")
        position += chunk["n"]
    if not position or not isinstance(manifest["identity"], dict):
        raise ValueError("it holds no run")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name is no text")


def _finished(folder: Path) -> tuple[int, float]:
    """Samples and seconds of a finished chunk, as its binary said."""
    word, samples, _, _, seconds = (folder / "finished").read_text().split()
    if word != "finished":
        raise ValueError("'finished' does not say so")
    return int(samples), float(seconds)


def _sums(path: Path) -> dict[str, str]:
    """Name -> SHA-256, from a file that ``sha256sum`` wrote."""
    found = {}
    for line in path.read_text().splitlines():
        digest, _, name = line.partition(" ")
        found[name.removeprefix(" ").removeprefix("*")] = digest
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f", and {len(names) - 6} more" if len(names) > 6 else "")
