"""A part of a network that is computed together: populations that act on each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from brian2 import NeuronGroup, Synapses
from brian2.core.base import BrianObject
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import StateUpdater, Thresholder
from brian2.synapses.synapses import StateUpdater as SynapticStateUpdater
from brian2.synapses.synapses import SummedVariableUpdater, SynapticPathway

from biosnn.errors import ParameterError
from biosnn.surrogate.compiler.blocks import (
    event_names,
    on_event,
    regularly,
    state_update,
    threshold,
)
from biosnn.surrogate.compiler.expressions import TENSOR, Value
from biosnn.surrogate.compiler.liveness import Compiled, Phase
from biosnn.surrogate.compiler.source import Program
from biosnn.surrogate.compiler.synapses import Among, Arrival, SynapticBlock
from biosnn.surrogate.compiler.wiring import Wiring

_WRITTEN = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?:[-+*/%]|\*\*|//)?=[^=]")
#: Slots of Brian2's default schedule.
_SLOTS = ("start", "groups", "thresholds", "synapses", "resets", "end")
#: Functions of neurons' variables that can give infinity.
_STEEP = re.compile(r"torch\.(exp|expm1|sinh|cosh)\b|exprel_|\*\*")


@attrs.frozen(kw_only=True)
class Settings:
    """How programs are written.

    Parameters
    ----------
    dt : float
        Time step in seconds.
    surrogate : Surrogate
        Gradient of comparisons.
    widths : mapping
        Comparison -> width in SI units; the empty text stands for all.
    detach_reset, smooth : bool
        See :func:`biosnn.surrogate.to_torch`.
    functions : mapping
        Brian2 function, or its name -> its counterpart in torch.
    trained : frozenset
        ``(owner, name)`` of constants that are trained.
    context : mapping
        What is known of the protocol's variables.
    namespace : mapping
        Names from outside of groups.
    """

    dt: float
    surrogate: Any
    widths: Mapping[str, float] = attrs.Factory(dict)
    detach_reset: bool = True
    smooth: bool = False
    functions: Mapping[Any, Any] = attrs.Factory(dict)
    trained: frozenset[tuple[str, str]] = frozenset()
    context: Mapping[str, Value] = attrs.Factory(dict)
    namespace: Mapping[str, Any] = attrs.Factory(dict)


@attrs.frozen(kw_only=True)
class Drive:
    """A variable that is set from outside.

    Parameters
    ----------
    owner, name : str
        Group and variable.
    port : str
        Name of what sets it.
    phase : str
        Function in which it does.
    kind : {"float", "soft"}
        A number, or the truth value of an event.
    diff : bool
        Whether gradients go through it.
    adds : bool
        Whether it is added instead: after the equations' time step and before the threshold, as
        in ``v <- leak(v) + x``. Otherwise the variable is set before all else.
    """

    owner: str
    name: str
    port: str
    phase: str = "step"
    kind: str = "float"
    diff: bool = True
    adds: bool = False


@attrs.frozen(eq=False, kw_only=True)
class Component:
    """A compiled part of a network.

    Parameters
    ----------
    populations : tuple of str
        Its groups.
    compiled : Compiled
        Its functions.
    arrivals : mapping
        Phase -> what its pathways bring in from other parts.
    pasts : mapping
        Port -> ``(population, event, lag)`` of its own events some steps ago.
    events : mapping
        ``(population, event)`` -> name of the port it is written to.
    trained : mapping
        ``(owner, name)`` -> name in the program.
    """

    populations: tuple[str, ...]
    compiled: Compiled
    arrivals: Mapping[str, Sequence[Arrival]]
    pasts: Mapping[str, tuple[str, str, int]]
    events: Mapping[tuple[str, str], str]
    trained: Mapping[tuple[str, str], str]


def compile_component(
    groups: Mapping[str, NeuronGroup],
    synapses: Mapping[str, Synapses],
    phases: Mapping[str, Sequence[BrianObject]],
    drives: Iterable[Drive],
    settings: Settings,
    observed: Iterable[tuple[str, str]] = (),
) -> Component:
    """Write and compile the program of some groups and of all synapses that lead to them.

    Parameters
    ----------
    groups : mapping
        Name -> group of the component.
    synapses : mapping
        Name -> synapses onto these groups.
    phases : mapping
        Name of a function -> Brian2 objects of these groups and synapses, in their order.
    drives : iterable of Drive
        Variables that are set from outside.
    settings : Settings
        How.
    observed : iterable of (owner, variable)
        Stored variables that are kept though nothing needs them.

    Raises
    ------
    ParameterError
        If something has no counterpart in torch.
    """
    drives, diff, steep = tuple(drives), set[str](), False
    wirings = {key: Wiring(made) for key, made in synapses.items()}
    changing = _changing(phases)
    while True:
        program, written, arrivals = _translated(
            groups, synapses, wirings, phases, drives, settings, changing, diff, steep
        )
        seen = any(_STEEP.search(line.text) for p in written.values() for line in p.lines)
        if program.diff == diff and seen == steep:
            break
        diff, steep = set(program.diff), seen
    events = {
        (t.group.name, t.event): event_names(program, t.group.name, t.event)[0]
        for objects in phases.values()
        for t in objects
        if isinstance(t, Thresholder)
    }
    kept = [program.local(owner, name) for owner, name in observed]
    return Component(
        populations=tuple(groups),
        compiled=program.compiled(written.values(), events.values(), kept),
        arrivals=arrivals,
        pasts=program.pasts,
        events=events,
        trained=program.trained,
    )


def _changing(phases: Mapping[str, Sequence[BrianObject]]) -> set[tuple[str, str]]:
    """``(synapses, variable)`` for what statements of synapses change."""
    found = set()
    for runner in (o for objects in phases.values() for o in objects):
        owner: Any = getattr(runner, "synapses", getattr(runner, "group", None))
        if not isinstance(owner, Synapses):
            continue
        if isinstance(runner, SynapticStateUpdater):
            found |= {(owner.name, name) for name in owner.equations.diff_eq_names}
        code = getattr(runner, "code", "") or ""
        for line in re.split(r"[;\n]", code if isinstance(code, str) else ""):
            if match := _WRITTEN.match(line):
                found.add((owner.name, match[1]))
    return found


def _translated(
    groups: Mapping[str, NeuronGroup],
    synapses: Mapping[str, Synapses],
    wirings: Mapping[str, Wiring],
    phases: Mapping[str, Sequence[BrianObject]],
    drives: Sequence[Drive],
    settings: Settings,
    changing: set[tuple[str, str]],
    diff: set[str],
    steep: bool,
) -> tuple[Program, dict[str, Phase], dict[str, list[Arrival]]]:
    """All objects as lines; gradients go through what ``diff`` names."""
    prefixed = len(groups) > 1
    owners = {*groups, *synapses}
    program = Program(
        dt=settings.dt,
        prefixed=prefixed,
        surrogate=settings.surrogate,
        widths=settings.widths,
        detach_reset=settings.detach_reset,
        smooth=settings.smooth,
        context=settings.context,
        functions=settings.functions,
        apart=synapses,
    )
    program.trained = {
        (owner, name): program.local(owner, name)
        for owner, name in sorted(settings.trained)
        if owner in owners
    }
    program.diff, program.steep = set(diff), steep
    constant = {
        program.store(key, variable)
        for key, made in synapses.items()
        for name, variable in made.variables.items()
        if _own(made, name) and (key, name) not in changing
    }
    written = {name: Phase(name) for name in phases}
    arrivals: dict[str, list[Arrival]] = {name: [] for name in phases}
    for drive in drives:
        if not drive.adds:
            _driven(program, written[drive.phase], groups[drive.owner], drive)
    for name, objects in phases.items():
        waiting = [drive for drive in drives if drive.adds and drive.phase == name]
        for place, target in enumerate(objects):
            while waiting and slot_of(target) > slot("groups"):
                drive = waiting.pop(0)
                _driven(program, written[name], groups[drive.owner], drive)
            owner: Any = getattr(target, "synapses", getattr(target, "group", None))
            namespace = settings.namespace
            if isinstance(owner, Synapses):
                block = SynapticBlock(
                    program, written[name], owner, wirings[owner.name], constant, namespace, groups
                )
                if isinstance(target, SynapticPathway):
                    outside = target.source.name not in groups
                    lags = _lags(target, objects[:place], outside)
                    arrivals[name] += block.pathway(target, lags, outside)
                elif isinstance(target, SummedVariableUpdater):
                    block.summed(target)
                elif isinstance(target, SynapticStateUpdater):
                    block.state_update(target)
                else:
                    raise _unknown(target)
            elif isinstance(target, StateUpdater):
                state_update(program, written[name], target, namespace)
            elif isinstance(target, Thresholder):
                threshold(program, written[name], target, namespace)
            elif isinstance(target, CodeRunner) and target.template == "reset":
                on_event(program, written[name], target, namespace)
            elif isinstance(target, CodeRunner) and target.template == "stateupdate":
                regularly(program, written[name], target, namespace)
            else:
                raise _unknown(target)
        for drive in waiting:
            _driven(program, written[name], groups[drive.owner], drive)
    return program, written, arrivals


def _unknown(target: Any) -> ParameterError:
    return ParameterError(
        target.name,
        "object",
        type(target).__name__,
        "a group's or synapses' equations, threshold, reset, pathway or regular operation",
        "Compile the network without it",
    )


def _own(made: Synapses, name: str) -> bool:
    variable = made.variables.get(name)
    return (
        made.variables.indices.get(name) == "_idx"
        and not name.startswith("_")
        and name not in ("i", "j", "lastupdate")
        and getattr(variable, "owner", None) is not None
        and variable.owner.name == made.name
        and hasattr(variable, "get_value")
        and np.dtype(variable.dtype).kind == "f"
    )


def _driven(program: Program, phase: Phase, group: NeuronGroup, drive: Drive) -> None:
    """A line that gives a variable its value from outside."""
    local = program.store(group.name, group.variables[drive.name])
    program.ports.add(drive.port)
    text = drive.port
    if drive.adds:
        old = phase.current.get(local, Value(local)).text
        variable = group.variables[drive.name]
        text = program.guarded(phase, group, variable, f"{old} + {text}", old)
    phase.write(local, text)
    if drive.diff:
        program.diff.add(local)
    phase.current[local] = Value(local, drive.kind, TENSOR, drive.diff)
    if drive.kind == "soft":
        program.soft.add(local)


def _lags(
    pathway: SynapticPathway, before: Sequence[BrianObject], outside: bool
) -> dict[int, Among | None]:
    """Steps from an event to its effect -> the synapses."""
    dt = float(pathway.source.clock.dt_)
    steps = np.floor(np.asarray(pathway.delay) / dt + 0.5).astype(int)
    event = pathway.eventspace_name[1 : -len("space")]
    # A pathway that comes before the test of its event sees that of the step before.
    late = (
        0
        if (outside and _later(pathway))
        or any(
            isinstance(o, Thresholder) and o.event == event and o.group.name == pathway.source.name
            for o in before
        )
        else 1
    )
    if steps.size == 1:
        return {int(steps.item()) + late: None}
    unique = np.unique(steps)
    if len(unique) == 1:
        return {int(unique[0]) + late: None}
    return {
        int(s) + late: Among(str(s), torch.as_tensor(np.flatnonzero(steps == s))) for s in unique
    }


def _later(pathway: SynapticPathway) -> bool:
    """Whether a pathway comes after the test of its event in another component."""
    event = pathway.eventspace_name[1 : -len("space")]
    test = pathway.source.thresholder[event]
    return order_of(test) < order_of(pathway)


def slot(name: str) -> int:
    """Place of a slot of Brian2's default schedule; three apart, for what comes around it."""
    return 3 * _SLOTS.index(name)


def slot_of(target: BrianObject) -> int:
    """Place of an object's slot in Brian2's default schedule."""
    when = target.when
    shift = -1 if when.startswith("before_") else 1 if when.startswith("after_") else 0
    base = when.removeprefix("before_").removeprefix("after_")
    if base not in _SLOTS:
        wanted = f"one of Brian2's slots {', '.join(_SLOTS)}"
        raise ParameterError(target.name, "when", when, wanted)
    return slot(base) + shift


def order_of(target: BrianObject) -> tuple[int, int, str]:
    """Place of an object in Brian2's default schedule."""
    return slot_of(target), target.order, target.name
