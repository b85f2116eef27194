"""The device ``cpp`` for networks that run for a duration: one binary for all runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from biosnn.devices.base.artifact import Artifact, open_artifact
from biosnn.devices.base.binary import (
    TOO_MUCH_RECORDED,
    CompiledNetwork,
    run_binary,
    said_plainly,
)
from biosnn.devices.base.contract import Stop, TooMuchRecordedError
from biosnn.devices.base.free_description import first_state, sampled_state
from biosnn.devices.base.free_runs import (
    PENDING,
    TIME,
    FreeRun,
    Recorded,
    recording_of,
    state_of,
)
from biosnn.devices.cpp.device import compiled
from biosnn.errors import DeviceError
from biosnn.program.program import Program
from biosnn.recording import Recording
from biosnn.state import State


def build(
    program: Program, precision: str, math: str = "fast", portable: bool = False
) -> FreeCompiledNetwork | CompiledNetwork:
    """Compile a program, or take it from the build cache.

    Parameters
    ----------
    program, precision, math, portable
        As for :func:`biosnn.devices.cpp.device.build`.

    Raises
    ------
    DeviceError
        If there is no working compiler, or the build fails.
    """
    started = time.perf_counter()
    # Every run is told the values, so that a script with others finds the same binary.
    arrays = {name: attrs.evolve(a, initial=None) for name, a in program.arrays.items()}
    bare = program.changed(arrays=arrays, start=0.0, pending={}, fingerprint="")
    folder, built_now = compiled(bare, precision, math, portable)
    artifact = open_artifact(folder)
    if program.samples is not None:
        interface = attrs.evolve(artifact.interface, fingerprint=program.fingerprint)
        first = sampled_state(interface, program)
        manifest = {**artifact.manifest, "interface": interface.to_data()}
        artifact = attrs.evolve(artifact, manifest=manifest, interface=interface, first=first)
        return CompiledNetwork(artifact, time.perf_counter() - started, built_now)
    return FreeCompiledNetwork(artifact, program, time.perf_counter() - started)


class FreeCompiledNetwork:
    """A network as a binary.

    Parameters
    ----------
    artifact : Artifact
        Where it is and what is in it.
    program : Program
        What it does.
    build_seconds : float
        What building took.
    """

    generator = "random.cpp"

    def __init__(self, artifact: Artifact, program: Program, build_seconds: float):
        self.artifact = artifact
        self.interface = artifact.interface
        self.defaults = first_state(self.interface, program)
        self.build_seconds = build_seconds
        self.recorded = {
            name: Recorded(**{
                **made,
                "columns": {key: tuple(column) for key, column in made["columns"].items()},
                "indices": tuple(made["indices"]),
            })
            for name, made in artifact.manifest["recorded"].items()
        }  # fmt: skip

    def run(self, asked: FreeRun, folder: Path, stop: Stop) -> tuple[Recording, State] | None:
        """See :class:`biosnn.devices.base.free_runs.FreeDevice`."""
        start = float(asked.state[TIME][0])
        end = start + asked.duration
        folder = folder.absolute()
        with said_plainly(folder):
            (folder / "out").mkdir()
            generator = self.generator if asked.seed is None else None
            self._write_state(folder / "state_in", asked.state, generator)
            self._write_settings(folder, self._settings(asked, start, end))
        seconds = self._run(folder, stop)
        if seconds is None:
            return None
        with said_plainly(folder):
            found = self._read_state(folder / "state_out")
            columns = self._columns(folder)
        recording = recording_of(self.interface, self.recorded, columns, asked, seconds)
        return recording, state_of(self.interface, {**found, TIME: [end]})

    def _run(self, folder: Path, stop: Stop) -> float | None:
        """Run the binary; the seconds that it took, if it was not stopped."""
        ended = run_binary(self.artifact.folder, folder / "settings", lambda *_: None, stop)
        if stop.requested and ended.finished < 1 and ended.status in (0, -signal.SIGTERM):
            return None
        if ended.status == TOO_MUCH_RECORDED:
            raise TooMuchRecordedError(ended.said)
        if ended.status != 0 or ended.said or ended.finished != 1:
            raise DeviceError(
                f"the compiled network stopped with status {ended.status}. It said: "
                f"{ended.said or 'nothing'}"
            )
        return ended.seconds

    def _columns(self, folder: Path) -> dict[str, dict[str, np.ndarray]]:
        """What the monitors held."""
        return {
            name: {
                column: np.fromfile(folder / "out" / f"{name}.{column}", dtype=dtype).reshape(
                    made.shape(column)
                )
                for column, (dtype, _) in made.columns.items()
            }
            for name, made in self.recorded.items()
        }

    def _write_settings(self, folder: Path, lines: Sequence[str]) -> None:
        places = {name: folder / name for name in ("state_in", "state_out", "out")}
        common = [f"parent {os.getpid()}", *(f"{name} {path}" for name, path in places.items())]
        (folder / "settings").write_text("\n".join([*common, *lines]) + "\n")

    def _settings(self, asked: FreeRun, start: float, end: float) -> list[str]:
        lines = [f"start {start!r}", f"end {end!r}", f"recorder_limit {asked.recorder_limit}"]
        if asked.seed is not None:
            lines.append(f"seed {asked.seed}")
        for k, name in enumerate(self.artifact.manifest["constants"]):
            if name in asked.constants:
                lines.append(f"constant.{k} {asked.constants[name]!r}")
        return lines

    @property
    def _pending(self) -> list[str]:
        return [f"{name}{PENDING}" for name in self.artifact.manifest["pathways"]]

    def _write_state(
        self, path: Path, values: Mapping[str, np.ndarray], generator: str | None = None
    ) -> None:
        with path.open("wb") as file:
            for variable in self.interface.variables:
                array = np.ascontiguousarray(values[variable.name], dtype=variable.dtype)
                file.write(array.tobytes())
            for name in self._pending:
                events = np.ascontiguousarray(values[name], dtype=np.int32)
                file.write(np.int64(len(events)).tobytes() + events.tobytes())
            if generator is not None:
                file.write(values[generator].astype(np.uint8).tobytes())

    def _read_state(self, path: Path) -> dict[str, np.ndarray]:
        data = path.read_bytes()
        found, place = {}, 0
        for variable in self.interface.variables:
            found[variable.name] = np.frombuffer(data, variable.dtype, variable.size, place)
            place += variable.bytes
        for name in self._pending:
            (n,) = np.frombuffer(data, np.int64, 1, place)
            place += 8
            found[name] = np.frombuffer(data, np.int32, 2 * n, place).reshape(n, 2)
            place += 8 * int(n)
        found[self.generator] = np.frombuffer(data, np.uint8, offset=place)
        return found
