"""Sinabs: random networks and a trained one, exported to NIR and recorded.

In Sinabs's environment: ``python validation/nir/record_sinabs.py graphs FOLDER``, or
``... mnist FOLDER --digits biosnn/data/digits.npz``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import sinabs.layers as sl
import torch
from graphs import draw, main, modules_of, record, spread
from mnist import learn
from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
from sinabs.nir import to_nir
from torch import nn

KINDS = ("lif", "if")


def neuron(case: dict, layer: dict, shape: tuple[int, ...]) -> nn.Module:
    """A layer of neurons as Sinabs's own modules."""
    # One spike per step, and a reset to zero: what NIR can say.
    subtract = case["read"]["reset"] == "subtract"
    how: dict[str, Any] = {
        "spike_fn": SingleSpike,
        "reset_fn": MembraneSubtract() if subtract else MembraneReset(),
    }
    size = int(np.prod(shape))
    tau = torch.as_tensor(spread(case, layer, layer["tau"], size)).reshape(shape)
    if layer["kind"] == "li":
        return sl.ExpLeakSqueeze(tau_mem=tau, batch_size=1, norm_input=True)
    how["spike_threshold"] = torch.full(shape, layer["threshold"])
    if layer["kind"] == "if":
        return sl.IAFSqueeze(batch_size=1, **how)
    return sl.LIFSqueeze(tau_mem=tau, batch_size=1, **how)


def build(case: dict) -> tuple[nn.Sequential, list[nn.Module]]:
    """The network of a case, and its layers of neurons."""
    modules, layers = modules_of(case, neuron, nn, sl.SumPool2d)
    return nn.Sequential(*modules), layers


def sized(module: nn.Module, batch: int) -> None:
    """Rest, for a batch of this size."""
    for one in module.modules():
        if isinstance(one, sl.StatefulLayer):
            one.batch_size = batch
            one.num_timesteps = -1
            for name, _ in list(one.named_buffers()):
                setattr(one, name, torch.zeros((0,)))


def forward(module: nn.Module, inputs: np.ndarray) -> Any:
    """Run from rest, all steps at once; outputs (samples, steps, ...)."""
    given = torch.as_tensor(inputs, dtype=next(module.parameters()).dtype)
    sized(module, len(given))
    with torch.no_grad():
        return module(given.flatten(0, 1))


def export(module: nn.Module, inputs: np.ndarray) -> Any:
    """By Sinabs's exporter, with the shapes inferred that it leaves open."""
    sized(module, 1)
    given = torch.as_tensor(inputs[0])
    graph = to_nir(module, given)
    conv = next((one for one in module.modules() if isinstance(one, nn.Conv2d)), None)
    if conv is not None:
        graph.infer_types()
    return graph


def record_all(folder: Path) -> None:
    """Seven networks: 1 to 4 layers, two with convolutions, two with a leaky integrator last."""
    cases = []
    for k in range(7):
        conv = k in (1, 5)
        last = "li" if k in (3, 6) else None
        case = draw(300 + k, 1 + k % 4, KINDS, conv=conv, last=last)
        read = {"convention": "sinabs", "reset": "subtract" if k in (2, 5) else "v_reset"}
        cases.append({"name": f"sinabs-{k}", "read": read, **case})
    record("sinabs", cases, build, export, forward, folder)


def train(digits: Path, folder: Path) -> None:
    """Two layers of LIF, trained on the bundled digits."""
    how: dict[str, Any] = {
        "tau_mem": 10.0,
        "spike_fn": SingleSpike,
        "reset_fn": MembraneReset(),
        "norm_input": True,
    }
    module = nn.Sequential(
        nn.Linear(784, 100),
        sl.LIFSqueeze(batch_size=1, **how),
        nn.Linear(100, 10),
        sl.LIFSqueeze(batch_size=1, **how),
    )
    with torch.no_grad():  # the input is normalised by 1 - exp(-1/tau): larger weights
        module[0].weight *= 10
        module[2].weight *= 10
    for one in (module[1], module[3]):
        one.tau_mem.requires_grad_(False)

    def run(values: torch.Tensor) -> torch.Tensor:
        sized(module, len(values))
        return module(values.flatten(0, 1)).unflatten(0, values.shape[:2])

    read = {"convention": "sinabs", "reset": "v_reset"}
    learn("sinabs", module, run, lambda x: export(module, x), read, digits, folder, 1e-2)


if __name__ == "__main__":
    main(record_all, train)
