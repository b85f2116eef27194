"""Names, options, samples and states that compiled modules must bear or refuse."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from brian2 import cm, ms, mV, nA, uA

import biosnn
from biosnn import encoding, models, networks, simulation
from biosnn.errors import DataError, ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.state import State

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
    module = surrogate.to_torch(net).double()
    counts = module.counts(given, record=[f"output.{current}"]).detach().numpy()
    assert counts.sum() > 20
    assert module.recorded[f"output.{current}"].abs().max() > 0
    recording, _ = biosnn.compile(net, "runtime").run(
        surrogate.address_events(given, dt=1 * ms), state=module.state()
    )
    assert (recording.counts("output") == counts).all()


def test_gates_are_read_by_their_names() -> None:
    layer = surrogate.SpikingLayer(models.hodgkin_huxley(), dt=0.01 * ms, gain=10 * uA / cm**2)
    layer(torch.zeros(2, 3))
    assert layer.n.shape == (2, 3)


def test_one_name_is_as_good_as_a_list() -> None:
    module = surrogate.to_torch(network("g"), train="output.tau_m")
    assert list(module.trained) == ["output"]
    assert not module.weights["a"].requires_grad
    module(spikes(), record="output.g")
    assert module.recorded["output.g"].abs().max() > 0
    layer = surrogate.SpikingLayer(models.lif(), dt=1 * ms, gain=20 * nA, train="tau_m")
    assert list(layer.trained) == ["tau_m"]


@pytest.mark.parametrize("dt", [0.001, 1 * mV, 0 * ms])
def test_a_time_step_is_a_time(dt: Any) -> None:
    with pytest.raises(ParameterError, match=r"SpikingLayer\.dt"):
        surrogate.SpikingLayer(models.lif(), dt=dt)


def test_state_dicts_hold_all_that_was_trained() -> None:
    options = {"train": ["a", "output.tau_m"]}
    one = surrogate.to_torch(network("g"), **options)
    other = surrogate.to_torch(network("g", tau="tau_m"), seed=5, **options)
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
        surrogate.SpikingLayer(
            models.lif(tau_m=tau), dt=1 * ms, gain=20 * nA, train=["tau_m", "E_L"]
        )
        for tau in (10 * ms, 20 * ms)
    )
    other.load_state_dict(one.state_dict())
    assert float(other.trained["tau_m"].quantity) == pytest.approx(0.01)


def leaky_readout() -> NetworkModel:
    leaky = models.neuron(
        equations="dv/dt = -v/tau : 1", method="exact", parameters={"tau": 10 * ms}
    )
    return NetworkModel(
        name="readout",
        dt=1 * ms,
        inputs={"events": Input(features=4, kind="events")},
        populations={
            "inp": Population(model=encoding.address_events(), n=4, drives={"x": "events"}),
            "out": Population(model=leaky, n=3),
        },
        projections={
            "a": Projection(
                pre="inp", post="out", transmit="v_post += w", weights=np.linspace(-1, 1, 12)
            )
        },
        presentation=Presentation(duration=20 * ms),
        output="out",
    )


def test_an_output_without_threshold_gives_its_potential() -> None:
    network = leaky_readout()
    module = surrogate.to_torch(network).double()
    torch.manual_seed(0)
    spikes = (torch.rand(20, 2, 4) < 0.3).double()
    potential = module(spikes)
    assert potential.abs().max() > 0.1
    runnable = simulation.compile(network, device="runtime", traces={"out.v": range(3)})
    recording, _ = runnable.run(
        surrogate.address_events(spikes, 1 * ms), module.state(), progress=False
    )
    found = recording.traces["out.v"].values.reshape(3, 2, 20).transpose(2, 1, 0)
    # The end of a step is the beginning of the next one.
    np.testing.assert_allclose(potential.detach().numpy()[:-1], found[1:], rtol=0, atol=1e-12)
    potential.sum().backward()
    assert copy.deepcopy(module).recorded == {}  # a recorded graph is not copied


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": torch.zeros(21, 2, 4)}, "at most 20 steps, got 21"),
        ({"x": torch.zeros(20, 2, 4), "sample_ids": torch.arange(3)}, r"shape \(2,\), got \(3,\)"),
    ],
)
def test_samples_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    module = surrogate.to_torch(leaky_readout())
    with pytest.raises(DataError, match=message):
        module(options.pop("x"), **options)


@pytest.mark.parametrize(
    ("state", "message"),
    [({"a.w": 1}, "must be a State"), (State({"a.w": np.ones(3)}), "must be 12 weights, got 3")],
)
def test_states_without_the_weights_are_refused(state: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        surrogate.to_torch(leaky_readout(), state=state)
