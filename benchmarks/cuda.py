"""Networks as CUDA programs beside the same networks on the device ``cpp``.

The program may be compiled and run on another machine than the one that wrote it::

    python -m benchmarks.cuda prepare FOLDER     # needs brian2cuda
    python -m benchmarks.cuda run FOLDER         # needs nvcc, cuRAND, a GPU; nothing of biosnn
    python -m benchmarks.cuda compare FOLDER NAME

``FOLDER`` gets one project per network. The record ``benchmarks/records/NAME.json`` holds which
spikes and weights agree with ``cpp`` (strict arithmetic), and the seconds of both main loops.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parent / "records"
SEED, REPEATS, IMAGES = 3, 5, 20


def cases() -> dict[str, tuple[Any, Any, tuple[tuple[str, str], ...]]]:
    """Name -> network, samples, and pairs of populations whose spikes shall differ."""
    from brian2 import ms

    from biosnn import datasets, models, networks
    from biosnn.encoding import scale_norm
    from validation._combined import combined

    library, parts = combined(2, 30 * ms)
    digits = scale_norm(datasets.load_digits().train.flat()[:IMAGES], 9.2)
    one = networks.NetworkModel(
        name="one_population",
        dt=0.1 * ms,
        inputs={"current": networks.Input(features=100)},
        populations={
            "lif": networks.Population(model=models.lif(), n=100, drives={"I": "current"})
        },
        presentation=networks.Presentation(duration=100 * ms),
        output="lif",
    )
    return {
        "library": (library, parts.samples, parts),
        "one_population": (one, {"current": [[40e-9] * 100] * 5}, None),
        "winner_take_all_400": (
            networks.winner_take_all(784, 400, encoding="regular"),
            {"image": digits},
            None,
        ),
    }


def projects(folder: Path) -> dict[str, Any]:
    """All cases as CUDA projects."""
    from biosnn import gpu

    return {
        name: gpu.project(network, folder / name, samples, learn=True, seed=SEED, math="strict")
        for name, (network, samples, _) in cases().items()
    }


def prepare(folder: Path) -> None:
    """Write the code of all cases."""
    from biosnn import gpu

    gpu.generate(*projects(folder).values())


def run(folder: Path) -> None:
    """Compile and run what :func:`prepare` wrote, and note how long that took."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    version = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True)
    facts = {
        "gpu": subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip(),
        "nvcc": version.stdout.splitlines()[-2],
        "cases": {},
    }
    for project in sorted(folder.glob("*/project")):
        started = time.perf_counter()
        subprocess.run(["make", "-s", "-j16"], cwd=project, check=True)
        compiled = time.perf_counter() - started
        (project / "results").mkdir(exist_ok=True)
        loops, whole = [], []
        for _ in range(REPEATS):
            started = time.perf_counter()
            with (project / "log").open("w") as log:
                subprocess.run(["./main"], cwd=project, stdout=log, stderr=log, check=True)
            whole.append(time.perf_counter() - started)
            loops.append(float((project / "results/last_run_info.txt").read_text().split()[0]))
        facts["cases"][project.parent.name] = {
            "compile_s": compiled,
            "loop_s": loops,
            "whole_s": whole,
        }
        print(project.parent.name, facts["cases"][project.parent.name], flush=True)
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))


def compare(folder: Path, name: str) -> None:
    """Hold the results to those of the device ``cpp`` and write the record."""
    from biosnn import simulation
    from biosnn.errors import StorageError
    from biosnn.experiments import environment, plain_data
    from validation import any_device

    target = RECORDS / f"{name}.json"
    if target.exists():
        raise StorageError(f"{target} exists; records are only added, choose another name")
    facts = json.loads((folder / "facts.json").read_text())
    made, record = projects(folder), {"environment": environment(), **facts}
    for case, (network, samples, parts) in cases().items():
        spikes, state = made[case].results()
        runnable = simulation.compile(
            network, "cpp", per_sample=(), spikes=tuple(spikes), math="strict"
        )
        loops = []
        for _ in range(REPEATS):
            recording, after = runnable.run(samples, learn=True, seed=SEED)
            loops.append(recording.seconds)
        firing = parts or any_device.Parts(made[case].n, network.presentation.duration)
        expected = recording.spikes, after
        figures = any_device.compared(network, firing, expected, (spikes, state), 1e-6)
        steps = made[case].n * network.steps_per_presentation
        gpu_s = statistics.median(facts["cases"][case]["loop_s"])
        record["cases"][case] |= {
            "steps": steps,
            "code_objects": json.loads((folder / case / "manifest.json").read_text())[
                "code_objects"
            ],
            "microseconds_per_step": 1e6 * gpu_s / steps,
            "cpp_loop_s": loops,
            "cpp_microseconds_per_step": 1e6 * statistics.median(loops) / steps,
            "times_of_cpp": gpu_s / statistics.median(loops),
            **figures,
        }
    RECORDS.mkdir(exist_ok=True)
    target.write_text(json.dumps(plain_data(record), indent=1) + "\n")


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("prepare", "run", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", nargs="?", help="of the record")
    args = parser.parse_args()
    if args.step == "prepare":
        prepare(args.folder)
    elif args.step == "run":
        run(args.folder)
    else:
        compare(args.folder, args.name)


if __name__ == "__main__":
    main()
