"""Specs of learning rules."""

from __future__ import annotations

import functools
from typing import Any

import attrs
from brian2 import NeuronGroup, Synapses, second
from brian2.core.namespace import get_local_namespace

from biosnn._plasticity.connect import connected
from biosnn.code_gate import check_name, check_statements, check_target_name, check_title
from biosnn.declaration import declared
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
    parsed,
    rename,
    scope_of,
    synaptic_equations,
)
from biosnn.validation import (
    check_choice,
    check_value,
    choice,
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
        an equation for ``dw/dt``. They are integrated in every time step.
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
            Groups that carry the traces of ``needs("pre")`` and ``needs("post")``.
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
            If a group lacks a trace or an event or has another one of its name, the groups have
            different time steps, or a parameter follows a schedule (which needs a network's
            count of learned samples).
        """
        return connected(self, pre, post, transmit, name, pairs, get_local_namespace(1))


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
