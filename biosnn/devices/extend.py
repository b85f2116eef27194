"""What a network adds to the models of its populations."""

from __future__ import annotations

import itertools
import re

import attrs
import numpy as np
from brian2 import Equations
from brian2.units.fundamentalunits import Quantity

from biosnn.devices.record import Record
from biosnn.errors import ParameterError
from biosnn.models import Event, NeuronModel, Operation
from biosnn.networks import NetworkModel

_RANDOM = re.compile(r"\brand\(\)")
_COUNTED = ("seed", "pass_id", "sample_id", "step")


def extended_model(network: NetworkModel, key: str, record: Record) -> NeuronModel:
    """A population's model with everything that the network adds to it."""
    model = network.populations[key].model
    for name, _ in model.schedules.items():
        model = model.extended(f"{name} : 1 (linked)", links={name: f"protocol.{key}_{name}"})
    counters = [name.partition(".")[2] for name in record.per_sample if name.startswith(f"{key}.")]
    for name, projection in network.projections.items():
        if projection.post == key and projection.rule is not None:
            for scheduled in projection.rule.schedules:
                # Synapses cannot follow a link, so the neurons keep a copy.
                variable = f"{name}_{scheduled}"
                model = model.extended(
                    f"{variable} : 1\n{variable}_now : 1 (linked)",
                    Operation(code=f"{variable} = {variable}_now", on="onset"),
                    links={f"{variable}_now": f"protocol.{variable}"},
                )
        if projection.post == key and projection.rule is not None and projection.rule.ends:
            model = attrs.evolve(
                model.extended("pending : integer (linked)", links={"pending": "protocol.pending"}),
                events={**model.events, f"ended_{name}": Event(condition="pending > 0")},
            )
        if projection.post == key and projection.normalise and projection.normalise.online:
            counters.append("count")
            model = attrs.evolve(
                model.extended(f"norm_{name} : 1"),
                events={**model.events, f"normalise_{name}": Event(condition="count > 0")},
            )
    if key in record.spikes:
        model = model.extended(
            "t_sample : second (linked)\nsample : integer (linked)",
            links={"t_sample": "protocol.t_sample", "sample": "protocol.sample"},
        )
    model = _counter_based(model.with_counters(dict.fromkeys(counters)))
    return attrs.evolve(
        model,
        parameters={
            **model.parameters,
            "stream": network.stream(key),
            "active_for": network.presentation.duration,
        },
    )


def reset_code(network: NetworkModel, key: str, model: NeuronModel) -> str:
    """Statements that give a population's variables their values at an onset."""
    reset = network.presentation.reset
    if reset == "none":
        return ""
    equations = Equations(model.equations)
    names = sorted(equations.diff_eq_names) if reset == "all" else reset.get(key, ())
    lines = []
    for name in names:
        value = model.initial_value(name)
        if isinstance(model.initial.get(name), str):
            text = model.initial[name]
        elif np.ndim(value) == 0 and not attrs.has(type(value)):
            text = f"reset_{name}"
            model.parameters[text] = Quantity(np.asarray(value).item(), dim=equations[name].dim)
        else:
            raise ParameterError(
                network.name, "presentation.reset", f"{key}.{name}", "a variable with one value"
            )
        lines.append(f"{name} = {text}")
    if reset == "all" and model.refractory is not None:
        lines.append("lastspike = t - 1e4*second")
    return "\n".join(lines)


def _counter_based(model: NeuronModel) -> NeuronModel:
    """Replace ``rand()`` by counter-based draws: one per neuron, step and place in the code."""
    places = itertools.count(1)

    def draw(_: re.Match[str]) -> str:
        return f"counter_uniform(seed, stream + {next(places)}, pass_id, sample_id, i, step)"

    def draws(code: str) -> str:
        return _RANDOM.sub(draw, code)

    changed = attrs.evolve(
        model,
        threshold=model.threshold and draws(model.threshold),
        reset=model.reset and draws(model.reset),
        events={
            name: attrs.evolve(spec, condition=draws(spec.condition))
            if isinstance(spec, Event)
            else draws(spec)
            for name, spec in model.events.items()
        },
        operations=tuple(attrs.evolve(o, code=draws(o.code)) for o in model.operations),
    )
    if next(places) == 1:
        return model
    return changed.extended(
        "\n".join(f"{name} : integer (linked)" for name in _COUNTED),
        links={name: f"protocol.{name}" for name in _COUNTED},
    )
