"""Events of the last step of a presentation, which must not reach into the next one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brian2 import Clock, NeuronGroup, Synapses
from brian2.groups.group import CodeRunner

from biosnn.models import SLOTS

_PLACE = {slot: number for number, slot in enumerate(SLOTS)}


def clearing(
    groups: Iterable[NeuronGroup], synapses: Iterable[Synapses], border: Clock
) -> Iterator[tuple[NeuronGroup, CodeRunner]]:
    """Objects that empty lists of events, where something reads them before they are made anew.

    Whatever reads events earlier in the time step than they are tested sees those of the step
    before. At a border these are events of another presentation, or of none if a run begins
    there.
    """
    readers: dict[str, list[tuple[int, int]]] = {}
    pathways = [pathway for made in synapses for pathway in made._pathways]
    for pathway in pathways:
        events = pathway.source.variables[pathway.eventspace_name]
        readers.setdefault(_name(pathway.source, events.name), []).append(_place(pathway))
    groups = tuple(groups)
    for group in groups:
        for runner in group.contained_objects:
            events = (getattr(runner, "template_kwds", None) or {}).get("eventspace_variable")
            if events is not None and runner not in group.thresholder.values():
                readers.setdefault(_name(group, events.name), []).append(_place(runner))
    for group in groups:
        for event, thresholder in group.thresholder.items():
            name = f"_{event}space"
            made = _place(thresholder)
            if thresholder.clock is border or not any(
                place < made for place in readers.get(_name(group, name), ())
            ):
                continue
            yield (
                group,
                CodeRunner(
                    group,
                    "threshold",
                    code="_cond = False",
                    clock=border,
                    name=f"{group.name}_clear_{event}",
                    needed_variables=[name],
                    template_kwds={
                        "eventspace_variable": group.variables[name],
                        "_uses_refractory": False,
                    },
                ),
            )


def _name(group: NeuronGroup, events: str) -> str:
    return f"{group.name}.{events}"


def _place(target: CodeRunner) -> tuple[int, int]:
    return _PLACE[target.when], target.order
