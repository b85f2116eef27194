"""Checks of parameters: one function per kind of value, and the same as validators of attrs.

Every check takes the object's and the parameter's name for the message, and gives the value back
or raises a `ParameterError` that says what would be accepted. As a validator of a field
(``attrs.field(validator=validation.whole(1))``) the object is the class of the instance, or the
property ``label`` if it has one.

Brian2 is imported by checks of units only: compiled networks run without it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import numpy as np

from biosnn.errors import ParameterError

#: Largest number that a signed integer of 32 bits holds.
LARGEST = 2**31 - 1

_BOUNDS = {
    "> 0": lambda x: x > 0,
    ">= 0": lambda x: x >= 0,
    "< 0": lambda x: x < 0,
    "in [0, 1]": lambda x: 0 <= x <= 1,
    "in (0, 1]": lambda x: 0 < x <= 1,
    "in (0, 1)": lambda x: 0 < x < 1,
    "> 1": lambda x: x > 1,
    "finite": math.isfinite,
}

Kinds = type | tuple[type, ...]
Validator = Callable[[Any, Any, Any], None]


def describe(value: Any) -> str:
    """A value as messages show it: on one line of at most 80 characters."""
    if isinstance(value, np.ndarray) and value.ndim and not hasattr(value, "dim"):
        return f"{value.dtype} of shape {value.shape}"
    name = getattr(value, "__name__", "")
    text = name if callable(value) and name else repr(value)
    short = len(text) <= 80 and "\n" not in text
    return text if short else _with_article(type(value).__name__)


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOaeio" else f"a {name}"


def check_whole(obj: str, name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """Check a whole number within bounds (``True`` and 2.0 are none); return Python's own."""
    whole_number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole_number or value < least or (most is not None and value > most):
        bounds = f">= {least}" if most is None else f"from {least} to {most}"
        raise ParameterError(obj, name, describe(value), f"a whole number {bounds}")
    return int(value)


def check_shape(
    obj: str,
    name: str,
    value: Any,
    wanted: str,
    n_axes: tuple[int, ...] = (2,),
    n: int | None = None,
) -> tuple[int, ...]:
    """Check the shape of an image: whole numbers > 0 with as many axes and, in all, `n` values."""
    whole_numbers = isinstance(value, tuple | list) and all(
        isinstance(k, int | np.integer) and not isinstance(k, bool) and k > 0 for k in value
    )
    if not whole_numbers or len(value) not in n_axes or n not in (None, math.prod(value)):
        raise ParameterError(obj, name, describe(value), wanted)
    return tuple(int(k) for k in value)


def check_choice(obj: str, name: str, value: Any, among: Iterable[Any]) -> None:
    """Check that a parameter is one of a few words or numbers."""
    known = tuple(among)
    if isinstance(value, bool) or not any(isinstance(value, type(k)) and value == k for k in known):
        wanted = "one of " + ", ".join(map(repr, known))
        raise ParameterError(obj, name, describe(value), wanted)


def check_flag(obj: str, name: str, value: Any) -> None:
    """Check that a parameter is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(obj, name, describe(value), "True or False")


def check_instance(obj: str, name: str, value: Any, kind: Kinds, optional: bool = False) -> None:
    """Check that a parameter is an instance of a class, or None where it is optional."""
    if isinstance(value, kind) or (optional and value is None):
        return
    kinds = kind if isinstance(kind, tuple) else (kind,)
    called = getattr(value, "__name__", "")
    remedy = f"Call the function: {called}(...)" if callable(value) and called else ""
    names = {str: "text", int: "a whole number", Mapping: "a dict"}
    wanted = " or ".join(names.get(one, _with_article(one.__name__)) for one in kinds)
    if optional:
        wanted += " or None"
    raise ParameterError(obj, name, describe(value), wanted, remedy)


def check_members(obj: str, name: str, value: Any, kind: Kinds) -> None:
    """Check a tuple or list of instances of a class."""
    check_instance(obj, name, value, (tuple, list))
    for number, part in enumerate(value):
        check_instance(obj, f"{name}[{number}]", part, kind)


def check_mapping(obj: str, name: str, value: Any) -> None:
    """Check that a parameter is a dict with names as keys."""
    check_instance(obj, name, value, Mapping)
    for key in value:
        if not isinstance(key, str):
            raise ParameterError(obj, name, f"the key {describe(key)}", "a dict with names as keys")


def check_named(obj: str, name: str, value: Any, kind: Kinds) -> None:
    """Check a dict of names to instances of a class."""
    check_mapping(obj, name, value)
    for key, part in value.items():
        check_instance(obj, f"{name}[{key!r}]", part, kind)


def check_numbers(obj: str, name: str, value: Any) -> np.ndarray:
    """Check that a parameter is an array of numbers; return it in double precision."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(obj, name, describe(value), "an array of numbers") from error


def check_path(obj: str, name: str, value: Any) -> None:
    """Check that a parameter can be the name of a file or folder."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ParameterError(obj, name, describe(value), "the path of a file or folder")


def _dimensions(value: Any) -> Any:
    """Dimensions of a quantity; None for a plain number."""
    dimensions = getattr(value, "dim", None)
    return None if dimensions is None or dimensions.is_dimensionless else dimensions


def _unit(like: Any) -> str:
    dimensions = _dimensions(like)
    if dimensions is None:
        return ""
    from brian2.units.fundamentalunits import get_unit

    return str(get_unit(dimensions))


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
        The value received; it is returned as it is.
    like : Quantity or float
        A value with the right unit, such as the default.
    bound : {"> 0", ">= 0", "> 1", "< 0", "in [0, 1]", "in (0, 1]", "in (0, 1)", "finite"}
        The bound that the SI value must respect.
    """
    numeric = isinstance(value, int | float | np.number | np.ndarray)  # a Quantity is an array
    if not numeric or np.asarray(value).dtype.kind not in "iufO" or np.size(value) != 1:
        raise ParameterError(obj, name, describe(value), number_like(like))
    unit = _unit(like)
    if _dimensions(value) is not _dimensions(like):
        wanted = f"a quantity in {unit}" if unit else "a number without unit"
        remedy = "Multiply the number by the right unit" if unit else "Divide it by its unit"
        raise ParameterError(obj, name, value, wanted, remedy)
    try:
        number = float(np.asarray(value).item())
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and _BOUNDS[bound](number)):
        wanted = f"{bound} {unit}" if unit and bound != "finite" else bound
        raise ParameterError(obj, name, value, wanted)
    return value


def check_steps(obj: str, name: str, value: Any, dt: Any, least: int = 0) -> int:
    """Number of time steps of a duration, which must be a multiple of the time step.

    Parameters
    ----------
    obj, name : str
        Where the duration belongs, for the message, which names the nearest multiples.
    value, dt : Quantity
        The duration and the time step.
    least : int
        The least number of steps.
    """
    from brian2 import second

    check_value(obj, "dt", dt, second, "> 0")
    check_value(obj, name, value, second, "> 0" if least else ">= 0")
    steps = float(value / dt)
    nearest = round(steps)
    if abs(steps - nearest) > 1e-6 * max(1, nearest) or nearest < least:
        below = max(math.floor(steps), least)
        remedy = f"The nearest are {below * dt} and {(below + 1) * dt}"
        raise ParameterError(obj, name, value, f"a multiple of the time step ({dt})", remedy)
    return nearest


# --- the same as validators of attrs


def _validator(check: Callable[..., Any], *given: Any) -> Validator:
    def validate(instance: Any, attribute: attrs.Attribute, value: Any) -> None:
        label = getattr(type(instance), "label", None)
        owner = instance.label if isinstance(label, property) else type(instance).__name__
        check(owner, attribute.name, value, *given)

    return validate


def whole(least: int = 0, most: int | None = None) -> Validator:
    """A whole number within bounds."""
    return _validator(check_whole, least, most)


def number(like: Any = 1.0, bound: str = "finite") -> Validator:
    """A scalar with the unit of `like` and within a bound of :func:`check_value`."""
    return _validator(check_value, like, bound)


def choice(*among: Any) -> Validator:
    """One of a few words or numbers."""
    return _validator(check_choice, among)


def instance(kind: Kinds, optional: bool = False) -> Validator:
    """An instance of a class."""
    return _validator(check_instance, kind, optional)


def flag() -> Validator:
    """True or False."""
    return _validator(check_flag)


def mapping() -> Validator:
    """A dict with names as keys."""
    return _validator(check_mapping)


def members(kind: Kinds) -> Validator:
    """A tuple or list of instances of a class."""
    return _validator(check_members, kind)


def named(kind: Kinds) -> Validator:
    """A dict of names to instances of a class."""
    return _validator(check_named, kind)


# --- converters


def plain(value: Any) -> Any:
    """One number of Python or NumPy as a float, other values as they are.

    For numbers that become part of a text: NumPy's own write ``np.float64(0.5)``.
    """
    number = isinstance(value, int | float | np.number | np.ndarray) and np.size(value) == 1
    without_unit = getattr(getattr(value, "dim", None), "is_dimensionless", True)
    if not number or isinstance(value, bool) or not without_unit:
        return value
    array = np.asarray(value)
    return float(array.item()) if array.dtype.kind in "iuf" else value


def integer(value: Any) -> Any:
    """An integer of NumPy as Python's; other values as they are."""
    return int(value) if isinstance(value, np.integer) else value


def sequence(value: Any) -> Any:
    """A list as a tuple; what is neither is left to the validator."""
    return tuple(value) if isinstance(value, list | tuple) else value
