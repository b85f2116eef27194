"""Preprocess images for a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Quantity, get_unit
from numpy.typing import ArrayLike, NDArray

from biosnn import validation
from biosnn.encoding import intensities, scale_norm
from biosnn.errors import DataError, ParameterError
from biosnn.models import parsed
from biosnn.networks import Input, NetworkModel
from biosnn.validation import check_value

_STEPS = ("scale_norm", "scale")
_WHERE = "TrainedModel"


def image_input(network: NetworkModel) -> tuple[str, Input]:
    """The input that takes images: the only one that a run needs."""
    found = {name: spec for name, spec in network.inputs.items() if not spec.optional}
    kinds = [spec.kind for spec in found.values()]
    if kinds != ["static"]:
        takes = " and ".join(f"{name!r} ({spec.kind})" for name, spec in found.items()) or "nothing"
        raise DataError(
            f"{network.name} takes {takes}, and an image is one static input; encode images and "
            "use simulation.compile(model.network, ...).run"
        )
    return next(iter(found.items()))


def unit_of(network: NetworkModel, name: str) -> Quantity:
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
    return next(iter(units.values()), get_unit(Quantity(1.0).dim))


def check_steps(network: NetworkModel, steps: Mapping[str, Any]) -> None:
    """Check the steps of a model's preprocessing."""
    for step, value in steps.items():
        if step not in _STEPS:
            wanted = f"made of the steps {', '.join(_STEPS)}"
            raise ParameterError(_WHERE, "preprocessing", repr(step), wanted)
        unit: Any = unit_of(network, image_input(network)[0]) if step == "scale" else 1.0
        check_value(_WHERE, f"preprocessing[{step!r}]", value, unit, "> 0")


def check_scale(network: NetworkModel, steps: Mapping[str, Any]) -> None:
    """Check that an input with a unit has a scale in that unit."""
    name, _ = image_input(network)
    unit = unit_of(network, name)
    if "scale" not in steps and not unit.is_dimensionless:
        raise ParameterError(
            _WHERE,
            "preprocessing",
            dict(steps),
            f'one with a "scale" in {unit}, because the input {name!r} has that unit',
            "It is what a pixel of intensity 1 becomes: the factor that was used in training",
        )


def prepared(
    network: NetworkModel, steps: Mapping[str, Any], images: ArrayLike
) -> NDArray[np.floating[Any]]:
    """Turn images into the samples that a network is shown."""
    _, spec = image_input(network)
    check_scale(network, steps)
    axes = ("n", "features", "width", "channels")[: max(np.ndim(images), 2)]
    samples = intensities(images, "classify", axes, "images")
    samples = samples.reshape(len(samples), -1)
    if samples.shape[1] != spec.features:
        raise DataError(
            f"classify: {network.name} is shown samples of {spec.features} features, got images "
            f"of {samples.shape[1]}; give the images that it was trained for"
        )
    for step, value in steps.items():
        if step == "scale_norm":
            samples = scale_norm(samples, value)
        else:
            samples = samples.astype(np.float64) * float(value)
    return samples


def image_shape(network: NetworkModel, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Height and width (and colours) of the images; a square where nothing was said."""
    if shape is not None:
        return tuple(shape)
    name, spec = image_input(network)
    side = math.isqrt(spec.features)
    if side * side != spec.features:
        raise DataError(
            f"{network.name}: its input {name!r} has {spec.features} features, which are no "
            "square image; make the TrainedModel with shape=(height, width) or (height, width, 3)"
        )
    return side, side


def check_shape(network: NetworkModel, shape: Any) -> None:
    """Check a shape that was given for images."""
    _, spec = image_input(network)
    wanted = f"(height, width) or (height, width, channels) with {spec.features} numbers"
    validation.check_shape(_WHERE, "shape", shape, wanted, (2, 3), spec.features)
