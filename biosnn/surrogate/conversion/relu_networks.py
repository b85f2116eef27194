"""Read trained ReLU networks as chains of layers, and normalise them for integrate-and-fire."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError
from torch.nn.utils.fusion import fuse_conv_bn_weights

from biosnn.errors import ParameterError
from biosnn.validation import check_flag

WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
POOLS = (
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
)
NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_FUNCTIONS = ("relu", "relu_", "flatten")
_FLATTEN = ("start_dim", "end_dim")
_KNOWN = "Linear, Conv, BatchNorm, ReLU, AvgPool, Flatten or Dropout"
_BRANCHES = "Branches have no conversion here: train a plain chain"
_REMEDIES = (
    (("MaxPool", "max_pool"), "Use average pooling and train again"),
    (("Softmax", "softmax", "LogSigmoid"), "Leave it out: it keeps the order of the outputs"),
    (("LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm"), "Use BatchNorm and train again"),
    (("add", "cat", "mul", "sub"), _BRANCHES),
    (("view", "reshape", "size", "getattr"), "Use torch.nn.Flatten"),
    (("avg_pool", "dropout", "linear", "conv", "batch_norm"), "Use the module of torch.nn"),
)
_OTHER = "Use ReLU for the activations, and torch.nn's layers for the rest"
_BATCH = 256  # samples of a tensor that are run at once


def fold_batch_norm(ann: nn.Module) -> nn.Sequential:
    """A trained network as one chain, each BatchNorm folded into the weights before it.

    Parameters
    ----------
    ann : torch.nn.Module
        A chain of `Linear`, `Conv1d` to `Conv3d`, `BatchNorm` (behind one of these), `ReLU`,
        average pooling, `Flatten`, `Dropout` and `Identity`: a ``torch.nn.Sequential``, nested or
        not, or any module whose ``forward`` calls such layers one after the other. It is taken
        as in evaluation and stays as it is.

    Returns
    -------
    torch.nn.Sequential
        Weights, ReLUs, pools and flattens with parameters of their own. It answers what `ann`
        answers in evaluation.

    Raises
    ------
    ParameterError
        If a layer has no conversion, stands where it has none, or the network is no chain.
    """
    chain: list[nn.Module] = []
    with torch.no_grad():
        for name, layer in _layers(ann):
            if isinstance(layer, NORMS):
                _fold(name, layer, chain[-1] if chain else None)
            elif isinstance(layer, WEIGHTS):
                chain.append(_copied(layer))
            elif not isinstance(layer, NOTHING):
                _check_place(name, layer, chain)
                chain.append(layer)
    if not any(isinstance(layer, nn.ReLU) for layer in chain):
        wanted = "a chain with a ReLU at least"
        raise ParameterError("convert", "ann", f"{type(ann).__name__} without one", wanted)
    return nn.Sequential(*chain)


def normalised(
    ann: nn.Module, data: Any, percentile: float | None, channelwise: bool
) -> tuple[nn.Sequential, float]:
    """The chain with weights such that activations on the data reach 1, and the output's scale.

    What becomes 1 is a percentile of a layer's activations, zeros included; without one, the
    activations stay as they are. The chain's output times the scale is that of `ann`: the scale
    differs from 1 where the last layer is a ReLU. Other arguments are those of
    :func:`~biosnn.surrogate.convert`.
    """
    check_flag("convert", "channelwise", channelwise)
    chain = fold_batch_norm(ann)
    layers = list(chain)
    final = max(k for k, layer in enumerate(layers) if isinstance(layer, nn.ReLU))
    if any(isinstance(layer, WEIGHTS) for layer in layers[final:]):
        final = len(layers)
    with torch.no_grad():
        scales = {} if percentile is None else _scales(chain, data, percentile, channelwise, final)
        scale, weights = torch.ones(1), layers[0]
        for k, layer in enumerate(layers):
            if isinstance(layer, WEIGHTS):
                layer.weight.mul_(_of_inputs(layer, scale.to(layer.weight)))
                scale, weights = torch.ones(1), layer
            elif k in scales:
                scale = scales[k]
                _rescale(weights, 1 / scale)
    return chain, float(scale[0])


# --- reading the network


def _layers(ann: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and layers of a chain, in the order of their calls."""
    if not isinstance(ann, nn.Module):
        raise ParameterError("convert", "ann", repr(ann), "a torch.nn.Module")
    try:
        graph = fx.Tracer().trace(ann)
    except TraceError as error:
        got = f"{type(ann).__name__}, whose forward depends on its input ({error})"
        raise ParameterError("convert", "ann", got, "a plain chain of layers") from error
    found: list[tuple[str, nn.Module]] = []
    previous: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "placeholder" and previous is None:
            previous = node
            continue
        if node.op == "output" and node.all_input_nodes == [previous]:
            break
        if node.op == "call_module":
            layer: Any = ann.get_submodule(str(node.target))
        else:
            layer = _as_module(node)
        name = str(node.target) if node.op == "call_module" else node.name
        if type(layer) not in (*WEIGHTS, *NORMS, *POOLS, *NOTHING, nn.ReLU, nn.Flatten):
            raise _refused(name, layer)
        if node.all_input_nodes != [previous]:
            got = f"{_title(layer)} that is fed by {node.all_input_nodes}"
            what = f"ann, layer {name!r},"
            raise ParameterError("convert", what, got, f"fed by {previous} alone", _BRANCHES)
        found.append((name, layer))
        previous = node
    return found


def _as_module(node: fx.Node) -> Any:
    """The layer that a function or a method stands for, or its name."""
    name = str(getattr(node.target, "__name__", node.target))
    if node.op not in ("call_function", "call_method") or name not in _FUNCTIONS:
        return name
    if name == "flatten":
        given: dict[str, Any] = {**dict(zip(_FLATTEN, node.args[1:], strict=False)), **node.kwargs}
        return nn.Flatten(given.get("start_dim", 0), given.get("end_dim", -1))
    return nn.ReLU()


def _title(layer: Any) -> str:
    return layer if isinstance(layer, str) else type(layer).__name__


def _refused(name: str, layer: Any) -> ParameterError:
    title = _title(layer)
    remedy = next((text for words, text in _REMEDIES if any(w in title for w in words)), _OTHER)
    return ParameterError("convert", f"ann, layer {name!r},", title, _KNOWN, remedy)


def _check_place(name: str, layer: nn.Module, chain: list[nn.Module]) -> None:
    """Refuse a ReLU without weights to normalise, and a pool behind a flattened layer."""
    obj, what = "convert", f"ann, layer {name!r},"
    before = [type(other) for other in chain]
    if isinstance(layer, nn.ReLU):
        after = before[::-1]
        until = after.index(nn.ReLU) if nn.ReLU in after else len(after)
        if not any(kind in WEIGHTS for kind in after[:until]):
            wanted = "behind a layer with weights of its own"
            raise ParameterError(obj, what, "a ReLU without one", wanted, "Leave it out")
    elif isinstance(layer, nn.Flatten):
        if (layer.start_dim, layer.end_dim) != (1, -1):
            got = f"flatten from {layer.start_dim} to {layer.end_dim}"
            raise ParameterError(obj, what, got, "torch.nn.Flatten() from 1 to -1")
    elif nn.Flatten in before or nn.Linear in before:
        remedy = "Pool before the layer is flattened"
        raise ParameterError(obj, what, f"{_title(layer)} of features", "a pool of images", remedy)


def _copied(layer: Any) -> Any:
    """A copy of a layer, with a bias."""
    made = copy.deepcopy(layer)
    if made.bias is None:
        made.bias = nn.Parameter(made.weight.new_zeros(len(made.weight)))
    return made


def _fold(name: str, norm: Any, weights: Any) -> None:
    what = f"ann, layer {name!r},"
    if not isinstance(weights, WEIGHTS):
        got = f"{type(norm).__name__} elsewhere"
        remedy = "Move it there and train again"
        raise ParameterError("convert", what, got, "directly behind Linear or Conv", remedy)
    if norm.running_mean is None:
        got = f"{type(norm).__name__} without running statistics"
        wanted = "one with track_running_stats=True"
        raise ParameterError("convert", what, got, wanted)
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    weights.weight, weights.bias = fuse_conv_bn_weights(weights.weight, weights.bias, *statistics)


# --- scales


def _rescale(weights: Any, factor: Tensor) -> None:
    """Multiply the outputs of a layer, each channel by its factor."""
    factor = factor.to(weights.weight)
    weights.weight.mul_(factor.view(-1, *[1] * (weights.weight.dim() - 1)))
    weights.bias.mul_(factor)


def _of_inputs(layer: Any, scale: Tensor) -> Tensor:
    """Scales of the channels of a layer's input, in the shape of its weights."""
    if len(scale) == 1:
        return scale
    if isinstance(layer, nn.Linear):
        return scale.repeat_interleave(layer.in_features // len(scale))
    shape = layer.weight.shape
    per_group = scale.view(layer.groups, 1, shape[1])
    each = per_group.expand(-1, shape[0] // layer.groups, -1).reshape(shape[:2])
    return each.view(*shape[:2], *[1] * (len(shape) - 2))


def _scales(
    chain: nn.Sequential, data: Any, percentile: float, channelwise: bool, final: int
) -> dict[int, Tensor]:
    """Activations that become 1, ``[1]`` or ``[channels]``, by the index of the ReLU.

    Only the largest values are kept: as many as the percentile needs. Batches may be of any
    size, the result is that of all data at once.
    """
    batches = _batches(data)
    n_samples = sum(len(batch) for batch in batches)
    largest: dict[int, Tensor] = {}
    sizes: dict[int, int] = {}
    weights = next(chain.parameters())
    for batch in batches:
        y, n_channels = batch.to(weights), 1
        for k, layer in enumerate(chain):
            y = layer(y)
            if isinstance(layer, WEIGHTS):
                n_channels = len(layer.weight)
            if not isinstance(layer, nn.ReLU):
                continue
            rows = n_channels if channelwise and k != final else 1
            if rows > 1 and y.flatten(1).shape[1] % rows:
                got = f"a layer of {rows} units on inputs {tuple(y.shape)}"
                raise ParameterError("convert", "channelwise", got, "False for these layers")
            values = y.reshape(len(y), rows, -1).transpose(0, 1).reshape(rows, -1)
            sizes[k] = n_samples * (values.shape[1] // len(y))
            if k in largest:
                values = torch.cat([largest[k], values], dim=1)
            n_kept = sizes[k] - math.floor(percentile / 100 * (sizes[k] - 1))
            largest[k] = values.topk(min(n_kept, values.shape[1]), dim=1).values
    return {k: _percentile(values, sizes[k], percentile) for k, values in largest.items()}


def _percentile(largest: Tensor, n: int, percentile: float) -> Tensor:
    """Percentile of n values by row from the largest of them, in falling order.

    Where it is 0, the maximum; where that is 0, too, 1: such a channel was silent.
    """
    place = percentile / 100 * (n - 1)
    above = largest[:, max(largest.shape[1] - 2, 0)]
    found = torch.lerp(largest[:, -1], above, place - math.floor(place))
    found = torch.where(found > 0, found, largest[:, 0])
    if not bool(found.isfinite().all()):
        raise ParameterError("convert", "data", "activations that are not finite", "finite")
    return torch.where(found > 0, found, torch.ones_like(found))


def _batches(data: Any) -> list[Tensor]:
    """The inputs among the data, as batches."""
    if isinstance(data, Tensor):
        batches = list(data.split(_BATCH)) if data.dim() > 1 else []
    elif isinstance(data, Iterable):
        batches = [part[0] if isinstance(part, tuple | list) else part for part in data]
    else:
        batches = []
    if not batches or not all(isinstance(batch, Tensor) and len(batch) for batch in batches):
        wanted = "inputs [N, *] as a tensor, or batches of them such as a DataLoader gives"
        raise ParameterError("convert", "data", type(data).__name__, wanted)
    return batches
