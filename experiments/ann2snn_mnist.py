"""A trained ReLU network on MNIST becomes integrate-and-fire neurons: accuracy against steps.

    python experiments/ann2snn_mnist.py  # the bundled digits
    python experiments/ann2snn_mnist.py --data-dir MNIST --train 60000
    python experiments/ann2snn_mnist.py --validation 2000  # scored on training images

A small convolutional network (convolutions with BatchNorm, average pooling, two linear layers) is
trained with torch and converted in several ways: normalised by the maximum or by a percentile of
the activations, for a layer or for each channel, with the potential at rest or at half a threshold,
with analog or Poisson input. Only training images decide about weights and scales. No way is picked
by its score: the percentile of 99.9 that Rueckauer et al. (2017, doi:10.3389/fnins.2017.00682)
recommend, with half a threshold (Bu et al. 2022, doi:10.1609/aaai.v36i1.19874), is the result, and
the others stand beside it.

Controls: the network itself (what cannot be lost), the conversion without normalisation, the same
network untrained, and a linear readout of the pixels.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from _mnist import Data, add_data_flags, add_save_flags, check_save, load, pixels_control, save
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from biosnn import experiments, plotting, storage, surrogate

SIDE = 28
CHANNELS, HIDDEN = (16, 32), 128
LEARNING_RATE, BATCH = 2e-3, 100
PERCENTILE = 99.9
RESULT = "percentile"
#: Ways to convert, by name; the input is analog where nothing else is said.
WAYS: dict[str, dict[str, Any]] = {
    "maximum": {"normalisation": "max", "initial": 0.5},
    RESULT: {"normalisation": PERCENTILE, "initial": 0.5},
    "percentile_channelwise": {"normalisation": PERCENTILE, "initial": 0.5, "channelwise": True},
    "percentile_from_rest": {"normalisation": PERCENTILE, "initial": 0.0},
    "percentile_poisson": {"normalisation": PERCENTILE, "initial": 0.5, "encoding": "poisson"},
}
N_UNTRAINED = 1000  # images that the untrained network is scored on
STEPS_SHOWN = (1, 2, 4, 8, 16, 32, 64)
SMOKE = {"train": 2000, "test": 200, "epochs": 2, "steps": 16, "scaled_on": 200}


def network() -> nn.Sequential:
    first, second = CHANNELS
    return nn.Sequential(
        nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(first, second, 3, padding=1, bias=False),
        nn.BatchNorm2d(second),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * (SIDE // 4) ** 2, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, 10),
    )


def train(ann: nn.Sequential, x: Tensor, y: Tensor, epochs: int) -> None:
    """Adam on cross-entropy, with one cycle of the learning rate."""
    optimiser = torch.optim.Adam(ann.parameters(), lr=LEARNING_RATE)
    total = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=total)
    ann.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).to(x.device).split(BATCH):
            optimiser.zero_grad()
            cross_entropy(ann(x[chosen]), y[chosen]).backward()
            optimiser.step()
            schedule.step()
    ann.eval()


def ann_accuracy(ann: nn.Sequential, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        hits = [ann(a).argmax(1) == b for a, b in zip(x.split(500), y.split(500), strict=True)]
    return float(torch.cat(hits).double().mean())


def spikes_per_image(snn: Any, x: Tensor, steps: int) -> float:
    """Spikes of all neurons together, per image."""
    spiking = [
        name
        for name, layer in surrogate.stateful_layers(snn).items()
        if isinstance(layer, surrogate.SpikingLayer) and layer.output == "spike"
    ]
    monitor = surrogate.OutputMonitor(snn, spiking, function=lambda spikes: float(spikes.sum()))
    surrogate.outputs_over_time(snn, x, steps)
    monitor.remove()
    return sum(monitor.records) / len(x)


def draw(curves: dict[str, np.ndarray], ann: float, unscaled: np.ndarray) -> Figure:
    figure = Figure(figsize=(9.5, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = np.arange(1, len(unscaled) + 1)
    for name, curve in curves.items():
        left.plot(steps, 100 * curve, label=name.replace("_", " "))
        right.plot(steps, np.maximum(100 * (ann - curve), 0.01), label=name.replace("_", " "))
    left.plot(steps, 100 * unscaled, color="0.6", label="not normalised")
    left.axhline(100 * ann, color="k", linestyle="--", linewidth=1, label="the ReLU network")
    left.set(ylabel="accuracy (%)", ylim=(0, 101))
    right.set(ylabel="loss (points, from 0.01)", yscale="log")
    for ax in (left, right):
        ax.set(xlabel="steps", xscale="log")
        shown = [t for t in STEPS_SHOWN if t <= len(steps)]
        ax.set_xticks(shown, [str(t) for t in shown])
        ax.minorticks_off()
    left.legend(fontsize="small")
    return figure


def as_tensors(data: Data, device: str, dtype: torch.dtype) -> list[Tensor]:
    """Images [n, 1, 28, 28] and classes [n] to train on, then those that are scored."""
    found = []
    for images, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        found.append(torch.as_tensor(images, dtype=dtype).reshape(-1, 1, SIDE, SIDE).to(device))
        found.append(torch.as_tensor(labels).to(device))
    return found


def run() -> None:
    parser = experiments.parser("ann2snn_mnist", __doc__, device="runtime")
    parser.set_defaults(precision="single")
    parser.add_argument("--torch-device", choices=("cpu", "cuda"), default="cpu")
    add_data_flags(parser, train=10_000, test=10_000)
    own = parser.add_argument_group("conversion")
    own.add_argument("--epochs", type=experiments.whole(1), default=4, help="of the ReLU network")
    own.add_argument("--steps", type=experiments.whole(2), default=64, help="of the neurons")
    own.add_argument(
        "--scaled-on",
        type=experiments.whole(1),
        default=experiments.UpTo(2000),
        metavar="N",
        help="training images whose activations give the scales",
    )
    add_save_flags(parser)
    experiments.add_resume_flags(parser)
    args = parser.parse_args()
    check_save(args)
    why = "because all of it runs in torch, on --torch-device"
    experiments.without_effect(args, ["--device"], why)
    if args.smoke:
        for name, most in SMOKE.items():
            setattr(args, name, min(getattr(args, name), most))
    torch.manual_seed(args.seed)
    data = load(args)
    experiments.available(args, "scaled_on", len(data.train))
    experiments.begin(args)
    parts, console = experiments.Parts(args), experiments.console_for(args)
    dtype = torch.float64 if args.precision == "double" else torch.float32
    x, y, x_test, y_test = as_tensors(data, args.torch_device, dtype)
    ann = network().to(x).eval()
    chosen = x[: args.scaled_on]

    def over_time(encoding: str = "direct", n: int | None = None, **way: Any) -> np.ndarray:
        snn = surrogate.convert(ann, chosen, **way)
        return surrogate.accuracy_over_time(
            snn, (x_test[:n], y_test[:n]), args.steps, encoding=encoding, seed=args.seed
        )

    untrained = over_time(n=N_UNTRAINED, **WAYS[RESULT])

    def trained() -> dict[str, Any]:
        started = time.perf_counter()
        console.print("Training the ReLU network ...")
        train(ann, x, y, args.epochs)
        weights = {name: value.cpu().numpy() for name, value in ann.state_dict().items()}
        return {"weights": weights, "seconds": time.perf_counter() - started}

    found = parts("ann", trained)
    ann.load_state_dict({name: torch.tensor(value) for name, value in found["weights"].items()})
    ann.eval()
    train_s = found["seconds"]
    whole = ann_accuracy(ann, x_test, y_test)

    def shown_in(name: str, way: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        console.print(f"Showing the images to spiking neurons: {name} ...")
        return {"curve": over_time(**way), "seconds": time.perf_counter() - started}

    ways = {name: parts(name, lambda n=name, w=way: shown_in(n, w)) for name, way in WAYS.items()}
    curves = {name: way["curve"] for name, way in ways.items()}
    run_s = sum(way["seconds"] for way in ways.values())
    unscaled = over_time(normalisation=None, initial=0.5)
    shown = [t for t in STEPS_SHOWN if t <= args.steps]
    with plotting.style():
        experiments.save_figure(args, draw(curves, whole, unscaled), "accuracy_over_time")

    sample = x_test[: min(200, len(x_test))]
    snn = surrogate.convert(ann, chosen, **WAYS[RESULT])
    chain, weights = surrogate.chain_of(snn, (1, SIDE, SIDE), steps=args.steps, reads="last")
    facts = {"experiment": "ann2snn_mnist", "seed": args.seed, "dataset": data.name}
    save(args, storage.LayeredModel(chain=chain, weights=weights, provenance=facts))
    experiments.write_report(
        args,
        metrics={
            "accuracy": curves[RESULT][-1],
            "points_lost": {name: 100 * (whole - curve[-1]) for name, curve in curves.items()},
            "steps": shown,
            "accuracy_at": {n: [curve[t - 1] for t in shown] for n, curve in curves.items()},
            "accuracy_over_time": curves,
            "spikes_per_image": spikes_per_image(snn, sample, args.steps),
        },
        controls={
            "ann": whole,
            "not_normalised": [unscaled[t - 1] for t in shown],
            "untrained": untrained[-1],
            "pixels_linear": pixels_control(data, args.seed),
        },
        timing={
            "train_s": train_s,
            "run_s": run_s,
            "ms_per_sample": 1e3 * run_s / len(WAYS) / len(x_test),
        },
        parameters={
            "channels": CHANNELS,
            "hidden": HIDDEN,
            "n_untrained": min(N_UNTRAINED, len(x_test)),
            "learning_rate": LEARNING_RATE,
            "batch": BATCH,
            "ways": WAYS,
            "n_train": len(x),
            "n_scored": len(x_test),
            "scored_on": data.scored_on,
            "dataset": data.name,
            "torch": torch.__version__,
            "torch_threads": torch.get_num_threads(),
        },
    )


if __name__ == "__main__":
    experiments.main(run)
