"""Which neurons synapses connect, and the functions between values of neurons and of synapses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import torch
from brian2 import Synapses
from torch import Tensor


class Wiring:
    """Which neurons the synapses of a projection connect, as tensors.

    Parameters
    ----------
    synapses : Synapses
        Brian2's.
    """

    def __init__(self, synapses: Synapses):
        self.name = synapses.name
        self.i = torch.as_tensor(np.array(synapses.i[:]), dtype=torch.int64)
        self.j = torch.as_tensor(np.array(synapses.j[:]), dtype=torch.int64)
        self.shape = (len(synapses.source), len(synapses.target))
        flat = self.i * self.shape[1] + self.j
        self.flat = flat
        self.full = len(flat) == self.shape[0] * self.shape[1] and bool(
            (flat == torch.arange(len(flat))).all()
        )

    def matrix(self, among: Tensor | None = None) -> Callable[[Any], Tensor]:
        """A function from one value per synapse to a matrix [pre, post]."""
        if self.full and among is None:
            return FullMatrix(self.shape)
        chosen = torch.arange(len(self.flat)) if among is None else among
        return SparseMatrix(self.shape, self.flat[chosen], chosen)

    def gather(self, side: str) -> Callable[[Tensor], Tensor]:
        """A function from values of neurons to values of synapses, along the last dimension."""
        return Gather(self.i if side == "pre" else self.j)

    def scatter(self) -> Callable[[Tensor], Tensor]:
        """A function from values of synapses to their sums at the postsynaptic neurons."""
        return Scatter(self.j, self.shape[1])


@attrs.frozen
class FullMatrix:
    """Values of all synapses, in their order, as a matrix.

    Parameters
    ----------
    shape : tuple of int
        Numbers of neurons before and behind the synapses.
    """

    shape: tuple[int, int]

    def __call__(self, values: Tensor) -> Tensor:
        """``[synapses]`` to ``[pre, post]``, stored by columns.

        For few columns, products and their gradients are quicker so.
        """
        return values.reshape(self.shape).t().contiguous().t()


@attrs.frozen(eq=False)
class SparseMatrix:
    """Values of some synapses, added up in a matrix.

    Parameters
    ----------
    shape : tuple of int
        Numbers of neurons before and behind the synapses.
    places : Tensor of int
        Where the chosen synapses are in the flattened matrix.
    chosen : Tensor of int
        Their numbers.
    """

    shape: tuple[int, int]
    places: Tensor
    chosen: Tensor
    _moved: dict[torch.device, tuple[Tensor, Tensor]] = attrs.field(factory=dict, init=False)

    def __call__(self, values: Tensor) -> Tensor:
        """``[synapses]`` to ``[pre, post]``."""
        device = values.device
        if device not in self._moved:
            self._moved[device] = self.places.to(device), self.chosen.to(device)
        places, chosen = self._moved[device]
        zeros = values.new_zeros(self.shape[0] * self.shape[1])
        return zeros.index_add(0, places, values[chosen]).reshape(self.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return SparseMatrix, (self.shape, self.places, self.chosen)


@attrs.frozen(eq=False)
class Gather:
    """Values of neurons as values of their synapses.

    Parameters
    ----------
    index : Tensor of int
        Neuron of each synapse.
    """

    index: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """``[..., neurons]`` to ``[..., synapses]``; a single number stays one."""
        return values[..., self.index.to(values.device)] if values.dim() else values


@attrs.frozen(eq=False)
class Scatter:
    """Sums over the synapses of each neuron.

    Parameters
    ----------
    index : Tensor of int
        Neuron of each synapse.
    n : int
        Number of neurons.
    """

    index: Tensor
    n: int

    def __call__(self, values: Tensor) -> Tensor:
        """``[..., synapses]`` to ``[..., neurons]``."""
        zeros = values.new_zeros((*values.shape[:-1], self.n))
        return zeros.index_add(-1, self.index.to(values.device), values)


@attrs.frozen(eq=False)
class Mask:
    """Values of some synapses, and 0 for the others.

    Parameters
    ----------
    share : Tensor, shape [synapses]
        1 for the chosen ones, else 0.
    """

    share: Tensor

    @classmethod
    def of(cls, places: Tensor, n: int) -> Mask:
        """The mask that lets some of `n` synapses through."""
        share = torch.zeros(n)
        share[places] = 1.0
        return cls(share)

    def __call__(self, values: Tensor) -> Tensor:
        """``[..., synapses]`` to the same."""
        return values * self.share.to(values)
