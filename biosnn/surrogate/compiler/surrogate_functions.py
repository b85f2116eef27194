"""Surrogate gradients: derivatives that stand in for that of the spike, and their primitives.

Everywhere ``x`` is the distance to the threshold and `alpha` the steepness in 1/unit of ``x``: a
threshold in volts wants an `alpha` per volt. Where SpikingJelly 2.0 (Fang et al. 2023,
doi:10.1126/sciadv.adi1480) has a function, the gradient here equals that of its module of the same
parameters to the last bit, in float32 and float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from biosnn.errors import ParameterError
from biosnn.surrogate.compiler.spike import SurrogateFunction
from biosnn.validation import check_value, whole


def _number(default: float, bound: str = "> 0") -> Any:
    def checked(value: Any, instance: Any, field: Any) -> float:
        return float(check_value(type(instance).__name__, field.name, value, 1.0, bound))

    converter = attrs.Converter(checked, takes_self=True, takes_field=True)
    return attrs.field(default=default, converter=converter)


@attrs.frozen
class Sigmoid(SurrogateFunction):
    """Derivative of the logistic function ``1/(1 + exp(-alpha*x))``; its primitive goes 0..1.

    Zenke & Vogels 2021, Neural Comput. 33:899, doi:10.1162/neco_a_01367.
    """

    alpha: float = _number(4.0)
    reference: ClassVar[str] = "Zenke & Vogels 2021, doi:10.1162/neco_a_01367"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        s = torch.sigmoid(x * self.alpha)
        return grad * (1.0 - s) * s * self.alpha

    def _primitive(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x * self.alpha)


@attrs.frozen
class ATan(SurrogateFunction):
    """``(alpha/2)/(1 + (pi/2*alpha*x)**2)``, the derivative of an arctangent that goes 0..1.

    Fang, Yu, Chen, Masquelier, Huang & Tian 2021, ICCV, doi:10.1109/ICCV48922.2021.00266.
    """

    alpha: float = _number(2.0)
    reference: ClassVar[str] = "Fang et al. 2021, doi:10.1109/ICCV48922.2021.00266"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        half = self.alpha / 2
        z = math.pi * half * x
        return half / (1 + z * z) * grad

    def _primitive(self, x: Tensor) -> Tensor:
        return torch.atan(math.pi / 2 * self.alpha * x) / math.pi + 0.5


@attrs.frozen
class PiecewiseLinear(SurrogateFunction):
    """A ramp: slope ``1/(2*width)`` where ``|x| < width``, and `leak` elsewhere.

    Without leak the primitive goes 0..1; a leak keeps some gradient far from the threshold.

    The window of Wu, Deng, Li, Zhu & Shi 2018, Front. Neurosci. 12:331,
    doi:10.3389/fnins.2018.00331, with tails.
    """

    width: float = _number(1.0)
    leak: float = _number(0.01, ">= 0")
    reference: ClassVar[str] = "Wu et al. 2018, doi:10.3389/fnins.2018.00331"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        slope = torch.full_like(x, self.leak)
        return grad * slope.masked_fill_(x.abs() < self.width, 1 / (2 * self.width))

    def _primitive(self, x: Tensor) -> Tensor:
        inside = x.clamp(-self.width, self.width)
        return inside / (2 * self.width) + 0.5 + self.leak * (x - inside)


@attrs.frozen
class PiecewiseQuadratic(SurrogateFunction):
    """``alpha*(1 - alpha*|x|)`` where that is positive: a triangle of area 1.

    The primitive consists of two parabolas and goes 0..1.

    Esser et al. 2016, PNAS 113:11441, doi:10.1073/pnas.1604850113.
    """

    alpha: float = _number(1.0)
    reference: ClassVar[str] = "Esser et al. 2016, doi:10.1073/pnas.1604850113"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        size = x.abs()
        change = grad * (-(self.alpha**2) * size + self.alpha)
        return change.masked_fill_(size > 1 / self.alpha, 0)

    def _primitive(self, x: Tensor) -> Tensor:
        return _parabolas(self.alpha * x)


@attrs.frozen
class Triangle(SurrogateFunction):
    """``gamma*alpha*max(0, 1 - alpha*|x|)``, a triangle damped by `gamma`.

    `alpha` is 1 over the threshold there. The primitive goes from ``(1 - gamma)/2`` to
    ``(1 + gamma)/2``.

    Bellec et al. 2020, Nat. Commun. 11:3625, Methods (gamma 0.3), doi:10.1038/s41467-020-17236-y.
    """

    alpha: float = _number(1.0)
    gamma: float = _number(0.3)
    reference: ClassVar[str] = "Bellec et al. 2020, doi:10.1038/s41467-020-17236-y"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return grad * (1 - self.alpha * x.abs()).clamp_min(0) * (self.gamma * self.alpha)

    def _primitive(self, x: Tensor) -> Tensor:
        return self.gamma * (_parabolas(self.alpha * x) - 0.5) + 0.5


@attrs.frozen
class SoftSign(SurrogateFunction):
    """``alpha/(2*(1 + alpha*|x|)**2)``, the derivative of a softsign that goes 0..1.

    :class:`FastSigmoid` scaled to area 1.

    Zenke & Ganguli 2018, Neural Comput. 30:1514, doi:10.1162/neco_a_01086.
    """

    alpha: float = _number(2.0)
    reference: ClassVar[str] = "Zenke & Ganguli 2018, doi:10.1162/neco_a_01086"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return grad / (2 * self.alpha * (1 / self.alpha + x.abs()).pow(2))

    def _primitive(self, x: Tensor) -> Tensor:
        z = x * self.alpha
        return (z / (1 + z.abs()) + 1) / 2


@attrs.frozen
class FastSigmoid(SurrogateFunction):
    """``1/(1 + alpha*|x|)**2``, SuperSpike's derivative, 1 at the threshold.

    The primitive goes from ``1/2 - 1/alpha`` to ``1/2 + 1/alpha``.

    Zenke & Ganguli 2018, Neural Comput. 30:1514, doi:10.1162/neco_a_01086. The `alpha` of
    SpikingJelly's SuperSpike is another one: a factor in front, with a steepness of 1.
    """

    alpha: float = _number(10.0)
    reference: ClassVar[str] = "Zenke & Ganguli 2018, doi:10.1162/neco_a_01086"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return grad / (self.alpha * x.abs() + 1.0).pow(2)

    def _primitive(self, x: Tensor) -> Tensor:
        return x / (1 + self.alpha * x.abs()) + 0.5


@attrs.frozen
class Erf(SurrogateFunction):
    """``alpha/sqrt(pi)*exp(-(alpha*x)**2)``, a Gaussian; its primitive goes 0..1.

    Wu, Deng, Li, Zhu & Shi 2018, Front. Neurosci. 12:331, doi:10.3389/fnins.2018.00331.
    """

    alpha: float = _number(2.0)
    reference: ClassVar[str] = "Wu et al. 2018, doi:10.3389/fnins.2018.00331"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return grad * torch.exp(-(x * self.alpha).pow(2)) * (self.alpha / math.sqrt(math.pi))

    def _primitive(self, x: Tensor) -> Tensor:
        return torch.erfc(-self.alpha * x) / 2


@attrs.frozen
class Rectangular(SurrogateFunction):
    """`alpha` where ``|x| < 1/(2*alpha)``, else 0: a window of area 1, a ramp that goes 0..1.

    Wu, Deng, Li, Zhu & Shi 2018, Front. Neurosci. 12:331, doi:10.3389/fnins.2018.00331.
    """

    alpha: float = _number(1.0)
    reference: ClassVar[str] = "Wu et al. 2018, doi:10.3389/fnins.2018.00331"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return self.alpha * (x.abs() < 0.5 / self.alpha).to(x.dtype) * grad

    def _primitive(self, x: Tensor) -> Tensor:
        return (self.alpha * x + 0.5).clamp(0.0, 1.0)


@attrs.frozen
class LeakyKReLU(SurrogateFunction):
    """`k` where ``x >= 0`` and `leak` below; the primitive, 0 at the threshold, has no bounds.

    A leaky rectifier (Maas, Hannun & Ng 2013, ICML Workshop on Deep Learning) of slope `k`, as in
    Fang et al. 2023, Sci. Adv. 9:eadi1480, doi:10.1126/sciadv.adi1480.
    """

    leak: float = _number(0.0, ">= 0")
    k: float = _number(1.0)
    reference: ClassVar[str] = "Fang et al. 2023, doi:10.1126/sciadv.adi1480"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return grad * torch.full_like(x, self.leak).masked_fill_(x >= 0, self.k)

    def _primitive(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, self.k * x, self.leak * x)


@attrs.frozen
class LogTailedReLU(SurrogateFunction):
    """A rectifier with a logarithmic tail: 1 in ``(0, 1]``, ``1/x`` above, `alpha` below.

    The primitive, 0 at the threshold, has no bounds.

    Cai, He, Sun & Vasconcelos 2017, CVPR, doi:10.48550/arXiv.1702.00953.
    """

    alpha: float = _number(0.0, ">= 0")
    reference: ClassVar[str] = "Cai et al. 2017, doi:10.48550/arXiv.1702.00953"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return grad * (1.0 / x.clamp_min(1.0)).masked_fill_(x <= 0, self.alpha)

    def _primitive(self, x: Tensor) -> Tensor:
        below = torch.where(x > 0, x.clamp_max(1.0), self.alpha * x)
        return below + torch.log(x.clamp_min(1.0))


@attrs.frozen
class SquarewaveFourier(SurrogateFunction):
    """The first `terms` of the Fourier series of a square wave of that `period`.

    The gradient is ``4/period*sum(cos(2*pi*(2*i - 1)*x/period))`` for i = 1 to `terms`. It is
    periodic and also negative: the primitive approaches 0 and 1 within ``|x| < period/2`` only,
    with the ripple of few terms.

    Fang et al. 2023, Sci. Adv. 9:eadi1480, doi:10.1126/sciadv.adi1480; the ``n`` there is
    ``terms + 1``.
    """

    terms: int = attrs.field(default=1, validator=whole(1))
    period: float = _number(8.0)
    reference: ClassVar[str] = "Fang et al. 2023, doi:10.1126/sciadv.adi1480"

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        w = math.pi * 2.0 / self.period
        total = torch.zeros_like(x)
        for odd in self._odd:
            total = total + torch.cos(odd * w * x)
        return total * (4.0 / self.period) * grad

    def _primitive(self, x: Tensor) -> Tensor:
        w = math.pi * 2.0 / self.period
        total = torch.zeros_like(x)
        for odd in self._odd:
            total = total + torch.sin(odd * w * x) / odd
        return 2.0 / math.pi * total + 0.5

    @property
    def _odd(self) -> range:
        return range(1, 2 * self.terms, 2)


@attrs.frozen(repr=False)
class UserDefined(SurrogateFunction):
    """A surrogate function of your own.

    Parameters
    ----------
    gradient : callable
        From a tensor ``x`` to the surrogate derivative, a tensor of the same shape. It is given
        float32 or float64, and may close over whatever it needs.
    primitive : callable, optional
        A function with that derivative, made of operations of torch; needed for `smooth` only.

    Raises
    ------
    ParameterError
        If one of them cannot be called; in a call, if it returns no tensor of the shape of ``x``.
    """

    _gradient: Callable[[Tensor], Tensor] = attrs.field()
    _given_primitive: Callable[[Tensor], Tensor] | None = attrs.field(
        default=None, alias="primitive"
    )
    reference: ClassVar[str] = "user-defined"

    def __attrs_post_init__(self) -> None:
        for name, value in (("gradient", self._gradient), ("primitive", self._given_primitive)):
            if not callable(value) and (name == "gradient" or value is not None):
                raise ParameterError("UserDefined", name, repr(value), "a function of a tensor")

    def __repr__(self) -> str:
        both = (self._gradient, self._given_primitive)
        names = (getattr(function, "__qualname__", repr(function)) for function in both)
        return "UserDefined(gradient={}, primitive={})".format(*names)

    def _backward(self, grad: Tensor, x: Tensor) -> Tensor:
        return grad * _same_shape("gradient", self._gradient(x), x)

    def _primitive(self, x: Tensor) -> Tensor:
        if self._given_primitive is None:
            remedy = "Give the function whose derivative your gradient is"
            raise ParameterError("UserDefined", "primitive", None, "given if smooth", remedy)
        return _same_shape("primitive", self._given_primitive(x), x)


#: The surrogate functions that a name is enough for.
SURROGATES: dict[str, type[SurrogateFunction]] = {
    "sigmoid": Sigmoid,
    "atan": ATan,
    "piecewise_linear": PiecewiseLinear,
    "piecewise_quadratic": PiecewiseQuadratic,
    "triangle": Triangle,
    "soft_sign": SoftSign,
    "fast_sigmoid": FastSigmoid,
    "erf": Erf,
    "rectangular": Rectangular,
    "leaky_k_relu": LeakyKReLU,
    "log_tailed_relu": LogTailedReLU,
    "squarewave_fourier": SquarewaveFourier,
}


def surrogate_function(which: str | SurrogateFunction) -> SurrogateFunction:
    """The surrogate function of a name in `SURROGATES`, or the one that is given.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if isinstance(which, SurrogateFunction):
        return which
    if isinstance(which, str) and which in SURROGATES:
        return SURROGATES[which]()
    wanted = "a surrogate function or one of " + ", ".join(map(repr, SURROGATES))
    remedy = ""
    if isinstance(which, type) and issubclass(which, SurrogateFunction):
        remedy = f"Call the class: {which.__name__}(...)"
    elif callable(which):
        remedy = "Wrap the derivative: UserDefined(gradient=...)"
    raise ParameterError("surrogate_function", "which", repr(which), wanted, remedy)


def _parabolas(z: Tensor) -> Tensor:
    """From 0 at -1 to 1 at 1, with the derivative ``1 - |z|``."""
    z = z.clamp(-1.0, 1.0)
    return z - z * z.abs() / 2 + 0.5


def _same_shape(name: str, value: Any, x: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != x.shape:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        wanted = f"a function that returns a tensor of the shape of x, {tuple(x.shape)}"
        raise ParameterError("UserDefined", name, got, wanted)
    return value
