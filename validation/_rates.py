"""Rates of LIF and QIF neurons against their closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Mohm, Quantity, ms, mV, nA

from biosnn import models
from validation._simulate import Floats, mean_rates, simulate, verdict

LIF = {"tau_m": 10 * ms, "E_L": -65 * mV, "V_th": -50 * mV, "V_r": -68 * mV, "R": 1 * Mohm}
QIF = {
    "tau_m": 10 * ms,
    "a_0": 1 / (15 * mV),
    "E_L": -65 * mV,
    "V_c": -50 * mV,
    "V_peak": 0 * mV,
    "V_r": -65 * mV,
    "R": 1 * Mohm,
}


def lif_intervals(drive: Floats, t_ref: float) -> Floats:
    """Interval in ms for R*I in mV: t_ref + tau_m*ln((RI + E_L - V_r)/(RI + E_L - V_th))."""
    return t_ref + 10 * np.log((drive + 3) / (drive - 15))


def qif_intervals(drive: Floats, t_ref: float) -> Floats:
    """Interval in ms for R*I in mV.

    With the potential measured from the middle between E_L and V_c and in units of
    omega = sqrt(RI/a_0 - ((V_c - E_L)/2)**2), the equation is dx/dt = a_0*omega/tau_m*(x**2 + 1),
    and the time between two potentials is a difference of arctangents.
    """
    a_0, middle = 1 / 15, -57.5
    omega = np.sqrt(drive / a_0 - 7.5**2)
    angles = np.arctan((0 - middle) / omega) - np.arctan((-65 - middle) / omega)
    return t_ref + 10 * angles / (a_0 * omega)


def _rate_check(
    model: models.NeuronModel,
    drive: Floats,
    intervals: Floats,
    rheobase: float,
    duration: Any,
    dt: Any,
) -> dict[str, Any]:
    """Currents above the rheobase against the closed form; those below have to be silent."""
    silent = rheobase * np.array([0.0, 0.9, 0.999])
    current = Quantity(np.concatenate([silent, drive])) * nA
    run = simulate(
        model,
        len(current),
        duration,
        dt=dt,
        values={"I": current, "v": model.parameters["V_r"]},
        sample_every=duration,
    )
    trains = run.spikes[len(silent) :]
    measured = [np.diff(train) for train in trains]
    errors = [
        np.abs(found - expected).max() if len(found) else np.inf
        for found, expected in zip(measured, intervals, strict=True)
    ]
    bound = float(dt / ms)
    return {
        "ok": bool(max(errors) < bound and not any(map(len, run.spikes[: len(silent)]))),
        "current_nA": drive.tolist(),
        "rate_hz": mean_rates(trains).tolist(),
        "closed_form_hz": (1000 / intervals).tolist(),
        "intervals": sum(map(len, measured)),
        "largest_error_ms": float(max(errors)),
        "bound_ms": bound,
        "silent_below_rheobase": not any(map(len, run.spikes[: len(silent)])),
    }


def check(short: bool) -> dict[str, Any]:
    """f-I curves of LIF and QIF: every interval within one time step of its closed form."""
    n, duration = (8, 200 * ms) if short else (60, 1000 * ms)
    above = np.geomspace(1.01, 20, n)
    # Just above its rheobase the QIF neuron needs longer than the run for an interval.
    far_above = np.geomspace(1.5 if short else 1.1, 20, n)
    found = {}
    for t_ref in (0.0, 2.0):
        for dt in (0.1,) if short else (0.1, 0.02):
            name = f"t_ref_{t_ref:g}_ms_dt_{dt:g}_ms"
            found[f"lif_{name}"] = _rate_check(
                models.lif(**LIF, t_ref=t_ref * ms),
                15 * above,
                lif_intervals(15 * above, t_ref),
                15.0,
                duration,
                dt * ms,
            )
            found[f"qif_{name}"] = _rate_check(
                models.qif(**QIF, t_ref=t_ref * ms),
                3.75 * far_above,
                qif_intervals(3.75 * far_above, t_ref),
                3.75,
                duration,
                dt * ms,
            )
    return verdict(**found)
