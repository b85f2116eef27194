"""A user's own Brian2 script: run it, and be handed each of its simulations before it starts."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import brian2
import matplotlib as mpl
import numpy as np
from brian2 import (
    BrianObject,
    Network,
    Quantity,
    get_device,
    magic_network,
    ms,
    prefs,
)
from brian2.core.base import BrianObjectException
from brian2.devices import device_module as brian2_device

from biosnn.errors import DataError, ParameterError

_BRIAN2 = os.path.dirname(str(brian2.__file__)) + os.sep


class StopScript(BaseException):
    """Raised by the function that is handed a simulation: the script ends there."""


class _TimeIsUp(BaseException):
    """The script has had its time."""


class _Fault(BaseException):
    """The function that is handed simulations has failed; its error is the argument."""


@attrs.frozen
class Place:
    """A line of a file, and which part of it: first and last line, first and last column."""

    file: str
    line: int
    span: tuple[int, int, int, int] | None = attrs.field(default=None, eq=False)

    @classmethod
    def of(cls, frame: FrameType) -> Place:
        """Where a frame is: the call that it has not come back from."""
        positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
        first, last, begin, end = next(positions)
        span = None
        if first is not None and last is not None and begin is not None and end is not None:
            span = first, last, begin, end
        return cls(frame.f_code.co_filename, frame.f_lineno, span)

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


@attrs.define(eq=False, kw_only=True)
class Simulation:
    """What a script is about to run.

    Parameters
    ----------
    network : brian2.Network
        Brian2's magic network, if the script has none of its own.
    objects : frozenset of brian2.BrianObject
        Those of the network, in their present state.
    duration : brian2.Quantity
        Seconds to be simulated.
    namespace : mapping
        What ``run`` was given, or the names around the call.
    place : Place
        Where it was called.
    """

    network: Network
    objects: frozenset[BrianObject]
    duration: Quantity
    namespace: Mapping[str, Any]
    place: Place
    _places: Mapping[BrianObject, Place] = attrs.field(alias="places")
    _run: Callable[[Quantity], None] = attrs.field(alias="run")
    _error: BaseException | None = attrs.field(default=None, init=False)

    def place_of(self, target: BrianObject) -> Place | None:
        """Where the script made an object; None for one that was there before."""
        return self._places.get(target)

    def simulate(self, duration: Quantity | None = None) -> None:
        """Let Brian2 run it, as the script asks or for another duration."""
        self.network.objects = set(self.objects)  # the magic network forgets them after a run
        try:
            self._run(self.duration if duration is None else duration)
        except BaseException as error:
            self._error = error
            raise


@attrs.frozen(kw_only=True)
class ScriptEnd:
    """How a script ended.

    Parameters
    ----------
    status : {"finished", "stopped", "failed", "timed out"}
        "stopped" by what was handed its simulations, "failed" by an error or ``sys.exit``.
    error : str
        Kind and message of the error, as a traceback's last line has them.
    place : Place or None
        Line of the script that was reached.
    set_aside : tuple of (Place, str)
        Devices that the script has asked for and not got.
    """

    status: str
    error: str = ""
    place: Place | None = None
    set_aside: tuple[tuple[Place, str], ...] = ()

    def __str__(self) -> str:
        """One sentence."""
        where = f" at {self.place}" if self.place else ""
        return f"the script {self.status}{where}{f': {self.error}' if self.error else ''}"


def run_script(
    script: str | os.PathLike[str],
    on_simulation: Callable[[Simulation], None],
    *,
    arguments: Sequence[str] = (),
    timeout: float | None = None,
) -> ScriptEnd:
    """Run a script as ``python SCRIPT ARGUMENTS`` would, up to each of its simulations.

    It runs in this process and working folder, with all rights of the user, on Brian2's device
    ``"runtime"``; other devices that it asks for are set aside. Figures go to matplotlib's backend
    Agg. Device, preferences, clock, random numbers and magic network of Brian2 are as before
    afterwards.

    Parameters
    ----------
    script : path
        Python file.
    on_simulation : callable
        Called with a :class:`Simulation` in place of each ``run(...)`` and ``Network.run(...)`` of
        the script's process. It calls :meth:`Simulation.simulate` to let Brian2 run it, and raises
        :class:`StopScript` to end the script. What it simulates itself is left alone.
    arguments : sequence of str
        The script's own.
    timeout : float, optional
        Seconds that the script may take.

    Returns
    -------
    ScriptEnd
        Errors of the script are told there and not raised.

    Raises
    ------
    DataError
        If there is no such file.
    ParameterError
        If a timeout is not positive, or asked for outside the main thread.
    Exception
        What ``on_simulation`` raises and :meth:`Simulation.simulate` has not raised.
    """
    path = Path(script)
    if not path.is_file():
        raise DataError(f"{path} is no file; give the path of a Python script")
    _check_timeout(timeout)
    capture = _Capture(on_simulation)
    status, error, where = "finished", "", None
    try:
        with _as_main(path, arguments), _brian2_restored(), capture.in_place(), _clock(timeout):
            runpy.run_path(str(path), run_name="__main__")
    except _Fault as fault:
        raise fault.args[0] from None
    except (StopScript, _TimeIsUp) as end:
        status = "stopped" if isinstance(end, StopScript) else "timed out"
        where = _reached(end, path)
    except KeyboardInterrupt:
        raise
    except SystemExit as end:
        if end.code not in (None, 0):
            status, error, where = "failed", f"SystemExit: {end.code}", _reached(end, path)
    except BaseException as problem:
        status, where = "failed", _reached(problem, path)
        while isinstance(problem, BrianObjectException) and problem.__cause__ is not None:
            problem = problem.__cause__
        error = " ".join(traceback.format_exception_only(problem)[-1].split())
    return ScriptEnd(status=status, error=error, place=where, set_aside=tuple(capture.set_aside))


def _reached(error: BaseException, script: Path) -> Place | None:
    """The innermost line of the script that an error went through."""
    if isinstance(error, SyntaxError) and error.filename == str(script):
        return Place(str(script), error.lineno or 0)
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(script)
    ]
    return Place(str(script), lines[-1] or 0) if lines else None


def _outside_brian2(frame: FrameType | None) -> Place:
    """The innermost line that is neither of Brian2 nor of this module."""
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_BRIAN2) and file != __file__:
            return Place.of(frame)
        frame = frame.f_back
    return Place("", 0)


class _Capture:
    """Stands between a script and Brian2."""

    def __init__(self, on_simulation: Callable[[Simulation], None]):
        self.on_simulation = on_simulation
        self.places: WeakKeyDictionary[BrianObject, Place] = WeakKeyDictionary()
        self.set_aside: list[tuple[Place, str]] = []
        self._process = os.getpid()
        self._busy = self._stopped = False

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Take the places of Brian2's functions that run, choose a device and make objects."""
        run, choose = Network.run, brian2_device._do_set_device
        follower = BrianObject.__instancefollower__  # is told of each object that is made

        @functools.wraps(run)
        def captured(network: Network, duration: Quantity, *args: Any, **kwargs: Any) -> None:
            if self._busy or os.getpid() != self._process:
                kwargs["level"] = kwargs.get("level", 0) + 1
                return run(network, duration, *args, **kwargs)
            names = ("report", "report_period", "namespace", "profile")
            options = dict(zip(names, args, strict=False))
            options |= kwargs
            self._hand_over(run, network, duration, options, sys._getframe(1))
            return None

        def noted(target: Any) -> None:
            type(follower).add(follower, target)
            if isinstance(target, BrianObject):
                self.places[target] = _outside_brian2(sys._getframe(1))

        def kept(device: Any, build_on_run: bool = True, **options: Any) -> None:
            if self._busy or device in ("runtime", brian2_device.runtime_device):
                choose(device, build_on_run, **options)
            else:
                name = device if isinstance(device, str) else type(device).__name__
                self.set_aside.append((_outside_brian2(sys._getframe(1)), name))

        Network.run, brian2_device._do_set_device = captured, kept
        follower.add = noted
        try:
            yield
        finally:
            Network.run, brian2_device._do_set_device = run, choose
            del follower.add

    def _hand_over(
        self,
        run: Callable[..., None],
        network: Network,
        duration: Quantity,
        options: dict[str, Any],
        frame: FrameType,
    ) -> None:
        if self._stopped:  # a bare "except:" of the script has caught it
            raise StopScript
        for _ in range(options.pop("level", 0)):
            frame = frame.f_back or frame
        if options.get("namespace") is None:
            options["namespace"] = {**frame.f_globals, **frame.f_locals}
        made = Simulation(
            network=network,
            objects=frozenset(network.objects),
            duration=duration,
            namespace=options["namespace"],
            place=Place.of(frame),
            places=self.places,
            run=lambda seconds: run(network, seconds, **options),
        )
        self._busy = True
        try:
            self.on_simulation(made)
        except StopScript:
            self._stopped = True
            raise
        except Exception as error:
            if error is made._error:
                raise
            raise _Fault(error) from error
        finally:
            self._busy = False


@contextlib.contextmanager
def _as_main(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Arguments, search path, modules and backend of ``python SCRIPT ARGUMENTS``."""
    argv, path, modules = sys.argv, list(sys.path), set(sys.modules)
    backend = os.environ.get("MPLBACKEND")
    folder = str(script.resolve().parent)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, folder)
    os.environ["MPLBACKEND"] = "Agg"
    mpl.use("Agg")
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path
        if backend is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = backend
        for name in sys.modules.keys() - modules:  # another script may have others of that name
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and os.path.dirname(file) == folder:
                del sys.modules[name]


@contextlib.contextmanager
def _brian2_restored() -> Iterator[None]:
    """Brian2 as it is when it has just been imported, and afterwards as it was before."""
    device, devices = get_device(), list(brian2_device.previous_devices)
    if device is not brian2_device.runtime_device:
        brian2.set_device("runtime")
    values, scope = dict(prefs.prefs), BrianObject._scope_current_key
    clock = get_device().defaultclock
    times = {name: np.array(clock.variables[name].get_value()) for name in ("timestep", "t", "dt")}
    unfinished = clock._old_dt
    generator = np.random.get_state()
    magic = {
        **vars(magic_network),
        "objects": set(magic_network.objects),
        "_stored_state": dict(magic_network._stored_state),
    }
    clock.dt = 0.1 * ms
    try:
        yield
    finally:
        vars(magic_network).clear()
        vars(magic_network).update(magic)
        np.random.set_state(generator)
        BrianObject._scope_current_key = scope
        prefs.prefs.update(values)
        for name, array in times.items():
            clock.variables[name].set_value(array)
        clock._old_dt = unfinished
        if get_device() is not device:
            brian2.set_device(device, device.build_on_run, **device.build_options)
        brian2_device.previous_devices[:] = devices


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and not timeout > 0:
        raise ParameterError("run_script", "timeout", timeout, "> 0 s")
    if timeout is not None and threading.current_thread() is not threading.main_thread():
        got = f"{timeout} in another thread"
        raise ParameterError("run_script", "timeout", got, "None outside the main thread")


@contextlib.contextmanager
def _clock(timeout: float | None) -> Iterator[None]:
    """Stop what runs after so many seconds."""
    if timeout is None:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    # Again each second: what is raised while an object is deleted goes nowhere, and a script may
    # catch everything.
    signal.setitimer(signal.ITIMER_REAL, timeout, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
