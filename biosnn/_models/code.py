"""Checks of the code that single synapses run."""

from __future__ import annotations

import ast

from brian2 import Equations
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.equations.equations import EquationError
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.utils.stringtools import deindent

from biosnn.code_gate import check_equations
from biosnn.errors import ParameterError

#: Brian2's functions that draw random numbers: those that do not give the same twice.
RANDOM = frozenset(name for name, function in DEFAULT_FUNCTIONS.items() if not function.stateless)


def one_line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())


def synaptic_equations(obj: str, text: str) -> Equations:
    """Equations of a synapse, which are integrated in every time step.

    Parameters
    ----------
    obj : str
        Whose they are, for messages.
    text : str
        Brian2 equations.

    Raises
    ------
    ParameterError
        If they are not valid, event-driven or random.
    """
    check_equations(obj, "equations", text)
    try:
        equations = Equations(text)
    except (EquationError, SyntaxError, TypeError, ValueError) as error:
        wanted = "valid Brian2 equations"
        raise ParameterError(obj, "equations", repr(text), wanted, one_line(error)) from error
    for name in equations.names:
        if "event-driven" in equations[name].flags:
            raise ParameterError(
                obj,
                "equations",
                f"(event-driven) for {name}",
                "integrated in every step",
                "Put traces on the neurons, or leave the flag out",
            )
    for name in equations.names:
        if equations[name].expr is not None:
            check_not_random(obj, "equations", equations[name].expr.code)
    for name in sorted(equations.stochastic_variables):
        raise _random(obj, "equations", name, text)
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


def check_method(obj: str, method: str, equations: Equations) -> None:
    """Check that an integration method exists and can integrate the equations of synapses.

    Raises
    ------
    ParameterError
        If it does not or cannot.
    """
    known = sorted(StateUpdateMethod.stateupdaters)
    if not isinstance(method, str) or method.lower() not in known:
        raise ParameterError(obj, "method", repr(method), f"one of {', '.join(known)}")
    if not equations.diff_eq_names or method.lower().startswith("gsl"):
        return
    try:
        StateUpdateMethod.apply_stateupdater(equations, {}, method)
    except UnsupportedEquationsException as error:
        names = ", ".join(sorted(equations.diff_eq_names))
        wanted = f"a method that can integrate the equations of {names}"
        remedy = f"{one_line(error)} Use exponential_euler, euler or rk4"
        raise ParameterError(obj, "method", repr(method), wanted, remedy) from error


def _random(obj: str, name: str, found: str, code: str) -> ParameterError:
    return ParameterError(
        obj,
        name,
        f"{found} in {code.strip()!r}",
        "without random numbers",
        "Draw them in an operation of a neuron or of a companion",
    )
