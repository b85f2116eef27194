"""Leaky integrate-and-fire models against their closed forms and an independent integrator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Mohm, Network, NeuronGroup, SpikeMonitor, StateMonitor, ms, mV, nA, second
from scipy.integrate import solve_ivp

from biosnn import models

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT = 0.1 * ms
CURRENTS = np.array([15.1, 16.0, 18.0, 22.0, 30.0, 60.0])  # nA; the rheobase is 15 nA


def si(quantity: Any) -> Any:
    """A quantity's number in SI units."""
    return np.asarray(quantity, dtype=float)


def course(group: NeuronGroup, variable: str, duration: Any) -> tuple[np.ndarray, np.ndarray]:
    """Run; times and values of a variable at the beginning of every step, in SI units."""
    monitor = StateMonitor(group, variable, record=True)
    Network(group, monitor).run(duration)
    return si(monitor.t), si(getattr(monitor, variable))


@pytest.mark.parametrize("t_ref", [0 * ms, 0.1 * ms, 2 * ms, 5 * ms], ids=str)
def test_interspike_interval(t_ref: Any) -> None:
    """T = t_ref + tau_m*ln((RI + E_L - V_r)/(RI + E_L - V_th)), within one step."""
    model = models.lif(tau_m=10 * ms, E_L=-65 * mV, V_th=-50 * mV, V_r=-70 * mV, t_ref=t_ref)
    group = model.group(len(CURRENTS), dt=DT)
    group.v = model.parameters["V_r"]
    group.I = CURRENTS * nA
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(500 * ms)
    trains = monitor.spike_trains()
    drive = CURRENTS * 1e-3  # R = 1 Mohm: volts above E_L
    expected = si(t_ref) + 10e-3 * np.log((drive + 5e-3) / (drive - 15e-3))
    for neuron, interval in enumerate(expected):
        intervals = np.diff(si(trains[neuron]))
        assert len(intervals) >= 5
        assert np.ptp(intervals) < 1e-9  # periodic
        # A spike waits for the end of its step, and the step of the spike is the refractory
        # period's first one, so the error is less than one step to either side.
        assert abs(intervals[0] - interval) < si(DT)


def test_silence_at_and_below_the_rheobase() -> None:
    group = models.lif().group(3, dt=DT)
    group.I = [14.0, 15.0, 15.1] * nA
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(300 * ms)
    assert np.asarray(monitor.count)[2] > 0
    assert np.asarray(monitor.count)[:2].tolist() == [0, 0]


@pytest.mark.parametrize("dt", [0.01 * ms, 0.1 * ms, 1 * ms, 5 * ms], ids=str)
def test_relaxation(dt: Any) -> None:
    """V relaxes to E_L + R*I exponentially, to 1e-9 whatever the step (exact method)."""
    model = models.lif(tau_m=20 * ms, E_L=-65 * mV, R=2 * Mohm)
    group = model.group(3, dt=dt)
    start, current = np.array([-80.0, -51.0, -65.0]), np.array([0.0, 0.0, 3.0])
    group.v = start * mV
    group.I = current * nA
    t, v = course(group, "v", 100 * ms)
    asymptote = -65 + 2 * current
    expected = asymptote + (start - asymptote) * np.exp(-t[:, np.newaxis] / 20e-3)
    assert np.ptp(v, axis=1).min() > 5e-3
    np.testing.assert_allclose(v.T, 1e-3 * expected, rtol=1e-9)


@pytest.mark.parametrize("tau_syn", [0.5 * ms, 40 * ms], ids=str)
def test_psp_of_exponential_current(tau_syn: Any) -> None:
    """The difference of two exponentials of its two time constants, to 1e-9."""
    model = models.lif_exponential(tau_m=10 * ms, tau_syn=tau_syn, R=1 * Mohm)
    assert model.method == "exact"
    group = model.group(2, dt=DT)
    group.I_syn = [8, -8] * nA
    t, v = course(group, "v", 150 * ms)
    fast, slow = si(tau_syn), 10e-3
    shape = np.exp(-t / slow) - np.exp(-t / fast)
    psp = 8e-3 * fast / (slow - fast) * shape
    assert psp.max() > 0.2e-3
    np.testing.assert_allclose(v[0] + 65e-3, psp, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(v[1] + 65e-3, -psp, rtol=1e-9, atol=1e-15)


def alpha_error(dt: Any) -> float:
    model = models.lif_exponential(tau_m=10 * ms, tau_syn=10 * ms)
    group = model.group(1, dt=dt)
    group.I_syn = 8 * nA
    t, v = course(group, "v", 60 * ms)
    alpha = 8e-3 * t / 10e-3 * np.exp(-t / 10e-3)
    assert v.max() + 65e-3 > 2.5e-3
    return float(np.abs(v[0] + 65e-3 - alpha).max())


def test_psp_with_equal_time_constants() -> None:
    """The limit t*exp(-t/tau), where the exact method has a pole: first order in dt instead."""
    coarse, fine = alpha_error(0.1 * ms), alpha_error(0.05 * ms)
    assert coarse < 0.01 * 8e-3 / np.e  # below 1 % of the peak at a usual step
    assert fine / coarse == pytest.approx(0.5, abs=0.02)


def conductance_error(dt: Any) -> float:
    """Largest error of a subthreshold course with excitation and inhibition, in V."""
    model = models.lif_conductance_based()
    group = model.group(1, dt=dt)
    group.v, group.g_e, group.g_i = -58 * mV, 0.4, 1.5
    t, v = course(group, "v", 80 * ms)
    p = {name: float(si(value)) for name, value in model.parameters.items()}

    def right_hand_side(time: float, y: np.ndarray) -> float:
        g_e, g_i = 0.4 * np.exp(-time / p["tau_e"]), 1.5 * np.exp(-time / p["tau_i"])
        drive = p["E_L"] - y + g_e * (p["E_e"] - y) + g_i * (p["E_i"] - y)
        return drive / p["tau_m"]

    solution = solve_ivp(right_hand_side, (0, t[-1]), [-58e-3], t_eval=t, rtol=1e-10, atol=1e-14)
    assert np.ptp(solution.y) > 5e-3
    assert solution.y.max() < p["V_th"]
    return float(np.abs(v[0] - solution.y[0]).max())


def test_conductances_against_scipy() -> None:
    """Forward Euler is of first order: about dt/2 times the changes of slope add up.

    The slope changes by about 1 mV/ms in the course, which makes 50 uV at 0.1 ms.
    """
    coarse, fine = conductance_error(0.1 * ms), conductance_error(0.05 * ms)
    assert coarse < 50e-6
    assert fine / coarse == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("dt", [0.1 * ms, 0.5 * ms], ids=str)
def test_adaptive_threshold_of_diehl_and_cook(dt: Any) -> None:
    """Every spike adds theta_plus at its own time; in between theta decays with tau_theta.

    It decays by dt/tau_theta per step, of which (dt/tau_theta)**2/2 is not in the exponential.
    """
    model = models.diehl_cook_excitatory_cell(
        tau_theta=200 * ms, theta_plus=2 * mV, t_ref=5 * ms, tau_e=20 * ms
    )
    group = model.group(1, dt=dt)
    group.g_e = 20
    spikes, trace = SpikeMonitor(group), StateMonitor(group, "theta", record=0)
    Network(group, spikes, trace).run(150 * ms)
    times = si(spikes.t)
    assert len(times) >= 5
    step = float(dt / second)
    expected, theta = [], 20e-3
    fired = set(np.round(times / step).astype(int))
    for k in range(len(trace.t)):
        expected.append(theta)
        theta *= np.exp(-step / 200e-3)
        if k in fired:
            theta += 2e-3
    theta = si(trace.theta[0])
    np.testing.assert_allclose(theta, expected, rtol=len(theta) * (step / 200e-3) ** 2)
    jumps = np.diff(theta) + theta[:-1] * step / 200e-3
    assert set(np.flatnonzero(jumps > 1e-3)) == fired
    np.testing.assert_allclose(jumps[sorted(fired)], 2e-3, rtol=0.001)
    # With the threshold the intervals grow.
    assert np.diff(times)[-1] > np.diff(times)[0]


def test_adaptive_threshold_is_the_one_that_is_crossed() -> None:
    """A cell fires if and only if v exceeds V_th - theta_offset + theta."""
    model = models.diehl_cook_excitatory_cell(theta_plus=0 * mV)
    group = model.group(4, dt=0.1 * ms)
    group.theta = [20.0, 20.0, 25.0, 15.0] * mV
    group.v = [-51.9, -52.1, -51.9, -52.1] * mV  # the leak of one step is 0.013 mV
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(0.1 * ms)
    assert sorted(monitor.i) == [0, 3]
