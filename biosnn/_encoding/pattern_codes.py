"""Phase code (binary digits, one after the other) and burst code."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms
from numpy.typing import ArrayLike, NDArray

from biosnn._encoding.checks import NEVER, as_shown, intensities, steps_of
from biosnn._encoding.population import input_population
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Operation
from biosnn.validation import LARGEST, check_steps, check_value, check_whole

_PHASE_SOURCE = (
    "Kim, Kim, Huh, Lee & Choi (2018), Deep neural networks with weighted spikes, "
    "doi:10.1016/j.neucom.2018.05.087"
)
_BURST_SOURCE = (
    "Guo, Fouda, Eltawil & Salama (2021), Neural coding in spiking neural networks: a comparative "
    "study for robust neuromorphic systems, doi:10.3389/fnins.2021.638474"
)
# Rounding of single precision must not add a spike to a burst, nor a step to an interval.
_SLACK = 1e-6


def phase(*, n_bits: int = 8, width: Any = None) -> NeuronModel:
    """Input population: weighted spikes, the binary digits of the value one after the other.

    A value ``x`` in [0, 1] is rounded to ``q = round((2**n_bits - 1)*x)``; in phase ``k`` of
    ``n_bits`` phases the unit fires if the digit of weight ``2**(n_bits - 1 - k)`` is 1, at
    the beginning of the phase. The phases repeat until the presentation ends. The spike's
    weight ``2**-(1 + k)`` is the variable ``significance``: with
    ``transmit="v_post += w*significance_pre"`` a target gets ``x*(1 - 2**-n_bits)*w`` per round.

    Parameters
    ----------
    n_bits : int
        Number of phases, 1 to 24.
    width : Quantity, optional
        Length of a phase, a multiple of the time step; default: one time step.

    Returns
    -------
    NeuronModel
        With the variables ``x``, which an input sets, and ``significance``.

    Notes
    -----
    Kim et al. (2018), doi:10.1016/j.neucom.2018.05.087.
    """
    check_whole("phase", "n_bits", n_bits, 1, 24)
    if width is not None:
        check_value("phase", "width", width, ms, "> 0")
    length = "dt" if width is None else "width"
    parameters: dict[str, Any] = {"n_bits": float(n_bits)}
    parameters |= {} if width is None else {"width": width}
    return input_population(
        "PhaseInput",
        _PHASE_SOURCE,
        ("t_sample", "intensity"),
        "t_onset : second\nfraction : 1\nsignificance : 1\nbegins : 1",
        threshold="begins > 0.5 and floor(fraction/significance) % 2 > 0.5",
        reset="",
        parameters=parameters,
        operations=(
            Operation(
                code="t_onset = t_sample\n"
                "fraction = floor((2**n_bits - 1)*clip(intensity*x, 0, 1) + 0.5)/2**n_bits",
                on="input",
            ),
            Operation(
                code=f"phases = (t_sample - t_onset)/{length}\n"
                f"number = floor(phases + {_SLACK})\n"
                f"begins = int(phases - number < 0.5*dt/{length})\n"
                "begins *= int(t_sample + 0.5*dt < active_for)\n"
                "significance = 2.0**(-1 - number % n_bits)",
                on="step",
            ),
        ),
        double=("x", "fraction", "significance"),
    )


def phase_spikes(
    samples: ArrayLike,
    *,
    duration: Any,
    dt: Any = 1 * ms,
    n_bits: int = 8,
    width: Any = None,
) -> NDArray[np.bool_]:
    """Phase-coded spike trains of static samples, as :func:`phase` plays them.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255).
    duration, dt : Quantity
        Length of the trains and of a time step.
    n_bits : int
        Number of phases, 1 to 24.
    width : Quantity, optional
        Length of a phase, a multiple of ``dt``; default: one time step.

    Returns
    -------
    numpy.ndarray of bool, shape (n, T, features)
        ``True`` in the first step of a phase whose digit is 1; the last round may be cut.

    Notes
    -----
    Kim et al. (2018), doi:10.1016/j.neucom.2018.05.087. :func:`decode_phase` is the inverse.
    """
    check_whole("phase_spikes", "n_bits", n_bits, 1, 24)
    values = as_shown(intensities(samples, "phase_spikes", ("n", "features")))
    n_steps, _ = steps_of("phase_spikes", duration, dt)
    apart = 1 if width is None else check_steps("phase_spikes", "width", width, dt, 1)
    number = np.floor((2**n_bits - 1) * values + 0.5).astype(np.int64)
    spikes = np.zeros((len(values), n_steps, values.shape[1]), dtype=bool)
    digit = np.arange(-(-n_steps // apart)) % n_bits
    spikes[:, ::apart] = (number[:, None] >> (n_bits - 1 - digit)[None, :, None]) & 1
    return spikes


def check_burst(obj: str, n_max: int, t_min: Any, t_max: Any) -> None:
    """Check the parameters of the burst code."""
    check_whole(obj, "n_max", n_max, 1, LARGEST)
    check_value(obj, "t_min", t_min, ms, "> 0")
    check_value(obj, "t_max", t_max, ms, "> 0")
    if t_max < t_min:
        raise ParameterError(obj, "t_max", t_max, f"at least t_min ({t_min})")


def burst(*, n_max: int = 5, t_min: Any = 2 * ms, t_max: Any = 10 * ms) -> NeuronModel:
    """Input population: one burst per sample, of more and faster spikes the larger the value.

    A value ``x`` in (0, 1] gives ``n = ceil(n_max*x)`` spikes, ``t_max - (t_max - t_min)*x``
    apart, from the onset (or the frame's begin) on; larger values count as 1. The j-th
    spike after the first is due j intervals later and is moved to the end of its time step.

    Parameters
    ----------
    n_max : int
        Number of spikes of ``x = 1``, > 0.
    t_min, t_max : Quantity
        Interval of ``x = 1``, at least a time step, and that of ``x`` near 0. Spikes that
        would come after the presentation are left out.

    Returns
    -------
    NeuronModel
        With the variable ``x``, which an input sets.

    Notes
    -----
    Guo et al. (2021), doi:10.3389/fnins.2021.638474, whose intervals are whole milliseconds;
    here they are rounded up to time steps, counted from the onset.
    """
    check_burst("burst", n_max, t_min, t_max)
    due = f"t_next = t_onset + dt + (fired - {_SLACK})*apart"
    return input_population(
        "BurstInput",
        _BURST_SOURCE,
        ("t_sample", "intensity"),
        "t_onset : second\nt_next : second\napart : second\nwanted : 1\nfired : 1",
        threshold="t_sample + dt >= t_next",
        reset=f"fired += 1\n{due}\nt_next += {NEVER}*second*int(fired >= wanted "
        "or t_next >= active_for or t_sample + 1.5*dt > active_for)",
        parameters={"n_max": float(n_max), "t_min": t_min, "t_max": t_max},
        operations=(
            Operation(
                code="fired = 0\nt_onset = t_sample\n"
                f"wanted = ceil(n_max*clip(intensity*x, 0, 1) - {_SLACK})\n"
                "apart = t_max - (t_max - t_min)*clip(intensity*x, 0, 1)\n"
                f"{due}\nt_next += {NEVER}*second*int(wanted < 0.5 or t_next >= active_for)",
                on="input",
            ),
        ),
        double=("x", "apart"),
    )


def burst_spikes(
    samples: ArrayLike,
    *,
    duration: Any,
    dt: Any = 1 * ms,
    n_max: int = 5,
    t_min: Any = 2 * ms,
    t_max: Any = 10 * ms,
) -> NDArray[np.bool_]:
    """Burst-coded spike trains of static samples, as :func:`burst` plays them.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255).
    duration, dt : Quantity
        Length of the trains and of a time step. Spikes that would come later are left out.
    n_max : int
        Number of spikes of ``x = 1``, > 0.
    t_min, t_max : Quantity
        Interval of ``x = 1``, at least ``dt``, and that of ``x`` near 0.

    Returns
    -------
    numpy.ndarray of bool, shape (n, T, features)
        ``True`` where a unit fires.

    Notes
    -----
    Guo et al. (2021), doi:10.3389/fnins.2021.638474. :func:`decode_burst` is the inverse.
    """
    check_burst("burst_spikes", n_max, t_min, t_max)
    values = as_shown(intensities(samples, "burst_spikes", ("n", "features")))
    n_steps, step = steps_of("burst_spikes", duration, dt)
    if float(t_min) < step * (1 - 1e-9):
        raise ParameterError("burst_spikes", "t_min", t_min, f"at least the time step ({dt})")
    wanted = np.ceil(n_max * values - _SLACK)
    apart = float(t_max) - float(t_max - t_min) * values
    spikes = np.zeros((len(values), n_steps, values.shape[1]), dtype=bool)
    for fired in range(n_max):
        steps = np.ceil((fired - _SLACK) * (apart / step)).astype(np.int64)
        sample, unit = np.nonzero((wanted > fired) & (steps < n_steps))
        spikes[sample, np.maximum(steps, 0)[sample, unit], unit] = True
    return spikes
