"""Neurons against closed forms, quadratures and the orders of their integrators, in short."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    Mohm,
    Network,
    Quantity,
    SpikeMonitor,
    cm,
    ms,
    mV,
    nA,
    pF,
    seed,
    uA,
)
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import expon, kstest

from biosnn import models
from validation import neurons
from validation._hodgkin_huxley import stability

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT = 0.1 * ms


def intervals(model: models.NeuronModel, duration: Any, dt: Any = DT, **values: Any) -> list[Any]:
    """Interspike intervals in ms of neurons with these values, one array per neuron."""
    n = max(np.size(value) for value in values.values())
    group = model.group(n, dt=dt)
    for name, value in values.items():
        setattr(group, name, value)
    spikes = SpikeMonitor(group)
    Network(group, spikes).run(duration)
    return [np.diff(np.asarray(train / ms)) for train in spikes.spike_trains().values()]


def test_rates_of_lif_and_qif() -> None:
    found = neurons.rates(short=True)
    curves = [figures for figures in found.values() if isinstance(figures, dict)]
    assert len(curves) == 4
    for curve in curves:
        assert curve["intervals"] > 50
        assert curve["silent_below_rheobase"]
        assert curve["largest_error_ms"] < curve["bound_ms"]
        assert np.diff(curve["rate_hz"]).min() > 0
    assert found["ok"]


def test_orders_of_convergence() -> None:
    found = neurons.convergence(short=True)
    orders = {
        (name, method): row.get("order")
        for name, rows in found["table"].items()
        for method, row in rows.items()
    }
    assert len(orders) == 8
    assert orders["lif", "euler"] == pytest.approx(1, abs=0.15)
    assert orders["lif", "rk2"] == pytest.approx(2, abs=0.15)
    assert orders["qif", "rk4"] == pytest.approx(4, abs=0.15)
    assert max(found["table"]["lif"]["exact"]["errors"]) < 1e-8
    assert found["ok"]


def test_interval_of_the_perfect_integrator() -> None:
    """T = t_ref + C*(V_th - V_r)/I, within one step."""
    current = np.array([0.05, 0.2, 0.9])
    model = models.integrate_and_fire(C=100 * pF, t_ref=1 * ms)
    found = intervals(model, 150 * ms, I=current * nA)
    expected = 1 + 100 * 15 / (1000 * current)
    for interval, theory in zip(found, expected, strict=True):
        assert len(interval) >= 3
        assert np.abs(interval - theory).max() < 0.1 + 1e-6


def test_soft_reset_of_the_perfect_integrator_loses_no_charge() -> None:
    model = models.integrate_and_fire(reset="soft", C=100 * pF)
    current = 0.333 * nA
    found = intervals(model, 300 * ms, I=current)[0]
    assert len(found) >= 50
    # Overshoot is kept, so that the mean has no bias from the time step.
    assert found.mean() == pytest.approx(100 * 15 / 333, abs=0.1 / len(found))


def test_interval_of_the_adaptive_lif() -> None:
    """In the steady state the threshold is raised by the sum of all earlier spikes' traces."""
    model = models.adaptive_lif(
        tau_m=10 * ms, tau_theta=50 * ms, theta_plus=3 * mV, R=1 * Mohm, t_ref=2 * ms
    )
    found = intervals(model, 300 * ms, I=40 * nA)[0]

    def excess(t: float) -> float:
        raised = 3 * np.exp(-t / 50) / (1 - np.exp(-t / 50))
        return 40 * (1 - np.exp(-(t - 2) / 10)) - (15 + raised)

    expected = brentq(excess, 3, 100)
    assert len(found) >= 12
    assert found[-1] > 1.5 * found[0]  # it adapts
    assert np.abs(found[-8:].mean() - expected) < 0.1


def test_adaptation_current_of_the_adaptive_lif() -> None:
    """The same with a current that grows by b; the potential is two exponentials' response."""
    model = models.adaptive_lif(
        tau_m=10 * ms, tau_w=50 * ms, b=2 * nA, theta_plus=0 * mV, R=1 * Mohm, t_ref=0 * ms
    )
    found = intervals(model, 300 * ms, I=40 * nA)[0]

    def excess(t: float) -> float:
        start = 2 / (1 - np.exp(-t / 50))  # of the current, in nA
        decayed = start * 50 / (50 - 10) * (np.exp(-t / 50) - np.exp(-t / 10))
        return 40 * (1 - np.exp(-t / 10)) - decayed - 15

    expected = brentq(excess, 1, 100)
    assert len(found) >= 12
    assert found[-1] > 1.2 * found[0]
    assert np.abs(found[-8:].mean() - expected) < 0.1


def test_equal_time_constants_have_another_method() -> None:
    assert models.adaptive_lif().method == "exact"
    model = models.adaptive_lif(tau_w=20 * ms, b=1 * nA)
    assert model.method == "exponential_euler"
    assert len(intervals(model, 60 * ms, I=2 * nA)[0]) >= 3


def test_interval_of_the_eif() -> None:
    """T = t_ref + the integral of C/(current of the membrane) from reset to peak."""
    current = np.array([1.0, 2.0, 6.0])
    found = intervals(models.eif(), 200 * ms, dt=0.02 * ms, I=Quantity(current) * uA / cm**2)
    for interval, drive in zip(found, current, strict=True):

        def slowness(v: float, drive: float = drive) -> float:
            spike = 0.1 * 3.48 * np.exp((v + 59.9) / 3.48)
            return 1 / (0.1 * (-65 - v) + spike + drive)

        expected = 1.7 + quad(slowness, -68, -30, epsabs=1e-9, limit=200)[0]
        assert len(interval) >= 4
        # One step, and up to two that Euler's method loses in the upstroke.
        assert np.abs(interval - expected).max() < 0.06


def first_and_second(model: models.NeuronModel, n: int, steps: int, dt: Any, **values: Any) -> Any:
    """Steps up to the first spike of each neuron, and from there to the second."""
    group = model.group(n, dt=dt)
    for name, value in values.items():
        setattr(group, name, value)
    spikes = SpikeMonitor(group)
    Network(group, spikes).run(steps * dt)
    trains = [np.asarray(train / dt).round() for train in spikes.spike_trains().values()]
    assert min(map(len, trains)) >= 2
    return np.array([train[0] + 1 for train in trains]), np.array([np.diff(x)[0] for x in trains])


def assert_geometric(steps: np.ndarray, probability: float) -> None:
    """Whether waiting times have this chance per step, by their mean and their distribution."""
    assert steps.mean() == pytest.approx(1 / probability, rel=4 / np.sqrt(len(steps)))
    # Spread over their step, they are exponential.
    spread = (
        steps
        + np.log(1 - np.random.default_rng(0).uniform(0, 1, len(steps)) * probability)
        / np.log(1 - probability)
        - 1
    )
    assert kstest(spread, expon(scale=-1 / np.log(1 - probability)).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("drive", "rate"), [(0.0, 40.0), (40.0, 120.0)])
def test_poisson_unit(drive: float, rate: float) -> None:
    """It waits for a time that is exponential with the rate nu_0 + gain*v, again and again."""
    seed(1)
    model = models.poisson_unit(nu_0=40 * Hz, gain=2 * Hz, tau_m=5 * ms)
    for steps in first_and_second(model, 1000, 700, 1 * ms, I=drive, v=drive):
        assert_geometric(steps, 1 - np.exp(-rate / 1000))


def test_poisson_unit_is_silent_at_negative_rates() -> None:
    model = models.poisson_unit(nu_0=20 * Hz, gain=2 * Hz)
    found = intervals(model, 300 * ms, I=np.array([50.0, -30.0]), v=np.array([50.0, -30.0]))
    assert len(found[0]) > 5
    assert len(found[1]) == 0


@pytest.mark.parametrize(("above", "t_ref"), [(0, 0), (1, 0), (0, 5)])
def test_escape_rate_with_a_constant_hazard(above: int, t_ref: int) -> None:
    """At V_th the hazard is rho_0, a width above it e times as much; then the dead time."""
    seed(2)
    level = (-50 + 2 * above) * mV
    model = models.escape_rate(
        E_L=level, V_th=-50 * mV, V_r=-50.001 * mV, Delta_u=2 * mV, rho_0=50 * Hz,
        tau_m=0.01 * ms, t_ref=t_ref * ms,
    )  # fmt: skip
    first, second = first_and_second(model, 1000, 500, 0.5 * ms, v=level)
    probability = 1 - np.exp(-0.05 * np.exp(above) * 0.5)
    assert_geometric(first, probability)
    assert second.min() >= t_ref / 0.5
    assert (second - t_ref / 0.5).mean() == pytest.approx(1 / probability, rel=0.15)


def test_hodgkin_huxleys_equilibrium() -> None:
    """Rest loses and regains its stability where Rinzel & Miller (1980) say."""
    found = stability(True)
    assert found["ok"]
    assert found["lower_hopf"]["value"] == pytest.approx(9.78, abs=0.01)
    assert found["upper_hopf"]["value"] == pytest.approx(154.5, abs=0.5)
