"""The device ``runtime`` for networks that run for a duration: Brian2 itself, in this process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import second
from brian2.core.base import BrianObjectException

from biosnn._models.equation_text import one_line
from biosnn.devices.base.contract import Stop, TooMuchRecordedError
from biosnn.devices.base.free_description import constant_units, first_state, recorded_by
from biosnn.devices.base.free_objects import build_free
from biosnn.devices.base.free_runs import (
    PENDING,
    TIME,
    FreeRun,
    recording_of,
    state_of,
)
from biosnn.devices.runtime.device import brian2_as_needed
from biosnn.errors import DeviceError, ParameterError
from biosnn.program.changed_values import with_constants
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
        self.brian2 = lambda: brian2_as_needed(program, precision, target)
        self._free = threading.Lock()
        self._constants: dict[str, float] = {}
        self._build(program)
        self.interface = interface_of(program, single_precision=self._single)
        self.defaults = first_state(self.interface, program)
        self.recorded = recorded_by(self.built)
        self.constants = constant_units(program)
        self.build_seconds = time.perf_counter() - started

    def _build(self, program: Program) -> None:
        with self.brian2():
            try:
                self.built = build_free(program, single_precision=self._single)
                self.built.net.run(0 * second, namespace={})  # says now what is wrong
            except BrianObjectException as error:
                cause: Exception = error
                while isinstance(cause.__cause__, Exception):
                    cause = cause.__cause__
                wanted = "a network that Brian2 can run"
                raise ParameterError(program.name, "network", one_line(cause), wanted) from error

    def run(self, asked: FreeRun, folder: Path, stop: Stop) -> tuple[Recording, State] | None:
        """See :class:`biosnn.devices.base.free_runs.FreeDevice`."""
        with self.alone():
            return self._run(asked, stop)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else runs the network meanwhile."""
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

    def begin(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Set all variables, and forget what was recorded; the variables as they are there."""
        built = self.built
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
            for name, monitor in self.built.monitors.items()
        }

    def _run(self, asked: FreeRun, stop: Stop) -> tuple[Recording, State] | None:
        if dict(asked.constants) != self._constants:
            self._build(with_constants(self._program, asked.constants))
            self._constants = dict(asked.constants)
        built, arrays = self.built, self.begin(asked.state)
        for name, pathway in built.pathways.items():
            set_queue(pathway.queue, asked.state[f"{name}{PENDING}"])
        built.net.t_ = float(asked.state[TIME][0])
        if asked.seed is None:
            np.random.set_state(generator_of(asked.state[self.generator]))
        else:
            np.random.seed(asked.seed)
        started = time.perf_counter()
        stop.add(built.net.stop)

        def watch(*_: Any) -> None:
            held = sum(
                made.row_bytes * len(built.monitors[name].variables[made.rows].get_value())
                for name, made in self.recorded.items()
                if made.rows
            )
            if held > asked.recorder_limit:
                raise TooMuchRecordedError(f"{held}")

        try:
            with self.brian2():
                built.net.run(
                    asked.duration * second, namespace={}, report=watch, report_period=second
                )
            watch()
            after = generator_data(np.random.get_state())
        finally:
            stop.remove(built.net.stop)
        if stop.requested:
            return None
        seconds = time.perf_counter() - started
        pending = {f"{name}{PENDING}": queued(p.queue) for name, p in built.pathways.items()}
        end = {**arrays, **pending, TIME: [built.net.t_], self.generator: after}
        recording = recording_of(self.interface, self.recorded, self._found(), asked, seconds)
        return recording, state_of(self.interface, end)


def _clear(monitor: Any) -> None:
    """Forget what was recorded."""
    monitor.resize(0)
    monitor.variables["N"].set_value(0)
    if "count" in monitor.variables:
        monitor.variables["count"].set_value(0)


def generator_data(state: Any) -> np.ndarray:
    """State of NumPy's generator as an array of uint32."""
    _, words, position, has_normal, normal = state
    more = np.array([normal]).view(np.uint32)
    return np.concatenate([words, [position, has_normal], more]).astype(np.uint32)


def generator_of(data: np.ndarray) -> tuple[Any, ...]:
    """What :func:`generator_data` returned, back again, for ``numpy.random.set_state``."""
    words, (position, has_normal), more = np.split(data, [_STATE_SIZE, _STATE_SIZE + 2])
    return "MT19937", words, int(position), int(has_normal), float(more.view(np.float64)[0])
