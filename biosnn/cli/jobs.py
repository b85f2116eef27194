"""``biosnn build`` and ``biosnn collect``: experiments that run on another machine."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import typer

from biosnn import experiments, simulation
from biosnn.cli.run_script import run_script
from biosnn.errors import ParameterError, StorageError


def build(
    name: str,
    flags: Sequence[str],
    *,
    device: str,
    arch: str | None,
    out: Path,
    compiled: bool,
    longest_chunk: int | None,
) -> None:
    """Record an experiment until it needs a result, and write what it has run so far.

    Raises
    ------
    ParameterError
        If the experiment, the device or the architecture is unknown.
    DeviceError
        If the experiment runs nothing on the device.
    StorageError
        If ``out`` exists or cannot be written.
    """
    script = experiments.find_script(name)
    about = {"experiment": script.stem, "flags": list(flags)}
    writer = simulation.BundleWriter(
        out, device, arch, compiled=compiled, longest_chunk=longest_chunk, about=about
    )
    try:
        with tempfile.TemporaryDirectory(prefix="biosnn-") as scratch, writer.recording():
            run_script(script, [*flags, "--device", device, "--out", scratch])
        size, results = writer.finish()
    finally:
        writer.discard()
    chunks = [chunk["n"] for run in writer.runs for chunk in run["chunks"]]
    names = ", ".join(dict.fromkeys(entry["name"] for entry in writer.networks))
    typer.echo(
        f"{out}: {len(writer.runs)} run(s) of {names}, {sum(chunks)} samples in {len(chunks)} "
        f"chunk(s), {_size(size)}; the results will take {_size(results)}, besides recorded "
        "spikes. What the experiment does with them is done by `biosnn collect`."
    )
    typer.echo(f"Copy it to the other machine and follow {out / 'README.md'}")


def collect(
    folder: Path,
    flags: Sequence[str],
    *,
    device: str,
    out: Path | None,
    script: Path | None = None,
) -> None:
    """Check a bundle's results, and let the experiment go on with them here.

    The bundle tells the experiment's name and flags, and never which file is run.

    Raises
    ------
    StorageError
        If the bundle or its results are incomplete, damaged or foreign, or its experiment is none
        of biosnn's and no script is given.
    """
    if device not in simulation.DEVICES:
        wanted = "one of " + ", ".join(simulation.DEVICES)
        raise ParameterError("biosnn collect", "--device", repr(device), wanted)
    bundle = simulation.open_bundle(folder)
    about = bundle.about if isinstance(bundle.about, dict) else {}
    path, noted = experiments.noted_command(
        folder, about.get("experiment"), about.get("flags"), script
    )
    bundle.check_results()
    target = [] if out is None else ["--out", str(out)]
    replay = simulation.BundleReplay(bundle, device)
    with replay.replaying():
        run_script(path, [*noted, *flags, "--device", bundle.device, *target])
    if replay.n_left:
        raise StorageError(
            f"the experiment ended without {replay.n_left} of the runs in {folder}: collect with "
            "the same script and flags, or build the bundle anew"
        )


def _size(n: int) -> str:
    return f"{n / 2**20:.1f} MiB" if n >= 2**20 else f"{n / 2**10:.0f} KiB"
