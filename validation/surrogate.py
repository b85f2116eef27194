"""Gradients' neurons: the same spikes and potentials as in Brian2, whatever the method."""

from __future__ import annotations

from typing import Any

from brian2 import BrianLogger, ms
from brian2.stateupdaters.base import UnsupportedEquationsException

from validation._checks import at_least, check
from validation._simulate import verdict
from validation._surrogate import LIBRARY, Pair, compare, is_fast, library_neuron
from validation._users import DT, INPUTS, USERS

METHODS = ("exact", "euler", "exponential_euler", "rk2", "rk4", "heun")
#: Potentials differ by at most so much, in SI units (volt; 1 where there is no unit).
TOLERANCE = 1e-12
#: Fewer spikes than these, of 20 neurons together, show little.
FEW = 20


def compared(pair: Pair) -> dict[str, Any]:
    """Checks of one comparison."""
    variables = sorted(pair.ours.keys() - {"spike"})
    return verdict(
        spikes=at_least(pair.n_spikes, FEW),
        spikes_elsewhere=check(pair.n_elsewhere, 0),
        **{f"difference_{name}": check(pair.difference(name), TOLERANCE) for name in variables},
    )


def library(*, short: bool) -> dict[str, Any]:
    """Every neuron of the library by its own method and by all others that apply."""
    found: dict[str, Any] = {}
    for name in LIBRARY:
        own = LIBRARY[name][0]().method
        duration, dt = (200 * ms, 0.02 * ms) if is_fast(name) else (200 * ms, 0.1 * ms)
        if short:
            duration, dt = (20 * ms, 0.05 * ms) if is_fast(name) else (50 * ms, 0.1 * ms)
        for method in (own,) if short else dict.fromkeys((own, *METHODS)):
            try:
                pair = library_neuron(name, duration, dt=dt, method=method)
            except UnsupportedEquationsException:
                continue
            found.setdefault(name, {})[method] = compared(pair)
    return verdict(**{name: verdict(**methods) for name, methods in found.items()})


def users(*, short: bool) -> dict[str, Any]:
    """Brian2 groups of users' own equations."""
    found = {}
    for name, make in USERS.items():
        group, settings = make()
        steps = round(float((50 if short else 200) * ms / DT))
        found[name] = compared(compare(group, INPUTS, steps, **settings))
    return verdict(**found)


def validate(*, short: bool) -> dict[str, Any]:
    """Everything above.

    Parameters
    ----------
    short : bool
        Own methods only, and shorter runs.

    Returns
    -------
    dict
        Plain figures: per check its value, its bound and ``ok``.
    """
    BrianLogger.suppress_name("method_choice")
    return verdict(library=library(short=short), users=users(short=short))
