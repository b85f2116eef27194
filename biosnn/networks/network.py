"""Declarations of networks: populations, projections, named inputs and the protocol."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import ms
from brian2.units.fundamentalunits import DIMENSIONLESS

from biosnn.code_gate import check_name, check_title
from biosnn.declaration import declared, fingerprint
from biosnn.errors import ParameterError
from biosnn.models import Companion, NeuronModel, Trace, parsed, unit_name
from biosnn.networks import state_layout as states
from biosnn.networks.connectivity import seed_of
from biosnn.networks.memory_checks import check_memory
from biosnn.networks.name_checks import (
    check_companions,
    check_own_names,
    check_projection,
    check_summed_once,
)
from biosnn.networks.population_checks import check_carried, check_population
from biosnn.networks.projection import Projection
from biosnn.networks.summary import summary
from biosnn.networks.unused_checks import check_effects
from biosnn.state import Draw, State
from biosnn.validation import (
    LARGEST,
    check_choice,
    check_instance,
    check_steps,
    check_value,
    check_whole,
    choice,
    flag,
    instance,
    integer,
    named,
    number,
    whole,
)

_RESERVED = ("protocol", "intensity", "n_samples")


def _copied(given: Any) -> Any:
    """A dict of one's own; what is no mapping is left to the validator."""
    return dict(given) if isinstance(given, Mapping) else given


@declared
@attrs.frozen(eq=False, kw_only=True)
class Input:
    """A named input of a network.

    Parameters
    ----------
    features : int
        Number of values per sample (and frame), or number of units for address events.
    kind : {"static", "sequence", "events"}
        Samples ``[n, features]``, sequences ``[n, T, features]`` or address events
        ``(sample, unit, time)``.
    frame : Quantity, optional
        How long a frame of a sequence is shown; needed for ``kind="sequence"``.
    optional : bool
        Whether a run may leave it out; it is zero then.
    """

    features: int = attrs.field(converter=integer, validator=whole(1, LARGEST))
    kind: str = attrs.field(default="static", validator=choice("static", "sequence", "events"))
    frame: Any = None
    optional: bool = attrs.field(default=False, validator=flag())

    def __attrs_post_init__(self) -> None:
        if (self.kind == "sequence") != (self.frame is not None):
            raise ParameterError(
                "Input", "frame", self.frame, 'given with kind="sequence" and only then'
            )


@declared
@attrs.frozen(eq=False, kw_only=True)
class Population:
    """Neurons of one model.

    Parameters
    ----------
    model : NeuronModel
        What they are.
    n : int
        How many.
    drives : dict
        Variable of the model -> name of the input that sets it.
    """

    model: NeuronModel = attrs.field(validator=instance(NeuronModel))
    n: int = attrs.field(converter=integer, validator=whole(1, LARGEST))
    drives: dict[str, str] = attrs.field(factory=dict, validator=named(str))


@declared
@attrs.frozen(eq=False, kw_only=True)
class Presentation:
    """The protocol by which samples are shown. It is compiled into the network.

    Parameters
    ----------
    duration : Quantity
        How long a sample is shown.
    rest : Quantity
        Pause after it, in which spiking inputs are silent. A value that an input sets directly,
        such as a current, stays as it is.
    reset : {"none", "all"} or dict
        What begins anew at every onset: nothing, all fast state, or population or projection ->
        tuple of names of variables, which get their initial values. Fast are the variables that
        have a differential equation or that a model or a rule calls transient, but for those
        that it calls slow; and refractoriness, whose name is ``"lastspike"``.
        :attr:`NetworkModel.resets` tells what it is for a network.
    watch : str, optional
        Population whose spikes decide whether a sample is shown again.
    min_spikes : int
        A sample with fewer spikes of ``watch`` is shown again, more intensely.
    max_retries : int
        At most this often; then the next sample follows.
    intensity, intensity_step : float
        Factor on the input at the first attempt, and what every retry adds. Samples can have
        a factor of their own as well: the key ``"intensity"`` of what is given to a run.
    """

    duration: Any = attrs.field(validator=number(ms, "> 0"))
    rest: Any = attrs.field(default=0 * ms, validator=number(ms, ">= 0"))
    reset: Any = "all"
    watch: str | None = attrs.field(default=None, validator=instance(str, optional=True))
    min_spikes: int = attrs.field(default=0, converter=integer, validator=whole(0, LARGEST))
    max_retries: int = attrs.field(default=0, converter=integer, validator=whole(0, 255))
    intensity: float = attrs.field(default=1.0, validator=number(1.0, "> 0"))
    intensity_step: float = attrs.field(default=0.0, validator=number(1.0, ">= 0"))

    def __attrs_post_init__(self) -> None:
        if isinstance(self.reset, str):
            check_choice("Presentation", "reset", self.reset, ("none", "all"))
        else:
            check_instance("Presentation", "reset", self.reset, Mapping)
        if (self.min_spikes > 0) != (self.watch is not None):
            raise ParameterError(
                "Presentation", "watch", self.watch, "given together with min_spikes"
            )


@declared
@attrs.frozen(eq=False, kw_only=True)
class NetworkModel:
    """A network as a declaration: no Brian2 object, no device.

    Parameters
    ----------
    name : str
        The network's name.
    dt : Quantity
        Time step.
    inputs : dict of str to Input
        Named inputs.
    populations : dict of str to Population
        Named populations.
    projections : dict of str to Projection
        Named projections.
    presentation : Presentation
        How samples are shown.
    output : str
        The population that readouts read.
    seed : int
        Seed of the random patterns of connectivity that have none of their own. Initial values
        and all random numbers of a run follow the seed of the run.

    Raises
    ------
    ParameterError
        If names are not identifiers or refer to nothing, numbers do not fit together, no population
        reads an input, or nothing uses a parameter.
    """

    name: str = attrs.field(validator=instance(str))
    dt: Any
    inputs: dict[str, Input] = attrs.field(converter=_copied, validator=named(Input))
    populations: dict[str, Population] = attrs.field(converter=_copied, validator=named(Population))
    projections: dict[str, Projection] = attrs.field(
        converter=_copied, factory=dict, validator=named(Projection)
    )
    presentation: Presentation = attrs.field(validator=instance(Presentation))
    output: str = attrs.field(validator=instance(str))
    seed: int = attrs.field(default=0, converter=integer, validator=whole(0))

    def __repr__(self) -> str:
        return summary(self)

    def __attrs_post_init__(self) -> None:
        check_value(self.name, "dt", self.dt, ms, "> 0")
        check_title("NetworkModel", "name", self.name)
        names = [*self.inputs, *self.populations, *self.projections]
        for name in names:
            check_name(self.name, "names", name, in_code=False)
            if name in _RESERVED or names.count(name) > 1:
                wanted = f"a unique identifier other than {', '.join(_RESERVED)}"
                raise ParameterError(self.name, "names", repr(name), wanted)
        self._known("output", self.output, self.populations)
        for key in self.populations:
            check_population(self, key)
        for key, projection in self.projections.items():
            for side in (projection.pre, projection.post):
                self._known(f"projections[{key!r}]", side, self.populations)
            check_memory(self, key)
            pre, post = self.populations[projection.pre], self.populations[projection.post]
            projection.check(key, pre.model, post.model, *self.drawing(key))
            projection = projection.written_out(pre.n, post.n)
            self.projections[key] = projection
            self._check_times(key, projection.resolved(key, post.model, self.dt))
            self._check_synaptic(key, post.model)
        for key in self.populations:
            check_own_names(self, key)
            check_companions(self, key)
            check_carried(self, key)
        for key in self.projections:
            check_projection(self, key)
        check_summed_once(self)
        if self.presentation.watch is not None:
            self._known("presentation.watch", self.presentation.watch, self.populations)
        states.check_reset(self)
        check_steps("Presentation", "duration", self.presentation.duration, self.dt, 1)
        check_steps("Presentation", "rest", self.presentation.rest, self.dt, 0)
        if self.steps_per_presentation > LARGEST:
            got = f"{self.presentation.duration} and a rest of {self.presentation.rest}"
            wanted = f"at most {LARGEST:,} time steps ({self.dt}) with the rest"
            raise ParameterError("Presentation", "duration", got, wanted)
        for key, channel in self.inputs.items():
            if channel.frame is None:
                continue
            steps = check_steps(f"Input({key})", "frame", channel.frame, self.dt, 1)
            if self.steps_per_presentation % steps:
                raise ParameterError(
                    f"Input({key})", "frame", channel.frame, "a divisor of duration + rest"
                )
        check_effects(self)

    def _known(self, field: str, name: str, among: Mapping[str, Any]) -> None:
        if name not in among:
            raise ParameterError(self.name, field, repr(name), f"one of {', '.join(sorted(among))}")

    def _check_times(self, key: str, projection: Projection) -> None:
        """Check delays, intervals of learning, and where modulators come from."""
        where = f"projections[{key!r}]"
        self._check_delay(where, projection)
        longest = np.max(np.asarray(projection.delay, dtype=float), initial=0.0) / float(self.dt)
        if np.round(longest) >= self.steps_per_presentation:
            slot = self.dt * self.steps_per_presentation
            raise ParameterError(where, "delay", projection.delay, f"below a presentation ({slot})")
        rule = projection.rule
        for part in rule.statements if rule else ():
            if part.every is None:
                continue
            steps = check_steps(where, "rule.statements.every", part.every, self.dt, 1)
            if self.steps_per_presentation % steps:
                wanted = "a divisor of duration + rest"
                raise ParameterError(where, "rule.statements.every", part.every, wanted)
        for name, target in (rule.modulators if rule else {}).items():
            owner, _, variable = target.partition(".")
            self._known(f"{where}.rule.modulators[{name!r}]", owner, self.populations)
            source = self.populations[owner]
            if variable not in source.model.variables or source.n != 1:
                wanted = "a variable, which holds a value, of a population of one neuron"
                raise ParameterError(where, f"rule.modulators[{name!r}]", repr(target), wanted)
            dimensions = parsed(owner, source.model.equations)[variable].dim
            if dimensions is not DIMENSIONLESS:
                got = f"{target!r} in {unit_name(dimensions)}"
                wanted = "a plain number, without unit"
                raise ParameterError(where, f"rule.modulators[{name!r}]", got, wanted)

    def _check_delay(self, where: str, projection: Projection) -> None:
        """Check that delays are multiples of the time step."""
        steps = np.asarray(projection.delay, dtype=float).ravel() / float(self.dt)
        uneven = np.flatnonzero(np.abs(steps - np.round(steps)) > 1e-6 * np.maximum(1, steps))
        if uneven.size:
            check_steps(where, "delay", steps[uneven[0]] * self.dt, self.dt)

    def _check_synaptic(self, key: str, post: NeuronModel) -> None:
        """Check that no variable of the synapses has the name of one of their targets."""
        own = {"w"} if self.projections[key].weights is not None else set()
        twice = sorted((own | set(self.synaptic(key))) & set(parsed(key, post.equations).names))
        if twice:
            raise ParameterError(
                f"projections[{key!r}]",
                "variables",
                f"{twice[0]!r} of the synapses and of {self.projections[key].post}",
                "a name used once",
                "Give the neuron's variable another name",
            )

    @property
    def duration_steps(self) -> int:
        """Time steps in which a sample is shown."""
        return check_steps("Presentation", "duration", self.presentation.duration, self.dt, 1)

    @property
    def steps_per_presentation(self) -> int:
        """Time steps of a presentation with its rest."""
        rest = check_steps("Presentation", "rest", self.presentation.rest, self.dt, 0)
        return self.duration_steps + rest

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the declaration."""
        return fingerprint(self)

    @property
    def plastic_projections(self) -> tuple[str, ...]:
        """Names of the projections that have a rule."""
        return tuple(key for key, value in self.projections.items() if value.rule is not None)

    def stream(self, population: str) -> int:
        """Number of the random stream of a population (its name's CRC-32, 31 bits)."""
        return zlib.crc32(population.encode()) & 0x7FFFFFFF

    def companions(self, key: str) -> tuple[Trace | Companion, ...]:
        """What rules and short-term plasticity keep on the neurons of a population."""
        return tuple(part for _, part in self.carried(key))

    def carried(self, key: str) -> tuple[tuple[str, Trace | Companion], ...]:
        """The same, each with the name of its projection."""
        found: list[tuple[str, Trace | Companion]] = []
        for name, projection in self.projections.items():
            if projection.rule is not None and key in (projection.pre, projection.post):
                rule = projection.rule.prefixed(name)
                found += [(name, p) for p in rule.needs("pre") if projection.pre == key]
                found += [(name, p) for p in rule.needs("post") if projection.post == key]
            short_term = projection.prefixed_short_term(name)
            if projection.pre == key and short_term is not None:
                found.append((name, short_term))
        return tuple(found)

    @functools.cached_property
    def resets(self) -> dict[str, tuple[str, ...]]:
        """Population or projection -> what begins anew at every onset (:class:`Presentation`)."""
        return states.resets(self)

    def whole_model(self, key: str) -> NeuronModel:
        """A population's model with all that projections keep on it."""
        return self.populations[key].model.with_traces(self.companions(key))

    def initial_values(self) -> dict[str, np.ndarray | Draw]:
        """What every variable begins with: values, or how they are drawn."""
        return states.initial_values(self)

    @property
    def units(self) -> dict[str, str]:
        """SI units of all that models and projections declare, as a state has them."""
        return states.units(self)

    def n_synapses(self, key: str) -> int:
        """Number of synapses of a projection."""
        return self.projections[key].size(*self.drawing(key))

    def indices(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Index arrays (i, j) of the synapses of a projection, in the order (pre, post)."""
        return self.projections[key].indices(*self.drawing(key))

    def drawing(self, key: str) -> tuple[int, int, int]:
        """Sizes on both sides of a projection, and what a pattern without a seed draws from."""
        projection = self.projections[key]
        n_pre, n_post = (self.populations[side].n for side in (projection.pre, projection.post))
        return n_pre, n_post, seed_of(self.seed, key)

    def resolved(self, key: str) -> Projection:
        """A projection whose statements and equations say all (:meth:`Projection.resolved`)."""
        projection = self.projections[key]
        return projection.resolved(key, self.populations[projection.post].model, self.dt)

    def pattern(self, key: str) -> str:
        """How a projection's synapses are numbered, if a formula says so; else empty."""
        return self.resolved(key).pattern

    def synaptic(self, key: str) -> tuple[str, ...]:
        """State variables of a projection's synapses besides the weight."""
        return self.resolved(key).variables

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shapes (pre, post) of the synaptic variables that are full matrices."""
        shapes = {}
        for key, p in self.projections.items():
            if p.full:
                names = ("w", *self.synaptic(key)) if p.weights is not None else self.synaptic(key)
                shape = self.populations[p.pre].n, self.populations[p.post].n
                shared = self.resolved(key).shared
                shapes.update({f"{key}.{name}": shape for name in names if name not in shared})
        return shapes

    def initial_state(self, seed: int = 0) -> State:
        """State before the first sample.

        Parameters
        ----------
        seed : int
            Seed of the random initial values. A population's or projection's values depend on
            the seed and on its own name only.

        Returns
        -------
        State
            All variables that models and projections declare, and ``protocol.seen`` = 0.
        """
        check_whole("initial_state", "seed", seed, 0, LARGEST)
        arrays = {
            name: value.sample(seed, name) if isinstance(value, Draw) else value
            for name, value in self.initial_values().items()
        }
        return State(arrays, self.shapes, self.units)
