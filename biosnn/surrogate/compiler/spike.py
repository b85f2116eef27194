"""Spikes with surrogate gradients: a step forwards, a smooth derivative backwards.

Neftci, Mostafa & Zenke 2019, IEEE Signal Process. Mag. 36(6):51, doi:10.1109/MSP.2019.2931595.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from biosnn.errors import ParameterError

_HALF = (torch.float16, torch.bfloat16)


@attrs.frozen
class SurrogateFunction(ABC):
    """A surrogate of the derivative of the spike.

    A function of ``x``, the distance of the membrane potential (or of whatever is compared) to
    its threshold, in the unit of the threshold. Calling it gives spikes, 0 or 1, of the shape,
    dtype and device of ``x``; on the way back the upstream gradient is multiplied by `gradient`.

    Notes
    -----
    The derivative belongs to backpropagation: it is no derivative of the step. The backward pass
    cannot itself be differentiated (torch raises a RuntimeError), and `torch.func` does not know
    it. With half precision the surrogate is evaluated in float32 and rounded, so that a steep one
    does not overflow.
    """

    reference: ClassVar[str]
    """Where the function was proposed: author, year, DOI."""

    def __call__(self, x: Tensor, *, strict: bool = False, smooth: bool = False) -> Tensor:
        """Spikes of `x`.

        Parameters
        ----------
        x : Tensor
            Distance to the threshold, any shape, floating point.
        strict : bool
            Spike where ``x > 0``; the default is ``x >= 0``.
        smooth : bool
            Return `primitive` instead, which autograd differentiates as it is; `strict` has no
            meaning then.

        Returns
        -------
        Tensor
            Of the shape, dtype and device of `x`.

        Raises
        ------
        ParameterError
            If `x` is no tensor of a floating-point type, or if there is no primitive.
        """
        if smooth:
            return self.primitive(x)
        self._check(x)
        return _Spike.apply(x, self, strict)  # pyright: ignore[reportReturnType]

    def gradient(self, x: Tensor) -> Tensor:
        """Surrogate derivative at `x`; shape, dtype and errors as in a call."""
        self._check(x)
        return self.backward(torch.ones_like(x), x)

    def primitive(self, x: Tensor) -> Tensor:
        """The function whose derivative `gradient` is; shape, dtype and errors as in a call."""
        self._check(x)
        return self._primitive(_wide(x)).to(x.dtype)

    def backward(self, grad: Tensor, x: Tensor) -> Tensor:
        """Upstream gradient `grad` times the surrogate derivative at `x`, both of one shape.

        This is the backward pass itself; its order of operations is part of the result's last
        bit.
        """
        return self._backward(_wide(grad), _wide(x)).to(x.dtype)

    @abstractmethod
    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        """Product of `grad` and the derivative, in float32 or float64."""

    @abstractmethod
    def _primitive(self, x: Tensor) -> Tensor:
        """Primitive in float32 or float64, made of operations that autograd knows."""

    def _check(self, x: Any) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ParameterError(type(self).__name__, "x", got, "a tensor of floating-point type")


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: SurrogateFunction, strict: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.function = function
        return (x > 0 if strict else x >= 0).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return ctx.function.backward(grad, x), None, None


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in _HALF else x
