"""Brian2's example of Diehl & Cook 2015, brought along as it is, beside plain Brian2.

``python -m validation brian2_mnist CHECKOUT``, with a checkout of Brian2's repository. The
example's own function ``build_network`` builds the network, and its protocol (350 ms of an image,
150 ms of rest, again with more intensity if there were fewer than five spikes, weights normalised
before each image) runs with Brian2's NumPy target and on both devices of biosnn, from one seed.
"""

from __future__ import annotations

import importlib.util
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
        A checkout of Brian2's repository, or its folder of examples.

    Returns
    -------
    dict
        Presentations whose spikes differ, the largest difference of a weight, and seconds.

    Raises
    ------
    ParameterError
        If the folder holds no such example.
    """
    if folder is None:
        return {"spikes": {"not_run": "no checkout of Brian2's repository was given"}}
    example = _example(folder)
    images = load_dataset("digits").train.images.reshape(-1, example.N_INP)
    images = images[: SHORT_IMAGES if short else IMAGES] * (255 / 8 / images.max())
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


def _example(folder: Path) -> ModuleType:
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
