"""Learning at the end of presentations: rules that wait for it, and normalisation of weights."""

from __future__ import annotations

import attrs

from biosnn.networks import NetworkModel
from biosnn.program.passes.counters import count_spikes
from biosnn.program.passes.presentation import linked
from biosnn.program.program import BOUNDARY, Kernel, Program
from biosnn.program.slots import LEARN, NORMALISE


def learn_at_ends(program: Program, network: NetworkModel) -> Program:
    """Make the event ``ended_...`` of neurons whose synapses learn when a presentation is over."""
    for key, projection in network.projections.items():
        if projection.rule is None or not projection.rule.ends:
            continue
        program = linked(program, projection.post, "pending : integer", {"pending": "pending"})
        program = program.with_kernels(
            Kernel(
                name=f"{projection.post}_ended_{key}_thresholder",
                owner=projection.post,
                kind="threshold",
                code="pending > 0",
                clock=BOUNDARY,
                order=LEARN,
                event=f"ended_{key}",
                plastic=(key,),
                ends=True,
            )
        )
    return program


def normalise(program: Program, network: NetworkModel) -> Program:
    """Scale the columns of weights of the neurons that fired in a presentation, at its end."""
    for key, projection in network.projections.items():
        norm = projection.normalise
        if norm is None or not norm.online:
            continue
        post, event = projection.post, f"normalise_{key}"
        program = count_spikes(program, post)
        group = program.groups[post]
        equations = f"{group.equations}\nnorm_{key} : 1"
        program = program.with_group(attrs.evolve(group, equations=equations))
        made = program.connections[key]
        constants = {**made.constants, "weight_total": norm.total}
        program = program.changed(
            connections={**program.connections, key: attrs.evolve(made, constants=constants)}
        )
        power = "" if norm.p == 1 else "**2"
        total = f"norm_{key}_post" if norm.p == 1 else f"sqrt(norm_{key}_post)"
        steps = (
            (f"{post}_{event}_thresholder", post, "threshold", "count > 0"),
            (f"{key}_clear_norm", post, "reset", f"norm_{key} = 0"),
            (f"{key}_norm_sum", key, "pathway", f"norm_{key}_post += abs(w){power}"),
            # A column of zeros stays one.
            (
                f"{key}_norm_scale",
                key,
                "pathway",
                f"w *= weight_total/({total} + int({total} == 0))",
            ),
        )
        program = program.with_kernels(*(
            Kernel(
                name=name,
                owner=owner,
                kind=kind,
                code=code,
                clock=BOUNDARY,
                order=NORMALISE + offset,
                event=event,
                side="post" if kind == "pathway" else "",
                plastic=(key,) if projection.rule is not None else (),
                ends=True,
            )
            for offset, (name, owner, kind, code) in enumerate(steps)
        ))  # fmt: skip
    return program
