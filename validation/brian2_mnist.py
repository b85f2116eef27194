"""Networks that learn MNIST by STDP, brought along as they are, beside plain Brian2.

``python -m validation brian2_mnist FOLDER``, with a folder that holds checkouts under the names
that ``git clone`` gives them, or with a checkout of Brian2's repository alone:

- ``brian2`` (github.com/brian-team/brian2): the example of Diehl & Cook 2015. Its function
  ``build_network`` builds the network, and its protocol (350 ms of an image, 150 ms of rest, again
  with more intensity if there were fewer than five spikes, weights normalised before each image)
  runs with Brian2's NumPy target and on both devices of biosnn, from one seed.
- ``Brian2STDPMNIST`` (github.com/sdpenguin/Brian2STDPMNIST): Diehl's own script, translated to
  Brian2 and Python 3.
- ``BrainInspiredMachineLearning`` (github.com/Prashanth-Billa/BrainInspiredMachineLearning):
  ``phase_2/brian2_snn_competitive_learning.py`` by E. Neftci, a competition of 81 neurons.

The scripts of the last two run themselves, from a temporary folder, with the bundled images in the
files that they read. At each of their simulations biosnn goes on from its own state, with what the
script has set since the last one (:mod:`validation._follow`); spikes of all monitors and all
variables are compared to the bit after each. The lines that current versions of Python and
matplotlib refuse are changed in that folder, and counted.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from brian2 import Hz, ms, prefs, seed

import biosnn
from biosnn.datasets import load_dataset
from biosnn.errors import ParameterError
from validation._checks import at_least, check
from validation._follow import Change, Follower, changed_text, follow, in_python_3, working_copy

IMAGES, SHORT_IMAGES, SEED = 20, 2, 1
SHOWN, REST, FEWEST = 350 * ms, 150 * ms, 5
#: Spikes of the image and of the rest after it, per neuron, of each presentation.
Counts = list[tuple[np.ndarray, np.ndarray]]


def validate(*, short: bool, folder: Path | None = None) -> dict[str, Any]:
    """Compare spikes and weights.

    Parameters
    ----------
    short : bool
        Two images instead of twenty.
    folder : Path, optional
        With checkouts, or a checkout of Brian2's repository.

    Returns
    -------
    dict
        For each repository: presentations or simulations that differ, lines that were changed,
        and seconds.

    Raises
    ------
    ParameterError
        If the folder holds none of them, or another version.
    """
    if folder is None:
        return {"spikes": {"not_run": "no folder with checkouts was given"}}
    folder = folder.resolve()
    images = SHORT_IMAGES if short else IMAGES
    found: dict[str, Any] = {}
    for name, compare in REPOSITORIES.items():
        if (folder / name).is_dir():
            found[name] = compare(folder / name, images)
        else:
            found[name] = {"spikes": {"not_run": f"{folder} has no {name}"}}
    if not any((folder / name).is_dir() for name in REPOSITORIES):
        return {"brian2": compare_example(folder, images)}
    return found


def compare_example(folder: Path, n: int) -> dict[str, Any]:
    """Brian2's example, from a checkout of its repository."""
    example = load_example(folder)
    images = load_dataset("digits").train.images.reshape(-1, example.N_INP)
    images = images[:n] * (255 / 8 / images.max())
    target, prefs.codegen.target = prefs.codegen.target, "numpy"
    try:
        np.random.seed(SEED)
        net = example.build_network(True)
        lifted = biosnn.from_brian2(net, namespace={})
        ours = {device: _ours(lifted, device, images) for device in ("runtime", "cpp")}
        theirs, weights, seconds = _theirs(example, net, images)
    finally:
        prefs.codegen.target = target
    figures: dict[str, Any] = {
        "brian2": {
            "presentations": len(theirs),
            "spikes": at_least(sum(int(a.sum()) for a, _ in theirs), FEWEST * len(images)),
            "seconds": round(seconds, 1),
        }
    }
    for device, (counts, found, seconds) in ours.items():
        differ = sum(
            not (np.array_equal(a, c) and np.array_equal(b, d))
            for (a, b), (c, d) in zip(counts, theirs, strict=False)
        ) + abs(len(counts) - len(theirs))
        figures[device] = {
            "presentations_that_differ": check(differ, 0),
            "weights": check(
                float(np.abs(found - weights).max()), 0.0 if device == "runtime" else 1e-12
            ),
            "seconds": round(seconds, 1),
        }
    return figures


def load_example(folder: Path) -> ModuleType:
    """Import the example from a checkout of Brian2's repository, or from its folder of examples."""
    name = "frompapers/Diehl_Cook_2015.py"
    found = [path for path in (folder / "examples" / name, folder / name) if path.is_file()]
    if not found:
        raise ParameterError("brian2_mnist", "CHECKOUT", str(folder), f"a folder with {name}")
    # The example draws its progress with a package that nothing else here needs.
    sys.modules.setdefault("progressbar", SimpleNamespace(progressbar=list))  # type: ignore[arg-type]
    spec = importlib.util.spec_from_file_location("Diehl_Cook_2015", found[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _shown(images: np.ndarray, begin: Callable[[], None], show: Any) -> Counts:
    """The example's protocol: `show(rates, duration)` gives the spikes of every neuron."""
    counts: Counts = []
    for image in images:
        begin()
        intensity = 2
        while True:
            during = show(image * intensity, SHOWN)
            counts.append((during, show(np.zeros_like(image), REST)))
            if during.sum() >= FEWEST:
                break
            intensity += 1
    return counts


def _theirs(example: Any, net: Any, images: np.ndarray) -> tuple[Counts, np.ndarray, float]:
    monitor = net["sp_exc"]

    def show(rates: np.ndarray, duration: Any) -> np.ndarray:
        before = np.array(monitor.count)
        net["inp"].rates = rates * Hz
        net.run(duration, namespace={})
        return np.array(monitor.count) - before

    seed(SEED)
    started = time.perf_counter()
    counts = _shown(images, lambda: example.normalize_plastic_weights(net["inp_exc"]), show)
    return counts, np.array(net["inp_exc"].w), time.perf_counter() - started


def _ours(lifted: Any, device: str, images: np.ndarray) -> tuple[Counts, np.ndarray, float]:
    settings = {"math": "strict"} if device == "cpp" else {}
    runnable = biosnn.compile(lifted, device=device, progress=False, **settings)
    state, values, n = None, {}, len(lifted.program.arrays["exc.v"].initial)

    def begin() -> None:
        weights = (
            lifted.program.arrays["inp_exc.w"].initial if state is None else state["inp_exc.w"]
        )
        columns = np.array(weights).reshape(-1, n)
        values["inp_exc.w"] = (columns * (78.0 / columns.sum(axis=0))).ravel()

    def show(rates: np.ndarray, duration: Any) -> np.ndarray:
        nonlocal state
        first = {"seed": SEED} if state is None else {}
        recording, state = runnable.run(
            duration, {**values, "inp.rates": rates * Hz}, state, **first
        )
        values.clear()
        return np.bincount(recording.spikes["sp_exc"].i, minlength=n)

    started = time.perf_counter()
    counts = _shown(images, begin, show)
    assert state is not None
    return counts, np.array(state["inp_exc.w"]), time.perf_counter() - started


# --- scripts that run themselves


def training_images() -> tuple[np.ndarray, np.ndarray]:
    """The bundled images, shape (n, 28, 28), uint8, and their labels."""
    split = load_dataset("digits").train
    return np.asarray(split.images, dtype=np.uint8).reshape(-1, 28, 28), np.asarray(split.labels)


#: Of Brian2STDPMNIST: the script, what makes its random weights, and what is changed in it.
DIEHL = "Diehl&Cook_spiking_MNIST_Brian2.py"
GENERATOR = "Diehl&Cook_MNIST_random_conn_generator.py"
DIEHL_CHANGES = (
    Change("test_mode = True", "test_mode = False", "trains, as its README says"),
    Change("cmap.get_cmap('hot_r')", "'hot_r'", "matplotlib has no cm.get_cmap any more"),
    Change("b2.ylim(ymax = 100)", "b2.ylim(top = 100)", "matplotlib calls it top"),
)


def prepare_diehl(checkout: Path, folder: Path, images: np.ndarray, labels: np.ndarray) -> int:
    """Write what the script reads: images as it keeps them, random weights as its generator does.

    Returns
    -------
    int
        Lines of the generator, which is in Python 2, that were changed.
    """
    (folder / "mnist").mkdir()
    data = {"x": images, "y": labels.reshape(-1, 1), "rows": 28, "cols": 28}
    for name in ("training", "testing"):
        (folder / "mnist" / f"{name}.pickle").write_bytes(pickle.dumps(data))
    text, lines = in_python_3((checkout / GENERATOR).read_text())
    (folder / "random").mkdir()
    np.random.seed(SEED)
    exec(compile(text, GENERATOR, "exec"), {"__name__": "__main__"})
    (folder / DIEHL).write_text(changed_text(checkout / DIEHL, DIEHL_CHANGES))
    return lines


def compare_diehl(checkout: Path, n: int) -> dict[str, Any]:
    """Brian2STDPMNIST: its loop shows the images, normalises, rests and shows again."""
    own = (DIEHL, "random", "mnist")
    with working_copy(checkout, own=own, absent=("brian2tools",)) as folder:
        lines = prepare_diehl(checkout, folder, *training_images())
        follower = Follower(lambda simulation: simulation.namespace.get("j", 0) >= n, SEED)
        follow(folder / DIEHL, follower)
    changed = {"script": sum(change.lines for change in DIEHL_CHANGES), "generator": lines}
    return _followed(follower, n, changed)


NEFTCI = "brian2_snn_competitive_learning.py"
NEFTCI_SHOWN = 250 * ms


def compare_neftci(checkout: Path, n: int) -> dict[str, Any]:
    """BrainInspiredMachineLearning: one run over all images, of which so many are simulated."""
    data = ("mnist_data.npy", "mnist_targets.npy")
    with working_copy(checkout / "phase_2", own=(NEFTCI, *data)) as folder:
        images, labels = training_images()
        for name, values in zip(data, (images.reshape(-1, 784), labels), strict=True):
            np.save(folder / name, values[:1000].astype(float))
        (folder / NEFTCI).write_text(changed_text(checkout / "phase_2" / NEFTCI, ()))
        follower = Follower(lambda _: follower.runs > 0, SEED, longest=n * NEFTCI_SHOWN)
        follow(folder / NEFTCI, follower)
    return _followed(follower, n, {"script": 0})


def _followed(follower: Follower, n: int, changed: dict[str, int]) -> dict[str, Any]:
    moved = [most for name, most in follower.moved().items() if name.endswith(".w")]
    return {
        "images": n,
        "lines_changed": changed,
        "simulations": follower.runs,
        "values_set_by_the_script": follower.values_set,
        "spikes": at_least(follower.spikes, FEWEST * n),
        "weights_moved": at_least(max(moved), 1e-12),
        "simulations_that_differ": check(follower.runs_that_differ, 0),
        "differences": follower.differences,
        "seconds": {name: round(seconds, 1) for name, seconds in follower.seconds.items()},
    }


#: Folder of a checkout -> what compares its network.
REPOSITORIES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "brian2": compare_example,
    "Brian2STDPMNIST": compare_diehl,
    "BrainInspiredMachineLearning": compare_neftci,
}
