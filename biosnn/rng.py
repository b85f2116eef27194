"""Counter-based random numbers: uniform, normal and Poisson, the same on every device.

A draw is a pure function of *(seed, stream, epoch, sample, unit, draw)*. No generator has a
state that could be lost, so results depend neither on how samples are cut into chunks, nor on
the number of processes, nor on resuming, nor on the device.

The generator is Philox4x32 with ten rounds (Salmon, Moraes, Dror & Shaw, *Parallel random
numbers: as easy as 1, 2, 3*, SC11, doi:10.1145/2063384.2063405). The key is ``(seed, stream)``,
the counter ``(draw, unit, sample, epoch)``; the first two of the four output words give 52 bits.

Normal and Poisson numbers are made of one uniform number each, by inversion. They use nothing but
``+ - * /``, square roots, comparisons and powers of two, which IEEE 754 rounds in one way only:
NumPy and C++ give equal bits, whatever their libraries make of ``log`` and ``exp``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_ROUNDS = 10

#: Wichura's rational approximation of the inverse normal distribution: numerator and denominator,
#: lowest power first, for the centre, the tails and the far tails.
_CENTRE = (
    (
        3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
        1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
        3.3430575583588128105e4, 2.5090809287301226727e3,
    ),
    (
        1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
        2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)  # fmt: skip
_TAIL = (
    (
        1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
        3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
        2.27238449892691845833e-2, 7.74545014278341407640e-4,
    ),
    (
        1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
        1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)  # fmt: skip
_FAR_TAIL = (
    (
        6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
        2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7,
    ),
    (
        1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
        7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)  # fmt: skip
#: Power series of atanh(s)/s in s**2 (|s| < 0.18), and of exp.
_ATANH = tuple(1.0 / (2 * k + 1) for k in range(12))
_EXP = tuple(1.0 / math.factorial(k) for k in range(19))
_LN_2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476
_TWO_PI = 6.283185307179586
#: Terms of Stirling's series for log(m!) in 1/m**2, divided by m.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)
#: From this mean on, the probability of the most likely number comes from Stirling's series.
_LARGE = 16.0
#: The largest mean, and a probability that no draw can resolve.
MAX_MEAN = 1073741824.0
_NEVER = 2.0**-60


def _polynomial_in_c(x: str, coefficients: Sequence[float]) -> str:
    """Horner's scheme as an expression of C."""
    text = repr(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        text = f"({text} * {x} + {coefficient!r})"
    return text


def _ratio_in_c(x: str, ratio: tuple[Sequence[float], Sequence[float]]) -> str:
    return " / ".join(_polynomial_in_c(x, part) for part in ratio)


_ARGUMENTS = (
    "int32_t seed, int32_t stream, int32_t epoch, int32_t sample, int32_t unit, int32_t draw"
)

#: The uniform draw in C, for the C++ standalone device, for CUDA and for Cython; the draws below
#: call it ``counter_uniform``.
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

#: :func:`counter_normal` in C.
C_NORMAL = f"""
static inline double counter_normal({_ARGUMENTS})
{{
    const double u = counter_uniform(seed, stream, epoch, sample, unit, draw), q = u - 0.5;
    if (fabs(q) <= 0.425) {{
        const double r = 0.180625 - q * q;
        return q * ({_ratio_in_c("r", _CENTRE)});
    }}
    int power;
    double part = frexp(q < 0.0 ? u : 1.0 - u, &power);
    if (part < {_SQRT_HALF!r}) {{
        part = 2.0 * part;
        power = power - 1;
    }}
    const double s = (part - 1.0) / (part + 1.0), z = s * s;
    const double r = sqrt(-((double)power * {_LN_2!r} + 2.0 * s * {_polynomial_in_c("z", _ATANH)}));
    double far;
    if (r <= 5.0) {{
        const double x = r - 1.6;
        far = {_ratio_in_c("x", _TAIL)};
    }} else {{
        const double x = r - 5.0;
        far = {_ratio_in_c("x", _FAR_TAIL)};
    }}
    return q < 0.0 ? -far : far;
}}
"""

#: :func:`counter_poisson` in C.
C_POISSON = f"""
static inline int32_t counter_poisson(double mean, {_ARGUMENTS})
{{
    if (!(mean > 0.0)) return 0;
    if (mean > {MAX_MEAN!r}) mean = {MAX_MEAN!r};
    const double mode = floor(mean);
    double p;
    if (mean < {_LARGE!r}) {{
        const double x = mean * -0.0625;
        p = {_polynomial_in_c("x", _EXP)};
        p = p * p;
        p = p * p;
        p = p * p;
        p = p * p;
        for (int k = 1; k <= (int)mode; k++) p = p * (mean / k);
    }} else {{
        const double over = mean - mode, s = over / (mean + mode), z = s * s;
        const double w = 1.0 / (mode * mode);
        const double x = (mode * (2.0 * s * {_polynomial_in_c("z", _ATANH)}) - over)
                         - {_polynomial_in_c("w", _STIRLING)} / mode;
        p = {_polynomial_in_c("x", _EXP)} / sqrt({_TWO_PI!r} * mode);
    }}
    double left = counter_uniform(seed, stream, epoch, sample, unit, draw) - p;
    double above = mode, below = mode, p_above = p, p_below = p;
    if (left < 0.0) return (int32_t)mode;
    while (p_above > {_NEVER!r} || p_below > {_NEVER!r}) {{
        above = above + 1.0;
        p_above = p_above * (mean / above);
        left = left - p_above;
        if (left < 0.0) return (int32_t)above;
        p_below = p_below * (below / mean);
        below = below - 1.0;
        left = left - p_below;
        if (left < 0.0) return (int32_t)below;
    }}
    return (int32_t)mode;
}}
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


def _polynomial(x: NDArray[np.float64], coefficients: Sequence[float]) -> NDArray[np.float64]:
    """Horner's scheme, lowest power first."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _ratio(
    x: NDArray[np.float64], ratio: tuple[Sequence[float], Sequence[float]]
) -> NDArray[np.float64]:
    return _polynomial(x, ratio[0]) / _polynomial(x, ratio[1])


def inverse_normal(u: ArrayLike) -> NDArray[np.float64]:
    """Quantiles of the standard normal distribution (Wichura's algorithm AS 241, PPND16).

    M. J. Wichura, *The percentage points of the normal distribution*, Applied Statistics 37 (1988)
    477-484, doi:10.2307/2347330. Errors are below ``2e-15`` of the value.

    Parameters
    ----------
    u : array_like
        Probabilities in the open interval (0, 1).

    Returns
    -------
    numpy.ndarray of float64
        Of the same shape.
    """
    u = np.asarray(u, dtype=np.float64)
    q = u - 0.5
    central = np.abs(q) <= 0.425
    value = q * _ratio(0.180625 - q * q, _CENTRE)
    outer = u[~central]
    if not outer.size:
        return value
    part, power = np.frexp(np.where(outer < 0.5, outer, 1.0 - outer))
    small = part < _SQRT_HALF
    part, power = np.where(small, 2.0 * part, part), np.where(small, power - 1, power)
    s = (part - 1.0) / (part + 1.0)
    r = np.sqrt(-(power * _LN_2 + 2.0 * s * _polynomial(s * s, _ATANH)))
    far = np.where(r <= 5.0, _ratio(r - 1.6, _TAIL), _ratio(r - 5.0, _FAR_TAIL))
    value = np.atleast_1d(value)
    value[np.atleast_1d(~central)] = np.where(outer < 0.5, -far, far)
    return value.reshape(u.shape)


def counter_normal(
    seed: ArrayLike,
    stream: ArrayLike,
    epoch: ArrayLike,
    sample: ArrayLike,
    unit: ArrayLike,
    draw: ArrayLike,
) -> NDArray[np.float64]:
    """Standard normal numbers, one for each combination of the arguments.

    Parameters
    ----------
    seed, stream, epoch, sample, unit, draw : array_like of int
        See :func:`counter_uniform`.

    Returns
    -------
    numpy.ndarray of float64
        Of the broadcast shape of the arguments, within 8.3 standard deviations.
    """
    return inverse_normal(counter_uniform(seed, stream, epoch, sample, unit, draw))


def counter_poisson(
    mean: ArrayLike,
    seed: ArrayLike,
    stream: ArrayLike,
    epoch: ArrayLike,
    sample: ArrayLike,
    unit: ArrayLike,
    draw: ArrayLike,
) -> NDArray[np.int32]:
    """Poisson-distributed whole numbers, one for each combination of the arguments.

    They are found by inversion: probabilities are subtracted from a uniform number, beginning with
    the most likely number and going outwards, until nothing is left of it. The time it takes grows
    with the square root of the mean.

    Parameters
    ----------
    mean : array_like of float
        Expected numbers. One that is not > 0 gives 0; they are bounded by ``MAX_MEAN``.
    seed, stream, epoch, sample, unit, draw : array_like of int
        See :func:`counter_uniform`.

    Returns
    -------
    numpy.ndarray of int32
        Of the broadcast shape of the arguments.
    """
    uniform = counter_uniform(seed, stream, epoch, sample, unit, draw)
    given, uniform = np.broadcast_arrays(np.asarray(mean, dtype=np.float64), uniform)
    found = np.zeros(given.shape, dtype=np.int32)
    todo = np.flatnonzero(given > 0)
    rate = np.minimum(given.ravel()[todo], MAX_MEAN)
    above, below, mode = (np.floor(rate) for _ in range(3))
    p_above = _probability_of_mode(rate, mode)
    p_below, left = p_above, uniform.ravel()[todo] - p_above
    found.flat[todo] = mode

    def keep(here: NDArray[np.bool_]) -> None:
        nonlocal todo, rate, above, below, p_above, p_below, left
        todo, rate, above, below = todo[here], rate[here], above[here], below[here]
        p_above, p_below, left = p_above[here], p_below[here], left[here]

    keep(left >= 0)
    while todo.size:
        above = above + 1.0
        p_above = p_above * (rate / above)
        left = left - p_above
        found.flat[todo[left < 0]] = above[left < 0]
        keep(left >= 0)
        p_below = p_below * (below / rate)
        below = below - 1.0
        left = left - p_below
        found.flat[todo[left < 0]] = below[left < 0]
        keep((left >= 0) & ((p_above > _NEVER) | (p_below > _NEVER)))
    return found


def _probability_of_mode(
    mean: NDArray[np.float64], mode: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability of the whole number below the mean."""
    p = _polynomial(np.minimum(mean, _LARGE) * -0.0625, _EXP)
    for _ in range(4):
        p = p * p
    for k in range(1, int(_LARGE)):
        p = np.where(k <= mode, p * (mean / k), p)
    large = mean >= _LARGE
    mean, mode = mean[large], mode[large]
    over = mean - mode
    s, w = over / (mean + mode), 1.0 / (mode * mode)
    x = (mode * (2.0 * s * _polynomial(s * s, _ATANH)) - over) - _polynomial(w, _STIRLING) / mode
    p[large] = _polynomial(x, _EXP) / np.sqrt(_TWO_PI * mode)
    return p
