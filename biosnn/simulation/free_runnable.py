"""A network of a Brian2 script on a device, which runs for a duration."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from biosnn.devices.base.contract import TooMuchRecordedError
from biosnn.devices.base.free_binary import FreeCompiledNetwork
from biosnn.devices.base.free_runs import PENDING, TIME, FreeDevice, FreeRun
from biosnn.errors import DataError, DeviceError, Interrupted, ParameterError
from biosnn.recording import Recording
from biosnn.simulation.provenance import now, with_origin
from biosnn.simulation.run_loop.options import RunOptions
from biosnn.simulation.run_loop.recorders import size
from biosnn.simulation.run_loop.signals import SignalStop
from biosnn.simulation.script_values import checked_values
from biosnn.state import State, unit_of
from biosnn.validation import LARGEST, check_whole, describe


class FreeRunnable:
    """A network on a device, which runs for a duration.

    :func:`biosnn.compile` makes it from a :func:`biosnn.from_brian2`, and
    :func:`biosnn.simulation.load` from what :meth:`export` wrote.

    Attributes
    ----------
    interface : Interface
        Variables, as plain data.
    device, precision : str
        Where and how it runs.
    device_reason : str
        Why it runs there.
    build_seconds : float
        What building took (little when the build was in the cache).
    """

    def __init__(
        self,
        made: FreeDevice,
        device: str,
        network: Callable[[], Any],
        device_reason: str = "it was asked for",
        *,
        plain_seconds: bool = False,
    ):
        self.interface, self.device_reason = made.interface, device_reason
        self.device, self.precision = device, made.interface.precision
        self.build_seconds = made.build_seconds
        self._network, self._plain_seconds = network, plain_seconds
        self._made = made

    def __repr__(self) -> str:
        return f"FreeRunnable on {self.device}: {self.interface.name!r}, {self.precision} precision"

    @property
    def network(self) -> Any:
        """What it was made from, a :class:`LiftedNetwork`."""
        return self._network()

    def export(self, folder: str | os.PathLike[str]) -> Path:
        """Copy the compiled network to a folder of its own, to be moved and run elsewhere.

        Parameters
        ----------
        folder : path-like
            A folder that does not exist yet. :func:`biosnn.simulation.load` opens it, without
            Brian2.

        Raises
        ------
        DeviceError
            If the network is not compiled (device ``"runtime"``).
        StorageError
            If the folder exists or cannot be written.
        """
        if not isinstance(self._made, FreeCompiledNetwork):
            raise DeviceError(
                f'a network on the device "{self.device}" is not an artifact; compile it for "cpp"'
            )
        return self._made.export(Path(folder))

    def initial_state(self) -> State:
        """The state that the script's objects had; ``t`` is its time in s."""
        return self._made.defaults

    def run(
        self,
        duration: Any,
        values: Mapping[str, Any] | None = None,
        state: State | None = None,
        *,
        seed: int | None = None,
        memory_limit: int | None = None,
    ) -> tuple[Recording, State]:
        """Run the network for a time.

        Parameters
        ----------
        duration : Quantity
            How long. Of a network that was loaded, as there may be no Brian2, also a number of s.
        values : mapping, optional
            What is changed before: ``"object.variable"`` -> one value for all or an array, or
            ``"object.constant"`` of a namespace -> a value. A name without an object is that of a
            constant wherever it is used. Quantities, or numbers in SI units. A constant holds for
            this run only.
        state : State, optional
            What to go on from, as a run returned it. Default: :meth:`initial_state`.
        seed : int, optional
            What random numbers follow from. Default: they go on where the state's run ended, and
            follow from 0 in a first run.
        memory_limit : int, optional
            Bytes of memory that the recording may take; default: a quarter of all memory.

        Returns
        -------
        recording : Recording
            ``spikes`` of each monitor of events and ``traces`` of those of variables and rates
            (``"monitor.variable"``), with Brian2's times, and ``per_sample["monitor.count"]``.
        state : State
            After the run, to go on from.

        Raises
        ------
        ParameterError
            If the duration is no time >= 0, a value is not one that can be changed, or the
            recording does not fit.
        DataError
            If the state is not of this network, or a value does not fit its variable.
        Interrupted
            After Ctrl-C or SIGTERM.
        """
        seconds = checked_duration(duration, plain=self._plain_seconds)
        start = self._complete(self.initial_state() if state is None else state)
        start, constants = self._changed(start, {} if values is None else values)
        if seed is not None:
            seed = check_whole("run", "seed", seed, 0, LARGEST)
        elif self._made.generator not in start:
            seed = 0
        limit, started = RunOptions(memory_limit=memory_limit).memory, now()
        known = self._traced_bytes(seconds)
        if known > limit:
            raise _too_much(f"a recording that needs at least {size(known)}", limit)
        asked = FreeRun(
            state=start, duration=seconds, constants=constants, seed=seed, recorder_limit=limit
        )
        with SignalStop(lambda line: None) as stop, tempfile.TemporaryDirectory() as folder:
            try:
                found = self._made.run(asked, Path(folder), stop)
            except TooMuchRecordedError as error:
                got = f"a recording that has grown to {size(int(str(error)))}"
                raise _too_much(got, limit) from None
            if found is None or stop.signal:
                raise Interrupted("stopped; nothing was kept of this run", stop.signal)
        recording, end = found
        origin = (self.interface, self.device, started, seed)
        return with_origin(recording, *origin), end

    def _traced_bytes(self, seconds: float) -> int:
        """What monitors of variables and rates record in a time."""
        return sum(
            made.row_bytes * int(seconds / made.dt)
            for made in self._made.recorded.values()
            if made.kind != "events"
        )

    def _complete(self, state: State) -> State:
        """Check that a state is one of this network."""
        if not isinstance(state, State):
            raise DataError(f"run: state must be a State, got a {type(state).__name__}")
        expected = self.initial_state()
        for name in expected:
            if name not in state:
                raise DataError(f"run: the state lacks {name!r}; use one that a run returned")
            fits = state[name].shape == expected[name].shape
            if name.endswith(PENDING):
                fits = state[name].ndim == 2 and state[name].shape[1] == 2
            if not fits:
                wanted, got = expected[name].shape, state[name].shape
                raise DataError(f"run: state[{name!r}] must have shape {wanted}, got {got}")
        return state

    def _changed(self, state: State, values: Mapping[str, Any]) -> tuple[State, dict[str, float]]:
        """A state with other values, and the constants that have others."""
        variables = [variable.name for variable in self.interface.variables]
        arrays, constants = checked_values(
            ("run", "values"), values, variables, self._made.constants
        )
        return state.updated(arrays), constants

    def time(self, state: State) -> float:
        """The time in s at which a state is."""
        return float(state[TIME][0])


def _too_much(got: str, limit: int) -> ParameterError:
    wanted = f"enough for what the monitors record (it is {size(limit)})"
    remedy = "Record fewer variables or neurons, or less often (dt=...), run for a shorter time "
    remedy += "and go on from its state, or raise memory_limit"
    return ParameterError("run", "memory_limit", got, wanted, remedy)


def checked_duration(duration: Any, *, plain: bool = False) -> float:
    """Seconds of a duration, which may be a plain number of them if it says so.

    Raises
    ------
    ParameterError
        If it is no time >= 0.
    """
    number = plain and isinstance(duration, int | float) and unit_of(duration) is None
    valid = number or (unit_of(duration) == "s" and np.size(duration) == 1)
    valid = valid and np.isfinite(duration).all()
    if not valid or float(duration) < 0:
        remedy = "Give a time with its unit, such as 1*second"
        raise ParameterError("run", "duration", describe(duration), "a time >= 0 s", remedy)
    return float(duration)
