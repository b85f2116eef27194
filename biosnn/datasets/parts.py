"""Datasets and their parts: labelled images, labelled arrays, and the validation split.

The convention of all loaders: a `Dataset` has the parts ``train`` and ``test``, and
`Dataset.split_validation` gives training, validation and test. Settings are chosen on the
validation part; the test part is scored once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_whole


class Part(Protocol):
    """Labelled samples in a fixed order; all classes of samples have these members."""

    @property
    def labels(self) -> Any:
        """Class of each sample, int64 [n]."""
        ...

    @property
    def shape(self) -> Any:
        """Shape of a sample, a tuple of int."""
        ...

    def __len__(self) -> int: ...

    def pick(self, chosen: ArrayLike) -> Self:
        """Some of the samples."""
        ...


def as_labels(owner: str) -> Callable[[ArrayLike], NDArray[np.int64]]:
    """Converter of labels to int64 ``[n]``; raises a DataError where they are something else."""

    def convert(labels: ArrayLike) -> NDArray[np.int64]:
        array = np.asarray(labels)
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise DataError(
                f"{owner}.labels must be an integer array [n], got {array.dtype} "
                f"{list(array.shape)}; number the classes from 0"
            )
        return array.astype(np.int64)

    return convert


def check_one_each(owner: str, labels: NDArray[np.int64], n: int, what: str) -> None:
    """Check that there is one label per sample."""
    if len(labels) != n:
        raise DataError(
            f"{owner}.labels must have one label per {what}, got {len(labels)} labels for "
            f"{n} {what}s; pass arrays of one length"
        )


def checked_choice(owner: str, chosen: ArrayLike, n: int) -> NDArray[np.int64]:
    """Indices of samples, from indices or a mask.

    Raises
    ------
    ParameterError
        If nothing is chosen, or what is not there.
    """
    array = np.asarray(chosen)
    if array.dtype == bool and array.shape == (n,):
        array = np.flatnonzero(array)
    whole = array.ndim == 1 and array.size > 0 and array.dtype.kind in "iu"
    if not whole or array.min() < 0 or array.max() >= n:
        wanted = f"indices from 0 to {n - 1}, or {n} truth values, and at least one sample"
        raise ParameterError(owner, "chosen", f"{array.dtype} {list(array.shape)}", wanted)
    return array.astype(np.int64)


def _checked_images(images: ArrayLike) -> NDArray[np.uint8]:
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or 0 in array.shape:
        raise DataError(
            "Split.images must be a uint8 array [n, height, width] or [n, height, width, channels] "
            f"without an empty axis, got {array.dtype} {list(array.shape)}"
        )
    return array


@attrs.frozen(eq=False)
class Split:
    """Labelled images, in a fixed order.

    Parameters
    ----------
    images : uint8 array [n, height, width] or [n, height, width, channels]
        Bright ink on black, n >= 1.
    labels : int array [n]
        Class of each image, kept as int64.

    Raises
    ------
    DataError
        If an array has another type or shape, or if the two lengths differ.
    """

    images: NDArray[np.uint8] = attrs.field(converter=_checked_images, repr=False)
    labels: NDArray[np.int64] = attrs.field(converter=as_labels("Split"), repr=False)

    def __attrs_post_init__(self) -> None:
        check_one_each("Split", self.labels, len(self.images), "image")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width of the images, and their channels where they have some."""
        return self.images.shape[1:]

    def take(self, n: int) -> Split:
        """Return the first `n` images and labels.

        Raises
        ------
        ParameterError
            If `n` is below 1 or above the number of images.
        """
        n = check_whole("Split.take", "n", n, 1, len(self))
        return Split(self.images[:n], self.labels[:n])

    def pick(self, chosen: ArrayLike) -> Split:
        """Return some of the images: by their indices, in that order, or by a mask.

        Raises
        ------
        ParameterError
            If nothing is chosen, or an image that is not there.
        """
        rows = checked_choice("Split.pick", chosen, len(self))
        return Split(self.images[rows], self.labels[rows])

    def flat(self) -> NDArray[np.float32]:
        """Return the images as float32 rows ``[n, pixels]`` (times channels) in [0, 1]."""
        return np.divide(self.images.reshape(len(self), -1), 255, dtype=np.float32)


@attrs.frozen(eq=False)
class Dataset[P: Part]:
    """A training and a test part of one source, and how a validation part is got.

    Parameters
    ----------
    name : str
        The name that `load_dataset` knows it by, or that of the file or folder.
    train, test : Split, ArraySplit or EventSplit
        Training and test samples.
    n_classes : int
        Number of classes; labels are 0 to ``n_classes - 1``.
    source : str
        Authors, year, identifier and licence.
    classes : tuple of str, optional
        Names of the classes; by default their numbers.
    validation : Split, ArraySplit or EventSplit, optional
        The validation part, where the source comes with one.
    problems : tuple of str
        One sentence for each file that was left out, with its reason.
    picture : dict
        How pictures of a folder were prepared, ``"invert"`` and ``"fit"`` of `load_image`: the
        `picture` of a model that learns from them. Empty for other data.

    Raises
    ------
    DataError
        If a label lies outside the classes, test samples have another shape, or names of classes
        are missing or occur twice.
    """

    name: str
    train: P
    test: P
    n_classes: int
    source: str
    classes: tuple[str, ...] = attrs.field(
        default=attrs.Factory(lambda self: tuple(map(str, range(self.n_classes))), True),
        converter=tuple,
        repr=False,
    )
    validation: P | None = None
    problems: tuple[str, ...] = attrs.field(default=(), converter=tuple, repr=False)
    picture: dict[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        if len(set(self.classes)) != self.n_classes or len(self.classes) != self.n_classes:
            raise DataError(
                f"Dataset.classes of {self.name!r} must be {self.n_classes} different names, got "
                f"{len(self.classes)}, of which {len(set(self.classes))} differ"
            )
        for part, split in self._parts().items():
            if split.shape != self.train.shape:
                called = "images" if isinstance(split, Split) else "samples"
                raise DataError(
                    f"Dataset {self.name!r} has training {called} of shape {self.train.shape} and "
                    f"{part} {called} of shape {split.shape}; take both from the same source"
                )
            low, high = split.labels.min(), split.labels.max()
            if low < 0 or high >= self.n_classes:
                raise DataError(
                    f"Dataset.{part} of {self.name!r} must have labels between 0 and "
                    f"{self.n_classes - 1}, got {low} to {high}; check its label file"
                )

    def _parts(self) -> dict[str, P]:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def split_validation(self, n_validation: int | None = None, seed: int = 0) -> tuple[P, P, P]:
        """Return training, validation and test part.

        Parameters
        ----------
        n_validation : int, optional
            Number of training samples to set aside, see `train_validation_split`. By default the
            validation part that the source comes with; a tenth of the training samples where it
            comes with none.
        seed : int
            Seed >= 0; the same seed gives the same division.

        Raises
        ------
        ParameterError
            If a number is out of its bounds, or if `n_validation` is given though the source
            comes with a validation part.
        """
        if self.validation is None:
            n = max(len(self.train) // 10, 1) if n_validation is None else n_validation
            return *train_validation_split(self.train, n, seed), self.test
        if n_validation is not None:
            wanted = f"left out: {self.name} comes with {len(self.validation)} validation samples"
            raise ParameterError("Dataset.split_validation", "n_validation", n_validation, wanted)
        return self.train, self.validation, self.test

    def map(self, function: Any, /, *args: Any, **how: Any) -> Dataset[Any]:
        """Return the dataset with ``function(part, *args, **how)`` in place of each part.

        So one setting prepares training, validation and test samples alike:
        ``data.map(datasets.pool, 2)``.
        """
        changed = {name: function(part, *args, **how) for name, part in self._parts().items()}
        return attrs.evolve(self, **changed)


def train_validation_split[P: Part](split: P, n_validation: int, seed: int) -> tuple[P, P]:
    """Set a class-stratified validation split aside.

    The samples are shuffled, sorted by class and picked at even spacing, so that every class gives
    its share of `n_validation`, rounded down or up. Both parts keep the original order.

    Parameters
    ----------
    split : Split, ArraySplit or EventSplit
        The samples to divide.
    n_validation : int
        Number of validation samples, at least 1 and less than ``len(split)``.
    seed : int
        Seed >= 0; the same seed gives the same division.

    Returns
    -------
    train, validation
        Disjoint, together all of `split`, and of its class.

    Raises
    ------
    ParameterError
        If `n_validation` or `seed` is out of bounds.
    """
    if not all(hasattr(split, member) for member in ("labels", "shape", "pick")):
        wanted = "a Split, an ArraySplit or an EventSplit"
        raise ParameterError("train_validation_split", "split", type(split).__name__, wanted)
    n = len(split)
    check_whole("train_validation_split", "n_validation", n_validation, 1, n - 1)
    check_whole("train_validation_split", "seed", seed)
    shuffled = np.random.default_rng(seed).permutation(n)
    by_class = shuffled[np.argsort(split.labels[shuffled], kind="stable")]
    evenly_spaced = (2 * np.arange(n_validation) + 1) * n // (2 * n_validation)
    held_out = np.zeros(n, dtype=bool)
    held_out[by_class[evenly_spaced]] = True
    return split.pick(~held_out), split.pick(held_out)


def held_out(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Which samples make the test part where a source has none: a share of each class.

    Each class of two or more samples gives one at least and keeps one at least.
    """
    rng = np.random.default_rng(seed)
    mask = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        n = int(np.clip(round(share * len(rows)), 1, max(len(rows) - 1, 1)))
        if len(rows) > 1:
            mask[rng.permutation(rows)[:n]] = True
    return mask
