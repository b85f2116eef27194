"""Orders of convergence: the error of each integrator on each neuron against its time step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import Equations, Hz, cm, ms, mV, nA, uA
from brian2.stateupdaters.base import UnsupportedEquationsException

from biosnn import models
from biosnn.models import NeuronModel
from validation._reference import reference
from validation._simulate import simulate

#: Integrator -> order of convergence; the exact one has only the rounding of its steps. Brian2's
#: Heun is for noise; without noise it is Euler's method.
ORDERS = {
    "euler": 1,
    "semi_implicit_euler": 1,
    "exponential_euler": 1,
    "rk2": 2,
    "heun": 1,
    "rk4": 4,
}
#: The fitted order may differ by so much.
TOLERANCE = 0.15
#: Largest error of the exact integrator, relative to the range of the potential.
ROUNDING = 1e-9
DURATION = 16.0  # ms

#: Model -> amplitude of its sinusoidal input (about nothing), values at first, and the largest
#: time step in ms. All stay below threshold, and are far from rest.
SETTINGS: dict[str, tuple[Any, dict[str, Any], float]] = {
    "integrate_and_fire": (0.2 * nA, {"v": -60 * mV}, 0.8),
    "lif": (10 * nA, {"v": -60 * mV}, 0.8),
    "lif_exponential": (10 * nA, {"v": -60 * mV, "I_syn": 5 * nA}, 0.8),
    "lif_conductance": (None, {"v": -58 * mV, "g_e": 0.4, "g_i": 1.5}, 0.8),
    "adaptive_lif": (0.1 * nA, {"v": -60 * mV, "w_adapt": 0.05 * nA, "theta": 2 * mV}, 0.8),
    "qif": (3 * nA, {"v": -58 * mV}, 0.4),
    "eif": (0.5 * uA / cm**2, {"v": -63 * mV}, 0.4),
    "adex": (0.3 * nA, {"v": -60 * mV, "w_adapt": 0.05 * nA}, 0.4),
    "izhikevich": (1 * mV / ms, {"v": -65 * mV}, 0.4),
    "hodgkin_huxley": (1 * uA / cm**2, {"v": -62 * mV}, 0.1),
    "traub_miles": (0.05 * nA, {"v": -75 * mV}, 0.05),
    "pinsky_rinzel": (0.5 * uA / cm**2, {"v": -62 * mV}, 0.1),
    "poisson_unit": (2.0, {"v": 1.0}, 0.8),
    "escape_rate": (5 * nA, {"v": -63 * mV}, 0.8),
    "diehl_cook_excitatory": (None, {"v": -60 * mV, "g_e": 1.0, "g_i": 0.5}, 0.2),
    "diehl_cook_inhibitory": (None, {"v": -55 * mV, "g_e": 0.5, "g_i": 0.3}, 0.2),
    "competitive": (1.0, {"v": 5.0}, 0.8),
}
#: Makes the spikes of random units so rare that none comes.
_RARE: dict[str, dict[str, Any]] = {
    "poisson_unit": {"gain": 1e-12 * Hz},
    "escape_rate": {"rho_0": 1e-12 * Hz},
}


def driven(name: str, *, smooth: bool) -> NeuronModel:
    """A model with a sinusoidal input of 100 Hz, or with its input held at the amplitude."""
    amplitude, _, _ = SETTINGS[name]
    model = models.LIBRARY[name][0]().with_parameters(**_RARE.get(name, {}))
    if amplitude is None:
        return model
    if not smooth:
        return attrs.evolve(model, initial={**model.initial, "I": amplitude})
    lines = [
        line.replace("I :", "I = I_1*sin(2*pi*f*t) :") if line.startswith("I :") else line
        for line in model.equations.splitlines()
    ]
    return attrs.evolve(
        model,
        equations="\n".join(lines),
        initial={key: value for key, value in model.initial.items() if key != "I"},
        parameters={**model.parameters, "I_1": amplitude, "f": 100 * Hz},
    )


def largest_errors(model: NeuronModel, name: str, steps: list[float]) -> tuple[list[float], float]:
    """Largest error of the potential for each time step in ms, and the potential's range."""
    _, values, coarsest = SETTINGS[name]
    times = np.arange(0, DURATION, coarsest) * ms
    si = {key: float(np.asarray(value)) for key, value in values.items()}
    exact = reference(model, si, times)
    unit = 1e3 if Equations(model.equations)["v"].dim == mV.dim else 1.0
    errors = []
    for step in steps:
        run = simulate(
            model,
            1,
            DURATION * ms,
            dt=step * ms,
            values=values,
            sample_every=coarsest * ms,
        )
        if len(run.spikes[0]):
            raise RuntimeError(f"{name} fired; its potential is not smooth")
        errors.append(float(np.abs(run.v[0] - unit * exact).max()))
    return errors, float(unit * np.ptp(exact))


def fitted_order(steps: list[float], errors: list[float]) -> float:
    """Slope of log(error) over log(step), by least squares."""
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def _row(name: str, method: str) -> dict[str, Any] | None:
    """Figures of one integrator on one model; none if it cannot solve the equations."""
    coarsest = SETTINGS[name][2]
    exactly = method == "exact"
    model = attrs.evolve(driven(name, smooth=not exactly), method=method)
    # Fourth order reaches the rounding of doubles soon, so it gets longer steps.
    steps = [coarsest / 2**k for k in range(1 if exactly else 4)]
    try:
        errors, scale = largest_errors(model, name, steps)
    except Exception as error:
        if not _unsolvable(error):
            raise
        return None
    row: dict[str, Any] = {"steps_ms": steps, "errors": errors, "range": scale}
    if exactly:
        return {**row, "ok": errors[0] < ROUNDING * scale, "bound": ROUNDING * scale}
    if max(errors) < ROUNDING * scale:
        return {**row, "ok": True, "order": None, "note": "exact for these equations"}
    order = fitted_order(steps, errors)
    # A smaller error than promised is no fault: some equations cancel the leading term.
    expected = ORDERS[method]
    return {
        **row,
        "order": order,
        "expected": expected,
        "ok": expected - TOLERANCE < order,
        "as_expected": abs(order - expected) < TOLERANCE,
    }


def _unsolvable(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, UnsupportedEquationsException):
            return True
        error = error.__cause__
    return False


def check(short: bool, only: Mapping[str, tuple[str, ...]] | None = None) -> dict[str, Any]:
    """A table: model -> integrator -> order fitted to four time steps.

    Parameters
    ----------
    short : bool
        A few models and integrators instead of all.
    only : mapping, optional
        Which ones, model -> integrators.
    """
    if only is None:
        everything = ("exact", *ORDERS)
        only = SHORT if short else dict.fromkeys(SETTINGS, everything)
    table: dict[str, Any] = {}
    for name, methods in only.items():
        rows = {method: _row(name, method) for method in methods}
        table[name] = {method: row for method, row in rows.items() if row is not None}
    return {
        "ok": all(row["ok"] for rows in table.values() for row in rows.values()),
        "table": table,
    }


SHORT = {
    "lif": ("exact", "euler", "rk2"),
    "qif": ("rk4",),
    "adex": ("euler", "heun"),
    "izhikevich": ("semi_implicit_euler",),
    "hodgkin_huxley": ("exponential_euler",),
}


def lines(table: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The table as text."""
    methods = ("exact", *ORDERS)
    yield " | ".join(["model", *methods])
    for name, rows in table.items():
        cells = []
        for method in methods:
            row = rows.get(method)
            if row is None:
                cells.append("-")
            elif row.get("order") is None:
                cells.append(f"error {max(row['errors']):.1e}")
            else:
                cells.append(f"{row['order']:.2f}")
        yield " | ".join([name, *cells])
