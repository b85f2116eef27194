"""Tell which modules keep no state between calls, and what a call has changed in the others."""

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
    return all(map(from_torch, module.modules()))


def snapshot_of(module: Any) -> dict[str, tuple[Any, ...]]:
    """Attributes and buffers of all parts of a module that are not torch's own, by name."""
    if not isinstance(module, nn.Module) or compiler.is_compiling():
        return {}
    return {
        f"{path}.{name}" if path else name: _contents(value)
        for path, part in module.named_modules()
        if not from_torch(part)
        for name, value in {**vars(part), **dict(part.named_buffers(recurse=False))}.items()
        if name not in _OWN
    }


def changed_attributes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names whose values differ between two snapshots."""
    return [name for name, value in after.items() if not _same(before.get(name, ()), value)]


def _contents(value: Any) -> tuple[Any, ...]:
    """A value, and what shows that it was changed in place."""
    if isinstance(value, Tensor):
        return value, value._version
    if isinstance(value, Mapping):
        return value, *value.values()
    if isinstance(value, list | tuple | deque | set | frozenset):
        return value, *value
    return (value,)


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b or (isinstance(a, int) and isinstance(b, int) and a == b)
        for a, b in zip(one, other, strict=True)
    )
