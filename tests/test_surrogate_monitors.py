"""Monitors of torch networks, against hooks and gradients taken by hand."""

import copy
import gc
import weakref

import pytest

from biosnn.errors import ParameterError

torch = pytest.importorskip("torch")

from surrogate_cells import IF, Leaky  # noqa: E402
from torch import nn  # noqa: E402

from biosnn.surrogate.nn.containers import ForeignStateful, Sequential  # noqa: E402
from biosnn.surrogate.nn.helpers import reset, set_step_mode  # noqa: E402
from biosnn.surrogate.nn.monitors import (  # noqa: E402
    InputMonitor,
    OutputMonitor,
    VariableMonitor,
)

T, N = 4, 3
MODES = ["single", "multi"]


@pytest.fixture
def net():
    torch.manual_seed(5)
    net = Sequential(nn.Linear(4, 5), IF(), nn.Linear(5, 2), IF())
    for layer in (net[0], net[2]):
        nn.init.uniform_(layer.weight, 0.0, 0.5)
    return net


@pytest.fixture
def x():
    return torch.rand(T, N, 4, generator=torch.Generator().manual_seed(1))


def play(net, x, mode):
    """The answer to a sequence from a fresh state."""
    set_step_mode(net, mode)
    reset(net)
    return net(x) if mode == "multi" else torch.stack([net(step) for step in x])


def by_time(records, mode):
    """The records of one layer as [T, N, *]."""
    return records[0] if mode == "multi" else torch.stack(records)


def by_hand(net, x):
    """Every layer's inputs, outputs and potentials [T, N, *], with the graph."""
    reset(net)
    set_step_mode(net, "single")
    found = {name: ([], [], []) for name, _ in net.named_children()}
    for step in x:
        for name, layer in net.named_children():
            # Aliases, so that the gradient of each is that of its use outside of the layer.
            inputs, outputs, potentials = found[name]
            inputs.append(step.view_as(step))
            y = layer(inputs[-1])
            step = y.view_as(y)
            outputs.append(step)
            potentials += [layer.v] if isinstance(layer, IF) else []
    return found, torch.stack(found["3"][1])


# --- what is recorded


@pytest.mark.parametrize("mode", MODES)
def test_outputs_inputs_and_variables_are_those_taken_by_hand(net, x, mode):
    expected, y = by_hand(net, x)
    assert 0.1 < y.mean() < 0.9
    out, put = OutputMonitor(net), InputMonitor(net)
    v, count = VariableMonitor(net, "v"), VariableMonitor(net, "count")
    assert torch.equal(play(net, x, mode), y)
    assert out.layers == put.layers == v.layers == ("1", "3")
    for name in out.layers:
        inputs, outputs, potentials = map(torch.stack, expected[name])
        torch.testing.assert_close(by_time(put[name], mode), inputs.detach())
        assert torch.equal(by_time(out[name], mode), outputs.detach())
        torch.testing.assert_close(by_time(v[name], mode), potentials.detach())
        assert torch.equal(by_time(count[name], mode), outputs.detach().double().cumsum(0))
    calls = 1 if mode == "multi" else T
    for monitor in (out, put, v, count):
        assert len(monitor) == len(list(monitor)) == 2 * calls
        assert [len(monitor[name]) for name in monitor.layers] == [calls, calls]
        assert monitor[0] is monitor["1"][0]
        assert monitor[-1] is monitor["3"][-1]
        assert not any(record.requires_grad for record in monitor)


@pytest.mark.parametrize("mode", MODES)
def test_hooks_of_torch_give_the_gradients_of_layers(net, x, mode):
    expected, y = by_hand(net, x)
    weights = torch.rand(y.shape)
    found = {name: [] for name in "123"}
    for name, records in found.items():
        layer = net.get_submodule(name)
        layer.register_full_backward_hook(lambda *given, records=records: records.append(given))
    (play(net, x, mode) * weights).sum().backward()
    for place in (1, 0):
        tensors = [tensor for name in "123" for tensor in expected[name][place]]
        grads = torch.autograd.grad((y * weights).sum(), tensors, retain_graph=True)
        for k, name in enumerate("123"):
            wanted = torch.stack(grads[k * T : (k + 1) * T])
            records = [given[1 + place][0] for given in found[name]]
            if mode == "single":
                got = torch.stack(records[::-1])  # the last step's gradient comes first
            else:
                got = records[0].view_as(wanted)  # a layer without a state sees T * N
            assert wanted.abs().max() > 1e-3
            torch.testing.assert_close(got, wanted)


def test_records_are_not_changed_by_later_layers_in_place():
    net = Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True))
    net[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    net[0].bias.data.zero_()
    with OutputMonitor(net, nn.Linear) as monitor:
        y = net(torch.ones(1, 2))
    assert y.tolist() == [[1.0, 0.0]]
    assert monitor[0].tolist() == [[1.0, -1.0]]


def test_step_by_step_order_gives_a_record_for_each_step(net, x):
    net.order = "step"
    with OutputMonitor(net) as out, VariableMonitor(net, "v", layers="3") as v:
        y = play(net, x, "multi")
    assert y.any()
    assert torch.equal(torch.stack(out["3"]), y)
    assert len(v) == T
    assert torch.equal(v[-1], net[3].v)


# --- which layers, which function


def test_layers_are_chosen_by_type_module_and_name(net):
    assert OutputMonitor(net, nn.Linear).layers == ("0", "2")
    assert OutputMonitor(net, [net[3], "0"]).layers == ("0", "3")
    assert OutputMonitor(net, (nn.Linear, IF)).layers == ("0", "1", "2", "3")
    assert OutputMonitor(net, net).layers == ("",)
    assert OutputMonitor(nn.Sequential(nn.Sequential(IF()))).layers == ("0.0",)
    for bad in ("4", nn.Conv2d, IF()):
        with pytest.raises(ParameterError, match="in the network"):
            OutputMonitor(net, bad)


def test_a_function_is_applied_before_storing(net, x):
    with OutputMonitor(net, IF, function=lambda s: s.mean().item()) as rates:
        y = play(net, x, "multi")
    assert rates["3"] == [y.mean().item()]
    assert rates["3"][0] > 0.1


def test_a_function_that_keeps_the_graph_makes_records_good_for_a_loss():
    layer = Leaky(0.5, step_mode="multi")
    with VariableMonitor(layer, "v", function=lambda v: v) as monitor:
        layer(torch.ones(2, 1, 1))
    monitor[0][1].sum().backward()  # v_2 = a + 1
    assert layer.a.grad.item() == 1.0


def test_what_cannot_be_recorded_is_refused(net, x):
    with pytest.raises(ParameterError, match="a layer with a state, got Linear"):
        VariableMonitor(net, "v", layers="0")
    among = "variable of '1' must be one of 'v', 'count'"
    with VariableMonitor(net, "w"), pytest.raises(ParameterError, match=among):
        play(net, x, "multi")
    cell = ForeignStateful(nn.LSTMCell(2, 2))
    with OutputMonitor(cell, nn.LSTMCell), pytest.raises(ParameterError, match="got tuple"):
        cell(torch.rand(1, 2))
    with pytest.raises(ParameterError, match="one of '1', '3'"):
        OutputMonitor(net)["0"]


# --- on and off


def hooks(net):
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_step_hooks")
    return sum(len(getattr(m, table, ())) for m in net.modules() for table in tables)


KINDS = [
    OutputMonitor,
    InputMonitor,
    lambda net: VariableMonitor(net, "v"),
]
NAMES = ["output", "input", "variable"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", KINDS, ids=NAMES)
def test_pausing_clearing_and_removing(net, x, make, mode):
    def run():
        play(net, x, mode).sum().backward()

    monitor = make(net)
    run()
    per_run = len(monitor)
    assert per_run == (2 if mode == "multi" else 2 * T)
    monitor.disable()
    assert not monitor.enabled
    assert hooks(net) == 0
    run()
    assert len(monitor) == per_run
    monitor.enable()
    monitor.enable()  # once more changes nothing
    run()
    assert len(monitor) == 2 * per_run
    monitor.clear()
    assert len(monitor) == 0
    assert monitor["1"] == []
    run()
    y = play(net, x, mode)  # forward with, backward without the monitor
    before = len(monitor)
    monitor.remove()
    y.sum().backward()
    run()
    assert len(monitor) == before
    assert hooks(net) == 0
    assert monitor["3"]
    with pytest.raises(ParameterError, match="Make a new one"):
        monitor.enable()


def test_a_with_block_removes_the_monitor_even_after_an_error(net, x):
    with OutputMonitor(net) as monitor, pytest.raises(RuntimeError, match="shapes"):
        play(net, x[..., :2], "multi")
    assert hooks(net) == 0
    with monitor:
        pass
    assert not monitor.enabled


def test_an_interrupted_sequence_leaves_nothing_behind(net, x):
    with VariableMonitor(net, "v", layers="1") as monitor:
        net[1].register_forward_hook(lambda *_: 1 / 0, prepend=True)
        with pytest.raises(ZeroDivisionError):
            play(net, x, "multi")
        net[1]._forward_hooks.popitem(last=False)
        play(net, x, "multi")
    assert [record.shape for record in monitor] == [(T, N, 5)]


@pytest.mark.parametrize("make", KINDS, ids=NAMES)
def test_a_copy_of_the_network_is_not_monitored(net, x, make):
    monitor = make(net)
    twin = copy.deepcopy(net)
    y = play(twin, x, "multi")
    y.sum().backward()
    assert y.any()
    assert len(monitor) == 0


def test_a_removed_monitor_lets_go_of_the_network(x):
    net = Sequential(nn.Linear(4, 5), IF())
    monitor, gone = OutputMonitor(net), weakref.ref(net[1])
    play(net, x, "multi")
    monitor.remove()
    del net
    gc.collect()
    assert gone() is None
    assert len(monitor["1"]) == 1
