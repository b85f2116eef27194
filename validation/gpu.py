"""The device ``cuda`` on a GPU: held to ``cpp``, to itself one by one, and to compute-sanitizer.

Without a GPU every check says that it was not run, and why.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import ms

from biosnn import gpu, models, networks, simulation
from biosnn.devices.base.artifact import write_states
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.chunk_files import Places, settings_lines
from biosnn.devices.base.contract import Chunk, Settings
from biosnn.errors import BiosnnError, DeviceError
from biosnn.networks import NetworkModel
from validation import any_device
from validation._checks import check
from validation._combined import Parts, combined

#: Makes a network runnable: ``simulation.compile`` for the device in question.
Compile = Callable[..., simulation.Runnable]
SEED = 3
#: Sums of floating-point numbers come in another order where synapses are lists.
CLOSE = 1e-6
SANITIZERS = ("memcheck", "racecheck", "initcheck")
_SUMMARY = re.compile(
    r"(?:ERROR SUMMARY: (?P<errors>\d+) errors?|RACECHECK SUMMARY: (?P<hazards>\d+) hazards?)"
)


def on_gpu(network: NetworkModel, **options: Any) -> simulation.Runnable:
    """Compile for the first GPU."""
    return simulation.compile(network, "cuda", **options)


def ensemble_on_gpu(network: NetworkModel, n: int, **options: Any) -> simulation.Ensemble:
    """Compile an ensemble for the first GPU."""
    return simulation.ensemble(network, n, "cuda", **options)


def images(n: int, features: int) -> np.ndarray:
    """Patterns in [0, 1], the same ones each time."""
    return np.random.default_rng(0).uniform(0, 1, (n, features)).astype(np.float32)


# --- the same spikes


def small_networks() -> dict[str, tuple[NetworkModel, dict[str, Any]]]:
    """Three networks, each with samples of one second in all."""
    shown = images(10, 64)
    lif = NetworkModel(
        name="population",
        dt=0.1 * ms,
        inputs={"current": networks.Input(features=100)},
        populations={
            "lif": networks.Population(model=models.lif(), n=100, drives={"I": "current"})
        },
        presentation=networks.Presentation(duration=100 * ms),
        output="lif",
    )
    currents = np.linspace(20e-9, 40e-9, 1000).reshape(10, 100)
    return {
        "population": (lif, {"current": currents}),
        "winner_take_all": (
            networks.winner_take_all(64, 25, encoding="regular"),
            {"image": shown},
        ),
        "winner_take_all_direct": (
            networks.winner_take_all(64, 25, encoding="direct"),
            {"image": shown},
        ),
    }


def same_spikes(
    network: NetworkModel, samples: Mapping[str, Any], compile: Compile, parts: Parts | None = None
) -> dict[str, Any]:
    """Spikes, weights and states of a network that learns, held to those on ``cpp``."""
    spiking = [key for key, p in network.populations.items() if p.model.threshold is not None]
    found = []
    for make in (_on_cpp, compile):
        runnable = make(network, per_sample=(), spikes=spiking, math="strict")
        recording, state = runnable.run(samples, learn=True, seed=SEED, progress=False)
        found.append((recording.spikes, state))
    firing = parts or Parts(0, network.presentation.duration, firing=[network.output])
    return any_device.compared(network, firing, found[0], found[1], CLOSE)


def library(compile: Compile) -> dict[str, Any]:
    """Everything in the library for one second, in five samples."""
    network, parts = combined(5, 195 * ms)
    return same_spikes(network, parts.samples, compile, parts)


def _on_cpp(network: NetworkModel, **options: Any) -> simulation.Runnable:
    return simulation.compile(network, "cpp", **options)


# --- random numbers


def noisy_rates(compile: Compile, n: int = 400) -> dict[str, Any]:
    """Spikes of neurons with white noise, which is the same on every device."""
    cell = models.neuron(
        equations="dv/dt = (0.9 - v)/(10*ms) + 0.4*xi*(10*ms)**-0.5 : 1",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="Noisy",
    )
    network = NetworkModel(
        name="noisy",
        dt=0.1 * ms,
        inputs={},
        populations={"cell": networks.Population(model=cell, n=n)},
        presentation=networks.Presentation(duration=1000 * ms),
        output="cell",
    )
    counts = []
    for make in (_on_cpp, compile):
        runnable = make(network, math="strict")
        recording, _ = runnable.run({"n_samples": 1}, seed=SEED, progress=False)
        counts.append(recording.counts("cell")[0])
    expected, found = counts
    unequal = int((expected != found).sum())  # where last digits differ, a spike may move
    ok = expected.mean() > 5 and unequal <= n // 100
    return check(unequal, n // 100, ok, rate_cpp=float(expected.mean()), rate=float(found.mean()))


# --- one run on several devices


def moved(network: NetworkModel, samples: np.ndarray, compile: Compile) -> dict[str, Any]:
    """A run that goes from ``cpp`` to the GPU and back, held to one that stays on ``cpp``."""
    n, options = len(samples), {"math": "strict"}
    cpp, cuda = _on_cpp(network, **options), compile(network, **options)
    whole, end = cpp.run(samples, learn=True, seed=SEED, progress=False)
    cuts = [0, n // 3, 2 * n // 3, n]
    state, counts = None, []
    for runnable, first, last in zip((cpp, cuda, cpp), cuts, cuts[1:], strict=False):
        part, state = runnable.run(
            samples[first:last],
            state,
            learn=True,
            seed=SEED,
            first_sample=first,
            horizon=n,
            progress=False,
        )
        counts.append(part.counts(network.output))
    assert state is not None
    expected = whole.counts(network.output)
    same = np.array_equal(np.concatenate(counts), expected) and expected.any()
    worst = max(any_device.difference(state[name], end[name]) for name in end)
    return check(worst, CLOSE, bool(same and worst <= CLOSE), spikes=int(expected.sum()))


# --- many at once


def parallel(
    network: NetworkModel, samples: np.ndarray, compile: Compile, n: int
) -> dict[str, Any]:
    """Samples shown at once, held to the same one after the other."""
    options = {"math": "strict"}
    one, many = compile(network, **options), compile(network, n_parallel=n, **options)
    expected, found = (
        r.run(samples, seed=SEED, progress=False)[0].counts(network.output) for r in (one, many)
    )
    unequal = int((expected != found).any(axis=1).sum())
    return check(unequal, 0, unequal == 0 and bool(expected.any()), spikes=int(expected.sum()))


def side_by_side(
    network: NetworkModel,
    samples: np.ndarray,
    compile: Compile,
    ensemble: Callable[..., simulation.Ensemble],
    n: int,
) -> dict[str, Any]:
    """Networks that learn in one program, held to each of them alone."""
    alone, together = compile(network, math="strict"), ensemble(network, n, math="strict")
    found = together.run(samples, learn=True, seeds=range(n), progress=False)
    differences, spikes = [], 0
    for seed, (recording, state) in enumerate(found):
        expected, end = alone.run(samples, learn=True, seed=seed, progress=False)
        counts = expected.counts(network.output)
        spikes += int(counts.sum())
        differences.append(float(np.abs(recording.counts(network.output) - counts).max()))
        differences += [any_device.difference(state[name], end[name]) for name in end]
    worst = max(differences)
    return check(worst, 0, worst == 0 and spikes > 0, spikes=spikes)


# --- compute-sanitizer


def find_sanitizer(env: Mapping[str, str] | None = None) -> str | None:
    """Where compute-sanitizer is: on the PATH, or with the toolkit."""
    env = os.environ if env is None else env
    nvcc = gpu.find_nvcc(env)
    places = [env.get("PATH", ""), *([str(nvcc.parent)] if nvcc else [])]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(places))


def summary(log: str) -> int | None:
    """How many errors or hazards a log of compute-sanitizer counts; None if it does not say."""
    found = _SUMMARY.findall(log)
    return sum(int(one or other) for one, other in found) if found else None


def sanitized(
    runnable: simulation.Runnable, inputs: Mapping[str, np.ndarray], tool: str, program: str
) -> dict[str, Any]:
    """Run a compiled network under one of the sanitizer's tools, learning on."""
    made = runnable._made
    assert isinstance(made, CompiledNetwork)
    artifact = made.artifact
    n = len(next(iter(inputs.values())))
    with tempfile.TemporaryDirectory(prefix="biosnn-sanitizer-") as name:
        folder = Path(name)
        (folder / "out").mkdir()

        def put(key: str, data: np.ndarray) -> str:
            data.tofile(folder / f"input.{key}")
            return str(folder / f"input.{key}")

        write_states(folder / "state", runnable.interface, [runnable.initial_state(SEED)])
        lines = settings_lines(
            Chunk(n, {**dict.fromkeys(runnable.interface.ports), **inputs}),
            Settings(
                seed=SEED,
                epoch=0,
                first_sample=0,
                position=0,
                horizon=n,
                learning=tuple(runnable.interface.plastic),
            ),
            artifact.manifest["plastic"],
            Places(
                state_in=str(folder / "state"),
                state_out=str(folder / "after"),
                out=str(folder / "out"),
                parent=0,
                put=put,
            ),
        )
        (folder / "settings").write_text("\n".join(lines) + "\n")
        command = [program, "--tool", tool, "--log-file", str(folder / "log")]
        command += [str(artifact.folder / "main"), str(folder / "settings")]
        done = subprocess.run(
            command, cwd=artifact.folder, capture_output=True, text=True, check=False
        )
        log = (folder / "log").read_text() if (folder / "log").exists() else ""
    errors = summary(log)
    if errors is None:
        words = (log or done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"]
        return {"not_run": f"compute-sanitizer counted nothing; it said: {words[0]}"}
    finished = f"finished {n} " in done.stdout
    head = log.strip().splitlines()[:20] if errors else []
    return check(errors, 0, errors == 0 and finished, log=head)


# --- all of them


def absent() -> str:
    """Why nothing can be run on a GPU here; empty if it can."""
    try:
        gpu.list_gpus()
    except DeviceError as error:
        return f"no GPU ({error})"
    try:
        gpu.require_brian2cuda()
        gpu.tools()
    except DeviceError as error:
        return str(error)
    return ""


@attrs.frozen
class Checked:
    """Runs checks, and notes which could not be run."""

    reason: str

    def __call__(self, function: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
        """Call a check, unless there is no GPU; an error of biosnn is a check that fails."""
        if self.reason:
            return {"not_run": self.reason}
        try:
            return function(*given)
        except BiosnnError as error:
            return {"value": str(error), "bound": "no error", "ok": False}


def validate(
    *,
    short: bool,
    compile: Compile | None = None,
    ensemble: Callable[..., simulation.Ensemble] | None = None,
) -> dict[str, Any]:
    """Run all checks that need a GPU.

    Parameters
    ----------
    short : bool
        Without the network of the whole library, whose program takes minutes to compile.
    compile, ensemble : callable, optional
        Called in place of ``simulation.compile`` and ``simulation.ensemble`` for ``cuda``; then no
        GPU is looked for.

    Returns
    -------
    dict
        Check -> ``value``, ``bound``, ``ok``, or ``not_run`` with the reason.
    """
    on = Checked(absent() if compile is None else "")
    make, together = compile or on_gpu, ensemble or ensemble_on_gpu
    figures: dict[str, Any] = {
        "same_spikes": {
            name: on(same_spikes, network, samples, make)
            for name, (network, samples) in small_networks().items()
        }
    }
    figures["same_spikes"]["library"] = (
        {"not_run": "left out of the short form"} if short and not on.reason else on(library, make)
    )
    network, shown = networks.winner_take_all(64, 25), images(12, 64)
    figures["noisy_rates"] = on(noisy_rates, make)
    figures["cpp_cuda_cpp"] = on(moved, network, shown, make)
    figures["n_parallel"] = on(parallel, network, shown, make, 5)
    figures["ensemble"] = on(side_by_side, network, shown, make, together, 3)
    program = find_sanitizer()
    reason = on.reason or (
        "" if program else "no compute-sanitizer: install it with CUDA's toolkit"
    )
    sanitizer = Checked(reason)

    def under(tool: str) -> dict[str, Any]:
        assert program is not None
        return sanitized(make(network), {"image": shown[:2]}, tool, program)

    figures["sanitizer"] = {tool: sanitizer(under, tool) for tool in SANITIZERS}
    return figures
