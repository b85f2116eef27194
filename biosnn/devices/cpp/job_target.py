"""C++ programs for other machines, which need a compiler and ``make`` there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from biosnn.devices.base.job_target import JobTarget
from biosnn.errors import DeviceError
from biosnn.progress import Waiting

if TYPE_CHECKING:
    from biosnn.program.program import Program


def _write(program: Program, precision: str, math: str, arch: str | None, folder: Path) -> None:
    from biosnn.devices.cpp import device  # imports Brian2

    device.write_sources(program, precision, math, arch, folder)


def _make(folder: Path) -> None:
    try:
        with Waiting("compiling the network with make"):
            done = subprocess.run(["make"], cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DeviceError(
            "--compile needs the program make: install it, or leave --compile out and let the "
            "other machine compile"
        ) from error
    if done.returncode != 0:
        head = "\n".join(done.stderr.strip().splitlines()[:12])
        raise DeviceError(
            f"the network in {folder.name} did not compile here: install its compiler, or leave "
            f"--compile out and let the other machine compile. make said:\n{head}"
        )


TARGET = JobTarget(
    write_sources=_write,
    compile=_make,
    without_binary="the job that it belongs to compiles it; to run it here, compile it anew",
    needs="a C++17 compiler (g++, or set CXX) and make",
    module="gcc",
    compiling="a fraction of a minute",
    memory=1,
    arch=r"[a-z0-9][a-z0-9._+-]*",
    example="native or x86-64-v3",
    any_arch=True,
)
