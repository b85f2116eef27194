"""Factories of synapse models and of short-term plasticity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from brian2 import volt
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity, get_dimensions, get_unit

from biosnn._models.companions import Companion, Operation
from biosnn._models.identifiers import names_in
from biosnn._models.synapse_model import SynapseModel
from biosnn.equations import synapses as texts
from biosnn.errors import ParameterError
from biosnn.validation import check_value


def _unit(dimensions: Any) -> str:
    if dimensions is DIMENSIONLESS:
        return "1"
    name = repr(get_unit(dimensions))
    # Brian2 reads no brackets in units: others are products of powers of base units.
    return name if name.isidentifier() else repr(dimensions)


def _checked(source: ModuleType, values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a module; the strength may have any unit, E may be a number."""
    for name in values:
        if name not in source.PARAMETERS:
            wanted = f"one of {', '.join(source.PARAMETERS)}"
            raise ParameterError(source.NAME, name, values[name], wanted)
    parameters = {}
    for name, (default, bound, _) in source.PARAMETERS.items():
        value = values.get(name, default)
        like = default
        if name in (getattr(source, "STRENGTH", ""), "E") and isinstance(value, int | float):
            like = 1.0
        elif name == getattr(source, "STRENGTH", "") and isinstance(value, Quantity):
            like = value
        parameters[name] = check_value(source.NAME, name, value, like, bound)
    return parameters


def _with_norm(source: ModuleType, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters and the factor that makes a difference of exponentials peak at 1."""
    rise, decay = (float(parameters[name]) for name in ("tau_rise", "tau_decay"))
    if rise >= decay:
        wanted = f"below tau_decay ({parameters['tau_decay']})"
        remedy = "Use alpha_current or alpha_conductance for equal time constants"
        raise ParameterError(source.NAME, "tau_rise", parameters["tau_rise"], wanted, remedy)
    peak = rise * decay / (decay - rise) * math.log(decay / rise)
    return {**parameters, "norm": 1 / (math.exp(-peak / decay) - math.exp(-peak / rise))}


def _synapse(source: ModuleType, parameters: Mapping[str, Any]) -> SynapseModel:
    """Make the synapse that a module describes, in the units of its strength."""
    default, strength = source.PARAMETERS[source.STRENGTH][0], parameters[source.STRENGTH]
    old, new = (_unit(get_dimensions(value)) for value in (default, strength))
    equations = source.EQUATIONS.strip().replace(f": {old}", f": {new}")
    sent = source.TRANSMIT.strip()
    at_spike = names_in(sent)
    return SynapseModel(
        name=source.NAME,
        companion=Companion(
            equations=equations,
            parameters={k: v for k, v in parameters.items() if k not in at_spike},
        ),
        current=source.CURRENT,
        transmit=sent,
        parameters={k: v for k, v in parameters.items() if k in at_spike},
        reference=source.REFERENCE,
    )


def delta(**parameters: Any) -> SynapseModel:
    """Delta synapse: a spike adds ``w*J`` to the potential (``biosnn.equations.synapses.delta``).

    A refractory neuron whose potential is held misses it.

    Parameters
    ----------
    **parameters : Quantity or float
        ``J``, in the unit of the neuron's ``v``.
    """
    return _synapse(texts.delta, _checked(texts.delta, parameters))


def exponential_current(**parameters: Any) -> SynapseModel:
    """Exponentially decaying current ``I`` (``biosnn.equations.synapses.exponential_current``).

    Parameters
    ----------
    **parameters : Quantity or float
        ``tau_syn``; ``I_max``, in the unit of the neuron's ``I``.
    """
    return _synapse(texts.exponential_current, _checked(texts.exponential_current, parameters))


def exponential_conductance(**parameters: Any) -> SynapseModel:
    """Exponentially decaying conductance (``biosnn.equations.synapses.exponential_conductance``).

    Parameters
    ----------
    **parameters : Quantity or float
        ``tau_syn``; ``E``, in the unit of the neuron's ``v``; ``g_max``, so that ``g_max*E`` has
        the unit of the neuron's ``I``.
    """
    source = texts.exponential_conductance
    return _synapse(source, _checked(source, parameters))


def alpha_current(**parameters: Any) -> SynapseModel:
    """Current with the shape of an alpha function (``biosnn.equations.synapses.alpha_current``).

    With ``exponential_euler`` the whole course is too large by the factor
    ``(exp(h) - 1)/h``, ``h = dt/tau_syn``; ``with_synapses(..., method="rk4")`` has no such bias.

    Parameters
    ----------
    **parameters : Quantity or float
        ``tau_syn``; ``I_max``, in the unit of the neuron's ``I``.
    """
    return _synapse(texts.alpha_current, _checked(texts.alpha_current, parameters))


def alpha_conductance(**parameters: Any) -> SynapseModel:
    """Conductance as an alpha function (``biosnn.equations.synapses.alpha_conductance``).

    With ``exponential_euler`` the whole course is too large by the factor
    ``(exp(h) - 1)/h``, ``h = dt/tau_syn``; ``with_synapses(..., method="rk4")`` has no such bias.

    Parameters
    ----------
    **parameters : Quantity or float
        As for :func:`exponential_conductance`.
    """
    return _synapse(texts.alpha_conductance, _checked(texts.alpha_conductance, parameters))


def difference_of_exponentials_current(**parameters: Any) -> SynapseModel:
    """Current with a rise and a decay, whose peak is ``w*I_max``.

    Equations: ``biosnn.equations.synapses.difference_of_exponentials_current``.

    Parameters
    ----------
    **parameters : Quantity or float
        ``tau_rise`` below ``tau_decay``; ``I_max``, in the unit of the neuron's ``I``.

    Raises
    ------
    ParameterError
        If a value cannot be; for equal time constants there is :func:`alpha_current`.
    """
    source = texts.difference_of_exponentials_current
    return _synapse(source, _with_norm(source, _checked(source, parameters)))


def difference_of_exponentials_conductance(**parameters: Any) -> SynapseModel:
    """Conductance with a rise and a decay, whose peak is ``w*g_max``.

    Equations: ``biosnn.equations.synapses.difference_of_exponentials_conductance``.

    Parameters
    ----------
    **parameters : Quantity or float
        ``tau_rise`` below ``tau_decay``; ``E`` and ``g_max`` as for
        :func:`exponential_conductance`.

    Raises
    ------
    ParameterError
        If a value cannot be; for equal time constants there is :func:`alpha_conductance`.
    """
    source = texts.difference_of_exponentials_conductance
    return _synapse(source, _with_norm(source, _checked(source, parameters)))


def ampa(**parameters: Any) -> SynapseModel:
    """AMPA receptors (``biosnn.equations.synapses.ampa``).

    Parameters
    ----------
    **parameters : Quantity or float
        As for :func:`exponential_conductance`.
    """
    return _synapse(texts.ampa, _checked(texts.ampa, parameters))


def nmda(**parameters: Any) -> SynapseModel:
    """NMDA receptors with their magnesium block (``biosnn.equations.synapses.nmda``).

    The neuron's ``v`` must be a voltage.

    Parameters
    ----------
    **parameters : Quantity or float
        ``tau_rise`` below ``tau_decay``, ``E``, ``g_max``, ``Mg``, ``K_Mg``, ``gamma``.
    """
    return _synapse(texts.nmda, _with_norm(texts.nmda, _checked(texts.nmda, parameters)))


def gaba_a(**parameters: Any) -> SynapseModel:
    """GABA-A receptors (``biosnn.equations.synapses.gaba_a``).

    Parameters
    ----------
    **parameters : Quantity or float
        As for :func:`exponential_conductance`.
    """
    return _synapse(texts.gaba_a, _checked(texts.gaba_a, parameters))


def gap_junction(*, v_unit: Any = 1 * volt, **parameters: Any) -> SynapseModel:
    """Gap junctions (``biosnn.equations.synapses.gap_junction``).

    A projection couples one way, from ``pre`` to ``post``; a symmetric one has both pairs.

    Parameters
    ----------
    v_unit : Quantity or float
        A value in the unit of the neuron's ``v``; 1 for a dimensionless one.
    **parameters : Quantity or float
        ``g_max``, so that ``g_max*v`` has the unit of the neuron's ``I``.
    """
    source = texts.gap_junction
    checked = _checked(source, parameters)
    check_value(source.NAME, "v_unit", v_unit, v_unit, "> 0")
    current = _unit(get_dimensions(checked["g_max"] * v_unit))
    return SynapseModel(
        name=source.NAME,
        companion=Companion(equations=source.EQUATIONS.replace(": amp", f": {current}")),
        current=source.CURRENT,
        equations=source.SYNAPTIC.replace(": amp", f": {current}"),
        parameters=checked,
        reference=source.REFERENCE,
    )


def tsodyks_markram(**parameters: Any) -> Companion:
    """Short-term plasticity (``biosnn.equations.synapses.tsodyks_markram``).

    It is given to a projection, ``Projection(short_term=tsodyks_markram(...))``, and lives on the
    presynaptic neurons. Between spikes it is exact where these are integrated with ``exact``
    or ``exponential_euler``. A delayed event transmits the share of the latest spike before its
    arrival, which is its own where intervals are longer than the delay.

    Parameters
    ----------
    **parameters : Quantity or float
        ``U``, ``tau_rec``, ``tau_facil``; without facilitation (0 s) every spike uses ``U``.

    Returns
    -------
    Companion
        With the variable ``r``, the share of the weight that the latest spike transmitted.
    """
    source = texts.tsodyks_markram
    checked = _checked(source, parameters)
    equations, spike = source.EQUATIONS, source.SPIKE
    if not float(checked["tau_facil"]):
        equations, spike = source.DEPRESSION_EQUATIONS, source.DEPRESSION_SPIKE
        del checked["tau_facil"]
    return Companion(
        equations=equations.strip(),
        operations=(Operation(code=spike.strip(), on="spike", when="before_synapses"),),
        parameters=checked,
        initial=dict(source.INITIAL),
    )


#: Synapses by name, and the modules that describe them.
SYNAPSES: dict[str, tuple[Any, ModuleType]] = {
    "delta": (delta, texts.delta),
    "exponential_current": (exponential_current, texts.exponential_current),
    "exponential_conductance": (exponential_conductance, texts.exponential_conductance),
    "alpha_current": (alpha_current, texts.alpha_current),
    "alpha_conductance": (alpha_conductance, texts.alpha_conductance),
    "difference_of_exponentials_current": (
        difference_of_exponentials_current,
        texts.difference_of_exponentials_current,
    ),
    "difference_of_exponentials_conductance": (
        difference_of_exponentials_conductance,
        texts.difference_of_exponentials_conductance,
    ),
    "ampa": (ampa, texts.ampa),
    "nmda": (nmda, texts.nmda),
    "gaba_a": (gaba_a, texts.gaba_a),
    "gap_junction": (gap_junction, texts.gap_junction),
    "tsodyks_markram": (tsodyks_markram, texts.tsodyks_markram),
}
