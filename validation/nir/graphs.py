"""Random networks, drawn without any framework, and how recordings of them are kept.

A framework's program (``record_*.py``) builds what :func:`draw` says from the framework's own
modules, exports it with the framework's own exporter and runs it. Needs numpy, ``nir`` and PyTorch,
not biosnn: it is imported in the environment of each framework.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import io
import json
import platform
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: Samples and time steps of each recording.
SAMPLES, STEPS = 2, 80
#: Mean spikes per neuron and step to which weights are scaled.
LOWEST, HIGHEST = 0.03, 0.35
PACKAGES = ("nir", "nirtorch", "torch", "numpy")


def draw(seed: int, layers: int, neurons: Sequence[str], *, conv: bool, last: str | None) -> dict:
    """Draw a network: what its input is, and its layers of neurons with the map before each.

    Parameters
    ----------
    seed : int
        Of the draw; weights are drawn from it too.
    layers : int
        Layers of neurons.
    neurons : sequence of str
        Kinds to draw from.
    conv : bool
        Whether the first map is a convolution, and a pool follows the first layer.
    last : str, optional
        Kind of the last layer, otherwise drawn.
    """
    rng = np.random.default_rng(seed)
    shape = (2, 6, 6) if conv else (int(rng.integers(8, 20)),)
    found = []
    for layer in range(layers):
        kind = last if last and layer == layers - 1 else str(rng.choice(neurons))
        affine = "conv" if conv and layer == 0 else str(rng.choice(["linear", "affine"]))
        found.append(
            {
                "map": affine,
                "size": 3 if affine == "conv" else int(rng.integers(6, 16)),
                "kind": kind,
                "tau": round(float(rng.uniform(2, 12)), 3),
                "tau_syn": round(float(rng.uniform(1.5, 6)), 3),
                "threshold": round(float(rng.uniform(0.5, 1.5)), 3),
                "spread": bool(rng.integers(2)),
                "pool": conv and layer == 0,
            }
        )
    analog = bool(rng.integers(2))
    return {"seed": seed, "shape": list(shape), "analog": analog, "layers": found}


def played(spec: dict, rng: np.random.Generator) -> np.ndarray:
    """Input, float32 of shape (samples, steps, *shape): spikes, or values."""
    size = (SAMPLES, STEPS, *spec["shape"])
    if spec["analog"]:
        return rng.uniform(0, 1, size).astype("float32").round(3)
    return (rng.random(size) < 0.3).astype("float32")


def spread(spec: dict, layer: dict, value: float, size: int) -> np.ndarray:
    """One value of a parameter per neuron: equal ones, or such as differ by up to 20 %."""
    if not layer["spread"]:
        return np.full(size, value, "float32")
    rng = np.random.default_rng([spec["seed"], size])
    return (value * rng.uniform(0.8, 1.2, size)).astype("float32")


def chain(graph: Any) -> list[str]:
    """Names of a graph's stateful nodes, in the order in which signals pass them.

    Those of a subgraph are ``"subgraph.node"``.
    """
    following = {source: target for source, target in graph.edges}
    name = next(name for name, node in graph.nodes.items() if type(node).__name__ == "Input")
    found = []
    while name in following:
        name = following[name]
        node = graph.nodes[name]
        if type(node).__name__ == "NIRGraph":
            inner = [key for key, one in node.nodes.items() if _stateful(one)]
            found += [f"{name}.{key}" for key in inner]
        elif _stateful(node):
            found.append(name)
    return found


def _stateful(node: Any) -> bool:
    return type(node).__name__ in ("LIF", "IF", "LI", "I", "CubaLIF", "CubaLI")


def record(
    framework: str,
    cases: Sequence[dict],
    build: Callable[[dict], tuple[Any, list[Any]]],
    export: Callable[[Any, np.ndarray], Any],
    forward: Callable[[Any, np.ndarray], None],
    folder: Path,
) -> None:
    """Build, scale, run and export each case; write ``FRAMEWORK.zip``.

    Parameters
    ----------
    framework : str
        Name of its package.
    cases : sequence of dict
        What :func:`draw` gave, with ``name`` and ``read``: the arguments of ``from_nir`` with which
        the file means what the framework computes.
    build : callable
        From a case to a module and its layers of neurons.
    export, forward : callable
        To a NIR graph; and run the module on input (samples, steps, ...), from rest.
    """
    import nir
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in (framework, *PACKAGES)}
    about: dict[str, Any] = {
        "framework": framework,
        "versions": versions,
        "python": platform.python_version(),
        "cases": {},
    }
    path = folder / f"{framework}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as files:
        for case in cases:
            started = time.perf_counter()
            torch.manual_seed(case["seed"])
            module, layers = build(case)
            inputs = played(case, np.random.default_rng([case["seed"], 1]))
            outputs = scaled(case, module, layers, inputs, forward)
            graph = export(module, inputs)
            names = chain(graph)
            if len(names) != len(layers):
                raise RuntimeError(f"{case['name']}: {names} are not {len(layers)} layers")
            double = in_double(module)
            again = outputs_of(double, case, layers_of(double, module, layers), inputs, forward)
            arrays: dict[str, np.ndarray] = {"input": inputs}
            kept = {}
            for k, name in enumerate(names):
                spikes = case["layers"][k]["kind"] not in ("li",)
                arrays[f"layer{k}"] = (outputs[k] > 0.5) if spikes else outputs[k]
                kept[name] = {
                    "kind": case["layers"][k]["kind"],
                    "spikes": int(arrays[f"layer{k}"].sum()) if spikes else None,
                    "changed_in_double": int((outputs[k] != again[k]).sum()) if spikes else None,
                }
            whole = io.BytesIO()
            np.savez_compressed(whole, **arrays)
            files.writestr(f"{case['name']}.npz", whole.getvalue())
            temporary = folder / f"{case['name']}.nir"
            temporary.unlink(missing_ok=True)
            nir.write(temporary, graph)
            files.writestr(f"{case['name']}.nir", temporary.read_bytes())
            temporary.unlink()
            kinds = sorted({type(node).__name__ for node in graph.nodes.values()})
            about["cases"][case["name"]] = {
                **case,
                "nodes": kinds,
                "recorded": kept,
                "seconds": round(time.perf_counter() - started, 2),
            }
            print(case["name"], kinds, [(n, one["spikes"]) for n, one in kept.items()], flush=True)
        files.writestr("about.json", json.dumps(about, indent=1))
    print(path, path.stat().st_size, "bytes", versions)


def in_double(module: Any) -> Any:
    """A copy that computes in double precision, also where spikes are made single again."""
    copied = copy.deepcopy(module).double()
    for one in copied.modules():
        if next(one.children(), None) is None:
            one.register_forward_pre_hook(lambda _, given: (given[0].double(), *given[1:]))
    return copied


def layers_of(copied: Any, module: Any, layers: list[Any]) -> list[Any]:
    """The modules of a copy that stand where `layers` stand in the original."""
    names = [next(n for n, one in module.named_modules() if one is layer) for layer in layers]
    return [copied.get_submodule(name) for name in names]


def outputs_of(
    module: Any,
    case: dict,
    layers: list[Any],
    inputs: np.ndarray,
    forward: Callable[[Any, np.ndarray], None],
) -> list[np.ndarray]:
    """What each layer of neurons put out, (samples, steps, units)."""
    seen: list[list[np.ndarray]] = [[] for _ in layers]

    def hook(k: int) -> Callable[..., None]:
        def keep(_: Any, __: Any, given: Any) -> None:
            value = given[0] if isinstance(given, tuple) else given
            seen[k].append(value.detach().numpy().copy())

        return keep

    handles = [layer.register_forward_hook(hook(k)) for k, layer in enumerate(layers)]
    forward(module, inputs)
    for handle in handles:
        handle.remove()
    found = []
    for one in seen:
        if len(one) == 1:  # all samples and steps at once
            values = one[0].reshape(SAMPLES, STEPS, -1)
        else:
            values = np.stack([step.reshape(SAMPLES, -1) for step in one], axis=1)
        found.append(values.astype("float32"))
    return found


def modules_of(
    case: dict, neuron: Callable[[dict, dict, tuple[int, ...]], Any], library: Any, pool: Any = None
) -> tuple[list[Any], list[Any]]:
    """Modules of a network without recurrent layers, one behind the other, and those of neurons.

    Parameters
    ----------
    case : dict
        The network.
    neuron : callable
        Makes the neurons of a layer, of a case, the layer and the shape of its signal.
    library : module
        Has ``Conv2d``, ``Linear`` and ``Flatten``.
    pool : callable, optional
        Makes a layer that pools, of its width.
    """
    modules: list[Any] = []
    layers: list[Any] = []
    shape = tuple(case["shape"])
    for layer in case["layers"]:
        if layer["map"] == "conv":
            modules.append(library.Conv2d(shape[0], layer["size"], 3))
            shape = (layer["size"], shape[1] - 2, shape[2] - 2)
        else:
            modules.append(library.Linear(shape[0], layer["size"], bias=layer["map"] == "affine"))
            shape = (layer["size"],)
        layers.append(neuron(case, layer, shape))
        modules.append(layers[-1])
        if pool is not None and layer["pool"]:
            modules += [pool(2), library.Flatten()]
            shape = (shape[0] * (shape[1] // 2) * (shape[2] // 2),)
    return modules, layers


def scaled(
    case: dict,
    module: Any,
    layers: list[Any],
    inputs: np.ndarray,
    forward: Callable[[Any, np.ndarray], None],
) -> list[np.ndarray]:
    """Scale the weights before each layer until it fires neither seldom nor always."""
    import torch

    maps = [one for one in module.modules() if isinstance(one, torch.nn.Linear | torch.nn.Conv2d)]
    inner = [sub for layer in layers for sub in layer.modules() if sub is not layer]
    maps = [one for one in maps if not any(one is sub for sub in inner)]
    for k, layer in enumerate(layers):
        step, before = 0.3, 0.0
        for _ in range(40):
            outputs = outputs_of(module, case, layers, inputs, forward)
            if case["layers"][k]["kind"] == "li":
                break
            rate = float(outputs[k].mean())
            if LOWEST <= rate <= HIGHEST:
                break
            sign = 1.0 if rate < LOWEST else -1.0
            step, before = step * (0.5 if sign * before < 0 else 1), sign
            with torch.no_grad():
                maps[k].weight += sign * step * (0.5 * maps[k].weight.abs() + 0.05)
        else:
            raise RuntimeError(f"{case['name']}: layer {k} does not fire as wished ({layer})")
    return outputs_of(module, case, layers, inputs, forward)


def main(record_all: Callable[[Path], None], train: Callable[[Path, Path], None]) -> None:
    """Command line of a framework's program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("graphs", "mnist"))
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--digits", type=Path, help="biosnn/data/digits.npz")
    args = parser.parse_args()
    if args.what == "graphs":
        record_all(args.folder)
    else:
        train(args.digits, args.folder)
