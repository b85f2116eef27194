"""Functions of Brian2 that code calls, as JSON types and back, for the devices that compile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Function, TimedArray, second
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.units.fundamentalunits import Quantity, Unit, get_dimensions

from biosnn import declaration
from biosnn.errors import ParameterError

_KEY = "$function"


def is_data(data: Any) -> bool:
    """Whether JSON types are what :func:`to_data` returned."""
    return isinstance(data, dict) and _KEY in data


def to_data(function: Function) -> dict[str, Any]:
    """Turn a function into JSON types: its values over time, or its code for C++.

    Raises
    ------
    ParameterError
        If it has no code for C++, or needs more than that.
    """
    for name, known in DEFAULT_FUNCTIONS.items():
        if function is known:
            return {_KEY: "default", "name": name}
    if isinstance(function, TimedArray):
        values = Quantity(function.values, dim=function.dim)
        table = {"values": declaration.to_data(values), "dt": function.dt}
        return {_KEY: "timed array", "name": function.name, **table}
    name = getattr(function, "name", None) or getattr(function.pyfunc, "__name__", "function")
    try:
        found = function.implementations[CPPCodeGenerator]
    except KeyError:
        wanted = "a function with code for C++"
        remedy = "Add it with brian2.implementation('cpp', ...), or use device=\"runtime\""
        raise ParameterError(name, "implementation", "Python only", wanted, remedy) from None
    needed = {key for key, value in (found.compiler_kwds or {}).items() if value}
    if found.dynamic or needed - {"headers"} or callable(function._return_unit):
        got = (
            "code that is made anew for each group, libraries, or a unit that follows the arguments"
        )
        remedy = 'Use device="runtime"'
        raise ParameterError(name, "implementation", got, "plain code for C++", remedy)
    return {
        _KEY: "code",
        "name": name,
        "arg_units": None if function._arg_units is None else list(map(_unit, function._arg_units)),
        "arg_names": function._arg_names and list(function._arg_names),
        "arg_types": function._arg_types and list(function._arg_types),
        "return_unit": _unit(function._return_unit),
        "return_type": function._return_type,
        "stateless": function.stateless,
        "auto_vectorise": function.auto_vectorise,
        "target_name": found.name,
        "code": found.get_code(None),
        "headers": list((found.compiler_kwds or {}).get("headers", [])),
        "namespace": {
            key: declaration.to_data(np.asarray(value))
            for key, value in (found.get_namespace(None) or {}).items()
        },
        "dependencies": {key: to_data(value) for key, value in found.dependencies.items()},
    }


def from_data(data: Mapping[str, Any]) -> Function:
    """What :func:`to_data` returned, back again, with its code for C++ only."""
    if data[_KEY] == "default":
        return DEFAULT_FUNCTIONS[data["name"]]
    if data[_KEY] == "timed array":
        values = declaration.from_data(data["values"])
        return TimedArray(values, dt=data["dt"] * second, name=data["name"])

    def python(*arguments: Any) -> Any:
        raise NotImplementedError(f"{data['name']} has code for C++ only here")

    function = Function(
        python,
        arg_units=[_unit_of(unit) for unit in data["arg_units"]],
        arg_names=data["arg_names"],
        arg_types=data["arg_types"],
        return_unit=_unit_of(data["return_unit"]),
        return_type=data["return_type"],
        stateless=data["stateless"],
        auto_vectorise=data["auto_vectorise"],
    )
    function.implementations.add_implementation(
        "cpp",
        data["code"],
        namespace={key: declaration.from_data(value) for key, value in data["namespace"].items()},
        dependencies={key: from_data(value) for key, value in data["dependencies"].items()},
        name=data["target_name"],
        compiler_kwds={"headers": data["headers"]},
    )
    return function


def _unit(unit: Any) -> Any:
    """A unit of an argument or of a result; some are none, names of others, or ``bool``."""
    if unit is None or isinstance(unit, str):
        return unit
    if unit is bool:
        return {"$bool": True}
    return declaration.to_data(Quantity(unit))


def _unit_of(data: Any) -> Any:
    if data is None or isinstance(data, str):
        return data
    if "$bool" in data:
        return bool
    dim = get_dimensions(declaration.from_data(data))
    return 1 if dim.is_dimensionless else Unit(1.0, dim=dim)
