"""Events of the last step of a presentation, which must not reach into the next one."""

from __future__ import annotations

from biosnn.program.program import BOUNDARY, Kernel, Program
from biosnn.program.slots import CLEAR_EVENTS


def clear_events(program: Program) -> Program:
    """Empty lists of events at the end of presentations, where something reads them early.

    Whatever reads events earlier in the time step than they are tested sees those of the step
    before. At an onset these are events of another presentation, or of none if a run begins
    there.
    """
    readers: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for kernel in program.kernels:
        if kernel.kind in ("pathway", "reset"):
            source = program.source(kernel), kernel.event
            readers.setdefault(source, []).append(kernel.place)
    return program.with_kernels(*(
        Kernel(
            name=f"{test.owner}_clear_{test.event}",
            owner=test.owner,
            kind="clear",
            code="_cond = False",
            clock=BOUNDARY,
            order=CLEAR_EVENTS,
            event=test.event,
            ends=True,
        )
        for test in program.kernels
        if test.kind == "threshold"
        and test.clock != BOUNDARY
        and any(place < test.place for place in readers.get((test.owner, test.event), ()))
    ))  # fmt: skip
