"""Specs of learning rules."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import sympy
from brian2 import NeuronGroup, Subgroup, Synapses, second
from brian2.core.namespace import get_local_namespace
from brian2.core.spikesource import SpikeSource
from brian2.parsing.sympytools import str_to_sympy

from biosnn.code_gate import check_name, check_statements, check_target_name, check_title
from biosnn.declaration import declared, to_data
from biosnn.errors import ParameterError
from biosnn.models import (
    SLOTS,
    Companion,
    Known,
    Operation,
    Schedule,
    Trace,
    check_equation_units,
    check_method,
    check_not_random,
    check_parameters,
    check_statement_units,
    equation_text,
    names_in,
    parsed,
    rename,
    scope_of,
    synaptic_equations,
    without_value,
)
from biosnn.validation import (
    check_choice,
    check_instance,
    check_value,
    choice,
    describe,
    instance,
    mapping,
    members,
    named,
    sequence,
)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Statements:
    """What one event does to the weight.

    Parameters
    ----------
    side : {"pre", "post", "synapse"}
        Whose event it is; ``"synapse"`` for what every synapse does on ``"step"`` or ``"end"``.
    code : str
        Brian2 statements on the synapse (``w``, ``x_pre``, ``y_post``, parameters).
    event : str
        ``"spike"`` or the name of another event of that neuron. With ``side="synapse"``:
        ``"step"`` (every time step, or every ``every``) or ``"end"`` of a presentation.
    order : int
        Order within its slot; transmission has order -1.
    when : str
        Slot of Brian2's schedule; ``"end"`` of a presentation has its own place.
    every : Quantity, optional
        Time between two runs with ``event="step"``; it must divide a presentation.
    """

    side: str = attrs.field(validator=choice("pre", "post", "synapse"))
    code: str = attrs.field(validator=instance(str))
    event: str = attrs.field(default="spike", validator=instance(str))
    order: int = attrs.field(default=0, validator=instance(int))
    when: str = attrs.field(default="synapses", validator=choice(*SLOTS))
    every: Any = None

    def __attrs_post_init__(self) -> None:
        check_statements("Statements", "code", self.code)
        check_name("Statements", "event", self.event)
        if self.side == "synapse":
            check_choice("Statements", "event", self.event, ("step", "end"))
        elif self.event in ("step", "end"):
            remedy = f'Use side="synapse" for what happens at every {self.event}'
            raise ParameterError("Statements", "side", repr(self.side), "'synapse'", remedy)
        if self.every is not None:
            check_value("Statements", "every", self.every, second, "> 0")
            if self.event != "step":
                raise ParameterError("Statements", "every", self.every, 'given with event="step"')

    @property
    def at_end(self) -> bool:
        """Whether they run when a presentation has ended."""
        return self.side == "synapse" and self.event == "end"


@declared
@attrs.frozen(eq=False, kw_only=True)
class PlasticityRule:
    """A learning rule: a frozen declaration without any Brian2 object.

    Parameters
    ----------
    name : str
        The rule's name, used in messages.
    statements : tuple of Statements
        What happens on which event.
    pre_traces, post_traces : tuple of Trace
        The spike traces that the statements use as ``name_pre`` and ``name_post``.
    pre_companion, post_companion : Companion, optional
        Further variables on the neurons, used as ``name_pre`` and ``name_post``.
    modulators : dict
        Signals from elsewhere, such as a reward: name -> ``"population.variable"``, a plain
        number of a population of one neuron. Statements use them as ``name_post``.
    equations : str
        State variables of every synapse besides ``w``, such as an eligibility; they may include
        an equation for ``dw/dt``. They are integrated in every time step, or, ``(event-driven)``,
        when a spike of either side arrives: between two events these hold their last value.
    method : str
        Brian2 integration method of ``equations``.
    transient : tuple of str
        Variables of ``equations`` without a differential equation that are zero again at every
        onset with ``Presentation(reset="all")``, as those that have one are.
    slow : tuple of str
        Variables of ``equations`` that have one and that it leaves.
    parameters : dict
        Name -> Quantity, float or :class:`~biosnn.models.Schedule`.
    reference : str
        Source with DOI and equation.
    """

    name: str = attrs.field(validator=instance(str))
    statements: tuple[Statements, ...] = attrs.field(
        converter=sequence, validator=members(Statements)
    )
    pre_traces: tuple[Trace, ...] = attrs.field(
        default=(), converter=sequence, validator=members(Trace)
    )
    post_traces: tuple[Trace, ...] = attrs.field(
        default=(), converter=sequence, validator=members(Trace)
    )
    pre_companion: Companion | None = attrs.field(
        default=None, validator=instance(Companion, optional=True)
    )
    post_companion: Companion | None = attrs.field(
        default=None, validator=instance(Companion, optional=True)
    )
    modulators: dict[str, str] = attrs.field(factory=dict, validator=named(str))
    equations: str = attrs.field(default="", converter=equation_text)
    method: str = attrs.field(default="exponential_euler", validator=instance(str))
    transient: tuple[str, ...] = attrs.field(default=(), converter=sequence, validator=members(str))
    slow: tuple[str, ...] = attrs.field(default=(), converter=sequence, validator=members(str))
    parameters: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    reference: str = ""

    def __attrs_post_init__(self) -> None:
        check_title("PlasticityRule", "name", self.name)
        for field in ("parameters", "modulators", "transient"):
            for name in getattr(self, field):
                check_name(self.name, field, name)
        for name, target in self.modulators.items():
            check_target_name(self.name, f"modulators[{name!r}]", target)
        check_parameters(self.name, self.parameters)
        equations = synaptic_equations(self.name, self.equations)
        check_method(self.name, self.method, equations)
        scope = self.scope()
        check_equation_units(self.name, "equations", equations, scope)
        for number, part in enumerate(self.statements):
            check_not_random(self.name, f"statements[{number}]", part.code)
            check_statement_units(self.name, f"statements[{number}]", part.code, scope)
        for field in ("transient", "slow"):
            for name in getattr(self, field):
                if name not in self.variables:
                    known = ", ".join(self.variables) or "none"
                    wanted = f"state variables of the synapse ({known})"
                    raise ParameterError(self.name, field, repr(name), wanted)

    def scope(self) -> dict[str, Known]:
        """Units of the names that the rule itself gives to its statements."""
        scope = {"w": Known(), **scope_of(parsed(self.name, self.equations), self.parameters)}
        for side in ("pre", "post"):
            traces: tuple[Trace, ...] = getattr(self, f"{side}_traces")
            scope |= {f"{trace.name}_{side}": Known() for trace in traces}
            companion: Companion | None = getattr(self, f"{side}_companion")
            if companion is not None:
                scope |= scope_of(parsed(self.name, companion.equations), {}, f"_{side}")
        return scope | {f"{name}_post": Known() for name in self.modulators}

    def needs(self, side: str) -> tuple[Trace | Companion, ...]:
        """What the rule needs on the neurons of one side, ``"pre"`` or ``"post"``."""
        check_choice(self.name, "side", side, ("pre", "post"))
        pre = side == "pre"
        companion = self.pre_companion if pre else self.post_companion
        found = (*(self.pre_traces if pre else self.post_traces), *filter(None, [companion]))
        if pre or not self.modulators:
            return found
        signals = "\n".join(f"{name} : 1" for name in self.modulators)
        return (*found, Companion(equations=signals))

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The parameters that follow a schedule over the learned samples."""
        return {k: v for k, v in self.parameters.items() if isinstance(v, Schedule)}

    @property
    def variables(self) -> tuple[str, ...]:
        """State variables of a synapse besides the weight."""
        equations = parsed("", self.equations)
        return tuple(sorted((equations.diff_eq_names | equations.parameter_names) - {"w"}))

    @property
    def visits_all(self) -> bool:
        """Whether something happens to all synapses at once, rather than to those of a neuron."""
        return bool(self.equations) or any(part.event == "step" for part in self.statements)

    @property
    def ends(self) -> bool:
        """Whether it learns when a presentation has ended."""
        return any(part.at_end for part in self.statements)

    @property
    def model(self) -> str:
        """Equations of a synapse, the weight included."""
        known = "w" in parsed("", self.equations).names
        return self.equations if known else f"w : 1\n{self.equations}"

    def at_synapses(self) -> PlasticityRule:
        """Return the rule with its presynaptic traces on the synapses, event-driven.

        A trace ``x`` becomes ``x_arrived``, which statements of presynaptic spikes change.

        Raises
        ------
        ParameterError
            If the rule keeps more than traces on presynaptic neurons, or reads a trace where no
            event arrives.
        """
        if self.pre_companion is not None:
            names = ", ".join(self.pre_companion.own())
            wanted = "a rule that keeps nothing but traces on presynaptic neurons"
            remedy = "Leave axonal_delay out: learning then sees the events without the delay"
            raise ParameterError(self.name, "pre_companion", names, wanted, remedy)
        names = {f"{trace.name}_pre": f"{trace.name}_arrived" for trace in self.pre_traces}
        steady = [("equations", self.equations)]
        steady += [
            (f"statements[{number}]", part.code)
            for number, part in enumerate(self.statements)
            if part.side == "synapse"
        ]
        for field, code in steady:
            read = sorted(names.keys() & set(re.findall(r"\w+", code)))
            if read:
                wanted = "code that reads traces of presynaptic spikes when events arrive"
                remedy = "Leave axonal_delay out: learning then sees the events without the delay"
                raise ParameterError(self.name, field, f"{read[0]} in {code!r}", wanted, remedy)
        lines, bumps, parameters = [], [], dict(self.parameters)
        for trace in self.pre_traces:
            name = names[f"{trace.name}_pre"]
            lines.append(f"d{name}/dt = -{name}/tau_{name} : 1 (event-driven)")
            parameters[f"tau_{name}"] = trace.tau
            bump = rename(trace.bump, {trace.name: name})
            bumps.append(Statements(side="pre", code=f"{name} {bump}", when=trace.when))
        return attrs.evolve(
            self,
            pre_traces=(),
            equations="\n".join([self.equations, *lines]).strip(),
            parameters=parameters,
            statements=(
                *bumps,
                *(attrs.evolve(s, code=rename(s.code, names)) for s in self.statements),
            ),
        )

    def prefixed(self, prefix: str) -> PlasticityRule:
        """Return the rule with all that it keeps on neurons renamed ``prefix_name``.

        Two rules can then keep their traces on the same neurons. Scheduled parameters and
        modulators become variables of the postsynaptic neuron, ``prefix_name_post``.
        """
        return _prefixed(self, prefix)

    def connect(
        self,
        pre: NeuronGroup,
        post: NeuronGroup,
        *,
        transmit: str = "",
        name: str | None = None,
        pairs: Any = None,
    ) -> Synapses:
        """Make plain Brian2 synapses with this rule.

        Parameters
        ----------
        pre, post : brian2.NeuronGroup
            Groups that carry the traces of ``needs("pre")`` and ``needs("post")``. ``pre`` may also
            be a source of spikes that holds no variables, such as ``brian2.PoissonGroup`` and
            ``brian2.SpikeGeneratorGroup``: each synapse then keeps the trace ``x`` as
            ``x_arrived``, event-driven, with the same weights up to rounding.
        transmit : str
            What a presynaptic spike does to the target, e.g. ``"g_e_post += w"``.
        name : str, optional
            Name of the Brian2 object.
        pairs : str or tuple of array_like, optional
            Brian2 condition such as ``"i != j"``, or arrays ``(i, j)``; all pairs by default, and
            ``()`` for none, to connect them later.

        Returns
        -------
        brian2.Synapses
            With the dimensionless weight ``w`` (all zero) and no delays: the traces live on
            the neurons, so the weight change would not see a delay.

        Raises
        ------
        ParameterError
            If a group lacks a trace or an event or has another one of its name, or holds no
            variables where the rule needs more than traces of them; if the groups have different
            time steps, or a parameter follows a schedule (which needs a network's
            count of learned samples).
        """
        return _connected(self, pre, post, transmit, name, pairs, get_local_namespace(1))


@functools.lru_cache(maxsize=256)
def _prefixed(rule: PlasticityRule, prefix: str) -> PlasticityRule:
    names: dict[str, str] = {}
    events: dict[tuple[str, str], str] = {}
    traces: dict[str, tuple[Trace, ...]] = {}
    companions: dict[str, Companion | None] = {}
    for side in ("pre", "post"):
        own: tuple[Trace, ...] = getattr(rule, f"{side}_traces")
        names |= {f"{trace.name}_{side}": f"{prefix}_{trace.name}_{side}" for trace in own}
        traces[side] = tuple(attrs.evolve(t, name=f"{prefix}_{t.name}") for t in own)
        companion: Companion | None = getattr(rule, f"{side}_companion")
        if companion is not None:
            inner = {name: f"{prefix}_{name}" for name in companion.own()}
            inner |= {t.name: f"{prefix}_{t.name}" for t in own}
            names |= {f"{name}_{side}": f"{new}_{side}" for name, new in inner.items()}
            events |= {(side, name): inner[name] for name in companion.events}
            companion = companion.renamed(inner, of=f"{prefix}_{side}")
        companions[side] = companion
    names |= {f"{name}_post": f"{prefix}_{name}_post" for name in rule.modulators}
    names |= {name: f"{prefix}_{name}_post" for name in rule.schedules}
    return attrs.evolve(
        rule,
        statements=tuple(
            attrs.evolve(
                part,
                code=rename(part.code, names),
                event=events.get((part.side, part.event), part.event),
            )
            for part in rule.statements
        ),
        pre_traces=traces["pre"],
        post_traces=traces["post"],
        pre_companion=companions["pre"],
        post_companion=_with_signals(rule, companions["post"], prefix),
        modulators={},
        equations=rename(rule.equations, names),
    )


def _with_signals(
    rule: PlasticityRule, companion: Companion | None, prefix: str
) -> Companion | None:
    """A postsynaptic companion that also copies the modulators in every step."""
    if not rule.modulators:
        return companion
    base = companion or Companion(equations="")
    lines = [base.equations]
    operations = list(base.operations)
    links = dict(base.links)
    for name, target in rule.modulators.items():
        variable = f"{prefix}_{name}"
        lines += [f"{variable} : 1", f"{variable}_now : 1 (linked)"]
        links[f"{variable}_now"] = target
        copy = f"{variable} = {variable}_now"
        operations.append(Operation(code=copy, when="before_synapses", order=-10))
    return attrs.evolve(base, equations="\n".join(lines), operations=tuple(operations), links=links)


# --- plain Brian2 synapses


def _check_pairs(rule: str, pairs: Any) -> None:
    if isinstance(pairs, str):
        unknown = without_value(names_in(pairs), ("j",))
        if unknown:
            wanted = f"a condition with i and j, not {', '.join(unknown)}"
            raise ParameterError(rule, "pairs", repr(pairs), wanted)
    elif pairs is not None and not (isinstance(pairs, tuple | list) and len(pairs) in (0, 2)):
        raise ParameterError(rule, "pairs", describe(pairs), "a condition, or arrays (i, j)")


def _connected(
    rule: PlasticityRule,
    pre: NeuronGroup,
    post: NeuronGroup,
    transmit: str,
    name: str | None,
    pairs: Any,
    namespace: Mapping[str, Any],
) -> Synapses:
    """The synapses of :meth:`biosnn.plasticity.PlasticityRule.connect`.

    ``namespace`` is where the equations of groups that biosnn has not made find their constants.
    """
    check_instance(rule.name, "transmit", transmit, str)
    _check_pairs(rule.name, pairs)
    for side, group in (("pre", pre), ("post", post)):
        check_instance(rule.name, side, group, SpikeSource)
    if rule.needs("pre") and not _holds_variables(pre):
        rule = _at_synapses(rule, pre)
    for side, group in (("pre", pre), ("post", post)):
        _check_group(rule, side, group, namespace)
    if float(pre.clock.dt) != float(post.clock.dt):
        got = f"a time step of {pre.clock.dt} beside {post.clock.dt} of '{post.name}'"
        remedy = "Give both groups one time step: a trace is held between the steps of its group"
        raise ParameterError(rule.name, "pre", got, "the time step of post", remedy)
    if rule.schedules:
        wanted = "a constant outside a NetworkModel"
        raise ParameterError(rule.name, sorted(rule.schedules)[0], "a Schedule", wanted)
    if rule.ends:
        remedy = "Only a network has presentations that end"
        got, wanted = 'event="end"', "used in a NetworkModel"
        raise ParameterError(rule.name, "statements", got, wanted, remedy)
    codes: dict[str, dict[str, str]] = {"pre": {}, "post": {}}
    events: dict[str, str] = {}
    places: dict[str, tuple[str, int]] = {}
    if transmit:
        codes["pre"]["pre"] = transmit
        events["pre"] = "spike"
        places["pre"] = ("synapses", -1)
    digits = len(str(len(rule.statements)))
    for number, part in enumerate(rule.statements):
        if part.side != "synapse":
            # Brian2 breaks ties by names.
            pathway = f"learn_{number:0{digits}}_{part.side}"
            codes[part.side][pathway] = part.code
            events[pathway] = part.event
            places[pathway] = (part.when, part.order)
    synapses = Synapses(
        pre,
        post,
        rule.model,
        method=rule.method,
        on_pre=codes["pre"] or None,
        on_post=codes["post"] or None,
        on_event=events,
        delay=dict.fromkeys(events, 0 * second),
        namespace=rule.parameters,
        clock=post.clock,
        **({"name": name} if name else {}),
    )
    for pathway, (when, order) in places.items():
        getattr(synapses, pathway).when = when
        getattr(synapses, pathway).order = order
    for number, part in enumerate(rule.statements):
        if part.side == "synapse":
            synapses.run_regularly(
                part.code,
                dt=part.every,
                when=part.when,
                order=part.order,
                name=f"{synapses.name}_learn_{number:0{digits}}_step",
            )
    if pairs is None:
        synapses.connect()
    elif isinstance(pairs, str):
        synapses.connect(condition=pairs)
    elif len(pairs):
        synapses.connect(i=pairs[0], j=pairs[1])
    return synapses


def _holds_variables(group: Any) -> bool:
    """Whether a source of spikes can carry traces."""
    return isinstance(group.source if isinstance(group, Subgroup) else group, NeuronGroup)


def _at_synapses(rule: PlasticityRule, pre: Any) -> PlasticityRule:
    """A rule for sources that hold no variables."""
    try:
        return rule.at_synapses()
    except ParameterError as error:
        whole = pre.source if isinstance(pre, Subgroup) else pre
        got = f"which holds no variables, while the rule has {error.got}"
        wanted = "neurons, for a rule that reads what they hold between their spikes"
        raise _refused(rule, "pre", pre, got, wanted, _made_so("pre", whole)) from error


def _check_group(
    rule: PlasticityRule, side: str, group: NeuronGroup, namespace: Mapping[str, Any]
) -> None:
    """Check that a group has the traces, variables and events that a rule needs."""
    whole = group.source if isinstance(group, Subgroup) else group
    carries = getattr(whole, "carries", ())
    lacking = sorted(_on_neurons(rule, side) - set(group.variables))
    if lacking:
        got, wanted = f"without {lacking}", "a group that carries what the rule needs"
        raise _refused(rule, side, group, got, wanted, _made_so(side, whole))
    used = {part.event for part in rule.statements if part.side == side}
    if used - set(group.events):
        got, wanted = f"without {sorted(used - set(group.events))}", "a group that has its events"
        remedy = "Give its model a threshold for spikes, and events={...} for others"
        raise _refused(rule, side, group, got, wanted, remedy)
    known = [to_data(part) for part in carries]
    for part in rule.needs(side):
        if isinstance(part, Trace) and to_data(part) not in known:
            _check_trace(rule, side, whole, part, carries, namespace)


def _check_trace(
    rule: PlasticityRule,
    side: str,
    group: NeuronGroup,
    trace: Trace,
    carries: Any,
    namespace: Mapping[str, Any],
) -> None:
    """Check that a variable of a group is a trace: that it decays with its time constant."""
    wanted = f"a group with the trace d{trace.name}/dt = -{trace.name}/({trace.tau})"
    remedy = _made_so(side, group)
    own = {part.name: part for part in carries if isinstance(part, Trace)}
    if trace.name in own:
        there = own[trace.name]
        got = f"whose trace {trace.name} has tau = {there.tau}, {there.bump!r}, {there.when!r}"
        wanted += f", {trace.bump!r}, {trace.when!r}"
        raise _refused(rule, side, group, got, wanted, remedy)
    equations: Any = getattr(group, "equations", {})
    if trace.name not in equations or trace.name not in equations.diff_eq_names:
        got = f"whose {trace.name} has no differential equation"
        raise _refused(rule, side, group, got, wanted, remedy)
    code = dict(equations.get_substituted_expressions())[trace.name].code
    symbol = sympy.Symbol(trace.name, real=True)
    rate = str_to_sympy(code)
    slope = sympy.simplify(rate / symbol)
    values = {s: _value(group, str(s), namespace) for s in slope.free_symbols}
    number = slope.subs({s: v for s, v in values.items() if v is not None})
    same = number.is_number and np.isclose(float(-1 / number), float(trace.tau), rtol=1e-9, atol=0)
    if not same:
        got = f"with d{trace.name}/dt = {code}"
        raise _refused(rule, side, group, got, wanted, remedy)


def _value(group: NeuronGroup, name: str, namespace: Mapping[str, Any]) -> float | None:
    """The one value of a name in a group's equations, if it has one."""
    if name in group.variables:
        found: Any = np.unique(np.asarray(group.variables[name].get_value()))
    else:
        own = group.namespace or {}
        found = own.get(name, namespace.get(name))
    try:
        array = np.asarray(found, dtype=float)
    except (TypeError, ValueError):
        return None
    return float(array.item()) if array.size == 1 else None


def _refused(
    rule: PlasticityRule, side: str, group: Any, got: str, wanted: str, remedy: str
) -> ParameterError:
    return ParameterError(rule.name, side, f"group '{group.name}' {got}", wanted, remedy)


def _made_so(side: str, group: Any) -> str:
    """How to make a group that carries what a rule needs."""
    if isinstance(group, NeuronGroup):
        return f'Make it with model.group(n, traces=rule.needs("{side}"))'
    return (
        f"A {type(group).__name__} holds no variables: use neurons, such as "
        f'models.poisson_unit(nu_0=20*Hz).group(n, traces=rule.needs("{side}"))'
    )


def _on_neurons(rule: PlasticityRule, side: str) -> set[str]:
    """Variables of the neurons of one side that a rule uses."""
    codes = [rule.equations, *(part.code for part in rule.statements)]
    used = {name for code in codes for name in re.findall(r"\w+", code)}
    ending = f"_{side}"
    variables = used - set(rule.parameters) - set(rule.variables)
    return {name.removesuffix(ending) for name in variables if name.endswith(ending)}
