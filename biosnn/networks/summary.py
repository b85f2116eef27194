"""A network in a few lines: what its ``repr`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from biosnn.state import aligned

if TYPE_CHECKING:
    from biosnn.networks.network import NetworkModel


def summary(network: NetworkModel) -> str:
    """Name and times of a network, and a line for each input, population and projection."""
    shown = network.presentation
    rows = [
        ("input", key, spec.kind, f"{spec.features} values", "optional" if spec.optional else "")
        for key, spec in network.inputs.items()
    ]
    for key, population in network.populations.items():
        driven = ", ".join(population.drives.values())
        notes = [f"driven by {driven}"] * bool(driven) + ["output"] * (key == network.output)
        size = f"{population.n} neurons"
        rows.append(("population", key, population.model.name, size, "; ".join(notes)))
    for key, projection in network.projections.items():
        sides = f"{projection.pre} -> {projection.post}"
        learns = "" if projection.rule is None else f"learns ({projection.rule.name})"
        rows.append(("projection", key, sides, f"{network.n_synapses(key)} synapses", learns))
    head = f"NetworkModel {network.name!r}: dt {network.dt}, {shown.duration} per sample"
    rest = f" and {shown.rest} of rest" if float(shown.rest) else ""
    return "\n".join([head + rest, *aligned(rows)])
