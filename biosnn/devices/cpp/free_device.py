"""The device ``cpp`` for networks that run for a duration: one binary for all runs."""

from __future__ import annotations

import time

import attrs

from biosnn.devices.base.artifact import open_artifact
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.free_binary import FreeCompiledNetwork
from biosnn.devices.base.free_description import constant_units, first_state, sampled_state
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
    # Every run is told the values, so that a script with others finds the same binary.
    arrays = {name: attrs.evolve(a, initial=None) for name, a in program.arrays.items()}
    bare = program.changed(arrays=arrays, start=0.0, pending={}, fingerprint="")
    folder, built_now = compiled(bare, precision, math, portable)
    artifact = open_artifact(folder)
    if program.samples is not None:
        interface = attrs.evolve(artifact.interface, fingerprint=program.fingerprint)
        first = sampled_state(interface, program)
        manifest = {**artifact.manifest, "interface": interface.to_data()}
        artifact = attrs.evolve(artifact, manifest=manifest, interface=interface, first=first)
        return CompiledNetwork(artifact, time.perf_counter() - started, built_now)
    first = first_state(artifact.interface, program)
    taken = time.perf_counter() - started
    return FreeCompiledNetwork(artifact, first, constant_units(program), taken)
