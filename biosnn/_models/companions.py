"""Parts of neuron models: traces, companions, events and operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from brian2 import second

from biosnn._models.equation_text import equation_text, parsed
from biosnn._models.identifiers import rename
from biosnn.code_gate import (
    check_bump,
    check_expression,
    check_name,
    check_statements,
    check_target_name,
)
from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.validation import (
    check_choice,
    check_value,
    choice,
    flag,
    instance,
    mapping,
    members,
    named,
    number,
    sequence,
)

#: Slots of Brian2's schedule in their order.
SLOTS = tuple(
    f"{place}{slot}"
    for slot in ("start", "groups", "thresholds", "synapses", "resets", "end")
    for place in ("before_", "", "after_")
)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Trace:
    """A spike trace that lives on a neuron: ``dx/dt = -x/tau``, bumped by the neuron's spikes.

    Parameters
    ----------
    name : str
        Name of the variable on the neuron.
    tau : Quantity
        Time constant.
    bump : str
        What a spike does: ``"+= 1"`` (all-to-all pairing) or ``"= 1"`` (nearest spike).
    when : {"before_synapses", "after_synapses"}
        Whether the synapses of the same time step see the trace with or without the bump.
    """

    name: str = attrs.field(validator=instance(str))
    tau: Any = attrs.field(validator=number(second, "> 0"))
    bump: str = attrs.field(default="+= 1", validator=instance(str))
    when: str = attrs.field(
        default="before_synapses", validator=choice("before_synapses", "after_synapses")
    )

    def __attrs_post_init__(self) -> None:
        check_name("Trace", "name", self.name)
        check_bump("Trace", "bump", self.bump)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Rate:
    """States that what an input gives a neuron is a rate of spikes.

    Parameters
    ----------
    parameter : str
        Parameter of the model: the rate of a unit with the value 1. Values must be >= 0, and give
        one spike per time step at most.
    drawn : bool
        Whether each time step draws a spike with the probability ``rate*dt``, which must be <= 1.
    """

    parameter: str
    drawn: bool = False


@declared
@attrs.frozen(eq=False, kw_only=True)
class Event:
    """A named event of a neuron besides its spike.

    Parameters
    ----------
    condition : str
        Brian2 condition.
    every : {"step", "presentation"}
        Whether it is tested in every time step or once at the beginning of a presentation,
        where it costs nothing in between.
    when : str
        Slot of Brian2's schedule in which it is tested.
    """

    condition: str = attrs.field(validator=instance(str))
    every: str = attrs.field(default="step", validator=choice("step", "presentation"))
    when: str = attrs.field(default="after_thresholds", validator=choice(*SLOTS))

    def __attrs_post_init__(self) -> None:
        check_expression("Event", "condition", self.condition)


def _behind_the_cause(on: str) -> str:
    """Slot of statements that follow something."""
    return "start" if on in ("step", "onset", "input") else "after_resets"


@declared
@attrs.frozen(eq=False, kw_only=True)
class Operation:
    """Statements that run for every neuron of a group at a defined moment.

    Parameters
    ----------
    code : str
        Brian2 statements.
    on : str
        ``"step"`` (every time step), ``"onset"`` of a presentation, ``"input"`` (whenever new
        input values arrive: at onset, and at every frame of a sequence), or the name of an
        event (``"spike"`` included; then only for the neurons that have it).
    when : str
        Slot of Brian2's schedule. By default ``"start"``, for events ``"after_resets"``: behind
        the test of the event in the same time step. Onset and input have their own place.
    order : int
        Order within the slot.
    plastic : bool
        Whether it belongs to learning and is left out where learning is off.
    every : Quantity, optional
        With ``on="step"``: time between two runs, of which the first is at the onset of a sample
        (Brian2's ``run_regularly(..., dt=...)``). A multiple of the time step that divides a
        presentation. Default: every time step.
    """

    code: str = attrs.field(validator=instance(str))
    on: str = attrs.field(default="step", validator=instance(str))
    when: str = attrs.field(
        default=attrs.Factory(lambda self: _behind_the_cause(self.on), takes_self=True),
        validator=choice(*SLOTS),
    )
    order: int = attrs.field(default=0, validator=instance(int))
    plastic: bool = attrs.field(default=False, validator=flag())
    every: Any = None

    def __attrs_post_init__(self) -> None:
        check_statements("Operation", "code", self.code)
        if self.every is not None:
            check_value("Operation", "every", self.every, second, "> 0")
            if self.on != "step":
                got = f"{self.every} with on={self.on!r}"
                raise ParameterError("Operation", "every", got, 'given with on="step" only')
        check_name("Operation", "on", self.on)
        check_choice("Operation", "when", self.when, SLOTS)
        if self.on in ("onset", "input") and (self.when, self.order) != ("start", 0):
            wanted = f"left out with on={self.on!r}, which has its own place"
            raise ParameterError("Operation", "when", f"{self.when!r}, order {self.order}", wanted)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Companion:
    """Variables that live on a neuron on behalf of a learning rule or of its synapses.

    Parameters
    ----------
    equations : str
        Brian2 equations; they may use the host's own variables, such as ``v``.
    operations : tuple of Operation
        What happens to them, on the host's spikes or in every step.
    parameters : dict
        Constants of the equations and operations: name -> Quantity or float.
    initial : dict
        Variable -> initial value (Quantity, float, or an expression of the companion's names).
    links : dict
        Variables declared ``(linked)`` -> ``"population.variable"``.
    events : dict
        Event name -> :class:`Event`, for statements of a rule on an event of its own.
    slow, transient : tuple of str
        Variables that a presentation leaves, or resets, as in :class:`NeuronModel`.
    """

    equations: str = attrs.field(converter=equation_text)
    operations: Sequence[Operation] = attrs.field(default=(), validator=members(Operation))
    parameters: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    initial: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    links: dict[str, str] = attrs.field(factory=dict, validator=named(str))
    events: dict[str, Event] = attrs.field(factory=dict, validator=named(Event))
    slow: Sequence[str] = attrs.field(default=(), converter=sequence, validator=members(str))
    transient: Sequence[str] = attrs.field(default=(), converter=sequence, validator=members(str))

    def __attrs_post_init__(self) -> None:
        parsed("Companion", self.equations)
        for field in ("parameters", "initial", "links", "events"):
            for name in getattr(self, field):
                check_name("Companion", field, name)
        for variable, target in self.links.items():
            check_target_name("Companion", f"links[{variable!r}]", target)
        for variable, value in self.initial.items():
            if isinstance(value, str):
                check_expression("Companion", f"initial[{variable!r}]", value)

    def own(self) -> set[str]:
        """Names of its variables, parameters and events."""
        return {*parsed("", self.equations).names, *self.parameters, *self.events}

    def renamed(self, names: Mapping[str, str], of: str) -> Companion:
        """Return a copy with other names for its variables, parameters and events.

        Its noise is called after whom it is ``of``: ``xi`` becomes ``xi_of``, ``xi_1`` ``xi_of_1``.
        """
        known = parsed("", self.equations)
        names = {**names, **{xi: f"xi_{of}{xi[2:]}" for xi in known.stochastic_variables}}
        driven = known.diff_eq_names & set(names)
        rates = {f"d{name}": f"d{names[name]}" for name in driven}
        return attrs.evolve(
            self,
            equations=rename(self.equations, {**names, **rates}),
            operations=tuple(
                attrs.evolve(o, code=rename(o.code, names), on=names.get(o.on, o.on))
                for o in self.operations
            ),
            parameters={names.get(key, key): value for key, value in self.parameters.items()},
            initial={
                names.get(key, key): rename(value, names) if isinstance(value, str) else value
                for key, value in self.initial.items()
            },
            links={names.get(key, key): value for key, value in self.links.items()},
            slow=tuple(names.get(name, name) for name in self.slow),
            transient=tuple(names.get(name, name) for name in self.transient),
            events={
                names.get(key, key): attrs.evolve(event, condition=rename(event.condition, names))
                for key, event in self.events.items()
            },
        )
