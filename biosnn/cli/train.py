"""``biosnn train``: from a folder of pictures to a model's file, with its controls."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from biosnn import datasets, estimators, storage
from biosnn.datasets import Dataset, Split
from biosnn.datasets.folder import is_divided
from biosnn.errors import ParameterError
from biosnn.models import Schedule
from biosnn.readout import LinearReadout, linear_readout
from biosnn.validation import LARGEST, check_choice, check_value, check_whole

#: Euclidean norm of samples for which the thresholds of ``winner_take_all`` are made, and one for
#: which random features of ``reward_network`` fire about half of the time.
NORMS = {"stdp": 9.2, "reward": 2.0}
#: Values from which the best on the validation pictures is taken, by method.
CANDIDATES: dict[str, tuple[float, ...]] = {
    "stdp": (0.1, 1.0, 10.0, 100.0),
    "surrogate": (2e-3, 1e-2),
    "reward": (0.6, 1.2, 2.4),
}
#: What they are values of.
CHOSEN = {
    "stdp": "C, the inverse penalty of the linear readout",
    "surrogate": "learning rate at the beginning",
    "reward": "learning rate at the beginning, times the number of neurons",
}
#: Neurons and epochs; those of STDP follow from the presentations that a neuron needs.
DEFAULTS = {
    "stdp": {"neurons": 100, "epochs": 3},
    "surrogate": {"neurons": 128, "epochs": 20},
    "reward": {"neurons": 400, "epochs": 10},
}
#: Presentations per neuron until the thresholds of ``winner_take_all`` have adapted: with fewer, a
#: few neurons win all, and samples are silent.
PRESENTATIONS = 128
#: Of the pictures that are tested on, and of the others by which settings are chosen.
SHARE = 0.2
#: Test pictures that are simulated without building the network once more.
_FEW = 500
Say = Callable[[str], None]


@attrs.frozen(kw_only=True)
class Settings:
    """What the command line says."""

    method: str
    size: tuple[int, int] | None = None
    channels: int = 1
    invert: bool | None = None
    fit: str = "whole"
    neurons: int | None = None
    epochs: int | None = None
    seed: int = 0
    device: str | None = None
    validation: float | None = None
    test: float | None = None

    def __attrs_post_init__(self) -> None:
        check_choice("biosnn train", "--method", self.method, DEFAULTS)
        check_choice("biosnn train", "--channels", self.channels, (1, 3))
        check_choice("biosnn train", "--fit", self.fit, ("whole", "ink"))
        check_whole("biosnn train", "--seed", self.seed, 0, LARGEST)
        for name in ("validation", "test"):
            if getattr(self, name) is not None:
                check_value("biosnn train", f"--{name}", getattr(self, name), 1.0, "in (0, 1)")
        for name in ("neurons", "epochs"):
            if getattr(self, name) is not None:
                check_whole("biosnn train", f"--{name}", getattr(self, name), 1)

    @property
    def n_neurons(self) -> int:
        """Neurons that learn."""
        return DEFAULTS[self.method]["neurons"] if self.neurons is None else self.neurons

    def epochs_for(self, n_samples: int) -> int:
        """How often each of so many pictures is shown."""
        if self.epochs is not None:
            return self.epochs
        least = DEFAULTS[self.method]["epochs"]
        if self.method != "stdp":
            return least
        return max(least, math.ceil(PRESENTATIONS * self.n_neurons / n_samples))


def parsed_size(text: str | None) -> tuple[int, int] | None:
    """Height and width of ``16x16``, or of ``16``."""
    if text is None:
        return None
    words = text.lower().split("x")
    if len(words) > 2 or not all(word.isascii() and word.isdigit() for word in words):
        raise ParameterError("biosnn train", "--size", repr(text), "such as 28x28, in pixels")
    sides = [check_whole("biosnn train", "--size", int(word), 1, 2**15) for word in words]
    return sides[0], sides[-1]


@attrs.frozen(kw_only=True)
class _Candidate:
    """Something trained that classifies pictures, and the model that it is in a file."""

    value: float
    predict: Callable[[NDArray[np.float32]], NDArray[np.int64]]
    model: Callable[..., storage.TrainedModel]


def train(
    folder: Path, save: Path, settings: Settings, *, overwrite: bool, say: Say
) -> dict[str, Any]:
    """Train, choose, test and save; a report of plain values.

    Parameters
    ----------
    folder : Path
        Pictures, a sub-folder for each class.
    save : Path
        The model's file.
    settings : Settings
        What the command line says.
    overwrite : bool
        Whether the file may be replaced.
    say : callable
        Prints a line of progress.
    """
    storage.check_target(save, overwrite=overwrite)
    data, part, held = _loaded(folder, settings, say)
    best = _chosen(settings, part, held, say)
    say("Training the controls ...")
    (frozen,) = _trained(settings, part, (best.value,), learns=False)
    x, y = data.test.flat(), data.test.labels
    samples = {"train": len(part), "validation": len(held), "test": len(y)}
    model = best.model(
        shape=part.shape,
        classes=data.classes,
        picture=data.picture,
    )
    # As `biosnn classify` will do it: silent samples are wrong.
    labels = model.classify(x, device="runtime" if len(x) <= _FEW else "auto")
    controls = {
        "frozen_weights": float(np.mean(frozen.predict(x) == y)),
        "pixels_linear": float(_pixels(settings, part, held).score(x, y)),
        "most_frequent_class": float(np.mean(y == np.bincount(part.labels).argmax())),
    }
    report = {
        "method": settings.method,
        "classes": list(data.classes),
        "samples": samples,
        "neurons": settings.n_neurons,
        "epochs": settings.epochs_for(len(part)),
        "chosen_on_validation": {CHOSEN[settings.method]: best.value},
        "accuracy": float(np.mean(labels == y)),
        "silent": int((labels < 0).sum()),
        "controls": controls,
    }
    facts = {"dataset": data.name, "training": attrs.asdict(settings), **report}
    model = attrs.evolve(model, provenance={**model.provenance, **facts})
    path = storage.save_model(model, save, overwrite=overwrite)
    return {"model": str(path), **report, "left_out": list(data.problems)}


def _loaded(folder: Path, settings: Settings, say: Say) -> tuple[Dataset[Split], Split, Split]:
    """All pictures, and the training and validation parts."""
    say(f"Reading {folder} ...")
    how: dict[str, Any] = {
        "size": settings.size,
        "channels": settings.channels,
        "invert": "auto" if settings.invert is None else settings.invert,
        "fit": settings.fit,
    }
    if not is_divided(folder):
        test = SHARE if settings.test is None else settings.test
        how |= {"test_share": test, "seed": settings.seed}
    elif settings.test is not None:
        wanted = f"left out: {folder} has its own test part"
        raise ParameterError("biosnn train", "--test", settings.test, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the problems are reported one by one
        data = datasets.load_folder(folder, **how)
    if data.validation is not None:
        if settings.validation is not None:
            wanted = f"left out: {folder} has its own validation part"
            raise ParameterError("biosnn train", "--validation", settings.validation, wanted)
        return data, data.train, data.validation
    share = SHARE if settings.validation is None else settings.validation
    n = max(data.n_classes, round(share * len(data.train)))
    if n >= len(data.train):
        wanted = f"less than all of the {len(data.train)} pictures that are left to learn from"
        raise ParameterError("biosnn train", "--validation", share, wanted)
    part, held, _ = data.split_validation(n, settings.seed)
    if missing := sorted(set(range(data.n_classes)) - set(part.labels.tolist())):
        wanted = "such that a picture of each class is left to learn from"
        got = f"{share}, which leaves none of {data.classes[missing[0]]!r}"
        raise ParameterError("biosnn train", "--validation", got, wanted, "Add pictures")
    return data, part, held


def _chosen(settings: Settings, part: Split, held: Split, say: Say) -> _Candidate:
    """What is best on the validation pictures; the first among equals."""
    best: tuple[float, _Candidate] | None = None
    x = held.flat()
    for found in _trained(settings, part, CANDIDATES[settings.method]):
        accuracy = float(np.mean(found.predict(x) == held.labels))
        what = CHOSEN[settings.method]
        say(f"{what}, {found.value:g}: {accuracy:.4f} right of {len(held)} validation pictures")
        if best is None or accuracy > best[0]:
            best = accuracy, found
    assert best is not None
    return best[1]


def _pixels(settings: Settings, part: Split, held: Split) -> Any:
    """The control without neurons: a linear readout of the pixels, chosen in the same way."""
    fits = [
        linear_readout("logistic", C=c, seed=settings.seed).fit(part.flat(), part.labels)
        for c in CANDIDATES["stdp"]
    ]
    return max(fits, key=lambda fit: fit.score(held.flat(), held.labels))


def _trained(
    settings: Settings, part: Split, values: Iterable[float], *, learns: bool = True
) -> Iterator[_Candidate]:
    """Train with each of the values; without `learns` weights stay as they were drawn."""
    n = settings.n_neurons
    shared: dict[str, Any] = {
        "epochs": settings.epochs_for(len(part)),
        "random_state": settings.seed,
        "verbose": True,
    }
    x, y = part.flat(), part.labels
    if settings.method == "surrogate":
        for value in values:
            if not learns:
                shared["epochs"], value = 1, 1e-30  # of which float32 has no trace
            made = estimators.LIFClassifier(
                (n,), learning_rate=value, batch_size=32, device=settings.device or "cpu", **shared
            )
            yield _of_estimator(made.fit(x, y), value)
        return
    shared |= {"device": settings.device or "cpp", "norm": NORMS[settings.method], "n_neurons": n}
    if settings.method == "reward":
        for value in values:
            rate = Schedule(start=value / n, stop=value / n / 20) if learns else 0.0
            made = estimators.RSTDPClassifier(learning_rate=rate, **shared)
            yield _of_estimator(made.fit(x, y), value)
        return
    features = estimators.STDPFeatures(learning_rate=None if learns else 0.0, **shared).fit(x)
    seen = _Responses(features)
    for value in values:
        readout = LinearReadout(C=value, seed=settings.seed).fit(seen(x), y)
        yield _of_features(seen, readout, value)


def _of_estimator(fitted: Any, value: float) -> _Candidate:
    model = partial(estimators.trained_model, fitted)

    def predict(x: NDArray[np.float32]) -> NDArray[np.int64]:
        """As the model decides it: silent samples are none of the first class."""
        readout = model().readout
        assert readout is not None
        return readout.predict(fitted._scores(x))

    return _Candidate(value=value, predict=predict, model=model)


class _Responses:
    """Counts of a network that has learned; those of the last two sets of pictures are kept."""

    def __init__(self, features: estimators.STDPFeatures):
        self.features = features
        self._kept: list[tuple[NDArray[np.float32], NDArray[np.float64]]] = []

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        found = next((counts for shown, counts in self._kept if shown is x), None)
        if found is None:
            found = self.features.transform(x)
            self._kept = [*self._kept[-1:], (x, found)]
        return found


def _of_features(seen: _Responses, readout: LinearReadout, value: float) -> _Candidate:
    def model(classes: tuple[str, ...], **more: Any) -> storage.TrainedModel:
        bare = estimators.trained_model(seen.features, **more)
        return attrs.evolve(bare, readout=readout, classes=classes)

    def predict(x: NDArray[np.float32]) -> NDArray[np.int64]:
        return readout.predict(seen(x))

    return _Candidate(value=value, predict=predict, model=model)


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """What is printed at the end."""
    samples = report["samples"]
    chosen = ", ".join(
        f"{name} {value:g}" for name, value in report["chosen_on_validation"].items()
    )
    yield (
        f"{samples['train']} pictures to learn from, {samples['validation']} to choose by "
        f"(chosen: {chosen}), {samples['test']} to test; {report['neurons']} neurons, "
        f"{report['epochs']} epochs"
    )
    yield f"test accuracy: {report['accuracy']:.4f} ({report['silent']} silent)"
    for name, accuracy in report["controls"].items():
        yield f"control, {name.replace('_', ' ')}: {accuracy:.4f}"
    yield f"saved: {report['model']}"
