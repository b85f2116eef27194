"""The device ``cpp`` for networks that run for a duration: one binary for all runs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import attrs
import numpy as np

from biosnn.devices.base.artifact import Artifact, open_artifact
from biosnn.devices.base.binary import run_binary, said_plainly
from biosnn.devices.base.contract import Stop
from biosnn.devices.base.free_description import first_state
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
) -> FreeCompiledNetwork:
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
    bare = program.changed(arrays=arrays, start=0.0, pending={})
    folder, _ = compiled(bare, precision, math, portable)
    artifact = open_artifact(folder)
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
        self._recorded = {
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
            self._write_state(folder / "state_in", asked)
            (folder / "settings").write_text(self._settings(folder, asked, start, end))
        ended = run_binary(self.artifact.folder, folder / "settings", lambda *_: None, stop)
        if stop.requested and ended.status in (0, -signal.SIGTERM):
            return None
        if ended.status != 0 or ended.said or ended.finished != 1:
            raise DeviceError(
                f"the compiled network stopped with status {ended.status}. It said: "
                f"{ended.said or 'nothing'}"
            )
        with said_plainly(folder):
            found = self._read_state(folder / "state_out")
            columns = {
                name: {
                    column: np.fromfile(folder / "out" / f"{name}.{column}", dtype=dtype).reshape(
                        made.shape(column)
                    )
                    for column, (dtype, _) in made.columns.items()
                }
                for name, made in self._recorded.items()
            }
        recording = recording_of(self.interface, self._recorded, columns, asked, ended.seconds)
        return recording, state_of(self.interface, {**found, TIME: [end]})

    def _settings(self, folder: Path, asked: FreeRun, start: float, end: float) -> str:
        lines = [
            f"parent {os.getpid()}",
            f"state_in {folder / 'state_in'}",
            f"state_out {folder / 'state_out'}",
            f"out {folder / 'out'}",
            f"start {start!r}",
            f"end {end!r}",
        ]
        if asked.seed is not None:
            lines.append(f"seed {asked.seed}")
        for k, name in enumerate(self.artifact.manifest["constants"]):
            if name in asked.constants:
                lines.append(f"constant.{k} {asked.constants[name]!r}")
        return "\n".join(lines) + "\n"

    @property
    def _pending(self) -> list[str]:
        return [f"{name}{PENDING}" for name in self.artifact.manifest["pathways"]]

    def _write_state(self, path: Path, asked: FreeRun) -> None:
        with path.open("wb") as file:
            for variable in self.interface.variables:
                values = np.ascontiguousarray(asked.state[variable.name], dtype=variable.dtype)
                file.write(values.tobytes())
            for name in self._pending:
                events = np.ascontiguousarray(asked.state[name], dtype=np.int32)
                file.write(np.int64(len(events)).tobytes() + events.tobytes())
            if asked.seed is None:
                file.write(asked.state[self.generator].astype(np.uint8).tobytes())

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
