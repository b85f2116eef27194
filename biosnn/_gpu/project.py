"""CUDA projects: a declared network and the samples that it is shown, as one program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from biosnn.declaration import to_data
from biosnn.devices.contract import Port
from biosnn.devices.ports import ports
from biosnn.errors import DataError, DeviceError, ParameterError
from biosnn.networks import NetworkModel
from biosnn.recording import Spikes
from biosnn.state import State

#: Bytes of samples that may become part of a program.
_MOST_SAMPLES = 2**30


class Project:
    """A network, its samples and its settings in a folder; see :func:`biosnn.gpu.project`."""

    def __init__(
        self,
        network: NetworkModel,
        folder: str | os.PathLike[str],
        samples: Mapping[str, Any],
        *,
        learn: bool | Iterable[str],
        state: Mapping[str, np.ndarray] | None,
        seed: int,
        spikes: Iterable[str] | None,
        precision: str,
        math: str,
        compute_capability: str,
        cuda_version: str,
    ):
        self.network, self.folder = network, Path(folder).absolute()
        for name, value, among in (
            ("precision", precision, ("double", "single")),
            ("math", math, ("fast", "strict")),
        ):
            if value not in among:
                wanted = " or ".join(map(repr, among))
                raise ParameterError("gpu.project", name, repr(value), wanted)
        for name, value in (
            ("compute_capability", compute_capability),
            ("cuda_version", cuda_version),
        ):
            if not re.fullmatch(r"\d+\.\d+", str(value)):
                raise ParameterError("gpu.project", name, repr(value), 'a version such as "9.0"')
        _check_abilities(network)
        arrays = _samples(network, samples)
        self.n = len(arrays["intensity"])
        start = network.initial_state(seed) if state is None else state
        spiking = [k for k, p in network.populations.items() if p.model.threshold is not None]
        observed = spiking if spikes is None else list(spikes)
        for key in observed:
            if key not in spiking:
                wanted = f"populations that spike ({', '.join(spiking) or 'there are none'})"
                raise ParameterError("gpu.project", "spikes", repr(key), wanted)
        learning = network.plastic_projections if learn is True else tuple(learn or ())
        for key in learning:
            if key not in network.plastic_projections:
                wanted = f"projections that can learn ({', '.join(network.plastic_projections)})"
                raise ParameterError("gpu.project", "learn", repr(key), wanted)
        self.folder.mkdir(parents=True, exist_ok=True)
        request = {
            "network": to_data(network),
            "precision": precision,
            "math": math,
            "compute_capability": str(compute_capability),
            "cuda_version": str(cuda_version),
            "spikes": observed,
            "settings": {
                "n": self.n,
                "seed": seed,
                "epoch": 0,
                "first_sample": 0,
                "horizon": self.n,
                "learning": learning,
            },
        }
        (self.folder / "request.json").write_text(json.dumps(request))
        stored: dict[str, Any] = {f"samples.{name}": values for name, values in arrays.items()}
        stored |= {f"state.{name}": np.asarray(start[name]) for name in start}
        np.savez(self.folder / "arrays.npz", **stored)

    def refused(self) -> str:
        """Why brian2cuda wrote no code; empty if it did."""
        reason = self.folder / "refused"
        return reason.read_text() if reason.exists() else ""

    def compile(self, nvcc: Path, curand: Path, jobs: int = 1) -> Path:
        """Compile the program; see :func:`biosnn.gpu.compile_project`."""
        project = self.folder / "project"
        home = curand.parents[1]
        found = [p for d in ("lib64", "lib") for p in sorted((home / d).glob("libcurand.so*"))]
        if not found:
            raise DeviceError(f"no libcurand.so beside {curand}: install nvidia-curand or cuRAND")
        command = [
            "make",
            "-s",
            f"-j{jobs}",
            f"NVCC={nvcc}",
            f"CURAND_INCLUDE={curand.parent}",
            f"CURAND_LIBRARY={found[0]}",
        ]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            head = "\n".join((done.stderr or done.stdout).strip().splitlines()[:12])
            raise DeviceError(f"nvcc could not compile {project}. It said:\n{head}")
        return project / "main"

    def run(self) -> float:
        """Run the compiled program here; seconds of its loop, without its start."""
        project = self.folder / "project"
        (project / "results").mkdir(exist_ok=True)
        done = subprocess.run(["./main"], cwd=project, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
            raise DeviceError(f"{project / 'main'} failed with {done.returncode}. It said:\n{tail}")
        return float((project / "results" / "last_run_info.txt").read_text().split()[0])

    def results(self) -> tuple[dict[str, Spikes], State]:
        """Spikes of every observed population, sorted by time and neuron, and the last state."""
        folder = self.folder / "project" / "results"
        manifest = json.loads((self.folder / "manifest.json").read_text())

        def read(entry: Mapping[str, str]) -> np.ndarray:
            try:
                return np.fromfile(folder / entry["file"], dtype=entry["dtype"])
            except OSError as error:
                raise DeviceError(f"{folder} holds no results: run the program first") from error

        dt, slot = float(self.network.dt), self.network.steps_per_presentation
        spikes = {}
        for key, entry in manifest["spikes"].items():
            i, steps = read(entry["i"]), np.round(read(entry["t"]) / dt).astype(np.int64)
            order = np.lexsort((i, steps))
            i, steps = i[order], steps[order]
            spikes[key] = Spikes(i, steps % slot * dt, steps // slot)
        arrays = {name: read(entry) for name, entry in manifest["state"].items()}
        for name in arrays:
            if name.endswith(".lastspike"):  # relative to the border after the last sample
                arrays[name] = (np.round(arrays[name] / dt) - self.n * slot) * dt
        return spikes, State(arrays, self.network.shapes)


def generate(projects: Iterable[Project]) -> None:
    """Write the code of projects in one child process; see :func:`biosnn.gpu.generate`."""
    folders = [str(project.folder) for project in projects]
    # The child finds this biosnn, and nothing that happens to lie in the current folder.
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "biosnn._gpu.codegen", *folders],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise DeviceError(f"brian2cuda could not be used. It said:\n{tail}")


def _check_abilities(network: NetworkModel) -> None:
    """Refuse what a program of known length cannot do."""
    if network.presentation.watch is not None:
        raise ParameterError(
            network.name,
            "presentation.watch",
            repr(network.presentation.watch),
            "None on a GPU, where every sample is shown once",
            'Leave out watch, min_spikes and max_retries, or use device="cpp"',
        )


def _samples(network: NetworkModel, samples: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every input as what a timed array holds: one row per value that it takes, in order."""
    known = ports(network)
    unknown = set(samples) - {*known, "n_samples"}
    if unknown:
        raise DataError(f"gpu.project: {network.name} has no input {sorted(unknown)[0]!r}")
    lengths = {
        name: int(np.max(values[0], initial=-1)) + 1
        if known[name].kind == "events"
        else len(values)
        for name, values in samples.items()
        if name != "n_samples"
    }
    n = int(samples.get("n_samples", max(lengths.values(), default=0)))
    for name, length in lengths.items():
        events = known[name].kind == "events"
        if n < 1 or length > n or (length != n and not events):
            raise DataError(f"gpu.project: {name!r} holds {length} samples, another input {n}")
    arrays = {}
    for name, port in known.items():
        if name not in samples and not port.optional:
            raise DataError(f"gpu.project: the samples for input {name!r} are missing")
        given = samples.get(name)
        arrays[name] = _rows(network, name, port, given, n)
    if sum(values.nbytes for values in arrays.values()) > _MOST_SAMPLES:
        raise DataError(
            f"gpu.project: the samples take more than {_MOST_SAMPLES // 2**20} MiB as part of a "
            "program: show fewer at a time"
        )
    return arrays


def _rows(network: NetworkModel, name: str, port: Port, given: Any, n: int) -> np.ndarray:
    slot = network.steps_per_presentation
    rows = {"static": 1, "sequence": slot // (port.frame_steps or 1), "events": slot}[port.kind]
    table = np.full((n, rows, port.features), port.absent, dtype=np.float32)
    if given is not None and port.kind == "events":
        sample, unit, time = (np.asarray(part) for part in given)
        step = np.floor(time / float(network.dt) + 1e-6).astype(np.int64)
        table[sample, step, unit] = 1.0
    elif given is not None:
        values = np.asarray(given, dtype=np.float32)
        wanted = (n, port.features) if port.kind == "static" else (n, "T", port.features)
        if values.ndim != len(wanted) or values.shape[-1] != port.features:
            raise DataError(f"gpu.project: {name!r} must have shape {wanted}, got {values.shape}")
        if port.kind == "sequence" and values.shape[1] > port.most_frames:
            raise DataError(
                f"gpu.project: {name!r} has {values.shape[1]} frames, only {port.most_frames} fit"
            )
        values = values.reshape(n, -1, port.features)
        table[:, : values.shape[1]] = values
    return table.reshape(n * rows, port.features)
