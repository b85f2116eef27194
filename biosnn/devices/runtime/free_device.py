"""The device ``runtime`` for networks that run for a duration: Brian2 itself, in this process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import second
from brian2.core.base import BrianObjectException
from brian2.units.fundamentalunits import Quantity, get_dimensions

from biosnn._models.equation_text import one_line
from biosnn.devices.base.contract import Stop
from biosnn.devices.base.free_description import first_state, recorded_by
from biosnn.devices.base.free_objects import build_free
from biosnn.devices.base.free_runs import (
    PENDING,
    TIME,
    FreeRun,
    Seen,
    Shown,
    recording_of,
    state_of,
)
from biosnn.devices.runtime.device import brian2_as_needed
from biosnn.errors import DeviceError, ParameterError
from biosnn.program.layout import interface_of
from biosnn.program.pending import queued, set_queue
from biosnn.program.program import Program
from biosnn.recording import Recording
from biosnn.state import State

_STATE_SIZE = 624  # 32-bit words of NumPy's generator


class FreeRuntimeNetwork:
    """A network as live Brian2 objects, run by Brian2's own loop.

    Parameters
    ----------
    program : Program
        What it does.
    precision : {"double", "single"}
        Of the state variables.
    target : {"numpy", "cython"}
        Brian2's code generation target.
    """

    generator = "random.numpy"

    def __init__(self, program: Program, precision: str, target: str = "numpy"):
        started = time.perf_counter()
        self._program = program
        self._single = precision == "single"
        self._brian2 = lambda: brian2_as_needed(program, precision, target)
        self._free = threading.Lock()
        self._constants: dict[str, float] = {}
        self._build(program)
        self.interface = interface_of(program, single_precision=self._single)
        self.defaults = first_state(self.interface, program)
        self.recorded = recorded_by(self._built)
        self.build_seconds = time.perf_counter() - started

    def _build(self, program: Program) -> None:
        with self._brian2():
            try:
                self._built = build_free(program, single_precision=self._single)
                self._built.net.run(0 * second, namespace={})  # says now what is wrong
            except BrianObjectException as error:
                cause: Exception = error
                while isinstance(cause.__cause__, Exception):
                    cause = cause.__cause__
                wanted = "a network that Brian2 can run"
                raise ParameterError(program.name, "network", one_line(cause), wanted) from error

    def run(self, asked: FreeRun, folder: Path, stop: Stop) -> tuple[Recording, State] | None:
        """See :class:`biosnn.devices.base.free_runs.FreeDevice`."""
        with self._alone():
            return self._run(asked, stop)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._free.acquire(blocking=False):
            raise DeviceError(
                'this network is running already: on the device "runtime" it is live and runs one '
                'thing at a time; compile another one, or use device="cpp"'
            )
        before = np.random.get_state()
        try:
            yield
        finally:
            np.random.set_state(before)
            self._free.release()

    def _begin(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Set all variables, and forget what was recorded; the variables as they are there."""
        built = self._built
        arrays = {
            name: built.variable(array).get_value() for name, array in self._program.arrays.items()
        }
        for name, array in arrays.items():
            array[:] = values[name]
        for monitor in built.monitors.values():
            _clear(monitor)
        return arrays

    def _found(self) -> dict[str, dict[str, np.ndarray]]:
        """What the monitors hold."""
        return {
            name: {
                column: np.array(monitor.variables[column].get_value())
                for column in self.recorded[name].columns
            }
            for name, monitor in self._built.monitors.items()
        }

    def _run(self, asked: FreeRun, stop: Stop) -> tuple[Recording, State] | None:
        if dict(asked.constants) != self._constants:
            self._build(with_constants(self._program, asked.constants))
            self._constants = dict(asked.constants)
        built, arrays = self._built, self._begin(asked.state)
        for name, pathway in built.pathways.items():
            set_queue(pathway.queue, asked.state[f"{name}{PENDING}"])
        built.net.t_ = float(asked.state[TIME][0])
        if asked.seed is None:
            np.random.set_state(_generator_of(asked.state[self.generator]))
        else:
            np.random.seed(asked.seed)
        started = time.perf_counter()
        stop.add(built.net.stop)
        try:
            with self._brian2():
                built.net.run(asked.duration * second, namespace={})
            after = _generator_data(np.random.get_state())
        finally:
            stop.remove(built.net.stop)
        if stop.requested:
            return None
        seconds = time.perf_counter() - started
        pending = {f"{name}{PENDING}": queued(p.queue) for name, p in built.pathways.items()}
        end = {**arrays, **pending, TIME: [built.net.t_], self.generator: after}
        recording = recording_of(self.interface, self.recorded, self._found(), asked, seconds)
        return recording, state_of(self.interface, end)

    def show(
        self, shown: Shown, values: Mapping[str, np.ndarray], folder: Path, stop: Stop
    ) -> Seen:
        """See :class:`biosnn.devices.base.free_runs.FreeDevice`."""
        with self._alone(), self._brian2():
            return self._show(shown, self._begin(values), stop)

    def _show(self, shown: Shown, arrays: Mapping[str, np.ndarray], stop: Stop) -> Seen:
        built, started = self._built, time.perf_counter()
        rows: dict[str, list[int]] = {name: [] for name in built.monitors}
        counts: dict[str, list[np.ndarray]] = {name: [] for name in built.monitors}
        presentations: list[int] = []
        while len(presentations) < shown.n and not stop.requested:
            sample, attempt = len(presentations), 0
            np.random.seed(shown.seeds[sample])
            while self._present(shown, arrays, sample, attempt) and attempt < shown.max_retries:
                attempt += 1
                for name in built.monitors:
                    self._end_of(name, rows)
            presentations.append(attempt + 1)
            for name in built.monitors:
                count = self._end_of(name, rows)
                counts[name] += [] if count is None else [count]
        found = self._found()
        for name, several in counts.items():
            if several:
                found[name]["count"] = np.array(several)
        return Seen(
            done=len(presentations),
            arrays={name: array.copy() for name, array in arrays.items()},
            found=found,
            rows={name: np.array(ends, dtype=np.int64) for name, ends in rows.items()},
            seconds=time.perf_counter() - started,
            shown=np.array(presentations, dtype=np.int32),
        )

    def _present(
        self, shown: Shown, arrays: Mapping[str, np.ndarray], sample: int, attempt: int
    ) -> bool:
        """Present a sample with its rest; whether it had too few spikes."""
        built = self._built
        for name, first in shown.resets.items():
            arrays[name][:] = first
        for name, scaling in shown.scalings.items():
            if attempt == 0 or scaling.retries:
                arrays[name][:] = scaling.apply(arrays[name])
        for pathway in built.pathways.values():
            set_queue(pathway.queue, np.empty((0, 2), dtype=np.int32))
        intensity = shown.intensity + shown.intensity_step * attempt
        for name, samples in shown.rows.items():
            arrays[name][:] = samples[sample] * intensity
        for name, given in shown.events.items():
            low, high = np.searchsorted(given.sample, [sample, sample + 1])
            at = given.step[low:high] * shown.dt * second
            built.owners[name].set_spikes(given.unit[low:high], at, sorted=True)
        built.net.t_ = begin = 0.0
        few = False
        for end in shown.ends:
            if begin > 0:
                for name in shown.silent:
                    arrays[name][:] = 0
            built.net.run((end - begin) * second, namespace={})
            if begin == 0 and shown.watch:
                count = built.monitors[shown.watch].variables["count"].get_value()
                few = int(count.sum()) < shown.min_spikes
            begin = end
        for name in shown.times:
            steps = np.round((arrays[name] - shown.ends[-1]) / shown.dt)
            arrays[name][:] = steps * shown.dt
        return few

    def _end_of(self, name: str, rows: Mapping[str, list[int]]) -> np.ndarray | None:
        """Note how much a monitor holds after a presentation; what it counted, from 0 again."""
        monitor, column = self._built.monitors[name], self.recorded[name].rows
        rows[name].append(len(monitor.variables[column].get_value()) if column else 0)
        if "count" not in monitor.variables:
            return None
        count = np.array(monitor.variables["count"].get_value())
        monitor.variables["count"].set_value(0)
        return count


def with_constants(program: Program, changed: Mapping[str, float]) -> Program:
    """A program with other values, in SI units, of ``"object.constant"``."""

    def evolved(owner: Any) -> Any:
        constants = dict(owner.constants)
        for full, value in changed.items():
            key, _, name = full.partition(".")
            if key == owner.name:
                dim, kind = get_dimensions(constants[name]), type(constants[name])
                constants[name] = kind(value) if dim.is_dimensionless else Quantity(value, dim=dim)
        return attrs.evolve(owner, constants=constants)

    return program.changed(
        groups={key: evolved(group) for key, group in program.groups.items()},
        connections={key: evolved(made) for key, made in program.connections.items()},
    )


def _clear(monitor: Any) -> None:
    """Forget what was recorded."""
    monitor.resize(0)
    monitor.variables["N"].set_value(0)
    if "count" in monitor.variables:
        monitor.variables["count"].set_value(0)


def _generator_data(state: Any) -> np.ndarray:
    """State of NumPy's generator as an array of uint32."""
    _, words, position, has_normal, normal = state
    more = np.array([normal]).view(np.uint32)
    return np.concatenate([words, [position, has_normal], more]).astype(np.uint32)


def _generator_of(data: np.ndarray) -> tuple[Any, ...]:
    words, (position, has_normal), more = np.split(data, [_STATE_SIZE, _STATE_SIZE + 2])
    return "MT19937", words, int(position), int(has_normal), float(more.view(np.float64)[0])
