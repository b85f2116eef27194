"""A part of a network that is computed together: populations that act on each other."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch

from biosnn._models.companions import SLOTS
from biosnn.errors import ParameterError
from biosnn.program.passes.replication import assigned
from biosnn.program.program import Connection, Kernel, Program, parsed_equations
from biosnn.surrogate.compiler.blocks import (
    event_names,
    held,
    on_event,
    regularly,
    state_update,
    threshold,
)
from biosnn.surrogate.compiler.expressions import TENSOR, Value
from biosnn.surrogate.compiler.liveness import Compiled, Phase
from biosnn.surrogate.compiler.source import SourceWriter
from biosnn.surrogate.compiler.synapses import Among, Arrival, SynapticBlock
from biosnn.surrogate.compiler.wiring import Wiring

#: Slot of the equations' time step: what is added from outside arrives behind it.
_EQUATIONS = SLOTS.index("groups")
#: Functions of neurons' variables that can give infinity.
_STEEP = frozenset({"exp", "expm1", "sinh", "cosh"})


@attrs.frozen(kw_only=True)
class Settings:
    """How programs are written.

    Parameters
    ----------
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
    """

    surrogate: Any
    widths: Mapping[str, float] = attrs.Factory(dict)
    detach_reset: bool = True
    smooth: bool = False
    functions: Mapping[Any, Any] = attrs.Factory(dict)
    trained: frozenset[tuple[str, str]] = frozenset()
    context: Mapping[str, Value] = attrs.Factory(dict)


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
    program: Program,
    groups: Sequence[str],
    phases: Mapping[str, Sequence[Kernel]],
    drives: Iterable[Drive],
    settings: Settings,
    observed: Iterable[tuple[str, str]] = (),
) -> Component:
    """Write and compile the source of some groups and of all synapses that lead to them.

    Parameters
    ----------
    program : Program
        What is translated.
    groups : sequence of str
        Groups of the component.
    phases : mapping
        Name of a function -> kernels of these groups and their synapses, in their order.
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
    translation = _Translation(program, groups, phases, tuple(drives), settings)
    diff, steep = set[str](), False
    while True:
        writer, written, arrivals = translation.translated(diff, steep)
        seen = any(_is_steep(line.text) for p in written.values() for line in p.lines)
        if writer.diff == diff and seen == steep:
            break
        diff, steep = set(writer.diff), seen
    events = {
        (kernel.owner, kernel.event): event_names(writer, kernel.owner, kernel.event)[0]
        for kernels in phases.values()
        for kernel in kernels
        if kernel.kind == "threshold"
    }
    kept = [writer.local(owner, name) for owner, name in observed]
    return Component(
        populations=tuple(groups),
        compiled=writer.compiled(written.values(), events.values(), kept),
        arrivals=arrivals,
        pasts=writer.pasts,
        events=events,
        trained=writer.trained,
    )


def _is_steep(text: str) -> bool:
    """Whether an expression of torch can give infinity for finite numbers."""
    for node in ast.walk(ast.parse(text, mode="eval")):
        match node:
            case ast.BinOp(op=ast.Pow()) | ast.Name(id="exprel_"):
                return True
            case ast.Attribute(value=ast.Name(id="torch"), attr=name) if name in _STEEP:
                return True
    return False


class _Translation:
    """Translates the kernels of a component."""

    def __init__(
        self,
        program: Program,
        groups: Sequence[str],
        phases: Mapping[str, Sequence[Kernel]],
        drives: Sequence[Drive],
        settings: Settings,
    ):
        self.program, self.groups, self.phases = program, groups, phases
        self.drives, self.settings = drives, settings
        self.synapses = {
            key: made for key, made in program.connections.items() if made.post in groups
        }
        self.wirings = {key: Wiring(made) for key, made in self.synapses.items()}
        self.changing = _changing(self.synapses, phases)

    def translated(
        self, diff: set[str], steep: bool
    ) -> tuple[SourceWriter, dict[str, Phase], dict[str, list[Arrival]]]:
        """All kernels as lines; gradients go through what ``diff`` names."""
        settings, program = self.settings, self.program
        writer = SourceWriter(
            program,
            prefixed=len(self.groups) > 1,
            surrogate=settings.surrogate,
            widths=settings.widths,
            detach_reset=settings.detach_reset,
            smooth=settings.smooth,
            context=settings.context,
            functions=settings.functions,
            apart=self.synapses,
        )
        writer.trained = {
            (owner, name): writer.local(owner, name)
            for owner, name in sorted(settings.trained)
            if owner in {*self.groups, *self.synapses}
        }
        writer.diff, writer.steep = set(diff), steep
        constant = {
            writer.store(array)
            for array in program.arrays.values()
            if array.owner in self.synapses
            and (array.owner, array.name) not in self.changing
            and array.kind == "float"
            and not (array.shared or array.expression)
        }
        written = {name: Phase(name) for name in self.phases}
        arrivals: dict[str, list[Arrival]] = {name: [] for name in self.phases}
        for drive in self.drives:
            if not drive.adds:
                _driven(writer, written[drive.phase], drive)
        for name, kernels in self.phases.items():
            phase = written[name]
            waiting = [drive for drive in self.drives if drive.adds and drive.phase == name]
            for place, kernel in enumerate(kernels):
                while waiting and kernel.place[0] > _EQUATIONS:
                    _driven(writer, phase, waiting.pop(0))
                if kernel.owner in self.synapses:
                    made = self.synapses[kernel.owner]
                    block = SynapticBlock(
                        writer, phase, made, self.wirings[made.name], constant, self.groups
                    )
                    outside = self.program.source(kernel) not in self.groups
                    arrivals[name] += self._of_synapses(block, kernel, kernels[:place], outside)
                else:
                    _OF_GROUPS[kernel.kind](writer, phase, kernel)
            for drive in waiting:
                _driven(writer, phase, drive)
        return writer, written, arrivals

    def _of_synapses(
        self, block: SynapticBlock, kernel: Kernel, before: Sequence[Kernel], outside: bool
    ) -> list[Arrival]:
        match kernel.kind:
            case "pathway":
                lags = self._lags(block.made, kernel, before, outside)
                return block.pathway(kernel, lags, outside)
            case "summed":
                block.summed(kernel)
            case "state_update":
                block.state_update()
            case "held":
                block.held()
            case _:
                block.statements(kernel.code)
        return []

    def _lags(
        self, made: Connection, kernel: Kernel, before: Sequence[Kernel], outside: bool
    ) -> dict[int, Among | None]:
        """Steps from an event to its effect -> the synapses."""
        source = self.program.source(kernel)
        # A pathway that comes before the test of its event sees that of the step before.
        if outside:
            before = self.program.kernels[: self.program.kernels.index(kernel)]
        tests = (k for k in before if k.kind == "threshold")
        late = int((source, kernel.event) not in {(k.owner, k.event) for k in tests})
        steps = made.delay_steps
        if steps is None or kernel.plastic or kernel.ends:
            return {int(np.floor(kernel.delay / self.program.dt + 0.5)) + late: None}
        unique = np.unique(steps)
        if len(unique) == 1:
            return {int(unique[0]) + late: None}
        return {
            int(s) + late: Among(str(s), torch.as_tensor(np.flatnonzero(steps == s)))
            for s in unique
        }


def _refused(writer: SourceWriter, phase: Phase, kernel: Kernel) -> None:
    raise ParameterError(
        kernel.owner,
        "object",
        f"{kernel.name} ({kernel.kind})",
        "a group's or synapses' equations, threshold, reset, pathway or regular operation",
        "Compile the network without it",
    )


_OF_GROUPS = {
    "state_update": state_update,
    "threshold": threshold,
    "reset": on_event,
    "statements": regularly,
    "held": held,
    "clear": _refused,
}


def _changing(
    synapses: Mapping[str, Connection], phases: Mapping[str, Sequence[Kernel]]
) -> set[tuple[str, str]]:
    """``(synapses, variable)`` for what kernels of synapses change."""
    found = set()
    for kernel in (k for kernels in phases.values() for k in kernels):
        if kernel.owner not in synapses:
            continue
        if kernel.kind == "state_update":
            equations = parsed_equations(synapses[kernel.owner])
            found |= {(kernel.owner, name) for name in equations.diff_eq_names}
        elif kernel.kind in ("pathway", "statements"):
            found |= {(kernel.owner, name) for name in assigned(kernel.code)}
    return found


def _driven(writer: SourceWriter, phase: Phase, drive: Drive) -> None:
    """A line that gives a variable its value from outside."""
    array = writer.program.arrays[f"{drive.owner}.{drive.name}"]
    local = writer.store(array)
    writer.ports.add(drive.port)
    text = drive.port
    if drive.adds:
        old = phase.current.get(local, Value(local)).text
        text = writer.guarded(phase, array, f"{old} + {text}", old)
    phase.write(local, text)
    if drive.diff:
        writer.diff.add(local)
    phase.current[local] = Value(local, drive.kind, TENSOR, drive.diff)
    if drive.kind == "soft":
        writer.soft.add(local)
