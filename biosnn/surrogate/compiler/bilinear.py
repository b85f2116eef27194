"""Split expressions into sums of products of presynaptic, postsynaptic and synaptic factors."""

from __future__ import annotations

import ast
from collections.abc import Callable

import attrs


@attrs.frozen
class Term:
    """A product of factors; an empty one is 1."""

    own: tuple[str, ...] = ()  # factors that depend on the single synapse
    pre: tuple[str, ...] = ()  # ... on the presynaptic neuron
    post: tuple[str, ...] = ()  # ... on the postsynaptic neuron or on nothing

    def times(self, other: Term) -> Term:
        """The product of two terms."""
        return Term(self.own + other.own, self.pre + other.pre, self.post + other.post)

    @staticmethod
    def product(factors: tuple[str, ...]) -> str:
        """The factors of one side as an expression."""
        return " * ".join(f"({factor})" for factor in factors) or "1"


def separate(expression: str, side: Callable[[str], str]) -> tuple[Term, ...] | None:
    """Split an expression of Brian2 into terms.

    `side` says whose a name is: ``"own"``, ``"pre"``, ``"post"`` or ``""`` (a constant, a
    function, the time). The result is None where a part depends on several sides and is neither
    a sum nor a product.
    """
    return _terms(ast.parse(expression.strip(), mode="eval").body, side)


def _terms(node: ast.expr, side: Callable[[str], str]) -> tuple[Term, ...] | None:
    sides = {side(n.id) for n in ast.walk(node) if isinstance(n, ast.Name)} - {""}
    if len(sides) < 2:
        return (attrs.evolve(Term(), **{next(iter(sides), "post"): (ast.unparse(node),)}),)
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            one, other = _terms(left, side), _terms(right, side)
            if one is None or other is None:
                return None
            return tuple(a.times(b) for a in one for b in other)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            one, other = _terms(left, side), _terms(right, side)
            if one is None or other is None or len(other) != 1:
                return None
            below = [f for f in attrs.astuple(other[0]) if f]
            if len(below) != 1:
                return None
            inverse = Term(*(tuple(f"1/({p})" for p in f) for f in attrs.astuple(other[0])))
            return tuple(a.times(inverse) for a in one)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            one, other = _terms(left, side), _terms(right, side)
            if one is None or other is None:
                return None
            sign = Term(post=("-1",)) if isinstance(op, ast.Sub) else Term()
            return (*one, *(sign.times(b) for b in other))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _terms(operand, side)
            return None if inner is None else tuple(Term(post=("-1",)).times(b) for b in inner)
    return None
