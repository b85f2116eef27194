"""From a neuron model to a plain Brian2 group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import NeuronGroup
from brian2.equations.equations import FLOAT
from brian2.groups.group import CodeRunner
from brian2.units.fundamentalunits import Quantity

from biosnn._models.companions import Event, Operation
from biosnn._models.constant_scope import close_subexpressions
from biosnn._models.equation_text import parsed
from biosnn._models.exact_poles import has_pole
from biosnn._models.exact_traces import with_exact
from biosnn._models.parameters import Normal, Uniform

if TYPE_CHECKING:
    from biosnn._models.neuron_model import NeuronModel

#: Variables that stay double precision whatever the network's precision: times.
_TIMES = frozenset({"lastspike", "t_next", "t_onset"})


def make_group(model: NeuronModel, n: int, *, single_precision: bool, **kwargs: Any) -> NeuronGroup:
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
        namespace=model.constants,
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
