"""Torch modules of chains of layers, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from brian2 import Quantity, second
from numpy.typing import NDArray
from torch import Tensor, nn

from biosnn.errors import ParameterError
from biosnn.models import parsed
from biosnn.surrogate.layer_chain import KINDS, MOST_VALUES, Layer, LayerChain
from biosnn.surrogate.nn.containers import Sequential, Stateless
from biosnn.surrogate.nn.helpers import in_step_mode, reset
from biosnn.surrogate.nn.layer import SpikingLayer, driven_variable

_LEFT_OUT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_WHERE = "LayerChain"
_BATCH = 200  # samples that are run at once
_BATCHES = (1, 2, 3)  # for which shapes are followed: one may be a layer's number of channels


class StrongestChannel(nn.Module):
    """Lets the value of the strongest channel at every place through, and 0 of the others."""

    def forward(self, x: Tensor) -> Tensor:
        """Values ``[N, channels, *]`` of the same shape."""
        return torch.where(x == x.amax(1, keepdim=True), x, 0.0)


_OWN: dict[str, type[nn.Module]] = {"StrongestChannel": StrongestChannel}


def chain_of(
    module: nn.Module | Iterable[nn.Module],
    in_shape: Sequence[int],
    *,
    steps: int,
    reads: str = "sum",
    name: str = "LayerChain",
) -> tuple[LayerChain, dict[str, NDArray[Any]]]:
    """Take a chain of layers apart into a declaration and its weights.

    Parameters
    ----------
    module : torch.nn.Module or iterable of them
        Containers (``Sequential``, nested or not) of torch's own layers, as in evaluation, and
        spiking layers: what :func:`biosnn.surrogate.convert` returns, for instance. Dropout is
        left out.
    in_shape : sequence of int
        A sample of the first layer: ``(features,)`` or ``(channels, height, width)``.
    steps : int
        Time steps for which a sample is shown.
    reads : {"last", "sum", "max"}
        What of the last layer scores the classes.
    name : str
        What it is called.

    Returns
    -------
    chain : LayerChain
        Kinds, sizes and neurons.
    weights : dict of str to ndarray
        The arrays of each layer, ``"0.weight"``, in the precision that they have.

    Raises
    ------
    ParameterError
        If a layer is none of those that can be declared, or a value is out of its bound.
    """
    given = [module] if isinstance(module, nn.Module) else list(module)
    layers: list[Layer] = []
    weights: dict[str, NDArray[Any]] = {}
    for layer in _flat(given):
        if isinstance(layer, _LEFT_OUT):
            continue
        if not isinstance(layer, SpikingLayer):
            arrays = {key: value for key, value in layer.state_dict().items() if value.dim()}
            found = {f"{len(layers)}.{k}": v.detach().cpu().numpy() for k, v in arrays.items()}
            weights |= found
        layers.append(_declared(layer))
    chain = LayerChain(
        name=name, layers=tuple(layers), in_shape=tuple(in_shape), steps=steps, reads=reads
    )
    chain_module(chain, weights)  # refuses what could not be made again
    return chain, weights


def _flat(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    for module in modules:
        if isinstance(module, Stateless):
            yield from _flat([module.module])
        elif type(module) in (nn.Sequential, Sequential):
            yield from _flat(module.children())
        else:
            yield module


def _declared(layer: nn.Module) -> Layer:
    if isinstance(layer, SpikingLayer):
        model = layer.trained_model()
        settings = {"drive": layer.drive, "gain": float(layer.gain), "output": layer.output}
        return Layer(kind="Neurons", settings=settings, model=model, dt=layer.dt * second)
    kind = type(layer).__name__
    if type(layer) is not _class_of(kind):
        known = ", ".join(KINDS)
        raise ParameterError(_WHERE, "module", f"a layer of the class {kind}", f"made of {known}")
    plain = {"padding_mode": "zeros", "return_indices": False, "divisor_override": None}
    for name, value in plain.items():
        if getattr(layer, name, value) != value:
            got = f"{kind} with {name}={getattr(layer, name)!r}"
            raise ParameterError(_WHERE, "module", got, f"one with {name}={value!r}")
    if getattr(layer, "track_running_stats", True) is not True:
        raise ParameterError(_WHERE, "module", f"{kind} without running statistics", "with them")
    settings = {}
    for name in KINDS[kind]:
        value = getattr(layer, name)
        settings[name] = value is not None if name == "bias" else value
    return Layer(kind=kind, settings=settings)


def _class_of(kind: str) -> type[nn.Module] | None:
    return _OWN.get(kind) or (getattr(nn, kind) if kind in KINDS and kind != "Neurons" else None)


def chain_module(chain: LayerChain, weights: Mapping[str, NDArray[Any]]) -> Sequential:
    """Make the module of a chain, in evaluation; no memory is taken that the weights do not take.

    Raises
    ------
    ParameterError
        If weights are missing, left over, or of other sizes or types than the layers say, or the
        layers do not fit together.
    """
    left = dict(weights)
    try:
        made = [_without_weights(layer) for layer in chain.layers]
        for n in _BATCHES:
            _check_sizes(chain, made, n)
        for k, module in enumerate(made):
            if not isinstance(module, SpikingLayer):
                module.load_state_dict(_arrays(k, module, left), assign=True)
    except ParameterError:
        raise
    except (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        got = " ".join(str(error).split())[:300]
        raise ParameterError(_WHERE, "layers", got, "layers that fit together") from error
    if left:
        raise ParameterError(_WHERE, "weights", sorted(left)[:5], "those of the layers alone")
    floats = {array.dtype for array in weights.values()}
    if len(floats) > 1 or floats - {np.dtype(np.float32), np.dtype(np.float64)}:
        got = ", ".join(sorted(map(str, floats)))
        raise ParameterError(_WHERE, "weights", got, "float32, or float64, all of them")
    if any(not np.isfinite(array).all() for array in weights.values()):
        raise ParameterError(_WHERE, "weights", "NaN or infinity", "finite")
    return Sequential(*made).requires_grad_(False).eval()


def _without_weights(layer: Layer) -> nn.Module:
    """A layer whose weights take no memory yet."""
    if layer.model is None:
        kind: Any = _class_of(layer.kind)
        with torch.device("meta"):
            return kind(**layer.settings).eval()
    name, _ = driven_variable(layer.settings["drive"])
    equations = parsed("", layer.model.equations)
    dim = equations[name].dim if name in equations else Quantity(1.0).dim
    return SpikingLayer(
        layer.model,
        dt=layer.dt,
        drive=layer.settings["drive"],
        gain=Quantity(layer.settings["gain"], dim=dim),
        output=layer.settings["output"],
        width=1.0,  # of gradients, of which there are none
    )


def _arrays(k: int, module: nn.Module, left: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    """The weights of layer `k`, taken out of those that are left, in the shapes that it says."""
    found = {}
    for name, array in module.state_dict().items():
        if not array.dim():  # how many batches a norm has seen
            found[name] = torch.zeros((), dtype=array.dtype)
            continue
        key = f"{k}.{name}"
        if key not in left or left[key].shape != tuple(array.shape):
            got = f"of shape {left[key].shape}" if key in left else "missing"
            wanted = f"of shape {tuple(array.shape)}"
            raise ParameterError(_WHERE, f"weights[{key!r}]", got, wanted)
        found[name] = torch.tensor(left.pop(key))
    return found


def _check_sizes(chain: LayerChain, made: Sequence[nn.Module], n: int) -> None:
    """Follow the shape of `n` samples through the layers, without values."""
    x = torch.empty((n, *chain.in_shape), device="meta")
    for layer in made:
        if isinstance(layer, SpikingLayer):
            continue
        x = layer(x)
        if not x.dim() or len(x) != n:  # torch took the samples for the channels of one
            got = f"{type(layer).__name__}, which makes {tuple(x.shape)} of {n} samples"
            raise ParameterError(_WHERE, "layers", got, "layers that keep the axis of samples")
        if x.numel() > n * MOST_VALUES:
            got = f"{x.numel() // n} values of a sample behind {type(layer).__name__}"
            raise ParameterError(_WHERE, "layers", got, f"at most {MOST_VALUES}")
    if x.dim() != 2:
        got = f"an output of shape {tuple(x.shape)}"
        raise ParameterError(_WHERE, "layers", got, "scores [N, n_classes]")


def n_outputs(chain: LayerChain) -> int:
    """Number of the classes that a chain scores."""
    x = torch.empty((1, *chain.in_shape), device="meta")
    for layer in chain.layers:
        if layer.model is None:
            x = _without_weights(layer)(x)
    return x.shape[1]


@torch.no_grad()
def chain_scores(
    chain: LayerChain,
    weights: Mapping[str, NDArray[Any]],
    samples: NDArray[Any],
    device: str = "cpu",
    *,
    time_first: bool = False,
) -> NDArray[np.float64]:
    """Scores of the classes (n, n_classes): what the chain's `reads` is of its last layer.

    Parameters
    ----------
    chain, weights
        As :func:`chain_of` gave them.
    samples : ndarray
        Values ``(n, *in_shape)`` that are shown in every step; with `time_first` spikes
        ``(steps, n, *in_shape)``.
    device : str
        Torch's.

    Raises
    ------
    ParameterError
        If there is no such device, or the weights do not fit the chain.
    """
    _check_device(device)
    module = chain_module(chain, weights).to(device)
    dtype = next((t.dtype for t in module.state_dict().values() if t.is_floating_point()), None)
    found = []
    n = samples.shape[1] if time_first else len(samples)
    for first in range(0, n, _BATCH):
        rows = slice(first, first + _BATCH)
        x = torch.as_tensor(samples[:, rows] if time_first else samples[rows])
        found.append(_scores(chain, module, x.to(device, dtype or torch.float64), time_first))
    return torch.cat(found).double().cpu().numpy()


def _check_device(device: str) -> None:
    try:
        if torch.device(device).type not in ("cpu", "cuda", "mps"):
            raise RuntimeError(f"{device} is none of cpu, cuda and mps")
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        wanted = "a device of torch that is there, such as 'cpu': these layers run in torch"
        why = " ".join(str(error).split())[:200]
        raise ParameterError("classify", "device", repr(device), wanted, why) from error


def _scores(chain: LayerChain, module: Sequential, x: Tensor, time_first: bool) -> Tensor:
    layers: Any = module
    if not time_first:  # layers before the first neurons see the same in every step
        spiking = [k for k, layer in enumerate(module) if isinstance(layer, SpikingLayer)]
        first = spiking[0] if spiking else len(module)
        x, layers = module[:first](x), module[first:]
    total: Tensor | None = None
    reset(module)
    with in_step_mode(layers, "single"):
        for step in range(chain.steps):
            y = layers(x[step] if time_first else x)
            if total is None or chain.reads == "last":
                total = y
            else:
                total = total + y if chain.reads == "sum" else torch.maximum(total, y)
    reset(module)
    assert total is not None
    return total
