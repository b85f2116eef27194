"""Checks of parameters and labels that more than one readout makes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from biosnn.errors import ParameterError


def describe(value: object) -> str:
    """Say in a few words what was given in place of an array."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}" if hasattr(value, "__len__") else repr(value)


def check_labels(obj: str, name: str, labels: NDArray, lowest: int, n_classes: int | None) -> None:
    """Refuse labels below `lowest`, or of a class that is not among the `n_classes`."""
    highest = np.inf if n_classes is None else n_classes - 1
    bad = labels[(labels < lowest) | (labels > highest)]
    if bad.size:
        wanted = f">= {lowest}" if n_classes is None else f"in {lowest}..{highest}"
        remedy = "Number the classes from 0, or raise n_classes."
        raise ParameterError(obj, name, bad[0], wanted, remedy)


def check_positive(obj: str, name: str, value: object, unit: str = "") -> None:
    """Refuse what is not a finite number above zero; a Brian2 quantity counts in SI units."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = np.nan
    if not 0 < number < np.inf:
        wanted = f"finite and > 0{unit}"
        raise ParameterError(obj, name, repr(value), wanted, "Give a single positive number.")
