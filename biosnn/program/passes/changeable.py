"""Parameters that runs may change: variables of the state in the place of constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import get_dimensions

from biosnn.errors import ParameterError
from biosnn.models import unit_text
from biosnn.networks import NetworkModel
from biosnn.program.program import Program
from biosnn.validation import check_members


def owned_constants(network: NetworkModel) -> dict[str, Any]:
    """The constants of a network, ``"owner.parameter"`` -> value.

    Parameters
    ----------
    network : NetworkModel
        Parameters of its models, and of its projections and their rules.
    """
    found = {}
    for key, population in network.populations.items():
        found |= {f"{key}.{name}": value for name, value in population.model.constants.items()}
    for key, projection in network.projections.items():
        rule = projection.rule
        learned = {} if rule is None else rule.parameters
        both = {**learned, **projection.parameters}
        found |= {f"{key}.{k}": v for k, v in both.items() if not attrs.has(type(v))}
    return found


def checked_names(network: NetworkModel, names: Sequence[str]) -> tuple[str, ...]:
    """Names of constants that runs may change.

    Raises
    ------
    ParameterError
        If one is no constant of the network, or decides more than the code can follow.
    """
    if isinstance(names, str):
        remedy = f'Write ["{names}"]'
        wanted = "a list of names"
        raise ParameterError("compile", "changeable", repr(names), wanted, remedy)
    check_members("compile", "changeable", names, str)
    known = owned_constants(network)
    for name in names:
        if name not in known:
            wanted = f"one of {', '.join(known) or 'none: the network has no constants'}"
            raise ParameterError("compile", "changeable", repr(name), wanted)
        key, _, parameter = name.partition(".")
        rates = network.populations[key].model.rates if key in network.populations else {}
        if parameter in {rate.parameter for rate in rates.values()}:
            wanted = "no parameter that says how many spikes an input of 1 means"
            remedy = "Scale the samples, or give them an intensity"
            raise ParameterError("compile", "changeable", repr(name), wanted, remedy)
    return tuple(dict.fromkeys(names))


def make_changeable(program: Program, network: NetworkModel, names: Sequence[str]) -> Program:
    """Have constants as variables that all neurons or synapses share, and that nothing changes.

    Parameters
    ----------
    program : Program
        With the network's groups and connections.
    network : NetworkModel
        The declaration, which knows the values.
    names : sequence of str
        ``"population.parameter"`` or ``"projection.parameter"``.

    Raises
    ------
    ParameterError
        If one cannot be changed.
    """
    known = owned_constants(network)
    for name in checked_names(network, names):
        key, _, parameter = name.partition(".")
        line = f"{parameter} : {unit_text(get_dimensions(known[name]))} (constant, shared)"
        group = program.groups.get(key)
        owner: Any = group or program.connections[key]
        constants = {k: v for k, v in owner.constants.items() if k != parameter}
        equations = f"{owner.equations}\n{line}".strip()
        owner = attrs.evolve(owner, constants=constants, equations=equations)
        if group is not None:
            program = program.with_group(attrs.evolve(owner, double=(*owner.double, parameter)))
        else:
            program = program.changed(connections={**program.connections, key: owner})
    return program.changed(changeable=tuple(dict.fromkeys(names)))


def declared_values(network: NetworkModel, names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """What a network declares for constants that runs may change, in SI units."""
    known = owned_constants(network)
    return {name: np.array([float(np.asarray(known[name]).item())]) for name in names}
