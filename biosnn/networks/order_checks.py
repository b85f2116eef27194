"""Whether the result of statements depends on the order in which synapses run them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from brian2.codegen.permutation_analysis import (
    OrderDependenceError,
    check_for_order_independence,
)
from brian2.codegen.translation import make_statements
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.variables import Constant, Subexpression, Variable
from brian2.equations.equations import SUBEXPRESSION
from brian2.utils.stringtools import get_identifiers

from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, parsed, rename

_INDEX = {"pre": "_presynaptic_idx", "post": "_postsynaptic_idx"}
_KINDS = {"-=": "+=", "/=": "*="}
_TYPES = {"boolean": bool, "integer": np.int32, "float": np.float64}


def check_order(
    where: str,
    name: str,
    code: str,
    models: Mapping[str, NeuronModel],
    own: Iterable[str],
    indices: Callable[[], tuple[np.ndarray, np.ndarray]],
    recurrent: bool,
) -> None:
    """Check that the result of statements does not depend on the order of the synapses.

    Parameters
    ----------
    where, name, code : str
        Whose statements they are, for messages.
    models : mapping
        ``"pre"`` and ``"post"`` -> model with all that is kept on the neurons.
    own : iterable of str
        Variables of the synapses.
    indices : callable
        Gives the index arrays (i, j) of the synapses.
    recurrent : bool
        Whether both ends are one population: ``v_pre`` and ``v_post`` are then one array.

    Raises
    ------
    ParameterError
        If it does.
    """
    if not code.strip():
        return
    variables, places = _scope(models, own)
    words = get_identifiers(code)
    for known in sorted(words):
        words |= _within(known, variables)
    names = {node.id for node in ast.walk(_parsed(code)) if isinstance(node, ast.Name)}
    stored = {
        n.id
        for n in ast.walk(_parsed(code))
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    made = stored - set(variables)
    used = (names | (words & set(variables))) - made
    scope = {n: variables.get(n, _standard(n)) for n in used}
    try:
        _, statements = make_statements(code, scope, np.float64, optimise=False, blockname="")
    except (SyntaxError, ValueError, KeyError, TypeError, NotImplementedError):
        return  # Other checks say what is wrong with them.
    changed = {places.get(s.var) for s in statements if s.op != ":="}
    sides = [side for side, index in _INDEX.items() if index in changed]
    if not sides:
        return
    at = {n: places.get(n, "0") for n in scope} | {
        s.var: places.get(s.var, "_idx") for s in statements
    }
    for index in _INDEX.values():
        scope[index], at[index] = Variable(index, dtype=np.int32), "_idx"
    try:
        check_for_order_independence(statements, scope, at)
        _check_names(statements, places, recurrent)
    except OrderDependenceError:
        pairs = dict(zip(_INDEX, indices(), strict=True))
        alone = all(len(np.unique(pairs[side])) == len(pairs[side]) for side in sides)
        if alone and (not recurrent or np.array_equal(pairs["pre"], pairs["post"])):
            return  # No neuron is changed by two synapses.
        raise ParameterError(
            where,
            name,
            repr(code.strip()),
            "statements whose result does not depend on the order of the synapses",
            "Change the neurons in one projection and read the result in a later one, or state "
            "with order_free=True that the order does not matter",
        ) from None


def _check_names(statements: Sequence[Any], places: Mapping[str, str], recurrent: bool) -> None:
    """Check what Brian2 does not: kinds of changes, and names of one array.

    Sums commute with sums, and products with products, but neither with the other. What is changed
    by one of its names is not read by another.
    """

    def array(name: str) -> str:
        stem = name.removesuffix("_post")
        return stem.removesuffix("_pre") if recurrent else stem

    kinds: dict[str, str] = {}
    names = set()
    for statement in statements:
        if places.get(statement.var) in _INDEX.values():
            names.add(statement.var)
            kind: str = _KINDS.get(statement.op) or statement.op
            if kinds.setdefault(array(statement.var), kind) != kind:
                raise OrderDependenceError
    read = set().union(*(get_identifiers(s.expr) for s in statements)) - names
    if any(places.get(name) in _INDEX.values() and array(name) in kinds for name in read):
        raise OrderDependenceError


def _parsed(code: str) -> ast.AST:
    return ast.parse("\n".join(line.strip() for line in code.replace(";", "\n").splitlines()))


def _standard(name: str) -> Any:
    """A function of Brian2, or a constant."""
    return DEFAULT_FUNCTIONS.get(name) or Constant(name, 1.0)


def _within(name: str, variables: Mapping[str, Variable]) -> set[str]:
    """Names that a subexpression uses, those within them included."""
    variable: Any = variables.get(name)
    if not isinstance(variable, Subexpression):
        return set()
    return set().union(
        variable.identifiers, *(_within(inner, variables) for inner in variable.identifiers)
    )


def _scope(
    models: Mapping[str, NeuronModel], own: Iterable[str]
) -> tuple[dict[str, Variable], dict[str, str]]:
    """Variables that statements of synapses may use, and by what they are indexed."""
    variables: dict[str, Variable] = {}
    places: dict[str, str] = {}
    for name in (*own, "w", "i", "j"):
        variables[name] = Variable(name, dtype=np.float64)
        places[name] = "_idx"
    for side, model in models.items():
        equations = parsed("", model.equations)
        endings = {name: f"{name}_{side}" for name in equations.names}
        for name, equation in equations.items():
            # Without an ending, a name is the postsynaptic neuron's.
            for known in (endings[name], *([name] if side == "post" else [])):
                variables[known] = (
                    Subexpression(
                        known,
                        dimensions=equation.dim,
                        owner=None,
                        expr=rename(equation.expr.code, endings),
                        device=None,
                        dtype=_TYPES[equation.var_type],
                    )
                    if equation.type == SUBEXPRESSION
                    else Variable(known, dtype=_TYPES[equation.var_type])
                )
                places[known] = "0" if "shared" in equation.flags else _INDEX[side]
    return variables, places
