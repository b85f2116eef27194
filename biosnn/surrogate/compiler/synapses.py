"""Synapses as lines of a program: pathways, equations of single synapses, summed variables."""

from __future__ import annotations

import ast
from collections.abc import Container, Mapping
from typing import Any

import attrs
from brian2 import Synapses
from brian2.core.variables import ArrayVariable, Variable
from brian2.groups.group import CodeRunner
from brian2.synapses.synapses import SynapticPathway
from torch import Tensor

from biosnn.errors import ParameterError
from biosnn.surrogate.compiler.bilinear import Term, separate
from biosnn.surrogate.compiler.blocks import Block, as_kind, event_names, integrated
from biosnn.surrogate.compiler.expressions import PARAM, TENSOR, TIME, Value
from biosnn.surrogate.compiler.liveness import Phase
from biosnn.surrogate.compiler.source import Program
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
    program, phase : Program, Phase
        Where the lines go.
    synapses : Synapses
        Brian2's.
    wiring : Wiring
        Their indices.
    constant : container of str
        Stored variables that never change: known before a run.
    namespace : mapping
        Names from outside.
    inside : container of str
        Groups whose variables are at hand.
    """

    def __init__(
        self,
        program: Program,
        phase: Phase,
        synapses: Synapses,
        wiring: Wiring,
        constant: set[str],
        namespace: Mapping[str, Any],
        inside: Container[str],
    ):
        self.inside = inside
        self.program, self.phase, self.synapses = program, phase, synapses
        self.wiring, self.constant, self.namespace = wiring, constant, namespace
        self.key = synapses.name
        for side in ("pre", "post"):
            program.namespace[f"at_{side}_of_{self.key}"] = wiring.gather(side)
        program.namespace[f"sum_of_{self.key}"] = wiring.scatter()

    def side(self, name: str) -> str:
        """Whose variable a name is: that of a synapse, a neuron, or of nobody."""
        variable = self.synapses.variables.get(name)
        if not isinstance(variable, ArrayVariable) or variable.scalar:
            return ""
        if name in ("i", "j"):
            return "own"
        index = self.synapses.variables.indices[name]
        if index == "_presynaptic_idx":
            return "pre"
        return {"_postsynaptic_idx": "post", "_idx": "own"}.get(index, "")

    def looked_up(self, name: str, variable: Variable, value: Value) -> Value:
        """A name as one value per synapse."""
        side = self.side(name)
        value = self.by_side(name, variable, value)
        if side in ("pre", "post"):
            return attrs.evolve(value, text=f"at_{side}_of_{self.key}({value.text})")
        return value

    def by_side(self, name: str, variable: Variable, value: Value) -> Value:
        """A name within a factor of one side: not gathered."""
        source = self.synapses.source.name
        if self.side(name) == "pre" and source not in self.inside:
            raise NeedsSourceError(source)
        if self.side(name) == "own" and value.text in self.constant:
            return attrs.evolve(value, level=PARAM, diff=value.kind == "float")
        return value

    def block(self, code: str, gathered: bool, more: Mapping[str, Any] | None = None) -> Block:
        """The statements of some code."""
        return Block(
            self.program,
            self.phase,
            self.synapses,
            code,
            self.namespace,
            more,
            self.looked_up if gathered else self.by_side,
        )

    # --- pathways

    def pathway(
        self, pathway: SynapticPathway, lags: Mapping[int, Any], external: bool
    ) -> list[Arrival]:
        """Write what a pathway does.

        Parameters
        ----------
        pathway : SynapticPathway
            Brian2's.
        lags : mapping
            Steps from an event to its effect -> numbers of the synapses, or None for all.
        external : bool
            Whether the events come from outside of the program.

        Returns
        -------
        list of Arrival
            What has to be brought in from outside.
        """
        if self.synapses.event_driven is not None:
            name = sorted(self.synapses.event_driven.names)[0]
            remedy = "Use (clock-driven), or put the variable on the neurons"
            raise ParameterError(
                self.key, "equations", f"{name} (event-driven)", "clock-driven", remedy
            )
        pathway.update_abstract_code(run_namespace=self.namespace)
        block = self.block(pathway.abstract_code, gathered=False)
        lines = [s for s in block.statements if block.stored(s[0]) is not None]
        source = pathway.source.name
        changed = {name for name, _, _ in lines}
        read = {n for s in block.statements for n in _names(s[2])}
        inner = [s for s in block.statements if block.stored(s[0]) is None]
        if not changed & read and not any(self.side(n) for s in inner for n in _names(s[2])):
            for statement in inner:
                block.temporary(statement[0], block.value(*statement))
            terms = [self._separated(block, s) for s in lines]
            if all(terms) and self._own_known(terms):
                return self._sums(block, pathway, lines, terms, lags, external)
        if external:
            raise NeedsSourceError(source)
        self._one_by_one(pathway, lags)
        return []

    def _separated(self, block: Block, statement: tuple[str, str, str]) -> tuple[Term, ...] | None:
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
            for name in _names(Term.product(term.own)) if term.own else ():
                variable = self.synapses.variables.get(name)
                if name in ("i", "j"):
                    return False
                if self.side(name) == "own":
                    assert isinstance(variable, ArrayVariable)
                    if self.program.store(self.key, variable) not in self.constant:
                        return False
        return True

    def _sums(
        self,
        block: Block,
        pathway: SynapticPathway,
        lines: list[tuple[str, str, str]],
        terms: list[Any],
        lags: Mapping[int, Any],
        external: bool,
    ) -> list[Arrival]:
        """Products of events with matrices."""
        program = self.program
        source, event = pathway.source.name, pathway.eventspace_name[1 : -len("space")]
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
                        port = program.port("sum", self.key, pathway.objname, matrix, lag)
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
                        factor = program.hoist(factor)
                        text = f"{factor.inner} * ({text})"
                    added.append(text)
            old = block.renderer.value(name)
            block.assign(name, Value(" + ".join([old.inner, *added]), "float", TENSOR, diff))
        return arrivals

    def _matrix(self, block: Block, term: Term, among: Any) -> str:
        """Name of the matrix of a term, computed before a run."""
        program = self.program
        wired = f"matrix_of_{self.key}" if among is None else f"matrix_of_{self.key}_{among.name}"
        chosen = None if among is None else among.places
        program.namespace.setdefault(wired, self.wiring.matrix(chosen))
        value = block.renderer.value(Term.product(term.own))
        text = value.text
        if value.level != PARAM:
            text = f"ones_of_{self.key} * {text}"
            program.needs_ones.add(self.key)
        return program.hoist(Value(f"{wired}({text})", "float", PARAM, True)).text

    def _events(self, source: str, event: str, lag: int) -> str:
        """Events of a population of the program, now or some steps ago."""
        if lag == 0:
            return event_names(self.program, source, event)[0]
        port = self.program.port("past", source, event, lag)
        self.program.pasts[port] = (source, event, lag)
        return port

    def _one_by_one(self, pathway: SynapticPathway, lags: Mapping[int, Any]) -> None:
        """Statements for every single synapse."""
        program, phase = self.program, self.phase
        source, event = pathway.source.name, pathway.eventspace_name[1 : -len("space")]
        for lag, among in lags.items():
            here = f"arrived_{self.key}_{pathway.objname}_{lag}"
            events = self._events(source, event, lag)
            arrived = f"at_{pathway.prepost}_of_{self.key}({events})"
            if among is not None:
                mask = f"chosen_{self.key}_{among.name}"
                program.namespace[mask] = self.wiring.mask(among.places)
                arrived = f"{mask}({arrived})"
            phase.write(here, arrived)
            block = self.block(pathway.abstract_code, gathered=True)
            changed: set[str] = set()
            for name, operator, expression in block.statements:
                variable = block.stored(name)
                if variable is None:
                    block.temporary(name, block.value(name, operator, expression))
                    continue
                side = self.side(name)
                if side == "own":
                    old = block.renderer.value(name)
                    new = block.value(name, operator, expression)
                    local = program.store(self.key, variable)
                    text = f"blend_({old.text}, {as_kind('float', new, old)}, {here})"
                    block.set(local, text, True)
                elif side == "post" and operator in ("+=", "-=") and name not in _names(expression):
                    value = block.renderer.value(expression)
                    local = program.store(variable.owner.name, variable)
                    now = phase.current.get(local, Value(local))
                    summed = f"{now.inner} {operator[0]} sum_of_{self.key}({here} * {value.inner})"
                    self._assign_post(block, name, local, summed, now)
                else:
                    wanted = "of the form x_post += ..., or a change of the synapse's own variables"
                    code = f"{name} {operator} {expression}"
                    raise ParameterError(self.key, "on_pre", code, wanted)
                changed.add(name)

    def _assign_post(self, block: Block, name: str, local: str, text: str, old: Value) -> None:
        variable = block.variables[name]
        text = self.program.guarded(self.phase, self.synapses, variable, text, old.text)
        block.set(local, text, True)

    # --- equations of single synapses

    def state_update(self, updater: CodeRunner) -> None:
        """Integrate the equations of the synapses."""
        code = integrated(updater, self.synapses.equations, self.namespace)
        self.block(code, gathered=True).run()

    def summed(self, updater: Any) -> None:
        """A variable of the neurons that is the sum over their synapses."""
        block = self.block(f"_sum = {updater.expression.code}", gathered=True)
        for name, operator, expression in block.statements:
            block.temporary(name, block.value(name, operator, expression))
        value = block.known["_sum"]
        target = updater.target_var
        local = self.program.store(target.owner.name, target)
        text = value.text if value.level == TENSOR else f"ones_of_{self.key} * {value.text}"
        if value.level < TENSOR:
            self.program.needs_ones.add(self.key)
        block.set(local, f"sum_of_{self.key}({text})", value.diff)


class NeedsSourceError(Exception):
    """A pathway that needs variables of its source, which has to be in the same program."""

    def __init__(self, population: str):
        super().__init__(population)
        self.population = population
        self.target = population


@attrs.frozen(eq=False)
class Among:
    """Some synapses of a projection: those with one delay."""

    name: str
    places: Tensor


def _names(expression: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}
