"""Declarations of projections: synapses from one population to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import Equations, ms
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity
from brian2.utils.stringtools import get_identifiers

from biosnn.code_gate import check_expression, check_name, check_statements
from biosnn.declaration import declared, is_declared
from biosnn.errors import ParameterError
from biosnn.models import (
    SLOTS,
    Companion,
    NeuronModel,
    Normal,
    SynapseModel,
    Uniform,
    check_not_random,
    check_parameters,
    equation_text,
    parsed,
    rename,
    synaptic_equations,
)
from biosnn.networks.connectivity import Pattern, pairs_of_word
from biosnn.networks.delays import arrived, check_delay, delay_steps
from biosnn.networks.subgroups import BetweenSubgroups, Subgroup
from biosnn.plasticity import PlasticityRule
from biosnn.state import Draw, normalised
from biosnn.validation import choice, describe, flag, instance, integer, mapping, number

#: Side of synapses -> names in their code that stand for numbers of its neurons.
_NUMBERS = {"pre": {"i", "i_pre", "N_pre"}, "post": {"j", "i_post", "N_post"}}


@declared
@attrs.frozen(eq=False, kw_only=True)
class Normalisation:
    """Normalisation of the weights that arrive at a neuron.

    Parameters
    ----------
    total : float
        The norm that each column gets, > 0.
    p : {1, 2}
        Sum of weights, or Euclidean norm.
    online : bool
        Also at the end of every learned presentation, for the neurons that fired in it; else
        only for the initial weights.
    """

    total: float = attrs.field(validator=number(1.0, "> 0"))
    p: int = attrs.field(default=1, converter=integer, validator=choice(1, 2))
    online: bool = attrs.field(default=True, validator=flag())

    def apply(self, weights: np.ndarray) -> np.ndarray:
        """Normalise the columns of a matrix [pre, post]; zero columns stay."""
        return normalised(weights, self.total, self.p)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Projection:
    """Synapses from one population to another.

    Parameters
    ----------
    pre, post : str or Subgroup
        Names of populations, or parts of them: ``Subgroup("exc", 0, 800)``. Pairs then count from
        the first neuron of a part; all that a network gives back counts in the whole population.
    transmit : str
        What a presynaptic event does to the target, e.g. ``"g_e_post += w"``.
    synapse : str, optional
        Instead of ``transmit``: name of a synapse model that the target's model receives
        (``model.with_synapses(name=...)``).
    short_term : Companion, optional
        Short-term plasticity: variables of the presynaptic neuron, of which ``r`` is the share
        of the weight that a spike transmits (``models.tsodyks_markram()``).
    delay : Quantity
        Time from a presynaptic event to its effect: one value, or one per synapse in the order
        of the pairs. Learning sees the events themselves, without the delay, unless
        `axonal_delay` is set. Events that are still on their way when a presentation ends are
        dropped.
    axonal_delay : bool
        Whether the delay, one for all synapses, is that of the axon: the rule then sees a
        presynaptic event when it arrives, as in Brian2. Traces of presynaptic spikes are
        event-driven variables of the synapses then (``x_arrived``) and change, as these do, only
        where the projection learns.
    equations : str
        State variables of every synapse besides ``w``, or ``(summed)`` currents. What is
        ``(event-driven)`` is integrated when an event of the projection or of its rule arrives.
    method : str, optional
        Brian2 integration method of all equations of the synapses. Default: that of the rule, or
        ``"exponential_euler"``.
    parameters : dict
        Constants of ``transmit`` and ``equations``.
    weights : float, Uniform, Normal, array_like, str or None
        Initial weights (dimensionless), as a text an expression as for ``initial``; ``None`` for
        synapses without a weight.
    initial : dict
        Variable of the synapses -> initial value: Quantity, float, one per synapse in the order of
        the pairs, :class:`Uniform`, :class:`Normal`, or an expression such as
        ``"rand()*exp(-abs(i - j)/10)"`` of ``i``, ``j``, ``N_pre``, ``N_post``, constants of the
        synapses, variables of the neurons (``x_pre``, ``x_post``: what they begin with), ``w`` and
        variables that stand before it in the dict. Others begin at zero.
    rule : PlasticityRule, optional
        How the weights learn.
    normalise : Normalisation, optional
        Normalisation of the columns of a full projection.
    pairs : {"all", "one_to_one", "all_but_self"}, Pattern or (array, array)
        Which pairs are connected: a word, a pattern of ``biosnn.networks`` such as
        ``Condition("i != j", p=0.1)``, or index arrays ``(i, j)``.
    on_event : str
        The presynaptic event that transmits.
    when : str
        Slot of Brian2's schedule in which it transmits.
    order : int
        Order within that slot.
    order_free : bool
        States that the result of ``transmit`` and of the rule does not depend on the order of the
        synapses though that cannot be seen in the statements (a maximum, say).
    """

    pre: Any = attrs.field(validator=instance((str, Subgroup)))
    post: Any = attrs.field(validator=instance((str, Subgroup)))
    transmit: str = attrs.field(default="", validator=instance(str))
    synapse: str | None = attrs.field(default=None, validator=instance(str, optional=True))
    short_term: Companion | None = attrs.field(
        default=None, validator=instance(Companion, optional=True)
    )
    delay: Any = 0 * ms
    axonal_delay: bool = attrs.field(default=False, validator=flag())
    equations: str = attrs.field(default="", converter=equation_text, validator=instance(str))
    method: str | None = None
    parameters: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    weights: Any = None
    initial: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    rule: PlasticityRule | None = attrs.field(
        default=None, validator=instance(PlasticityRule, optional=True)
    )
    normalise: Normalisation | None = attrs.field(
        default=None, validator=instance(Normalisation, optional=True)
    )
    pairs: Any = "all"
    on_event: str = attrs.field(default="spike", validator=instance(str))
    when: str = attrs.field(default="synapses", validator=choice(*SLOTS))
    order: int = attrs.field(default=-1, validator=instance(int))
    order_free: bool = attrs.field(default=False, validator=flag())

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return f"Projection({self.pre}->{self.post})"

    def __attrs_post_init__(self) -> None:
        where = self.label
        check_parameters(where, self.parameters)
        known = ("all", "one_to_one", "all_but_self")
        pattern = isinstance(self.pairs, Pattern | tuple | list)
        if not pattern and not (isinstance(self.pairs, str) and self.pairs in known):
            wanted = f"{', '.join(map(repr, known))}, a pattern or index arrays (i, j)"
            raise ParameterError(where, "pairs", describe(self.pairs), wanted)
        _check_weights(where, self.weights)
        check_statements(where, "transmit", self.transmit)
        check_name(where, "on_event", self.on_event)
        for field in ("parameters", "initial"):
            for name in getattr(self, field):
                check_name(where, field, name)
        for name, value in self.initial.items():
            if isinstance(value, str):
                check_expression(where, f"initial[{name!r}]", value)
        synaptic_equations(where, self.equations)
        check_not_random(where, "transmit", self.transmit)
        if self.synapse is not None and self.transmit:
            raise ParameterError(where, "transmit", repr(self.transmit), "empty beside a synapse")
        if (
            self.short_term is not None
            and "r" not in parsed(where, self.short_term.equations).names
        ):
            wanted = "a companion with the variable r, the share that is transmitted"
            raise ParameterError(where, "short_term", self.short_term.equations, wanted)
        check_delay(where, self.delay)
        if self.axonal_delay and self.rule is None:
            remedy = "Leave it out: what is transmitted arrives after the delay in any case"
            raise ParameterError(where, "axonal_delay", True, "given where there is a rule", remedy)
        if self.axonal_delay and np.ndim(self.delay):
            wanted = "one for all synapses where learning sees the delay"
            remedy = "Leave axonal_delay out, or make a projection for each delay"
            got = f"{np.size(self.delay)} values beside axonal_delay=True"
            raise ParameterError(where, "delay", got, wanted, remedy)
        if self.rule is not None and self.weights is None:
            raise ParameterError(where, "weights", None, "given where there is a rule")
        if self.normalise is not None and not self.full:
            wanted = 'used with pairs="all" between whole populations'
            raise ParameterError(where, "normalise", "a Normalisation", wanted)

    @property
    def full(self) -> bool:
        """Whether all pairs of two populations are connected."""
        parts = isinstance(self.pre, Subgroup) or isinstance(self.post, Subgroup)
        return not parts and isinstance(self.pairs, str) and self.pairs == "all"

    @property
    def delayed(self) -> bool:
        """Whether anything arrives later than it was sent."""
        return bool(np.any(np.asarray(self.delay) > 0))

    def delay_steps(self, dt: Any) -> np.ndarray:
        """Delays as whole time steps, one or one per synapse in the order (pre, post)."""
        delay = self.delay if np.ndim(self.delay) == 0 else self.in_order(self.delay)
        return delay_steps(delay, dt)

    @property
    def pattern(self) -> str:
        """``pairs`` if its synapses are numbered by a formula and are visited by events only.

        Its work is then a loop over rows or columns; empty otherwise.
        """
        visits_all = bool(self.equations) or (self.rule is not None and self.rule.visits_all)
        if visits_all or self.delayed or not isinstance(self.pairs, str):
            return ""
        return self.pairs

    @property
    def _equations(self) -> tuple[Equations, Equations]:
        """The equations of its synapses, and those of its rule."""
        return parsed("", self.equations), parsed("", self.rule.equations if self.rule else "")

    @property
    def variables(self) -> tuple[str, ...]:
        """State variables of a synapse besides the weight."""
        equations = parsed("", self.equations)
        own = equations.diff_eq_names | equations.parameter_names
        return tuple(sorted({*own, *(self.rule.variables if self.rule else ())}))

    @property
    def fast(self) -> tuple[str, ...]:
        """State variables of a synapse that ``Presentation(reset="all")`` resets."""
        driven = set().union(*(known.diff_eq_names for known in self._equations)) - {"w"}
        if self.rule is not None:
            driven = (driven | set(self.rule.transient)) - set(self.rule.slow)
        return tuple(sorted(driven))

    @property
    def shared(self) -> set[str]:
        """Those of the variables of which all synapses have one."""
        return {name for e in self._equations for name in e.names if "shared" in e[name].flags}

    def resolved(self, key: str, post: NeuronModel, dt: Any) -> Projection:
        """Return a copy in which ``transmit``, ``equations`` and ``parameters`` say all.

        Its synapse model, short-term plasticity and delay are written out in the statements.
        """
        transmit, equations, parameters = self.transmit, self.equations, dict(self.parameters)
        if self.synapse is not None:
            model = post.receptors[self.synapse]
            transmit = model.transmit
            equations = f"{equations}\n{model.equations}".strip()
            parameters = {**model.parameters, **parameters}
        if self.delayed and transmit:
            known = {"w", *self.variables, *parsed(key, equations).names}
            known |= parsed(key, post.equations).names
            transmit = arrived(f"projections[{key!r}]", transmit, known)
            if np.ndim(self.delay) == 0:
                parameters["delay_steps"] = int(self.delay_steps(dt))
        if self.short_term is not None:
            transmit = rename(transmit, {"w": f"(w*{key}_stp_r_pre)"})
        return attrs.evolve(
            self, synapse=None, transmit=transmit, equations=equations, parameters=parameters
        )

    def written_out(self, n_pre: int, n_post: int) -> Projection:
        """Return itself, or with index arrays for a pattern that cannot be written down."""
        if not isinstance(self.pairs, Pattern) or is_declared(self.pairs):
            return self
        return attrs.evolve(self, pairs=self.indices(n_pre, n_post))

    def with_late_traces(self) -> Projection:
        """Return itself, or with a rule whose presynaptic traces follow events that arrive."""
        if not self.axonal_delay or self.rule is None:
            return self
        return attrs.evolve(self, rule=self.rule.at_synapses())

    def between_populations(self, populations: Mapping[str, Any]) -> Projection:
        """Return itself, or with whole populations as its ends instead of parts of them.

        Parameters
        ----------
        populations : mapping of str to Population
            Those of the network.

        Raises
        ------
        ParameterError
            If a part is larger than its population, code asks for the number of a neuron, neurons
            that shall not connect to themselves have another number on each side, or neurons
            outside of a part begin with a value that the sum over its synapses would replace.
        """
        ends = {side: getattr(self, side) for side in ("pre", "post")}
        if not any(isinstance(end, Subgroup) for end in ends.values()):
            return self
        parts = {
            side: end if isinstance(end, Subgroup) else Subgroup(end) for side, end in ends.items()
        }
        names = {side: part.population for side, part in parts.items()}
        bounds = {side: part.bounds(populations[names[side]].n) for side, part in parts.items()}
        for side, (start, stop) in bounds.items():
            n = populations[names[side]].n
            if not start < stop <= n:
                wanted = f"within the {n} neurons of {names[side]}"
                raise ParameterError(self.label, side, str(parts[side]), wanted)
        synapse = populations[names["post"]].model.receptors.get(self.synapse)
        self._check_numbers_in_code(parts, synapse)
        self._check_sums(populations, synapse)
        shape = bounds["pre"][1] - bounds["pre"][0], bounds["post"][1] - bounds["post"][0]
        apart = names["pre"] == names["post"] and bounds["pre"][0] != bounds["post"][0]
        if apart and (self.pairs == "all_but_self" or not getattr(self.pairs, "to_self", True)):
            word = "to_self=False" if isinstance(self.pairs, Pattern) else "'all_but_self'"
            got = f"{word} from {parts['pre']} to {parts['post']}"
            remedy = f'Use Condition("i + {bounds["pre"][0]} != j + {bounds["post"][0]}")'
            wanted = "between parts that begin with the same neuron"
            raise ParameterError(self.label, "pairs", got, wanted, remedy)
        pairs, weights = self.written_out(*shape).pairs, self.weights
        if isinstance(pairs, str) and pairs == "all" and np.shape(weights) == shape:
            weights = np.ravel(weights)
        if isinstance(pairs, tuple | list):
            self._check_within(pairs, shape)
            pairs = tuple(
                np.asarray(k) + bounds[side][0] for k, side in zip(pairs, bounds, strict=True)
            )
        else:
            pairs = BetweenSubgroups(pairs_within=pairs, **bounds)
        return attrs.evolve(self, **names, pairs=pairs, weights=weights)

    def _check_within(self, pairs: Any, shape: tuple[int, int]) -> None:
        """Check that indices are those of neurons of the parts."""
        if len(pairs) != 2:
            raise ParameterError(self.label, "pairs", describe(pairs), "index arrays (i, j)")
        for index, n, side in zip(pairs, shape, ("pre", "post"), strict=True):
            array = np.asarray(index)
            if array.size and array.dtype.kind not in "iu":
                raise ParameterError(self.label, "pairs", f"dtype {array.dtype}", "whole numbers")
            if array.size and (array.min() < 0 or array.max() >= n):
                bad = array[(array < 0) | (array >= n)][0]
                wanted = f"indices from 0 to {n - 1}, counted from the first of {side}"
                raise ParameterError(self.label, "pairs", bad, wanted)

    def _check_sums(self, populations: Mapping[str, Any], synapse: SynapseModel | None) -> None:
        """Refuse sums over synapses of a part that would replace what other neurons begin with.

        Brian2 leaves neurons outside of a subgroup as they are, where a network sets them to 0.
        """
        texts = {"equations": self.equations}
        if synapse is not None:
            texts["synapse.equations"] = synapse.equations
        for field, text in texts.items():
            for name, equation in parsed(self.label, text).items():
                variable, _, side = name.rpartition("_")
                part = getattr(self, side, None)
                if "summed" not in equation.flags or not isinstance(part, Subgroup):
                    continue
                population = populations[part.population]
                first = {**population.model.initial, **population.initial}.get(variable, 0.0)
                drawn = isinstance(first, str | Uniform | Normal)
                if part.bounds(population.n) != (0, population.n) and (drawn or np.any(first)):
                    got = f"{name} (summed) beside {side}={part}, where {variable} begins with"
                    wanted = "the sum of a variable that begins with 0: it is 0 outside of the part"
                    remedy = "Leave out its initial value, or add it in the neurons' equations"
                    raise ParameterError(
                        self.label, field, f"{got} {describe(first)}", wanted, remedy
                    )

    def _check_numbers_in_code(
        self, parts: Mapping[str, Subgroup], synapse: SynapseModel | None
    ) -> None:
        """Refuse code that asks for the number of a neuron, or how many there are.

        Brian2 counts from the first of a subgroup, where a network counts in the population.
        """
        rule = self.rule
        codes = {"transmit": self.transmit, "equations": self.equations}
        if synapse is not None:
            codes |= {"synapse.transmit": synapse.transmit, "synapse.equations": synapse.equations}
        values = {"weights": self.weights}
        values |= {f"initial[{name!r}]": value for name, value in self.initial.items()}
        codes |= {field: value for field, value in values.items() if isinstance(value, str)}
        if rule is not None:
            codes["rule.equations"] = rule.equations
            codes |= {f"rule.statements[{k}]": s.code for k, s in enumerate(rule.statements)}
        for side, asked in _NUMBERS.items():
            if not isinstance(getattr(self, side), Subgroup):
                continue
            for field, code in codes.items():
                found = sorted(asked & set(get_identifiers(code)))
                if found:
                    got = f"{found[0]!r} beside {side}={parts[side]}"
                    wanted = "without the numbers of neurons, which count in the whole population"
                    remedy = f"Read a parameter of the neurons of {parts[side].population}"
                    raise ParameterError(self.label, field, got, wanted, remedy)

    def prefixed_short_term(self, key: str) -> Companion | None:
        """Its short-term plasticity as the presynaptic neurons carry it."""
        if self.short_term is None:
            return None
        names = {name: f"{key}_stp_{name}" for name in self.short_term.own()}
        return self.short_term.renamed(names, of=f"{key}_stp")

    def in_order(self, values: Any) -> np.ndarray:
        """One value per synapse, given in the order of the pairs, in the order (pre, post)."""
        flat = np.asarray(values, dtype=float).ravel()
        if isinstance(self.pairs, str | Pattern):
            return flat
        return flat[np.lexsort((self.pairs[1], self.pairs[0]))]

    def indices(
        self, n_pre: int, n_post: int, seed: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Index arrays (i, j) of the synapses, in the order (pre, post).

        A pattern without a seed of its own needs the one that a network gives the projection:
        ``network.indices(key)``.
        """
        if not isinstance(self.pairs, str):
            if isinstance(self.pairs, Pattern):
                if seed is None and self.pairs.without_seed:
                    where, wanted = f"Projection({self.pre}->{self.post})", "given for random pairs"
                    remedy = "A network knows it: network.indices(key)"
                    raise ParameterError(where, "indices(seed)", None, wanted, remedy)
                return self.pairs.indices(n_pre, n_post, seed)
            i, j = (np.asarray(k, dtype=np.int64) for k in self.pairs)
            order = np.lexsort((j, i))
            return i[order], j[order]
        return pairs_of_word(self.pairs, n_pre, n_post)

    def size(self, n_pre: int, n_post: int, seed: int | None = None) -> int:
        """Number of synapses; see :meth:`indices`."""
        if not isinstance(self.pairs, str):
            return len(self.indices(n_pre, n_post, seed)[0])
        diagonal, every = min(n_pre, n_post), n_pre * n_post
        return {"all": every, "one_to_one": diagonal, "all_but_self": every - diagonal}[self.pairs]

    def initial_weights(
        self, n_pre: int, n_post: int, seed: int | None = None
    ) -> np.ndarray | Draw:
        """Initial weights, flat, in the order (pre, post), or how they are drawn.

        See :meth:`indices`.
        """
        size = self.size(n_pre, n_post, seed)
        if isinstance(self.weights, Uniform | Normal):
            drawn = self.weights.draw(size)
            if self.normalise is None:
                return drawn
            norm = {"total": self.normalise.total, "p": self.normalise.p}
            return attrs.evolve(drawn, shape=(n_pre, n_post), **norm)
        flat = np.broadcast_to(np.asarray(self.weights, dtype=float).ravel(), (size,)).copy()
        flat = self.in_order(flat)
        if self.normalise is None:
            return flat
        return self.normalise.apply(flat.reshape(n_pre, n_post)).ravel()


def _check_weights(where: str, weights: Any) -> None:
    """Check that initial weights are plain numbers.

    Raises
    ------
    ParameterError
        If they have a unit or are no numbers.
    """
    if weights is None:
        return
    if isinstance(weights, str):
        check_expression(where, "weights", weights)
        return
    drawn = isinstance(weights, Uniform | Normal)
    for part in attrs.astuple(weights, recurse=False) if drawn else (weights,):
        try:
            dimensions = Quantity(part).dim
            np.asarray(part, dtype=float)
        except (TypeError, ValueError) as error:
            wanted = "a number, one per synapse, Uniform, Normal or an expression"
            raise ParameterError(where, "weights", repr(part), wanted) from error
        if dimensions is not DIMENSIONLESS:
            remedy = "The unit belongs to the synapse: use a parameter such as g_max"
            raise ParameterError(where, "weights", part, "a plain number", remedy)
