"""What a run needs to know of a program: inputs, state variables and recorders, as plain data.

Nothing here needs Brian2: a network that was compiled runs without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from biosnn.errors import ParameterError
from biosnn.files import is_plain
from biosnn.initial_values import Formula
from biosnn.state import Draw, State

#: Most values of a variable, neurons, time steps.
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
        """Time steps between two points, for a time step as a quantity or in s."""
        return 1 if self.every is None else round(float(self.every) / float(dt))


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
    ``infinite`` says whether values may be infinite.
    """

    name: str
    dtype: str
    size: int
    unit: str
    role: str
    shape: tuple[int, int] | None = None
    draw: Draw | Formula | None = None
    infinite: bool = False

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
    until_enough : bool
        Whether a sample that is shown so often stops the run.
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
    counted : str
        The recorder of numbers of spikes that a run reports on its way; empty if there is none.
    carried : tuple of str
        Variables through which samples depend on those before them, with plasticity off
        (:mod:`biosnn.program.carried`).
    changeable : tuple of str
        Variables that stand for parameters of the declaration, which a run may change.
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
    counted: str = ""
    carried: tuple[str, ...] = ()
    until_enough: bool = False
    changeable: tuple[str, ...] = ()

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
                "changeable": tuple(data.get("changeable", ())),
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
        if self.counted and self.counted not in self.per_sample:
            raise ValueError(f"{self.counted!r} is not recorded")
        if not all(type(variable.infinite) is bool for variable in self.variables):
            raise ValueError("a variable may be infinite, or may not be")
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

    def state(self, arrays: Mapping[str, Any]) -> State:
        """A state of the network: its variables, with what is known of them."""
        infinite = (v.name for v in self.variables if v.infinite)
        return State(arrays, self.shapes, self.units, infinite)

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
            "draw": None if draw is None else _draw(draw),
        }
    )


def _draw(data: Mapping[str, Any]) -> Draw | Formula:
    lists = {name: tuple(data[name]) for name in ("shape", "i", "j") if data.get(name) is not None}
    return (Formula if "code" in data else Draw)(**{**data, **lists})


def check_independent(where: str, option: str, n: int, names: Sequence[str]) -> None:
    """Check that samples can be shown in any order or at once.

    Parameters
    ----------
    where, option, n
        What was called, its argument that rests on it, and the argument's value.
    names : sequence of str
        Variables that samples hand on (``carried`` of a program or its interface).

    Raises
    ------
    ParameterError
        If anything is carried.
    """
    if names:
        wanted = f"1 for this network: samples depend on those before through {', '.join(names)}"
        remedy = "Reset it at each onset (Presentation.reset), or show the samples one by one"
        raise ParameterError(where, option, n, wanted, remedy)
