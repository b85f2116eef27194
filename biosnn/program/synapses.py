"""From declared projections to Brian2 synapses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import BrianObject, Clock, Equations, NeuronGroup, Synapses, second

from biosnn.errors import ParameterError
from biosnn.networks import NetworkModel, Projection
from biosnn.plasticity import PlasticityRule
from biosnn.program.replicas import Replicas, assigned

#: Brian2's numbers of synapses per neuron.
_COUNTS = re.compile(r"\bN_(incoming|outgoing)(_pre|_post)?\b")


def make_synapses(
    network: NetworkModel,
    key: str,
    groups: Mapping[str, NeuronGroup],
    single_precision: bool,
    clock: Clock,
    replicas: Replicas,
) -> Synapses:
    """Brian2 synapses of a projection: transmission, learning and normalisation pathways."""
    projection = network.resolved(key)
    numbered = pattern(network, key)
    shared = replicas.shared and bool(numbered)
    if shared and replicas.n > 1:
        _check_shared(network, key, projection)
    on_pre: dict[str, str] = {}
    on_post: dict[str, str] = {}
    events: dict[str, str] = {}
    namespace: dict[str, Any] = dict(projection.parameters)
    differ = () if replicas.n == 1 else replicas.parameters.get(key, ())
    if projection.delayed:
        namespace["steps_per_presentation"] = network.steps_per_presentation
    model = "w : 1\n" if projection.weights is not None else ""
    method = projection.method or "exponential_euler"
    if projection.transmit:
        on_pre["transmit"] = projection.transmit
        events["transmit"] = projection.on_event
    if projection.rule is not None:
        rule = projection.rule.prefixed(key)
        elsewhere = {*rule.schedules, *differ}
        namespace |= {k: v for k, v in rule.parameters.items() if k not in elsewhere}
        model, method = rule.model, projection.method or rule.method
        own, learned = (Equations(t).diff_eq_names for t in (projection.equations, rule.equations))
        if own and learned:
            raise ParameterError(
                f"projections[{key!r}]",
                "equations",
                f"a differential equation for {sorted(own)[0]}",
                f"left to the rule, whose {sorted(learned)[0]} stops where learning is off",
                "Put the variable on the neurons (Companion), or into a projection of its own",
            )
        for number, part in enumerate(rule.statements):
            if part.event == "step":
                continue
            (on_pre if part.side == "pre" else on_post)[f"learn_{number}"] = part.code
            events[f"learn_{number}"] = f"ended_{key}" if part.at_end else part.event
    if projection.normalise is not None and projection.normalise.online:
        power = "" if projection.normalise.p == 1 else "**2"
        norm = f"norm_{key}_post" if projection.normalise.p == 1 else f"sqrt(norm_{key}_post)"
        on_post["norm_sum"] = f"norm_{key}_post += abs(w){power}"
        # A column of zeros stays one.
        on_post["norm_scale"] = f"w *= weight_total/({norm} + int({norm} == 0))"
        events["norm_sum"] = events["norm_scale"] = f"normalise_{key}"
        namespace["weight_total"] = projection.normalise.total
    several = np.ndim(projection.delay) > 0 and bool(projection.transmit)
    delays = dict.fromkeys(events, 0 * second)
    if several:
        model += "\ndelay_steps : integer (constant)"
        del delays["transmit"]
    elif projection.transmit:
        delays["transmit"] = projection.delay
    for codes in (on_pre, on_post):
        codes.update({k: replicas.synaptic(network, key, code) for k, code in codes.items()})
    made = Synapses(
        groups[projection.pre],
        groups[projection.post],
        replicas.synaptic(network, key, f"{model}\n{projection.equations}".strip()),
        on_pre=on_pre or None,
        on_post=on_post or None,
        on_event=events,
        delay=delays or None,
        method=method,
        namespace=namespace,
        dtype=np.float32 if single_precision else np.float64,
        clock=clock,
        name=key,
    )
    note_layout(made, replicas.n, shared, numbered)
    _connect(network, key, made, replicas, bool(numbered))
    if several:
        delays_of_one = np.asarray(projection.in_order(projection.delay))
        made.transmit.delay = np.tile(delays_of_one, replicas.n) * second
        if projection.delayed:
            made.delay_steps = np.tile(projection.delay_steps(network.dt), replicas.n)
    return made


def _check_shared(network: NetworkModel, key: str, projection: Projection) -> None:
    """Refuse what changes weights which replicas share, while plasticity is off."""
    changed = assigned(projection.transmit) & {"w", *network.synaptic(key)}
    reason = f"changes its {sorted(changed)[0]} when it transmits" if changed else ""
    if projection.normalise and projection.normalise.online and projection.rule is None:
        reason = "normalises its weights although it does not learn"
    if reason:
        raise ParameterError(
            "compile",
            "n_parallel",
            f"a projection {key!r} that {reason}",
            "1 for this network",
            "Samples that are shown at once share the weights",
        )


def _connect(
    network: NetworkModel, key: str, made: Synapses, replicas: Replicas, matrix: bool
) -> None:
    projection = network.projections[key]
    n_pre, n_post = (network.populations[side].n for side in (projection.pre, projection.post))
    if replicas.n > 1 and not matrix:
        within = f"k for k in range(i // {n_pre}*{n_post}, (i // {n_pre} + 1)*{n_post})"
        if projection.full:
            made.connect(j=within)
        elif isinstance(projection.pairs, str) and projection.pairs == "all_but_self":
            made.connect(j=f"{within} if k - i // {n_pre}*{n_post} != i % {n_pre}")
        else:
            _connect_pairs(made, *replicas.pairs(*network.indices(key), n_pre, n_post))
        return
    if isinstance(projection.pairs, str):
        if projection.pairs == "all":
            made.connect()
        elif projection.pairs == "one_to_one":
            made.connect(j="i")
        else:
            made.connect(condition="i != j")
        return
    _connect_pairs(made, *network.indices(key))


def _connect_pairs(made: Synapses, i: np.ndarray, j: np.ndarray) -> None:
    """Connect pairs, of which there may be none: Brian2 takes no empty lists."""
    if len(i):
        made.connect(i=i, j=j)
    else:
        made.connect(condition="i < 0", namespace={})


def learning(
    network: NetworkModel, key: str, made: Synapses, clock: Clock, replicas: Replicas
) -> list[BrianObject]:
    """The objects of a projection that learn while a presentation goes on, in their place."""
    rule = network.projections[key].rule
    assert rule is not None
    found: list[BrianObject] = []
    for number, part in enumerate(rule.prefixed(key).statements):
        if part.at_end:
            continue
        if part.event == "step":
            slower = clock if part.every is None else Clock(dt=part.every, name=f"{key}_clock*")
            found.append(
                made.run_regularly(
                    replicas.synaptic(network, key, part.code),
                    clock=slower,
                    when=part.when,
                    order=part.order,
                    name=f"{key}_learn_{number}",
                )
            )
            continue
        pathway = getattr(made, f"learn_{number}")
        pathway.when, pathway.order = part.when, part.order
        found.append(pathway)
    if made.state_updater is not None and Equations(rule.equations).diff_eq_names:
        found.append(made.state_updater)
    return found


def pattern(network: NetworkModel, key: str) -> str:
    """How a projection's synapses are numbered, where loops take the place of lists and queues.

    Returns
    -------
    str
        ``"all"``, or ``"one_to_one"`` or ``"all_but_self"`` between populations of one size; empty
        where there are lists.
    """
    projection, found = network.projections[key], network.pattern(key)
    sizes = {network.populations[side].n for side in (projection.pre, projection.post)}
    return "" if counts(network, key) or (found != "all" and len(sizes) > 1) else found


def note_layout(made: Synapses, replicas: int, shared: bool, pattern: str) -> None:
    """Say how the synapses of replicas lie, for templates and tables.

    Three attributes: ``replicas``, their number; ``shared``, whether all of them use the values of
    one; ``pattern``, see :func:`pattern`. A projection with a pattern has the values of one
    network if they are shared, else those of one replica behind the other. All others have the
    pairs and the values of every replica, one replica behind the other.
    """
    for name, value in (("replicas", replicas), ("shared", shared), ("pattern", pattern)):
        made.add_attribute(name)
        setattr(made, name, value)


def n_values(made: Synapses) -> int:
    """Synapses of a projection with a pattern, as far as they have values of their own."""
    n_pre, n_post = (len(group) // made.replicas for group in (made.source, made.target))
    of_one = {"all": n_pre * n_post, "one_to_one": n_pre, "all_but_self": n_pre * (n_post - 1)}
    return of_one[made.pattern] * (1 if made.shared else made.replicas)


def counts(network: NetworkModel, key: str) -> bool:
    """Whether statements of a projection use how many synapses a neuron has."""
    projection = network.projections[key]
    rule = projection.rule.statements if projection.rule else ()
    codes = [projection.transmit, *(part.code for part in rule)]
    return any(_COUNTS.search(code) for code in codes)


def at_end(rule: PlasticityRule, made: Synapses) -> list[BrianObject]:
    """The pathways that learn when a presentation has ended, in their order."""
    numbers = [number for number, part in enumerate(rule.statements) if part.at_end]
    numbers.sort(key=lambda number: rule.statements[number].order)
    return [getattr(made, f"learn_{number}") for number in numbers]


def synaptic_reset(network: NetworkModel, key: str) -> str:
    """Statements that give synaptic variables other than the weight their first value."""
    shared = network.resolved(key).shared
    names = sorted(network.resets.get(key, ()), key=lambda name: name not in shared)
    return "\n".join(f"{name} = 0" for name in names)
