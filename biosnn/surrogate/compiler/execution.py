"""One call of a network: its parts layer by layer, or all of them step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from biosnn.surrogate.compiler.component import Component
from biosnn.surrogate.nn.trained_constants import TrainedConstant

if TYPE_CHECKING:
    from biosnn.surrogate.nn.network import SurrogateNetwork


class Run:
    """One call of a network."""

    def __init__(
        self,
        module: SurrogateNetwork,
        given: Mapping[str, Tensor | None],
        port: dict[str, Any],
        n: int,
        dtype: torch.dtype,
        device: torch.device,
        record: Sequence[str],
    ):
        self.module, self.parts, self.port = module, module._parts, port
        self.n, self.dtype, self.device = n, dtype, device
        self.given = {k: v.to(device, dtype) for k, v in given.items() if v is not None}
        self.drives = self.parts.drives(self.given, n, dtype, device)
        self.record = record
        self.events: dict[tuple[str, str], Any] = {}  # -> [T, N, n], or the steps so far
        self.recorded: dict[str, Any] = {name: [] for name in record if "." in name}

    def layer_by_layer(self) -> Tensor:
        """One part of the network after the other."""
        steps = self.module.steps
        for component in self.parts.components:
            shown = self.parts.passed_on(component, self.given)
            if shown is not None:
                self.events.update(shown)
                continue
            part = _Running(self, component)
            # Several phases of a step may read the same sum.
            read = {a.port: a for arrivals in component.arrivals.values() for a in arrivals}
            arriving = {
                port: _shifted(self._sums(part, arrival), arrival.lag, steps)
                for port, arrival in read.items()
            }
            slices = {name: values.unbind() for name, values in arriving.items()}
            for step in range(steps):
                part.advance(step, {name: values[step] for name, values in slices.items()})
            for key, events in part.history.items():
                self.events[key] = torch.stack(events)
        return self._finished()

    def step_by_step(self) -> Tensor:
        """One step after the other."""
        parts = [_Running(self, component) for component in self.parts.components]
        for step in range(self.module.steps):
            for part in parts:
                arrivals = part.component.arrivals[self.parts.phase(step)]
                here = {}
                for a in arrivals:
                    past = self.events[a.population, a.event]
                    now = past[step - a.lag] if step >= a.lag else torch.zeros_like(past[0])
                    here[a.port] = self.parts.arrived(a, now, part.fixed)
                part.advance(step, here)
                for key, steps in part.history.items():
                    self.events[key] = steps
        self.events = {key: torch.stack(steps) for key, steps in self.events.items()}
        return self._finished()

    def _sums(self, part: _Running, arrival: Any) -> Tensor:
        events = self.events[arrival.population, arrival.event]
        return self.parts.arrived(arrival, events, part.fixed)

    def _finished(self) -> Tensor:
        """The output, and what was to be recorded."""
        for name in self.record:
            if "." in name:
                self.recorded[name] = torch.stack(self.recorded[name])
            else:
                self.recorded[name] = _shifted(self.events[name, "spike"], 0, self.module.steps)
        output = self.module.output
        if "." in output:
            return self.recorded[output]
        return _shifted(self.events[output, "spike"], 0, self.module.steps)


class _Running:
    """A part of a network while it runs."""

    def __init__(self, run: Run, component: Component):
        self.run, self.component = run, component
        module, like = run.module, {"dtype": run.dtype, "device": run.device}
        compiled = component.compiled
        tensors = {
            name: module._arrays[s.owner, s.variable]
            for name, s in {**compiled.state, **compiled.fixed}.items()
        }
        self.state: dict[str, Tensor] = {}
        for name in compiled.state:
            begin = _as_tensor(tensors[name], compiled.state[name].variable == "lastspike", **like)
            self.state[name] = begin.expand(run.n, *begin.shape)
        self.fixed: dict[str, Any] = {
            name: _as_tensor(tensors[name], False, **like) for name in compiled.fixed
        }
        for name, stored in compiled.fixed.items():
            if stored.variable == "w" and stored.owner in module.weights:
                self.fixed[name] = module.weight(stored.owner)
        for (owner, name), local in component.trained.items():
            constant = module.trained.get_submodule(f"{owner}.{name}")
            assert isinstance(constant, TrainedConstant)
            self.fixed[local] = constant().to(run.dtype)
        for key in compiled.ones:
            self.fixed[f"ones_of_{key}"] = torch.ones(run.parts.n_synapses(key), **like)
        sizes = [s.value.size for s in compiled.state.values()]
        size = (run.n, max(map(int, sizes), default=1))
        self.fixed["real_"] = lambda values: values.to(run.dtype)
        self.fixed["rand_"] = lambda: torch.rand(size, **like)
        self.fixed["randn_"] = lambda: torch.randn(size, **like)
        compiled.functions["prepare"](self.fixed)
        self.history: dict[tuple[str, str], list[Tensor]] = {k: [] for k in component.events}
        self.port = dict(run.port)

    def advance(self, step: int, arriving: Mapping[str, Tensor]) -> None:
        """One time step."""
        run, port = self.run, self.port
        port.update(arriving)
        port.update(run.drives(self.component, step))
        for name, (population, event, lag) in self.component.pasts.items():
            past = self.history[population, event]
            n = run.parts.sizes[population]
            port[name] = (
                past[-lag]
                if len(past) >= lag
                else torch.zeros((run.n, n), dtype=run.dtype, device=run.device)
            )
        phase = run.parts.phase(step)
        self.component.compiled.functions[phase](step, self.state, self.fixed, port)
        for key, name in self.component.events.items():
            steps = self.history[key]
            shape = (run.n, run.parts.sizes[key[0]])
            if name in run.parts.written(self.component, phase):
                steps.append(port[name].expand(shape))
            else:
                steps.append(torch.zeros(shape, dtype=run.dtype, device=run.device))
        for name in run.recorded:
            owner, _, variable = name.partition(".")
            if owner in self.component.populations:
                run.recorded[name].append(
                    self.state[run.parts.local(self.component, owner, variable)]
                )


def _as_tensor(array: np.ndarray, double: bool, *, dtype: Any, device: Any) -> Tensor:
    kind = {"b": torch.bool, "i": torch.int64, "u": torch.int64}.get(array.dtype.kind, dtype)
    return torch.as_tensor(array, device=device).to(torch.float64 if double else kind)


def _shifted(values: Tensor, lag: int, steps: int) -> Tensor:
    """A sequence of so many steps, some steps later; zero before and after."""
    if lag == 0 and len(values) == steps:
        return values
    kept = values[: max(steps - lag, 0)]
    after = steps - min(lag, steps) - len(kept)
    rest = values.shape[1:]
    before = values.new_zeros((steps - after - len(kept), *rest))
    return torch.cat([before, kept, values.new_zeros((after, *rest))])
