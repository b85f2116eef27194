"""What every device offers to ``biosnn.simulation``: one chunk of samples at a time.

Nothing here needs Brian2: a network that was compiled runs without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from biosnn.files import is_plain
from biosnn.recording import Recording
from biosnn.state import Draw, State

#: bytes of a recorded spike: index, time, sample, attempt
SPIKE_BYTES = 4 + 8 + 8 + 4
#: what a binary writes of each, as types of NumPy
SPIKE_FILES = {"i": "<i4", "t_sample": "<f8", "sample": "<i4", "attempt": "<i4"}
#: most values of a variable, neurons, steps
LARGEST_SIZE = 2**40


@attrs.frozen(eq=False)
class TraceOf:
    """Some neurons' or synapses' variable over time.

    Parameters
    ----------
    indices : array_like of int
        The neurons, or the synapses in the order (pre, post).
    every : Quantity, optional
        Time between two points, a multiple of the time step that divides a presentation.
        Default: every time step.
    """

    indices: Any = attrs.field(converter=lambda x: np.asarray(x).tolist())
    every: Any = None

    def steps(self, dt: Any) -> int:
        """Time steps between two points."""
        return 1 if self.every is None else round(float(self.every / dt))


@attrs.frozen(kw_only=True)
class Port:
    """An input as a device sees it.

    Parameters
    ----------
    kind : {"static", "sequence", "events"}
        What a sample is.
    features : int
        Values per sample or frame, or units that have events.
    optional : bool
        Whether a run may leave it out.
    frame_steps, most_frames : int
        Time steps per frame and how many fit into a presentation; 0 unless a sequence.
    absent : float
        The value where nothing is given.
    rate_step : float
        Spikes per time step of a unit with value 1; 0 unless values become rates.
    positive : bool
        Whether values must be > 0.
    unit : str
        SI unit of the variables that it sets; empty for plain numbers.
    """

    kind: str
    features: int
    optional: bool = False
    frame_steps: int = 0
    most_frames: int = 0
    absent: float = 0.0
    rate_step: float = 0.0
    positive: bool = False
    unit: str = ""


@attrs.frozen(kw_only=True)
class Variable:
    """A state variable: name, NumPy dtype, number of values, SI unit, role, how it begins.

    ``role`` is ``"neuron"``, ``"weight"`` or ``"protocol"``; ``shape`` that of a full matrix.
    """

    name: str
    dtype: str
    size: int
    unit: str
    role: str
    shape: tuple[int, int] | None = None
    draw: Draw | None = None

    @property
    def bytes(self) -> int:
        """Bytes of all its values."""
        return self.size * np.dtype(self.dtype).itemsize


@attrs.frozen(kw_only=True)
class Column:
    """A recorded variable: NumPy dtype, number of values and SI unit.

    ``every`` is the number of samples between two snapshots, or of time steps between two
    points of a trace; ``indices`` are the neurons of a trace.
    """

    dtype: str
    size: int
    unit: str = ""
    every: int = 0
    indices: tuple[int, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes of one row."""
        return self.size * np.dtype(self.dtype).itemsize

    def rows(self, position: int, n: int) -> int:
        """How many snapshots fall into ``n`` samples after ``position`` others."""
        return (position + n) // self.every - position // self.every


@attrs.frozen(kw_only=True)
class Interface:
    """Everything that a run needs to know of a network.

    Parameters
    ----------
    name, fingerprint, precision, output : str
        Of the declaration.
    dt : float
        Time step in s.
    duration_steps, steps_per_presentation, max_shown : int
        Time steps of a sample without and with rest; how often it is shown at most.
    scheduled : bool
        Whether parameters follow the number of learned samples.
    ports : dict
        Input -> :class:`Port`.
    variables : tuple of Variable
        The state, in the order of its file.
    plastic : tuple of str
        Projections that can learn.
    per_sample, snapshots, traces : dict
        Recorder -> :class:`Column`.
    spikes : dict
        Population whose spikes are recorded -> its size.
    replicas : int
        Copies of the network in the program. All else here is of one of them.
    shared : bool
        Whether they share weights and the samples, or each is a network of its own.
    ordered : bool
        Whether sums are made in the same order in each run, so that the same input gives the same
        bits. Not so where many threads add to one number.
    carried : tuple of str
        Variables through which samples depend on those before them, with plasticity off
        (:func:`biosnn.program.carried.carried`).
    """

    name: str
    fingerprint: str
    precision: str
    output: str
    dt: float
    duration_steps: int
    steps_per_presentation: int
    max_shown: int
    scheduled: bool
    ports: dict[str, Port]
    variables: tuple[Variable, ...]
    plastic: tuple[str, ...]
    per_sample: dict[str, Column]
    snapshots: dict[str, Column]
    traces: dict[str, Column]
    spikes: dict[str, int]
    replicas: int = 1
    shared: bool = True
    ordered: bool = True
    carried: tuple[str, ...] = ()

    def __str__(self) -> str:
        inputs = ", ".join(f"{name} [{port.features}]" for name, port in self.ports.items())
        kept = (*self.per_sample, *self.spikes, *self.traces, *self.snapshots)
        recorded = ", ".join(dict.fromkeys(kept)) or "nothing"
        return f"{self.name!r}, {self.precision} precision, inputs {inputs}, records {recorded}"

    def to_data(self) -> dict[str, Any]:
        """JSON types."""
        return attrs.asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Interface:
        """What :meth:`to_data` returned, back again.

        Raises
        ------
        ValueError
            If a name cannot be that of a file, or a size cannot be one.
        """

        def columns(name: str) -> dict[str, Column]:
            return {
                key: Column(**{**part, "indices": tuple(part["indices"])})
                for key, part in data[name].items()
            }

        made = cls(
            **{
                **data,
                "ports": {key: Port(**part) for key, part in data["ports"].items()},
                "variables": tuple(map(_variable, data["variables"])),
                "plastic": tuple(data["plastic"]),
                "carried": tuple(data["carried"]),
                **{name: columns(name) for name in ("per_sample", "snapshots", "traces")},
            }
        )
        made._check()
        return made

    def _check(self) -> None:
        """Check what may come out of a foreign file: names of files, types, and sizes."""
        columns = [*self.per_sample.items(), *self.snapshots.items(), *self.traces.items()]
        arrays = [*columns, *((variable.name, variable) for variable in self.variables)]
        names = [*self.ports, *self.spikes, *(name for name, _ in arrays)]
        counts = [self.steps_per_presentation, self.max_shown, self.replicas, *self.spikes.values()]
        counts += [port.features for port in self.ports.values()]
        counts += [column.every for name, column in columns if name not in self.per_sample]
        sizes = [part.size for _, part in arrays]
        for name in names:
            if not is_plain(name):
                raise ValueError(f"{name!r} is no name")
        for number, least in (*((n, 1) for n in counts), *((n, 0) for n in sizes)):
            if type(number) is not int or not least <= number <= LARGEST_SIZE:
                raise ValueError(f"{number!r} is no number of things")
        for name, part in arrays:
            if np.dtype(part.dtype).kind not in "bifu":
                raise ValueError(f"{name} has values of type {part.dtype!r}")
        for variable in self.variables:
            draw = variable.draw
            shapes = [variable.shape, draw and draw.shape]
            if (draw and draw.size != variable.size) or any(
                shape is not None and math.prod(shape) != variable.size for shape in shapes
            ):
                raise ValueError(f"{variable.name} does not have {variable.size} values")

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shapes of the weights that are full matrices."""
        return {v.name: v.shape for v in self.variables if v.shape is not None}

    @property
    def units(self) -> dict[str, str]:
        """SI units of the state variables."""
        return {v.name: v.unit for v in self.variables}

    def bounded_bytes(self, position: int, n: int) -> int:
        """Bytes of all that is recorded in ``n`` samples, without spikes and traces."""
        per_sample = 4 + sum(column.bytes for column in self.per_sample.values())
        taken = [column.bytes * column.rows(position, n) for column in self.snapshots.values()]
        return n * per_sample + sum(taken)

    def traced_bytes(self, n: int) -> int:
        """Bytes of the traces of ``n`` presentations."""
        steps = n * self.steps_per_presentation
        return sum(steps // c.every * (c.bytes + 8) for c in self.traces.values())


def _variable(data: Mapping[str, Any]) -> Variable:
    shape, draw = data["shape"], data["draw"]
    return Variable(
        **{
            **data,
            "shape": None if shape is None else (shape[0], shape[1]),
            "draw": None
            if draw is None
            else Draw(**{**draw, "shape": draw["shape"] and tuple(draw["shape"])}),
        }
    )


@attrs.frozen(kw_only=True)
class Settings:
    """Numbers that a chunk sets besides the state; ``seed`` and ``horizon`` for each network.

    Parameters
    ----------
    seed, epoch, first_sample : int
        Key of the counter-based draws; the last one is the dataset's index of the first sample.
    position : int
        Samples of this run that came before.
    horizon : int
        Number of samples over which learning schedules run.
    learning : tuple of str
        Projections that learn.
    recorder_limit : int
        Bytes of spikes and traces that the chunk may record.
    """

    seed: int | tuple[int, ...]
    epoch: int
    first_sample: int
    position: int
    horizon: int | tuple[int, ...]
    learning: tuple[str, ...]
    recorder_limit: int = 2**62


@attrs.frozen(eq=False)
class AddressEvents:
    """Input spikes as lists, sorted by sample and step.

    Parameters
    ----------
    sample, step, unit : numpy.ndarray of int32, shape (n_events,)
        Row of the sample in the chunk, time step since its onset, input unit.
    """

    sample: np.ndarray
    step: np.ndarray
    unit: np.ndarray


@attrs.frozen(eq=False)
class Chunk:
    """Samples that are shown in one go.

    Parameters
    ----------
    n : int
        Number of samples.
    inputs : dict
        Port -> array (n, features) or (n, T, features) of float32 or, in double precision,
        float64, :class:`AddressEvents`, or
        ``None`` for an input that is left out.
    """

    n: int
    inputs: dict[str, Any]


#: is told from time to time: samples done, presentations and spikes so far, all in this chunk
Report = Callable[[int, int, int], None]


class NotFiniteError(Exception):
    """A state variable became NaN or infinite: its name, the index, the sample in the chunk.

    ``replica`` is the copy of the network in which it did.
    """

    def __init__(self, name: str, index: int, sample: int, replica: int = 0):
        super().__init__(f"{name}[{index}] in sample {sample}")
        self.name, self.index, self.sample, self.replica = name, index, sample, replica


class TooMuchRecordedError(Exception):
    """Spikes and traces have passed the limit of a run."""


class Stop:
    """A wish to stop at the next safe point; whoever can hear it registers a listener."""

    def __init__(self) -> None:
        self.requested = False
        self._listeners: list[Callable[[], None]] = []

    def request(self) -> None:
        """Ask to stop."""
        self.requested = True
        for listener in list(self._listeners):
            listener()

    def add(self, listener: Callable[[], None]) -> None:
        """Have a function called when a stop is asked for."""
        self._listeners.append(listener)

    def remove(self, listener: Callable[[], None]) -> None:
        """Do not call it any more."""
        self._listeners.remove(listener)


class Session(Protocol):
    """A run on a device. The state stays there from chunk to chunk."""

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """Show samples.

        Parameters
        ----------
        chunk : Chunk
            The samples.
        settings : Settings
            Seed, indices, schedules, what learns.
        report : callable
            Progress.
        stop : Stop
            A device may end the chunk early after a whole sample when it is asked to.

        Returns
        -------
        int, Recording
            How many samples were shown, and what was observed in them (nothing if none was).

        Raises
        ------
        DeviceError
            If the run failed. The state is then what it was before the chunk.
        NotFiniteError, TooMuchRecordedError
            For the caller to turn into a sentence.
        """
        ...

    def state(self) -> State:
        """The state after the last chunk."""
        ...


class Device(Protocol):
    """A network on a device."""

    interface: Interface
    #: state with everything that is not drawn at random
    defaults: State
    #: seconds that building took
    build_seconds: float
    #: most samples in a chunk, where a chunk cannot end early; None where it can
    longest_chunk: int | None

    def session(self, state: State, folder: Path) -> AbstractContextManager[Session]:
        """Begin a run from a complete state; ``folder`` is an empty one for its files."""
        ...
