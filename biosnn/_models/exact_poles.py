"""Where Brian2's exact integration divides by zero."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import sympy
from brian2 import Equations
from brian2.parsing.sympytools import str_to_sympy

from biosnn._models.equation_text import parsed


def has_pole(equations: str | Equations, parameters: Mapping[str, Any]) -> bool:
    """Whether two coupled linear equations have different rates of the same value.

    The closed form of ``dv/dt = (I - v)/tau_m`` and ``dI/dt = -I/tau_syn`` divides by the
    difference of the rates, so that equal time constants give NaN.

    Parameters
    ----------
    equations : str or Equations
        Brian2 equations.
    parameters : mapping
        Their constants; those that are no single number are taken as different from all others.
    """
    values = {
        sympy.Symbol(name, real=True): float(np.asarray(value))
        for name, value in parameters.items()
        if not attrs.has(type(value)) and np.size(value) == 1
    }
    rates = []
    known = parsed("", equations) if isinstance(equations, str) else equations
    for name, expression in known.get_substituted_expressions():
        symbol, code = sympy.Symbol(name, real=True), str_to_sympy(expression.code)
        rate = sympy.diff(code, symbol)
        value = rate.subs(values)
        if value.is_number:
            rates.append((symbol, code.free_symbols, rate, float(value)))
    return any(
        (a in of_b or b in of_a) and rate_a != rate_b and np.isclose(x, y, rtol=1e-6, atol=0)
        for (a, of_a, rate_a, x), (b, of_b, rate_b, y) in itertools.combinations(rates, 2)
    )
