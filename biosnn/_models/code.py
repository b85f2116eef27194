"""Checks of the code that single synapses run."""

from __future__ import annotations

import re

from brian2 import Equations
from brian2.equations.equations import EquationError
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException

from biosnn.code_gate import check_equations
from biosnn.errors import ParameterError

_RANDOM = re.compile(r"\brandn?\s*\(")


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
    check_not_random(obj, "equations", text)
    return equations


def check_not_random(obj: str, name: str, code: str) -> None:
    """Check that code of synapses draws no random numbers.

    Raises
    ------
    ParameterError
        If it does: only the draws of neurons depend on nothing but the seed.
    """
    found = _RANDOM.search(code)
    if found:
        raise ParameterError(
            obj,
            name,
            f"{found[0]}) in {code.strip()!r}",
            "without random numbers",
            "Draw them in an operation of a neuron or of a companion",
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
