"""Comparisons with surrogate gradients, and the scale of their thresholds."""

from __future__ import annotations

import re
from typing import Any

import attrs
import numpy as np
from brian2.core.functions import Function
from brian2.core.variables import Subexpression
from brian2.parsing.rendering import NumpyNodeRenderer
from brian2.utils.stringtools import get_identifiers

from biosnn._surrogate.operations import numpy_code


@attrs.frozen
class Above:
    """Heaviside of a difference with the gradient of a surrogate of some width.

    Parameters
    ----------
    surrogate : SurrogateFunction
        The gradient.
    width : float
        What the difference is divided by.
    strict, smooth : bool
        As of a call of the surrogate.
    """

    surrogate: Any
    width: float
    strict: bool
    smooth: bool

    def __call__(self, difference: Any) -> Any:
        """1 where the difference is positive, else 0."""
        scaled = difference if self.width == 1.0 else difference / self.width
        return self.surrogate(scaled, strict=self.strict, smooth=self.smooth)


def _initial(owner: Any, expression: str) -> np.ndarray | None:
    """Value of an expression of a group's variables now, in SI units; None if it has none."""
    group = getattr(owner, "group", owner)
    names: dict[str, Any] = {}
    for name in get_identifiers(expression):
        try:
            variable = group._resolve(name, {})
        except KeyError:
            return None
        if isinstance(variable, Subexpression):
            names[name] = _initial(group, variable.expr)
        elif isinstance(variable, Function):
            names[name] = numpy_code(variable, group)
        else:
            names[name] = np.asarray(variable.get_value(), dtype=float)
        if names[name] is None:
            return None
    text = NumpyNodeRenderer().render_expr(expression)
    try:
        with np.errstate(all="ignore"):
            return np.asarray(eval(text, {"__builtins__": {}}, names), dtype=float)
    except (ArithmeticError, IndexError, NameError, TypeError, ValueError):
        return None


def width_of(owner: Any, what: str) -> float:
    """Distance of the two sides of a comparison at the beginning: the threshold's scale."""
    left, right = (_initial(owner, side) for side in re.split(r"[<>]=?", what, maxsplit=1))
    if left is None or right is None:
        return 1.0
    found = (np.abs(left - right).max(), max(np.abs(left).max(), np.abs(right).max()))
    for distance in map(float, found):
        if np.isfinite(distance) and distance > 0:
            return 1.0 if abs(distance - 1) < 1e-12 else float(f"{distance:.12g}")
    return 1.0
