"""Receptive fields, which transform values and images before they are encoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from biosnn._encoding.checks import check_numbers, intensities
from biosnn.errors import DataError, ParameterError
from biosnn.validation import LARGEST, check_value, check_whole


def field_layout(
    obj: str, n_fields: int, low: float, high: float, beta: float
) -> tuple[NDArray[np.float64], float]:
    """Centres and width of Gaussian receptive fields over a range of values."""
    check_whole(obj, "n_fields", n_fields, 3, LARGEST)
    check_value(obj, "low", low, 1.0)
    check_value(obj, "high", high, 1.0)
    check_value(obj, "beta", beta, 1.0, "> 0")
    if high <= low:
        raise ParameterError(obj, "high", high, f"above low ({low})")
    apart = (high - low) / (n_fields - 2)
    return np.linspace(low - apart / 2, high + apart / 2, n_fields), apart / beta


def gaussian_fields(
    values: ArrayLike,
    *,
    n_fields: int = 8,
    low: float = 0.0,
    high: float = 1.0,
    beta: float = 1.5,
) -> NDArray[np.float32]:
    """Population code: responses of overlapping Gaussian receptive fields to each value.

    The responses go into any encoder of values, in an array or in a network: a rate code, or,
    as in the paper, the latency code, in which the best unit fires first.

    Parameters
    ----------
    values : array_like, shape (n, features) or (n, frames, features)
        Finite values of any sign.
    n_fields : int
        Fields per feature, > 2. Their centres are ``(high - low)/(n_fields - 2)`` apart; the
        first and the last lie half of that outside the range.
    low, high : float
        The range of values that is covered.
    beta : float
        Distance of the centres over the width (standard deviation) of a field, > 0.

    Returns
    -------
    numpy.ndarray of float32, shape (n, features*n_fields) or (n, frames, features*n_fields)
        Responses in [0, 1]; those to one feature are next to each other.

    Notes
    -----
    Bohte, Kok & La Poutre (2002), Error-backpropagation in temporally encoded networks of spiking
    neurons, doi:10.1016/S0925-2312(01)00658-0, section 4.1; ``beta = 1.5`` is theirs.
    :func:`decode_fields` is the inverse.
    """
    centres, width = field_layout("gaussian_fields", n_fields, low, high, beta)
    axes = ("n", "frames", "features") if np.ndim(values) == 3 else ("n", "features")
    given = check_numbers("gaussian_fields", values, axes, "values")
    responses = np.exp(-0.5 * ((given[..., None] - centres) / width) ** 2)
    return responses.reshape(*given.shape[:-1], -1).astype(np.float32)


def on_off_contrast(
    images: ArrayLike, *, sigma: float = 1.0, ratio: float = 1.6
) -> NDArray[np.float32]:
    """ON and OFF contrast of images: differences of Gaussians, as of retinal ganglion cells.

    The centre is the image blurred with ``sigma``, the surround that blurred with
    ``ratio*sigma``; ON cells respond to a centre that is brighter than its surround, OFF cells
    to a darker one. Outside an image its border goes on, so that a uniform image gives nothing.
    The responses go into any encoder of values. There is no decoder: the mean is lost.

    Parameters
    ----------
    images : array_like, shape (n, height, width)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255).
    sigma : float
        Standard deviation of the centre in pixels, > 0.
    ratio : float
        Size of the surround over that of the centre, > 1.

    Returns
    -------
    numpy.ndarray of float32, shape (n, 2*height*width)
        Values in [0, 1): the ON cells row by row, then the OFF cells.

    Notes
    -----
    Rodieck (1965), Quantitative analysis of cat retinal ganglion cell response to visual
    stimuli, doi:10.1016/0042-6989(65)90033-7; the ratio of 1.6 is that of Marr & Hildreth (1980),
    Theory of edge detection, doi:10.1098/rspb.1980.0020.
    """
    check_value("on_off_contrast", "sigma", sigma, 1.0, "> 0")
    check_value("on_off_contrast", "ratio", ratio, 1.0, "> 0")
    if ratio <= 1:
        raise ParameterError("on_off_contrast", "ratio", ratio, "> 1")
    from scipy.ndimage import gaussian_filter  # its import takes long

    axes = ("n", "height", "width")
    given = intensities(images, "on_off_contrast", axes, "images").astype(np.float64)
    centre, surround = (
        gaussian_filter(given, (0, size, size), mode="nearest") for size in (sigma, ratio * sigma)
    )
    contrast = (centre - surround).reshape(len(given), -1)
    # What rounding leaves of a uniform image is no contrast.
    contrast[np.abs(contrast) < 1e-12 * np.abs(given).max()] = 0
    return np.concatenate([contrast, -contrast], axis=1).clip(0).astype(np.float32)


def decode_fields(
    responses: ArrayLike,
    *,
    n_fields: int = 8,
    low: float = 0.0,
    high: float = 1.0,
    beta: float = 1.5,
) -> NDArray[np.float64]:
    """Decode responses of Gaussian receptive fields: the inverse of :func:`gaussian_fields`.

    The logarithm of the ratio of two Gaussians of equal width is linear in the value, so the
    largest response and its larger neighbour tell it exactly.

    Parameters
    ----------
    responses : array_like, shape (n, features*n_fields) or (n, frames, features*n_fields)
        Responses >= 0, such as those of :func:`gaussian_fields`, or what was decoded from their
        spikes.
    n_fields, low, high, beta
        As in :func:`gaussian_fields`.

    Returns
    -------
    numpy.ndarray of float64, shape (n, features) or (n, frames, features)
        Values in [low, high]; NaN where no field responds. If the responses are off by up to
        ``e``, a value is off by at most ``(d/beta**2)*(f(exp(-beta**2/8)) +
        f(exp(-beta**2/2)))`` with ``f(r) = -log(1 - e/(r - e))`` and ``d`` the distance of the
        centres, for as long as that is finite.

    Notes
    -----
    Bohte, Kok & La Poutre (2002), doi:10.1016/S0925-2312(01)00658-0, for the fields.
    """
    centres, width = field_layout("decode_fields", n_fields, low, high, beta)
    last = "features*n_fields"
    axes = ("n", "frames", last) if np.ndim(responses) == 3 else ("n", last)
    given = check_numbers("decode_fields", responses, axes, "responses")
    if given.shape[-1] % n_fields or given.min() < 0:
        raise DataError(
            f"decode_fields: responses must be >= 0, in a multiple of n_fields ({n_fields}) "
            f"columns, got {given.shape[-1]} columns and a least value of {given.min():g}"
        )
    fields = given.reshape(*given.shape[:-1], -1, n_fields)
    best = fields.argmax(axis=-1)
    sides = np.stack([best - 1, best + 1], axis=-1)
    beside = np.take_along_axis(fields, sides.clip(0, n_fields - 1), axis=-1)
    beside = np.where((sides >= 0) & (sides < n_fields), beside, -1.0)
    second = np.take_along_axis(sides, beside.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    most, next_most = fields.max(axis=-1), beside.max(axis=-1)
    both = next_most > 0
    ratio = np.divide(most, next_most, out=np.ones_like(most), where=both)
    away = width**2 * np.log(ratio) / (centres[best] - centres[second])
    middle = (centres[best] + centres[second]) / 2
    values = np.where(both, middle + away, centres[best]).clip(low, high)
    return np.where(most > 0, values, np.nan)
