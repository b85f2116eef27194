"""Checked numbers with units, random initial values, and schedules."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import get_dimensions, get_unit, have_same_dimensions

from biosnn.declaration import declared
from biosnn.errors import ParameterError

_BOUNDS = {
    "> 0": lambda x: x > 0,
    ">= 0": lambda x: x >= 0,
    "< 0": lambda x: x < 0,
    "in [0, 1]": lambda x: 0 <= x <= 1,
    "in (0, 1]": lambda x: 0 < x <= 1,
    "finite": math.isfinite,
}


def check_value(obj: str, name: str, value: Any, like: Any, bound: str = "finite") -> Any:
    """Check unit, finiteness and bound of one scalar parameter.

    Parameters
    ----------
    obj, name : str
        Where the parameter belongs, for the message.
    value : Quantity or float
        The value received.
    like : Quantity or float
        A value with the right unit, such as the default.
    bound : {"> 0", ">= 0", "< 0", "in [0, 1]", "in (0, 1]", "finite"}
        The bound that the SI value must respect.

    Returns
    -------
    Quantity or float
        The value itself.

    Raises
    ------
    ParameterError
        If the unit differs, or the value is not a finite scalar within its bound.
    """
    unit = get_unit(get_dimensions(like))
    if isinstance(value, bool | str) or np.size(value) != 1:
        raise ParameterError(obj, name, repr(value), f"a number in units of {unit}")
    if not have_same_dimensions(value, like):
        wanted = "a number without unit" if str(unit) == "1" else f"a quantity in {unit}"
        raise ParameterError(obj, name, value, wanted, "Multiply the number by the right unit")
    number = float(np.asarray(value))
    if not (math.isfinite(number) and _BOUNDS[bound](number)):
        wanted = f"{bound} {unit}" if bound != "finite" and str(unit) != "1" else bound
        raise ParameterError(obj, name, value, wanted)
    return value


@declared
@attrs.frozen(eq=False, kw_only=True)
class Uniform:
    """Initial values drawn uniformly from ``[low, high)``, seeded by the network's seed."""

    low: Any
    high: Any

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw an array of SI values of the given shape."""
        return rng.uniform(float(np.asarray(self.low)), float(np.asarray(self.high)), shape)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Normal:
    """Initial values drawn from a normal distribution, seeded by the network's seed."""

    mean: Any
    sd: Any

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw an array of SI values of the given shape."""
        return rng.normal(float(np.asarray(self.mean)), float(np.asarray(self.sd)), shape)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Schedule:
    """A parameter that changes while learning goes on.

    The value follows the fraction ``f`` of learned samples: ``start*(stop/start)**f``
    (``kind="exponential"``) or ``start + (stop - start)*f`` (``kind="linear"``).

    Parameters
    ----------
    start, stop : float
        First and last value, without unit; both > 0 for an exponential course.
    kind : {"exponential", "linear"}
        The course between them.
    """

    start: float = attrs.field()
    stop: float = attrs.field()
    kind: str = attrs.field(default="exponential")

    @kind.validator
    def _check(self, _: Any, kind: str) -> None:
        if kind not in ("exponential", "linear"):
            raise ParameterError("Schedule", "kind", repr(kind), '"exponential" or "linear"')
        for name in ("start", "stop"):
            bound = "> 0" if kind == "exponential" else "finite"
            check_value("Schedule", name, getattr(self, name), 1.0, bound)

    def expression(self, fraction: str) -> str:
        """Brian2 expression of the value at the learned fraction called ``fraction``."""
        if self.kind == "linear":
            return f"{self.start!r} + {self.stop - self.start!r}*{fraction}"
        return f"{self.start!r}*exp({math.log(self.stop / self.start)!r}*{fraction})"
