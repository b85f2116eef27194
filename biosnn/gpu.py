"""GPUs: what there is to build and run CUDA code with, and CUDA programs of declared networks.

The functions that look return facts. :func:`tools`, :func:`require_brian2cuda` and
:func:`architecture` insist, and say what is wrong and what to do. brian2cuda is never imported into
this process: its import changes Brian2's global state and may fail.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biosnn.devices.cuda.error_messages import WHEELS, explain, explain_build
from biosnn.devices.cuda.probe import (
    Gpu,
    brian2_conflict,
    brian2cuda_problem,
    brian2cuda_version,
    call,
    list_gpus,
    require_brian2cuda,
)
from biosnn.devices.cuda.tool_checks import (
    OLDEST_CUDA,
    CudaTools,
    architecture,
    compute_capability,
    tools,
    try_tools,
)
from biosnn.devices.cuda.toolchain import (
    Curand,
    Toolchain,
    cuda_release,
    curand,
    every_nvcc,
    find_curand,
    find_curand_library,
    find_nvcc,
    toolchain,
)
from biosnn.errors import ParameterError
from biosnn.progress import Waiting

if TYPE_CHECKING:
    from biosnn.devices.base.binary import CompiledNetwork
    from biosnn.devices.cuda.estimate import Estimate
    from biosnn.networks import NetworkModel
    from biosnn.program.program import Program

__all__ = [
    "OLDEST_CUDA",
    "WHEELS",
    "CudaTools",
    "Curand",
    "Gpu",
    "Toolchain",
    "architecture",
    "brian2_conflict",
    "brian2cuda_problem",
    "brian2cuda_version",
    "build",
    "call",
    "compile_program",
    "compute_capability",
    "cuda_release",
    "curand",
    "estimate",
    "every_nvcc",
    "explain",
    "explain_build",
    "find_curand",
    "find_curand_library",
    "find_nvcc",
    "list_gpus",
    "require_brian2cuda",
    "toolchain",
    "tools",
    "try_tools",
    "write",
]


# --- CUDA programs of declared networks


def build(
    program: Program, precision: str, math: str = "fast", architecture: str = "native"
) -> CompiledNetwork:
    """Compile a program for a GPU, or take it from the build cache; takes minutes.

    This is the device ``cuda`` of :func:`biosnn.simulation.compile`, which see.

    Parameters
    ----------
    program : Program
        A lowered network.
    precision, math
        As in :func:`biosnn.simulation.compile`.
    architecture : str
        Of the GPU, see :func:`architecture`.

    Raises
    ------
    ParameterError
        If an argument is out of its range, or what shall be recorded is unknown.
    DeviceError
        If brian2cuda, a CUDA toolkit or cuRAND is missing or does not fit, or the build fails.
    """
    from biosnn.devices.cuda import device as standalone

    return standalone.build(program, precision, math, architecture)


def estimate(network: NetworkModel, n_parallel: int = 1) -> Estimate:
    """Estimate how long a time step takes on one core, and on a GPU such as an H100.

    Parameters
    ----------
    network : NetworkModel
        The declaration; the spikes of its output are counted.
    n_parallel : int
        Samples at once, or networks in an ensemble.

    Returns
    -------
    Estimate
        See :func:`biosnn.devices.cuda.estimate.estimate`.
    """
    from biosnn.devices.cuda import estimate as estimates
    from biosnn.program.lower import lower
    from biosnn.program.recorders import Record, observed

    program = lower(network, Record(per_sample=observed(network, None)))
    return estimates.estimate(program, n_parallel)


def write(
    network: NetworkModel,
    folder: str | os.PathLike[str],
    *,
    per_sample: Sequence[str] | None = None,
    spikes: Sequence[str] = (),
    traces: Mapping[str, Any] | None = None,
    snapshots: Mapping[str, int] | None = None,
    precision: str = "double",
    math: str = "fast",
    architecture: str = "sm_90",
    n_parallel: int = 1,
) -> Path:
    """Write a network's CUDA program, without compiling it: neither nvcc nor a GPU is needed.

    To compile and run it on this machine, :func:`biosnn.simulation.compile` is enough.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    folder : path-like
        A folder that does not exist yet. It gets ``source/`` with the program and a makefile,
        ``static_arrays/`` and ``state``, which the program reads when it starts, and
        ``manifest.json``.
    per_sample, spikes, traces, snapshots, precision, math, n_parallel
        As in :func:`biosnn.simulation.compile`.
    architecture : str
        Of the GPU, see :func:`architecture`.

    Returns
    -------
    pathlib.Path
        The folder. :func:`compile_program` makes a network of it that
        :func:`biosnn.simulation.load` opens.

    Raises
    ------
    ParameterError
        If an argument is out of its range, or what shall be recorded is unknown.
    DeviceError
        If brian2cuda is missing or does not fit, or refuses the network.
    StorageError
        If the folder exists or cannot be written.
    """
    from biosnn.devices.cuda import project_folders as folders
    from biosnn.program.lower import lower_parallel
    from biosnn.program.recorders import Record, observed

    kept = observed(network, per_sample)
    record = Record(per_sample=kept, spikes=spikes, traces=traces, snapshots=snapshots)
    program = lower_parallel(network, record, n_parallel)
    return folders.write(program, Path(folder), precision, math, architecture)


def compile_program(
    folder: str | os.PathLike[str], jobs: int | None = None, *, progress: bool = True
) -> Path:
    """Compile what :func:`write` wrote, with the tools of this machine; takes minutes.

    Parameters
    ----------
    folder : path-like
        The folder.
    jobs : int, optional
        Files that are compiled at once, by default as many as there are CPUs.
    progress : bool
        Say on stderr that it is compiled, and for how long.

    Returns
    -------
    pathlib.Path
        The folder, which :func:`biosnn.simulation.load` opens now.

    Raises
    ------
    ParameterError
        If ``jobs`` is not > 0.
    DeviceError
        If it holds no CUDA program, the tools are missing or do not fit (see :func:`tools`), or
        nvcc fails.
    StorageError
        If the folder is damaged.
    """
    from biosnn.devices.cuda import project_folders as folders

    if jobs is not None and jobs < 1:
        raise ParameterError("gpu.compile_program", "jobs", jobs, "> 0")
    with Waiting(f"compiling {Path(folder).name!r} with nvcc", progress):
        return folders.compile(Path(folder), jobs)
