"""From a declaration to Brian2 objects: the same for every device."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
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
    second,
)
from brian2.groups.group import CodeRunner

from biosnn.devices.base.brian2_functions import draw_functions
from biosnn.models import Event, NeuronModel
from biosnn.networks import NetworkModel
from biosnn.program.draws import CountedNoise, holds_draws
from biosnn.program.event_clearing import clearing
from biosnn.program.extended_model import extended_model, reset_code, switched_off
from biosnn.program.inputs import ports
from biosnn.program.presentation import (
    CLEAR_COUNTS,
    CLEAR_EVENTS,
    EVENTS,
    FRAME,
    INPUT,
    LEARN,
    LOAD,
    NORMALISE,
    ONSET,
    RESET,
    SNAPSHOT,
    STORE,
    SUBEXPRESSIONS,
    TRACE,
    protocol_group,
)
from biosnn.program.recorders import Record, check_record
from biosnn.program.replicas import Replicas
from biosnn.program.synapses import (
    at_end,
    learning,
    make_synapses,
    note_layout,
    synaptic_reset,
)

#: What is recorded of every spike, besides the neuron.
_OF_SPIKES = ("t_sample", "sample", "attempt")


class Hooks(Protocol):
    """What a device does itself, because it moves data in and out."""

    def load(self, channel: str, clock: Clock, order: int) -> BrianObject:
        """Object that brings a row, a frame or the events of an input into the network."""
        ...

    def store(self, clock: Clock, order: int) -> BrianObject:
        """Object that takes the per-sample variables out of the network."""
        ...

    def snapshot(self, clock: Clock, order: int) -> BrianObject | None:
        """Object that copies variables after some samples, where the device's loop does not."""
        ...


@attrs.define(kw_only=True)
class Built:
    """The Brian2 objects of a network."""

    net: Network
    groups: dict[str, NeuronGroup]
    synapses: dict[str, Synapses]
    #: state name -> (object that owns the variable, the variable's name)
    variables: dict[str, tuple[Any, str]]
    #: projection -> objects that are switched off where it does not learn
    plastic: dict[str, list[BrianObject]]
    #: objects that finish a presentation, in their order
    border: list[BrianObject]
    #: clock of an input's frames -> the input
    frame_clocks: dict[Clock, str]
    spike_monitors: dict[str, SpikeMonitor]
    state_monitors: dict[str, StateMonitor]
    replicas: Replicas

    def copies(self, name: str) -> int:
        """How many replicas' values an observed variable holds, one behind the other."""
        made = self.synapses.get(name.partition(".")[0])
        return 1 if made is not None and made.shared else self.replicas.n


def build(
    network: NetworkModel,
    record: Record,
    hooks: Hooks,
    *,
    single_precision: bool,
    replicas: Replicas | None = None,
) -> Built:
    """Make the Brian2 objects of a network.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    record : Record
        What to observe.
    hooks : Hooks
        The device's own objects.
    single_precision : bool
        Store state variables as float32 (times stay float64).
    replicas : Replicas, optional
        Copies of the network that run side by side; default: one.

    Returns
    -------
    Built
        The objects, not yet run. Brian2 does not warn of them when they are dropped without a run.
    """
    check_record(network, record)
    try:
        built = _build(network, record, hooks, single_precision, replicas or Replicas())
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
            parts = value.values() if isinstance(value, dict) else value
            several = isinstance(value, dict | list | tuple)
            yield from (o for o in (parts if several else [value]) if isinstance(o, BrianObject))


def _build(
    network: NetworkModel,
    record: Record,
    hooks: Hooks,
    single_precision: bool,
    replicas: Replicas,
) -> Built:
    clock = Clock(dt=network.dt, name="step_clock")
    border_clock = Clock(dt=network.dt * network.steps_per_presentation, name="border_clock")
    protocol, border = protocol_group(network, clock, border_clock, replicas)
    groups = {"protocol": protocol}
    models = {}
    plastic: dict[str, list[BrianObject]] = {k: [] for k in network.plastic_projections}
    objects: list[BrianObject] = [protocol]

    frame_clocks: dict[Clock, str] = {}

    def frame_clock(channel: str) -> Clock:
        """Clock on which an input delivers new values."""
        spec = network.inputs[channel]
        if spec.kind != "sequence":
            return border_clock
        made = Clock(dt=spec.frame, name=f"frame_clock_{channel}*")
        frame_clocks[made] = channel
        return made

    def at_border(target: BrianObject, order: int) -> BrianObject:
        target._clock = border_clock
        target.when, target.order = "start", order
        return target

    for key, population in network.populations.items():
        own, carried, noise = extended_model(network, key, record)
        constants = {**own.constants}
        reset = reset_code(network, key, own.with_traces(part for _, part in carried), constants)
        own = replicas.model(network, key, own)
        traces = [replicas.part(part, population.n) for _, part in carried]
        group = own.group(
            population.n * replicas.n,
            traces=traces,
            name=key,
            single_precision=single_precision,
            clock=clock,
        )
        model = own.with_traces(traces)
        operations = [op for op in model.operations if op.on in ("onset", "input")]
        group.namespace.update(constants | model.constants)
        group.namespace.update(draw_functions())
        if noise:
            draws = {name: replicas.code(population.n, text) for name, text in noise.items()}
            group.state_updater.method_choice = CountedNoise(
                group.state_updater.method_choice, draws
            )
        if holds_draws(group.user_equations):
            # Brian2 updates them before the protocol knows of the step.
            held = group.subexpression_updater
            held.when, held.order = "start", SUBEXPRESSIONS
        groups[key], models[key] = group, model
        objects.append(group)
        if reset:
            group.contained_objects.append(_reset(group, reset, border_clock))
        frames = [frame_clock(channel) for channel in population.drives.values()]
        for number, operation in enumerate(operations):
            group.run_regularly(
                operation.code,
                clock=border_clock if operation.on == "onset" or not frames else frames[0],
                when="start",
                order=ONSET if operation.on == "onset" else INPUT,
                name=f"{key}_{operation.on}_{number}",
            )
        if "count" in group.variables:
            border.append(
                group.run_regularly(
                    "count = 0",
                    clock=border_clock,
                    when="start",
                    order=CLEAR_COUNTS,
                    name=f"{key}_clear_count",
                )
            )
        for event, spec in model.events.items():
            if isinstance(spec, Event) and spec.every == "presentation":
                group.thresholder[event]._clock = border_clock
                for number, operation in enumerate(model.operations):
                    if operation.on == event:
                        _contained(group, f"{key}_operation_{number}")._clock = border_clock
        into = [k for k in plastic if network.projections[k].post == key]
        for number, owners in switched_off(own, carried, into or list(plastic)):
            for name in owners:
                plastic[name].append(_contained(group, f"{key}_operation_{number}"))

    for key, group in groups.items():
        if key == "protocol":
            continue
        for variable, target in models[key].links.items():
            owner, _, name = target.partition(".")
            replicas.link(group, variable, groups[owner], name)

    synapses = {}
    for key, projection in network.projections.items():
        made = make_synapses(network, key, groups, single_precision, clock, replicas)
        synapses[key] = made
        objects.append(made)
        reset = synaptic_reset(network, key)
        if reset:
            made.run_regularly(
                reset, clock=border_clock, when="start", order=RESET, name=f"{key}_reset_values"
            )
        if hasattr(made, "transmit"):
            made.transmit.when, made.transmit.order = projection.when, projection.order
            event = models[projection.pre].events.get(projection.on_event)
            if isinstance(event, Event) and event.every == "presentation":
                made.transmit._clock = border_clock
        if projection.rule is not None:
            plastic[key] += learning(network, key, made, clock, replicas)
        if projection.rule is not None and projection.rule.ends:
            group = groups[projection.post]
            steps = [group.thresholder[f"ended_{key}"], *at_end(projection.rule, made)]
            for offset, target in enumerate(steps):
                border.append(at_border(target, LEARN + offset))
                plastic[key].append(target)
        if projection.normalise is not None and projection.normalise.online:
            group = groups[projection.post]
            event = f"normalise_{key}"
            clear = CodeRunner(
                group,
                "reset",
                code=f"norm_{key} = 0",
                clock=border_clock,
                name=f"{key}_clear_norm",
                needed_variables=[f"_{event}space"],
                template_kwds={"eventspace_variable": group.variables[f"_{event}space"]},
            )
            group.contained_objects.append(clear)
            steps = [group.thresholder[event], clear, made.norm_sum, made.norm_scale]
            for offset, target in enumerate(steps):
                border.append(at_border(target, NORMALISE + offset))
                if projection.rule is not None:
                    plastic[key].append(target)

    if network.presentation.watch is not None:
        watch = Synapses(
            groups[network.presentation.watch],
            protocol,
            on_pre="n_watch_post += 1",
            delay=0 * second,
            clock=clock,
            name="protocol_watch",
        )
        if replicas.n == 1:
            watch.connect()
        else:
            watch.connect(j=f"i // {network.populations[network.presentation.watch].n}")
        note_layout(watch, replicas.n, shared=True, pattern="all")
        objects.append(watch)
    for name, channel in ports(network).items():
        if channel.kind == "static":
            objects.append(hooks.load(name, border_clock, LOAD))
        elif channel.kind == "sequence":
            objects.append(hooks.load(name, frame_clock(name), FRAME))
        else:
            objects.append(hooks.load(name, clock, EVENTS))
    store, snapshot = hooks.store(border_clock, STORE), hooks.snapshot(border_clock, SNAPSHOT)
    ends = [store] if snapshot is None else [store, snapshot]
    border += ends
    spike_monitors = {
        key: SpikeMonitor(groups[key], variables=list(_OF_SPIKES), name=f"{key}_spike_monitor")
        for key in record.spikes
    }
    for key, monitor in spike_monitors.items():
        # Brian2's spike monitors would index the protocol's one value by the neuron.
        for name in _OF_SPIKES:
            index = groups[key].variables.indices[name]
            if index not in ("_idx", "0"):
                monitor.variables.add_reference(index, groups[key])
            monitor.variables.indices[f"_source_{name}"] = index
    state_monitors = {
        name: StateMonitor(
            {**groups, **synapses}[name.partition(".")[0]],
            name.partition(".")[2],
            record=np.asarray(trace.indices),
            clock=_slower(clock, trace.steps(network.dt), f"trace_clock_{number}"),
            when="start",
            order=TRACE,
            name=f"{name.replace('.', '_')}_state_monitor",
        )
        for number, (name, trace) in enumerate(record.traces.items())
    }
    for group, cleared in clearing(groups.values(), synapses.values(), border_clock):
        group.contained_objects.append(cleared)
        border.append(at_border(cleared, CLEAR_EVENTS))
    monitors = (*spike_monitors.values(), *state_monitors.values())
    declared = (*objects, *ends, *monitors)
    _keep_order(declared)
    net = Network(*declared, name="network")
    return Built(
        net=net,
        groups=groups,
        synapses=synapses,
        variables=_state_variables(network, groups, models, synapses, replicas),
        plastic=plastic,
        border=sorted(border, key=lambda o: o.order),
        frame_clocks=frame_clocks,
        spike_monitors=spike_monitors,
        state_monitors=state_monitors,
        replicas=replicas,
    )


def _keep_order(declared: Iterable[BrianObject]) -> None:
    """Have objects of the same slot and order run as they were declared.

    Brian2 would go by their names.
    """
    whole = tuple(declared)
    made = [part for one in whole for part in (one, *_parts(one, set(map(id, whole))))]
    for number, target in enumerate(made):
        target.order = target.order * len(made) + number


def _parts(whole: BrianObject, elsewhere: set[int]) -> Iterator[BrianObject]:
    """What an object contains; Brian2 puts synapses that do something regularly into groups."""
    for part in whole.contained_objects:
        if id(part) not in elsewhere:
            yield part
            yield from _parts(part, elsewhere)


def _reset(group: NeuronGroup, code: str, border_clock: Clock) -> CodeRunner:
    """Statements of an onset, which refractory neurons follow as all others do."""
    return CodeRunner(
        group,
        "stateupdate",
        code=code,
        clock=border_clock,
        when="start",
        order=RESET,
        name=f"{group.name}_reset_values",
        override_conditional_write=["not_refractory"],
    )


def _contained(group: NeuronGroup, name: str) -> BrianObject:
    return next(o for o in group.contained_objects if o.name == name)


def _slower(clock: Clock, steps: int, name: str) -> Clock:
    """A clock that ticks with every so many steps of another one."""
    return clock if steps == 1 else Clock(dt=clock.dt * steps, name=name)


def _state_variables(
    network: NetworkModel,
    groups: Mapping[str, NeuronGroup],
    models: Mapping[str, NeuronModel],
    synapses: Mapping[str, Synapses],
    replicas: Replicas,
) -> dict[str, tuple[Any, str]]:
    """State name -> owner and variable, for everything that outlives a chunk."""
    variables: dict[str, tuple[Any, str]] = {}
    for key in network.populations:
        names: Iterable[str] = models[key].variables
        if models[key].refractory is not None:
            names = (*names, "lastspike", "not_refractory")
        for name in names:
            if name not in replicas.differ(network, key):
                variables[f"{key}.{name}"] = (groups[key], name)
    for key, projection in network.projections.items():
        names = ("w", *network.synaptic(key)) if projection.weights is not None else ()
        for name in names or network.synaptic(key):
            variables[f"{key}.{name}"] = (synapses[key], name)
    variables["protocol.seen"] = (groups["protocol"], "seen")
    return variables
