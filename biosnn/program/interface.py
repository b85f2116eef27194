"""From a declaration and its Brian2 objects to the interface that a run needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from biosnn.devices.base.brian2_objects import Built
from biosnn.devices.base.contract import Column, Interface, Variable
from biosnn.networks import NetworkModel
from biosnn.program.carried import carried
from biosnn.program.extended_model import LONG_AGO
from biosnn.program.inputs import ports
from biosnn.program.recorders import Record
from biosnn.state import Draw, State, unit_name


def interface(
    network: NetworkModel, record: Record, built: Built, *, single_precision: bool
) -> Interface:
    """Describe what a run of a network takes and gives."""
    initial, shapes = network.initial_values(), network.shapes
    n = built.replicas.n
    variables = []
    for name in sorted(built.variables):
        owner, variable = built.variables[name]
        key = name.partition(".")[0]
        role = "weight" if key in network.projections else "neuron"
        begins = initial.get(name)
        spec = owner.variables[variable]
        variables.append(
            Variable(
                name=name,
                dtype=np.dtype(spec.dtype).str,
                size=int(begins.size) if role == "weight" else int(spec.size) // n,
                unit=unit_name(spec.dim),
                role="protocol" if key == "protocol" else role,
                shape=shapes.get(name),
                draw=begins if isinstance(begins, Draw) else None,
            )
        )

    def column(name: str, **more: object) -> Column:
        owner, variable = observed(network, built, name)
        spec = owner.variables[variable]
        if "size" not in more:
            size = next((v.size for v in variables if v.name == name), None)
            more["size"] = int(np.prod(spec.size)) // n if size is None else size
        return Column(**{"dtype": np.dtype(spec.dtype).str, "unit": unit_name(spec.dim), **more})

    return Interface(
        name=network.name,
        fingerprint=network.fingerprint,
        precision="single" if single_precision else "double",
        output=network.output,
        dt=float(network.dt),
        duration_steps=network.duration_steps,
        steps_per_presentation=network.steps_per_presentation,
        max_shown=1 + network.presentation.max_retries,
        scheduled=bool(
            any(p.model.schedules for p in network.populations.values())
            or any(p.rule and p.rule.schedules for p in network.projections.values())
        ),
        ports=ports(network),
        variables=tuple(variables),
        plastic=network.plastic_projections,
        per_sample={name: column(name) for name in record.per_sample},
        snapshots={name: column(name, every=n) for name, n in record.snapshots.items()},
        traces={
            name: column(
                name,
                size=len(trace.indices),
                indices=tuple(int(k) for k in trace.indices),
                every=trace.steps(network.dt),
            )
            for name, trace in record.traces.items()
        },
        spikes={key: network.populations[key].n for key in record.spikes},
        replicas=n,
        shared=built.replicas.shared,
        carried=carried(network),
    )


def observed(network: NetworkModel, built: Built, name: str) -> tuple[Any, str]:
    """The Brian2 object that owns a recorded variable, and the variable's name in it."""
    if name in built.variables:
        return built.variables[name]
    key, _, variable = name.partition(".")
    return (built.synapses if key in network.projections else built.groups)[key], variable


def default_state(network: NetworkModel, described: Interface) -> State:
    """Every variable's value before a run, zero where it is drawn at random."""
    initial = network.initial_values()
    arrays = {}
    for variable in described.variables:
        array = np.zeros(variable.size, dtype=variable.dtype)
        begins = initial.get(variable.name)
        if isinstance(begins, np.ndarray):
            array[:] = begins
        elif variable.name.endswith(".lastspike"):
            array[:] = -LONG_AGO
        elif variable.name.endswith(".not_refractory"):
            array[:] = True
        arrays[variable.name] = array
    return State(arrays, described.shapes, described.units)
