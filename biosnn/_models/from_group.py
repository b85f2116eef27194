"""A Brian2 group that a user made as a neuron model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from brian2 import Function, NeuronGroup, Subgroup, TimedArray
from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_UNITS
from brian2.core.variables import Constant
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import Resetter, StateUpdater, SubexpressionUpdater, Thresholder
from brian2.spatialneuron import SpatialNeuron
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.units.fundamentalunits import Quantity
from brian2.utils.stringtools import get_identifiers

from biosnn._models.companions import Event, Operation
from biosnn._models.equation_text import equation_text, parsed
from biosnn.errors import ParameterError

_WHERE = "NeuronModel.from_group"
_DEFAULTS = {*DEFAULT_CONSTANTS, *DEFAULT_UNITS, *DEFAULT_FUNCTIONS}


def fields_of(group: NeuronGroup, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of :meth:`biosnn.models.NeuronModel.from_group`, which describes them."""
    if not isinstance(group, NeuronGroup) or isinstance(group, SpatialNeuron):
        got = type(group).__name__
        remedy = "Give a subgroup's source" if isinstance(group, Subgroup) else ""
        raise ParameterError(_WHERE, "group", got, "a brian2.NeuronGroup of points", remedy)
    if group._linked_variables:
        name = sorted(group._linked_variables)[0]
        remedy = "Write a NeuronModel with links={variable: 'population.variable'}"
        raise _refused(group, name, "a linked variable", "a variable of its own", remedy)
    equations = equation_text(group.user_equations)
    events = dict(group.events)
    codes = dict(group.event_codes)
    fields: dict[str, Any] = {
        "name": group.name,
        "equations": equations,
        "threshold": events.pop("spike", None),
        "reset": codes.pop("spike", None),
        "refractory": None if group._refractory is False else group._refractory,
        "operations": (),
    }
    if group.equations.diff_eq_names:
        fields["method"] = _method(group)
    found: dict[str, Event] = {}
    for part in group.contained_objects:
        if not part.active:
            raise _refused(group, part.name, "an inactive part", "active parts", "Leave it out")
        match part:
            case Thresholder(event="spike"):
                fields["spike_when"] = part.when
            case Thresholder():
                found[part.event] = Event(condition=events[part.event], when=part.when)
            case Resetter(event="spike"):
                if (part.when, part.order) != ("resets", 0):
                    got, wanted = f"{part.when!r}, order {part.order}, of", "resets in 'resets'"
                    raise _refused(group, part.name, got, wanted, "")
            case Resetter():  # what run_on_event has made
                code = codes[part.event]
                fields["operations"] += (
                    Operation(code=code, on=part.event, when=part.when, order=part.order),
                )
            case StateUpdater() | SubexpressionUpdater():
                pass
            case CodeRunner(template="stateupdate" | "reset"):
                fields["operations"] += (_operation(group, part),)
            case _:
                got, wanted = type(part).__name__, "code (run_regularly, run_on_event)"
                raise _refused(group, part.name, got, wanted, "")
    code = [*events.values(), *(part.code for part in fields["operations"])]
    code += [fields[key] for key in ("threshold", "reset", "refractory")]
    code += [e.expr.code for e in group.user_equations.values() if e.expr is not None]
    names = {name for text in code if isinstance(text, str) for name in get_identifiers(text)}
    return {
        **fields,
        "events": found,
        "parameters": dict(_parameters(group, sorted(names - _DEFAULTS), namespace)),
        "initial": dict(_initial(group, equations)),
    }


def _refused(group: Any, name: str, got: str, wanted: str, remedy: str) -> ParameterError:
    of = f"{got} {name!r} of '{group.name}'"
    return ParameterError(_WHERE, "group", of, wanted, remedy)


def _method(group: Any) -> str:
    """The one method that integrates a group, by Brian2's name."""
    chosen, options = group.method_choice, group.state_updater.method_options
    if options:
        raise _refused(group, "method_options", str(options), "a method without options", "")
    names = {known: name for name, known in StateUpdateMethod.stateupdaters.items()}
    several = chosen if isinstance(chosen, list | tuple) else [chosen]
    for one in several:
        name = one if isinstance(one, str) else names.get(one, "")
        if len(several) == 1 and name:
            return name
        try:  # Brian2 takes the first one that can
            StateUpdateMethod.apply_stateupdater(group.equations, group.variables, method=one)
        except UnsupportedEquationsException:
            continue
        if name:
            return name
    raise _refused(group, "method", repr(chosen), "one of Brian2's methods", "")


def _operation(group: Any, part: Any) -> Operation:
    if part.template == "reset":
        event = part.template_kwds["eventspace_variable"].name[1 : -len("space")]
        return Operation(code=part.abstract_code, on=event, when=part.when, order=part.order)
    every = None if part.clock.dt_ == group.clock.dt_ else part.clock.dt
    return Operation(code=part.abstract_code, when=part.when, order=part.order, every=every)


def _parameters(
    group: Any, names: list[str], namespace: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Constants that the code takes from namespaces."""
    for name in names:
        if name in group.variables or name == "xi" or name.startswith("xi_"):
            continue
        try:
            value = group._resolve_external(name, namespace, user_identifier=False)
        except KeyError:
            continue  # made in the code itself; what is nothing the model's own check says
        if isinstance(value, Function) and not isinstance(value, TimedArray):
            remedy = "Write it as an expression, or take the group with biosnn.from_brian2"
            raise _refused(group, name, "a function", "numbers in its namespace", remedy)
        if isinstance(value, Constant):
            number = value.get_value()
            value = number if value.dim.is_dimensionless else Quantity(number, dim=value.dim)
        yield name, value


def _initial(group: Any, equations: str) -> Iterator[tuple[str, Any]]:
    """Values that variables have: one for all where they are equal, else one per neuron."""
    stored = parsed("", equations)
    for name in sorted((stored.diff_eq_names | stored.parameter_names) & set(group.variables)):
        variable = group.variables[name]
        values = np.array(variable.get_value())
        if not values.any():
            continue
        plain = values.flat[0].item() if (values == values.flat[0]).all() else values
        yield name, plain if variable.dim.is_dimensionless else Quantity(plain, dim=variable.dim)
