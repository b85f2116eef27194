"""Names and options of users that generated code and modules must bear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import ms, mV

import biosnn
from biosnn import encoding, models, networks
from biosnn.errors import ParameterError

torch = pytest.importorskip("torch")

from biosnn import surrogate  # noqa: E402

STEPS, SAMPLES, INPUTS = 15, 3, 6


@pytest.fixture(autouse=True)
def _brian2(fresh_brian2: None) -> None:
    """Every test with a Brian2 of its own."""


def network(current: str, tau: str = "tau_m") -> networks.NetworkModel:
    """Neurons whose synaptic current and time constant have the given names."""
    cell = models.neuron(
        equations=f"dv/dt = ({current} - v)/{tau} : 1\nd{current}/dt = -{current}/tau_g : 1",
        threshold="v >= V_th",
        reset=f"v = 0; {current} = 0.5*{current}",
        parameters={tau: 10 * ms, "tau_g": 4 * ms, "V_th": 0.3},
    )
    return networks.NetworkModel(
        name="Names",
        dt=1 * ms,
        inputs={"events": networks.Input(features=INPUTS, kind="events")},
        populations={
            "input": networks.Population(
                model=encoding.address_events(), n=INPUTS, drives={"x": "events"}
            ),
            "output": networks.Population(model=cell, n=5),
        },
        projections={
            "a": networks.Projection(
                pre="input",
                post="output",
                weights=models.Uniform(low=-0.2, high=0.9),
                transmit=f"{current}_post += w",
            )
        },
        presentation=networks.Presentation(duration=STEPS * ms, rest=3 * ms),
        output="output",
    )


def spikes() -> Any:
    """Input spikes [T, N, units]."""
    drawn = np.random.default_rng(0).random((STEPS, SAMPLES, INPUTS)) < 0.4
    return torch.as_tensor(drawn, dtype=torch.float64)


@pytest.mark.parametrize(
    ("current", "tau"),
    [
        ("const_1", "tau_m"),
        ("spike_now", "above_1"),
        ("spike_fired", "const_1"),
        ("v_new", "matrix_of_a"),
        ("at_post_of_a", "tau_m"),
        ("a_w", "tau_m"),
        ("protocol_seed", "port_x"),
    ],
)
def test_variables_may_have_names_like_those_of_generated_code(current: str, tau: str) -> None:
    net, given = network(current, tau), spikes()
    module = surrogate.compile(net).double()
    counts = module.counts(given, record=[f"output.{current}"]).detach().numpy()
    assert counts.sum() > 20
    assert module.recorded[f"output.{current}"].abs().max() > 0
    recording, _ = biosnn.compile(net, "runtime").run(
        surrogate.address_events(given, dt=1 * ms), state=module.state()
    )
    assert (recording.counts("output") == counts).all()


def test_gates_are_read_by_their_names() -> None:
    layer = surrogate.SpikingLayer(models.hodgkin_huxley(), dt=0.01 * ms)
    layer(torch.zeros(2, 3))
    assert layer.n.shape == (2, 3)


def test_one_name_is_as_good_as_a_list() -> None:
    module = surrogate.compile(network("g"), train="output.tau_m")
    assert list(module.trained) == ["output"]
    assert not module.weights["a"].requires_grad
    module(spikes(), record="output.g")
    assert module.recorded["output.g"].abs().max() > 0
    layer = surrogate.SpikingLayer(models.lif(), dt=1 * ms, train="tau_m")
    assert list(layer.trained) == ["tau_m"]


@pytest.mark.parametrize("dt", [0.001, 1 * mV, 0 * ms])
def test_a_time_step_is_a_time(dt: Any) -> None:
    with pytest.raises(ParameterError, match=r"SpikingLayer\.dt"):
        surrogate.SpikingLayer(models.lif(), dt=dt)


def test_state_dicts_hold_all_that_was_trained() -> None:
    options = {"train": ["a", "output.tau_m"]}
    one = surrogate.compile(network("g"), **options)
    other = surrogate.compile(network("g", tau="tau_m"), seed=5, **options)
    with torch.no_grad():
        one.trained["output"]["tau_m"].raw += 0.3
    counts = one.counts(spikes())
    assert counts.sum() > 20
    assert (other.counts(spikes()) != counts).any()
    other.load_state_dict(one.state_dict())
    assert torch.equal(other.weight("a"), one.weight("a"))
    assert torch.equal(other.counts(spikes()), counts)


def test_a_trained_constant_does_not_depend_on_where_its_module_began() -> None:
    one, other = (
        surrogate.SpikingLayer(models.lif(tau_m=tau), dt=1 * ms, train=["tau_m", "E_L"])
        for tau in (10 * ms, 20 * ms)
    )
    other.load_state_dict(one.state_dict())
    assert float(other.trained["tau_m"].quantity) == pytest.approx(0.01)
