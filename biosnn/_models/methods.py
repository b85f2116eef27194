"""Which integration method can integrate which equations; one that models need and Brian2 lacks.

Importing this module makes it known to Brian2 by its name.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import sympy
from brian2 import Equations
from brian2.parsing.sympytools import str_to_sympy
from brian2.stateupdaters.base import (
    StateUpdateMethod,
    UnsupportedEquationsException,
    extract_method_options,
)
from brian2.stateupdaters.explicit import ExplicitStateUpdater
from brian2.stateupdaters.exponential_euler import get_conditionally_linear_system

from biosnn._models.equation_text import equation_text, parsed
from biosnn.errors import ParameterError
from biosnn.validation import check_choice, check_instance

_LINEAR = ("exact", "linear")
_DETERMINISTIC = "deterministic equations (without xi)"
#: What Brian2 tries in this order where no method is given.
_TRIED = ("exact", "euler", "heun")


def check_method(obj: str, method: str, equations: Equations) -> None:
    """Check that a method exists and can integrate equations.

    Parameters
    ----------
    obj : str
        Whose they are, for the message.
    method : str
        Brian2 integration method.
    equations : Equations
        Of neurons or synapses.

    Raises
    ------
    ParameterError
        Saying which equations the method is for, and which method is for these.
    """
    check_instance(obj, "method", method, str)
    check_choice(obj, "method", method.lower(), tuple(StateUpdateMethod.stateupdaters))
    text = equation_text(equations)
    wanted = _obstacle(text, method.lower())
    if wanted:
        fitting = [name for name in (*_TRIED, "exponential_euler") if not _obstacle(text, name)]
        use = f"; use {' or '.join(map(repr, fitting))}" if fitting else ""
        names = ", ".join(sorted(equations.diff_eq_names))
        raise ParameterError(
            obj,
            "method",
            repr(method),
            f"a method that can integrate the equations of {names}",
            f"It is for {wanted}{use}",
        )


def default_method(equations: Equations) -> str:
    """The method that Brian2 chooses where none is given."""
    text = equation_text(equations)
    fitting = (name for name in _TRIED if not _obstacle(text, name))
    return next(fitting, _TRIED[0])


@functools.lru_cache(maxsize=512)
def _obstacle(equations: str, method: str) -> str:
    """Equations that a method is for, if these are others; else empty."""
    known = parsed("", equations)
    if not known.diff_eq_names:
        return ""
    if known.is_stochastic:
        return _noise_obstacle(known, method)
    if method in _LINEAR:
        return "linear equations" if _nonlinear(known) else ""
    if method == "exponential_euler":
        try:
            get_conditionally_linear_system(known)
        except ValueError:
            return "equations that are linear in their own variable"
    return ""


def _noise_obstacle(known: Equations, method: str) -> str:
    updater = StateUpdateMethod.stateupdaters[method]
    kind = updater.stochastic if isinstance(updater, ExplicitStateUpdater) else None
    if kind is None:
        return _DETERMINISTIC
    if kind == "multiplicative" or known.stochastic_type == "additive":
        return ""
    return "additive noise (xi times constants)"


def _nonlinear(known: Equations) -> bool:
    """Whether equations are not linear in all their variables, or depend on the time."""
    symbols = [sympy.Symbol(name, real=True) for name in known.diff_eq_names]
    for _, expression in known.get_substituted_expressions():
        rate = str_to_sympy(expression.code)
        slopes = [sympy.diff(rate, symbol) for symbol in symbols]
        if "t" in expression.identifiers or any(s.free_symbols & set(symbols) for s in slopes):
            return True
    return False


class SemiImplicitEuler(StateUpdateMethod):
    """Euler's method, one variable after the other: later ones see the new values.

    ``method="semi_implicit_euler"``: the potential ``v`` goes first, the others follow in
    alphabetical order. Also called Euler-Cromer, or symplectic Euler where a Hamiltonian has two
    variables. It is of first order, as Euler's method is.
    """

    def __call__(
        self,
        equations: Equations,
        variables: Mapping[str, Any] | None = None,
        method_options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the statements of a step.

        Raises
        ------
        UnsupportedEquationsException
            If the equations are stochastic.
        """
        extract_method_options(method_options, {})
        if equations.is_stochastic:
            raise UnsupportedEquationsException(
                "semi_implicit_euler cannot solve stochastic equations"
            )
        rates = dict(equations.get_substituted_expressions(variables))
        order = sorted(rates, key=lambda name: (name != "v", name))
        return "\n".join(f"{name} += dt*({rates[name]})" for name in order)


StateUpdateMethod.register("semi_implicit_euler", SemiImplicitEuler())
