"""An integration method that models need and Brian2 lacks.

Importing this module makes it known to Brian2 by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2 import Equations
from brian2.stateupdaters.base import (
    StateUpdateMethod,
    UnsupportedEquationsException,
    extract_method_options,
)


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
