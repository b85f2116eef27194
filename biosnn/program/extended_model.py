"""What a network adds to the models of its populations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np
from brian2 import Equations
from brian2.units.fundamentalunits import Quantity

from biosnn.models import Companion, Event, NeuronModel, Operation
from biosnn.networks import NetworkModel
from biosnn.program.draws import Carried, counted
from biosnn.program.recorders import Record

#: Seconds since the last spike of a neuron that has had none.
LONG_AGO = 1e4


def extended_model(
    network: NetworkModel, key: str, record: Record
) -> tuple[NeuronModel, tuple[Carried, ...], dict[str, str]]:
    """A population's model with what the network adds to it, and what it carries for others.

    The draws of its stochastic variables come third (:func:`biosnn.program.draws.counted`).
    """
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
            "t_sample : second (linked)\nsample : integer (linked)\nattempt : integer (linked)",
            links={name: f"protocol.{name}" for name in ("t_sample", "sample", "attempt")},
        )
    model = model.with_counters(dict.fromkeys(counters))
    model, carried, noise = counted(model, network.carried(key))
    given = {"stream": network.stream(key), "active_for": network.presentation.duration}
    return attrs.evolve(model, parameters={**model.parameters, **given}), carried, noise


def reset_code(
    network: NetworkModel, key: str, model: NeuronModel, constants: dict[str, Any]
) -> str:
    """Statements that give a population's variables their values at an onset.

    The values themselves are added to the constants.
    """
    equations = Equations(model.equations)
    lines = []
    shared = {name for name, equation in equations.items() if "shared" in equation.flags}
    # Brian2 wants what all neurons share to be written first.
    for name in sorted(network.resets.get(key, ()), key=lambda name: name not in shared):
        if name == "lastspike":
            lines += ["not_refractory = True", f"lastspike = t - {LONG_AGO}*second"]
            continue
        text = model.initial.get(name)
        if not isinstance(text, str):
            text = f"reset_{name}"
            value = np.asarray(model.initial_value(name)).item()
            constants[text] = Quantity(value, dim=equations[name].dim)
        lines.append(f"{name} = {text}")
    return "\n".join(lines)


def switched_off(
    model: NeuronModel, carried: Iterable[Carried], into: Sequence[str]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Numbers of the operations that belong to learning, and to which projections.

    Parameters
    ----------
    model : NeuronModel
        The model without what it carries.
    carried : iterable
        What it carries, in the order in which the group gets it.
    into : sequence of str
        The projections with whose learning the model's own operations go.
    """
    owned = [(part, tuple(into)) for part in model.operations]
    for owner, part in carried:
        count = part.operations if isinstance(part, Companion) else (Operation(code=""),)
        owned += [(operation, (owner,)) for operation in count]
    for number, (operation, owners) in enumerate(owned):
        if operation.plastic and operation.on not in ("onset", "input"):
            yield number, owners
