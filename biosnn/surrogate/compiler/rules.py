"""Translate plasticity rules to torch: traces of the neurons, and statements of the synapses."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

import attrs
from brian2 import Clock, NeuronGroup, second

from biosnn.errors import ParameterError
from biosnn.models import in_every_step, names_in, neuron, parsed
from biosnn.plasticity import PlasticityRule
from biosnn.program.integration import integration_code
from biosnn.program.lift import lift
from biosnn.program.program import Kernel, Program, parsed_equations
from biosnn.surrogate.compiler.bilinear import Term, separate
from biosnn.surrogate.compiler.blocks import event_names
from biosnn.surrogate.compiler.component import Component, Drive, Settings, compile_component
from biosnn.surrogate.compiler.expressions import CONST, Value
from biosnn.surrogate.compiler.liveness import Compiled, Phase, names_in_tree, names_of
from biosnn.surrogate.compiler.receptive_fields import ReceptiveFields
from biosnn.surrogate.compiler.source import SourceWriter

#: Variable of both neurons that recorded spikes set.
_FIRES = "fires"
#: Names that differ between neurons or depend on how many there are.
_COUNTED = frozenset({"i", "j", "N", "N_pre", "N_post", "N_incoming", "N_outgoing"})
#: Names of groups and synapses, and so the beginnings of names in the source.
PRE, POST, SYNAPSES = "pre", "post", "syn"


@attrs.frozen
class Change:
    """The change that one statement of a rule makes to a variable of the synapses."""

    function: str  # that computes the change
    target: str  # the weight ``w``, or another variable of the synapse
    low: float  # bounds of the target
    high: float
    every: int = 1  # steps from one run to the next


@attrs.frozen(eq=False)
class TorchRule:
    """A plasticity rule in torch."""

    traces: Component  # of both neurons; a function for each stretch between statements
    changes: Compiled  # functions of the statements; each writes ``change`` for its target
    order: tuple[str | Change, ...]  # a time step in Brian2's order: functions of traces, changes
    variables: Mapping[str, float]  # of the synapse besides the weight -> initial value

    @property
    def source(self) -> str:
        """The generated code: numbers are SI values."""
        return f"{self.traces.compiled.source}\n\n{self.changes.source}"


def torch_rule(rule: PlasticityRule, dt: float, fields: ReceptiveFields) -> TorchRule:
    """Translate a rule for a layer of weights and a time step in seconds.

    Raises
    ------
    ParameterError
        If a part of the rule needs more than the spikes of both sides, or is no sum of products
        of what belongs to the synapse, to one and to the other neuron.
    """
    for part in rule.statements:
        interval = dt if part.every is None else float(part.every)
        if round(interval / dt) < 1 or abs(round(interval / dt) * dt - interval) > 1e-9 * interval:
            wanted = f"a multiple of dt ({dt * 1e3:g} ms)"
            raise ParameterError(rule.name, "every", f"{interval * 1e3:g} ms", wanted)
    program = _lifted(rule, dt)
    _check_order(rule, program)
    translation = _Translation(rule, program, fields)
    order: list[str | Change] = []
    phases: dict[str, list[Kernel]] = {}
    for kernel in program.kernels:
        if kernel.owner == SYNAPSES:
            order += translation.changes(kernel)
            continue
        if not order or isinstance(order[-1], Change):
            order.append(f"neurons_{len(phases)}")
            phases[str(order[-1])] = []
        phases[str(order[-1])].append(kernel)
    first = next(iter(phases))
    sides = (PRE, POST)
    drives = [
        Drive(owner=side, name=_FIRES, port=f"port_{side}", phase=first, diff=False)
        for side in sides
    ]
    compiled = translation.writer.compiled(translation.phases, (), ())
    read = {(stored.owner, stored.variable) for stored in compiled.fixed.values()}
    read &= {(side, name) for side in sides for name in parsed_equations(program.groups[side])}
    # The statements of the synapses are functions of their own.
    neurons = program.changed(connections={})
    settings = Settings(surrogate=None)
    return TorchRule(
        traces=compile_component(neurons, sides, phases, drives, settings, sorted(read)),
        changes=compiled,
        order=tuple(order),
        variables=dict.fromkeys(rule.variables, 0.0),
    )


def _lifted(rule: PlasticityRule, dt: float) -> Program:
    """Two neurons, and synapses between them that learn by a rule.

    Event-driven variables are integrated in every step, and have the same values at events.
    """
    rule = attrs.evolve(rule, equations=in_every_step(parsed(rule.name, rule.equations)))
    clock = Clock(dt=dt * second, name="learner_clock*")
    groups = [_neuron(rule, side, clock) for side in (PRE, POST)]
    synapses = rule.connect(*groups, name=SYNAPSES, pairs=())
    for made in (*groups, synapses):
        made._network = "torch"  # Brian2 warns of objects that no network has used
    return lift(groups, [synapses])


def _neuron(rule: PlasticityRule, side: str, clock: Clock) -> NeuronGroup:
    """A neuron with the rule's traces of one side, whose spikes are set from outside."""
    host = neuron(
        equations=f"{_FIRES} : 1",
        threshold=f"{_FIRES} > 0",
        reset="",
        name=f"{rule.name} on {side}",
    ).with_traces(rule.needs(side))
    if host.links:
        name, target = next(iter(host.links.items()))
        wanted = "what the spikes of both sides and a reward determine"
        raise ParameterError(rule.name, "traces", f"{name}, linked to {target}", wanted)
    codes = [operation.code for operation in host.operations]
    used = parsed(rule.name, host.equations).identifiers.union(*map(names_in, codes))
    _check_uncounted(rule, used - {*host.variables})
    waiting = [operation.on for operation in host.operations if operation.on in ("onset", "input")]
    if waiting:
        wanted = "operations on events or in every step; there are no presentations here"
        raise ParameterError(rule.name, "operations", f"on={waiting[0]!r}", wanted)
    return host.group(1, name=side, clock=clock)


def _check_uncounted(rule: PlasticityRule, names: set[str]) -> None:
    if counted := sorted(names & _COUNTED):
        wanted = "free of what numbers the neurons: they share weights, or their number is open"
        raise ParameterError(rule.name, "code", counted[0], wanted)


def _check_order(rule: PlasticityRule, program: Program) -> None:
    """Refuse what follows an event and runs before the test of the event in a time step."""
    tested: set[tuple[str, str]] = set()
    for kernel in program.kernels:
        event = program.source(kernel), kernel.event
        if kernel.kind == "threshold":
            tested.add(event)
        elif kernel.event and event not in tested:
            wanted = "after the event itself (Brian2's slots from 'synapses' on)"
            raise ParameterError(rule.name, "when", repr(kernel.when), wanted)


class _Translation:
    """Writes each statement of a rule as a function."""

    def __init__(self, rule: PlasticityRule, program: Program, fields: ReceptiveFields):
        self.rule, self.program, self.fields = rule, program, fields
        self.writer = SourceWriter(program, prefixed=True, surrogate=None)
        self.scope = self.writer.scope(SYNAPSES)
        self.writer.namespace |= {
            "paired_": fields.paired,
            "pooled_": fields.pooled,
            "spread_": fields.spread,
        }
        self.writer.ports.add("change")
        self.phases: list[Phase] = []
        self.signals = {f"{name}_post" for name in rule.modulators}

    def refuse(self, code: str, wanted: str, remedy: str = "") -> ParameterError:
        """The error for a statement that has no counterpart."""
        return ParameterError(self.rule.name, "statements", code, wanted, remedy)

    def changes(self, kernel: Kernel) -> list[Change]:
        """Write the functions of a pathway, an operation or the equations of the synapses."""
        code = kernel.code
        if kernel.kind == "state_update":
            code = integration_code(self.program, SYNAPSES)
        variables = self.scope.variables(code)
        _check_uncounted(self.rule, set(variables))
        found: list[Change] = []
        meant: dict[str, ast.expr] = {}  # names within the code -> what they stand for
        stale: set[str] = set()
        for name, operator, text in self.writer.statements(code, variables):
            written = _parsed(text)
            used = names_in_tree(written) & stale
            if used:
                wanted = "free of values from before a change of what they are computed from"
                raise self.refuse(code, wanted, f"Write {sorted(used)[0]} out where it is used")
            expression = _Substitute(meant).visit(written)
            meaning = self.scope.find(name)
            if meaning is None or meaning.kind != "array":
                meant[name] = expression
                continue
            if self.side(name) != "own":
                wanted = "changes of the synapse's own variables"
                raise self.refuse(f"{name} {operator} {text}", wanted)
            found.append(self._change(name, operator, expression, kernel))
            stale |= {key for key, value in meant.items() if name in names_in_tree(value)}
        return found

    def side(self, name: str) -> str:
        """Whose variable a name is: ``"own"``, ``"pre"``, ``"post"``, or ``""`` for all's."""
        meaning = self.scope.find(name)
        if meaning is None or meaning.kind not in ("array", "neuron", "degree"):
            return ""
        if name in self.signals or meaning.index == "one":
            return ""
        return meaning.index

    def _change(self, name: str, operator: str, expression: ast.expr, kernel: Kernel) -> Change:
        """Write the function of one statement."""
        phase = Phase(f"change_{len(self.phases)}")
        self.phases.append(phase)
        variables = self.scope.variables(name, ast.unparse(expression))
        render = self.writer.renderer(phase, SYNAPSES, variables, {}).value
        limits: list[float] = [float("-inf"), float("inf")]
        added = expression
        if operator not in ("+=", "-="):
            if operator not in ("=", ":="):
                added = _parsed(f"{name} {operator.removesuffix('=')} ({ast.unparse(expression)})")
            if isinstance(added, ast.Call) and ast.unparse(added.func) == "clip":
                for place, bound in enumerate(added.args[1:]):
                    value = render(ast.unparse(bound))
                    if value.level != CONST:
                        raise self.refuse(ast.unparse(added), "with bounds that are constants")
                    limits[place] = float(self.writer.number(value))
                added = added.args[0]
            added = _without(name, added)
        text = ast.unparse(added)
        terms = separate(f"-({text})" if operator == "-=" else text, self.side)
        if terms is None:
            wanted = "a sum of products, each factor of the synapse, of the pre- or of the "
            wanted += "postsynaptic neuron alone"
            raise self.refuse(f"{name} {operator} {ast.unparse(expression)}", wanted)
        written = [self._term(term, kernel, name == "w", render) for term in terms]
        phase.write("change", " + ".join(written))
        return Change(phase.name, name, limits[0], limits[1], kernel.every)

    def _term(self, term: Term, kernel: Kernel, pools: bool, render: Callable[[str], Value]) -> str:
        """A product as source; with `pools`, summed over the samples."""
        common = [f for f in term.post if not any(map(self.side, names_of(f)))]
        sides = {PRE: term.pre, POST: tuple(f for f in term.post if f not in common)}
        factors = {key: [render(f).inner for f in found] for key, found in sides.items()}
        if kernel.kind == "pathway":
            group = self.program.source(kernel)
            now = event_names(self.writer, group, kernel.event)[0]
            self.writer.ports.add(now)
            factors[group].insert(0, now)
        own = [render(f).inner for f in term.own]
        shared = [render(f).inner for f in common]
        of_sample = {n for f in term.own for n in names_of(f)} & {*self.rule.variables}
        pairs = any(factors.values())
        if pairs and of_sample and self.fields.convolves:
            wanted = "with factors of weights alone: convolved synapses have no places of their own"
            raise self.refuse(" * ".join((*term.own, *term.pre, *term.post)), wanted)
        if not pairs:
            like = event_names(self.writer, POST, "spike")[0]
            self.writer.ports.add(like)
            text = f"spread_({' * '.join([*shared, *own]) or '1'}, {like})"
            return f"{text}.sum(0)" if pools else text
        # What holds for all neurons of a sample is a factor of either side.
        factors[POST if factors[POST] else PRE] += shared
        post, pre = (" * ".join(factors[side]) or "None" for side in (POST, PRE))
        early = pools and not of_sample
        text = " * ".join([*own, f"{'pooled' if early else 'paired'}_({post}, {pre})"])
        return f"({text}).sum(0)" if pools and not early else text


class _Substitute(ast.NodeTransformer):
    """Replaces names by the expressions that they stand for."""

    def __init__(self, meant: Mapping[str, ast.expr]):
        self.meant = meant

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.meant.get(node.id, node)


def _parsed(text: str) -> ast.expr:
    return ast.parse(text.strip(), mode="eval").body


def _without(name: str, node: ast.expr) -> ast.expr:
    """``node - name``, where a sum already holds the name, without it."""
    rest = _taken_out(name, node)
    return ast.BinOp(node, ast.Sub(), ast.Name(name, ast.Load())) if rest is None else rest


def _taken_out(name: str, node: ast.expr) -> ast.expr | None:
    """A sum without a name that it adds; None if it does not."""
    if isinstance(node, ast.Name) and node.id == name:
        return ast.Constant(0)
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add | ast.Sub):
        return None
    left = _taken_out(name, node.left)
    if left is not None:
        if not isinstance(left, ast.Constant):
            return ast.BinOp(left, node.op, node.right)
        return node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)
    right = _taken_out(name, node.right) if isinstance(node.op, ast.Add) else None
    if right is None:
        return None
    return node.left if isinstance(right, ast.Constant) else ast.BinOp(node.left, node.op, right)
