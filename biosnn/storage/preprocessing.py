"""From samples to what a model is shown: checks, preprocessing, and encoding outside a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import Quantity, get_unit, ms
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import normalize

from biosnn import datasets, validation
from biosnn.encoding import bernoulli_spikes, intensities, scale_norm
from biosnn.errors import DataError, ParameterError
from biosnn.models import parsed
from biosnn.networks import NetworkModel
from biosnn.validation import check_choice, check_mapping, check_value, check_whole

_STEPS = ("minmax", "levels", "scale_norm", "norm", "scale")
#: Steps of address events, as functions of :mod:`biosnn.datasets` have them.
_EVENT_STEPS = ("select_polarity", "pool", "crop_time")
_WHERE = "TrainedModel"
_UNIT = Quantity(1.0)
_BLOCK = 2**24  # draws of a block of encoded samples


@attrs.frozen(kw_only=True)
class Takes:
    """What a network is shown: the only input that a run needs.

    Attributes
    ----------
    name : str
        Of the input.
    title : str
        Of the network, for messages.
    kind : {"static", "sequence", "events"}
        Samples ``[n, features]``, sequences ``[n, frames, features]`` or address events
        ``(sample, unit, time)``.
    features : int
        Values of a sample or frame, or units that have events.
    frames : int
        Most frames of a sequence; 1 for other kinds.
    steps : int
        Time steps for which a sample is shown.
    dt : Quantity
        Time step.
    unit : Quantity
        Of the values; 1 if they have none.
    """

    name: str
    title: str
    kind: str
    features: int
    frames: int = 1
    steps: int = 1
    dt: Any = 1 * ms
    unit: Any = _UNIT


def takes_of(network: NetworkModel) -> Takes:
    """What a network is shown.

    Raises
    ------
    DataError
        If it needs several inputs or none, or one with several units.
    """
    found = {name: spec for name, spec in network.inputs.items() if not spec.optional}
    if len(found) != 1:
        listed = " and ".join(f"{name!r} ({spec.kind})" for name, spec in found.items())
        raise DataError(
            f"{network.name} takes {listed or 'nothing'}, and a sample of a TrainedModel is one "
            "required input; use simulation.compile(model.network, ...).run"
        )
    ((name, spec),) = found.items()
    frames = 1
    if spec.kind == "sequence":
        frames = max(1, math.floor(float(network.presentation.duration / spec.frame) + 1e-9))
    return Takes(
        name=name,
        title=network.name,
        kind=spec.kind,
        features=spec.features,
        frames=frames,
        steps=network.duration_steps,
        dt=network.dt,
        unit=_unit_of(network, name),
    )


def _unit_of(network: NetworkModel, name: str) -> Quantity:
    """Unit of the variables that an input sets: 1 if they have none."""
    units = {}
    for population in network.populations.values():
        equations = parsed("", population.model.equations)
        for variable, source in population.drives.items():
            if source == name and variable in equations:
                dim = equations[variable].dim
                units[repr(dim)] = get_unit(dim)
    if len(units) > 1:
        raise DataError(f"{network.name}: the input {name!r} sets variables of different units")
    return next(iter(units.values()), _UNIT)


# --- what is declared of samples


def check_steps(takes: Takes, steps: Mapping[str, Any], values: str, encoding: Any) -> None:
    """Check the steps of a model's preprocessing."""
    if takes.kind == "events" and encoding is None:
        _check_event_steps(steps)
        return
    for step, value in steps.items():
        named = f"preprocessing[{step!r}]"
        if step not in _STEPS:
            wanted = f"made of the steps {', '.join(_STEPS)}"
            raise ParameterError(_WHERE, "preprocessing", repr(step), wanted)
        if step == "minmax":
            _check_minmax(takes, value)
            if next(iter(steps)) != step or values != "numbers":
                wanted = 'first, and together with values="numbers": it is given plain numbers'
                raise ParameterError(_WHERE, named, f"after {[*steps]}, {values}", wanted)
            continue
        if step == "levels":
            check_whole(_WHERE, named, value, 1)
            continue
        if step in ("scale_norm", "norm") and takes.kind == "sequence":
            raise ParameterError(_WHERE, named, value, "left out for sequences")
        check_value(_WHERE, named, value, takes.unit if step == "scale" else 1.0, "> 0")


def _check_event_steps(steps: Mapping[str, Any]) -> None:
    for step, value in steps.items():
        named = f"preprocessing[{step!r}]"
        if step == "select_polarity":
            check_choice(_WHERE, named, value, ("on", "off", "both"))
        elif step == "pool":
            check_whole(_WHERE, named, value, 1)
        elif step == "crop_time":
            check_value(_WHERE, named, value, ms, "> 0")
        else:
            wanted = f"made of the steps {', '.join(_EVENT_STEPS)}, for address events"
            raise ParameterError(_WHERE, "preprocessing", repr(step), wanted)


def _check_minmax(takes: Takes, given: Any) -> None:
    named = "preprocessing['minmax']"
    check_mapping(_WHERE, named, given)
    wanted = "a dict of 'scale' and 'min', a finite number for each feature"
    if set(given) != {"scale", "min"}:
        raise ParameterError(_WHERE, named, f"a dict of {sorted(map(str, given))}", wanted)
    for key, row in given.items():
        array = np.asarray(row)
        numbers = array.dtype.kind in "iuf" and array.shape == (takes.features,)
        if not numbers or not np.isfinite(array).all():
            got = f"{key} of type {array.dtype} and shape {array.shape}"
            raise ParameterError(_WHERE, named, got, wanted)


def check_encoding(takes: Takes, encoding: str | None) -> None:
    """Check that spikes are drawn outside only for a network that takes events."""
    check_choice(_WHERE, "encoding", "" if encoding is None else encoding, ("", "bernoulli"))
    if encoding is not None and takes.kind != "events":
        wanted = f"None: {takes.title} is shown {takes.kind} values"
        raise ParameterError(_WHERE, "encoding", repr(encoding), wanted)


def check_scale(takes: Takes, steps: Mapping[str, Any]) -> None:
    """Check that an input with a unit has a scale in that unit."""
    if "scale" not in steps and not takes.unit.is_dimensionless:
        raise ParameterError(
            _WHERE,
            "preprocessing",
            dict(steps),
            f'one with a "scale" in {takes.unit}, because the input {takes.name!r} has that unit',
            "It is what a pixel of intensity 1 becomes: the factor that was used in training",
        )


def check_shape(takes: Takes, shape: Any) -> None:
    """Check a shape that was given for samples."""
    n = takes.features * takes.frames
    wanted = f"(height, width) or (height, width, channels) with {n} numbers"
    validation.check_shape(_WHERE, "shape", shape, wanted, (2, 3), n)


def image_shape(takes: Takes, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Height and width (and colours) of the images; a square where nothing was said.

    A sequence is an image whose rows are its frames.
    """
    if shape is not None:
        return tuple(shape)
    if takes.kind == "sequence":
        return takes.frames, takes.features
    side = math.isqrt(takes.features)
    if side * side != takes.features:
        raise DataError(
            f"{takes.title}: its input {takes.name!r} has {takes.features} features, which are no "
            "square image; make the TrainedModel with shape=(height, width) or (height, width, 3)"
        )
    return side, side


# --- samples


def prepared(
    takes: Takes,
    steps: Mapping[str, Any],
    values: str,
    samples: ArrayLike,
    shape: tuple[int, ...] | None = None,
) -> NDArray[np.floating[Any]]:
    """Check samples and preprocess them: (n, features), or (n, frames, features) of sequences.

    Images (n, height, width), perhaps with channels behind, must have the `shape` where there is
    one.
    """
    check_scale(takes, steps)
    sequence = takes.kind == "sequence"
    try:
        array = np.asarray(samples)
    except ValueError as error:
        raise DataError(f"classify: samples must be an array of numbers: {error}") from error
    if shape is not None and array.ndim > 2 and not sequence:
        one = (array.shape[1:], tuple(shape))
        found, wanted = (k[:2] if k[2:] == (1,) else k for k in one)
        if found != wanted:
            raise DataError(
                f"classify: {takes.title} is shown images of the shape {wanted}, got {found}; give "
                "images of this size, or rows of their pixels"
            )
    axes = ("n", "frames", "features") if sequence else ("n", "features", "width", "channels")
    axes = axes[: max(array.ndim, 3 if sequence else 2)]
    if values == "intensities":
        table = intensities(array, "classify", axes, "images")
    else:
        table = _numbers(array, axes)
    table = table.reshape(*table.shape[: 2 if sequence else 1], -1)
    if table.shape[-1] != takes.features or (sequence and table.shape[1] > takes.frames):
        frames = f"{takes.frames} frames at most, " if sequence else ""
        got = f"{table.shape[1]} of {table.shape[2]}" if sequence else table.shape[-1]
        raise DataError(
            f"classify: {takes.title} is shown samples of {frames}{takes.features} features, got "
            f"images of {got}; give the images that it was trained for"
        )
    for step, value in steps.items():
        if step == "scale_norm":
            table = scale_norm(table, value)
        elif step == "norm":
            table = value * np.asarray(normalize(table))
        elif step == "levels":
            table = np.divide(np.rint(value * table), value, dtype=np.float32)
        elif step == "minmax":
            # In the order in which scikit-learn's MinMaxScaler computes.
            table = np.clip(table * np.asarray(value["scale"]) + np.asarray(value["min"]), 0, 1)
        else:
            table = table.astype(np.float64) * float(value)
    return table


def _numbers(array: NDArray[Any], axes: tuple[str, ...]) -> NDArray[np.float64]:
    """Finite numbers with these axes, none of them empty."""
    if array.dtype.kind not in "iuf" or array.ndim != len(axes) or 0 in array.shape:
        wanted = f"numbers of shape ({', '.join(axes)}), none of them 0"
        raise DataError(f"classify: samples must be {wanted}, got {array.dtype} {array.shape}")
    found = array.astype(np.float64)
    if not np.isfinite(found).all():
        raise DataError("classify: samples must be finite, got NaN or infinity")
    return found


def drawn(
    takes: Takes, table: NDArray[np.floating[Any]], seed: int
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Spikes (n, T, features) of samples whose values are their probabilities, block by block.

    Sample ``k`` gets the spikes of ``(seed, k)``, whatever is shown besides.
    """
    if table.min() < 0 or table.max() > 1:
        got = f"{table.min():g} to {table.max():g}"
        raise DataError(
            f"classify: {takes.title} is shown spikes with the probabilities of the samples in "
            f"each step, which must be from 0 to 1, got {got}; check the model's preprocessing"
        )
    rows = max(1, _BLOCK // (takes.steps * takes.features))
    for first in range(0, len(table), rows):
        yield (
            first,
            bernoulli_spikes(
                table[first : first + rows],
                max_rate=1 / takes.dt,
                duration=takes.steps * takes.dt,
                dt=takes.dt,
                seed=seed,
                first_sample=first,
            ),
        )


def drawn_events(takes: Takes, table: NDArray[np.floating[Any]], seed: int) -> dict[str, Any]:
    """The same spikes as the address events that a run takes."""
    samples, units, times = [], [], []
    for first, spikes in drawn(takes, table, seed):
        sample, step, unit = np.nonzero(spikes)
        samples.append(sample + first)
        units.append(unit)
        times.append(step * float(takes.dt))
    events = tuple(np.concatenate(parts) for parts in (samples, units, times))
    return {takes.name: events, "n_samples": len(table)}


def given_events(takes: Takes, steps: Mapping[str, Any], samples: Any) -> dict[str, Any]:
    """Address events as a run takes them, of a split of them or of arrays as they are."""
    if isinstance(samples, datasets.EventSplit):
        for step, value in steps.items():
            samples = getattr(datasets, step)(samples, value)
        if samples.n_units != takes.features:
            raise DataError(
                f"classify: {takes.title} is shown events of {takes.features} units, got "
                f"{samples.n_units}, of the shape {samples.shape}; give events of the same sensor "
                "and preprocessing"
            )
        return samples.address_events(takes.name)
    if steps:
        wanted = "its preprocessing is for an EventSplit (biosnn.datasets)"
        raise DataError(f"classify: {takes.title} is shown address events, and {wanted}")
    if isinstance(samples, tuple) and len(samples) == 3:
        return {takes.name: samples}
    if isinstance(samples, Mapping) and takes.name in samples:
        return dict(samples)
    raise DataError(
        f"classify: {takes.title} is shown address events: give an EventSplit, a tuple (sample, "
        f'unit, time) of arrays, or a dict of {takes.name!r} -> this tuple and "n_samples" -> n'
    )
