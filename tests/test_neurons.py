"""Published neurons: resets, spikes that count once, singularities, patterns, shared groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import (
    Network,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    cm,
    ms,
    mV,
    nA,
    nS,
    pA,
    pF,
    uA,
)

from biosnn import models
from biosnn.declaration import from_data, to_data
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Operation
from experiments._firing_patterns import adex_patterns, izhikevich_patterns

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT = 0.1 * ms


def si(quantity: Any) -> Any:
    return np.asarray(quantity, dtype=float)


def course(model: NeuronModel, n: int, duration: Any, dt: Any = DT, **values: Any) -> Any:
    """Run; the spikes, and all variables at the end of every step."""
    group = model.group(n, dt=dt)
    for name, value in values.items():
        setattr(group, name, value)
    spikes, trace = SpikeMonitor(group), StateMonitor(group, True, record=True, when="end")
    Network(group, spikes, trace).run(duration)
    return spikes, trace


# Your own equations


def test_square_integrating_neuron() -> None:
    """V += x**2, hard reset at 1: the example in the documentation of models.neuron."""
    square = models.neuron(
        name="SquareIF",
        equations="v : 1\nI : 1",
        operations=[Operation(code="v += I**2", when="groups")],
        threshold="v >= V_th",
        reset="v = 0",
        parameters={"V_th": 1.0},
    )
    spikes, trace = course(square, 3, 6 * DT, I=[0.5, 0.75, -1.5])
    # 0.25 a step reaches 1 in the fourth; 0.5625 in the second; 2.25 in each.
    np.testing.assert_array_equal(si(trace.v[0]), [0.25, 0.5, 0.75, 0, 0.25, 0.5])
    np.testing.assert_array_equal(si(trace.v[1]), [0.5625, 0, 0.5625, 0, 0.5625, 0])
    np.testing.assert_array_equal(si(trace.v[2]), np.zeros(6))
    steps = {k: np.round(si(t / DT)).tolist() for k, t in spikes.spike_trains().items()}
    assert steps == {0: [3], 1: [1, 3, 5], 2: [0, 1, 2, 3, 4, 5]}


# Resets


@pytest.mark.parametrize(
    ("make", "drop"),
    [
        (models.integrate_and_fire, 15e-3),
        (models.adaptive_lif, 15e-3),
        (models.escape_rate, 15e-3),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hard_and_soft_reset(make: Callable[..., NeuronModel], drop: float) -> None:
    start = -30e-3
    found = {}
    for kind in ("hard", "soft"):
        model = make(reset=kind)
        spikes, trace = course(model, 1, DT, v=start * 1e3 * mV)
        assert spikes.num_spikes == 1
        found[kind] = si(trace.v)[0, 0]
    assert found["hard"] == pytest.approx(-65e-3, abs=1e-12)
    leak = {"IF": 0, "AdaptiveLIF": 0.1 / 20, "EscapeRate": 0.1 / 10}[make().name]
    expected = -65e-3 + (start + 65e-3) * np.exp(-leak) - drop
    assert found["soft"] == pytest.approx(expected, abs=1e-12)


def test_soft_reset_of_a_raised_threshold_subtracts_it() -> None:
    model = models.adaptive_lif(reset="soft", theta_plus=4 * mV, b=10 * pA)
    spikes, trace = course(model, 1, DT, v=-30 * mV, theta=5 * mV)
    assert spikes.num_spikes == 1
    decayed = 5e-3 * np.exp(-0.1 / 700)
    expected = -65e-3 + 35e-3 * np.exp(-0.1 / 20) - (15e-3 + decayed)
    assert si(trace.v)[0, 0] == pytest.approx(expected, abs=1e-12)
    assert si(trace.theta)[0, 0] == pytest.approx(decayed + 4e-3, abs=1e-12)
    assert si(trace.w_adapt)[0, 0] == pytest.approx(10e-12)


@pytest.mark.parametrize("make", [models.integrate_and_fire, models.adaptive_lif])
def test_kinds_of_reset_are_checked(make: Callable[..., NeuronModel]) -> None:
    with pytest.raises(ParameterError, match="hard") as caught:
        make(reset="elastic")
    assert caught.value.name == "reset"


@pytest.mark.parametrize(
    ("make", "end"), [(models.qif, "V_peak"), (models.eif, "V_peak"), (models.adex, "V_peak")]
)
def test_reset_potentials_are_below_the_peak(make: Callable[..., NeuronModel], end: str) -> None:
    with pytest.raises(ParameterError, match=f"below {end}") as caught:
        make(V_r=30 * mV)
    assert caught.value.name == "V_r"


@pytest.mark.parametrize(
    ("make", "options", "wanted"),
    [
        (models.discrete_leaky, {"reset": "hard"}, "'subtract', 'zero'"),
        (models.discrete_leaky, {"reset_delay": 1}, "True or False"),
        (models.discrete_lif, {"decay_input": "yes"}, "True or False"),
        (models.discrete_lif, {"tau": 1.0}, "> 1"),
        (models.discrete_synaptic, {"alpha": 1.2}, r"in \[0, 1\]"),
    ],
)
def test_options_of_discrete_neurons_are_checked(make: Any, options: Any, wanted: str) -> None:
    with pytest.raises(ParameterError, match=wanted) as caught:
        make(**options)
    assert caught.value.name == next(iter(options))


# Spikes without reset


@pytest.mark.parametrize(
    ("make", "current"),
    [
        (models.hodgkin_huxley, 30 * uA / cm**2),
        (models.traub_miles, 1 * nA),
        (models.pinsky_rinzel, 4 * uA / cm**2),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_spike_counts_once(make: Callable[..., NeuronModel], current: Any) -> None:
    model = make()
    spikes, trace = course(model, 1, 40 * ms, I=current)
    high = si(trace.v)[0] > si(model.parameters["V_th"])
    crossings = np.flatnonzero(high[1:] & ~high[:-1]) + 1
    assert len(crossings) >= 3
    assert high.sum() > 3 * len(crossings)  # each is above threshold for a while
    np.testing.assert_array_equal(np.round(si(spikes.t) / 0.1e-3), crossings)


def test_pinsky_rinzels_bursts() -> None:
    """A weak current into the soma evokes bursts with a slow spike of the dendrite's calcium."""
    spikes, trace = course(models.pinsky_rinzel(), 1, 60 * ms, I=0.75 * uA / cm**2)
    intervals = np.diff(si(spikes.t)) * 1e3
    assert len(intervals) == 2
    assert intervals.max() < 10
    calcium, dendrite = si(trace.Ca)[0], si(trace.v_d)[0]
    assert dendrite.max() > 0
    assert calcium.max() > 250  # so much that its potassium conductance is fully open
    assert calcium.argmax() > dendrite.argmax()


def test_hodgkin_huxley_rests_and_has_no_singularities() -> None:
    """Rest is a fixed point; at V_0 + 10 and + 25 mV the rates read 0/0 in the paper."""
    _, trace = course(models.hodgkin_huxley(), 1, 3 * ms)
    assert np.abs(si(trace.v)[0] + 65e-3).max() < 20e-6  # E_L has five digits
    near = np.array([-55, -55 + 1e-7, -40, -40 + 1e-7])
    _, trace = course(models.hodgkin_huxley(), 4, 2 * DT, v=near * mV)
    v = si(trace.v)
    assert np.isfinite(v).all()
    np.testing.assert_allclose(v[0::2], v[1::2], atol=1e-9)


def test_warmth_quickens_the_gates() -> None:
    """The rates grow threefold every 10 degrees."""
    _, cold = course(models.hodgkin_huxley(), 1, DT, v=-60 * mV)
    _, warm = course(models.hodgkin_huxley(T_C=16.3), 1, DT, v=-60 * mV)
    change = [float(si(trace.h)[0, 0]) - 0.596120754 for trace in (cold, warm)]
    assert change[1] / change[0] == pytest.approx(3, rel=0.02)


def test_the_share_of_the_soma_is_between_zero_and_one() -> None:
    for share in (0.0, 1.0):
        with pytest.raises(ParameterError, match=r"in \(0, 1\)"):
            models.pinsky_rinzel(p=share)


# Integration


def test_semi_implicit_euler() -> None:
    """V first, then u with the new v, whatever the order of the equations."""
    model = models.neuron(
        equations="du/dt = v/tau : 1\ndv/dt = -u/tau : 1",
        threshold="v > 2",
        method="semi_implicit_euler",
        parameters={"tau": 1 * ms},
        initial={"v": 1.0},
    )
    _, trace = course(model, 1, 5 * DT)
    u, v = 0.0, 1.0
    for step in range(5):
        v -= 0.1 * u
        u += 0.1 * v
        assert si(trace.v)[0, step] == pytest.approx(v, abs=1e-14)
        assert si(trace.u)[0, step] == pytest.approx(u, abs=1e-14)


def test_semi_implicit_euler_is_for_equations_without_noise() -> None:
    with pytest.raises(ParameterError, match=r"'semi_implicit_euler'.* deterministic .* 'euler'"):
        models.neuron(
            equations="dv/dt = -v/tau + xi*tau**-0.5 : 1",
            threshold="v > 2",
            method="semi_implicit_euler",
            parameters={"tau": 1 * ms},
        )


# Patterns


def test_published_sets() -> None:
    tonic = models.adex(pattern="tonic spiking")
    assert tonic.parameters["C"] == 200 * pF
    assert tonic.parameters["a"] == 2 * nS
    assert models.adex(pattern="tonic spiking", C=150 * pF).parameters["C"] == 150 * pF
    assert models.adex().parameters["b"] == 80.5 * pA
    fast = models.izhikevich(kind="FS")
    assert fast.parameters["a"] == 0.1 / ms
    assert models.izhikevich().parameters["d"] == 8 * mV / ms
    with pytest.raises(ParameterError, match="'delayed accelerating'") as caught:
        models.adex(pattern="tonic")
    assert caught.value.name == "pattern"
    with pytest.raises(ParameterError, match="'LTS'") as caught:
        models.izhikevich(kind="regular")
    assert caught.value.name == "kind"


def test_currents_of_patterns() -> None:
    adex, simple = adex_patterns(), izhikevich_patterns()
    assert (len(adex), len(simple)) == (8, 20)
    current = adex["irregular spiking"].current([0, 500, 2000] * ms)
    np.testing.assert_allclose(si(current), [160e-12, 160e-12, 0])
    # A bistable neuron: pulses of 1 on 0.24; edges are excluded.
    current = simple["bistability"].current([37.5, 37.75, 42.25, 42.5, 218] * ms)
    np.testing.assert_allclose(si(current), [0.24, 1.24, 1.24, 0.24, 1.24])
    ramp = simple["accommodation"].current([0, 100, 199.5, 250, 306.25, 320] * ms)
    np.testing.assert_allclose(si(ramp), [0, 4, 7.98, 0, 2, 0], atol=1e-6)


# Neurons that differ


def test_one_model_for_neurons_that_differ() -> None:
    """Each neuron behaves as it does alone."""
    cells = [
        models.lif(tau_m=tau * ms, t_ref=t_ref * ms, V_r=V_r * mV)
        for tau, t_ref, V_r in ((10, 0, -65), (20, 2, -70), (5, 1, -60))
    ]
    together = models.per_neuron(cells, name="Mixed")
    assert together.name == "Mixed"
    assert {"tau_m", "t_ref", "V_r"} <= set(together.variables)
    assert "E_L" in together.parameters
    spikes, trace = course(together, 3, 60 * ms, I=30 * nA)
    for k, cell in enumerate(cells):
        alone, trace_alone = course(cell, 1, 60 * ms, I=30 * nA)
        assert alone.num_spikes >= 2
        np.testing.assert_array_equal(si(spikes.t)[spikes.i == k], si(alone.t))
        np.testing.assert_allclose(si(trace.v)[k], si(trace_alone.v)[0], rtol=1e-9)


def test_neurons_that_differ_can_be_declared() -> None:
    cells = [pattern.model for pattern in list(izhikevich_patterns().values())[:6]]
    together = models.per_neuron(cells)
    back = from_data(json.loads(json.dumps(to_data(together))))
    assert back.equations == together.equations
    for variable in ("a", "d", "v", "u"):
        assert isinstance(back.initial[variable], Quantity)
        np.testing.assert_array_equal(si(back.initial[variable]), si(together.initial[variable]))
    np.testing.assert_allclose(si(together.initial["a"]), [20, 20, 20, 20, 20, 10])


def test_what_cannot_be_one_model() -> None:
    lif = models.lif()
    cases = {
        "at least one model": [],
        "the same equations": [lif, models.qif()],
        "the same reset": [lif, models.lif(reset="soft")],
        "the same method": [lif, attrs.evolve(lif, method="euler")],
    }
    for message, cells in cases.items():
        with pytest.raises(ParameterError, match=message) as caught:
            models.per_neuron(cells)
        assert caught.value.name == "models"
    scheduled = attrs.evolve(
        lif, parameters={**lif.parameters, "R": models.Schedule(start=1.0, stop=2.0)}
    )
    with pytest.raises(ParameterError, match="a number for each neuron") as caught:
        models.per_neuron([lif, scheduled])
    assert caught.value.name == "R"
