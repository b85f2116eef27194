"""From a learning rule to plain Brian2 synapses between two groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from brian2 import NeuronGroup, Subgroup, Synapses, second
from brian2.core.spikesource import SpikeSource
from brian2.parsing.sympytools import str_to_sympy

from biosnn.declaration import to_data
from biosnn.errors import ParameterError
from biosnn.models import Trace, names_in, without_value
from biosnn.validation import check_instance, describe

if TYPE_CHECKING:
    from biosnn._plasticity.rule import PlasticityRule


def _check_pairs(rule: str, pairs: Any) -> None:
    if isinstance(pairs, str):
        unknown = without_value(names_in(pairs), ("j",))
        if unknown:
            wanted = f"a condition with i and j, not {', '.join(unknown)}"
            raise ParameterError(rule, "pairs", repr(pairs), wanted)
    elif pairs is not None and not (isinstance(pairs, tuple | list) and len(pairs) in (0, 2)):
        raise ParameterError(rule, "pairs", describe(pairs), "a condition, or arrays (i, j)")


def connected(
    rule: PlasticityRule,
    pre: NeuronGroup,
    post: NeuronGroup,
    transmit: str,
    name: str | None,
    pairs: Any,
    namespace: Mapping[str, Any],
) -> Synapses:
    """The synapses of :meth:`biosnn.plasticity.PlasticityRule.connect`.

    ``namespace`` is where the equations of groups that biosnn has not made find their constants.
    """
    check_instance(rule.name, "transmit", transmit, str)
    _check_pairs(rule.name, pairs)
    for side, group in (("pre", pre), ("post", post)):
        check_instance(rule.name, side, group, SpikeSource)
        _check_group(rule, side, group, namespace)
    if float(pre.clock.dt) != float(post.clock.dt):
        got = f"a time step of {pre.clock.dt} beside {post.clock.dt} of '{post.name}'"
        remedy = "Give both groups one time step: a trace is held between the steps of its group"
        raise ParameterError(rule.name, "pre", got, "the time step of post", remedy)
    if rule.schedules:
        wanted = "a constant outside a NetworkModel"
        raise ParameterError(rule.name, sorted(rule.schedules)[0], "a Schedule", wanted)
    if rule.ends:
        remedy = "Only a network has presentations that end"
        got, wanted = 'event="end"', "used in a NetworkModel"
        raise ParameterError(rule.name, "statements", got, wanted, remedy)
    codes: dict[str, dict[str, str]] = {"pre": {}, "post": {}}
    events: dict[str, str] = {}
    places: dict[str, tuple[str, int]] = {}
    if transmit:
        codes["pre"]["pre"] = transmit
        events["pre"] = "spike"
        places["pre"] = ("synapses", -1)
    digits = len(str(len(rule.statements)))
    for number, part in enumerate(rule.statements):
        if part.side != "synapse":
            # Brian2 breaks ties by names.
            pathway = f"learn_{number:0{digits}}_{part.side}"
            codes[part.side][pathway] = part.code
            events[pathway] = part.event
            places[pathway] = (part.when, part.order)
    synapses = Synapses(
        pre,
        post,
        rule.model,
        method=rule.method,
        on_pre=codes["pre"] or None,
        on_post=codes["post"] or None,
        on_event=events,
        delay=dict.fromkeys(events, 0 * second),
        namespace=rule.parameters,
        clock=post.clock,
        **({"name": name} if name else {}),
    )
    for pathway, (when, order) in places.items():
        getattr(synapses, pathway).when = when
        getattr(synapses, pathway).order = order
    for number, part in enumerate(rule.statements):
        if part.side == "synapse":
            synapses.run_regularly(
                part.code,
                dt=part.every,
                when=part.when,
                order=part.order,
                name=f"{synapses.name}_learn_{number:0{digits}}_step",
            )
    if pairs is None:
        synapses.connect()
    elif isinstance(pairs, str):
        synapses.connect(condition=pairs)
    elif len(pairs):
        synapses.connect(i=pairs[0], j=pairs[1])
    return synapses


def _check_group(
    rule: PlasticityRule, side: str, group: NeuronGroup, namespace: Mapping[str, Any]
) -> None:
    """Check that a group has the traces, variables and events that a rule needs."""
    whole = group.source if isinstance(group, Subgroup) else group
    carries = getattr(whole, "carries", ())
    lacking = sorted(_on_neurons(rule, side) - set(group.variables))
    if lacking:
        got, wanted = f"without {lacking}", "a group that carries what the rule needs"
        raise _refused(rule, side, group, got, wanted, _made_so(side, whole))
    used = {part.event for part in rule.statements if part.side == side}
    if used - set(group.events):
        got, wanted = f"without {sorted(used - set(group.events))}", "a group that has its events"
        remedy = "Give its model a threshold for spikes, and events={...} for others"
        raise _refused(rule, side, group, got, wanted, remedy)
    known = [to_data(part) for part in carries]
    for part in rule.needs(side):
        if isinstance(part, Trace) and to_data(part) not in known:
            _check_trace(rule, side, whole, part, carries, namespace)


def _check_trace(
    rule: PlasticityRule,
    side: str,
    group: NeuronGroup,
    trace: Trace,
    carries: Any,
    namespace: Mapping[str, Any],
) -> None:
    """Check that a variable of a group is a trace: that it decays with its time constant."""
    wanted = f"a group with the trace d{trace.name}/dt = -{trace.name}/({trace.tau})"
    remedy = _made_so(side, group)
    own = {part.name: part for part in carries if isinstance(part, Trace)}
    if trace.name in own:
        there = own[trace.name]
        got = f"whose trace {trace.name} has tau = {there.tau}, {there.bump!r}, {there.when!r}"
        wanted += f", {trace.bump!r}, {trace.when!r}"
        raise _refused(rule, side, group, got, wanted, remedy)
    equations = getattr(group, "equations", {})
    if trace.name not in equations or trace.name not in equations.diff_eq_names:
        got = f"whose {trace.name} has no differential equation"
        raise _refused(rule, side, group, got, wanted, remedy)
    code = dict(equations.get_substituted_expressions())[trace.name].code
    symbol = sympy.Symbol(trace.name, real=True)
    rate = str_to_sympy(code)
    slope = sympy.simplify(rate / symbol)
    values = {s: _value(group, str(s), namespace) for s in slope.free_symbols}
    number = slope.subs({s: v for s, v in values.items() if v is not None})
    same = number.is_number and np.isclose(float(-1 / number), float(trace.tau), rtol=1e-9, atol=0)
    if not same:
        got = f"with d{trace.name}/dt = {code}"
        raise _refused(rule, side, group, got, wanted, remedy)


def _value(group: NeuronGroup, name: str, namespace: Mapping[str, Any]) -> float | None:
    """The one value of a name in a group's equations, if it has one."""
    if name in group.variables:
        found: Any = np.unique(np.asarray(group.variables[name].get_value()))
    else:
        own = group.namespace or {}
        found = own.get(name, namespace.get(name))
    try:
        array = np.asarray(found, dtype=float)
    except (TypeError, ValueError):
        return None
    return float(array.item()) if array.size == 1 else None


def _refused(
    rule: PlasticityRule, side: str, group: Any, got: str, wanted: str, remedy: str
) -> ParameterError:
    return ParameterError(rule.name, side, f"group '{group.name}' {got}", wanted, remedy)


def _made_so(side: str, group: Any) -> str:
    """How to make a group that carries what a rule needs."""
    if isinstance(group, NeuronGroup):
        return f'Make it with model.group(n, traces=rule.needs("{side}"))'
    return (
        f"A {type(group).__name__} holds no variables: use neurons, such as "
        f'models.poisson_unit(nu_0=20*Hz).group(n, traces=rule.needs("{side}"))'
    )


def _on_neurons(rule: PlasticityRule, side: str) -> set[str]:
    """Variables of the neurons of one side that a rule uses."""
    codes = [rule.equations, *(part.code for part in rule.statements)]
    used = {name for code in codes for name in re.findall(r"\w+", code)}
    ending = f"_{side}"
    variables = used - set(rule.parameters) - set(rule.variables)
    return {name.removesuffix(ending) for name in variables if name.endswith(ending)}
