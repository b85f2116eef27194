"""Several rules on the same synapses."""

from __future__ import annotations

from typing import Any

import attrs

from biosnn._plasticity.rule import PlasticityRule
from biosnn.declaration import to_data
from biosnn.errors import ParameterError
from biosnn.models import Companion, Trace


def combined(*rules: PlasticityRule) -> PlasticityRule:
    """Make one rule of several that act on the same weights.

    Their statements run in the order of their slots, and in the order of the rules where that is
    the same; what comes before transmission stays there. Traces and parameters of one name are
    shared if they are equal.

    Parameters
    ----------
    *rules : PlasticityRule
        At least one, such as :func:`pair_stdp` with :func:`synaptic_scaling`.

    Returns
    -------
    PlasticityRule

    Raises
    ------
    ParameterError
        If there is none, or if two use one name for different things.

    Examples
    --------
    >>> from biosnn import plasticity
    >>> rule = plasticity.combined(plasticity.pair_stdp(), plasticity.heterosynaptic_decay())
    >>> [trace.name for trace in rule.post_traces]
    ['y', 'z']
    """
    if not rules:
        raise ParameterError("combined", "rules", "none", "at least one rule")
    name = "+".join(rule.name for rule in rules)
    methods = {rule.method for rule in rules if rule.equations}
    if len(methods) > 1:
        raise ParameterError(name, "method", sorted(methods), "the same in all rules")
    parts = [part for rule in rules for part in rule.statements]
    orders = _orders([part.order for part in parts])
    return PlasticityRule(
        name=name,
        statements=tuple(
            attrs.evolve(part, order=order) for part, order in zip(parts, orders, strict=True)
        ),
        pre_traces=_traces(name, [rule.pre_traces for rule in rules]),
        post_traces=_traces(name, [rule.post_traces for rule in rules]),
        pre_companion=_companion(name, [rule.pre_companion for rule in rules]),
        post_companion=_companion(name, [rule.post_companion for rule in rules]),
        modulators=_merged(name, "modulators", [rule.modulators for rule in rules]),
        equations="\n".join(rule.equations for rule in rules if rule.equations),
        method=methods.pop() if methods else rules[0].method,
        transient=tuple(name for rule in rules for name in rule.transient),
        parameters=_merged(name, "parameters", [rule.parameters for rule in rules]),
        reference="; ".join(rule.reference for rule in rules if rule.reference),
    )


def _orders(given: list[int]) -> list[int]:
    """Orders that differ where rules follow each other, on the same side of transmission (-1)."""
    before, after = (
        sorted({order for order in given if order < -1}),
        sorted({order for order in given if order > -1}),
    )
    found = []
    for number, order in enumerate(given):
        if order < -1:
            found.append((before.index(order) - len(before)) * len(given) + number - 1)
        else:
            found.append(-1 if order == -1 else after.index(order) * len(given) + number)
    return found


def _merged(rule: str, what: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if key in found and to_data(found[key]) != to_data(value):
                wanted = f"{found[key]}, as in the other rule"
                raise ParameterError(rule, f"{what}[{key!r}]", value, wanted)
            found[key] = value
    return found


def _traces(rule: str, parts: list[tuple[Trace, ...]]) -> tuple[Trace, ...]:
    named = [{trace.name: trace for trace in part} for part in parts]
    return tuple(_merged(rule, "traces", named).values())


def _companion(rule: str, parts: list[Companion | None]) -> Companion | None:
    given = [part for part in parts if part is not None]
    if len(given) < 2:
        return given[0] if given else None
    shared = set.intersection(*(part.own() for part in given))
    if shared:
        wanted = "a name that one rule uses on the neuron"
        raise ParameterError(rule, "companions", sorted(shared)[0], wanted)
    fields = ("parameters", "initial", "links", "events")
    return Companion(
        equations="\n".join(part.equations for part in given),
        operations=tuple(operation for part in given for operation in part.operations),
        slow=tuple(name for part in given for name in part.slow),
        transient=tuple(name for part in given for name in part.transient),
        **{key: _merged(rule, key, [getattr(part, key) for part in given]) for key in fields},
    )
