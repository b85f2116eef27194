"""What every device offers for networks that run for a duration; nothing here needs Brian2."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import numpy as np

from biosnn.devices.base.contract import Settings, Stop
from biosnn.program.interface import Interface
from biosnn.recording import Recording, RunClock, Spikes, Trace
from biosnn.state import State

if TYPE_CHECKING:
    from biosnn.program.program import Program

#: The time in s at which a state is, and the ending of the names of events on their way.
TIME, PENDING = "t", ".pending"


@attrs.frozen(kw_only=True)
class Recorded:
    """What a monitor records.

    Parameters
    ----------
    kind : {"events", "state", "rate"}
        As for :class:`biosnn.program.program.Monitor`.
    size : int
        Neurons or synapses that it sees.
    columns : dict
        Variable -> NumPy dtype and SI unit; ``count`` among those of events.
    indices : tuple of int
        Of ``"state"``: the neurons or synapses.
    dt : float
        Seconds between two points of ``"state"`` and ``"rate"``.
    """

    kind: str
    size: int
    columns: dict[str, tuple[str, str]]
    indices: tuple[int, ...] = ()
    dt: float = 0.0

    @property
    def rows(self) -> str:
        """The column whose length tells how much was recorded; none where events are counted."""
        return next((name for name in ("i", "t") if name in self.columns), "")

    @property
    def row_bytes(self) -> int:
        """Bytes of an event, or of what is recorded at one time."""
        return sum(
            np.dtype(dtype).itemsize * abs(int(np.prod(self.shape(name))))
            for name, (dtype, _) in self.columns.items()
            if name != "count"
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a column's values, where -1 is the number of events or times."""
        if name == "count":
            return (self.size,)
        return (-1, len(self.indices)) if self.kind == "state" and name != "t" else (-1,)


@attrs.frozen(kw_only=True)
class FreeRun:
    """What is asked of a device.

    Parameters
    ----------
    state : State
        Complete: all variables, the time, what is on its way, and the random generator's state.
    duration : float
        In s.
    constants : dict
        ``"object.constant"`` -> value in SI units, where it is not what was declared.
    seed : int or None
        What random numbers follow from; ``None`` where those of the state go on.
    recorder_limit : int
        Bytes that may be recorded.
    """

    state: State
    duration: float
    constants: Mapping[str, float]
    seed: int | None
    recorder_limit: int = 2**62


class FreeDevice(Protocol):
    """A network on a device."""

    interface: Interface
    #: state before a first run
    defaults: State
    #: seconds that building took
    build_seconds: float
    #: the name under which a state holds the random generator's state
    generator: str
    #: monitor -> what it records
    recorded: Mapping[str, Recorded]
    #: "object.constant" -> the unit of what each run can give another value
    constants: Mapping[str, str]

    def run(self, asked: FreeRun, folder: Path, stop: Stop) -> tuple[Recording, State] | None:
        """Run; ``folder`` is an empty one for its files. Nothing if it was stopped.

        Raises
        ------
        DeviceError
            If the run failed.
        TooMuchRecordedError
            If the recording passes its limit.
        """
        ...


def recording_of(
    interface: Interface,
    recorded: Mapping[str, Recorded],
    found: Mapping[str, Mapping[str, np.ndarray]],
    asked: FreeRun,
    seconds: float,
) -> Recording:
    """Put together what the monitors hold.

    Parameters
    ----------
    interface : Interface
        Of the network.
    recorded : mapping
        Monitor -> what it records.
    found : mapping
        Monitor -> column -> values.
    asked : FreeRun
        The run.
    seconds : float
        Wall-clock time of the simulation.
    """
    steps = max(round(asked.duration / interface.dt), 1)
    once = np.ones(1, dtype=np.int32)
    begin = float(asked.state[TIME][0])
    clock = RunClock(dt=interface.dt, steps=steps, shown=once, begin=begin)
    spikes, traces, counts, units = {}, {}, {}, {}
    for name, made in recorded.items():
        values = dict(found[name])
        if made.kind == "events":
            counts[f"{name}.count"] = values.pop("count")[None]
            t = values.pop("t", np.empty(0))
            i = values.pop("i", np.empty(0, dtype=np.int32))
            which = np.zeros(len(i), dtype=np.int32)
            spikes[name] = Spikes(i, t, which, which, clock, made.size, values)
            units |= {f"{name}.{column}": made.columns[column][1] for column in values}
            continue
        t = values.pop("t")
        indices = np.asarray(made.indices) if made.kind == "state" else np.zeros(1, dtype=int)
        for column, rows in values.items():
            points = rows.T if rows.ndim == 2 else rows[None]
            unit = made.columns[column][1]
            traces[f"{name}.{column}"] = Trace(t, points, indices, unit, clock)
    return Recording(
        per_sample=counts,
        shown=clock.shown,
        spikes=spikes,
        traces=traces,
        seconds=seconds,
        clock=clock,
        units=units,
    )


def state_of(interface: Interface, arrays: Mapping[str, Any]) -> State:
    """A state of the network."""
    return State(arrays, interface.shapes, interface.units)


def segments(program: Program) -> list[tuple[int, float, bool]]:
    """Parts of a presentation: first time step, end in s, and whether it is the rest's first one.

    Inputs stay as they are within a part.
    """
    dt, total = program.dt, program.steps_per_presentation
    begins = {0, program.duration_steps} - {total}
    for port in program.inputs.values():
        if port.kind == "sequence":
            begins |= set(range(0, program.duration_steps, port.frame_steps))
    ordered = [*sorted(begins), total]
    return [
        (first, last * dt, first == program.duration_steps)
        for first, last in itertools.pairwise(ordered)
    ]


def sample_seeds(settings: Settings, n: int) -> np.ndarray:
    """What the random numbers of each sample follow from, however samples are cut into chunks."""
    assert isinstance(settings.seed, int)
    first, key = settings.first_sample, [settings.seed, settings.epoch]
    words = [np.random.SeedSequence([*key, first + k]).generate_state(1)[0] for k in range(n)]
    return np.array(words, dtype=np.uint32)
