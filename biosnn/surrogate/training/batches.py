"""Batches of encoded images, whose draws depend on seed, epoch and batch number only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from biosnn.encoding import intensities
from biosnn.errors import DataError, ParameterError
from biosnn.surrogate.training.fingerprints import digest
from biosnn.validation import check_flag, check_instance, check_whole, describe, whole

Encoder = Callable[[NDArray, np.random.Generator], Tensor]


def poisson_batch(images: NDArray, steps: int, rng: np.random.Generator) -> Tensor:
    """Independent spikes in every step, with the probability ``pixel/256``.

    One random byte is drawn per pixel and step. Floating-point numbers are probabilities
    themselves, for which a number of 32 bits is drawn.

    Parameters
    ----------
    images : array, shape (N, features)
        Bytes, or floating-point numbers from 0 to 1.
    steps : int
        Number of time steps T, > 0.
    rng : numpy.random.Generator
        Source of the draws, over any bit generator; ``SFC64`` is the quickest.

    Returns
    -------
    Tensor of bool, shape [T, N, features]
        Spikes.

    Raises
    ------
    DataError
        If the images are neither bytes nor numbers from 0 to 1.
    ParameterError
        If `steps` is no whole number > 0, or `rng` no generator.

    Notes
    -----
    Bernoulli trials per step are the discrete form of a Poisson process: Heeger (2000), "Poisson
    model of spike generation".
    """
    check_whole("poisson_batch", "steps", steps, 1)
    check_instance("poisson_batch", "rng", rng, np.random.Generator)
    images = np.asarray(images)
    if images.dtype != np.uint8:
        chances = intensities(images, "poisson_batch", name="images")
        drawn = rng.random((steps, *images.shape), dtype=np.float32)
        return torch.from_numpy(drawn < chances)
    n = steps * images.size
    # All values of 64 bits: numpy gives them as they come, or puts two of 32 bits together.
    words = rng.integers(0, 2**64 - 1, -(-n // 8), dtype=np.uint64, endpoint=True)
    pixels = words.view(np.uint8)[:n].reshape(steps, *images.shape)
    return torch.from_numpy(pixels < images)


def _shifted(images: NDArray, most: int, rng: np.random.Generator) -> NDArray:
    """Images moved at random by up to so many pixels; what leaves is lost, the border is 0."""
    if not most:
        return images
    if images.ndim != 3:
        got = images.shape
        raise DataError(f"images that are moved must have shape (N, height, width), got {got}")
    n, height, width = images.shape
    padded = np.pad(images, ((0, 0), (most, most), (most, most)))
    down, right = rng.integers(0, 2 * most + 1, (2, n, 1, 1))
    rows, columns = down + np.arange(height)[:, None], right + np.arange(width)
    return padded[np.arange(n)[:, None, None], rows, columns]


@attrs.frozen
class PoissonEncoder:
    """`poisson_batch` with its number of steps, for :class:`Batches`.

    Parameters
    ----------
    steps : int
        Number of time steps T.
    shift : int
        Images ``[N, height, width]`` are moved at random by up to so many pixels before.
    """

    steps: int = attrs.field(validator=whole(1))
    shift: int = attrs.field(default=0, validator=whole(0))

    def __call__(self, images: NDArray, rng: np.random.Generator) -> Tensor:
        """Spikes ``[T, N, features]`` of images ``[N, *]``."""
        images = _shifted(images, self.shift, rng)
        return poisson_batch(images.reshape(len(images), -1), self.steps, rng)


@attrs.frozen
class DirectEncoder:
    """Intensities between 0 and 1, shown unchanged in every step.

    Parameters
    ----------
    shift : int
        Images ``[N, height, width]`` are moved at random by up to so many pixels; what leaves is
        lost, and the border is 0.

    Notes
    -----
    Rueckauer et al. (2017), doi:10.3389/fnins.2017.00682, section 2.2.1.
    """

    shift: int = attrs.field(default=0, validator=whole(0))

    def __call__(self, images: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
        """Intensities of the images (bytes, or floats from 0 to 1), in the same shape."""
        values = intensities(images, "DirectEncoder", name="images")
        return torch.from_numpy(_shifted(values, self.shift, rng).astype(np.float32))


class Batches(Dataset):
    """Encoded batches of an epoch.

    Order and encoding depend on the seed, the epoch and the batch's number only: an epoch is the
    same after a resume and with any number of workers.

    Parameters
    ----------
    samples : array, shape (n, *)
        What `encode` takes.
    labels : array of int, shape (n,)
        Classes, >= 0.
    encode : callable
        ``encode(samples, rng)`` gives the input of the network.
    batch_size : int
        Samples per batch; the last batch may have fewer.
    seed : int
        Of the order and the encoding.
    shuffle : bool
        A new order and new draws in every epoch; without it, every pass is the same.
    workers : int
        Processes that encode; 0 encodes in the training process.

    Attributes
    ----------
    epoch : int
        Number of the epoch, which the training loop sets.

    Raises
    ------
    DataError
        If there are not as many labels as samples, or none, or labels are no classes.
    ParameterError
        If a number is out of its bound.
    """

    def __init__(
        self,
        samples: NDArray,
        labels: NDArray,
        encode: Encoder,
        *,
        batch_size: int = 128,
        seed: int = 0,
        shuffle: bool = True,
        workers: int = 0,
    ):
        for name, given in (("samples", samples), ("labels", labels)):
            if not hasattr(given, "__len__") or isinstance(given, str):
                raise ParameterError("Batches", name, describe(given), "an array")
        check_flag("Batches", "shuffle", shuffle)
        for name, value, least in (
            ("seed", seed, 0),
            ("workers", workers, 0),
            ("batch_size", batch_size, 1),
        ):
            check_whole("Batches", name, value, least)
        if len(samples) != len(labels) or not len(samples):
            raise DataError(
                f"there must be one label per sample, got {len(labels)} for {len(samples)}"
            )
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
            got = f"{labels.dtype} of shape {labels.shape}"
            got += f" from {labels.min()}" if labels.dtype.kind in "iu" else ""
            raise DataError(f"labels must be whole numbers >= 0 of shape (n,), got {got}")
        samples = samples if hasattr(samples, "dtype") else np.asarray(samples)
        self.samples, self.labels, self.encode = samples, labels, encode
        self.batch_size, self.seed, self.shuffle = batch_size, int(seed), shuffle
        self.workers, self.epoch = workers, 0

    @property
    def n_samples(self) -> int:
        """Samples of an epoch."""
        return len(self.samples)

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch_size)

    def fingerprint(self) -> str:
        """SHA-256 of content, encoding and order."""
        options = [self.batch_size, self.seed, self.shuffle]
        return digest(np.asarray(self.samples), self.labels, options, self.encode)

    def _key(self) -> list[int]:
        return [self.seed, 1 + self.epoch] if self.shuffle else [self.seed, 0]

    def order(self) -> NDArray[np.int64]:
        """Indices of the samples in the order of this epoch."""
        if not self.shuffle:
            return np.arange(len(self.samples))
        return np.random.default_rng(self._key()).permutation(len(self.samples))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._batch(index, self.order())

    def _batch(self, index: int, order: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.Generator(np.random.SFC64([*self._key(), 1 + index]))
        labels = torch.from_numpy(np.asarray(self.labels[chosen], dtype=np.int64))
        return self.encode(self.samples[chosen], rng), labels

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.workers:
            order = self.order()
            for index in range(len(self)):
                yield self._batch(index, order)
            return
        loader: Any = DataLoader(self, batch_size=None, num_workers=self.workers, prefetch_factor=4)
        yield from loader
