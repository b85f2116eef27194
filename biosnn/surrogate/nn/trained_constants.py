"""Trained constants of equations, as parameters of torch modules that begin at 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from brian2 import second
from brian2.units.fundamentalunits import Quantity, get_dimensions
from torch import Tensor, nn

from biosnn.errors import ParameterError
from biosnn.validation import check_value, check_whole, describe


class TrainedConstant(nn.Module):
    """A constant of equations that gradients change.

    Optimisers see ``raw``, which begins at 0: a time constant is ``value*exp(raw)`` and stays
    positive, any other constant is ``value + |value|*raw`` (``raw`` itself, if the value is 0).

    Parameters
    ----------
    value : Quantity or float
        Where training begins.
    shape : int or tuple of int
        Shape of the parameter, which broadcasts against ``[N, *]``; ``()`` is one for all.

    Raises
    ------
    ParameterError
        If the value is no finite number, or a size none >= 1.
    """

    def __init__(self, value: Any, shape: int | tuple[int, ...] = ()):
        super().__init__()
        check_value("TrainedConstant", "value", value, value)
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        shape = tuple(check_whole("TrainedConstant", "shape", size, 1) for size in sizes)
        # In a state_dict with ``raw``, which means nothing without it.
        self.register_buffer("begin", torch.tensor(float(np.asarray(value)), dtype=torch.float64))
        self.dimensions = get_dimensions(value)
        self.positive = self.dimensions is second.dim
        self.raw = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        """Its present value in SI units."""
        begin = self.get_buffer("begin").to(self.raw)
        if self.positive:
            return begin * torch.exp(self.raw)
        return begin + torch.where(begin == 0, 1.0, begin.abs()) * self.raw

    @property
    def quantity(self) -> Any:
        """Its present value with its unit."""
        values = self().detach().double().cpu().numpy()
        return Quantity(values if values.ndim else values.item(), dim=self.dimensions)


def names_of(where: str, train: Any) -> tuple[str, ...]:
    """Names of what is trained, given as one name or several."""
    if isinstance(train, str):
        return (train,)
    names = tuple(train) if isinstance(train, Iterable) else (train,)
    if not all(isinstance(name, str) for name in names):
        raise ParameterError(where, "train", describe(train), "names")
    return names


def trained_constants(
    where: str, train: Iterable[str] | Mapping[str, Any], parameters: Mapping[str, Any]
) -> nn.ModuleDict:
    """Trained constants of a model: names, or name -> shape, of its parameters of one number."""
    names = names_of(where, train)
    shapes = {name: train[name] if isinstance(train, Mapping) else () for name in names}
    found = nn.ModuleDict()
    for name, shape in shapes.items():
        value = parameters.get(name)
        if value is None or np.ndim(np.asarray(value)) or isinstance(value, str):
            among = ", ".join(k for k, v in parameters.items() if not isinstance(v, str))
            raise ParameterError(where, "train", repr(name), f"one of its constants ({among})")
        found[name] = TrainedConstant(value, shape)
    return found
