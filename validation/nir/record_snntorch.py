"""snnTorch: random networks and a trained one, exported to NIR and recorded.

In snnTorch's environment: ``python validation/nir/record_snntorch.py graphs FOLDER``, or
``... mnist FOLDER --digits biosnn/data/digits.npz``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import snntorch as snn
import torch
from graphs import draw, main, modules_of, record, spread
from mnist import learn
from snntorch.export_nir import export_to_nir
from torch import nn

KINDS = ("lif", "cubalif")
RECURRENT = ("rlif", "rlif-diagonal")
#: With reset_delay=False RSynaptic stops in snnTorch 1.0.0.
DELAYED = ("rlif", "rcubalif")


def neuron(case: dict, layer: dict, shape: tuple[int, ...]) -> nn.Module:
    """A layer of neurons as snnTorch's own modules."""
    size = int(np.prod(shape))
    # Neither of both is in the file: it is read with what it was recorded with.
    how: dict[str, Any] = {
        "init_hidden": True,
        "reset_mechanism": "subtract" if case["read"]["reset"] == "subtract" else "zero",
        "reset_delay": case["read"]["reset_delay"],
    }
    beta = torch.as_tensor(1 - 1 / spread(case, layer, layer["tau"], size))
    alpha = torch.as_tensor(1 - 1 / spread(case, layer, layer["tau_syn"], size))
    beta, alpha = beta.reshape(shape), alpha.reshape(shape)
    how["threshold"] = torch.full(shape, layer["threshold"])  # the exporter wants equal shapes
    if layer["kind"] == "lif":
        return snn.Leaky(beta=beta, **how)
    if layer["kind"] == "cubalif":
        return snn.Synaptic(alpha=alpha, beta=beta, **how)
    if layer["kind"] == "rlif":
        return snn.RLeaky(beta=beta, linear_features=size, **how)
    if layer["kind"] == "rcubalif":
        return snn.RSynaptic(alpha=alpha, beta=beta, linear_features=size, **how)
    return snn.RLeaky(beta=beta, all_to_all=False, V=torch.rand(size) - 0.5, **how)


def build(case: dict) -> tuple[nn.Sequential, list[nn.Module]]:
    """The network of a case, and its layers of neurons."""
    modules, layers = modules_of(case, neuron, nn, nn.AvgPool2d)
    return nn.Sequential(*modules), layers


def forward(module: nn.Module, inputs: np.ndarray) -> Any:
    """Run from rest, step by step; the last step's output."""
    for one in module.modules():
        if hasattr(one, "reset_mem"):
            one.reset_mem()
    given = torch.as_tensor(inputs, dtype=next(module.parameters()).dtype)
    with torch.no_grad():
        for step in range(given.shape[1]):
            last = module(given[:, step])
    return last


def export(module: nn.Module, inputs: np.ndarray) -> Any:
    """By snnTorch's exporter."""
    return export_to_nir(module, torch.as_tensor(inputs[:1, 0]), ignore_dims=[0])


def record_all(folder: Path) -> None:
    """Nine networks: 1 to 4 layers, four of them recurrent, two with convolutions."""
    cases = []
    for k in range(9):
        recurrent, conv, delayed = k in (1, 3, 6, 8), k in (5, 7), k in (3, 4, 7, 8)
        loops = DELAYED if delayed else RECURRENT
        kinds = (*KINDS, *loops) if recurrent else KINDS
        last = loops[(k + 1) % 2 if k == 8 else k % 2] if recurrent else None
        case = draw(100 + k, 1 + k % 4, kinds, conv=conv, last=last)
        reset = "subtract" if k in (2, 7) else "v_reset"
        read = {"convention": "snntorch", "reset": reset, "reset_delay": delayed}
        cases.append({"name": f"snntorch-{k}", "read": read, **case})
    record("snntorch", cases, build, export, forward, folder)


def train(digits: Path, folder: Path) -> None:
    """Two layers of Leaky, trained on the bundled digits."""
    how: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
    # One value per neuron: the exporter stops at a single one, "type mismatch".
    hidden = snn.Leaky(beta=torch.full((100,), 0.9), threshold=torch.ones(100), **how)
    out = snn.Leaky(beta=torch.full((10,), 0.9), threshold=torch.ones(10), **how)
    module = nn.Sequential(nn.Linear(784, 100), hidden, nn.Linear(100, 10), out)

    def run(values: torch.Tensor) -> torch.Tensor:
        hidden.reset_mem()
        out.reset_mem()
        return torch.stack([module(values[:, step]) for step in range(values.shape[1])], 1)

    read = {"convention": "snntorch", "reset": "v_reset", "reset_delay": False}
    learn("snntorch", module, run, lambda x: export(module, x), read, digits, folder)


if __name__ == "__main__":
    main(record_all, train)
