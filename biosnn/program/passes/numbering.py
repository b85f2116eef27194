"""Connections whose synapses a formula numbers: loops take the place of lists and queues."""

from __future__ import annotations

import attrs

from biosnn.models import names_in, parsed
from biosnn.program.program import Program

#: Brian2's numbers of synapses per neuron.
_COUNTS = frozenset(
    f"N_{which}{side}" for which in ("incoming", "outgoing") for side in ("", "_pre", "_post")
)


def number_synapses(program: Program) -> Program:
    """Note which connections have a pattern and are visited by events only, without delay."""
    connections = {
        key: made if made.numbered else attrs.evolve(made, numbered=_pattern(program, key))
        for key, made in program.connections.items()
    }
    return program.changed(connections=connections)


def _pattern(program: Program, key: str) -> str:
    made = program.connections[key]
    pathways = list(program.of(key, "pathway"))
    visited = any(kernel.kind != "pathway" and not kernel.ends for kernel in program.of(key))
    own = set(parsed(key, made.equations).names) - {"w"}
    if made.delayed or visited or own or not isinstance(made.pairs, str):
        return ""
    if any(_COUNTS & names_in(kernel.code) for kernel in pathways):
        return ""
    square = made.n_pre == made.n_post
    return made.pairs if made.pairs == "all" or square else ""
