"""A tenth of a second on the same input: the same spikes and weights on every device.

The networks are shown one sample for 100 ms of simulated time with learning on (Diehl & Cook's
for 80 ms with 20 ms of rest after it), then the weights at its end are compared and
the spikes of all populations as sets of (neuron, time step), those of the inputs included.
"""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from brian2 import ms
from parity.built_in import (
    NETWORKS,
    compiled,
    live,
    presented,
    samples_for,
    spiking,
    with_cython,
    worst_deviation,
)

from biosnn.networks import NetworkModel
from biosnn.recording import Recording
from biosnn.simulation import Runnable
from biosnn.state import State

pytestmark = pytest.mark.slow
TOLERANCE = 1e-9
DURATION = 100 * ms


def a_tenth_of_a_second(name: str) -> NetworkModel:
    network = NETWORKS[name]()
    rest = 20 * ms if name.startswith("diehl_cook") else 0 * ms
    return presented(network, duration=DURATION - rest, rest=rest)


def run(runnable: Runnable) -> tuple[Recording, State]:
    state = start(runnable)
    return runnable.run(
        samples_for(runnable.network), state, learn=True, seed=11, horizon=10, progress=False
    )


def start(runnable: Runnable) -> State:
    """The initial state, with a readout that does not have to learn its first spike."""
    state = runnable.initial_state(3)
    return state.updated({"exc_readout.w": 0.5}) if "exc_readout.w" in state else state


@attrs.frozen
class Reference:
    """What Brian2 with NumPy finds."""

    name: str
    network: NetworkModel
    before: State
    recording: Recording
    after: State


@pytest.fixture(scope="module")
def binaries() -> dict[str, Runnable]:
    return compiled({name: a_tenth_of_a_second(name) for name in NETWORKS})


@pytest.fixture(scope="module", params=NETWORKS)
def reference(request) -> Reference:
    network = a_tenth_of_a_second(request.param)
    runnable = live(network, "numpy")
    return Reference(request.param, network, start(runnable), *run(runnable))


def spike_set(recording: Recording, key: str, network: NetworkModel) -> set[tuple[int, int]]:
    """Spikes as (neuron, time step)."""
    found = recording.spikes[key]
    steps = found.t / float(network.dt)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    return set(zip(found.i.tolist(), np.round(steps).astype(int).tolist(), strict=True))


def test_the_network_is_active_and_learns(reference):
    for key in spiking(reference.network):
        spikes = spike_set(reference.recording, key, reference.network)
        assert len(spikes) >= 5, key
        assert len(spikes) == reference.recording.counts(key).sum()
        assert len({step for _, step in spikes}) >= 3, key
    for key in reference.network.plastic_projections:
        moved = reference.after[f"{key}.w"] - reference.before[f"{key}.w"]
        assert np.abs(moved).max() > 1e-2, key


def assert_parity(reference: Reference, runnable: Runnable) -> None:
    recording, after = run(runnable)
    for key in spiking(reference.network):
        assert spike_set(recording, key, reference.network) == spike_set(
            reference.recording, key, reference.network
        ), key
    worst = {
        name: worst_deviation(after[name], values, float(np.abs(values).max()))
        for name, values in reference.after.items()
    }
    print(max(worst.items(), key=lambda item: item[1]))
    assert {name: value for name, value in worst.items() if not value <= TOLERANCE} == {}


def test_cpp_spikes_and_learns_alike(reference, binaries):
    assert_parity(reference, binaries[reference.name])


@with_cython
def test_cython_spikes_and_learns_alike(reference):
    assert_parity(reference, live(reference.network, "cython"))


def test_no_bit_depends_on_the_level_of_optimisation(binaries, monkeypatch):
    """Tests compile with -O1, users with -O3."""
    name = "poisson_argmax_readout"
    recording, state = run(binaries[name])
    monkeypatch.setenv("BIOSNN_OPTIMISATION", "3")
    optimised = compiled({name: a_tenth_of_a_second(name)})[name]
    assert "-O3" not in binaries[name]._made.artifact.manifest["flags"]
    assert "-O3" in optimised._made.artifact.manifest["flags"]
    found, end = run(optimised)
    assert recording.counts("exc").sum() >= 5
    assert end.checksum() == state.checksum()
    for key, spikes in recording.spikes.items():
        np.testing.assert_array_equal(found.spikes[key].i, spikes.i)
        np.testing.assert_array_equal(found.spikes[key].t, spikes.t)
