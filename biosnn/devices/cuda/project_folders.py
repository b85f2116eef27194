"""CUDA programs in folders of their own: written on one machine, compiled there or on another."""

from __future__ import annotations

from pathlib import Path

from biosnn.devices.base.artifact import new_folder, open_sources, platform_of, seal
from biosnn.devices.base.code_process import request_of
from biosnn.devices.cuda.device import (
    compile_program,
    flags,
    seal_program,
    write_program,
)
from biosnn.devices.cuda.tool_checks import architecture as checked_architecture
from biosnn.devices.cuda.tool_checks import tools
from biosnn.errors import DeviceError, ParameterError
from biosnn.networks import NetworkModel
from biosnn.program.recorders import Record, check_record
from biosnn.program.replicas import Replicas


def write(
    network: NetworkModel,
    folder: Path,
    record: Record,
    precision: str,
    math: str,
    architecture: str,
    replicas: Replicas,
) -> Path:
    """Write a program; see :func:`biosnn.gpu.write`."""
    with new_folder(folder) as part:
        write_into(network, part, record, precision, math, architecture, replicas)
    return folder


def write_into(
    network: NetworkModel,
    folder: Path,
    record: Record,
    precision: str,
    math: str,
    architecture: str,
    replicas: Replicas | None = None,
) -> None:
    """Write a program into an empty folder."""
    if precision not in ("double", "single"):
        raise ParameterError("gpu.write", "precision", repr(precision), "'double' or 'single'")
    flags(math)
    target = checked_architecture(architecture)
    check_record(network, record)
    request = request_of(network, record, precision, replicas)
    write_program(request, math, target, folder)
    seal_program(request, math, target, "", folder)


def compile(folder: Path, jobs: int | None) -> Path:
    """Compile a written program; see :func:`biosnn.gpu.compile`."""
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
