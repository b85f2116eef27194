"""Random initial values, and parameters that follow learning or the time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import TimedArray, second
from brian2.units.fundamentalunits import Dimension, Quantity, get_dimensions

from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.state import Draw
from biosnn.validation import check_choice, check_mapping, check_value, describe, plain

#: Most values of one series: they are part of the declaration.
MAX_VALUES = 1_000_000


def check_parameters(obj: str, parameters: Any, others: tuple[type, ...] = ()) -> None:
    """Check constants of equations: finite numbers with or without unit, or schedules.

    Parameters
    ----------
    obj : str
        Whose they are, for messages.
    parameters : dict
        The constants.
    others : tuple of type
        What they may be besides.

    Raises
    ------
    ParameterError
        Naming the parameter.
    """
    check_mapping(obj, "parameters", parameters)
    for name, value in parameters.items():
        if not isinstance(value, (Schedule, *others)):
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


@declared
@attrs.frozen(eq=False, kw_only=True)
class TimeSeries:
    """A parameter with values over time; a ``brian2.TimedArray`` can be given in its place.

    Equations, conditions and statements call it: ``I(t)``, or with a column for each neuron
    ``I(t, i)``. In a network ``t`` is the time since the onset of the sample: all samples see the
    same values. The last value holds on.

    Parameters
    ----------
    values : Quantity or array_like, shape (T,) or (T, n)
        The values; a column for each neuron of a population of n.
    dt : Quantity
        How long each holds, a multiple of the network's time step.
    """

    values: Any
    dt: Any

    def __attrs_post_init__(self) -> None:
        check_value("TimeSeries", "dt", self.dt, second, "> 0")
        try:
            numbers = np.asarray(self.values, dtype=float)
        except (TypeError, ValueError):
            wanted = "an array of numbers with one unit"
            raise ParameterError("TimeSeries", "values", describe(self.values), wanted) from None
        if numbers.ndim not in (1, 2) or not 0 < numbers.size <= MAX_VALUES:
            got, remedy = f"values of shape {numbers.shape}", "Longer ones are inputs of samples"
            wanted = f"of shape (T,) or (T, n), with 1 to {MAX_VALUES:,} values"
            raise ParameterError("TimeSeries", "values", got, wanted, remedy)
        if not np.isfinite(numbers).all():
            bad = np.argwhere(~np.isfinite(numbers))[0].tolist()
            got = f"{numbers[tuple(bad)]} at {bad}"
            raise ParameterError("TimeSeries", "values", got, "finite")

    @property
    def dim(self) -> Dimension:
        """Dimensions of the values."""
        return get_dimensions(self.values)

    @property
    def columns(self) -> int:
        """Number of columns; 0 where all neurons have the same values."""
        shape = np.shape(self.values)
        return shape[1] if len(shape) == 2 else 0

    def timed_array(self, name: str) -> TimedArray:
        """The same as a function of Brian2."""
        values = Quantity(np.asarray(self.values, dtype=float), dim=self.dim)
        return TimedArray(values, dt=self.dt, name=name)


def with_series(parameters: Any) -> Any:
    """Parameters in which each ``TimedArray`` of Brian2 is a :class:`TimeSeries`."""
    if not isinstance(parameters, Mapping):
        return parameters
    return {
        name: TimeSeries(values=Quantity(value.values, dim=value.dim), dt=value.dt * second)
        if isinstance(value, TimedArray)
        else value
        for name, value in parameters.items()
    }
