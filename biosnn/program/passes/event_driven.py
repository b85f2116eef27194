"""Event-driven equations of synapses: variables that are brought up to date when events arrive.

Brian2 keeps the time of the last update. Here it is kept as a whole number of steps, counted from
the onset, so that what is computed depends on nothing but the presentation: times are those of
Brian2 in a run of one sample, to the bit, wherever a run is cut.
"""

from __future__ import annotations

import re

import attrs
from brian2 import Equations
from brian2.equations.equations import PARAMETER, SUBEXPRESSION, SingleEquation
from brian2.stateupdaters.base import UnsupportedEquationsException
from brian2.stateupdaters.exact import linear

from biosnn.errors import ParameterError
from biosnn.models import equation_text, event_driven, names_in
from biosnn.networks import NetworkModel
from biosnn.program.layout import arrays_of
from biosnn.program.program import BOUNDARY, Connection, Kernel, Program, parsed_equations
from biosnn.program.scope import Scope
from biosnn.program.slots import BEGIN

#: Steps from the onset of the next presentation to the last update, <= 0.
_UPDATED = "lastupdate_steps"


def update_at_events(program: Program, network: NetworkModel) -> Program:
    """Have pathways bring event-driven variables up to date before their own statements.

    Parameters
    ----------
    program : Program
        With all kernels of its connections.
    network : NetworkModel
        The declaration, which says what begins anew at an onset.

    Raises
    ------
    ParameterError
        If equations cannot be solved between two events, or are read where none arrive.
    """
    for key, made in program.connections.items():
        driven = event_driven(parsed_equations(made))
        if not driven:
            continue
        code = _solution(program, made)
        steps = program.steps_per_presentation
        # What is reset at the onset needs no update before.
        anew = set(driven) <= set(network.resets.get(key, ()))
        begin = Kernel(
            name=f"{key}_update_at_onset",
            owner=key,
            kind="statements",
            code=("" if anew else _after(code, f"(-{_UPDATED}*{program.dt!r}*second)") + "\n")
            + f"{_UPDATED} = -{steps}",
            clock=BOUNDARY,
            order=BEGIN,
        )
        now = f"t_in_timesteps % {steps}"
        update = _after(code, f"(({now})*dt - ({_UPDATED} + {steps})*dt)")
        kernels = tuple(
            attrs.evolve(
                kernel, code=f"{update}\n{kernel.code}\n{_UPDATED} = {now} - {steps}"
            )
            if kernel.owner == key and kernel.kind == "pathway" and kernel.clock != BOUNDARY
            else _unread(kernel, key, driven)
            for kernel in program.kernels
        )  # fmt: skip
        connections = {**program.connections, key: _stored(made, driven)}
        program = program.changed(connections=connections, kernels=kernels).with_kernels(begin)
    return program


def _solution(program: Program, made: Connection) -> str:
    """Code that integrates event-driven equations over a time ``dt``, as Brian2 writes it."""
    equations = parsed_equations(made)
    names = event_driven(equations)
    solved = Equations([
        equation
        for name, equation in equations.items()
        if name in names or (equation.type == SUBEXPRESSION and "summed" not in equation.flags)
    ])  # fmt: skip
    arrays = {array.full_name: array for array in arrays_of(program)}
    scope = Scope(program.changed(arrays=arrays), made.name)
    used = " ".join(solved.names | solved.identifiers | set(equations.names))
    try:
        return linear(solved, scope.variables(used))
    except UnsupportedEquationsException as error:
        got = f"{', '.join(sorted(names))} (event-driven)"
        wanted = "equations that can be solved between two events, as linear ones can"
        raise ParameterError(
            f"projections[{made.name!r}]", "equations", got, wanted, "Use (clock-driven)"
        ) from error


def _after(code: str, elapsed: str) -> str:
    """Code that integrates over a time."""
    return re.sub(r"\bdt\b", elapsed, code).strip()


def _unread(kernel: Kernel, key: str, driven: set[str]) -> Kernel:
    """The kernel, which must not read event-driven variables where no event updates them."""
    if kernel.owner == key and kernel.kind != "summed" and kernel.clock == BOUNDARY:
        read = sorted(driven & names_in(kernel.code)) if kernel.ends else []
        if read:
            got = f"{read[0]} (event-driven) at the end of a presentation"
            wanted = "a variable that is up to date there"
            where = f"projections[{key!r}]"
            raise ParameterError(where, "rule.statements", got, wanted, "Use (clock-driven)")
    return kernel


def _stored(made: Connection, driven: set[str]) -> Connection:
    """The connection, whose event-driven variables are plain ones."""
    kept = [
        SingleEquation(PARAMETER, name, equation.dim, var_type=equation.var_type)
        if name in driven
        else equation
        for name, equation in parsed_equations(made).items()
    ]
    text = f"{equation_text(Equations(kept))}\n{_UPDATED} : integer"
    return attrs.evolve(made, equations=text)
