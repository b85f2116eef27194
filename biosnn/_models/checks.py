"""What a neuron model must be before anything is built from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import (
    Dimension,
    DimensionMismatchError,
    Quantity,
    fail_for_dimension_mismatch,
)

from biosnn._models.companions import Event
from biosnn._models.equation_text import NEURONAL, check_flags, check_held, parsed
from biosnn._models.event_timing import SPIKE_SLOTS, check_behind, tested
from biosnn._models.exact_integration import linear_apart
from biosnn._models.identifiers import names_in, without_value
from biosnn._models.initial import check_initial_text
from biosnn._models.methods import check_method
from biosnn._models.neuron_fields import NeuronFields
from biosnn._models.parameters import TimeSeries, check_parameters
from biosnn._models.time_series import (
    check_calls,
    check_method_of_series,
    equations_at_time,
)
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
from biosnn.validation import check_choice, check_value, describe, number_like


def conditions(model: NeuronFields) -> Iterator[tuple[str, str]]:
    """Conditions of a neuron model, each with the name of its field."""
    if model.threshold is not None:
        yield "threshold", model.threshold
    for event, spec in model.events.items():
        yield f"event {event!r}", spec.condition if isinstance(spec, Event) else spec


def statements(model: NeuronFields) -> Iterator[tuple[str, str]]:
    """Statements of a neuron model, each with the name of its field."""
    if model.reset is not None:
        yield "reset", model.reset
    for number, operation in enumerate(model.operations):
        yield f"operations[{number}]", operation.code


def used_names(model: NeuronFields) -> set[str]:
    """Names that equations, conditions, statements and initial values of a neuron model use."""
    texts = [code for _, code in (*conditions(model), *statements(model))]
    texts += [model.refractory] if isinstance(model.refractory, str) else []
    texts += [value for value in model.initial.values() if isinstance(value, str)]
    used = {rate.parameter for rate in model.rates.values()}
    return used.union(parsed(model.name, model.equations).identifiers, *map(names_in, texts))


def check_texts(model: NeuronFields) -> None:
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


def check_spikes(model: NeuronFields) -> None:
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


def check_code(model: NeuronFields, where: str = "") -> None:
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
    check_parameters(where, model.parameters, (TimeSeries,))
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


def check_integration(model: NeuronFields) -> None:
    """Check that the method of a model can integrate its equations.

    Raises
    ------
    ParameterError
        If it cannot.
    """
    check_method_of_series(model)
    constant = equations_at_time(model.equations, model.series, "")
    check_method(model.name, model.method, parsed(model.name, constant))


def check_size(model: NeuronFields, n: int, where: str = "") -> None:
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


def check_links(model: NeuronFields) -> None:
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


def check_fields(model: NeuronFields) -> None:
    """Check what a neuron model declares.

    Raises
    ------
    ParameterError
        Naming the first field that cannot be.
    """
    check_texts(model)
    check_choice(model.name, "spike_when", model.spike_when, SPIKE_SLOTS)
    known = parsed(model.name, model.equations)
    check_spikes(model)
    for variable, value in model.initial.items():
        if variable not in known.names:
            raise ParameterError(
                model.name,
                "initial",
                repr(variable),
                f"keyed by a variable of the equations ({', '.join(sorted(known.names))})",
            )
        _check_initial(model, variable, value, known[variable].dim)
    _check_known(model, "equations", known.identifiers - known.stochastic_variables)
    codes = {**dict(conditions(model)), **dict(statements(model))}
    if isinstance(model.refractory, str):
        codes["refractory"] = model.refractory
    check_calls(model, codes)
    check_flags(model.name, known, NEURONAL)
    check_held(model.name, known)
    for variable, rate in model.rates.items():
        if not {variable, rate.parameter} <= {*known.names, *model.parameters}:
            got = f"{variable!r} with {rate.parameter!r}"
            raise ParameterError(model.name, "rates", got, "a variable and a parameter of it")
    apart = linear_apart(model.equations, model.exact, model.parameters) if model.exact else ()
    for variable in set(model.exact) - set(apart):
        wanted = "variables with linear differential equations of their own"
        raise ParameterError(model.name, "exact", repr(variable), wanted)
    check_persistence(model)
    check_operations(model)


def _check_initial(model: NeuronFields, variable: str, value: Any, dim: Dimension) -> None:
    what = f"initial[{variable!r}]"
    if isinstance(value, str):
        if value not in model.parameters:
            check_initial_text(model, variable, parsed(model.name, model.equations))
            return
        value = model.parameters[value]
    parts = attrs.astuple(value, recurse=False) if attrs.has(type(value)) else (value,)
    for part in parts:
        try:
            fail_for_dimension_mismatch(part, dim)
            invalid = np.isnan(np.asarray(part, dtype=float)).any()
        except (DimensionMismatchError, TypeError, ValueError):
            invalid = True
        if invalid:
            raise ParameterError(model.name, what, part, number_like(Quantity(1, dim=dim)))


def _check_known(model: NeuronFields, where: str, names: set[str]) -> None:
    """Check that names have a value without looking into the surrounding script."""
    missing = without_value(names, {*parsed("", model.equations).names, *model.parameters})
    if missing:
        raise ParameterError(
            model.name,
            "parameters",
            sorted(model.parameters),
            f"given for every name in the {where}; {missing} has no value",
            "Values are never taken from the surrounding script",
        )


def check_names(model: NeuronFields) -> None:
    """Check code, names, units and the method.

    Raises
    ------
    ParameterError
        If conditions and statements do not parse, a name has no value or two meanings, units
        do not fit, or the method cannot integrate the equations.
    """
    for name in sorted(set(parsed("", model.equations).names) & set(model.parameters)):
        raise ParameterError(model.name, name, "a parameter", "a variable or a parameter only")
    codes = {**dict(conditions(model)), **dict(statements(model))}
    if isinstance(model.refractory, str):
        codes["refractory"] = model.refractory
    for where, code in codes.items():
        try:
            names = names_in(code)
        except SyntaxError as error:
            raise ParameterError(
                model.name, where, repr(code), "valid Brian2 code", str(error)
            ) from error
        _check_known(model, where, names)
    check_code(model)
    check_integration(model)
    check_links(model)


def check_operations(model: NeuronFields) -> None:
    """Check that operations follow events that the model has.

    Raises
    ------
    ParameterError
        If an event is unknown, or tested later than what it causes.
    """
    for number, operation in enumerate(model.operations):
        if operation.on in ("step", "onset", "input"):
            continue
        field = f"operations[{number}]"
        if tested(model, operation.on) is None:
            known = [*(["spike"] if model.threshold is not None else []), *sorted(model.events)]
            wanted = f"'step', 'onset', 'input' or an event ({', '.join(known) or 'it has none'})"
            raise ParameterError(model.name, f"{field}.on", repr(operation.on), wanted)
        check_behind(
            model.name, f"{field}.when", model, operation.on, operation.when, operation.order
        )


def check_persistence(model: NeuronFields) -> None:
    """Check what a model says of presentations.

    Raises
    ------
    ParameterError
        If a slow, transient or double variable is none of the model's, or slow and transient.
    """
    equations = parsed("", model.equations)
    stored = {*model.variables, *(["lastspike"] if model.refractory is not None else [])}
    for name in model.slow:
        if name not in stored:
            wanted = f"variables of the model ({', '.join(sorted(stored)) or 'it has none'})"
            raise ParameterError(model.name, "slow", repr(name), wanted)
    for name in model.double:
        if name not in equations.names:
            wanted = f"variables of the model ({', '.join(sorted(equations.names)) or 'none'})"
            raise ParameterError(model.name, "double", repr(name), wanted)
    for name in model.transient:
        if name not in equations.parameter_names or name in model.slow:
            wanted = "variables without a differential equation that are not slow"
            raise ParameterError(model.name, "transient", repr(name), wanted)
