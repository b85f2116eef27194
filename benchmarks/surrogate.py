"""Forward and backward passes of spiking layers, side by side: ``python benchmarks/surrogate.py``.

One process and one thread; 64 samples of 512 neurons for 100 steps in single precision. Every
round runs all of them once, one after the other, and is measured in CPU time. The peers,
SpikingJelly's multi-step LIFNode on its torch backend and snnTorch's Leaky, are optional:
``--peers FOLDER`` appends a folder with their packages. The discrete LIF neuron has the same
equation in all three. AdEx and Hodgkin-Huxley neurons, of steps of 0.1 and 0.02 ms, are shown
for information. Then the tutorial's network: spikes and weight gradients, bit for bit.

The record is ``benchmarks/records/NAME.json`` with ``--record NAME``; an existing one is not
replaced.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import cm, ms, nA, uA

from biosnn import experiments, models
from biosnn.errors import StorageError
from biosnn.surrogate import ATan, SpikingLayer

RECORDS = Path(__file__).parent / "records"
T, BATCH, NEURONS = 100, 64, 512
TAU = 2.0  # steps
#: At most so many times SpikingJelly's time, at least so many times faster than snnTorch.
AT_MOST, AT_LEAST = 1.1, 3.0
Pass = Callable[[], torch.Tensor]


def discrete_lif() -> models.NeuronModel:
    """``v += (I - v)/tau`` in steps of 1 ms, as the peers have it."""
    return models.neuron(
        name="DiscreteLIF",
        equations="dv/dt = (I - v)/tau_m : 1\nI : 1",
        threshold="v >= V_th",
        reset="v = 0",
        method="euler",
        parameters={"tau_m": TAU * ms, "V_th": 1.0},
    )


def ours(model: models.NeuronModel, dt: Any, x: torch.Tensor, **settings: Any) -> Pass:
    """A forward and backward pass of a layer of this package."""
    layer = SpikingLayer(model, dt=dt, step_mode="multi", **settings)

    def once() -> torch.Tensor:
        layer.reset()
        spikes = layer(x)
        spikes.sum().backward()
        return spikes

    return once


def spikingjelly(x: torch.Tensor, detach_reset: bool) -> Pass:
    """SpikingJelly's LIF neuron."""
    from spikingjelly.activation_based import functional, neuron, surrogate

    lif = neuron.LIFNode(
        tau=TAU, surrogate_function=surrogate.ATan(), step_mode="m", detach_reset=detach_reset
    )

    def once() -> torch.Tensor:
        functional.reset_net(lif)
        spikes = lif(x)
        spikes.sum().backward()
        return spikes

    return once


def snntorch(x: torch.Tensor) -> Pass:
    """SnnTorch's LIF neuron, which takes one step at a time."""
    import snntorch as snn

    leaky = snn.Leaky(beta=1 - 1 / TAU)

    def once() -> torch.Tensor:
        potential, steps = leaky.init_leaky(), []
        for step in x:
            spikes, potential = leaky(step, potential)
            steps.append(spikes)
        found = torch.stack(steps)
        found.sum().backward()
        return found

    return once


def passes(x: torch.Tensor) -> dict[str, Pass]:
    """What is measured; peers that are not installed are left out, with a message."""
    found: dict[str, Pass] = {
        "ours": ours(discrete_lif(), 1 * ms, x, detach_reset=False),
        "ours_detached": ours(discrete_lif(), 1 * ms, x, detach_reset=True),
        "ours_fused": ours(discrete_lif(), 1 * ms, x, detach_reset=False, fuse=5),
    }
    peers: dict[str, Callable[[], Pass]] = {
        "spikingjelly": lambda: spikingjelly(x, False),
        "spikingjelly_detached": lambda: spikingjelly(x, True),
        "snntorch": lambda: snntorch(x),
    }
    for name, make in peers.items():
        try:
            found[name] = make()
        except ModuleNotFoundError as error:
            print(f"{name} is left out: no module {error.name}; see --peers", file=sys.stderr)
    found["ours_adex"] = ours(models.adex(), 0.1 * ms, x, gain=1 * nA)
    found["ours_hodgkin_huxley"] = ours(models.hodgkin_huxley(), 0.02 * ms, x, gain=20 * uA / cm**2)
    return found


def measured(rounds: int) -> dict[str, Any]:
    """CPU seconds of all passes, in turns, and what they come to."""
    torch.manual_seed(0)
    x = (2 * torch.rand(T, BATCH, NEURONS)).requires_grad_()
    found, spikes, first = passes(x), {}, {}
    for name, once in found.items():
        started = time.perf_counter()
        spikes[name] = int(once().sum())
        first[name] = time.perf_counter() - started
        assert x.grad is not None
        assert x.grad.abs().sum() > 0
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, once in found.items():
            x.grad = None
            started = time.process_time()
            once()
            seconds[name].append(time.process_time() - started)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    result: dict[str, Any] = {
        "rounds": rounds,
        "spikes": spikes,
        "first_call_s": first,
        "median_ms": {name: 1e3 * value for name, value in median.items()},
        "least_ms": {name: 1e3 * min(values) for name, values in seconds.items()},
    }
    for peer, mine, limit in (
        ("spikingjelly", "ours", AT_MOST),
        ("spikingjelly_detached", "ours_detached", AT_MOST),
    ):
        if peer in median:
            ratios = np.divide(seconds[mine], seconds[peer])
            ratio = median[mine] / median[peer]
            result[f"{mine}_to_{peer}"] = {
                "of_medians": ratio,
                "median_of_rounds": float(np.median(ratios)),
                "least_to_least": min(seconds[mine]) / min(seconds[peer]),
                "bound": limit,
                "ok": ratio <= limit,
            }
    for mine in ("ours", "ours_fused") if "snntorch" in median else ():
        faster = median["snntorch"] / median[mine]
        ok = faster >= AT_LEAST
        result[f"snntorch_to_{mine}"] = {"of_medians": faster, "bound": AT_LEAST, "ok": ok}
    return result


def tutorial(dtype: torch.dtype) -> dict[str, Any]:
    """Flatten, Linear(784, 10), LIF: spikes and weight gradients against SpikingJelly's."""
    from spikingjelly.activation_based import neuron, surrogate

    torch.manual_seed(0)
    weight = 0.1 * torch.randn(10, 784, dtype=dtype)
    images = (torch.rand(20, 32, 1, 28, 28) < 0.3).to(dtype)
    target = torch.eye(10, dtype=dtype)[torch.arange(32) % 10]
    outcomes = []
    for lif in (
        SpikingLayer(discrete_lif(), dt=1 * ms, surrogate=ATan(), detach_reset=False),
        neuron.LIFNode(tau=TAU, surrogate_function=surrogate.ATan()),
    ):
        linear = torch.nn.Linear(784, 10, bias=False, dtype=dtype)
        linear.weight.data = weight.clone()
        net = torch.nn.Sequential(torch.nn.Flatten(), linear, lif)
        spikes = torch.stack([net(image) for image in images])
        torch.nn.functional.mse_loss(spikes.mean(0), target).backward()
        outcomes.append((spikes.detach(), linear.weight.grad))
    (one, gradient), (other, peers) = outcomes
    return {
        "spikes": int(one.sum()),
        "largest_gradient": float(gradient.abs().max()),
        "spikes_equal": torch.equal(one, other),
        "gradients_bit_identical": torch.equal(gradient, peers),
    }


def run() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", type=Path, help="a folder with the peers' packages")
    parser.add_argument("--record", metavar="NAME", help="write benchmarks/records/NAME.json")
    args = parser.parse_args()
    target = RECORDS / f"{args.record}.json"
    if args.record and target.exists():
        raise StorageError(f"{target} exists; records are only added, choose another name")
    if args.peers is not None:
        sys.path.append(str(args.peers))
    torch.set_num_threads(1)
    record: dict[str, Any] = {
        "environment": experiments.environment(),
        "torch": torch.__version__,
        "shape": [T, BATCH, NEURONS],
        **measured(args.rounds),
    }
    for name in ("spikingjelly", "snntorch"):
        if name in record["median_ms"]:
            record[name] = version(name)
    if "spikingjelly" in record["median_ms"]:
        record["tutorial"] = {
            str(dtype): tutorial(dtype) for dtype in (torch.float32, torch.float64)
        }
    print(json.dumps(record, indent=1))
    if args.record:
        RECORDS.mkdir(exist_ok=True)
        target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    experiments.main(run)
