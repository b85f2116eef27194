"""Units of equations, conditions and statements, checked where they are declared.

Brian2's own analysis decides (``brian2.parsing.expressions``). Code whose names are not all known
yet, such as a rule's before it has neurons, is checked as far as they are.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from brian2 import Equations, Function, second
from brian2.core import namespace
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.variables import Constant, Variable
from brian2.equations.equations import BOOLEAN, DIFFERENTIAL_EQUATION, SUBEXPRESSION
from brian2.parsing.bast import brian_ast
from brian2.parsing.expressions import is_boolean_expression, parse_expression_dimensions
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    DimensionMismatchError,
    get_dimensions,
    get_unit,
)
from brian2.utils.stringtools import deindent

from biosnn._models.equation_text import one_line
from biosnn._models.parameters import Schedule, TimeSeries
from biosnn.errors import ParameterError
from biosnn.rng import counter_uniform


class Known(NamedTuple):
    """What is known of a name: its dimensions, its value if it is a constant, its type.

    One with arguments is a function of the time, and of the neuron if there are two.
    """

    dim: Dimension = DIMENSIONLESS
    value: float | None = None
    boolean: bool = False
    arguments: int = 0


Scope = Mapping[str, Known]

_TIME = Known(second.dim)
#: Names that Brian2 and a network give to all neurons and synapses.
BUILT_IN: Scope = {
    **dict.fromkeys(("t", "dt", "lastspike", "lastupdate", "active_for"), _TIME),
    **dict.fromkeys(("i", "j", "N", "t_in_timesteps", "stream", "N_pre", "N_post"), Known()),
    **dict.fromkeys(("N_incoming", "N_outgoing", "i_pre", "i_post", "i_post"), Known()),
    "not_refractory": Known(boolean=True),
}
_FUNCTIONS = {
    **DEFAULT_FUNCTIONS,
    "counter_uniform": Function(counter_uniform, arg_units=[1] * 6, return_unit=1),
}


def unit_name(dim: Dimension) -> str:
    """A unit in messages."""
    if dim is DIMENSIONLESS:
        return "plain numbers"
    whole, rate = str(get_unit(dim)), dim * second.dim
    if not set(" /*") & set(whole):
        return whole
    per_second = "1/s" if rate is DIMENSIONLESS else f"{get_unit(rate)}/s"
    return whole if " " in per_second else per_second


def scope_of(equations: Equations, parameters: Mapping[str, Any], ending: str = "") -> Scope:
    """What equations and parameters make known, variables under their name with an ending."""
    scope = {
        f"{name}{ending}": Known(equations[name].dim, boolean=equations[name].var_type == BOOLEAN)
        for name in equations.names
    }
    scope |= dict.fromkeys(equations.stochastic_variables, Known((second**-0.5).dim))
    for name, value in parameters.items():
        if isinstance(value, Schedule):
            scope[name] = Known()
        elif isinstance(value, TimeSeries):
            scope[name] = Known(value.dim, arguments=2 if value.columns else 1)
        elif np.size(value) == 1 and not isinstance(value, str):
            scope[name] = Known(get_dimensions(value), float(np.asarray(value).item()))
    return scope


@functools.cache
def _default(name: str) -> Any:
    """A function, unit or constant of Brian2 as its analysis wants it; None if it is none."""
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    if name in namespace.DEFAULT_UNITS:
        unit = namespace.DEFAULT_UNITS[name]
        return Constant(name, float(unit), get_dimensions(unit))
    return namespace.DEFAULT_CONSTANTS.get(name)


def _variable(name: str, known: Known) -> Any:
    if known.arguments:
        units = [second, 1][: known.arguments]
        return Function(len, arg_units=units, return_unit=get_unit(known.dim))
    if known.value is not None:
        return Constant(name, known.value, known.dim)
    if known.boolean:
        return Variable(name, dtype=bool, scalar=False)
    return Variable(name, dimensions=known.dim, scalar=False)


def as_variable(name: str, scope: Scope) -> Any:
    """A name as Brian2's analysis wants it: a variable, a function, a unit or a constant."""
    found = _variable(name, scope[name]) if name in scope else _default(name)
    return Variable(name) if found is None else found  # Brian2's constants are not true


class _FaultError(Exception):
    """What is wrong with a piece of code, and with which line of it."""

    def __init__(self, got: str, wanted: str, line: str, remedy: str = "Give numbers their unit"):
        super().__init__(got)
        self.got, self.wanted, self.line, self.remedy = got, wanted, line, remedy


def _names(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _dimensions(code: str, scope: Scope, line: str) -> Dimension | None:
    """Dimensions of an expression; None if a name is not known."""
    variables = {}
    for name in _names(code) - {"True", "False"}:
        found = _variable(name, scope[name]) if name in scope else _default(name)
        if found is None:
            return None
        variables[name] = found
    try:
        found = get_dimensions(parse_expression_dimensions(code, variables))
        if any(isinstance(node, ast.BoolOp) for node in ast.walk(ast.parse(code))):
            brian_ast(code, variables)  # what `and` and `or` join must be true or false
        return found
    except DimensionMismatchError as error:
        raise _FaultError(
            f"{line!r}: {_reason(error)}", "of one unit on both sides", line
        ) from error
    except (SyntaxError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = getattr(error, "msg", "") or one_line(error)
        wanted = "an expression that Brian2 can analyse"
        remedy = "See its documentation"
        raise _FaultError(f"{line!r}: {reason}", wanted, line, remedy) from error


def _reason(error: DimensionMismatchError) -> str:
    """Brian2's words for a mismatch, without its full stop."""
    return one_line(error).rstrip(".").replace("(unit is ", "(units are ")


def _expression(code: str, dim: Dimension, scope: Scope) -> None:
    found = _dimensions(code, scope, code)
    if found is not None and found is not dim:
        raise _FaultError(f"{code!r} in {unit_name(found)}", f"in {unit_name(dim)}", code)


def _condition(code: str, dim: Dimension | None, scope: Scope) -> None:
    """A condition, or with dimensions also an expression that has them."""
    found = _dimensions(code, scope, code)
    if found is None or (dim is not None and found is dim):
        return
    variables = {name: _variable(name, scope[name]) for name in _names(code) & set(scope)}
    variables |= {name: f for name in _names(code) if (f := _FUNCTIONS.get(name))}
    try:
        boolean = is_boolean_expression(code, variables)
    except SyntaxError:
        boolean = False
    if not boolean:
        wanted = "a condition, which is true or false"
        wanted += f", or in {unit_name(dim)}" if dim is not None else ""
        remedy = "Compare two values, as in v > V_th"
        raise _FaultError(f"{code!r} in {unit_name(found)}", wanted, code, remedy)


def _statements(code: str, dim: None, scope: Scope) -> None:
    local = dict(scope)
    for node in ast.parse(code).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                right, needed = ast.unparse(value), False
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                sign = ast.unparse(ast.BinOp(ast.Name(name), op, value))
                right, needed = sign, True
            case _:
                continue
        line = ast.unparse(node)
        found = _dimensions(right, local, line)
        if name in local and found is not None and local[name].dim is not found:
            got = f"{line!r} with {name} in {unit_name(local[name].dim)}, the value in "
            raise _FaultError(got + unit_name(found), "of one unit on both sides", line)
        if name not in local and not needed and found is not None:
            local[name] = Known(found)


_CHECKS = {"expression": _expression, "condition": _condition, "statements": _statements}


@functools.lru_cache(maxsize=4096)
def _found_fault(
    kind: str, code: str, dim: Dimension | None, known: tuple[tuple[str, Known], ...]
) -> tuple[str, str, str] | None:
    """What is wrong with code: what was got, what is wanted, and the remedy."""
    scope = dict(known)
    try:
        _CHECKS[kind](code, dim, scope)
    except _FaultError as fault:
        bare = [
            f"{name} = {scope[name].value:g}"
            for name in sorted(_names(fault.line) & set(scope))
            if scope[name].value is not None and scope[name].dim is DIMENSIONLESS
        ]
        remedy = f"Has {' or '.join(bare)} lost its unit?" if bare else fault.remedy
        return fault.got, fault.wanted, remedy
    return None


def _check(kind: str, where: str, field: str, code: str, scope: Scope, dim: Any = None) -> None:
    text = deindent(code).strip()
    try:
        names = _names(text)
    except SyntaxError as error:
        raise ParameterError(where, field, repr(code), "valid Brian2 code", str(error)) from error
    known = {name: scope.get(name, BUILT_IN.get(name)) for name in sorted(names)}
    found = _found_fault(kind, text, dim, tuple((k, v) for k, v in known.items() if v is not None))
    if found is not None:
        got, wanted, remedy = found
        raise ParameterError(where, field, got, wanted, remedy)


def check_condition_units(
    where: str, field: str, code: str, scope: Scope, dim: Dimension | None = None
) -> None:
    """Check units of a condition, and that it is one.

    Parameters
    ----------
    where, field : str
        Whose it is, for the message.
    code : str
        Brian2 condition.
    scope : mapping
        The names that it may use.
    dim : Dimension, optional
        It may also be an expression of these dimensions.

    Raises
    ------
    ParameterError
        If it cannot be.
    """
    _check("condition", where, field, code, scope, dim)


def check_expression_units(where: str, field: str, code: str, dim: Dimension, scope: Scope) -> None:
    """Check units of an expression.

    Parameters
    ----------
    where, field : str
        Whose it is, for the message.
    code : str
        Brian2 expression.
    dim : Dimension
        The dimensions that it must have.
    scope : mapping
        The names that it may use.

    Raises
    ------
    ParameterError
        If it has others.
    """
    _check("expression", where, field, code, scope, dim)


def check_statement_units(where: str, field: str, code: str, scope: Scope) -> None:
    """Check units of statements, from the first to the last.

    Raises
    ------
    ParameterError
        Naming the statement.
    """
    _check("statements", where, field, code, scope)


def _sides(equations: Equations) -> Iterator[tuple[str, str, Dimension]]:
    for name, equation in equations.items():
        if equation.type == DIFFERENTIAL_EQUATION:
            yield f"d{name}/dt", equation.expr.code, (equation.dim / second.dim)
        elif equation.type == SUBEXPRESSION:
            yield name, equation.expr.code, equation.dim


def check_equation_units(where: str, field: str, equations: Equations, scope: Scope) -> None:
    """Check units of equations.

    Raises
    ------
    ParameterError
        Naming the equation.
    """
    for left, right, dim in _sides(equations):
        try:
            _check("expression", where, field, right, scope, dim)
        except ParameterError as error:
            wanted = f"{error.wanted} for {left}" if error.wanted.startswith("in") else error.wanted
            got = f"{left} = {error.got}"
            undivided = str(error.got).endswith(f" in {unit_name(dim * second.dim)}")
            remedy = "Divide it by a time constant" if undivided else error.remedy
            raise ParameterError(where, field, got, wanted, remedy) from None
