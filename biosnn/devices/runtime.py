"""The device ``runtime``: a live Brian2 network in this process."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
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

from biosnn.devices.build import Built, build
from biosnn.devices.contract import AddressEvents, Settings
from biosnn.devices.record import Record, unit_name
from biosnn.networks import NetworkModel
from biosnn.recording import Recording, Spikes, Trace
from biosnn.state import State

_GENERATORS = ("base", "numpy_generator", "cython_generator")


@contextlib.contextmanager
def _brian2(network: NetworkModel, precision: str, target: str) -> Iterator[None]:
    """Brian2's device and preferences as biosnn needs them, and afterwards as they were."""
    order_free = [p.transmit for p in network.projections.values() if p.order_free]

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
    network : NetworkModel
        The declaration.
    record : Record
        What to observe.
    precision : {"double", "single"}
        Of the state variables.
    target : {"numpy", "cython"}
        Brian2's code generation target.
    """

    def __init__(self, network: NetworkModel, record: Record, precision: str, target: str):
        started = time.perf_counter()
        self.network = network
        self._record = record
        self._brian2 = lambda: _brian2(network, precision, target)
        self._hooks = _RuntimeHooks(network, record)
        with self._brian2():
            self.built: Built = build(
                network, record, self._hooks, single_precision=precision == "single"
            )
        self._hooks.built = self.built
        shapes = network.initial_state().shapes
        self.defaults = State(self._read(), shapes)
        self.build_seconds = time.perf_counter() - started

    def _array(self, name: str) -> np.ndarray:
        owner, variable = self.built.variables[name]
        return owner.variables[variable].get_value()

    def _read(self) -> dict[str, np.ndarray]:
        return {name: np.array(self._array(name)) for name in self.built.variables}

    def run_chunk(
        self,
        n: int,
        inputs: Mapping[str, Any],
        state: State,
        settings: Settings,
        progress: Callable[[int], None],
    ) -> tuple[Recording, State]:
        """Show ``n`` samples (see :class:`biosnn.devices.contract.Device`)."""
        built = self.built
        for name in built.variables:
            self._array(name)[:] = state[name]
        protocol = {
            name: built.groups["protocol"].variables[name].get_value()
            for name in built.groups["protocol"].equations.names
        }
        for name in ("sample", "attempt", "pending", "step", "n_watch"):
            protocol[name][:] = 0
        for name in ("seed", "epoch", "first_sample", "horizon"):
            protocol[name][:] = getattr(settings, name)
        protocol["learning"][:] = bool(settings.learning)
        self._hooks.start(n, inputs, protocol, progress)
        frozen = self._switch(settings.learning)
        for monitor in (*built.spike_monitors.values(), *built.state_monitors.values()):
            _clear(monitor)  # what a run that was interrupted has left
        slot = self.network.dt * self.network.steps_per_presentation
        built.net.t_ = 0.0
        started = time.perf_counter()
        with self._brian2():
            while protocol["sample"][0] < n:
                built.net.run((n - int(protocol["sample"][0])) * slot, namespace={})
                for target in built.border:
                    if target.name not in frozen:
                        target.run()
        seconds = time.perf_counter() - started
        arrays = self._read()
        for name in arrays:
            if name.endswith(".lastspike"):
                # In whole steps: the last digits do not tell where runs were cut.
                steps = np.round((arrays[name] - built.net.t_) / float(self.network.dt))
                arrays[name] = steps * float(self.network.dt)
        recording = Recording(
            per_sample=self._hooks.stored,
            shown=self._hooks.shown,
            spikes=self._spikes(),
            traces=self._traces(),
            seconds=seconds,
        )
        return recording, State(arrays, self.defaults.shapes)

    def _switch(self, learning: tuple[str, ...]) -> set[str]:
        """Activate what belongs to learning projections; names of what is off."""
        wanted = {o.name for key in learning for o in self.built.plastic[key]}
        frozen = set()
        for targets in self.built.plastic.values():
            for target in targets:
                target.active = target.name in wanted
                if not target.active:
                    frozen.add(target.name)
        return frozen

    def _spikes(self) -> dict[str, Spikes]:
        found = {}
        for key, monitor in self.built.spike_monitors.items():
            found[key] = Spikes(
                np.array(monitor.i), np.asarray(monitor.t_sample), np.array(monitor.sample)
            )
            _clear(monitor)
        return found

    def _traces(self) -> dict[str, Trace]:
        found = {}
        for name, monitor in self.built.state_monitors.items():
            variable = name.partition(".")[2]
            values = getattr(monitor, variable)
            found[name] = Trace(
                np.array(monitor.t / second),
                np.array(values),
                np.array(monitor.record),
                unit_name(monitor.source.variables[variable].dim),
            )
            _clear(monitor)
        return found


def _clear(monitor: SpikeMonitor | StateMonitor) -> None:
    """Forget what was recorded (Brian2's spike monitors do not count again from zero)."""
    monitor.resize(0)
    monitor.variables["N"].set_value(0)


class _RuntimeHooks:
    """Moves rows of arrays in and out of a live network."""

    def __init__(self, network: NetworkModel, record: Record):
        self.network = network
        self.record = record
        self.built: Built

    def start(
        self,
        n: int,
        inputs: Mapping[str, Any],
        protocol: dict[str, np.ndarray],
        progress: Callable[[int], None],
    ) -> None:
        """Prepare for a chunk."""
        self.n = n
        self.inputs = inputs
        self.protocol = protocol
        self.progress = progress
        self.shown = np.zeros(n, dtype=np.int32)
        self.stored = {}
        for name in self.record.per_sample:
            values = self._values(name)
            self.stored[name] = np.zeros((n, len(values)), dtype=values.dtype)

    def _values(self, name: str) -> np.ndarray:
        key, _, variable = name.partition(".")
        return self.built.groups[key].variables[variable].get_value()

    def load(self, channel: str, clock: Clock, order: int) -> BrianObject:
        """See :class:`biosnn.devices.build.Hooks`."""
        spec = self.network.inputs[channel]
        action = {"static": self._row, "sequence": self._frame, "events": self._events}[spec.kind]
        targets = [
            f"{key}.{variable}"
            for key, population in self.network.populations.items()
            for variable, name in population.drives.items()
            if name == channel
        ]

        def act() -> None:
            values = action(channel)
            for target in targets:
                self._values(target)[:] = values

        return NetworkOperation(act, clock=clock, when="start", order=order, name=f"load_{channel}")

    def store(self, clock: Clock, order: int) -> BrianObject:
        """See :class:`biosnn.devices.build.Hooks`."""

        def act() -> None:
            if not self.protocol["pending"][0]:
                return
            sample = int(self.protocol["sample"][0])
            for name, values in self.stored.items():
                values[sample] = self._values(name)
            self.shown[sample] = self.protocol["attempt"][0] + 1
            self.progress(sample)

        return NetworkOperation(act, clock=clock, when="start", order=order, name="store")

    def _row(self, channel: str) -> Any:
        sample = int(self.protocol["sample"][0])
        values = self.inputs[channel]
        return 0.0 if values is None or sample >= self.n else values[sample]

    def _frame(self, channel: str) -> Any:
        values = self.inputs[channel]
        sample = int(self.protocol["sample"][0])
        steps = round(float(self.network.inputs[channel].frame / self.network.dt))
        frame = int(self.protocol["step"][0]) // steps
        if values is None or sample >= self.n or frame >= values.shape[1]:
            return 0.0
        return values[sample, frame]

    def _events(self, channel: str) -> Any:
        events: AddressEvents | None = self.inputs[channel]
        fired = np.zeros(self.network.inputs[channel].features)
        if events is not None:
            sample, step = int(self.protocol["sample"][0]), int(self.protocol["step"][0]) - 1
            begin, end = np.searchsorted(events.sample, [sample, sample + 1])
            low, high = begin + np.searchsorted(events.step[begin:end], [step, step + 1])
            fired[events.unit[low:high]] = 1.0
        return fired
