"""Faults of gradient training that strangers found: each must stay mended (W, S, C, P: numbers)."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from brian2 import Clock, NeuronGroup, SpikeMonitor, TimedArray, ms, mV, nA
from brian2 import Network as BrianNetwork

from biosnn import models, networks
from biosnn.errors import ParameterError

torch = pytest.importorskip("torch")

from biosnn import surrogate  # noqa: E402


@pytest.fixture(autouse=True)
def _brian2(fresh_brian2: None) -> None:
    """Every test with a Brian2 of its own."""
    torch.manual_seed(0)


def integrator(refractory: Any = 0 * ms) -> models.NeuronModel:
    """``v += x`` up to a threshold of 1 mV."""
    return models.neuron(
        name="IF",
        equations="dv/dt = 0*volt/second : volt (unless refractory)",
        threshold="v >= V_th",
        reset="v = 0*mV",
        refractory=refractory,
        method="euler",
        parameters={"V_th": 1 * mV},
    )


def steps_of(spikes: Any) -> list[int]:
    """Steps with a spike of the only neuron."""
    return spikes.flatten().nonzero().flatten().tolist()


# --- W3: inputs that are added


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_added_input_acts_in_every_step(dtype: Any) -> None:
    layer = surrogate.SpikingLayer(
        integrator(), dt=1 * ms, drive="v += x", gain=1 * mV, step_mode="multi"
    )
    spikes = layer(torch.full((12, 1, 1), 0.6, dtype=dtype))
    assert steps_of(spikes) == [1, 3, 5, 7, 9, 11]


def test_an_input_is_added_behind_the_leak() -> None:
    leaky = models.neuron(
        equations="dv/dt = -v/tau : 1", threshold="v >= 1", reset="v = 0", method="euler",
        parameters={"tau": 2 * ms},
    )  # fmt: skip
    layer = surrogate.SpikingLayer(
        leaky, dt=1 * ms, drive="v += x", detach_reset=True, step_mode="multi"
    )
    assert steps_of(layer(torch.ones(4, 1, 1))) == [0, 1, 2, 3]  # v - v/tau + x is 1
    layer.reset()
    x = torch.full((4, 1, 1), 0.4, requires_grad=True)
    assert steps_of(layer(x)) == []
    assert layer.v.item() == pytest.approx(0.4 * (1 + 0.5 + 0.25 + 0.125))
    layer.v.sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([0.125, 0.25, 0.5, 1.0])


@pytest.mark.parametrize("refractory", [0 * ms, 2 * ms])
def test_added_inputs_are_those_of_brian2_between_equations_and_threshold(refractory: Any) -> None:
    given = np.random.default_rng(1).random((40, 1))
    layer = surrogate.SpikingLayer(
        integrator(refractory), dt=1 * ms, drive="v += x", gain=1 * mV, step_mode="multi"
    )
    found = steps_of(layer(torch.as_tensor(given)[:, None]))
    group = integrator(refractory).group(1, clock=Clock(dt=1 * ms))
    group.namespace["given"] = TimedArray(given[:, 0] * mV, dt=1 * ms)
    group.run_regularly("v += given(t)", dt=1 * ms, when="after_groups")
    spikes = SpikeMonitor(group)
    BrianNetwork(group.contained_objects, group, spikes).run(40 * ms, namespace={})
    assert len(found) > 8
    assert found == np.rint(np.asarray(spikes.t_) * 1e3).astype(int).tolist()


# --- W12, S3: what an input of 1 means


def test_a_variable_with_a_unit_needs_a_gain() -> None:
    with pytest.raises(ParameterError, match=r"gain must be .*I has a unit.*Give gain=1\*nA"):
        surrogate.SpikingLayer(models.lif(), dt=1 * ms)
    with pytest.raises(ParameterError, match=r"v has a unit.*Give gain=1\*mV"):
        surrogate.SpikingLayer(models.lif(), dt=1 * ms, drive="v += x")
    for bad in (1e-9, 1 * mV, float("nan") * nA, float("inf") * nA, [1, 2] * nA, "1 nA"):
        with pytest.raises(ParameterError, match=r"SpikingLayer\.gain"):
            surrogate.SpikingLayer(models.lif(), dt=1 * ms, gain=bad)
    for bad in (float("nan"), 1 * mV):
        with pytest.raises(ParameterError, match=r"SpikingLayer\.gain"):
            surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms, gain=bad)
    assert surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms).gain == 1.0


# --- C4: files and copies


def round_trips(made: Any, folder: Any) -> dict[str, Any]:
    """A thing as it comes back from each way of storing it."""
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    joblib.dump(made, folder / "made.joblib")
    return {
        "torch.save": torch.load(file, weights_only=False),
        "pickle": pickle.loads(pickle.dumps(made)),
        "deepcopy": copy.deepcopy(made),
        "joblib": joblib.load(folder / "made.joblib"),
    }


def driven_group() -> NeuronGroup:
    """Three neurons of Brian2, with refractoriness and a TimedArray."""
    drive = TimedArray(np.linspace(0, 2, 30), dt=1 * ms)
    return NeuronGroup(
        3,
        "dv/dt = (I + drive(t) - v)/tau : 1 (unless refractory)\nI : 1",
        threshold="v > 1",
        reset="v = 0",
        refractory=2 * ms,
        method="euler",
        clock=Clock(dt=1 * ms),
        namespace={"tau": 5 * ms, "drive": drive},
    )


LAYERS: dict[str, Any] = {
    "layer": lambda: surrogate.SpikingLayer(
        models.lif(t_ref=2 * ms), dt=1 * ms, gain=100 * nA, train=("tau_m",), step_mode="multi"
    ),
    "group": lambda: surrogate.SpikingLayer(driven_group(), dt=1 * ms, step_mode="multi"),
    "sequential": lambda: surrogate.Sequential(
        torch.nn.Linear(3, 3),
        surrogate.SpikingLayer(surrogate.rate_neuron(0.5), dt=1 * ms),
        surrogate.ForeignStateful(torch.nn.GRUCell(3, 3)),
        step_mode="multi",
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_come_back_from_files_as_they_were(kind: str, tmp_path: Any) -> None:
    layer, x = LAYERS[kind](), torch.rand(30, 2, 3)
    expected = layer(x)
    assert expected.abs().sum() > 10
    with surrogate.OutputMonitor(layer):  # a monitor is not stored
        for way, twin in round_trips(layer, tmp_path).items():
            for part in surrogate.stateful_layers(layer):
                theirs = twin.get_submodule(part).memory
                for name, value in layer.get_submodule(part).memory.items():
                    assert torch.equal(theirs[name], value), (way, part, name)
            surrogate.reset(twin)
            assert torch.equal(twin(x), expected), way
            assert repr(twin) == repr(layer)


def test_networks_come_back_from_files_as_they_were(tmp_path: Any) -> None:
    declared = networks.feedforward((6, 4, 2), steps=20, weight_scale=2.0, delay=2 * ms)
    module = surrogate.compile(declared, train=["input_hidden1", "hidden1.tau_m"])
    given = (torch.rand(20, 3, 6) < 0.5).float()
    expected = module.counts(given, record=["hidden1.v"])
    assert expected.sum() > 3
    for way, twin in round_trips(module, tmp_path).items():
        found = twin.counts(given)
        assert torch.equal(found, expected), way
        found.sum().backward()
        assert twin.weights["input_hidden1"].grad.abs().sum() > 0
        assert np.array_equal(twin.state()["input_hidden1.w"], module.state()["input_hidden1.w"])
        assert twin.network.populations["hidden1"].n == 4


def test_a_fitted_classifier_comes_back_from_files_as_it_was(tmp_path: Any) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 6), dtype=np.uint8)
    y = np.where(x[:, 0] > x[:, 1], "left", "right")
    fitted = surrogate.LIFClassifier((6, 2), epochs=1, batch_size=20).fit(x, y)
    scores = fitted.decision_function(x)
    assert scores.sum() > 10
    for way, twin in round_trips(fitted, tmp_path).items():
        assert np.array_equal(twin.decision_function(x), scores), way
        assert np.array_equal(twin.predict(x), fitted.predict(x)), way
