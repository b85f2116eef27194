"""Encoders: from arrays to rates, currents and spike trains.

Each encoder exists twice, with the same meaning:

- as an *input population* (:func:`poisson`, :func:`regular`, :func:`bernoulli`,
  :func:`direct`, :func:`address_events`), a neuron model that plays the samples inside the
  network, whatever the device;
- as a seeded *array function* (:func:`poisson_spikes`, :func:`regular_spikes`,
  :func:`bernoulli_spikes`, :func:`direct_current`) from samples to spike trains or currents.

Random draws are counter-based (``biosnn.rng``): sample ``k`` gets the same spikes whatever the
chunk, the process or the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Hz, Quantity, ms
from numpy.typing import ArrayLike, NDArray

from biosnn.errors import DataError, ParameterError
from biosnn.models import Event, NeuronModel, Operation, check_value
from biosnn.rng import counter_uniform

_UNIFORM = "counter_uniform(seed, stream, pass_id, sample_id, i, draw)"
_DRAW_LINKS = {
    name: f"protocol.{name}" for name in ("t_sample", "seed", "pass_id", "sample_id", "intensity")
}
_LINKED = """
x : 1
t_sample : second (linked)
seed : integer (linked)
pass_id : integer (linked)
sample_id : integer (linked)
intensity : 1 (linked)
"""
_TIMED = _LINKED + "rate : Hz\nt_next : second\ndraw : integer\n"
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
    """
    check_value("poisson", "max_rate", max_rate, Hz, "> 0")
    interval = f"-log({_UNIFORM})/(rate + 1e-12*Hz)"
    return NeuronModel(
        name="PoissonInput",
        equations=_TIMED,
        threshold="t_sample + dt >= t_next",
        reset=f"draw += 1\nt_next += {interval}\n{_NO_MORE_SPIKES}",
        method="exact",
        parameters={"max_rate": max_rate},
        operations=(
            Operation(code="draw = 0", on="onset"),
            Operation(
                code="rate = intensity*max_rate*x\ndraw += 1\n"
                f"t_next = t_sample + {interval}\n{_NO_MORE}",
                on="input",
            ),
        ),
        links=_DRAW_LINKS,
    )


def regular(*, max_rate: Any = 128 * Hz, phase: float = 0.5) -> NeuronModel:
    """Input population: periodic spikes with rate ``intensity*max_rate*x``.

    Parameters
    ----------
    max_rate : Quantity
        Rate of a unit with ``x = 1`` at intensity 1, > 0 Hz.
    phase : float
        Time of the first spike in units of the interval, in (0, 1].
    """
    check_value("regular", "max_rate", max_rate, Hz, "> 0")
    check_value("regular", "phase", phase, 1.0, "in (0, 1]")
    # Counted from the onset: sums of intervals would drift past the ends of time steps.
    next_spike = "t_next = t_onset + (draw + phase - 1e-9)/(rate + 1e-12*Hz)"
    return NeuronModel(
        name="RegularInput",
        equations=_TIMED + "t_onset : second\n",
        threshold="t_sample + dt >= t_next",
        reset=f"draw += 1\n{next_spike}\n{_NO_MORE_SPIKES}",
        method="exact",
        parameters={"max_rate": max_rate, "phase": phase},
        operations=(
            Operation(
                code="rate = intensity*max_rate*x\ndraw = 0\nt_onset = t_sample\n"
                f"{next_spike}\n{_NO_MORE}",
                on="input",
            ),
        ),
        links=_DRAW_LINKS,
    )


def bernoulli(*, max_rate: Any = 128 * Hz) -> NeuronModel:
    """Input population: in every step a spike with probability ``intensity*max_rate*x*dt``.

    Parameters
    ----------
    max_rate : Quantity
        Rate of a unit with ``x = 1`` at intensity 1, > 0 Hz; ``max_rate*dt`` must be <= 1.
    """
    check_value("bernoulli", "max_rate", max_rate, Hz, "> 0")
    uniform = _UNIFORM.replace("draw", "step")
    return NeuronModel(
        name="BernoulliInput",
        equations=_LINKED + "step : integer (linked)\n",
        threshold=f"t_sample < active_for and {uniform} < intensity*max_rate*x*dt",
        reset="",
        method="exact",
        parameters={"max_rate": max_rate},
        links={**_DRAW_LINKS, "step": "protocol.step"},
    )


def direct(*, cutoff: float = 0.0) -> NeuronModel:
    """Input population that shows its graded value ``x`` once per presentation.

    The event ``present`` happens at the onset for all units with ``x > cutoff``; projections
    with ``on_event="present"`` pass on ``x_pre`` as a current that is held during the sample.

    Parameters
    ----------
    cutoff : float
        Values up to it are taken as no input.
    """
    check_value("direct", "cutoff", cutoff, 1.0, ">= 0")
    return NeuronModel(
        name="DirectInput",
        equations="x : 1\nintensity : 1 (linked)",
        method="exact",
        parameters={"cutoff": cutoff},
        events={"present": Event(condition="x > cutoff", every="presentation")},
        operations=(Operation(code="x *= intensity", on="input"),),
        links={"intensity": "protocol.intensity"},
    )


def address_events() -> NeuronModel:
    """Input population that plays given spikes ``(sample, unit, time)``."""
    return NeuronModel(
        name="AddressEventInput",
        equations="x : 1",
        threshold="x > 0",
        reset="",
        method="exact",
    )


def scale_norm(samples: ArrayLike, norm: float) -> NDArray[np.float32]:
    """Scale every sample to the same Euclidean norm.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Values >= 0.
    norm : float
        The norm that every sample gets, > 0. Samples that are all zero stay so.

    Returns
    -------
    numpy.ndarray of float32, shape (n, features)

    Raises
    ------
    DataError, ParameterError
        If a value is negative or not finite, or ``norm`` is not > 0.
    """
    check_value("scale_norm", "norm", norm, 1.0, "> 0")
    values = check_samples("scale_norm", samples).astype(np.float64)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    scaled = np.divide(norm * values, lengths, out=np.zeros_like(values), where=lengths > 0)
    return scaled.astype(np.float32)


def check_samples(obj: str, samples: ArrayLike, name: str = "samples") -> NDArray[np.float64]:
    """Check that samples are finite, non-negative numbers of shape (n, features), n > 0.

    Raises
    ------
    DataError
        Naming the array, what it holds and where the first bad value is.
    """
    try:
        values = np.asarray(samples, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{obj}: {name} must be numbers of shape (n, features): {error}") from error
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"{obj}: {name} must have shape (n > 0, features > 0), got {values.shape}")
    bad = ~np.isfinite(values)
    if bad.any():
        where = tuple(int(k) for k in np.argwhere(bad)[0])
        raise DataError(f"{obj}: {name} must be finite, got {values[where]} at {where}")
    if values.min() < 0:
        where = tuple(int(k) for k in np.argwhere(values < 0)[0])
        raise DataError(
            f"{obj}: {name} must be >= 0 (they become rates or currents), got "
            f"{values[where]} at {where}"
        )
    return values


def _steps(obj: str, duration: Any, dt: Any) -> tuple[int, float]:
    check_value(obj, "dt", dt, ms, "> 0")
    check_value(obj, "duration", duration, ms, "> 0")
    return max(round(float(duration / dt)), 1), float(dt)


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
        Values >= 0; the rate of a unit is ``max_rate*x``.
    max_rate : Quantity
        Rate at ``x = 1``.
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

    Raises
    ------
    ParameterError, DataError
        On a wrong unit, a rate <= 0, or samples that are negative or not finite.
    """
    check_value("poisson_spikes", "max_rate", max_rate, Hz, "> 0")
    values = check_samples("poisson_spikes", samples)
    n_steps, step = _steps("poisson_spikes", duration, dt)
    rates = float(max_rate) * values + 1e-12
    sample = np.arange(first_sample, first_sample + len(values))[:, None]
    unit = np.arange(values.shape[1])[None, :]
    spikes = np.zeros((len(values), n_steps, values.shape[1]), dtype=bool)
    last = np.full(values.shape, -1)
    time = np.zeros(values.shape)
    draw = 0
    active = np.ones(values.shape, dtype=bool)
    while active.any():
        draw += 1
        time += -np.log(counter_uniform(seed, stream, 0, sample, unit, draw)) / rates
        index = np.maximum(np.ceil(np.minimum(time / step, n_steps + 1)).astype(int) - 1, last + 1)
        active &= (time < n_steps * step) & (index < n_steps)
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
    """Periodic spike trains of static samples, shape (n, T, features).

    Parameters and errors as in :func:`poisson_spikes`; ``phase`` is the time of the first
    spike in units of the interval. The rate is limited to one spike per step.
    """
    check_value("regular_spikes", "max_rate", max_rate, Hz, "> 0")
    check_value("regular_spikes", "phase", phase, 1.0, "in (0, 1]")
    values = check_samples("regular_spikes", samples)
    n_steps, step = _steps("regular_spikes", duration, dt)
    rates = np.minimum(float(max_rate) * values, 1 / step)
    ends = np.arange(1, n_steps + 1)[None, :, None] * step
    fired = np.floor(rates[:, None, :] * ends - phase + 1e-9) + 1
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
    """Bernoulli spike trains of static samples, shape (n, T, features).

    In each step a unit fires with probability ``max_rate*x*dt``. Parameters and errors as in
    :func:`poisson_spikes`; a probability above 1 is an error.
    """
    check_value("bernoulli_spikes", "max_rate", max_rate, Hz, "> 0")
    values = check_samples("bernoulli_spikes", samples)
    n_steps, step = _steps("bernoulli_spikes", duration, dt)
    probability = float(max_rate) * values * step
    if probability.max() > 1:
        raise ParameterError(
            "bernoulli_spikes",
            "max_rate",
            max_rate,
            f"at most 1/(dt*max(samples)) = {1 / (step * values.max()):g} Hz",
            "Lower the rate or the time step",
        )
    sample = np.arange(first_sample, first_sample + len(values))[:, None, None]
    unit = np.arange(values.shape[1])[None, None, :]
    steps = np.arange(1, n_steps + 1)[None, :, None]
    uniform = counter_uniform(seed, stream, 0, sample, unit, steps)
    return uniform < probability[:, None, :]


def direct_current(
    samples: ArrayLike, *, amplitude: Any, duration: Any, dt: Any = 1 * ms
) -> NDArray[np.float64]:
    """Constant currents of static samples, shape (n, T, features), SI values of ``amplitude*x``.

    Raises
    ------
    DataError, ParameterError
        If samples are negative or not finite, the amplitude is not a finite number, or a
        duration is not > 0 s.
    """
    like = amplitude if isinstance(amplitude, Quantity) else 1.0
    check_value("direct_current", "amplitude", amplitude, like)
    values = check_samples("direct_current", samples)
    n_steps, _ = _steps("direct_current", duration, dt)
    currents = float(np.asarray(amplitude)) * values
    return np.repeat(currents[:, None, :], n_steps, axis=1)
