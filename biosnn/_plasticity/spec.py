"""Specs of learning rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
from brian2 import Synapses, second
from brian2.groups.neurongroup import NeuronGroup

from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.models import Schedule, Trace, check_choice


@declared
@attrs.frozen(eq=False, kw_only=True)
class Statements:
    """What one event does to the weight.

    Parameters
    ----------
    side : {"pre", "post"}
        Whose event it is.
    code : str
        Brian2 statements on the synapse (``w``, ``x_pre``, ``y_post``, parameters).
    event : str
        ``"spike"`` or the name of another event of that neuron.
    order : int
        Order within Brian2's slot ``synapses``; transmission has order -1.
    """

    side: str
    code: str
    event: str = "spike"
    order: int = 0

    def __attrs_post_init__(self) -> None:
        check_choice("Statements", "side", self.side, ("pre", "post"))


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
        The traces that the statements use as ``name_pre`` and ``name_post``.
    parameters : dict
        Name -> Quantity, float or :class:`~biosnn.models.Schedule`.
    reference : str
        Source with DOI and equation.
    """

    name: str
    statements: tuple[Statements, ...] = attrs.field(converter=tuple)
    pre_traces: tuple[Trace, ...] = attrs.field(default=(), converter=tuple)
    post_traces: tuple[Trace, ...] = attrs.field(default=(), converter=tuple)
    parameters: dict[str, Any] = attrs.Factory(dict)
    reference: str = ""

    def needs(self, side: str) -> tuple[Trace, ...]:
        """Traces that the rule needs on the neurons of one side, ``"pre"`` or ``"post"``."""
        check_choice(self.name, "side", side, ("pre", "post"))
        return self.pre_traces if side == "pre" else self.post_traces

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The parameters that follow a schedule over the learned samples."""
        return {k: v for k, v in self.parameters.items() if isinstance(v, Schedule)}

    def _variables(self, side: str) -> set[str]:
        """Variables of the neurons of one side that the statements use."""
        used = {name for part in self.statements for name in re.findall(r"\w+", part.code)}
        ending = f"_{side}"
        variables = used - set(self.parameters)
        return {name.removesuffix(ending) for name in variables if name.endswith(ending)}

    def prefixed(self, prefix: str) -> PlasticityRule:
        """Return the rule with its traces and schedules renamed ``prefix_name``.

        Two rules can then keep their traces on the same neurons. Scheduled parameters become
        variables of the postsynaptic neuron, ``prefix_name_post``.
        """
        names: dict[str, str] = {}
        renamed: dict[str, list[Trace]] = {"pre": [], "post": []}
        for side, traces in (("pre", self.pre_traces), ("post", self.post_traces)):
            for trace in traces:
                names[f"{trace.name}_{side}"] = f"{prefix}_{trace.name}_{side}"
                renamed[side].append(attrs.evolve(trace, name=f"{prefix}_{trace.name}"))
        names.update({name: f"{prefix}_{name}_post" for name in self.schedules})
        return attrs.evolve(
            self,
            statements=tuple(
                attrs.evolve(part, code=rename(part.code, names)) for part in self.statements
            ),
            pre_traces=tuple(renamed["pre"]),
            post_traces=tuple(renamed["post"]),
        )

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
            Brian2 condition such as ``"i != j"``, or arrays ``(i, j)``; all pairs by default.

        Returns
        -------
        brian2.Synapses
            With the dimensionless weight ``w`` (all zero) and no delays: the traces live on
            the neurons, so the weight change would not see a delay.

        Raises
        ------
        ParameterError
            If a group lacks a trace or an event, or a parameter follows a schedule (which
            needs a network's count of learned samples).
        """
        for side, group in (("pre", pre), ("post", post)):
            lacking = sorted(self._variables(side) - set(group.variables))
            if lacking:
                raise ParameterError(
                    self.name,
                    side,
                    f"group '{group.name}' without {lacking}",
                    "a group that carries the rule's traces",
                    f'Make it with model.group(n, traces=rule.needs("{side}"))',
                )
            used = {part.event for part in self.statements if part.side == side}
            if used - set(group.events):
                raise ParameterError(
                    self.name,
                    side,
                    f"group '{group.name}' without {sorted(used - set(group.events))}",
                    "a group that has the rule's events",
                    "Give its model a threshold for spikes, and events={...} for others",
                )
        if self.schedules:
            raise ParameterError(
                self.name,
                sorted(self.schedules)[0],
                "a Schedule",
                "a constant outside a NetworkModel",
            )
        codes: dict[str, dict[str, str]] = {"pre": {}, "post": {}}
        events: dict[str, str] = {}
        orders: dict[str, int] = {}
        if transmit:
            codes["pre"]["pre"] = transmit
            events["pre"] = "spike"
            orders["pre"] = -1
        for number, part in enumerate(self.statements):
            pathway = f"learn_{part.side}_{number}"
            codes[part.side][pathway] = part.code
            events[pathway] = part.event
            orders[pathway] = part.order
        synapses = Synapses(
            pre,
            post,
            "w : 1",
            on_pre=codes["pre"] or None,
            on_post=codes["post"] or None,
            on_event=events,
            delay=dict.fromkeys(events, 0 * second),
            namespace=self.parameters,
            **({"name": name} if name else {}),
        )
        for pathway, order in orders.items():
            getattr(synapses, pathway).order = order
        if pairs is None:
            synapses.connect()
        elif isinstance(pairs, str):
            synapses.connect(condition=pairs)
        else:
            synapses.connect(i=pairs[0], j=pairs[1])
        return synapses


def rename(code: str, names: Mapping[str, str]) -> str:
    """Replace whole identifiers in Brian2 code."""
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda match: names.get(match[0], match[0]), code)
