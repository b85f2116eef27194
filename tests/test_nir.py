"""Graphs of NIR as networks: against closed forms and an interpreter of graphs in NumPy."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import ms

from biosnn import nir, simulation
from biosnn.networks import NetworkModel

pytest.importorskip("nir")

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


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_have_the_interpreters_spikes(seed: int) -> None:
    """1 to 4 layers, recurrent ones among them, in all conventions and with both resets."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    convention = list(nir.CONVENTIONS)[seed % 5]
    how = attrs.evolve(nir.CONVENTIONS[convention], reset=("v_reset", "subtract")[seed % 2])
    x = rng.random((1, T, graph.nodes["input"].input_type["input"][0]))
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
