"""``biosnn.run``: run a Brian2 script on a device, with the results in the script's objects."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import (
    BrianObject,
    EventMonitor,
    Network,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    StateMonitor,
    magic_network,
    prefs,
    second,
)
from brian2.core.magic import MagicNetwork, collect
from brian2.core.namespace import get_local_namespace
from brian2.core.network import TextReport, _get_all_objects

from biosnn.devices.base.free_description import first_state
from biosnn.devices.base.free_runs import PENDING
from biosnn.devices.runtime.free_device import generator_data, generator_of
from biosnn.errors import ParameterError
from biosnn.program.pending import set_queue
from biosnn.program.program import Program
from biosnn.program.script import LiftedNetwork, from_brian2
from biosnn.recording import Recording
from biosnn.simulation.compilation import compile as make_runnable
from biosnn.simulation.free_runnable import FreeRunnable, checked_duration
from biosnn.state import State
from biosnn.validation import describe

_MONITORS = EventMonitor | StateMonitor | PopulationRateMonitor
_REPORTS = (None, "text", "stdout", "stderr")


def run(
    duration: Any,
    report: str | Callable[..., None] | None = None,
    *,
    network: Network | None = None,
    device: str = "cpp",
    math: str = "fast",
    seed: int | None = None,
    namespace: Mapping[str, Any] | None = None,
    level: int = 0,
) -> None:
    """Run a Brian2 script's network on a device, in place of ``brian2.run``.

    Afterwards the script's objects are as if Brian2 had run them: variables, monitors, times and
    what is on its way. So the rest of the script stays as it is, also further runs, by this
    function or by Brian2.

    Parameters
    ----------
    duration : Quantity
        How long.
    report : {None, "text", "stdout", "stderr"} or callable, optional
        As for ``brian2.run``: told at the beginning and at the end.
    network : brian2.Network, optional
        Default: the objects that ``brian2.run`` would find where this function is called.
    device : {"cpp", "runtime"}
        One compiled binary, which is built once and kept in the cache; or Brian2's NumPy code.
    math : {"fast", "strict"}
        On ``cpp``: let the compiler reorder floating-point operations, or not.
    seed : int, optional
        What random numbers follow from. Default: NumPy's generator, so ``brian2.seed`` holds. On
        ``runtime`` they are Brian2's own, on ``cpp`` others of the same distribution.
    namespace : mapping, optional
        Names that the objects do not hold themselves. Default: the variables that are visible
        where this function is called.
    level : int
        How many frames further up they are looked for.

    Raises
    ------
    ParameterError
        If an object cannot come along, or an argument is out of its range.
    DeviceError
        If there is no working compiler, or the build or the run fails.

    Examples
    --------
    >>> from brian2 import NeuronGroup, SpikeMonitor, ms
    >>> from biosnn import run
    >>> tau = 10 * ms
    >>> cells = NeuronGroup(5, "dv/dt = (2 - v)/tau : 1", threshold="v > 1", reset="v = 0")
    >>> spikes = SpikeMonitor(cells)
    >>> run(100 * ms, device="runtime")
    >>> len(spikes.i)
    70
    """
    seconds = checked_duration(duration)
    tell = _reporter(report)
    if network is not None and not isinstance(network, Network):
        wanted = "a brian2.Network, or nothing for the magic network"
        raise ParameterError("run", "network", describe(network), wanted)
    whole: Network = magic_network if network is None else network
    names = get_local_namespace(level=level + 1) if namespace is None else namespace
    magic = isinstance(whole, MagicNetwork)
    found = _get_all_objects(collect(level=level + 1) if magic else whole.objects)
    fresh = [target for target in found if target._network is None]
    try:
        if isinstance(whole, MagicNetwork):
            whole._update_magic_objects(level=level + 1)
        objects = _get_all_objects(whole.objects)
        _claim(whole, objects)
        runnable, begin, constants = _runnable(from_brian2(whole, namespace=names), device, math)
        start = float(whole.t_)
        clocks = {target.clock for target in objects}
        for clock in clocks:  # as Brian2 does, which checks a changed time step here
            clock.set_interval(start * second, (start + seconds) * second)
        tell(0 * second, 0.0, start * second, seconds * second)
        began = time.perf_counter()
        recording, state = _run(runnable, begin, seconds, constants, seed)
    except BaseException:
        for target in fresh:  # not run yet: they can go into another network
            target._network = None
        raise
    hand_back(objects, recording, state)
    whole.t_ = start + seconds
    for clock in clocks:
        clock._set_t_update_dt(target_t=whole.t_ * second)
    if magic:
        whole.objects.clear()
    tell((time.perf_counter() - began) * second, 1.0, start * second, seconds * second)


def _reporter(report: Any) -> Callable[..., object]:
    if callable(report):
        return report
    if report not in _REPORTS:
        wanted = f"one of {', '.join(map(repr, _REPORTS))}, or a function"
        raise ParameterError("run", "report", describe(report), wanted)
    if report is None:
        return lambda *_: None
    return TextReport(sys.stderr if report == "stderr" else sys.stdout)


def _claim(network: Network, objects: Iterable[BrianObject]) -> None:
    """Note, as Brian2 does, to which network objects belong; each belongs to one."""
    for target in objects:
        if target._network not in (None, network.id):
            remedy = "Add it to that network, instead of making another one"
            got = f"{target.name}, which was run in another network"
            raise ParameterError("run", "network", got, "objects of this network", remedy)
    for target in objects:
        target._network = network.id


# --- runs that differ by values need one build


@attrs.define
class _Last:
    """The network that was run last, without its values, and what runs it."""

    form: Program | None = None
    options: tuple[str, str, str] = ("", "", "")
    runnable: FreeRunnable | None = None


_last = _Last()


def _runnable(
    lifted: LiftedNetwork, device: str, math: str
) -> tuple[FreeRunnable, Program, dict[str, Any]]:
    """What runs a network, its values, and the constants that are not those it was made with."""
    single = prefs.core.default_float_dtype is np.float32
    options = device, math, "single" if single else "double"
    form = lifted.form
    known = _last.runnable
    if known is not None and _last.options == options and _equal(form, _last.form):
        before = known.network.constants
        changed = {k: v for k, v in lifted.constants.items() if not np.all(v == before[k])}
        return known, lifted.program, changed
    made: Any = make_runnable(lifted, device, precision=options[2], math=math)
    _last.form, _last.options, _last.runnable = form, options, made
    return made, lifted.program, {}


def _equal(one: Program, other: Program | None) -> bool:
    if other is None or [k.name for k in one.kernels] != [k.name for k in other.kernels]:
        return False
    try:
        return one.hash == other.hash
    except ParameterError:  # a function that has no code but Python's cannot be compared
        return False


def _run(
    runnable: FreeRunnable,
    program: Program,
    seconds: float,
    constants: Mapping[str, Any],
    seed: int | None,
) -> tuple[Recording, State]:
    """Run from the values that the script's objects have."""
    begin = first_state(runnable.interface, program)
    if runnable.device != "runtime":
        seed = int(np.random.randint(2**31)) if seed is None else seed
        return runnable.run(seconds * second, constants, begin, seed=seed)
    generator = {"random.numpy": generator_data(np.random.get_state())}
    begin = State({**begin, **generator}, begin.shapes, begin.units, begin.infinite)
    recording, state = runnable.run(seconds * second, constants, begin, seed=seed)
    np.random.set_state(generator_of(state["random.numpy"]))
    return recording, state


# --- results, in the script's objects


def hand_back(objects: Iterable[Any], recording: Recording, state: State) -> None:
    """Give Brian2's objects what a run has computed.

    Parameters
    ----------
    objects : iterable of brian2.BrianObject
        Those of the network that ran.
    recording : Recording
        It is added to what their monitors hold.
    state : State
        Their variables afterwards, and what is on its way in pathways.
    """
    by_name = {target.name: target for target in objects}
    for full, values in state.items():
        owner, _, name = full.rpartition(".")
        if f".{name}" == PENDING:
            set_queue(by_name[owner].queue, values)
        elif owner in by_name:
            by_name[owner].variables[name].set_value(values)
    for target in by_name.values():
        if isinstance(target, _MONITORS):
            _extend(target, recording)
        elif isinstance(target, SpikeGeneratorGroup):
            target._spikes_changed = False  # it goes on behind those that came


def _extend(monitor: Any, recording: Recording) -> None:
    """Add what was recorded to what a monitor holds."""
    name, columns = monitor.name, {}
    if isinstance(monitor, EventMonitor):
        found = recording.spikes[name]
        count = monitor.variables["count"]
        more = recording[f"{name}.count"][0]
        count.set_value(count.get_value() + more)
        columns = {"i": found.i, "t": found.t, **found.values} if monitor.record else {}
        n = int(more.sum())
    else:
        traces = {
            key.removeprefix(f"{name}."): trace
            for key, trace in recording.traces.items()
            if key.startswith(f"{name}.")
        }
        for variable, trace in traces.items():
            rows = trace.values[0] if isinstance(monitor, PopulationRateMonitor) else trace.values.T
            columns |= {"t": trace.time, variable: rows}
        n = len(columns.get("t", ()))
    before = {key: np.array(monitor.variables[key].get_value()) for key in columns}
    old = int(monitor.variables["N"].get_value().item())
    monitor.resize(old + n)
    for key, values in columns.items():
        monitor.variables[key].set_value(np.concatenate([before[key], values]))
    monitor.variables["N"].set_value(old + n)
