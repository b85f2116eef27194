"""Train a small network of a framework on the bundled digits, and export it.

Needs numpy, ``nir`` and PyTorch, not biosnn. Images are currents that are held for all steps
through the first map; the class is the output neuron with most spikes, the first of equal ones.
"""

from __future__ import annotations

import importlib.metadata
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

STEPS, EPOCHS, BATCH, TEST = 20, 5, 100, 2000


def images(digits: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as (n, 784) in 0..1, and labels; those of the test part are the first 2,000."""
    with np.load(digits, allow_pickle=False) as arrays:
        given = arrays[f"{part}_images"].reshape(-1, 784).astype("float32") / 255
        labels = arrays[f"{part}_labels"].astype("int64")
    return (given, labels) if part == "train" else (given[:TEST], labels[:TEST])


def held(values: np.ndarray) -> torch.Tensor:
    """The same frame in each step, (n, steps, 784)."""
    return torch.as_tensor(values)[:, None].expand(-1, STEPS, -1)


def counts(run: Callable[[torch.Tensor], torch.Tensor], values: np.ndarray) -> np.ndarray:
    """Spikes of each output neuron, (n, 10)."""
    with torch.no_grad():
        parts = [run(held(values[k : k + 500])).sum(1) for k in range(0, len(values), 500)]
    return torch.cat(parts).numpy().round().astype("int64")


def learn(
    framework: str,
    module: torch.nn.Module,
    run: Callable[[torch.Tensor], torch.Tensor],
    export: Callable[[np.ndarray], Any],
    read: dict,
    digits: Path,
    folder: Path,
    rate: float = 2e-3,
) -> None:
    """Train, test, export; write ``FRAMEWORK.nir``, ``FRAMEWORK.npz`` and ``FRAMEWORK.json``."""
    import nir

    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    values, labels = images(digits, "train")
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    rng = np.random.default_rng(0)
    for epoch in range(EPOCHS):
        order, losses = rng.permutation(len(values)), []
        for k in range(0, len(order), BATCH):
            rows = order[k : k + BATCH]
            spikes = run(held(values[rows])).mean(1)
            loss = torch.nn.functional.cross_entropy(10 * spikes, torch.as_tensor(labels[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        print(framework, "epoch", epoch, "loss", round(float(np.mean(losses)), 4), flush=True)
    values, labels = images(digits, "test")
    found = counts(run, values)
    accuracy = float((found.argmax(1) == labels).mean())
    path = folder / f"{framework}.nir"
    path.unlink(missing_ok=True)
    nir.write(path, export(np.zeros((1, 1, 784), "float32")))
    np.savez_compressed(folder / f"{framework}.npz", counts=found)
    names = (framework, "nir", "nirtorch", "torch")
    about = {
        "framework": framework,
        "accuracy": accuracy,
        "test_images": len(values),
        "steps": STEPS,
        "epochs": EPOCHS,
        "learning_rate": rate,
        "read": read,
        "versions": {name: importlib.metadata.version(name) for name in names},
        "seconds": round(time.perf_counter() - started, 1),
    }
    (folder / f"{framework}.json").write_text(json.dumps(about, indent=1) + "\n")
    print(about)
