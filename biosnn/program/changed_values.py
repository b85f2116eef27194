"""A program of a script with other constants and first values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import Quantity, get_dimensions

from biosnn.program.program import Program


def with_constants(program: Program, changed: Mapping[str, float]) -> Program:
    """A program with other values, in SI units, of ``"object.constant"``."""

    def evolved(owner: Any) -> Any:
        constants = dict(owner.constants)
        for full, value in changed.items():
            key, _, name = full.partition(".")
            if key == owner.name:
                dim, kind = get_dimensions(constants[name]), type(constants[name])
                constants[name] = kind(value) if dim.is_dimensionless else Quantity(value, dim=dim)
        return attrs.evolve(owner, constants=constants)

    return program.changed(
        groups={key: evolved(group) for key, group in program.groups.items()},
        connections={key: evolved(made) for key, made in program.connections.items()},
    )


def with_first_values(program: Program, changed: Mapping[str, np.ndarray]) -> Program:
    """A program with other first values of ``"owner.variable"``."""
    arrays = {
        name: attrs.evolve(array, initial=changed[name]) if name in changed else array
        for name, array in program.arrays.items()
    }
    return program.changed(arrays=arrays)
