"""What can have no effect in a network: inputs that nothing reads, parameters that nothing uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from biosnn.errors import ParameterError
from biosnn.models import SynapseModel, names_in, parsed, used_names

if TYPE_CHECKING:
    from biosnn.networks.network import NetworkModel
    from biosnn.networks.projection import Projection

#: Parameters of a rule that also bound the initial weights.
_BOUNDS = frozenset({"w_min", "w_max"})


def check_effects(network: NetworkModel) -> None:
    """Check that every input is read, and every parameter used.

    Raises
    ------
    ParameterError
        Naming the first that is not.
    """
    read = {name for part in network.populations.values() for name in part.drives.values()}
    for name in network.inputs:
        if name not in read:
            wanted = "read by a population"
            remedy = f'Connect it with Population(drives={{"variable": "{name}"}}), or leave it out'
            raise ParameterError(network.name, f"inputs[{name!r}]", "no reader", wanted, remedy)
    synaptic = {key: _of_projection(network, key) for key in network.projections}
    for key, population in network.populations.items():
        where, model = f"populations[{key!r}].model", network.whole_model(key)
        used = used_names(model)
        for name, projection in network.projections.items():
            for side in ("pre", "post"):
                if getattr(projection, side) == key:
                    used |= {other.removesuffix(f"_{side}") for other in synaptic[name]}
        _check_used(where, model.parameters, used)
        for name, synapse in population.model.receptors.items():
            used = _of_synapse(synapse)
            for other, projection in network.projections.items():
                if (projection.post, projection.synapse) == (key, name):
                    used |= synaptic[other]
            _check_used(f"{where}.receptors[{name!r}]", synapse.parameters, used)
    for key, projection in network.projections.items():
        where = f"projections[{key!r}]"
        _check_used(where, projection.parameters, synaptic[key])
        if projection.rule is not None:
            _check_used(f"{where}.rule", projection.rule.parameters, synaptic[key] | _BOUNDS)


def _check_used(where: str, parameters: Iterable[str], used: set[str]) -> None:
    for name in parameters:
        if name not in used:
            known = ", ".join(sorted(set(parameters) & used))
            wanted = f"used by an equation or a statement{f', as {known}' if known else ''}"
            remedy = "Mend its name, or leave it out: it has no effect"
            raise ParameterError(where, "parameters", repr(name), wanted, remedy)


def _of_synapse(synapse: SynapseModel) -> set[str]:
    """Names that are used in what every synapse of a model holds and transmits."""
    return names_in(synapse.transmit) | parsed(synapse.name, synapse.equations).identifiers


def _of_projection(network: NetworkModel, key: str) -> set[str]:
    """Names that are used in what synapses of a projection hold, transmit and learn."""
    projection: Projection = network.projections[key]
    used = names_in(projection.transmit) | parsed(key, projection.equations).identifiers
    if projection.synapse is not None:
        receptors = network.populations[projection.post].model.receptors
        used |= _of_synapse(receptors[projection.synapse])
    if projection.rule is not None:
        used |= parsed(key, projection.rule.equations).identifiers
        for part in projection.rule.statements:
            used |= names_in(part.code)
    return used
