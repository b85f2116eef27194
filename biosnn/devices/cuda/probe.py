"""What this machine has: GPUs, brian2cuda and the programs that tell of them.

brian2cuda is never imported into this process: its import changes Brian2's global state and may
fail.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata

import attrs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from biosnn.errors import DeviceError


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
    smi = find_program("nvidia-smi", env)
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
    code, output = call([sys.executable, "-P", "-c", "import brian2cuda"], timeout=180)
    if code == 0:
        return ""
    return output.strip().splitlines()[-1] if output.strip() else f"exit status {code}"


def brian2_conflict() -> str:
    """Say which Brian2 the installed brian2cuda needs, if it is not the one that is installed.

    Returns
    -------
    str
        Both versions, as a phrase after brian2cuda's name; empty where they fit, or where one of
        the two packages is not installed.
    """
    try:
        wanted = map(Requirement, metadata.requires("brian2cuda") or ())
        found = metadata.version("brian2")
    except metadata.PackageNotFoundError:
        return ""
    for one in wanted:
        if canonicalize_name(one.name) == "brian2" and not one.specifier.contains(
            found, prereleases=True
        ):
            return f"needs brian2{one.specifier}, but {found} is installed"
    return ""


def require_brian2cuda() -> str:
    """Make sure that brian2cuda is installed with the Brian2 that it needs; imports neither.

    Returns
    -------
    str
        The version of brian2cuda.

    Raises
    ------
    DeviceError
        If it is not installed or needs another version of Brian2.
    """
    version = brian2cuda_version()
    if version is None:
        raise DeviceError(
            "brian2cuda is not installed, but writes the CUDA code: pip install 'biosnn[gpu]'"
        )
    if problem := brian2_conflict():
        needed = problem.removeprefix("needs ").partition(",")[0]
        raise DeviceError(f"brian2cuda {version} {problem}: pip install '{needed}'")
    return version


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


def find_program(command: str, env: Mapping[str, str]) -> str | None:
    """Path of a program, if it can be found."""
    return shutil.which(command, path=env.get("PATH", ""))
