"""Patterns of connectivity: what they connect, that they stay the same, what they refuse."""

from __future__ import annotations

import json
import tracemalloc

import attrs
import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, um
from scipy import sparse
from scipy.signal import correlate2d

from biosnn import encoding, models, networks, simulation
from biosnn.declaration import from_data, to_data
from biosnn.devices.base.brian2_objects import claim
from biosnn.errors import ParameterError
from biosnn.networks import (
    Condition,
    Convolution,
    DistanceDependent,
    FixedInDegree,
    FixedProbability,
    Generator,
    Input,
    NetworkModel,
    Pattern,
    Population,
    Presentation,
    Projection,
    Subgroup,
)

PATTERNS = [
    (FixedProbability(p=0.1, seed=3), 200, 300),
    (FixedProbability(p=0.1, seed=3, to_self=False), 200, 300),
    (FixedInDegree(k=20, seed=3), 200, 300),
    (FixedInDegree(k=20, seed=3, to_self=False), 200, 300),
    (FixedInDegree(k=250, seed=3, replacement=True), 200, 300),
    (DistanceDependent(pre=(10, 20), post=(15, 20), sigma=0.2, wrap=True, seed=3), 200, 300),
    (Convolution(in_shape=(2, 10, 10), kernel=(3, 2), out_channels=3, stride=(1, 2)), 200, 120),
    (Condition("i != j", p="0.2*int(abs(i - j) < 50)", seed=3), 200, 300),
    (Condition("i < x_post", p=0.1, parameters={"x_post": np.arange(300.0)}, seed=3), 200, 300),
    (Generator(j="k for k in sample(N_post, size=10) if k != i", seed=3), 200, 300),
]


@pytest.mark.parametrize(("pattern", "n_pre", "n_post"), PATTERNS, ids=lambda p: type(p).__name__)
def test_pairs(pattern: Pattern, n_pre: int, n_post: int) -> None:
    """In range, in the order (pre, post), and the same after being stored."""
    i, j = pattern.indices(n_pre, n_post)
    assert len(i) == len(j) > 200
    assert min(i.min(), j.min()) >= 0
    assert (i.max() < n_pre, j.max() < n_post) == (True, True)
    flat = i * n_post + j
    assert (np.diff(flat) >= 0).all()
    if not getattr(pattern, "replacement", False):
        assert (np.diff(flat) > 0).all()
    if not getattr(pattern, "to_self", True):
        assert not (i == j).any()
    again = from_data(to_data(pattern)).indices(n_pre, n_post)
    assert np.array_equal(again, (i, j))


def test_pairs_are_kept_and_cannot_be_changed() -> None:
    pattern = FixedProbability(p=0.5)
    i, j = pattern.indices(30, 30)
    assert pattern.indices(30, 30)[0] is i
    with pytest.raises(ValueError, match="read-only"):
        j[0] = 1


def test_fixed_probability() -> None:
    i, _ = FixedProbability(p=0.02, seed=1).indices(1000, 1000)
    assert abs(len(i) - 20000) < 5 * np.sqrt(20000 * 0.98)
    assert FixedProbability(p=0.0).indices(5, 5)[0].size == 0
    assert FixedProbability(p=1.0).indices(5, 5)[0].size == 25
    assert not np.array_equal(i, FixedProbability(p=0.02, seed=2).indices(1000, 1000)[0])


@pytest.mark.parametrize("to_self", [True, False])
@pytest.mark.parametrize("replacement", [True, False])
def test_fixed_in_degree(replacement: bool, to_self: bool) -> None:
    """Every column has k connections; all presynaptic neurons are as likely as each other."""
    pattern = FixedInDegree(k=40, seed=5, replacement=replacement, to_self=to_self)
    i, j = pattern.indices(50, 400)
    assert np.bincount(j, minlength=400).tolist() == [40] * 400
    fan_out = np.bincount(i, minlength=50)
    assert abs(fan_out - 320).max() < 5 * np.sqrt(320)
    several = len(i) - len(set(zip(i.tolist(), j.tolist(), strict=True)))
    assert (several > 1000) == replacement
    assert (several == 0) == (not replacement)


@pytest.mark.parametrize("profile", ["gaussian", "exponential", "disc"])
@pytest.mark.parametrize("wrap", [True, False])
def test_distance_dependent(profile: str, wrap: bool) -> None:
    """The share of connected pairs at a distance is the profile, within five standard errors."""
    sigma, p_max = 0.2, 0.8
    pattern = DistanceDependent(
        pre=(30,), post=(40,), sigma=sigma, profile=profile, p_max=p_max, wrap=wrap,
        cutoff=0.45, extent=(1.5,), seed=2,
    )  # fmt: skip
    connected = np.zeros((30, 40))
    for seed in range(60):
        draw = DistanceDependent(**{**_fields(pattern), "seed": seed})
        connected[draw.indices(30, 40)] += 1
    apart = np.abs(pattern.positions("pre") - pattern.positions("post").T)
    assert apart.max() > 1.4
    if wrap:
        apart = np.minimum(apart, 1.5 - apart)
    expected = {
        "gaussian": p_max * np.exp(-(apart**2) / (2 * sigma**2)),
        "exponential": p_max * np.exp(-apart / sigma),
        "disc": p_max * (apart <= sigma),
    }[profile]
    expected[apart > 0.45] = 0
    assert connected.sum() > 1000
    assert connected[expected == 0].sum() == 0
    error = np.abs(connected / 60 - expected) - 5 * np.sqrt(expected * (1 - expected) / 60)
    assert error.max() < 0.02


def _fields(pattern: DistanceDependent) -> dict:
    names = ("pre", "post", "sigma", "profile", "p_max", "cutoff", "extent", "wrap")
    return {name: getattr(pattern, name) for name in names}


def test_positions() -> None:
    grid = DistanceDependent(pre=(2, 3), post=[[0.1, 0.2]], sigma=1.0, extent=(2, 3))
    assert grid.positions("pre").tolist() == [
        [0.5, 0.5], [0.5, 1.5], [0.5, 2.5], [1.5, 0.5], [1.5, 1.5], [1.5, 2.5],
    ]  # fmt: skip
    assert grid.positions("post").tolist() == [[0.1, 0.2]]


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), ((2, 3), (0, 2))], ids=str)
def test_convolution_is_the_cross_correlation(stride, padding) -> None:
    """The weights times an image are what SciPy's correlate2d gives at the strides."""
    rng = np.random.default_rng(4)
    layer = Convolution(
        in_shape=(2, 7, 8), kernel=(3, 4), out_channels=3, stride=stride, padding=padding
    )
    image, kernels = rng.normal(size=(2, 7, 8)), rng.normal(size=(3, 2, 3, 4))
    n_pre, n_post = image.size, int(np.prod(layer.out_shape))
    i, j = layer.indices(n_pre, n_post)
    matrix = sparse.coo_array((layer.weights(kernels), (i, j)), shape=(n_pre, n_post))
    result = (image.ravel() @ matrix).reshape(layer.out_shape)
    down, right = np.broadcast_to(stride, 2)
    up, left = np.broadcast_to(padding, 2)
    padded = np.pad(image, ((0, 0), (up, up), (left, left)))
    for channel, kernel in enumerate(kernels):
        expected = sum(correlate2d(padded[c], kernel[c], mode="valid") for c in range(2))
        np.testing.assert_allclose(result[channel], expected[::down, ::right], rtol=1e-12)


X_PRE, X_POST = np.arange(30) * 0.5, np.arange(40) * 0.3
PLACES = {"x_pre": X_PRE, "x_post": X_POST}
WORDS = [
    (Condition(), {}),
    (Condition("i != j and abs(i - j) < 5"), {"condition": "i != j and abs(i - j) < 5"}),
    (
        Condition("(x_pre - x_post)**2 < sig", parameters={"sig": 2.0, **PLACES}),
        {"condition": "(x_pre - x_post)**2 < 2.0"},
    ),
    (
        Condition("not (i % 3 == j % 4) or i // 2 == j", n=2, p="int(i < j)"),
        {"condition": "not (i % 3 == j % 4) or i // 2 == j", "n": 2, "p": "int(i < j)"},
    ),
    (
        Generator(j="k for k in range(i - 3, i + 4) if i != k", skip_if_invalid=True),
        {"j": "k for k in range(i - 3, i + 4) if i != k", "skip_if_invalid": True},
    ),
    (
        Generator(j="i + (-1)**k for k in range(2) if i > 0 and i < N_pre - 1"),
        {"j": "i + (-1)**k for k in range(2) if i > 0 and i < N_pre - 1"},
    ),
    (
        Generator(i="k for k in range(0, N_pre, 7) if x_pre < x_post", parameters=PLACES),
        {"i": "k for k in range(0, N_pre, 7) if x_pre < x_post"},
    ),
    (Generator(j="k for k in range(i, -1, -2)", n=2), {"j": "k for k in range(i, -1, -2)", "n": 2}),
    (
        Generator(j="k for k in sample(N_post, size=N_post)"),
        {"j": "k for k in sample(N_post, size=N_post)"},
    ),
    (
        Generator(j="k for k in sample(N_post, size=99 - 200*int(i > 9))", skip_if_invalid=True),
        {"j": "k for k in sample(N_post, size=99 - 200*int(i > 9))", "skip_if_invalid": True},
    ),
]


@pytest.mark.parametrize(("pattern", "connect"), WORDS, ids=lambda p: getattr(p, "__name__", ""))
@pytest.mark.usefixtures("fresh_brian2")
def test_brian2_connects_the_same_pairs(pattern: Pattern, connect: dict) -> None:
    """As often each, whatever the expression; what is estimated is of that size."""
    pre, post = (NeuronGroup(n, "x : 1") for n in (30, 40))
    pre.x, post.x = X_PRE, X_POST
    synapses = Synapses(pre, post)
    synapses.connect(**connect)
    claim((pre, post, synapses), "tested")
    order = np.lexsort((synapses.j[:], synapses.i[:]))
    i, j = pattern.indices(30, 40)
    assert len(i) > 50
    assert i.tolist() == synapses.i[:][order].tolist()
    assert j.tolist() == synapses.j[:][order].tolist()
    assert 0.4 * len(i) < pattern.expected(30, 40) < 2.5 * len(i)


def test_probabilities_above_1_count_as_1_in_what_is_estimated() -> None:
    pattern = Condition("i != j", p="10**6*(i < 10)")
    assert len(pattern.indices(30, 40)[0]) == 390
    assert 300 < pattern.expected(30, 40) < 500


def test_how_many_synapses_a_pair_has() -> None:
    """Brian2's own NumPy code fails for an expression of both indices here."""
    i, j = Condition("i // 3 >= j // 4", n="int(i > j)*2").indices(30, 40)
    pairs, times = np.unique(np.stack([i, j]), axis=1, return_counts=True)
    assert pairs.shape[1] > 20
    assert set(times.tolist()) == {2}
    assert (pairs[0] > pairs[1]).all()


@pytest.mark.parametrize(
    "pattern",
    [
        Condition(
            "i != j",
            p="0.8*exp(-(x_pre - x_post)**2/(2*s**2))",
            parameters={"s": 3.0, **PLACES},
        ),
        Condition("i != j", p=0.3),
        Generator(j="k for k in sample(N_post, p=0.3) if k != i"),
        Generator(i="k for k in sample(N_pre, p=0.3 + 0.02*j) if k != j"),
    ],
    ids=["p(i, j)", "p", "sample", "sample(j)"],
)
def test_probabilities_of_pairs(pattern: Pattern) -> None:
    """The share of connected pairs is what is said, within five standard errors."""
    connected = np.zeros((30, 40))
    for seed in range(100):
        connected[attrs.evolve(pattern, seed=seed).indices(30, 40)] += 1
    i, j = np.mgrid[:30, :40]
    expected = np.full((30, 40), 0.3)
    if pattern.parameters:
        expected = 0.8 * np.exp(-((X_PRE[:, None] - X_POST) ** 2) / 18)
    elif getattr(pattern, "i", ""):
        expected = 0.3 + 0.02 * j.clip(0, 35)
    expected[i == j] = 0
    assert connected.sum() > 1000
    assert connected[expected == 0].sum() == 0
    error = np.abs(connected / 100 - expected)
    assert (error <= 5 * np.sqrt(expected * (1 - expected) / 100) + 1e-12).all()
    assert abs((connected / 100 - expected).sum()) < 5 * np.sqrt((expected / 100).sum())


def test_a_million_pairs_need_no_matrix() -> None:
    """2 % of 10,000 x 10,000 pairs: less memory than one byte for each pair; text in files."""
    pattern = Condition("i != j", p=0.02)
    tracemalloc.start()
    i, j = pattern.indices(10_000, 10_000, seed=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert abs(len(i) - 0.02 * 9999e4) < 5 * np.sqrt(2e6)
    assert not (i == j).any()
    assert peak < 95e6
    assert len(json.dumps(to_data(pattern))) < 200


def ring(**given) -> NetworkModel:
    """Units that fire in turn, each at its own time, and cells that hear them."""
    projection = {"pre": "a", "post": "b", "transmit": "v_post += w", "weights": 0.4, **given}
    unit = models.neuron(
        name="unit",
        equations="step : integer (linked)",
        threshold="step == 3 + i % 7",  # counts from 1
        reset="",
        links={"step": "protocol.step"},
    )
    cell = models.neuron(
        name="cell",
        equations="dv/dt = -v/tau : 1",
        threshold="v > 1",
        reset="v = 0",
        parameters={"tau": 5 * ms},
        method="exact",
    )
    return NetworkModel(
        name="ring",
        dt=1 * ms,
        inputs={},
        populations={"a": Population(model=unit, n=30), "b": Population(model=cell, n=40)},
        projections={"p": Projection(**projection)},
        presentation=Presentation(duration=20 * ms),
        output="b",
    )


def fired(network: NetworkModel) -> list[tuple[float, int]]:
    """Times in ms and neurons of the spikes of ``b``."""
    recording, _ = simulation.compile(network, "runtime", spikes=["b"]).run({"n_samples": 1})
    train = recording.spikes["b"]
    times = np.round(np.asarray(train.t) * 1000)
    return sorted(zip(times.tolist(), train.i.tolist(), strict=True))


def in_brian2(connect, pre_part=slice(None), post_part=slice(None), **places):
    """The same in plain Brian2: its spikes, and i, j and w of its synapses."""
    pre = NeuronGroup(30, "x : meter", threshold="t_in_timesteps == 2 + i % 7", dt=1 * ms)
    post = NeuronGroup(
        40, "dv/dt = -v/tau : 1\nx : meter", threshold="v > 1", reset="v = 0", method="exact",
        namespace={"tau": 5 * ms}, dt=1 * ms,
    )  # fmt: skip
    if places:
        pre.x, post.x = places["x_pre"], places["x_post"]
    synapses = Synapses(pre[pre_part], post[post_part], "w : 1", on_pre="v_post += w")
    synapses.connect(**connect)
    synapses.w = "0.3 + 0.01*i + 0.002*j"
    monitor = SpikeMonitor(post)
    Network(pre, post, synapses, monitor).run(20 * ms)
    times = np.round(monitor.t / ms).tolist()
    spikes = sorted(zip(times, monitor.i[:].tolist(), strict=True))
    return spikes, *(np.array(getattr(synapses, name)[:]) for name in "ijw")


@pytest.mark.usefixtures("fresh_brian2")
def test_conditions_in_a_network_and_in_brian2() -> None:
    """The same spikes; other pairs with another seed, and those of the text after saving."""
    text = "abs(x_pre - x_post) < 60*um"
    places = {"x_pre": np.arange(30) * 20 * um, "x_post": np.arange(40) * 15 * um}
    expected, _, _, weights = in_brian2({"condition": text}, **places)
    network = ring(pairs=Condition(text, parameters=places), weights=weights)
    assert len(expected) > 20
    assert fired(network) == expected
    drawn = ring(pairs=Condition("i != j", p=0.2))
    i, j = drawn.indices("p")
    again = from_data(json.loads(json.dumps(to_data(drawn))))
    assert np.array_equal(again.indices("p"), (i, j))
    assert not np.array_equal(attrs.evolve(drawn, seed=1).indices("p")[0], i)
    other = attrs.evolve(drawn.projections["p"], pairs=Condition("i != j", p=0.3))
    assert attrs.evolve(drawn, projections={"p": other}).fingerprint != drawn.fingerprint


@pytest.mark.parametrize(
    ("pairs", "connect"),
    [
        ("all", {}),
        ("one_to_one", {"j": "i"}),
        (Condition("i % 3 != j % 4"), {"condition": "i % 3 != j % 4"}),
        (Generator(j="k for k in range(i, N_post)"), {"j": "k for k in range(i, N_post)"}),
        (([0, 3, 14, 7], [14, 2, 0, 2]), {"i": [0, 3, 14, 7], "j": [14, 2, 0, 2]}),
    ],
    ids=["all", "one to one", "condition", "generator", "arrays"],
)
@pytest.mark.usefixtures("fresh_brian2")
def test_subgroups_are_those_of_brian2(pairs, connect) -> None:
    """Pairs and weights count from the first neuron of a part, spikes and indices in the whole."""
    expected, pre, post, weights = in_brian2(connect, slice(10, 25), slice(20, 35))
    sides = {"pre": Subgroup("a", 10, 25), "post": Subgroup("b", 20, 35)}
    network = ring(pairs=pairs, weights=weights, **sides)
    assert fired(network) == expected
    i, j = network.indices("p")
    order = np.lexsort((post, pre))
    assert (i - 10).tolist() == pre[order].tolist()
    assert (j - 20).tolist() == post[order].tolist()
    assert (len(expected) > 10) == (len(i) > 15)
    again = from_data(json.loads(json.dumps(to_data(network))))
    assert np.array_equal(again.indices("p"), (i, j))
    assert (again.fingerprint, again.projections["p"].pre) == (network.fingerprint, "a")


def test_parts_of_populations() -> None:
    """A matrix of weights of two parts; drawn pairs within them, to the end of a population."""
    weights = np.arange(20.0 * 40).reshape(20, 40)
    network = ring(pre=Subgroup("a", 10), weights=weights)
    assert network.initial_state()["p.w"].tolist() == weights.ravel().tolist()
    assert network.indices("p")[0].min() == 10
    drawn = ring(pre=Subgroup("a", 0, 20), post=Subgroup("b", 30), pairs=FixedProbability(p=0.3))
    i, j = drawn.indices("p")
    assert (i.max(), j.min()) == (19, 30)
    assert abs(len(i) - 60) < 5 * np.sqrt(200 * 0.21)
    assert not np.array_equal(attrs.evolve(drawn, seed=1).indices("p"), (i, j))


SUBGROUPS = [
    (lambda: Subgroup("a", 3, 3), r"Subgroup.stop must be > start \(3\)"),
    (lambda: Subgroup("a", -1), "Subgroup.start"),
    (lambda: ring(pre=Subgroup("a", 0, 31)), r"Projection\(a\[0:31\]->b\).pre.*30 neurons of a"),
    (lambda: ring(post=Subgroup("b", 40)), r"must be within the 40 neurons of b, got b\[40:\]"),
    (lambda: ring(pre=Subgroup("c")), "one of a, b, got 'c'"),
    (lambda: ring(post="p"), r"one of the populations a, b, got 'p'.*biosnn.from_brian2"),
    (lambda: ring(pre=Subgroup("a", 3), transmit="v_post += w*i"), "'i' beside pre=a.*Read a para"),
    (lambda: ring(pre=Subgroup("a", 3), pairs=([27], [3])), "indices from 0 to 26, counted from"),
    (lambda: ring(pre=Subgroup("a", 3), pairs="one_to_one"), "between parts of one size"),
    (
        lambda: ring(post=Subgroup("b", 3), normalise=networks.Normalisation(total=1.0)),
        "between whole populations",
    ),
    (lambda: ring(pre=Subgroup("a", 3), weights=np.ones((30, 40))), "one per pair, in a row"),
    (
        lambda: ring(pre=Subgroup("b", 3), post=Subgroup("b", 0, 9), pairs="all_but_self"),
        r'Condition\("i \+ 3 != j \+ 0"\)',
    ),
    (
        lambda: ring(
            pre=Subgroup("b", 3),
            post=Subgroup("b", 0, 9),
            pairs=FixedProbability(p=0.5, to_self=False),
        ),
        r'to_self=False from b\[3:\] to b\[0:9\].*Condition\("i \+ 3 != j \+ 0"\)',
    ),
    (
        lambda: summed_onto(Subgroup("b", 5, 9), 0.5),
        r"0 outside of the part, got k_post \(summed\).*b\[5:9\], where k begins with 0.5",
    ),
    (lambda: named("g_post += w*i"), "synapse.transmit.*'i' beside pre=a"),
    (lambda: named("g_post += w*u", "u = 1.0*N_pre : 1"), "synapse.equations.*'N_pre' beside"),
]


def summed_onto(part: Subgroup, first: float) -> NetworkModel:
    """Synapses onto a part, whose weights add up in a variable of its neurons."""
    plain = ring()
    model = models.neuron(equations="k : 1\nv = 2*k : 1", threshold="v > 2", initial={"k": first})
    sums = Projection(pre="a", post=part, equations="k_post = w : 1 (summed)", weights=0.4)
    populations = {**plain.populations, "b": Population(model=model, n=40)}
    return attrs.evolve(plain, populations=populations, projections={"p": sums})


def named(transmit: str, equations: str = "") -> NetworkModel:
    """A part of a population whose synapses have a model of the target."""
    synapse = models.SynapseModel(
        name="numbered",
        companion=models.Companion(equations="dg/dt = -g/(5*ms) : 1"),
        transmit=transmit,
        equations=equations,
    )
    plain = ring()
    cell = plain.populations["b"].model.with_synapses(syn=synapse)
    projection = Projection(pre=Subgroup("a", 3), post="b", synapse="syn", weights=0.4)
    populations = {**plain.populations, "b": Population(model=cell, n=40)}
    return attrs.evolve(plain, populations=populations, projections={"p": projection})


@pytest.mark.parametrize(("make", "message"), SUBGROUPS, ids=range(len(SUBGROUPS)))
def test_subgroups_that_cannot_be(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_sums_over_the_synapses_of_a_part() -> None:
    """Neurons of the part have the sum, as in Brian2, and others what they begin with: 0."""
    network = summed_onto(Subgroup("b", 5, 9), 0.0)
    _, state = simulation.compile(network, "runtime").run({"n_samples": 1})
    np.testing.assert_allclose(state["b.k"], np.repeat([0.0, 12.0, 0.0], [5, 4, 31]))


def test_a_convolution_in_a_network() -> None:
    """A unit of an edge detector fires where the edge is, and in its order of pairs."""
    layer = Convolution(in_shape=(1, 5, 6), kernel=(1, 2))
    n_out = int(np.prod(layer.out_shape))
    cell = models.neuron(equations="v : 1", threshold="v > 0.5", reset="v = 0", name="Sum")
    network = NetworkModel(
        name="edges",
        dt=1 * ms,
        inputs={"x": Input(features=30, kind="events")},
        populations={
            "inp": Population(model=encoding.address_events(), n=30, drives={"x": "x"}),
            "out": Population(model=cell.with_synapses(syn=models.delta(J=1.0)), n=n_out),
        },
        projections={
            "conv": Projection(
                pre="inp",
                post="out",
                synapse="syn",
                pairs=layer,
                weights=layer.weights([[[[-1.0, 1.0]]]]),
            )
        },
        presentation=Presentation(duration=5 * ms),
        output="out",
    )
    image = np.zeros((5, 6))
    image[:, 3:] = 1
    lit = np.flatnonzero(image)
    recording, _ = simulation.compile(network, "runtime").run(
        {"x": (np.zeros_like(lit), lit, np.full(len(lit), 1e-3)), "n_samples": 1}
    )
    counts = recording.counts("out")[0].reshape(layer.out_shape)
    assert counts[0].tolist() == [[0, 0, 1, 0, 0]] * 5


def test_from_matrix() -> None:
    dense = np.array([[0.0, 2.0, 0.0], [-1.0, 0.0, 3.0]])
    (i, j), weights = networks.from_matrix(dense)
    assert (i.tolist(), j.tolist(), weights.tolist()) == ([0, 1, 1], [1, 0, 2], [2, -1, 3])
    for kind in (sparse.csc_matrix, sparse.coo_array, sparse.lil_matrix):
        pairs, same = networks.from_matrix(kind(dense))
        assert np.array_equal(pairs, (i, j))
        assert np.array_equal(same, weights)
    entries = sparse.coo_array(([1.0, 0.0, 2.0], ([1, 0, 1], [0, 2, 0])), shape=(2, 3))
    (i, j), weights = networks.from_matrix(entries)
    assert (i.tolist(), j.tolist(), weights.tolist()) == ([0, 1], [2, 0], [0.0, 3.0])


BAD = [
    (lambda: FixedInDegree(k=0), "FixedInDegree.k"),
    (lambda: FixedInDegree(k=2.5), "FixedInDegree.k"),
    (lambda: FixedInDegree(k=6).indices(5, 5), "at most the number of presynaptic"),
    (lambda: FixedInDegree(k=5, to_self=False).indices(5, 5), "replacement=True"),
    (lambda: FixedProbability(p=1.2), "FixedProbability.p"),
    (lambda: FixedProbability(p=0.2, seed=-1), "FixedProbability.seed"),
    (lambda: DistanceDependent(pre=(3, 3), post=(3,), sigma=1.0), "dimensions"),
    (lambda: DistanceDependent(pre=(3,), post=(3,), sigma=0.0), "DistanceDependent.sigma"),
    (lambda: DistanceDependent(pre=(3,), post=(3,), sigma=1.0, profile="box"), "gaussian"),
    (lambda: DistanceDependent(pre=(3,), post=(3,), sigma=1.0, extent=(1, 1)), "extent"),
    (lambda: DistanceDependent(pre=(0,), post=(3,), sigma=1.0), "shape of a grid"),
    (lambda: DistanceDependent(pre=(4,), post=(3,), sigma=1.0).indices(3, 3), "4 positions"),
    (lambda: Convolution(in_shape=(5, 5), kernel=3), "in_shape"),
    (lambda: Convolution(in_shape=(1, 5, 5), kernel=6), "small enough"),
    (lambda: Convolution(in_shape=(1, 5, 5), kernel=(1, 2, 3)), "whole number or two"),
    (lambda: Convolution(in_shape=(1, 5, 5), kernel=3).indices(24, 9), "of 24 units"),
    (lambda: Convolution(in_shape=(1, 5, 5), kernel=3).weights(np.ones((3, 3))), "kernels"),
    (lambda: Condition("i !="), "Condition.condition.*valid Brian2 code"),
    (lambda: Condition("i + j"), "a condition, which is true or false"),
    (lambda: Condition("i < K"), "'K' in 'i < K'.*parameters="),
    (lambda: Condition("rand() < 0.5"), "without random numbers.*p="),
    (lambda: Condition("i < __import__('os')"), "Condition.condition"),
    (lambda: Condition("i < 3", p=1.5), r"Condition.p must be in \[0, 1\]"),
    (lambda: Condition("i < 3", p="i*um"), "Condition.p.*plain numbers"),
    (lambda: Condition("i < 3", p="(i - j)/(i - j)").indices(5, 5), "i = 0, j = 0"),
    (lambda: Condition("i < 3", n=0), "Condition.n"),
    (lambda: Condition("i < 3", n="i/2").indices(5, 5), r"whole numbers >= 0.*int\(\.\.\.\)"),
    (lambda: Condition("i < 3", n="i - 2").indices(5, 5), "whole numbers >= 0"),
    (lambda: Condition("i < 3", parameters={"s": 2}), "'s'.*no effect"),
    (lambda: Condition("x < 3", parameters={"x": [1.0, 2.0]}), "x_pre or x_post"),
    (lambda: Condition("x_pre < 3*um", parameters={"x": [1.0, 2.0]}), "same units|one unit"),
    (
        lambda: Condition("x_pre < x_post", parameters={"x": np.ones(5)}).indices(5, 4),
        "one for each of 4 postsynaptic neurons.*Give x_pre and x_post",
    ),
    (lambda: Generator(), "neither.*Use Condition"),
    (lambda: Generator(j="i + 1"), "a generator such as"),
    (lambda: Generator(j="k for k in x"), "a generator such as"),
    (lambda: Generator(j="k for k in list(5)"), r"range\(\.\.\.\) or sample"),
    (lambda: Generator(j="k for k in sample(5)"), "either p=... or size"),
    (lambda: Generator(j="k for k in range(j)"), "a range that depends on i only"),
    (lambda: Generator(j="j for k in range(i)"), "'j' in 'j'"),
    (lambda: Generator(j="i for i in range(5)"), "a name of its own"),
    (lambda: Generator(j="i + 1 for k in range(1)").indices(5, 5), "5 for i = 4.*skip_if_invalid"),
    (lambda: Generator(j="k for k in range(0, 5, i)").indices(5, 5), "steps that are not 0"),
    (lambda: Generator(j="k for k in sample(3, size=4)").indices(5, 5), "size=4 of 3"),
    (
        lambda: Generator(j="k for k in range(10**30)", skip_if_invalid=True).indices(4, 4),
        "whole numbers up to.*1e\\+30",
    ),
    (lambda: Generator(j="k for k in range(i*10**14)").expected(40, 4), "ranges of at most"),
    (lambda: Generator(j="k for k in sample(9, size=10**19)").indices(4, 4), "1e\\+19"),
    (
        lambda: Generator(j="k*1e300 for k in range(1, 3)", skip_if_invalid=True).indices(4, 4),
        "1e\\+300",
    ),
    (lambda: Condition(n="10**19").indices(4, 4), "n must be whole numbers up to.*1e\\+19"),
    (lambda: Condition(n=10**12).indices(3, 4), "at most 2,147,483,647 synapses.*12,000,"),
    (
        lambda: Condition("x_pre < 2", parameters={"x_pre": [1.0, 3.0], "x": [3.0, 1.0]}),
        "names used once.*'x_pre' beside 'x'",
    ),
    (
        lambda: Condition("x_pre < 2", parameters={"x": [3.0, 1.0], "x_pre": 1.0}),
        "names used once.*'x_pre' beside 'x'",
    ),
    (lambda: networks.from_matrix([1.0, 2.0]), "n_pre, n_post"),
    (lambda: networks.from_matrix([[1.0, np.nan]]), "finite"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_what_cannot_be_is_refused(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (FixedInDegree(k=4), r"projections\['p'\]\.pairs\.k"),
        (
            Generator(j="k for k in range(10**15)", skip_if_invalid=True),
            r"projections\['p'\]\.pairs.*tries at most.*tries 3,000,000,000,000,000",
        ),
    ],
)
def test_a_network_checks_its_patterns(pairs: Pattern, message: str) -> None:
    cell = models.lif()
    with pytest.raises(ParameterError, match=message):
        NetworkModel(
            name="small",
            dt=1 * ms,
            inputs={},
            populations={"a": Population(model=cell, n=3)},
            projections={
                "p": Projection(pre="a", post="a", transmit="v_post += w*mV", pairs=pairs)
            },
            presentation=Presentation(duration=5 * ms),
            output="a",
        )
