"""Makes ``spikingjelly.npz``: what SpikingJelly's STDPLearner does with twenty random inputs.

Run it in an environment of its own that has PyTorch and SpikingJelly:

    python tests/published/make_spikingjelly.py

One input, one integrate-and-fire neuron, as in the library's tutorial on STDP, in double
precision. The arrays have the shape (inputs, steps); ``versions`` says what made them.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from spikingjelly.activation_based import layer, learning, neuron

N_INPUTS, N_STEPS = 20, 128
SETTINGS = {"tau_pre": 2.0, "tau_post": 100.0, "lr": 0.01, "w": 0.4, "w_min": -1.0, "w_max": 1.0}


def clamped(w: torch.Tensor) -> torch.Tensor:
    return torch.clamp(w, SETTINGS["w_min"], SETTINGS["w_max"])


@torch.no_grad()
def learn(spikes: np.ndarray) -> dict[str, list[float]]:
    """Show one spike train to a new pair of neurons."""
    net = torch.nn.Sequential(layer.Linear(1, 1, bias=False), neuron.IFNode()).double()
    net[0].weight.fill_(SETTINGS["w"])
    optimizer = torch.optim.SGD(net.parameters(), lr=SETTINGS["lr"], momentum=0.0)
    learner = learning.STDPLearner(
        step_mode="s",
        synapse=net[0],
        sn=net[1],
        tau_pre=SETTINGS["tau_pre"],
        tau_post=SETTINGS["tau_post"],
        f_pre=clamped,
        f_post=clamped,
    )
    found: dict[str, list[float]] = {name: [] for name in ("out", "trace_pre", "trace_post", "w")}
    for spike in spikes:
        optimizer.zero_grad()
        out = net(torch.full((1, 1), float(spike), dtype=torch.float64))
        learner.step(on_grad=True)
        optimizer.step()
        net[0].weight.clamp_(SETTINGS["w_min"], SETTINGS["w_max"])
        for name, value in (
            ("out", out),
            ("trace_pre", learner.trace_pre),
            ("trace_post", learner.trace_post),
            ("w", net[0].weight),
        ):
            found[name].append(float(value))
    return found


def main() -> None:
    rng = np.random.default_rng(2023)
    rates = rng.uniform(0.1, 0.9, (N_INPUTS, 1))
    spikes = (rng.random((N_INPUTS, N_STEPS)) < rates).astype(np.uint8)
    runs = [learn(train) for train in spikes]
    versions = {name: version(name) for name in ("spikingjelly", "torch", "numpy")}
    np.savez_compressed(
        Path(__file__).with_name("spikingjelly.npz"),
        spikes=spikes,
        **{name: np.array([run[name] for run in runs]) for name in runs[0]},
        settings=json.dumps(SETTINGS),
        versions=json.dumps({"python": platform.python_version(), **versions}),
    )


if __name__ == "__main__":
    main()
