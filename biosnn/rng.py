"""Counter-based random numbers: Philox4x32-10, the same on every device.

A draw is a pure function of *(seed, stream, epoch, sample, unit, draw)*. No generator has a
state that could be lost, so results depend neither on how samples are cut into chunks, nor on
the number of processes, nor on resuming, nor on the device.

The generator is Philox4x32 with ten rounds (Salmon, Moraes, Dror & Shaw, *Parallel random
numbers: as easy as 1, 2, 3*, SC11, doi:10.1145/2063384.2063405). The key is ``(seed, stream)``,
the counter ``(draw, unit, sample, epoch)``; the first two of the four output words give 52 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_ROUNDS = 10

#: The same function in C, for the C++ standalone device and for Cython.
C_SOURCE = r"""
static inline double counter_uniform(int32_t seed, int32_t stream, int32_t epoch,
                                     int32_t sample, int32_t unit, int32_t draw)
{
    uint32_t c0 = (uint32_t)draw, c1 = (uint32_t)unit, c2 = (uint32_t)sample, c3 = (uint32_t)epoch;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)stream;
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        const uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const double high = (double)(c0 >> 6), low = (double)(c1 >> 6);
    return (high * 67108864.0 + low + 0.5) / 4503599627370496.0;
}
"""


def philox4x32(
    counter: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], key: tuple[ArrayLike, ArrayLike]
) -> tuple[NDArray[np.uint32], ...]:
    """Philox4x32-10 on arrays of counters.

    Parameters
    ----------
    counter : tuple of four array_like of uint32
        The counter's words; they broadcast against each other and against the key.
    key : tuple of two array_like of uint32
        The key's words.

    Returns
    -------
    tuple of four numpy.ndarray of uint32
        The output words, of the broadcast shape.
    """
    words = np.broadcast_arrays(*counter, *key)
    c0, c1, c2, c3, k0, k1 = (np.asarray(word).astype(np.uint32) for word in words)
    with np.errstate(over="ignore"):
        for _ in range(_ROUNDS):
            p0 = _MULTIPLIERS[0] * c0
            p1 = _MULTIPLIERS[1] * c2
            c0, c1, c2, c3 = (
                (p1 >> np.uint64(32)).astype(np.uint32) ^ c1 ^ k0,
                (p1 & _LOW).astype(np.uint32),
                (p0 >> np.uint64(32)).astype(np.uint32) ^ c3 ^ k1,
                (p0 & _LOW).astype(np.uint32),
            )
            k0 = k0 + _WEYL[0]
            k1 = k1 + _WEYL[1]
    return c0, c1, c2, c3


def counter_uniform(
    seed: ArrayLike,
    stream: ArrayLike,
    epoch: ArrayLike,
    sample: ArrayLike,
    unit: ArrayLike,
    draw: ArrayLike,
) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), one for each combination of the arguments.

    Parameters
    ----------
    seed, stream : array_like of int
        The key: the user's seed and the number of the population that draws.
    epoch, sample, unit, draw : array_like of int
        The counter: pass over the data (with the attempt in its low byte), index of the
        sample in the dataset, index of the unit, number of the draw in this sample.

    Returns
    -------
    numpy.ndarray of float64
        Of the broadcast shape of the arguments. Never exactly 0 or 1.
    """
    as_words = (np.asarray(word).astype(np.int64) for word in (draw, unit, sample, epoch))
    key = (np.asarray(word).astype(np.int64) for word in (seed, stream))
    c0, c1, _, _ = philox4x32(
        tuple(word & 0xFFFFFFFF for word in as_words),  # type: ignore[arg-type]
        tuple(word & 0xFFFFFFFF for word in key),  # type: ignore[arg-type]
    )
    high = (c0 >> np.uint32(6)).astype(np.float64)
    low = (c1 >> np.uint32(6)).astype(np.float64)
    return (high * 67108864.0 + low + 0.5) / 4503599627370496.0
