"""Graphs of NIR as networks: against closed forms and an interpreter of graphs in NumPy."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Mohm, ms, mV

from biosnn import encoding, models, networks, nir, simulation, surrogate
from biosnn.errors import ParameterError, StorageError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

pytest.importorskip("nir")

import nir as ir
from nir_interpreter import random_graph, run

T = 40


def spikes_of(
    network: NetworkModel, samples: Any, names: list[str], device: str = "runtime"
) -> dict[str, np.ndarray]:
    """Spikes of populations in the first sample, (T, n)."""
    runnable = simulation.compile(network, device=device, spikes=names)
    recording = runnable.run(samples, progress=False)[0]
    found = {}
    for name in names:
        spikes = recording.spikes[name]
        steps = np.rint(spikes.t / float(network.dt)).astype(int)
        train = np.zeros((network.duration_steps, network.populations[name].n))
        train[steps[spikes.sample == 0], spikes.i[spikes.sample == 0]] = 1
        found[name] = train
    return found


@pytest.mark.parametrize("seed", range(10))
def test_random_graphs_have_the_interpreters_spikes(seed: int) -> None:
    """1 to 4 layers, recurrent ones among them, in all conventions and with both resets."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    convention = list(nir.CONVENTIONS)[seed % 5]
    how = attrs.evolve(nir.CONVENTIONS[convention], reset=("v_reset", "subtract")[seed % 2])
    x = 2 * rng.random((1, T, graph.nodes["input"].input_type["input"][0]))
    network = nir.from_nir(
        graph, dt=1 * ms, steps=T, convention=convention, reset=how.reset, name="random"
    )
    names = nir.population_names(graph)
    cells = [key for key in graph.nodes if key.startswith("cell")]
    expected = run(graph, x[0], 1e-3, how)
    assert sum(expected[key].sum() for key in cells) >= 5
    found = spikes_of(network, x, [names[key] for key in cells])
    for key in cells:
        np.testing.assert_array_equal(found[names[key]], expected[key])


def one_to_one(cell: Any, weight: float = 1.0) -> ir.NIRGraph:
    """An input, a weight, and a node with one neuron."""
    nodes = {
        "in": ir.Input(np.array([1])),
        "w": ir.Linear(np.array([[weight]])),
        "cell": cell,
        "out": ir.Output(np.array([1])),
    }
    return ir.NIRGraph(nodes=nodes, edges=[("in", "w"), ("w", "cell"), ("cell", "out")])


def lif(n: int = 1, **given: Any) -> ir.LIF:
    values = {"tau": 10e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **given}
    return ir.LIF(**{name: np.full(n, float(value)) for name, value in values.items()})


@pytest.mark.parametrize("shown", ["static", "sequence"])
def test_a_constant_input_has_the_interval_of_the_closed_form(shown: str) -> None:
    """``T = tau*log(I/(I - V_th))``, counted in whole steps."""
    graph = one_to_one(lif(), weight=1.7)
    network = nir.from_nir(graph, dt=0.1 * ms, steps=500, inputs=shown)
    x = np.ones((1, 1)) if shown == "static" else np.ones((1, 500, 1))
    fired = np.flatnonzero(spikes_of(network, x, ["cell"])["cell"][:, 0])
    interval = np.floor(10e-3 * np.log(1.7 / 0.7) / 0.1e-3) + 1
    assert len(fired) == 5
    np.testing.assert_array_equal(fired, np.arange(1, 6) * interval - 1)


def test_spikes_given_as_events_do_what_they_do_as_values() -> None:
    rng = np.random.default_rng(1)
    graph = random_graph(rng)
    x = (rng.random((1, T, graph.nodes["input"].input_type["input"][0])) < 0.4).astype(float)
    _, time, unit = np.nonzero(x)
    events = np.zeros(len(time), dtype=int), unit, time * 1e-3
    found = []
    for kind, samples in (("sequence", x), ("events", events)):
        network = nir.from_nir(graph, dt=1 * ms, steps=T, inputs={"input": kind})
        found.append(spikes_of(network, samples, ["cell0"])["cell0"])
    assert found[0].sum() > 3
    np.testing.assert_array_equal(found[0], found[1])


def graded_graph() -> ir.NIRGraph:
    """Values that go through integrators, a loop of two layers, a branch, and a step function."""
    rng = np.random.default_rng(3)
    full = np.full
    nodes = {
        "input": ir.Input(np.array([2, 3])),
        "flat": ir.Flatten(ir.Input(np.array([2, 3])).input_type, 0, -1),
        "a": ir.Affine(rng.normal(size=(4, 6)), rng.normal(size=4)),
        "li": ir.LI(tau=full(4, 5e-3), r=full(4, 1.2), v_leak=rng.normal(size=4) * 0.1),
        "b": ir.Linear(rng.normal(size=(3, 4))),
        "skip": ir.Linear(rng.normal(size=(3, 6))),
        "cuba": ir.CubaLI(
            tau_syn=full(3, 3e-3), tau_mem=full(3, 8e-3), r=full(3, 1.0), v_leak=full(3, 0.0)
        ),
        "step": ir.Threshold(np.array([0.1, 0.2, 0.05])),
        "c": ir.Linear(rng.normal(size=(2, 3))),
        "i": ir.I(r=np.array([20.0, 30.0])),
        "back": ir.Linear(rng.normal(size=(4, 2)) * 0.1),
        "d": ir.Affine(rng.normal(size=(2, 2)), np.array([0.3, -0.2])),
        "output": ir.Output(np.array([2])),
    }
    edges = [
        ("input", "flat"), ("flat", "a"), ("a", "li"), ("li", "b"), ("flat", "skip"),
        ("b", "cuba"), ("skip", "cuba"), ("cuba", "step"), ("step", "c"), ("c", "i"),
        ("i", "back"), ("back", "li"), ("i", "d"), ("d", "output"),
    ]  # fmt: skip
    return ir.NIRGraph(nodes=nodes, edges=edges)


@pytest.mark.parametrize("convention", ["nir", "norse"])
def test_graded_signals_have_the_interpreters_values(convention: str) -> None:
    """LI, CubaLI, I, Threshold and an output behind a linear node, with a loop of four layers."""
    graph, how = graded_graph(), nir.CONVENTIONS[convention]
    x = np.random.default_rng(0).normal(size=(T, 2, 3))
    network = nir.from_nir(graph, dt=1 * ms, steps=T, convention=convention)
    expected = run(graph, x, 1e-3, how)
    traces = {f"{key}.v": range(network.populations[key].n) for key in ("li", "i", "output")}
    runnable = simulation.compile(
        network, device="runtime", spikes=["step"], traces=traces, per_sample=tuple(traces)
    )
    recording = runnable.run(x.reshape(1, T, 6), progress=False)[0]
    assert 10 < expected["step"].sum() < 0.9 * 3 * T
    assert len(recording.spikes["step"].i) == expected["step"].sum()
    for key in ("li", "i", "output"):
        # A trace holds what a step begins with, the last value is that of the sample.
        values = np.asarray(recording.traces[f"{key}.v"].values).T
        values = np.concatenate([values[1:], recording.per_sample[f"{key}.v"]])
        np.testing.assert_allclose(values, expected[key], rtol=1e-9, atol=1e-12)


def test_a_compiled_network_has_the_interpreters_spikes() -> None:
    rng = np.random.default_rng(15)
    graph = random_graph(rng)
    x = rng.random((1, T, graph.nodes["input"].input_type["input"][0]))
    network = nir.from_nir(graph, dt=1 * ms, steps=T)
    cells = [key for key in graph.nodes if key.startswith("cell")]
    expected = run(graph, x[0], 1e-3, nir.CONVENTIONS["nir"])
    found = spikes_of(network, x, cells, device="cpp")
    for key in cells:
        assert expected[key].sum() > 5
        np.testing.assert_array_equal(found[key], expected[key])


CONVOLUTIONS = {
    "stride": {"stride": 2, "padding": 1},
    "dilation": {"padding": (2, 1), "dilation": (2, 1)},
    "groups": {"groups": 2, "padding": "same"},
    "valid": {"padding": "valid", "stride": (1, 2)},
}


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions_and_pools_are_torchs(case: str, dimensions: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    given = dict(CONVOLUTIONS[case])
    if dimensions == 1:
        given = {k: v[0] if isinstance(v, tuple) else v for k, v in given.items()}
    whole = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **given}
    groups = whole["groups"]
    weight = rng.normal(size=(6, 4 // groups, 3, 2)[: 2 + dimensions])
    bias, shape = rng.normal(size=6), (4, 9, 8)[: 1 + dimensions]
    x = rng.normal(size=(1, *shape))
    layer = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d}[dimensions]
    y = layer(torch.tensor(x), torch.tensor(weight), torch.tensor(bias), **whole)
    kind = {1: ir.Conv1d, 2: ir.Conv2d}[dimensions]
    nodes: dict[str, Any] = {
        "in": ir.Input(np.array(shape)),
        "conv": kind(input_shape=None, weight=weight, bias=bias, **whole),
    }
    if dimensions == 2:
        y = torch.nn.functional.avg_pool2d(y, 2, stride=1, padding=1)
        y = 4 * torch.nn.functional.avg_pool2d(y, 2)
        two = np.array([2, 2])
        nodes["mean"] = ir.AvgPool2d(kernel_size=two, stride=two // 2, padding=two // 2)
        nodes["sum"] = ir.SumPool2d(kernel_size=two, stride=two, padding=0 * two)
    nodes["out"] = ir.Output(np.array(y.shape[1:]))
    names = list(nodes)
    edges = list(pairwise(names))
    graph = ir.NIRGraph(nodes=nodes, edges=edges, type_check=False)
    network = nir.from_nir(graph, dt=1 * ms, steps=1)
    runnable = simulation.compile(network, device="runtime", per_sample=["out.v"])
    recording = runnable.run(x.reshape(1, 1, -1), progress=False)[0]
    assert y.abs().max() > 1
    values = np.ravel(recording.per_sample["out.v"])
    np.testing.assert_allclose(values, y.numpy().ravel(), atol=1e-12)


def test_subgraphs_are_flattened_and_files_hold_what_was_written(tmp_path: Path) -> None:
    """A recurrent layer as snnTorch writes it, with names that code cannot have."""
    rng = np.random.default_rng(2)
    recurrent = ir.NIRGraph(
        nodes={
            "input": ir.Input(np.array([3])),
            "lif": lif(3),
            "w_rec": ir.Affine(rng.normal(size=(3, 3)), np.full(3, 0.1)),
            "output": ir.Output(np.array([3])),
        },
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    weight = rng.uniform(2, 8, size=(3, 2))
    outer = {"input": ir.Input(np.array([2])), "0": ir.Linear(weight)}
    nodes = {**outer, "1": recurrent, "output": ir.Output(np.array([3]))}
    graph = ir.NIRGraph(nodes=nodes, edges=[("input", "0"), ("0", "1"), ("1", "output")])
    inner = recurrent.nodes
    # What closes the loop comes first: its bias acts in the first step as well.
    plain = {**outer, "rec0": inner["w_rec"], "cell0": inner["lif"], "output": nodes["output"]}
    edges = [("input", "0"), ("0", "cell0"), ("cell0", "rec0"), ("rec0", "cell0")]
    plain = ir.NIRGraph(nodes=plain, edges=[*edges, ("cell0", "output")])
    nir.write(tmp_path / "graph.nir", graph)
    names = nir.population_names(tmp_path / "graph.nir")
    assert names["1.lif"] == names["output"] == "node_1_lif"
    x = rng.random((1, T, 2))
    network = nir.from_nir(tmp_path / "graph.nir", dt=1 * ms, steps=T)
    found = spikes_of(network, x, ["node_1_lif"])["node_1_lif"]
    expected = run(plain, x[0], 1e-3, nir.CONVENTIONS["nir"])["cell0"]
    assert expected.sum() > 20
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(StorageError, match="exists and is not overwritten"):
        nir.write(tmp_path / "graph.nir", graph)


# --- out of biosnn


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("convention", ["nir", "spikingjelly"])
def test_round_trips_keep_parameters_and_spikes(seed: int, convention: str) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    x = rng.random((1, T, graph.nodes["input"].input_type["input"][0]))
    given = {"dt": 1 * ms, "convention": convention}
    network = nir.from_nir(graph, steps=T, **given)
    again = nir.to_nir(network, **given)
    cells = [key for key in graph.nodes if key.startswith("cell")]
    before, after = (
        spikes_of(one, x, cells) for one in (network, nir.from_nir(again, steps=T, **given))
    )
    assert sum(train.sum() for train in before.values()) > 5
    for key in cells:
        np.testing.assert_array_equal(before[key], after[key])
        if convention == "nir":
            assert type(again.nodes[key]) is type(graph.nodes[key])
            for field in attrs_of(graph.nodes[key]):
                expected = getattr(graph.nodes[key], field)
                np.testing.assert_allclose(
                    getattr(again.nodes[key], field), expected, rtol=1e-8, atol=1e-10
                )


def attrs_of(node: Any) -> list[str]:
    return [k for k in vars(node) if k not in ("input_type", "output_type", "metadata")]


def layer_of(cell: models.NeuronModel) -> NetworkModel:
    """Four inputs and three neurons that add to what synapses send."""
    return NetworkModel(
        name="layer",
        dt=1 * ms,
        inputs={"x": Input(features=4, kind="events")},
        populations={
            "inp": Population(model=encoding.address_events(), n=4, drives={"x": "x"}),
            "cell": Population(model=cell, n=3),
        },
        projections={
            "w": Projection(
                pre="inp",
                post="cell",
                transmit="I_syn_post += w",
                weights=np.random.default_rng(0).random((4, 3)),
            )
        },
        presentation=Presentation(duration=T * ms),
        output="cell",
    )


def test_discrete_neurons_keep_their_spikes() -> None:
    """SpikingJelly's neuron, written for it and read as it reads: one step earlier."""
    network = layer_of(models.discrete_lif(tau=3.0, decay_input=False, V_r=-0.2))
    graph = nir.to_nir(network, convention="spikingjelly")
    np.testing.assert_allclose(graph.nodes["cell"].tau, 3e-4)
    np.testing.assert_allclose(graph.nodes["w"].weight.T.ravel(), network.initial_state()["w.w"])
    x = np.random.default_rng(1).random((T - 1, 4)) < 0.3
    time, unit = np.nonzero(x)
    found = spikes_of(network, (0 * unit, unit, time * 1e-3), ["cell"])["cell"]
    again = nir.from_nir(graph, steps=T, convention="spikingjelly", inputs="events")
    read = spikes_of(again, (0 * unit, unit, time * 1e-4), ["cell"])["cell"]
    assert found.sum() > 10
    np.testing.assert_array_equal(found[1:], read[:-1])
    late = layer_of(models.discrete_leaky())  # it sees at ``v`` whether it has fired
    with pytest.raises(ParameterError, match="must be an affine map"):
        nir.to_nir(late)


def test_synaptic_currents_become_current_based_neurons() -> None:
    """A jump of an exponential current: the step of an Euler reader, one step earlier."""
    cell = models.lif(E_L=0 * mV, V_r=0 * mV, V_th=10 * mV, R=10 * Mohm)
    cell = cell.with_synapses(exc=models.exponential_current(tau_syn=5 * ms))
    given = layer_of(models.discrete_if())
    link = attrs.evolve(given.projections["w"], transmit="", synapse="exc", weights=2.0)
    one = Population(model=cell, n=3)
    network = attrs.evolve(
        given, populations={**given.populations, "cell": one}, projections={"w": link}
    )
    graph = nir.to_nir(network, convention="norse", dt=1 * ms)
    node = graph.nodes["cell"]
    assert isinstance(node, ir.CubaLIF)
    np.testing.assert_allclose(node.tau_syn, 1e-3 / (1 - np.exp(-1 / 5)))
    x = np.random.default_rng(1).random((T - 1, 4)) < 0.3
    time, unit = np.nonzero(x)
    events = 0 * unit, unit, time * 1e-3
    again = nir.from_nir(graph, steps=T, dt=1 * ms, convention="norse", inputs="events")
    found, read = (spikes_of(one, events, ["cell"])["cell"] for one in (network, again))
    assert found.sum() > 10
    np.testing.assert_array_equal(found[1:], read[:-1])


def test_a_graph_can_be_trained() -> None:
    """An imported network as a torch module has the network's spikes, and gradients."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    graph = random_graph(rng)
    x = 2 * rng.random((1, T, graph.nodes["input"].input_type["input"][0]))
    network = nir.from_nir(graph, dt=1 * ms, steps=T)
    expected = spikes_of(network, x, [network.output])[network.output]
    module = surrogate.to_torch(network).double()
    spikes = module(torch.tensor(x))
    assert expected.sum() > 3
    np.testing.assert_array_equal(spikes[:, 0].detach().numpy(), expected)
    spikes.sum().backward()
    assert all(p.grad.abs().max() > 0 for p in module.weights.values())


def test_trained_weights_and_thresholds_are_written() -> None:
    """STDP-trained weights and adapted thresholds; what NIR cannot say is refused by name."""
    network = networks.winner_take_all(20, 5, competition="pool", duration=20 * ms)
    state = network.initial_state(seed=3)
    theta, w = np.arange(5.0) + 100, np.reshape(state["inp_exc.w"], (20, 5)) * 2
    state = state.updated({"exc.theta": theta, "inp_exc.w": w})
    with pytest.raises(ParameterError, match=r"'exc'\]\.operations must be .*leave_out"):
        nir.to_nir(network, state)
    with pytest.warns(UserWarning, match=r"'inp_exc'\] adds to v between the threshold and the"):
        graph = nir.to_nir(network, state, leave_out=["pool"])
    decay = np.exp(-1 / 1000)
    np.testing.assert_array_equal(graph.nodes["exc"].v_threshold, theta)
    np.testing.assert_allclose(graph.nodes["exc"].tau, 1.0)
    gain = graph.nodes["exc"].r * (1 - decay)
    np.testing.assert_allclose(gain[:, None] * graph.nodes["inp_exc"].weight, decay * w.T)
    late = attrs.evolve(network.projections["inp_exc"], when="after_resets")
    later = attrs.evolve(network, projections={**network.projections, "inp_exc": late})
    with warnings.catch_warnings(action="error"):
        one = nir.to_nir(later, state, leave_out=["pool"], convention="snntorch")
    np.testing.assert_allclose(one.nodes["exc"].r, one.nodes["exc"].tau / 0.1e-3)
    np.testing.assert_allclose(one.nodes["inp_exc"].weight, decay * w.T)
    argmax = networks.winner_take_all(20, 5)
    with pytest.raises(ParameterError, match=r"model\.threshold must be .*same state"):
        nir.to_nir(argmax, leave_out=["pool"])
    with pytest.raises(ParameterError, match=r"'exc'\]\.model\.refractory"):
        nir.to_nir(networks.diehl_cook_2015(20, 5))
    soft = networks.feedforward((4, 3), networks.threshold_neuron(reset="soft"))
    with pytest.raises(ParameterError, match='reset="subtract"'):
        nir.to_nir(soft)
    assert (nir.to_nir(soft, reset="subtract").nodes["output"].v_reset == 0).all()
    with pytest.raises(ParameterError, match=r"threshold must be with '>' for snntorch"):
        nir.to_nir(soft, reset="subtract", convention="snntorch")


# --- what cannot be


def changed(graph: ir.NIRGraph, path: str, **fields: Any) -> ir.NIRGraph:
    for name, value in fields.items():
        setattr(graph.nodes[path], name, value)
    return graph


def changed_edges(graph: ir.NIRGraph, *edges: Any) -> ir.NIRGraph:
    graph.edges = list(edges)
    return graph


def chain(*nodes: Any, **more: Any) -> ir.NIRGraph:
    named = {f"n{k}": node for k, node in enumerate(nodes)}
    names = list(named)
    edges = list(pairwise(names))
    return ir.NIRGraph(nodes=named, edges=more.get("edges", edges), type_check=False)


def io(*nodes: Any, n: int = 1) -> ir.NIRGraph:
    return chain(ir.Input(np.array([n])), *nodes, ir.Output(np.array([1])))


REFUSED: dict[str, tuple[Any, str]] = {
    "nan": (lambda: io(lif(r=np.nan)), r"'n1'\]\.LIF\.r must be finite, got nan"),
    "leak": (lambda: io(lif(tau=0)), r"'n1'\]\.LIF\.tau must be > 0 s, got 0"),
    "shape": (
        lambda: io(ir.Linear(np.ones((1, 3))), n=2),
        r"'n1'\]\.Linear must be given \(3,\), got a signal of shape \(2,\)",
    ),
    "parameters": (lambda: chain(ir.Input(np.array([2])), lif(3), ir.Output(np.array([2]))),
        r"LIF\.tau must be of the signal's shape"),
    "text": (
        lambda: changed(io(lif()), "n1", r=np.array(["exp(1)"])),
        r"LIF\.r must be an array of numbers",
    ),
    "output": (lambda: io(lif(2), n=2), r"'n2'\]\.Output\.output_type"),
    "loop": (
        lambda: chain(
            ir.Input(np.array([1])),
            ir.Linear(np.ones((1, 1))),
            ir.Linear(np.ones((1, 1))),
            ir.Output(np.array([1])),
            edges=[("n0", "n1"), ("n1", "n2"), ("n2", "n1"), ("n2", "n3")],
        ),
        r"'n1'\]\.edges must be a graph with a stateful node in every loop",
    ),
    "missing": (
        lambda: changed_edges(io(lif()), ("n0", "n9")),
        r"there is no 'n9'",
    ),
    "unconnected": (
        lambda: changed_edges(io(lif()), ("n0", "n2")),
        r"'n1'\]\.edges must be connected",
    ),
    "edges": (lambda: changed_edges(io(lif()), (["n0"], "n1")), "edges must be pairs of names"),
    "unread": (
        lambda: changed_edges(io(lif(), lif()), ("n1", "n2"), ("n2", "n1"), ("n2", "n3")),
        r"'n0'\]\.edges must be connected, got no edge from it",
    ),
    "no output": (lambda: chain(ir.Input(np.array([1])), lif()), "no Output node"),
    "delay": (
        lambda: io(lif(), ir.Delay(np.array([1.5e-3])), lif()),
        r"Delay\.delay must be a multiple >= 0 of the time step, 0.001 s, got 0.0015 s",
    ),
    "late values": (
        lambda: io(ir.Delay(np.array([2e-3])), lif()),
        r"Delay\.delay must be behind spikes only",
    ),
    "late bias": (
        lambda: io(lif(), ir.Affine(np.eye(1), np.ones(1)), ir.Delay(np.array([2e-3])), lif()),
        r"Delay\.delay must be behind nodes without bias",
    ),
    "padding": (
        lambda: chain(
            ir.Input(np.array([1, 4, 4])),
            ir.Conv2d(None, np.ones((1, 1, 3, 3)), 2, "same", 1, 1, np.zeros(1)),
            ir.Output(np.array([1])),
        ),
        r'Conv2d\.padding must be "same" with a stride of 1 only',
    ),
    "kernel": (
        lambda: chain(
            ir.Input(np.array([1, 2, 2])),
            ir.SumPool2d(np.array([3, 3]), np.array([1, 1]), np.array([0, 0])),
            ir.Output(np.array([1])),
        ),
        r"SumPool2d\.kernel must be one that fits",
    ),
    "deep": (
        lambda: io(*[node for _ in range(10) for node in (lif(), ir.Linear(np.eye(1)))], lif()),
        "at most 9 within a time step",
    ),
    "size": (
        lambda: chain(
            ir.Input(np.array([2**14, 2**14, 2**14])), lif(), ir.Output(np.array([1]))
        ),
        r"Input\.input_type must be at most",
    ),
    "type": (lambda: io(Foreign()), r"'n1'\]\.type must be of a type that is known"),
}  # fmt: skip


class Foreign(ir.ir.node.NIRNode):
    """A node that no list knows."""

    def __init__(self) -> None:
        self.input_type, self.output_type = {"input": np.array([1])}, {"output": np.array([1])}
        self.metadata: dict[str, Any] = {}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_simulated_is_refused_by_name(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(ParameterError, match=message):
        nir.from_nir(make(), dt=1 * ms, steps=5)


def test_what_only_the_user_knows_is_asked_for(tmp_path: Path) -> None:
    graph = io(lif())
    with pytest.raises(ParameterError, match=r"NIR stores no time step.*snntorch"):
        nir.from_nir(graph, steps=5)
    for convention in ("snntorch", "sinabs"):
        with pytest.raises(ParameterError, match=r'reset must be given.*reset="subtract"'):
            nir.from_nir(graph, steps=5, convention=convention)
    assert float(nir.from_nir(graph, steps=5, convention="spikingjelly").dt) == 1e-4
    with pytest.raises(ParameterError, match=r"LIF\.tau must be >= 0\.5 s.*Is dt that of the"):
        nir.from_nir(graph, steps=5, dt=1000 * ms, convention="norse")
    with pytest.raises(ParameterError, match="convention"):
        nir.from_nir(graph, steps=5, convention="lava")
    with pytest.raises(StorageError, match="there is no file"):
        nir.read(tmp_path / "absent.nir")
    (tmp_path / "text.nir").write_text("print(1)")
    with pytest.raises(StorageError, match="is no graph that NIR"):
        nir.from_nir(tmp_path / "text.nir", dt=1 * ms, steps=5)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "biosnn\[nir\]"'):
        nir.from_nir(one_to_one(lif()), dt=1 * ms, steps=5)


SENDER = models.neuron(
    name="Sender", equations="x : 1", threshold="x > 0", reset="", initial={"x": 0.0}
)
LEAKY = "dv/dt = -v/(10*ms) : 1"


def exported(
    equations: str = LEAKY,
    *,
    threshold: str = "v > 1",
    reset: str = "v = 0",
    transmit: str = "v_post += w",
    weight: float = 1.0,
    delay: Any = 0 * ms,
    how: dict[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    drives: dict[str, str] | None = None,
    **cell: Any,
) -> Any:
    """The graph of inputs that reach neurons ``c``, of which two may be others' names."""
    model = models.neuron(
        name="Cell", equations=equations, threshold=threshold, reset=reset, **cell
    )
    populations = {
        "units": Population(model=SENDER, n=3, drives={"x": "x"}),
        "c": Population(model=model, n=2, drives=drives or {}),
    }
    projections = {
        "p": Projection(
            pre="units",
            post="c",
            transmit=transmit,
            weights=np.full((3, 2), weight),
            delay=delay,
            when="after_resets",
        )
    }
    for key, pre in (more or {}).items():
        populations[key] = Population(model=model, n=2)
        projections[f"to_{key}"] = Projection(
            pre=pre, post=key, transmit=transmit, weights=np.eye(2), when="after_resets"
        )
    inputs = {"x": Input(features=3, kind="events")}
    inputs |= {port: Input(features=2, kind="static") for port in (drives or {}).values()}
    network = NetworkModel(
        name="small",
        dt=1 * ms,
        inputs=inputs,
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=20 * ms),
        output="c",
    )
    return nir.to_nir(network, **(how or {}))


NOT_EXPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "bound below": (
        {"operations": (models.Operation(code="v = clip(v, 0, 1e9)", on="step", when="end"),)},
        r"\['c'\]\.model must be an affine map.*whose v is not",
    ),
    "bent below": (
        {"equations": "dv/dt = -v*int(v > -0.3)/(10*ms) : 1", "method": "euler"},
        r"\['c'\]\.model must be an affine map.*whose v is not",
    ),
    "input beside projections": (
        {"equations": "dv/dt = (-v + I)/(10*ms) : 1\nI : 1", "drives": {"I": "current"}},
        r"\['c'\]\.drives must be absent.*got an input to 'I' besides projections",
    ),
    "reset to what changes": (
        {"reset": "v = v*0.5"},
        r"\['c'\]\.model\.reset must be to a constant.*'v \* 0\.5', of which v changes",
    ),
    "threshold that spikes move": (
        {"equations": f"{LEAKY}\nh : 1", "threshold": "v > 1 + h", "reset": "v = 0\nh += 0.1"},
        r"\['c'\]\.model\.threshold must be a constant.*of which h changes",
    ),
    "threshold of a subexpression": (
        {
            "equations": f"{LEAKY}\ndu/dt = -u/(5*ms) : 1\nlimit = 1 + u : 1",
            "threshold": "v > limit",
            "reset": "v = 0\nu += 0.1",
        },
        r"\['c'\]\.model\.threshold must be a constant.*of which u changes",
    ),
    "subtraction where v is set": (
        {"how": {"reset": "subtract"}},
        r"reset must be None for populations\['c'\], which sets v.*Leave reset out",
    ),
    "now and then": (
        {"operations": (models.Operation(code="v = v*0.5", on="step", every=5 * ms),)},
        r"\['c'\]\.operations must be left out.*every=5\. ms",
    ),
    "set at the onset": (
        {
            "operations": (models.Operation(code="v = 0.5", on="onset"),),
            "how": {"convention": "snntorch"},
        },
        r"\['c'\]\.initial must be 0, where 'snntorch' begins, got v begins at 0\.5",
    ),
    "current at the beginning": (
        {
            "equations": "dv/dt = (-v + s)/(10*ms) : 1\nds/dt = (I - s)/(5*ms) : 1\nI : 1",
            "operations": (models.Operation(code="I = 0", on="step", when="after_groups"),),
            "transmit": "I_post += w",
            "initial": {"s": 1.0},
            "method": "exact",
        },
        r"\['c'\]\.initial must be 0, where currents of nodes begin, got s begins at 1",
    ),
    "small weights squared": (
        {"transmit": "v_post += w*w", "weight": 1e-5},
        r"\['p'\]\.transmit must be linear in w",
    ),
}


@pytest.mark.parametrize("case", NOT_EXPORTED)
def test_what_nir_cannot_say_is_refused_by_name(case: str) -> None:
    given, message = NOT_EXPORTED[case]
    with pytest.raises(ParameterError, match=message):
        exported(**given)


def test_names_that_nodes_would_take_stay_those_of_populations() -> None:
    graph = exported(delay=2 * ms, more={"p_delay": "c", "output": "c", "network_output": "c"})
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    assert [kinds[name] for name in ("p_delay", "output", "network_output")] == ["LIF"] * 3
    assert kinds["network_p_delay"] == "Delay"
    assert ("network_p_delay", "p") in graph.edges
    assert ("c", "network_network_output") in graph.edges
    network = nir.from_nir(graph, dt=1 * ms, steps=20, inputs="events")
    assert network.output == "c"
    assert {"p_delay", "output", "network_output"} <= set(network.populations)


def test_parameters_may_have_a_batch_of_one() -> None:
    given = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5}
    plain = {name: value * np.array([1.0, 1.1, 1.2]) for name, value in given.items()}
    x = np.random.default_rng(0).random((1, T, 3)) * 3
    found = [
        spikes_of(
            nir.from_nir(
                chain(ir.Input(np.array([3])), ir.LIF(**parameters), ir.Output(np.array([3]))),
                dt=1 * ms,
                steps=T,
            ),
            x,
            ["n1"],
        )["n1"]
        for parameters in (plain, {name: value[None] for name, value in plain.items()})
    ]
    assert found[0].sum() > 10
    np.testing.assert_array_equal(found[0], found[1])


HOSTILE = {
    "cycle": "is a link, or lies in another file",
    "doubled": "is a link, or lies in another file",
    "link": "is a link, or lies in another file",
    "other file": "is a link, or lies in another file",
    "huge": "may take 4294967296 bytes, not",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_small_files_neither_grow_nor_reach_out(case: str, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "graph.nir"
    nir.write(path, io(lif()))
    assert len(nir.read(path).nodes) == 3
    secret = tmp_path / "secret"
    secret.write_bytes(np.ones(1).tobytes())
    with h5py.File(path, "a") as file:
        node = file["node/nodes/n1"]
        if case == "cycle":
            file["node/nodes/again"] = file["node"]
        elif case == "doubled":
            file["node/nodes/again"] = node
        else:
            del node["tau"]
        if case == "link":
            node["tau"] = h5py.ExternalLink(str(secret), "/tau")
        elif case == "other file":
            node.create_dataset("tau", (1,), "f8", external=[(str(secret), 0, 8)])
        elif case == "huge":
            node.create_dataset("tau", (2**32,), "f8", chunks=(2**10,), compression="gzip")
    with pytest.raises(StorageError, match=HOSTILE[case]):
        nir.read(path)
