"""The network of a script as a GPU can run it: counter-based draws, and counts on the neurons."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from brian2 import Function
from brian2.utils.stringtools import word_substitute

from biosnn._models.equation_text import parsed_unchecked, random_calls
from biosnn.errors import ParameterError
from biosnn.program.passes.draws import Draws
from biosnn.program.program import Array, Group, Monitor, Program

#: Variables of a group that draws: what its numbers follow from, besides step, neuron and place.
KEY, ATTEMPT = "biosnn_key", "biosnn_attempt"
#: Variable of a group whose spikes are counted.
COUNT = "biosnn_count"
_REMEDY = 'Use device="cpp"'


def on_gpu(program: Program) -> Program:
    """Return the program of a script that is shown samples as a GPU runs it.

    Brian2CUDA's random numbers come from buffers that cannot begin anew with a sample. In their
    place come functions of the sample's seed, the attempt, the time step and the neuron.

    Parameters
    ----------
    program : Program
        With :class:`biosnn.program.program.Samples`.

    Raises
    ------
    ParameterError
        If something in it has no place there, naming it.
    """
    if program.samples is None:
        wanted = "shown samples (from_brian2 with inputs and a presentation) on a GPU"
        raise ParameterError(program.name, "network", "one for a duration", wanted, _REMEDY)
    for group in program.groups.values():
        _check_group(program, group)
    program = _with_uniform_delays(program)
    for made in program.connections.values():
        codes = [made.equations, *(kernel.code for kernel in program.of(made.name))]
        if made.delays:
            _refuse(made.name, "delay", "one for each synapse", "one for all synapses")
        if any(_draws(code) for code in codes):
            _refuse(made.name, "code", "random numbers of synapses", "those of neurons only")
    for monitor in program.monitors.values():
        _check_monitor(program, monitor)
    for owner in (*program.groups.values(), *program.connections.values(), *program.kernels):
        steps = owner.dt / program.dt
        if abs(steps - round(steps)) > 1e-6:
            wanted = f"whole multiples of {program.dt} s"
            _refuse(owner.name, "dt", f"{owner.dt} s", wanted)
    return _counted(_drawn(program))


def _with_uniform_delays(program: Program) -> Program:
    """Delays that all synapses have in common become those of the pathways."""
    kernels, connections = list(program.kernels), dict(program.connections)
    for key, made in program.connections.items():
        same = {label: np.unique(delays) for label, delays in made.delays.items()}
        same = {label: found for label, found in same.items() if len(found) <= 1}
        left = {label: delays for label, delays in made.delays.items() if label not in same}
        connections[key] = attrs.evolve(made, delays=left)
        for k, kernel in enumerate(kernels):
            if kernel.owner == key and kernel.kind == "pathway" and kernel.label in same:
                kernels[k] = attrs.evolve(kernel, delay=float(same[kernel.label].sum()))
    return program.changed(kernels=tuple(kernels), connections=connections)


def _refuse(name: str, what: str, got: str, wanted: str) -> None:
    raise ParameterError(name, what, got, f"{wanted} on a GPU", _REMEDY)


def _draws(code: str) -> bool:
    names = {"rand(", "randn(", "poisson(", "xi"}
    return any(name in code.replace(" ", "") for name in names)


def _check_group(program: Program, group: Group) -> None:
    if group.spike_times is not None:
        _refuse(group.name, "group", "given spikes", "neurons")
    if parsed_unchecked(group.equations).stochastic_type is not None:
        _refuse(group.name, "equations", "noise (xi)", "rand(), randn() and poisson()")
    for name, value in group.constants.items():
        if isinstance(value, Function) and not value.stateless:
            _refuse(group.name, name, "a function that draws", "rand(), randn() and poisson()")


def _check_monitor(program: Program, monitor: Monitor) -> None:
    whole = monitor.part is None
    plain = monitor.kind == "events"
    traced = monitor.kind == "state" and len(monitor.variables) == 1
    if not (whole and (plain or traced)):
        got = f"a monitor of {', '.join((monitor.event, *monitor.variables)) or 'a rate'}"
        _refuse(monitor.name, "monitor", got, "the spikes or one variable of a whole group")


def _drawn(program: Program) -> Program:
    """Functions of counters in the place of random numbers."""
    kernels = {kernel.name: kernel for kernel in program.kernels}
    groups, arrays = dict(program.groups), dict(program.arrays)
    for place, (key, group) in enumerate(program.groups.items()):
        draws = Draws()
        names = {
            "random_seed": KEY,
            "random_pass": ATTEMPT,
            "random_sample": "0",
            "random_step": "t_in_timesteps",
            "stream": f"{1000 * place}",
        }

        def counted(code: str, draws: Draws = draws, names: dict[str, str] = names) -> str:
            return word_substitute(draws.code(code), names) if _calls(code) else code

        for kernel in program.of(key, "threshold", "reset", "statements"):
            kernels[kernel.name] = attrs.evolve(kernel, code=counted(kernel.code))
        equations, refractory = group.equations, group.refractory
        if any(name in equations for name in ("rand", "poisson(")):
            equations = word_substitute(draws.equations(equations), names)
        if isinstance(refractory, str):
            refractory = counted(refractory)
        if draws.n:
            equations += "".join(f"\n{name} : integer (shared)" for name in (KEY, ATTEMPT))
            for name in (KEY, ATTEMPT):
                arrays[f"{key}.{name}"] = _integer(key, name, 1, shared=True)
        groups[key] = attrs.evolve(group, equations=equations, refractory=refractory)
    return program.changed(groups=groups, arrays=arrays, kernels=tuple(kernels.values()))


def _calls(code: str) -> bool:
    return bool(code.strip()) and bool(random_calls(code))


def _integer(key: str, name: str, size: int, **more: Any) -> Array:
    return Array(owner=key, name=name, kind="integer", size=size, kept=False, **more)


def _counted(program: Program) -> Program:
    """Counts on the neurons in the place of monitors that count."""
    assert program.samples is not None
    own = {name: key for key, name in program.samples.counted.items()}
    groups, arrays = dict(program.groups), dict(program.arrays)
    for key in own.values():
        equations = f"{groups[key].equations}\n{COUNT} : integer"
        groups[key] = attrs.evolve(groups[key], equations=equations)
        arrays[f"{key}.{COUNT}"] = _integer(key, COUNT, groups[key].n)
    kernels = [
        attrs.evolve(kernel, kind="reset", event="spike", code=f"{COUNT} += 1", forced=True)
        if kernel.name in own
        else kernel
        for kernel in program.kernels
    ]
    monitors = {name: made for name, made in program.monitors.items() if name not in own}
    return program.changed(groups=groups, arrays=arrays, kernels=tuple(kernels), monitors=monitors)
