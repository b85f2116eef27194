"""Labelled arrays of any shape: static samples, or sequences of frames."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from biosnn.datasets.parts import as_labels, check_one_each, checked_choice
from biosnn.errors import DataError
from biosnn.validation import check_whole

_BLOCK = 2**24  # values looked at in one go


def _checked_samples(samples: ArrayLike) -> NDArray:
    array = samples if isinstance(samples, np.ndarray) else np.asarray(samples)
    if array.dtype.kind not in "buif" or array.ndim < 2 or 0 in array.shape:
        raise DataError(
            "ArraySplit.samples must be numbers [n, ...] without an empty axis, got "
            f"{array.dtype} {list(array.shape)}"
        )
    if array.dtype.kind == "f":
        rows = max(_BLOCK // max(array[0].size, 1), 1)
        for first in range(0, len(array), rows):
            bad = ~np.isfinite(array[first : first + rows])
            if bad.any():
                at = np.argwhere(bad)[0] + [first, *[0] * (array.ndim - 1)]
                raise DataError(
                    f"ArraySplit.samples must be finite, got {array[tuple(at)]} at "
                    f"{tuple(int(k) for k in at)}"
                )
    return array


@attrs.frozen(eq=False)
class ArraySplit:
    """Labelled arrays, in a fixed order.

    Parameters
    ----------
    samples : array [n, ...] of numbers
        Static samples ``[n, features]`` or of more axes, or sequences ``[n, T, features]``.
        Memory-mapped arrays stay so. Bytes (uint8) are intensities of which 255 means 1.
    labels : int array [n]
        Class of each sample, kept as int64.

    Raises
    ------
    DataError
        If an array has another type or shape, is not finite, or if the two lengths differ.
    """

    samples: NDArray = attrs.field(converter=_checked_samples, repr=False)
    labels: NDArray[np.int64] = attrs.field(converter=as_labels("ArraySplit"), repr=False)

    def __attrs_post_init__(self) -> None:
        check_one_each("ArraySplit", self.labels, len(self.samples), "sample")

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return self.samples.shape[1:]

    def take(self, n: int) -> ArraySplit:
        """Return the first `n` samples.

        Raises
        ------
        ParameterError
            If `n` is below 1 or above the number of samples.
        """
        n = check_whole("ArraySplit.take", "n", n, 1, len(self))
        return ArraySplit(self.samples[:n], self.labels[:n])

    def pick(self, chosen: ArrayLike) -> ArraySplit:
        """Return some of the samples: by their indices, in that order, or by a mask.

        Raises
        ------
        ParameterError
            If nothing is chosen, or a sample that is not there.
        """
        rows = checked_choice("ArraySplit.pick", chosen, len(self))
        return ArraySplit(self.samples[rows], self.labels[rows])

    def flat(self) -> NDArray:
        """Return static samples as rows ``[n, features]``; bytes as float32 in [0, 1]."""
        return _intensities(self.samples.reshape(len(self), -1))

    def frames(self) -> NDArray:
        """Return sequences as ``[n, T, features]``; bytes as float32 in [0, 1].

        Raises
        ------
        DataError
            If the samples have no axis of time.
        """
        if self.samples.ndim < 3:
            raise DataError(
                f"ArraySplit.frames: samples must have axes [n, T, ...], got {self.samples.shape}"
            )
        return _intensities(self.samples.reshape(*self.samples.shape[:2], -1))


def _intensities(array: NDArray) -> NDArray:
    return np.divide(array, 255, dtype=np.float32) if array.dtype == np.uint8 else array
