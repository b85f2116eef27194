"""Neuron models: frozen specs made of equations, and the named factories of the library.

A :class:`NeuronModel` is a declaration. ``model.group(n)`` turns it into a plain
``brian2.NeuronGroup``, which may be used in any Brian2 script.

>>> from brian2 import ms, mV
>>> from biosnn import models
>>> cell = models.lif(tau_m=20 * ms, V_th=-55 * mV)
>>> group = cell.group(100)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import attrs
from brian2.units.fundamentalunits import Quantity

from biosnn._models.names import rename
from biosnn._models.parts import Companion, Event, Operation, Trace
from biosnn._models.spec import NeuronModel
from biosnn._models.synapse import SynapseModel
from biosnn._models.synapses import (
    SYNAPSES,
    alpha_conductance,
    alpha_current,
    ampa,
    delta,
    difference_of_exponentials_conductance,
    difference_of_exponentials_current,
    exponential_conductance,
    exponential_current,
    gaba_a,
    gap_junction,
    nmda,
    tsodyks_markram,
)
from biosnn._models.values import Normal, Schedule, Uniform, check_choice, check_value
from biosnn.equations import (
    competitive,
    diehl_cook_excitatory,
    diehl_cook_inhibitory,
    lif_conductance,
)
from biosnn.equations import lif as lif_current
from biosnn.equations import lif_exponential as lif_exp
from biosnn.errors import ParameterError

__all__ = [
    "LIBRARY",
    "SYNAPSES",
    "Companion",
    "Event",
    "NeuronModel",
    "Normal",
    "Operation",
    "Schedule",
    "SynapseModel",
    "Trace",
    "Uniform",
    "alpha_conductance",
    "alpha_current",
    "ampa",
    "check_choice",
    "check_value",
    "competitive_unit",
    "delta",
    "diehl_cook_excitatory_cell",
    "diehl_cook_inhibitory_cell",
    "difference_of_exponentials_conductance",
    "difference_of_exponentials_current",
    "exponential_conductance",
    "exponential_current",
    "gaba_a",
    "gap_junction",
    "lif",
    "lif_conductance_based",
    "lif_exponential",
    "neuron",
    "nmda",
    "rename",
    "tsodyks_markram",
]


def neuron(
    *,
    equations: str,
    threshold: str | None = None,
    reset: str | None = None,
    refractory: Any = None,
    method: str = "exact",
    parameters: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    events: Mapping[str, str | Event] | None = None,
    operations: Sequence[Operation] = (),
    links: Mapping[str, str] | None = None,
    name: str = "neuron",
    reference: str = "",
) -> NeuronModel:
    """Make a neuron model from your own equations: the same door, the same checks.

    See :class:`NeuronModel` for the parameters. Every name in the equations, threshold and
    reset needs a value in ``parameters``; nothing is taken from the surrounding script.

    Raises
    ------
    ParameterError
        If the equations or statements do not parse, a name has no value or two meanings, an
        initial value names no variable, or a number is not finite.
    """
    checked = {
        key: value
        if isinstance(value, Schedule)
        else check_value(name, key, value, value if isinstance(value, Quantity) else 1.0)
        for key, value in (parameters or {}).items()
    }
    model = NeuronModel(
        name=name,
        equations=equations,
        threshold=threshold,
        reset=reset,
        refractory=refractory,
        method=method,
        parameters=checked,
        initial=dict(initial or {}),
        events=dict(events or {}),
        operations=tuple(operations),
        links=dict(links or {}),
        reference=reference,
    )
    model.check_names()
    return model


def _published(source: ModuleType, values: Mapping[str, Any], **changes: Any) -> NeuronModel:
    """Make the model that a module of ``biosnn.equations`` describes."""
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
    if {"V_th", "V_r"} <= set(parameters) and parameters["V_r"] >= parameters["V_th"]:
        raise ParameterError(
            source.NAME, "V_r", parameters["V_r"], f"below V_th ({parameters['V_th']})"
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
        "reference": source.REFERENCE,
    }
    return NeuronModel(**{**fields, **changes})


def _reset(source: ModuleType, kind: str) -> str:
    if kind not in ("hard", "soft"):
        raise ParameterError(source.NAME, "reset", repr(kind), '"hard" or "soft"')
    return source.RESET if kind == "hard" else "v -= V_th - E_L"


def lif(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron driven by the current ``I`` (parameters: ``biosnn.equations.lif``).

    Parameters
    ----------
    reset : {"hard", "soft"}
        Hard reset sets ``v`` to ``V_r``; soft reset subtracts ``V_th - E_L``.
    **parameters : Quantity
        ``tau_m``, ``E_L``, ``V_th``, ``V_r``, ``t_ref``, ``R``.
    """
    return _published(lif_current, parameters, reset=_reset(lif_current, reset))


def lif_exponential(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron with an exponentially decaying synaptic current ``I_syn``.

    Parameters
    ----------
    reset : {"hard", "soft"}
        As in :func:`lif`.
    **parameters : Quantity
        Those of :func:`lif` and ``tau_syn``. Equal ``tau_m`` and ``tau_syn`` have no closed
        form in Brian2's exact integration and are integrated with ``exponential_euler``.
    """
    model = _published(lif_exp, parameters, reset=_reset(lif_exp, reset))
    if model.parameters["tau_m"] == model.parameters["tau_syn"]:
        return attrs.evolve(model, method="exponential_euler")
    return model


def lif_conductance_based(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron with exponential conductances ``g_e`` and ``g_i`` in units of the leak.

    Parameters
    ----------
    reset : {"hard", "soft"}
        As in :func:`lif`.
    **parameters : Quantity
        ``tau_m``, ``tau_e``, ``tau_i``, ``E_L``, ``E_e``, ``E_i``, ``V_th``, ``V_r``, ``t_ref``.
    """
    return _published(lif_conductance, parameters, reset=_reset(lif_conductance, reset))


def diehl_cook_excitatory_cell(**parameters: Any) -> NeuronModel:
    """Excitatory cell of Diehl & Cook (2015) with its adaptive threshold ``theta``."""
    return _published(diehl_cook_excitatory, parameters)


def diehl_cook_inhibitory_cell(**parameters: Any) -> NeuronModel:
    """Inhibitory cell of Diehl & Cook (2015)."""
    return _published(diehl_cook_inhibitory, parameters)


def competitive_unit(**parameters: Any) -> NeuronModel:
    """Competitive unit with a homeostatic threshold (``biosnn.equations.competitive``)."""
    return _published(competitive, parameters)


#: The library by name: what ``biosnn models`` lists.
LIBRARY: dict[str, tuple[Any, ModuleType]] = {
    "lif": (lif, lif_current),
    "lif_exponential": (lif_exponential, lif_exp),
    "lif_conductance": (lif_conductance_based, lif_conductance),
    "diehl_cook_excitatory": (diehl_cook_excitatory_cell, diehl_cook_excitatory),
    "diehl_cook_inhibitory": (diehl_cook_inhibitory_cell, diehl_cook_inhibitory),
    "competitive": (competitive_unit, competitive),
}
