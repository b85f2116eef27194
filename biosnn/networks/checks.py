"""Whether a network is one: names, populations and their inputs, projections, times, effects."""

from __future__ import annotations

from collections.abc import Iterable

from brian2 import Hz, ms, second
from brian2.units.fundamentalunits import DIMENSIONLESS

from biosnn.code_gate import check_name, check_title
from biosnn.errors import ParameterError
from biosnn.models import (
    NeuronModel,
    SynapseModel,
    check_code,
    check_integration,
    check_link_unit,
    check_links,
    check_size,
    names_in,
    parsed,
    used_names,
)
from biosnn.networks.initial import check_initial
from biosnn.networks.name_checks import (
    check_companions,
    check_own_names,
    check_projection,
    check_summed_once,
)
from biosnn.networks.projection_checks import (
    check_fit,
    check_known,
    check_memory,
    check_synaptic_names,
    check_times,
)
from biosnn.networks.structure import PROTOCOL, NetworkStructure
from biosnn.networks.subgroups import Subgroup
from biosnn.validation import LARGEST, check_choice, check_steps, check_value

_RESERVED = (PROTOCOL, f"{PROTOCOL}_watch", "intensity", "n_samples")
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


def check_network(network: NetworkStructure) -> None:
    """Check a network, from its names to what has no effect in it.

    Raises
    ------
    ParameterError
        Naming the first thing that cannot be.
    """
    check_value(network.name, "dt", network.dt, ms, "> 0")
    check_title("NetworkModel", "name", network.name)
    names = [*network.inputs, *network.populations, *network.projections]
    for name in names:
        check_name(network.name, "names", name, in_code=False)
        if name in _RESERVED or names.count(name) > 1:
            wanted = f"a unique identifier other than {', '.join(_RESERVED)}"
            raise ParameterError(network.name, "names", repr(name), wanted)
    check_known(network, "output", network.output, network.populations)
    for key, projection in network.projections.items():
        for side in (projection.pre, projection.post):
            name = side.population if isinstance(side, Subgroup) else side
            if name in network.projections:
                wanted = f"one of the populations {', '.join(sorted(network.populations))}"
                remedy = "Synapses onto synapses come along in a Brian2 script: biosnn.from_brian2"
                raise ParameterError(
                    f"projections[{key!r}]", "pre, post", repr(name), wanted, remedy
                )
            check_known(network, f"projections[{key!r}]", name, network.populations)
        whole = projection.between_populations(network.populations)
        network.projections[key] = whole.with_late_traces()
    for key in network.populations:
        check_population(network, key)
    for key, projection in network.projections.items():
        check_memory(network, key)
        check_fit(network, key)
        n_pre, n_post, _ = network.drawing(key)
        network.projections[key] = projection.written_out(n_pre, n_post)
        check_times(network, key)
        check_synaptic_names(network, key)
    for key in network.populations:
        check_own_names(network, key)
        check_companions(network, key)
        check_carried(network, key)
    for key in network.projections:
        check_projection(network, key)
        check_initial(network, key)
    check_summed_once(network)
    if network.presentation.watch is not None:
        check_known(network, "presentation.watch", network.presentation.watch, network.populations)
    check_reset(network)
    check_steps("Presentation", "duration", network.presentation.duration, network.dt, 1)
    check_steps("Presentation", "rest", network.presentation.rest, network.dt, 0)
    if network.steps_per_presentation > LARGEST:
        got = f"{network.presentation.duration} and a rest of {network.presentation.rest}"
        wanted = f"at most {LARGEST:,} time steps ({network.dt}) with the rest"
        raise ParameterError("Presentation", "duration", got, wanted)
    for key, channel in network.inputs.items():
        if channel.frame is None:
            continue
        steps = check_steps(f"Input({key})", "frame", channel.frame, network.dt, 1)
        if network.steps_per_presentation % steps:
            raise ParameterError(
                f"Input({key})", "frame", channel.frame, "a divisor of duration + rest"
            )
    check_effects(network)


def check_population(network: NetworkStructure, key: str) -> None:
    """Check a population's model, its initial values, inputs and links.

    Raises
    ------
    ParameterError
        Naming what does not fit.
    """
    population = network.populations[key]
    model, where = population.begun, f"populations[{key!r}]"
    check_code(model)
    check_integration(model)
    check_links(model)
    for name, series in model.series.items():
        field = f"model.parameters[{name!r}]"
        check_steps(where, f"{field}.dt", series.dt, network.dt, 1)
        if series.columns not in (0, population.n):
            got, wanted = (
                f"{series.columns} columns",
                f"one column for each of {population.n} neurons",
            )
            raise ParameterError(where, f"{field}.values", got, wanted)
        if "t_sample" in parsed(key, model.equations).names and model.links.get("t_sample") != (
            f"{PROTOCOL}.t_sample"
        ):
            wanted = "without a variable t_sample of its own beside a TimeSeries"
            raise ParameterError(where, "model", f"{model.name} with t_sample", wanted)
    check_size(model, population.n, f"{where}.model")
    _check_drives(network, key)
    for rate in model.rates.values():
        value = model.parameters[rate.parameter]
        if rate.drawn and float(value * network.dt) > 1:
            most = f"at most 1/dt = {1 / network.dt / Hz:g} Hz"
            raise ParameterError(model.name, rate.parameter, value, most)


def _check_drives(network: NetworkStructure, key: str) -> None:
    population, where = network.populations[key], f"populations[{key!r}].drives"
    equations = parsed(key, population.model.equations)
    variables = equations.names
    for variable, channel in population.drives.items():
        check_known(network, where, channel, network.inputs)
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


def check_carried(network: NetworkStructure, key: str) -> None:
    """Check code and links of a population with all that projections keep on it.

    Raises
    ------
    ParameterError
        Naming what does not fit.
    """
    model, where = network.whole_model(key), f"populations[{key!r}]"
    check_code(model, where)
    for number, operation in enumerate(model.operations):
        if operation.every is None:
            continue
        field = f"model.operations[{number}].every"
        steps = check_steps(where, field, operation.every, network.dt, 1)
        if network.steps_per_presentation % steps:
            slot = network.dt * network.steps_per_presentation
            wanted = f"a divisor of a presentation with its rest ({slot})"
            raise ParameterError(where, field, operation.every, wanted)
    equations = parsed(where, model.equations)
    for variable in equations.names:
        linked = "linked" in equations[variable].flags
        if linked and variable not in model.links:
            wanted = 'linked to "population.variable"'
            remedy = f'Give the model links={{"{variable}": "population.variable"}}'
            raise ParameterError(where, f"links[{variable!r}]", None, wanted, remedy)
    for variable in model.links:
        _check_link(network, key, model, variable)


def _check_link(network: NetworkStructure, key: str, model: NeuronModel, variable: str) -> None:
    target, where = model.links[variable], f"populations[{key!r}]"
    field = f"{where}.links[{variable!r}]"
    owner, _, name = target.partition(".")
    unit = parsed(key, model.equations)[variable].dim
    if owner == PROTOCOL:
        check_known(network, f"{where}.links", name, PROTOCOL_VARIABLES)
        of_protocol = second.dim if name == "t_sample" else DIMENSIONLESS
        check_link_unit(network.name, field, unit, target, of_protocol)
        return
    check_known(network, field, owner, network.populations)
    source = network.populations[owner]
    equations = parsed(owner, network.whole_model(owner).equations)
    own = [name for name in equations.names if "linked" not in equations[name].flags]
    check_known(network, field, name, own)
    check_link_unit(network.name, field, unit, target, equations[name].dim)
    n = network.populations[key].n
    if source.n not in (1, n):
        got = f"{target!r} of {source.n} neurons"
        wanted = f"a variable of a population of {n}, as {key!r} has, or of one neuron"
        raise ParameterError(network.name, field, got, wanted)


def check_reset(network: NetworkStructure) -> None:
    """Check that what begins anew at an onset are variables.

    Raises
    ------
    ParameterError
        If a dict names something else.
    """
    reset = network.presentation.reset
    for key, names in {} if isinstance(reset, str) else reset.items():
        owners = {**network.populations, **network.projections}
        check_choice(network.name, "presentation.reset", key, owners)
        field = f"presentation.reset[{key!r}]"
        if key in network.projections:
            known = network.synaptic(key)
        else:
            model = network.whole_model(key)
            since = () if model.refractory is None else ("lastspike",)
            known = (*model.variables, *since)
        for name in names:
            check_choice(network.name, field, name, known)


#: Parameters of a rule that also bound the initial weights.
_BOUNDS = frozenset({"w_min", "w_max"})


def check_effects(network: NetworkStructure) -> None:
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


def _of_projection(network: NetworkStructure, key: str) -> set[str]:
    """Names that are used in what synapses of a projection hold, transmit and learn."""
    projection = network.projections[key]
    used = names_in(projection.transmit) | parsed(key, projection.equations).identifiers
    for value in (projection.weights, *projection.initial.values()):
        used |= names_in(value) if isinstance(value, str) else set()
    if projection.synapse is not None:
        receptors = network.populations[projection.post].model.receptors
        used |= _of_synapse(receptors[projection.synapse])
    if projection.rule is not None:
        used |= parsed(key, projection.rule.equations).identifiers
        for part in projection.rule.statements:
            used |= names_in(part.code)
    return used
