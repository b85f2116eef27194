"""What a projection must be, on its own and between two populations."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity

from biosnn.declaration import to_data
from biosnn.errors import ParameterError
from biosnn.models import Normal, Uniform, names_in, without_value

#: What Brian2 gives all synapses.
_SYNAPTIC = frozenset({"j", "N_pre", "N_post", "N_incoming", "N_outgoing", "i_pre", "i_post"})


def check_weights(where: str, weights: Any) -> None:
    """Check that initial weights are plain numbers.

    Raises
    ------
    ParameterError
        If they have a unit or are no numbers.
    """
    if weights is None:
        return
    drawn = isinstance(weights, Uniform | Normal)
    for part in attrs.astuple(weights, recurse=False) if drawn else (weights,):
        try:
            dimensions = Quantity(part).dim
            np.asarray(part, dtype=float)
        except (TypeError, ValueError) as error:
            wanted = "a number, one per synapse, Uniform or Normal"
            raise ParameterError(where, "weights", repr(part), wanted) from error
        if dimensions is not DIMENSIONLESS:
            remedy = "The unit belongs to the synapse: use a parameter such as g_max"
            raise ParameterError(where, "weights", part, "a plain number", remedy)


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
