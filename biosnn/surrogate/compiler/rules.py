"""Translate plasticity rules to torch: traces of the neurons, and statements of the synapses."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from brian2 import Clock, NeuronGroup, Synapses, second
from brian2.core.base import BrianObject
from brian2.core.variables import ArrayVariable
from brian2.groups.neurongroup import Thresholder
from brian2.stateupdaters.base import StateUpdateMethod
from brian2.synapses.synapses import StateUpdater, SynapticPathway
from brian2.utils.stringtools import get_identifiers

from biosnn.errors import ParameterError
from biosnn.models import neuron
from biosnn.plasticity import PlasticityRule
from biosnn.surrogate.compiler.bilinear import Term, separate
from biosnn.surrogate.compiler.blocks import event_names, resolved
from biosnn.surrogate.compiler.component import (
    Component,
    Drive,
    Settings,
    compile_component,
    order_of,
)
from biosnn.surrogate.compiler.expressions import CONST
from biosnn.surrogate.compiler.liveness import Compiled, Phase, names_in
from biosnn.surrogate.compiler.receptive_fields import ReceptiveFields
from biosnn.surrogate.compiler.source import Program

#: Variable of both neurons that recorded spikes set.
_FIRES = "fires"
#: Names that differ between neurons or depend on how many there are.
_COUNTED = frozenset({"i", "j", "N", "N_pre", "N_post", "N_incoming", "N_outgoing"})
#: Names of the Brian2 objects, and so the beginnings of names in the source.
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
    clock = Clock(dt=dt * second, name="learner_clock*")
    groups = {side: _neuron(rule, side, clock) for side in (PRE, POST)}
    synapses = rule.connect(groups[PRE], groups[POST], name=SYNAPSES, pairs=())
    for made in (*groups.values(), synapses):
        made._network = "torch"  # Brian2 warns of objects that no network has used
    objects = [o for made in (*groups.values(), synapses) for o in made.contained_objects]
    ordered = sorted((o for o in objects if o is not synapses), key=order_of)
    _check_order(rule, ordered)
    translation = _Translation(rule, synapses, fields, dt)
    order: list[str | Change] = []
    phases: dict[str, list[BrianObject]] = {}
    for target in ordered:
        if _owner(target).name == SYNAPSES:
            order += translation.changes(target)
            continue
        if not order or isinstance(order[-1], Change):
            order.append(f"neurons_{len(phases)}")
            phases[str(order[-1])] = []
        phases[str(order[-1])].append(target)
    first = next(iter(phases))
    drives = [
        Drive(owner=side, name=_FIRES, port=f"port_{side}", phase=first, diff=False)
        for side in groups
    ]
    compiled = translation.program.compiled(translation.phases, (), ())
    read = {(stored.owner, stored.variable) for stored in compiled.fixed.values()}
    settings = Settings(dt=dt, surrogate=None)
    return TorchRule(
        traces=compile_component(groups, {}, phases, drives, settings, sorted(read & _all(groups))),
        changes=compiled,
        order=tuple(order),
        variables=dict.fromkeys(rule.variables, 0.0),
    )


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
    codes = [host.equations, *(operation.code for operation in host.operations)]
    _check_uncounted(rule, {n for code in codes for n in get_identifiers(code)} - {*host.variables})
    waiting = [operation.on for operation in host.operations if operation.on in ("onset", "input")]
    if waiting:
        wanted = "operations on events or in every step; there are no presentations here"
        raise ParameterError(rule.name, "operations", f"on={waiting[0]!r}", wanted)
    return host.group(1, name=side, clock=clock)


def _check_uncounted(rule: PlasticityRule, names: set[str]) -> None:
    if counted := sorted(names & _COUNTED):
        wanted = "free of what numbers the neurons: they share weights, or their number is open"
        raise ParameterError(rule.name, "code", counted[0], wanted)


def _check_order(rule: PlasticityRule, ordered: Sequence[BrianObject]) -> None:
    """Refuse what follows an event and runs before the test of the event in a time step."""
    tested: set[str] = set()
    for target in ordered:
        if isinstance(target, Thresholder):
            tested.add(f"{target.group.name}.{target.event}")
            continue
        event = _event_of(target)
        if event and event not in tested:
            wanted = "after the event itself (Brian2's slots from 'synapses' on)"
            raise ParameterError(rule.name, "when", repr(target.when), wanted)


def _event_of(target: Any) -> str:
    """``group.event`` that an object follows; empty if it runs in every step."""
    if isinstance(target, SynapticPathway):
        return f"{target.source.name}.{target.eventspace_name[1 : -len('space')]}"
    if getattr(target, "template", "") == "reset":
        space = target.template_kwds["eventspace_variable"].name
        return f"{target.group.name}.{space[1 : -len('space')]}"
    return ""


def _owner(target: Any) -> Any:
    """The neurons or synapses that an object belongs to."""
    return getattr(target, "synapses", None) or target.group


def _all(groups: Mapping[str, NeuronGroup]) -> set[tuple[str, str]]:
    return {(key, name) for key, group in groups.items() for name in group.equations.names}


class _Translation:
    """Writes each statement of a rule as a function."""

    def __init__(
        self, rule: PlasticityRule, synapses: Synapses, fields: ReceptiveFields, dt: float
    ):
        self.rule, self.synapses, self.fields, self.dt = rule, synapses, fields, dt
        self.program = Program(dt=dt, prefixed=True, surrogate=None)
        self.program.namespace |= {
            "paired_": fields.paired,
            "pooled_": fields.pooled,
            "spread_": fields.spread,
        }
        self.program.ports.add("change")
        self.phases: list[Phase] = []
        self.signals = {f"{name}_post" for name in rule.modulators}

    def refuse(self, code: str, wanted: str, remedy: str = "") -> ParameterError:
        """The error for a statement that has no counterpart."""
        return ParameterError(self.rule.name, "statements", code, wanted, remedy)

    def changes(self, target: Any) -> list[Change]:
        """Write the functions of a pathway, an operation or the equations of the synapses."""
        code, every = self._code(target)
        variables = resolved(self.synapses, code, {})
        _check_uncounted(self.rule, set(variables))
        found: list[Change] = []
        meant: dict[str, ast.expr] = {}  # names within the code -> what they stand for
        stale: set[str] = set()
        for name, operator, text in self.program.statements(code, variables):
            parsed = _parsed(text)
            used = names_in(parsed) & stale
            if used:
                wanted = "free of values from before a change of what they are computed from"
                raise self.refuse(code, wanted, f"Write {sorted(used)[0]} out where it is used")
            expression = _Substitute(meant).visit(parsed)
            if not isinstance(variables.get(name), ArrayVariable):
                meant[name] = expression
                continue
            if self.side(name) != "own":
                wanted = "changes of the synapse's own variables"
                raise self.refuse(f"{name} {operator} {text}", wanted)
            found.append(self._change(name, operator, expression, variables, target, every))
            stale |= {key for key, value in meant.items() if name in names_in(value)}
        return found

    def _code(self, target: Any) -> tuple[str, int]:
        """Code of an object of the synapses, and the number of steps between its runs."""
        if isinstance(target, StateUpdater):
            made = self.synapses
            names = made.equations.names | made.equations.identifiers | {"dt"}
            code = StateUpdateMethod.apply_stateupdater(
                made.equations,
                made.resolve_all(names, {}, user_identifiers=set()),
                target.method_choice,  # type: ignore[attr-defined]
                method_options=target.method_options,  # type: ignore[attr-defined]
                group_name=made.name,
            )
            return str(code), 1
        if self.synapses.event_driven is not None:
            got = f"{sorted(self.synapses.event_driven.names)[0]} (event-driven)"
            remedy = "Use (clock-driven), or a trace on the neurons"
            raise ParameterError(self.rule.name, "equations", got, "clock-driven", remedy)
        interval = float(target.clock.dt_)
        every = round(interval / self.dt)
        if every < 1 or abs(every * self.dt - interval) > 1e-9 * interval:
            wanted = f"a multiple of dt ({self.dt * 1e3:g} ms)"
            raise ParameterError(self.rule.name, "every", f"{interval * 1e3:g} ms", wanted)
        if isinstance(target, SynapticPathway):
            return str(target.code), every
        target.update_abstract_code(run_namespace={})
        return target.abstract_code, every

    def side(self, name: str) -> str:
        """Whose variable a name is: ``"own"``, ``"pre"``, ``"post"``, or ``""`` for all's."""
        variable = self.synapses.variables.get(name)
        if name in self.signals or not isinstance(variable, ArrayVariable) or variable.scalar:
            return ""
        index = self.synapses.variables.indices[name]
        return {"_presynaptic_idx": "pre", "_postsynaptic_idx": "post"}.get(index, "own")

    def _change(
        self,
        name: str,
        operator: str,
        expression: ast.expr,
        variables: Mapping[str, Any],
        target: Any,
        every: int,
    ) -> Change:
        """Write the function of one statement."""
        phase = Phase(f"change_{len(self.phases)}")
        self.phases.append(phase)
        render = self.program.renderer(phase, self.synapses, variables, {}).value
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
                    limits[place] = float(self.program.number(value))
                added = added.args[0]
            added = _without(name, added)
        text = ast.unparse(added)
        terms = separate(f"-({text})" if operator == "-=" else text, self.side)
        if terms is None:
            wanted = "a sum of products, each factor of the synapse, of the pre- or of the "
            wanted += "postsynaptic neuron alone"
            raise self.refuse(f"{name} {operator} {ast.unparse(expression)}", wanted)
        written = [self._term(term, target, name == "w", render) for term in terms]
        phase.write("change", " + ".join(written))
        return Change(phase.name, name, limits[0], limits[1], every)

    def _term(self, term: Term, target: Any, pools: bool, render: Any) -> str:
        """A product as source; with `pools`, summed over the samples."""
        common = [f for f in term.post if not any(map(self.side, _names(f)))]
        sides = {PRE: term.pre, POST: tuple(f for f in term.post if f not in common)}
        factors = {key: [render(f).inner for f in found] for key, found in sides.items()}
        if isinstance(target, SynapticPathway):
            group, event = _event_of(target).split(".")
            now = event_names(self.program, group, event)[0]
            self.program.ports.add(now)
            factors[group].insert(0, now)
        own = [render(f).inner for f in term.own]
        shared = [render(f).inner for f in common]
        of_sample = {n for f in term.own for n in _names(f)} & {*self.rule.variables}
        pairs = any(factors.values())
        if pairs and of_sample and self.fields.convolves:
            wanted = "with factors of weights alone: convolved synapses have no places of their own"
            raise self.refuse(" * ".join((*term.own, *term.pre, *term.post)), wanted)
        if not pairs:
            like = event_names(self.program, POST, "spike")[0]
            self.program.ports.add(like)
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


def _names(expression: str) -> frozenset[str]:
    return names_in(_parsed(expression))


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
