"""What a network that runs for a duration records and hands on, from its Brian2 objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from biosnn.devices.base.free_objects import FreeObjects
from biosnn.devices.base.free_runs import PENDING, TIME, Recorded, state_of
from biosnn.program.interface import Interface
from biosnn.program.layout import default_state
from biosnn.program.program import Program
from biosnn.state import State, unit_name


def recorded_by(built: FreeObjects) -> dict[str, Recorded]:
    """Monitor -> what it records."""
    found = {}
    for name, monitor in built.program.monitors.items():
        made = built.monitors[name]
        indices = () if monitor.indices is None else monitor.indices
        columns = {
            "events": [*(("i", "t", *monitor.variables) if monitor.each else ()), "count"],
            "state": ["t", *(monitor.variables if len(indices) else ())],
            "rate": ["t", "rate"],
        }[monitor.kind]
        found[name] = Recorded(
            kind=monitor.kind,
            size=_size(built, name),
            columns={column: _column(made.variables[column]) for column in columns},
            indices=tuple(int(k) for k in indices),
        )
    return found


def _size(built: FreeObjects, name: str) -> int:
    monitor, program = built.program.monitors[name], built.program
    if monitor.part is not None:
        return monitor.part.stop - monitor.part.start
    group = program.groups.get(monitor.source)
    return program.connections[monitor.source].size if group is None else group.n


def _column(variable: Any) -> tuple[str, str]:
    return np.dtype(variable.dtype).str, unit_name(variable.dim)


def first_state(interface: Interface, program: Program) -> State:
    """The state before a first run, without that of a random generator."""
    pending = {
        f"{kernel.name}{PENDING}": program.pending.get(kernel.name, np.empty((0, 2), np.int32))
        for kernel in program.kernels
        if kernel.kind == "pathway"
    }
    arrays = {**default_state(interface, program), **pending, TIME: [program.start]}
    return state_of(interface, arrays)
