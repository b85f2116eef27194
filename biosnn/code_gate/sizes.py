"""Measure expressions: their nodes, depth, terms and constants.

Sizes are computed on the tree that Python's parser makes, before Brian2 or sympy see the text.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

from brian2.core.functions import DEFAULT_FUNCTIONS

#: Longest name, in characters.
MAX_NAME = 100
#: Deepest nesting of operators and calls, with all subexpressions in their places.
MAX_DEPTH = 100
#: Most operators, names and numbers of one expression with all subexpressions in their places,
#: and of all equations of a text together.
MAX_NODES, MAX_ALL_NODES = 10_000, 200_000
#: Most terms of an expression that is multiplied out; where remainders are taken, fewer.
MAX_TERMS, MAX_TERMS_OF_REMAINDER = 500, 12
#: Largest whole exponent, and most binary digits of exact arithmetic on constants.
MAX_EXPONENT, MAX_BITS = 1_000, 4_096

#: Functions of biosnn that code can call besides Brian2's.
OWN_FUNCTIONS = frozenset({"counter_uniform", "counter_normal", "counter_poisson"})

_FUNCTIONS = OWN_FUNCTIONS.union(DEFAULT_FUNCTIONS)
_NUMBER_OF_ARGUMENTS = {
    name: len(function._arg_units)
    for name, function in DEFAULT_FUNCTIONS.items()
    if function._arg_units is not None
}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_VALUES: dict[str, Callable[..., Any]] = {
    **{name: getattr(math, name) for name in ("cos", "sin", "tan", "cosh", "sinh", "tanh")},
    **{name: getattr(math, name) for name in ("exp", "log", "log10", "expm1", "log1p", "sqrt")},
    **{f"arc{name}": getattr(math, f"a{name}") for name in ("cos", "sin", "tan")},
    "exprel": lambda x: math.expm1(x) / x if x else 1.0,
    "ceil": lambda x: float(math.ceil(x)),
    "floor": lambda x: float(math.floor(x)),
    "int": lambda x: float(math.trunc(x)),
    "abs": abs,
    "sign": lambda x: math.copysign(1.0, x) if x else 0.0,
    "clip": lambda x, low, high: min(max(x, low), high),
}
ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


class RefusedError(Exception):
    """A text is refused: what it must be, and the part of it that is not."""

    def __init__(self, wanted: str, got: str = "", remedy: str = ""):
        super().__init__(wanted)
        self.wanted, self.got, self.remedy = wanted, got, remedy


def source(node: ast.AST) -> str:
    """A part of a text, for a message."""
    return ast.unparse(node)[:60]


class Size:
    """Size of an expression: nodes, depth, terms when multiplied out, and a constant's value."""

    __slots__ = ("bits", "depth", "nodes", "terms", "value")

    def __init__(
        self, nodes: int, depth: int, terms: int = 1, value: float | None = None, bits: int = 0
    ):
        self.nodes, self.depth, self.terms, self.value, self.bits = nodes, depth, terms, value, bits
        if nodes > MAX_NODES:
            raise RefusedError(f"of at most {MAX_NODES} operators, names and numbers")
        if depth > MAX_DEPTH:
            raise RefusedError(f"nested at most {MAX_DEPTH} deep")
        if terms > MAX_TERMS:
            wanted = f"of at most {MAX_TERMS} terms when multiplied out"
            raise RefusedError(wanted, "powers or products of sums")
        if bits > MAX_BITS:
            raise RefusedError("made of moderate numbers", "powers of constants")
        if value is not None and not math.isfinite(value):
            raise RefusedError("made of finite numbers", "a constant beyond double precision")


def check_sizes(defined: Mapping[str, ast.expr], driven: list[ast.expr]) -> None:
    """Check equations with their subexpressions put into their places."""
    sizes: dict[str, Size] = {}
    total = 0
    for name in _ordered(defined):
        sizes[name] = measured(defined[name], sizes)
        total += sizes[name].nodes
    for expression in driven:
        total += measured(expression, sizes).nodes
    if total > MAX_ALL_NODES:
        raise RefusedError(f"of at most {MAX_ALL_NODES} operators, names and numbers in all")


def _ordered(defined: Mapping[str, ast.expr]) -> list[str]:
    """Subexpressions, each after those that it uses."""
    uses = {
        name: [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in defined]
        for name, tree in defined.items()
    }
    done: dict[str, None] = {}
    for first in defined:
        path = {first: iter(uses[first])} if first not in done else {}
        while path:
            name = next(reversed(path))
            following = next((used for used in path[name] if used not in done), None)
            if following is None:
                done[name] = None
                del path[name]
            elif following in path:
                wanted = "without subexpressions that depend on themselves"
                raise RefusedError(wanted, repr(following))
            else:
                path[following] = iter(uses[following])
    return list(done)


def measured(node: ast.expr, sizes: Mapping[str, Size], level: int = 0) -> Size:
    """Measure an expression, and refuse parts that are not allowed.

    Parameters
    ----------
    node : ast.expr
        The expression.
    sizes : mapping of str to Size
        Names that stand for expressions.
    level : int
        How deep the expression is nested itself.
    """
    if level > MAX_DEPTH:
        raise RefusedError(f"nested at most {MAX_DEPTH} deep")

    def inner(part: ast.expr) -> Size:
        return measured(part, sizes, level + 1)

    match node:
        case ast.Constant(value=bool()):
            return Size(1, 1)
        case ast.Constant(value=int(number)):
            if number.bit_length() > MAX_BITS // 4:
                raise RefusedError("made of finite numbers", "a number of very many digits")
            return Size(1, 1, value=float(number), bits=number.bit_length())
        case ast.Constant(value=float(number)):
            return Size(1, 1, value=number, bits=64)
        case ast.Name(id=name):
            if len(name) > MAX_NAME:
                raise RefusedError(f"made of names of at most {MAX_NAME} characters")
            if name in _CONSTANTS:
                return Size(1, 1, value=_CONSTANTS[name], bits=64)
            return sizes.get(name) or Size(1, 1)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            part = inner(operand)
            value = part.value
            if value is not None and isinstance(sign, ast.USub):
                value = -value
            return Size(part.nodes + 1, part.depth + 1, part.terms, value, part.bits)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _together([inner(operand)])
        case ast.BoolOp(values=values):
            return _together([inner(value) for value in values])
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, _COMPARISONS):
            return _together([inner(left), inner(right)])
        case ast.Compare(ops=ops) if len(ops) > 1:
            raise RefusedError("made of single comparisons", source(node), "Write a < b and b < c")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            return _combined(op, inner(left), inner(right))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            if name not in _FUNCTIONS and _is_over_time(name, arguments):
                return _together([inner(argument) for argument in arguments])
            if name not in _FUNCTIONS:
                wanted = "made of calls of known functions"
                remedy = f"There are {', '.join(sorted(DEFAULT_FUNCTIONS))}"
                raise RefusedError(wanted, f"{name[:MAX_NAME]}(...)", remedy)
            expected = _NUMBER_OF_ARGUMENTS.get(name, len(arguments))
            if len(arguments) != expected:
                wanted = f"with {expected} arguments for {name}"
                raise RefusedError(wanted, f"{len(arguments)} of them")
            return _called(name, [inner(argument) for argument in arguments])
    raise RefusedError("arithmetic: numbers, names, operators, calls of functions", source(node))


def _is_over_time(name: str, arguments: list[ast.expr]) -> bool:
    """Whether a call is one of a parameter with values over time: ``I(t)``, or ``I(t, i)``.

    Whether there is such a parameter is checked where the names are known.
    """
    if name.startswith("_") or len(name) > MAX_NAME or not name.isascii():
        return False
    match arguments:
        case [ast.Name(id="t" | "t_sample"), *column]:
            pass
        case _:
            return False
    match column:
        case [] | [ast.Name(id="i")]:
            return True
        case [ast.BinOp(left=ast.Name(id="i"), op=ast.Mod(), right=ast.Constant(value=int()))]:
            return True  # a neuron of one of several copies
    return False


def _together(parts: list[Size]) -> Size:
    """Size of something made of parts that are not multiplied out."""
    return Size(1 + sum(p.nodes for p in parts), 1 + max((p.depth for p in parts), default=0))


def _called(name: str, arguments: list[Size]) -> Size:
    size = _together(arguments)
    values = [part.value for part in arguments]
    if not values or name not in _VALUES or any(value is None for value in values):
        return size
    value = _value(_VALUES[name], *values)
    return Size(size.nodes, size.depth, 1, value, 64)


def _value(function: Callable[..., float], *values: float | None) -> float:
    """A constant's value, computed on floats."""
    try:
        found = function(*values)
    except (OverflowError, ValueError, ZeroDivisionError):
        found = math.inf
    return found if isinstance(found, float) else math.inf


def _combined(op: ast.operator, left: Size, right: Size) -> Size:
    """Size of an operation on two expressions."""
    nodes, depth = left.nodes + right.nodes + 1, max(left.depth, right.depth) + 1
    if isinstance(op, ast.Mod | ast.FloorDiv) and max(left.terms, right.terms) > (
        MAX_TERMS_OF_REMAINDER
    ):
        wanted = f"of at most {MAX_TERMS_OF_REMAINDER} terms where a remainder is taken"
        raise RefusedError(wanted, "% or //", "Give its sides names as subexpressions")
    if isinstance(op, ast.Div | ast.FloorDiv | ast.Mod) and right.value == 0:
        raise RefusedError("without divisions by zero", "a constant divisor of 0")
    value, bits = None, 0
    if left.value is not None and right.value is not None:
        value = _value(ARITHMETIC[type(op)], left.value, right.value)
        grows = abs(right.value) if isinstance(op, ast.Pow) else 1
        bits = int(min(left.bits * max(grows, 1), 1e9)) + right.bits + 1
    match op:
        case ast.Add() | ast.Sub():
            terms = left.terms + right.terms
        case ast.Mult() | ast.Div():
            terms = left.terms * right.terms
        case ast.Pow():
            terms = _terms_of_power(left, right)
        case _:
            terms = 1
    return Size(nodes, depth, terms if value is None else 1, value, bits)


def _terms_of_power(base: Size, exponent: Size) -> int:
    """Terms of a power that is multiplied out."""
    if exponent.value is None:
        return max(base.terms, exponent.terms)
    power = abs(exponent.value)
    if power > MAX_EXPONENT:
        raise RefusedError(f"made of powers of at most {MAX_EXPONENT}", f"a power of {power:g}")
    if base.terms == 1 or power != int(power):
        return base.terms
    return math.comb(int(power) + base.terms - 1, int(power))
