"""Check shapes, units and numbers of the arrays that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import Quantity, Unit, ms
from brian2.units.fundamentalunits import DimensionMismatchError, get_unit_for_display
from numpy.typing import ArrayLike, NDArray

from biosnn.errors import ParameterError
from biosnn.validation import check_shape, describe

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

BrianUnit = Any  # a brian2 Unit or Quantity, whose operations type checkers cannot follow

ONE: BrianUnit = Unit(1)


def numbers(
    where: str,
    name: str,
    value: ArrayLike,
    unit: BrianUnit = ONE,
    *,
    ndim: int | None = None,
    empty: bool = False,
    infinite: bool = False,
) -> Floats:
    """Return `value` in `unit` as finite floats; plain numbers are taken as SI.

    With `infinite`, infinity stands for what never happened, and becomes NaN.
    """
    array, dim = _array(where, name, value)
    if dim != unit.dim and not dim.is_dimensionless:
        wanted = "a plain number" if unit.dim.is_dimensionless else f"in {_display(unit.dim)}"
        raise ParameterError(where, name, f"values in {_display(dim)}", wanted)
    if ndim is not None and array.ndim != ndim:
        raise ParameterError(
            where, name, f"shape {array.shape}", f"an array of {ndim} dimension(s)"
        )
    if array.size == 0 and not empty:
        raise ParameterError(where, name, f"an empty array of shape {array.shape}", "non-empty")
    if infinite:
        array = np.where(np.isposinf(array), np.nan, array)
    elif not np.isfinite(array).all():
        bad = np.count_nonzero(~np.isfinite(array))
        raise ParameterError(where, name, f"{bad} NaN or infinite value(s)", "finite")
    return array / float(unit)


def clock(where: str, name: str, value: ArrayLike) -> Floats:
    """Return sampling times [n_times] in ms, refusing those that do not increase."""
    times = numbers(where, name, value, ms, ndim=1)
    if (np.diff(times) <= 0).any():
        raise ParameterError(where, name, "times that stand still or run back", "increasing")
    return times


def spike_times(where: str, name: str, value: ArrayLike, end: float | None = None) -> Floats:
    """Return times of spikes [n_spikes] in ms, from 0 to `end`; there may be none."""
    times = numbers(where, name, value, ms, ndim=1, empty=True)
    if times.size and (times.min() < 0 or (end is not None and times.max() > end)):
        wanted = ">= 0 ms" if end is None else f"from 0 to duration = {end:g} ms"
        raise ParameterError(where, name, f"{times.min():g} to {times.max():g} ms", wanted)
    return times


def positive(where: str, name: str, value: ArrayLike, unit: BrianUnit = ONE) -> float:
    """Return the scalar `value` > 0 in `unit`."""
    number = float(numbers(where, name, value, unit, ndim=0))
    if number <= 0:
        raise ParameterError(where, name, value, f"> 0 {_display(unit.dim)}".removesuffix(" 1"))
    return number


def indices(
    where: str, name: str, value: ArrayLike, *, lowest: int = 0, stop: int | None = None
) -> Integers:
    """Return `value` [n] as integers in ``[lowest, stop)``; it may be empty."""
    array = np.asarray(value)
    wanted = f"integers >= {lowest}" if stop is None else f"integers from {lowest} to {stop - 1}"
    if array.ndim != 1:
        raise ParameterError(where, name, f"shape {array.shape}", "an array of 1 dimension(s)")
    if array.size == 0:
        return array.astype(np.intp)
    if array.dtype.kind not in "iu":
        raise ParameterError(where, name, f"values of type {array.dtype}", wanted)
    if array.min() < lowest or (stop is not None and array.max() >= stop):
        raise ParameterError(where, name, f"{array.min()} to {array.max()}", wanted)
    return array.astype(np.intp)


def same_shape(where: str, name: str, array: NDArray, like: str, shape: Sequence[int]) -> None:
    """Refuse `array` unless it has `shape`, which is that of the parameter `like`."""
    if array.shape != tuple(shape):
        wanted = f"of shape {tuple(shape)}, like {like}"
        raise ParameterError(where, name, f"shape {array.shape}", wanted)


def image_shape(where: str, shape: Sequence[int], n_pixels: int) -> tuple[int, int]:
    """Return `shape` (height, width) if it holds `n_pixels`."""
    wanted = f"(height, width) with height * width = {n_pixels}"
    height, width = check_shape(where, "shape", shape, wanted, n=n_pixels)
    return height, width


def best_unit(where: str, name: str, value: ArrayLike) -> BrianUnit:
    """Return the unit in which `value` reads best, e.g. nS up to some nanosiemens."""
    array, dim = _array(where, name, value)
    largest = np.abs(array[np.isfinite(array)]).max(initial=0.0)
    quantity: Any = Quantity(largest, dim=dim, force_quantity=True)
    return quantity.get_best_unit()


def as_unit(where: str, name: str, unit: object) -> BrianUnit:
    """Return a unit that somebody gave; 1 stands for numbers."""
    if isinstance(unit, int) and unit == 1:
        return ONE
    if not isinstance(unit, Unit):
        raise ParameterError(where, name, describe(unit), "a unit of Brian2, or 1 for numbers")
    return unit


def with_unit(label: str, unit: BrianUnit) -> str:
    """Return an axis label such as ``"weight (nS)"``; just "weight" where it is a number."""
    if unit.dim.is_dimensionless:
        return label
    return f"{label} ({unit if isinstance(unit, Unit) else _display(unit.dim)})"


def _array(where: str, name: str, value: ArrayLike) -> tuple[Floats, Any]:
    if callable(getattr(value, "dim", None)):  # a torch tensor, whose dim() is not a unit
        value = np.asarray(value)
    try:
        quantity: Any = Quantity(value, dtype=float)
    except (TypeError, ValueError, DimensionMismatchError) as error:
        raise ParameterError(
            where, name, type(value).__name__, f"an array of numbers ({error})"
        ) from error
    return np.asarray(quantity), quantity.dim


def _display(dim: object) -> str:
    return str(get_unit_for_display(dim))
