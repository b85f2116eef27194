"""Integration of equations: the code of a time step, as Brian2 writes it."""

from __future__ import annotations

import json
from typing import Any

from brian2 import Equations, Function, second
from brian2.equations.equations import extract_constant_subexpressions
from brian2.equations.refractory import add_refractoriness
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException

from biosnn._models.exact_integration import ExactByComponents, with_exact
from biosnn.errors import ParameterError
from biosnn.program.passes.draws import CountedNoise
from biosnn.program.program import Group, Kernel, Program
from biosnn.program.scope import Scope

_written: dict[str, str] = {}  # solving equations takes long


def method_of(group: Group) -> Any:
    """A group's method, for Brian2: its name, or a state updater.

    Some linear equations are integrated exactly, and noise is counter-based.
    """
    method = with_exact(group.method, group.exact, group.equations)
    if method in ("exact", "linear"):
        method = ExactByComponents()
    return CountedNoise(method, group.noise) if group.noise else method


def statements_of(program: Program, kernel: Kernel) -> str:
    """The statements that a kernel runs; those of a condition assign it to ``_cond``."""
    if kernel.kind == "state_update":
        return integration_code(program, kernel.owner)
    return f"_cond = {kernel.code}" if kernel.kind == "threshold" else kernel.code


def integration_code(program: Program, owner: str, *, stopping: bool = True) -> str:
    """Abstract code of a ``"state_update"``: one time step of a group's or connection's equations.

    It begins with :func:`refractoriness_code`.

    Parameters
    ----------
    program : Program
        The program.
    owner : str
        The group or the connection.
    stopping : bool
        Whether the rates of change of what is fixed while a neuron is refractory have the factor
        ``int(not_refractory)``. Whoever leaves it out keeps these variables fixed otherwise.

    Raises
    ------
    ParameterError
        If the method cannot integrate the equations.
    """
    group = program.groups.get(owner)
    whose = group or program.connections[owner]
    arrays = [a for a in program.arrays.values() if a.owner == owner]
    linked = [program.arrays.get(array.link) for array in arrays]
    flags = [[a.name, a.kind, a.constant, a.shared] for a in (*arrays, *linked) if a is not None]
    head = refractoriness_code(program, owner)
    exact, noise = (group.exact, group.noise) if group is not None else ((), {})
    names = sorted(whose.constants)
    # Whether a function is constant during a time step depends on what it is, and on the step.
    functions = [
        [name, program.dt, getattr(function, "dt", None), function.stateless]
        for name, function in whose.constants.items()
        if isinstance(function, Function)
    ]
    method = [repr(whose.method), exact, noise, stopping]
    key = json.dumps([owner, whose.equations, head, names, functions, flags, method])
    if key not in _written:
        _written[key] = head + _integrated(program, owner, bool(head) and stopping)
    return _written[key]


def refractoriness_code(program: Program, owner: str) -> str:
    """Abstract code that says at the beginning of a time step which neurons are refractory."""
    group = program.groups.get(owner)
    if group is None or group.refractory is None:
        return ""
    period = group.refractory
    if isinstance(period, str):
        dim = parse_expression_dimensions(period, Scope(program, owner).variables(period))
        if dim is not second.dim:
            return f"not_refractory = not_refractory or not ({period})\n"
    else:
        period = float(period)
    return f"not_refractory = timestep(t - lastspike, dt) >= timestep({period}, dt)\n"


def _integrated(program: Program, owner: str, stopping: bool) -> str:
    group = program.groups.get(owner)
    whose = group or program.connections[owner]
    # Brian2 keeps in equations what subexpressions stand for, so these are not shared.
    equations = Equations(whose.equations)
    if group is None:
        equations = Equations([e for e in equations.values() if "summed" not in e.flags])
    elif stopping:
        equations = add_refractoriness(equations)
    equations, _ = extract_constant_subexpressions(equations)
    if not equations.diff_eq_names:
        return ""
    names = " ".join(equations.names | equations.identifiers)
    method = whose.method if group is None else method_of(group)
    try:
        code = StateUpdateMethod.apply_stateupdater(
            equations, Scope(program, owner).variables(names), method, group_name=owner
        )
    except UnsupportedEquationsException as error:
        wanted = f"one that can integrate these equations ({error})"
        remedy = 'Use method="exponential_euler" or "euler"'
        raise ParameterError(owner, "method", whose.method, wanted, remedy) from error
    if not isinstance(code, str):
        wanted = "a method that Brian2 writes as code (GSL integrates outside of it)"
        raise ParameterError(owner, "method", whose.method, wanted)
    return code
