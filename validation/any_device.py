"""Every neuron, synapse, rule and encoder on every device: the same spikes, the same weights.

Two networks hold all entries of the library (:mod:`validation._combined`): the neurons in small
time steps, all else in larger ones. They run on ``runtime`` and, with strict arithmetic, on
``cpp``. One network of everything is written as a CUDA program, compiled where nvcc is and run
where a GPU is.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import ms

from biosnn import gpu, simulation
from biosnn.errors import DeviceError
from biosnn.networks import NetworkModel
from biosnn.recording import Spikes
from biosnn.state import State
from validation._combined import (
    DT,
    Parts,
    add_encoders,
    add_neurons,
    add_rules,
    add_synapses,
    combined,
)

SEED = 3
#: Largest difference of a state variable, relative to the largest value that it has.
CLOSE = {"cpp": 1e-9, "cuda": 1e-6}

NETWORKS = {
    "neurons": ((add_neurons,), DT),
    "everything_else": ((add_synapses, add_rules, add_encoders), 0.5 * ms),
}

Result = tuple[Mapping[str, Spikes], State]


def spiking(network: NetworkModel) -> tuple[str, ...]:
    """Populations that can spike."""
    return tuple(key for key, p in network.populations.items() if p.model.threshold is not None)


def results(runnable: simulation.Runnable, parts: Parts) -> Result:
    """Spikes of all populations and the last state."""
    learns = bool(runnable.network.plastic_projections)
    recording, state = runnable.run(parts.samples, learn=learns, seed=SEED)
    return recording.spikes, state


def on_device(network: NetworkModel, parts: Parts, device: str) -> Result:
    """Results of a network on ``runtime`` or ``cpp``."""
    options: dict[str, Any] = {"math": "strict"} if device == "cpp" else {}
    runnable = simulation.compile(
        network, device, per_sample=(), spikes=spiking(network), **options
    )
    return results(runnable, parts)


def trains(spikes: Spikes, dt: float) -> np.ndarray:
    """Sample, time step and neuron of every spike, in this order."""
    steps = np.round(spikes.t / dt).astype(int)
    table = np.stack([spikes.sample, steps, spikes.i], axis=1)
    return table[np.lexsort(table.T[::-1])]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of two arrays, relative to the largest magnitude."""
    one, other = (np.asarray(part, dtype=float) for part in (one, other))
    scale = max(float(np.max(np.abs(other), initial=0.0)), 1e-300)
    return float(np.max(np.abs(one - other), initial=0.0)) / scale


def compared(
    network: NetworkModel, parts: Parts, expected: Result, found: Result, close: float
) -> dict[str, Any]:
    """Hold a device's results to those of another one, after asserting that there are any."""
    dt, start = float(network.dt), network.initial_state(SEED)
    populations, projections = {}, {}
    for key in expected[0]:
        one, other = (trains(result[0][key], dt) for result in (expected, found))
        equal = one.shape == other.shape and bool((one == other).all())
        unequal = key in dict(parts.differing) and np.array_equal(
            one, trains(expected[0][dict(parts.differing)[key]], dt)
        )
        needed = key in parts.firing
        populations[key] = {
            "value": len(other),
            "bound": f"{len(one)} equal spikes{', > 0' if needed else ''}",
            "ok": equal and (len(one) > 0 or not needed) and not unequal,
        }
    for key in network.plastic_projections:
        name = f"{key}.w"
        projections[key] = {
            "value": difference(found[1][name], expected[1][name]),
            "bound": close,
            "moved": float(np.abs(expected[1][name] - start[name]).max()),
        }
        check = projections[key]
        check["ok"] = check["value"] <= close and check["moved"] > 1e-6
    shared = {name for name in found[1] if name in expected[1]}
    differences = {name: difference(found[1][name], expected[1][name]) for name in shared}
    worst = max(differences, key=lambda name: differences[name])
    state = {
        "value": differences[worst],
        "bound": close,
        "ok": differences[worst] <= close,
        "variable": worst,
        "variables": len(shared),
    }
    return {"spikes": populations, "weights": projections, "state": state}


def on_cuda() -> dict[str, Any]:
    """Write everything as one CUDA program; compile it and run it where that is possible."""
    if gpu.brian2cuda_version() is None:
        return {"left_out": "brian2cuda is not installed"}
    network, parts = combined(2, 30 * ms)
    observed = {"per_sample": (), "spikes": spiking(network)}
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "network"
        try:
            architecture = gpu.architecture("native")
        except DeviceError:
            architecture = "sm_90"
        gpu.write(network, folder, math="strict", architecture=architecture, **observed)
        files = len(list((folder / "source" / "code_objects").glob("*.cu")))
        figures: dict[str, Any] = {
            "generated": {"value": files, "bound": "> 400 files", "ok": files > 400}
        }
        try:
            gpu.tools()
        except DeviceError as error:
            return {**figures, "not_compiled": str(error)}
        started = time.perf_counter()
        gpu.compile_program(folder)
        figures["compile_seconds"] = time.perf_counter() - started
        size = (folder / "main").stat().st_size
        figures["compiled"] = {"value": size, "bound": "> 0 bytes", "ok": size > 0}
        try:
            gpu.list_gpus()
        except DeviceError as error:
            return {**figures, "not_run": str(error)}
        found = results(simulation.load(folder), parts)
        expected = on_device(network, parts, "cpp")
        return figures | compared(network, parts, expected, found, CLOSE["cuda"])


def validate(*, short: bool) -> dict[str, Any]:
    """Run the whole library on every device that is here.

    Parameters
    ----------
    short : bool
        One short sample, and no CUDA code (``tests/test_cuda_code.py`` has it written).

    Returns
    -------
    dict
        Network -> what was compared -> population or projection -> ``value``, ``bound``, ``ok``.
    """
    n, duration = (1, 25 * ms) if short else (3, 60 * ms)
    figures = {}
    for name, (groups, dt) in NETWORKS.items():
        network, parts = combined(n, duration, groups, dt)
        expected = on_device(network, parts, "runtime")
        found = on_device(network, parts, "cpp")
        figures[name] = compared(network, parts, expected, found, CLOSE["cpp"])
    return figures if short else {**figures, "cuda": on_cuda()}
