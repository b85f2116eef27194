"""Integration of equations: the method of a group, as Brian2 applies it."""

from __future__ import annotations

from typing import Any

from biosnn._models.exact_traces import with_exact
from biosnn.program.passes.draws import CountedNoise
from biosnn.program.program import Group


def method_of(group: Group) -> Any:
    """A group's method, for Brian2: its name, or a state updater.

    Some linear equations are integrated exactly, and noise is counter-based.
    """
    method = with_exact(group.method, group.exact, group.equations)
    return CountedNoise(method, group.noise) if group.noise else method
