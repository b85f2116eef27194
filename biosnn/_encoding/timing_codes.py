"""Latency code and rank-order code, in which a unit fires once at most."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms
from numpy.typing import ArrayLike, NDArray

from biosnn._encoding.checks import NEVER, as_shown, intensities, steps_of, trains
from biosnn._encoding.population import input_population
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Operation
from biosnn.validation import check_choice, check_value

KINDS = ("linear", "log")
_LATENCY_SOURCE = (
    "Gollisch & Meister (2008), Rapid neural coding in the retina with relative spike latencies, "
    "doi:10.1126/science.1149639 (latencies of ganglion cells); Hopfield (1995), Pattern "
    "recognition computation using action potential timing for stimulus representation, "
    "doi:10.1038/376033a0 (logarithmic)"
)
_RANK_SOURCE = (
    "Thorpe & Gautrais (1998), Rank order coding, doi:10.1007/978-1-4615-4831-7_19; "
    "VanRullen & Thorpe (2001), Rate coding versus temporal order coding, "
    "doi:10.1162/08997660152002852 (values by rank)"
)
# Spikes come this much early, as a part of the longest latency, so that values which single
# precision cannot hold (0.7, say) still fall into the step that they would fall into exactly.
_EARLY = 1e-6


def check_latency(obj: str, t_max: Any, cutoff: float, kind: str) -> None:
    """Check the parameters of the latency code."""
    check_choice(obj, "kind", kind, KINDS)
    check_value(obj, "cutoff", cutoff, 1.0, "> 0" if kind == "log" else ">= 0")
    if cutoff >= 1:
        raise ParameterError(obj, "cutoff", cutoff, "below 1")
    if t_max is not None:
        check_value(obj, "t_max", t_max, ms, "> 0")


def latency(*, t_max: Any = None, cutoff: float = 0.01, kind: str = "linear") -> NeuronModel:
    """Input population: one spike per sample, the earlier the larger the value.

    A unit with value ``x`` in ``(cutoff, 1]`` fires at ``t_max*(1 - x)/(1 - cutoff)``
    (``"linear"``) or ``t_max*log(x)/log(cutoff)`` (``"log"``) after the onset, or after the
    frame's begin; larger values count as 1. A factor on all values shifts all logarithmic
    latencies by the same time. A spike is moved to the end of its time step.

    Parameters
    ----------
    t_max : Quantity, optional
        Latency of values just above ``cutoff``, > 0 s; default: the presentation's duration.
        Spikes that would come after the presentation are left out.
    cutoff : float
        Values up to it give no spike, in [0, 1); above 0 for ``"log"``.
    kind : {"linear", "log"}
        Course of the latency.

    Returns
    -------
    NeuronModel
        With the variable ``x``, which an input sets.

    Notes
    -----
    Gollisch & Meister (2008), doi:10.1126/science.1149639; logarithmic: Hopfield (1995),
    doi:10.1038/376033a0.
    """
    check_latency("latency", t_max, cutoff, kind)
    longest = "active_for" if t_max is None else "t_max"
    value = "clip(intensity*x, cutoff, 1)"
    course = f"(1 - {value})/(1 - cutoff)" if kind == "linear" else f"log({value})/log(cutoff)"
    parameters = {"cutoff": float(cutoff)} | ({} if t_max is None else {"t_max": t_max})
    return input_population(
        "LatencyInput",
        _LATENCY_SOURCE,
        ("t_sample", "intensity"),
        "t_next : second",
        framed=True,
        threshold="t_sample + dt >= t_next",
        reset=f"t_next = {NEVER}*second",
        parameters=parameters,
        operations=(
            Operation(
                code=f"t_next = t_sample + {longest}*({course} - {_EARLY})\n"
                f"t_next += {NEVER}*second*int(intensity*x <= cutoff or t_next >= active_for)",
                on="input",
            ),
        ),
        double=("x",),
    )


def latency_spikes(
    samples: ArrayLike,
    *,
    duration: Any,
    dt: Any = 1 * ms,
    t_max: Any = None,
    cutoff: float = 0.01,
    kind: str = "linear",
) -> NDArray[np.bool_]:
    """Latency-coded spike trains of static samples, as :func:`latency` plays them.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255).
    duration, dt : Quantity
        Length of the trains and of a time step.
    t_max, cutoff, kind
        As in :func:`latency`; ``t_max`` is the duration unless given.

    Returns
    -------
    numpy.ndarray of bool, shape (n, T, features)
        ``True`` where a unit fires, at most once per sample.

    Notes
    -----
    Gollisch & Meister (2008), doi:10.1126/science.1149639; logarithmic: Hopfield (1995),
    doi:10.1038/376033a0. :func:`decode_latency` is the inverse.
    """
    check_latency("latency_spikes", t_max, cutoff, kind)
    values = as_shown(intensities(samples, "latency_spikes", ("n", "features")))
    n_steps, step = steps_of("latency_spikes", duration, dt)
    longest = float(duration if t_max is None else t_max)
    clipped = np.clip(values, cutoff, 1)
    course = (1 - clipped) / (1 - cutoff) if kind == "linear" else np.log(clipped) / np.log(cutoff)
    due = longest * (course - _EARLY)
    steps = np.maximum(np.ceil(due / step).astype(np.int64) - 1, 0)
    return trains(np.where(values > cutoff, steps, n_steps), n_steps)


def ranks(samples: ArrayLike, *, cutoff: float = 0.0) -> NDArray[np.float32]:
    """Rank of every value in its sample, 1 for the largest, as :func:`rank_order` takes them.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255). Of equal
        values, the one with the lower index comes first.
    cutoff : float
        Values up to it have no rank, >= 0.

    Returns
    -------
    numpy.ndarray of float32, shape (n, features)
        1, 2, ... and 0 for values without a rank.

    Notes
    -----
    Thorpe & Gautrais (1998), doi:10.1007/978-1-4615-4831-7_19.
    """
    check_value("ranks", "cutoff", cutoff, 1.0, ">= 0")
    values = intensities(samples, "ranks", ("n", "features"))
    order = np.argsort(-values, axis=1, kind="stable")
    found = np.empty(values.shape, dtype=np.float32)
    np.put_along_axis(found, order, np.arange(1, values.shape[1] + 1, dtype=np.float32), axis=1)
    return np.where(values > cutoff, found, np.float32(0))


def rank_order(*, interval: Any = 1 * ms) -> NeuronModel:
    """Input population: units fire once, one after the other, in the order of their values.

    It plays the ranks that :func:`ranks` makes of samples: the unit of rank ``k`` fires at
    ``k*interval`` after the onset, in the time step that ends there. The protocol's intensity
    has no influence, as it does not change the order.

    Parameters
    ----------
    interval : Quantity
        Time between two ranks, > 0 s. With less than a time step, several units share a step.

    Returns
    -------
    NeuronModel
        With the variable ``x``, the rank, which an input sets; 0 gives no spike.

    Notes
    -----
    Thorpe & Gautrais (1998), doi:10.1007/978-1-4615-4831-7_19.
    """
    check_value("rank_order", "interval", interval, ms, "> 0")
    return input_population(
        "RankOrderInput",
        _RANK_SOURCE,
        ("t_sample",),
        "t_next : second",
        threshold="t_sample + dt >= t_next",
        reset=f"t_next = {NEVER}*second",
        parameters={"interval": interval},
        operations=(
            Operation(
                code=f"t_next = t_sample + (x - {_EARLY})*interval\n"
                f"t_next += {NEVER}*second*int(x < 0.5 or t_next >= active_for)",
                on="input",
            ),
        ),
        double=("x",),
    )


def rank_order_spikes(
    samples: ArrayLike,
    *,
    duration: Any,
    dt: Any = 1 * ms,
    interval: Any = 1 * ms,
    cutoff: float = 0.0,
) -> NDArray[np.bool_]:
    """Rank-order spike trains of static samples, as :func:`rank_order` plays their ranks.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255);
        not their ranks.
    duration, dt : Quantity
        Length of the trains and of a time step. Ranks whose time comes later are left out.
    interval : Quantity
        Time between two ranks, at least ``dt``, so that no two units share a step.
    cutoff : float
        Values up to it give no spike, >= 0.

    Returns
    -------
    numpy.ndarray of bool, shape (n, T, features)
        ``True`` where a unit fires, at most once per sample.

    Notes
    -----
    Thorpe & Gautrais (1998), doi:10.1007/978-1-4615-4831-7_19. :func:`decode_ranks` and
    :func:`decode_rank_order` are the inverse.
    """
    check_value("rank_order_spikes", "interval", interval, ms, "> 0")
    n_steps, step = steps_of("rank_order_spikes", duration, dt)
    if float(interval) < step * (1 - 1e-9):
        raise ParameterError(
            "rank_order_spikes", "interval", interval, f"at least the time step ({dt})"
        )
    check_value("rank_order_spikes", "cutoff", cutoff, 1.0, ">= 0")
    values = intensities(samples, "rank_order_spikes", ("n", "features"))
    rank = ranks(values, cutoff=cutoff).astype(np.float64)
    steps = np.ceil((rank - _EARLY) * (float(interval) / step)).astype(np.int64) - 1
    return trains(np.where(rank > 0, steps, n_steps), n_steps)
