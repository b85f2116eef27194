"""Discrete neurons against SpikingJelly's and snnTorch's (``make_discrete_neurons.py``)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms

from biosnn import models, simulation
from biosnn.errors import ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

torch = pytest.importorskip("torch")

from biosnn import surrogate  # noqa: E402

DATA = np.load(Path(__file__).with_name("discrete_neurons.npz"))
CASES: dict[str, dict[str, Any]] = json.loads(str(DATA["cases"]))
N_STEPS, N_SAMPLES, N_NEURONS = DATA["loss"].shape
DTYPES = {"double": torch.float64, "single": torch.float32}
#: What sums in another order may change, in units of the last place of the largest gradient.
ULPS = 16


def cell(case: dict[str, Any]) -> models.NeuronModel:
    """The library's neuron as an entry of biosnn."""
    given = dict(case)
    of = given.pop("of")
    if of in ("Leaky", "Synaptic"):
        make = {"Leaky": models.discrete_leaky, "Synaptic": models.discrete_synaptic}[of]
        return make(reset=given.pop("reset_mechanism"), V_th=given.pop("threshold"), **given)
    v_reset = given.pop("v_reset")
    kind = {"reset": "soft"} if v_reset is None else {"V_r": v_reset}
    if of == "IFNode":
        return models.discrete_if(**kind)
    if of == "LIFNode":
        return models.discrete_lif(**given, **kind)
    given["a"] = -math.log(given.pop("init_tau") - 1)
    return models.discrete_plif(**given, **kind)


def layer(case: dict[str, Any]) -> surrogate.SpikingLayer:
    """It as a layer whose surrogate has the libraries' unit of the threshold."""
    model = cell(case)
    train = ("a",) if "a" in model.parameters else ()
    return surrogate.SpikingLayer(model, dt=1 * ms, width=1.0, train=train, step_mode="multi")


def recorded(name: str, kind: str, key: str) -> np.ndarray:
    return DATA[f"{name}/{kind}/{key}"]


def distance(ours: Any, theirs: np.ndarray) -> float:
    """Largest difference in units of the last place of the largest value."""
    ours = ours.detach().numpy()
    assert ours.dtype == theirs.dtype
    return float(np.abs(ours - theirs).max() / np.spacing(np.abs(theirs).max()))


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_layers_equal_the_libraries(name: str, kind: str) -> None:
    """Spikes, potentials and gradients of the input to the last bit."""
    dtype = DTYPES[kind]
    x, w, loss = (torch.tensor(DATA[key], dtype=dtype) for key in ("x", "w", "loss"))
    w.requires_grad_()
    received = torch.nn.functional.linear(x, w)
    received.retain_grad()
    neurons, potentials = layer(CASES[name]).to(dtype), []
    handle = neurons.register_step_hook(lambda m: potentials.append(m.memory["v"].detach()))
    spikes = neurons(received)
    handle.remove()
    (spikes * loss).sum().backward()
    assert 20 < spikes.sum() < 0.9 * spikes.numel()
    assert received.grad.abs().max() > 0.1
    np.testing.assert_array_equal(spikes.detach().numpy(), recorded(name, kind, "spikes"))
    np.testing.assert_array_equal(torch.stack(potentials).numpy(), recorded(name, kind, "v"))
    if name == "synaptic_zero_late":  # snnTorch takes what it adds in vain away again, rounded
        assert distance(received.grad, recorded(name, kind, "grad_I")) <= 1
    else:
        np.testing.assert_array_equal(received.grad.numpy(), recorded(name, kind, "grad_I"))
    # Sums over samples and steps have the order of the machine's linear algebra.
    assert distance(w.grad, recorded(name, kind, "grad_w")) <= ULPS
    if "a" in neurons.trained:
        constant = neurons.trained["a"]
        of_a = constant.raw.grad / constant.begin.abs()
        found, expected = float(of_a), float(recorded(name, kind, "grad_a"))
        assert abs(expected) > 0.01
        assert abs(found - expected) <= ULPS * torch.finfo(dtype).eps


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_two_layers_equal_the_libraries(name: str, kind: str) -> None:
    dtype = DTYPES[kind]
    x, w, w2, loss = (torch.tensor(DATA[key], dtype=dtype) for key in ("x", "w", "w2", "loss2"))
    w.requires_grad_()
    w2.requires_grad_()
    first = layer(CASES[name]).to(dtype)(torch.nn.functional.linear(x, w))
    second = layer(CASES[name]).to(dtype)(torch.nn.functional.linear(first, w2))
    (second * loss).sum().backward()
    assert second.sum() > 10
    np.testing.assert_array_equal(first.detach().numpy(), recorded(name, kind, "two/spikes"))
    np.testing.assert_array_equal(second.detach().numpy(), recorded(name, kind, "two/spikes2"))
    assert distance(w2.grad, recorded(name, kind, "two/grad_w2")) <= ULPS
    assert distance(w.grad, recorded(name, kind, "two/grad_w")) <= ULPS


def test_a_constant_that_only_begins_a_variable_cannot_be_trained() -> None:
    """``tau`` of this neuron is where ``tau_m`` begins; nothing would change with it."""
    with pytest.raises(ParameterError, match=r"train must be a constant .* use, got 'tau'"):
        surrogate.SpikingLayer(models.discrete_lif(), dt=1 * ms, train="tau")


def network() -> NetworkModel:
    """All neurons, each as a layer that gets the recorded input, and one behind it."""
    populations, projections = {}, {}
    for name, case in CASES.items():
        populations[name] = Population(model=cell(case), n=N_NEURONS, drives={"I": "received"})
        populations[f"{name}_2"] = Population(model=cell(case), n=len(DATA["w2"]))
        projections[f"{name}_to"] = Projection(
            pre=name, post=f"{name}_2", transmit="I_syn_post += w", weights=DATA["w2"].T
        )
    return NetworkModel(
        name="discrete",
        dt=1 * ms,
        inputs={"received": Input(features=N_NEURONS, kind="sequence", frame=1 * ms)},
        populations=populations,
        projections=projections,
        # A spike reaches the second layer in the next step.
        presentation=Presentation(duration=(N_STEPS + 1) * ms),
        output=next(iter(populations)),
    )


@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_brian2_has_the_libraries_spikes(device: str) -> None:
    """Of both layers, in their steps; the second layer is one step behind."""
    received = np.einsum("tsi,ni->stn", DATA["x"], DATA["w"])
    math_ = {"math": "strict"} if device == "cpp" else {}
    net = network()
    runnable = simulation.compile(net, device=device, spikes=tuple(net.populations), **math_)
    found = runnable.run(received, progress=False)[0].spikes
    for name in CASES:
        for population, key, late in ((name, "spikes", 0), (f"{name}_2", "spikes2", 1)):
            theirs = recorded(name, "double", f"two/{key}")
            ours = np.zeros((N_STEPS + 1, *theirs.shape[1:]), dtype=np.uint8)
            spikes = found[population]
            ours[np.rint(spikes.t / 1e-3).astype(int), spikes.sample, spikes.i] = 1
            assert theirs.sum() > 10
            np.testing.assert_array_equal(ours[late : N_STEPS + late], theirs, population)
