"""The device ``runtime``: a live Brian2 network in this process."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import (
    BrianObject,
    Clock,
    NetworkOperation,
    SpikeMonitor,
    StateMonitor,
    get_device,
    prefs,
    second,
)
from brian2.devices.device import reset_device, runtime_device, set_device

from biosnn.devices.base.brian2_objects import Built, build
from biosnn.devices.base.contract import (
    AddressEvents,
    Chunk,
    NotFiniteError,
    Report,
    Settings,
    Stop,
)
from biosnn.errors import DeviceError
from biosnn.program.interface import Interface
from biosnn.program.layout import default_state, interface_of
from biosnn.program.passes.presentation import FROM_ZERO, GIVEN
from biosnn.program.program import Kernel, Program
from biosnn.recording import Recording, Spikes, Trace
from biosnn.state import State

# Preferences and device belong to the process, whatever thread changes them.
_ONE_AT_A_TIME = threading.RLock()
_GENERATORS = ("base", "numpy_generator", "cython_generator")


@contextlib.contextmanager
def brian2_as_needed(program: Program, precision: str, target: str) -> Iterator[None]:
    """Brian2's device and preferences as biosnn needs them, and afterwards as they were."""
    order_free = [kernel.code for kernel in program.kernels if kernel.order_free]

    with _ONE_AT_A_TIME:
        yield from _with_preferences(order_free, precision, target)


def _with_preferences(order_free: list[str], precision: str, target: str) -> Iterator[None]:
    def worth_saying(message: logging.LogRecord) -> bool:
        return not any(code in message.getMessage() for code in order_free)

    loggers = [logging.getLogger(f"brian2.codegen.generators.{k}") for k in _GENERATORS]
    before = prefs.codegen.target, prefs.core.default_float_dtype
    foreign = get_device() is not runtime_device
    if foreign:
        set_device("runtime")
    prefs.codegen.target = target
    prefs.core.default_float_dtype = np.float32 if precision == "single" else np.float64
    for logger in loggers:
        logger.addFilter(worth_saying)
    try:
        with warnings.catch_warnings():
            # Brian2 compares float32 state variables with 1e50 to find those that diverge.
            where = r"brian2\.groups\.group"
            warnings.filterwarnings("ignore", "overflow .* cast", RuntimeWarning, where)
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(worth_saying)
        prefs.codegen.target, prefs.core.default_float_dtype = before
        if foreign:
            reset_device()


class RuntimeNetwork:
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

    longest_chunk: int | None = 64

    def __init__(self, program: Program, precision: str, target: str = "numpy"):
        started = time.perf_counter()
        single = precision == "single"
        self._free = threading.Lock()
        self.program = program
        self.brian2 = lambda: brian2_as_needed(program, precision, target)
        self.hooks = _RuntimeHooks(program)
        with self.brian2():
            self.built: Built = build(program, self.hooks, single_precision=single)
        self.interface = interface_of(program, single_precision=single)
        self.hooks.ready(self.built, self.interface)
        self.defaults = default_state(self.interface, program)
        self.build_seconds = time.perf_counter() - started

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[RuntimeSession]:
        """Begin a run (see :class:`biosnn.devices.base.contract.Device`).

        Raises
        ------
        DeviceError
            If the network is running already: there is only one of it.
        """
        if not self._free.acquire(blocking=False):
            raise DeviceError(
                'this network is running already: on the device "runtime" it is live and runs one '
                'thing at a time; compile another one, or use device="cpp"'
            )
        try:
            yield RuntimeSession(self, state)
        finally:
            self._free.release()


class RuntimeSession:
    """A run of a live network; its state stays in the network from chunk to chunk."""

    def __init__(self, made: RuntimeNetwork, state: State):
        self._made = made
        self._built = made.built
        for name, array in self._arrays.items():
            array[:] = state[name]

    @property
    def _arrays(self) -> dict[str, np.ndarray]:
        """The state's variables, as they are in the network."""
        return {
            array.full_name: self._built.owner(array).variables[array.name].get_value()
            for array in self._made.program.state
        }

    def state(self) -> State:
        """See :class:`biosnn.devices.base.contract.Session`."""
        return self._made.interface.state(self._arrays)

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """See :class:`biosnn.devices.base.contract.Session`; it always shows the whole chunk."""
        made, built = self._made, self._built
        unit = built.groups[made.program.protocol]
        protocol = {name: unit.variables[name].get_value() for name in unit.equations.names}
        for name in FROM_ZERO:
            protocol[name][:] = 0
        for name in GIVEN:
            protocol[name][:] = getattr(settings, name)
        protocol["learning"][:] = bool(settings.learning)
        made.hooks.start(chunk, settings, protocol, report)
        frozen = self._switch(settings.learning)
        for monitor in (*built.spike_monitors.values(), *built.state_monitors.values()):
            _clear(monitor)  # what a run that was interrupted has left
        slot = made.program.dt * made.program.steps_per_presentation * second
        built.net.t_ = 0.0
        started = time.perf_counter()
        with made.brian2():
            while protocol["sample"][0] < chunk.n:
                built.net.run((chunk.n - int(protocol["sample"][0])) * slot, namespace={})
                for target in built.finishing:
                    if target.name not in frozen:
                        target.run()
        seconds = time.perf_counter() - started
        for name, array in self._arrays.items():
            if made.program.arrays[name].clock_time:
                # In whole steps: the last digits do not tell where runs were cut.
                steps = np.round((array - built.net.t_) / made.program.dt)
                array[:] = steps * made.program.dt
        recording = Recording(
            per_sample=made.hooks.stored,
            shown=made.hooks.shown,
            spikes=self._spikes(),
            traces=self._traces(),
            snapshots=made.hooks.snapshots,
            seconds=seconds,
        )
        return chunk.n, recording

    def _switch(self, learning: tuple[str, ...]) -> set[str]:
        """Activate what belongs to learning projections; names of what is off."""
        plastic = self._built.plastic
        wanted = {o.name for key in learning for o in plastic[key]}
        frozen = set()
        for targets in plastic.values():
            for target in targets:
                target.active = target.name in wanted
                if not target.active:
                    frozen.add(target.name)
        return frozen

    def _spikes(self) -> dict[str, Spikes]:
        found = {}
        for key, monitor in self._built.spike_monitors.items():
            found[key] = Spikes(
                np.array(monitor.i),
                np.asarray(monitor.t_sample),
                np.array(monitor.sample),
                np.array(monitor.attempt),
            )
            _clear(monitor)
        return found

    def _traces(self) -> dict[str, Trace]:
        found = {}
        for name, monitor in self._built.state_monitors.items():
            values = getattr(monitor, name.partition(".")[2])
            found[name] = Trace(
                np.array(monitor.t / second),
                np.array(values),
                np.array(monitor.record),
                self._made.interface.traces[name].unit,
            )
            _clear(monitor)
        return found


def _clear(monitor: SpikeMonitor | StateMonitor) -> None:
    """Forget what was recorded (Brian2's spike monitors do not count again from zero)."""
    monitor.resize(0)
    monitor.variables["N"].set_value(0)


class _RuntimeHooks:
    """Moves rows of arrays in and out of a live network."""

    def __init__(self, program: Program):
        self.program = program
        self.ports = program.inputs

    def ready(self, built: Built, described: Interface) -> None:
        """Take note of the network, once it is there."""
        self.interface = described
        self._arrays = {
            name: built.owner(array).variables[array.name].get_value()
            for name, array in self.program.arrays.items()
            if not array.link and not array.expression
        }

    def start(
        self,
        chunk: Chunk,
        settings: Settings,
        protocol: dict[str, np.ndarray],
        report: Report,
    ) -> None:
        """Prepare for a chunk."""
        self.chunk, self.settings, self.protocol, self.report = chunk, settings, protocol, report
        self.shown = np.zeros(chunk.n, dtype=np.int32)
        self.stored = {
            name: np.zeros((chunk.n, column.size), dtype=column.dtype)
            for name, column in self.interface.per_sample.items()
        }
        self.snapshots = {
            name: np.zeros(
                (column.rows(settings.position, chunk.n), column.size), dtype=column.dtype
            )
            for name, column in self.interface.snapshots.items()
        }
        self._presentations = self._spikes = self._seen = 0

    def load(self, kernel: Kernel, clock: Clock) -> BrianObject:
        """See :class:`biosnn.devices.base.brian2_objects.Hooks`."""
        channel, kind = kernel.owner, self.ports[kernel.owner].kind
        action = {"static": self._row, "sequence": self._frame, "events": self._events}[kind]

        def act() -> None:
            values = action(channel)
            for target in kernel.targets:
                self._arrays[target][:] = values

        return NetworkOperation(act, clock=clock, when=kernel.when, name=kernel.name)

    def store(self, kernel: Kernel, clock: Clock) -> BrianObject:
        """See :class:`biosnn.devices.base.brian2_objects.Hooks`."""

        def act() -> None:
            if not self.protocol["pending"][0]:
                return
            sample = int(self.protocol["sample"][0])
            self._check_finite(sample, "neuron")
            for name, values in self.stored.items():
                values[sample] = self._arrays[name]
            self.shown[sample] = self.protocol["attempt"][0] + 1
            self._presentations += 1

        return NetworkOperation(act, clock=clock, when=kernel.when, name=kernel.name)

    def snapshot(self, kernel: Kernel, clock: Clock) -> BrianObject:
        """See :class:`biosnn.devices.base.brian2_objects.Hooks`."""

        def act() -> None:
            done = int(self.protocol["sample"][0])
            self._check_finite(done if self.protocol["attempt"][0] else done - 1, "weight")
            if done == 0 or self.protocol["attempt"][0] or self._seen == done:
                return
            self._seen = done
            position = self.settings.position
            for name, column in self.interface.snapshots.items():
                if (position + done) % column.every == 0:
                    row = column.rows(position, done) - 1
                    self.snapshots[name][row] = self._arrays[name]
            counted = self.stored.get(self.interface.counted)
            self._spikes += 0 if counted is None else int(counted[done - 1].sum())
            self.report(done, self._presentations, self._spikes)

        return NetworkOperation(act, clock=clock, when=kernel.when, name=kernel.name)

    def _check_finite(self, sample: int, role: str) -> None:
        for variable in self.interface.variables:
            finite = variable.dtype[1] == "f" and not variable.infinite
            if variable.role != role or not finite:
                continue
            bad = np.flatnonzero(~np.isfinite(self._arrays[variable.name]))
            if bad.size:
                raise NotFiniteError(variable.name, int(bad[0]), sample)

    def _row(self, channel: str) -> Any:
        sample = int(self.protocol["sample"][0])
        values = self.chunk.inputs[channel]
        absent = self.ports[channel].absent
        return absent if values is None or sample >= self.chunk.n else values[sample]

    def _frame(self, channel: str) -> Any:
        values = self.chunk.inputs[channel]
        sample = int(self.protocol["sample"][0])
        frame = int(self.protocol["step"][0]) // self.ports[channel].frame_steps
        if values is None or sample >= self.chunk.n or frame >= values.shape[1]:
            return 0.0
        return values[sample, frame]

    def _events(self, channel: str) -> Any:
        events: AddressEvents | None = self.chunk.inputs[channel]
        fired = np.zeros(self.ports[channel].features)
        if events is not None:
            sample, step = int(self.protocol["sample"][0]), int(self.protocol["step"][0]) - 1
            begin, end = np.searchsorted(events.sample, [sample, sample + 1])
            low, high = begin + np.searchsorted(events.step[begin:end], [step, step + 1])
            fired[events.unit[low:high]] = 1.0
        return fired
