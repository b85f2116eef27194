"""GPUs: what there is to build and run CUDA code with, and CUDA code of declared networks.

The functions that look return facts. :func:`tools`, :func:`require_brian2cuda` and
:func:`architecture` insist, and say what is wrong and what to do. brian2cuda is never imported into
this process: its import changes Brian2's global state and may fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biosnn._gpu.crossover import Estimate, estimate
from biosnn._gpu.explain import WHEELS, explain, explain_build
from biosnn._gpu.facts import (
    Gpu,
    brian2_conflict,
    brian2cuda_problem,
    brian2cuda_version,
    call,
    list_gpus,
    require_brian2cuda,
)
from biosnn._gpu.toolchain import (
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
from biosnn._gpu.tools import (
    OLDEST_CUDA,
    CudaTools,
    architecture,
    compute_capability,
    tools,
    try_tools,
)
from biosnn.errors import DeviceError

if TYPE_CHECKING:
    from biosnn._gpu.project import Project
    from biosnn.networks import NetworkModel

__all__ = [
    "OLDEST_CUDA",
    "WHEELS",
    "CudaTools",
    "Curand",
    "Estimate",
    "Gpu",
    "Toolchain",
    "architecture",
    "brian2_conflict",
    "brian2cuda_problem",
    "brian2cuda_version",
    "call",
    "compile_project",
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
    "generate",
    "list_gpus",
    "project",
    "require_brian2cuda",
    "toolchain",
    "tools",
    "try_tools",
]


# --- CUDA code of declared networks


def project(
    network: NetworkModel,
    folder: str | os.PathLike[str],
    samples: Mapping[str, Any],
    *,
    learn: bool | Iterable[str] = False,
    state: Mapping[str, Any] | None = None,
    seed: int = 0,
    spikes: Iterable[str] | None = None,
    precision: str = "double",
    math: str = "fast",
    compute_capability: str = "9.0",
    cuda_version: str = "13.0",
) -> Project:
    """Prepare a CUDA program that shows samples to a declared network once.

    The samples, the state and the seed are part of the program: there is no protocol for
    chunks as on the device ``cpp``, and a sample is never shown again.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    folder : path-like
        Where the project goes.
    samples : dict
        Input -> array (n, features) or (n, T, features), or arrays (sample, unit, time in s) of
        address events; ``"n_samples"`` where nothing tells.
    learn : bool or sequence of str
        Projections that learn: all, none, or those.
    state : State, optional
        State to begin with, by default the network's with this seed.
    seed : int
        Key of the counter-based draws.
    spikes : sequence of str, optional
        Populations whose spikes are recorded, by default all that spike.
    precision : {"double", "single"}
        Of state variables.
    math : {"fast", "strict"}
        ``fast`` lets nvcc use approximate functions and fused operations; ``strict`` gives the
        results of other devices on the same input, up to the last digits of ``exp`` and its like
        and the order of sums.
    compute_capability, cuda_version : str
        What the code is for, e.g. ``"9.0"`` and ``"13.0"``; no GPU needs to be there.

    Returns
    -------
    Project
        Its ``network``, ``folder`` and number ``n`` of samples; ``run()`` and ``results()`` once
        it is compiled.

    Raises
    ------
    ParameterError, DataError
        If a GPU cannot do what the network declares, or a setting or an input does not fit.
    """
    from biosnn._gpu.project import Project

    return Project(
        network,
        folder,
        samples,
        learn=learn,
        state=state,
        seed=seed,
        spikes=spikes,
        precision=precision,
        math=math,
        compute_capability=compute_capability,
        cuda_version=cuda_version,
    )


def generate(*projects: Project) -> None:
    """Write the CUDA code of projects, in one child process.

    Parameters
    ----------
    *projects : Project
        What :func:`project` made.

    Raises
    ------
    DeviceError
        If brian2cuda is not installed, or refuses a network, with its words. The other
        projects are written nevertheless; ``refused()`` of each one tells.
    """
    from biosnn._gpu.project import generate as generate_all

    if brian2cuda_version() is None:
        raise DeviceError("CUDA code needs brian2cuda: pip install 'biosnn[gpu]'")
    generate_all(projects)
    for made in projects:
        if made.refused():
            raise DeviceError(
                f"brian2cuda cannot write {made.network.name}. It said: {made.refused()}"
            )


def compile_project(project: Project, jobs: int = 1) -> Path:
    """Compile a generated project with CUDA's compiler; takes minutes.

    Parameters
    ----------
    project : Project
        What :func:`generate` wrote.
    jobs : int
        Files that are compiled at once.

    Returns
    -------
    pathlib.Path
        The binary.

    Raises
    ------
    DeviceError
        If there is no nvcc or no cuRAND, or nvcc fails, with its first lines.
    """
    nvcc, curand = find_nvcc(), find_curand()
    if nvcc is None or curand is None:
        missing = "nvcc (install the CUDA toolkit)" if nvcc is None else "cuRAND's header"
        raise DeviceError(f"compiling CUDA code needs {missing}: run `biosnn doctor`")
    return project.compile(nvcc, curand, jobs)
