"""Every surrogate function: its shape, how true its gradient is, and how well it trains.

Leaky integrate-and-fire neurons, compiled from their equations, get Poisson inputs and are to fire
the spike train of a teacher, which has other weights, so that every target can be reached. The
loss is the distance of van Rossum (2001, doi:10.1162/089976601300014321). Two questions are asked
of each function, on the same independent problems, as Zenke & Vogels (2021,
doi:10.1162/neco_a_01367) ask them of shapes:

- Direction: the cosine between its gradient and that of the loss smoothed by Gaussian noise on the
  weights, found by antithetic differences (Nesterov & Spokoiny 2017,
  doi:10.1007/s10208-015-9296-2). The control is the cosine between two halves of these
  differences, which are as good as each other: nothing is expected to be much better.
- Training: the loss after a number of steps of Adam, which forgives a wrong scale. The control is
  the straight-through estimator, a derivative of 1 everywhere.

The surrogates' argument is in units of the distance from rest to threshold; the reset is not
differentiated.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from brian2 import Hz, ms, mV
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cosine_similarity

from biosnn import experiments, models, plotting
from biosnn.surrogate import SURROGATES, ATan, SpikingLayer, SurrogateFunction, UserDefined

N_INPUTS, RATE = 40, 20 * Hz
DT = 1 * ms
TAU_LOSS = 10 * ms
CELL = {
    "tau_m": 20 * ms,
    "E_L": -65 * mV,
    "V_r": -65 * mV,
    "V_th": -50 * mV,
    "t_ref": 2 * ms,
}
W_MEAN, W_STD = 0.08, 0.16  # of the threshold
SMOOTHING = 0.2 * W_STD  # standard deviation of the noise on the weights
LEARNING_RATE = 0.1 * W_STD
FULL = {"problems": 16, "steps": 100, "pairs": 20_000, "duration_ms": 150}
SMOKE = {"problems": 4, "steps": 4, "pairs": 1_000, "duration_ms": 60}
CONTROL = "straight_through"


def neurons(function: SurrogateFunction) -> SpikingLayer:
    """A layer whose input 1 lifts the membrane potential from rest to threshold."""
    return SpikingLayer(
        models.lif(**CELL),
        dt=DT,
        drive="v += x",
        gain=CELL["V_th"] - CELL["E_L"],
        surrogate=function,
        detach_reset=True,
        step_mode="multi",
    )


def loss(out: Tensor, target: Tensor) -> Tensor:
    """Squared distance of each pair of filtered spike trains [n_steps, *]."""
    per_step = float(DT / TAU_LOSS)
    t = torch.arange(len(out), dtype=out.dtype)
    kernel = torch.exp((t - t[:, None]) * per_step).tril()
    filtered = torch.tensordot(kernel, out - target, 1)
    return filtered.square().sum(0) * per_step


class Task:
    """Inputs [n_steps, n_problems, n_inputs], first weights, and the teachers' spike trains."""

    def __init__(self, problems: int, duration_ms: int, seed: int, dtype: torch.dtype):
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.step = neurons(ATan())  # whatever the function: this one gets no gradient
        shape = (round(duration_ms * ms / DT), problems, N_INPUTS)
        chance = torch.rand(shape, generator=self.generator, dtype=dtype)
        self.inputs = (chance < float(RATE * DT)).to(dtype)
        self.start, teacher = (W_MEAN + W_STD * self.noise(problems, N_INPUTS) for _ in range(2))
        self.target = self.run(teacher, self.step)

    def noise(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=self.dtype)

    def run(self, weights: Tensor, layer: SpikingLayer) -> Tensor:
        layer.reset()
        return layer((self.inputs * weights).sum(-1))

    def losses(self, weights: Tensor) -> Tensor:
        """Loss of every problem."""
        return loss(self.run(weights, self.step), self.target)

    def gradient(self, layer: SpikingLayer) -> Tensor:
        """Surrogate gradient at the first weights [n_problems, n_inputs]."""
        weights = self.start.clone().requires_grad_()
        loss(self.run(weights, layer), self.target).sum().backward()
        assert weights.grad is not None
        return weights.grad

    def smoothed_gradient(self, pairs: int, chunk: int = 500) -> Tensor:
        """Gradient of the smoothed loss at the first weights, from antithetic pairs."""
        total = torch.zeros_like(self.start)
        for first in range(0, pairs, chunk):
            noise = self.noise(min(chunk, pairs - first), *self.start.shape)
            drive = torch.einsum("tpi,kpi->tkp", self.inputs, noise) * SMOOTHING
            rest = (self.inputs * self.start).sum(-1)[:, None]
            both = []
            for sign in (1, -1):
                self.step.reset()
                both.append(loss(self.step(rest + sign * drive), self.target[:, None]))
            total += ((both[0] - both[1])[..., None] * noise).sum(0)
        return total / (2 * SMOOTHING * pairs)

    def fit(self, layer: SpikingLayer, steps: int) -> Tensor:
        """Losses after training, one per problem."""
        weights = self.start.clone().requires_grad_()
        optimiser = torch.optim.Adam([weights], lr=LEARNING_RATE)
        for _ in range(steps):
            optimiser.zero_grad()
            loss(self.run(weights, layer), self.target).sum().backward()
            optimiser.step()
        return self.losses(weights.detach())


def smoothed(task: Task, pairs: int) -> dict[str, Any]:
    """Two halves of the smoothed loss's gradient, and how long they took."""
    started = time.perf_counter()
    halves = torch.stack([task.smoothed_gradient(pairs // 2) for _ in range(2)])
    return {"halves": halves.numpy(), "seconds": time.perf_counter() - started}


def trained(task: Task, layer: SpikingLayer, reference: Tensor, steps: int) -> dict[str, Any]:
    """Cosine of the layer's gradient with the reference, and the losses after training."""
    started = time.perf_counter()
    cosine = cosine_similarity(task.gradient(layer), reference, dim=-1).numpy()
    after = task.fit(layer, steps).numpy()
    return {"cosine": cosine, "after": after, "seconds": time.perf_counter() - started}


def draw_shapes(functions: dict[str, SurrogateFunction]) -> Figure:
    figure = Figure(figsize=(10.0, 6.6), layout="constrained")
    x = torch.linspace(-2.5, 2.5, 1001, dtype=torch.float64)
    axes = figure.subplots(3, 4, sharex=True)
    for ax, (name, function) in zip(axes.flat, functions.items(), strict=True):
        ax.plot(x, function(x), color="0.7", label="spike")
        ax.plot(x, function.primitive(x), label="primitive")
        ax.plot(x, function.gradient(x), label="gradient")
        settings = repr(function).partition("(")[2].removesuffix(")")
        ax.set_title(f"{name.replace('_', ' ')} ({settings})", fontsize="small")
    for ax in axes[-1]:
        ax.set_xlabel("distance to the threshold")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def draw_training(cosine: dict[str, Any], remaining: dict[str, Any], ceiling: float) -> Figure:
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = list(cosine)
    for ax, values in ((left, cosine), (right, remaining)):
        colours = ["C1" if name == CONTROL else "C0" for name in names]
        ax.barh(names, [np.mean(values[name]) for name in names], color=colours, alpha=0.6)
        for row, name in enumerate(names):
            ax.plot(values[name], np.full(len(values[name]), row), "k.", markersize=3)
    left.axvline(ceiling, color="0.5", linestyle="--")
    left.set(
        title="dashed: two halves of the reference",
        xlabel="cosine with the smoothed loss's gradient",
        yticks=range(len(names)),
        yticklabels=[name.replace("_", " ") for name in names],
    )
    right.axvline(1, color="0.5", linestyle="--")
    right.set(title="dashed: before training", xlabel="loss after training / mean loss before")
    left.invert_yaxis()
    return figure


def run() -> None:
    parser = experiments.parser("surrogate_gallery", __doc__, device="runtime")
    experiments.add_resume_flags(parser)
    args = parser.parse_args()
    experiments.without_effect(args, ["--device"], "because all of it runs in torch")
    experiments.begin(args)
    size = SMOKE if args.smoke else FULL
    dtype = torch.float64 if args.precision == "double" else torch.float32
    functions = {name: made() for name, made in SURROGATES.items()}
    task = Task(size["problems"], size["duration_ms"], args.seed, dtype)

    parts = experiments.Parts(args)
    found = parts("reference", lambda: smoothed(task, size["pairs"]))
    halves, reference_s = torch.from_numpy(found["halves"]), found["seconds"]
    ceiling = cosine_similarity(*halves, dim=-1)
    reference = (halves[0] + halves[1]) / 2

    cosine, after, fit_s = {}, {}, 0.0
    before = task.losses(task.start).numpy()
    for name, function in {**functions, CONTROL: UserDefined(torch.ones_like)}.items():
        layer = neurons(function)
        found = parts(name, lambda layer=layer: trained(task, layer, reference, size["steps"]))
        cosine[name], after[name] = found["cosine"], found["after"]
        fit_s += found["seconds"]
    remaining = {name: after[name] / before.mean() for name in after}

    with plotting.style():
        experiments.save_figure(args, draw_shapes(functions), "functions")
        figure = draw_training(cosine, remaining, float(ceiling.mean()))
        experiments.save_figure(args, figure, "training")

    def means(values: dict[str, np.ndarray], *names: str) -> dict[str, float]:
        return {name: float(np.mean(values[name])) for name in names}

    experiments.write_report(
        args,
        metrics={
            "cosine": means(cosine, *functions),
            "loss_before": float(before.mean()),
            "loss_after": means(after, *functions),
            "target_spikes": float(task.target.sum(0).mean()),
        },
        controls={
            "cosine_of_halves": float(ceiling.mean()),
            "cosine": means(cosine, CONTROL),
            "loss_after": means(after, CONTROL),
            "loss_silent": float(loss(torch.zeros_like(task.target), task.target).mean()),
        },
        timing={"reference_s": reference_s, "fit_s": fit_s},
        parameters={
            **size,
            "functions": {name: repr(function) for name, function in functions.items()},
            "n_inputs": N_INPUTS,
            "rate": RATE,
            "dt": DT,
            "cell": CELL,
            "tau_loss": TAU_LOSS,
            "weights": (W_MEAN, W_STD),
            "smoothing": SMOOTHING,
            "learning_rate": LEARNING_RATE,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
