"""From a program to Brian2 objects: the same for every device that is one of Brian2's."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import attrs
import numpy as np
from brian2 import (
    BrianObject,
    Clock,
    Network,
    NeuronGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    linked_var,
    second,
)
from brian2.equations.equations import FLOAT
from brian2.groups.group import CodeRunner

from biosnn._models.group import close_subexpressions
from biosnn.devices.base.brian2_functions import draw_functions
from biosnn.models import parsed
from biosnn.program.integration import method_of
from biosnn.program.program import BOUNDARY, STEP, Array, Connection, Group, Kernel, Program
from biosnn.program.slots import TRACE

#: What is recorded of every spike, besides the neuron.
_OF_SPIKES = ("t_sample", "sample", "attempt")


class Hooks(Protocol):
    """What a device does itself, because it moves data in and out."""

    def load(self, kernel: Kernel, clock: Clock) -> BrianObject:
        """Object that brings a row, a frame or the events of an input into the network."""
        ...

    def store(self, kernel: Kernel, clock: Clock) -> BrianObject:
        """Object that takes the per-sample variables out of the network."""
        ...

    def snapshot(self, kernel: Kernel, clock: Clock) -> BrianObject | None:
        """Object that copies variables after some samples, where the device's loop does not."""
        ...


@attrs.define(kw_only=True)
class Built:
    """The Brian2 objects of a program.

    Parameters
    ----------
    program : Program
        The program.
    net : brian2.Network
        All of them.
    groups, synapses : dict
        Its groups and connections.
    objects : dict
        Kernel -> the object that runs it.
    spike_monitors, state_monitors : dict
        Recorder -> its monitor.
    """

    program: Program
    net: Network
    groups: dict[str, NeuronGroup]
    synapses: dict[str, Synapses]
    objects: dict[str, BrianObject]
    spike_monitors: dict[str, SpikeMonitor]
    state_monitors: dict[str, StateMonitor]

    def owner(self, array: Array) -> NeuronGroup | Synapses:
        """The object that has an array among its variables."""
        return (self.groups | self.synapses)[array.owner]

    def copies(self, array: Array) -> int:
        """How many replicas' values an array holds, one behind the other."""
        made = self.program.connections.get(array.owner)
        return 1 if made is not None and made.shared else self.program.replicas.n

    @property
    def finishing(self) -> list[BrianObject]:
        """The objects that finish a presentation, in their order."""
        return [self.objects[k.name] for k in self.program.finishing if k.name in self.objects]

    @property
    def plastic(self) -> dict[str, list[BrianObject]]:
        """Projection -> objects that are switched off where it does not learn."""
        return {
            key: [self.objects[k.name] for k in self.program.kernels if key in k.plastic]
            for key in self.program.plastic
        }


def build(program: Program, hooks: Hooks, *, single_precision: bool) -> Built:
    """Make the Brian2 objects of a program.

    Parameters
    ----------
    program : Program
        What to build.
    hooks : Hooks
        The device's own objects.
    single_precision : bool
        Store state variables as float32 (times stay float64).

    Returns
    -------
    Built
        The objects, not yet run. Brian2 does not warn of them when they are dropped without a run.
    """
    try:
        built = _Builder(program, hooks, single_precision).build()
    except Exception as error:
        claim(_held_by(error), "refused")
        raise
    claim(built.net.objects, built.net.id)
    return built


def claim(objects: Iterable[BrianObject], network: str) -> None:
    """Count objects, and what they contain, as those of a network, as a first run would."""
    for made in objects:
        made._network = network
        claim(made.contained_objects, network)


def _held_by(error: BaseException) -> Iterator[BrianObject]:
    """The Brian2 objects that were made until an error, named or listed where it passed."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in list(frame.f_locals.values()):
            if isinstance(value, _Builder):
                for made in (value.groups, value.synapses, value.objects):
                    yield from made.values()
            elif isinstance(value, BrianObject):
                yield value


class _Builder:
    """Makes the objects of one program."""

    def __init__(self, program: Program, hooks: Hooks, single_precision: bool):
        self.program, self.hooks, self.single = program, hooks, single_precision
        self.groups: dict[str, NeuronGroup] = {}
        self.synapses: dict[str, Synapses] = {}
        self.objects: dict[str, BrianObject] = {}
        self._resets: dict[str, str] = {}  # kernels that are Brian2's own resets, and their groups
        self._clocks: dict[tuple[str, int], Clock] = {}

    def build(self) -> Built:
        """Make everything."""
        program = self.program
        for group in program.groups.values():
            self.groups[group.name] = self._group(group)
        for group in program.groups.values():
            for variable, target in group.links.items():
                self._link(group, variable, target)
        for made in program.connections.values():
            self.synapses[made.name] = self._synapses(made)
        apart = []
        for kernel in program.kernels:
            if kernel.kind in ("load", "store", "snapshot"):
                target = getattr(self.hooks, kernel.kind)(kernel, self._clock(kernel))
                apart += [] if target is None else [target]
            else:
                target = self._object(kernel)
            if target is not None:
                self.objects[kernel.name] = target
        for number, kernel in enumerate(program.kernels):
            if kernel.name in self.objects:
                self.objects[kernel.name].order = number
        spike_monitors = {key: self._spike_monitor(key) for key in program.record.spikes}
        state_monitors = {name: self._state_monitor(name) for name in program.record.traces}
        monitors = (*spike_monitors.values(), *state_monitors.values())
        for number, monitor in enumerate(monitors):
            monitor.order += len(program.kernels) + number
        net = Network(
            *self.groups.values(), *self.synapses.values(), *apart, *monitors, name="network"
        )
        return Built(
            program=program,
            net=net,
            groups=self.groups,
            synapses=self.synapses,
            objects=self.objects,
            spike_monitors=spike_monitors,
            state_monitors=state_monitors,
        )

    def _clock(self, kernel: Kernel) -> Clock:
        """The clock of a kernel."""
        steps = {
            STEP: kernel.every,
            BOUNDARY: self.program.steps_per_presentation,
        }.get(kernel.clock) or self.program.inputs[kernel.clock].frame_steps
        return self._ticking(kernel.clock, steps)

    def _ticking(self, what: str, steps: int) -> Clock:
        """A clock that ticks with every so many time steps."""
        if (what, steps) not in self._clocks:
            name = {STEP: "step", BOUNDARY: "boundary"}.get(what, f"frames_of_{what}")
            name += f"_{steps}_clock" if what == STEP and steps > 1 else "_clock"
            dt = self.program.dt * steps * second
            self._clocks[what, steps] = Clock(dt=dt, name=name)
        return self._clocks[what, steps]

    # --- groups

    def _group(self, group: Group) -> NeuronGroup:
        equations = parsed(group.name, group.equations)
        tests = {k.event: k.code for k in self.program.of(group.name, "threshold")}
        resets = (
            kernel
            for kernel in self.program.of(group.name, "reset")
            if (kernel.event, kernel.when, kernel.clock) == ("spike", "resets", STEP)
        )
        reset = next(resets, None)
        if reset is not None:
            self._resets[reset.name] = group.name
        dtype = {
            name: np.float32 if self.single and name not in group.double else np.float64
            for name, equation in equations.items()
            if equation.var_type == FLOAT
        }
        if group.refractory is not None:
            dtype["lastspike"] = np.float64
        threshold = tests.pop("spike", None)
        # Brian2 takes a threshold without reset for a slip, and warns.
        no_reset = None if threshold is None else ""
        made = NeuronGroup(
            group.n,
            group.equations,
            method=method_of(group),
            threshold=threshold,
            reset=no_reset if reset is None else reset.code,
            refractory=False if group.refractory is None else group.refractory,
            events=tests or None,
            namespace={**group.constants, **draw_functions()},
            dtype=dtype,
            clock=self._ticking(STEP, 1),
            name=group.name,
        )
        if reset is None and threshold is not None:
            made.contained_objects.remove(made.resetter.pop("spike"))
            del made.event_codes["spike"]
        close_subexpressions(made)
        for name, values in group.fixed.items():
            setattr(made, name, values)
        return made

    def _link(self, group: Group, variable: str, target: str) -> None:
        """Link a variable to that of another group, within each replica."""
        owner, _, name = target.partition(".")
        n, replicas = self.program.groups[owner].n, self.program.replicas.n
        index = None
        if replicas > 1 and n == replicas and group.n > n:
            index = np.repeat(np.arange(n), group.n // n)
        setattr(
            self.groups[group.name], variable, linked_var(self.groups[owner], name, index=index)
        )

    # --- connections

    def _synapses(self, connection: Connection) -> Synapses:
        program, key = self.program, connection.name
        pathways = list(program.of(key, "pathway"))
        delays = {
            kernel.label: kernel.delay * second
            for kernel in pathways
            if connection.delay_steps is None or kernel.plastic or kernel.ends
        }
        made = Synapses(
            self.groups[connection.pre],
            self.groups[connection.post],
            connection.equations or None,
            on_pre={k.label: k.code for k in pathways if k.side == "pre"} or None,
            on_post={k.label: k.code for k in pathways if k.side == "post"} or None,
            on_event={k.label: k.event for k in pathways},
            delay=delays or None,
            method=connection.method,
            namespace=connection.constants,
            dtype=np.float32 if self.single else np.float64,
            clock=self._ticking(STEP, 1),
            name=key,
        )
        for name, value in (
            ("replicas", program.replicas.n),
            ("shared", connection.shared),
            ("pattern", connection.numbered),
        ):
            made.add_attribute(name)
            setattr(made, name, value)
        self._connect(connection, made)
        if connection.delay_steps is not None:
            steps = np.tile(connection.delay_steps, program.replicas.n)
            transmits = next(k for k in pathways if not (k.plastic or k.ends))
            getattr(made, transmits.label).delay = steps * program.dt * second
            if "delay_steps" in made.variables:
                made.delay_steps = steps
        return made

    def _connect(self, connection: Connection, made: Synapses) -> None:
        replicas, pairs = self.program.replicas.n, connection.pairs
        n_pre, n_post = connection.n_pre, connection.n_post
        if replicas > 1 and not connection.numbered:
            within = f"k for k in range(i // {n_pre}*{n_post}, (i // {n_pre} + 1)*{n_post})"
            if isinstance(pairs, str) and pairs == "all":
                made.connect(j=within)
            elif isinstance(pairs, str) and pairs == "all_but_self":
                made.connect(j=f"{within} if k - i // {n_pre}*{n_post} != i % {n_pre}")
            else:
                i, j = connection.indices
                copies = np.arange(replicas)[:, None]
                connect_pairs(made, (copies * n_pre + i).ravel(), (copies * n_post + j).ravel())
        elif not isinstance(pairs, str):
            connect_pairs(made, *connection.indices)
        elif pairs == "all":
            made.connect()
        elif pairs == "one_to_one":
            made.connect(j="i")
        else:
            made.connect(condition="i != j")

    # --- kernels

    def _object(self, kernel: Kernel) -> BrianObject | None:
        """The object that runs a kernel."""
        group, made = self.groups.get(kernel.owner), self.synapses.get(kernel.owner)
        owner: Any = group or made
        target: Any
        match kernel.kind:
            case "state_update":
                target = owner.state_updater
            case "held":
                target = owner.subexpression_updater
            case "threshold":
                assert group is not None
                target = group.thresholder[kernel.event]
            case "reset" if kernel.name in self._resets:
                assert group is not None
                target = group.resetter[kernel.event]
            case "pathway":
                target = getattr(made, kernel.label)
            case "summed":
                assert made is not None
                _, _, variable = kernel.targets[0].partition(".")
                target = made.summed_updaters[f"{variable}_{kernel.side}"]
            case "statements" if made is not None or not kernel.forced:
                target = owner.run_regularly(
                    kernel.code, clock=self._clock(kernel), name=kernel.name
                )
            case _:
                assert group is not None
                target = runner(group, kernel, self._clock(kernel))
        target._clock = self._clock(kernel)
        target.when = kernel.when
        return target

    # --- monitors

    def _spike_monitor(self, key: str) -> SpikeMonitor:
        monitor = SpikeMonitor(
            self.groups[key], variables=list(_OF_SPIKES), name=f"{key}_spike_monitor"
        )
        # Brian2's spike monitors would index the protocol's one value by the neuron.
        for name in _OF_SPIKES:
            index = self.groups[key].variables.indices[name]
            if index not in ("_idx", "0"):
                monitor.variables.add_reference(index, self.groups[key])
            monitor.variables.indices[f"_source_{name}"] = index
        return monitor

    def _state_monitor(self, name: str) -> StateMonitor:
        array, traces = self.program.arrays[name], self.program.record.traces
        trace, text = traces[name], name.replace(".", "_")
        # Brian2 takes a name once, and "a.b_c" and "a_b.c" would have one.
        alike = [other for other in traces if other.replace(".", "_") == text].index(name)
        return StateMonitor(
            (self.groups | self.synapses)[array.owner],
            array.name,
            record=np.asarray(trace.indices),
            clock=self._ticking(STEP, trace.steps(self.program.dt)),
            when="start",
            order=TRACE,
            name=f"{text}_state_monitor" + (f"_{alike}" if alike else ""),
        )


def connect_pairs(made: Synapses, i: np.ndarray, j: np.ndarray) -> None:
    """Connect pairs, of which there may be none: Brian2 takes no empty lists."""
    if len(i):
        made.connect(i=i, j=j)
    else:
        made.connect(condition="i < 0", namespace={})


def runner(group: NeuronGroup, kernel: Kernel, clock: Clock) -> CodeRunner:
    """Code of a group that Brian2 has no own object for."""
    templates = {"statements": "stateupdate", "reset": "reset", "clear": "threshold"}
    options: dict[str, Any] = {}
    if kernel.kind != "clear":
        options["override_conditional_write"] = ["not_refractory"]
    if kernel.kind != "statements":
        events = f"_{kernel.event}space"
        options["needed_variables"] = [events]
        options["template_kwds"] = {"eventspace_variable": group.variables[events]}
    if kernel.kind == "clear":
        options["template_kwds"]["_uses_refractory"] = False
    runner = CodeRunner(
        group,
        templates[kernel.kind],
        code=kernel.code,
        clock=clock,
        name=kernel.name,
        **options,
    )
    group.contained_objects.append(runner)
    return runner
