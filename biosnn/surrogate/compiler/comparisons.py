"""Comparisons with surrogate gradients, and their widths."""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from biosnn.program.scope import Scope
from biosnn.surrogate.compiler.liveness import names_in_tree
from biosnn.surrogate.compiler.operations import numpy_code


@attrs.frozen
class Above:
    """Heaviside function of a difference, with the gradient of a surrogate of some width."""

    surrogate: Any
    width: float
    strict: bool
    smooth: bool

    def __call__(self, difference: Any) -> Any:
        """1 where the difference is positive, else 0."""
        scaled = difference if self.width == 1.0 else difference / self.width
        return self.surrogate(scaled, strict=self.strict, smooth=self.smooth)


_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: np.logical_not,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _initial(scope: Scope, expression: ast.expr) -> np.ndarray | None:
    """Value of an expression before a run, in SI units; None if it has none."""
    names: dict[str, Any] = {}
    for name in names_in_tree(expression):
        meaning = scope.find(name)
        if meaning is None:
            return None
        match meaning.kind:
            case "expression":
                inner = ast.parse(meaning.code.strip(), mode="eval").body
                names[name] = _initial(scope, inner)
            case "function":
                names[name] = numpy_code(meaning.value, scope.program.dt)
            case "array":
                assert meaning.array is not None
                begins = meaning.array.initial
                names[name] = begins if isinstance(begins, np.ndarray) else np.zeros(1)
            case "neuron":
                names[name] = np.arange(scope.program.groups[meaning.owner].n)
            case "degree":
                return None
            case _:
                names[name] = np.asarray(meaning.value or 0.0, dtype=float)
        if names[name] is None:
            return None
    try:
        with np.errstate(all="ignore"):
            return np.asarray(_value(expression, names), float)
    except (ArithmeticError, IndexError, LookupError, TypeError, ValueError):
        return None


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Value of an expression's tree: arithmetic on arrays, and calls of named functions."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return names[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATIONS[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATIONS[type(op)](_value(operand, names))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _OPERATIONS[type(op)](_value(left, names), _value(right, names))
        case ast.BoolOp(op=op, values=values):
            found = (_value(value, names) for value in values)
            return functools.reduce(_OPERATIONS[type(op)], found)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return names[name](*(_value(argument, names) for argument in arguments))
    raise ValueError(ast.unparse(node))


def width_of(scope: Scope, what: str) -> float:
    """Width of a comparison: the distance of its two sides in the initial state."""
    comparison = ast.parse(what, mode="eval").body
    assert isinstance(comparison, ast.Compare)
    sides = comparison.left, comparison.comparators[0]
    left, right = (_initial(scope, side) for side in sides)
    if left is None or right is None:
        return 1.0
    found = (np.abs(left - right).max(), max(np.abs(left).max(), np.abs(right).max()))
    for distance in map(float, found):
        if np.isfinite(distance) and distance > 0:
            return 1.0 if abs(distance - 1) < 1e-12 else float(f"{distance:.12g}")
    return 1.0
