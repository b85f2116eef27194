"""When the events of a neuron are tested, and what follows them."""

from __future__ import annotations

from biosnn._models.companions import SLOTS, Event
from biosnn._models.neuron_fields import NeuronFields
from biosnn.errors import ParameterError

#: Slots of Brian2's schedule in which a neuron may be tested for a spike.
SPIKE_SLOTS = ("thresholds", "after_thresholds", "synapses", "after_synapses")


def place(when: str, order: int) -> tuple[int, int]:
    """A slot of Brian2's schedule and an order within it, to be compared."""
    return SLOTS.index(when), order


def tested(model: NeuronFields, event: str) -> tuple[str, int] | None:
    """Slot and order in which an event of a model is tested; None if it has no such event."""
    if event == "spike" and model.threshold is not None:
        return model.spike_when, int(model.spike_when != "thresholds")
    if event not in model.events:
        return None
    spec = model.events[event]
    return (spec.when if isinstance(spec, Event) else "after_thresholds"), 0


def behind_spikes(model: NeuronFields, when: str) -> tuple[str, int]:
    """A slot and an order in it, or those just behind the model's spikes if these come later."""
    slot, order = tested(model, "spike") or ("thresholds", 0)
    return (when, 0) if place(when, 0) > place(slot, order) else (slot, order + 1)


def check_behind(
    where: str, field: str, model: NeuronFields, event: str, when: str, order: int
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
