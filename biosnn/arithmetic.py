"""Values of expressions, by a walk over their syntax trees: no text is executed."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

_MAX_DEPTH = 200


def _power(base: Any, exponent: Any) -> Any:
    return np.asarray(base, dtype=float) ** exponent  # squares are exact


_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: _power,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Not: np.logical_not,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
}


def value_of(
    node: ast.expr, name: Callable[[str], Any], call: Callable[[str, list[Any]], Any]
) -> Any:
    """Value of an expression of numbers and arrays.

    Parameters
    ----------
    node : ast.expr
        Arithmetic, comparisons, ``and``, ``or``, ``not``, and calls of functions.
    name : callable
        Gives the value of a name.
    call : callable
        Gives the value of a function, by its name and the values of its arguments.

    Raises
    ------
    ValueError
        If there is something else in it, or it is nested deeper than 200 times.
    """
    return _value(node, name, call, 0)


# A closure that calls itself would keep arrays alive until garbage is collected.
def _value(
    node: ast.expr, name: Callable[[str], Any], call: Callable[[str, list[Any]], Any], depth: int
) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            return number
        case ast.Name(id=called):
            return name(called)
        case ast.UnaryOp(op=op, operand=part):
            parts = [part]
        case ast.BinOp(left=left, op=op, right=right):
            parts = [left, right]
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            parts = [left, right]
        case ast.BoolOp(op=op, values=parts):
            pass
        case ast.Call(func=ast.Name(id=called), args=arguments, keywords=[]):
            return call(called, [_value(part, name, call, depth + 1) for part in arguments])
        case _:
            raise ValueError("neither arithmetic nor a call of a function")
    known = [_value(part, name, call, depth + 1) for part in parts]
    if isinstance(op, ast.BoolOp):
        return functools.reduce(_OPERATIONS[type(op)], known)
    return _OPERATIONS[type(op)](*known)
