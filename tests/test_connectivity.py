"""Patterns of connectivity: what they connect, that they stay the same, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import ms
from scipy import sparse
from scipy.signal import correlate2d

from biosnn import encoding, models, networks, simulation
from biosnn.declaration import from_data, to_data
from biosnn.errors import ParameterError
from biosnn.networks import (
    Convolution,
    DistanceDependent,
    FixedInDegree,
    FixedProbability,
    Input,
    NetworkModel,
    Pattern,
    Population,
    Presentation,
    Projection,
)

PATTERNS = [
    (FixedProbability(p=0.1, seed=3), 200, 300),
    (FixedProbability(p=0.1, seed=3, to_self=False), 200, 300),
    (FixedInDegree(k=20, seed=3), 200, 300),
    (FixedInDegree(k=20, seed=3, to_self=False), 200, 300),
    (FixedInDegree(k=250, seed=3, replacement=True), 200, 300),
    (DistanceDependent(pre=(10, 20), post=(15, 20), sigma=0.2, wrap=True, seed=3), 200, 300),
    (Convolution(in_shape=(2, 10, 10), kernel=(3, 2), out_channels=3, stride=(1, 2)), 200, 120),
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
    (lambda: networks.from_matrix([1.0, 2.0]), "n_pre, n_post"),
    (lambda: networks.from_matrix([[1.0, np.nan]]), "finite"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_what_cannot_be_is_refused(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_network_checks_its_patterns() -> None:
    cell = models.lif()
    with pytest.raises(ParameterError, match=r"projections\['p'\]\.pairs\.k"):
        NetworkModel(
            name="small",
            dt=1 * ms,
            inputs={},
            populations={"a": Population(model=cell, n=3)},
            projections={
                "p": Projection(
                    pre="a", post="a", transmit="v_post += w*mV", pairs=FixedInDegree(k=4)
                )
            },
            presentation=Presentation(duration=5 * ms),
            output="a",
        )
