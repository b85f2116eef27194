"""Random initial values, and schedules of parameters."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.state import Draw
from biosnn.validation import check_choice, check_mapping, check_value, plain


def check_parameters(obj: str, parameters: Any) -> None:
    """Check constants of equations: finite numbers with or without unit, or schedules.

    Raises
    ------
    ParameterError
        Naming the parameter.
    """
    check_mapping(obj, "parameters", parameters)
    for name, value in parameters.items():
        if not isinstance(value, Schedule):
            check_value(obj, f"parameters[{name!r}]", value, value)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Uniform:
    """Initial values drawn uniformly from ``[low, high)``, by the seed of the run and the name."""

    low: Any
    high: Any

    def __attrs_post_init__(self) -> None:
        check_value("Uniform", "low", self.low, self.low)
        check_value("Uniform", "high", self.high, self.low)
        if self.low > self.high:
            raise ParameterError("Uniform", "high", self.high, f">= low ({self.low})")

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
    """Initial values drawn from a normal distribution, by the seed of the run and the name."""

    mean: Any
    sd: Any

    def __attrs_post_init__(self) -> None:
        check_value("Normal", "mean", self.mean, self.mean)
        check_value("Normal", "sd", self.sd, self.mean, ">= 0")

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

    start: float = attrs.field(converter=plain)
    stop: float = attrs.field(converter=plain)
    kind: str = "exponential"

    def __attrs_post_init__(self) -> None:
        check_choice("Schedule", "kind", self.kind, ("exponential", "linear"))
        for name in ("start", "stop"):
            bound = "> 0" if self.kind == "exponential" else "finite"
            check_value("Schedule", name, getattr(self, name), 1.0, bound)

    def expression(self, fraction: str) -> str:
        """Brian2 expression of the value at the learned fraction called ``fraction``."""
        if self.kind == "linear":
            return f"{self.start!r} + {self.stop - self.start!r}*{fraction}"
        return f"{self.start!r}*exp({math.log(self.stop / self.start)!r}*{fraction})"

    def value(self, fraction: float) -> float:
        """The value of `expression` at a learned fraction."""
        if self.kind == "linear":
            return self.start + (self.stop - self.start) * fraction
        return self.start * math.exp(math.log(self.stop / self.start) * fraction)
