"""Train a network by surrogate gradients and export it to NIR for other frameworks.

``python -m validation.nir.trained FOLDER`` writes ``ours-FRAMEWORK.nir`` for each of them, the
spikes of the test images and what the network does with them on cpp (``ours.npz``, ``ours.json``).
``read_ours.py`` shows them to the framework.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import ms

from biosnn import datasets, networks, nir, simulation
from biosnn.estimators import LIFClassifier
from biosnn.networks import NetworkModel

STEPS, TEST = 20, 2000
FRAMEWORKS = ("snntorch", "spikingjelly")


def declared() -> NetworkModel:
    """784-100-10 leaky neurons whose spikes arrive after the reset.

    In Brian2's usual order what arrives in the step of a spike is lost when ``v`` is set, which
    nodes of NIR do not say. The time step is that of the importers: snnTorch has no other.
    """
    network = networks.feedforward(
        (784, 100, 10), networks.threshold_neuron(1 * ms), steps=STEPS, dt=0.1 * ms
    )
    late = {k: attrs.evolve(p, when="after_resets") for k, p in network.projections.items()}
    return attrs.evolve(network, projections=late)


def train() -> LIFClassifier:
    """By surrogate gradients, on Poisson spikes of the bundled digits."""
    digits = datasets.load_digits().train
    classifier = LIFClassifier(network=declared(), learning_rate=2e-3, epochs=6, random_state=0)
    classifier.fit(digits.images.reshape(len(digits.images), -1), digits.labels)
    return classifier


def spikes_of(images: np.ndarray, seed: int) -> np.ndarray:
    """Spikes (n, steps, 784), with the probability of the pixel in each step."""
    rng = np.random.default_rng(seed)
    shown = images.reshape(len(images), 1, -1) / 255
    return rng.random((len(images), STEPS, shown.shape[2]), dtype="float32") < shown


def main() -> None:
    """Train, test, export."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    classifier = train()
    network, state = classifier.module_.network, classifier.module_.state()
    test = datasets.load_digits().test
    labels = np.asarray(test.labels[:TEST])
    spikes = spikes_of(test.images[:TEST], seed=1)
    sample, step, unit = np.nonzero(spikes)
    times = step * float(network.dt)
    events: dict[str, Any] = {"events": (sample, unit, times), "n_samples": TEST}
    runnable = simulation.compile(network, device="cpp", math="strict", progress=False)
    recording, _ = runnable.run(events, state, progress=False)
    counts = np.asarray(recording.per_sample["output.count"])
    accuracy = float((counts.argmax(1) == labels).mean())
    # Each layer answers one step later than the one before; other frameworks answer at once, and
    # get the same steps without input at the end.
    rest = round(float(network.presentation.rest / network.dt))
    shown = np.concatenate([spikes, np.zeros((TEST, rest, spikes.shape[2]), bool)], axis=1)
    np.savez_compressed(
        folder / "ours.npz", spikes=np.packbits(shown), shape=shown.shape, labels=labels,
        counts=counts,
    )  # fmt: skip
    about = {"ours": accuracy, "test_images": TEST, "steps": shown.shape[1], "spikes of ours": 0}
    about["spikes of ours"] = int(counts.sum())
    (folder / "ours.json").write_text(json.dumps(about, indent=1) + "\n")
    print(about)
    for framework in FRAMEWORKS:
        path = folder / f"ours-{framework}.nir"
        path.unlink(missing_ok=True)
        # The neurons fire at v >= V_th; snnTorch's at v > V_th, which differs where both are equal.
        how = attrs.evolve(nir.CONVENTIONS[framework], fires=">=")
        nir.write(path, nir.to_nir(network, state, convention=how, reset="v_reset"))


if __name__ == "__main__":
    main()
