"""CUDA programs for other machines, which need a CUDA toolkit there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from biosnn.devices.base.job_target import JobTarget
from biosnn.progress import Waiting

if TYPE_CHECKING:
    from biosnn.program.program import Program


def _write(program: Program, precision: str, math: str, arch: str | None, folder: Path) -> None:
    from biosnn.devices.cuda import project_folders  # imports Brian2

    project_folders.write_into(program, folder, precision, math, str(arch))


def _compile(folder: Path) -> None:
    from biosnn.devices.cuda import project_folders

    with Waiting(f"compiling {folder.name!r} with nvcc"):
        project_folders.compile(folder, None)


TARGET = JobTarget(
    write_sources=_write,
    compile=_compile,
    without_binary="call gpu.compile_program({folder!r})",
    needs="CUDA 12 or 13 with nvcc and cuRAND, the C++ compiler that nvcc wants, and make",
    module="cuda",
    compiling="minutes",
    memory=8,
    arch=r"sm_\d{2,3}[af]?",
    example="sm_90 (an H100) or sm_80 (an A100)",
    slurm=("--gres=gpu:1",),
)
