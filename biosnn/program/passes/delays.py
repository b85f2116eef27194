"""Delays: what is still on its way when a presentation ends is dropped (docs/decisions/0012)."""

from __future__ import annotations

import attrs

from biosnn.models import parsed
from biosnn.networks.delays import arrived
from biosnn.program.program import Connection, Kernel, Program


def drop_late_events(program: Program) -> Program:
    """Have delayed pathways change nothing for events of an earlier presentation."""
    connections = dict(program.connections)
    kernels = []
    for kernel in program.kernels:
        made = program.connections.get(kernel.owner)
        if made is None or not _late(made, kernel):
            kernels.append(kernel)
            continue
        steps = round(kernel.delay / program.dt)
        constants = {"steps_per_presentation": program.steps_per_presentation}
        equations = made.equations
        if made.delay_steps is None:
            constants["delay_steps"] = steps
        else:
            equations = f"{equations}\ndelay_steps : integer (constant)"
        connections[made.name] = attrs.evolve(
            made, equations=equations, constants={**made.constants, **constants}
        )
        kernels.append(_in_time(program, kernel))
    return program.changed(connections=connections, kernels=tuple(kernels))


def _late(made: Connection, kernel: Kernel) -> bool:
    """Whether a kernel follows events some time after them."""
    if kernel.kind != "pathway" or kernel.ends:
        return False
    return kernel.delay > 0 or (made.delay_steps is not None and not kernel.plastic)


def _in_time(program: Program, kernel: Kernel) -> Kernel:
    made = program.connections[kernel.owner]
    known = {
        *parsed(made.name, made.equations).names,
        *parsed(made.post, program.groups[made.post].equations).names,
    }
    where = f"projections[{made.name!r}]"
    field = "rule.statements" if kernel.plastic else "transmit"
    return attrs.evolve(kernel, code=arrived(where, kernel.code, known, field=field))
