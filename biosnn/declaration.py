"""Declarations as plain data, for the hashes of the build cache and for model files.

Every frozen spec of biosnn registers itself with :func:`declared`. :func:`to_data` turns a tree
of specs, quantities and arrays into JSON types, :func:`from_data` turns it back. Nothing is
executed on the way: the only classes that can come out are the registered ones, whose texts
pass ``biosnn.code_gate``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import Quantity, get_or_create_dimension

from biosnn.errors import StorageError

_NUMBERS = frozenset({
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64",
})  # fmt: skip

#: Deepest nesting of declared data, and longest text in it.
MAX_DEPTH, MAX_TEXT = 32, 100_000

_REGISTRY: dict[str, type] = {}


def declared[T: type](cls: T) -> T:
    """Register an attrs class as part of declarations (a class decorator)."""
    _REGISTRY[cls.__name__] = cls
    return cls


def is_declared(value: Any) -> bool:
    """Whether a value's class is registered, so that it can be written down."""
    return _REGISTRY.get(type(value).__name__) is type(value)


def to_data(value: Any) -> Any:
    """Turn a spec, quantity, array or container into JSON types.

    Parameters
    ----------
    value : object
        A registered spec, `Quantity`, NumPy array or scalar, or a container of them.

    Returns
    -------
    object
        Nested dicts, lists, strings, numbers and ``None``; quantities are in SI units.

    Raises
    ------
    StorageError
        If something in it cannot be declared, such as a Python function.
    """
    if isinstance(value, Quantity):
        return {
            "$quantity": np.asarray(value, dtype=float).tolist(),
            # Powers of units have exponents of NumPy's types.
            "dim": [int(d) if int(d) == d else float(d) for d in value.dim._dims],
        }
    if isinstance(value, np.ndarray):
        return {"$array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): to_data(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_data(item) for item in value]
    if is_declared(value):
        fields = {f.name: to_data(getattr(value, f.name)) for f in attrs.fields(type(value))}
        return {"$spec": type(value).__name__, **fields}
    raise StorageError(
        f"a declaration cannot hold {value!r} of type {type(value).__name__}; "
        "use equations, numbers, quantities and arrays"
    )


def from_data(data: Any) -> Any:
    """Turn what :func:`to_data` returned back into specs, quantities and arrays.

    Raises
    ------
    StorageError
        If the data name a class that is not a biosnn spec or fields that it does not have, lack
        something, or are nested deeper or hold longer texts than any declaration.
    ParameterError
        If a spec refuses what it is given.
    """
    return _from_data(data, 0)


def _from_data(data: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise StorageError(f"a declaration is nested more than {MAX_DEPTH} deep: it is damaged")
    if isinstance(data, str) and len(data) > MAX_TEXT:
        raise StorageError(f"a text in a declaration is longer than {MAX_TEXT} characters")
    if isinstance(data, list):
        return tuple(_from_data(item, depth + 1) for item in data)
    if not isinstance(data, dict):
        return data
    if "$quantity" in data or "$array" in data:
        return _numbers(data)
    items = {key: _from_data(item, depth + 1) for key, item in data.items() if key != "$spec"}
    if "$spec" not in data:
        return items
    cls = _REGISTRY.get(str(data["$spec"]))
    if cls is None:
        kind = str(data["$spec"])[:80]
        raise StorageError(f"unknown kind of declaration {kind!r}: not a biosnn spec")
    known = {field.name for field in attrs.fields(cls)}
    if set(items) - known:
        raise StorageError(
            f"{data['$spec']} has no field {sorted(set(items) - known)}: "
            "the file was written by another version of biosnn"
        )
    needed = {field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    if needed - set(items):
        raise StorageError(
            f"{data['$spec']} lacks the field {sorted(needed - set(items))}: the file is damaged "
            "or was written by another version of biosnn"
        )
    return cls(**items)


def _numbers(data: dict[str, Any]) -> Any:
    """A quantity or an array."""
    try:
        if "$array" in data:
            if data["dtype"] not in _NUMBERS:
                raise TypeError(f"{str(data['dtype'])[:80]!r} is no type of numbers")
            return np.asarray(data["$array"], dtype=data["dtype"])
        powers = data["dim"]
        if len(powers) != 7 or not all(abs(power) <= 100 for power in powers):
            raise ValueError("a unit has seven powers of at most 100")
        values = np.asarray(data["$quantity"], dtype=float)
        return Quantity(values, dim=get_or_create_dimension(powers))
    except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise StorageError(f"damaged quantity or array in a declaration: {error!r}") from error


def fingerprint(*parts: Any) -> str:
    """SHA-256 (hex) of declarations and plain values, independent of process and platform.

    The order of populations, projections and all else that has names is part of them.
    """
    text = json.dumps([to_data(part) for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()
