"""Run compiled programs in turns and measure them: ``python3 programs.py [FOLDER]``.

``python -m benchmarks.gpu prepare`` puts a copy of this file into its folder. It needs Python's
standard library only: no biosnn, no numpy. A program without a binary is compiled first, which
needs ``make`` and ``nvcc`` with cuRAND. ``plan.json`` says what is run; ``facts.json`` and the
folder ``results`` are what :mod:`benchmarks.gpu` reads back.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

_PIECE = 1 << 22


def said(*command: str) -> str:
    """What a command prints; nothing if it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> dict[str, Any]:
    """The GPU, its driver, the compiler and the CPU."""
    query = "--query-gpu=name,driver_version,compute_cap,memory.total,clocks.max.sm"
    nvcc = os.environ.get("NVCC", "nvcc")
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    releases = [line for line in said(nvcc, "--version").splitlines() if "release" in line]
    return {
        "nvidia_smi": said("nvidia-smi", query, "--format=csv,noheader"),
        "nvcc": releases[0].strip() if releases else "",
        "cpu": models[0] if models else "unknown",
        "cores": os.cpu_count(),
    }


def compile_program(folder: Path) -> float:
    """Compile a program of which there are sources only; seconds."""
    started = time.perf_counter()
    command = ["make", "-s", f"-j{os.cpu_count() or 1}"]
    with (folder / "make.log").open("w") as log:
        subprocess.run(command, cwd=folder / "source", stdout=log, stderr=log, check=True)
    return time.perf_counter() - started


def expand(packed: Path, target: Path) -> None:
    """Write a compressed file of a prepared folder as it was."""
    reader = zlib.decompressobj()
    with packed.open("rb") as source, target.open("wb") as file:
        while piece := source.read(_PIECE):
            file.write(reader.decompress(piece))
        file.write(reader.flush())


def run_once(folder: Path, run: dict[str, Any], work: Path) -> dict[str, float]:
    """Run a program once; what it and the clock say."""
    shutil.rmtree(work / "out", ignore_errors=True)
    (work / "out").mkdir()
    started = time.perf_counter()
    done = subprocess.run(
        ["./main", str(work / "settings")],
        cwd=folder / "programs" / run["program"],
        capture_output=True,
        text=True,
        check=False,
    )
    whole = time.perf_counter() - started
    last = (done.stdout.splitlines() or [""])[-1].split()
    if done.returncode != 0 or last[:2] != ["finished", str(run["samples"])]:
        words = done.stderr.strip() or done.stdout.strip()[-400:] or "nothing"
        raise RuntimeError(f"{run['name']}: status {done.returncode}, it said: {words}")
    return {
        "loop_s": float(last[4]),
        "whole_s": whole,
        "presentations": int(last[2]),
        "spikes": int(last[3]),
    }


def measure(folder: Path, rounds: int, only: str = "") -> dict[str, Any]:
    """Run all that was prepared, each once per round; what was found.

    Runs that fail are noted with what they said, and left out of the later rounds.
    """
    folder = folder.absolute()
    plan = json.loads((folder / "plan.json").read_text())
    facts: dict[str, Any] = {"machine": machine(), "rounds": rounds, "compile_s": {}, "runs": {}}
    runs = [run for run in plan["runs"] if only in run["name"]]
    for name in dict.fromkeys(run["program"] for run in runs):
        if not (folder / "programs" / name / "main").exists():
            print(f"compiling {name}", flush=True)
            facts["compile_s"][name] = compile_program(folder / "programs" / name)
    failed: set[str] = set()
    results = folder / "results"
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=os.environ.get("TMPDIR")) as place:
        for number in range(rounds):
            for run in runs:
                if run["name"] in failed:
                    continue
                work = Path(place)
                lines = list(run["settings"])
                for file in run["files"]:
                    expand(folder / "data" / file["data"], work / file["name"])
                text = "\n".join(lines).replace("@WORK@", str(work))
                (work / "settings").write_text(text + "\n")
                kept = facts["runs"].setdefault(run["name"], {"rounds": []})
                try:
                    kept["rounds"].append(run_once(folder, run, work))
                except (RuntimeError, OSError) as error:
                    failed.add(run["name"])
                    kept["failed"] = str(error)
                    print(f"{run['name']}: {error}", flush=True)
                    continue
                if number == 0:
                    target = results / run["name"]
                    target.mkdir(parents=True, exist_ok=True)
                    for name in run["keep"]:
                        shutil.copyfile(work / "out" / name, target / name)
                last = kept["rounds"][-1]
                print(f"{number + 1}/{rounds} {run['name']}: {last['loop_s']:.4g} s", flush=True)
                for made in work.iterdir():
                    shutil.rmtree(made) if made.is_dir() else made.unlink()
            # What is there is kept, should a later round stop.
            (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is run")
    parser.add_argument("--only", default="", help="runs whose name has this in it")
    args = parser.parse_args()
    measure(args.folder, args.rounds, args.only)


if __name__ == "__main__":
    main()
