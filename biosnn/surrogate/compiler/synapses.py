"""Synapses as lines of source: pathways, equations of single synapses, summed variables."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import attrs
from torch import Tensor

from biosnn.errors import ParameterError
from biosnn.program.integration import integration_code
from biosnn.program.program import Connection, Kernel
from biosnn.surrogate.compiler.bilinear import Term, separate
from biosnn.surrogate.compiler.blocks import (
    Block,
    Statement,
    as_kind,
    check_poles,
    event_names,
    held_code,
)
from biosnn.surrogate.compiler.expressions import PARAM, TENSOR, TIME, Value
from biosnn.surrogate.compiler.liveness import Phase, names_of
from biosnn.surrogate.compiler.source import SourceWriter
from biosnn.surrogate.compiler.wiring import Wiring


@attrs.frozen(eq=False)
class Arrival:
    """What a pathway from outside of a program brings in every step.

    Parameters
    ----------
    port : str
        Name in the program.
    population, event : str
        Whose events they are.
    lag : int
        Steps from an event to its effect.
    matrix : str
        Name of the matrix that sums them up; empty for the events themselves.
    """

    port: str
    population: str
    event: str
    lag: int
    matrix: str = ""


class SynapticBlock:
    """Writes the code of synapses into a phase.

    Parameters
    ----------
    writer, phase : SourceWriter, Phase
        Where the lines go.
    made : Connection
        The synapses.
    wiring : Wiring
        Their indices.
    constant : container of str
        Stored variables that never change: known before a run.
    inside : container of str
        Groups whose variables are at hand.
    """

    def __init__(
        self,
        writer: SourceWriter,
        phase: Phase,
        made: Connection,
        wiring: Wiring,
        constant: set[str],
        inside: Container[str],
    ):
        self.inside = inside
        self.writer, self.phase, self.made = writer, phase, made
        self.wiring, self.constant = wiring, constant
        self.key = made.name
        self.scope = writer.scope(made.name)
        for side in ("pre", "post"):
            writer.namespace[f"at_{side}_of_{self.key}"] = wiring.gather(side)
        writer.namespace[f"sum_of_{self.key}"] = wiring.scatter()

    def side(self, name: str) -> str:
        """Whose variable a name is: that of a synapse, a neuron, or of nobody."""
        if name in ("i", "j"):
            return "own"
        meaning = self.scope.find(name)
        if meaning is None or meaning.kind not in ("array", "neuron", "degree"):
            return ""
        return meaning.index if meaning.index != "one" else ""

    def looked_up(self, name: str, value: Value) -> Value:
        """A name as one value per synapse."""
        side = self.side(name)
        value = self.by_side(name, value)
        if side in ("pre", "post"):
            return attrs.evolve(value, text=f"at_{side}_of_{self.key}({value.text})")
        return value

    def by_side(self, name: str, value: Value) -> Value:
        """A name within a factor of one side: not gathered."""
        if self.side(name) == "pre" and self.made.pre not in self.inside:
            raise NeedsSourceError(self.made.pre)
        if self.side(name) == "own" and value.text in self.constant:
            return attrs.evolve(value, level=PARAM, diff=value.kind == "float")
        return value

    def block(self, code: str, gathered: bool) -> Block:
        """The statements of some code."""
        lookup = self.looked_up if gathered else self.by_side
        return Block(self.writer, self.phase, self.key, code, lookup)

    # --- pathways

    def pathway(self, kernel: Kernel, lags: Mapping[int, Any], external: bool) -> list[Arrival]:
        """Write what a pathway does.

        Parameters
        ----------
        kernel : Kernel
            The pathway.
        lags : mapping
            Steps from an event to its effect -> numbers of the synapses, or None for all.
        external : bool
            Whether the events come from outside of the source.

        Returns
        -------
        list of Arrival
            What has to be brought in from outside.
        """
        block = self.block(kernel.code, gathered=False)
        lines = [s for s in block.statements if block.stored(s[0]) is not None]
        changed = {name for name, _, _ in lines}
        read = {n for s in block.statements for n in names_of(s[2])}
        inner = [s for s in block.statements if block.stored(s[0]) is None]
        if not changed & read and not any(self.side(n) for s in inner for n in names_of(s[2])):
            for statement in inner:
                block.temporary(statement[0], block.value(*statement))
            terms = [self._separated(block, s) for s in lines]
            if all(terms) and self._own_known(terms):
                return self._sums(block, kernel, lines, terms, lags, external)
        if external:
            raise NeedsSourceError(self.writer.program.source(kernel))
        self._one_by_one(kernel, lags)
        return []

    def _separated(self, block: Block, statement: Statement) -> tuple[Term, ...] | None:
        name, operator, expression = statement
        if operator not in ("+=", "-=") or self.side(name) != "post":
            return None

        def side(used: str) -> str:
            # What changes with time is no part of a matrix.
            late = used in block.known and block.known[used].level >= TIME
            return "post" if late or used in ("t", "t_in_timesteps") else self.side(used)

        found = separate(expression, side)
        if found is None or operator == "+=":
            return found
        return tuple(Term(post=("-1",)).times(term) for term in found)

    def _own_known(self, terms: Any) -> bool:
        """Whether the factors of single synapses are known before a run."""
        for term in (t for found in terms for t in found):
            for name in names_of(Term.product(term.own)) if term.own else ():
                if name in ("i", "j"):
                    return False
                meaning = self.scope.find(name)
                if meaning is None or self.side(name) != "own":
                    continue
                if self.writer.stored_name(self.key, name, meaning) not in self.constant:
                    return False
        return True

    def _sums(
        self,
        block: Block,
        kernel: Kernel,
        lines: Sequence[Statement],
        terms: list[Any],
        lags: Mapping[int, Any],
        external: bool,
    ) -> list[Arrival]:
        """Products of events with matrices."""
        writer = self.writer
        source, event = self.writer.program.source(kernel), kernel.event
        arrivals = []
        for (name, _, _), found in zip(lines, terms, strict=True):
            added: list[str] = []
            diff = True
            for lag, among in lags.items():
                for term in found:
                    matrix = self._matrix(block, term, among)
                    if external:
                        if term.pre:
                            raise NeedsSourceError(source)
                        port = writer.port("sum", self.key, kernel.label, matrix, lag)
                        arrivals.append(Arrival(port, source, event, lag, matrix))
                        text = port
                    else:
                        events = self._events(source, event, lag)
                        if term.pre:
                            factor = block.renderer.value(Term.product(term.pre))
                            events = f"({events} * {factor.inner})"
                        text = f"{events} @ {matrix}"
                    if term.post:
                        factor = block.renderer.value(Term.product(term.post))
                        factor = writer.hoist(factor)
                        text = f"{factor.inner} * ({text})"
                    added.append(text)
            old = block.renderer.value(name)
            block.assign(name, Value(" + ".join([old.inner, *added]), "float", TENSOR, diff))
        return arrivals

    def _matrix(self, block: Block, term: Term, among: Any) -> str:
        """Name of the matrix of a term, computed before a run."""
        writer = self.writer
        wired = f"matrix_of_{self.key}" if among is None else f"matrix_of_{self.key}_{among.name}"
        chosen = None if among is None else among.places
        writer.namespace.setdefault(wired, self.wiring.matrix(chosen))
        value = block.renderer.value(Term.product(term.own))
        text = value.text
        if value.level != PARAM:
            text = f"ones_of_{self.key} * {text}"
            writer.needs_ones.add(self.key)
        return writer.hoist(Value(f"{wired}({text})", "float", PARAM, True)).text

    def _events(self, source: str, event: str, lag: int) -> str:
        """Events of a population of the same source, now or some steps ago."""
        if lag == 0:
            return event_names(self.writer, source, event)[0]
        port = self.writer.port("past", source, event, lag)
        self.writer.pasts[port] = (source, event, lag)
        return port

    def _one_by_one(self, kernel: Kernel, lags: Mapping[int, Any]) -> None:
        """Statements for every single synapse."""
        writer, phase = self.writer, self.phase
        source, event = self.writer.program.source(kernel), kernel.event
        for lag, among in lags.items():
            here = f"arrived_{self.key}_{kernel.label}_{lag}"
            events = self._events(source, event, lag)
            arrived = f"at_{kernel.side}_of_{self.key}({events})"
            if among is not None:
                mask = f"chosen_{self.key}_{among.name}"
                writer.namespace[mask] = self.wiring.mask(among.places)
                arrived = f"{mask}({arrived})"
            phase.write(here, arrived)
            block = self.block(kernel.code, gathered=True)
            changed: set[str] = set()
            for name, operator, expression in block.statements:
                array = block.stored(name)
                if array is None:
                    block.temporary(name, block.value(name, operator, expression))
                    continue
                side, adds = self.side(name), operator in ("+=", "-=")
                if side == "own":
                    old = block.renderer.value(name)
                    new = block.value(name, operator, expression)
                    local = writer.store(array)
                    kind = {"integer": "int", "boolean": "bool"}.get(array.kind, "float")
                    text = f"blend_({old.text}, {as_kind(kind, new, old)}, {here})"
                    block.set(local, text, True)
                elif side == "post" and adds and name not in names_of(expression):
                    value = block.renderer.value(expression)
                    local = writer.store(array)
                    now = phase.current.get(local, Value(local))
                    summed = f"{now.inner} {operator[0]} sum_of_{self.key}({here} * {value.inner})"
                    text = writer.guarded(phase, array, summed, now.text)
                    block.set(local, text, True)
                else:
                    wanted = "of the form x_post += ..., or a change of the synapse's own variables"
                    code = f"{name} {operator} {expression}"
                    raise ParameterError(self.key, "on_pre", code, wanted)
                changed.add(name)

    # --- equations of single synapses

    def state_update(self) -> None:
        """Integrate the equations of the synapses."""
        check_poles(self.writer, self.key)
        self.statements(integration_code(self.writer.program, self.key))

    def statements(self, code: str) -> None:
        """Statements for all synapses."""
        self.block(code, gathered=True).run()

    def held(self) -> None:
        """Subexpressions that keep their values for a time step."""
        self.statements(held_code(self.writer, self.key))

    def summed(self, kernel: Kernel) -> None:
        """A variable of the neurons that is the sum over their synapses."""
        block = self.block(f"_sum = {kernel.code}", gathered=True)
        for name, operator, expression in block.statements:
            block.temporary(name, block.value(name, operator, expression))
        value = block.known["_sum"]
        local = self.writer.store(self.writer.program.arrays[kernel.targets[0]])
        text = value.text if value.level == TENSOR else f"ones_of_{self.key} * {value.text}"
        if value.level < TENSOR:
            self.writer.needs_ones.add(self.key)
        block.set(local, f"sum_of_{self.key}({text})", value.diff)


class NeedsSourceError(Exception):
    """A pathway that needs variables of its source, which has to be in the same source."""

    def __init__(self, population: str):
        super().__init__(population)
        self.population = population
        self.target = population


@attrs.frozen(eq=False)
class Among:
    """Some synapses of a projection: those with one delay."""

    name: str
    places: Tensor
