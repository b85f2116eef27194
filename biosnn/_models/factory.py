"""How a module of ``biosnn.equations`` becomes a model, with checked parameters."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from biosnn._models.companions import Operation
from biosnn._models.neuron_model import NeuronModel
from biosnn.errors import ParameterError
from biosnn.validation import check_choice, check_value

#: A reset potential is below the first of these that a model has.
_SPIKE_POTENTIALS = ("V_th", "V_peak")


def published(source: ModuleType, values: Mapping[str, Any], **changes: Any) -> NeuronModel:
    """Make the model that a module of ``biosnn.equations`` describes.

    Parameters
    ----------
    source : module
        One of ``biosnn.equations``.
    values : mapping
        Parameters that differ from their defaults.
    **changes
        Other fields of the model that differ from the module's.

    Returns
    -------
    NeuronModel
        The model.

    Raises
    ------
    ParameterError
        If a parameter is unknown, has another unit or is out of its bound, or if the reset
        potential is not below the one that ends a spike.
    """
    unknown = set(values) - set(source.PARAMETERS)
    if unknown:
        first = sorted(unknown)[0]
        raise ParameterError(
            source.NAME, first, values[first], f"one of {', '.join(source.PARAMETERS)}"
        )
    parameters = {
        name: check_value(source.NAME, name, values.get(name, default), default, bound)
        for name, (default, bound, _) in source.PARAMETERS.items()
    }
    end = next((name for name in _SPIKE_POTENTIALS if name in parameters), None)
    if end and "V_r" in parameters and parameters["V_r"] >= parameters[end]:
        raise ParameterError(
            source.NAME, "V_r", parameters["V_r"], f"below {end} ({parameters[end]})"
        )
    fields = {
        "name": source.NAME,
        "equations": source.EQUATIONS,
        "threshold": source.THRESHOLD,
        "reset": source.RESET,
        "refractory": getattr(source, "REFRACTORY", None),
        "method": source.METHOD,
        "parameters": parameters,
        "initial": dict(source.INITIAL),
        "operations": tuple(
            Operation(code=code, on=on, when=when, plastic=True)
            for code, on, when in getattr(source, "OPERATIONS", ())
        ),
        "double": getattr(source, "DOUBLE", ()),
        "slow": getattr(source, "SLOW", ()),
        "reference": source.REFERENCE,
    }
    return NeuronModel(**{**fields, **changes})


def with_reset(source: ModuleType, kind: str, subtracted: str) -> str:
    """Reset statements of a kind: the module's own (hard), or a subtraction from ``v`` (soft).

    Raises
    ------
    ParameterError
        If the kind is neither "hard" nor "soft".
    """
    check_choice(source.NAME, "reset", kind, ("hard", "soft"))
    hard = source.RESET
    return hard if kind == "hard" else hard.replace("v = V_r", f"v -= {subtracted}")
