"""Handwritten digits by surrogate gradients: networks of declared neurons, trained in torch.

    python experiments/mnist_surrogate.py                              # 784-10, bundled digits
    python experiments/mnist_surrogate.py --net two-layer --data-dir DIR  # 784-128-10, all of MNIST
    python experiments/mnist_surrogate.py --net conv --data-dir DIR

``single`` and ``two-layer`` are declarations of ``networks.feedforward``, fed with Poisson spikes,
and their trained weights run in Brian2. ``conv`` has its neurons, from the same equations, between
torch's convolutions; the image is the constant input of the first one. Training images of
``two-layer`` and ``conv`` are moved at random by up to one and two pixels.

What is reported is the test accuracy after the last epoch; the checkpoint kept as the best one is
chosen on images split off the training set, where there are any. The controls are the network
before training, and one trained on permuted labels.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import time
from typing import Any

import numpy as np
import torch
from _mnist import add_data_flags, add_save_flags, check_save, loaded, save
from brian2 import ms
from torch import Tensor, nn

from biosnn import datasets, experiments, networks, plotting, simulation, storage
from biosnn.errors import ParameterError
from biosnn.surrogate import (
    LOSSES,
    Batches,
    DirectEncoder,
    PoissonEncoder,
    Sequential,
    SpikingLayer,
    SurrogateNetwork,
    address_events,
    chain_of,
    evaluate,
    load_module,
    train,
)
from biosnn.validation import check_value

DT = 1 * ms
SIDE, N_CLASSES = 28, 10
PRESETS: dict[str, dict[str, Any]] = {
    "single": {"T": 100, "epochs": 8, "batch": 200, "tau": 10.0, "lr": 5e-3, "scale": 0.1},
    "two-layer": {"T": 20, "epochs": 15, "batch": 128, "tau": 10.0, "lr": 8e-3, "scale": 0.5},
    "conv": {"T": 4, "epochs": 12, "batch": 128, "tau": 2.0, "lr": 3e-3, "scale": 0.25},
}
SIZES = {"single": (784, 10), "two-layer": (784, 128, 10)}
CHANNELS = (16, 32, 64)
# Pixels by which training images are moved at most.
SHIFTS = {"single": 0, "two-layer": 1, "conv": 2}
SMOKE = {"train": 2000, "test": 1000, "epochs": 2, "T": 20}


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next batch, whose pages it would fill with zeros."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def parse() -> argparse.Namespace:
    """Flags of this experiment."""
    assert __doc__
    parser = experiments.parser("mnist_surrogate", __doc__.splitlines()[0], device="runtime")
    parser.set_defaults(precision="single")
    add_data_flags(parser, train=60_000, test=10_000)
    whole = experiments.whole
    model = parser.add_argument_group("network and training")
    model.add_argument("--net", choices=tuple(PRESETS), default="single")
    model.add_argument("--T", type=whole(1), help="time steps per image")
    model.add_argument("--tau", type=float, help="membrane time constant in time steps")
    model.add_argument("--epochs", type=whole(1))
    model.add_argument("--batch", type=whole(1), help="images per update")
    model.add_argument("--lr", type=float, help="learning rate at the beginning; it falls to 0")
    model.add_argument("--optimiser", choices=("adam", "sgd"), default="adam")
    model.add_argument("--loss", choices=tuple(LOSSES), default="cross-entropy")
    model.add_argument(
        "--scale", type=float, help="logit of a spike (of 1), for the cross-entropies"
    )
    model.add_argument("--surrogate", default="atan", help="gradient of the spike")
    model.add_argument("--reset", choices=("hard", "soft"), default="hard")
    model.add_argument("--amp", action="store_true", help="compute in bfloat16 where it is safe")
    model.add_argument("--torch-device", default="cpu", help="where to train: cpu or cuda")
    model.add_argument("--workers", type=whole(0), default=0, help="processes that encode images")
    model.add_argument("--threads", type=whole(1), help="threads of torch")
    model.add_argument("--test-curve", action="store_true", help="test after every epoch")
    model.add_argument(
        "--shuffled-labels", action="store_true", help="train the control, too, for as long"
    )
    model.add_argument(
        "--deploy",
        type=whole(0),
        default=0,
        metavar="N",
        help="test images that the trained network is shown in Brian2, on --device",
    )
    add_save_flags(parser)
    experiments.add_resume_flags(parser)
    experiments.add_tensorboard_flag(parser)
    chosen = parser.parse_known_args()[0]
    parser.set_defaults(**PRESETS[chosen.net])
    args = parser.parse_args()
    check_save(args)
    for name in ("tau", "lr", "scale"):
        check_value("mnist_surrogate", f"--{name}", getattr(args, name), 1.0, "> 0")
    why = "because the network is trained in torch, in float32"
    experiments.without_effect(args, ["--precision"], why)
    if args.net == "conv":
        experiments.without_effect(args, ["--deploy"], "with --net conv, which has no declaration")
    if args.save and (args.loss == "membrane" or (args.net == "conv" and args.loss not in READS)):
        wanted = "a loss that a file can decide by: cross-entropy, mse or first-spike"
        wanted += ", and for conv the first two"
        raise ParameterError("mnist_surrogate", "--save with --loss", args.loss, wanted)
    if args.loss not in ("cross-entropy", "membrane"):
        experiments.without_effect(args, ["--scale"], f"with --loss {args.loss}, which has none")
    if args.smoke:
        for name, most in SMOKE.items():
            setattr(args, name, min(getattr(args, name), most))
        args.shuffled_labels = True
        if args.net != "conv":
            args.deploy = args.deploy or 20
    if not args.deploy:
        why = "without --deploy: training is in torch, on --torch-device"
        experiments.without_effect(args, ["--device"], why)
    return args


def load(args: argparse.Namespace) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images as bytes, and labels, of training, validation (if any) and test."""
    dataset = loaded(args)
    split = dataset.train
    parts: dict[str, Any] = {}
    if args.validation:
        split, parts["validation"] = datasets.train_validation_split(split, args.validation, seed=0)
    parts["train"] = split.take(experiments.available(args, "train", len(split)))
    parts["test"] = dataset.test.take(experiments.available(args, "test", len(dataset.test)))
    experiments.available(args, "deploy", args.test)
    return {key: (p.images.reshape(-1, SIDE, SIDE), p.labels) for key, p in parts.items()}


def make_batches(
    args: argparse.Namespace, samples: np.ndarray, labels: np.ndarray, *, training: bool
) -> Batches:
    """Encoded batches; those for testing are the same at every pass."""
    shift = SHIFTS[args.net] if training else 0
    encode = DirectEncoder(shift) if args.net == "conv" else PoissonEncoder(args.T, shift)
    return Batches(
        samples,
        labels,
        encode,
        batch_size=args.batch,
        seed=args.seed,
        shuffle=training,
        workers=args.workers if training else 0,
    )


class ConvolutionalNet(nn.Module):
    """Three convolutional layers of spiking neurons, and a linear readout of their spikes.

    The first convolution of the constant image is computed once and shown T times.
    """

    def __init__(self, T: int, tau: float, surrogate: str, reset: str):
        super().__init__()
        neuron = networks.threshold_neuron(tau * DT, reset=reset)

        def neurons() -> SpikingLayer:
            return SpikingLayer(
                neuron, dt=DT, drive="v += x", surrogate=surrogate, detach_reset=True
            )

        def convolution(
            inputs: int, outputs: int, size: int, stride: int = 1
        ) -> tuple[nn.Module, nn.Module]:
            made = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
            return made, nn.BatchNorm2d(outputs)

        first, second, third = CHANNELS
        self.T = T
        self.stem = nn.Sequential(*convolution(1, first, 5), nn.MaxPool2d(2))
        self.body = Sequential(
            neurons(),
            *convolution(first, second, 3, stride=2),
            neurons(),
            *convolution(second, third, 3),
            neurons(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(third * (SIDE // 8) ** 2, N_CLASSES),
            step_mode="multi",
        )
        self.to(memory_format=torch.channels_last)  # a fifth quicker on CPUs

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``[T, N, 10]`` of images ``[N, 28, 28]``."""
        drive = self.stem(images.unsqueeze(1))
        return self.body(drive.expand(self.T, *drive.shape))


def make_module(args: argparse.Namespace) -> nn.Module:
    """The untrained network, as the seed has it."""
    torch.manual_seed(args.seed)
    if args.net == "conv":
        module: nn.Module = ConvolutionalNet(args.T, args.tau, args.surrogate, args.reset)
    else:
        neuron = networks.threshold_neuron(args.tau * DT, reset=args.reset)
        network = networks.feedforward(SIZES[args.net], neuron, steps=args.T, dt=DT)
        module = SurrogateNetwork(
            network, seed=args.seed, surrogate=args.surrogate, detach_reset=True
        )
    return module.to(args.torch_device)


def make_loss(args: argparse.Namespace) -> Any:
    """The loss that the flags say."""
    kind = LOSSES[args.loss]
    return kind(scale=args.scale) if args.loss in ("cross-entropy", "membrane") else kind()


def fit(
    args: argparse.Namespace,
    data: dict[str, tuple[np.ndarray, np.ndarray]],
    labels: np.ndarray,
    folder: str,
) -> tuple[nn.Module, Any]:
    """Train a new network on the training images with the given labels."""
    module = make_module(args)
    held = {
        name: make_batches(args, *data[name], training=False)
        for name in ("validation", *(["test"] if args.test_curve else []))
        if name in data
    }
    history = train(
        module,
        make_batches(args, data["train"][0], labels, training=True),
        epochs=args.epochs,
        loss=make_loss(args),
        optimiser=args.optimiser,
        lr=args.lr,
        amp=args.amp,
        folder=args.out / "checkpoints" / folder,
        resume=args.resume,
        settings={k: getattr(args, k) for k in ("net", "T", "tau", "batch", "lr", "seed", "train")},
        callbacks=experiments.callbacks(args, folder),
        progress=not args.quiet,
        **held,
    )
    return module, history


#: What scores the classes of ``conv``, by the loss.
READS = {"cross-entropy": "sum", "mse": "sum"}


def trained_model(
    args: argparse.Namespace, module: nn.Module
) -> storage.TrainedModel | storage.LayeredModel:
    """The trained network as a file has it."""
    facts: dict[str, Any] = {"experiment": "mnist_surrogate", "net": args.net, "seed": args.seed}
    if isinstance(module, SurrogateNetwork):
        return storage.surrogate_model(module, make_loss(args), provenance=facts)
    assert isinstance(module, ConvolutionalNet)
    layers = [*module.stem, *module.body]
    chain, weights = chain_of(layers, (1, SIDE, SIDE), steps=args.T, reads=READS[args.loss])
    return storage.LayeredModel(chain=chain, weights=weights, provenance=facts)


def deploy(
    args: argparse.Namespace, module: SurrogateNetwork, images: np.ndarray
) -> dict[str, Any]:
    """The trained network in Brian2, on encoded images: share of equal spike counts."""
    n = args.deploy
    spikes = PoissonEncoder(args.T)(images[:n], np.random.default_rng(args.seed))
    double = SurrogateNetwork(module.network, state=module.state(), detach_reset=True).double()
    with torch.no_grad():
        counts = double.counts(spikes.double()).numpy()
    runnable = simulation.compile(module.network, args.device, per_sample=("output.count",))
    recording, _ = runnable.run(address_events(spikes, DT), module.state(), progress=not args.quiet)
    found = recording.counts("output")
    return {
        "brian2_images": n,
        "brian2_spikes": int(found.sum()),
        "brian2_equal_counts": float((counts == found).mean()),
        "brian2_s": recording.seconds,
    }


def draw(args: argparse.Namespace, history: Any, module: nn.Module) -> None:
    """Training curves, and what was learned of the first weights."""
    with plotting.style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        epochs = np.arange(1, history.epochs + 1)
        for name in ("train", "validation", "test"):
            if losses := getattr(history, f"{name}_loss"):
                left.plot(epochs, losses, ".-", label=name)
                accuracy = 100 * np.array(getattr(history, f"{name}_accuracy"))
                right.plot(epochs, accuracy, ".-", label=name)
        left.set(xlabel="epoch", ylabel="loss")
        right.set(xlabel="epoch", ylabel="accuracy (%)")
        right.legend()
        experiments.save_figure(args, figure, "curves")
        if isinstance(module, SurrogateNetwork):
            projection = next(iter(module.weights))
            weights = module.weight(projection).detach().cpu().numpy()
            pictures = weights.reshape(SIDE * SIDE, -1).T[:20].reshape(-1, SIDE, SIDE)
        else:
            assert isinstance(module, ConvolutionalNet)
            pictures = module.stem[0].weight.detach().cpu().numpy()[:, 0]
        rows = -(-len(pictures) // 5)
        figure = Figure(figsize=(6.0, 1.3 * rows), layout="constrained")
        axes = np.atleast_1d(figure.subplots(rows, 5)).ravel()
        most = np.abs(pictures).max()
        for ax in axes:
            ax.axis("off")
        for ax, picture in zip(axes, pictures, strict=False):
            ax.imshow(picture, cmap="RdBu_r", vmin=-most, vmax=most)
        experiments.save_figure(args, figure, "weights")


def run() -> None:
    """The experiment."""
    args = parse()
    data = load(args)
    experiments.begin(args)
    keep_freed_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    loss = make_loss(args)
    test = make_batches(args, *data["test"], training=False)
    untrained = evaluate(make_module(args), test, loss)
    cpu, wall = time.process_time(), time.perf_counter()
    module, history = fit(args, data, data["train"][1], "training")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    started = time.perf_counter()
    last = evaluate(module, test, loss)
    if args.save:
        save(args, trained_model(args, module))
    timing = {
        "train_s": sum(history.seconds),
        "test_s": time.perf_counter() - started,
        "ms_per_sample": 1e3 * sum(history.seconds) / (history.epochs * len(data["train"][0])),
    }
    metrics: dict[str, Any] = {
        "accuracy": last["accuracy"],
        "loss": last["loss"],
        "train_accuracy": history.train_accuracy[-1],
        "cpu_minutes": cpu / 60,
        "wall_minutes": wall / 60,
    }
    if args.deploy and isinstance(module, SurrogateNetwork):
        metrics |= deploy(args, module, data["test"][0])
    draw(args, history, module)
    controls = {"untrained": untrained["accuracy"]}
    if "validation" in data:
        best = make_module(args)
        load_module(args.out / "checkpoints" / "training" / "checkpoint-best.biosnn", best)
        metrics["accuracy_of_best_by_validation"] = evaluate(best, test, loss)["accuracy"]
        metrics["validation_accuracy"] = history.validation_accuracy[-1]
    if args.shuffled_labels:
        labels = np.random.default_rng(args.seed).permutation(data["train"][1])
        control, _ = fit(args, data, labels, "shuffled_labels")
        controls["shuffled_labels"] = evaluate(control, test, loss)["accuracy"]
    experiments.write_report(
        args,
        metrics=metrics,
        controls=controls,
        timing=timing,
        parameters={
            "sizes": SIZES.get(args.net, CHANNELS),
            "n_parameters": sum(p.numel() for p in module.parameters()),
            "n_train": len(data["train"][0]),
            "n_test": len(data["test"][0]),
            "loss_function": repr(loss),
            "torch_version": torch.__version__,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
