"""Whether populations fit to their inputs, and to what they are linked to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from brian2 import Hz, second
from brian2.units.fundamentalunits import DIMENSIONLESS

from biosnn.errors import ParameterError
from biosnn.models import (
    NeuronModel,
    check_code,
    check_integration,
    check_link_unit,
    check_links,
    check_size,
    parsed,
)

if TYPE_CHECKING:
    from biosnn.networks.network import NetworkModel

#: Variables of the protocol, which populations may link to as ``protocol.name``.
PROTOCOL_VARIABLES = (
    "t_sample",
    "step",
    "sample",
    "attempt",
    "intensity",
    "seed",
    "pass_id",
    "sample_id",
    "seen",
    "fraction",
)


def check_population(network: NetworkModel, key: str) -> None:
    """Check a population's model, its initial values, inputs and links.

    Raises
    ------
    ParameterError
        Naming what does not fit.
    """
    population = network.populations[key]
    model, where = population.model, f"populations[{key!r}]"
    check_code(model)
    check_integration(model)
    check_links(model)
    check_size(model, population.n, f"{where}.model")
    _check_drives(network, key)
    for rate in model.rates.values():
        value = model.parameters[rate.parameter]
        if rate.drawn and float(value * network.dt) > 1:
            most = f"at most 1/dt = {1 / network.dt / Hz:g} Hz"
            raise ParameterError(model.name, rate.parameter, value, most)


def _known(obj: str, field: str, name: str, among: Iterable[str]) -> None:
    if name not in among:
        wanted = f"one of {', '.join(sorted(among)) or 'none, because there is nothing'}"
        raise ParameterError(obj, field, repr(name), wanted)


def _check_drives(network: NetworkModel, key: str) -> None:
    population, where = network.populations[key], f"populations[{key!r}].drives"
    equations = parsed(key, population.model.equations)
    variables = equations.names
    for variable, channel in population.drives.items():
        _known(network.name, where, channel, network.inputs)
        if variable not in variables:
            raise ParameterError(network.name, where, repr(variable), "a model's variable")
        if variable not in population.model.variables:
            ext = f"{variable}_ext"
            remedy = f"Use {ext}, which is added to it" if ext in variables else ""
            wanted = "a variable that holds a value, not an expression or a link"
            raise ParameterError(network.name, where, repr(variable), wanted, remedy)
        if "shared" in equations[variable].flags:
            got, wanted = f"{variable!r} (shared)", "a variable of each neuron"
            raise ParameterError(network.name, where, got, wanted)
        features = network.inputs[channel].features
        if features != population.n:
            wanted = f"the number of features of input {channel!r} ({features})"
            raise ParameterError(network.name, f"populations[{key!r}].n", population.n, wanted)


def check_carried(network: NetworkModel, key: str) -> None:
    """Check code and links of a population with all that projections keep on it.

    Raises
    ------
    ParameterError
        Naming what does not fit.
    """
    model = network.populations[key].model.with_traces(network.companions(key))
    where = f"populations[{key!r}]"
    check_code(model, where)
    equations = parsed(where, model.equations)
    for variable in equations.names:
        linked = "linked" in equations[variable].flags
        if linked and variable not in model.links:
            wanted = 'linked to "population.variable"'
            remedy = f'Give the model links={{"{variable}": "population.variable"}}'
            raise ParameterError(where, f"links[{variable!r}]", None, wanted, remedy)
    for variable in model.links:
        _check_link(network, key, model, variable)


def _check_link(network: NetworkModel, key: str, model: NeuronModel, variable: str) -> None:
    target, where = model.links[variable], f"populations[{key!r}]"
    field = f"{where}.links[{variable!r}]"
    owner, _, name = target.partition(".")
    unit = parsed(key, model.equations)[variable].dim
    if owner == "protocol":
        _known(network.name, f"{where}.links", name, PROTOCOL_VARIABLES)
        of_protocol = second.dim if name == "t_sample" else DIMENSIONLESS
        check_link_unit(network.name, field, unit, target, of_protocol)
        return
    _known(network.name, field, owner, network.populations)
    source = network.populations[owner]
    carried = source.model.with_traces(network.companions(owner))
    equations = parsed(owner, carried.equations)
    own = [name for name in equations.names if "linked" not in equations[name].flags]
    _known(network.name, field, name, own)
    check_link_unit(network.name, field, unit, target, equations[name].dim)
    n = network.populations[key].n
    if source.n not in (1, n):
        got = f"{target!r} of {source.n} neurons"
        wanted = f"a variable of a population of {n}, as {key!r} has, or of one neuron"
        raise ParameterError(network.name, field, got, wanted)
