"""The built-in networks in a size for parity tests, and their builds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import pytest
from brian2 import Hz

from biosnn import networks, simulation
from biosnn.networks import NetworkModel
from biosnn.simulation import Runnable

N_INPUTS, N_CELLS, N_CLASSES = 20, 6, 3
#: Input values of all sorts, none included.
IMAGE = np.random.default_rng(7).random(N_INPUTS).astype(np.float32)
IMAGE[::6] = 0
#: Samples for a network, by the name of its input.
SAMPLES = {"image": IMAGE[None], "label": np.eye(N_CLASSES, dtype=np.float32)[:1]}


def _winner_take_all(encoding: str, competition: str, **settings) -> NetworkModel:
    settings = {"theta": 25.0, "weight_norm": 4.0, "homeostasis": 0.5, **settings}
    return networks.winner_take_all(
        N_INPUTS, N_CELLS, encoding=encoding, competition=competition, **settings
    )


def _diehl_cook(rule: str) -> NetworkModel:
    # Normalisation must not lift weights above w_max, where the power law is not defined.
    return networks.diehl_cook_2015(N_INPUTS, N_CELLS, rule=rule, weight_sum=6.0, max_rate=600 * Hz)


#: Every encoding, every competition, both rules and the spiking readout, each once at least.
NETWORKS: dict[str, Callable[[], NetworkModel]] = {
    "poisson_argmax_readout": lambda: _winner_take_all(
        "poisson", "argmax", max_rate=800 * Hz, n_classes=N_CLASSES
    ),
    "direct_argmax": lambda: _winner_take_all("direct", "argmax", theta=60.0),
    "regular_none": lambda: _winner_take_all("regular", "none", max_rate=800 * Hz),
    "bernoulli_pool": lambda: _winner_take_all(
        "bernoulli", "pool", max_rate=800 * Hz, inhibition=20.0
    ),
    "diehl_cook_triplet": lambda: _diehl_cook("triplet"),
    "diehl_cook_power_law": lambda: _diehl_cook("power_law"),
}

#: Cython code takes some four seconds per code object to compile, ten minutes for all networks
#: where Brian2's cache (in the home folder) is empty: only on request.
with_cython = pytest.mark.skipif(
    "BIOSNN_PARITY_STATES" not in os.environ,
    reason="compiles for minutes at first; set BIOSNN_PARITY_STATES=100",
)


def presented(network: NetworkModel, **changes) -> NetworkModel:
    """The network with another presentation, in which every sample is shown once."""
    once = {"watch": None, "min_spikes": 0, "max_retries": 0}
    return attrs.evolve(network, presentation=attrs.evolve(network.presentation, **once, **changes))


def spiking(network: NetworkModel) -> list[str]:
    """Names of the populations that spike."""
    return [key for key, value in network.populations.items() if value.model.threshold is not None]


def samples_for(network: NetworkModel) -> dict[str, np.ndarray]:
    """One sample for each input of a network."""
    return {name: SAMPLES[name] for name in network.inputs}


def compiled(declared: Mapping[str, NetworkModel]) -> dict[str, Runnable]:
    """Build networks with strict floating-point flags, two at a time."""

    def build(network: NetworkModel) -> Runnable:
        return simulation.compile(network, "cpp", math="strict", **recorded(network))

    for network in declared.values():  # so that no two threads parse the same equations
        network.initial_state()
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(declared, pool.map(build, declared.values()), strict=True))


def live(network: NetworkModel, target: str) -> Runnable:
    """The network in this process."""
    return simulation.compile(network, "runtime", target=target, **recorded(network))


def recorded(network: NetworkModel) -> dict:
    """What the builds of a network record: the same for all, so that they can be compared."""
    names = spiking(network)
    return {"per_sample": tuple(f"{name}.count" for name in names), "spikes": tuple(names)}


def worst_deviation(
    values: np.ndarray, expected: np.ndarray, scale: float, floor: float = 0.1
) -> float:
    """Largest difference relative to the expected value, or to ``floor*scale`` if it is less."""
    if not np.isfinite(values).all():
        return np.inf
    if values.dtype.kind != "f":
        return 0.0 if np.array_equal(values, expected) else np.inf
    size = np.maximum(np.abs(expected), floor * scale)
    differences = np.abs(values - expected)
    return float(np.divide(differences, size, out=differences, where=differences > 0).max())
