"""Delays of transmission, and what becomes of events on their way when a presentation ends.

A queue of events is no part of a :class:`~biosnn.state.State`. So that results do not depend on
where a run is cut into chunks, an event takes effect only in the presentation in which it was
sent (docs/decisions/0012).
"""

from __future__ import annotations

import ast
from collections.abc import Container
from typing import Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import Quantity, have_same_dimensions

from biosnn.errors import ParameterError

#: Whether an event that arrives now was sent in the present presentation.
_ARRIVED = "int(t_in_timesteps % steps_per_presentation >= delay_steps)"
_CHANGES = {ast.Add: "+", ast.Sub: "-"}


def check_delay(where: str, delay: Any) -> None:
    """Check that delays are finite times >= 0.

    Raises
    ------
    ParameterError
        If they are not.
    """
    remedy = "Multiply the number or the array by ms"
    if not isinstance(delay, Quantity) or not have_same_dimensions(delay, second):
        raise ParameterError(where, "delay", repr(delay), "a time", remedy)
    values = np.asarray(delay)
    if values.ndim > 1 or not (np.isfinite(values) & (values >= 0)).all():
        raise ParameterError(where, "delay", delay, "finite and >= 0 s, one or one per synapse")


def delay_steps(delay: Any, dt: Any) -> np.ndarray:
    """Delays as whole time steps, rounded to the nearest as Brian2 does."""
    return np.floor(np.asarray(delay) / float(dt) + 0.5).astype(np.int64)


def arrived(where: str, code: str, known: Container[str], *, field: str = "transmit") -> str:
    """Statements that change nothing where an event was sent before the present presentation.

    Parameters
    ----------
    where : str
        The projection, for messages.
    code : str
        Statements of the form ``x += ...``, ``x -= ...`` or ``x = ...``.
    known : container of str
        Variables of the synapses and of their targets. Any other name that is given a value stands
        for it within the statements only, unless it ends in ``_pre`` or ``_post``.
    field : str
        What the statements are, for messages. Where it is not ``"transmit"``, what changes gets the
        new value to the last digit.

    Raises
    ------
    ParameterError
        If a statement has another form.
    """
    lines = ["in_time = " + _ARRIVED]
    local: set[str] = set()
    for node in ast.parse("\n".join(line.strip() for line in code.strip().splitlines())).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) if not (
                name in known or name.endswith(("_pre", "_post"))
            ):
                local.add(name)
                lines.append(ast.unparse(node))
            case ast.AugAssign(target=ast.Name(id=name)) if name in local:
                lines.append(ast.unparse(node))
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value) if (
                type(op) in _CHANGES
            ):
                lines.append(f"{name} {_CHANGES[type(op)]}= in_time*({ast.unparse(value)})")
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if field != "transmit":
                lines.append(f"{name} = in_time*({ast.unparse(value)}) + (1 - in_time)*{name}")
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                lines.append(f"{name} += in_time*(({ast.unparse(value)}) - {name})")
            case _:
                raise ParameterError(
                    where,
                    field,
                    repr(ast.unparse(node)),
                    'of the form "x += ...", "x -= ..." or "x = ..." where there is a delay',
                )
    return "\n".join(lines)
