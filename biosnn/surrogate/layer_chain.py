"""Chains of torch layers as data: kinds, sizes and neurons, without weights and without torch."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import attrs
from brian2 import ms

from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel
from biosnn.validation import (
    check_choice,
    check_shape,
    check_value,
    describe,
    instance,
    mapping,
    number,
    whole,
)

_POOL = ("kernel_size", "stride", "padding", "ceil_mode")
_CONV = (
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
)
_NORM = ("num_features", "eps", "affine")
#: Kind of a layer, by the name of its class in torch -> the settings that make it.
KINDS: dict[str, tuple[str, ...]] = {
    "Linear": ("in_features", "out_features", "bias"),
    "ReLU": (),
    "Flatten": ("start_dim", "end_dim"),
    "StrongestChannel": (),
    "Neurons": ("drive", "gain", "output"),
    **{f"Conv{n}d": _CONV for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": _NORM for n in (1, 2, 3)},
    **{f"AvgPool{n}d": (*_POOL, "count_include_pad") for n in (1, 2, 3)},
    **{f"MaxPool{n}d": (*_POOL, "dilation") for n in (1, 2, 3)},
    **{f"AdaptiveAvgPool{n}d": ("output_size",) for n in (1, 2, 3)},
}
#: What is read of the last layer: its output in the last step, its sum or its largest value over
#: all steps.
READS = ("last", "sum", "max")
#: Largest whole number among the settings of a layer, and most values of a sample in a layer.
LARGEST_SIZE, MOST_VALUES = 2**24, 2**26


def _plain_setting(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 100
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, tuple | list):
        return len(value) <= 3 and all(isinstance(k, Integral) and _plain_setting(k) for k in value)
    if isinstance(value, Integral):
        return abs(int(value)) <= LARGEST_SIZE
    return isinstance(value, Real) and math.isfinite(value)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Layer:
    """A layer without its weights.

    Parameters
    ----------
    kind : str
        Name of the class in ``torch.nn``; ``"Neurons"`` is a
        :class:`~biosnn.surrogate.SpikingLayer`.
    settings : dict
        What makes it, such as ``{"in_features": 784, "out_features": 10, "bias": True}``; of
        neurons the variable that is driven, the gain in SI units, and the output.
    model : NeuronModel, optional
        The neurons.
    dt : Quantity, optional
        Their time step.
    """

    kind: str
    settings: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    model: NeuronModel | None = attrs.field(
        default=None, validator=instance(NeuronModel, optional=True)
    )
    dt: Any = attrs.field(default=1 * ms, validator=number(ms, "> 0"))

    def __attrs_post_init__(self) -> None:
        check_choice("Layer", "kind", self.kind, KINDS)
        if (self.model is None) == (self.kind == "Neurons"):
            wanted = 'given with kind="Neurons" and only then'
            raise ParameterError("Layer", "model", describe(self.model), wanted)
        if set(self.settings) != set(KINDS[self.kind]):
            got, wanted = sorted(map(str, self.settings)), f"those of {self.kind}"
            raise ParameterError("Layer", "settings", got, f"{wanted}: {KINDS[self.kind]}")
        for name, value in self.settings.items():
            if not _plain_setting(value):
                wanted = f"a short text, or finite numbers of at most {LARGEST_SIZE}"
                raise ParameterError("Layer", f"settings[{name!r}]", describe(value), wanted)
        if "eps" in self.settings:
            check_value("Layer", "settings['eps']", self.settings["eps"], 1.0, ">= 0")


@declared
@attrs.frozen(eq=False, kw_only=True)
class LayerChain:
    """Layers one behind the other, shown a sample for some steps.

    Parameters
    ----------
    name : str
        What it is called.
    layers : tuple of Layer
        In their order.
    in_shape : tuple of int
        A sample of the first layer: ``(features,)`` or ``(channels, height, width)``.
    steps : int
        Time steps for which a sample is shown.
    reads : {"last", "sum", "max"}
        What is read of the last layer: its output in the last step, or its sum or largest value
        over all steps.
    """

    name: str = attrs.field(validator=instance(str))
    layers: tuple[Layer, ...] = attrs.field(converter=tuple)
    in_shape: tuple[int, ...]
    steps: int = attrs.field(validator=whole(1, LARGEST_SIZE))
    reads: str

    def __attrs_post_init__(self) -> None:
        if not self.layers or not all(isinstance(layer, Layer) for layer in self.layers):
            raise ParameterError("LayerChain", "layers", describe(self.layers), "one or more Layer")
        wanted = "(features,) or (channels, height, width)"
        shape = check_shape("LayerChain", "in_shape", self.in_shape, wanted, (1, 3))
        if max(shape) > LARGEST_SIZE or (len(shape) == 3 and shape[0] not in (1, 3)):
            raise ParameterError("LayerChain", "in_shape", shape, f"{wanted}, of 1 or 3 channels")
        check_choice("LayerChain", "reads", self.reads, READS)
