"""Learners in torch against Brian2 and against SpikingJelly (``make_spikingjelly_learners.py``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Network, SpikeMonitor, TimedArray, ms, second

from biosnn import models, plasticity
from biosnn.errors import ParameterError

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from biosnn import surrogate  # noqa: E402
from biosnn.surrogate.nn.stateful import Stateful  # noqa: E402

DT = 1 * ms
REFERENCE = Path(__file__).parent / "published" / "spikingjelly_learners.npz"
DISCRETE = models.neuron(
    equations="dv/dt = (I - v)/tau_m : 1\nI : 1",
    threshold="v >= V_th",
    reset="v = 0",
    method="euler",
    parameters={"tau_m": 2 * ms, "V_th": 1.0},
)
WIDE: dict[str, Any] = {"w_min": -100.0, "w_max": 100.0}


class Given(Stateful):
    """Neurons that fire as they are told: `spikes` has the steps, then the samples."""

    def __init__(self, spikes, **kwargs):
        super().__init__(**kwargs)
        self.spikes = spikes

    def initial_state(self, x):
        return {"step": torch.zeros(())}

    def single_step(self, x):
        spikes = self.spikes[int(self.step)]
        self.step = self.step + 1
        return spikes


def lif(**kwargs: Any):
    return surrogate.SpikingLayer(DISCRETE, dt=DT, detach_reset=False, **kwargs)


def trains(steps: int, *shape: int, rate: float = 0.3, seed: int = 0):
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.random((steps, *shape)) < rate, dtype=torch.float64)


def linear(n_in: int, n_out: int, low: float = 0.2, high: float = 0.8, seed: int = 1):
    made = nn.Linear(n_in, n_out, bias=False).double()
    weights = np.random.default_rng(seed).uniform(low, high, (n_out, n_in))
    made.weight.data = torch.as_tensor(weights)
    return made


# --- the same as Brian2

RULES = {
    "additive": plasticity.pair_stdp(A_plus=0.05, A_minus=0.06, tau_minus=30 * ms),
    "nearest": plasticity.pair_stdp(A_plus=0.05, A_minus=0.06, pairing="nearest"),
    "multiplicative": plasticity.pair_stdp(
        A_plus=0.1, A_minus=0.1, weight_dependence="multiplicative", w_max=0.9
    ),
    "power_law": plasticity.pair_stdp(
        A_plus=0.1, A_minus=0.1, weight_dependence="power_law", mu=(0.3, 0.7)
    ),
    "morrison": plasticity.pair_stdp(
        A_plus=0.1, A_minus=0.1, weight_dependence="morrison", w_max=5.0
    ),
    "triplet": plasticity.triplet_stdp(data="hippocampus", form="full", A3_plus=0.02),
    "triplet_nearest": plasticity.triplet_stdp(form="full", pairing="nearest"),
    "discrete": plasticity.discrete_stdp(tau_pre=3.0, eta=0.1, f_post="w_max - w"),
    "inhibitory": plasticity.inhibitory_stdp(eta=0.05),
    "diehl_cook": plasticity.diehl_cook_power_law(eta=0.05),
    "combined": plasticity.combined(
        plasticity.pair_stdp(A_plus=0.05), plasticity.heterosynaptic_decay(beta=0.02, power=1)
    ),
    "mstdp": plasticity.mstdp(modulator="critic.r", gamma=0.05),
    "mstdpet": plasticity.mstdpet(modulator="critic.r", gamma=0.5),
    "dopamine": plasticity.dopamine_stdp(modulator="critic.d", rate=20 / second, every=3 * ms),
}


def by_brian2(rule, weights, pre, post, reward):
    """Weights [pre, post] of Brian2 after the given spikes, step by step."""
    host = models.neuron(equations="told : 1", threshold="told > 0", reset="")
    groups, named = [], {}
    for side, spikes in (("pre", pre), ("post", post)):
        group = host.group(spikes.shape[1], traces=rule.needs(side), name=side, dt=DT)
        group.namespace[f"told_{side}"] = TimedArray(spikes, dt=DT, name=f"told_{side}")
        group.run_regularly(f"told = told_{side}(t, i)", when="start")
        groups.append(group)
    named["given"] = TimedArray(reward, dt=DT, name="given")
    for signal in rule.modulators:
        groups[1].namespace["given"] = named["given"]
        groups[1].run_regularly(f"{signal} = given(t)", when="start")
    synapses = rule.connect(*groups)
    synapses.w = weights.ravel()
    monitors = [SpikeMonitor(group, record=False) for group in groups]
    Network(*groups, synapses, *monitors).run(len(pre) * DT, namespace={})
    assert [m.num_spikes for m in monitors] == [int(pre.sum()), int(post.sum())]
    return np.array(synapses.w).reshape(weights.shape)


@pytest.mark.parametrize("name", RULES)
def test_weights_are_those_of_brian2(name, fresh_brian2):
    rule, steps = RULES[name], 60
    pre, post = trains(steps, 1, 6), trains(steps, 1, 4, seed=5)
    reward = np.random.default_rng(3).normal(size=steps)
    synapses = linear(6, 4)
    start = synapses.weight.detach().numpy().copy()
    expected = by_brian2(rule, start.T, pre[:, 0].numpy(), post[:, 0].numpy(), reward)
    cells = Given(post)
    learner = surrogate.Learner(rule, synapses, cells, dt=DT)
    for x, r in zip(pre, reward, strict=True):
        cells(synapses(x))
        given = {"reward": r} if rule.modulators else {}
        learner.step(on_grad=False, **given)
    found = synapses.weight.detach().numpy().T
    assert np.abs(expected - start.T).max() > 0.01, "the weights moved"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_one_call_after_many_steps_is_the_same():
    rule, pre, post = RULES["multiplicative"], trains(40, 2, 6), trains(40, 2, 4, seed=5)
    found = []
    for mode, every in (("single", 1), ("single", 8), ("multi", 8)):
        synapses = linear(6, 4)
        start = synapses.weight.detach().clone()
        cells = Given(post, step_mode=mode)
        net = surrogate.Sequential(synapses, cells, step_mode=mode)
        learner = surrogate.Learner(rule, synapses, cells, dt=DT)
        for chunk in pre.split(every):
            for x in chunk if mode == "single" else [chunk]:
                net(x)
            learner.step(on_grad=False)
        assert (synapses.weight - start).abs().max() > 0.05
        found.append(synapses.weight.detach())
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=0)


# --- the same as SpikingJelly


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as data:
        return dict(data)


LAYERS = {
    "linear": lambda: nn.Linear(6, 4, bias=False),
    "conv1d": lambda: nn.Conv1d(2, 3, 3, stride=2, padding=1, bias=False),
    "conv2d": lambda: nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=1, bias=False),
}


@pytest.mark.parametrize("on_grad", [True, False])
@pytest.mark.parametrize("mode", ["single", "multi"])
@pytest.mark.parametrize("name", LAYERS)
def test_stdp_is_that_of_spikingjelly(name, mode, on_grad, reference):
    key = f"{name}_{mode[0]}_{'grad' if on_grad else 'direct'}"
    x, weights, counts = (reference[f"{key}_{part}"] for part in ("x", "w", "counts"))
    settings = json.loads(str(reference["settings"]))["stdp"]
    rule = plasticity.discrete_stdp(
        tau_pre=settings["tau_pre"],
        tau_post=settings["tau_post"],
        eta=1.0,
        f_pre="w",
        f_post="1 - w",
        **WIDE,
    )
    synapses, cells = LAYERS[name]().double(), lif()
    synapses.weight.data = torch.tensor(weights[0])
    net = surrogate.Sequential(synapses, cells, step_mode=mode)
    learner = surrogate.Learner(rule, synapses, cells, sequential=False)
    optimiser = torch.optim.SGD(net.parameters(), lr=settings["lr"])
    assert len(weights) == 11
    assert np.abs(weights[-1] - weights[0]).max() > 0.1
    for number, given in enumerate(x):
        optimiser.zero_grad()
        with torch.no_grad():
            fired = net(torch.as_tensor(given, dtype=torch.float64)).sum()
        assert fired == counts[number]
        if on_grad:
            learner.step(on_grad=True)
            optimiser.step()
        else:
            learner.step(on_grad=False, scale=settings["lr"])
        np.testing.assert_allclose(
            synapses.weight.detach().numpy(), weights[number + 1], rtol=0, atol=1e-12
        )
        if mode == "multi":
            surrogate.reset(net)
            learner.reset()


@pytest.mark.parametrize("name", ["mstdp", "mstdpet"])
def test_rewarded_learning_is_that_of_spikingjelly_one_step_earlier(name, reference):
    """There the reward acts on the eligibility of the step before, here on that of its own."""
    pre, post, reward, weights = (reference[f"{name}_{k}"] for k in ("pre", "post", "reward", "w"))
    settings = json.loads(str(reference["settings"]))["reward"]
    options = {
        "modulator": "critic.r",
        "gamma": settings["lr"],
        "tau_plus": settings["tau_pre"] * DT,
        "tau_minus": settings["tau_post"] * DT,
        **WIDE,
    }
    if name == "mstdpet":
        options["tau_z"] = settings["tau_trace"] * DT
    rule = getattr(plasticity, name)(**options)
    synapses = nn.Linear(5, 4, bias=False).double()
    synapses.weight.data = torch.tensor(weights[0])
    cells = Given(torch.as_tensor(post, dtype=torch.float64))
    learner = surrogate.Learner(rule, synapses, cells, dt=DT)
    np.testing.assert_array_equal(weights[1], weights[0])
    assert np.abs(weights[-1] - weights[0]).max() > 0.1
    for number, x in enumerate(pre[:-1]):
        cells(synapses(torch.as_tensor(x, dtype=torch.float64)))
        learner.step(on_grad=False, reward=torch.as_tensor(reward[number + 1]))
        np.testing.assert_allclose(
            synapses.weight.detach().numpy(), weights[number + 2], rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("order", ["layer", "step"])
def test_convolutions_by_stdp_and_a_readout_by_gradients(order, reference):
    """Ten steps of both kinds of learning in one loop give SpikingJelly's weights."""
    data = {k.removeprefix("hybrid_"): v for k, v in reference.items() if k.startswith("hybrid_")}
    settings = json.loads(str(reference["settings"]))["hybrid"]
    net = surrogate.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        lif(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, bias=False),
        lif(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 5, bias=False),
        lif(),
        step_mode="multi",
        order=order,
    ).double()
    weights = {"w1": net[0].weight, "w2": net[3].weight, "w3": net[7].weight}
    for key, weight in weights.items():
        weight.data = torch.tensor(data[key][0])
    clamped = "clip(w, w_min, w_max)"
    rule = plasticity.discrete_stdp(
        tau_pre=settings["tau_pre"],
        tau_post=settings["tau_post"],
        eta=1.0,
        f_pre=clamped,
        f_post=clamped,
        w_min=-settings["w_max"],
        w_max=settings["w_max"],
    )
    learners = surrogate.add_learners(
        net, lambda synapses, cells: surrogate.Learner(rule, synapses, cells), nn.Conv2d
    )
    assert list(learners) == ["0", "3"]
    by_stdp = torch.optim.SGD([weights["w1"], weights["w2"]], lr=settings["lr"])
    by_gradient = torch.optim.Adam([weights["w3"]], lr=settings["lr_gradient"])
    for number, (x, label) in enumerate(zip(data["x"], data["labels"], strict=True)):
        out = net(torch.as_tensor(x, dtype=torch.float64))
        assert out.sum() == data["counts"][number] > 0
        loss = nn.functional.cross_entropy(out.mean(0), torch.as_tensor(label))
        by_gradient.zero_grad()
        loss.backward()
        by_stdp.zero_grad()
        for learner in learners.values():
            learner.step(on_grad=True)
            learner.reset()
        by_gradient.step()
        by_stdp.step()
        surrogate.reset(net)
    assert number == 9
    for key, weight in weights.items():
        start, end = data[key][0], data[key][-1]
        assert (np.abs(end - start).max((1, 2, 3) if end.ndim == 4 else 1) > 1e-3).all(), key
        np.testing.assert_allclose(weight.detach().numpy(), end, rtol=0, atol=1e-9, err_msg=key)


# --- laws


def test_a_convolution_is_a_linear_layer_with_shared_weights():
    """Every place of a kernel is a synapse; their changes add up, whatever the geometry."""
    rule, steps = plasticity.pair_stdp(A_plus=0.01, A_minus=0.008, **WIDE), 12
    geometry = {"stride": 2, "padding": 2, "dilation": 2, "groups": 2, "padding_mode": "circular"}
    conv = nn.Conv2d(4, 6, 3, bias=False, **geometry).double()
    pre = trains(steps, 2, 4, 7, 6)
    shape = conv(pre[0]).shape[1:]
    post = trains(steps, 2, *shape, seed=4)
    unit = torch.eye(4 * 7 * 6, dtype=torch.float64).reshape(-1, 4, 7, 6)
    # Which weight leads from each input to each output, as numbers from 1.
    numbered = nn.Conv2d(4, 6, 3, bias=False, **geometry).double()
    numbered.weight.data = (
        torch.arange(1.0, conv.weight.numel() + 1).double().reshape(conv.weight.shape)
    )
    which = numbered(unit).flatten(1).T.round().long().detach()
    dense = nn.Linear(4 * 7 * 6, int(np.prod(shape)), bias=False).double()
    flat = torch.cat([torch.zeros(1), conv.weight.detach().flatten()]).double()
    dense.weight.data = flat[which]
    changes = []
    for layer, x_of, cells in (
        (conv, lambda x: x, Given(post)),
        (dense, lambda x: x.flatten(1), Given(post.flatten(2))),
    ):
        learner = surrogate.Learner(rule, layer, cells, dt=DT)
        for x in pre:
            cells(layer(x_of(x)))
        changes.append(learner.step(on_grad=True))
        torch.testing.assert_close(layer.weight.grad, -changes[-1], rtol=0, atol=0)
    summed = torch.zeros_like(flat).index_add(0, which.flatten(), changes[1].flatten())[1:]
    assert summed.abs().max() > 0.1
    torch.testing.assert_close(changes[0].flatten(), summed, rtol=0, atol=1e-12)


def test_the_gradient_gets_the_change_with_the_opposite_sign_and_is_added_to():
    rule, pre, post = plasticity.pair_stdp(), trains(20, 3, 6), trains(20, 3, 4, seed=5)
    grads = {}
    for key, options, scale in (
        ("sum", {}, 1.0),
        ("mean", {"batch": "mean"}, 1.0),
        ("scaled", {}, 0.5),
    ):
        synapses, cells = linear(6, 4), Given(post)
        learner = surrogate.Learner(rule, synapses, cells, dt=DT, **options)
        for x in pre:
            cells(synapses(x))
        synapses.weight.grad = torch.ones_like(synapses.weight)
        start = synapses.weight.detach().clone()
        change = learner.step(scale=scale)
        assert change.abs().max() > 1e-3
        torch.testing.assert_close(synapses.weight.grad, 1 - change)
        torch.testing.assert_close(synapses.weight.detach(), start, rtol=0, atol=0)
        grads[key] = change
    torch.testing.assert_close(grads["mean"], grads["sum"] / 3)
    torch.testing.assert_close(grads["scaled"], grads["sum"] / 2)


def test_direct_changes_keep_the_bounds_and_clamp_does_after_an_optimiser():
    rule = plasticity.pair_stdp(A_plus=0.5, A_minus=0.5, w_min=0.1, w_max=0.6)
    for on_grad in (False, True):
        synapses, cells = linear(6, 4), Given(trains(20, 1, 4, seed=5))
        learner = surrogate.Learner(rule, synapses, cells, dt=DT)
        assert learner.bounds == (0.1, 0.6)
        for x in trains(20, 1, 6):
            cells(synapses(x))
        learner.step(on_grad)
        if on_grad:
            torch.optim.SGD(synapses.parameters(), lr=1.0).step()
            assert synapses.weight.max() > 0.6
            learner.clamp()
        assert (synapses.weight.min(), synapses.weight.max()) == (0.1, 0.6)


def test_a_reward_may_differ_between_steps_and_samples():
    rule, steps, n = plasticity.mstdpet(modulator="critic.r", **WIDE), 8, 3
    pre, post = trains(steps, n, 6), trains(steps, n, 4, seed=5)
    reward = torch.as_tensor(np.random.default_rng(2).normal(size=(steps, n)))

    def change(samples, given):
        synapses, cells = linear(6, 4), Given(post[:, samples], step_mode="multi")
        learner = surrogate.Learner(rule, synapses, cells, dt=DT)
        net = surrogate.Sequential(synapses, cells, step_mode="multi")
        net(pre[:, samples])
        return learner.step(reward=given)

    together = change([0, 1, 2], reward)
    assert together.abs().max() > 1e-3
    alone = sum(change([k], reward[:, k]) for k in range(n))
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(change([0, 1, 2], 2.0), change([0, 1, 2], torch.full((steps,), 2.0)))
    assert not torch.allclose(change([0], reward[:, 0]), change([0], reward[:, 1]))


def test_reset_forgets_and_disable_pauses():
    rule, pre, post = plasticity.pair_stdp(), trains(10, 1, 6), trains(10, 1, 4, seed=5)
    synapses, cells = linear(6, 4), Given(post)
    learner = surrogate.Learner(rule, synapses, cells, dt=DT)

    def run():
        cells.reset()
        for x in pre:
            cells(synapses(x))

    run()
    first = learner.step()
    assert learner.memory["pre_x"].max() > 0.5
    run()
    assert not torch.allclose(learner.step(), first), "traces last"
    learner.reset()
    assert learner.memory == {}
    run()
    torch.testing.assert_close(learner.step(), first)
    learner.disable()
    run()
    assert learner.step() is None
    learner.enable()
    run()
    assert learner.step() is not None


def test_the_code_can_be_read():
    synapses, cells = linear(6, 4), lif()
    learner = surrogate.Learner(RULES["multiplicative"], synapses, cells)
    assert "syn_A_plus = 0.1" in learner.source
    assert "pooled_(" in learner.source


# --- what is refused


def refused(name: str, learn: Any = None, **changes: Any) -> str:
    """The message of the refusal of an argument or of what `learn` does with a learner."""
    given = {
        "rule": plasticity.pair_stdp(),
        "synapses": linear(6, 4),
        "post": Given(None),
        "dt": DT,
    }

    def do() -> None:
        learner = surrogate.Learner(**(given | changes))
        if learn is not None:
            learn(learner)

    with pytest.raises(ParameterError, match=name) as error:
        do()
    return str(error.value)


def test_what_has_no_counterpart_is_refused_by_name():
    assert "v" in refused("v", rule=plasticity.voltage_stdp())
    assert "teach" in refused("teach", rule=plasticity.resume())
    refused("Schedule", rule=plasticity.pair_stdp(A_plus=models.Schedule(start=0.1, stop=0.01)))
    rule = plasticity.PlasticityRule(
        name="Odd",
        statements=(plasticity.Statements(side="pre", code="w += exp(x_pre*y_post)"),),
        pre_traces=(models.Trace(name="x", tau=5 * ms),),
        post_traces=(models.Trace(name="y", tau=5 * ms),),
    )
    assert "x_pre * y_post" in refused("sum of products", rule=rule)
    refused("rule", rule="stdp")
    refused("Conv1d or Conv2d", synapses=nn.Conv3d(1, 1, 2))
    refused("post", post=nn.ReLU())
    refused("dt", dt=None)
    refused("batch", batch="all")
    assert "1.5" in refused("every", rule=plasticity.mstdpet(modulator="a.r", every=1.5 * ms))


def test_records_that_do_not_fit_are_refused():
    def run(learner, pre, post, reward=None):
        learner.post.reset()
        learner.post.spikes = post[None]
        learner.post(learner.synapses(pre))
        learner.step(reward=reward)

    ones = torch.ones(2, 4, dtype=torch.float64)
    spikes = torch.ones(2, 6, dtype=torch.float64)
    refused("spikes, 0 or 1", lambda learner: run(learner, spikes / 2, ones))
    refused("shape of the output", lambda learner: run(learner, spikes, ones[:, :3]))
    refused("reward", lambda learner: run(learner, spikes, ones, 1.0))
    rewarded = plasticity.mstdp(modulator="critic.r")
    refused("reward", lambda learner: run(learner, spikes, ones), rule=rewarded)
    refused("reward", lambda learner: run(learner, spikes, ones, torch.ones(3)), rule=rewarded)

    def half(learner):
        learner.synapses(spikes)
        learner.step()

    refused("records", half)

    def grown(learner):
        run(learner, spikes, ones)
        run(learner, spikes[:1], ones[:1])

    assert "reset()" in refused("batch size", grown)
