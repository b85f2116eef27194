"""W9, W11, S4: one seed gives one set of numbers, wherever and however a network runs."""

from __future__ import annotations

import os
import signal

import attrs
import numpy as np
import pytest
from brian2 import ms
from scipy import stats

from biosnn import models, networks, simulation
from biosnn.declaration import from_data, to_data
from biosnn.errors import Interrupted, ParameterError
from biosnn.models import Companion, Event, Operation, Trace
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule, Statements

N, N_SAMPLES, STEPS = 6, 7, 150
X = np.random.default_rng(0).uniform(0.2, 0.5, (N_SAMPLES, N))


def noisy(method: str = "heun", **changes):
    """A neuron with every kind of draw in every place."""
    declared = {
        "name": "Noisy",
        "equations": """
        dv/dt = (I + 0.2*(rand() - 0.5) + 0.2*held - v)/tau + 0.5*xi*tau**-0.5
                + 0.2*xi_2*tau**-0.5 : 1
        held = randn() : 1 (constant over dt)
        I : 1
        k : integer
        size : 1
        luck : 1
        """,
        "threshold": "v > 0.6 + 0.2*rand( )",
        "reset": "v = 0.1*randn()",
        "method": method,
        "parameters": {"tau": 10 * ms},
        "events": {"lucky": Event(condition="rand() < 0.1")},
        "operations": (
            Operation(code="k = poisson(2.5)"),
            Operation(code="size = poisson(30 + 5*rand())", on="spike", when="after_resets"),
            Operation(code="luck = 0; size = 0", on="onset"),
            Operation(code="luck += rand()", on="lucky", when="after_resets"),
        ),
    }
    return models.NeuronModel(**{**declared, **changes})


def network(cell=None, **changes) -> NetworkModel:
    relay = models.neuron(
        name="Relay",
        equations="dv/dt = -v/(10*ms) : 1",
        threshold="v > 1",
        reset="v = 0",
        method="euler",  # the exponential function of NumPy is not that of C
    )
    declared = {
        "name": "chance",
        "dt": 0.1 * ms,
        "inputs": {"x": Input(features=N)},
        "populations": {
            "noisy": Population(model=cell or noisy(), n=N, drives={"I": "x"}),
            "out": Population(model=relay, n=40),
        },
        "projections": {
            "random": Projection(
                pre="noisy",
                post="out",
                transmit="v_post += w",
                weights=models.Uniform(low=0.0, high=1.0),
                pairs=networks.FixedProbability(p=0.5),
            )
        },
        "presentation": Presentation(duration=STEPS * 0.1 * ms),
        "output": "noisy",
    }
    return NetworkModel(**{**declared, **changes})


def alone(cell) -> NetworkModel:
    return network(
        populations={"noisy": Population(model=cell, n=N, drives={"I": "x"})}, projections={}
    )


PER_SAMPLE = ("noisy.count", "noisy.v", "noisy.k", "noisy.size", "noisy.luck", "out.count", "out.v")


def runnable(device: str, declared: NetworkModel | None = None, **options):
    options = {"math": "strict", **options} if device == "cpp" else options
    return simulation.compile(declared or network(), device, per_sample=PER_SAMPLE, **options)


@pytest.fixture(scope="module")
def cpp():
    return runnable("cpp")


@pytest.fixture(scope="module")
def first(cpp):
    found = cpp.run(X, seed=1, progress=False)
    assert found[0].per_sample["noisy.count"].sum() > 20
    assert found[0].per_sample["noisy.luck"].min() > 0
    assert found[0].per_sample["out.count"].sum() > 20
    assert len(np.unique(found[0].per_sample["noisy.v"])) == N * N_SAMPLES
    return found


def same(one, other) -> None:
    for name in PER_SAMPLE:
        np.testing.assert_array_equal(one[0].per_sample[name], other[0].per_sample[name], name)
    assert one[1].checksum() == other[1].checksum()


@pytest.mark.parametrize("chunks", [1, 3, 7])
def test_one_seed_is_one_result_in_any_number_of_chunks(cpp, first, chunks) -> None:
    same(first, cpp.run(X, seed=1, chunk_size=-(-N_SAMPLES // chunks), progress=False))


def test_another_seed_or_epoch_is_another_result(cpp, first) -> None:
    for other in ({"seed": 2}, {"seed": 1, "epoch": 1}, {"seed": 1, "first_sample": 1}):
        recording, _ = cpp.run(X, progress=False, **other)
        for name in ("noisy.v", "noisy.k", "out.v"):
            assert not np.array_equal(recording.per_sample[name], first[0].per_sample[name])


def test_processes_change_nothing(cpp, first) -> None:
    same(first, cpp.run(X, seed=1, n_jobs=2, progress=False))


def test_a_run_that_is_killed_and_resumed_changes_nothing(cpp, first, tmp_path) -> None:
    options = {"seed": 1, "folder": tmp_path / "run", "chunk_size": 2, "checkpoint_every": 4}

    def stop(done: int, _: int | None) -> None:
        if done >= 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        cpp.run(X, progress=stop, **options)
    same(first, cpp.run(X, resume=True, progress=False, **options))


def test_the_live_network_gives_equal_bits(first) -> None:
    live = runnable("runtime")
    same(first, live.run(X, seed=1, progress=False))
    same(first, live.run(X, seed=1, chunk_size=5, progress=False))


def test_refractoriness_at_random_follows_the_seed_too() -> None:
    cell = noisy(
        equations="dv/dt = (I - v)/tau : 1 (unless refractory)\nI : 1",
        threshold="v > 0.1",
        reset="v = 0",
        refractory="rand() < 0.98",
        method="exact",
        events={},
        operations=(),
    )
    live = simulation.compile(alone(cell), "runtime", per_sample=("noisy.count", "noisy.v"))
    once, _ = live.run(X, seed=1, progress=False)
    counts = once.per_sample["noisy.count"]
    assert counts.sum() > 50
    assert len(np.unique(counts)) > 3
    parts, _ = live.run(X, seed=1, chunk_size=3, progress=False)
    np.testing.assert_array_equal(parts.per_sample["noisy.v"], once.per_sample["noisy.v"])
    other, _ = live.run(X, seed=2, progress=False)
    assert not np.array_equal(other.per_sample["noisy.count"], counts)


def test_a_network_in_torch_draws_the_same_numbers(first) -> None:
    torch = pytest.importorskip("torch")
    from biosnn import surrogate

    module = surrogate.to_torch(alone(noisy()))  # single precision, as torch has it
    counts = module.counts(torch.tensor(X), seed=1, record="noisy.v")
    np.testing.assert_array_equal(counts.detach(), first[0].per_sample["noisy.count"])
    v = module.recorded["noisy.v"][-1].detach()
    np.testing.assert_allclose(v, first[0].per_sample["noisy.v"], atol=1e-6)
    other = module.counts(torch.tensor(X), seed=2).detach().numpy()
    assert not np.array_equal(other, first[0].per_sample["noisy.count"])


def test_noise_has_the_variance_of_its_equation() -> None:
    """An Ornstein-Uhlenbeck process after many time constants: standard deviation 0.5/sqrt(2)."""
    n = 2000
    cell = models.neuron(
        name="OU",
        equations="dv/dt = -v/tau + 0.5*xi*tau**-0.5 : 1\ndu/dt = -u/tau + 0.5*xi_u*tau**-0.5 : 1",
        method="euler",
        parameters={"tau": 2 * ms},
    )
    declared = NetworkModel(
        name="ou",
        dt=0.1 * ms,
        inputs={},
        populations={"c": Population(model=cell, n=n)},
        presentation=Presentation(duration=20 * ms),
        output="c",
    )
    live = simulation.compile(declared, "runtime", per_sample=("c.v", "c.u"))
    recording, _ = live.run({"n_samples": 2}, seed=3, progress=False)
    values = np.concatenate([recording.per_sample["c.v"], recording.per_sample["c.u"]])
    # Euler's steps of 0.05 time constants make the variance 1/(1 - 0.025) times as large.
    sd = 0.5 * np.sqrt(0.5 / (1 - 0.025))
    assert stats.kstest(values.ravel() / sd, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(values)[np.triu_indices(4, 1)]).max() < 4 / np.sqrt(n)


@pytest.mark.parametrize("method", ["euler", "milstein"])
def test_methods_for_noise_and_single_precision(method: str) -> None:
    cell = noisy(
        method,
        equations="dv/dt = (I - v)/tau + 0.3*(v + 1)*xi*tau**-0.5 : 1\nI : 1"
        if method == "milstein"
        else "dv/dt = (I - v)/tau + 0.3*xi*tau**-0.5 : 1\nI : 1",
        events={},
        operations=(),
    )
    found = {}
    for precision in ("double", "single"):
        live = simulation.compile(
            alone(cell), "runtime", precision=precision, per_sample=("noisy.v", "noisy.count")
        )
        whole, _ = live.run(X, seed=1, progress=False)
        parts, _ = live.run(X[:3], seed=1, chunk_size=2, progress=False)
        found[precision] = whole.per_sample["noisy.v"]
        assert whole.per_sample["noisy.count"].sum() > 5
        assert np.unique(found[precision]).size == N * N_SAMPLES
        np.testing.assert_array_equal(found[precision][:3], parts.per_sample["noisy.v"])
    near = np.abs(found["double"] - found["single"]) < 1e-4
    assert near.mean() > 0.9  # a spike or two may come a step earlier or later


def test_companions_and_traces_draw_too_each_its_own_numbers() -> None:
    def rule() -> PlasticityRule:
        return PlasticityRule(
            name="Chance",
            statements=(Statements(side="pre", code="w += 0*y_post*q_post*x_pre"),),
            pre_traces=(Trace(name="x", tau=5 * ms, bump="+= rand()"),),
            post_companion=Companion(
                equations="dy/dt = -y/(5*ms) + xi*(5*ms)**-0.5 : 1\nq : 1",
                operations=(Operation(code="q = randn() + poisson(2)"),),
            ),
        )

    relay = models.neuron(
        name="Relay",
        equations="dv/dt = 1/(2*ms) : 1",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
    )
    declared = NetworkModel(
        name="two rules",
        dt=0.5 * ms,
        inputs={},
        populations={key: Population(model=relay, n=4) for key in ("a", "b")},
        projections={
            key: Projection(pre="a", post="b", weights=1.0, rule=rule()) for key in ("p", "q")
        },
        presentation=Presentation(duration=20 * ms),
        output="b",
    )
    names = [f"b.{key}_{name}" for key in ("p", "q") for name in ("y", "q")]
    names += ["a.p_x", "a.q_x"]
    live = simulation.compile(declared, "runtime", per_sample=names)
    whole, _ = live.run({"n_samples": 4}, learn=True, seed=1, progress=False)
    parts, _ = live.run({"n_samples": 4}, learn=True, seed=1, chunk_size=1, progress=False)
    seen = np.concatenate([whole.per_sample[name].ravel() for name in names])
    assert np.isin(seen, 0).sum() == 0
    continuous = [name for name in names if name != "b.p_q"]
    for name in names:
        np.testing.assert_array_equal(whole.per_sample[name], parts.per_sample[name], name)
    drawn = np.concatenate([whole.per_sample[name].ravel() for name in continuous])
    assert np.unique(drawn).size == drawn.size


def test_a_networks_own_names_stay_free_of_models() -> None:
    clash = noisy(equations="dv/dt = -v/tau + xi*tau**-0.5 : 1\nI : 1\nrandom_step : 1")
    with pytest.raises(ParameterError, match="random_step"):
        alone(attrs.evolve(clash, events={}, operations=()))


SYNAPSE = {"pre": "a", "post": "b", "weights": 1.0}
#: Every door by which random numbers could reach the code of synapses.
DOORS = {
    "transmit": lambda code: Projection(**SYNAPSE, transmit=f"v_post += {code}"),
    "equations": lambda code: Projection(**SYNAPSE, equations=f"x = {code} : 1"),
    "rates": lambda code: Projection(**SYNAPSE, equations=f"dx/dt = {code}/ms : 1"),
    "rule": lambda code: PlasticityRule(
        name="own", statements=(Statements(side="pre", code=f"w += {code}"),)
    ),
    "rates of a rule": lambda code: PlasticityRule(
        name="own", statements=(), equations=f"dx/dt = {code}/ms : 1"
    ),
    "synapse": lambda code: models.SynapseModel(
        name="own", companion=Companion(equations="g : 1"), transmit=f"g_post += {code}"
    ),
    "equations of a synapse": lambda code: models.SynapseModel(
        name="own", companion=Companion(equations="g : 1"), equations=f"x = {code} : 1"
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("code", ["rand()", "randn( )", "poisson(2.0)", "exp(-rand())"])
def test_synapses_draw_nothing(door: str, code: str) -> None:
    with pytest.raises(ParameterError, match=r"without random numbers.*operation of a neuron"):
        DOORS[door](code)


@pytest.mark.parametrize("door", ["rates", "rates of a rule"])
def test_synapses_have_no_noise(door: str) -> None:
    with pytest.raises(ParameterError, match=r"without random numbers, got xi_1 in"):
        DOORS[door]("xi_1")


def test_random_subexpressions_keep_their_value_for_a_step() -> None:
    with pytest.raises(ParameterError, match=r"\(constant over dt\).*got x = rand\(\)"):
        models.neuron(equations="dv/dt = -v/ms : 1\nx = rand() : 1", threshold="v > 1")


# Connectivity


def pairs(declared: NetworkModel, key: str) -> set[tuple[int, int]]:
    return set(zip(*(part.tolist() for part in declared.indices(key)), strict=True))


@pytest.mark.parametrize(
    "pattern",
    [
        networks.FixedProbability(p=0.3),
        networks.FixedInDegree(k=6),
        networks.DistanceDependent(pre=(20,), post=(20,), sigma=0.3),
    ],
    ids=lambda pattern: type(pattern).__name__,
)
def test_every_projection_draws_its_own_pairs_and_the_networks_seed_moves_all(pattern) -> None:
    cell = models.neuron(equations="v : 1", threshold="v > 1", reset="v = 0")
    declared = NetworkModel(
        name="pairs",
        dt=1 * ms,
        inputs={},
        populations={key: Population(model=cell, n=20) for key in "ab"},
        projections={
            key: Projection(pre="a", post="b", transmit="v_post += w", weights=0.1, pairs=given)
            for key, given in (
                ("p", pattern), ("q", pattern), ("own", attrs.evolve(pattern, seed=5)),
            )
        },
        presentation=Presentation(duration=10 * ms),
        output="b",
    )  # fmt: skip
    assert 60 < len(pairs(declared, "p")) < 340
    assert declared.n_synapses("p") == len(pairs(declared, "p"))
    assert pairs(declared, "p") != pairs(declared, "q")
    again = from_data(to_data(declared))
    moved = attrs.evolve(declared, seed=1)
    for key in ("p", "q"):
        assert pairs(again, key) == pairs(declared, key)
        assert pairs(moved, key) != pairs(declared, key)
    assert pairs(moved, "own") == pairs(declared, "own")
    assert moved.fingerprint != declared.fingerprint
    # Files that are older than the seed: networks without it, patterns with one.
    older = to_data(declared)
    del older["seed"]
    older["projections"]["p"]["pairs"]["seed"] = 0
    old = from_data(older)
    assert old.seed == 0
    expected = pattern.indices(20, 20)  # outside networks the seed is 0
    np.testing.assert_array_equal(old.indices("p"), expected)
    with pytest.raises(ParameterError, match=r"network\.indices"):
        declared.projections["p"].indices(20, 20)
    with pytest.raises(ParameterError, match="seed must be a whole number"):
        attrs.evolve(declared, seed=-1)


def test_what_runs_is_what_the_declaration_says() -> None:
    """Weights of one: a spike of a neuron adds one to all that it is connected to."""
    cell = models.neuron(name="Once", equations="v : 1", threshold="i == 2", reset="v = 0")
    target = models.neuron(name="Sum", equations="v : 1")
    declared = NetworkModel(
        name="sum",
        dt=1 * ms,
        inputs={},
        populations={"a": Population(model=cell, n=5), "b": Population(model=target, n=30)},
        projections={
            "p": Projection(
                pre="a",
                post="b",
                transmit="v_post += w",
                weights=1.0,
                pairs=networks.FixedProbability(p=0.5),
            )
        },
        presentation=Presentation(duration=1 * ms),
        output="b",
    )
    live = simulation.compile(declared, "runtime", per_sample=("b.v",))
    recording, _ = live.run({"n_samples": 1}, progress=False)
    reached = np.flatnonzero(recording.per_sample["b.v"][0])
    assert 5 < reached.size < 25
    assert set(reached.tolist()) == {j for i, j in pairs(declared, "p") if i == 2}


def test_variables_and_projections_draw_their_own_initial_values() -> None:
    cell = models.neuron(
        equations="v : 1\nu : 1",
        threshold="v > 2",
        reset="v = 0",
        initial={"v": models.Uniform(low=0, high=1), "u": models.Uniform(low=0, high=1)},
    )
    projection = Projection(pre="a", post="b", weights=models.Normal(mean=0.0, sd=1.0))
    declared = NetworkModel(
        name="initial",
        dt=1 * ms,
        inputs={},
        populations={key: Population(model=cell, n=30) for key in "ab"},
        projections={key: projection for key in "pq"},
        presentation=Presentation(duration=10 * ms),
        output="b",
    )
    drawn = [
        declared.initial_state(seed)[name]
        for seed in (0, 1)
        for name in ("a.v", "a.u", "b.v", "b.u", "p.w", "q.w")
    ]
    values = np.concatenate(drawn)
    assert np.unique(values).size == values.size
