"""Functions that generated code calls besides those of torch."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import scipy.special
import torch
from brian2 import TimedArray
from brian2.core.functions import Function
from brian2.core.functions import timestep as timestep_of_brian2
from brian2.input.timedarray import _find_K as steps_per_entry
from torch import Tensor

Number = float | int | Tensor


def clip(x: Number, low: Number, high: Number) -> Any:
    """``x`` within bounds; gradients go through where it is not cut."""
    if not any(isinstance(value, Tensor) for value in (x, low, high)):
        return float(np.clip(x, low, high))
    like = next(value for value in (x, low, high) if isinstance(value, Tensor))
    x, low, high = (
        value if isinstance(value, Tensor) else torch.as_tensor(value).to(like)
        for value in (x, low, high)
    )
    return torch.minimum(torch.maximum(x, low), high)


def exprel(x: Number) -> Any:
    """``(exp(x) - 1)/x``, and 1 at 0, with the derivative that it has there."""
    if not isinstance(x, Tensor):
        return float(scipy.special.exprel(x))
    small = x.abs() < 1e-16 if x.dtype == torch.float64 else x.abs() < 1e-6
    safe = torch.where(small, 1.0, x)
    return torch.where(small, 1 + x / 2, torch.expm1(safe) / safe)


def timestep(t: Number, dt: float) -> Any:
    """Brian2's number of the time step that begins at ``t``."""
    if not isinstance(t, Tensor):
        return int(timestep_of_brian2(t, dt))
    return ((t + 1e-3 * dt) / dt).long()


def blend(old: Tensor, new: Number, share: Tensor) -> Tensor:
    """``old`` where ``share`` is 0 and ``new`` where it is 1, exactly; linear in between.

    Gradients have the last bit of a reset ``share*new + (1 - share)*old``, as deep-learning
    libraries write it. With 0 the first product adds nothing.
    """
    if not old.is_floating_point():
        return torch.where(share != 0, torch.as_tensor(new, device=old.device), old).to(old.dtype)
    if not isinstance(new, Tensor) and new != 0:
        return share * new + (1.0 - share) * old
    end = torch.as_tensor(new, dtype=old.dtype, device=old.device)
    if end.shape != old.shape:
        old, end = torch.broadcast_tensors(old, end)
    return torch.lerp(old, end, share)


def filled(like: Tensor, value: Number) -> Tensor:
    """One number for all neurons."""
    if isinstance(value, Tensor):
        return value.to(like.dtype).expand_as(like)
    return torch.full_like(like, value)


def numpy_code(function: Function, dt: float) -> Any:
    """What Brian2's NumPy target calls for a function, in time steps of so many seconds."""
    if isinstance(function, TimedArray):
        factor = steps_per_entry(dt, function.dt)
        return Timed(function.values, function.dt / factor, factor)
    try:
        found = function.implementations["numpy"]
    except KeyError:
        function.implementations.add_numpy_implementation(function.pyfunc)
        found = function.implementations["numpy"]
    return found.get_code(None)


@attrs.frozen(eq=False)
class Timed:
    """A ``TimedArray`` of Brian2 as its NumPy target reads it, without Brian2's objects."""

    values: np.ndarray  # SI values, time first
    dt: float  # time step that an entry's duration is counted in
    factor: int  # time steps of an entry

    def __call__(self, t: Any, *columns: Any) -> Any:
        """The entries of some times."""
        row = np.clip(np.int_(np.round(t / self.dt) / self.factor), 0, len(self.values) - 1)
        return self.values[(row, *columns)]


@attrs.frozen(eq=False)
class OfNumpy:
    """A function of numpy arrays as one of tensors, without gradients."""

    function: Any

    def __call__(self, *arguments: Any) -> Tensor:
        """The function's values, on the device of the first tensor."""
        like = next(a for a in arguments if isinstance(a, Tensor))
        given = [a.detach().cpu().numpy() if isinstance(a, Tensor) else a for a in arguments]
        return torch.as_tensor(np.asarray(self.function(*given)), device=like.device)
