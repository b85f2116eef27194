"""Neuron models of a user's own equations, and one model for neurons that differ in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity, get_dimensions

from biosnn._models.companions import Event, Operation
from biosnn._models.equation_text import equation_text, parsed
from biosnn._models.methods import default_method
from biosnn._models.neuron_model import NeuronModel
from biosnn._models.parameters import Schedule, TimeSeries, with_series
from biosnn._models.time_series import equations_at_time
from biosnn.errors import ParameterError
from biosnn.validation import check_instance, check_members, check_value


def neuron(
    *,
    equations: str,
    threshold: str | None = None,
    reset: str | None = None,
    refractory: Any = None,
    method: str | None = "exact",
    parameters: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    events: Mapping[str, str | Event] | None = None,
    operations: Sequence[Operation] = (),
    links: Mapping[str, str] | None = None,
    spike_when: str = "thresholds",
    slow: Sequence[str] = (),
    transient: Sequence[str] = (),
    name: str = "neuron",
    reference: str = "",
) -> NeuronModel:
    """Make a neuron model from your own equations: the same door, the same checks.

    See :class:`NeuronModel` for the parameters; ``equations`` may be Brian2's ``Equations``, and
    with ``method=None`` the method is the one that Brian2 would choose. Every name in the
    equations, threshold and reset needs a value in ``parameters``; nothing is taken from the
    surrounding script.

    Raises
    ------
    ParameterError
        If the equations or statements do not parse, a name has no value or two meanings, units do
        not fit, the method cannot integrate the equations, an initial value names no variable, or
        a number is not finite.

    Examples
    --------
    The square-integrating neuron of the tutorials of deep-learning libraries has no differential
    equation: in every step it adds the square of its input to the potential.

    >>> from biosnn import models
    >>> square = models.neuron(
    ...     name="SquareIF",
    ...     equations='''
    ...     v : 1
    ...     I : 1
    ...     ''',
    ...     operations=[models.Operation(code="v += I**2", when="groups")],
    ...     threshold="v >= V_th",
    ...     reset="v = 0",
    ...     parameters={"V_th": 1.0},
    ... )
    >>> square.variables
    ('I', 'v')
    """
    for field, given in {
        "parameters": parameters,
        "initial": initial,
        "events": events,
        "links": links,
    }.items():
        check_instance(name, field, given, Mapping, optional=True)
    check_instance(name, "operations", operations, (list, tuple))
    checked = {
        key: value
        if isinstance(value, Schedule | TimeSeries)
        else check_value(name, key, value, value if isinstance(value, Quantity) else 1.0)
        for key, value in with_series(parameters or {}).items()
    }
    equations = equation_text(equations)
    series = [key for key, value in checked.items() if isinstance(value, TimeSeries)]
    known = parsed(name, equations_at_time(equations, series, ""))
    model = NeuronModel(
        name=name,
        equations=equations,
        threshold=threshold,
        reset=reset,
        refractory=refractory,
        method=default_method(known) if method is None else method,
        parameters=checked,
        initial=dict(initial or {}),
        events=dict(events or {}),
        operations=tuple(operations),
        links=dict(links or {}),
        spike_when=spike_when,
        slow=slow,
        transient=transient,
        reference=reference,
    )
    model.check_names()
    return model


def per_neuron(models: Sequence[NeuronModel], *, name: str = "") -> NeuronModel:
    """One model for neurons whose parameters and initial values differ.

    Parameters
    ----------
    models : sequence of NeuronModel
        One per neuron; all with the same equations, conditions, statements and method.
    name : str, optional
        The new model's name; that of the first model without it.

    Returns
    -------
    NeuronModel
        For a population of exactly ``len(models)`` neurons: the parameters that differ are
        variables with one value per neuron.

    Raises
    ------
    ParameterError
        If there is no model, or if models differ in more than their numbers.
    """
    check_instance("per_neuron", "name", name, str)
    what = name or "per_neuron"
    check_members(what, "models", models, NeuronModel)
    if not models:
        raise ParameterError(what, "models", "none", "at least one model")
    first = models[0]
    for field in ("equations", "threshold", "reset", "refractory", "method", "operations"):
        if any(getattr(model, field) != getattr(first, field) for model in models):
            raise ParameterError(
                what, "models", f"models with different {field}", f"models with the same {field}"
            )
    lines: list[str] = []
    initial: dict[str, Any] = {}
    parameters = dict(first.parameters)
    for key, value in first.parameters.items():
        values = [model.parameters[key] for model in models]
        if any(isinstance(one, Schedule | TimeSeries) for one in values):
            if any(one is not value for one in values) or isinstance(value, Schedule):
                got = f"a {type(value).__name__}"
                remedy = "Give a TimeSeries a column for each neuron: I(t, i)"
                raise ParameterError(what, key, got, "a number for each neuron", remedy)
        elif any(one != value for one in values):
            lines.append(f"{key} : {_base_unit(value)} (constant)")
            initial[key] = _array(values)
            del parameters[key]
    for variable in first.initial:
        given = [model.initial_value(variable) for model in models]
        same = isinstance(given[0], str) and all(value == given[0] for value in given)
        initial[variable] = given[0] if same else _array(given)
    return attrs.evolve(
        first,
        name=name or first.name,
        equations="\n".join([first.equations, *lines]),
        parameters=parameters,
        initial=initial,
    )


def _base_unit(value: Any) -> str:
    """A quantity's unit as a product of powers of base units, as equations have it."""
    dim = get_dimensions(value)
    return "1" if dim is DIMENSIONLESS else repr(dim)


def _array(values: Sequence[Any]) -> Quantity:
    dim = get_dimensions(values[0])
    return Quantity([float(np.asarray(value)) for value in values], dim=dim)
