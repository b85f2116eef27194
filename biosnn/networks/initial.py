"""What the synapses of a network begin with: checks of declared values, and the values."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from brian2 import Equations
from brian2.equations.equations import BOOLEAN, INTEGER
from brian2.units.fundamentalunits import (
    DimensionMismatchError,
    Quantity,
    fail_for_dimension_mismatch,
)

from biosnn.errors import ParameterError
from biosnn.initial_values import Formula, Initial
from biosnn.models import (
    BUILT_IN,
    Known,
    NeuronModel,
    Normal,
    Scope,
    Uniform,
    check_text,
    parsed,
    scope_of,
    synapse_formula,
)
from biosnn.networks.projection import Projection
from biosnn.networks.structure import NetworkStructure
from biosnn.validation import describe, number_like

_COUNTS = ("i", "j", "N", "N_pre", "N_post")


def _equations(network: NetworkStructure, key: str) -> Equations:
    """All equations of a projection's synapses, with the weight."""
    projection = network.resolved(key)
    weight = "w : 1\n" if projection.weights is not None else ""
    rule = projection.rule.equations if projection.rule is not None else ""
    own = parsed(key, rule).names
    weight = "" if "w" in own else weight
    return parsed(key, f"{weight}{projection.equations}\n{rule}")


def _constants(projection: Projection) -> dict[str, Any]:
    """Constants of a projection's synapses; those that follow a schedule have no one value."""
    rule = projection.rule
    learned = {} if rule is None else rule.parameters
    scheduled = () if rule is None else rule.schedules
    both = {**learned, **projection.parameters}
    return {name: value for name, value in both.items() if name not in scheduled}


def _sides(network: NetworkStructure, key: str) -> dict[str, tuple[str, NeuronModel, Equations]]:
    projection = network.projections[key]
    found = {}
    for side, name in (("pre", projection.pre), ("post", projection.post)):
        model = network.whole_model(name)
        found[side] = name, model, parsed(name, model.equations)
    return found


def _scope(network: NetworkStructure, key: str) -> Scope:
    """Names that an expression of initial values of synapses may use."""
    projection = network.resolved(key)
    scope: dict[str, Known] = {name: BUILT_IN[name] for name in _COUNTS}
    for side, (_, _, equations) in _sides(network, key).items():
        linked = {name for name in equations.names if "linked" in equations[name].flags}
        stored = {
            name: known
            for name, known in scope_of(equations, {}).items()
            if name in equations.names - linked
        }
        if side == "post":  # Without an ending, a name is the postsynaptic neuron's.
            scope = {**stored, **scope}
        scope |= {f"{name}_{side}": known for name, known in stored.items()}
    return {**scope, **scope_of(_equations(network, key), _constants(projection))}


def check_initial(network: NetworkStructure, key: str) -> None:
    """Check initial values of a projection's weights and variables.

    Raises
    ------
    ParameterError
        Naming what cannot be.
    """
    projection, where = network.projections[key], f"projections[{key!r}]"
    texts = {"weights": ("w", projection.weights)} if projection.weights is not None else {}
    texts |= {f"initial[{name!r}]": (name, value) for name, value in projection.initial.items()}
    known = network.synaptic(key)
    for name in projection.initial:
        if name not in known:
            among = f"keyed by a variable of its synapses ({', '.join(known) or 'it has none'})"
            remedy = "The weight w is given as weights" if name == "w" else ""
            raise ParameterError(where, "initial", repr(name), among, remedy)
    equations, order = _equations(network, key), ["w", *projection.initial]
    for field, (name, value) in texts.items():
        if isinstance(value, str):
            scope = _scope(network, key)
            later = order[order.index(name) :]
            formula = _formula(network, key, value, scope)
            used = {*formula.variables, *formula.constants, *formula.pre, *formula.post}
            meant = Known(equations[name].dim, boolean=equations[name].var_type == BOOLEAN)
            check_text(where, field, value, scope, later, meant, used)
        elif name != "w":
            _check_numbers(network, key, field, name, value)


def _check_numbers(network: NetworkStructure, key: str, field: str, name: str, value: Any) -> None:
    where, dim = f"projections[{key!r}]", _equations(network, key)[name].dim
    drawn = isinstance(value, Uniform | Normal)
    for part in attrs.astuple(value, recurse=False) if drawn else (value,):
        try:
            fail_for_dimension_mismatch(part, dim)
            invalid = not np.isfinite(np.asarray(part, dtype=float)).all()
        except (DimensionMismatchError, TypeError, ValueError):
            invalid = True
        if invalid:
            wanted = f"{number_like(Quantity(1, dim=dim))}, one per synapse, or an expression"
            raise ParameterError(where, field, describe(part), wanted)
    size = network.n_synapses(key)
    shared = name in network.resolved(key).shared
    n_pre, n_post, _ = network.drawing(key)
    fitting = [(), (1,)] if shared else [(), (1,), (size,)]
    if network.projections[key].full and not shared:
        fitting.append((n_pre, n_post))
    if not drawn and np.shape(value) not in fitting:
        wanted = "one value" if shared else f"one value, or {size} of them"
        raise ParameterError(where, field, f"values of shape {np.shape(value)}", wanted)


def _formula(network: NetworkStructure, key: str, text: str, scope: Scope) -> Formula:
    projection = network.resolved(key)
    return synapse_formula(
        text,
        key,
        _equations(network, key),
        _constants(projection),
        _sides(network, key),
        scope,
    )


def synaptic_values(network: NetworkStructure, key: str) -> dict[str, Initial]:
    """What the weights and variables of a projection's synapses begin with, by their full names."""
    projection, found = network.projections[key], dict[str, Initial]()
    if isinstance(projection.weights, str):
        made = _placed(network, key, projection.weights, network.n_synapses(key))
        if projection.normalise is not None:
            n_pre, n_post, _ = network.drawing(key)
            norm = {"total": projection.normalise.total, "p": projection.normalise.p}
            made = attrs.evolve(made, shape=(n_pre, n_post), **norm)
        found[f"{key}.w"] = made
    elif projection.weights is not None:
        found[f"{key}.w"] = projection.initial_weights(*network.drawing(key))
    names = network.synaptic(key)
    if not names:
        return found
    shared, equations = network.resolved(key).shared, _equations(network, key)
    for name in names:
        size = 1 if name in shared else network.n_synapses(key)
        value, full = projection.initial.get(name, 0.0), f"{key}.{name}"
        if isinstance(value, Uniform | Normal):
            found[full] = value.draw(size)
        elif isinstance(value, str):
            whole = equations[name].var_type == INTEGER
            found[full] = attrs.evolve(_placed(network, key, value, size), whole=whole)
        else:
            flat = np.asarray(value, dtype=float).ravel()
            values = np.broadcast_to(flat, (size,)).copy()
            found[full] = projection.in_order(values) if flat.size > 1 else values
    return found


def _placed(network: NetworkStructure, key: str, text: str, size: int) -> Formula:
    """The formula of an expression, with the neurons before and behind each synapse."""
    projection = network.projections[key]
    n_pre, n_post, _ = network.drawing(key)
    made = _formula(network, key, text, _scope(network, key))
    made = attrs.evolve(made, size=size, n_pre=n_pre, n_post=n_post)
    if not made.by_place:
        return made
    if isinstance(projection.pairs, str):
        return attrs.evolve(made, pairs=projection.pairs)
    i, j = network.indices(key)
    return attrs.evolve(made, i=tuple(i.tolist()), j=tuple(j.tolist()))
