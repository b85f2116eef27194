"""Checked numbers with units, random initial values, and schedules."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    get_dimensions,
    get_unit,
    have_same_dimensions,
)

from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.state import Draw

_BOUNDS = {
    "> 0": lambda x: x > 0,
    ">= 0": lambda x: x >= 0,
    "< 0": lambda x: x < 0,
    "in [0, 1]": lambda x: 0 <= x <= 1,
    "in (0, 1]": lambda x: 0 < x <= 1,
    "in (0, 1)": lambda x: 0 < x < 1,
    "finite": math.isfinite,
}


def _unit(like: Any) -> str:
    dimensions = get_dimensions(like)
    return "" if dimensions is DIMENSIONLESS else str(get_unit(dimensions))


def number_like(like: Any) -> str:
    """What a number with this unit is called in messages."""
    unit = _unit(like)
    return f"a number in units of {unit}" if unit else "a number"


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
    bound : {"> 0", ">= 0", "< 0", "in [0, 1]", "in (0, 1]", "in (0, 1)", "finite"}
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
    unit = _unit(like)
    numeric = isinstance(value, int | float | np.number | np.ndarray)  # a Quantity is an array
    if not numeric or isinstance(value, bool) or np.size(value) != 1:
        raise ParameterError(obj, name, repr(value), number_like(like))
    if not have_same_dimensions(value, like):
        wanted = f"a quantity in {unit}" if unit else "a number without unit"
        remedy = "Multiply the number by the right unit" if unit else "Divide it by its unit"
        raise ParameterError(obj, name, value, wanted, remedy)
    number = np.asarray(value).item()
    if not (math.isfinite(number) and _BOUNDS[bound](number)):
        wanted = f"{bound} {unit}" if unit and bound != "finite" else bound
        raise ParameterError(obj, name, value, wanted)
    return value


def check_choice(obj: str, name: str, value: Any, among: tuple[str, ...]) -> None:
    """Check that a parameter is one of a few words.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if value not in among:
        raise ParameterError(obj, name, repr(value), "one of " + ", ".join(map(repr, among)))


@declared
@attrs.frozen(eq=False, kw_only=True)
class Uniform:
    """Initial values drawn uniformly from ``[low, high)``, seeded by the network's seed."""

    low: Any
    high: Any

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw an array of SI values of the given shape."""
        return rng.uniform(float(np.asarray(self.low)), float(np.asarray(self.high)), shape)

    def draw(self, size: int) -> Draw:
        """The same as plain numbers."""
        low, high = float(np.asarray(self.low)), float(np.asarray(self.high))
        return Draw(kind="uniform", first=low, second=high, size=size)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Normal:
    """Initial values drawn from a normal distribution, seeded by the network's seed."""

    mean: Any
    sd: Any

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw an array of SI values of the given shape."""
        return rng.normal(float(np.asarray(self.mean)), float(np.asarray(self.sd)), shape)

    def draw(self, size: int) -> Draw:
        """The same as plain numbers."""
        mean, sd = float(np.asarray(self.mean)), float(np.asarray(self.sd))
        return Draw(kind="normal", first=mean, second=sd, size=size)


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

    start: float
    stop: float
    kind: str = "exponential"

    def __attrs_post_init__(self) -> None:
        if self.kind not in ("exponential", "linear"):
            raise ParameterError("Schedule", "kind", repr(self.kind), '"exponential" or "linear"')
        for name in ("start", "stop"):
            bound = "> 0" if self.kind == "exponential" else "finite"
            check_value("Schedule", name, getattr(self, name), 1.0, bound)

    def expression(self, fraction: str) -> str:
        """Brian2 expression of the value at the learned fraction called ``fraction``."""
        if self.kind == "linear":
            return f"{self.start!r} + {self.stop - self.start!r}*{fraction}"
        return f"{self.start!r}*exp({math.log(self.stop / self.start)!r}*{fraction})"
