"""Makes ``spikingjelly_learners.npz``: weights under SpikingJelly's learners, step by step.

Run it in an environment of its own that has PyTorch and SpikingJelly:

    python tests/published/make_spikingjelly_learners.py

All in double precision, with LIF neurons of tau = 2 steps. Keys begin with the name of a run:

- ``linear_*``, ``conv1d_*``, ``conv2d_*``: STDPLearner. In single-step mode one step an update
  (inputs ``x`` of shape (updates, N, *)), in multi-step mode four (updates, T, N, *), and all
  traces anew for each. ``grad`` uses ``on_grad=True`` and SGD, ``direct`` adds what
  ``on_grad=False`` returns.
- ``mstdp``, ``mstdpet``: given spikes ``pre`` and ``post`` (steps, N, *) and ``reward``.
- ``hybrid``: two convolutions that learn by STDP through ``.grad`` and SGD, and a linear layer
  that learns by surrogate gradients and Adam, in the same loop.

``w`` holds the weights before and after every update, ``counts`` the number of output spikes.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, learning, neuron, surrogate
from torch import nn

UPDATES, T, N = 10, 4, 3
STDP = {"tau_pre": 2.0, "tau_post": 3.0, "lr": 0.02}
REWARD = {"tau_pre": 5.0, "tau_post": 8.0, "tau_trace": 6.0, "lr": 0.1}
HYBRID = {"tau_pre": 2.0, "tau_post": 2.0, "lr": 0.001, "lr_gradient": 0.02, "w_max": 1.0}
LAYERS = {
    "linear": (lambda: layer.Linear(6, 4, bias=False), (6,)),
    "conv1d": (lambda: layer.Conv1d(2, 3, 3, stride=2, padding=1, bias=False), (2, 8)),
    "conv2d": (lambda: layer.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=1, bias=False), (2, 5, 6)),
}


def lif(**kwargs: Any) -> neuron.LIFNode:
    return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(), **kwargs)


def fill(rng: np.random.Generator, module: nn.Module, low: float, high: float) -> None:
    for weight in module.parameters():
        weight.data = torch.as_tensor(rng.uniform(low, high, weight.shape))


def stdp(rng: np.random.Generator, name: str, mode: str, on_grad: bool) -> dict[str, np.ndarray]:
    make, shape = LAYERS[name]
    synapses, cells = make(), lif()
    fill(rng, synapses, 0.1, 0.9)
    net = nn.Sequential(synapses, cells).double()
    functional.set_step_mode(net, mode)
    optimizer = torch.optim.SGD(net.parameters(), lr=STDP["lr"])
    learner = learning.STDPLearner(
        mode, synapses, cells, STDP["tau_pre"], STDP["tau_post"], lambda w: w, lambda w: 1 - w
    )
    steps = (UPDATES, N) if mode == "s" else (UPDATES, T, N)
    x = (rng.random((*steps, *shape)) < 0.4).astype(np.uint8)
    weights, counts = [synapses.weight.detach().numpy().copy()], []
    for given in x:
        optimizer.zero_grad()
        with torch.no_grad():
            counts.append(float(net(torch.as_tensor(given, dtype=torch.float64)).sum()))
        if on_grad:
            learner.step(on_grad=True)
            optimizer.step()
        else:
            synapses.weight.data += STDP["lr"] * learner.step(on_grad=False)
        weights.append(synapses.weight.detach().numpy().copy())
        if mode == "m":
            functional.reset_net(net)
            learner.reset()
    return {"x": x, "w": np.array(weights), "counts": np.array(counts)}


class Given(nn.Module):
    """Neurons that fire as they are told."""

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.spikes


def rewarded(rng: np.random.Generator, kind: str) -> dict[str, np.ndarray]:
    steps, samples = 20, N if kind == "mstdp" else 1
    synapses, cells = layer.Linear(5, 4, bias=False), Given()
    fill(rng, synapses, 0.1, 0.9)
    taus = REWARD["tau_pre"], REWARD["tau_post"]
    ones = {"f_pre": torch.ones_like, "f_post": torch.ones_like}
    if kind == "mstdp":
        learner = learning.MSTDPLearner("s", synapses, cells, *taus, **ones)
    else:
        learner = learning.MSTDPETLearner(
            "s", synapses, cells, *taus, tau_trace=REWARD["tau_trace"], **ones
        )
    pre = (rng.random((steps, samples, 5)) < 0.4).astype(np.uint8)
    post = (rng.random((steps, samples, 4)) < 0.3).astype(np.uint8)
    reward = rng.choice([-1.0, 0.0, 1.0], (steps, samples))
    weights = [synapses.weight.detach().numpy().copy()]
    for x, y, r in zip(pre, post, reward, strict=True):
        before, cells.spikes = (torch.as_tensor(s, dtype=torch.float64) for s in (x, y))
        given = torch.as_tensor(r)
        if kind == "mstdpet":
            before, cells.spikes, given = before[0], cells.spikes[0], given[0]
        with torch.no_grad():
            cells(synapses(before))
        synapses.weight.data += REWARD["lr"] * learner.step(given, on_grad=False)
        weights.append(synapses.weight.detach().numpy().copy())
    return {"pre": pre, "post": post, "reward": reward, "w": np.array(weights)}


def hybrid(rng: np.random.Generator) -> dict[str, np.ndarray]:
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, bias=False),
        lif(),
        layer.MaxPool2d(2),
        layer.Conv2d(4, 6, 3, bias=False),
        lif(),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(24, 5, bias=False),
        lif(),
    ).double()
    functional.set_step_mode(net, "m")
    convolutions, readout = (net[0], net[3]), net[7]
    for module, low, high in ((net[0], 0.0, 0.6), (net[3], -0.05, 0.2), (readout, -0.2, 0.5)):
        fill(rng, module, low, high)
    clamped = {
        f"f_{side}": lambda w: w.clamp(-HYBRID["w_max"], HYBRID["w_max"])
        for side in ("pre", "post")
    }
    learners = [
        learning.STDPLearner(
            "m", net[i], net[i + 1], HYBRID["tau_pre"], HYBRID["tau_post"], **clamped
        )
        for i in (0, 3)
    ]
    by_stdp = torch.optim.SGD([c.weight for c in convolutions], lr=HYBRID["lr"], momentum=0.0)
    by_gradient = torch.optim.Adam(readout.parameters(), lr=HYBRID["lr_gradient"])
    x = (rng.random((UPDATES, T, N, 1, 14, 14)) < 0.4).astype(np.uint8)
    labels = rng.integers(5, size=(UPDATES, N))
    found: dict[str, list[Any]] = {key: [] for key in ("w1", "w2", "w3", "counts", "loss")}

    def note() -> None:
        for key, module in zip(("w1", "w2", "w3"), (*convolutions, readout), strict=True):
            found[key].append(module.weight.detach().numpy().copy())

    note()
    for given, label in zip(x, labels, strict=True):
        out = net(torch.as_tensor(given, dtype=torch.float64))
        loss = nn.functional.cross_entropy(out.mean(0), torch.as_tensor(label))
        by_gradient.zero_grad()
        loss.backward()
        by_stdp.zero_grad()
        for learner in learners:
            learner.step(on_grad=True)
        by_gradient.step()
        by_stdp.step()
        found["counts"].append(float(out.detach().sum()))
        found["loss"].append(float(loss.detach()))
        functional.reset_net(net)
        for learner in learners:
            learner.reset()
        note()
    return {"x": x, "labels": labels} | {key: np.array(values) for key, values in found.items()}


def main() -> None:
    rng = np.random.default_rng(2026)
    runs: dict[str, dict[str, np.ndarray]] = {}
    for name in LAYERS:
        for mode in "sm":
            for on_grad in (True, False):
                runs[f"{name}_{mode}_{'grad' if on_grad else 'direct'}"] = stdp(
                    rng, name, mode, on_grad
                )
    runs |= {kind: rewarded(rng, kind) for kind in ("mstdp", "mstdpet")}
    runs["hybrid"] = hybrid(rng)
    for name, run in runs.items():
        moved = {key: np.abs(v[-1] - v[0]).max() for key, v in run.items() if key.startswith("w")}
        print(name, moved, run.get("counts", np.zeros(0)))
    versions = {name: version(name) for name in ("spikingjelly", "torch", "numpy")}
    np.savez_compressed(
        Path(__file__).with_name("spikingjelly_learners.npz"),
        **{f"{name}_{key}": values for name, run in runs.items() for key, values in run.items()},
        settings=json.dumps({"stdp": STDP, "reward": REWARD, "hybrid": HYBRID}),
        versions=json.dumps({"python": platform.python_version(), **versions}),
    )


if __name__ == "__main__":
    main()
