"""Which neurons synapses connect, as functions between values of neurons and of synapses.

The functions are partial applications of this module's, so that programs that use them can be
pickled. Indices are moved to the device of the values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from biosnn.program.program import Connection


class Wiring:
    """Pre- and postsynaptic neurons of a connection's synapses, as tensors."""

    def __init__(self, made: Connection):
        i, j = made.indices
        self.i, self.j = (torch.as_tensor(np.array(k), dtype=torch.int64) for k in (i, j))
        self.shape = (made.n_pre, made.n_post)
        self.flat = self.i * self.shape[1] + self.j
        every = torch.arange(self.shape[0] * self.shape[1])
        self.full = torch.equal(self.flat, every)

    def matrix(self, among: Tensor | None = None) -> Callable[[Any], Tensor]:
        """A function from one value per synapse to a matrix [pre, post]."""
        if self.full and among is None:
            return partial(_full_matrix, self.shape)
        chosen = torch.arange(len(self.flat)) if among is None else among
        return partial(_sparse_matrix, self.shape, self.flat[chosen], chosen)

    def gather(self, side: str) -> Callable[[Tensor], Tensor]:
        """A function from values of neurons to values of synapses, along the last dimension."""
        return partial(_gather, self.i if side == "pre" else self.j)

    def scatter(self) -> Callable[[Tensor], Tensor]:
        """A function from values of synapses to their sums at the postsynaptic neurons."""
        return partial(_scatter, self.j, self.shape[1])

    def mask(self, among: Tensor) -> Callable[[Tensor], Tensor]:
        """A function that keeps the values of some synapses and sets the others to 0."""
        chosen = torch.zeros(len(self.flat))
        chosen[among] = 1.0
        return partial(_mask, chosen)


def _full_matrix(shape: tuple[int, int], values: Tensor) -> Tensor:
    # Stored by columns: with few of them, products and their gradients are quicker so.
    return values.reshape(shape).t().contiguous().t()


def _sparse_matrix(
    shape: tuple[int, int], places: Tensor, chosen: Tensor, values: Tensor
) -> Tensor:
    zeros = values.new_zeros(shape[0] * shape[1])
    device = values.device
    return zeros.index_add(0, places.to(device), values[chosen.to(device)]).reshape(shape)


def _gather(index: Tensor, values: Tensor) -> Tensor:
    return values[..., index.to(values.device)] if values.dim() else values


def _scatter(index: Tensor, n: int, values: Tensor) -> Tensor:
    zeros = values.new_zeros((*values.shape[:-1], n))
    return zeros.index_add(-1, index.to(values.device), values)


def _mask(chosen: Tensor, values: Tensor) -> Tensor:
    return values * chosen.to(values)
