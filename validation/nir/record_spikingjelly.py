"""SpikingJelly: random networks and a trained one, exported to NIR and recorded.

In SpikingJelly's environment: ``python validation/nir/record_spikingjelly.py graphs FOLDER``, or
``... mnist FOLDER --digits biosnn/data/digits.npz``.

SpikingJelly's exporter knows no recurrent layers, its importer does: recurrent graphs are made with
``nir``, and recorded as SpikingJelly runs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from graphs import draw, main, modules_of, record
from mnist import learn
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

KINDS = ("lif", "if", "cubalif")
RECURRENT = ("rlif", "rcubalif")
#: What its exporter and its importer take for the time step, in s.
DT = 1e-4


def neurons(case: dict, part: dict, shape: tuple[int, ...]) -> nn.Module:
    """A layer of neurons as SpikingJelly's own modules; the reset is to a value, as NIR's."""
    if part["kind"] == "lif":
        return neuron.LIFNode(
            tau=part["tau"],
            decay_input=part["spread"],
            v_threshold=part["threshold"],
            v_reset=-0.1 if part["spread"] else 0.0,
        )
    if part["kind"] == "if":
        return neuron.IFNode(v_threshold=part["threshold"], v_reset=0.0)
    return neuron.CUBALIFNode(
        c_decay=1 - 1 / part["tau_syn"], v_decay=1 - 1 / part["tau"], v_threshold=part["threshold"]
    )


def built(case: dict) -> tuple[nn.Module, list[nn.Module]]:
    """The network of a case without recurrent layers, and its layers of neurons."""
    modules, layers = modules_of(case, neurons, layer, layer.AvgPool2d)
    return nn.Sequential(*modules), layers


def recurrent_graph(case: dict) -> nir.NIRGraph:
    """A graph whose layers feed back on themselves where their kind says so."""
    rng = np.random.default_rng([case["seed"], 2])
    size, before = case["shape"][0], "input"
    nodes: dict[str, Any] = {"input": nir.Input(np.array([size]))}
    edges = []
    for k, part in enumerate(case["layers"]):
        n = part["size"]
        weight = rng.normal(0.1, 0.5, (n, size)).astype("float32")
        nodes[f"fc{k}"] = nir.Affine(weight, rng.normal(0, 0.1, n).astype("float32"))
        whole = {
            "v_threshold": np.full(n, part["threshold"]),
            "v_leak": np.zeros(n),
            "v_reset": np.zeros(n),
        }
        tau, tau_syn = np.full(n, part["tau"] * DT), np.full(n, part["tau_syn"] * DT)
        if part["kind"].endswith("cubalif"):
            nodes[f"neurons{k}"] = nir.CubaLIF(
                tau_syn=tau_syn, tau_mem=tau, r=tau / DT, w_in=tau_syn / DT, **whole
            )
        else:
            nodes[f"neurons{k}"] = nir.LIF(tau=tau, r=tau / DT, **whole)
        edges += [(before, f"fc{k}"), (f"fc{k}", f"neurons{k}")]
        if part["kind"].startswith("r"):
            loop = rng.normal(0, 0.4, (n, n)).astype("float32")
            nodes[f"back{k}"] = nir.Linear(loop)
            edges += [(f"neurons{k}", f"back{k}"), (f"back{k}", f"neurons{k}")]
        size, before = n, f"neurons{k}"
    nodes["output"] = nir.Output(np.array([size]))
    return nir.NIRGraph(nodes, [*edges, (before, "output")])


def build(case: dict) -> tuple[nn.Module, list[nn.Module]]:
    """The network of a case, and its layers of neurons."""
    if not case["name"].startswith("spikingjelly-r"):
        return built(case)
    module = import_from_nir(recurrent_graph(case), dt=DT)
    return module, [module.get_submodule(f"neurons{k}") for k in range(len(case["layers"]))]


def forward(module: nn.Module, inputs: np.ndarray) -> Any:
    """Run from rest, step by step; the last step's output."""
    functional.reset_net(module)
    given = torch.as_tensor(inputs, dtype=next(module.parameters()).dtype)
    state = None
    with torch.no_grad():
        for step in range(given.shape[1]):
            if isinstance(module, nn.Sequential):
                last = module(given[:, step])
            else:
                last, state = module(given[:, step], state)
    return last


def export(module: nn.Module, inputs: np.ndarray) -> Any:
    """By SpikingJelly's exporter; the graph that was imported, with the weights as scaled."""
    if isinstance(module, nn.Sequential):
        functional.reset_net(module)
        return export_to_nir(module, torch.as_tensor(inputs[:1, 0]), dt=DT)
    graph = recurrent_graph(CASES[id(module)])
    for name, node in graph.nodes.items():
        if name.startswith("fc"):
            node.weight = module.get_submodule(name).weight.detach().numpy()
    return graph


#: Case of an imported module, by its identity.
CASES: dict[int, dict] = {}


def build_and_note(case: dict) -> tuple[nn.Module, list[nn.Module]]:
    """As :func:`build`, and remember of which case the module is."""
    module, layers = build(case)
    CASES[id(module)] = case
    return module, layers


def record_all(folder: Path) -> None:
    """Seven exported networks, 1 to 4 layers, two with convolutions, and three recurrent ones."""
    read = {"convention": "spikingjelly"}
    cases = []
    for k in range(7):
        case = draw(400 + k, 1 + k % 4, KINDS, conv=k in (1, 6), last=None)
        cases.append({"name": f"spikingjelly-{k}", "read": read, **case})
    for k in range(3):
        case = draw(420 + k, 1 + k, ("lif", "cubalif"), conv=False, last=RECURRENT[k % 2])
        for one in case["layers"]:
            one["map"] = "affine"
        cases.append({"name": f"spikingjelly-r{k}", "read": read, **case})
    record("spikingjelly", cases, build_and_note, export, forward, folder)


def train(digits: Path, folder: Path) -> None:
    """Two layers of LIFNode, trained on the bundled digits."""
    how: dict[str, Any] = {"tau": 5.0, "decay_input": False, "v_reset": 0.0}
    module = nn.Sequential(
        layer.Linear(784, 100), neuron.LIFNode(**how), layer.Linear(100, 10), neuron.LIFNode(**how)
    )

    def run(values: torch.Tensor) -> torch.Tensor:
        functional.reset_net(module)
        return torch.stack([module(values[:, step]) for step in range(values.shape[1])], 1)

    read = {"convention": "spikingjelly"}
    learn("spikingjelly", module, run, lambda x: export(module, x), read, digits, folder)


if __name__ == "__main__":
    main(record_all, train)
