"""Checks of what a run is given besides samples."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from biosnn.errors import DataError, ParameterError
from biosnn.program.interface import Interface
from biosnn.state import State


def learning_of(interface: Interface, learn: bool | Iterable[str]) -> tuple[str, ...]:
    """Names of the projections that learn.

    Raises
    ------
    ParameterError
        If one has no rule, or all shall learn and there is none that has one.
    """
    plastic = interface.plastic
    if isinstance(learn, bool | np.bool_):
        if learn and not plastic:
            wanted = f"False, because no projection of {interface.name} has a rule"
            remedy = "Give one a rule, Projection(rule=...), or use run without learn"
            raise ParameterError("run", "learn", bool(learn), wanted, remedy)
        return plastic if learn else ()
    if not isinstance(learn, Iterable):
        wanted = "True, False or names of projections"
        raise ParameterError("run", "learn", repr(learn), wanted)
    chosen = (learn,) if isinstance(learn, str) else tuple(learn)
    for name in chosen:
        if name not in plastic:
            raise ParameterError(
                "run", "learn", repr(name), f"a projection with a rule ({', '.join(plastic)})"
            )
    return chosen


def checked_state(expected: State, state: State) -> None:
    """Check that a state is complete and finite.

    Raises
    ------
    DataError
        Naming the variable and what is wrong with it.
    """
    if not isinstance(state, State):
        raise DataError(
            f"run: state must be a State, got a {type(state).__name__}; start from "
            "runnable.initial_state()"
        )
    for name in expected:
        if name not in state:
            raise DataError(
                f"run: the state lacks {name!r}; start from runnable.initial_state() and "
                "use .transferred(state) to take over what another network has learned"
            )
        if state[name].shape != expected[name].shape:
            raise DataError(
                f"run: state[{name!r}] must have shape {expected[name].shape}, got "
                f"{state[name].shape}"
            )
        if state[name].dtype.kind not in "fiub":
            raise DataError(f"run: state[{name!r}] must be numbers, got dtype {state[name].dtype}")
        if expected[name].dtype.kind in "iu" and (state[name] != np.round(state[name])).any():
            raise DataError(f"run: state[{name!r}] must be whole numbers, got {state[name]}")
        bad = np.isnan(state[name]) if name in expected.infinite else ~np.isfinite(state[name])
        if bad.any():
            index = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"run: state[{name!r}] must be finite, got {state[name][index]} at index {index}"
            )
