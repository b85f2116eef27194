"""The members of an ensemble of a script's network, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from biosnn.devices.base.free_description import constant_units, sampled_state
from biosnn.devices.base.member_processes import Member
from biosnn.errors import DataError, ParameterError
from biosnn.program.changed_values import with_constants, with_first_values
from biosnn.program.interface import Interface
from biosnn.program.script import LiftedNetwork
from biosnn.simulation.ensemble_members import listed
from biosnn.simulation.script_values import checked_values
from biosnn.state import State


def script_members(
    network: LiftedNetwork, interface: Interface, n: int, parameters: Any
) -> list[tuple[LiftedNetwork, Member]]:
    """Take the network of a script with other values for each member.

    Parameters
    ----------
    network : LiftedNetwork
        What they have in common; it is shown samples.
    interface : Interface
        Of its binary.
    n : int
        How many there are.
    parameters : mapping, optional
        ``"object.constant"``, the name of a constant, or ``"object.variable"`` with its first
        values -> values, one per member.

    Returns
    -------
    list of (LiftedNetwork, Member)
        Each member, and how it differs.

    Raises
    ------
    ParameterError
        If there is no such name, or a value does not fit.
    """
    if not isinstance(parameters or {}, Mapping):
        raise ParameterError("ensemble", "parameters", repr(parameters), "a dict")
    given = {name: listed(name, values, n) for name, values in (parameters or {}).items()}
    first = sampled_state(interface, network.program)
    variables = [variable.name for variable in interface.variables if variable.role != "protocol"]
    return [
        _member(network, first, variables, {name: values[k] for name, values in given.items()})
        for k in range(n)
    ]


def _member(
    network: LiftedNetwork, first: State, variables: list[str], values: dict[str, Any]
) -> tuple[LiftedNetwork, Member]:
    where = ("ensemble", "parameters")
    units = constant_units(network.program)
    arrays, constants = checked_values(where, values, variables, units)
    try:
        own = first.updated(arrays)
    except DataError as error:
        raise ParameterError(
            *where, f"values that do not fit ({error})", "those of variables"
        ) from None
    program = with_constants(network.program, constants)
    program = with_first_values(program, {name: own[name] for name in arrays})
    program = program.changed(fingerprint="")
    program = program.changed(fingerprint=program.hash)
    return LiftedNetwork(program), Member(first=own, constants=constants)
