"""Specs of synapses: what a presynaptic spike does to the postsynaptic neuron."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

import attrs
from brian2 import Equations
from brian2.core.variables import Variable
from brian2.equations.equations import PARAMETER, SUBEXPRESSION
from brian2.equations.unitcheck import check_dimensions
from brian2.units.fundamentalunits import DimensionMismatchError, get_dimensions

from biosnn._models.companions import Companion
from biosnn._models.equation_text import check_not_random, equation_text, parsed, synaptic_equations
from biosnn._models.identifiers import names_in, rename
from biosnn._models.parameters import Schedule
from biosnn.code_gate import check_expression, check_name, check_statements, check_title
from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.validation import instance, mapping

_INPUT = re.compile(r"^[ \t]*I[ \t]*(?:=(?P<terms>[^:]+))?:(?P<unit>.+)$", flags=re.MULTILINE)


@declared
@attrs.frozen(eq=False, kw_only=True)
class SynapseModel:
    """A synapse as equations: a frozen declaration without any Brian2 object.

    Its state lives on the postsynaptic *neuron*, where all synapses of a kind add up:
    ``neuron.with_synapses(name=model)`` puts it there, and a projection with
    ``synapse="name"`` acts on it.

    Parameters
    ----------
    name : str
        The model's name, used in messages.
    companion : Companion
        Equations of the postsynaptic neuron; they may use its potential ``v``.
    current : str
        What the synapse adds to the neuron's input ``I``; empty if it acts on ``v`` directly.
    transmit : str
        What a presynaptic spike does, e.g. ``"g_post += w*g_max"``; empty if there are no spikes
        to transmit (gap junctions).
    equations : str
        Equations of every single synapse, such as a ``(summed)`` current.
    parameters : dict
        Constants of ``transmit`` and ``equations``.
    reference : str
        Source with DOI and equation.
    """

    name: str = attrs.field(validator=instance(str))
    companion: Companion = attrs.field(validator=instance(Companion))
    current: str = attrs.field(default="", validator=instance(str))
    transmit: str = attrs.field(default="", validator=instance(str))
    equations: str = attrs.field(default="", converter=equation_text)
    parameters: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    reference: str = ""

    def __attrs_post_init__(self) -> None:
        check_title("SynapseModel", "name", self.name)
        if self.current:
            check_expression(self.name, "current", self.current)
        check_statements(self.name, "transmit", self.transmit)
        for name in self.parameters:
            check_name(self.name, "parameters", name)
        synaptic_equations(self.name, self.equations)
        check_not_random(self.name, "transmit", self.transmit)

    @property
    def depends_on_v(self) -> bool:
        """Whether its current or its state depends on the neuron's potential."""
        current = names_in(self.current) if self.current else set()
        return "v" in current | parsed("", self.companion.equations).identifiers

    def named(self, name: str) -> SynapseModel:
        """Return a copy whose variables and parameters all end in ``_name``."""
        names = {key: f"{key}_{name}" for key in {*self.companion.own(), *self.parameters}}
        ends = {f"{key}_post": f"{new}_post" for key, new in names.items()}
        return attrs.evolve(
            self,
            companion=self.companion.renamed(names, of=name),
            current=rename(self.current, names),
            transmit=rename(self.transmit, {**names, **ends}),
            equations=rename(self.equations, {**names, **ends}),
            parameters={names[key]: value for key, value in self.parameters.items()},
        )


def check_receptor(
    neuron: str, known: Equations, present: Container[str], name: str, synapse: Any
) -> None:
    """Check that a neuron can receive a synapse under a name.

    Parameters
    ----------
    neuron : str
        The neuron's name, for messages.
    known : Equations
        The neuron's.
    present : container of str
        Names of the synapses that it has.
    name : str
        The new synapse's name.
    synapse : SynapseModel
        What was given for it.

    Raises
    ------
    ParameterError
        If it is no synapse model, the name cannot be, or the neuron lacks ``v``.
    """
    where = f"with_synapses({name}=...)"
    if not isinstance(synapse, SynapseModel):
        called = getattr(synapse, "__name__", "")
        got = called or f"a {type(synapse).__name__}"
        remedy = f"Call the function: {called}(...)" if called else ""
        if isinstance(synapse, Companion):
            remedy = "Short-term plasticity belongs to a Projection: short_term=..."
        raise ParameterError(neuron, where, got, "a SynapseModel", remedy)
    used = name in present or f"I_{name}" in known.names
    if used or not name.isidentifier() or name == "ext" or re.search(r"(^|_)(pre|post)$", name):
        wanted = 'a new identifier other than "ext" that does not end in "pre" or "post"'
        raise ParameterError(neuron, "with_synapses", repr(name), wanted)
    if synapse.depends_on_v and "v" not in {*known.names, *synapse.companion.own()}:
        wanted = "a synapse that does not depend on v, because the neuron has no variable v"
        raise ParameterError(neuron, where, synapse.name, wanted, "Call its potential v")
    if synapse.current and "I" in known.names and known["I"].flags:
        got = f"{synapse.name} beside I ({', '.join(known['I'].flags)})"
        remedy = "Declare I without flags; what sets it from outside is called I_ext afterwards"
        raise ParameterError(neuron, where, got, "used with an input I without flags", remedy)


def received(
    neuron: str, equations: str, parameters: Mapping[str, Any], name: str, synapse: SynapseModel
) -> str:
    """Equations of a neuron whose input also holds the current of a synapse.

    Parameters
    ----------
    neuron : str
        The neuron's name, for messages.
    equations, parameters
        The neuron's, the synapse's companion included.
    name : str
        The synapse's name on this neuron.
    synapse : SynapseModel
        It, already named.

    Raises
    ------
    ParameterError
        If the neuron has no input ``I`` of the current's unit.
    """
    if not synapse.current:
        return equations
    known = parsed("", equations)
    line = _INPUT.search(equations)
    if line is None or known["I"].type not in (PARAMETER, SUBEXPRESSION):
        raise ParameterError(
            neuron,
            f"with_synapses({name}=...)",
            synapse.name,
            'a synapse without a current, because the neuron has no input "I : unit"',
            "Declare the input as I in the neuron's equations",
        )
    scope = {k: Variable(k, dimensions=known[k].dim, scalar=False) for k in known.names}
    numbers = {k: 1.0 if isinstance(v, Schedule) else v for k, v in parameters.items()}
    scope |= {k: Variable(k, dimensions=get_dimensions(v)) for k, v in numbers.items()}
    try:
        check_dimensions(synapse.current, known["I"].dim, scope)
    except DimensionMismatchError as error:
        raise ParameterError(
            neuron,
            f"with_synapses({name}=...)",
            f"{synapse.name} with the current {synapse.current}",
            f"a current in the unit of I ({line['unit'].strip()})",
            "Choose the unit of the synapse's strength accordingly",
        ) from error
    unit, added = line["unit"].strip(), ""
    term = synapse.current
    if not term.isidentifier():
        term = f"I_{name}"
        added = f"{term} = {synapse.current} : {unit}\n"
    if line["terms"] is None:
        added += f"I_ext : {unit}\n"
    terms = "I_ext" if line["terms"] is None else line["terms"].strip()
    changed = f"{added}I = {terms} + {term} : {unit}"
    return equations[: line.start()] + changed + equations[line.end() :]
