"""Neurons as torch layers and in Brian2: the same spikes and potentials, step for step.

All comparisons are in double precision with Brian2's NumPy target. The library's neurons run by
their own methods; every other method that applies is the matter of ``python -m validation
surrogate``, of which some are here.
"""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import NeuronGroup, linked_var, ms

from biosnn.errors import ParameterError
from biosnn.models import LIBRARY

torch = pytest.importorskip("torch")

from validation._surrogate import (  # noqa: E402
    N_NEURONS,
    compare,
    is_fast,
    library_neuron,
)
from validation._users import DT, INPUTS, USERS, neurons  # noqa: E402

TOLERANCE = 1e-12


@pytest.fixture(autouse=True)
def _brian2(fresh_brian2: None) -> None:
    """Every test with a Brian2 of its own."""


# --- the library


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_by_its_own_methods(name: str) -> None:
    # Channels take long: 40 ms in steps of 0.05 ms, about the longest that their upstroke bears.
    duration, dt = (40 * ms, 0.05 * ms) if is_fast(name) else (200 * ms, DT)
    pair = library_neuron(name, duration, dt=dt)
    assert pair.n_spikes > 20
    assert pair.same_spikes
    names = pair.ours.keys() - {"spike"}
    if any(pair.difference(variable) > TOLERANCE for variable in names):
        # Some neurons amplify rounding errors: by how much, Brian2 alone tells.
        rounded = library_neuron(name, duration, dt=dt, scale=1 + 2**-52)
        for variable in names:
            grown = np.abs(pair.theirs[variable] - rounded.theirs[variable]).max()
            assert pair.difference(variable) <= 4 * grown < 1e-11


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("lif", "euler"),
        ("lif_exponential", "exponential_euler"),
        ("lif_conductance", "rk2"),
        ("adex", "heun"),
        ("izhikevich", "rk4"),
        ("diehl_cook_inhibitory", "heun"),
        ("competitive", "exact"),
    ],
)
def test_other_methods(name: str, method: str) -> None:
    pair = library_neuron(name, 60 * ms, method=method)
    assert pair.n_spikes > 20
    assert pair.same_spikes
    assert pair.difference() <= TOLERANCE


# --- users' own Brian2 groups


@pytest.mark.parametrize("name", USERS)
def test_groups_of_users(name: str) -> None:
    group, settings = USERS[name]()
    pair = compare(group, INPUTS, 600, **settings)
    assert pair.n_spikes > 20
    assert pair.same_spikes
    for variable in pair.ours.keys() - {"spike"}:
        assert np.ptp(pair.ours[variable]) > 0, f"nothing happens to {variable}"
        assert pair.difference(variable) <= TOLERANCE


def test_an_input_that_changes_in_every_step() -> None:
    values = np.random.default_rng(1).uniform(0, 3, (600, N_NEURONS))
    pair = compare(neurons("dv/dt = (I - v)/tau : 1", "v > 1", "v = 0"), values, len(values))
    assert pair.n_spikes > 20
    assert pair.same_spikes
    assert pair.difference() <= TOLERANCE


def test_noise_has_the_variance_of_an_ornstein_uhlenbeck_process() -> None:
    group = neurons("dv/dt = -v/tau + 0.5*xi*sqrt(2/tau) : 1", "v > 10", "")
    torch.manual_seed(0)
    pair = compare(group, 0 * INPUTS, 5000)
    settled = {name: found["v"][500:] for name, found in (("b", pair.theirs), ("t", pair.ours))}
    # 0.5 s x 20 neurons hold about 450 independent samples: 3.3 % per standard error
    for values in settled.values():
        assert values.std() == pytest.approx(0.5, rel=0.1)
        lagged = (values[100:] * values[:-100]).mean() / values.var()
        assert lagged == pytest.approx(np.exp(-1), abs=0.12)
    assert pair.difference() > 0.1, "the same draws"


# --- what is refused


def test_statements_with_a_time_step_of_their_own_are_refused() -> None:
    group = neurons("dv/dt = (I - v)/tau : 1", "v > 1", "v = 0")
    group.run_regularly("v *= 0.5", dt=10 * ms)
    with pytest.raises(ParameterError, match=r"run_regularly.*dt.*100"):
        compare(group, INPUTS, 10)


def test_variables_of_groups_that_do_not_run_are_refused() -> None:
    other = NeuronGroup(N_NEURONS, "dz/dt = -z/(5*ms) : 1\nfixed : 1 (constant)", method="exact")
    linked = neurons("dv/dt = (I - v + z)/tau : 1\nz : 1 (linked)", "v > 1", "v = 0")
    linked.z = linked_var(other, "z")
    with pytest.raises(ParameterError, match="z, which is linked to"):
        compare(linked, INPUTS, 10)
    other.fixed = 0.3
    linked = neurons("dv/dt = (I - v + z)/tau : 1\nz : 1 (linked)", "v > 1", "v = 0")
    linked.z = linked_var(other, "fixed")
    pair = compare(linked, INPUTS, 500)
    assert pair.n_spikes > 20
    assert pair.same_spikes


def test_statements_before_their_event_are_refused() -> None:
    group = neurons("dv/dt = (I - v)/tau : 1", "v > 1", "v = 0", events={"low": "v > 0.5"})
    group.run_on_event("low", "v += 0.02", when="start")
    with pytest.raises(ParameterError, match="later than the test of the event 'low'"):
        compare(group, INPUTS, 10)
