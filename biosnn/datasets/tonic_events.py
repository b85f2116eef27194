"""Address events of datasets of tonic, and of structured arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from biosnn.datasets.addresses import check_number, units_of
from biosnn.datasets.events import EventSplit, joined
from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_shape, check_value, check_whole


def from_tonic(
    samples: Any,
    labels: ArrayLike | None = None,
    *,
    sensor_size: Sequence[int] | None = None,
    tick: Any = None,
    n: int | None = None,
) -> EventSplit:
    """Address events of a dataset of tonic, or of structured arrays as tonic's readers give them.

    Parameters
    ----------
    samples : dataset, sequence of arrays, or array
        A dataset of tonic, or anything that gives ``(events, label)`` for an index; or structured
        arrays with the fields ``t`` and ``x``, and perhaps ``y`` and ``p``: a list of one for
        each sample, or a single one.
    labels : int array [n], optional
        Of arrays. By default -1, not known.
    sensor_size : (width, height, polarities), optional
        As tonic has it; by default that of the dataset.
    tick : Quantity, optional
        What 1 means in ``t``; 1 us by default, as tonic has it.
    n : int, optional
        Read the first `n` samples only. Many datasets are ordered by class.

    Returns
    -------
    EventSplit
        Of shape (polarities, height, width); (height, width) where there is one polarity,
        (width,) where the height is 1 as well.

    Raises
    ------
    DataError
        If events lack a field, or a value is out of its bounds, with the number of the sample.
    ParameterError
        If `sensor_size` is missing or no such thing, or a setting is out of its bounds.

    Notes
    -----
    Tonic: Lenz et al. (2021), doi:10.5281/zenodo.5079802. Its dataset downloads what is missing
    when it is made, before this function sees it.
    """
    from brian2 import us

    where = "from_tonic"
    tick = 1 * us if tick is None else tick
    check_value(where, "tick", tick, us, "> 0")
    if isinstance(samples, np.ndarray) and samples.dtype.names:
        samples = [samples]
    if sensor_size is None:
        sensor_size = getattr(samples, "sensor_size", None)
        if sensor_size is None:
            wanted, remedy = "(width, height, polarities)", "Give sensor_size=(34, 34, 2), say"
            raise ParameterError(where, "sensor_size", None, wanted, remedy)
    wanted = "(width, height, polarities), whole numbers > 0"
    width, height, n_polarities = check_shape(where, "sensor_size", sensor_size, wanted, (3,))
    if not hasattr(samples, "__len__") or not hasattr(samples, "__getitem__"):
        wanted = "a dataset of tonic, or structured arrays of events"
        raise ParameterError(where, "samples", type(samples).__name__, wanted)
    most = len(samples)
    if not most:
        raise ParameterError(where, "samples", "none", "one sample or more")
    n = most if n is None else check_whole(where, "n", n, 1, most)
    if labels is not None:
        given = np.atleast_1d(labels)
        if len(given) != most:
            raise ParameterError(where, "labels", f"{len(given)} labels", f"{most}, one a sample")
        labels = given[:n]
    arrays, found, n_events = [], [], 0
    for number in range(n):
        item = samples[number]
        if isinstance(item, tuple) and len(item) == 2:
            item, label = item
            found.append(label)
        arrays.append(
            _structured(f"{where}: sample {number}", item, (n_polarities, height, width), tick)
        )
        n_events += len(arrays[-1][0])
        check_number(where, n_events)
    if labels is not None and found:
        wanted, remedy = "left out", "The dataset gives labels itself"
        raise ParameterError(where, "labels", "labels", wanted, remedy)
    if labels is None:
        labels = np.array(found) if found else np.full(len(arrays), -1)
    if found and len(found) < len(arrays):
        raise DataError(f"{where}: {len(arrays) - len(found)} samples have no label")
    shape = (n_polarities, height, width)
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return joined(arrays, labels, shape)


def _structured(
    where: str, events: Any, shape: tuple[int, int, int], tick: Any
) -> tuple[NDArray, NDArray]:
    names = getattr(getattr(events, "dtype", None), "names", None) or ()
    if not {"t", "x"} <= set(names):
        raise DataError(
            f"{where} must be a structured array with the fields t and x, got "
            f"{', '.join(names) or type(events).__name__}"
        )
    zeros = np.zeros(len(events), np.int64)
    x, y, p = (events[k] if k in names else zeros for k in "xyp")
    for name, values in (("x", x), ("y", y), ("p", p)):
        if values.dtype.kind not in "iub":
            raise DataError(f"{where}: {name} must be whole numbers, got {values.dtype}")
    if shape[0] == 1:  # tonic's datasets of sounds have the polarity 1 throughout
        p = zeros
    time = np.asarray(events["t"], dtype=float) * float(tick)
    bad = ~(np.isfinite(time) & (time >= 0))
    if bad.any():
        raise DataError(
            f"{where}: t must be finite and >= 0, got {events['t'][bad][0]} at event {bad.argmax()}"
        )
    return units_of(where, x, y, p, shape), time
