"""Refusing to show samples at once, or in several processes, that depend on each other."""

from __future__ import annotations

from collections.abc import Sequence

from biosnn.errors import ParameterError


def check_independent(where: str, option: str, n: int, names: Sequence[str]) -> None:
    """Check that samples can be shown in any order or at once.

    Parameters
    ----------
    where, option, n
        What was called, its argument that rests on it, and the argument's value.
    names : sequence of str
        Variables that samples hand on (``Interface.carried``).

    Raises
    ------
    ParameterError
        If anything is carried.
    """
    if names:
        wanted = f"1 for this network: samples depend on those before through {', '.join(names)}"
        remedy = "Reset it at each onset (Presentation.reset), or show the samples one by one"
        raise ParameterError(where, option, n, wanted, remedy)
