"""Declarations of projections: synapses from one population to another."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from brian2 import Equations, ms

from biosnn.code_gate import check_name, check_statements
from biosnn.declaration import declared, is_declared
from biosnn.errors import ParameterError
from biosnn.models import (
    SLOTS,
    Companion,
    NeuronModel,
    Normal,
    Uniform,
    check_method,
    check_not_random,
    check_parameters,
    rename,
    synaptic_equations,
)
from biosnn.networks.connectivity import Pattern
from biosnn.networks.delays import arrived, check_delay, delay_steps
from biosnn.networks.projection_checks import (
    check_bounds,
    check_code,
    check_same_parameters,
    check_weights,
    check_weights_fit,
)
from biosnn.plasticity import PlasticityRule
from biosnn.state import Draw, normalised
from biosnn.validation import (
    check_choice,
    check_flag,
    check_instance,
    choice,
    describe,
    flag,
    integer,
    number,
)


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
    pre, post : str
        Names of populations.
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
        of the pairs. Learning sees the events themselves, without the delay. Events that are
        still on their way when a presentation ends are dropped.
    equations : str
        State variables of every synapse besides ``w``, or ``(summed)`` currents.
    method : str, optional
        Brian2 integration method of all equations of the synapses. Default: that of the rule, or
        ``"exponential_euler"``.
    parameters : dict
        Constants of ``transmit`` and ``equations``.
    weights : float, Uniform, Normal, array_like or None
        Initial weights (dimensionless); ``None`` for synapses without a weight.
    rule : PlasticityRule, optional
        How the weights learn.
    normalise : Normalisation, optional
        Normalisation of the columns of a full projection.
    pairs : {"all", "one_to_one", "all_but_self"}, Pattern or (array, array)
        Which pairs are connected: a word, a pattern of ``biosnn.networks`` such as
        ``FixedProbability``, or index arrays ``(i, j)``.
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

    pre: str
    post: str
    transmit: str = ""
    synapse: str | None = None
    short_term: Companion | None = None
    delay: Any = 0 * ms
    equations: str = ""
    method: str | None = None
    parameters: dict[str, Any] = attrs.Factory(dict)
    weights: Any = None
    rule: PlasticityRule | None = None
    normalise: Normalisation | None = None
    pairs: Any = "all"
    on_event: str = "spike"
    when: str = "synapses"
    order: int = -1
    order_free: bool = False

    def __attrs_post_init__(self) -> None:
        where = f"Projection({self.pre}->{self.post})"
        self._check_parts(where)
        check_weights(where, self.weights)
        check_statements(where, "transmit", self.transmit)
        check_name(where, "on_event", self.on_event)
        for name in self.parameters:
            check_name(where, "parameters", name)
        synaptic_equations(where, self.equations)
        check_not_random(where, "transmit", self.transmit)
        if self.synapse is not None and self.transmit:
            raise ParameterError(where, "transmit", repr(self.transmit), "empty beside a synapse")
        if self.short_term is not None and "r" not in Equations(self.short_term.equations).names:
            wanted = "a companion with the variable r, the share that is transmitted"
            raise ParameterError(where, "short_term", self.short_term.equations, wanted)
        check_delay(where, self.delay)
        if self.rule is not None and self.weights is None:
            raise ParameterError(where, "weights", None, "given where there is a rule")
        if self.normalise is not None and not self.full:
            raise ParameterError(where, "normalise", "a Normalisation", 'used with pairs="all"')

    def _check_parts(self, where: str) -> None:
        """Check that every part is of its kind."""
        for name in ("pre", "post", "transmit", "equations", "on_event"):
            check_instance(where, name, getattr(self, name), str)
        check_instance(where, "synapse", self.synapse, str, optional=True)
        check_instance(where, "rule", self.rule, PlasticityRule, optional=True)
        check_instance(where, "short_term", self.short_term, Companion, optional=True)
        check_instance(where, "normalise", self.normalise, Normalisation, optional=True)
        check_choice(where, "when", self.when, SLOTS)
        check_flag(where, "order_free", self.order_free)
        check_instance(where, "order", self.order, int)
        check_parameters(where, self.parameters)
        known = ("all", "one_to_one", "all_but_self")
        pattern = isinstance(self.pairs, Pattern | tuple | list)
        if not pattern and not (isinstance(self.pairs, str) and self.pairs in known):
            wanted = f"{', '.join(map(repr, known))}, a pattern or index arrays (i, j)"
            raise ParameterError(where, "pairs", describe(self.pairs), wanted)

    @property
    def full(self) -> bool:
        """Whether all pairs are connected."""
        return isinstance(self.pairs, str) and self.pairs == "all"

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
    def variables(self) -> tuple[str, ...]:
        """State variables of a synapse besides the weight."""
        equations = Equations(self.equations)
        own = equations.diff_eq_names | equations.parameter_names
        return tuple(sorted({*own, *(self.rule.variables if self.rule else ())}))

    @property
    def fast(self) -> tuple[str, ...]:
        """State variables of a synapse that ``Presentation(reset="all")`` resets."""
        rule = self.rule
        texts = [self.equations, rule.equations if rule else ""]
        driven = set().union(*(Equations(text).diff_eq_names for text in texts)) - {"w"}
        if rule is not None:
            driven = (driven | set(rule.transient)) - set(rule.slow)
        return tuple(sorted(driven))

    @property
    def shared(self) -> set[str]:
        """Those of the variables of which all synapses have one."""
        parsed = [Equations(t) for t in (self.equations, self.rule.equations if self.rule else "")]
        return {name for e in parsed for name in e.names if "shared" in e[name].flags}

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
            known = {"w", *self.variables, *Equations(equations).names}
            known |= Equations(post.equations).names
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
        if self.pairs == "one_to_one":
            k = np.arange(min(n_pre, n_post))
            return k, k
        i, j = (k.ravel() for k in np.mgrid[:n_pre, :n_post])
        keep = i != j if self.pairs == "all_but_self" else slice(None)
        return i[keep], j[keep]

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

    def check(
        self,
        key: str,
        pre: NeuronModel,
        post: NeuronModel,
        n_pre: int,
        n_post: int,
        seed: int | None = None,
    ) -> None:
        """Check that it fits between two populations.

        Raises
        ------
        ParameterError
            If the event, an index or a weight cannot be.
        """
        where = f"projections[{key!r}]"
        if self.synapse is not None and self.synapse not in post.receptors:
            among = f"one of {self.post}'s ({', '.join(post.receptors) or 'it has none'})"
            remedy = "Give its model one: model.with_synapses(name=...)"
            raise ParameterError(where, "synapse", repr(self.synapse), among, remedy)
        if isinstance(self.pairs, str) and self.pairs == "one_to_one" and n_pre != n_post:
            got = f"'one_to_one' from {n_pre} to {n_post} neurons"
            remedy = "Give index arrays (i, j) of the pairs"
            raise ParameterError(where, "pairs", got, "between populations of one size", remedy)
        if isinstance(self.pairs, Pattern):
            self.pairs.check(where, n_pre, n_post)
        elif not isinstance(self.pairs, str):
            self._check_pairs(where, n_pre, n_post)
        if np.ndim(self.delay):
            size = self.size(n_pre, n_post, seed)
            if np.shape(self.delay) != (size,):
                raise ParameterError(where, "delay", np.shape(self.delay), f"one, or ({size},)")
        self._check_statements(where, pre, post)
        if self.weights is None:
            return
        if not isinstance(self.weights, Uniform | Normal):
            size = self.size(n_pre, n_post, seed)
            check_weights_fit(where, self.weights, n_pre, n_post, size, self.full)
        if self.rule is not None:
            check_bounds(where, self.weights, self.rule.parameters)

    def _check_statements(self, where: str, pre: NeuronModel, post: NeuronModel) -> None:
        """Check what is transmitted, and that no name means two things."""
        model = None if self.synapse is None else post.receptors[self.synapse]
        transmit = self.transmit if model is None else model.transmit
        equations = self.equations if model is None else f"{self.equations}\n{model.equations}"
        parameters = {**(model.parameters if model else {}), **self.parameters}
        events = {*pre.events, *(["spike"] if pre.threshold is not None else [])}
        if transmit and self.on_event not in events:
            among = f"an event of {self.pre} ({', '.join(sorted(events)) or 'it has none'})"
            raise ParameterError(where, "on_event", repr(self.on_event), among)
        parsed = synaptic_equations(where, equations)
        own = set(parsed.names)
        self._check_method(where, parsed)
        weighted = "w" in check_code(where, "transmit", transmit)
        if self.weights is None and weighted and "w" not in own:
            wanted = f"given, because w is in what is transmitted ({transmit})"
            raise ParameterError(where, "weights", None, wanted)
        if self.weights is not None and "w" in own:
            wanted = "without w, which is the weight"
            raise ParameterError(where, "equations", repr(equations.strip()), wanted)
        if self.short_term is not None and not weighted:
            wanted = "used where w is transmitted, of which it takes a share"
            raise ParameterError(where, "short_term", f"beside {transmit!r}", wanted)
        if self.rule is not None:
            check_same_parameters(where, parameters, self.rule.parameters)

    def _check_method(self, where: str, equations: Equations) -> None:
        if self.method is None:
            return
        check_method(where, self.method, equations)
        learned = Equations(self.rule.equations) if self.rule else Equations("")
        if self.rule and learned.diff_eq_names and self.method != self.rule.method:
            wanted = f"{self.rule.method!r}, the method of {self.rule.name}"
            remedy = "Leave it out, or give the rule this method"
            raise ParameterError(where, "method", repr(self.method), wanted, remedy)
        if not equations.diff_eq_names | learned.diff_eq_names:
            wanted = "given where synapses have differential equations"
            raise ParameterError(where, "method", repr(self.method), wanted)

    def _check_pairs(self, where: str, n_pre: int, n_post: int) -> None:
        arrays = [np.asarray(part) for part in self.pairs]
        shapes = [part.shape for part in arrays]
        for part in arrays:
            if part.size and part.dtype.kind not in "iu":
                raise ParameterError(where, "pairs", f"dtype {part.dtype}", "whole numbers")
        if len(arrays) != 2 or shapes[0] != shapes[1] or len(shapes[0]) != 1:
            raise ParameterError(where, "pairs", shapes, "two index arrays (i, j) of one length")
        for part, n, side in zip(arrays, (n_pre, n_post), ("pre", "post"), strict=True):
            if part.size and (part.min() < 0 or part.max() >= n):
                bad = part[(part < 0) | (part >= n)][:1].tolist()
                wanted = f"{side}synaptic indices from 0 to {n - 1}"
                raise ParameterError(where, "pairs", bad, wanted)
