"""Other values of a script's variables and constants, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from biosnn.errors import ParameterError
from biosnn.state import unit_of
from biosnn.validation import describe


def checked_values(
    where: tuple[str, str],
    values: Any,
    variables: Iterable[str],
    constants: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, float]]:
    """Sort values into those of variables, and of constants wherever they are used.

    Parameters
    ----------
    where : tuple of str
        What was called, and its argument, for messages.
    values : mapping
        ``"object.variable"``, ``"object.constant"``, or the name of a constant -> value.
    variables : iterable of str
        The variables that there are.
    constants : mapping
        ``"object.constant"`` -> its unit.

    Raises
    ------
    ParameterError
        If a name is unknown, or a constant's value is not one finite number of its unit.
    """
    if not isinstance(values, Mapping):
        raise ParameterError(*where, describe(values), "a dict")
    arrays, changed = {}, {}
    known = [name for name in variables if "._" not in name]
    for name, value in values.items():
        everywhere = [key for key in constants if key.partition(".")[2] == name]
        if name in known:
            arrays[name] = value
        elif name in constants or everywhere:
            for key in everywhere or [name]:
                changed[key] = _checked_constant(where, name, value, constants[key])
        else:
            among = ", ".join([*sorted(known), *sorted(constants)])
            remedy = "What is part of the program itself needs another from_brian2"
            raise ParameterError(*where, repr(name), f"among {among}", remedy)
    return arrays, changed


def _checked_constant(where: tuple[str, str], name: str, value: Any, unit: str) -> float:
    given = unit_of(value)
    number = np.asarray(value)
    called, argument = where
    if number.ndim or number.dtype.kind not in "iufb" or given not in (None, unit):
        wanted = f"one number in {unit}" if unit else "one number without unit"
        raise ParameterError(called, f"{argument}[{name!r}]", describe(value), wanted)
    if not np.isfinite(number):
        raise ParameterError(called, f"{argument}[{name!r}]", describe(value), "finite")
    return float(number)
