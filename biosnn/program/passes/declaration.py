"""Groups, connections and kernels of what a network declares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
from brian2 import Equations

from biosnn.errors import ParameterError
from biosnn.models import (
    Companion,
    Event,
    NeuronModel,
    Operation,
    event_driven,
    functions_of,
    has_pole,
    parsed,
)
from biosnn.networks import NetworkModel, Projection
from biosnn.program.program import BOUNDARY, STEP, Connection, Group, Kernel, Program
from biosnn.program.slots import INPUT, LEARN, ONSET


def declare(network: NetworkModel) -> Program:
    """Lower populations and projections: models with all that they carry, synapses, and rules.

    Parameters
    ----------
    network : NetworkModel
        The declaration.

    Raises
    ------
    ParameterError
        If differential equations of a projection would stop where its rule does not learn.
    """
    kernels: list[Kernel] = []
    groups = {}
    for key in network.populations:
        groups[key] = _group(network, key)
        kernels += _kernels_of_population(network, key)
    connections = {}
    for key in network.projections:
        connections[key], of_projection = _connection(network, key)
        kernels += of_projection
    models = [p.model for p in network.populations.values()]
    rules = [p.rule for p in network.projections.values() if p.rule is not None]
    return Program(
        name=network.name,
        fingerprint=network.fingerprint,
        output=network.output,
        dt=float(network.dt),
        duration_steps=network.duration_steps,
        steps_per_presentation=network.steps_per_presentation,
        max_shown=1 + network.presentation.most_retries,
        until_enough=network.presentation.max_retries is None,
        scheduled=any(owner.schedules for owner in (*models, *rules)),
        groups=groups,
        connections=connections,
        kernels=tuple(kernels),
        inputs={},
        plastic=network.plastic_projections,
    )


def draw_order(network: NetworkModel) -> list[str]:
    """Names of the kernels of populations in the order in which their random draws are numbered."""
    return [
        kernel.name
        for key in network.populations
        for kernel in _kernels_of_population(network, key, as_run=False)
    ]


def _group(network: NetworkModel, key: str) -> Group:
    model = network.whole_model(key)
    # Companions and other parameters may have made two coupled rates equal.
    singular = model.method == "exact" and has_pole(model.equations, model.parameters)
    given = {"stream": network.stream(key), "active_for": network.presentation.duration}
    return Group(
        name=key,
        n=network.populations[key].n,
        equations=model.equations,
        constants={**model.constants, **functions_of(model, key), **given},
        refractory=model.refractory,
        method="exponential_euler" if singular else model.method,
        exact=tuple(model.exact),
        links=dict(model.links),
        double=("lastspike", "t_next", "t_onset", *model.double),
    )


def _kernels_of_population(
    network: NetworkModel, key: str, *, as_run: bool = True
) -> Iterator[Kernel]:
    """What neurons do: at one place in a time step, events are tested before operations run.

    This holds for a model, and for each thing that its neurons carry. The order in which draws are
    numbered (``as_run`` off) has the events of the latter behind its operations.
    """
    own, whole = network.populations[key].model, network.whole_model(key)
    equations = parsed(key, whole.equations)
    if any("constant over dt" in equation.flags for equation in equations.values()):
        yield Kernel(
            name=f"{key}_subexpression_update", owner=key, kind="held", when="before_start"
        )
    if equations.diff_eq_names or whole.refractory is not None:
        yield Kernel(name=f"{key}_stateupdater", owner=key, kind="state_update", when="groups")
    if whole.threshold is not None:
        yield Kernel(
            name=f"{key}_spike_thresholder",
            owner=key,
            kind="threshold",
            code=whole.threshold,
            when=whole.spike_when,
            order=int(whole.spike_when != "thresholds"),
            event="spike",
            refractory=whole.refractory is not None,
        )
    if whole.reset:
        yield Kernel(
            name=f"{key}_spike_resetter",
            owner=key,
            kind="reset",
            code=whole.reset,
            when="resets",
            event="spike",
        )
    into = [k for k in network.plastic_projections if network.projections[k].post == key]
    learning = tuple(into or network.plastic_projections)
    operations = iter(enumerate(whole.operations))
    yield from _events(key, own.events)
    for _ in own.operations:
        yield _operation(network, key, whole, *next(operations), learning)
    for owner, part in network.carried(key):
        tests, several = [], 1
        if isinstance(part, Companion):
            tests, several = list(_events(key, part.events)), len(part.operations)
        numbered = itertools.islice(operations, several)
        runs = [_operation(network, key, whole, *given, (owner,)) for given in numbered]
        yield from (*tests, *runs) if as_run else (*runs, *tests)


def _events(key: str, events: dict[str, Any]) -> Iterator[Kernel]:
    for name, given in events.items():
        spec = given if isinstance(given, Event) else Event(condition=given)
        yield Kernel(
            name=f"{key}_{name}_thresholder",
            owner=key,
            kind="threshold",
            code=spec.condition,
            clock=_clock(spec),
            when=spec.when,
            event=name,
        )


def _clock(spec: Any) -> str:
    """Clock of an event, and of what follows it."""
    return BOUNDARY if isinstance(spec, Event) and spec.every == "presentation" else STEP


def _operation(
    network: NetworkModel,
    key: str,
    model: NeuronModel,
    number: int,
    operation: Operation,
    learning: tuple[str, ...],
) -> Kernel:
    kernel = Kernel(
        name=f"{key}_operation_{number}",
        owner=key,
        kind="statements",
        code=operation.code,
        when=operation.when,
        order=operation.order,
    )
    if operation.on == "onset":
        return attrs.evolve(kernel, clock=BOUNDARY, order=ONSET)
    if operation.on == "input":
        channels = [*network.populations[key].drives.values()]
        framed = channels and network.inputs[channels[0]].kind == "sequence"
        return attrs.evolve(kernel, clock=channels[0] if framed else BOUNDARY, order=INPUT)
    if operation.plastic:
        kernel = attrs.evolve(kernel, plastic=learning)
    if operation.on == "step":
        if operation.every is None:
            return kernel
        return attrs.evolve(kernel, every=round(float(operation.every / network.dt)))
    clock = _clock(model.events.get(operation.on))
    return attrs.evolve(kernel, kind="reset", event=operation.on, clock=clock)


def _connection(network: NetworkModel, key: str) -> tuple[Connection, list[Kernel]]:
    """Synapses of a projection, without its delay in the code."""
    given = network.projections[key]
    projection = attrs.evolve(given, delay=0 * network.dt).resolved(
        key, network.populations[given.post].model, network.dt
    )
    projection = attrs.evolve(projection, delay=given.delay)
    rule = None if given.rule is None else given.rule.prefixed(key)
    model = "w : 1\n" if given.weights is not None else ""
    constants, method = dict(projection.parameters), given.method or "exponential_euler"
    if rule is not None:
        model, method = rule.model, given.method or rule.method
        constants |= {k: v for k, v in rule.parameters.items() if k not in rule.schedules}
        _check_equations(key, projection, rule.equations)
    n_pre, n_post, seed = network.drawing(key)
    several = np.ndim(given.delay) > 0 and bool(given.transmit or given.synapse)
    made = Connection(
        name=key,
        pre=given.pre,
        post=given.post,
        n_pre=n_pre,
        n_post=n_post,
        pairs=given.pairs if not isinstance(given.pairs, list | tuple) else network.indices(key),
        seed=seed,
        equations=f"{model}\n{projection.equations}".strip(),
        constants=constants,
        method=method,
        delay_steps=given.delay_steps(network.dt) if several else None,
        delayed=given.delayed,
    )
    return made, list(_kernels_of_projection(network, key, made, projection, several))


def _integrated(equations: Equations) -> set[str]:
    """Variables of synapses that are integrated in every time step."""
    return equations.diff_eq_names - event_driven(equations)


def _check_equations(key: str, projection: Projection, learned: str) -> None:
    """Check that equations of synapses do not stop where their rule is switched off."""
    own, stopping = (_integrated(parsed(key, text)) for text in (projection.equations, learned))
    if own and stopping:
        raise ParameterError(
            f"projections[{key!r}]",
            "equations",
            f"a differential equation for {sorted(own)[0]}",
            f"left to the rule, whose {sorted(stopping)[0]} stops where learning is off",
            "Put the variable on the neurons (Companion), or into a projection of its own",
        )


def _kernels_of_projection(
    network: NetworkModel, key: str, made: Connection, projection: Projection, several: bool
) -> Iterator[Kernel]:
    rule = None if projection.rule is None else projection.rule.prefixed(key)
    equations = parsed(key, made.equations)
    if any("constant over dt" in equation.flags for equation in equations.values()):
        yield Kernel(
            name=f"{key}_subexpression_update", owner=key, kind="held", when="before_start"
        )
    if _integrated(equations):
        learned = rule is not None and _integrated(parsed(key, rule.equations))
        yield Kernel(
            name=f"{key}_stateupdater",
            owner=key,
            kind="state_update",
            when="groups",
            plastic=(key,) if learned else (),
        )
    for name in sorted(equations.subexpr_names):
        if "summed" in equations[name].flags:
            target, _, side = name.rpartition("_")
            owner = made.pre if side == "pre" else made.post
            yield Kernel(
                name=f"{key}_summed_variable_{name}",
                owner=key,
                kind="summed",
                code=equations[name].expr.code,
                when="groups",
                order=-1,
                side=side,
                targets=(f"{owner}.{target}",),
            )
    if projection.transmit:
        event = network.whole_model(made.pre).events.get(projection.on_event)
        delay = 0.0 if several else float(network.projections[key].delay)
        yield Kernel(
            name=f"{key}_transmit",
            owner=key,
            kind="pathway",
            code=projection.transmit,
            clock=_clock(event),
            when=projection.when,
            order=projection.order,
            event=projection.on_event,
            side="pre",
            delay=delay,
            order_free=projection.order_free,
        )
    parts = list(enumerate(rule.statements)) if rule is not None else []
    for number, part in parts:
        if part.at_end:
            continue
        kernel = Kernel(
            name=f"{key}_learn_{number}",
            owner=key,
            kind="pathway",
            code=part.code,
            when=part.when,
            order=part.order,
            event=part.event,
            side=part.side,
            plastic=(key,),
            delay=float(projection.delay)
            if projection.axonal_delay and part.side == "pre"
            else 0.0,
        )
        if part.event == "step":
            every = 1 if part.every is None else round(float(part.every / network.dt))
            kernel = attrs.evolve(kernel, kind="statements", event="", side="", every=every)
        yield kernel
    ends = sorted((part.order, number) for number, part in parts if part.at_end)
    for place, (_, number) in enumerate(ends):
        assert rule is not None
        yield Kernel(
            name=f"{key}_learn_{number}",
            owner=key,
            kind="pathway",
            code=rule.statements[number].code,
            clock=BOUNDARY,
            order=LEARN + 1 + place,
            event=f"ended_{key}",
            side="post",
            plastic=(key,),
            ends=True,
        )
