"""Copies of a network in one program: many samples at once, and many networks at once."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Hz, ms

from biosnn import encoding, models, networks, simulation
from biosnn.errors import DataError, DeviceError, ParameterError
from biosnn.models import Operation
from biosnn.networks import (
    FixedProbability,
    Input,
    NetworkModel,
    Population,
    Presentation,
    Projection,
)
from biosnn.program.lower import lower
from biosnn.recording import Recording
from biosnn.simulation import Ensemble, Runnable
from biosnn.state import State

N_SAMPLES, N_INPUTS = 11, 30
RNG = np.random.default_rng(0)
IMAGES = RNG.random((N_SAMPLES, N_INPUTS)) * RNG.random((N_SAMPLES, 1))
KEPT: dict[str, Any] = {
    "spikes": ["exc", "inp"],
    "per_sample": ["exc.count", "exc.t_first", "exc.v"],
}
TAU_M, GAIN = [1000 * ms, 500 * ms, 1300 * ms], [0.15, 0.1, 0.3]


def wta() -> NetworkModel:
    """Winner-take-all units that see some samples again, more intensely."""
    network = networks.winner_take_all(N_INPUTS, 8, theta=20.0, max_rate=200 * Hz)
    again = {"watch": "exc", "min_spikes": 12, "max_retries": 3, "intensity_step": 1.5}
    return attrs.evolve(network, presentation=attrs.evolve(network.presentation, **again))


def medley() -> NetworkModel:
    """Every kind of input and projection: matrices, lists of pairs, delays, values per synapse."""
    cell = models.neuron(
        name="Cell",
        equations="""
        dv/dt = (I + share*i/N + bias - v)/(10*ms) + 0.05*xi*ms**-0.5 : 1 (unless refractory)
        dI/dt = -I/(5*ms) : 1
        x : 1
        bias : 1
        fired : 1 (linked)
        """,
        threshold="v > 1 + 0.2*rand()",
        reset="v = 0",
        refractory=2 * ms,
        method="euler",
        parameters={"share": 0.3},
        initial={"bias": np.linspace(0, 0.1, 6)},
        operations=(
            Operation(code="I += 0.05*x - 0.01*fired*int(i != N - 1)", on="step"),
            Operation(code="I += 0.01*poisson(0.5) + 0.01*randn()", on="step"),
        ),
        links={"fired": "pool.fired"},
    )
    pool = models.neuron(
        name="Pool",
        equations="fired : 1",
        operations=(Operation(code="fired = 0", on="step"),),
        transient=("fired",),  # the cells read it before it is set to zero in the first step
    )
    return NetworkModel(
        name="medley",
        dt=0.5 * ms,
        inputs={
            "image": Input(features=5),
            "frames": Input(features=6, kind="sequence", frame=10 * ms),
            "events": Input(features=4, kind="events"),
        },
        populations={
            "pixels": Population(model=encoding.direct(), n=5, drives={"x": "image"}),
            "rates": Population(
                model=encoding.poisson(max_rate=300 * Hz), n=5, drives={"x": "image"}
            ),
            "source": Population(model=encoding.address_events(), n=4, drives={"x": "events"}),
            "cells": Population(model=cell, n=6, drives={"x": "frames"}),
            "followers": Population(model=attrs.evolve(cell, initial={}), n=4),
            "pool": Population(model=pool, n=1),
        },
        projections={
            "pixels_cells": Projection(
                pre="pixels",
                post="cells",
                transmit="I_post += 0.2*w*x_pre",
                on_event="present",
                weights=models.Uniform(low=0.0, high=1.0),
            ),
            "rates_cells": Projection(
                pre="rates",
                post="cells",
                transmit="I_post += w*(1 + i + 2*j)/(N_pre + N_post)",
                pairs=FixedProbability(p=0.5, seed=3),
                weights=models.Uniform(low=0.0, high=0.6),
            ),
            "source_cells": Projection(
                pre="source",
                post="cells",
                transmit="v_post += 0.5",
                pairs=([0, 1, 2, 3], [0, 1, 2, 3]),
            ),
            "cells_cells": Projection(
                pre="cells",
                post="cells",
                transmit="I_post -= w",
                pairs="all_but_self",
                weights=0.05,
                delay=np.tile([0.5, 1.0, 2.0], 10) * ms,
            ),
            "cells_followers": Projection(
                pre="cells",
                post="followers",
                transmit="I_post += w",
                weights=models.Uniform(low=0.0, high=1.5),
                delay=1.5 * ms,
            ),
            "cells_pool": Projection(pre="cells", post="pool", transmit="fired_post += 1"),
        },
        presentation=Presentation(duration=30 * ms, rest=10 * ms),
        output="followers",
    )


def medley_samples(n: int) -> dict:
    rng = np.random.default_rng(5)
    sample = np.sort(rng.integers(0, n, 40))
    return {
        "image": rng.random((n, 5)),
        "frames": rng.random((n, 3, 6)),
        "events": (sample, rng.integers(0, 4, 40), rng.integers(0, 60, 40) * 0.5e-3),
        "intensity": rng.uniform(0.5, 2.0, n),
        "n_samples": n,
    }


def assert_same(one: tuple[Recording, State], other: tuple[Recording, State]) -> None:
    (recording, state), (found, end) = one, other
    np.testing.assert_array_equal(found.shown, recording.shown)
    assert found.per_sample.keys() == recording.per_sample.keys()
    for name, rows in recording.per_sample.items():
        assert found.per_sample[name].tobytes() == rows.tobytes(), name
    for name, rows in recording.snapshots.items():
        assert found.snapshots[name].tobytes() == rows.tobytes(), name
    for key, spikes in recording.spikes.items():
        for name in ("i", "t", "sample"):
            wanted = getattr(spikes, name)
            np.testing.assert_array_equal(getattr(found.spikes[key], name), wanted, key)
    assert set(end) == set(state)
    for name, values in state.items():
        assert end[name].tobytes() == values.tobytes(), name


@pytest.fixture(scope="module")
def one() -> Runnable:
    return simulation.compile(wta(), math="strict", **KEPT, snapshots={"inp_exc.w": 4})


@pytest.fixture(scope="module")
def four() -> Runnable:
    return simulation.compile(wta(), math="strict", **KEPT, n_parallel=4)


@pytest.fixture(scope="module")
def three_networks() -> Ensemble:
    parameters = {"exc.tau_m": TAU_M, "inp_exc.gain": GAIN}
    kept = {**KEPT, "snapshots": {"inp_exc.w": 4}}
    return simulation.ensemble(wta(), 3, math="strict", parameters=parameters, **kept)


def without_snapshots(found: tuple[Recording, State]) -> tuple[Recording, State]:
    return attrs.evolve(found[0], snapshots={}), found[1]


@pytest.mark.parametrize("n", [N_SAMPLES, 8, 3, 1])
def test_samples_at_once_are_those_one_by_one(one: Runnable, four: Runnable, n: int) -> None:
    """Whatever their number: a multiple of the copies, fewer, or neither."""
    trained = one.run(IMAGES, learn=True, seed=1)[1]
    options: dict[str, Any] = {"seed": 5, "epoch": 2, "first_sample": 7}
    alone = one.run(IMAGES[:n], trained, **options)
    assert alone[0].per_sample["exc.count"].sum() > n
    assert n == 1 or len(set(alone[0].shown)) > 1  # some were shown again, not all
    assert_same(without_snapshots(alone), four.run(IMAGES[:n], trained, **options))


def test_chunks_and_streams_of_samples_at_once(one: Runnable, four: Runnable) -> None:
    alone = one.run(IMAGES, seed=5)
    assert len(alone[0].spikes["exc"].i) > 0
    assert_same(without_snapshots(alone), four.run(IMAGES, seed=5, chunk_size=3))
    assert_same(without_snapshots(alone), four.run((row for row in IMAGES), seed=5))


def test_every_kind_of_projection_and_input() -> None:
    populations = ["cells", "followers", "source", "rates"]
    kept: dict[str, Any] = {
        "spikes": populations,
        "per_sample": ["cells.v", "followers.I", "cells.t_first"],
    }
    samples = medley_samples(N_SAMPLES)
    alone = simulation.compile(medley(), math="strict", **kept).run(samples, seed=3)
    for key in populations:
        assert len(alone[0].spikes[key].i) > 5, key
    many = simulation.compile(medley(), math="strict", n_parallel=3, **kept)
    assert_same(alone, many.run(samples, seed=3))


def test_a_program_of_copies_can_be_exported(four: Runnable, tmp_path) -> None:
    loaded = simulation.load(four.export(tmp_path / "copies"))
    assert loaded.n_parallel == 4
    found = four.run(IMAGES, seed=5)
    assert found[0].per_sample["exc.count"].sum() > 0
    assert_same(found, loaded.run(IMAGES, seed=5, folder=tmp_path / "run"))


def leaky(reset: Any, **changes: Any) -> NetworkModel:
    """Two leaky units that a sample's currents drive."""
    options: dict[str, Any] = {
        "equations": "dv/dt = (x - v)/(50*ms) : 1\nx : 1",
        "threshold": "v > 0.9",
        "reset": "v = 0",
        **changes,
    }
    cell = models.neuron(name="Leaky", method="exponential_euler", **options)
    return NetworkModel(
        name="carries",
        dt=1 * ms,
        inputs={"x": Input(features=2)},
        populations={"cells": Population(model=cell, n=2, drives={"x": "x"})},
        presentation=Presentation(duration=30 * ms, reset=reset),
        output="cells",
    )


STEP = {"equations": "dv/dt = (x - v)/(50*ms) : 1\nx : 1\nu : 1"}
THETA = {
    "equations": "dv/dt = (x - v)/(50*ms) : 1\nx : 1\ntheta : 1",
    "threshold": "v > 0.9 + theta",
}


@pytest.mark.parametrize(
    ("reset", "changes", "found"),
    [
        ("all", {}, ()),
        ("none", {}, ("cells.v",)),
        ({"cells": ("v",)}, {}, ()),
        ("none", {"operations": (Operation(code="v = 0.1*x", on="onset"),)}, ()),
        ("none", {"operations": (Operation(code="v = 0.1*v", on="onset"),)}, ("cells.v",)),
        # Refractoriness outlives a presentation unless a dict names it.
        ("all", {"refractory": 5 * ms}, ()),
        ({"cells": ("v",)}, {"refractory": 5 * ms}, ("cells.lastspike",)),
        ({"cells": ("v", "lastspike")}, {"refractory": 5 * ms}, ()),
        # Without learning a plastic threshold stands still; a threshold that is not is carried.
        ("all", {**THETA, "operations": (Operation(code="theta += 1", on="spike"),)}, "theta"),
        (
            "all",
            {
                **THETA,
                "operations": (Operation(code="theta += 1", on="spike"),),
                "transient": ("theta",),
            },
            (),
        ),
        # Written in every step, before it is read or after.
        ("all", {**STEP, "operations": (Operation(code="u = x"), Operation(code="v += u"))}, ()),
        ("all", {**STEP, "operations": (Operation(code="v += u"), Operation(code="u = x"))}, "u"),
        ("all", {**STEP, "operations": (Operation(code="u += x"),)}, "u"),
        ("all", {**STEP, "operations": (Operation(code="u = x", on="spike"),)}, "u"),
        # A value that is held for a step is computed before the onset resets anything.
        (
            "all",
            {"equations": "dv/dt = (x - held)/(50*ms) : 1\nx : 1\nheld = v : 1 (constant over dt)"},
            "v",
        ),
        ("all", {"equations": "dv/dt = (x - v)/(50*ms)*sin(t/ms) : 1\nx : 1"}, ("t",)),
    ],
)
def test_what_is_carried_is_read_from_the_declaration(reset, changes, found) -> None:
    """S5."""
    names = (f"cells.{found}",) if isinstance(found, str) else found
    assert lower(leaky(reset, **changes)).carried == names


def test_a_plastic_threshold_stands_still_without_learning() -> None:
    """S5."""
    network = wta()
    assert lower(network).carried == ()
    operations = tuple(
        attrs.evolve(part, plastic=False) for part in network.populations["exc"].model.operations
    )
    model = attrs.evolve(network.populations["exc"].model, operations=operations)
    population = attrs.evolve(network.populations["exc"], model=model)
    moving = attrs.evolve(network, populations={**network.populations, "exc": population})
    assert lower(moving).carried == ("exc.theta",)
    assert lower(networks.diehl_cook_2015(20, 4)).carried  # it goes on from sample to sample


def test_what_synapses_and_links_hand_on() -> None:
    """S5: the cells read what the last step of a presentation left in the pool."""
    network = medley()
    assert lower(network).carried == ()
    model = attrs.evolve(network.populations["pool"].model, transient=())
    late = {**network.populations, "pool": Population(model=model, n=1)}
    assert lower(attrs.evolve(network, populations=late)).carried == ("pool.fired",)
    early = {"pool": late["pool"], **late}
    assert lower(attrs.evolve(network, populations=early)).carried == ()
    source = attrs.evolve(network.projections["source_cells"], transmit="bias_post += 0.5")
    changed = attrs.evolve(network, projections={**network.projections, "source_cells": source})
    assert lower(changed).carried == ("cells.bias",)


def test_samples_that_depend_on_others_are_refused() -> None:
    """S5: the last of five weak samples makes a spike, thanks to those before it."""
    network = leaky("none")
    samples = np.array([[0.2, 0.2]] * 2 + [[1.1, 1.1]] * 3)
    alone = simulation.compile(network, "runtime")
    recording, _ = alone.run(samples)
    one_by_one = np.concatenate(
        [alone.run(samples[k : k + 1])[0].counts("cells") for k in range(5)]
    )
    assert recording.counts("cells")[:, 0].tolist() == [0, 0, 0, 0, 1]
    assert one_by_one.sum() == 0
    message = r"n_parallel must be 1 for this network: samples depend .* through cells\.v, got 2"
    with pytest.raises(ParameterError, match=message):
        simulation.compile(network, n_parallel=2)


def test_members_are_the_networks_alone(one: Runnable, three_networks: Ensemble) -> None:
    """Learning members with other seeds and parameters, each with retries of its own."""
    seeds = [4, 5, 9]
    found = three_networks.fit(IMAGES, epochs=2, seeds=seeds, chunk_size=7)
    alone = one.fit(IMAGES, epochs=2, seed=seeds[0])  # it has the first member's parameters
    assert alone[0].per_sample["exc.count"].sum() > N_SAMPLES
    moved = alone[1]["inp_exc.w"] - one.initial_state(seeds[0])["inp_exc.w"]
    assert np.abs(moved).max() > 0.1
    assert not np.array_equal(found[0][0].shown, found[2][0].shown)
    assert_same(alone, found[0])
    kept = {**KEPT, "snapshots": {"inp_exc.w": 4}}
    other = simulation.compile(three_networks.members[2], math="strict", **kept)
    assert_same(other.fit(IMAGES, epochs=2, seed=seeds[2]), found[2])


def test_members_go_on_from_states(one: Runnable, three_networks: Ensemble) -> None:
    starts = [one.initial_state(seed) for seed in (4, 5, 9)]
    parts = three_networks.run(IMAGES[:5], starts, learn=True, seeds=8, horizon=50)
    alone = one.run(IMAGES[:5], starts[0], learn=True, seed=8, horizon=50)
    assert alone[0].per_sample["exc.count"].sum() > 0
    assert_same(alone, parts[0])
    ends = [state for _, state in parts]
    again = three_networks.run(IMAGES[5:], ends, learn=["inp_exc"], seeds=8, first_sample=5)
    alone = one.run(IMAGES[5:], ends[0], learn=True, seed=8, first_sample=5)
    assert_same(alone, again[0])
    assert [state.samples_seen for _, state in again] == [N_SAMPLES] * 3


def test_a_member_that_diverges_is_named(three_networks: Ensemble) -> None:
    starts = three_networks.initial_states([1, 2, 3])
    huge = starts[1].updated({"inp_exc.w": np.full(N_INPUTS * 8, 1e308)})
    with pytest.raises(DeviceError, match=r"of member 1 became NaN or infinite at index \d+ in"):
        three_networks.run(IMAGES, [starts[0], huge, starts[2]])


def test_what_copies_cannot_do_is_refused(four: Runnable, three_networks: Ensemble) -> None:
    network = wta()
    with pytest.raises(ParameterError, match=r"learn must be False with n_parallel=4.*ensemble"):
        four.run(IMAGES, learn=True)
    with pytest.raises(ParameterError, match="n_jobs must be 1 with n_parallel=4"):
        four.run(IMAGES, n_jobs=2)
    with pytest.raises(ParameterError, match="n_parallel must be a whole number"):
        simulation.compile(network, n_parallel=0)
    with pytest.raises(ParameterError, match="n_parallel must be 1 on the device"):
        simulation.compile(network, "runtime", n_parallel=2)
    with pytest.raises(ParameterError, match="traces must be left out with n_parallel=2"):
        simulation.compile(network, n_parallel=2, traces={"exc.v": [0]})
    with pytest.raises(ParameterError, match="snapshots must be left out with n_parallel=2"):
        simulation.compile(network, n_parallel=2, snapshots={"exc.v": 2})
    with pytest.raises(DataError, match="a list of 3, one per member, got one state"):
        three_networks.run(IMAGES, three_networks.initial_states()[0])  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="seeds must be 3, or one, got 2 seeds"):
        three_networks.run(IMAGES, seeds=[1, 2])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"exc.tau_m": [1 * ms]}, "must be 2 values, got 1 values"),
        ({"exc.tau_m": [10.0, 20.0]}, "tau_m must be a quantity in s"),
        ({"exc.tau": [1.0, 2.0]}, "must be one of exc's"),
        ({"pool.m": [1.0, 2.0]}, r"one of pool's \(it has none\)"),
        ({"exc.step_size": [1.0, 2.0]}, "must be a constant: a Schedule"),
        ({"exc_pool.gain": [1.0, 2.0]}, "must be a parameter of one of inp, exc, pool, inp_exc"),
        ("exc.tau_m", "parameters must be a dict"),
    ],
)
def test_parameters_that_cannot_differ_are_refused(parameters: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        simulation.ensemble(wta(), 2, parameters=parameters)


def test_members_must_be_integrated_by_one_method() -> None:
    cell = models.lif().with_synapses(method="exact", exc=models.exponential_current())
    network = NetworkModel(
        name="poles",
        dt=1 * ms,
        inputs={"x": Input(features=1, kind="events")},
        populations={
            "source": Population(model=encoding.address_events(), n=1, drives={"x": "x"}),
            "cells": Population(model=cell, n=1),
        },
        projections={
            "source_cells": Projection(pre="source", post="cells", synapse="exc", weights=1.0)
        },
        presentation=Presentation(duration=10 * ms),
        output="cells",
    )
    tau = next(name for name in cell.constants if name.startswith("tau") and "exc" in name)
    taus = [cell.parameters["tau_m"], 3 * ms]
    with pytest.raises(ParameterError, match="two time constants of cells are equal in some"):
        simulation.ensemble(network, 2, parameters={f"cells.{tau}": taus})
