"""Which variables samples hand on to later ones while nothing learns."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import attrs
from brian2 import Equations
from brian2.utils.stringtools import deindent

from biosnn.models import SLOTS, Event, Operation, names_in
from biosnn.networks import NetworkModel
from biosnn.program.draws import holds_draws
from biosnn.program.presentation import (
    CLEAR_COUNTS,
    EVENTS,
    FRAME,
    INPUT,
    LOAD,
    ONSET,
    RESET,
    SUBEXPRESSIONS,
)

_LOADED = {"static": LOAD, "sequence": FRAME, "events": EVENTS}


def carried(network: NetworkModel) -> tuple[str, ...]:
    """Variables through which samples depend on those before them, with plasticity off.

    The declaration's code is followed through the first time step of a presentation, in the order
    of Brian2's schedule. A variable is carried if anything that does not learn changes it, unless
    the first that happens to it in that step is that all neurons (or synapses) get a value that
    does not come from it: at the onset, from an input, or in every step.

    Parameters
    ----------
    network : NetworkModel
        The declaration.

    Returns
    -------
    tuple of str
        Their names, sorted: ``"population.variable"``, ``"projection.variable"``,
        ``"population.lastspike"`` for refractoriness, and ``"t"`` where code uses Brian2's time.
    """
    history = _History(network)
    actions = [
        *(action for key in network.populations for action in _of_population(history, key)),
        *(action for key in network.projections for action in _of_projection(history, key)),
    ]
    for action in sorted(actions, key=lambda action: action.place):
        history.follow(action)
    return tuple(sorted(history.changed - history.renewed | history.times))


@attrs.frozen(kw_only=True)
class _Action:
    """Something that happens in a time step: names that are read, statements, new values.

    ``whole`` is whether it is for all neurons or synapses, ``forced`` whether that includes
    variables that are fixed while a neuron is refractory.
    """

    owner: str
    when: str
    order: int
    reads: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    code: str = ""
    writes: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    whole: bool = False
    forced: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Its place in a time step; what has the same one runs as declared."""
        return SLOTS.index(self.when), self.order


class _History:
    """What has happened to the variables of a network since an onset."""

    def __init__(self, network: NetworkModel):
        self.network = network
        self.models = {key: network.whole_model(key) for key in network.populations}
        # What is on its way at the end of a presentation is dropped, so delays carry nothing.
        self.projections = {
            key: attrs.evolve(projection, delay=0 * network.dt).resolved(
                key, self.models[projection.post], network.dt
            )
            for key, projection in network.projections.items()
        }
        self.equations = {key: Equations(model.equations) for key, model in self.models.items()}
        for key, projection in self.projections.items():
            learned = projection.rule.equations if projection.rule else ""
            self.equations[key] = Equations(f"{projection.equations}\n{learned}")
        self.used: set[str] = set()
        self.renewed: set[str] = set()
        self.changed: set[str] = set()
        self.times: set[str] = set()

    def follow(self, action: _Action) -> None:
        """Take note of an action."""
        self._read(action.owner, action.reads)
        for statement in ast.parse(deindent(action.code).strip()).body:
            assert isinstance(statement, ast.Assign | ast.AugAssign)
            plain = isinstance(statement, ast.Assign)
            target = statement.targets[0] if plain else statement.target
            assert isinstance(target, ast.Name)
            self._read(action.owner, names_in(ast.unparse(statement.value)))
            if not plain:
                self._read(action.owner, [target.id])
            self._write(action, target.id, plain and action.whole)
        for name in action.writes:
            self._write(action, name, action.whole)

    def _read(self, owner: str, names: Iterable[str]) -> None:
        for name in names:
            if name in ("t", "t_in_timesteps"):
                self.times.add("t")
                continue
            key, variable = self._resolved(owner, name)
            known = self.equations.get(key, Equations(""))
            computed = variable in known.subexpr_names
            if computed and "constant over dt" not in known[variable].flags:
                self._read(key, known[variable].identifiers)
            elif f"{key}.{variable}" not in self.renewed:
                self.used.add(f"{key}.{variable}")

    def _write(self, action: _Action, name: str, whole: bool) -> None:
        key, variable = self._resolved(action.owner, name)
        known = self.equations.get(key, Equations(""))
        weight = variable == "w" and key in self.projections
        if variable not in known and variable != "lastspike" and not weight:
            return  # a name of the statements alone
        if variable in known and "unless refractory" in known[variable].flags:
            early = SLOTS.index(action.when) < SLOTS.index("thresholds")
            able = early and f"{key}.lastspike" in self.renewed
            whole = whole and (action.forced or able)
        self.changed.add(f"{key}.{variable}")
        if whole and f"{key}.{variable}" not in self.used:
            self.renewed.add(f"{key}.{variable}")

    def _resolved(self, owner: str, name: str) -> tuple[str, str]:
        """Whose variable a name in the code of a population or projection is, and its name."""
        if owner in self.projections:
            projection = self.projections[owner]
            if name in self.equations[owner] or (name == "w" and projection.weights is not None):
                return owner, name
            base, _, side = name.rpartition("_")
            if base and side in ("pre", "post"):
                return self._resolved(projection.pre if side == "pre" else projection.post, base)
            return self._resolved(projection.post, name)
        if name == "not_refractory":
            return owner, "lastspike"
        target = self.models[owner].links.get(name) if owner in self.models else None
        if target is None:
            return owner, name
        key, _, variable = target.partition(".")
        return self._resolved(key, variable)


def _of_population(history: _History, key: str) -> Iterator[_Action]:
    network, model = history.network, history.models[key]
    known = history.equations[key]
    yield from _held(key, known)
    for variable, channel in network.populations[key].drives.items():
        order = _LOADED[network.inputs[channel].kind]
        yield _Action(owner=key, when="start", order=order, writes=[variable], whole=True)
    yield from _reset(network, key)
    if "count" in known:
        # What is called so is set to zero behind every presentation.
        yield _Action(owner=key, when="start", order=CLEAR_COUNTS, writes=["count"], whole=True)
    yield from _integrated(key, known, known.diff_eq_names)
    yield from _spikes(history, key)
    for spec in model.events.values():
        condition, when = spec, "after_thresholds"
        if isinstance(spec, Event):
            condition, when = spec.condition, spec.when
        yield _Action(owner=key, when=when, order=0, reads=names_in(condition))
    for operation in model.operations:
        yield from _of_operation(network, key, operation)


def _spikes(history: _History, key: str) -> Iterator[_Action]:
    """The test of the threshold, refractoriness, and the reset."""
    model = history.models[key]
    if model.refractory is not None:
        names = names_in(model.refractory) if isinstance(model.refractory, str) else set()
        yield _Action(owner=key, when="groups", order=0, reads=names | {"lastspike"})
    if model.threshold is None:
        return
    since = () if model.refractory is None else ("lastspike",)
    reads = names_in(model.threshold) | set(since)
    yield _Action(owner=key, when=model.spike_when, order=0, reads=reads, writes=since)
    if model.reset:
        yield _Action(owner=key, when="resets", order=0, code=model.reset)


def _of_operation(network: NetworkModel, key: str, operation: Operation) -> Iterator[_Action]:
    border = {"onset": ONSET, "input": INPUT}
    if operation.plastic and operation.on not in border and network.plastic_projections:
        return
    order = border.get(operation.on, operation.order)
    whole = operation.on in (*border, "step")
    yield _Action(owner=key, when=operation.when, order=order, code=operation.code, whole=whole)


def _of_projection(history: _History, key: str) -> Iterator[_Action]:
    projection = history.projections[key]
    known = Equations(projection.equations)
    yield from _held(key, known)
    yield from _reset(history.network, key)
    for name in known.subexpr_names:
        if "summed" in known[name].flags:
            target, _, side = name.rpartition("_")
            owner = projection.pre if side == "pre" else projection.post
            yield _Action(owner=key, when="groups", order=-1, reads=known[name].identifiers)
            yield _Action(owner=owner, when="groups", order=-1, writes=[target], whole=True)
    yield from _integrated(key, known, known.diff_eq_names)
    if projection.transmit:
        yield _Action(
            owner=key, when=projection.when, order=projection.order, code=projection.transmit
        )
    if projection.normalise and projection.normalise.online and projection.rule is None:
        yield _Action(owner=key, when="start", order=CLEAR_COUNTS, writes=["w"])


def _held(key: str, known: Equations) -> Iterator[_Action]:
    """Subexpressions that are computed once in a time step."""
    when, order = ("start", SUBEXPRESSIONS) if holds_draws(known) else ("before_start", 0)
    for name in known.subexpr_names:
        if "constant over dt" in known[name].flags:
            reads = known[name].identifiers
            yield _Action(owner=key, when=when, order=order, reads=reads, writes=[name], whole=True)


def _reset(network: NetworkModel, key: str) -> Iterator[_Action]:
    names = network.resets.get(key, ())
    yield _Action(owner=key, when="start", order=RESET, writes=names, whole=True, forced=True)


def _integrated(key: str, known: Equations, driven: Iterable[str]) -> Iterator[_Action]:
    reads = {name for variable in driven for name in known[variable].identifiers}
    yield _Action(owner=key, when="groups", order=0, reads=reads, writes=sorted(driven))
