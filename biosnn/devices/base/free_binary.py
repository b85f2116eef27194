"""A network that runs for a duration as a binary. Needs no Brian2."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biosnn.devices.base.artifact import STATE, Artifact, export_with
from biosnn.devices.base.binary import TOO_MUCH_RECORDED, run_binary, said_plainly
from biosnn.devices.base.contract import Stop, TooMuchRecordedError
from biosnn.devices.base.free_runs import (
    PENDING,
    TIME,
    FreeRun,
    Recorded,
    recording_of,
    state_of,
)
from biosnn.errors import DeviceError
from biosnn.files import is_plain
from biosnn.recording import Recording
from biosnn.state import State


class FreeCompiledNetwork:
    """A network as a binary.

    Parameters
    ----------
    artifact : Artifact
        Where it is and what is in it.
    defaults : State, optional
        The state before a first run; default: the one in the artifact, which :meth:`export` wrote.
    constants : mapping, optional
        ``"object.constant"`` -> its unit; default: those in the artifact.
    build_seconds : float
        What building took.
    """

    generator = "random.cpp"

    def __init__(
        self,
        artifact: Artifact,
        defaults: State | None = None,
        constants: Mapping[str, str] | None = None,
        build_seconds: float = 0.0,
    ):
        self.artifact = artifact
        self.interface = artifact.interface
        self.build_seconds = build_seconds
        if defaults is None:
            found = self._read_state(artifact.folder / STATE)
            del found[self.generator]
            defaults = state_of(self.interface, {**found, TIME: [artifact.manifest["start"]]})
        self.defaults = defaults
        self.constants: Mapping[str, str] = constants or artifact.manifest.get("units", {})
        self.recorded: Mapping[str, Recorded] = {
            name: _recorded(name, made) for name, made in artifact.manifest["recorded"].items()
        }

    def export(self, folder: Path) -> Path:
        """Copy it to a folder of its own, with the state before a first run.

        Raises
        ------
        StorageError
            If the folder exists or cannot be written.
        """
        more = {"start": float(self.defaults[TIME][0]), "units": dict(self.constants)}

        def complete(part: Path) -> None:
            self._write_state(part / STATE, self.defaults)

        return export_with(self.artifact, folder, complete, more)

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


def _recorded(name: str, data: Mapping[str, Any]) -> Recorded:
    """What a manifest says of a monitor.

    Raises
    ------
    ValueError
        If a name cannot be that of a file, or a type is none of numbers.
    """
    columns = {key: (str(dtype), str(unit)) for key, (dtype, unit) in data["columns"].items()}
    for key, (dtype, _) in columns.items():
        if not is_plain(f"{name}.{key}") or np.dtype(dtype).kind not in "bifu":
            raise ValueError(f"{name}.{key} of type {dtype}")
    return Recorded(**{**data, "columns": columns, "indices": tuple(data["indices"])})
