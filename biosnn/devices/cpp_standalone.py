"""The device ``cpp``: the network and its whole protocol as one compiled binary."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import brian2
import numpy as np

from biosnn import __version__
from biosnn.declaration import fingerprint, to_data
from biosnn.devices import compiler
from biosnn.devices.cache import cached
from biosnn.devices.contract import AddressEvents, Settings
from biosnn.devices.record import Record, check_record
from biosnn.errors import DeviceError
from biosnn.networks import NetworkModel
from biosnn.recording import Recording, Spikes, Trace
from biosnn.state import State

#: Files that decide what a build contains.
_SOURCES = (
    "build.py",
    "codegen.py",
    "functions.py",
    "protocol.py",
    "record.py",
    "cpp/biosnn.cpp",
    "cpp/biosnn.h",
    "cpp/network.cpp",
    "cpp/network.h",
    "templates/synapses_dense.cpp",
    "../rng.py",
    "../_models/spec.py",
    "../_models/values.py",
    "../_networks/spec.py",
    "../_plasticity/spec.py",
)


def _make(request: dict[str, Any], options: tuple[str, ...], folder: Path) -> None:
    """Generate and compile a network in a fresh folder."""
    compiler.describe(compiler.compiler())
    asked = folder / "request.json"
    asked.write_text(json.dumps(request))
    command = [sys.executable, "-m", "biosnn.devices.codegen", str(asked), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeviceError(
            "Brian2 could not generate code for this network. It said:\n"
            + "\n".join(done.stderr.strip().splitlines()[-12:])
        )
    compiler.compile_unit(folder / "project" / "program.cpp", folder / "main", options)
    manifest = {
        "format": 1,
        **json.loads((folder / "generated.json").read_text()),
        "request": request,
        "compiler": compiler.describe(compiler.compiler()),
        "flags": list(options),
        "versions": {"biosnn": __version__, "brian2": brian2.__version__},
    }
    (folder / "generated.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


class CompiledNetwork:
    """A network as a binary with a manifest, in the build cache.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    record : Record
        What to observe.
    precision : {"double", "single"}
        Of the state variables.
    math : {"fast", "strict"}
        Floating-point flags.
    portable : bool
        Build for any CPU of this architecture.
    """

    def __init__(
        self, network: NetworkModel, record: Record, precision: str, math: str, portable: bool
    ):
        check_record(network, record)
        started = time.perf_counter()
        self.network = network
        self._record = record
        options = compiler.flags(math, portable)
        request = {
            "network": to_data(network),
            "record": {
                "per_sample": list(record.per_sample),
                "spikes": list(record.spikes),
                "traces": {k: np.asarray(v).tolist() for k, v in record.traces.items()},
            },
            "precision": precision,
        }
        here = Path(__file__).parent
        key = fingerprint(
            request,
            list(options),
            compiler.describe(compiler.compiler()),
            platform.machine() if portable else compiler.cpu(),
            [__version__, brian2.__version__, sys.version],
            [(here / name).read_text() for name in _SOURCES],
        )[:32]
        self.folder, self.built_now = cached(
            key, lambda folder: _make(request, options, folder), lambda folder: None
        )
        self.manifest = json.loads((self.folder / "manifest.json").read_text())
        declared = network.initial_state()
        arrays = {}
        for entry in self.manifest["state"]:
            array = np.zeros(entry["size"], dtype=entry["dtype"])
            if entry["name"].endswith(".lastspike"):
                array[:] = -1e4
            elif entry["name"].endswith(".not_refractory"):
                array[:] = True
            arrays[entry["name"]] = array
        self.defaults = State(arrays, declared.shapes)
        self.build_seconds = time.perf_counter() - started

    def run_chunk(
        self,
        n: int,
        inputs: Mapping[str, Any],
        state: State,
        settings: Settings,
        progress: Callable[[int], None],
    ) -> tuple[Recording, State]:
        """Show ``n`` samples (see :class:`biosnn.devices.contract.Device`)."""
        with tempfile.TemporaryDirectory(prefix="biosnn-run-") as name:
            folder = Path(name)
            self._write(folder, n, inputs, state, settings)
            seconds = _run(self.folder, folder, n, progress)
            return self._read(folder, n, seconds)

    def _write(
        self,
        folder: Path,
        n: int,
        inputs: Mapping[str, Any],
        state: State,
        settings: Settings,
    ) -> None:
        """Write state, inputs and settings of a run."""
        (folder / "out").mkdir()
        with (folder / "state_in").open("wb") as file:
            for entry in self.manifest["state"]:
                file.write(np.ascontiguousarray(state[entry["name"]], dtype=entry["dtype"]))
        lines = [
            f"n_samples {n}",
            f"state_in {folder / 'state_in'}",
            f"state_out {folder / 'state_out'}",
            f"out {folder / 'out'}",
            f"learning {int(bool(settings.learning))}",
        ]
        for name in ("seed", "epoch", "first_sample", "horizon"):
            lines.append(f"{name} {getattr(settings, name)}")
        wanted = {name for key in settings.learning for name in self.manifest["plastic"][key]}
        for names in self.manifest["plastic"].values():
            lines += [f"inactive {name}" for name in names if name not in wanted]
        for name, values in inputs.items():
            if values is None:
                continue
            path = folder / f"input.{name}"
            if isinstance(values, AddressEvents):
                with path.open("wb") as file:
                    for part in (values.sample, values.step, values.unit):
                        file.write(np.ascontiguousarray(part, dtype=np.int32))
                lines.append(f"events.{name} {len(values.sample)}")
            else:
                np.ascontiguousarray(values, dtype=np.float32).tofile(path)
                lines.append(f"frames.{name} {1 if values.ndim == 2 else values.shape[1]}")
            lines.append(f"input.{name} {path}")
        (folder / "settings").write_text("\n".join(lines) + "\n")

    def _read(self, folder: Path, n: int, seconds: float) -> tuple[Recording, State]:
        """Read what a run left."""
        arrays, offset = {}, 0
        data = np.fromfile(folder / "state_out", dtype=np.uint8)
        for entry in self.manifest["state"]:
            end = offset + entry["size"] * np.dtype(entry["dtype"]).itemsize
            arrays[entry["name"]] = data[offset:end].view(entry["dtype"])
            offset = end
        out = folder / "out"
        recording = Recording(
            per_sample={
                name: np.fromfile(out / name, dtype=dtype).reshape(n, size)
                for name, (dtype, size) in self.manifest["recorders"].items()
            },
            shown=np.fromfile(out / "shown", dtype=np.int32),
            spikes={
                key: Spikes(
                    np.fromfile(out / f"spikes.{key}.i", dtype=np.int32),
                    np.fromfile(out / f"spikes.{key}.t_sample", dtype=np.float64),
                    np.fromfile(out / f"spikes.{key}.sample", dtype=np.int32),
                )
                for key in self._record.spikes
            },
            traces={
                name: Trace(
                    np.fromfile(out / f"trace.{name}.t", dtype=np.float64),
                    np.fromfile(out / f"trace.{name}.values", dtype=entry["dtype"])
                    .reshape(-1, len(entry["indices"]))
                    .T.copy(),
                    np.asarray(entry["indices"]),
                    "" if entry["unit"] == "1" else entry["unit"],
                )
                for name, entry in self.manifest["monitors"].items()
            },
            seconds=seconds,
        )
        return recording, State(arrays, self.defaults.shapes)


@attrs.define
class _Outcome:
    finished: int = -1
    seconds: float = 0.0


def _run(artifact: Path, folder: Path, n: int, progress: Callable[[int], None]) -> float:
    """Run the binary in a process session of its own; return the seconds it simulated."""
    outcome = _Outcome()
    with (folder / "stderr").open("w+") as errors:
        child = subprocess.Popen(
            [str(artifact / "main"), str(folder / "settings")],
            cwd=artifact,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            assert child.stdout is not None
            for line in child.stdout:
                word, *numbers = line.split()
                if word == "progress":
                    progress(int(numbers[0]))
                elif word == "finished":
                    outcome = _Outcome(int(numbers[0]), float(numbers[1]))
            child.wait()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        errors.seek(0)
        said = errors.read().strip()
    if child.returncode != 0 or said or outcome.finished != n:
        raise DeviceError(
            f"the compiled network stopped with status {child.returncode} after "
            f"{max(outcome.finished, 0)} of {n} samples. It said: {said or 'nothing'}"
        )
    return outcome.seconds
