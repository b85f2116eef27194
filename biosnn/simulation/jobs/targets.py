"""Devices for which jobs can be written: their sources, and what is needed to compile them."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from biosnn import gpu
from biosnn.devices.base.artifact import Artifact, open_sources
from biosnn.devices.base.contract import Session
from biosnn.errors import DeviceError, ParameterError
from biosnn.progress import Waiting

if TYPE_CHECKING:
    from biosnn.program.program import Program
    from biosnn.state import State


@attrs.frozen(kw_only=True)
class Target:
    """A device whose networks are compiled and run by a shell script, on any machine.

    A network's folder is an artifact (see :mod:`biosnn.devices.base.artifact`) without its binary:
    ``make`` in it makes ``main``, which takes one argument, the settings of a chunk, and is run
    with the folder as the current one. Without an argument it says ``usage: main SETTINGS``.

    Parameters
    ----------
    write_sources : callable
        Writes such an artifact: ``write_sources(program, precision, math, arch, folder)``
        into an empty folder.
    compile : callable
        Adds the binary here.
    needs : str
        What a machine must have to compile a network.
    module : str
        What clusters tend to call that.
    compiling : str
        How long it takes.
    memory : int
        GiB that compiling and the program need, besides the network's state.
    arch : str
        Regular expression of what ``--arch`` may be.
    example : str
        One that it may be.
    any_arch : bool
        Whether it may be left out.
    slurm : tuple of str
        What a job asks for, besides time and memory.
    """

    write_sources: Callable[[Program, str, str, str | None, Path], None]
    compile: Callable[[Path], object]
    needs: str
    module: str
    compiling: str
    memory: int
    arch: str
    example: str
    any_arch: bool = False
    slurm: tuple[str, ...] = ()

    def check_arch(self, arch: str | None) -> None:
        """Check an architecture.

        Raises
        ------
        ParameterError
            If it cannot be one.
        """
        if arch is None and self.any_arch:
            return
        if arch is None or not re.fullmatch(self.arch, arch):
            wanted = f"an architecture such as {self.example}"
            raise ParameterError("biosnn build", "--arch", repr(arch), wanted)


def _write_cpp(program: Program, precision: str, math: str, arch: str | None, folder: Path) -> None:
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


TARGETS: Mapping[str, Target] = {
    "cpp": Target(
        write_sources=_write_cpp,
        compile=_make,
        needs="a C++17 compiler (g++, or set CXX) and make",
        module="gcc",
        compiling="a fraction of a minute",
        memory=1,
        arch=r"[a-z0-9][a-z0-9._+-]*",
        example="native or x86-64-v3",
        any_arch=True,
    ),
    "cuda": Target(
        write_sources=gpu.write_sources,
        compile=gpu.compile_program,
        needs="CUDA 12 or 13 with nvcc and cuRAND, the C++ compiler that nvcc wants, and make",
        module="cuda",
        compiling="minutes",
        memory=8,
        arch=r"sm_\d{2,3}[af]?",
        example="sm_90 (an H100) or sm_80 (an A100)",
        slurm=("--gres=gpu:1",),
    ),
}


def target_of(device: str) -> Target:
    """The target of this name.

    Raises
    ------
    ParameterError
        If jobs cannot be written for the device.
    """
    if device not in TARGETS:
        wanted = "a device that compiles networks (" + ", ".join(TARGETS) + ")"
        raise ParameterError("biosnn build", "--device", repr(device), wanted)
    return TARGETS[device]


class Sources:
    """A network that is not compiled: it can become a job, and cannot run.

    Parameters
    ----------
    artifact : Artifact
        Sources, makefile and state.
    folder : tempfile.TemporaryDirectory, optional
        Where it is, if it is needed no longer than this object.
    """

    build_seconds = 0.0
    longest_chunk: int | None = None

    def __init__(self, artifact: Artifact, folder: tempfile.TemporaryDirectory[str] | None = None):
        self.artifact, self._folder = artifact, folder
        self.interface, self.defaults = artifact.interface, artifact.defaults()

    def session(self, state: State, folder: Path) -> contextlib.AbstractContextManager[Session]:
        """See :class:`biosnn.devices.base.contract.Device`."""
        raise DeviceError("the network is not compiled: compile it with build=True to run it here")


def sources(device: str, program: Program, precision: str, math: str, arch: str | None) -> Sources:
    """Write a program's sources into a temporary folder.

    Raises
    ------
    ParameterError
        If the device does not compile networks, or the architecture is none.
    """
    target = target_of(device)
    target.check_arch(arch)
    folder = tempfile.TemporaryDirectory(prefix="biosnn-sources-")
    target.write_sources(program, precision, math, arch, Path(folder.name))
    return Sources(open_sources(Path(folder.name)), folder)
