"""What a program stores: its arrays, the interface of a run, and the state before a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from brian2.equations.equations import PARAMETER, SUBEXPRESSION

from biosnn.initial_values import Initial, drawn
from biosnn.networks import NetworkModel
from biosnn.program.interface import Column, Interface, Variable
from biosnn.program.passes.changeable import declared_values
from biosnn.program.passes.presentation import LONG_AGO, begun_with
from biosnn.program.program import Array, Program, parsed_equations
from biosnn.state import State, unit_name
from biosnn.validation import LARGEST, check_whole


def lay_out(program: Program, network: NetworkModel) -> Program:
    """List what groups and connections store, what is linked, and what is computed when read.

    Parameters
    ----------
    program : Program
        With all its groups and connections.
    network : NetworkModel
        The declaration: initial values, and shapes of weights.
    """
    initial: dict[str, Initial] = {**begun_with(network)}
    initial |= declared_values(network, program.changeable)
    shapes = network.shapes
    arrays = {}
    for array in arrays_of(program):
        name = array.full_name
        arrays[name] = attrs.evolve(
            array,
            initial=initial.get(name, array.initial),
            shape=shapes.get(name),
        )
    return program.changed(arrays=arrays)


def arrays_of(program: Program) -> Iterator[Array]:
    """The variables of groups and connections, as their equations declare them."""
    yield from _of_groups(program)
    yield from _of_connections(program)


def _of_groups(program: Program) -> Iterator[Array]:
    for key, group in program.groups.items():
        of_one = group.n // program.replicas.n
        for name, equation in parsed_equations(group).items():
            stored = equation.type != SUBEXPRESSION and "linked" not in equation.flags
            yield Array(
                owner=key,
                name=name,
                kind=equation.var_type,
                size=1 if "shared" in equation.flags else of_one,
                shared="shared" in equation.flags,
                constant="constant" in equation.flags,
                held="constant over dt" in equation.flags,
                paused=group.refractory is not None and "unless refractory" in equation.flags,
                unit=unit_name(equation.dim),
                role="protocol" if key == program.protocol else "neuron",
                double=name in group.double,
                infinite=name in group.infinite,
                kept=stored
                and name not in group.fixed
                and (group.kept is None or name in group.kept),
                link=group.links.get(name, "") if equation.type == PARAMETER else "",
                expression=equation.expr.code if equation.type == SUBEXPRESSION else "",
            )
        if group.refractory is not None:
            never, free = np.full(of_one, -LONG_AGO), np.ones(of_one, dtype=bool)
            yield Array(
                owner=key,
                name="lastspike",
                size=of_one,
                unit="s",
                double=True,
                clock_time=True,
                initial=never,
            )
            yield Array(owner=key, name="not_refractory", kind="boolean", size=of_one, initial=free)


def _of_connections(program: Program) -> Iterator[Array]:
    for key, made in program.connections.items():
        for name, equation in parsed_equations(made).items():
            if "summed" in equation.flags:
                continue
            given = name == "delay_steps" and made.delay_steps is not None
            yield Array(
                owner=key,
                name=name,
                kind=equation.var_type,
                size=1 if "shared" in equation.flags else made.size,
                shared="shared" in equation.flags,
                constant="constant" in equation.flags,
                held="constant over dt" in equation.flags,
                unit=unit_name(equation.dim),
                role="weight",
                kept=equation.type != SUBEXPRESSION and not given,
                expression=equation.expr.code if equation.type == SUBEXPRESSION else "",
            )


def interface_of(program: Program, *, single_precision: bool) -> Interface:
    """Describe what a run of a program takes and gives.

    Parameters
    ----------
    program : Program
        The program.
    single_precision : bool
        Whether state variables are float32; times stay float64.
    """

    def column(name: str, **more: object) -> Column:
        array = program.arrays[name]
        return Column(**{
            "dtype": array.dtype(single_precision).str,
            "unit": array.unit,
            "size": array.size,
            **more,
        })  # fmt: skip

    record = program.record
    return Interface(
        name=program.name,
        fingerprint=program.fingerprint,
        precision="single" if single_precision else "double",
        output=program.output,
        dt=program.dt,
        duration_steps=program.duration_steps,
        steps_per_presentation=program.steps_per_presentation,
        max_shown=program.max_shown,
        until_enough=program.until_enough,
        scheduled=program.scheduled,
        ports=program.inputs,
        variables=tuple(
            Variable(
                name=array.full_name,
                dtype=array.dtype(single_precision).str,
                size=array.size,
                unit=array.unit,
                role=array.role,
                shape=array.shape,
                draw=None if isinstance(array.initial, np.ndarray) else array.initial,
                infinite=array.infinite,
            )
            for array in program.state
        ),
        plastic=program.plastic,
        per_sample={name: column(name) for name in record.per_sample},
        snapshots={name: column(name, every=n) for name, n in record.snapshots.items()},
        traces={
            name: column(
                name,
                size=len(trace.indices),
                indices=tuple(int(k) for k in trace.indices),
                every=trace.steps(program.dt),
            )
            for name, trace in record.traces.items()
        },
        spikes={
            key: program.groups[key].n // program.replicas.n for key in record.spikes
        },
        replicas=program.replicas.n,
        shared=program.replicas.shared,
        counted=program.counted,
        carried=program.carried,
        changeable=program.changeable,
    )  # fmt: skip


def default_state(interface: Interface, program: Program) -> State:
    """Every variable's value before a run, zero where it is drawn at random.

    Parameters
    ----------
    interface : Interface
        Of the program, in some precision.
    program : Program
        Which knows the initial values.
    """
    return _state(interface, {name: array.initial for name, array in program.arrays.items()})


def initial_state(network: NetworkModel, seed: int) -> State:
    """What a network declares at its beginning, with what onsets give its variables.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    seed : int
        Of what is drawn at random.
    """
    check_whole("initial_state", "seed", seed, 0, LARGEST)
    return State(drawn(begun_with(network), seed), network.shapes, network.units)


def first_state(interface: Interface, program: Program, network: NetworkModel, seed: int) -> State:
    """The state before a run of a network that differs from a program's in numbers only.

    Parameters
    ----------
    interface, program
        As for :func:`default_state`.
    network : NetworkModel
        Such as another member of an ensemble.
    seed : int
        Of what is drawn at random.
    """
    arrays = {name: array.initial for name, array in program.arrays.items()}
    return _state(interface, {**arrays, **first_values(network, (), seed)})


def first_values(network: NetworkModel, changeable: Sequence[str], seed: int) -> dict[str, Any]:
    """What the variables of a network begin with, by their full names.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    changeable : sequence of str
        Parameters that are variables.
    seed : int
        Of what is drawn at random.
    """
    return {**drawn(begun_with(network), seed), **declared_values(network, changeable)}


def _state(interface: Interface, values: Mapping[str, Initial | None]) -> State:
    arrays = {}
    for variable in interface.variables:
        array = np.zeros(variable.size, dtype=variable.dtype)
        begins = values[variable.name]
        if isinstance(begins, np.ndarray):
            array[:] = begins
        arrays[variable.name] = array
    return interface.state(arrays)
