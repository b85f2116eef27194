"""The lowered form of a network: what it does, as plain frozen data that every device reads.

A :class:`Program` holds groups of neurons, connections between them and kernels, which are pieces
of Brian2's abstract code, each with its place in a time step. It knows nothing of declarations:
:func:`biosnn.program.lower.lower` makes it from one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import Equations, Function

from biosnn._models.companions import SLOTS
from biosnn._models.equation_text import parsed, parsed_unchecked
from biosnn.initial_values import Formula
from biosnn.networks.connectivity import pairs_of_word
from biosnn.program.interface import Port
from biosnn.program.recorders import Record
from biosnn.program.replicas import Replicas
from biosnn.program.serialisation import from_data, to_data
from biosnn.state import Draw

#: Clocks of kernels besides the names of inputs, whose frames they follow; no input is called so.
STEP, BOUNDARY = "each step", "each presentation"


@attrs.frozen(eq=False, kw_only=True)
class Array:
    """Values that a group or a connection stores.

    Parameters
    ----------
    owner, name : str
        Whose they are, and what they are called in code.
    kind : {"float", "integer", "boolean"}
        Of numbers.
    size : int
        How many in one network.
    unit : str
        SI unit; empty for plain numbers.
    role : {"neuron", "weight", "protocol"}
        Whether they are of neurons, of synapses or of the presentation.
    shape : tuple of int or None
        ``(pre, post)`` where synapses form a full matrix.
    double : bool
        Whether they are double precision in any case.
    kept : bool
        Whether they are part of the state that is handed on between runs.
    link : str
        ``"group.variable"`` whose values these are; nothing is stored then.
    expression : str
        Code that computes the values whenever they are read; nothing is stored then.
    held : bool
        Whether the expression is computed once a time step and its values are stored.
    shared : bool
        Whether all neurons or synapses have one value.
    constant : bool
        Whether nothing changes the values during a run.
    clock_time : bool
        Whether the values are times of Brian2's clock, which begins at 0 in every chunk of samples:
        what is handed on is relative to the chunk's end.
    infinite : bool
        Whether values may be infinite, such as times of spikes that have not come.
    paused : bool
        Whether code changes the values of a neuron only while it is not refractory.
    initial : numpy.ndarray, Draw, Formula or None
        Values before a run, or how they are found; ``None`` for zeros.
    """

    owner: str
    name: str
    kind: str = "float"
    size: int
    unit: str = ""
    role: str = "neuron"
    shape: tuple[int, int] | None = None
    double: bool = False
    kept: bool = True
    link: str = ""
    expression: str = ""
    held: bool = False
    shared: bool = False
    constant: bool = False
    clock_time: bool = False
    infinite: bool = False
    paused: bool = False
    initial: np.ndarray | Draw | Formula | None = None

    @property
    def full_name(self) -> str:
        """Name in states: ``owner.name``."""
        return f"{self.owner}.{self.name}"

    def dtype(self, single_precision: bool) -> np.dtype:
        """NumPy type of the stored values."""
        narrow = single_precision and not self.double
        kinds = {"integer": np.int32, "boolean": np.bool_}
        return np.dtype(kinds.get(self.kind, np.float32 if narrow else np.float64))


@attrs.frozen(eq=False, kw_only=True)
class SpikeTimes:
    """Spikes that are given: unit and time in s of each, in the order of times and units.

    They come again after every ``period`` s, if that is not 0.
    """

    indices: np.ndarray
    times: np.ndarray
    period: float = 0.0


@attrs.frozen(eq=False, kw_only=True)
class Part:
    """Neurons or synapses ``start`` to ``stop - 1`` of a group or a connection."""

    start: int
    stop: int


@attrs.frozen(eq=False, kw_only=True)
class Monitor:
    """A monitor of Brian2: what a network that runs for a duration records.

    Parameters
    ----------
    name : str
        Of the monitor.
    kind : {"events", "state", "rate"}
        Events one by one, variables over time, or the rate of a population over time.
    source : str
        The group or connection.
    part : Part or None
        Which of its neurons it sees, if not all.
    event : str
        Of ``"events"``: which.
    variables : tuple of str
        What is recorded at each event or time, besides these themselves.
    indices : numpy.ndarray or None
        Of ``"state"``: the neurons or synapses.
    dt : float
        Of ``"state"``: seconds between two points.
    each : bool
        Of ``"events"``: whether they are kept one by one, or only counted.
    """

    name: str
    kind: str
    source: str
    part: Part | None = None
    event: str = ""
    variables: tuple[str, ...] = ()
    indices: np.ndarray | None = None
    dt: float = 0.0
    each: bool = True


@attrs.frozen(eq=False, kw_only=True)
class Scaled:
    """Weights that are scaled before a sample, where their synapses learn.

    Parameters
    ----------
    total : float
        The norm that the weights onto each neuron get.
    p : {1, 2}
        Sum of their sizes, or Euclidean norm.
    retries : bool
        Also before a sample is shown again.
    """

    total: float
    p: int = 1
    retries: bool = False


@attrs.frozen(eq=False, kw_only=True)
class Samples:
    """How the network of a script is shown samples: each is a run of it that begins at 0 s.

    Parameters
    ----------
    targets : dict
        Input -> ``"group.variable"`` that it sets, or the group whose spikes are its events.
    silent : tuple of str
        Inputs whose variables are 0 after the sample, in the rest.
    resets : tuple of str
        ``"owner.variable"`` that begin each sample with their first values.
    times : tuple of str
        ``"owner.variable"`` that hold times and go on: they count from the next sample's onset.
    counted : dict
        Group -> the monitor that counts its spikes.
    switches : dict
        Connection that can learn -> its variable that says whether it does.
    scaled : dict
        ``"connection.variable"`` -> how it is normalised.
    watch : str
        Group that decides whether a sample is shown again, if any.
    min_spikes, max_retries : int
        It is, at most so often, if that group had fewer spikes while it was shown.
    intensity, intensity_step : float
        Factor on the inputs at first, and what each time adds.
    """

    targets: dict[str, str]
    silent: tuple[str, ...] = ()
    resets: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    counted: dict[str, str] = attrs.field(factory=dict)
    switches: dict[str, str] = attrs.field(factory=dict)
    scaled: dict[str, Scaled] = attrs.field(factory=dict)
    watch: str = ""
    min_spikes: int = 0
    max_retries: int = 0
    intensity: float = 1.0
    intensity_step: float = 0.0


@attrs.frozen(eq=False, kw_only=True)
class Group:
    """Neurons, or the units that present samples.

    Parameters
    ----------
    name : str
        Of the population, or of the units that present samples.
    n : int
        Neurons of all replicas.
    equations : str
        Brian2 equations: their variables are the group's arrays and subexpressions.
    constants : dict
        Names in the code -> numbers and quantities, and functions of what was lifted.
    refractory : str, Quantity or None
        Refractory period or condition.
    method : str
        Integration method.
    exact : tuple of str
        Variables that are integrated exactly whatever the method is.
    noise : dict
        Stochastic variable of the equations -> expression of its number in a time step.
    links : dict
        Variables that stand for those of other groups -> ``"group.variable"``.
    double : tuple of str
        Variables that stay double precision.
    infinite : tuple of str
        Variables whose values may be infinite.
    kept : tuple of str or None
        Variables that are handed on between runs; ``None`` for all that are stored.
    fixed : dict
        Constant variables that differ between replicas -> values of all neurons.
    dt : float
        Time step in s where it is not that of the program, else 0.
    method_options : dict
        Of the integration method.
    link_indices : dict
        Variables that stand for those of other groups -> which neurons' there, one for each.
    spike_times : SpikeTimes or None
        When the units fire; they have no equations then.
    """

    name: str
    n: int
    equations: str
    constants: dict[str, Any] = attrs.field(factory=dict)
    refractory: Any = None
    method: str = "exact"
    exact: tuple[str, ...] = ()
    noise: dict[str, str] = attrs.field(factory=dict)
    links: dict[str, str] = attrs.field(factory=dict)
    double: tuple[str, ...] = ()
    infinite: tuple[str, ...] = ()
    kept: tuple[str, ...] | None = None
    fixed: dict[str, Any] = attrs.field(factory=dict)
    dt: float = 0.0
    method_options: dict[str, Any] = attrs.field(factory=dict)
    link_indices: dict[str, Any] = attrs.field(factory=dict)
    spike_times: SpikeTimes | None = None


@attrs.frozen(eq=False, kw_only=True)
class Connection:
    """Synapses from one group to another.

    Parameters
    ----------
    name, pre, post : str
        Of the projection and of its groups.
    n_pre, n_post : int
        Neurons on both sides in one network.
    pairs : str, Pattern or (array, array)
        Which neurons are connected: ``"all"``, ``"one_to_one"``, ``"all_but_self"``, a pattern of
        :mod:`biosnn.networks`, or indices in the order (pre, post).
    seed : int
        What a random pattern without a seed of its own draws from.
    equations : str
        Brian2 equations of the variables of a synapse.
    constants : dict
        Names in the code -> numbers and quantities.
    method : str
        Integration method.
    delay_steps : numpy.ndarray or None
        Time steps from an event to its effect, one per synapse in the order (pre, post), where
        they differ; a delay that all have is part of a kernel.
    delayed : bool
        Whether anything arrives later than it was sent.
    numbered : str
        ``"all"``, ``"one_to_one"`` or ``"all_but_self"`` where a formula numbers the synapses and
        only events visit them, so that loops can take the place of lists; empty otherwise.
    shared : bool
        Whether all replicas use the values of one.
    dt : float
        Time step in s where it is not that of the program, else 0.
    method_options : dict
        Of the integration method.
    pre_part, post_part : Part or None
        Which neurons of a group it connects, if not all; pairs count from the first of them.
    delays : dict
        Pathway, by its label -> seconds from an event to its effect, one for each synapse, where
        the kernel's delay is not that of all.
    links : dict
        Variables that stand for one value of a group -> ``"group.variable"``.
    """

    name: str
    pre: str
    post: str
    n_pre: int
    n_post: int
    pairs: Any = "all"
    seed: int = 0
    equations: str = ""
    constants: dict[str, Any] = attrs.field(factory=dict)
    method: str = "exponential_euler"
    delay_steps: np.ndarray | None = None
    delayed: bool = False
    numbered: str = ""
    shared: bool = False
    dt: float = 0.0
    method_options: dict[str, Any] = attrs.field(factory=dict)
    pre_part: Part | None = None
    post_part: Part | None = None
    delays: dict[str, Any] = attrs.field(factory=dict)
    links: dict[str, str] = attrs.field(factory=dict)

    @property
    def size(self) -> int:
        """Number of synapses of one network."""
        diagonal, every = min(self.n_pre, self.n_post), self.n_pre * self.n_post
        sizes = {"all": every, "one_to_one": diagonal, "all_but_self": every - diagonal}
        return sizes[self.pairs] if isinstance(self.pairs, str) else len(self.indices[0])

    @functools.cached_property
    def indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Index arrays (i, j) of the synapses of one network, in the order (pre, post)."""
        if isinstance(self.pairs, tuple):
            return self.pairs
        if not isinstance(self.pairs, str):
            return self.pairs.indices(self.n_pre, self.n_post, self.seed)
        return pairs_of_word(self.pairs, self.n_pre, self.n_post)


def parsed_equations(made: Group | Connection) -> Equations:
    """Equations of a group or a connection, parsed once and shared: they are not to be changed.

    They are checked as those of a declaration, unless they have functions: these come from live
    objects of Brian2 only.
    """
    if any(isinstance(value, Function) for value in made.constants.values()):
        return parsed_unchecked(made.equations)
    return parsed(made.name, made.equations)


@attrs.frozen(eq=False, kw_only=True)
class Kernel:
    """Something that happens in a time step.

    Parameters
    ----------
    name : str
        Unique in a program.
    owner : str
        Group or connection whose names the code uses; the input of a ``"load"``.
    kind : str
        ``"state_update"`` (integration of the owner's equations), ``"threshold"`` (a test of all
        neurons, which makes events), ``"reset"`` (statements for the neurons that have an event),
        ``"statements"`` (for all neurons or synapses), ``"pathway"`` (statements for the synapses
        of the neurons that have an event), ``"summed"`` (a sum over synapses), ``"held"``
        (subexpressions that are computed once a time step), ``"clear"`` (an event's list is
        emptied), ``"load"`` (an input sets variables), ``"store"`` (what is kept of every sample),
        ``"snapshot"``, ``"spike_times"`` (spikes that are given), ``"monitor"``.
    code : str
        Brian2's abstract code: statements, or a condition. That of a ``"state_update"`` is written
        by :func:`biosnn.program.integration.integration_code`.
    clock : str
        ``STEP``, ``BOUNDARY`` (between presentations), or the input whose frames it follows.
    every : int
        Time steps between two runs on the clock ``STEP``.
    when, order : str, int
        Slot of Brian2's schedule and order in it.
    event : str
        The event that is tested for, cleared or followed.
    side : {"pre", "post", ""}
        Of a pathway: whose events. Of a sum: whose variable is the target.
    delay : float
        Of a pathway: seconds from an event to its effect.
    targets : tuple of str
        Of a load: ``"group.variable"`` that it sets; of a sum: the variable.
    plastic : tuple of str
        Projections with whose learning it is switched on; empty if it always runs.
    ends : bool
        Whether it finishes a presentation rather than going on.
    order_free : bool
        Whether it is known that the order of the synapses does not matter.
    forced : bool
        Whether it also changes variables that are fixed while a neuron is refractory.
    refractory : bool
        Of a threshold: whether neurons that pass it note the time in ``lastspike`` and are
        refractory from then on, and those that are refractory do not pass it.
    dt : float
        Seconds between two runs, where these are not so many time steps of the program, else 0.
    part : Part or None
        Neurons whose names the code uses, if not all of the owner.
    active : bool
        Whether it runs at all.
    """

    name: str
    owner: str
    kind: str
    code: str = ""
    clock: str = STEP
    every: int = 1
    when: str = "start"
    order: int = 0
    event: str = ""
    side: str = ""
    delay: float = 0.0
    targets: tuple[str, ...] = ()
    plastic: tuple[str, ...] = ()
    ends: bool = False
    order_free: bool = False
    forced: bool = False
    refractory: bool = False
    dt: float = 0.0
    part: Part | None = None
    active: bool = True

    @property
    def place(self) -> tuple[int, int]:
        """Its place in a time step, to be compared."""
        return SLOTS.index(self.when), self.order

    @property
    def label(self) -> str:
        """Its name without that of its owner."""
        return self.name.removeprefix(f"{self.owner}_")

    @property
    def what(self) -> str:
        """What it is, for people."""
        what = f"{self.kind.replace('_', ' ')} on {self.side} {self.event}"
        if not self.side:
            what = self.kind.replace("_", " ") + (f" of {self.event}" * bool(self.event))
        what += f", {self.delay * 1000:g} ms later" if self.delay else ""
        return what + (f" (learning of {', '.join(self.plastic)})" if self.plastic else "")


@attrs.frozen(eq=False, kw_only=True)
class Program:
    """What a network does.

    Parameters
    ----------
    name, fingerprint, output : str
        Of the declaration.
    dt : float
        Time step in s.
    duration_steps, steps_per_presentation : int
        Time steps of a sample without and with rest.
    max_shown : int
        How often a sample is shown at most.
    until_enough : bool
        Whether a sample that is shown so often stops the run.
    scheduled : bool
        Whether parameters follow the number of learned samples.
    groups : dict of str to Group
        The units that present samples (``protocol``), and the populations.
    connections : dict of str to Connection
        The projections, and where spikes decide on another attempt those that count them.
    kernels : tuple of Kernel
        In the order in which they run.
    arrays : dict of str to Array
        ``"owner.name"`` -> what is stored.
    inputs : dict of str to Port
        What is given with every sample.
    plastic : tuple of str
        Projections that can learn.
    protocol : str
        The group whose units present samples; empty if none are presented.
    counted : str
        The recorder of numbers of spikes that a run reports on its way; empty if there is none.
    carried : tuple of str
        Variables of the declaration through which samples depend on those before them, with
        plasticity off.
    record : Record
        What is observed.
    replicas : Replicas
        Copies of the network.
    declaration : str
        What it was lowered from, as JSON, for those who open what was built from it.
    free_running : bool
        Whether it shows no samples and runs for a duration that each run says.
    start : float
        Of a network that runs for a duration: time in s at which a first run begins.
    monitors : dict of str to Monitor
        Of a network that runs for a duration: what it records.
    pending : dict of str to numpy.ndarray
        Of a network that runs for a duration: kernel of kind ``"pathway"`` -> what is on its way
        before a first run, as :func:`biosnn.program.pending.queued` says it.
    samples : Samples or None
        Of a network that runs for a duration: how it is shown samples, if it is.
    changeable : tuple of str
        ``"owner.name"`` of variables that stand for parameters of the declaration.
    """

    name: str
    fingerprint: str
    output: str
    dt: float
    duration_steps: int
    steps_per_presentation: int
    max_shown: int
    until_enough: bool = False
    scheduled: bool = False
    groups: dict[str, Group]
    connections: dict[str, Connection]
    kernels: tuple[Kernel, ...]
    arrays: dict[str, Array] = attrs.field(factory=dict)
    inputs: dict[str, Port]
    plastic: tuple[str, ...] = ()
    protocol: str = ""
    counted: str = ""
    carried: tuple[str, ...] = ()
    record: Record = attrs.field(factory=Record)
    replicas: Replicas = attrs.field(factory=Replicas)
    declaration: str = attrs.field(default="", repr=False)
    free_running: bool = False
    start: float = 0.0
    monitors: dict[str, Monitor] = attrs.field(factory=dict)
    pending: dict[str, Any] = attrs.field(factory=dict)
    samples: Samples | None = None
    changeable: tuple[str, ...] = ()

    def of(self, owner: str, *kinds: str) -> Iterator[Kernel]:
        """Kernels of a group or a connection, of some kinds or of all."""
        return (k for k in self.kernels if k.owner == owner and (not kinds or k.kind in kinds))

    def source(self, kernel: Kernel) -> str:
        """The group whose events a kernel makes or follows."""
        made = self.connections.get(kernel.owner)
        if made is None:
            return kernel.owner
        return made.pre if kernel.side == "pre" else made.post

    @property
    def finishing(self) -> tuple[Kernel, ...]:
        """The kernels that finish a presentation."""
        return tuple(kernel for kernel in self.kernels if kernel.ends)

    @property
    def state(self) -> tuple[Array, ...]:
        """The arrays that are handed on from run to run, by their names."""
        kept = (array for array in self.arrays.values() if array.kept)
        return tuple(sorted(kept, key=lambda array: array.full_name))

    def changed(self, **fields: Any) -> Program:
        """Return a copy with other fields."""
        return attrs.evolve(self, **fields)

    def with_group(self, group: Group) -> Program:
        """Return a copy with a group added or replaced."""
        return self.changed(groups={**self.groups, group.name: group})

    def with_kernels(self, *kernels: Kernel) -> Program:
        """Return a copy with more kernels behind those that it has."""
        return self.changed(kernels=(*self.kernels, *kernels))

    def in_order(self) -> Program:
        """Return a copy whose kernels are in the order of their places in a time step.

        Those of one place stay in the order in which they were added.
        """
        return self.changed(kernels=tuple(sorted(self.kernels, key=lambda kernel: kernel.place)))

    def to_data(self) -> dict[str, Any]:
        """JSON types."""
        return to_data(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Program:
        """What :meth:`to_data` returned, back again."""
        return from_data(cls, data)

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of all that it says: a key for what is built from it."""
        stored: dict[str, np.ndarray] = {}
        found = hashlib.sha256(json.dumps(to_data(self, stored)).encode())
        for array in stored.values():
            found.update(f"{array.dtype.str} {array.shape} ".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def schedule(self) -> str:
        """What runs when, in the order of a time step, for people.

        One line says when and how often something runs, of which group or connection, and what it
        is; the lines below it are its code.
        """
        rows = [("when", "order", "how often", "of", "what")]
        for kernel in self.kernels:
            often = kernel.clock if kernel.every == 1 else f"every {kernel.every} steps"
            often = f"every {kernel.dt * 1000:g} ms" if kernel.dt else often
            if kernel.clock in self.inputs:
                often = f"each frame of {kernel.clock}"
            rows.append((kernel.when, str(kernel.order), often, kernel.owner, kernel.what))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = []
        for row, kernel in zip(rows, (None, *self.kernels), strict=True):
            padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
            lines.append("  ".join([*padded, row[-1]]))
            if kernel is not None:
                code = kernel.code.strip().splitlines() or [f"-> {t}" for t in kernel.targets]
                for line in code:
                    lines += textwrap.wrap(
                        line.strip(), 96, initial_indent=" " * 8, subsequent_indent=" " * 12
                    )
        return "\n".join(lines)

    def __repr__(self) -> str:
        parts = f"{len(self.groups)} groups, {len(self.connections)} connections"
        return f"<Program {self.name!r}: {parts}, {len(self.kernels)} kernels>"
