"""The parts of a declared network: which populations are computed together, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import attrs
import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from biosnn.errors import ParameterError
from biosnn.models import parsed
from biosnn.networks import NetworkModel
from biosnn.program.layout import default_state, interface_of
from biosnn.program.lower import lower
from biosnn.program.program import BOUNDARY, STEP, Kernel, Program, parsed_equations
from biosnn.program.recorders import Record, observed
from biosnn.state import State
from biosnn.surrogate.compiler.component import (
    Component,
    Drive,
    Settings,
    compile_component,
)
from biosnn.surrogate.compiler.expressions import CONST, TENSOR, TIME, Value
from biosnn.surrogate.compiler.input_checks import Samples, checked_samples
from biosnn.surrogate.compiler.synapses import Arrival, NeedsSourceError

#: Moments besides the frames of inputs, whose names are never empty or a dot.
_STEP, _ONSET = "", "."
#: Variables of the protocol that come with every call, and when they are known.
_GIVEN = {"seed": TIME, "pass_id": TIME, "sample_id": TENSOR, "intensity": TENSOR}


def port_of(channel: str) -> str:
    """Name of an input in programs."""
    return f"port_input_{channel}"


class Parts:
    """A network's parts and what their functions need.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    components : sequence of Component
        Its parts, in the order in which they can be computed.
    program : Program
        What it was lowered to.
    """

    def __init__(self, components: Sequence[Component], program: Program):
        self.program, self.components = program, tuple(components)
        self.sizes = {key: program.groups[key].n for key in _populations(program)}
        self._frames, self._phases = _frames(program), _phases(program)
        self._driven = _driven(program)
        self._channels = {port_of(name): name for name in program.inputs}
        self.ports = program.inputs
        self.defaults = default_state(interface_of(program, single_precision=False), program)
        self.stored = {
            (s.owner, s.variable): s.value
            for c in self.components
            for s in (*c.compiled.state.values(), *c.compiled.fixed.values())
        }

    def initial(self, key: tuple[str, str], state: State) -> np.ndarray:
        """Initial value of a stored variable."""
        name = ".".join(key)
        stored = self.stored[key]
        return np.array(state[name], dtype=stored.dtype) if name in state else stored

    def n_synapses(self, key: str) -> int:
        """Number of synapses of a projection."""
        return self.program.connections[key].size

    def phase(self, step: int) -> str:
        """Name of the function of a step."""
        return self._phases[_ticking(self._frames, step)] if step else "onset"

    def written(self, component: Component, phase: str) -> set[str]:
        """Ports that a function writes."""
        return component.compiled.written[phase]

    def local(self, component: Component, owner: str, variable: str) -> str:
        """Name of a stored variable in the program of a part."""
        for name, stored in component.compiled.state.items():
            if stored.owner == owner and stored.variable == variable:
                return name
        raise KeyError(variable)

    def spiking(self, key: str) -> bool:
        """Whether a population has spikes."""
        return any((key, "spike") in c.events for c in self.components)

    def check_recorded(self, names: Sequence[str]) -> None:
        """Check that names are populations that spike, or variables that change."""
        events = {key[0] for c in self.components for key in c.events if key[1] == "spike"}
        variables = {
            f"{s.owner}.{s.variable}" for c in self.components for s in c.compiled.state.values()
        }
        for name in names:
            if name not in events | variables:
                wanted = f"one of {', '.join(sorted(events | variables))}"
                raise ParameterError("SurrogateNetwork", "record", repr(name), wanted)

    def arrived(self, arrival: Arrival, events: Tensor, fixed: Mapping[str, Any]) -> Tensor:
        """Sums of events over synapses: ``[..., n_pre]`` to ``[..., n_post]``."""
        return events @ fixed[arrival.matrix]

    # --- inputs

    def samples(self, given: Any) -> Samples:
        """A batch, checked."""
        steps = self.program.steps_per_presentation
        return checked_samples(self.program.name, self.ports, steps, given)

    def passed_on(
        self, component: Component, given: Mapping[str, Tensor]
    ) -> dict[tuple[str, str], Tensor] | None:
        """Events of a part that only hands on what it is given; None of any other."""
        passed = component.compiled.passed
        if component.compiled.state or set(component.events.values()) - set(passed):
            return None
        channels = {
            key: self._channels.get(passed[name], "") for key, name in component.events.items()
        }
        if not all(
            name in given and self.ports[name].kind == "events" for name in channels.values()
        ):
            return None
        return {key: given[name] for key, name in channels.items()}

    def drives(
        self, values: Mapping[str, Tensor], n: int, dtype: torch.dtype, device: torch.device
    ) -> Callable[[Component, int], dict[str, Tensor]]:
        """A function that gives the values of inputs in a step."""
        zeros = {
            name: torch.zeros((n, port.features), dtype=dtype, device=device)
            for name, port in self.ports.items()
        }

        def at(component: Component, step: int) -> dict[str, Tensor]:
            found = {}
            for key in component.populations:
                for channel in self._driven[key].values():
                    found[port_of(channel)] = self._at(channel, values, zeros, step)
            return found

        return at

    def _at(
        self, channel: str, values: Mapping[str, Tensor], zeros: Mapping[str, Tensor], step: int
    ) -> Tensor:
        kind = self.ports[channel].kind
        if channel not in values:
            return zeros[channel]
        shown = values[channel]
        if kind == "static":
            return shown
        if kind == "sequence":
            frame = step // self._frames[channel]
            return shown[:, frame] if frame < shown.shape[1] else zeros[channel]
        return shown[step] if step < len(shown) else zeros[channel]


def components_of(network: NetworkModel, settings: Settings, fraction: float = 1.0) -> Parts:
    """Compile a network part by part.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    settings : Settings
        How programs are written.
    fraction : float
        Of all learning that is done, for parameters that follow a schedule.
    """
    # As biosnn.compile records by default, so that states are complete for it.
    record = Record(per_sample=observed(network, None))
    program = lower(network, record)
    settings = attrs.evolve(settings, context=_context(program, network, fraction))
    # Widths of comparisons are those of variables that begin at 0: states come with every call.
    arrays = {key: attrs.evolve(array, initial=None) for key, array in program.arrays.items()}
    from_zero = program.changed(arrays=arrays)
    together: set[frozenset[str]] = {
        frozenset((key, target.partition(".")[0]))
        for key, group in program.groups.items()
        for target in group.links.values()
        if target.partition(".")[0] != program.protocol
    }
    while True:
        try:
            found = [
                _compiled(network, populations, from_zero, settings)
                for populations in _ordered(program, together)
            ]
            return Parts(found, program)
        except NeedsSourceError as needed:
            together.add(frozenset((needed.population, needed.target)))


def _ordered(program: Program, together: set[frozenset[str]]) -> list[tuple[str, ...]]:
    """Populations that act on each other, in the order in which they can be computed."""
    keys = _populations(program)
    edges = [(c.pre, c.post) for c in program.connections.values() if c.post in keys]
    for pair in together:
        one, other = (*pair, *pair)[:2]
        edges += [(one, other), (other, one)]
    index = np.array([[keys.index(a), keys.index(b)] for a, b in edges]).reshape(-1, 2)
    graph = coo_array((np.ones(len(index)), index.T), shape=(len(keys),) * 2)
    _, labels = connected_components(graph, connection="strong")
    members = {
        label: [k for k, m in zip(keys, labels, strict=True) if m == label] for label in labels
    }
    before: dict[Any, set[Any]] = {label: set() for label in members}
    for a, b in index:
        if labels[a] != labels[b]:
            before[labels[b]].add(labels[a])
    return [tuple(members[label]) for label in TopologicalSorter(before).static_order()]


def _compiled(
    network: NetworkModel, populations: Sequence[str], program: Program, settings: Settings
) -> Component:
    owners = {*populations, *(k for k, c in program.connections.items() if c.post in populations)}
    for _, array in sorted(program.arrays.items()):
        if array.owner in owners and array.shared:
            wanted = "a variable of each neuron or synapse"
            raise ParameterError(array.owner, "equations", f"{array.name} (shared)", wanted)
    kernels = [
        kernel
        for kernel in program.kernels
        if kernel.owner in owners and kernel.kind != "load" and not (kernel.plastic or kernel.ends)
    ]
    ticks = {"onset": {_STEP, _ONSET, *_frames(program)}}
    ticks |= {name: {_STEP, *ticking} for ticking, name in _phases(program).items()}
    phases = {
        name: [kernel for kernel in kernels if _moment(kernel) in moments]
        for name, moments in ticks.items()
    }
    drives, driven = [], _driven(program)
    for key in populations:
        for variable, channel in driven[key].items():
            kind = program.inputs[channel].kind
            for name, moments in ticks.items():
                if kind == "events" or name == "onset" or channel in moments:
                    drives.append(_drive(program, network, key, variable, channel, name))
    observed = [
        (key, name)
        for key in populations
        for name in parsed_equations(program.groups[key]).diff_eq_names
    ]
    try:
        return compile_component(program, populations, phases, drives, settings, observed)
    except NeedsSourceError as needed:
        needed.target = populations[0]
        raise


def _drive(
    program: Program, network: NetworkModel, key: str, variable: str, channel: str, phase: str
) -> Drive:
    spiking = any(kernel.event == "spike" for kernel in program.of(key, "threshold"))
    events = program.inputs[channel].kind == "events"
    soft = events and spiking
    # What encoders do to static samples has steps; currents and events pass gradients.
    diff = events or not spiking or network_receives(network, key)
    return Drive(
        owner=key,
        name=variable,
        port=port_of(channel),
        phase=phase,
        kind="soft" if soft else "float",
        diff=diff,
    )


def network_receives(network: NetworkModel, key: str) -> bool:
    """Whether a population receives synapses or integrates: is no mere encoder."""
    received = any(p.post == key for p in network.projections.values())
    return received or bool(parsed(key, network.populations[key].model.equations).diff_eq_names)


def _moment(kernel: Kernel) -> str:
    """When a kernel runs: in every step or every so many, at an onset, with an input's frames."""
    if kernel.clock == STEP and kernel.every > 1:
        return _every(kernel)
    return {STEP: _STEP, BOUNDARY: _ONSET}.get(kernel.clock, kernel.clock)


def _ticking(frames: Mapping[str, int], step: int) -> tuple[str, ...]:
    """Inputs with a new frame in a step."""
    return tuple(name for name, every in frames.items() if step % every == 0)


def _phases(program: Program) -> dict[tuple[str, ...], str]:
    """Inputs with a new frame -> name of the function of such steps, the first one apart."""
    frames = _frames(program)
    found: dict[tuple[str, ...], str] = {(): "step"}
    for step in range(1, program.steps_per_presentation if frames else 1):
        found.setdefault(_ticking(frames, step), f"frame_{len(found)}")
    return found


def _every(kernel: Kernel) -> str:
    """A name for its clock, which no input has."""
    return f"every {kernel.every} steps"


def _frames(program: Program) -> dict[str, int]:
    """Input -> steps of a frame; also the clocks of statements that run every so many steps."""
    clocks = {_every(k): k.every for k in program.kernels if k.clock == STEP and k.every > 1}
    frames = {name: port.frame_steps for name, port in program.inputs.items() if port.frame_steps}
    return {**frames, **clocks}


def _populations(program: Program) -> list[str]:
    """The groups that were declared: all but those whose units present samples."""
    return [key for key in program.groups if key != program.protocol]


def _driven(program: Program) -> dict[str, dict[str, str]]:
    """Population -> its variables that inputs set -> the input."""
    found: dict[str, dict[str, str]] = {key: {} for key in program.groups}
    for kernel in program.kernels:
        for target in kernel.targets if kernel.kind == "load" else ():
            key, _, variable = target.partition(".")
            found[key][variable] = kernel.owner
    return found


def _context(program: Program, network: NetworkModel, fraction: float) -> dict[str, Value]:
    found = {
        "t_sample": Value(f"{program.dt!r} * step_", "float", TIME),
        "step": Value("step_ + 1", "int", TIME),
        "fraction": Value(repr(fraction), "float", CONST),
        "pending": Value("1", "int", CONST),
        "attempt": Value("0", "int", CONST),
    }
    found |= {
        name: Value("", "float" if name == "intensity" else "int", level)
        for name, level in _GIVEN.items()
    }
    rules = {k: p.rule for k, p in network.projections.items() if p.rule is not None}
    owners = {**{k: p.model for k, p in network.populations.items()}, **rules}
    for key, owner in owners.items():
        for name, schedule in owner.schedules.items():
            found[f"{key}_{name}"] = Value(repr(schedule.value(fraction)), "float", CONST)
    return found
