"""Checks of the samples for one input: shape, kind, finiteness and range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from biosnn.devices.base.contract import AddressEvents
from biosnn.errors import DataError
from biosnn.program.interface import Interface
from biosnn.state import unit_of

_LARGEST = 2**31 - 1


def checked_shape(interface: Interface, name: str, array: Any) -> None:
    """Check the shape of all samples of an input.

    Raises
    ------
    DataError
        Naming the input, the shape that it needs and the one that it got.
    """
    port = interface.ports[name]
    unit = unit_of(array)
    if unit is not None and unit != port.unit:
        wanted = f"in {port.unit}, or numbers of {port.unit}" if port.unit else "plain numbers"
        remedy = (
            ""
            if port.unit
            else ": divide them by what 1 stands for, in this unit (rates by max_rate)"
        )
        raise DataError(
            f"run: samples of {name!r} must be {wanted}, got values in {unit or 'plain numbers'}"
            f"{remedy}"
        )
    sequence = port.kind == "sequence"
    wanted = f"(n, T, {port.features})" if sequence else f"(n, {port.features})"
    shape = tuple(array.shape)
    if len(shape) != (3 if sequence else 2) or shape[-1] != port.features or 0 in shape:
        raise DataError(f"run: samples of {name!r} must have shape {wanted}, got {shape}")
    if sequence and shape[1] > port.most_frames:
        frame, duration = port.frame_steps * interface.dt, interface.duration_steps * interface.dt
        raise DataError(
            f"run: samples of {name!r} have {shape[1]} frames, but only {port.most_frames} of "
            f"{frame:g} s fit into the presentation of {duration:g} s"
        )


def checked_block(interface: Interface, name: str, values: Any, first: int) -> np.ndarray:
    """Check some samples of an input and convert them to floating-point numbers, in SI units.

    Parameters
    ----------
    interface : Interface
        Of the network.
    name : str
        The input.
    values : array_like
        Its samples.
    first : int
        Index of the first of them, for messages.

    Raises
    ------
    DataError
        Naming the input, the value and its place.
    """
    array, port = np.asarray(values), interface.ports[name]
    if array.dtype.kind not in "fiub":
        raise DataError(f"run: samples of {name!r} must be numbers, got dtype {array.dtype}")

    def refuse(bad: np.ndarray, why: str) -> None:
        if bad.any():
            at = tuple(int(k) for k in np.argwhere(bad)[0])
            where = (at[0] + first, *at[1:])
            raise DataError(f"run: samples of {name!r} {why}, got {array[at]} at {where}")

    if array.dtype.kind == "f":
        refuse(~np.isfinite(array), "must be finite")
    if port.positive:
        refuse(array <= 0, "must be > 0")
    if port.rate_step:
        refuse(array < 0, "become rates and must be >= 0")
        if array.dtype.kind in "iu" and array.max() > 1:
            raise DataError(
                f"run: samples of {name!r} are integers up to {array.max()}; a rate is max_rate "
                "times the value, so divide pixels by 255 first"
            )
        most = (1 + 1e-6) / port.rate_step
        refuse(
            array > most,
            f"become rates of more than one spike per time step above {most:.4g} (divide pixels "
            "by 255, or lower max_rate or dt)",
        )
    dtype = converted(interface, array.dtype)
    if array.dtype.kind == "f" and array.dtype.itemsize > dtype.itemsize:
        largest = float(np.finfo(np.float32).max)
        refuse(np.abs(array) > largest, f"must be within +-{largest:.3g}, the range of float32")
    return array.astype(dtype, copy=False)


def converted(interface: Interface, dtype: np.dtype) -> np.dtype:
    """Type in which samples go to a network: exact in double precision, and no wider than that.

    Bytes, float16 and float32 are exact as float32, which takes half the space.
    """
    narrow = interface.precision == "single" or np.can_cast(dtype, np.float32, "safe")
    return np.dtype(np.float32 if narrow else np.float64)


def checked_rates(interface: Interface, inputs: Mapping[str, Any], first: int) -> None:
    """Check that no sample's intensity makes rates of more than one spike per time step.

    Raises
    ------
    DataError
        Naming the sample.
    """
    intensity = inputs["intensity"]
    if intensity is None:
        return
    for name, port in interface.ports.items():
        if not port.rate_step or inputs[name] is None:
            continue
        values = inputs[name].reshape(len(intensity), -1).max(axis=1) * intensity[:, 0]
        bad = np.flatnonzero(values * port.rate_step > 1 + 1e-6)
        if bad.size:
            raise DataError(
                f"run: 'intensity' must not raise rates of {name!r} above one spike per time step, "
                f"got {intensity[bad[0], 0]:g} for sample {bad[0] + first}"
            )


def checked_events(interface: Interface, name: str, values: Any) -> tuple[AddressEvents, int]:
    """Check the address events of an input; sort them; how many samples have any.

    Raises
    ------
    DataError
        Naming the input, which of the three arrays is wrong, and the value.
    """
    try:
        sample, unit, time = (np.asarray(part) for part in values)
    except (TypeError, ValueError):
        raise DataError(
            f"run: events of {name!r} must be three arrays (sample, unit, time)"
        ) from None
    if unit_of(values[2]) not in (None, "s"):
        raise DataError(f"run: events of {name!r}: time must be in s, got {unit_of(values[2])}")
    if not sample.ndim == 1 or not sample.shape == unit.shape == time.shape:
        raise DataError(
            f"run: events of {name!r} must be arrays of one length, got {sample.shape}, "
            f"{unit.shape}, {time.shape}"
        )
    for what, array in (("sample", sample), ("unit", unit)):
        if array.size and array.dtype.kind not in "iu":
            raise DataError(
                f"run: events of {name!r}: {what} must be whole numbers, got dtype {array.dtype}"
            )
    if time.size and time.dtype.kind not in "fiu":
        raise DataError(
            f"run: events of {name!r}: time must be numbers of seconds, got dtype {time.dtype}"
        )
    slack = 1e-6
    if time.dtype.kind == "f":  # times on the grid stay on it, whatever their precision
        slack = max(slack, 2 * float(np.finfo(time.dtype).eps) * interface.duration_steps)
    steps = np.floor(np.asarray(time, dtype=float) / interface.dt + min(slack, 0.5))
    for what, array, bound in (
        ("unit", unit, interface.ports[name].features),
        ("time (in steps)", steps, interface.duration_steps),
        ("sample", sample, _LARGEST),
    ):
        valid = np.isfinite(array) & (array >= 0) & (array < bound)
        if not valid.all():
            raise DataError(
                f"run: events of {name!r}: {what} must be in [0, {bound}), got {array[~valid][0]}"
            )
    order = np.lexsort((unit, steps, sample))
    events = AddressEvents(
        *(np.asarray(part)[order].astype(np.int32) for part in (sample, steps, unit))
    )
    return events, int(sample.max()) + 1 if len(sample) else 0
