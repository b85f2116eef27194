"""Whether a projection fits between two populations: pairs, sizes, delays, what is transmitted."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from brian2 import Equations
from brian2.units.fundamentalunits import DIMENSIONLESS

from biosnn.declaration import to_data
from biosnn.errors import ParameterError
from biosnn.models import (
    NeuronModel,
    Normal,
    Uniform,
    check_method,
    event_driven,
    names_in,
    parsed,
    synaptic_equations,
    unit_name,
    without_value,
)
from biosnn.networks.connectivity import Pattern
from biosnn.networks.projection import Projection
from biosnn.networks.structure import NetworkStructure
from biosnn.validation import LARGEST, check_steps

#: What Brian2 gives all synapses.
_SYNAPTIC = frozenset({"j", "N_pre", "N_post", "N_incoming", "N_outgoing", "i_pre", "i_post"})
#: Bytes of a variable of a synapse, and of its two indices.
_VALUE, _INDICES = 8, 8
#: Most pairs for each of which a number is drawn: some ten minutes.
_TRIED = 10**11


def check_known(network: NetworkStructure, field: str, name: str, among: Iterable[str]) -> None:
    """Check that a name is one of those that a network has.

    Raises
    ------
    ParameterError
        If it is none of them.
    """
    if name not in among:
        wanted = f"one of {', '.join(sorted(among)) or 'none, because there is nothing'}"
        raise ParameterError(network.name, field, repr(name), wanted)


def check_fit(network: NetworkStructure, key: str) -> None:
    """Check that a projection fits between its populations.

    Raises
    ------
    ParameterError
        If the event, an index or a weight cannot be.
    """
    projection = network.projections[key]
    pre, post = (network.populations[side].model for side in (projection.pre, projection.post))
    n_pre, n_post, seed = network.drawing(key)
    where = f"projections[{key!r}]"
    if projection.synapse is not None and projection.synapse not in post.receptors:
        among = f"one of {projection.post}'s ({', '.join(post.receptors) or 'it has none'})"
        remedy = "Give its model one: model.with_synapses(name=...)"
        raise ParameterError(where, "synapse", repr(projection.synapse), among, remedy)
    if isinstance(projection.pairs, str) and projection.pairs == "one_to_one" and n_pre != n_post:
        got = f"'one_to_one' from {n_pre} to {n_post} neurons"
        remedy = "Give index arrays (i, j) of the pairs"
        raise ParameterError(where, "pairs", got, "between populations of one size", remedy)
    if isinstance(projection.pairs, Pattern):
        projection.pairs.check(where, n_pre, n_post)
    elif not isinstance(projection.pairs, str):
        _check_pairs(where, projection, n_pre, n_post)
    if np.ndim(projection.delay):
        size = projection.size(n_pre, n_post, seed)
        if np.shape(projection.delay) != (size,):
            raise ParameterError(where, "delay", np.shape(projection.delay), f"one, or ({size},)")
    _check_statements(where, projection, pre, post)
    if projection.weights is None or isinstance(projection.weights, str):
        return
    if not isinstance(projection.weights, Uniform | Normal):
        size = projection.size(n_pre, n_post, seed)
        check_weights_fit(where, projection.weights, n_pre, n_post, size, projection.full)
    if projection.rule is not None:
        check_bounds(where, projection.weights, projection.rule.parameters)


def _check_statements(
    where: str, projection: Projection, pre: NeuronModel, post: NeuronModel
) -> None:
    """Check what is transmitted, and that no name means two things."""
    model = None if projection.synapse is None else post.receptors[projection.synapse]
    transmit = projection.transmit if model is None else model.transmit
    equations = (
        projection.equations if model is None else f"{projection.equations}\n{model.equations}"
    )
    parameters = {**(model.parameters if model else {}), **projection.parameters}
    events = {*pre.events, *(["spike"] if pre.threshold is not None else [])}
    if transmit and projection.on_event not in events:
        among = f"an event of {projection.pre} ({', '.join(sorted(events)) or 'it has none'})"
        raise ParameterError(where, "on_event", repr(projection.on_event), among)
    known = synaptic_equations(where, equations)
    own = set(known.names)
    _check_method(where, projection, known)
    weighted = "w" in check_code(where, "transmit", transmit)
    if projection.weights is None and weighted and "w" not in own:
        wanted = f"given, because w is in what is transmitted ({transmit})"
        raise ParameterError(where, "weights", None, wanted)
    if projection.weights is not None and "w" in own:
        wanted = "without w, which is the weight"
        raise ParameterError(where, "equations", repr(equations.strip()), wanted)
    if projection.short_term is not None and not weighted:
        wanted = "used where w is transmitted, of which it takes a share"
        raise ParameterError(where, "short_term", f"beside {transmit!r}", wanted)
    if projection.rule is not None:
        check_same_parameters(where, parameters, projection.rule.parameters)
        # What follows event-driven variables does so in the equations of both.
        synaptic_equations(where, f"{equations}\n{projection.rule.equations}")


def _check_method(where: str, projection: Projection, equations: Equations) -> None:
    if projection.method is None:
        return
    check_method(where, projection.method, equations)
    rule = parsed(where, projection.rule.equations if projection.rule else "")
    own, learned = (known.diff_eq_names - event_driven(known) for known in (equations, rule))
    if projection.rule and learned and projection.method != projection.rule.method:
        wanted = f"{projection.rule.method!r}, the method of {projection.rule.name}"
        remedy = "Leave it out, or give the rule this method"
        raise ParameterError(where, "method", repr(projection.method), wanted, remedy)
    if not own | learned:
        wanted = "given where synapses have differential equations that are integrated in each step"
        raise ParameterError(where, "method", repr(projection.method), wanted)


def _check_pairs(where: str, projection: Projection, n_pre: int, n_post: int) -> None:
    arrays = [np.asarray(part) for part in projection.pairs]
    shapes = [part.shape for part in arrays]
    for part in arrays:
        if part.size and part.dtype.kind not in "iu":
            raise ParameterError(where, "pairs", f"dtype {part.dtype}", "whole numbers")
    if len(arrays) != 2 or shapes[0] != shapes[1] or len(shapes[0]) != 1:
        raise ParameterError(where, "pairs", shapes, "two index arrays (i, j) of one length")
    for part, n, side in zip(arrays, (n_pre, n_post), ("pre", "post"), strict=True):
        if part.size and (part.min() < 0 or part.max() >= n):
            bad = part[(part < 0) | (part >= n)][:1].tolist()
            wanted = f"{side}synaptic indices from 0 to {n - 1}"
            raise ParameterError(where, "pairs", bad, wanted)


def check_weights_fit(
    where: str, weights: Any, n_pre: int, n_post: int, size: int, full: bool
) -> None:
    """Check number, shape and finiteness of initial weights that are given as values.

    Raises
    ------
    ParameterError
        If they do not fit.
    """
    values = np.asarray(weights, dtype=float)
    if values.ndim > 1 and (not full or values.shape != (n_pre, n_post)):
        wanted = f"of shape ({n_pre}, {n_post}) = (pre, post)" if full else "one per pair, in a row"
        remedy = "" if full else 'Use pairs="all" for a matrix, or networks.from_matrix'
        raise ParameterError(where, "weights", f"shape {values.shape}", wanted, remedy)
    if values.size not in (1, size):
        raise ParameterError(where, "weights", f"{values.size} values", f"one, or {size}")
    if not np.isfinite(values).all():
        raise ParameterError(where, "weights", values[~np.isfinite(values)][0], "finite")


def check_code(where: str, name: str, code: str) -> set[str]:
    """Names that statements use or change.

    Raises
    ------
    ParameterError
        If they do not parse.
    """
    try:
        used = names_in(code)
        tree = ast.parse("\n".join(line.strip() for line in code.strip().splitlines()))
    except SyntaxError as error:
        wanted = "valid Brian2 statements"
        raise ParameterError(where, name, repr(code), wanted, str(error)) from error
    stored = {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }
    made = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    foreign = {target for target in made if target.endswith(("_pre", "_post"))}
    return used | (stored - made) | foreign


def check_code_names(where: str, name: str, code: str, known: Iterable[str]) -> None:
    """Check that all names of statements of synapses have a value.

    Raises
    ------
    ParameterError
        If one has none: values are never taken from the surrounding script.
    """
    missing = without_value(check_code(where, name, code), {*known, *_SYNAPTIC})
    if missing:
        raise ParameterError(
            where,
            name,
            f"{missing[0]!r} in {code.strip()!r}",
            "made of parameters, variables of the synapse, and variables of both populations "
            "(x_pre, x_post)",
        )


def check_same_parameters(where: str, own: Mapping[str, Any], rule: Mapping[str, Any]) -> None:
    """Check that a projection and its rule do not use one name for two values.

    Raises
    ------
    ParameterError
        If they do.
    """
    for name in sorted(set(own) & set(rule)):
        if to_data(own[name]) != to_data(rule[name]):
            wanted = f"{rule[name]}, as in the rule"
            raise ParameterError(
                where, f"parameters[{name!r}]", own[name], wanted, "Give one another name"
            )


def check_bounds(where: str, weights: Any, parameters: Mapping[str, Any]) -> None:
    """Check that initial weights are within the bounds of a rule.

    Raises
    ------
    ParameterError
        If one is not.
    """
    if isinstance(weights, Normal):
        return
    given = (weights.low, weights.high) if isinstance(weights, Uniform) else weights
    values = np.asarray(given, dtype=float)
    for name, breach in (("w_min", np.less), ("w_max", np.greater)):
        bound = parameters.get(name)
        if isinstance(bound, int | float) and breach(values, bound).any():
            wanted = f"{'>=' if name == 'w_min' else '<='} {name} = {bound} of the rule"
            raise ParameterError(where, "weights", values[breach(values, bound)][0], wanted)


def check_times(network: NetworkStructure, key: str) -> None:
    """Check delays, intervals of learning, and where modulators come from.

    Raises
    ------
    ParameterError
        If a time is no multiple of the time step or too long, or a modulator is no plain number.
    """
    where, projection = f"projections[{key!r}]", network.resolved(key)
    steps = np.asarray(projection.delay, dtype=float).ravel() / float(network.dt)
    uneven = np.flatnonzero(np.abs(steps - np.round(steps)) > 1e-6 * np.maximum(1, steps))
    if uneven.size:
        check_steps(where, "delay", steps[uneven[0]] * network.dt, network.dt)
    if np.round(np.max(steps, initial=0.0)) >= network.steps_per_presentation:
        slot = network.dt * network.steps_per_presentation
        raise ParameterError(where, "delay", projection.delay, f"below a presentation ({slot})")
    rule = projection.rule
    for part in rule.statements if rule else ():
        if part.every is None:
            continue
        steps = check_steps(where, "rule.statements.every", part.every, network.dt, 1)
        if network.steps_per_presentation % steps:
            wanted = "a divisor of duration + rest"
            raise ParameterError(where, "rule.statements.every", part.every, wanted)
    for name, target in (rule.modulators if rule else {}).items():
        owner, _, variable = target.partition(".")
        check_known(network, f"{where}.rule.modulators[{name!r}]", owner, network.populations)
        source = network.populations[owner]
        if variable not in source.model.variables or source.n != 1:
            wanted = "a variable, which holds a value, of a population of one neuron"
            raise ParameterError(where, f"rule.modulators[{name!r}]", repr(target), wanted)
        dimensions = parsed(owner, source.model.equations)[variable].dim
        if dimensions is not DIMENSIONLESS:
            got = f"{target!r} in {unit_name(dimensions)}"
            wanted = "a plain number, without unit"
            raise ParameterError(where, f"rule.modulators[{name!r}]", got, wanted)


def check_synaptic_names(network: NetworkStructure, key: str) -> None:
    """Check that no variable of the synapses has the name of one of their neurons.

    Raises
    ------
    ParameterError
        If one has.
    """
    projection = network.projections[key]
    own = {"w"} if projection.weights is not None else set()
    own |= set(network.synaptic(key))
    for name in (projection.post, projection.pre):
        twice = sorted(own & set(parsed(key, network.populations[name].model.equations).names))
        if twice:
            raise ParameterError(
                f"projections[{key!r}]",
                "variables",
                f"{twice[0]!r} of the synapses and of {name}",
                "a name used once",
                "Give the neuron's variable another name",
            )


def check_memory(network: NetworkStructure, key: str) -> None:
    """Check that the synapses of a projection can be numbered and fit into the memory.

    Raises
    ------
    ParameterError
        Saying how many there are and how many bytes they need.
    """
    projection = network.projections[key]
    n_pre, n_post = (network.populations[side].n for side in (projection.pre, projection.post))
    if isinstance(projection.pairs, Pattern):
        n = projection.pairs.expected(n_pre, n_post)
        tried = projection.pairs.tried(n_pre, n_post)
    elif isinstance(projection.pairs, str):
        n, tried = projection.size(n_pre, n_post), 0
    else:
        return  # the arrays are there
    values = (projection.weights is not None) + len(projection.variables)
    bytes_needed = n * (_INDICES + _VALUE * values)
    got = f"about {n:,} synapses from {n_pre:,} to {n_post:,} neurons"
    remedy = "Connect fewer, e.g. with pairs=FixedInDegree(...), or make populations smaller"
    where = f"projections[{key!r}]"
    if tried > _TRIED:
        wanted = f"a pattern that tries at most {_TRIED:,} pairs"
        raise ParameterError(where, "pairs", f"one that tries {tried:,}", wanted, remedy)
    if n > LARGEST:
        wanted = f"at most {LARGEST:,} synapses, which Brian2 can number"
        raise ParameterError(where, "pairs", got, wanted, remedy)
    if bytes_needed > physical_memory():
        wanted = f"small enough for this machine's {physical_memory() / 2**30:.1f} GiB"
        got += f", {bytes_needed / 2**30:.1f} GiB"
        raise ParameterError(where, "pairs", got, wanted, remedy)


def physical_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
