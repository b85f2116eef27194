"""Two kinds of learning in one loop: convolutions by STDP, the readout by surrogate gradients.

Images become spikes (Bernoulli, a chance per step). A convolution, batch normalisation as
homeostasis, and leaky integrate-and-fire neurons follow, of which only the channel with the
strongest drive at each place is driven; then the maximum over places, and a linear layer with
spiking outputs. No gradient reaches the convolution: a postsynaptic spike moves its weights towards
the presynaptic trace (the instar rule); that change is added to the weights' ``.grad`` with the
opposite sign, and plain SGD applies it. Adam trains the linear layer on the same batches.

Controls: the convolution frozen at its random start; STDP on images whose pixels change places,
anew for every image, so that it sees the same amount of ink without strokes; and, as what could be
reached, the convolution trained by gradients too. All share the start and the order of images.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from _mnist import add_save_flags, check_save, save
from brian2 import ms
from matplotlib.figure import Figure
from torch import Tensor, nn

from biosnn import datasets, experiments, models, plasticity, plotting, storage, surrogate

DT = 1 * ms
KERNEL, POOL = 5, 4
CELL = {"tau_m": 2 * ms, "V_th": 1.0}
RULE = {"eta": 1.0, "gain": 1.0, "tau_pre": 2 * ms}
LR_STDP, LR_GRADIENT = 0.002, 0.003
FULL = {"train": 5_000, "test": 5_000, "epochs": 2, "steps": 8, "channels": 8, "batch": 50}
SMOKE = {"train": 200, "test": 200, "epochs": 1, "steps": 4, "channels": 4, "batch": 50}
VARIANTS = ("stdp", "frozen", "shuffled", "gradient")


def cells() -> surrogate.SpikingLayer:
    """Discrete-step LIF neurons: a constant drive of 1 is what just makes them fire."""
    model = models.neuron(
        equations="dv/dt = (I - v)/tau_m : 1\nI : 1",
        threshold="v >= V_th",
        reset="v = 0",
        method="euler",
        parameters=CELL,
    )
    return surrogate.SpikingLayer(model, dt=DT, surrogate="atan", detach_reset=True)


class Hybrid:
    """A network and its two kinds of learning."""

    def __init__(self, variant: str, size: dict[str, int], seed: int, dtype: torch.dtype):
        torch.manual_seed(seed)
        self.variant, self.steps = variant, size["steps"]
        places = (28 - KERNEL + 1) // POOL
        self.net = surrogate.Sequential(
            nn.Conv2d(1, size["channels"], KERNEL, bias=False),
            nn.BatchNorm2d(size["channels"], affine=False),
            surrogate.Stateless(surrogate.StrongestChannel()),
            cells(),
            nn.MaxPool2d(POOL),
            nn.Flatten(),
            nn.Linear(size["channels"] * places**2, 10, bias=False),
            cells(),
            step_mode="multi",
        ).to(dtype)
        self.weights: Tensor = self.net[0].weight
        self.weights.data = self._normalised(torch.rand_like(self.weights))
        self.weights.requires_grad_(variant == "gradient")
        self.start = self.weights.detach().clone()
        rule = plasticity.instar(**RULE)
        self.learner = surrogate.Learner(rule, self.net[0], self.net[3], batch="mean")
        self.learner.disable()
        trained = [self.net[6].weight, *([self.weights] if variant == "gradient" else [])]
        self.by_gradient = torch.optim.Adam(trained, lr=LR_GRADIENT)
        self.by_stdp = torch.optim.SGD([self.weights], lr=LR_STDP)
        self.generator = torch.Generator().manual_seed(seed)

    @staticmethod
    def _normalised(weights: Tensor) -> Tensor:
        return weights / weights.flatten(1).norm(dim=1)[:, None, None, None]

    def encoded(self, images: Tensor) -> Tensor:
        """Spikes [T, N, 1, 28, 28] of images [N, 28, 28] in [0, 1]."""
        chance = torch.rand(self.steps, *images.shape, generator=self.generator)
        return (chance < images).to(self.weights.dtype)[:, :, None]

    def rates(self, spikes: Tensor) -> Tensor:
        """Output spikes per step [N, 10]."""
        surrogate.reset(self.net)
        return self.net(spikes).mean(0)

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """One batch for both kinds of learning."""
        spikes = self.encoded(images)
        if self.variant == "stdp":
            self.learner.enable()
        rates = self.rates(spikes)
        loss = nn.functional.mse_loss(rates, nn.functional.one_hot(labels, 10).to(rates))
        self.by_gradient.zero_grad()
        loss.backward()
        self.by_gradient.step()
        if self.variant == "shuffled":
            places = torch.rand(len(images), 28 * 28, generator=self.generator).argsort(1)
            images = images.flatten(1).gather(1, places).reshape(images.shape)
            self.learner.enable()
            with torch.no_grad():
                self.rates(self.encoded(images))
        self.by_stdp.zero_grad()
        if self.learner.step(on_grad=True) is not None:
            self.by_stdp.step()
            self.weights.data = self._normalised(self.weights.data)
        self.learner.reset()
        self.learner.disable()

    @torch.no_grad()
    def accuracy(self, split: datasets.Split, batch: int) -> float:
        """Fraction of images whose class has the highest rate; of equal ones the first."""
        self.net.eval()
        right = 0
        for images, labels in batches(split, batch, np.arange(len(split))):
            right += int((self.rates(self.encoded(images)).argmax(1) == labels).sum())
        self.net.train()
        return right / len(split)


def batches(split: datasets.Split, batch: int, order: np.ndarray) -> Any:
    """Images [N, 28, 28] in [0, 1] and labels."""
    for places in np.array_split(order, -(-len(order) // batch)):
        images = torch.from_numpy(split.flat()[places].reshape(-1, 28, 28))
        yield images, torch.from_numpy(split.labels[places])


def measure(variant: str, size: dict[str, int], seed: int, dtype: torch.dtype) -> dict[str, Any]:
    """Accuracy after every epoch, filters and seconds of a variant."""
    data = datasets.load_digits()
    train, test = data.train.take(size["train"]), data.test.take(size["test"])
    hybrid = Hybrid(variant, size, seed, dtype)
    rng, began = np.random.default_rng(seed), time.perf_counter()
    course = []
    for _ in range(size["epochs"]):
        for images, labels in batches(train, size["batch"], rng.permutation(len(train))):
            hybrid.learn(images, labels)
        course.append(hybrid.accuracy(test, 5 * size["batch"]))
    return {
        "accuracy": course,
        "start": hybrid.start[:, 0].numpy(),
        "filters": hybrid.weights.detach()[:, 0].numpy(),
        "weights": chain_of(hybrid)[1],
        "seconds": time.perf_counter() - began,
    }


def chain_of(hybrid: Hybrid) -> tuple[Any, dict[str, np.ndarray]]:
    """The layers and their weights, as a file has them."""
    return surrogate.chain_of(hybrid.net, (1, 28, 28), steps=hybrid.steps)


def similarity(filters: np.ndarray) -> float:
    """Mean correlation between two filters."""
    matrix = np.corrcoef(filters.reshape(len(filters), -1))
    return float(matrix[np.triu_indices(len(filters), 1)].mean())


def draw(found: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1.6, 1)))
    rows = {"start": found["stdp"]["start"]}
    rows |= {name: found[name]["filters"] for name in ("stdp", "shuffled", "gradient")}
    n = len(rows["start"])
    grid = np.asarray(left.subplots(len(rows), n))
    for axes, (name, filters) in zip(grid, rows.items(), strict=True):
        for ax, weights in zip(axes, filters, strict=True):
            ax.imshow(weights, cmap="gray")
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name)
    left.suptitle("filters, each in its own range")
    ax = right.subplots()
    for name, run in found.items():
        course = run["accuracy"]
        ax.plot(range(1, len(course) + 1), course, marker="o", label=name)
    ax.set(xlabel="epoch", ylabel="accuracy on test images", xticks=range(1, len(course) + 1))
    ax.legend()
    return figure


def run() -> None:
    parser = experiments.parser("stdp_plus_gradient", __doc__, device="runtime")
    parser.set_defaults(precision="single")
    add_save_flags(parser)
    experiments.add_resume_flags(parser)
    args = parser.parse_args()
    check_save(args)
    experiments.without_effect(args, ["--device"], "because all of it runs in torch")
    size = SMOKE if args.smoke else FULL
    dtype = torch.float64 if args.precision == "double" else torch.float32
    experiments.begin(args)
    parts, console = experiments.Parts(args), experiments.console_for(args)
    found: dict[str, Any] = {}
    for variant in VARIANTS:
        console.print(f"Training: {variant} ...")
        found[variant] = parts(variant, lambda v=variant: measure(v, size, args.seed, dtype))
    with plotting.style():
        experiments.save_figure(args, draw(found), "filters")
    model = storage.LayeredModel(
        chain=chain_of(Hybrid("stdp", size, args.seed, dtype))[0],
        weights=found["stdp"]["weights"],
        encoding="bernoulli",
        provenance={"experiment": "stdp_plus_gradient", "seed": args.seed},
    )
    save(args, model)
    accuracy = {name: run["accuracy"][-1] for name, run in found.items()}
    moved = {name: float(np.abs(r["filters"] - r["start"]).max()) for name, r in found.items()}
    experiments.write_report(
        args,
        metrics={
            "accuracy": accuracy["stdp"],
            "accuracy_of_epochs": found["stdp"]["accuracy"],
            "largest_change_of_a_weight": moved["stdp"],
            "correlation_of_filters": similarity(found["stdp"]["filters"]),
        },
        controls={
            **{f"accuracy_{name}": accuracy[name] for name in VARIANTS[1:]},
            "largest_change_of_a_frozen_weight": moved["frozen"],
            "correlation_of_filters_shuffled": similarity(found["shuffled"]["filters"]),
        },
        timing={f"{name}_s": run["seconds"] for name, run in found.items()},
        parameters={
            **size,
            "kernel": KERNEL,
            "pool": POOL,
            "dt": DT,
            "cell": CELL,
            "instar": RULE,
            "lr_stdp": LR_STDP,
            "lr_gradient": LR_GRADIENT,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
