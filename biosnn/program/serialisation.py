"""Frozen specs as JSON types and back, by the types of their fields."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import Function

from biosnn import declaration
from biosnn.program import functions

_STORED = "$stored"


def to_data(value: Any, stored: dict[str, np.ndarray] | None = None) -> Any:
    """Turn a spec, a container or a value into JSON types.

    Fields that have their default are left out.

    Parameters
    ----------
    value : object
        What it is.
    stored : dict, optional
        Gets arrays, which may be large, under names that stand in their place.
    """
    if attrs.has(type(value)) and not declaration.is_declared(value):
        found = {}
        for field in attrs.fields(type(value)):
            given = getattr(value, field.name)
            default = field.default
            if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
                default = default.factory()
            if not (type(given) is type(default) and _plain(given) and given == default):
                found[field.name] = to_data(given, stored)
        return found
    if isinstance(value, Mapping):
        return {str(key): to_data(item, stored) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_data(item, stored) for item in value]
    if isinstance(value, Function):
        return functions.to_data(value)
    if stored is not None and type(value) is np.ndarray:
        name = f"array_{len(stored)}"
        stored[name] = value
        return {_STORED: name}
    return declaration.to_data(value)


def with_stored(data: Any, stored: Mapping[str, np.ndarray]) -> Any:
    """What :func:`to_data` returned, with the stored arrays in their places."""
    if isinstance(data, dict):
        if set(data) == {_STORED}:
            return stored[data[_STORED]]
        return {key: with_stored(item, stored) for key, item in data.items()}
    return [with_stored(item, stored) for item in data] if isinstance(data, list) else data


def _plain(value: Any) -> bool:
    """Whether a value can be compared with its default."""
    if isinstance(value, dict | tuple):
        return not value
    return value is None or isinstance(value, str | bool | int | float)


def from_data(cls: type, data: Any) -> Any:
    """Turn what :func:`to_data` returned back into a spec of a class."""
    return _structured(cls, data)


def _structured(kind: Any, data: Any) -> Any:
    if isinstance(data, np.ndarray):
        return data
    if functions.is_data(data):
        return functions.from_data(data)
    if isinstance(kind, type) and attrs.has(kind):
        attrs.resolve_types(kind)
        known = {field.name: field.type for field in attrs.fields(kind)}
        return kind(**{name: _structured(known[name], part) for name, part in data.items()})
    if kind in (str, int, float, bool):
        return data
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if data is None else _of_union(inner, data)
    if origin in (dict, Mapping) or (origin is not None and isinstance(data, dict) and inner):
        return {key: _structured(inner[1], item) for key, item in data.items()}
    if origin is tuple:
        several = inner[0] if len(inner) == 2 and inner[1] is ... else None
        parts = zip(inner, data, strict=True) if several is None else ((several, d) for d in data)
        return tuple(_structured(part, item) for part, item in parts)
    return declaration.from_data(data)


def _of_union(choices: tuple[Any, ...], data: Any) -> Any:
    """A value of one of several types: a spec where the data are one."""
    for choice in choices:
        is_spec = isinstance(choice, type) and attrs.has(choice)
        known = {field.name for field in attrs.fields(choice)} if is_spec else set()
        if isinstance(data, dict) and data and set(data) <= known:
            return _structured(choice, data)
        if typing.get_origin(choice) is tuple and isinstance(data, list):
            return _structured(choice, data)
    return declaration.from_data(data)
