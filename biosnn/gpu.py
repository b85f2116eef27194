"""GPUs: what there is to build and run CUDA code with, and CUDA code of declared networks.

The functions that look return facts, never advice; ``biosnn doctor`` words that. brian2cuda is
never imported into this process: its import changes Brian2's global state and may fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from biosnn.errors import DeviceError

if TYPE_CHECKING:
    from biosnn._gpu.project import Project
    from biosnn.networks import NetworkModel

__all__ = [
    "Gpu",
    "Toolchain",
    "brian2cuda_problem",
    "brian2cuda_version",
    "call",
    "compile_project",
    "cuda_release",
    "find_curand",
    "find_nvcc",
    "generate",
    "list_gpus",
    "project",
    "toolchain",
]

# Where the toolkit's installers put it, unless told otherwise.
DEFAULT_HOME = Path("/usr/local/cuda")


@attrs.frozen(kw_only=True)
class Gpu:
    """One NVIDIA GPU.

    Parameters
    ----------
    name : str
        The product, e.g. ``"NVIDIA H100 80GB HBM3"``.
    compute_capability : str or None
        What code must be compiled for, e.g. ``"9.0"``; None if the driver does not tell.
    memory : int or None
        All of its memory (MiB); None if the driver does not tell, as where the CPU's is shared.
    """

    name: str
    compute_capability: str | None
    memory: int | None

    def __str__(self) -> str:
        memory = "memory unknown" if self.memory is None else f"{self.memory} MiB"
        return f"{self.name}, {self.compute_capability or 'capability unknown'}, {memory}"


@attrs.frozen(kw_only=True)
class Toolchain:
    """Everything that GPU builds need, as far as it is there.

    Parameters
    ----------
    nvcc : pathlib.Path or None
        CUDA's compiler.
    cuda_version : str or None
        The release of that compiler, e.g. ``"13.0"``; None without one that runs.
    curand_header : pathlib.Path or None
        ``curand.h``.
    gpus : tuple of Gpu
        The machine's GPUs; a build needs none.
    brian2cuda_version : str or None
        The installed version of brian2cuda.
    """

    nvcc: Path | None
    cuda_version: str | None
    curand_header: Path | None
    gpus: tuple[Gpu, ...]
    brian2cuda_version: str | None


def toolchain(
    env: Mapping[str, str] | None = None, search_path: Sequence[str | Path] | None = None
) -> Toolchain:
    """Look for everything at once; what cannot be found is None or empty.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.
    search_path : sequence of str or pathlib.Path, optional
        Folders of Python packages, by default ``sys.path``; see :func:`find_curand`.

    Returns
    -------
    Toolchain
    """
    nvcc = find_nvcc(env)
    try:
        gpus = list_gpus(env)
    except DeviceError:
        gpus = ()
    return Toolchain(
        nvcc=nvcc,
        cuda_version=None if nvcc is None else cuda_release(nvcc, env),
        curand_header=find_curand(env, search_path),
        gpus=gpus,
        brian2cuda_version=brian2cuda_version(),
    )


# --- the CUDA toolkit


def find_nvcc(env: Mapping[str, str] | None = None) -> Path | None:
    """Find CUDA's compiler: in ``$CUDA_HOME``, ``$CUDA_PATH``, the PATH or the usual folder.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.

    Returns
    -------
    pathlib.Path or None
        The first that may be executed.
    """
    env = os.environ if env is None else env
    homes = [str(home / "bin" / "nvcc") for home in _named_homes(env)]
    for candidate in (*homes, "nvcc", str(DEFAULT_HOME / "bin" / "nvcc")):
        if found := _which(candidate, env):
            return Path(found)
    return None


def cuda_release(nvcc: str | Path, env: Mapping[str, str] | None = None) -> str | None:
    """Ask CUDA's compiler for its release.

    Parameters
    ----------
    nvcc : str or pathlib.Path
        The compiler, see :func:`find_nvcc`.
    env : mapping of str to str, optional
        Environment variables to run it with, by default those of this process.

    Returns
    -------
    str or None
        Major and minor version, e.g. ``"13.0"``; None if it does not run or says something else.
    """
    code, output = call([str(nvcc), "--version"], env=env)
    release = re.search(r"release (\d+\.\d+)", output)
    return release[1] if code == 0 and release else None


def find_curand(
    env: Mapping[str, str] | None = None, search_path: Sequence[str | Path] | None = None
) -> Path | None:
    """Find cuRAND's header, in the CUDA toolkit or else in one of NVIDIA's wheels.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.
    search_path : sequence of str or pathlib.Path, optional
        Folders of Python packages in which to look for the wheels, by default ``sys.path``.

    Returns
    -------
    pathlib.Path or None
        The first ``curand.h``.
    """
    env = os.environ if env is None else env
    headers = [home / "include" / "curand.h" for home in (*_named_homes(env), DEFAULT_HOME)]
    for folder in sys.path if search_path is None else search_path:
        headers += sorted(Path(folder or ".", "nvidia").glob("*/include/curand.h"))
    # Unlike Path.is_file, os.path.isfile says no where it may not look.
    return next((header for header in headers if os.path.isfile(header)), None)


def _named_homes(env: Mapping[str, str]) -> Iterator[Path]:
    return (Path(env[name]) for name in ("CUDA_HOME", "CUDA_PATH") if env.get(name))


# --- GPUs


def list_gpus(env: Mapping[str, str] | None = None) -> tuple[Gpu, ...]:
    """Ask nvidia-smi for the machine's GPUs, also those that ``CUDA_VISIBLE_DEVICES`` hides.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.

    Returns
    -------
    tuple of Gpu
        At least one, in the driver's order.

    Raises
    ------
    DeviceError
        If there is no nvidia-smi or it lists no GPU, with its own words.
    """
    env = os.environ if env is None else env
    smi = _which("nvidia-smi", env)
    if smi is None:
        raise DeviceError("no nvidia-smi on the PATH")
    query = "--query-gpu=name,compute_cap,memory.total"
    code, output = call([smi, query, "--format=csv,noheader"], env=env)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    gpus = tuple(gpu for gpu in map(_read_gpu, lines) if gpu)
    if code != 0 or not gpus:
        raise DeviceError(lines[0] if lines else "nvidia-smi lists none")
    return gpus


def _read_gpu(line: str) -> Gpu | None:
    """Read one line of nvidia-smi's; what it prints beside its table is not one."""
    fields = [field.strip() for field in line.rsplit(",", 2)]
    if len(fields) != 3:
        return None
    name, capability, size = fields
    memory = re.fullmatch(r"(\d+) MiB", size)
    known = re.fullmatch(r"\d+\.\d+", capability)
    if not (memory or size.startswith("[")) or not (known or capability.startswith("[")):
        return None
    return Gpu(
        name=name,
        compute_capability=capability if known else None,
        memory=int(memory[1]) if memory else None,
    )


# --- brian2cuda


def brian2cuda_version() -> str | None:
    """Return the installed version of brian2cuda, or None; does not import it."""
    try:
        return metadata.version("brian2cuda")
    except metadata.PackageNotFoundError:
        return None


def brian2cuda_problem() -> str:
    """Import brian2cuda in a child process, as it fits one version of Brian2 only.

    Returns
    -------
    str
        The last line of what went wrong; empty if nothing did.
    """
    code, output = call([sys.executable, "-c", "import brian2cuda"], timeout=180)
    if code == 0:
        return ""
    return output.strip().splitlines()[-1] if output.strip() else f"exit status {code}"


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


# --- child processes


def call(
    command: Sequence[str], env: Mapping[str, str] | None = None, timeout: float = 60
) -> tuple[int, str]:
    """Run a command to the end, without input.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    env : mapping of str to str, optional
        Its environment variables, by default those of this process.
    timeout : float
        When to give up (s).

    Returns
    -------
    status : int
        Its exit status; 124 if it took too long, 127 if it could not be started.
    output : str
        All that it printed, or why it did not.
    """
    try:
        done = subprocess.run(
            command,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {timeout:g} s"
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout


def _which(command: str, env: Mapping[str, str]) -> str | None:
    return shutil.which(command, path=env.get("PATH", ""))
