"""``from_brian2``: the objects of a Brian2 script as a program that runs for a duration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from brian2 import Function, Network
from brian2.core.base import BrianObject
from brian2.core.magic import MagicNetwork, collect, magic_network
from brian2.core.namespace import get_local_namespace
from brian2.units.fundamentalunits import Quantity

from biosnn.errors import ParameterError
from biosnn.networks import Normalisation, Presentation
from biosnn.program.program import Program
from biosnn.program.script_objects import Lifting
from biosnn.program.script_samples import with_samples
from biosnn.state import aligned
from biosnn.validation import describe


@attrs.frozen(eq=False)
class LiftedNetwork:
    """The network of a Brian2 script: what :func:`from_brian2` returns.

    It is a copy: the script's objects may be run or changed without any effect on it.

    Parameters
    ----------
    program : Program
        What it does; ``program.schedule()`` shows what runs when.
    """

    program: Program

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.program.name

    @property
    def constants(self) -> dict[str, Any]:
        """``"object.constant"`` -> its value: those of the namespaces that the code uses."""
        owners = {**self.program.groups, **self.program.connections}
        return {
            f"{key}.{name}": value
            for key, owner in owners.items()
            for name, value in owner.constants.items()
            if not isinstance(value, Function)
        }

    @property
    def form(self) -> Program:
        """The program without what can be another in each run: values, times, constants."""

        def bare(owner: Any) -> Any:
            constants = {name: _zero(value) for name, value in owner.constants.items()}
            return attrs.evolve(owner, constants=constants)

        program = self.program
        return program.changed(
            arrays={name: attrs.evolve(a, initial=None) for name, a in program.arrays.items()},
            groups={name: bare(group) for name, group in program.groups.items()},
            connections={name: bare(made) for name, made in program.connections.items()},
            start=0.0,
            pending={},
        )

    def __repr__(self) -> str:
        """What it consists of."""
        program = self.program
        rows = [(group.name, "neurons", f"{group.n}") for group in program.groups.values()]
        for made in program.connections.values():
            rows.append((made.name, "synapses", f"{made.size} from {made.pre} to {made.post}"))
        for monitor in program.monitors.values():
            of = ", ".join((monitor.event, *monitor.variables)) or "rate"
            rows.append((monitor.name, "monitor", f"{of} of {monitor.source}"))
        step = f"time step {program.dt * 1000:g} ms, begins at {program.start:g} s"
        return "\n".join([f"LiftedNetwork {self.name!r}, {step}", *aligned(rows)])


def from_brian2(
    network: Network | Iterable[BrianObject] | None = None,
    *,
    namespace: Mapping[str, Any] | None = None,
    level: int = 0,
    inputs: Mapping[str, Any] | None = None,
    presentation: Presentation | None = None,
    output: str | Sequence[str] | None = None,
    learned: str | Sequence[str] = (),
    normalise: Mapping[str, Normalisation] | None = None,
    normalise_retries: bool = False,
) -> LiftedNetwork:
    """Take the network of a Brian2 script as it is.

    Parameters
    ----------
    network : brian2.Network or iterable of brian2.BrianObject, optional
        The network, or its objects. Default: the objects that ``brian2.run`` would find where this
        function is called (the magic network).
    namespace : mapping, optional
        Names that the objects do not hold themselves. Default: the variables that are visible
        where this function is called, as for ``brian2.run``.
    level : int
        How many frames further up they are looked for.
    inputs : mapping, optional
        Input -> what its samples set: ``"group.variable"`` of neurons, or a PoissonGroup, whose
        rates (in Hz) they are and which is silent in the rest. Samples take the place of a
        subexpression, such as one that reads a TimedArray. ``(that, 5*ms)`` is for samples that
        are sequences of frames, each of which lasts this time. The network is shown samples then.
    presentation : biosnn.Presentation, optional
        With inputs: how a sample is shown. Each is a run of the script that begins at 0 s.
        ``reset`` gives variables the values that they have now; ``"all"`` those with a
        differential equation, and refractoriness. Nothing is on its way at an onset. A
        sample is shown again where ``watch``, a group, had fewer than ``min_spikes`` spikes in
        ``duration``.
    output : str or sequence of str, optional
        With inputs: groups whose spikes are counted in each sample; the first is the output.
    learned : str or sequence of str
        With inputs: variables of synapses that change only where a run learns, such as ``"S.w"``.
    normalise : mapping of str to biosnn.networks.Normalisation, optional
        With inputs: learned variable -> norm that the weights onto each neuron get before each
        sample in a run that learns.
    normalise_retries : bool
        Whether they also get it before a sample is shown again.

    Returns
    -------
    LiftedNetwork
        For :func:`biosnn.compile`. It begins with the values and at the time that the objects have
        now.

    Raises
    ------
    ParameterError
        If an object cannot come along, naming it, where it was created, why, and what to do.

    Examples
    --------
    >>> from brian2 import NeuronGroup, SpikeMonitor, ms
    >>> import biosnn
    >>> tau = 10 * ms
    >>> cells = NeuronGroup(5, "dv/dt = (2 - v)/tau : 1", threshold="v > 1", reset="v = 0")
    >>> spikes = SpikeMonitor(cells, name="spikes")
    >>> runnable = biosnn.compile(biosnn.from_brian2(), device="runtime")
    >>> recording, state = runnable.run(100 * ms)
    >>> len(recording.spikes["spikes"].i)
    70
    """
    names = get_local_namespace(level=level + 1) if namespace is None else namespace
    if not isinstance(names, Mapping):
        raise ParameterError("from_brian2", "namespace", describe(names), "a dict")
    whole: Any = network if isinstance(network, Network) else magic_network
    if network is None or (isinstance(network, MagicNetwork) and not whole.objects):
        objects = collect(level=level + 1)
    else:
        objects = set(whole.objects if whole is network else _flat(network))
    lifting = Lifting(objects, whole.schedule, names)
    name = "network" if whole is magic_network else whole.name
    program = lifting.program(name, float(whole.t))
    given = {"inputs": inputs, "presentation": presentation, "output": output}
    missing = [key for key in ("inputs", "presentation") if given[key] is None]
    more = learned or normalise or normalise_retries
    if missing and (more or any(value is not None for value in given.values())):
        remedy = "Samples need inputs and a presentation"
        raise ParameterError("from_brian2", missing[0], None, "given, too", remedy)
    if inputs is not None and presentation is not None:
        more = (learned, {} if normalise is None else normalise, normalise_retries)
        program = with_samples(program, inputs, presentation, output, *more)
    return LiftedNetwork(program)


def _flat(objects: Any) -> Iterator[BrianObject]:
    """Objects in containers, as ``brian2.Network`` takes them."""
    if isinstance(objects, BrianObject):
        yield objects
        return
    given = objects.values() if isinstance(objects, Mapping) else objects
    if isinstance(objects, str) or not isinstance(given, Iterable):
        wanted = "a brian2.Network, its objects, or nothing for the magic network"
        raise ParameterError("from_brian2", "network", repr(objects), wanted)
    for part in given:
        yield from _flat(part)


def _zero(value: Any) -> Any:
    """0 in the type and unit of a constant; functions as they are."""
    if isinstance(value, Function):
        return value
    return 0 * value if isinstance(value, Quantity) else type(value)(0)
