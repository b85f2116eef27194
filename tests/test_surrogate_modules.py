"""Torch modules with a state: step modes, containers, wrappers, whole-network helpers."""

import copy
import io
from collections import OrderedDict

import pytest

from biosnn.errors import ParameterError

torch = pytest.importorskip("torch")

from surrogate_cells import IF, Leaky  # noqa: E402
from torch import nn  # noqa: E402

from biosnn.surrogate.nn.containers import (  # noqa: E402
    ForeignStateful,
    Sequential,
    Stateless,
    multi_step_forward,
    seq_to_batch,
)
from biosnn.surrogate.nn.helpers import (  # noqa: E402
    add_learners,
    detach,
    in_step_mode,
    reset,
    set_step_mode,
    stateful_layers,
)
from biosnn.surrogate.nn.stateful import Stateful, Stepped  # noqa: E402

T, N = 5, 3
DTYPES = [torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(3)


def conv_net(**kwargs):
    net = Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        IF(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 6),
        IF(),
        **kwargs,
    )
    nn.init.uniform_(net[0].weight, -0.2, 0.4)
    nn.init.uniform_(net[5].weight, -0.2, 0.3)
    net[1].running_mean.uniform_(-0.5, 0.5)
    net[1].running_var.uniform_(0.5, 2)
    return net.eval()


def images(dtype=torch.float32, steps=T):
    return torch.rand(steps, N, 1, 6, 6, dtype=dtype)


def answer(net, run, x):
    """Output of `run` and the gradients of a loss in input and parameters, from a fresh state."""
    reset(net)
    net.zero_grad()
    x = x.clone().requires_grad_()
    y = run(x)
    weights = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).view_as(y)
    (y * weights).sum().backward()
    return [y.detach(), x.grad, *(p.grad.clone() for p in net.parameters())]


class Block(nn.Module):
    """A user's block that knows nothing of step modes."""

    def __init__(self, width):
        super().__init__()
        self.weights = nn.Linear(width, width)
        self.neurons = IF()

    def forward(self, x):
        return x + self.neurons(self.weights(x))


# --- step modes


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("way", ["layer", "step", "multi_step_forward", "kept single", "block"])
def test_all_ways_through_time_give_the_same_outputs_and_gradients(dtype, way):
    net, x = conv_net().to(dtype), images(dtype)
    if way == "block":
        net.append(Block(6).to(dtype))
    expected = answer(net, lambda x: torch.stack([net(step) for step in x]), x)
    spikes, dx = expected[:2]
    rate = spikes.mean()
    assert 0.1 < rate < 2
    assert all(grad.abs().max() > 1e-3 for grad in expected[1:])
    assert (dx.flatten(1).abs().sum(1) > 0).all()
    if way == "multi_step_forward":
        found = answer(net, lambda x: multi_step_forward(x, net), x)
    else:
        set_step_mode(net, "multi", keep=[net[2]] if way == "kept single" else ())
        net.order = "step" if way == "step" else "layer"
        found = answer(net, net, x)
    assert torch.equal(found[0], spikes)
    rtol = 1e-4 if dtype == torch.float32 else 1e-12
    for grad, wanted in zip(found[1:], expected[1:], strict=True):
        assert grad.dtype == dtype
        scale = wanted.abs().max().item()
        torch.testing.assert_close(grad, wanted, rtol=rtol, atol=rtol * scale)


def test_a_layer_kept_in_multi_step_mode_gets_sequences_of_one_step():
    net, x = conv_net(), images()
    expected = torch.stack([net(step) for step in x])
    assert expected.any()
    reset(net)
    net[2].step_mode = "multi"
    assert torch.equal(torch.stack([net(step) for step in x]), expected)
    assert net[2].step_mode == "multi"


def test_setting_a_step_mode_reaches_all_layers_but_the_kept():
    net = Sequential(IF(), Sequential(IF(), Stateless(nn.ReLU())), Block(2))
    parts = [net, net[0], net[1], net[1][0], net[1][1], net[2].neurons]
    assert {part.step_mode for part in parts} == {"single"}
    set_step_mode(net, "multi", keep=[net[1], "2.neurons"])
    assert [part.step_mode for part in parts] == [
        "multi", "multi", "single", "single", "single", "single",
    ]  # fmt: skip
    with in_step_mode(net, "single"):
        assert {part.step_mode for part in parts} == {"single"}
    assert [part.step_mode for part in parts[:3]] == ["multi", "multi", "single"]
    net.step_mode = "multi"
    assert {part.step_mode for part in parts} == {"multi"}
    with pytest.raises(ParameterError, match='step_mode must be "single" or "multi", got \'m\''):
        set_step_mode(net, "m")
    with pytest.raises(ParameterError, match="'7'"):
        set_step_mode(net, "single", keep="7")
    with pytest.raises(ParameterError, match="order"):
        Sequential(order="time")


def test_a_block_with_a_step_mode_of_its_own_gets_the_whole_sequence():
    seen = []

    class Own(Stepped, Block):
        def forward(self, x):
            seen.append(tuple(x.shape))
            if self.step_mode == "single":
                return super().forward(x)
            return x + self.neurons(seq_to_batch(x, self.weights))

    net, x = Sequential(Own(4)), torch.rand(T, N, 4) * 2
    expected = torch.stack([net(step) for step in x])
    assert (expected != x).any()
    reset(net)
    net.step_mode = "multi"
    assert torch.equal(net(x), expected)
    assert seen == [(N, 4)] * T + [(T, N, 4)]


def test_batch_norm_in_training_sees_all_steps_as_one_batch():
    net = Sequential(nn.BatchNorm1d(2, momentum=1.0), step_mode="multi")
    x = torch.randn(T, N, 2) + torch.arange(T).view(T, 1, 1)
    net(x)
    torch.testing.assert_close(net[0].running_mean, x.mean((0, 1)))


def test_parts_and_sums_of_a_sequential_keep_modes():
    net = Sequential(OrderedDict(a=nn.Linear(2, 2), b=IF(), c=IF()), step_mode="multi")
    part = net[1:]
    assert list(part.state_dict()) == []
    assert [name for name, _ in part.named_children()] == ["b", "c"]
    assert part.step_mode == part[0].step_mode == "multi"
    both = part + Sequential(nn.Linear(2, 1))
    x = torch.rand(T, N, 2)
    assert len(both) == 3
    assert both(x).shape == (T, N, 1)


def test_what_is_no_sequence_is_refused():
    for module in (Sequential(nn.ReLU(), step_mode="multi"), IF(step_mode="multi")):
        for bad in (torch.rand(3), torch.rand(0, 3, 2)):
            with pytest.raises(ParameterError, match="input's shape"):
                module(bad)
    with pytest.raises(ParameterError, match="batch size of the output"):
        seq_to_batch(torch.rand(T, N, 4), nn.Flatten(0))


# --- the state


def test_another_batch_shape_needs_a_reset():
    net = conv_net(step_mode="multi")
    first = net(images())
    assert first.any()
    assert net[2].v.shape == (N, 4, 6, 6)
    with pytest.raises(ParameterError, match=r"IF\.input's shape .*Call reset\(\)"):
        net(images()[:, :2])
    for layer in (net[2], net[6]):
        layer.step_mode = "single"
    with pytest.raises(ParameterError, match=r"reset\(\)"):
        net[2](images()[:, :2, 0])
    reset(net)
    assert not net[2].memory
    assert net(images()[:, :2]).shape == (T, 2, 6)


def test_a_reset_makes_runs_independent():
    net, x = conv_net(step_mode="multi"), images()
    first = net(x)
    carried = net(x)
    reset(net)
    assert torch.equal(net(x), first)
    assert not torch.equal(carried, first)


def test_the_state_is_readable_writable_and_no_part_of_the_state_dict():
    layer = IF()
    with pytest.raises(AttributeError, match="'v'"):
        _ = layer.v
    layer(torch.full((1, 2), 0.75))
    assert torch.equal(layer.v, torch.full((1, 2), 0.75))
    layer.v = torch.zeros(1, 2)
    assert layer.memory["v"] is layer.v
    assert "v" not in vars(layer)
    assert list(stateful_layers(Sequential(nn.ReLU(), layer))) == ["1"]
    assert not layer.state_dict()
    assert list(conv_net().state_dict()) == list(nn.Sequential(*conv_net()).state_dict())


def test_the_state_moves_with_the_module():
    class Late(IF):
        keeps_dtype = frozenset({"count"})

    net = Sequential(nn.Linear(2, 2), Late(), IF())
    net(torch.rand(N, 2))
    net.double()
    assert net[1].v.dtype == torch.float64
    net.to(torch.float32)
    assert (net[1].v.dtype, net[1].count.dtype) == (torch.float32, torch.float64)
    assert net[2].count.dtype == torch.float32
    net.to("meta")
    assert {value.device.type for value in net[1].memory.values()} == {"meta"}
    with pytest.raises(ParameterError, match=r"on meta, got one on cpu.*reset\(\)"):
        net[1](torch.rand(N, 2))


def test_copies_have_their_own_state_without_the_graph():
    net = Sequential(nn.Linear(2, 2), IF())
    net[0].weight.data.fill_(0.3)
    net(torch.rand(N, 2))
    assert net[1].v.requires_grad
    twin = copy.deepcopy(net)
    assert torch.equal(twin[1].v, net[1].v)
    assert not twin[1].v.requires_grad
    before = net[1].v.clone()
    twin(torch.rand(N, 2))
    assert torch.equal(net[1].v, before)
    assert not torch.equal(twin[1].v, before)


def test_a_copy_has_no_step_hooks():
    layer, seen = IF(), []
    handle = layer.register_step_hook(lambda layer: seen.append(layer))
    copy.deepcopy(layer)(torch.rand(2, 2))
    assert not seen
    layer(torch.rand(2, 2))
    with in_step_mode(layer, "multi"):
        layer(torch.rand(T, 2, 2))
    assert seen == [layer] * (1 + T)
    handle.remove()
    layer(torch.rand(2, 2))
    assert len(seen) == 1 + T


def test_a_quicker_way_through_a_sequence_gives_way_to_a_step_hook():
    class Sum(Leaky):
        calls = 0

        def multi_step(self, x_seq):
            self.calls += 1
            found = self.v + x_seq.cumsum(0)
            self.v = found[-1]
            return found

    layer, x, seen = Sum(1.0, step_mode="multi"), torch.rand(T, N), []
    expected = layer(x)
    torch.testing.assert_close(expected[-1], x.sum(0))
    layer.reset()
    layer.register_step_hook(lambda layer: seen.append(layer.v))
    torch.testing.assert_close(layer(x), expected)
    assert layer.calls == 1
    torch.testing.assert_close(torch.stack(seen), expected)


def test_detaching_leaves_the_gradient_of_the_last_window():
    # v_T = sum_k a^(T-1-k) x_k: the sensitivity of v_T to a and x_k is known.
    a, x = 0.9, torch.linspace(0.1, 0.7, 7, dtype=torch.float64).view(7, 1, 1)
    whole, cut = Leaky(a).double(), Leaky(a).double()
    x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
    for k in range(7):
        if k == 4:
            detach(Sequential(cut))
        y1, y2 = whole(x1[k]), cut(x2[k])
    assert torch.equal(y1, y2)
    y1.sum().backward()
    y2.sum().backward()
    powers = a ** torch.arange(6, -1, -1, dtype=torch.float64)
    torch.testing.assert_close(x1.grad.flatten(), powers)
    torch.testing.assert_close(x2.grad.flatten(), powers * (torch.arange(7) >= 4))
    # d v_7 / da = sum over the steps k of the window of a^(7-k) v_(k-1).
    v = [sum(a ** (k - 1 - j) * x[j].item() for j in range(k)) for k in range(8)]
    for layer, start in ((whole, 1), (cut, 5)):
        closed = sum(a ** (7 - k) * v[k - 1] for k in range(start, 8))
        assert layer.a.grad.item() == pytest.approx(closed, rel=1e-6)


def test_a_backward_pass_per_window_needs_the_detach():
    net = Sequential(Leaky(0.5), step_mode="multi")
    net(torch.rand(3, 2)).sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        net(torch.rand(3, 2)).sum().backward()
    detach(net)
    net(torch.rand(3, 2)).sum().backward()


# --- wrappers


def test_wrappers_read_state_dictionaries_that_leave_out_their_prefix():
    inner = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
    plain = nn.Sequential(nn.Linear(4, 3), inner, nn.GRUCell(3, 2))
    ours = Sequential(
        Stateless(nn.Linear(4, 3)),
        Stateless(nn.Sequential(nn.BatchNorm1d(3), Stateless(nn.Linear(3, 3)))),
        ForeignStateful(nn.GRUCell(3, 2)),
    )
    ours.load_state_dict(plain.state_dict())
    assert torch.equal(ours[1].module[1].module.weight, plain[1][1].weight)
    state = copy.deepcopy(ours.state_dict())
    assert "2.module.weight_ih" in state
    twin = copy.deepcopy(ours)
    twin[0].module.weight.data.zero_()
    twin.load_state_dict(state)
    assert torch.equal(twin[0].module.weight, plain[0].weight)
    with pytest.raises(RuntimeError, match=r'Missing key.*"0\.module\.weight"'):
        twin.load_state_dict({k: v for k, v in state.items() if k != "0.module.weight"})


def test_a_stateless_wrapper_works_in_both_modes():
    layer, x = Stateless(nn.Conv1d(2, 3, 2)), torch.rand(T, N, 2, 4)
    expected = torch.stack([layer(step) for step in x])
    layer.step_mode = "multi"
    torch.testing.assert_close(layer(x), expected)
    with pytest.raises(ParameterError, match="Sequential with IF"):
        Stateless(nn.Sequential(nn.ReLU(), IF()))


@pytest.mark.parametrize(
    ("kind", "names"), [("RNNCell", ["h"]), ("GRUCell", ["h"]), ("LSTMCell", ["h", "c"])]
)
def test_a_cell_of_torch_does_what_torchs_own_loop_over_time_does(kind, names):
    cell = getattr(nn, kind)(4, 3)
    whole = getattr(nn, kind.removesuffix("Cell"))(4, 3)
    for name, value in cell.named_parameters():
        getattr(whole, f"{name}_l0").data.copy_(value.data)
    layer, x = ForeignStateful(cell, step_mode="multi"), torch.rand(T, N, 4)
    expected = whole(x)[0]
    found = layer(x)
    torch.testing.assert_close(found, expected)
    assert list(layer.memory) == names
    assert torch.equal(layer.h, found[-1])
    layer.reset()
    with in_step_mode(layer, "single"):
        torch.testing.assert_close(torch.stack([layer(step) for step in x]), expected)
    with pytest.raises(ParameterError, match=r"reset\(\)"):
        layer(x[:, :1])


class Counter(nn.Module):
    def __init__(self, pack, unpack):
        super().__init__()
        self.pack, self.unpack = pack, unpack

    def forward(self, x, state):
        total = x if state is None else self.unpack(state) + x
        return 2 * total, self.pack(total)


@pytest.mark.parametrize(
    ("pack", "unpack", "names"),
    [
        (lambda s: s, lambda s: s, ["state"]),
        (lambda s: (s, -s), lambda s: s[0], ["state_0", "state_1"]),
        (lambda s: {"m": s, "n": -s}, lambda s: s["m"], ["m", "n"]),
    ],
    ids=["tensor", "tuple", "dict"],
)
def test_a_foreign_state_may_have_any_of_three_forms(pack, unpack, names):
    x = torch.rand(T, N)
    layer = ForeignStateful(Counter(pack, unpack), step_mode="multi")
    torch.testing.assert_close(layer(x), 2 * x.cumsum(0))
    assert list(layer.memory) == names
    torch.testing.assert_close(layer.memory[names[0]], x.sum(0))
    begun = ForeignStateful(
        Counter(pack, unpack), initial=lambda x: pack(torch.ones_like(x)), step_mode="multi"
    )
    torch.testing.assert_close(begun(x), 2 * (1 + x.cumsum(0)))


def test_what_cannot_be_a_foreign_state_is_refused():
    with pytest.raises(ParameterError, match=r"must be \(y, state\), got Tensor from Bilinear"):
        ForeignStateful(nn.Bilinear(2, 2, 2), initial=lambda x: x)(torch.rand(1, 2))
    with pytest.raises(ParameterError, match=r"a tuple of tensors.*got float"):
        ForeignStateful(Counter(lambda s: 1.0, lambda s: s))(torch.rand(1, 2))
    for bare in (nn.RNNCell(2, 2), nn.LSTM(2, 2)):
        with pytest.raises(ParameterError, match="ForeignStateful"):
            Sequential(bare)(torch.rand(1, 2))


# --- learners, precision, files


def test_learners_go_to_the_layers_of_weights_and_the_neurons_behind_them():
    net = conv_net()
    made = add_learners(net, lambda synapses, neurons: (synapses, neurons))
    assert made == {"0": (net[0], net[2]), "5": (net[5], net[6])}
    assert list(add_learners(net, lambda *pair: pair, layers=nn.Conv2d)) == ["0"]
    with pytest.raises(ParameterError, match="drive neurons directly"):
        add_learners(Sequential(nn.Linear(2, 2), nn.Linear(2, 2), IF()), lambda *pair: pair)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_mixed_precision_runs(mode):
    net, x = conv_net(step_mode=mode), images()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(x) if mode == "multi" else torch.stack([net(step) for step in x])
        loss = (y.float().mean() - 0.5) ** 2
    loss.backward()
    assert net[2].v.dtype == net[6].v.dtype == torch.bfloat16
    assert net[0].weight.grad.dtype == torch.float32
    assert net[0].weight.grad.abs().max() > 0
    assert 0.05 < y.float().mean() < 1


def test_a_network_compiles_as_one_graph():
    net, x = Sequential(nn.Linear(4, 3), Leaky(0.5), step_mode="multi"), torch.rand(T, N, 4)
    expected = torch.cat([net(x), net(x)])
    reset(net)
    run = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(torch.cat([run(x), run(x)]), expected)
    torch.testing.assert_close(net[1].v, expected[-1])


def test_a_state_dictionary_survives_a_file():
    net, x = conv_net(step_mode="multi"), images()
    expected = net(x)
    assert expected.any()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = conv_net(step_mode="multi")
    assert not torch.equal(other(x), expected)
    other.load_state_dict(torch.load(file, weights_only=True))
    reset(other)
    assert torch.equal(other(x), expected)


def test_a_class_without_its_methods_says_which():
    with pytest.raises(NotImplementedError, match="Stateful must define initial_state"):
        Stateful()(torch.rand(1, 1))
