"""Translate expressions of Brian2 to torch, with allow-listed nodes and functions only."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import second
from brian2.core.functions import DEFAULT_CONSTANTS, Function
from brian2.core.variables import AuxiliaryVariable, Constant
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.parsing.rendering import NodeRenderer

from biosnn.errors import ParameterError

#: How late a value is known, in this order: when compiling, with the trained constants, in every
#: step (a number that depends on time), or in every step for every neuron.
CONST, PARAM, TIME, TENSOR = range(4)

#: Functions with the same name and meaning in numpy and torch.
_TRIGONOMETRIC = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan")
_ELEMENTARY = (*_TRIGONOMETRIC, "exp", "expm1", "log", "log10", "log1p", "sqrt", "abs")
#: Functions whose derivative is zero wherever it exists.
_FLAT = frozenset({"sign", "floor", "ceil"})
_JUMPS = "differentiable; this is flat with jumps"
_COMPARED = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
_ARITHMETIC = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.Mod: "%",
    ast.FloorDiv: "//",
}
_ROUGH = (ast.Mod, ast.FloorDiv)


@attrs.frozen
class Value:
    """A rendered expression.

    Of its kinds ``"float"``, ``"int"``, ``"bool"`` and ``"soft"``, the last one is the truth value
    of a comparison that has a surrogate gradient: a float.
    """

    text: str  # Python source
    kind: str = "float"
    level: int = TENSOR  # when it is known
    diff: bool = False  # whether gradients go through it

    @property
    def inner(self) -> str:
        """The text as part of another expression."""
        closed = _plain(self.text) or (self.text.endswith(")") and _closed(self.text))
        return self.text if closed else f"({self.text})"


def _plain(text: str) -> bool:
    """Whether a text is a name or a number."""
    return text.replace("_", "").replace(".", "").isalnum()


def _closed(text: str) -> bool:
    """Whether a text that ends with a bracket is a single call or a bracket."""
    head = text[: text.index("(")]
    if head and not _plain(head):
        return False
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and sign == ")":
            return place == len(text) - 1
    return False


def _real(value: Value) -> Value:
    """Integers of neurons in the floating-point type of the state; torch would take float32."""
    if value.kind != "int" or value.level != TENSOR:
        return value
    return Value(f"real_({value.text})", "float", TENSOR)


class TorchRenderer(NodeRenderer):
    """Render expressions of one group or connection (`where`, in messages).

    `variables` are Brian2's variables and functions by name, and `known` has the values of names
    that statements have defined or changed. `lookup` gives constants and stored variables,
    `condition` writes comparisons ``(strict, difference, what)`` with a surrogate gradient, `call`
    binds a function to a name, and `hoist` computes beforehand what is known before a run.
    `functions` are a user's counterparts of Brian2's functions.
    """

    def __init__(
        self,
        where: str,
        variables: Mapping[str, Any],
        *,
        lookup: Callable[[str], Value],
        known: Mapping[str, Value],
        condition: Callable[[bool, str, str], str],
        functions: Mapping[Any, Any],
        call: Callable[[str, Any, bool], str],
        hoist: Callable[[Value], Value],
    ):
        super().__init__()
        self.where, self.variables = where, variables
        self.known, self.functions = known, functions
        self._lookup, self._condition, self._call = lookup, condition, call
        self._hoist = hoist
        self.hard = False  # comparisons without gradients

    def value(self, expression: str, hard: bool = False) -> Value:
        """Render an expression; with ``hard``, without gradients through comparisons."""
        self.hard = hard
        try:
            return self.render_expr(expression)  # type: ignore[return-value]
        finally:
            self.hard = False

    def refuse(self, what: str, why: str, remedy: str = "") -> ParameterError:
        """The error for something that has no counterpart."""
        return ParameterError(self.where, "equations", what, why, remedy)

    def render_node(self, node: ast.AST) -> Value:  # type: ignore[override]
        """Render a node of an allowed type."""
        method = getattr(self, f"render_{type(node).__name__}", None)
        if method is None:
            raise self.refuse(ast.unparse(node), "made of names, numbers, operators and functions")
        return method(node)

    def render_Constant(self, node: ast.Constant) -> Value:  # type: ignore[override]
        """A number or a truth value."""
        value = node.value.item() if isinstance(node.value, np.generic) else node.value
        if isinstance(value, bool):
            return Value(repr(value), "bool", CONST)
        if not isinstance(value, int | float):
            raise self.refuse(repr(value), "numbers and truth values")
        text = repr(value) if np.isfinite(value) else f"float({str(value)!r})"
        return Value(text, "int" if isinstance(value, int) else "float", CONST)

    def render_Name(self, node: ast.Name) -> Value:  # type: ignore[override]
        """A name that a statement has defined, a variable, or a constant."""
        name = node.id
        if name in self.known:
            return self.known[name]
        if name in ("True", "False"):
            return Value(name, "bool", CONST)
        variable = self.variables.get(name)
        if name in DEFAULT_CONSTANTS and not isinstance(variable, Constant):
            text = f"float({float(DEFAULT_CONSTANTS[name].value)!r})"
            return Value(text.replace("float(inf)", 'float("inf")'), "float", CONST)
        if isinstance(variable, AuxiliaryVariable) or variable is None:
            raise self.refuse(name, "defined before it is used")
        return self._lookup(name)

    def render_UnaryOp(self, node: ast.UnaryOp) -> Value:  # type: ignore[override]
        """A sign or a negation."""
        operand = self.render_node(node.operand)
        if isinstance(node.op, ast.Not):
            if operand.kind == "soft":
                return attrs.evolve(operand, text=f"1 - {operand.inner}")
            if operand.level < TENSOR:
                return Value(f"(not {operand.inner})", "bool", operand.level)
            return Value(f"~{operand.inner}", "bool", operand.level)
        operand = self._number(operand)
        negative = isinstance(node.op, ast.USub)
        return attrs.evolve(operand, text=f"-{operand.inner}") if negative else operand

    def _number(self, value: Value) -> Value:
        """A truth value as 0.0 or 1.0."""
        if value.text in ("True", "False"):
            return Value("1" if value.text == "True" else "0", "int", CONST)
        if value.kind == "bool" and value.level == TENSOR:
            return Value(f"real_({value.text})", "float", TENSOR)
        if value.kind == "bool":
            return Value(f"int({value.text})", "int", value.level)
        return attrs.evolve(value, kind="float") if value.kind == "soft" else value

    def _operands(self, *nodes: ast.AST) -> list[Value]:
        """Operands as numbers; those that are known earlier than others are computed beforehand."""
        values = [self._number(self.render_node(node)) for node in nodes]
        latest = max((v.level for v in values), default=CONST)
        return [self._hoist(v) if v.level < min(latest, TIME) else v for v in values]

    def render_BinOp(self, node: ast.BinOp) -> Value:  # type: ignore[override]
        """Arithmetic."""
        left, right = self._operands(node.left, node.right)
        sign = _ARITHMETIC.get(type(node.op))
        if sign is None:
            raise self.refuse(ast.unparse(node), f"made of {' '.join(_ARITHMETIC.values())}")
        diff = left.diff or right.diff
        if diff and isinstance(node.op, _ROUGH):
            remedy = "Use a comparison, which has a surrogate gradient, or an equation without it"
            raise self.refuse(ast.unparse(node), _JUMPS, remedy)
        whole = left.kind == right.kind == "int" and not isinstance(node.op, ast.Div)
        if not whole:
            left, right = _real(left), _real(right)
        text, level = f"{left.inner} {sign} {right.inner}", max(left.level, right.level)
        return Value(text, "int" if whole else "float", level, diff)

    def render_BoolOp(self, node: ast.BoolOp) -> Value:  # type: ignore[override]
        """``and`` and ``or``: products and probabilistic sums of what has gradients."""
        parts = [self.render_node(n) for n in node.values]
        found = parts[0]
        for part in parts[1:]:
            found = self._joined(found, part, isinstance(node.op, ast.And))
        return found

    def _joined(self, one: Value, other: Value, both: bool) -> Value:
        for a, b in ((one, other), (other, one)):
            if a.text in ("True", "False"):
                return b if (a.text == "True") == both else a
        level, diff = max(one.level, other.level), one.diff or other.diff
        if "soft" not in (one.kind, other.kind):
            if level == TENSOR:
                return Value(f"{one.inner} {'&' if both else '|'} {other.inner}", "bool", level)
            text = f"({one.inner} {'and' if both else 'or'} {other.inner})"
            return Value(text, "bool", level)
        a, b = (self._number(part).inner for part in (one, other))
        text = f"{a} * {b}" if both else f"{a} + {b} - {a} * {b}"
        return Value(text, "soft", level, diff)

    def render_Compare(self, node: ast.Compare) -> Value:  # type: ignore[override]
        """A comparison: with a surrogate gradient where its operands have gradients."""
        if len(node.ops) != 1:
            raise self.refuse(ast.unparse(node), "single comparisons: a < b and b < c")
        kind, first = type(node.ops[0]), self.render_node(node.left)
        if first.kind == "soft" and kind is ast.Gt and ast.unparse(node.comparators[0]) == "0":
            return first
        left, right = self._operands(node.left, node.comparators[0])
        level, diff = max(left.level, right.level), left.diff or right.diff
        if not left.kind == right.kind == "int":
            left, right = _real(left), _real(right)
        if self.hard or not diff or self._of_times(node):
            return Value(f"({left.inner} {_COMPARED[kind]} {right.inner})", "bool", level)
        if kind in (ast.Eq, ast.NotEq):
            why = "differentiable; equality is not"
            raise self.refuse(ast.unparse(node), why, "Use <, <=, > or >=")
        if kind in (ast.Lt, ast.LtE):
            left, right = right, left
        strict, difference = kind in (ast.Gt, ast.Lt), f"{left.inner} - {right.inner}"
        return Value(self._condition(strict, difference, ast.unparse(node)), "soft", TENSOR, True)

    def _of_times(self, node: ast.Compare) -> bool:
        """Whether a comparison is one of times, which have no gradients."""
        try:
            found = parse_expression_dimensions(ast.unparse(node.left), dict(self.variables))
        except (KeyError, SyntaxError, TypeError, ValueError):
            return False
        return found is second.dim

    def render_Call(self, node: ast.Call) -> Value:  # type: ignore[override]
        """A function: one of the allowed ones, a user's, or one of numpy without gradients."""
        name = getattr(node.func, "id", "")
        if node.keywords or not name:
            raise self.refuse(ast.unparse(node), "functions of unnamed arguments")
        function: Any = self.variables.get(name)
        if name in ("rand", "randn") and not node.args:
            return Value(f"{name}_()", "float", TENSOR)
        if name == "int":
            return self._whole(node, self.render_node(node.args[0]))
        arguments = self._operands(*node.args)
        if name in _ELEMENTARY or name in ("clip", "exprel"):
            arguments = [_real(value) for value in arguments]
        level = max((v.level for v in arguments), default=CONST)
        diff = any(v.diff for v in arguments)
        texts = ", ".join(v.text for v in arguments)
        on_tensors = level in (PARAM, TENSOR)
        own = self.functions.get(name)
        if own is None and isinstance(function, Function):
            own = self.functions.get(function)
        if own is not None:
            text = f"{self._call(name, own, False)}({texts})"
            return Value(text, "float", max(level, PARAM), diff)
        if name in _FLAT and diff:
            raise self.refuse(ast.unparse(node), _JUMPS)
        if name in _ELEMENTARY or name in _FLAT:
            kind = "float" if name in _ELEMENTARY else "int"
            text = f"torch.{name}({texts})" if on_tensors else f"{kind}(np.{name}({texts}))"
            return Value(text, kind, level, diff and on_tensors)
        if name in ("clip", "exprel", "timestep"):
            if name == "timestep" and diff:
                raise self.refuse(ast.unparse(node), "differentiable; steps of time are not")
            kind = "int" if name == "timestep" else "float"
            return Value(f"{name}_({texts})", kind, level, diff)
        if not isinstance(function, Function):
            raise self.refuse(name, "a function that Brian2 knows")
        if function.auto_vectorise:
            remedy = "Draw from rand() or randn(), or give its counterpart: functions={...}"
            raise self.refuse(ast.unparse(node), "drawn by rand() or randn()", remedy)
        if diff:
            why = f"differentiable; nothing is known of the derivative of {name}"
            remedy = f"Give its counterpart in torch: functions={{{name!r}: ...}}"
            raise self.refuse(ast.unparse(node), why, remedy)
        bound = self._call(name, function, on_tensors)
        kind = {"integer": "int", "boolean": "bool"}.get(str(function._return_type), "float")
        text = f"{bound}({texts})"
        text = f"real_({text})" if kind == "float" and on_tensors else text
        return Value(text, kind, level if arguments else TENSOR)

    def _whole(self, node: ast.Call, value: Value) -> Value:
        """``int(...)`` of a truth value, or of something that has no gradients."""
        if value.kind in ("bool", "soft"):
            return self._number(value)
        if value.kind == "int":
            return value
        if value.diff:
            raise self.refuse(ast.unparse(node), _JUMPS)
        if value.level in (TENSOR, PARAM):
            return Value(f"{value.inner}.long()", "int", value.level)
        return Value(f"int({value.text})", "int", value.level)
