"""The state of a network: named arrays that belong to no device."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from biosnn.errors import DataError

#: The number of samples learned so far, which is part of every state.
SEEN = "protocol.seen"
_MOST_ROWS = 30


class State(Mapping[str, np.ndarray]):
    """Named arrays ``population.variable`` and ``projection.variable`` in SI units.

    Neuron variables have shape ``(n,)``. Weights of all-to-all and one-to-one projections and of
    index lists have shape ``(n_synapses,)`` in the order (pre, post); :meth:`weights` gives
    the matrix. Times are relative to the boundary between two samples. ``protocol.seen`` is the
    number of samples learned so far, on which learning schedules depend.

    Parameters
    ----------
    arrays : mapping of str to array_like
        The values. They are copied and made read-only.
    shapes : mapping of str to (int, int), optional
        Names of weights that are full matrices -> their shape (pre, post).
    units : mapping of str to str, optional
        SI units of the variables, for which new values are checked.
    infinite : iterable of str, optional
        Names of variables whose values may be infinite, such as times of spikes that did not come.
    """

    def __init__(
        self,
        arrays: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, int]] | None = None,
        units: Mapping[str, str] | None = None,
        infinite: Iterable[str] = (),
    ):
        self._arrays = {}
        for name, values in arrays.items():
            array = np.array(values)
            array.setflags(write=False)
            self._arrays[name] = array
        self.shapes = dict(shapes or {})
        self.units = dict(units or {})
        self.infinite = frozenset(infinite)

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self._arrays[name]
        except KeyError:
            raise DataError(
                f"the state has no {name!r}; it has {', '.join(sorted(self._arrays))}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        """Names, shapes, units and bytes of the arrays."""
        rows = [
            (name, shape_of(array), self.units.get(name, ""), bytes_of(array.nbytes))
            for name, array in sorted(self._arrays.items())
        ]
        total = bytes_of(sum(array.nbytes for array in self._arrays.values()))
        seen = f" after {self.samples_seen} samples" if SEEN in self else ""
        return "\n".join([f"State{seen}, {total}", *aligned(rows)])

    def weights(self, projection: str) -> np.ndarray:
        """Weight matrix of a full projection, shape (pre, post)."""
        name = f"{projection}.w"
        if name not in self.shapes:
            full = ", ".join(key.removesuffix(".w") for key in sorted(self.shapes))
            raise DataError(
                f"{projection!r} is not a full projection of this state (those are: {full})"
            )
        return self[name].reshape(self.shapes[name])

    @property
    def samples_seen(self) -> int:
        """Number of samples learned so far."""
        return int(self[SEEN][0])

    def updated(self, changes: Mapping[str, Any]) -> State:
        """Return a state with some arrays replaced.

        Parameters
        ----------
        changes : mapping of str to array_like or Quantity
            One value for all, or an array of the present shape. Variables of full projections
            may also be matrices of shape (pre, post). Numbers are in SI units.

        Raises
        ------
        DataError
            If a name is unknown, a shape, type or unit does not fit, or a value is not finite.
        """
        if not isinstance(changes, Mapping):
            raise DataError(f"state.updated takes a dict of arrays, got {type(changes).__name__}")
        arrays = dict(self._arrays)
        for name, values in changes.items():
            arrays[name] = self._fitting(name, values)
        return State(arrays, self.shapes, self.units, self.infinite)

    def _fitting(self, name: str, values: Any) -> np.ndarray:
        """New values of a variable in the shape and type of its present ones."""
        present, where = self[name], f"state[{name!r}]"
        unit = unit_of(values)
        known = self.units.get(name, "")
        if unit is not None and unit != known:
            raise DataError(
                f"{where} must be in {known or 'plain numbers'}, got values in "
                f"{unit or 'plain numbers'}"
            )
        given = np.asarray(values)
        if given.dtype.kind not in "fiub":
            raise DataError(f"{where} must be numbers, got {given.dtype}")
        full = self.shapes.get(name)
        if given.ndim and given.shape not in (present.shape, full):
            wanted = f"shape {present.shape} in the order (pre, post), or " if full else "shape "
            raise DataError(f"{where} must have {wanted}{full or present.shape}, got {given.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            new = np.broadcast_to(given.reshape(-1) if given.ndim else given, present.shape)
            new = new.astype(present.dtype)
        if np.isnan(new).any() or np.isnan(given).any():
            raise DataError(f"{where} must be finite, got NaN")
        endless = name in self.infinite or np.isinf(present).any()
        if np.isinf(new).any() and not endless:
            raise DataError(f"{where} must be finite, got infinity")
        if present.dtype.kind in "iub" and (new != given.reshape(-1)).any():
            kind = "True or False" if present.dtype.kind == "b" else "whole numbers"
            raise DataError(f"{where} must be {kind}, got {given}")
        return new

    def transferred(self, other: Mapping[str, np.ndarray]) -> State:
        """Return this state with the arrays that ``other`` has in the same name and size.

        Raises
        ------
        DataError
            If a matrix of this size has another shape.
        """
        shapes = other.shapes if isinstance(other, State) else {}
        shared = {}
        for name in self:
            if name in other and np.size(other[name]) == self[name].size:
                values = np.asarray(other[name])
                matrix = name in self.shapes and name in shapes
                shared[name] = values.reshape(shapes[name]) if matrix else values
        return self.updated(shared)

    def checksum(self) -> int:
        """CRC-32 over names, types and bytes: equal for bit-identical states."""
        value = 0
        for name in sorted(self._arrays):
            array = np.ascontiguousarray(self._arrays[name])
            value = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
            value = zlib.crc32(array.tobytes(), value)
        return value


def shape_of(array: np.ndarray) -> str:
    """Type and shape, such as ``"float64 [60, 100]"``."""
    return f"{array.dtype} [{', '.join(map(str, array.shape))}]"


def bytes_of(n: int) -> str:
    """A number of bytes as text, such as ``"1.5 MiB"``."""
    if n < 2**10:
        return f"{n} B"
    return f"{n / 2**10:.3g} KiB" if n < 1000 * 2**10 else f"{n / 2**20:,.1f} MiB"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of aligned columns; where there are many, the first ones."""
    shown = rows[:_MOST_ROWS]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
    more = len(rows) - len(shown)
    return lines + ([f"  and {more} more"] if more else [])


def unit_of(values: Any) -> str | None:
    """SI unit of a Brian2 quantity, empty if it is a plain number; None of what has no unit."""
    dimension = getattr(values, "dim", None)
    if dimension is None or not hasattr(dimension, "is_dimensionless"):
        return None
    return unit_name(dimension)


def unit_name(dimension: Any) -> str:
    """SI unit of Brian2's dimensions, empty for plain numbers."""
    from brian2 import get_unit  # whoever has dimensions has Brian2

    return "" if dimension.is_dimensionless else str(get_unit(dimension))


def normalised(weights: np.ndarray, total: float, p: int) -> np.ndarray:
    """Weights [pre, post] whose columns have the p-norm ``total``; zero columns stay zero."""
    norms = np.linalg.norm(weights, ord=p, axis=0)
    return weights * np.divide(total, norms, out=np.zeros_like(norms), where=norms > 0)


@attrs.frozen(kw_only=True)
class Draw:
    """Random initial values of one variable, as plain numbers.

    Parameters
    ----------
    kind : {"uniform", "normal"}
        The distribution.
    first, second : float
        Its bounds, or its mean and standard deviation, in SI units.
    size : int
        How many values.
    shape : (int, int), optional
        Of weights [pre, post] whose columns are normalised.
    total, p : float, int
        The norm that the columns get, and which one.
    """

    kind: str
    first: float
    second: float
    size: int
    shape: tuple[int, int] | None = None
    total: float = 0.0
    p: int = 1

    def sample(self, seed: int, name: str) -> np.ndarray:
        """Draw the values of the variable called ``name``: they depend on nothing else."""
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        draw = rng.uniform if self.kind == "uniform" else rng.normal
        values = draw(self.first, self.second, (self.size,))
        if self.shape is None:
            return values
        return normalised(values.reshape(self.shape), self.total, self.p).ravel()
