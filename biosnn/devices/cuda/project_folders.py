"""CUDA programs in folders of their own: written on one machine, compiled there or on another."""

from __future__ import annotations

from pathlib import Path

from biosnn.devices.base.artifact import new_folder, open_sources, platform_of, seal
from biosnn.devices.cuda.device import (
    compile_program,
    flags,
    seal_program,
    write_program,
)
from biosnn.devices.cuda.tool_checks import architecture as checked_architecture
from biosnn.devices.cuda.tool_checks import tools
from biosnn.errors import DeviceError, ParameterError
from biosnn.program.passes.script_on_gpu import on_gpu
from biosnn.program.program import Program


def write(program: Program, folder: Path, precision: str, math: str, architecture: str) -> Path:
    """Write a program's code; see :func:`biosnn.gpu.write`."""
    with new_folder(folder) as part:
        write_into(program, part, precision, math, architecture)
    return folder


def write_into(
    program: Program, folder: Path, precision: str, math: str, architecture: str
) -> None:
    """Write a program's code into an empty folder."""
    if precision not in ("double", "single"):
        raise ParameterError("gpu.write", "precision", repr(precision), "'double' or 'single'")
    flags(math)
    target = checked_architecture(architecture)
    if program.free_running:
        program = on_gpu(program)
    write_program(program, precision, math, target, folder)
    seal_program(program, math, target, "", folder)


def compile(folder: Path, jobs: int | None) -> Path:
    """Compile a written program; see :func:`biosnn.gpu.compile_program`."""
    manifest = open_sources(folder).manifest
    if manifest["device"] != "cuda":
        raise DeviceError(f"{folder} holds a program for {manifest['device']}, not for CUDA")
    found = tools()
    checked_architecture(manifest["architecture"], found.nvcc)
    compile_program(folder, found, jobs)
    manifest |= {
        "versions": {**manifest["versions"], "cuda": found.release},
        "compiler": f"nvcc {found.release}",
        "platform": platform_of(portable=True),
    }
    seal(folder, manifest)
    return folder
