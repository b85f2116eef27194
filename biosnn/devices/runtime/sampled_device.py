"""The device ``runtime`` for networks of scripts that are shown samples."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import second

from biosnn.devices.base.contract import Chunk, Report, Settings, Stop, TooMuchRecordedError
from biosnn.devices.base.free_description import sampled_interface, sampled_state
from biosnn.devices.base.free_runs import sample_seeds, segments, state_of
from biosnn.devices.runtime.free_device import FreeRuntimeNetwork
from biosnn.program.pending import set_queue
from biosnn.program.program import Connection, Program, Scaled
from biosnn.recording import Recording, Spikes, Trace
from biosnn.state import SEEN, State


class SampledRuntimeNetwork:
    """A network of a script as live Brian2 objects, run by Brian2's own loop for each sample.

    Parameters
    ----------
    program, precision, target
        As for :class:`biosnn.devices.runtime.free_device.FreeRuntimeNetwork`; the program says how
        samples are shown.
    """

    longest_chunk: int | None = None

    def __init__(self, program: Program, precision: str, target: str = "numpy"):
        self.made = FreeRuntimeNetwork(program, precision, target)
        self.program = program
        self.interface = sampled_interface(self.made.interface, program, self.made.recorded)
        self.defaults = sampled_state(self.interface, program)
        self.build_seconds = self.made.build_seconds

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[SampledRuntimeSession]:
        """Begin a run (see :class:`biosnn.devices.base.contract.Device`)."""
        yield SampledRuntimeSession(self, state)


class SampledRuntimeSession:
    """A run; its state goes from chunk to chunk."""

    def __init__(self, network: SampledRuntimeNetwork, state: State):
        self._network, self._state = network, state

    def state(self) -> State:
        """See :class:`biosnn.devices.base.contract.Session`."""
        return self._state

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """See :class:`biosnn.devices.base.contract.Session`."""
        network = self._network
        samples = network.program.samples
        assert samples is not None
        values = {name: self._state[name] for name in network.program.arrays}
        for key, switch in samples.switches.items():
            values[switch] = np.array([key in settings.learning], dtype=np.int32)
        with network.made.alone(), network.made.brian2():
            shown = _Shown(network, network.made.begin(values), chunk, settings)
            done, recording = shown.run(report, stop)
            if done == 0:
                return 0, None
            ended = {name: array.copy() for name, array in shown.arrays.items()}
        for switch in samples.switches.values():
            ended[switch] = np.zeros(1, np.int32)
        counted = self._state[SEEN] + np.int32(done if settings.learning else 0)
        self._state = state_of(network.interface, {**ended, SEEN: counted})
        return done, recording


class _Shown:
    """A chunk of samples that is shown to a network."""

    def __init__(
        self,
        network: SampledRuntimeNetwork,
        arrays: Mapping[str, np.ndarray],
        chunk: Chunk,
        settings: Settings,
    ):
        samples = network.program.samples
        assert samples is not None
        self.samples, self.face, self.arrays = samples, network.interface, arrays
        self.built, self.recorded = network.made.built, network.made.recorded
        self.chunk, self.settings = chunk, settings
        self.first = network.defaults
        self.segments = segments(network.program)
        self.seeds = sample_seeds(settings, chunk.n)
        self.connections = network.program.connections
        # What the monitors hold at the end of each presentation.
        self.ends: dict[str, list[int]] = {name: [] for name in self.built.monitors}
        self.presentations: list[tuple[int, int]] = []  # sample and attempt of each
        self.counts: dict[str, list[np.ndarray]] = {key: [] for key in samples.counted}
        self.snapshots: dict[str, list[np.ndarray]] = {name: [] for name in self.face.snapshots}

    def run(self, report: Report, stop: Stop) -> tuple[int, Recording]:
        """Show the samples; how many, and what was observed."""
        started = time.perf_counter()
        done = attempt = fired = 0
        while done < self.chunk.n and not stop.requested:
            enough = self._present(done, attempt)
            counts = self._counted()
            if not enough and attempt < self.samples.max_retries:
                attempt += 1
                continue
            done, attempt = done + 1, 0
            for key, name in self.samples.counted.items():
                self.counts[key].append(counts[name])
                fired += int(counts[name].sum())
            for name, column in self.face.snapshots.items():
                if (self.settings.position + done) % column.every == 0:
                    self.snapshots[name].append(self.arrays[name].copy())
            self._check_room()
            report(done, len(self.presentations), fired)
        return done, self._recording(done, time.perf_counter() - started)

    def _present(self, sample: int, attempt: int) -> bool:
        """Show a sample with its rest; whether it had enough spikes before the rest."""
        built, samples = self.built, self.samples
        for name in samples.resets:
            self.arrays[name][:] = self.first[name]
        for pathway in built.pathways.values():
            set_queue(pathway.queue, np.empty((0, 2), dtype=np.int32))
        for name, target in samples.targets.items():
            given = self.chunk.inputs[name]
            if self.face.ports[name].kind == "events":
                low, high = np.searchsorted(given.sample, [sample, sample + 1])
                at = given.step[low:high] * self.face.dt * second
                built.owners[target].set_spikes(given.unit[low:high], at, sorted=True)
        for name, scaling in samples.scaled.items():
            key = name.partition(".")[0]
            if key in self.settings.learning and (attempt == 0 or scaling.retries):
                self.arrays[name][:] = _scaled(self.arrays[name], self.connections[key], scaling)
        if attempt == 0:
            np.random.seed(self.seeds[sample])
        built.net.t_ = begin = 0.0
        enough = None
        for step, end, rest in self.segments:
            enough = self._enough() if rest else enough
            self._set_inputs(sample, attempt, step, rest)
            built.net.run((end - begin) * second, namespace={})
            begin = end
        for name in samples.times:
            steps = np.round((self.arrays[name] - begin) / self.face.dt)
            self.arrays[name][:] = steps * self.face.dt
        self.presentations.append((sample, attempt))
        for name, monitor in built.monitors.items():
            column = self.recorded[name].rows
            self.ends[name].append(len(monitor.variables[column].get_value()) if column else 0)
        return self._enough() if enough is None else enough

    def _enough(self) -> bool:
        """Whether the group that decides on another attempt has had enough spikes."""
        if not self.samples.watch:
            return True
        monitor = self.built.monitors[self.samples.counted[self.samples.watch]]
        return int(monitor.variables["count"].get_value().sum()) >= self.samples.min_spikes

    def _set_inputs(self, sample: int, attempt: int, step: int, rest: bool) -> None:
        factors = self.chunk.inputs["intensity"]
        own = 1.0 if factors is None else float(factors[sample, 0])
        factor = (self.samples.intensity + self.samples.intensity_step * attempt) * own
        for name, target in self.samples.targets.items():
            port, values = self.face.ports[name], self.chunk.inputs[name]
            if port.kind == "sequence":
                frame = step // port.frame_steps
                known = frame < values.shape[1]
                row = values[sample, frame].astype(float) * factor if known else port.absent
                self.arrays[target][:] = row
            elif port.kind == "static" and step == 0:
                self.arrays[target][:] = values[sample].astype(float) * factor
            if rest and name in self.samples.silent:
                self.arrays[target][:] = 0

    def _counted(self) -> dict[str, np.ndarray]:
        """Spikes in the presentation, by their monitors, which begin again at 0."""
        found = {}
        for name, monitor in self.built.monitors.items():
            if "count" in monitor.variables:
                count = monitor.variables["count"]
                found[name] = np.array(count.get_value())
                count.set_value(0)
        return found

    def _check_room(self) -> None:
        held = sum(ends[-1] * self.recorded[name].row_bytes for name, ends in self.ends.items())
        if held > self.settings.recorder_limit:
            raise TooMuchRecordedError(f"{held}")

    def _recording(self, done: int, seconds: float) -> Recording:
        face = self.face
        slot = face.steps_per_presentation * face.dt
        shown = np.array(self.presentations, dtype=np.int32).reshape(-1, 2)
        spikes: dict[str, Spikes] = {}
        traces: dict[str, Trace] = {}

        def column(name: str, variable: str) -> np.ndarray:
            return np.array(self.built.monitors[name].variables[variable].get_value())

        def presentation(name: str, n: int) -> np.ndarray:
            return np.searchsorted(self.ends[name], np.arange(n), side="right")

        for name in face.spikes:
            i, t = column(name, "i"), column(name, "t")
            sample, attempt = shown[presentation(name, len(i))].T
            spikes[name] = Spikes(i, t, sample, attempt)
        for full, traced in face.traces.items():
            name, _, variable = full.partition(".")
            t, values = column(name, "t"), column(name, variable)
            points = values.T if values.ndim == 2 else values[None]
            time = t + presentation(name, len(t)) * slot
            traces[full] = Trace(time, points, np.asarray(traced.indices), traced.unit)
        return Recording(
            per_sample={f"{key}.count": _rows(rows) for key, rows in self.counts.items()},
            shown=np.bincount(shown[:, 0], minlength=done)[:done].astype(np.int32),
            spikes=spikes,
            traces=traces,
            snapshots={
                name: _rows(rows, face.snapshots[name]) for name, rows in self.snapshots.items()
            },
            seconds=seconds,
        )


def _scaled(weights: np.ndarray, made: Connection, scaling: Scaled) -> np.ndarray:
    """Weights whose norm at each neuron is that of a scaling; those that are all 0 stay."""
    post = made.indices[1]
    norms = np.bincount(post, np.abs(weights, dtype=float) ** scaling.p, made.n_post)
    norms = norms if scaling.p == 1 else np.sqrt(norms)
    factors = np.divide(scaling.total, norms, out=np.ones(made.n_post), where=norms > 0)
    return weights * factors[post]


def _rows(found: list[np.ndarray], column: Any = None) -> np.ndarray:
    """Rows as one array, also if there is none."""
    return np.array(found) if found else np.zeros((0, column.size if column else 0))
