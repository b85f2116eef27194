"""What is observed of every sample: numbers of spikes, and times of the first ones."""

from __future__ import annotations

import attrs

from biosnn.models import parsed
from biosnn.program.passes.presentation import linked
from biosnn.program.program import BOUNDARY, Kernel, Program
from biosnn.program.recorders import Record
from biosnn.program.slots import CLEAR_COUNTS, ONSET
from biosnn.recording import COUNT, FIRST_SPIKE


def observe(program: Program, record: Record) -> Program:
    """Add the counters that recorders need, and what is noted of every recorded spike.

    Parameters
    ----------
    program : Program
        With the protocol.
    record : Record
        What is observed.
    """
    for name in record.per_sample:
        key, _, variable = name.partition(".")
        if variable == COUNT:
            program = count_spikes(program, key)
        elif variable == FIRST_SPIKE and variable not in _variables(program, key):
            program = _note_first_spike(program, key)
    for key in record.spikes:
        program = linked(
            program,
            key,
            "t_sample : second\nsample : integer\nattempt : integer",
            {name: name for name in ("t_sample", "sample", "attempt")},
        )
    counts = (name for name in record.per_sample if name.partition(".")[2] == COUNT)
    return program.changed(record=record, counted=next(counts, ""))


def count_spikes(program: Program, key: str) -> Program:
    """Have neurons count their spikes in a presentation (``count``)."""
    if "count" in _variables(program, key):
        return program
    return _with(program, key, "count : integer").with_kernels(
        Kernel(
            name=f"{key}_count",
            owner=key,
            kind="reset",
            code="count += 1",
            when="after_resets",
            event="spike",
        ),
        Kernel(
            name=f"{key}_clear_count",
            owner=key,
            kind="statements",
            code="count = 0",
            clock=BOUNDARY,
            order=CLEAR_COUNTS,
            ends=True,
        ),
    )


def _note_first_spike(program: Program, key: str) -> Program:
    """Have neurons note when they fired first, relative to the onset; infinite without spikes."""
    program = linked(program, key, "t_sample : second", {"t_sample": "t_sample"})
    program = _with(program, key, "t_first : second", infinite=("t_first",))
    return program.with_kernels(
        Kernel(
            name=f"{key}_clear_t_first",
            owner=key,
            kind="statements",
            code="t_first = inf*second",
            clock=BOUNDARY,
            order=ONSET,
        ),
        Kernel(
            name=f"{key}_t_first",
            owner=key,
            kind="reset",
            code="t_first = clip(t_first, 0*second, t_sample)",
            when="after_resets",
            event="spike",
        ),
    )


def _variables(program: Program, key: str) -> set[str]:
    return set(parsed(key, program.groups[key].equations).names)


def _with(program: Program, key: str, line: str, infinite: tuple[str, ...] = ()) -> Program:
    group = program.groups[key]
    equations = f"{group.equations}\n{line}"
    infinite = (*group.infinite, *infinite)
    return program.with_group(attrs.evolve(group, equations=equations, infinite=infinite))
