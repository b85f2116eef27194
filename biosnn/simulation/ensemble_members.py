"""The declarations of an ensemble's members, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import Quantity, get_dimensions

from biosnn.errors import ParameterError
from biosnn.models import has_pole
from biosnn.networks import NetworkModel
from biosnn.program.passes.changeable import owned_constants
from biosnn.program.replicas import Replicas
from biosnn.state import unit_of
from biosnn.validation import check_value, describe


def members_of(
    network: NetworkModel, n: int, parameters: Mapping[str, Any] | None
) -> tuple[list[NetworkModel], NetworkModel, Replicas]:
    """Declare the members of an ensemble.

    Parameters
    ----------
    network : NetworkModel
        What they have in common.
    n : int
        How many there are.
    parameters : mapping, optional
        ``"population.parameter"``, or ``"projection.parameter"`` of its rule -> values, one per
        member.

    Returns
    -------
    list of NetworkModel, NetworkModel, Replicas
        Each member; a network to build all of them from; and how they differ from it.

    Raises
    ------
    ParameterError
        If there is no such parameter, or it cannot differ between members.
    """
    if not isinstance(parameters or {}, Mapping):
        raise ParameterError("ensemble", "parameters", repr(parameters), "a dict")
    changes: list[dict[str, dict[str, Any]]] = [{} for _ in range(n)]
    differ: dict[str, dict[str, list[float]]] = {}
    for name, values in (parameters or {}).items():
        key, parameter = _known(network, name)
        given = listed(name, values, n)
        for change, value in zip(changes, given, strict=True):
            change.setdefault(key, {})[parameter] = value
        differ.setdefault(key, {})[parameter] = [float(np.asarray(value)) for value in given]
    if not differ:
        return [network] * n, network, Replicas(n=n, shared=False)
    members = [with_values(network, change) for change in changes]
    base = members[0]
    for key in set(differ) & set(network.populations):
        if _one_way(key, members):
            population = base.populations[key]
            model = attrs.evolve(population.model, method="exponential_euler")
            changed = {**base.populations, key: attrs.evolve(population, model=model)}
            base = attrs.evolve(base, populations=changed)
    return members, base, Replicas(n=n, shared=False, parameters=differ)


def _known(network: NetworkModel, name: Any) -> tuple[str, str]:
    where = f"parameters[{name!r}]"
    key, _, parameter = str(name).partition(".")
    owner: Any = None
    if key in network.populations:
        owner = network.populations[key].model
    elif key in network.projections:
        owner = network.projections[key].rule
    if owner is None:
        rules = network.plastic_projections
        among = f"a parameter of one of {', '.join([*network.populations, *rules])}"
        raise ParameterError("ensemble", where, repr(name), among, 'Write "population.parameter"')
    if parameter in owner.schedules:
        wanted = "a constant: a Schedule is the same in all members"
        remedy = "Declare the network with a number in its place"
        raise ParameterError("ensemble", where, "a Schedule", wanted, remedy)
    constants = sorted(k for k, v in owner.parameters.items() if not attrs.has(type(v)))
    if parameter not in constants:
        among = f"one of {key}'s {', '.join(constants) or '(it has none)'}"
        raise ParameterError("ensemble", where, repr(parameter), among)
    return key, parameter


def listed(name: str, values: Any, n: int) -> list[Any]:
    """Values of a parameter, one per member."""
    try:
        given = list(values)
    except TypeError:
        given = []
    if len(given) != n:
        got = f"{len(given)} values" if given else repr(values)
        raise ParameterError("ensemble", f"parameters[{name!r}]", got, f"{n} values")
    return given


def with_values(network: NetworkModel, change: Mapping[str, Mapping[str, Any]]) -> NetworkModel:
    """A network with other values of constants: owner -> constant -> value.

    Raises
    ------
    ParameterError
        If a value does not fit.
    """
    populations, projections = dict(network.populations), dict(network.projections)
    for key, values in change.items():
        if key in populations:
            model = populations[key].model.with_parameters(**values)
            populations[key] = attrs.evolve(populations[key], model=model)
            continue
        projection = projections[key]
        rule, own = projection.rule, dict(projection.parameters)
        learned = {} if rule is None else dict(rule.parameters)
        for name, value in values.items():
            part = f"projections[{key!r}]" + ("" if name in own else ".rule")
            check_value(part, name, value, {**learned, **own}[name])
            for parameters in (own, learned):
                if name in parameters:
                    parameters[name] = value
        if rule is not None:
            rule = attrs.evolve(rule, parameters=learned)
        projections[key] = attrs.evolve(projection, rule=rule, parameters=own)
    return attrs.evolve(network, populations=populations, projections=projections)


def with_changed(network: NetworkModel, values: Mapping[str, Any]) -> NetworkModel:
    """A network with other values of constants that its code reads as variables.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    values : mapping
        ``"owner.constant"`` -> Quantity, or a number in SI units.

    Raises
    ------
    ParameterError
        If a value does not fit, or needs another integration method than the declared ones.
    """
    known, change = owned_constants(network), dict[str, dict[str, Any]]()
    for name, value in values.items():
        key, _, constant = name.partition(".")
        if np.ndim(value):
            raise ParameterError("run", f"values[{name!r}]", describe(value), "one number")
        if isinstance(value, int | float | np.number) and unit_of(value) is None:
            value = Quantity(value, dim=get_dimensions(known[name]))
        change.setdefault(key, {})[constant] = value
    changed = with_values(network, change)
    for key in set(change) & set(network.populations):
        if _singular(network, key) != _singular(changed, key):
            got = f"values at which two time constants of {key} become equal, or no longer are"
            wanted = "such that the network is integrated as it was compiled"
            remedy = "Change these values a little, or compile the network with them"
            raise ParameterError("run", "values", got, wanted, remedy)
    return changed


def _singular(network: NetworkModel, key: str) -> bool:
    """Whether a population's equations have no exact solution at these values."""
    model = network.whole_model(key)
    return model.method == "exact" and has_pole(model.equations, model.parameters)


def _one_way(key: str, members: list[NetworkModel]) -> bool:
    """Whether no member can be integrated exactly; all must be the same in this."""
    found = {_singular(member, key) for member in members}
    if len(found) > 1:
        raise ParameterError(
            "ensemble",
            "parameters",
            f"values at which two time constants of {key} are equal in some members only",
            "such that all members are integrated by one method",
            "Change these values a little, or make another ensemble of them",
        )
    return found == {True}
