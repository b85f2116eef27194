"""The emulation in place of CUDA's compiler: the device ``cuda`` builds programs for the CPU."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from biosnn.devices.base.artifact import BINARY
from biosnn.devices.cuda import device as standalone
from biosnn.devices.cuda.tool_checks import CudaTools
from cuda_emulation import compile_on_cpu


@contextmanager
def emulated_nvcc(flags: Iterable[str] = ("-O1",)) -> Iterator[None]:
    """Have what is compiled for the device ``cuda`` run on the CPU.

    Parameters
    ----------
    flags : iterable of str
        See :func:`cuda_emulation.compile_on_cpu`.
    """
    flags = tuple(flags)
    found = CudaTools(
        nvcc=Path("/emulated", *flags, "nvcc"),
        home=Path("/emulated"),
        release="13.0",
        curand_header=Path("curand.h"),
        curand_library=Path("libcurand.so"),
        include_flags=(),
        library_flags=(),
        host_compiler="g++",
    )

    def compile_program(folder: Path, found: CudaTools, jobs: int | None = None) -> Path:
        binary = compile_on_cpu(folder / standalone.SOURCE, flags=flags)
        shutil.move(binary, folder / BINARY)
        shutil.rmtree(binary.parent)
        return folder / BINARY

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standalone, "tools", lambda: found)
        patch.setattr(standalone, "compile_program", compile_program)
        yield
