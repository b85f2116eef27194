"""Decoders: from spike trains back to values."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Hz, ms
from numpy.typing import ArrayLike, NDArray

from biosnn._encoding.checks import check_numbers, check_spikes, intensities, steps_of
from biosnn._encoding.pattern_codes import check_burst
from biosnn._encoding.timing_codes import check_latency
from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_steps, check_value, check_whole, describe


def _first_steps(spikes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Step of every unit's first spike, shape (n, units); the number of steps without one."""
    return np.where(spikes.any(axis=1), spikes.argmax(axis=1), spikes.shape[1])


def decode_rate(spikes: ArrayLike, *, max_rate: Any, dt: Any = 1 * ms) -> NDArray[np.float64]:
    """Decode spike counts: the inverse of the rate codes.

    Parameters
    ----------
    spikes : array_like, shape (n, T, units)
        Spike trains.
    max_rate : Quantity
        Rate of a unit with value 1, > 0 Hz.
    dt : Quantity
        Time step.

    Returns
    -------
    numpy.ndarray of float64, shape (n, units)
        ``count/(max_rate*T*dt)``. With ``n = max_rate*T*dt`` the error is at most ``0.5/n`` for
        regular spikes of phase 0.5; for Poisson spikes it has the standard deviation
        ``sqrt(x/n)``, and ``sqrt(x*(1 - x*max_rate*dt)/n)`` for Bernoulli spikes.
    """
    check_value("decode_rate", "max_rate", max_rate, Hz, "> 0")
    fired = check_spikes("decode_rate", spikes)
    _, step = steps_of("decode_rate", dt, dt)
    return fired.sum(axis=1) / (float(max_rate) * step * fired.shape[1])


def decode_latency(
    spikes: ArrayLike,
    *,
    dt: Any = 1 * ms,
    t_max: Any = None,
    cutoff: float = 0.01,
    kind: str = "linear",
) -> NDArray[np.float64]:
    """Decode first spikes: the inverse of the latency code.

    Parameters
    ----------
    spikes : array_like, shape (n, T, units)
        Spike trains; what comes after a unit's first spike does not count.
    dt : Quantity
        Time step.
    t_max, cutoff, kind
        As in :func:`latency`; ``t_max`` is ``T*dt`` unless given.

    Returns
    -------
    numpy.ndarray of float64, shape (n, units)
        The value in the middle of the step, in [cutoff, 1], and 0 without a spike. A value
        above ``cutoff`` is off by at most half a step: ``(1 - cutoff)*dt/(2*t_max)``
        (``"linear"``) or, as a ratio, ``cutoff**(-dt/(2*t_max))`` (``"log"``).

    Notes
    -----
    Hopfield (1995), doi:10.1038/376033a0, for the logarithmic latency.
    """
    check_latency("decode_latency", t_max, cutoff, kind)
    fired = check_spikes("decode_latency", spikes)
    _, step = steps_of("decode_latency", dt, dt)
    longest = fired.shape[1] * step if t_max is None else float(t_max)
    course = np.clip((_first_steps(fired) + 0.5) * step / longest, 0, 1)
    values = 1 - (1 - cutoff) * course if kind == "linear" else float(cutoff) ** course
    return np.where(fired.any(axis=1), values, 0.0)


def decode_ranks(spikes: ArrayLike) -> NDArray[np.int64]:
    """Ranks of first spikes: the inverse of the rank-order code, exact if all spikes are there.

    Parameters
    ----------
    spikes : array_like, shape (n, T, units)
        Spike trains. Of units that fire first in the same step, the lower index comes first.

    Returns
    -------
    numpy.ndarray of int64, shape (n, units)
        1, 2, ... by first spike, and 0 without a spike.

    Notes
    -----
    Thorpe & Gautrais (1998), doi:10.1007/978-1-4615-4831-7_19.
    """
    fired = check_spikes("decode_ranks", spikes)
    order = np.argsort(_first_steps(fired), axis=1, kind="stable")
    found = np.empty(order.shape, dtype=np.int64)
    np.put_along_axis(found, order, np.arange(1, order.shape[1] + 1), axis=1)
    return np.where(fired.any(axis=1), found, 0)


def rank_table(samples: ArrayLike) -> NDArray[np.float64]:
    """Mean value of every rank, from which :func:`decode_rank_order` decodes.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255);
        training samples for example.

    Returns
    -------
    numpy.ndarray of float64, shape (features,)
        Mean of the largest values, of the second largest, and so on.

    Notes
    -----
    VanRullen & Thorpe (2001), doi:10.1162/08997660152002852, look-up table of contrasts.
    """
    return -np.sort(
        -intensities(samples, "rank_table", ("n", "features")).astype(np.float64), axis=1
    ).mean(axis=0)


def decode_rank_order(spikes: ArrayLike, table: ArrayLike) -> NDArray[np.float64]:
    """Decode the rank-order code approximately, by a table of values.

    Parameters
    ----------
    spikes : array_like, shape (n, T, units)
        Spike trains.
    table : array_like, shape (units,)
        Value by rank, such as :func:`rank_table` of training samples.

    Returns
    -------
    numpy.ndarray of float64, shape (n, units)
        The table's value at each rank, and 0 without a spike. The error is the difference
        of a sample's sorted values from the table.

    Notes
    -----
    VanRullen & Thorpe (2001), doi:10.1162/08997660152002852.
    """
    found = decode_ranks(spikes)
    by_rank = check_numbers("decode_rank_order", table, ("units",), "table")
    if len(by_rank) != found.shape[1]:
        raise DataError(
            f"decode_rank_order: table must have {found.shape[1]} values, got {len(by_rank)}"
        )
    return np.concatenate([[0.0], by_rank])[found]


def decode_phase(
    spikes: ArrayLike, *, n_bits: int = 8, width: Any = None, dt: Any = 1 * ms
) -> NDArray[np.float64]:
    """Decode the first round of weighted spikes: the inverse of the phase code.

    Parameters
    ----------
    spikes : array_like, shape (n, T, units)
        Spike trains of at least ``n_bits`` phases.
    n_bits : int
        Number of phases, 1 to 24.
    width : Quantity, optional
        Length of a phase, a multiple of ``dt``; default: one time step.
    dt : Quantity
        Time step.

    Returns
    -------
    numpy.ndarray of float64, shape (n, units)
        In [0, 1], off by at most ``0.5/(2**n_bits - 1)``; pixels of ``n_bits`` bits are exact.

    Notes
    -----
    Kim et al. (2018), doi:10.1016/j.neucom.2018.05.087.
    """
    check_whole("decode_phase", "n_bits", n_bits, 1, 24)
    fired = check_spikes("decode_phase", spikes)
    apart = 1 if width is None else check_steps("decode_phase", "width", width, dt, 1)
    if fired.shape[1] <= (n_bits - 1) * apart:
        raise DataError(
            f"decode_phase: spikes must be longer than {(n_bits - 1) * apart} steps, got "
            f"{fired.shape[1]}"
        )
    digits = fired[:, : n_bits * apart : apart]
    weights = 2.0 ** np.arange(n_bits - 1, -1, -1)
    return np.einsum("nku,k->nu", digits, weights) / (2**n_bits - 1)


def decode_burst(
    spikes: ArrayLike,
    *,
    dt: Any = 1 * ms,
    n_max: int = 5,
    t_min: Any = 2 * ms,
    t_max: Any = 10 * ms,
) -> NDArray[np.float64]:
    """Decode bursts: the inverse of the burst code, for bursts that end in time.

    Parameters
    ----------
    spikes : array_like, shape (n, T, units)
        Spike trains.
    dt : Quantity
        Time step.
    n_max, t_min, t_max
        As in :func:`burst`.

    Returns
    -------
    numpy.ndarray of float64, shape (n, units)
        In [0, 1]; 0 without a spike. A burst of ``k > 1`` spikes is off by at most the smaller
        of ``dt/(2*(k - 1)*(t_max - t_min))`` (from the intervals) and ``1/n_max`` (from the
        number), a single spike by ``1/(2*n_max)``.

    Notes
    -----
    Guo et al. (2021), doi:10.3389/fnins.2021.638474.
    """
    check_burst("decode_burst", n_max, t_min, t_max)
    fired = check_spikes("decode_burst", spikes)
    _, step = steps_of("decode_burst", dt, dt)
    number = fired.sum(axis=1)
    last = fired.shape[1] - 1 - fired[:, ::-1].argmax(axis=1)
    lasts = last - _first_steps(fired)
    by_number = (number - 0.5) / n_max
    span = float(t_max - t_min)
    if span > 0:
        apart = (lasts - 0.5) * step / np.maximum(number - 1, 1)
        by_interval = np.clip((float(t_max) - apart) / span, (number - 1) / n_max, number / n_max)
        by_number = np.where(number > 1, by_interval, by_number)
    return np.where(number > 0, by_number, 0.0).clip(0, 1)


def decode_delta(
    spikes: ArrayLike, *, threshold: float = 0.1, start: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """Decode ON and OFF spikes into a sequence: the inverse of delta modulation.

    Parameters
    ----------
    spikes : array_like, shape (n, T, 2*features)
        Spike trains of ON units, then of OFF units.
    threshold : float
        Step of the reference, > 0.
    start : array_like
        The reference at the beginning, a number or an array that broadcasts to (n, features),
        such as the sequences' first frames.

    Returns
    -------
    numpy.ndarray of float64, shape (n, T, features)
        The reference after each time step. Where the modulator has caught up with the value,
        which it does at one threshold per step, it is off by less than ``threshold``.

    Notes
    -----
    Petro et al. (2020), doi:10.1109/TNNLS.2019.2906158.
    """
    check_value("decode_delta", "threshold", threshold, 1.0, "> 0")
    fired = check_spikes("decode_delta", spikes).astype(np.int64)
    features, odd = divmod(fired.shape[2], 2)
    if odd:
        raise DataError(f"decode_delta: spikes must be of ON and OFF units, got {2 * features + 1}")
    try:
        begin = np.broadcast_to(np.asarray(start, dtype=np.float64), (len(fired), features))
    except (TypeError, ValueError) as error:
        wanted = "a number, or one per feature"
        raise ParameterError("decode_delta", "start", describe(start), wanted) from error
    steps = np.cumsum(fired[..., :features] - fired[..., features:], axis=1)
    return begin[:, None] + threshold * steps.astype(np.float64)
