"""From a program that runs for a duration to Brian2 objects, in exactly Brian2's order."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from brian2 import (
    BrianObject,
    Clock,
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    StateMonitor,
    Subgroup,
    Synapses,
    linked_var,
    second,
)
from brian2.groups.group import CodeRunner

from biosnn._models.exact_integration import with_exact
from biosnn.devices.base.brian2_objects import claim, connect_pairs, runner
from biosnn.errors import ParameterError
from biosnn.program.program import Array, Connection, Group, Kernel, Monitor, Part, Program


@attrs.define(kw_only=True)
class FreeObjects:
    """The Brian2 objects of a program that runs for a duration.

    Parameters
    ----------
    program : Program
        The program.
    net : brian2.Network
        All of them.
    owners : dict
        Its groups and connections.
    objects : dict
        Kernel -> the object that runs it.
    """

    program: Program
    net: Network
    owners: dict[str, Any]
    objects: dict[str, Any]

    def variable(self, array: Array) -> Any:
        """Brian2's variable of an array."""
        return self.owners[array.owner].variables[array.name]

    @property
    def pathways(self) -> dict[str, Any]:
        """Kernel -> Brian2's pathway."""
        return {k.name: self.objects[k.name] for k in self.program.kernels if k.kind == "pathway"}

    @property
    def monitors(self) -> dict[str, Any]:
        """Monitor -> Brian2's."""
        return {name: self.objects[name] for name in self.program.monitors}


def neurons_of(program: Program) -> NeuronGroup:
    """The only group of a program, as a script would make it, with its first values.

    Parameters
    ----------
    program : Program
        Of a script with one group of neurons; its monitors are left out.

    Raises
    ------
    ParameterError
        If there is more.
    """
    neurons = [group for group in program.groups.values() if group.spike_times is None]
    if len(program.groups) != 1 or len(neurons) != 1 or program.connections:
        got = f"{len(program.groups)} groups and {len(program.connections)} synapses"
        raise ParameterError(program.name, "network", got, "one NeuronGroup")
    kernels = tuple(kernel for kernel in program.kernels if kernel.kind != "monitor")
    alone = program.changed(kernels=kernels, monitors={})
    built = build_free(alone, single_precision=False)
    for kernel in kernels:
        made = built.objects[kernel.name]
        made.when, made.order = kernel.when, kernel.order
    for array in program.arrays.values():
        built.variable(array).set_value(array.initial)
    return built.owners[neurons[0].name]


def build_free(program: Program, *, single_precision: bool) -> FreeObjects:
    """Make the Brian2 objects of a program that runs for a duration.

    Parameters
    ----------
    program : Program
        What to build.
    single_precision : bool
        Store state variables as float32 (times stay float64).
    """
    return _Builder(program, single_precision).build()


class _Builder:
    def __init__(self, program: Program, single: bool):
        self.program, self.single = program, single
        self.owners: dict[str, Any] = {}
        self._clocks: dict[float, Clock] = {}

    def build(self) -> FreeObjects:
        program = self.program
        for group in program.groups.values():
            self.owners[group.name] = self._group(group)
        for group in program.groups.values():
            for variable, target in group.links.items():
                owner, _, name = target.partition(".")
                index = group.link_indices.get(variable)
                link = linked_var(self.owners[owner], name, index=index)
                setattr(self.owners[group.name], variable, link)
        for made in program.connections.values():
            self.owners[made.name] = self._synapses(made)
        objects: dict[str, Any] = {}
        for number, kernel in enumerate(program.kernels):
            target = objects[kernel.name] = self._object(kernel)
            target._clock = self._clock(self._monitor_dt(kernel) or kernel.dt)
            # The program has them in their order, whatever a network's slots are.
            target.when, target.order, target.active = "start", number, kernel.active
        monitors = [objects[name] for name in program.monitors]
        net = Network(*self.owners.values(), *monitors, name="network")
        claim(net.objects, net.id)
        return FreeObjects(program=program, net=net, owners=self.owners, objects=objects)

    def _clock(self, dt: float) -> Clock:
        """The clock with a time step in s; 0 stands for that of the program."""
        dt = dt or self.program.dt
        if dt not in self._clocks:
            self._clocks[dt] = Clock(dt=dt * second, name=f"clock_{len(self._clocks)}")
        return self._clocks[dt]

    def _monitor_dt(self, kernel: Kernel) -> float:
        monitor = self.program.monitors.get(kernel.name)
        return 0.0 if monitor is None else monitor.dt

    def _source(self, name: str, part: Part | None) -> Any:
        owner = self.owners[name]
        return owner if part is None else Subgroup(owner, part.start, part.stop)

    def _dtype(self, owner: str) -> dict[str, Any]:
        return {
            array.name: array.dtype(self.single)
            for array in self.program.arrays.values()
            if array.owner == owner and array.kind == "float"
        }

    def _group(self, group: Group) -> NeuronGroup | SpikeGeneratorGroup:
        clock = self._clock(group.dt)
        if group.spike_times is not None:
            given = group.spike_times
            return SpikeGeneratorGroup(
                group.n,
                given.indices,
                given.times * second,
                period=given.period * second,
                sorted=True,
                clock=clock,
                name=group.name,
            )
        method = group.method if isinstance(group.method, str) else tuple(group.method)
        return NeuronGroup(
            group.n,
            group.equations,
            method=with_exact(method, group.exact, group.equations) if group.exact else method,
            method_options=group.method_options or None,
            refractory=False if group.refractory is None else group.refractory,
            events={k.event: k.code for k in self.program.of(group.name, "threshold")},
            namespace=dict(group.constants),
            dtype=self._dtype(group.name),
            clock=clock,
            name=group.name,
        )

    def _synapses(self, made: Connection) -> Synapses:
        pathways = list(self.program.of(made.name, "pathway"))
        method = made.method if isinstance(made.method, str) else tuple(made.method)
        synapses = Synapses(
            self._source(made.pre, made.pre_part),
            self._source(made.post, made.post_part),
            made.equations or None,
            on_pre={k.label: k.code for k in pathways if k.side == "pre"} or None,
            on_post={k.label: k.code for k in pathways if k.side == "post"} or None,
            on_event={k.label: k.event for k in pathways},
            delay={k.label: k.delay * second for k in pathways if k.label not in made.delays}
            or None,
            method=method,
            method_options=made.method_options or None,
            namespace=dict(made.constants),
            dtype=self._dtype(made.name),
            clock=self._clock(made.dt),
            name=made.name,
        )
        for variable, target in made.links.items():
            owner, _, name = target.partition(".")
            setattr(synapses, variable, linked_var(self.owners[owner], name))
        connect_pairs(synapses, *made.indices)
        for label, delays in made.delays.items():
            if len(delays):
                getattr(synapses, label).delay = delays * second
        return synapses

    # --- kernels

    def _object(self, kernel: Kernel) -> Any:
        """The object that runs a kernel."""
        owner: Any = self._source(kernel.owner, kernel.part)
        match kernel.kind:
            case "monitor":
                return self._monitor(self.program.monitors[kernel.name])
            case "spike_times":
                return owner
            case "state_update":
                return owner.state_updater
            case "held":
                return owner.subexpression_updater
            case "threshold":
                return owner.thresholder[kernel.event]
            case "pathway":
                return getattr(owner, kernel.label)
            case "summed":
                return owner.summed_updaters[kernel.label.removeprefix("summed_variable_")]
            case "statements" if not kernel.forced:
                clock = self._clock(kernel.dt)
                return owner.run_regularly(kernel.code, clock=clock, name=kernel.name)
        return runner(owner, kernel, self._clock(kernel.dt))

    def _monitor(self, monitor: Monitor) -> BrianObject | CodeRunner:
        source, name = self._source(monitor.source, monitor.part), monitor.name
        made: Any
        match monitor.kind:
            case "events":
                made = EventMonitor(
                    source,
                    monitor.event,
                    variables=list(monitor.variables),
                    record=monitor.each,
                    when="start",
                    name=name,
                )
            case "rate":
                made = PopulationRateMonitor(source, name=name)
            case _:
                made = StateMonitor(
                    source,
                    list(monitor.variables),
                    record=np.asarray(monitor.indices),
                    clock=self._clock(monitor.dt),
                    name=name,
                )
        # It looks for constants in what it records where its source does.
        object.__setattr__(made, "namespace", dict(self._constants(monitor.source)))
        return made

    def _constants(self, name: str) -> dict[str, Any]:
        owner = self.program.groups.get(name) or self.program.connections[name]
        return owner.constants
