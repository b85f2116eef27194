"""Networks of scripts that are shown samples, on any device that runs such networks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from biosnn.devices.base.contract import Chunk, Report, Settings, Stop, TooMuchRecordedError
from biosnn.devices.base.free_runs import FreeDevice, Recorded, Scaling, Seen, Shown, state_of
from biosnn.program.interface import Column, Interface, Variable
from biosnn.recording import Recording, Spikes, Trace
from biosnn.state import SEEN, State

if TYPE_CHECKING:
    from biosnn.program.program import Program


class SampledNetwork:
    """The network of a script on a device, which is shown samples.

    Parameters
    ----------
    made : FreeDevice
        The network on its device.
    program : Program
        With :class:`biosnn.program.program.Samples`.
    """

    longest_chunk: int | None = None

    def __init__(self, made: FreeDevice, program: Program):
        assert program.samples is not None
        self.made, self.program, self.samples = made, program, program.samples
        self.interface = _described(made.interface, program, made.recorded)
        first = {variable.name: made.defaults[variable.name] for variable in _stored(made)}
        self.first = first
        self.defaults = state_of(self.interface, {**first, SEEN: np.zeros(1, np.int32)})
        self.build_seconds = made.build_seconds

    @contextlib.contextmanager
    def session(self, state: State, folder: Path) -> Iterator[SampledSession]:
        """Begin a run (see :class:`biosnn.devices.base.contract.Device`)."""
        yield SampledSession(self, state, folder)


def _stored(made: FreeDevice) -> tuple[Variable, ...]:
    return made.interface.variables


def _described(face: Interface, program: Program, recorded: Mapping[str, Recorded]) -> Interface:
    """The interface of a run on samples."""
    samples = program.samples
    assert samples is not None
    monitors = {
        name: made for name, made in recorded.items() if name not in samples.counted.values()
    }
    counts = {
        f"{key}.count": Column(dtype="<i4", size=recorded[name].size)
        for key, name in samples.counted.items()
    }
    traces = {}
    for name, made in monitors.items():
        every = round((program.monitors[name].dt or face.dt) / face.dt)
        for column, (dtype, unit) in made.columns.items():
            if made.kind != "events" and column != "t":
                indices = made.indices if made.kind == "state" else (0,)
                traces[f"{name}.{column}"] = Column(
                    dtype=dtype, size=len(indices), unit=unit, every=every, indices=indices
                )
    spikes = {name: made.size for name, made in monitors.items() if "i" in made.columns}
    seen = Variable(name=SEEN, dtype="<i4", size=1, unit="", role="protocol")
    return attrs.evolve(
        face,
        variables=(*face.variables, seen),
        per_sample=counts,
        traces=traces,
        spikes=spikes,
    )


class SampledSession:
    """A run; its state goes from chunk to chunk."""

    def __init__(self, network: SampledNetwork, state: State, folder: Path):
        self._network, self._state, self._folder = network, state, folder
        self._chunks = 0

    def state(self) -> State:
        """See :class:`biosnn.devices.base.contract.Session`."""
        return self._state

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """See :class:`biosnn.devices.base.contract.Session`."""
        made, samples, face = self._network.made, self._network.samples, self._network.interface
        slot = face.steps_per_presentation * face.dt
        factor = chunk.inputs["intensity"]
        arrays: dict[str, Any] = {v.name: self._state[v.name] for v in _stored(made)}
        connections = self._network.program.connections
        for key, switch in samples.switches.items():
            arrays[switch] = np.array([key in settings.learning], dtype=np.int32)
        shown = Shown(
            n=chunk.n,
            ends=tuple(sorted({face.duration_steps * face.dt, slot})),
            rows={
                target: np.asarray(chunk.inputs[name], dtype=float)
                * (1.0 if factor is None else np.asarray(factor, dtype=float))
                for name, target in samples.targets.items()
                if face.ports[name].kind == "static"
            },
            silent=tuple(
                samples.targets[name]
                for name in samples.silent
                if face.ports[name].kind == "static"
            ),
            events={
                target: chunk.inputs[name]
                for name, target in samples.targets.items()
                if face.ports[name].kind == "events"
            },
            resets={name: self._network.first[name] for name in samples.resets},
            times=samples.times,
            seeds=_seeds(settings, chunk.n),
            dt=face.dt,
            scalings={
                name: Scaling(
                    post=connections[key].indices[1],
                    n_post=connections[key].n_post,
                    total=scaled.total,
                    p=scaled.p,
                    retries=scaled.retries,
                )
                for name, scaled in samples.scaled.items()
                for key in (name.partition(".")[0],)
                if key in settings.learning
            },
            watch=samples.counted.get(samples.watch, ""),
            min_spikes=samples.min_spikes,
            max_retries=samples.max_retries,
            intensity=samples.intensity,
            intensity_step=samples.intensity_step,
        )
        self._chunks += 1
        folder = self._folder / f"chunk_{self._chunks}"
        folder.mkdir()
        seen = made.show(shown, arrays, folder, stop)
        if seen.done == 0:
            return 0, None
        recorded = sum(
            values.nbytes for columns in seen.found.values() for values in columns.values()
        )
        if recorded > settings.recorder_limit:
            raise TooMuchRecordedError(f"{recorded}")
        counted = self._state[SEEN] + np.int32(seen.done if settings.learning else 0)
        ended = {**seen.arrays, SEEN: counted}
        for switch in samples.switches.values():
            ended[switch] = np.zeros(1, np.int32)
        self._state = state_of(face, ended)
        recording = self._recording(seen, slot)
        fired = sum(int(counts.sum()) for counts in recording.per_sample.values())
        report(seen.done, int(seen.shown.sum()), fired)
        return seen.done, recording

    def _recording(self, seen: Seen, slot: float) -> Recording:
        face, samples = self._network.interface, self._network.samples
        spikes, traces = {}, {}
        # Of each presentation: which sample, and at which attempt.
        samples_of = np.repeat(np.arange(seen.done, dtype=np.int32), seen.shown)
        attempts = np.arange(len(samples_of)) - (np.cumsum(seen.shown) - seen.shown)[samples_of]
        for name in face.spikes:
            found = seen.found[name]
            at = np.searchsorted(seen.rows[name], np.arange(len(found["i"])), side="right")
            attempt = attempts[at].astype(np.int32)
            spikes[name] = Spikes(found["i"], found["t"], samples_of[at], attempt)
        for full, column in face.traces.items():
            name, _, variable = full.partition(".")
            found = seen.found[name]
            at = np.searchsorted(seen.rows[name], np.arange(len(found["t"])), side="right")
            values = found[variable]
            points = values.T if values.ndim == 2 else values[None]
            indices = np.asarray(column.indices)
            traces[full] = Trace(found["t"] + at * slot, points, indices, column.unit)
        return Recording(
            per_sample={
                f"{key}.count": seen.found[name]["count"] for key, name in samples.counted.items()
            },
            shown=seen.shown,
            spikes=spikes,
            traces=traces,
            seconds=seen.seconds,
        )


def _seeds(settings: Settings, n: int) -> np.ndarray:
    """What the random numbers of each sample follow from, however samples are cut into chunks."""
    first = settings.first_sample
    key = [settings.seed, settings.epoch] if isinstance(settings.seed, int) else [*settings.seed]
    words = [np.random.SeedSequence([*key, first + k]).generate_state(1)[0] for k in range(n)]
    return np.array(words, dtype=np.uint32)
