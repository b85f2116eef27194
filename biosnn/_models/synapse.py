"""Specs of synapses: what a presynaptic spike does to the postsynaptic neuron."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
from brian2 import Equations
from brian2.core.variables import Variable
from brian2.equations.equations import PARAMETER, SUBEXPRESSION
from brian2.equations.unitcheck import check_dimensions
from brian2.units.fundamentalunits import DimensionMismatchError, get_dimensions

from biosnn._models.code import check_not_random, synaptic_equations
from biosnn._models.names import names_in, rename
from biosnn._models.parts import Companion
from biosnn.declaration import declared
from biosnn.errors import ParameterError

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

    name: str
    companion: Companion
    current: str = ""
    transmit: str = ""
    equations: str = ""
    parameters: dict[str, Any] = attrs.Factory(dict)
    reference: str = ""

    def __attrs_post_init__(self) -> None:
        synaptic_equations(self.name, self.equations)
        check_not_random(self.name, "transmit", self.transmit)

    @property
    def depends_on_v(self) -> bool:
        """Whether its current depends on the neuron's potential."""
        return bool(self.current) and "v" in names_in(self.current)

    def named(self, name: str) -> SynapseModel:
        """Return a copy whose variables and parameters all end in ``_name``."""
        names = {key: f"{key}_{name}" for key in {*self.companion.own(), *self.parameters}}
        ends = {f"{key}_post": f"{new}_post" for key, new in names.items()}
        return attrs.evolve(
            self,
            companion=self.companion.renamed(names),
            current=rename(self.current, names),
            transmit=rename(self.transmit, {**names, **ends}),
            equations=rename(self.equations, {**names, **ends}),
            parameters={names[key]: value for key, value in self.parameters.items()},
        )


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
    known = Equations(equations)
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
    scope |= {k: Variable(k, dimensions=get_dimensions(v)) for k, v in parameters.items()}
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
