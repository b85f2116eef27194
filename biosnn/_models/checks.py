"""What a neuron model must be before anything is built from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import Quantity

from biosnn._models.companions import Event
from biosnn._models.equation_text import parsed
from biosnn._models.identifiers import names_in
from biosnn._models.methods import check_method
from biosnn._models.parameters import check_parameters
from biosnn._models.units import (
    check_condition_units,
    check_equation_units,
    check_statement_units,
    scope_of,
    unit_name,
)
from biosnn.code_gate import (
    check_expression,
    check_name,
    check_statements,
    check_target_name,
    check_title,
)
from biosnn.errors import ParameterError
from biosnn.validation import check_value, describe

if TYPE_CHECKING:
    from biosnn._models.neuron_model import NeuronModel


def conditions(model: NeuronModel) -> Iterator[tuple[str, str]]:
    """Conditions of a neuron model, each with the name of its field."""
    if model.threshold is not None:
        yield "threshold", model.threshold
    for event, spec in model.events.items():
        yield f"event {event!r}", spec.condition if isinstance(spec, Event) else spec


def statements(model: NeuronModel) -> Iterator[tuple[str, str]]:
    """Statements of a neuron model, each with the name of its field."""
    if model.reset is not None:
        yield "reset", model.reset
    for number, operation in enumerate(model.operations):
        yield f"operations[{number}]", operation.code


def used_names(model: NeuronModel) -> set[str]:
    """Names that equations, conditions, statements and initial values of a neuron model use."""
    texts = [code for _, code in (*conditions(model), *statements(model))]
    texts += [model.refractory] if isinstance(model.refractory, str) else []
    used = {value for value in model.initial.values() if isinstance(value, str)}
    used |= {rate.parameter for rate in model.rates.values()}
    return used.union(parsed(model.name, model.equations).identifiers, *map(names_in, texts))


def check_texts(model: NeuronModel) -> None:
    """Check all that becomes code, before anything reads it.

    Raises
    ------
    ParameterError
        If a text or a name is refused by :mod:`biosnn.code_gate`, or a variable has the name of
        one that synapses see.
    """
    check_title("NeuronModel", "name", model.name)
    for field, text in (("threshold", model.threshold), ("refractory", model.refractory)):
        if isinstance(text, str):
            check_expression(model.name, field, text)
    if model.reset is not None:
        check_statements(model.name, "reset", model.reset)
    for event, spec in model.events.items():
        check_name(model.name, "events", event)
        if not isinstance(spec, Event):
            check_expression(model.name, f"events[{event!r}]", spec)
    for field in ("parameters", "initial", "links", "receptors"):
        for name in getattr(model, field):
            check_name(model.name, field, name)
    for variable, target in model.links.items():
        check_target_name(model.name, f"links[{variable!r}]", target)
    for variable in sorted(parsed(model.name, model.equations).names):
        if variable.endswith(("_pre", "_post")):
            wanted = "made of variables whose names do not end in _pre or _post"
            remedy = "Synapses call the variables of their two neurons so"
            raise ParameterError(model.name, "equations", repr(variable), wanted, remedy)


def check_spikes(model: NeuronModel) -> None:
    """Check that reset and refractory period belong to a threshold, and what the period is.

    Raises
    ------
    ParameterError
        If they do not, or the period is no time >= 0 and no condition.
    """
    if model.threshold is None:
        for name in ("reset", "refractory"):
            given = getattr(model, name)
            if given:
                remedy = "Without spikes it has no effect: give a threshold, or leave it out"
                wanted = "left out where there is no threshold"
                raise ParameterError(model.name, name, describe(given), wanted, remedy)
    period = model.refractory
    if isinstance(period, str):
        period = model.parameters.get(period)
    elif period is not None and not isinstance(period, Quantity):
        wanted = "a time, the name of a parameter, or a condition"
        raise ParameterError(model.name, "refractory", describe(period), wanted)
    if period is not None:
        check_value(model.name, "refractory", period, second, ">= 0")


def check_code(model: NeuronModel, where: str = "") -> None:
    """Check units of all code of a model, and that its method can integrate its equations.

    Parameters
    ----------
    model : NeuronModel
        With all that rules keep on it, or by itself.
    where : str
        What it is called in messages; by default by its name.

    Raises
    ------
    ParameterError
        Naming the line, the units and the remedy.
    """
    where = where or model.name
    equations = parsed(where, model.equations)
    check_parameters(where, model.parameters)
    for variable in model.initial:
        if variable not in model.variables:
            wanted = "keyed by variables that hold a value, no expressions and no links"
            raise ParameterError(where, "initial", repr(variable), wanted)
    scope = scope_of(equations, model.parameters)
    check_equation_units(where, "equations", equations, scope)
    for field, code in conditions(model):
        check_condition_units(where, field, code, scope)
    if isinstance(model.refractory, str):
        check_condition_units(where, "refractory", model.refractory, scope, second.dim)
    for field, code in statements(model):
        check_statement_units(where, field, code, scope)


def check_integration(model: NeuronModel) -> None:
    """Check that the method of a model can integrate its equations.

    Raises
    ------
    ParameterError
        If it cannot.
    """
    check_method(model.name, model.method, parsed(model.name, model.equations))


def check_size(model: NeuronModel, n: int, where: str = "") -> None:
    """Check that initial values are one, or one per neuron.

    Raises
    ------
    ParameterError
        If there are others.
    """
    for variable in model.initial:
        shape = np.shape(initial) if _is_array(initial := model.initial_value(variable)) else ()
        if shape not in ((), (1,), (n,)):
            got = f"values of shape {shape}"
            raise ParameterError(
                where or model.name, f"initial[{variable!r}]", got, f"one value, or {n} of them"
            )


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | list | tuple)


def check_links(model: NeuronModel) -> None:
    """Check that links name variables that are declared linked, and all of them.

    Raises
    ------
    ParameterError
        If they do not.
    """
    equations = parsed(model.name, model.equations)
    linked = {name for name in equations.names if "linked" in equations[name].flags}
    for name in sorted(set(model.links) - linked):
        among = ", ".join(sorted(linked)) or "none is"
        wanted = f"keyed by a variable declared (linked) ({among})"
        remedy = f'Declare it in the equations: "{name} : unit (linked)"'
        raise ParameterError(model.name, "links", repr(name), wanted, remedy)


def check_link_unit(where: str, field: str, unit: Any, target: str, target_unit: Any) -> None:
    """Check that a linked variable has the unit of what it is linked to.

    Raises
    ------
    ParameterError
        If it has not.
    """
    if unit is not target_unit:
        got = f"{target!r} in {unit_name(target_unit)}"
        raise ParameterError(where, field, got, f"a variable in {unit_name(unit)}")
