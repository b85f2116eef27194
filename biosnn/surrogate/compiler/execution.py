"""Run a compiled network on one batch: population by population, or time step by time step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from biosnn.surrogate.compiler.component import Component
from biosnn.surrogate.compiler.partition import Parts


class NetworkRun:
    """One presentation of a batch of `n` samples.

    `values` are initial values, constants and weights by ``(owner, variable)``; `protocol` has
    variables such as the seed of counter-based draws; `record` names populations, whose spikes
    are recorded, and ``population.variable``.
    """

    def __init__(
        self,
        parts: Parts,
        values: Mapping[tuple[str, str], np.ndarray | Tensor],
        constants: Mapping[tuple[str, str], Tensor],
        inputs: Mapping[str, Tensor],
        protocol: dict[str, Any],
        n: int,
        dtype: torch.dtype,
        device: torch.device,
        record: Sequence[str],
    ):
        self.parts, self.values, self.constants, self.protocol = parts, values, constants, protocol
        self.steps = parts.program.steps_per_presentation
        self.n, self.dtype, self.device = n, dtype, device
        self.inputs = {name: shown.to(device, dtype) for name, shown in inputs.items()}
        self.drives = parts.drives(self.inputs, n, dtype, device)
        self.record = record
        self.events: dict[tuple[str, str], Any] = {}  # -> [T, N, n], or the steps so far
        self.recorded: dict[str, Any] = {name: [] for name in record if "." in name}

    def by_population(self, output: str) -> Tensor:
        """The whole presentation of one component after that of the component before."""
        for component in self.parts.components:
            shown = self.parts.passed_on(component, self.inputs)
            if shown is not None:
                self.events.update(shown)
                continue
            running = _ComponentRun(self, component)
            # Several phases of a step may read the same sum.
            arrivals = {a.port: a for found in component.arrivals.values() for a in found}
            arriving = {}
            for port, a in arrivals.items():
                sums = self.parts.arrived(a, self.events[a.population, a.event], running.fixed)
                arriving[port] = _delayed(sums, a.lag, self.steps).unbind()
            for step in range(self.steps):
                running.advance(step, {port: sums[step] for port, sums in arriving.items()})
            for key, events in running.history.items():
                self.events[key] = torch.stack(events)
        return self._finished(output)

    def by_step(self, output: str) -> Tensor:
        """All components together, one time step after the other."""
        running = [_ComponentRun(self, component) for component in self.parts.components]
        for step in range(self.steps):
            for part in running:
                arriving = {}
                for a in part.component.arrivals[self.parts.phase(step)]:
                    past = self.events[a.population, a.event]
                    now = past[step - a.lag] if step >= a.lag else torch.zeros_like(past[0])
                    arriving[a.port] = self.parts.arrived(a, now, part.fixed)
                part.advance(step, arriving)
                self.events.update(part.history)
        self.events = {key: torch.stack(steps) for key, steps in self.events.items()}
        return self._finished(output)

    def _finished(self, output: str) -> Tensor:
        """Put the recorded steps together; the output is one of the recorded, or spikes."""
        for name in self.record:
            if "." in name:
                self.recorded[name] = torch.stack(self.recorded[name])
            else:
                self.recorded[name] = _delayed(self.events[name, "spike"], 0, self.steps)
        if output in self.recorded:
            return self.recorded[output]
        return _delayed(self.events[output, "spike"], 0, self.steps)


class _ComponentRun:
    """State and history of one component during a presentation."""

    def __init__(self, run: NetworkRun, component: Component):
        self.run, self.component = run, component
        compiled, like = component.compiled, {"dtype": run.dtype, "device": run.device}
        self.state: dict[str, Tensor] = {}
        for name, stored in compiled.state.items():
            value = run.values[stored.owner, stored.variable]
            begin = _as_tensor(value, stored.variable == "lastspike", **like)
            self.state[name] = begin.expand(run.n, *begin.shape)
        self.fixed: dict[str, Any] = {
            name: _as_tensor(run.values[stored.owner, stored.variable], False, **like)
            for name, stored in compiled.fixed.items()
        }
        for key, local in component.trained.items():
            self.fixed[local] = run.constants[key].to(run.dtype)
        for key in compiled.ones:
            self.fixed[f"ones_of_{key}"] = torch.ones(run.parts.n_synapses(key), **like)
        size = (run.n, max((s.value.size for s in compiled.state.values()), default=1))
        self.fixed["real_"] = lambda values: values.to(run.dtype)
        self.fixed["rand_"] = lambda: torch.rand(size, **like)
        self.fixed["randn_"] = lambda: torch.randn(size, **like)
        compiled.functions["prepare"](self.fixed)
        self.history: dict[tuple[str, str], list[Tensor]] = {k: [] for k in component.events}
        self.port = dict(run.protocol)

    def advance(self, step: int, arriving: Mapping[str, Tensor]) -> None:
        """Compute one time step."""
        run, port = self.run, self.port
        port.update(arriving)
        port.update(run.drives(self.component, step))
        for name, (population, event, lag) in self.component.pasts.items():
            past = self.history[population, event]
            port[name] = past[-lag] if len(past) >= lag else self._silence(population)
        phase = run.parts.phase(step)
        self.component.compiled.functions[phase](step, self.state, self.fixed, port)
        written = run.parts.written(self.component, phase)
        for (population, event), name in self.component.events.items():
            silence = self._silence(population)
            events = port[name].expand(silence.shape) if name in written else silence
            self.history[population, event].append(events)
        for name, steps in run.recorded.items():
            owner, _, variable = name.partition(".")
            if owner in self.component.populations:
                steps.append(self.state[run.parts.local(self.component, owner, variable)])

    def _silence(self, population: str) -> Tensor:
        run = self.run
        shape = (run.n, run.parts.sizes[population])
        return torch.zeros((), dtype=run.dtype, device=run.device).expand(shape)


def _as_tensor(value: np.ndarray | Tensor, double: bool, *, dtype: Any, device: Any) -> Tensor:
    if isinstance(value, Tensor):  # weights, with their gradients
        return value
    kind = {"b": torch.bool, "i": torch.int64, "u": torch.int64}.get(value.dtype.kind, dtype)
    return torch.as_tensor(value, device=device).to(torch.float64 if double else kind)


def _delayed(values: Tensor, lag: int, steps: int) -> Tensor:
    """A sequence of so many steps, some steps later; zero before and after."""
    if lag == 0 and len(values) == steps:
        return values
    kept = values[: max(steps - lag, 0)]
    before = values.new_zeros((min(lag, steps), *values.shape[1:]))
    after = values.new_zeros((steps - len(before) - len(kept), *values.shape[1:]))
    return torch.cat([before, kept, after])
