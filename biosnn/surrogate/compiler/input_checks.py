"""Check the samples that a network is given: those of a compiled network, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from biosnn.errors import DataError
from biosnn.program.interface import Port
from biosnn.validation import check_whole

_AXES = {"static": "N", "sequence": "N, frames", "events": "T, N"}
_INTENSITY = "intensity"


@attrs.frozen(eq=False)
class Samples:
    """A checked batch."""

    values: dict[str, Tensor]  # input -> its values
    intensity: Tensor | None  # factor on the rates of each sample
    n: int  # number of samples


def checked_samples(name: str, ports: Mapping[str, Port], steps: int, given: Any) -> Samples:
    """Check a batch of samples: values of the only required input, or input -> values.

    ``"n_samples"`` may be their number. `steps` are those of a presentation.

    Raises
    ------
    DataError
        If an input is missing or unknown, or its values have another shape, are not finite, are
        no spikes (0 or 1) where spikes are meant, or become rates out of their bounds.
    """
    inputs = [key for key in ports if key != _INTENSITY]
    required = [key for key in inputs if not ports[key].optional]
    if not isinstance(given, Mapping):
        if len(required) != 1:
            if not inputs:
                raise DataError(f"{name} has no inputs; give their number: {{'n_samples': N}}")
            raise DataError(f"{name} has the inputs {', '.join(inputs)}; give a dict")
        given = {required[0]: given}
    counted = given.get("n_samples")
    shown = {key: value for key, value in given.items() if key != "n_samples" and value is not None}
    sizes = {}
    if counted is not None:
        sizes["n_samples"] = check_whole(name, "n_samples", counted, 1)
    values: dict[str, Tensor] = {}
    for key, value in shown.items():
        if key not in ports:
            raise DataError(f"{name} has no input {key!r}; it has {', '.join(inputs) or 'none'}")
        values[key] = _values(key, ports[key], value, steps)
        sizes[key] = values[key].shape[1 if ports[key].kind == "events" else 0]
    missing = [key for key in required if key not in values]
    if missing or len(set(sizes.values())) != 1:
        got = ", ".join(f"{k}: {v}" for k, v in sizes.items()) or "none"
        wanted = f"; {', '.join(missing)} is missing" if missing else ""
        remedy = "" if inputs else "; give {'n_samples': N}"
        raise DataError(f"inputs must have the same number of samples, got {got}{wanted}{remedy}")
    intensity = values.pop(_INTENSITY, None)
    if intensity is not None:
        _check_rates(ports, values, intensity)
    return Samples(values, intensity, next(iter(sizes.values())))


def _values(key: str, port: Port, given: Any, steps: int) -> Tensor:
    """Values of one input as a tensor, checked."""
    try:
        values = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"input {key!r} must be numbers: {error}") from error
    if key == _INTENSITY and values.dim() == 1:
        values = values[:, None]
    dims = 2 if port.kind == "static" else 3
    if values.dim() != dims or values.shape[-1] != port.features or 0 in values.shape:
        wanted = f"[{_AXES[port.kind]}, {port.features}]"
        raise DataError(f"input {key!r} must have shape {wanted}, got {list(values.shape)}")
    if values.is_complex():
        raise DataError(f"input {key!r} must be real numbers, got {values.dtype}")
    if port.kind == "events":
        if len(values) > steps:
            raise DataError(f"input {key!r} must have at most {steps} steps, got {len(values)}")
        _refuse(key, values, (values == 0) | (values == 1), "spikes, 0 or 1")
        return values
    _refuse(key, values, torch.isfinite(values), "finite")
    if port.positive:
        _refuse(key, values, values > 0, "> 0")
    if port.rate_step:
        most = (1 + 1e-6) / port.rate_step
        wanted = f"from 0 to {most:.4g}, as they become rates of at most one spike per time step"
        _refuse(key, values, (values >= 0) & (values <= most), wanted)
    if port.most_frames and values.shape[1] > port.most_frames:
        got = values.shape[1]
        raise DataError(f"input {key!r} must have at most {port.most_frames} frames, got {got}")
    return values


def _refuse(key: str, values: Tensor, fits: Tensor, wanted: str) -> None:
    if not bool(fits.all()):
        at = tuple((~fits).nonzero()[0].tolist())
        raise DataError(f"input {key!r} must be {wanted}, got {values[at].item():g} at {at}")


def _check_rates(ports: Mapping[str, Port], values: Mapping[str, Tensor], factor: Tensor) -> None:
    """Check that no sample's intensity makes rates of more than one spike per time step."""
    for key, shown in values.items():
        most = shown.reshape(len(shown), -1).amax(1) if ports[key].rate_step else None
        if most is not None and bool((most * factor[:, 0] * ports[key].rate_step > 1 + 1e-6).any()):
            raise DataError(
                f"intensity must not raise rates of {key!r} above one spike per time step"
            )
