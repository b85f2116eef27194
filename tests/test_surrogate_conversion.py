"""ReLU networks as integrate-and-fire neurons: closed forms, folding, scales, refusals."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
from brian2 import Network, SpikeMonitor, Synapses, ms
from patience import HANG

from biosnn import experiments
from biosnn.errors import ParameterError

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from biosnn import surrogate  # noqa: E402
from biosnn.surrogate.conversion.relu_networks import normalised  # noqa: E402

F64 = torch.float64


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(5)


def conv_net(groups=1, dtype=F64):
    """Every layer that can be converted, with BatchNorm statistics of its own."""
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Sequential(nn.Conv2d(6, 4, 3, padding=1, groups=groups), nn.BatchNorm2d(4), nn.ReLU()),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 12),
        nn.Dropout(0.5),
        nn.BatchNorm1d(12, affine=False),
        nn.ReLU(),
        nn.Linear(12, 5),
    ).to(dtype)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.3, 0.3)
            layer.running_var.uniform_(0.05, 0.5)
            if layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 2)
                nn.init.uniform_(layer.bias, -0.3, 0.5)
    return net.eval()


def images(n=40, dtype=F64):
    return torch.rand(n, 2, 12, 12, dtype=dtype)


def activations(net, x):
    """Output of each ReLU."""
    found = []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            found.append(x.detach())
    return found


def spiking(snn):
    layers = surrogate.stateful_layers(snn)
    return [name for name, layer in layers.items() if layer.output == "spike"]


def rates(snn, x, steps):
    """Mean spikes per step of each layer of neurons, and the potentials that were left."""
    names = spiking(snn)
    monitor = surrogate.OutputMonitor(snn, names)
    surrogate.reset(snn)
    with torch.no_grad():
        for _ in range(steps):
            snn(x)
    monitor.remove()
    left = [snn[int(name)].memory["v"] for name in names]
    return [torch.stack(monitor[name]).mean(0) for name in names], left


# --- the neuron


@pytest.mark.parametrize("initial", [0.0, 0.5])
def test_the_count_of_spikes_is_the_closed_form(initial):
    layer = surrogate.SpikingLayer(surrogate.rate_neuron(initial), dt=1 * ms, step_mode="multi")
    drive = torch.arange(-16, 65, dtype=F64) / 64  # exact in binary
    steps = 75
    counts = layer(drive.repeat(steps, 1, 1)).sum(0)[0]
    assert counts.max() == steps
    assert torch.equal(counts, (initial + steps * drive).floor().clamp(min=0))


def test_the_neuron_is_brian2s(fresh_brian2):
    model = surrogate.rate_neuron(0.5)
    drive = np.array([0.125, 0.3, 0.71, 1.0, -0.2])
    layer = surrogate.SpikingLayer(model, dt=1 * ms, step_mode="multi")
    spikes = layer(torch.tensor(drive).repeat(60, 1, 1))[:, 0]
    group = model.group(5, dt=1 * ms)
    group.I = drive
    monitor = SpikeMonitor(group)
    net = Network(group, monitor)
    net.run(60 * ms)
    expected = {tuple(map(int, pair)) for pair in spikes.nonzero()}
    assert len(expected) > 100
    assert {*zip(np.rint(monitor.t / ms).astype(int), monitor.i, strict=True)} == expected


def test_a_converted_network_is_brian2s_one_step_later_in_each_layer(fresh_brian2):
    """With weights that are exact in binary, no order of summation can differ."""
    ann = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    ann.to(F64)
    with torch.no_grad():
        for parameter in ann.parameters():
            parameter.copy_(torch.randint(-8, 20, parameter.shape) / 64)
    x = torch.randint(0, 17, (1, 6)).to(F64) / 16
    snn = surrogate.convert(ann, x, normalisation=None)
    monitor = surrogate.OutputMonitor(snn, spiking(snn))
    steps = 50
    with torch.no_grad():
        for _ in range(steps):
            snn(x)
    expected = [torch.stack(monitor[name])[:, 0].nonzero() for name in spiking(snn)]
    assert all(len(pairs) > 20 for pairs in expected)

    first, second = (snn[k].model.group(n, dt=1 * ms) for k, n in ((1, 8), (3, 4)))
    first.I = snn[0](x)[0].detach().numpy()
    synapses = Synapses(first, second, "w : 1", on_pre="v_post += w")
    synapses.connect()
    weights = snn[2].weight.detach().numpy()
    synapses.w = weights[synapses.j[:], synapses.i[:]]
    monitors = [SpikeMonitor(first), SpikeMonitor(second)]
    net = Network(first, second, synapses, *monitors)
    net.run(1 * ms)  # the second layer waits for its first input
    second.I = snn[2].bias.detach().numpy()
    net.run(steps * ms)
    for late, (found, pairs) in enumerate(zip(monitors, expected, strict=True)):
        t = np.rint(found.t / ms).astype(int) - late
        assert {(k, i) for k, i in zip(t, found.i, strict=True) if k < steps} == {
            tuple(map(int, pair)) for pair in pairs
        }


# --- folding and scales


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_batch_norm_is_folded_exactly(dtype):
    net, x = conv_net(dtype=dtype), images(dtype=dtype)
    chain = surrogate.fold_batch_norm(net)
    assert not any("Norm" in type(layer).__name__ for layer in chain)
    expected = net(x)
    assert expected.std() > 0.05
    assert (chain(x) - expected).abs().max() < (1e-6 if dtype == torch.float32 else 1e-14)


def test_a_module_with_its_own_forward_is_read():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)
            self.norm = nn.BatchNorm2d(3)
            self.relu = nn.ReLU()
            self.out = nn.Linear(300, 4)

        def forward(self, x):
            return self.out(torch.flatten(self.relu(self.norm(self.conv(x))).relu_(), 1))

    class Plain(Net):
        def forward(self, x):
            x = torch.nn.functional.relu(self.norm(self.conv(x)), inplace=True)
            return self.out(x.flatten(start_dim=1))

    net = Plain().eval()
    x = images(dtype=torch.float32)
    assert torch.allclose(surrogate.fold_batch_norm(net)(x), net(x), atol=1e-6)
    with pytest.raises(ParameterError, match=r"'relu_.*a ReLU without one.*Leave it out"):
        surrogate.fold_batch_norm(Net())


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("channelwise", [False, True])
def test_the_maximum_becomes_one_and_the_output_stays(channelwise, groups):
    net, x = conv_net(groups), images()
    before = activations(surrogate.fold_batch_norm(net), x)
    assert all(part.max() > 0.1 for part in before)
    chain, scale = normalised(net, x, 100.0, channelwise)
    after = activations(chain, x)
    assert scale == 1
    assert torch.allclose(chain(x), net(x), atol=1e-12)
    for raw, part in zip(before, after, strict=True):
        axes = [k for k in range(part.dim()) if k != 1] if channelwise else [*range(part.dim())]
        alive = raw.amax(axes) > 0
        assert alive.any()
        assert torch.allclose(part.amax(axes)[alive], torch.ones(1, dtype=F64), atol=1e-12)
        assert torch.allclose(part.amax(axes)[~alive], torch.zeros(1, dtype=F64))


@pytest.mark.parametrize("percentile", [99.9, 97.3, 80.0])
@pytest.mark.parametrize("channelwise", [False, True])
def test_a_percentile_is_that_of_all_data_at_once(channelwise, percentile):
    net, x = conv_net(), images()
    whole = normalised(net, x, percentile, channelwise)[0]
    labels = torch.zeros(len(x))
    batches = list(zip(x.split(7), labels.split(7), strict=True))
    parts = normalised(net, batches, percentile, channelwise)[0]
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-12)
    raw = activations(surrogate.fold_batch_norm(net), x)
    checked = 0
    for before, after in zip(raw, activations(whole, x), strict=True):
        axes = (0, *range(2, before.dim())) if channelwise else None
        scale = np.percentile(before.numpy(), percentile, axis=axes, keepdims=True)
        usable = np.broadcast_to(scale > 0, before.shape)
        expected = before.numpy() / np.where(scale > 0, scale, 1)
        checked += usable.sum()
        assert np.allclose(after.numpy()[usable], expected[usable], rtol=1e-9)
    assert checked > 5000


def test_a_silent_channel_keeps_its_weights():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)).to(F64)
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 2, 1], [-1, -1, -2]]))
        net[0].bias.copy_(torch.tensor([0.5, -1]))
    x = torch.rand(20, 3, dtype=F64)
    chain = normalised(net, x, 100.0, True)[0]
    assert torch.equal(chain[0].weight[1], net[0].weight[1])
    assert not torch.equal(chain[0].weight[0], net[0].weight[0])
    assert torch.allclose(chain(x), net(x), atol=1e-12)


def test_only_the_given_inputs_count_and_the_network_stays():
    net, x = conv_net().train(), images()
    before = copy.deepcopy(net.state_dict())
    state = torch.random.get_rng_state()
    snn = surrogate.convert(net, x[:20])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert net.training
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), key
    with torch.no_grad():
        snn[0].weight.mul_(2)
    assert torch.equal(net[0].weight, before["0.weight"])
    labelled = [(x[:20], torch.full((20,), 7))]
    same, again, more = (surrogate.convert(net, data) for data in (x[:20], labelled, 3 * x))
    assert torch.equal(again[3].weight, same[3].weight)
    assert not torch.allclose(again[0].weight, more[0].weight)


# --- rates


def test_rates_are_the_activations_within_what_is_left_in_the_potentials():
    """A layer's rate is its mean input less what its potential has gained per step."""
    net, x, steps = conv_net(), images(6), 64
    snn = surrogate.convert(net, x, initial=0.5)
    found, left = rates(snn, x, steps)
    assert all(0.02 < rate.mean() < 1 for rate in found)
    chain, _ = normalised(net, x, 100.0, False)
    y, k = x, 0
    for layer in chain:
        if isinstance(layer, nn.ReLU):
            assert torch.allclose(y - (left[k] - 0.5) / steps, found[k], atol=1e-12)
            y, k = found[k], k + 1
        else:
            y = layer(y).detach()
    assert k == 3
    assert torch.allclose(snn[-1].memory["v"] / steps, y, atol=1e-12)


@pytest.mark.parametrize("channelwise", [False, True])
def test_the_error_falls_as_one_over_the_number_of_steps(channelwise):
    """Of the first layer it is below 1/T; behind it, a layer adds its own to what it is given."""
    net = nn.Sequential(
        nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 4)
    ).to(F64)
    x = torch.rand(8, 10, dtype=F64)
    chain, _ = normalised(net, x, 100.0, channelwise)
    wanted = activations(chain, x)
    snn = surrogate.convert(net, x, channelwise=channelwise)
    worst = {}
    gain = float(chain[2].weight.detach().abs().sum(1).max())
    for steps in (64, 256):
        found, _ = rates(snn, x, steps)
        worst[steps] = [float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True)]
        output = snn[-1].memory["v"] / steps
        worst[steps].append(float((output - net(x)).detach().abs().max()))
        assert 0 < worst[steps][0] < (1 + 1e-9) / steps
        assert worst[steps][1] < (3 + gain) / steps
    for early, late in zip(worst[64], worst[256], strict=True):
        assert 2 < early / late < 8, "1/4, but for where the last spike fell"


def test_a_last_relu_gives_its_own_activations():
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten()
    ).to(F64)
    nn.init.constant_(net[2].bias, 0.4)
    x = images(10)
    for channelwise in (False, True):
        snn = surrogate.convert(net, x, channelwise=channelwise, initial=0.5)
        found = surrogate.outputs_over_time(snn, x, 256)[-1]
        assert net(x).detach().min() > 0.05
        assert (found - net(x).detach()).abs().max() < 0.005


def test_poisson_input_has_the_same_mean():
    net = nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 3)).to(F64)
    x = torch.rand(5, 12, dtype=F64)
    snn = surrogate.convert(net, x)
    noise = torch.Generator().manual_seed(2)
    found = surrogate.outputs_over_time(snn, x, 1500, encoding="poisson", generator=noise)
    assert 0 < (found[-1] - net(x)).detach().abs().max() < 0.1
    assert not torch.equal(found[9], surrogate.outputs_over_time(snn, x, 10)[9])
    with pytest.raises(ParameterError, match=r"x must be probabilities in .*got values from"):
        surrogate.outputs_over_time(snn, 2 * x, 3, encoding="poisson")


# --- accuracy


def test_accuracy_over_time_reaches_that_of_the_network():
    net, x = conv_net(), images(60)
    classes = net(x).argmax(1)
    classes[:6] = (classes[:6] + 1) % 5  # the network is right in nine of ten
    snn = surrogate.convert(net, x, normalisation=99.9, initial=0.5)
    found = surrogate.accuracy_over_time(snn, (x, classes), 48, batch_size=25)
    assert found.shape == (48,)
    assert found.dtype == np.float64
    assert 0.85 <= found[-1] <= 0.95
    batches = zip(x.split(35), classes.split(35), strict=True)
    assert np.array_equal(surrogate.accuracy_over_time(snn, batches, 48), found)
    outputs = surrogate.outputs_over_time(snn, x, 48)
    assert np.allclose((outputs.argmax(-1) == classes).double().mean(1), found)
    assert (outputs[-1] - net(x)).abs().max() < (outputs[3] - net(x)).abs().max()
    assert not any(layer.memory for layer in surrogate.stateful_layers(snn).values())


def test_poisson_accuracy_follows_its_seed():
    net, x = conv_net(), images(30)
    classes = net(x).argmax(1)
    snn = surrogate.convert(net, x, normalisation=99.9, initial=0.5)
    first, again, other = (
        surrogate.accuracy_over_time(snn, (x, classes), 12, encoding="poisson", seed=s)
        for s in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_sequences_go_through_in_multi_step_mode():
    net, x = conv_net(), images(4)
    snn = surrogate.convert(net, x)
    expected = surrogate.outputs_over_time(snn, x, 20)
    surrogate.set_step_mode(snn, "multi")
    sums = snn(x.repeat(20, 1, 1, 1, 1)).detach()
    counts = torch.arange(1, 21).view(-1, 1, 1)
    assert expected.abs().max() > 0.1
    assert torch.allclose(sums / counts, expected, atol=1e-12)


# --- refusals


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return torch.relu(self.a(x)) + self.b(x)


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        self.b(x)
        return torch.relu(self.a(x))


class Viewed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return torch.relu(self.a(x.view(x.shape[0], -1)))


class Decides(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def before_relu(*layers):
    return nn.Sequential(*layers, nn.Linear(4, 4), nn.ReLU())


@pytest.mark.parametrize(
    ("ann", "said"),
    [
        (before_relu(nn.MaxPool2d(2)), "'0', must be .*got MaxPool2d. Use average pooling"),
        (before_relu(nn.Linear(4, 4), nn.Tanh()), "'1', must be .*got Tanh. Use ReLU"),
        (before_relu(nn.LeakyReLU()), "got LeakyReLU. Use ReLU"),
        (before_relu(nn.LayerNorm(4)), "got LayerNorm. Use BatchNorm"),
        (nn.Sequential(before_relu(), nn.Softmax(1)), "'1', must be .*got Softmax. Leave it out"),
        (before_relu(nn.BatchNorm1d(4)), "'0', must be directly behind Linear or Conv"),
        (
            before_relu(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)),
            "without running statistics",
        ),
        (before_relu(nn.ReLU()), "'0', must be behind a layer with weights"),
        (before_relu(nn.Flatten(0)), r"must be torch.nn.Flatten\(\) from 1 to -1"),
        (before_relu(nn.Flatten(), nn.AvgPool1d(2)), "AvgPool1d of features. Pool before"),
        (nn.Sequential(nn.Linear(4, 4)), "must be a chain with a ReLU"),
        (Branch(), "'b', must be fed by relu alone.*Branches have no conversion"),
        (Shortcut(), "'a', must be fed by b alone, got Linear that is fed by .x.. Branches"),
        (Viewed(), "got getattr. Use torch.nn.Flatten"),
        (Decides(), "got Decides, whose forward depends on its input"),
        (lambda x: x, "must be a torch.nn.Module"),
    ],
)
def test_what_has_no_conversion_is_refused_by_name(ann, said):
    with pytest.raises(ParameterError, match=said):
        surrogate.convert(ann, torch.rand(3, 4))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"normalisation": "mean"}, "normalisation must be one of 'max', None"),
        ({"normalisation": 100.5}, "normalisation must be .*got 100.5"),
        ({"normalisation": 0.0}, "normalisation must be > 0"),
        ({"initial": 1.0}, r"initial must be in \[0, 1\)"),
        ({"initial": -0.1}, "initial must be >= 0"),
        ({"data": []}, "data must be inputs"),
        ({"data": 3}, "data must be inputs"),
        ({"data": torch.full((2, 4), torch.inf)}, "data must be finite"),
    ],
)
def test_bad_arguments_are_refused(change, said):
    with pytest.raises(ParameterError, match=said):
        surrogate.convert(before_relu(), **{"data": torch.rand(3, 4), **change})


def test_bad_arguments_of_a_run_are_refused():
    snn = surrogate.convert(before_relu(), torch.rand(3, 4))
    x, classes = torch.rand(3, 4), torch.zeros(3)
    with pytest.raises(ParameterError, match="steps must be a whole number >= 1"):
        surrogate.outputs_over_time(snn, x, 0)
    with pytest.raises(ParameterError, match="encoding must be one of 'direct', 'poisson'"):
        surrogate.outputs_over_time(snn, x, 2, encoding="latency")
    with pytest.raises(ParameterError, match="one class for each input, got 3 inputs and 2"):
        surrogate.accuracy_over_time(snn, (x, classes[:2]), 2)
    with pytest.raises(ParameterError, match="inputs with their classes, got none"):
        surrogate.accuracy_over_time(snn, [], 2)


# --- the experiment


@pytest.mark.slow
def test_digits_survive_the_conversion(tmp_path):
    script, out = experiments.find_experiment("ann2snn_mnist"), tmp_path / "out"
    command = [sys.executable, str(script), "--smoke", "--quiet", "--out", str(out)]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=HANG)
    report = json.loads((out / "results.json").read_text("utf-8"))
    metrics, controls = report["metrics"], report["controls"]
    assert controls["ann"] > 0.9
    assert controls["untrained"] < 0.4 < 0.8 < controls["pixels_linear"]
    assert metrics["accuracy"] > controls["ann"] - 0.03
    assert all(curve[0] < curve[-1] for curve in metrics["accuracy_at"].values())
    assert metrics["spikes_per_image"] > 1000
    assert (out / "accuracy_over_time.png").exists()
