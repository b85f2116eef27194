"""What a network that runs for a duration records and hands on, from its Brian2 objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import Function

from biosnn.devices.base.artifact import Artifact
from biosnn.devices.base.free_objects import FreeObjects
from biosnn.devices.base.free_runs import PENDING, TIME, Recorded, state_of
from biosnn.program.interface import Column, Interface, Variable
from biosnn.program.layout import default_state
from biosnn.program.program import Program
from biosnn.state import SEEN, State, unit_name, unit_of


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
            dt=monitor.dt or built.program.dt,
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


def constant_units(program: Program) -> dict[str, str]:
    """``"object.constant"`` -> its SI unit: what each run can give another value."""
    owners = {**program.groups, **program.connections}
    return {
        f"{key}.{name}": unit_of(value) or ""
        for key, owner in owners.items()
        for name, value in owner.constants.items()
        if not isinstance(value, Function)
    }


def first_state(interface: Interface, program: Program) -> State:
    """The state before a first run, without that of a random generator."""
    pending = {
        f"{kernel.name}{PENDING}": program.pending.get(kernel.name, np.empty((0, 2), np.int32))
        for kernel in program.kernels
        if kernel.kind == "pathway"
    }
    arrays = {**default_state(interface, program), **pending, TIME: [program.start]}
    return state_of(interface, arrays)


def sampled_interface(
    interface: Interface, program: Program, recorded: Mapping[str, Recorded]
) -> Interface:
    """The interface of a network that is shown samples.

    Parameters
    ----------
    interface : Interface
        Of the network.
    program : Program
        With :class:`biosnn.program.program.Samples`.
    recorded : mapping
        Monitor -> what it records.
    """
    samples = program.samples
    assert samples is not None
    own = samples.counted.values()
    monitors = {name: made for name, made in recorded.items() if name not in own}
    counts = {
        f"{key}.count": Column(dtype="<i4", size=program.groups[key].n) for key in samples.counted
    }
    traces = {}
    for name, made in monitors.items():
        every = round((program.monitors[name].dt or interface.dt) / interface.dt)
        for column, (dtype, unit) in made.columns.items():
            if made.kind != "events" and column != "t":
                indices = made.indices if made.kind == "state" else (0,)
                traces[f"{name}.{column}"] = Column(
                    dtype=dtype, size=len(indices), unit=unit, every=every, indices=indices
                )
    seen = Variable(name=SEEN, dtype="<i4", size=1, unit="", role="protocol")
    return attrs.evolve(
        interface,
        variables=(*interface.variables, seen),
        per_sample=counts,
        traces=traces,
        spikes={name: made.size for name, made in monitors.items() if "i" in made.columns},
    )


def sampled_state(interface: Interface, program: Program) -> State:
    """The state of a network that is shown samples, before the first one."""
    own = attrs.evolve(interface, variables=interface.variables[:-1])
    return state_of(interface, {**default_state(own, program), SEEN: np.zeros(1, np.int32)})


def without_values(program: Program) -> Program:
    """A program without first values, which no build depends on: a run is told them."""
    arrays = {name: attrs.evolve(a, initial=None) for name, a in program.arrays.items()}
    return program.changed(arrays=arrays, start=0.0, pending={}, fingerprint="")


def with_values(artifact: Artifact, program: Program) -> Artifact:
    """A build of :func:`without_values` that begins with the first values of a program."""
    interface = attrs.evolve(artifact.interface, fingerprint=program.fingerprint)
    manifest = {**artifact.manifest, "interface": interface.to_data()}
    first = sampled_state(interface, program)
    return attrs.evolve(artifact, manifest=manifest, interface=interface, first=first)
