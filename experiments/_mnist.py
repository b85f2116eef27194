"""What the MNIST experiments share: data, training, readouts with their controls, figures."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from biosnn import datasets, encoding, experiments, plotting, simulation, storage
from biosnn.datasets import SIDE
from biosnn.errors import DataError
from biosnn.networks import NetworkModel
from biosnn.readout import (
    LinearReadout,
    ProportionReadout,
    VoteReadout,
    linear_readout,
    score_report,
)
from biosnn.state import State


def add_data_flags(parser: argparse.ArgumentParser, train: int, test: int) -> None:
    """Flags that choose the data."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset",
        choices=("digits", "mnist", "fashion-mnist"),
        default=None,
        help="default: mnist with --data-dir, else the bundled digits",
    )
    data.add_argument("--data-dir", type=Path, help="folder with the IDX files")
    whole, up_to = experiments.whole, experiments.UpTo
    data.add_argument("--train", type=whole(1), default=up_to(train), help="training images")
    data.add_argument("--test", type=whole(1), default=up_to(test), help="test images")
    data.add_argument(
        "--validation",
        type=whole(0),
        default=0,
        metavar="N",
        help="score on N images split off the training set; the test set stays shut",
    )


def add_save_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of the file of the trained model, which ``biosnn classify`` reads."""
    saved = parser.add_argument_group("files")
    saved.add_argument("--save", type=Path, metavar="FILE", help="save the trained model")
    saved.add_argument("--overwrite", action="store_true", help="let --save replace a file")


def check_save(args: argparse.Namespace) -> None:
    """Check before anything long begins that the model can be saved."""
    if args.save:
        storage.check_target(args.save, overwrite=args.overwrite)
    else:
        experiments.without_effect(args, ["--overwrite"], "without --save")


def save(args: argparse.Namespace, model: storage.TrainedModel | storage.LayeredModel) -> None:
    """Save the trained model, if the flags say so."""
    if args.save:
        storage.save_model(model, args.save, overwrite=args.overwrite)


@attrs.frozen(eq=False)
class Data:
    """Training images and the images that are scored, as float32 [n, 784] in [0, 1]."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    name: str
    scored_on: str


def loaded(args: argparse.Namespace) -> datasets.Dataset:
    """The dataset that the flags say, of images as MNIST's."""
    name = args.dataset or ("mnist" if args.data_dir else "digits")
    dataset = datasets.load_dataset(name, args.data_dir)
    if dataset.train.shape != (SIDE, SIDE):
        raise DataError(
            f"{args.data_dir} holds images of {dataset.train.shape} pixels, and this experiment "
            f"is one of {SIDE} x {SIDE}; scale them"
        )
    return dataset


def load(args: argparse.Namespace) -> Data:
    """Load what the flags say."""
    dataset = loaded(args)
    train, test, scored_on = dataset.train, dataset.test, "test"
    if args.validation:
        train, test = datasets.train_validation_split(train, args.validation, seed=0)
        scored_on = "validation"
    train = train.take(experiments.available(args, "train", len(train)))
    test = test.take(experiments.available(args, "test", len(test)))
    return Data(train.flat(), train.labels, test.flat(), test.labels, dataset.name, scored_on)


class Timer:
    """Collects seconds under names."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to a name."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def one_hot(labels: np.ndarray, n_classes: int = 10) -> np.ndarray:
    """Labels as float32 rows of zeros and a one."""
    return np.eye(n_classes, dtype=np.float32)[labels]


def reader(
    args: argparse.Namespace, runnable: simulation.Runnable, timer: Timer
) -> simulation.Runnable:
    """The network as it is read with plasticity off; in copies, if ``--n-parallel`` says so."""
    if args.n_parallel == 1:
        return runnable
    made = simulation.compile(
        runnable.network,
        args.device,
        precision=args.precision,
        per_sample=tuple(runnable.interface.per_sample),
        portable=args.portable,
        n_parallel=args.n_parallel,
    )
    timer.add("build_s", made.build_seconds)
    return made


def observe(
    runnable: simulation.Runnable,
    state: State,
    images: np.ndarray,
    variable: str,
    timer: Timer,
    *,
    seed: int,
    first_sample: int,
    progress: bool,
    jobs: int,
    key: str,
) -> np.ndarray:
    """Show images with plasticity off; the observed variable per sample."""
    recording, _ = runnable.run(
        images,
        state,
        seed=seed,
        epoch=1000,
        first_sample=first_sample,
        n_jobs=jobs,
        progress=progress,
    )
    timer.add(f"{key}_s", recording.seconds)
    return recording[variable]


def score(
    readout: Any, train: np.ndarray, data: Data, test: np.ndarray
) -> tuple[float, np.ndarray, Any]:
    """Fit a readout on training data only; accuracy and predictions on the scored images."""
    fitted = readout.fit(train, data.train_labels)
    predictions = fitted.predict(test)
    return score_report(data.test_labels, predictions, 10)["accuracy"], predictions, fitted


def count_readouts(c: float, seed: int) -> dict[str, Any]:
    """The readouts of spike counts."""
    return {
        "vote": VoteReadout(n_classes=10),
        "proportion": ProportionReadout(n_classes=10),
        "linear": LinearReadout("logistic", C=c, seed=seed),
    }


def pixels_control(data: Data, seed: int) -> float:
    """The same linear readout on raw pixels."""
    return score(linear_readout("logistic", seed=seed), data.train, data, data.test)[0]


def learning_curve(counts: np.ndarray, labels: np.ndarray, n_windows: int = 20) -> dict[str, Any]:
    """Vote while learning: each window is predicted with assignments from the window before."""
    size = len(counts) // n_windows
    if size < 100:
        return {}
    n_samples, accuracy = [], []
    for first in range(size, size * n_windows, size):
        before, window = slice(first - size, first), slice(first, first + size)
        readout = VoteReadout(n_classes=10).fit(counts[before], labels[before])
        n_samples.append(first + size)
        accuracy.append(float((readout.predict(counts[window]) == labels[window]).mean()))
    return {"n_samples": n_samples, "vote": accuracy}


def against_brian2_loop(
    network: NetworkModel,
    state: State,
    images: np.ndarray,
    compiled: simulation.Runnable,
    *,
    seed: int,
    horizon: int,
) -> dict[str, float]:
    """Time the same images, learning, through Brian2's own loop: one ``run()`` per image.

    Both start from the same state, in the same precision. Brian2 runs with Cython, on the device
    ``runtime``: each image also pays for taking the state in and out, some milliseconds. Its
    first image, in which code is generated, is not counted. The binary's time includes its start.
    """
    loop = simulation.compile(network, "runtime", target="cython", precision=compiled.precision)
    settings = {"learn": True, "seed": seed, "horizon": horizon, "progress": False}
    current = loop.initial_state(seed).transferred(state)
    _, current = loop.run(images[:1], current, **settings)
    started = time.perf_counter()
    for k in range(1, len(images)):
        _, current = loop.run(images[k : k + 1], current, first_sample=k, **settings)
    looped = time.perf_counter() - started
    started = time.perf_counter()
    compiled.run(images[1:], state, first_sample=1, **settings)
    once = time.perf_counter() - started
    n = len(images) - 1
    return {
        "loop_samples": n,
        "loop_ms_per_sample": 1e3 * looped / n,
        "binary_ms_per_sample_with_start": 1e3 * once / n,
        "loop_over_binary": looped / once,
    }


def scaled(images: np.ndarray, norm: float | None) -> np.ndarray:
    """Images scaled to one Euclidean norm, or as they are."""
    return images if norm is None else encoding.scale_norm(images, norm)


def figures(
    out: Path,
    weights: np.ndarray,
    data: Data,
    predictions: np.ndarray,
    counts: np.ndarray,
    curve: Mapping[str, Any],
) -> list[str]:
    """Draw what was learned; names of the pictures."""
    order = np.argsort(-counts.sum(0))[:100]
    pictures = {}
    with plotting.style():
        pictures["receptive_fields"] = plotting.receptive_fields(weights[:, order])
        pictures["confusion"] = plotting.confusion_matrix(data.test_labels, predictions)
        responses = VoteReadout(n_classes=10).fit(counts, predictions.clip(0))
        by_class = np.argsort(responses.assignments_, kind="stable")
        pictures["activity"] = plotting.activity_heatmap(
            counts[:500, by_class], data.test_labels[:500]
        )
        pictures["activity"].set_xlabel("neuron, sorted by the class it answers")
        pictures["weights"] = plotting.weight_histogram(weights)
        if curve:
            pictures["learning_curve"] = plotting.learning_curve(
                curve["n_samples"], {"vote while learning": curve["vote"]}, chance=0.1
            )
        for name, axes in pictures.items():
            plotting.save(axes, out / f"{name}.png")
    return sorted(pictures)


def save_arrays(out: Path, **arrays: np.ndarray) -> None:
    """Keep the arrays that ``biosnn plot`` draws."""
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / "arrays.npz", **arrays)  # type: ignore[arg-type]
