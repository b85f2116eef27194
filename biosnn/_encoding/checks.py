"""Check and scale the arrays that encoders take."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Hz, Quantity, ms
from numpy.typing import ArrayLike, NDArray

from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_value

#: Added to the time of a spike that shall never come, in s.
NEVER = 1e9


def check_numbers(
    obj: str, samples: ArrayLike, axes: tuple[str, ...], name: str = "samples"
) -> NDArray[np.float64]:
    """Check that an array has these axes, none of them empty, and finite numbers."""
    try:
        values = np.asarray(samples, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{obj}: {name} must be numbers of shape ({', '.join(axes)}): {error}"
        ) from error
    if values.ndim != len(axes) or 0 in values.shape:
        wanted = ", ".join(f"{axis} > 0" for axis in axes)
        raise DataError(f"{obj}: {name} must have shape ({wanted}), got {values.shape}")
    if at := _first(~np.isfinite(values)):
        raise DataError(f"{obj}: {name} must be finite, got {values[at]} at {at}")
    return values


def _first(bad: NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first value that is bad; empty if none is."""
    return tuple(int(k) for k in np.argwhere(bad)[0]) if bad.any() else ()


def check_samples(obj: str, samples: ArrayLike, name: str = "samples") -> NDArray[np.float64]:
    """Check that samples are finite, non-negative numbers of shape (n, features), n > 0."""
    values = check_numbers(obj, samples, ("n", "features"), name)
    if at := _first(values < 0):
        raise DataError(
            f"{obj}: {name} must be >= 0 (they become rates or currents), got {values[at]} at {at}"
        )
    return values


def intensities(
    values: ArrayLike, where: str, axes: tuple[str, ...] | None = None, name: str = "samples"
) -> NDArray[np.floating[Any]]:
    """Check intensities, and scale bytes to the range from 0 to 1.

    Parameters
    ----------
    values : array_like
        Bytes (uint8), of which 255 means 1, or floating-point numbers from 0 to 1.
    where : str
        The function or object that takes them, for the errors.
    axes : tuple of str, optional
        Names of the axes that they must have, none of them empty; default: any.
    name : str
        What they are called there.

    Returns
    -------
    numpy.ndarray, of the shape of the values
        From 0 to 1; float32 for bytes, floating-point numbers as they are.
    """
    rule = "bytes (uint8, 0 to 255) or floating-point numbers from 0 to 1"
    if axes is not None:
        check_numbers(where, values, axes, name)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where}: {name} must be {rule}: {error}") from error
    if array.dtype == np.uint8:
        return np.divide(array, 255, dtype=np.float32)
    quantity: Any = values if isinstance(values, Quantity) else None
    if quantity is not None and not quantity.is_dimensionless:
        raise DataError(f"{where}: {name} must be {rule}, got {quantity.get_best_unit()}")
    if array.dtype.kind != "f":
        raise DataError(
            f"{where}: {name} must be {rule}, got {array.dtype}; divide them by the value that "
            "means full intensity"
        )
    bad = ~((array >= 0) & (array <= 1))
    if bad.any():
        at = tuple(int(k) for k in np.argwhere(bad)[0])
        wanted = rule if np.isfinite(array[at]) else "finite"
        raise DataError(
            f"{where}: {name} must be {wanted}, got {array[at]:g} at {at}; divide them by the "
            "value that means full intensity"
        )
    return array


def check_rate(
    obj: str, max_rate: Any, values: NDArray[np.floating[Any]], step: float
) -> NDArray[np.float64]:
    """Spikes per time step of intensities at a maximal rate; refuse more than one."""
    check_value(obj, "max_rate", max_rate, Hz, "> 0")
    per_step = float(max_rate) * step * values.astype(np.float64)
    if per_step.max() > 1 + 1e-9:
        raise ParameterError(
            obj,
            "max_rate",
            max_rate,
            f"at most 1/(dt*max(samples)) = {1 / (step * values.max()):g} Hz",
            "A unit fires once per time step at most; lower the rate or the time step",
        )
    return np.minimum(per_step, 1.0)


def check_spikes(obj: str, spikes: ArrayLike) -> NDArray[np.bool_]:
    """Check that spike trains are of shape (n, T, units) and hold nothing but zeros and ones."""
    values = check_numbers(obj, spikes, ("n", "T", "units"), "spikes")
    if not np.isin(values, (0, 1)).all():
        bad = values[~np.isin(values, (0, 1))][0]
        raise DataError(f"{obj}: spikes must be 0 or 1, got {bad:g}")
    return values.astype(bool)


def as_shown(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Round to single precision, in which samples enter a network."""
    return values.astype(np.float32).astype(np.float64)


def steps_of(obj: str, duration: Any, dt: Any) -> tuple[int, float]:
    """Number of time steps of a duration (at least one), and the time step in s."""
    check_value(obj, "dt", dt, ms, "> 0")
    check_value(obj, "duration", duration, ms, "> 0")
    return max(round(float(duration / dt)), 1), float(dt)


def trains(steps: NDArray[np.int64], n_steps: int) -> NDArray[np.bool_]:
    """Spike trains (n, T, units) of units with one spike each; steps outside give none."""
    spikes = np.zeros((steps.shape[0], n_steps, steps.shape[1]), dtype=bool)
    sample, unit = np.nonzero((steps >= 0) & (steps < n_steps))
    spikes[sample, steps[sample, unit], unit] = True
    return spikes


def scale_norm(samples: ArrayLike, norm: float) -> NDArray[np.float32]:
    """Scale every sample to the same Euclidean norm.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Values >= 0.
    norm : float
        The norm that every sample gets, > 0. Samples that are all zero stay so.

    Returns
    -------
    numpy.ndarray of float32, shape (n, features)
    """
    check_value("scale_norm", "norm", norm, 1.0, "> 0")
    values = check_samples("scale_norm", samples).astype(np.float64)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    scaled = np.divide(norm * values, lengths, out=np.zeros_like(values), where=lengths > 0)
    return scaled.astype(np.float32)
