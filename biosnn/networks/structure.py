"""What a network is made of: inputs, populations, projections, and the presentation of samples."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import ms

from biosnn.declaration import declared, fingerprint
from biosnn.errors import ParameterError
from biosnn.models import Companion, NeuronModel, Trace
from biosnn.networks.connectivity import seed_of
from biosnn.networks.projection import Projection
from biosnn.validation import (
    LARGEST,
    check_choice,
    check_mapping,
    check_members,
    check_steps,
    choice,
    flag,
    instance,
    integer,
    mapping,
    named,
    number,
    whole,
)

#: Name of the units that present samples, one for each copy of a network: what populations link to
#: as ``protocol.variable``.
PROTOCOL = "protocol"


#: Most retries: random numbers are functions of the attempt, which has 8 bits.
MOST_RETRIES = 255


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
    initial : dict
        Initial values of these neurons, as ``NeuronModel.initial`` has them: they take the place
        of the model's.
    """

    model: NeuronModel = attrs.field(validator=instance(NeuronModel))
    n: int = attrs.field(converter=integer, validator=whole(1, LARGEST))
    drives: dict[str, str] = attrs.field(factory=dict, validator=named(str))
    initial: dict[str, Any] = attrs.field(factory=dict, validator=mapping())

    @functools.cached_property
    def begun(self) -> NeuronModel:
        """The model with the initial values of these neurons."""
        if not self.initial:
            return self.model
        others = {k: v for k, v in self.model.initial.items() if k not in self.initial}
        return attrs.evolve(self.model, initial={**others, **self.initial})


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
    max_retries : int or None
        At most this often; then the next sample follows. ``None`` for as often as it takes: a
        sample that 254 retries do not bring to `min_spikes` stops the run with an error, because
        random numbers know 256 attempts.
    intensity, intensity_step : float
        Factor on the input at the first attempt, and what every retry adds. Samples can have
        a factor of their own as well: the key ``"intensity"`` of what is given to a run.
    """

    duration: Any = attrs.field(validator=number(ms, "> 0"))
    rest: Any = attrs.field(default=0 * ms, validator=number(ms, ">= 0"))
    reset: Any = "all"
    watch: str | None = attrs.field(default=None, validator=instance(str, optional=True))
    min_spikes: int = attrs.field(default=0, converter=integer, validator=whole(0, LARGEST))
    max_retries: int | None = attrs.field(
        default=0, converter=integer, validator=attrs.validators.optional(whole(0, MOST_RETRIES))
    )
    intensity: float = attrs.field(default=1.0, validator=number(1.0, "> 0"))
    intensity_step: float = attrs.field(default=0.0, validator=number(1.0, ">= 0"))

    def __attrs_post_init__(self) -> None:
        if isinstance(self.reset, str):
            check_choice("Presentation", "reset", self.reset, ("none", "all"))
        else:
            check_mapping("Presentation", "reset", self.reset)
            for key, names in self.reset.items():
                field = f"reset[{key!r}]"
                if isinstance(names, str):
                    remedy = f"Write ({names!r},)"
                    raise ParameterError(
                        "Presentation", field, repr(names), "a tuple of names", remedy
                    )
                check_members("Presentation", field, names, str)
        if (self.min_spikes > 0) != (self.watch is not None):
            raise ParameterError(
                "Presentation", "watch", self.watch, "given together with min_spikes"
            )
        if self.max_retries is None and self.watch is None:
            remedy = "Say whose spikes decide: watch=..., min_spikes=..."
            raise ParameterError("Presentation", "max_retries", None, "a number", remedy)

    @property
    def most_retries(self) -> int:
        """How often a sample is shown again at most, whatever becomes of the run then."""
        return MOST_RETRIES if self.max_retries is None else self.max_retries


def _once[T](method: Callable[[Any, str], T]) -> Callable[[Any, str], T]:
    """A method of a network and a name, worked out once for each name."""

    @functools.wraps(method)
    def kept(network: NetworkStructure, key: str) -> T:
        found = network._kept
        entry = method.__name__, key
        if entry not in found:
            found[entry] = method(network, key)
        return found[entry]

    return kept


@attrs.frozen(eq=False, kw_only=True)
class NetworkStructure:
    """The fields of a :class:`NetworkModel` and what follows from them, without checks."""

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

    @functools.cached_property
    def _kept(self) -> dict[tuple[str, str], Any]:
        """Method and name -> what it has worked out."""
        return {}

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

    @_once
    def companions(self, key: str) -> tuple[Trace | Companion, ...]:
        """What rules and short-term plasticity keep on the neurons of a population."""
        return tuple(part for _, part in self.carried(key))

    @_once
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

    @_once
    def whole_model(self, key: str) -> NeuronModel:
        """A population's model with all that projections keep on it."""
        return self.populations[key].begun.with_traces(self.companions(key))

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

    @_once
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

    def fast(self, key: str) -> tuple[str, ...]:
        """Variables of a population or projection that ``reset="all"`` resets."""
        owner = self.whole_model(key) if key in self.populations else self.resolved(key)
        return owner.fast

    @functools.cached_property
    def resets(self) -> dict[str, tuple[str, ...]]:
        """Population or projection -> what begins anew at every onset (:class:`Presentation`)."""
        reset = self.presentation.reset
        if isinstance(reset, str):
            owners = () if reset == "none" else (*self.populations, *self.projections)
            reset = {key: self.fast(key) for key in owners}
        return {key: tuple(names) for key, names in reset.items() if names}

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
