"""Checks of samples before they enter a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from biosnn.devices.contract import AddressEvents
from biosnn.errors import DataError
from biosnn.networks import Input, NetworkModel

_LARGEST = 2**31 - 1


def checked_inputs(network: NetworkModel, samples: Any) -> tuple[int, dict[str, Any]]:
    """Check samples against the network's inputs.

    Returns
    -------
    int, dict
        Number of samples, and input -> float32 array, :class:`AddressEvents` or ``None``.

    Raises
    ------
    DataError
        Naming the input and what is wrong with it.
    """
    required = [name for name, spec in network.inputs.items() if not spec.optional]
    if not isinstance(samples, Mapping):
        if len(required) != 1:
            raise DataError(
                f"run: {network.name} has the inputs {', '.join(network.inputs)}; give a dict"
            )
        samples = {required[0]: samples}
    given = {key: value for key, value in samples.items() if key != "n_samples"}
    for name in given:
        if name not in network.inputs:
            raise DataError(
                f"run: {network.name} has no input {name!r}, only {', '.join(network.inputs)}"
            )
    for name in required:
        if given.get(name) is None:
            raise DataError(f"run: the samples for input {name!r} are missing")
    inputs: dict[str, Any] = dict.fromkeys(network.inputs)
    lengths = {}
    for name, values in given.items():
        if values is None:
            continue
        spec = network.inputs[name]
        if spec.kind == "events":
            inputs[name], lengths[name] = _checked_events(network, name, spec, values)
        else:
            inputs[name] = _checked_array(network, name, spec, values)
            lengths[name] = len(inputs[name])
    n = samples.get("n_samples", max(lengths.values(), default=0))
    for name, length in lengths.items():
        fits = length <= n if network.inputs[name].kind == "events" else length == n
        if not fits:
            raise DataError(f"run: input {name!r} has {length} samples, expected {n}")
    if n < 1:
        raise DataError("run: samples must not be empty")
    return int(n), inputs


def _rates(network: NetworkModel, name: str) -> bool:
    """Whether an input sets the rates of a spiking population."""
    return any(
        name in population.drives.values() and "max_rate" in population.model.parameters
        for population in network.populations.values()
    )


def _checked_array(network: NetworkModel, name: str, spec: Input, values: Any) -> np.ndarray:
    array = np.asarray(values)
    shape = "(n, features)" if spec.kind == "static" else "(n, T, features)"
    wanted = shape.replace("features", str(spec.features))
    if array.dtype.kind not in "fiub":
        raise DataError(f"run: samples of {name!r} must be numbers, got dtype {array.dtype}")
    if array.ndim != shape.count(",") + 1 or array.shape[-1] != spec.features or 0 in array.shape:
        raise DataError(f"run: samples of {name!r} must have shape {wanted}, got {array.shape}")
    if spec.kind == "sequence":
        most = round(float(network.presentation.duration / spec.frame))
        if array.shape[1] > most:
            raise DataError(
                f"run: samples of {name!r} have {array.shape[1]} frames, but only {most} of "
                f"{spec.frame} fit into the presentation of {network.presentation.duration}"
            )
    if not np.isfinite(array).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise DataError(f"run: samples of {name!r} must be finite, got {array[where]} at {where}")
    if _rates(network, name):
        if array.min() < 0:
            where = tuple(int(k) for k in np.argwhere(array < 0)[0])
            raise DataError(
                f"run: samples of {name!r} become rates and must be >= 0, got {array[where]} at "
                f"{where}"
            )
        if array.dtype.kind in "iu" and array.max() > 1:
            raise DataError(
                f"run: samples of {name!r} are integers up to {array.max()}; a rate is max_rate "
                "times the value, so divide pixels by 255 first"
            )
    return array.astype(np.float32, copy=False)


def _checked_events(
    network: NetworkModel, name: str, spec: Input, values: Any
) -> tuple[AddressEvents, int]:
    try:
        sample, unit, time = (np.asarray(part) for part in values)
    except (TypeError, ValueError):
        raise DataError(
            f"run: events of {name!r} must be three arrays (sample, unit, time)"
        ) from None
    if not sample.ndim == 1 or not sample.shape == unit.shape == time.shape:
        raise DataError(
            f"run: events of {name!r} must be arrays of one length, got {sample.shape}, "
            f"{unit.shape}, {time.shape}"
        )
    steps = np.floor(np.asarray(time, dtype=float) / float(network.dt) + 1e-6)
    for what, array, bound in (
        ("unit", unit, spec.features),
        ("time (in steps)", steps, network.duration_steps),
        ("sample", sample, _LARGEST),
    ):
        if not (np.isfinite(array) & (array >= 0) & (array < bound)).all():
            bad = array[~(np.isfinite(array) & (array >= 0) & (array < bound))][0]
            raise DataError(f"run: events of {name!r}: {what} must be in [0, {bound}), got {bad}")
    order = np.lexsort((unit, steps, sample))
    events = AddressEvents(
        *(np.asarray(part)[order].astype(np.int32) for part in (sample, steps, unit))
    )
    return events, int(sample.max()) + 1 if len(sample) else 0


def cut(values: Any, first: int, last: int) -> Any:
    """The part of checked samples from row ``first`` to before ``last``."""
    if values is None:
        return None
    if isinstance(values, AddressEvents):
        keep = (values.sample >= first) & (values.sample < last)
        return AddressEvents(values.sample[keep] - first, values.step[keep], values.unit[keep])
    return values[first:last]
