"""A device in NumPy: it interprets a program, kernel by kernel, as an example for authors."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from brian2.codegen.translation import make_statements
from brian2.parsing.rendering import NumpyNodeRenderer
from brian2.utils.stringtools import get_identifiers

from biosnn.devices.base.contract import Chunk, Report, Settings, Stop
from biosnn.errors import DeviceError
from biosnn.program.integration import statements_of
from biosnn.program.layout import default_state, interface_of
from biosnn.program.passes.presentation import FROM_ZERO, GIVEN
from biosnn.program.program import STEP, Kernel, Program
from biosnn.program.scope import Scope
from biosnn.recording import Recording, Spikes
from biosnn.state import State

CHANGES = {"+=": np.add, "-=": np.subtract, "*=": np.multiply, "/=": np.divide}
STRANGE = {"clear", "held", "summed"}  # kinds of kernels


class ToyNetwork:
    """A program that is interpreted; it knows no delays, traces, snapshots, sums and replicas."""

    longest_chunk, build_seconds = None, 0.0

    def __init__(self, program: Program, precision: str = "double"):
        delayed = any(made.delayed for made in program.connections.values())
        kinds, record = {kernel.kind for kernel in program.kernels}, program.record
        if delayed or kinds & STRANGE or record.traces or record.snapshots:
            raise DeviceError("the toy device knows no delays, traces, snapshots and sums")
        self.program, self.single = program, precision == "single"
        self.interface = interface_of(program, single_precision=self.single)
        self.defaults = default_state(self.interface, program)

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[ToySession]:
        yield ToySession(self, state)


class ToySession:
    """A run; ``values`` holds all that is stored, by the names of arrays."""

    def __init__(self, made: ToyNetwork, state: State):
        self.made, self.program, arrays = made, made.program, made.program.arrays
        self.values = {name: np.zeros(a.size, a.dtype(made.single)) for name, a in arrays.items()}
        for name in state:
            self.values[name][:] = state[name]
        self.compiled = functools.cache(self.compiled)

    def state(self) -> State:
        kept = {a.full_name: self.values[a.full_name].copy() for a in self.program.state}
        return self.made.interface.state(kept)

    def protocol(self, name: str) -> int:
        return int(self.values[f"{self.program.protocol}.{name}"][0])

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        program, self.chunk, self.step, done = self.program, chunk, 0, 0
        given = {name: getattr(settings, name) for name in GIVEN}
        for name, value in {**dict.fromkeys(FROM_ZERO, 0), **given}.items():
            self.values[f"{program.protocol}.{name}"][:] = value
        self.values[f"{program.protocol}.learning"][:] = bool(settings.learning)
        kernels = [k for k in program.kernels if not {*k.plastic} - {*settings.learning}]
        columns, self.shown = self.made.interface.per_sample, np.zeros(chunk.n, np.int32)
        self.kept = {name: np.zeros((chunk.n, column.size)) for name, column in columns.items()}
        self.events: dict[tuple[str, str], np.ndarray] = {}
        self.spikes: dict[str, list[Any]] = {key: [] for key in program.record.spikes}
        while done < chunk.n and not (stop.requested and not self.protocol("attempt")):
            for step in range(program.steps_per_presentation):
                for kernel in kernels:
                    if step % (kernel.every if kernel.clock == STEP else 2**62) == 0:
                        self.run(kernel, step)
                self.step += 1
            for kernel in kernels:
                if kernel.ends:
                    self.run(kernel, 0)
            done = self.protocol("sample")
            report(done, int(self.shown.sum()), 0)
        for array in program.state:
            if array.clock_time:  # in whole steps, so that results do not depend on chunks
                steps = np.round(self.values[array.full_name] / program.dt) - self.step
                self.values[array.full_name] = steps * program.dt
        spikes = {}
        for key, rows in self.spikes.items():
            i, step, sample, attempt = np.array(rows, dtype=int).reshape(-1, 4).T
            spikes[key] = Spikes(i, step * program.dt, sample, attempt)
        kept = {name: rows[:done] for name, rows in self.kept.items()}
        return done, Recording(per_sample=kept, shown=self.shown[:done], spikes=spikes)

    def run(self, kernel: Kernel, step: int) -> None:
        """Do what a kernel says."""
        key, sample, attempt = kernel.owner, self.protocol("sample"), self.protocol("attempt")
        if kernel.kind == "load":
            for target in kernel.targets:
                self.values[target][:] = self.given(key, sample, step)
        elif kernel.kind in ("store", "snapshot"):
            for name, rows in self.kept.items() if self.protocol("pending") else ():
                rows[sample], self.shown[sample] = self.values[name], attempt + 1
        else:
            made = self.program.connections.get(key)
            chosen = np.arange(made.size if made else self.program.groups[key].n)
            i, j = made.indices if made else (chosen, chosen)
            ends = {"": chosen, "pre": i, "post": j}
            if kernel.kind in ("pathway", "reset"):
                fired = self.events.get((self.program.source(kernel), kernel.event), [])
                chosen = np.flatnonzero(np.isin(ends[kernel.side], fired))
            where = {side: indices[chosen] for side, indices in ends.items()}
            local = self.execute(kernel, {**where, "own": chosen, "one": np.zeros(1, int)})
            if kernel.kind == "threshold":
                found = np.broadcast_to(local["_cond"], chosen.shape)
                if kernel.refractory:
                    found = found & self.values[f"{key}.not_refractory"]
                    self.values[f"{key}.not_refractory"][found] = False
                    self.values[f"{key}.lastspike"][found] = self.step * self.program.dt
                self.events[key, kernel.event] = found = np.flatnonzero(found)
                if kernel.event == "spike" and key in self.spikes:
                    self.spikes[key] += [(i, step, sample, attempt) for i in found]

    def given(self, name: str, sample: int, step: int) -> Any:
        """A row of an input, or the events of a step."""
        port, given = self.program.inputs[name], self.chunk.inputs[name]
        if given is None or port.kind != "events":
            return port.absent if given is None else given[sample]
        units = given.unit[(given.sample == sample) & (given.step == step)]
        return np.bincount(units, minlength=port.features) > 0

    def compiled(self, kernel: Kernel) -> tuple[Any, list[Any]]:
        scope, code = Scope(self.program, kernel.owner), statements_of(self.program, kernel)
        lines = make_statements(code, scope.variables(code), np.float64, optimise=False)[1]
        rendered = [(line, NumpyNodeRenderer().render_expr(line.expr)) for line in lines]
        made = [
            (line, get_identifiers(line.expr), compile(code, "<kernel>", "eval"))
            for line, code in rendered
        ]
        return functools.cache(scope.find), made

    def execute(self, kernel: Kernel, where: dict[str, np.ndarray]) -> dict[str, Any]:
        """Run code where indices say; what it assigned besides variables."""
        (find, lines), local = self.compiled(kernel), {"logical_not": np.logical_not}

        def value(name: str) -> Any:
            found = find(name)
            if found.kind in ("array", "neuron"):
                stored = found.array and self.values[found.array.full_name]
                return where[found.index] if stored is None else stored[where[found.index]]
            if found.kind == "function":
                return found.value.pyfunc
            return self.step * self.program.dt if name == "t" else found.value

        for line, used, code in lines:
            names = {name: value(name) for name in used if name not in local}
            result = eval(code, {}, {**names, **local})
            if line.op == ":=":
                local[line.var] = result
                continue
            found = find(line.var)
            array, target = self.values[found.array.full_name], where[found.index]
            result = np.broadcast_to(np.asarray(result, dtype=array.dtype), target.shape)
            if found.array.paused and kernel.kind != "reset" and not kernel.forced:
                free = self.values[f"{found.owner}.not_refractory"][target]
                target, result = target[free], result[free]
            if line.op == "=":
                array[target] = result
            else:
                CHANGES[line.op].at(array, target, result)
        return local
