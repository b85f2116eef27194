"""Equations as text and parsed, and checks of the code that single synapses run."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from brian2 import Equations
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.equations.equations import (
    DIFFERENTIAL_EQUATION,
    FLOAT,
    PARAMETER,
    SUBEXPRESSION,
    EquationError,
    SingleEquation,
)
from brian2.units.fundamentalunits import Dimension
from brian2.utils.stringtools import deindent

from biosnn.code_gate import check_equations
from biosnn.errors import ParameterError
from biosnn.validation import describe

#: Brian2's functions that draw random numbers: those that do not give the same twice.
RANDOM = frozenset(name for name, function in DEFAULT_FUNCTIONS.items() if not function.stateless)


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())


_BASE_UNITS = ("metre", "kilogram", "second", "amp", "kelvin", "mole", "candle")


def unit_text(dim: Dimension) -> str:
    """A unit as equations have it: a product of powers of base units."""
    powers = zip(_BASE_UNITS, map(float, dim._dims), strict=True)
    return "*".join(f"{base}**{power:g}" for base, power in powers if power) or "1"


def equation_text(value: Any) -> Any:
    """Equations of Brian2 as text, flags and types included; other values as they are.

    Brian2's own text loses types and writes units that it does not read.
    """
    if not isinstance(value, Equations):
        return value
    lines = []
    for name, equation in value.items():
        kind = unit_text(equation.dim) if equation.var_type == FLOAT else equation.var_type
        left = f"d{name}/dt" if equation.type == "differential equation" else name
        right = "" if equation.type == PARAMETER else f" = {equation.expr.code}"
        flags = f" ({', '.join(equation.flags)})" if equation.flags else ""
        lines.append(f"{left}{right} : {kind}{flags}")
    return "\n".join(lines)


def parsed(obj: str, text: str) -> Equations:
    """Equations of Brian2 from a text, parsed once and shared: they are not to be changed.

    Brian2 keeps in them what subexpressions stand for, without regard to the variables of a
    group: whoever integrates equations for a group parses its own.

    Parameters
    ----------
    obj : str
        Whose they are, for messages.
    text : str
        Brian2 equations.

    Raises
    ------
    ParameterError
        If they are not valid.
    """
    if not isinstance(text, str):
        wanted = "valid Brian2 equations, as text"
        raise ParameterError(obj, "equations", describe(text), wanted)
    check_equations(obj, "equations", text)
    try:
        return parsed_unchecked(text)
    except (EquationError, SyntaxError, TypeError, ValueError) as error:
        wanted = "valid Brian2 equations"
        raise ParameterError(obj, "equations", repr(text), wanted, one_line(error)) from error


@functools.lru_cache(maxsize=4096)
def parsed_unchecked(text: str) -> Equations:
    """Equations of Brian2 objects, which may call functions that no declaration can have."""
    return Equations(text)


def event_driven(equations: Equations) -> set[str]:
    """Variables of synapses whose equations are integrated when events arrive."""
    return {n for n in equations.diff_eq_names if "event-driven" in equations[n].flags}


def in_every_step(equations: Equations) -> Equations:
    """The same equations of synapses, all integrated in every time step."""
    return Equations([
        SingleEquation(
            e.type,
            e.varname,
            e.dim,
            var_type=e.var_type,
            expr=e.expr,
            flags=[flag for flag in e.flags if flag != "event-driven"],
        )
        for e in equations.values()
    ])  # fmt: skip


def _read_by(equations: Equations, name: str) -> set[str]:
    """Variables that an equation reads, also through subexpressions."""
    found: set[str] = set()
    todo = set(equations[name].identifiers)
    while todo:
        read = todo.pop()
        if read in found or read not in equations.names:
            continue
        found.add(read)
        if equations[read].type == SUBEXPRESSION:
            todo |= equations[read].identifiers
    return found


def synaptic_equations(obj: str, text: str) -> Equations:
    """Equations of a synapse, which are integrated in every time step or when events arrive.

    Parameters
    ----------
    obj : str
        Whose they are, for messages.
    text : str
        Brian2 equations.

    Raises
    ------
    ParameterError
        If they are not valid or random, or something else follows event-driven variables.
    """
    equations = parsed(obj, text)
    driven = event_driven(equations)
    for name in sorted(equations.names - driven) if driven else ():
        equation = equations[name]
        follows = equation.type == DIFFERENTIAL_EQUATION or "summed" in equation.flags
        read = sorted(driven & _read_by(equations, name)) if follows else []
        if read:
            got = f"{name}, which follows {read[0]} (event-driven)"
            wanted = "a variable that follows those that are up to date in every time step"
            raise ParameterError(obj, "equations", got, wanted, f"Make {read[0]} (clock-driven)")
    for name in sorted(driven):
        read = sorted((equations.diff_eq_names - driven) & _read_by(equations, name))
        if read:
            got = f"{name} (event-driven), which follows {read[0]}"
            wanted = "event-driven variables that follow constants and each other"
            raise ParameterError(obj, "equations", got, wanted, f"Make {name} (clock-driven)")
    for name in equations.names:
        if equations[name].expr is not None:
            check_not_random(obj, "equations", equations[name].expr.code)
    for name in sorted(equations.stochastic_variables):
        raise _random(obj, "equations", name, text)
    check_flags(obj, equations, SYNAPTIC)
    return equations


def random_calls(code: str) -> list[ast.Call]:
    """Calls of functions that draw random numbers, in Brian2 code.

    Raises
    ------
    SyntaxError
        If it does not parse.
    """
    tree = ast.parse(deindent(code).strip())
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RANDOM
    ]


def check_not_random(obj: str, name: str, code: str) -> None:
    """Check that code of synapses draws no random numbers.

    Raises
    ------
    ParameterError
        If it does: only the draws of neurons depend on nothing but the seed.
    """
    try:
        calls = random_calls(code)
    except SyntaxError:
        return  # which is refused where names are checked
    for call in calls:
        raise _random(obj, name, ast.unparse(call), code)


#: Flags that equations of neurons and of synapses may have, by their type.
NEURONAL: dict[str, Sequence[str]] = {
    DIFFERENTIAL_EQUATION: ("unless refractory",),
    PARAMETER: ("constant", "shared", "linked"),
    SUBEXPRESSION: ("shared", "constant over dt"),
}
SYNAPTIC: dict[str, Sequence[str]] = {
    DIFFERENTIAL_EQUATION: ("event-driven", "clock-driven"),
    PARAMETER: ("constant", "shared"),
    SUBEXPRESSION: ("summed", "shared", "constant over dt"),
}


def check_flags(obj: str, equations: Equations, allowed: Mapping[str, Sequence[str]]) -> None:
    """Check that equations have flags of their type only.

    Raises
    ------
    ParameterError
        If one has another, such as a differential equation that is ``(shared)``.
    """
    for name, equation in equations.items():
        for flag in equation.flags:
            if flag not in allowed[equation.type]:
                wanted = (
                    f"without it: a {equation.type} may be {' or '.join(allowed[equation.type])}"
                )
                raise ParameterError(obj, "equations", f"({flag}) for {name}", wanted)


def check_held(obj: str, equations: Equations) -> None:
    """Check that subexpressions of neurons that draw random numbers keep them for a time step.

    Raises
    ------
    ParameterError
        If one does not: it would be another number wherever it is used.
    """
    for name in sorted(equations.subexpr_names):
        equation = equations[name]
        if "constant over dt" not in equation.flags and random_calls(equation.expr.code):
            raise ParameterError(
                obj, "equations", str(equation), "flagged (constant over dt), because it is random"
            )


def _random(obj: str, name: str, found: str, code: str) -> ParameterError:
    return ParameterError(
        obj,
        name,
        f"{found} in {code.strip()!r}",
        "without random numbers",
        "Draw them in an operation of a neuron or of a companion",
    )
