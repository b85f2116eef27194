"""Address events of labelled samples: what networks with an input of ``kind="events"`` take.

`EventSplit` holds them; the functions below it make other splits of it, one step each: fewer
pixels, one polarity, a shorter time, frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from biosnn.datasets.arrays import ArraySplit
from biosnn.datasets.parts import as_labels, checked_choice
from biosnn.errors import DataError, ParameterError
from biosnn.state import unit_of
from biosnn.validation import (
    check_choice,
    check_flag,
    check_instance,
    check_shape,
    check_value,
    check_whole,
)

#: Most bytes of the frames that `to_frames` makes.
MOST_BYTES = 2**31
_SLACK = 1e-6  # of a frame, by which times on the border of two count to the later one
_NEAR = 1e-9  # of the end of a cut, within which times lie on its borders: rounding makes it less


def _integers(name: str) -> Callable[[ArrayLike], NDArray[np.int32]]:
    def convert(values: ArrayLike) -> NDArray[np.int32]:
        array = np.asarray(values)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise DataError(
                f"EventSplit.{name} must be an integer array [n_events], got {array.dtype} "
                f"{list(array.shape)}"
            )
        if array.size and not 0 <= array.min() <= array.max() < 2**31:
            raise DataError(
                f"EventSplit.{name} must be from 0 to {2**31 - 1}, got {array.min()} to "
                f"{array.max()}"
            )
        return array.astype(np.int32, copy=False)

    return convert


def _seconds(values: Any) -> NDArray[np.float64]:
    if unit_of(values) not in (None, "s"):
        raise DataError(f"EventSplit.time must be in s, got values in {unit_of(values) or '1'}")
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "fiu"):
        raise DataError(
            f"EventSplit.time must be an array of numbers [n_events], in s, got {array.dtype} "
            f"{list(array.shape)}"
        )
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        raise DataError(
            f"EventSplit.time must be finite and >= 0 s, got {array[bad][0]} at {bad.argmax()}; "
            "count from the beginning of each sample"
        )
    return array.astype(np.float64, copy=False)


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    wanted = "(channels,), (height, width) or (polarities, height, width)"
    return check_shape("EventSplit", "shape", shape, wanted, (1, 2, 3))


@attrs.frozen(eq=False)
class EventSplit:
    """Address events of labelled samples, in a fixed order.

    Parameters
    ----------
    sample, unit : int array [n_events]
        Number of the sample, from 0, and address of the event: an index into `shape`, whose last
        axis runs fastest.
    time : array [n_events]
        In seconds (numbers, or a Quantity), >= 0, from the beginning of the sample.
    labels : int array [n]
        Class of each sample, kept as int64; -1 where it is not known. Samples may have no event.
    shape : tuple of int
        Of the addresses: (channels,), (height, width) or (2, height, width), of which 0 is OFF
        (darker) and 1 is ON.

    Notes
    -----
    Events are kept in the order of samples, times and units. A run takes
    ``split.address_events("name of the input")``.

    Raises
    ------
    DataError
        If arrays have other types or lengths, or a value is out of its bounds.
    """

    sample: NDArray[np.int32] = attrs.field(converter=_integers("sample"), repr=False)
    unit: NDArray[np.int32] = attrs.field(converter=_integers("unit"), repr=False)
    time: NDArray[np.float64] = attrs.field(converter=_seconds, repr=False)
    labels: NDArray[np.int64] = attrs.field(converter=as_labels("EventSplit"), repr=False)
    shape: tuple[int, ...] = attrs.field(converter=_checked_shape)

    def __attrs_post_init__(self) -> None:
        lengths = [len(self.sample), len(self.unit), len(self.time)]
        if len(set(lengths)) > 1:
            raise DataError(f"EventSplit.sample, unit and time must have one length, got {lengths}")
        if not len(self.labels):
            raise DataError("EventSplit.labels must have one label or more, got none")
        bounds = (("sample", len(self.labels), "label"), ("unit", self.n_units, "address"))
        for name, bound, what in bounds:
            if lengths[0] and (most := int(getattr(self, name).max())) >= bound:
                raise DataError(
                    f"EventSplit.{name} must be in [0, {bound}), one for each {what}, got {most}"
                )
        ordered = np.diff(self.sample) > 0
        ordered |= (np.diff(self.sample) == 0) & (np.diff(self.time) >= 0)
        if not ordered.all():
            order = np.lexsort((self.unit, self.time, self.sample))
            for name in ("sample", "unit", "time"):
                object.__setattr__(self, name, getattr(self, name)[order])

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    @property
    def n_units(self) -> int:
        """Number of addresses: the features of the input that takes the events."""
        return math.prod(self.shape)

    @property
    def n_events(self) -> NDArray[np.int64]:
        """Number of events of each sample, [n]."""
        return np.bincount(self.sample, minlength=len(self))

    @property
    def duration(self) -> Any:
        """Time of the last event of all, as a Quantity; 0 s where there is none."""
        from brian2 import second

        return float(self.time.max(initial=0.0)) * second

    def take(self, n: int) -> EventSplit:
        """Return the first `n` samples.

        Raises
        ------
        ParameterError
            If `n` is below 1 or above the number of samples.
        """
        return self.pick(np.arange(check_whole("EventSplit.take", "n", n, 1, len(self))))

    def pick(self, chosen: ArrayLike) -> EventSplit:
        """Return some of the samples: by their indices, in that order, or by a mask.

        Raises
        ------
        ParameterError
            If nothing is chosen, or a sample that is not there.
        """
        rows = checked_choice("EventSplit.pick", chosen, len(self))
        starts = np.searchsorted(self.sample, np.arange(len(self) + 1))
        counts = np.diff(starts)[rows]
        ends = np.cumsum(counts)
        at = np.arange(ends[-1]) + np.repeat(starts[rows] - (ends - counts), counts)
        sample = np.repeat(np.arange(len(rows)), counts)
        return EventSplit(sample, self.unit[at], self.time[at], self.labels[rows], self.shape)

    def address_events(self, name: str = "events") -> dict[str, Any]:
        """Return the samples as a run takes them, for an input of ``kind="events"``.

        Parameters
        ----------
        name : str
            Of the input.

        Returns
        -------
        dict
            Name of the input: arrays ``(sample, unit, time)``, times in seconds since the onset;
            ``"n_samples"``: how many samples there are.
        """
        check_instance("EventSplit.address_events", "name", name, str)
        return {name: (self.sample, self.unit, self.time), "n_samples": len(self)}

    def counts(self) -> NDArray[np.float32]:
        """Return the number of events of each unit in each sample, float32 [n, n_units]."""
        _check_bytes("EventSplit.counts", len(self), self.n_units)
        at = self.sample.astype(np.int64) * self.n_units + self.unit
        found = np.bincount(at, minlength=len(self) * self.n_units)
        return found.astype(np.float32).reshape(len(self), self.n_units)


def _check_bytes(where: str, *shape: int) -> None:
    if (needed := 4 * math.prod(shape)) > MOST_BYTES:
        raise DataError(
            f"{where}: an array {list(shape)} takes {needed} bytes, and at most {MOST_BYTES} are "
            "made; pool the addresses, take longer frames, or take(n) fewer samples at a time"
        )


def _kept(events: EventSplit, mask: NDArray[np.bool_], **changes: Any) -> EventSplit:
    kept = {name: getattr(events, name)[mask] for name in ("sample", "unit", "time")}
    return attrs.evolve(events, **(kept | changes))


def pool(events: EventSplit, factor: int) -> EventSplit:
    """Join the addresses of blocks of pixels, or of neighbouring channels: sampling in space.

    All events stay; two of a block in one time step of a network are one spike there.

    Parameters
    ----------
    events : EventSplit
        The samples.
    factor : int
        Side of a block in pixels, or number of channels, >= 1. The last blocks are smaller where
        it does not divide height, width or the number of channels.

    Returns
    -------
    EventSplit
        With a smaller `shape`; polarities stay apart.
    """
    check_instance("pool", "events", events, EventSplit)
    check_whole("pool", "factor", factor, 1)
    index = list(np.unravel_index(events.unit, events.shape))
    shape = list(events.shape)
    for axis in range(len(shape))[-2:]:
        index[axis] //= factor
        shape[axis] = -(-shape[axis] // factor)
    unit = np.ravel_multi_index(index, shape)
    return attrs.evolve(events, unit=unit, shape=tuple(shape))


def select_polarity(events: EventSplit, keep: str) -> EventSplit:
    """Keep one polarity of a camera's events, or take both as the same.

    Parameters
    ----------
    events : EventSplit
        The samples, of shape (2, height, width).
    keep : {"on", "off", "both"}
        Events of brighter pixels, of darker pixels, or all, whose polarity is then forgotten.

    Returns
    -------
    EventSplit
        Of shape (height, width).

    Raises
    ------
    DataError
        If the events have no polarity.
    """
    check_instance("select_polarity", "events", events, EventSplit)
    check_choice("select_polarity", "keep", keep, ("on", "off", "both"))
    if len(events.shape) != 3 or events.shape[0] != 2:
        raise DataError(
            f"select_polarity: events must have the shape (2, height, width), got {events.shape}"
        )
    polarity, place = np.divmod(events.unit, events.shape[1] * events.shape[2])
    mask = np.full(len(place), True) if keep == "both" else polarity == (keep == "on")
    return _kept(events, mask, unit=place[mask], shape=events.shape[1:])


def crop_time(events: EventSplit, stop: Any, start: Any = None) -> EventSplit:
    """Keep the events from `start` to before `stop`, times counted from `start`.

    Times that differ from a border by less than a billionth of `stop` lie on it.

    Parameters
    ----------
    events : EventSplit
        The samples.
    stop : Quantity
        In s, > `start`. The duration of a presentation, for a network.
    start : Quantity, optional
        In s, >= 0; by default the beginning.

    Returns
    -------
    EventSplit
        As many samples, some perhaps without events.
    """
    from brian2 import ms

    check_instance("crop_time", "events", events, EventSplit)
    start = 0 * ms if start is None else start
    check_value("crop_time", "start", start, ms, ">= 0")
    check_value("crop_time", "stop", stop, ms, "> 0")
    first, last = float(start), float(stop)
    if last <= first:
        raise ParameterError("crop_time", "stop", stop, f"> start, {start}")
    near = _NEAR * last
    mask = (events.time >= first - near) & (events.time < last - near)
    return _kept(events, mask, time=np.maximum(events.time[mask] - first, 0.0))


def to_frames(events: EventSplit, frame: Any, *, duration: Any, binary: bool = False) -> ArraySplit:
    """Count the events in frames of equal length: sequences ``[n, T, *shape]``.

    Frames of a network's time step, with ``binary=True``, are the spike trains of its input.

    Parameters
    ----------
    events : EventSplit
        The samples.
    frame : Quantity
        Length of a frame, in s.
    duration : Quantity
        Of the sequences; T is this by `frame`, rounded up. No event may come later.
    binary : bool
        1 where there is any event, in place of their number.

    Returns
    -------
    ArraySplit
        Of float32; `ArraySplit.frames` has them as ``[n, T, features]``, as an input of
        ``kind="sequence"`` takes them, and ``.frames().swapaxes(0, 1)`` as torch modules do.

    Raises
    ------
    DataError
        If an event comes after `duration`, or the frames take more than 2 GiB.
    """
    from brian2 import ms

    check_instance("to_frames", "events", events, EventSplit)
    check_value("to_frames", "frame", frame, ms, "> 0")
    check_value("to_frames", "duration", duration, ms, "> 0")
    check_flag("to_frames", "binary", binary)
    steps = float(duration) / float(frame)
    n_frames = math.ceil(steps - _SLACK)
    at = np.floor(events.time / float(frame) + _SLACK)
    if len(at) and at.max() >= n_frames:
        raise DataError(
            f"to_frames: events must come before duration = {duration}, got one at "
            f"{events.duration}; leave out later ones by crop_time(events, {duration})"
        )
    _check_bytes("to_frames", len(events), n_frames, events.n_units)
    at = (events.sample * np.int64(n_frames) + at.astype(np.int64)) * events.n_units + events.unit
    shape = (len(events), n_frames, *events.shape)
    if binary:
        counts = np.zeros(math.prod(shape), np.float32)
        counts[at] = 1
    else:
        counts = np.bincount(at, minlength=math.prod(shape)).astype(np.float32)
    return ArraySplit(counts.reshape(shape), events.labels)


def joined(parts: Sequence[tuple[NDArray, NDArray]], labels: ArrayLike, shape: Any) -> EventSplit:
    """Put the events of single samples, ``(unit, time)`` each, into one split."""
    counts = [len(unit) for unit, _ in parts]
    return EventSplit(
        np.repeat(np.arange(len(parts)), counts),
        np.concatenate([unit for unit, _ in parts]) if parts else np.zeros(0, int),
        np.concatenate([time for _, time in parts]) if parts else np.zeros(0),
        labels,
        shape,
    )
