"""From a neuron model to a plain Brian2 group, whose subexpressions keep its constants."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Function, NeuronGroup
from brian2.core.variables import Constant, Subexpression
from brian2.equations.equations import FLOAT
from brian2.groups.group import CodeRunner
from brian2.units.fundamentalunits import Quantity, get_dimensions

from biosnn._models.companions import Event, Operation
from biosnn._models.equation_text import parsed
from biosnn._models.exact_integration import has_pole, with_exact
from biosnn._models.identifiers import rename
from biosnn._models.neuron_fields import NeuronFields
from biosnn._models.parameters import Normal, Uniform
from biosnn._models.time_series import functions_of

#: Variables that stay double precision whatever the network's precision: times.
_TIMES = frozenset({"lastspike", "t_next", "t_onset"})


def make_group(
    model: NeuronFields, n: int, *, single_precision: bool, **kwargs: Any
) -> NeuronGroup:
    """The group of :meth:`biosnn.models.NeuronModel.group`, for a model that has its traces."""
    stored = parsed("", model.equations)
    keep_double = {*_TIMES, *model.double}
    dtype = {
        variable: np.float64 if variable in keep_double or not single_precision else np.float32
        for variable in stored.names
        if stored[variable].var_type == FLOAT
    }
    if model.refractory is not None:
        dtype["lastspike"] = np.float64
    events = {
        event: spec.condition if isinstance(spec, Event) else spec
        for event, spec in model.events.items()
    }
    # Companions and other parameters may have made two coupled rates equal.
    singular = model.method == "exact" and has_pole(model.equations, model.parameters)
    method = "exponential_euler" if singular else model.method
    group = NeuronGroup(
        n,
        model.equations,
        method=with_exact(method, model.exact, model.equations),
        threshold=model.threshold,
        reset=model.reset,
        refractory=False if model.refractory is None else model.refractory,
        events=events or None,
        namespace={**model.constants, **functions_of(model, kwargs.get("name") or model.name)},
        dtype=dtype,
        **kwargs,
    )
    close_subexpressions(group)
    if model.threshold is not None and model.spike_when != "thresholds":
        group.set_event_schedule("spike", when=model.spike_when, order=1)
    for event, spec in model.events.items():
        if isinstance(spec, Event):
            group.set_event_schedule(event, when=spec.when)
    for number, operation in enumerate(model.operations):
        if operation.on == "step":
            group.run_regularly(
                operation.code,
                dt=operation.every,
                when=operation.when,
                order=operation.order,
                name=f"{group.name}_operation_{number}",
            )
        elif operation.on not in ("onset", "input"):
            group.contained_objects.append(
                _event_operation(group, operation, f"{group.name}_operation_{number}")
            )
    rng = np.random.default_rng()
    for variable in model.initial:
        value = model.initial_value(variable)
        if isinstance(value, Uniform | Normal):
            value = Quantity(value.sample(rng, (n,)), dim=group.variables[variable].dim)
        setattr(group, variable, value)
    return group


def _event_operation(group: NeuronGroup, operation: Operation, name: str) -> CodeRunner:
    """Statements on an event; unlike ``run_on_event`` any number of them per event."""
    eventspace = f"_{operation.on}space"
    return CodeRunner(
        group,
        "reset",
        code=operation.code,
        clock=group.clock,
        when=operation.when,
        order=operation.order,
        name=name,
        override_conditional_write=["not_refractory"],
        needed_variables=[eventspace],
        template_kwds={"eventspace_variable": group.variables[eventspace]},
    )


class GroupConstant(Constant):
    """A constant of a group's namespace that its subexpressions take along.

    ``declared`` is the group's name and the constant's in it.
    """

    def __init__(self, group: NeuronGroup, name: str):
        value = group.namespace[name]
        self._namespace, self._key = group.namespace, name
        self.declared = group.name, name
        super().__init__(
            f"_const_{name}", _plain(value), dimensions=get_dimensions(value), owner=group
        )

    def get_value(self) -> Any:
        """The value that the group's namespace has now."""
        return _plain(self._namespace[self._key])

    item = get_value


def _plain(value: Any) -> Any:
    return np.asarray(value).item() if isinstance(value, Quantity) else value


def close_subexpressions(group: NeuronGroup) -> None:
    """Bind the constants in a group's subexpressions to the group.

    Brian2 looks for the constants of ``F_pre``, or of a link to ``F``, in the namespace of the
    synapses or of the group that has the link.

    Parameters
    ----------
    group : brian2.NeuronGroup
        Just made, with its constants in its namespace.
    """
    for variable in list(group.variables.values()):
        if not isinstance(variable, Subexpression):
            continue
        names = {
            name: f"_const_{name}"
            for name in variable.identifiers
            if name not in group.variables
            and name in group.namespace
            and not isinstance(group.namespace[name], Function)
        }
        for name, known in names.items():
            if known not in group.variables:
                group.variables._add_variable(known, GroupConstant(group, name))
        if names:
            variable.expr = rename(variable.expr, names)
            variable.identifiers = frozenset(names.get(k, k) for k in variable.identifiers)
