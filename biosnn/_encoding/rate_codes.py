"""Rate codes: Poisson, periodic and Bernoulli spike trains."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Hz, ms
from numpy.typing import ArrayLike, NDArray

from biosnn._encoding.checks import check_rate, intensities, steps_of
from biosnn._encoding.population import input_population
from biosnn.models import NeuronModel, Operation, Rate
from biosnn.rng import counter_uniform
from biosnn.validation import LARGEST, check_value, check_whole

_POISSON_SOURCE = (
    "Perkel, Gerstein & Moore (1967), Neuronal spike trains and stochastic point processes I, "
    "doi:10.1016/S0006-3495(67)86596-2"
)
_REGULAR_SOURCE = (
    "Adrian & Zotterman (1926), The impulses produced by sensory nerve endings, "
    "doi:10.1113/jphysiol.1926.sp002281"
)
_BERNOULLI_SOURCE = (
    "Dayan & Abbott (2001), Theoretical Neuroscience, section 1.4, ISBN 978-0-262-04199-7"
)
_UNIFORM = "counter_uniform(seed, stream, pass_id, sample_id, i, draw)"
_LINKED = ("t_sample", "seed", "pass_id", "sample_id", "intensity")
_TIMED = "rate : Hz\nt_next : second\ndraw : integer"
_NO_MORE = "t_next += 1e9*second*int(t_next >= active_for)"
# A unit that lags behind its rate must not catch up after the last step.
_NO_MORE_SPIKES = "t_next += 1e9*second*int(t_next >= active_for or t_sample + 1.5*dt > active_for)"


def poisson(*, max_rate: Any = 128 * Hz) -> NeuronModel:
    """Input population: independent Poisson processes with rate ``intensity*max_rate*x``.

    Event-driven: every unit keeps the time ``t_next`` of its next spike and draws an
    exponential interval when it fires. Spikes are moved to the end of their time step; a unit
    fires at most once per step and catches up in the next one.

    Parameters
    ----------
    max_rate : Quantity
        Rate of a unit with ``x = 1`` at intensity 1, > 0 Hz.

    Returns
    -------
    NeuronModel
        With the variable ``x``, which an input sets.

    Notes
    -----
    Perkel, Gerstein & Moore (1967), doi:10.1016/S0006-3495(67)86596-2.
    """
    check_value("poisson", "max_rate", max_rate, Hz, "> 0")
    interval = f"-log({_UNIFORM})/(rate + 1e-12*Hz)"
    return input_population(
        "PoissonInput",
        _POISSON_SOURCE,
        _LINKED,
        _TIMED,
        framed=True,
        threshold="t_sample + dt >= t_next",
        reset=f"draw += 1\nt_next += {interval}\n{_NO_MORE_SPIKES}",
        parameters={"max_rate": max_rate},
        rates={"x": Rate(parameter="max_rate")},
        operations=(
            Operation(code="draw = 0", on="onset"),
            Operation(
                code="rate = intensity*max_rate*x\ndraw += 1\n"
                f"t_next = t_sample + {interval}\n{_NO_MORE}",
                on="input",
            ),
        ),
    )


def regular(*, max_rate: Any = 128 * Hz, phase: float = 0.5) -> NeuronModel:
    """Input population: periodic spikes with rate ``intensity*max_rate*x``.

    Parameters
    ----------
    max_rate : Quantity
        Rate of a unit with ``x = 1`` at intensity 1, > 0 Hz.
    phase : float
        Time of the first spike in units of the interval, in (0, 1].

    Returns
    -------
    NeuronModel
        With the variable ``x``, which an input sets.

    Notes
    -----
    Adrian & Zotterman (1926), doi:10.1113/jphysiol.1926.sp002281, for the code by rate.
    """
    check_value("regular", "max_rate", max_rate, Hz, "> 0")
    check_value("regular", "phase", phase, 1.0, "in (0, 1]")
    # Counted from the onset: sums of intervals would drift past the ends of time steps.
    next_spike = "t_next = t_onset + (draw + phase - 1e-9)/(rate + 1e-12*Hz)"
    return input_population(
        "RegularInput",
        _REGULAR_SOURCE,
        _LINKED,
        f"{_TIMED}\nt_onset : second",
        framed=True,
        threshold="t_sample + dt >= t_next",
        reset=f"draw += 1\n{next_spike}\n{_NO_MORE_SPIKES}",
        parameters={"max_rate": max_rate, "phase": phase},
        rates={"x": Rate(parameter="max_rate")},
        operations=(
            Operation(
                code="rate = intensity*max_rate*x\ndraw = 0\nt_onset = t_sample\n"
                f"{next_spike}\n{_NO_MORE}",
                on="input",
            ),
        ),
    )


def bernoulli(*, max_rate: Any = 128 * Hz) -> NeuronModel:
    """Input population: in every step a spike with probability ``intensity*max_rate*x*dt``.

    Parameters
    ----------
    max_rate : Quantity
        Rate of a unit with ``x = 1`` at intensity 1, > 0 Hz; ``max_rate*dt`` must be <= 1.

    Returns
    -------
    NeuronModel
        With the variable ``x``, which an input sets.

    Notes
    -----
    Dayan & Abbott (2001), Theoretical Neuroscience, section 1.4, ISBN 978-0-262-04199-7.
    """
    check_value("bernoulli", "max_rate", max_rate, Hz, "> 0")
    uniform = _UNIFORM.replace("draw", "step")
    return input_population(
        "BernoulliInput",
        _BERNOULLI_SOURCE,
        (*_LINKED, "step"),
        framed=True,
        threshold=f"t_sample < active_for and {uniform} < intensity*max_rate*x*dt",
        reset="",
        parameters={"max_rate": max_rate},
        rates={"x": Rate(parameter="max_rate", drawn=True)},
    )


class _Draws:
    """Uniform numbers of all units at all samples, by the number of the draw."""

    def __init__(
        self, obj: str, seed: int, stream: int, first_sample: int, values: NDArray[np.floating]
    ):
        for name, number in (("seed", seed), ("stream", stream), ("first_sample", first_sample)):
            check_whole(obj, name, number, 0, LARGEST)
        self._key = seed, stream
        self._sample = np.arange(first_sample, first_sample + len(values))[:, None]
        self._unit = np.arange(values.shape[1])[None, :]

    def uniform(self, draw: int) -> NDArray[np.float64]:
        return counter_uniform(*self._key, 0, self._sample, self._unit, draw)


def poisson_spikes(
    samples: ArrayLike,
    *,
    max_rate: Any,
    duration: Any,
    dt: Any = 1 * ms,
    seed: int = 0,
    stream: int = 0,
    first_sample: int = 0,
) -> NDArray[np.bool_]:
    """Poisson spike trains of static samples.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255); the rate of a
        unit is ``max_rate*x``.
    max_rate : Quantity
        Rate at ``x = 1``, > 0 Hz; at most one spike per time step.
    duration, dt : Quantity
        Length of the trains and of a time step.
    seed, stream, first_sample : int
        Key and first index of the counter-based draws.

    Returns
    -------
    numpy.ndarray of bool, shape (n, T, features)
        ``True`` where a unit fires. At most one spike per step: with ``p = max_rate*x*dt`` the
        intervals are exponential and rounded up to steps; spikes that fall into an occupied
        step move on to the next.

    Notes
    -----
    Perkel, Gerstein & Moore (1967), doi:10.1016/S0006-3495(67)86596-2. :func:`decode_rate` is
    the inverse.
    """
    values = intensities(samples, "poisson_spikes", ("n", "features"))
    n_steps, step = steps_of("poisson_spikes", duration, dt)
    per_step = check_rate("poisson_spikes", max_rate, values, step)
    draws = _Draws("poisson_spikes", seed, stream, first_sample, values)
    spikes = np.zeros((len(values), n_steps, values.shape[1]), dtype=bool)
    last = np.full(values.shape, -1)
    time = np.zeros(values.shape)  # in steps
    per_step = per_step + 1e-12 * step
    draw = 0
    active = np.ones(values.shape, dtype=bool)
    while active.any():
        draw += 1
        time += -np.log(draws.uniform(draw)) / per_step
        index = np.maximum(np.ceil(np.minimum(time, n_steps + 1)).astype(int) - 1, last + 1)
        active &= (time < n_steps) & (index < n_steps)
        k, u = np.nonzero(active)
        spikes[k, index[k, u], u] = True
        last = np.where(active, index, last)
    return spikes


def regular_spikes(
    samples: ArrayLike,
    *,
    max_rate: Any,
    duration: Any,
    dt: Any = 1 * ms,
    phase: float = 0.5,
) -> NDArray[np.bool_]:
    """Periodic spike trains of static samples.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255); the rate of a
        unit is ``max_rate*x``.
    max_rate : Quantity
        Rate at ``x = 1``, > 0 Hz; at most one spike per time step.
    duration, dt : Quantity
        Length of the trains and of a time step.
    phase : float
        Time of the first spike in units of the interval, in (0, 1].

    Returns
    -------
    numpy.ndarray of bool, shape (n, T, features)
        ``True`` where a unit fires.

    Notes
    -----
    Adrian & Zotterman (1926), doi:10.1113/jphysiol.1926.sp002281, for the code by rate.
    :func:`decode_rate` is the inverse.
    """
    check_value("regular_spikes", "phase", phase, 1.0, "in (0, 1]")
    values = intensities(samples, "regular_spikes", ("n", "features"))
    n_steps, step = steps_of("regular_spikes", duration, dt)
    per_step = check_rate("regular_spikes", max_rate, values, step)
    ends = np.arange(1, n_steps + 1)[None, :, None]
    fired = np.floor(per_step[:, None, :] * ends - phase + 1e-9) + 1
    before = np.concatenate([np.zeros_like(fired[:, :1]), fired[:, :-1]], axis=1)
    return np.maximum(fired, 0) > np.maximum(before, 0)


def bernoulli_spikes(
    samples: ArrayLike,
    *,
    max_rate: Any,
    duration: Any,
    dt: Any = 1 * ms,
    seed: int = 0,
    stream: int = 0,
    first_sample: int = 0,
) -> NDArray[np.bool_]:
    """Bernoulli spike trains of static samples.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255); in each step a
        unit fires with probability ``max_rate*x*dt``.
    max_rate : Quantity
        Rate at ``x = 1``, > 0 Hz; at most one spike per time step.
    duration, dt : Quantity
        Length of the trains and of a time step.
    seed, stream, first_sample : int
        Key and first index of the counter-based draws.

    Returns
    -------
    numpy.ndarray of bool, shape (n, T, features)
        ``True`` where a unit fires; intervals are geometric.

    Notes
    -----
    Dayan & Abbott (2001), Theoretical Neuroscience, section 1.4, ISBN 978-0-262-04199-7.
    :func:`decode_rate` is the inverse.
    """
    values = intensities(samples, "bernoulli_spikes", ("n", "features"))
    n_steps, step = steps_of("bernoulli_spikes", duration, dt)
    per_step = check_rate("bernoulli_spikes", max_rate, values, step)
    draws = _Draws("bernoulli_spikes", seed, stream, first_sample, values)
    steps = range(1, n_steps + 1)
    return np.stack([draws.uniform(step) < per_step for step in steps], axis=1)
