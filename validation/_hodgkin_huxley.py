"""Hodgkin & Huxley's membrane: shape of its spike, threshold, and onset of repetitive firing.

Sources: Hodgkin & Huxley 1952, J. Physiol. 117:500, doi:10.1113/jphysiol.1952.sp004764; Rinzel &
Miller 1980, Math. Biosci. 49:27, doi:10.1016/0025-5564(80)90109-1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity, cm, ms, mV, uA
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import exprel

from biosnn import models
from validation._reference import right_hand_side
from validation._simulate import Floats, mean_rates, simulate, verdict, within


def paper(t: float, y: Floats) -> list[float]:
    """The equations as the paper has them, without current: depolarisation is negative.

    Hodgkin & Huxley 1952, eq. 26 with 7, 12, 13, 15, 16, 20, 21, 23, 24 and Table 3.
    """
    v, m, h, n = y
    ionic = 36 * n**4 * (v - 12) + 120 * m**3 * h * (v + 115) + 0.3 * (v + 10.613)
    return [
        -ionic,
        (1 - m) / exprel((v + 25) / 10) - m * 4 * np.exp(v / 18),
        (1 - h) * 0.07 * np.exp(v / 20) - h / (np.exp((v + 30) / 10) + 1),
        (1 - n) * 0.1 / exprel((v + 10) / 10) - n * 0.125 * np.exp(v / 80),
    ]


REST = (0.052932485, 0.596120754, 0.317676914)


def figures_of_a_spike(t: Floats, v: Floats) -> dict[str, float]:
    """Peak and trough from rest in mV, and the time above half of the peak in ms."""
    top = int(v.argmax())
    half = v[top] / 2
    rise = np.interp(half, v[: top + 1], t[: top + 1])
    below = top + int(np.argmax(v[top:] < half))
    fall = np.interp(-half, -v[top : below + 1], t[top : below + 1])
    return {
        "peak_mv": float(v[top]),
        "trough_mv": float(v[top:].min()),
        "half_width_ms": float(fall - rise),
    }


def spikes(short: bool) -> dict[str, Any]:
    """Displacements from rest, as in the paper's Fig. 12, at 6.3 degrees.

    In that figure 6 mV decay and 7, 15 and 90 mV make spikes of about 100 mV, followed by a trough
    of some 10 mV below rest, near the potassium potential (-12 mV). The spike after 15 mV is also
    held against the paper's own equations, solved by another integrator.
    """
    displaced = np.array([6.0, 7.0, 15.0, 90.0])
    dt = 0.02 if short else 0.005
    run = simulate(
        models.hodgkin_huxley(), 4, 12 * ms, dt=dt * ms, values={"v": (displaced - 65) * mV}
    )
    solution = solve_ivp(
        paper, (0, 12), [-15, *REST], method="DOP853", t_eval=run.t, rtol=1e-10, atol=1e-12
    )
    ours = figures_of_a_spike(run.t, run.v[2] + 65)
    theirs = figures_of_a_spike(run.t, -solution.y[0])
    peaks = run.v.max(axis=1) + 65
    return {
        **verdict(
            highest_without_spike_mv=within(peaks[0], 5, 10),
            lowest_peak_mv=within(peaks[1:].min(), 90, 110),
            spikes_counted=within(sum(map(len, run.spikes)), 3, 3),
            peak_mv=within(ours["peak_mv"], 95, 110),
            trough_mv=within(ours["trough_mv"], -12, -9),
            half_width_ms=within(ours["half_width_ms"], 1.0, 1.8),
            **{
                f"{name}_by_the_papers_equations": within(ours[name] / theirs[name], 0.99, 1.01)
                for name in ours
            },
        ),
        "displacement_mv": displaced.tolist(),
        "peaks_mv": peaks.tolist(),
    }


def _leading_eigenvalue(current: float) -> complex:
    """Of the linearised equations at their fixed point under a current in uA/cm2, in 1/ms."""
    model = models.hodgkin_huxley()
    rates, names, _ = right_hand_side(model, {"I": current * 1e-2})  # in A/m2

    def steady(v: float) -> tuple[float, Floats]:
        state = np.zeros(len(names))
        state[names.index("v")] = v
        still = rates(0.0, state)
        # The gates are linear: d/dt = alpha - (alpha + beta)*gate.
        state[:] = 1.0
        state[names.index("v")] = v
        full = rates(0.0, state)
        gates = still / (still - full)
        gates[names.index("v")] = v
        return float(rates(0.0, gates)[names.index("v")]), gates

    v = brentq(lambda x: steady(x)[0], -75e-3, -30e-3, xtol=1e-12)
    fixed = steady(v)[1]
    steps = 1e-6 * np.maximum(np.abs(fixed), 1e-2)
    columns = [
        (rates(0.0, fixed + step * unit) - rates(0.0, fixed - step * unit)) / (2 * step)
        for step, unit in zip(steps, np.eye(len(names)), strict=True)
    ]
    values = np.linalg.eigvals(np.array(columns).T) / 1000
    return complex(values[values.real.argmax()])


def stability(short: bool) -> dict[str, Any]:
    """Rest loses its stability at 9.78 and wins it back at 154.5 uA/cm2 (Rinzel & Miller 1980)."""
    lower = brentq(lambda i: _leading_eigenvalue(i).real, 5, 20, xtol=1e-6)
    upper = brentq(lambda i: _leading_eigenvalue(i).real, 100, 200, xtol=1e-6)
    return verdict(
        lower_hopf=within(lower, 9.77, 9.79),
        upper_hopf=within(upper, 154.0, 155.0),
        frequency_hz=within(abs(_leading_eigenvalue(lower).imag) * 1000 / (2 * np.pi), 80, 110),
    )


def onset(short: bool) -> dict[str, Any]:
    """Onset of repetitive firing: at 6.26 uA/cm2 (Rinzel & Miller 1980), at once with some 50 Hz.

    The neurons start displaced, so that what can go on firing does. Between the onset and the
    Hopf point rest is stable, too.
    """
    near = np.array([6.0, 6.6]) if short else np.arange(6.1, 6.44, 0.02)
    far = np.array([20.0]) if short else np.array([3.0, 8.0, 12.0, 20.0, 40.0, 80.0])
    current = np.concatenate([near, far])
    duration = 120.0 if short else 800.0
    run = simulate(
        models.hodgkin_huxley(),
        len(current),
        duration * ms,
        dt=(0.05 if short else 0.02) * ms,
        values={"I": Quantity(current) * uA / cm**2, "v": -40 * mV},
        sample_every=duration * ms,
    )
    sustained = np.array([len(x) > 0 and x[-1] > duration - 30 for x in run.spikes])
    last = [x[-5:] if ok else x[:0] for x, ok in zip(run.spikes, sustained, strict=True)]
    rates = mean_rates(last)
    firing = np.flatnonzero(sustained[: len(near)])
    least = int(firing.min()) if len(firing) else -1
    order = np.argsort(current)
    return {
        **verdict(
            onset_ua_per_cm2=within(near[least], 6.22, 6.3) if not short else within(least, 1, 1),
            onset_rate_hz=within(rates[least], 45, 60),
            largest_rate_hz=within(rates.max(), 70, 250),
        ),
        "current_ua_per_cm2": current[order].tolist(),
        "rate_hz": rates[order].tolist(),
    }


def check(short: bool) -> dict[str, Any]:
    """Every check of the membrane."""
    return verdict(spikes=spikes(short), stability=stability(short), onset=onset(short))
