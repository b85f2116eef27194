"""What modules keep from one call to the next: which keep nothing, and what a call has changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from torch import Tensor, compiler, nn

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
#: Torch's own layers that keep nothing of a sample. Running statistics of normalisation are of all
#: samples and steps alike.
_STATELESS = frozenset(
    kind
    for kind in vars(nn).values()
    if isinstance(kind, type) and issubclass(kind, nn.Module) and not issubclass(kind, _RECURRENT)
)
_OWN = frozenset(vars(nn.Module()))  # what torch itself keeps in a module


def from_torch(module: nn.Module) -> bool:
    """Whether a module's class is one of torch's own that keep no state."""
    return type(module) in _STATELESS


def stateless(module: nn.Module) -> bool:
    """Whether a module is made of torch's own layers without a state alone.

    A module of another class may keep a state in any of its attributes, or none; only its author
    knows (see `Stateless`).
    """
    return all(from_torch(part) for part in module.modules())


def kept_by(module: Any) -> dict[str, Any]:
    """What a module of another maker keeps: attributes and buffers of all its parts, by name."""
    if not isinstance(module, nn.Module) or compiler.is_compiling():
        return {}
    found: dict[str, Any] = {}
    for path, part in module.named_modules():
        if from_torch(part):
            continue
        inner = f"{path}." if path else ""
        for name, value in {**vars(part), **dict(part.named_buffers(recurse=False))}.items():
            if name not in _OWN:
                found[inner + name] = _mark(value)
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names whose values are others than before."""
    return [name for name, mark in after.items() if not _same(before.get(name), mark)]


def _mark(value: Any) -> tuple[Any, ...]:
    """A value, and what tells whether it was changed in place."""
    if isinstance(value, Tensor):
        return value, value._version
    if isinstance(value, Mapping):
        return value, *value.values()
    if isinstance(value, list | tuple | deque | set | frozenset):
        return value, *value
    return (value,)


def _same(one: tuple[Any, ...] | None, other: tuple[Any, ...]) -> bool:
    return one is not None and len(one) == len(other) and all(map(_is, one, other))


def _is(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, int) and isinstance(other, int) and one == other)
