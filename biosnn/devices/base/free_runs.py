"""What every device offers for networks that run for a duration; nothing here needs Brian2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from biosnn.devices.base.contract import AddressEvents, Stop
from biosnn.program.interface import Interface
from biosnn.recording import Recording, RunClock, Spikes, Trace
from biosnn.state import State

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
    """

    kind: str
    size: int
    columns: dict[str, tuple[str, str]]
    indices: tuple[int, ...] = ()

    @property
    def rows(self) -> str:
        """The column whose length tells how much was recorded; none where events are counted."""
        return next((name for name in ("i", "t") if name in self.columns), "")

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
    """

    state: State
    duration: float
    constants: Mapping[str, float]
    seed: int | None


@attrs.frozen(eq=False, kw_only=True)
class Scaling:
    """Weights that are scaled before a sample is shown.

    Parameters
    ----------
    post : numpy.ndarray of int, shape (synapses,)
        Neuron of each synapse.
    n_post : int
        How many neurons there are.
    total : float
        Norm that the weights of each neuron get; those that are all 0 stay.
    p : {1, 2}
        Sum of sizes, or Euclidean norm.
    retries : bool
        Also before a sample is shown again.
    """

    post: np.ndarray
    n_post: int
    total: float
    p: int
    retries: bool

    def apply(self, weights: np.ndarray) -> np.ndarray:
        """Scaled weights, shape (synapses,). Sums go in the order of the synapses."""
        sizes = np.abs(weights, dtype=float) ** self.p
        norms = np.bincount(self.post, sizes, self.n_post)
        norms = norms if self.p == 1 else np.sqrt(norms)
        factors = np.divide(self.total, norms, out=np.ones(self.n_post), where=norms > 0)
        return weights * factors[self.post]


@attrs.frozen(eq=False, kw_only=True)
class Shown:
    """Samples to be shown: for each, the network runs from 0 s to the end of a presentation.

    Parameters
    ----------
    n : int
        How many.
    ends : tuple of float
        Ends in s of the parts of a presentation: of the sample, and of the rest.
    rows : dict
        ``"group.variable"`` -> its values in each sample, shape (n, size).
    silent : tuple of str
        Variables that are 0 in the rest.
    events : dict
        Group -> its spikes in all samples.
    resets : dict
        ``"owner.variable"`` -> values with which it begins each sample.
    times : tuple of str
        ``"owner.variable"`` from which a presentation is subtracted after each sample.
    seeds : numpy.ndarray of uint32, shape (n,)
        What random numbers follow from in each sample.
    dt : float
        Time step in s.
    scalings : dict
        ``"connection.variable"`` -> how it is scaled before each sample.
    watch : str
        Monitor whose count at the end of the sample's first part decides whether the sample, with
        its rest, is shown again.
    min_spikes, max_retries : int
        It is where the count is smaller, at most so often.
    intensity, intensity_step : float
        Factor on ``rows`` at first, and what each time adds.
    """

    n: int
    ends: tuple[float, ...]
    rows: dict[str, np.ndarray]
    silent: tuple[str, ...]
    events: dict[str, AddressEvents]
    resets: dict[str, np.ndarray]
    times: tuple[str, ...]
    seeds: np.ndarray
    dt: float
    scalings: dict[str, Scaling] = attrs.field(factory=dict)
    watch: str = ""
    min_spikes: int = 0
    max_retries: int = 0
    intensity: float = 1.0
    intensity_step: float = 0.0


@attrs.frozen(eq=False, kw_only=True)
class Seen:
    """What came of it.

    Parameters
    ----------
    done : int
        Samples that were shown.
    arrays : dict
        The stored variables after them.
    found : dict
        Monitor -> column -> values, one presentation behind the other; ``count`` that of the last
        presentation of each sample, shape (done, size).
    rows : dict
        Monitor -> how many events or points there are up to the end of each presentation.
    seconds : float
        Wall-clock time.
    shown : numpy.ndarray of int, shape (done,)
        How often each sample was presented.
    """

    done: int
    arrays: dict[str, np.ndarray]
    found: dict[str, dict[str, np.ndarray]]
    rows: dict[str, np.ndarray]
    seconds: float
    shown: np.ndarray = attrs.Factory(
        lambda self: np.ones(self.done, dtype=np.int32), takes_self=True
    )


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

    def run(self, asked: FreeRun, folder: Path, stop: Stop) -> tuple[Recording, State] | None:
        """Run; ``folder`` is an empty one for its files. Nothing if it was stopped.

        Raises
        ------
        DeviceError
            If the run failed.
        """
        ...

    def show(
        self, shown: Shown, values: Mapping[str, np.ndarray], folder: Path, stop: Stop
    ) -> Seen:
        """Show samples, from the values of all variables; a stop ends after a whole sample.

        Raises
        ------
        DeviceError
            If the run failed.
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
    clock = RunClock(dt=interface.dt, steps=steps, shown=np.ones(1, dtype=np.int32))
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
