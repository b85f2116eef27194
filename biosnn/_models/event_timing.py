"""When the events of a neuron are tested, what follows them, and what outlives a presentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from biosnn._models.companions import SLOTS, Event
from biosnn._models.equation_text import parsed
from biosnn.errors import ParameterError

if TYPE_CHECKING:
    from biosnn._models.neuron_model import NeuronModel

#: Slots of Brian2's schedule in which a neuron may be tested for a spike.
SPIKE_SLOTS = ("thresholds", "after_thresholds", "synapses", "after_synapses")


def place(when: str, order: int) -> tuple[int, int]:
    """A slot of Brian2's schedule and an order within it, to be compared."""
    return SLOTS.index(when), order


def tested(model: NeuronModel, event: str) -> tuple[str, int] | None:
    """Slot and order in which an event of a model is tested; None if it has no such event."""
    if event == "spike" and model.threshold is not None:
        return model.spike_when, int(model.spike_when != "thresholds")
    if event not in model.events:
        return None
    spec = model.events[event]
    return (spec.when if isinstance(spec, Event) else "after_thresholds"), 0


def behind_spikes(model: NeuronModel, when: str) -> tuple[str, int]:
    """A slot and an order in it, or those just behind the model's spikes if these come later."""
    slot, order = tested(model, "spike") or ("thresholds", 0)
    return (when, 0) if place(when, 0) > place(slot, order) else (slot, order + 1)


def check_behind(
    where: str, field: str, model: NeuronModel, event: str, when: str, order: int
) -> None:
    """Check that what an event causes comes after the event's test in a time step.

    Raises
    ------
    ParameterError
        If it comes before. It would act one step late, and never after a presentation's last one.
    """
    slot, first = tested(model, event) or ("before_start", -1)
    if place(when, order) <= place(slot, first):
        own = f"{when!r}, order {order}"
        wanted = f"behind the test of {event!r} ({slot!r}, order {first})"
        remedy = "Use a later slot of Brian2's schedule, such as after_resets"
        raise ParameterError(where, field, own, wanted, remedy)


def check_operations(model: NeuronModel) -> None:
    """Check that operations follow events that the model has.

    Raises
    ------
    ParameterError
        If an event is unknown, or tested later than what it causes.
    """
    for number, operation in enumerate(model.operations):
        if operation.on in ("step", "onset", "input"):
            continue
        field = f"operations[{number}]"
        if tested(model, operation.on) is None:
            known = [*(["spike"] if model.threshold is not None else []), *sorted(model.events)]
            wanted = f"'step', 'onset', 'input' or an event ({', '.join(known) or 'it has none'})"
            raise ParameterError(model.name, f"{field}.on", repr(operation.on), wanted)
        check_behind(
            model.name, f"{field}.when", model, operation.on, operation.when, operation.order
        )


def check_persistence(model: NeuronModel) -> None:
    """Check what a model says of presentations.

    Raises
    ------
    ParameterError
        If a slow, transient or double variable is none of the model's, or slow and transient.
    """
    equations = parsed("", model.equations)
    stored = {*model.variables, *(["lastspike"] if model.refractory is not None else [])}
    for name in model.slow:
        if name not in stored:
            wanted = f"variables of the model ({', '.join(sorted(stored)) or 'it has none'})"
            raise ParameterError(model.name, "slow", repr(name), wanted)
    for name in model.double:
        if name not in equations.names:
            wanted = f"variables of the model ({', '.join(sorted(equations.names)) or 'none'})"
            raise ParameterError(model.name, "double", repr(name), wanted)
    for name in model.transient:
        if name not in equations.parameter_names or name in model.slow:
            wanted = "variables without a differential equation that are not slow"
            raise ParameterError(model.name, "transient", repr(name), wanted)
