"""Checks that the rules share."""

from __future__ import annotations

from typing import Any

from brian2 import ms

from biosnn.errors import ParameterError
from biosnn.models import Schedule
from biosnn.validation import check_choice, check_value


def number(rule: str, name: str, value: Any, bound: str = ">= 0") -> Any:
    """A plain number within a bound, or a schedule."""
    if isinstance(value, Schedule):
        return value
    return check_value(rule, name, value, 1.0, bound)


def bounds(rule: str, w_min: float, w_max: float) -> dict[str, float]:
    """Bounds of the weight as parameters of a rule."""
    check_value(rule, "w_min", w_min, 1.0)
    check_value(rule, "w_max", w_max, 1.0)
    if not w_min < w_max:
        raise ParameterError(rule, "w_max", w_max, f"above w_min ({w_min})")
    return {"w_min": w_min, "w_max": w_max}


def tau(rule: str, name: str, value: Any) -> Any:
    """A time constant."""
    return check_value(rule, name, value, ms, "> 0")


def bump_of(rule: str, pairing: str) -> str:
    """What a spike does to a trace under a pairing, ``"all"`` or ``"nearest"``."""
    bumps = {"all": "+= 1", "nearest": "= 1"}
    check_choice(rule, "pairing", pairing, bumps)
    return bumps[pairing]
