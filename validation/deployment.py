"""Networks trained by gradients in torch, deployed into Brian2: the same spike counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from brian2 import ms, mV, nA
from torch import Tensor

from biosnn import datasets, models, networks, simulation, surrogate
from biosnn.networks import NetworkModel
from validation._checks import at_least, check
from validation._simulate import verdict

#: Steps per image.
T = 50
#: How often an input of full brightness fires, per step.
DENSITY = {"single": 1.0, "two_layers": 1.0, "adaptive": 0.3, "conductance": 0.2}
#: What an update multiplies the normalised weights by at most, in a few of them.
LEARNING_RATE = 5e-3


def nets() -> dict[str, NetworkModel]:
    """The single layer, two layers, adaptive LIF neurons, refractory conductance neurons."""
    adaptive = models.adaptive_lif(theta_plus=3 * mV, tau_theta=100 * ms).with_synapses(
        method="exponential_euler", exc=models.exponential_current(I_max=1 * nA)
    )
    conductance = models.lif_conductance_based(t_ref=2 * ms)
    sizes = (784, 64, 10)
    return {
        "single": networks.feedforward((784, 10), steps=T),
        "two_layers": networks.feedforward((784, 128, 10), steps=T, delay=2 * ms),
        "adaptive": networks.feedforward(
            sizes, adaptive, steps=T, synapse="exc", weights=models.Uniform(low=0.0, high=0.05)
        ),
        "conductance": networks.feedforward(
            sizes,
            conductance,
            steps=T,
            transmit="g_e_post += w",
            weights=models.Uniform(low=0.0, high=0.05),
        ),
    }


def encoded(images: np.ndarray, density: float, seed: int) -> Tensor:
    """Bernoulli spikes ``[T, N, 784]`` of images of bytes."""
    draws = np.random.default_rng(seed).random((T, *images.shape))
    return torch.from_numpy((draws < density * images / 255).astype(float))


def learned(
    module: Any, images: np.ndarray, labels: np.ndarray, density: float, updates: int
) -> float:
    """Train for some updates; how far the weights have moved, relative to their size."""
    optimiser = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
    before = [p.detach().clone() for p in module.parameters()]
    for update in range(updates):
        rows = np.random.default_rng(update).integers(0, len(images), 32)
        counts = module.counts(encoded(images[rows], density, update))
        target = torch.as_tensor(labels[rows])
        loss = torch.nn.functional.cross_entropy(0.5 * counts, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return max(
        float((p.detach() - b).norm() / b.norm())
        for p, b in zip(module.parameters(), before, strict=True)
    )


def deployed(name: str, network: NetworkModel, n_images: int, devices: tuple[str, ...]) -> Any:
    """A trained network's counts in torch and on devices, in one continuous run each."""
    digits = datasets.load_digits()
    density = DENSITY[name]
    module = surrogate.to_torch(network, detach_reset=True).double()
    train, test = digits.train.images.reshape(-1, 784), digits.test.images.reshape(-1, 784)
    moved = learned(module, train, np.asarray(digits.train.labels), density, updates=10)
    spikes = encoded(test[:n_images], density, seed=1)
    with torch.no_grad():
        batches = spikes.split(100, dim=1)
        counts = torch.cat([module.counts(batch) for batch in batches]).numpy()
    samples = surrogate.address_events(spikes, network.dt)
    found = {}
    for device in devices:
        strict = {"math": "strict"} if device == "cpp" else {}
        runnable = simulation.compile(module.network, device, **strict)
        recording, _ = runnable.run(samples, module.state(), progress=False)
        equal = float((recording.counts(network.output) == counts).mean())
        found[device] = check(equal, 1.0, equal == 1.0)
    return verdict(
        weights_moved=at_least(moved, 0.01),
        spikes_per_image=at_least(float(counts.sum() / n_images), 1.0),
        images=at_least(n_images, n_images),
        **found,
    )


def validate(*, short: bool) -> dict[str, Any]:
    """All four networks.

    Parameters
    ----------
    short : bool
        20 images on ``runtime`` instead of 1,000 on ``runtime`` and ``cpp``.

    Returns
    -------
    dict
        Plain figures: share of output spike counts that are equal.
    """
    n_images, devices = (20, ("runtime",)) if short else (1000, ("runtime", "cpp"))
    return verdict(**{k: deployed(k, net, n_images, devices) for k, net in nets().items()})
