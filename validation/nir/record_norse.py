"""Norse: random networks and a trained one, exported to NIR and recorded.

In Norse's environment: ``python validation/nir/record_norse.py graphs FOLDER``, or
``... mnist FOLDER --digits biosnn/data/digits.npz``.

Norse's exporter writes ``dt/tau_mem_inv`` as time constant, where ``dt`` is its own argument. So
that the file holds seconds, it is called with ``dt=1``; for a network with IF neurons, whose input
Norse does not multiply by the time step, with the inverse of the module's time step, and the file
is read with a time step of one second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import norse.torch as norse
import numpy as np
import torch
from graphs import draw, main, modules_of, record, spread
from mnist import learn
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.leaky_integrator_box import LIBoxParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from torch import nn

KINDS = ("lif", "cubalif")
#: Time step of Norse's modules, in s.
DT = 1e-3


def neuron(case: dict, layer: dict, shape: tuple[int, ...]) -> nn.Module:
    """A layer of neurons as Norse's own modules, with one value of each parameter per neuron."""
    size = int(np.prod(shape))
    tau_inv = torch.as_tensor(1 / (DT * spread(case, layer, layer["tau"], size))).reshape(shape)
    syn_inv = torch.as_tensor(1 / (DT * spread(case, layer, layer["tau_syn"], size)))
    leak = torch.full(shape, 0.1 if layer["spread"] else 0.0)
    threshold = torch.full(shape, layer["threshold"])
    if layer["kind"] == "lif":
        p = LIFBoxParameters(tau_mem_inv=tau_inv, v_leak=leak, v_th=threshold)
        return norse.LIFBoxCell(p, dt=DT)
    if layer["kind"] == "li":
        return norse.LIBoxCell(LIBoxParameters(tau_mem_inv=tau_inv, v_leak=leak), dt=DT)
    if layer["kind"] == "if":
        return norse.IAFCell(IAFParameters(v_th=threshold), dt=DT)
    p = LIFParameters(
        tau_mem_inv=tau_inv, tau_syn_inv=syn_inv.reshape(shape), v_leak=leak, v_th=threshold
    )
    return norse.LIFCell(p, dt=DT)


def build(case: dict) -> tuple[nn.Module, list[nn.Module]]:
    """The network of a case, and its layers of neurons."""
    modules, layers = modules_of(case, neuron, nn)
    return norse.SequentialState(*modules), layers


def forward(module: Any, inputs: np.ndarray) -> Any:
    """Run from rest, step by step; the last step's output."""
    given = torch.as_tensor(inputs, dtype=next(module.parameters()).dtype)
    state = None
    with torch.no_grad():
        for step in range(given.shape[1]):
            last, state = module(given[:, step], state)
    return last


def export(module: nn.Module, inputs: np.ndarray) -> Any:
    """By Norse's exporter, with the shapes inferred that it leaves open."""
    integrates = any(isinstance(one, norse.IAFCell) for one in module.modules())
    graph = norse.to_nir(module, torch.as_tensor(inputs[:1, 0]), dt=1 / DT if integrates else 1.0)
    return graph


def record_all(folder: Path) -> None:
    """Seven networks: 1 to 4 layers, two with IF neurons, two with a leaky integrator last."""
    cases = []
    for k in range(7):
        kinds = ("if", "lif") if k in (2, 5) else KINDS
        last = "li" if k in (3, 6) else None
        case = draw(200 + k, 1 + k % 4, kinds, conv=False, last=last)
        read: dict[str, Any] = {"convention": "norse"}
        integrates = any(layer["kind"] == "if" for layer in case["layers"])
        read["dt"] = 1.0 if integrates else DT
        cases.append({"name": f"norse-{k}", "read": read, **case})
    record("norse", cases, build, export, forward, folder)


def train(digits: Path, folder: Path) -> None:
    """Two layers of LIFBoxCell, trained on the bundled digits."""

    def layer(n: int) -> nn.Module:
        p = LIFBoxParameters(
            tau_mem_inv=torch.full((n,), 100.0),
            v_leak=torch.zeros(n),
            v_th=torch.ones(n),
            alpha=torch.tensor(10.0),
        )
        return norse.LIFBoxCell(p, dt=DT)

    module = norse.SequentialState(nn.Linear(784, 100), layer(100), nn.Linear(100, 10), layer(10))
    with torch.no_grad():  # the input is multiplied by dt/tau_mem: larger weights
        module[0].weight *= 10
        module[2].weight *= 10

    def run(values: torch.Tensor) -> torch.Tensor:
        state, found = None, []
        for step in range(values.shape[1]):
            spikes, state = module(values[:, step], state)
            found.append(spikes)
        return torch.stack(found, 1)

    read = {"convention": "norse", "dt": DT}
    learn("norse", module, run, lambda x: export(module, x), read, digits, folder, 1e-2)


if __name__ == "__main__":
    main(record_all, train)
