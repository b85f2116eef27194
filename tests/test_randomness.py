"""W9, W11, S4: one seed gives one set of numbers, wherever and however a network runs."""

from __future__ import annotations

import os
import signal
import zlib

import attrs
import numpy as np
import pytest
from brian2 import ms
from scipy import special, stats

from biosnn import models, networks, simulation
from biosnn.errors import Interrupted, ParameterError
from biosnn.models import Companion, Event, Operation, Trace
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule, Statements
from biosnn.rng import counter_normal, counter_poisson, counter_uniform, inverse_normal

N, N_SAMPLES, STEPS = 6, 14, 150
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
        if done >= 6:
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
