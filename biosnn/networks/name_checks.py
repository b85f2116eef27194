"""Whether the names in a network's rules and statements mean something, and one thing only."""

from __future__ import annotations

from typing import Any

from brian2 import Equations
from brian2.equations.equations import PARAMETER

from biosnn.errors import ParameterError
from biosnn.models import (
    BUILT_IN,
    Companion,
    Known,
    NeuronModel,
    check_behind,
    check_equation_units,
    check_statement_units,
    parsed,
    scope_of,
    unit_name,
)
from biosnn.networks.order_checks import check_order
from biosnn.networks.projection import Projection
from biosnn.networks.projection_checks import check_code_names
from biosnn.networks.structure import NetworkStructure
from biosnn.recording import COUNT, FIRST_SPIKE

#: What a network keeps in its populations, besides ``norm_...`` of a projection.
_KEPT = (COUNT, FIRST_SPIKE, "pending")
_GIVEN = (
    "stream", "active_for", "random_seed", "random_pass", "random_sample", "random_step",
)  # fmt: skip
#: Constants that a network gives to synapses.
_SYNAPTIC = ("delay_steps", "steps_per_presentation", "weight_total")


def check_own_names(network: NetworkStructure, key: str) -> None:
    """Check that a population's model uses no name that the network uses itself.

    Raises
    ------
    ParameterError
        If it does.
    """
    model = network.populations[key].model
    norms = {
        f"norm_{name}"
        for name, projection in network.projections.items()
        if projection.post == key and projection.normalise is not None
    }
    variables = set(parsed(key, model.equations).names)
    for kind, own, taken in (
        ("parameter", set(model.parameters), {*_GIVEN, *_KEPT, *norms}),
        ("variable", variables, {*_GIVEN, *_KEPT, *norms}),
    ):
        for name in sorted(own & taken):
            raise ParameterError(
                f"populations[{key!r}]",
                "model",
                f"{model.name} with the {kind} {name!r}",
                "without this name, which the network uses itself",
                "Give it another name",
            )


def check_companions(network: NetworkStructure, key: str) -> None:
    """Check that no two things on a population's neurons have one name.

    Raises
    ------
    ParameterError
        If two do, such as traces of one name on both sides of a recurrent projection.
    """
    model = network.populations[key].model
    taken = {name: model.name for name in {*parsed(key, model.equations).names, *model.parameters}}
    for owner, part in _carried(network, key):
        names = part.own() if isinstance(part, Companion) else {part.name, f"tau_{part.name}"}
        for name in sorted(names):
            if name in taken:
                wanted = f"a name used once on {key}"
                got = f"{name!r} of {taken[name]} and of {owner}"
                raise ParameterError(
                    f"populations[{key!r}]", "variables", got, wanted, "Give one another name"
                )
            taken[name] = owner


def _carried(network: NetworkStructure, key: str) -> list[tuple[str, Any]]:
    """What projections keep on a population's neurons, and whose it is."""
    found: list[tuple[str, Any]] = []
    for name, projection in network.projections.items():
        rule = projection.rule and projection.rule.prefixed(name)
        for side in ("pre", "post"):
            if rule and getattr(projection, side) == key:
                owner = f"projections[{name!r}].rule ({side})"
                found += [(owner, part) for part in rule.needs(side)]
        short_term = projection.prefixed_short_term(name)
        if projection.pre == key and short_term is not None:
            found.append((f"projections[{name!r}].short_term", short_term))
    return found


def check_projection(network: NetworkStructure, key: str) -> None:
    """Check events and names of what a projection transmits and learns.

    Raises
    ------
    ParameterError
        If a name has no value, a population lacks an event, or a modulator has a unit.
    """
    where = f"projections[{key!r}]"
    given = network.projections[key]
    sides = {"pre": given.pre, "post": given.post}
    models = {side: network.whole_model(name) for side, name in sides.items()}
    projection = given.resolved(key, models["post"], network.dt)
    scope = _scope(key, projection, models)
    for name in {*projection.parameters, *(given.rule.parameters if given.rule else ())}:
        if name in _SYNAPTIC and name not in ({"delay_steps"} if given.delayed else ()):
            wanted = "without this name, which the network uses itself"
            raise ParameterError(where, "parameters", repr(name), wanted)
        if name in parsed(key, models["post"].equations).names:
            got = f"{name!r} of the synapses and of {given.post}"
            raise ParameterError(
                where, "parameters", got, "a name used once", "Give the parameter another name"
            )
    check_code_names(where, "transmit", projection.transmit, scope)
    check_statement_units(where, "transmit", projection.transmit, scope)
    equations = parsed(where, projection.equations)
    check_equation_units(where, "equations", equations, scope)
    _check_summed(where, equations, models["post"])
    codes = {"transmit": given.transmit}
    if given.synapse is not None:
        codes["synapse"] = models["post"].receptors[given.synapse].transmit
    if given.rule is not None:
        parts = given.rule.prefixed(key).statements
        codes |= {f"rule.statements[{number}]": part.code for number, part in enumerate(parts)}
    for field, code in codes.items() if not given.order_free else ():
        order = (lambda: network.indices(key), projection.pre == projection.post)
        check_order(where, field, code, models, projection.variables, *order)
    if given.rule is None:
        return
    rule = given.rule.prefixed(key)
    check_equation_units(where, "rule.equations", parsed(where, rule.equations), scope)
    for number, part in enumerate(rule.statements):
        field = f"rule.statements[{number}]"
        check_code_names(where, field, part.code, scope)
        check_statement_units(where, field, part.code, scope)
        if part.side == "synapse":
            continue
        model = models[part.side]
        events = {*model.events, *(["spike"] if model.threshold is not None else [])}
        if part.event not in events:
            among = ", ".join(sorted(events)) or "it has none"
            wanted = f"an event of {sides[part.side]} ({among})"
            raise ParameterError(where, f"{field}.event", repr(part.event), wanted)
        check_behind(where, f"{field}.when", model, part.event, part.when, part.order)


def _check_summed(where: str, equations: Equations, post: NeuronModel) -> None:
    """Check that summed variables are parameters of the target, of the same unit."""
    known = parsed(where, post.equations)
    for name, equation in equations.items():
        target = name.removesuffix("_post")
        if "summed" not in equation.flags or target == name:
            continue
        if target not in known.names or known[target].type != PARAMETER:
            wanted = "the sum of a variable that the target declares without an equation"
            raise ParameterError(where, "equations", f"{name} (summed)", wanted)
        if equation.dim is not known[target].dim:
            got = f"{name} (summed) in {unit_name(equation.dim)}"
            raise ParameterError(where, "equations", got, f"in {unit_name(known[target].dim)}")


def check_summed_once(network: NetworkStructure) -> None:
    """Check that no variable is the sum of two projections: the later would replace the other.

    Raises
    ------
    ParameterError
        If one is.
    """
    owners: dict[tuple[str, str], str] = {}
    for key in network.projections:
        projection = network.resolved(key)
        for name, equation in parsed(key, projection.equations).items():
            if "summed" not in equation.flags:
                continue
            variable, _, side = name.rpartition("_")
            place = getattr(projection, side, ""), variable
            if place in owners:
                got = f"{name} (summed), as in projections[{owners[place]!r}]"
                wanted = "summed by one projection only"
                remedy = "Give the target a synapse for each: with_synapses(a=..., b=...)"
                raise ParameterError(f"projections[{key!r}]", "equations", got, wanted, remedy)
            owners[place] = key


def _scope(key: str, projection: Projection, models: dict[str, NeuronModel]) -> dict[str, Known]:
    """All names that statements of a projection may use, and their units."""
    rule = None if projection.rule is None else projection.rule.prefixed(key)
    # Without an ending, a name is the postsynaptic neuron's.
    scope = dict(scope_of(parsed(key, models["post"].equations), {}))
    for side, model in models.items():
        scope |= scope_of(parsed(key, model.equations), {}, f"_{side}")
        scope |= {f"{name}_{side}": Known() for name in model.schedules}
        scope |= {f"{name}_{side}": BUILT_IN[name] for name in ("lastspike", "not_refractory")}
    if rule is not None:
        scope |= scope_of(parsed(key, rule.equations), rule.parameters)
        scope |= {f"{key}_{name}_post": Known() for name in rule.schedules}
    scope |= scope_of(parsed(key, projection.equations), projection.parameters)
    scope["lastupdate"] = BUILT_IN["lastupdate"]
    if projection.weights is not None:
        scope["w"] = Known()
    if projection.delayed:
        scope |= {"steps_per_presentation": Known(), "delay_steps": Known()}
    return scope
