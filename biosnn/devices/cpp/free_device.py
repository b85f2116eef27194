"""The device ``cpp`` for networks that run for a duration: one binary for all runs."""

from __future__ import annotations

import time

from biosnn.devices.base.artifact import open_artifact
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.free_binary import FreeCompiledNetwork
from biosnn.devices.base.free_description import (
    constant_units,
    first_state,
    with_values,
    without_values,
)
from biosnn.devices.cpp.device import compiled
from biosnn.program.program import Program


def build(
    program: Program, precision: str, math: str = "fast", portable: bool = False
) -> FreeCompiledNetwork | CompiledNetwork:
    """Compile a program, or take it from the build cache.

    Parameters
    ----------
    program, precision, math, portable
        As for :func:`biosnn.devices.cpp.device.build`.

    Raises
    ------
    DeviceError
        If there is no working compiler, or the build fails.
    """
    started = time.perf_counter()
    folder, built_now = compiled(without_values(program), precision, math, portable)
    artifact = open_artifact(folder)
    if program.samples is not None:
        taken = time.perf_counter() - started
        return CompiledNetwork(with_values(artifact, program), taken, built_now)
    first = first_state(artifact.interface, program)
    taken = time.perf_counter() - started
    return FreeCompiledNetwork(artifact, first, constant_units(program), taken)
