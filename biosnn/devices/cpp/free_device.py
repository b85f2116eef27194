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
from biosnn.devices.base.binary import run_binary, said_plainly
from biosnn.devices.base.contract import Stop
from biosnn.devices.base.free_description import first_state
from biosnn.devices.base.free_runs import (
    PENDING,
    TIME,
    FreeRun,
    Recorded,
    Seen,
    Shown,
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
        seconds = self._run(folder, 1, stop)
        if seconds is None:
            return None
        with said_plainly(folder):
            found = self._read_state(folder / "state_out")
            columns = self._columns(folder)
        recording = recording_of(self.interface, self.recorded, columns, asked, seconds[1])
        return recording, state_of(self.interface, {**found, TIME: [end]})

    def _run(self, folder: Path, n: int, stop: Stop) -> tuple[int, float] | None:
        """Run the binary; what it finished, and the seconds that it took."""
        ended = run_binary(self.artifact.folder, folder / "settings", lambda *_: None, stop)
        if stop.requested and ended.finished < n and ended.status in (0, -signal.SIGTERM):
            return (ended.finished, ended.seconds) if ended.finished > 0 else None
        if ended.status != 0 or ended.said or ended.finished != n:
            raise DeviceError(
                f"the compiled network stopped with status {ended.status}. It said: "
                f"{ended.said or 'nothing'}"
            )
        return ended.finished, ended.seconds

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

    def show(
        self, shown: Shown, values: Mapping[str, np.ndarray], folder: Path, stop: Stop
    ) -> Seen:
        """See :class:`biosnn.devices.base.free_runs.FreeDevice`."""
        folder = folder.absolute()
        places = {variable.name: k for k, variable in enumerate(self.interface.variables)}
        dtypes = {variable.name: variable.dtype for variable in self.interface.variables}
        lines = [f"n_samples {shown.n}", f"dt {shown.dt!r}", "seed 0"]
        lines += [f"ends {end!r}" for end in shown.ends]
        lines += [f"time {places[name]}" for name in shown.times]
        lines.append(f"intensity {shown.intensity!r} {shown.intensity_step!r}")
        counting = [name for name, made in self.recorded.items() if "count" in made.columns]
        if shown.watch:
            most = f"{shown.min_spikes} {shown.max_retries}"
            lines.append(f"watch {counting.index(shown.watch)} {most}")
        with said_plainly(folder):
            (folder / "out").mkdir()
            nothing = dict.fromkeys(self._pending, np.empty((0, 2), np.int32))
            self._write_state(folder / "state_in", {**values, **nothing})
            for name, rows in shown.rows.items():
                path = folder / f"rows.{places[name]}"
                np.ascontiguousarray(rows, dtype=np.float64).tofile(path)
                lines.append(f"target {places[name]} {int(name in shown.silent)} {path}")
            for name, first in shown.resets.items():
                path = folder / f"reset.{places[name]}"
                np.ascontiguousarray(first, dtype=dtypes[name]).tofile(path)
                lines.append(f"reset {places[name]} {path}")
            for name, scaling in shown.scalings.items():
                path = folder / f"post.{places[name]}"
                np.ascontiguousarray(scaling.post, dtype=np.int32).tofile(path)
                numbers = (places[name], scaling.n_post, scaling.p, int(scaling.retries))
                lines.append(f"scaling {' '.join(map(str, numbers))} {scaling.total!r} {path}")
            for name, events in shown.events.items():
                path = folder / f"events.{name}"
                columns = np.stack([events.sample, events.step, events.unit])
                np.ascontiguousarray(columns, dtype=np.int32).tofile(path)
                place = self.artifact.manifest["given"].index(name)
                lines.append(f"events {place} {len(events.sample)} {path}")
            shown.seeds.tofile(folder / "seeds")
            lines.append(f"seeds {folder / 'seeds'}")
            self._write_settings(folder, lines)
        done, seconds = self._run(folder, shown.n, stop) or (0, 0.0)
        if done == 0:
            return Seen(done=0, arrays={}, found={}, rows={}, seconds=0.0)
        with said_plainly(folder):
            found = self._columns(folder)
            for k, name in enumerate(counting):
                counts = np.fromfile(folder / "out" / f"counts.{k}", dtype=np.int32)
                found[name]["count"] = counts.reshape(done, -1)
            times = np.fromfile(folder / "out" / "presentations", dtype=np.int32)
            marks = np.fromfile(folder / "out" / "marks", dtype=np.int64)
            marks = marks.reshape(int(times.sum()), -1)
            state = self._read_state(folder / "state_out")
        return Seen(
            done=done,
            arrays={name: state[name] for name in places},
            found=found,
            rows=dict(zip(self.recorded, marks.T, strict=True)),
            seconds=seconds,
            shown=times,
        )

    def _write_settings(self, folder: Path, lines: Sequence[str]) -> None:
        places = {name: folder / name for name in ("state_in", "state_out", "out")}
        common = [f"parent {os.getpid()}", *(f"{name} {path}" for name, path in places.items())]
        (folder / "settings").write_text("\n".join([*common, *lines]) + "\n")

    def _settings(self, asked: FreeRun, start: float, end: float) -> list[str]:
        lines = [f"start {start!r}", f"end {end!r}"]
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
