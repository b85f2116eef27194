"""Fingerprints of networks, data and optimisers, by which a resumed training is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from biosnn.surrogate.nn.state_tracking import from_torch

_ROWS = 1 << 24  # bytes that are read of an array at a time


def digest(*parts: Any) -> str:
    """SHA-256 of arrays, tensors, plain data, and sequences of them."""
    found = hashlib.sha256()
    for part in parts:
        _add(found, part)
    return found.hexdigest()


def _add(found: Any, part: Any) -> None:
    if isinstance(part, Tensor):
        part = part.detach().cpu()
        part = (part.float() if part.dtype == torch.bfloat16 else part).numpy()
    if isinstance(part, np.ndarray) and part.dtype.kind != "O":
        found.update(f"{part.dtype}{part.shape}".encode())
        rows = max(_ROWS * max(len(part), 1) // max(part.nbytes, 1), 1) if part.ndim else 1
        for first in range(0, len(part) if part.ndim else 1, rows):
            block = part[first : first + rows] if part.ndim else part
            found.update(np.ascontiguousarray(block).tobytes())
    elif isinstance(part, list | tuple):
        found.update(f"{len(part)}(".encode())
        for inner in part:
            _add(found, inner)
    else:
        found.update(json.dumps(plain(part), sort_keys=True).encode())


def plain(value: Any) -> Any:
    """A value as JSON has it; of an object, what it is and what it was made with."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray | Tensor):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if attrs.has(type(value)):
        return [_kind(value), plain(attrs.asdict(value, recurse=False))]
    return getattr(value, "__qualname__", None) or _kind(value)


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def of_batches(batches: Any) -> str:
    """Fingerprint of data: their content where it can be read without drawing any.

    Own batches say it themselves (``fingerprint()``). Of lists and of loaders of a
    ``TensorDataset`` it is the content; of others the kind, the number of samples and the size of
    a batch.
    """
    own = getattr(batches, "fingerprint", None)
    if callable(own):
        return str(own())
    if isinstance(batches, list | tuple):
        return digest(batches)
    dataset = getattr(batches, "dataset", batches)
    tensors = getattr(dataset, "tensors", ())
    sampler = getattr(batches, "sampler", None)
    sizes = [len(part) for part in (batches, dataset) if hasattr(part, "__len__")]
    options = [getattr(batches, name, None) for name in ("batch_size", "drop_last")]
    return digest(_kind(batches), _kind(dataset), _kind(sampler), sizes, options, tensors)


def of_module(module: nn.Module) -> str:
    """Fingerprint of a network: its layers, equations, and what of it is trained; no weights."""
    parts: list[Any] = []
    for name, part in module.named_modules():
        parts += [name, _kind(part), getattr(part, "source", None)]
        parts.append(part.extra_repr() if from_torch(part) else None)
    trained = [[k, list(p.shape), p.requires_grad] for k, p in module.named_parameters()]
    return digest(parts, trained)


def of_optimiser(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Kind and settings of an optimiser, and how many parameters it has, by group."""
    groups = optimiser.param_groups
    names = sorted({name for group in groups for name in group} - {"params"})
    return {
        "kind": _kind(optimiser),
        "parameters": [len(group["params"]) for group in groups],
        **{name: [plain(group.get(name)) for group in groups] for name in names},
    }


def of_scheduler(scheduler: Any) -> Any:
    """Kind and settings of a scheduler."""
    if scheduler is None or isinstance(scheduler, str):
        return scheduler
    return {"kind": _kind(scheduler), **plain(scheduler.state_dict())}
