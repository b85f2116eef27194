"""Graphs of NIR against the frameworks that exported them.

``recorded/FRAMEWORK.zip`` holds networks that snnTorch, Norse, Sinabs and SpikingJelly built, ran
and exported, each in an environment of its own (``environments.py``, ``record_*.py``): the graph,
the input, what every layer put out, and versions. They are read with :func:`biosnn.nir.from_nir`
and run on the runtime and on cpp; spikes are compared one by one, and what leaky integrators put
out in every time step.

With the folder that ``record_*.py mnist`` and ``trained.py`` wrote, networks that were trained on
the bundled digits are compared as well.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import second

from biosnn import datasets, nir, simulation
from biosnn.networks import NetworkModel
from validation._checks import at_least, check

FRAMEWORKS = ("snntorch", "norse", "sinabs", "spikingjelly")
RECORDED = Path(__file__).parent / "recorded"
#: Least fraction of spikes that are equal.
EQUAL = 0.995
#: Largest error of a leaky integrator, of its largest value. Frameworks compute in float32.
LI_ERROR = 1e-4
#: Largest difference of accuracies, in points.
POINTS = 0.2
#: The graph of a framework that the control reads wrongly, and what is changed in its convention.
CONTROL = "{}-3"
WRONG: dict[str, dict[str, Any]] = {
    "snntorch": {"integration": "exact"},
    "norse": {"synapse": "filter", "integration": "exact"},
    "sinabs": {"integration": "euler"},
    "spikingjelly": {"integration": "exact"},
}


@attrs.frozen(kw_only=True, eq=False)
class Recorded:
    """A network as its framework ran it.

    Parameters
    ----------
    about : dict
        How it was drawn; ``read`` says with which arguments its file means what was run, and
        ``recorded`` which nodes were recorded.
    graph : bytes
        The file of NIR.
    arrays : dict
        ``input`` (samples, steps, ...), and ``layerK`` (samples, steps, units).
    """

    about: dict[str, Any]
    graph: bytes
    arrays: dict[str, np.ndarray]

    def samples(self) -> np.ndarray:
        """Input as samples, shape (samples, steps, features)."""
        given = self.arrays["input"]
        return given.reshape(*given.shape[:2], -1).astype(float)

    def network(self, **changed: Any) -> tuple[NetworkModel, dict[str, str]]:
        """The graph as a network, and its populations by node; `changed` of the convention."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.nir"
            path.write_bytes(self.graph)
            steps = self.arrays["input"].shape[1]
            net = read(path, self.about["read"], steps, **changed)
            return net, nir.population_names(path)


def recordings(framework: str) -> dict[str, Recorded]:
    """All recorded networks of a framework, by name."""
    found = {}
    with zipfile.ZipFile(RECORDED / f"{framework}.zip") as files:
        for name, about in json.loads(files.read("about.json"))["cases"].items():
            with np.load(io.BytesIO(files.read(f"{name}.npz")), allow_pickle=False) as arrays:
                kept = dict(arrays)
            graph = files.read(f"{name}.nir")
            found[name] = Recorded(about=about, graph=graph, arrays=kept)
    return found


def versions(framework: str) -> dict[str, str]:
    """Versions of the packages with which a framework was recorded."""
    with zipfile.ZipFile(RECORDED / f"{framework}.zip") as files:
        return json.loads(files.read("about.json"))["versions"]


def read(path: Path, how: dict[str, Any], steps: int, **changed: Any) -> NetworkModel:
    """Read a file as it was recorded: its convention, reset and time step."""
    convention = nir.CONVENTIONS[how["convention"]]
    options = {key: how[key] for key in ("reset", "reset_delay") if key in how}
    convention = attrs.evolve(convention, **{**options, **changed})
    dt = how["dt"] * second if "dt" in how else None
    return nir.from_nir(path, steps=steps, dt=dt, convention=convention)


def replay(one: Recorded, device: str, **changed: Any) -> dict[str, dict[str, Any]]:
    """Run a recorded network; node -> how it compares.

    ``equal`` is the number of spikes of both over the number of spikes of either, of neurons;
    ``error`` the largest error over the largest value, of leaky integrators.
    """
    net, names = one.network(**changed)
    nodes = one.about["recorded"]
    values = {node: names[node] for node, about in nodes.items() if about["spikes"] is None}
    sizes = {node: one.arrays[f"layer{k}"].shape[-1] for k, node in enumerate(nodes)}
    runnable = simulation.compile(
        net,
        device=device,
        spikes=[names[node] for node in nodes if node not in values],
        traces={f"{name}.v": range(sizes[node]) for node, name in values.items()},
        math="strict",
        progress=False,
    )
    recording, _ = runnable.run(one.samples(), progress=False)
    found: dict[str, dict[str, Any]] = {}
    for k, node in enumerate(nodes):
        expected = one.arrays[f"layer{k}"]
        n_samples, steps, units = expected.shape
        if node in values:
            trace = recording.traces[f"{values[node]}.v"].values
            played = trace.reshape(units, n_samples, steps).transpose(1, 2, 0)
            # A trace holds what a step starts from, so that the last step of a sample is not seen.
            error = np.abs(played[:, 1:] - expected[:, :-1]).max()
            found[node] = {"error": float(error / np.abs(expected).max())}
            continue
        spikes = recording.spikes[names[node]]
        trains = np.zeros(expected.shape, dtype=bool)
        trains[spikes.sample, np.round(spikes.t / float(net.dt)).astype(int), spikes.i] = True
        either = int((trains | expected).sum())
        found[node] = {
            "spikes": int(expected.sum()),
            "equal": float((trains & expected).sum() / max(either, 1)),
            "changed_in_double": nodes[node]["changed_in_double"],
        }
    return found


def _judged(name: str, one: Recorded, device: str) -> dict[str, Any]:
    found = replay(one, device)
    spiking = [layer for layer in found.values() if "equal" in layer]
    spikes = sum(layer["spikes"] for layer in spiking)
    figures: dict[str, Any] = {
        "nodes": one.about["nodes"],
        "layers": found,
        "activity": at_least(min(layer["spikes"] for layer in spiking), 20),
        "equal": at_least(min(layer["equal"] for layer in spiking), EQUAL),
        "spikes": spikes,
    }
    errors = [layer["error"] for layer in found.values() if "error" in layer]
    if errors:
        figures["integrators"] = check(max(errors), LI_ERROR)
    if figures["equal"]["value"] < 1:
        changed = sum(layer["changed_in_double"] for layer in spiking)
        figures["cause"] = f"{name} itself changes {changed} spikes in double precision"
    return figures


def validate(*, short: bool, folder: Path | None = None) -> dict[str, Any]:
    """Replay what was recorded; see the module."""
    figures: dict[str, Any] = {}
    for framework in FRAMEWORKS:
        given = recordings(framework)
        chosen = dict(list(given.items())[1:3]) if short else given
        devices = ("runtime",) if short else ("runtime", "cpp")
        part: dict[str, Any] = {"versions": versions(framework), "graphs": {}}
        for name, one in chosen.items():
            part["graphs"][name] = {device: _judged(name, one, device) for device in devices}
        control = replay(given[CONTROL.format(framework)], "runtime", **WRONG[framework])
        wrong = [layer["equal"] for layer in control.values() if "equal" in layer]
        part["read wrongly"] = check(min(wrong), 0.9, changed=WRONG[framework])
        figures[framework] = part
    if folder is None:
        reason = "give the folder that record_*.py mnist wrote"
        figures["mnist"] = {"accuracy": {"not_run": reason}}
    else:
        figures["mnist"] = {name: _trained(folder, name) for name in FRAMEWORKS}
        figures["ours"] = {name: _ours(folder, name) for name in ("snntorch", "spikingjelly")}
    return figures


def digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The first test images as (n, 784) in 0..1 in single precision, and their labels."""
    test = datasets.load_digits().test
    images = test.images[:n].reshape(n, -1).astype("float32") / 255
    return images.astype(float), np.asarray(test.labels[:n])


def counted(net: NetworkModel, images: np.ndarray) -> np.ndarray:
    """Spikes of each output neuron on cpp; images are held for all steps."""
    runnable = simulation.compile(net, device="cpp", math="strict", progress=False)
    recording, _ = runnable.run(images, progress=False)
    return np.asarray(recording.per_sample[f"{net.output}.count"])


def _trained(folder: Path, framework: str) -> dict[str, Any]:
    """A network that its framework trained and tested: here on the same images."""
    about = json.loads((folder / f"{framework}.json").read_text())
    images, labels = digits(about["test_images"])
    how = about["read"]
    convention = nir.CONVENTIONS[how["convention"]]
    options = {key: how[key] for key in ("reset", "reset_delay") if key in how}
    net = nir.from_nir(
        folder / f"{framework}.nir",
        steps=about["steps"],
        dt=how["dt"] * second if "dt" in how else None,
        convention=attrs.evolve(convention, **options),
        inputs="static",
    )
    counts = counted(net, images)
    with np.load(folder / f"{framework}.npz", allow_pickle=False) as arrays:
        expected = arrays["counts"]
    accuracy = float((counts.argmax(1) == labels).mean())
    return {
        "about": about,
        "accuracy": at_least(accuracy, 0.9),
        "points": check(100 * abs(accuracy - about["accuracy"]), POINTS),
        "images with equal counts": float((counts == expected).all(1).mean()),
        "equal decisions": float((counts.argmax(1) == expected.argmax(1)).mean()),
    }


def _ours(folder: Path, framework: str) -> dict[str, Any]:
    """A network that biosnn trained and exported, as a framework reads and runs it."""
    path = folder / f"ours-{framework}.json"
    about = json.loads(path.read_text())
    return {
        "about": about,
        "accuracy": at_least(about["accuracy"], 0.9),
        "points": check(100 * abs(about["accuracy"] - about["ours"]), POINTS),
    }
