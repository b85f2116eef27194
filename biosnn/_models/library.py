"""The factories of published neurons and synapses, made of their modules in ``biosnn.equations``.

A factory takes the parameters of its module by keyword, with its defaults and bounds; signature
and docstring follow from the module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from brian2 import volt
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity, get_dimensions, get_unit

from biosnn._models.companions import Companion, Operation
from biosnn._models.exact_integration import has_pole
from biosnn._models.factory import Keyword, factory, keywords
from biosnn._models.identifiers import names_in
from biosnn._models.neuron_model import NeuronModel
from biosnn._models.synapse_model import SynapseModel
from biosnn.equations.entries import published_entry
from biosnn.errors import ParameterError
from biosnn.validation import check_choice, check_flag, check_value

#: Name -> factory and module of ``biosnn.equations``: what ``biosnn models`` lists.
LIBRARY: dict[str, tuple[Callable[..., NeuronModel], ModuleType]] = {}
SYNAPSES: dict[str, tuple[Callable[..., SynapseModel | Companion], ModuleType]] = {}

#: A reset potential is below the first of these that a model has.
_SPIKE_POTENTIALS = ("V_th", "V_peak")


def published_neuron(entry: str, called: str = "") -> Callable[..., NeuronModel]:
    """The factory of a neuron of ``biosnn.equations.neurons``, entered in :data:`LIBRARY`.

    Parameters
    ----------
    entry : str
        Name of the module.
    called : str, optional
        The factory's name, if it is another one.
    """
    source = published_entry("neurons", entry)
    own: dict[str, Keyword] = {}
    if hasattr(source, "SOFT_RESET"):
        meaning = f"a soft reset subtracts ``{source.SOFT_RESET}`` from ``v``"
        own["reset"] = Keyword("hard", '{"hard", "soft"}', meaning)
    for keyword, (choices, meaning) in getattr(source, "OPTIONS", {}).items():
        kind = f"{{{', '.join(map(repr, choices))}}}".replace("'", '"')
        own[keyword] = Keyword(choices[0], "bool" if choices[0] is True else kind, meaning)
    if hasattr(source, "CHOICE"):
        keyword, default, meaning = source.CHOICE
        kind = f"{{{', '.join(map(repr, source.SETS))}}}".replace("'", '"')
        meaning = f"{meaning}; parameters that are given go before its"
        own[keyword] = Keyword(default, kind + ", optional" * (default is None), meaning)

    def make(values: dict[str, Any]) -> NeuronModel:
        return _neuron(source, values)

    name = called or entry
    given = {**own, **keywords(source)}
    made = factory(make, source, given, NeuronModel, name=name, face="models")
    LIBRARY[entry] = made, source
    return made


def published_synapse(entry: str) -> Callable[..., Any]:
    """The factory of a synapse of ``biosnn.equations.synapses``, entered in :data:`SYNAPSES`.

    Parameters
    ----------
    entry : str
        Name of the module and of the factory.
    """
    source = published_entry("synapses", entry)
    own: dict[str, Keyword] = {}
    make, returns = _synapse, SynapseModel
    if hasattr(source, "SYNAPTIC"):
        meaning = "a value in the unit of the neuron's ``v``; 1 for a dimensionless one"
        own["v_unit"] = Keyword(1 * volt, "Quantity or float", meaning)
        make = _gap_junction
    elif hasattr(source, "SPIKE"):
        make, returns = _short_term, Companion
    made = factory(
        lambda values: make(source, values),
        source,
        {**own, **keywords(source)},
        returns,
        name=entry,
        face="models",
    )
    SYNAPSES[entry] = made, source
    return made


def _known(source: Any, values: Mapping[str, Any]) -> None:
    for name in sorted(set(values) - set(source.PARAMETERS)):
        among = f"one of {', '.join(source.PARAMETERS)}"
        raise ParameterError(source.NAME, name, values[name], among)


def _variant(source: ModuleType, values: dict[str, Any]) -> Any:
    """The names of a module as its options have them, which are taken out of the values."""
    chosen = []
    for keyword, (choices, _) in getattr(source, "OPTIONS", {}).items():
        value = values.pop(keyword, choices[0])
        if choices[0] is True:
            check_flag(source.NAME, keyword, value)
        else:
            check_choice(source.NAME, keyword, value, choices)
        chosen.append(value)
    changed = getattr(source, "VARIANTS", {}).get(tuple(chosen), {})
    return SimpleNamespace(**{**vars(source), **changed})


def _neuron(entry: ModuleType, values: dict[str, Any]) -> NeuronModel:
    """The model of a module, with parameters that differ from its defaults."""
    source = _variant(entry, values)
    reset = source.RESET
    if hasattr(source, "SOFT_RESET"):
        kind = values.pop("reset", "hard")
        check_choice(source.NAME, "reset", kind, ("hard", "soft"))
        if kind == "soft":
            reset = reset.replace("v = V_r", f"v -= {source.SOFT_RESET}")
    if hasattr(source, "CHOICE"):
        keyword, default, _ = source.CHOICE
        chosen = values.pop(keyword, default)
        if chosen is not None or default is not None:
            check_choice(source.NAME, keyword, chosen, tuple(source.SETS))
            chosen = {k: v for k, v in source.SETS[chosen].items() if k in source.PARAMETERS}
            values = {**chosen, **values}
    _known(source, values)
    parameters = {
        name: check_value(source.NAME, name, values.get(name, default), default, bound)
        for name, (default, bound, _) in source.PARAMETERS.items()
    }
    end = next((name for name in _SPIKE_POTENTIALS if name in parameters), None)
    if end and "V_r" in parameters and parameters["V_r"] >= parameters[end]:
        wanted = f"below {end} ({parameters[end]})"
        raise ParameterError(source.NAME, "V_r", parameters["V_r"], wanted)
    # Equal time constants have no closed form in Brian2's exact integration.
    singular = source.METHOD == "exact" and has_pole(source.EQUATIONS, parameters)
    return NeuronModel(
        name=source.NAME,
        equations=source.EQUATIONS,
        threshold=source.THRESHOLD,
        reset=reset,
        refractory=getattr(source, "REFRACTORY", None),
        method="exponential_euler" if singular else source.METHOD,
        parameters=parameters,
        initial=dict(source.INITIAL),
        operations=(
            *(Operation(code=code, when=when) for code, when in getattr(source, "UPDATES", ())),
            *(
                Operation(code=code, on=on, when=when, plastic=True)
                for code, on, when in getattr(source, "OPERATIONS", ())
            ),
        ),
        double=getattr(source, "DOUBLE", ()),
        slow=getattr(source, "SLOW", ()),
        transient=getattr(source, "TRANSIENT", ()),
        reference=source.REFERENCE,
    )


def _checked(source: ModuleType, values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a synapse; the strength may have any unit, E may be a number."""
    _known(source, values)
    strength = getattr(source, "STRENGTH", "")
    parameters = {}
    for name, (default, bound, _) in source.PARAMETERS.items():
        value, like = values.get(name, default), default
        if name in (strength, "E") and isinstance(value, int | float):
            like = 1.0
        elif name == strength and isinstance(value, Quantity):
            like = value
        parameters[name] = check_value(source.NAME, name, value, like, bound)
    if "tau_rise" in parameters:
        parameters["norm"] = _norm(source.NAME, parameters["tau_rise"], parameters["tau_decay"])
    return parameters


def _norm(name: str, tau_rise: Any, tau_decay: Any) -> float:
    """The factor that makes a difference of exponentials peak at 1."""
    rise, decay = float(tau_rise), float(tau_decay)
    if rise >= decay:
        remedy = "Use alpha_current or alpha_conductance for equal time constants"
        raise ParameterError(name, "tau_rise", tau_rise, f"below tau_decay ({tau_decay})", remedy)
    peak = rise * decay / (decay - rise) * math.log(decay / rise)
    return 1 / (math.exp(-peak / decay) - math.exp(-peak / rise))


def _unit(value: Any) -> str:
    """Unit of a value as equations have it."""
    dimensions = get_dimensions(value)
    if dimensions is DIMENSIONLESS:
        return "1"
    name = repr(get_unit(dimensions))
    # Brian2 reads no brackets in units: others are products of powers of base units.
    return name if name.isidentifier() else repr(dimensions)


def _synapse(source: ModuleType, values: Mapping[str, Any]) -> SynapseModel:
    """The synapse of a module, in the units of its strength."""
    parameters = _checked(source, values)
    default, strength = source.PARAMETERS[source.STRENGTH][0], parameters[source.STRENGTH]
    old, new = (f": {_unit(value)}" for value in (default, strength))
    sent = source.TRANSMIT.strip()
    at_spike = names_in(sent)
    return SynapseModel(
        name=source.NAME,
        companion=Companion(
            equations=source.EQUATIONS.strip().replace(old, new),
            parameters={k: v for k, v in parameters.items() if k not in at_spike},
        ),
        current=source.CURRENT,
        transmit=sent,
        parameters={k: v for k, v in parameters.items() if k in at_spike},
        reference=source.REFERENCE,
    )


def _gap_junction(source: ModuleType, values: dict[str, Any]) -> SynapseModel:
    """A synapse whose current has the unit of its strength times that of the potential."""
    v_unit = values.pop("v_unit", 1 * volt)
    parameters = _checked(source, values)
    check_value(source.NAME, "v_unit", v_unit, v_unit, "> 0")
    unit = f": {_unit(parameters[source.STRENGTH] * v_unit)}"
    return SynapseModel(
        name=source.NAME,
        companion=Companion(equations=source.EQUATIONS.replace(": amp", unit)),
        current=source.CURRENT,
        equations=source.SYNAPTIC.replace(": amp", unit),
        parameters=parameters,
        reference=source.REFERENCE,
    )


def _short_term(source: ModuleType, values: Mapping[str, Any]) -> Companion:
    """Short-term plasticity, with the variable ``r``: the share of the weight that was sent."""
    parameters = _checked(source, values)
    equations, spike = source.EQUATIONS, source.SPIKE
    if not float(parameters["tau_facil"]):
        equations, spike = source.DEPRESSION_EQUATIONS, source.DEPRESSION_SPIKE
        del parameters["tau_facil"]
    return Companion(
        equations=equations.strip(),
        operations=(Operation(code=spike.strip(), on="spike", when="before_synapses"),),
        parameters=parameters,
        initial=dict(source.INITIAL),
    )
