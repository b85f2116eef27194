"""Orders of convergence: the error of each integrator on each neuron against its time step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from brian2 import Hz, ms, mV
from brian2.stateupdaters.base import UnsupportedEquationsException

from biosnn import models
from biosnn.models import NeuronModel, parsed, random_calls
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
#: Share of its drive with which a neuron stays below threshold.
WEAK = 0.1


def driven(name: str, *, smooth: bool) -> NeuronModel:
    """A model without spikes at random, whose input is a weak sinusoid of 100 Hz, or held.

    A drive that has an equation of its own is left alone.
    """
    factory, source = models.LIBRARY[name]
    model, (variable, value) = factory(), source.DRIVE
    if random_calls(model.threshold or ""):
        model = attrs.evolve(model, threshold="t < 0*second")
    if variable not in parsed(name, model.equations).parameter_names:
        return model
    if not smooth:
        return attrs.evolve(model, initial={**model.initial, variable: WEAK * value})
    lines = [
        line.replace(" :", f" = {variable}_1*sin(2*pi*f*t) :", 1)
        if line.split(":")[0].strip() == variable
        else line
        for line in model.equations.splitlines()
    ]
    return attrs.evolve(
        model,
        equations="\n".join(lines),
        initial={key: start for key, start in model.initial.items() if key != variable},
        parameters={**model.parameters, f"{variable}_1": WEAK * value, "f": 100 * Hz},
    )


def largest_errors(
    model: NeuronModel, name: str, steps: Sequence[float]
) -> tuple[list[float], float]:
    """Largest error of the potential for each time step in ms, and the potential's range."""
    source = models.LIBRARY[name][1]
    sample_every = source.STEP
    times = np.arange(0, DURATION, float(sample_every / ms)) * ms
    si = {key: float(np.asarray(value)) for key, value in source.START.items()}
    exact = reference(model, si, times)
    unit = 1e3 if parsed(name, model.equations)["v"].dim == mV.dim else 1.0
    errors = []
    for step in steps:
        run = simulate(
            model,
            1,
            DURATION * ms,
            dt=step * ms,
            values=source.START,
            sample_every=sample_every,
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
    coarsest = float(models.LIBRARY[name][1].STEP / ms)
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
        # What has no differential equations is not integrated.
        integrated = [name for name, (_, s) in models.LIBRARY.items() if hasattr(s, "STEP")]
        only = SHORT if short else dict.fromkeys(integrated, ("exact", *ORDERS))
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
