"""``biosnn build`` and ``biosnn collect``: experiments with a run on another machine."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import typer

from biosnn import experiments, simulation
from biosnn.cli.run_script import run_script
from biosnn.devices.registry import devices
from biosnn.errors import DeviceError, StorageError
from biosnn.state import bytes_of
from biosnn.validation import check_choice


def build(
    name: str,
    flags: Sequence[str],
    *,
    device: str,
    arch: str | None,
    out: Path,
    compiled: bool,
    longest_chunk: int | None,
    after: Sequence[Path] = (),
) -> None:
    """Start an experiment, and write its first run as a job, which ends it.

    Raises
    ------
    ParameterError
        If the experiment, the device or the architecture is unknown.
    DeviceError
        If the experiment runs nothing on the device.
    StorageError
        If ``out`` exists or cannot be written, or a job of ``after`` has not come back.
    """
    script = experiments.find_script(name)
    export = {
        "folder": out,
        "arch": arch,
        "compiled": compiled,
        "longest_chunk": longest_chunk,
        "about": {"experiment": script.stem, "flags": list(flags)},
    }
    jobs = simulation.ExperimentJobs(device, _done(after), export)
    with tempfile.TemporaryDirectory(prefix="biosnn-") as scratch, jobs.active():
        try:
            run_script(script, [*flags, "--device", device, "--out", scratch])
        except simulation.JobWritten as written:
            job = written.job
        else:
            raise DeviceError(
                f'nothing was run on the device "{device}" before the experiment ended, so there '
                "is no job to write: choose an experiment (or flags) that simulates a network "
                "with biosnn.simulation"
            )
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    typer.echo(
        f"{out}: a run of {job.network.interface.name}, {job.n_samples} samples in "
        f"{len(job.chunks)} chunk(s), {bytes_of(size)}; the results will take "
        f"{bytes_of(job.result_bytes)}, besides recorded spikes. The experiment was stopped here, "
        "because it needs them; `biosnn collect` goes on with it."
    )
    typer.echo(f"Copy it to the other machine and follow {out / 'README.md'}")


def collect(
    folder: Path,
    flags: Sequence[str],
    *,
    device: str,
    out: Path | None,
    script: Path | None = None,
    after: Sequence[Path] = (),
) -> None:
    """Check a job's results, and let the experiment go on with them here.

    The job tells the experiment's name and flags, and never which file is run.

    Raises
    ------
    StorageError
        If a job or its results are incomplete, damaged or foreign, or its experiment is none
        of biosnn's and no script is given.
    """
    check_choice("biosnn collect", "--device", device, devices())
    job = simulation.open_job(folder)
    path, noted = experiments.noted_command(
        folder, job.about["experiment"], job.about["flags"], script
    )
    jobs = simulation.ExperimentJobs(job.device, _done([*after, folder]), rest=device)
    target = [] if out is None else ["--out", str(out)]
    with jobs.active():
        run_script(path, [*noted, *flags, "--device", job.device, *target])
    if jobs.left:
        raise StorageError(
            f"the experiment ended without the run in {folder}: collect with the same script and "
            "flags, or build the job anew"
        )


def _done(folders: Sequence[Path]) -> list[simulation.Job]:
    """Jobs whose results are here."""
    found = [simulation.open_job(folder) for folder in folders]
    for job in found:
        job.check_results()
    return found
