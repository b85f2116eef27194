"""Neurons: rates against closed forms, orders of convergence, spike shapes and firing patterns."""

from __future__ import annotations

from typing import Any

from validation import _convergence, _hodgkin_huxley, _patterns, _rates
from validation._simulate import verdict


def rates(*, short: bool) -> dict[str, Any]:
    """f-I curves of LIF and QIF: every interval within one time step of its closed form."""
    return _rates.check(short)


def convergence(*, short: bool) -> dict[str, Any]:
    """Order of convergence of each integrator on each neuron, fitted to four time steps."""
    return _convergence.check(short)


def hodgkin_huxley(*, short: bool) -> dict[str, Any]:
    """Spike shape, threshold, Hopf points and onset of repetitive firing."""
    return _hodgkin_huxley.check(short)


def adex_patterns(*, short: bool) -> dict[str, Any]:
    """The eight firing patterns of Naud et al. 2008."""
    return _patterns.adex(short)


def izhikevich_patterns(*, short: bool) -> dict[str, Any]:
    """At least 16 of the 20 firing patterns of Izhikevich 2004."""
    return _patterns.izhikevich(short)


def validate(*, short: bool) -> dict[str, Any]:
    """Everything above.

    Parameters
    ----------
    short : bool
        Fewer cases and longer time steps, by the same code.

    Returns
    -------
    dict
        Plain figures: per check its values, its bounds and ``ok``.
    """
    return verdict(
        rates=rates(short=short),
        convergence=convergence(short=short),
        hodgkin_huxley=hodgkin_huxley(short=short),
        adex_patterns=adex_patterns(short=short),
        izhikevich_patterns=izhikevich_patterns(short=short),
    )
