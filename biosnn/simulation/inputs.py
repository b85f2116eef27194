"""Samples on their way into a network: checked, and handed out chunk by chunk.

Arrays and memory-mapped arrays are looked through block by block before a run begins, streams as
they come. Nobody ever holds more than a chunk of converted samples.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from biosnn.devices.base.contract import AddressEvents, Chunk, Stop
from biosnn.errors import DataError
from biosnn.program.interface import Interface
from biosnn.simulation.input_checks import (
    checked_block,
    checked_events,
    checked_rates,
    checked_shape,
)

_BLOCK_BYTES = 16 * 2**20


def source_of(interface: Interface, samples: Any) -> ArraySource | StreamSource:
    """Make a source of samples from what a user gave to a run.

    Raises
    ------
    DataError
        Naming the input and what is wrong with it.
    """
    array_like = isinstance(samples, Mapping | list | tuple) or hasattr(samples, "__array__")
    if array_like or not isinstance(samples, Iterable) or hasattr(samples, "shape"):
        return ArraySource(interface, samples)
    return StreamSource(interface, samples)


def _by_port(interface: Interface, samples: Any) -> tuple[dict[str, Any], int | None]:
    """Port -> what was given for it, and the number of samples if that was given."""
    required = [name for name, port in interface.ports.items() if not port.optional]
    if not isinstance(samples, Mapping):
        if len(required) != 1:
            raise DataError(
                f"run: {interface.name} has the inputs {', '.join(interface.ports)}; give a dict"
            )
        samples = {required[0]: samples}
    given = {key: value for key, value in samples.items() if key != "n_samples"}
    for name in given:
        if name not in interface.ports:
            raise DataError(
                f"run: {interface.name} has no input {name!r}, only {', '.join(interface.ports)}"
            )
    for name in required:
        if given.get(name) is None:
            raise DataError(f"run: the samples for input {name!r} are missing")
    n = samples.get("n_samples")
    if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
        raise DataError(f"run: 'n_samples' must be a whole number > 0, got {n!r}")
    return {k: v for k, v in given.items() if v is not None}, None if n is None else int(n)


class ArraySource:
    """Samples in arrays: of known number, and at any place at once.

    Parameters
    ----------
    interface : Interface
        Of the network.
    samples : array_like or mapping
        What the user gave; arrays may be memory-mapped or of any kind that has a shape and can
        be cut into slices.
    """

    def __init__(self, interface: Interface, samples: Any):
        self._interface = interface
        given, n = _by_port(interface, samples)
        self._values: dict[str, Any] = {}
        lengths = {}
        for name, values in given.items():
            port = interface.ports[name]
            if port.kind == "events":
                self._values[name], lengths[name] = checked_events(interface, name, values)
            else:
                array = values if hasattr(values, "shape") else _as_array(name, values)
                if np.ma.is_masked(array):
                    raise DataError(
                        f"run: samples of {name!r} must not have masked values; fill them first"
                    )
                if name == "intensity" and len(array.shape) == 1:
                    array = np.asarray(array)[:, None]
                checked_shape(interface, name, array)
                self._values[name], lengths[name] = array, int(array.shape[0])
        self.n: int = int(max(lengths.values(), default=0) if n is None else n)
        for name, length in lengths.items():
            fits = length <= self.n
            if interface.ports[name].kind != "events":
                fits = length == self.n
            if not fits:
                raise DataError(f"run: input {name!r} has {length} samples, expected {self.n}")
        if self.n < 1:
            raise DataError("run: samples must not be empty")

    @property
    def sample_bytes(self) -> int:
        """Bytes of a converted sample."""
        arrays = [v for v in self._values.values() if not isinstance(v, AddressEvents)]
        widest = 4 if self._interface.precision == "single" else 8
        return widest * sum(int(np.prod(v.shape[1:])) for v in arrays) or widest

    def _blocks(self) -> Iterator[tuple[int, Chunk]]:
        rows = max(_BLOCK_BYTES // self.sample_bytes, 1)
        for first in range(0, self.n, rows):
            yield first, self.chunk(first, min(first + rows, self.n))

    def check(self) -> None:
        """Look through all values.

        Raises
        ------
        DataError
            Naming the first value that cannot be, and where it is.
        """
        for _ in self._blocks():
            pass

    def checksums(self) -> dict[str, int]:
        """Look through all values as :meth:`check` does, and sum them up."""
        found: dict[str, int] = {}
        for first, chunk in self._blocks():
            found = checksums(chunk, first, found)
        return found

    def chunk(self, first: int, last: int, offset: int = 0) -> Chunk:
        """The samples from ``first`` to before ``last``; ``offset`` more came before them."""
        inputs: dict[str, Any] = dict.fromkeys(self._interface.ports)
        for name, values in self._values.items():
            if isinstance(values, AddressEvents):
                inputs[name] = _events_between(values, first, last)
            else:
                inputs[name] = checked_block(
                    self._interface, name, values[first:last], first + offset
                )
        checked_rates(self._interface, inputs, first + offset)
        return Chunk(n=last - first, inputs=inputs)

    def part(self, first: int, last: int) -> ArraySource:
        """The samples from ``first`` to before ``last`` as a source of their own."""
        part = copy.copy(self)
        part.n = last - first
        part._values = {
            name: _events_between(values, first, last)
            if isinstance(values, AddressEvents)
            else values[first:last]
            for name, values in self._values.items()
        }
        return part

    def begin(self, position: int, known: dict[str, int]) -> Cursor:
        """Hand out samples from a place on; all of them were checked before."""
        return _ArrayCursor(self, position)


class Cursor(Protocol):
    """Hands out chunk after chunk."""

    def take(self, n: int, stop: Stop | None = None) -> Chunk | None:
        """At most ``n`` samples; fewer or nothing at the end, or if a stop is asked for."""
        ...


class _ArrayCursor:
    def __init__(self, source: ArraySource, position: int):
        self._source, self._position = source, position

    def take(self, n: int, stop: Stop | None = None) -> Chunk | None:
        first, last = self._position, min(self._position + n, self._source.n)
        self._position = last
        return self._source.chunk(first, last) if last > first else None


class StreamSource:
    """Samples from an iterable: one by one or in batches, of unknown number.

    Parameters
    ----------
    interface : Interface
        Of the network.
    samples : iterable
        Of arrays or dicts; each is a sample, (features,) or (T, features), or a batch of them
        with one more dimension in front.
    """

    n = None

    def __init__(self, interface: Interface, samples: Iterable[Any]):
        self._interface = interface
        self._samples = samples

    @property
    def sample_bytes(self) -> int:
        """Bytes of a converted sample at most."""
        ports = [p for p in self._interface.ports.values() if p.kind != "events"]
        widest = 4 if self._interface.precision == "single" else 8
        return widest * sum(port.features * max(port.most_frames, 1) for port in ports) or widest

    def begin(self, position: int, known: dict[str, int]) -> Cursor:
        """Hand out samples from a place on; what comes before is passed over.

        Parameters
        ----------
        position : int
            Number of samples that come before.
        known : dict
            Their checksums.

        Raises
        ------
        DataError
            If there are fewer, or others.
        """
        cursor = _StreamCursor(self._interface, iter(self._samples))
        left = position
        found: dict[str, int] = {}
        while left > 0:
            passed = cursor.take(min(left, 1024))
            if passed is None:
                raise DataError(
                    f"run: the stream of samples ends {left} samples before the place where "
                    "the interrupted run stopped; give the same samples"
                )
            found = checksums(passed, position - left, found)
            left -= passed.n
        if found != known:
            raise DataError(
                f"run: the first {position} samples of the stream must be those of the interrupted "
                "run, got others; give the same samples"
            )
        return cursor


class _StreamCursor:
    def __init__(self, interface: Interface, items: Iterator[Any]):
        self._interface, self._items = interface, items
        self._held: list[Chunk] = []
        self._first: Chunk | None = None
        self._seen = 0

    def take(self, n: int, stop: Stop | None = None) -> Chunk | None:
        held = sum(chunk.n for chunk in self._held)
        while held < n and not (stop is not None and stop.requested):
            if (item := next(self._items, None)) is None:
                break
            self._held.append(self._checked(item))
            held += self._held[-1].n
        if not self._held:
            return None
        whole = _joined(self._held)
        self._held = [] if whole.n <= n else [cut(whole, n, whole.n)]
        return cut(whole, 0, min(n, whole.n))

    def _checked(self, item: Any) -> Chunk:
        if not isinstance(item, Mapping) and not hasattr(item, "__array__"):
            raise DataError(
                f"run: a stream of samples must give arrays or dicts, got a {type(item).__name__}; "
                "take the images out of pairs: (x for x, y in loader)"
            )
        given, n = _by_port(self._interface, item)
        batched = dict(given)
        for name, values in given.items():
            port = self._interface.ports[name]
            if port.kind != "events":
                array = np.array(values)  # a copy: a generator may fill one buffer again and again
                single = 2 if port.kind == "sequence" else 1
                if name == "intensity":
                    array = array.reshape(-1, 1)
                batched[name] = array[None] if array.ndim == single else array
        if n is not None:
            batched["n_samples"] = n
        source = ArraySource(self._interface, batched)
        chunk = source.chunk(0, source.n, self._seen)
        if self._first is None:
            self._first = cut(chunk, 0, 1)
        if not _alike(self._first, chunk):
            raise DataError(
                f"run: sample {self._seen} of the stream has other inputs, frames or types than "
                "those before it; give the same ones for all"
            )
        self._seen += source.n
        return chunk


def _as_array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(
            f"run: samples of {name!r} must be arrays with rows of one length"
        ) from error


def checksums(chunk: Chunk, first: int, before: dict[str, int]) -> dict[str, int]:
    """CRC-32 of each input's samples, from that of those before; chunks do not matter.

    Parameters
    ----------
    chunk : Chunk
        The samples.
    first : int
        Index of the first of them.
    before : dict
        What this function returned for the chunk before.
    """
    found = dict(before)
    for name, values in chunk.inputs.items():
        if values is None:
            continue
        parts = {name: values}
        if isinstance(values, AddressEvents):
            place = values.sample.astype(np.int64) + first
            parts = {
                f"{name}.sample": place,
                f"{name}.step": values.step,
                f"{name}.unit": values.unit,
            }
        for key, part in parts.items():
            found[key] = zlib.crc32(np.ascontiguousarray(part).tobytes(), found.get(key, 0))
    return found


def _events_between(events: AddressEvents, first: int, last: int) -> AddressEvents:
    low, high = np.searchsorted(events.sample, [first, last])
    return AddressEvents(
        events.sample[low:high] - np.int32(first), events.step[low:high], events.unit[low:high]
    )


def cut(chunk: Chunk, first: int, last: int) -> Chunk:
    """The samples of a chunk from ``first`` to before ``last``."""
    inputs = {
        name: _events_between(values, first, last)
        if isinstance(values, AddressEvents)
        else None
        if values is None
        else values[first:last]
        for name, values in chunk.inputs.items()
    }
    return Chunk(n=last - first, inputs=inputs)


def _alike(one: Chunk, other: Chunk) -> bool:
    return all(
        type(values) is type(other.inputs[name])
        and getattr(values, "shape", (0,))[1:] == getattr(other.inputs[name], "shape", (0,))[1:]
        and getattr(values, "dtype", None) == getattr(other.inputs[name], "dtype", None)
        for name, values in one.inputs.items()
    )


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    starts = np.cumsum([0, *(chunk.n for chunk in chunks)])
    inputs: dict[str, Any] = {}
    for name, values in chunks[0].inputs.items():
        parts = [chunk.inputs[name] for chunk in chunks]
        if isinstance(values, AddressEvents):
            inputs[name] = AddressEvents(
                np.concatenate(
                    [p.sample + np.int32(s) for p, s in zip(parts, starts[:-1], strict=True)]
                ),
                np.concatenate([part.step for part in parts]),
                np.concatenate([part.unit for part in parts]),
            )
        else:
            inputs[name] = None if values is None else np.concatenate(parts)
    return Chunk(n=int(starts[-1]), inputs=inputs)
