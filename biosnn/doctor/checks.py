"""The checks: Python and its packages, the C++ toolchain, folders, and the GPU toolchain."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import attrs
from packaging.specifiers import SpecifierSet

from biosnn import gpu
from biosnn.devices.base.cache import cache_folder, check_owners, entries
from biosnn.devices.cpp.compiler import compiler, describe, flags
from biosnn.doctor import probe as facts
from biosnn.doctor.test_programs import HELLO, HELLO_OPENMP, HELLO_VECTOR
from biosnn.errors import DeviceError
from biosnn.gpu import call

Status = Literal["ok", "warn", "fail"]

# The same bounds as in pyproject.toml; a test compares them.
PYTHON_WANTED = ">=3.12"
BRIAN2_WANTED = ">=2.10,<2.12"
TORCH_WANTED = {"torch": ">=2.6", "torchvision": ">=0.21"}
BRIAN2CUDA_WANTED = "==1.0b1"

# Below the first a build will not fit, below the second a long run may not (GiB).
DISK_NEEDED, DISK_ADVISED = 0.25, 2.0

IMPORT = """import importlib, sys
print(*(f"{m} {importlib.import_module(m).__version__}" for m in sys.argv[1:]), sep=", ")
"""


@attrs.frozen(kw_only=True)
class Check:
    """The result of one check.

    Parameters
    ----------
    name : str
        What was looked at.
    status : {"ok", "warn", "fail"}
        ``"warn"``: something optional is missing; ``"fail"``: biosnn cannot do its work.
    found : str
        What is there.
    wanted : str
        What should be there.
    remedy : str
        What to do about it, one sentence; empty where all is well.
    """

    name: str
    status: Status = attrs.field(validator=attrs.validators.in_(("ok", "warn", "fail")))
    found: str
    wanted: str
    remedy: str = ""


def run_checks() -> list[Check]:
    """Run all checks.

    Returns
    -------
    list of Check
        In the order in which a reader would want to mend them.
    """
    temp, cache = Path(tempfile.gettempdir()), cache_folder()
    checks: list[Callable[[], Check]] = [
        check_python,
        check_brian2,
        check_compiler,
        check_native_flags,
        check_cpu,
        check_openmp,
        check_make,
        check_python_headers,
        partial(check_disk, "temporary folder, space", temp),
        partial(check_writable, "temporary folder, writing", temp, "TMPDIR"),
        partial(check_disk, "cache folder, space", cache),
        partial(check_writable, "cache folder, writing", cache, "BIOSNN_CACHE_DIR", "warn"),
        check_cache,
        check_torch,
        check_brian2cuda,
        check_nvcc,
        check_curand,
        check_cuda_build,
        check_gpu,
    ]
    # Nearly all the time is spent waiting for child processes.
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda check: check(), checks))


def exit_status(checks: Iterable[Check]) -> int:
    """Return 1 if any check failed, else 0: warnings are about what is optional."""
    return int(any(check.status == "fail" for check in checks))


def as_json(checks: Iterable[Check]) -> str:
    """Return the findings as one line of JSON: an object with ``checks`` and ``exit_status``."""
    checks = list(checks)
    return json.dumps(
        {"checks": [attrs.asdict(check) for check in checks], "exit_status": exit_status(checks)}
    )


# --- Python and its packages


def check_python(version: Sequence[int] = sys.version_info[:3]) -> Check:
    """Compare a Python version, by default that of this interpreter, with what biosnn needs."""
    found = ".".join(map(str, version))
    good = found in SpecifierSet(PYTHON_WANTED)
    return Check(
        name="Python",
        status="ok" if good else "fail",
        found=found,
        wanted=PYTHON_WANTED,
        remedy=""
        if good
        else "Make the environment anew with a newer Python: PYTHON=... make setup.",
    )


def check_brian2(probe: Callable[..., tuple[str, str]] | None = None) -> Check:
    """Import Brian2 in a child process and compare its version with the bounds."""
    versions, error = (probe or import_in_child)("brian2")
    version = versions.removeprefix("brian2 ")
    reinstall = f"Install it into the same environment: pip install 'brian2{BRIAN2_WANTED}'."
    check = partial(Check, name="Brian2", wanted=BRIAN2_WANTED)
    if error:
        return check(status="fail", found=error, remedy=reinstall)
    if not SpecifierSet(BRIAN2_WANTED).contains(version, prereleases=True):
        return check(status="fail", found=version, remedy=reinstall)
    return check(status="ok", found=version)


def check_python_headers(include: str | None = None) -> Check:
    """Look for Python.h, without which Brian2's runtime device cannot compile with Cython."""
    header = Path(include or sysconfig.get_path("include")) / "Python.h"
    check = partial(Check, name="Python headers", wanted="Python.h (optional, for device runtime)")
    if header.is_file():
        return check(status="ok", found=str(header))
    remedy = "Install your Python's development package, e.g. 'sudo apt install python3-dev'."
    return check(status="warn", found=f"no {header}: slow NumPy code instead", remedy=remedy)


def check_torch(probe: Callable[..., tuple[str, str]] | None = None) -> Check:
    """Import torch and torchvision, which must fit each other, in a child process."""
    versions, error = (probe or import_in_child)("torch", "torchvision")
    names = " and ".join(f"{name} {bounds}" for name, bounds in TORCH_WANTED.items())
    check = partial(Check, name="PyTorch", wanted=f"{names} (optional, for surrogate gradients)")
    remedy = "If you want surrogate gradients: pip install 'biosnn[torch]'."
    if error:
        return check(status="warn", found=error, remedy=remedy)
    for name, version in (part.split(" ", 1) for part in versions.split(", ")):
        if not SpecifierSet(TORCH_WANTED[name]).contains(version, prereleases=True):
            return check(status="warn", found=f"{versions}: {name} does not fit", remedy=remedy)
    return check(status="ok", found=versions)


def import_in_child(*modules: str) -> tuple[str, str]:
    """Import modules in a new interpreter, and nothing that lies in the current folder.

    Returns
    -------
    versions, error : str
        One of them is empty: ``"torch 2.9.0, torchvision 0.24.0"``, or the reason.
    """
    code, output = call([sys.executable, "-P", "-c", IMPORT, *modules], timeout=180)
    last = output.strip().splitlines()[-1] if output.strip() else f"exit status {code}"
    if code == 0:
        return last, ""
    missing = re.search(rf"No module named '({'|'.join(map(re.escape, modules))})'", last)
    return "", f"{missing[1]} is not installed" if missing else f"import failed: {last}"


# --- the C++ toolchain


def check_compiler() -> Check:
    """Compile and run a hello world with the compiler that device cpp uses."""
    check = partial(
        Check, name="C++ compiler", wanted="a working C++ compiler ($CXX, g++, clang++)"
    )
    try:
        command = compiler()
        problem = _try_build([*command, *flags("strict", portable=True)], HELLO)
        version = "" if problem else describe(command)
    except DeviceError as error:
        remedy = "Install one, e.g. 'sudo apt install g++', or on macOS 'xcode-select --install'."
        return check(status="fail", found=str(error).partition(": ")[0], remedy=remedy)
    if problem:
        remedy = "Reinstall it with its standard library, or set CXX to a compiler that works."
        return check(status="fail", found=f"{shlex.join(command)} {problem}", remedy=remedy)
    return check(status="ok", found=f"{version} ({shlex.join(command)})")


def check_native_flags() -> Check:
    """Compile and run vector code for exactly this CPU, which is the default of device cpp."""
    options = flags("fast", portable=False)
    check = partial(Check, name="CPU flags", wanted=f"{options[-1]} gives code that runs here")
    try:
        problem = _try_build([*compiler(), *options], HELLO_VECTOR)
    except DeviceError:
        return check(status="warn", found="not tried", remedy="Install a C++ compiler first.")
    if problem:
        remedy = f"Build with --portable, which leaves {options[-1]} out."
        return check(status="warn", found=f"{options[-1]} {problem}", remedy=remedy)
    return check(status="ok", found=f"{options[-1]} works on {platform.machine()}")


def check_cpu(features: Callable[[], dict[str, bool] | None] = facts.cpu_features) -> Check:
    """Name the architecture and the vector instructions that a build for this CPU may use."""
    check = partial(Check, name="CPU features", wanted="vector instructions (AVX2, AVX-512, NEON)")
    machine, there = platform.machine(), features()
    if there is None:
        remedy = "Build with portable=True (--portable) what shall run on other computers, too."
        return check(status="warn", found=f"{machine}, features unknown", remedy=remedy)
    names = [name if present else f"no {name}" for name, present in there.items()]
    note = "builds without portable=True (--portable) run only on CPUs with the same features"
    return check(status="ok", found=f"{', '.join([machine, *names])}; {note}")


def check_openmp() -> Check:
    """Compile and run a program with OpenMP, which biosnn itself does not need."""
    check = partial(Check, name="OpenMP", wanted="-fopenmp works (optional, not used by biosnn)")
    instead = "biosnn does not need it: to use several cores, runs are processes"
    try:
        command = compiler()
        problem = _try_build([*command, *flags("strict", portable=True), "-fopenmp"], HELLO_OPENMP)
    except DeviceError:
        return check(status="warn", found="not tried", remedy="Install a C++ compiler first.")
    if problem:
        remedy = f"Nothing needs to be done, {instead}."
        return check(
            status="warn", found=f"-fopenmp: {shlex.join(command)} {problem}", remedy=remedy
        )
    return check(status="ok", found=f"-fopenmp works; {instead}")


def check_make() -> Check:
    """Look for make, which builds the projects of brian2cuda and of Brian2 itself."""
    check = partial(Check, name="make", wanted="make on the PATH (optional, for device cuda)")
    if shutil.which("make") is None:
        remedy = "Install it, e.g. 'sudo apt install make', or on macOS 'xcode-select --install'."
        return check(status="warn", found="no make on the PATH", remedy=remedy)
    _, output = call(["make", "--version"])
    return check(status="ok", found=next(iter(output.splitlines()), "make"))


def _try_build(command: Sequence[str], source: str) -> str:
    """Build and run a program; return what went wrong, or an empty string."""
    try:
        with tempfile.TemporaryDirectory(prefix="biosnn_doctor_") as folder:
            program = Path(folder, "hello")
            Path(folder, "hello.cpp").write_text(source)
            code, output = call([*command, f"{program}.cpp", "-o", str(program)])
            if code != 0:
                reason = next(iter(output.splitlines()), "no message")
                return f"cannot compile a small program (exit status {code}: {reason})"
            code, output = call([str(program)])
    except OSError as error:
        return f"could not be tried: {error}"
    return "" if output == "hello" else f"makes programs that do not run here (exit status {code})"


# --- folders


def check_disk(
    name: str, folder: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
) -> Check:
    """Measure the free space where a folder is, or would be."""
    free = usage(_existing(folder))[2] / 2**30
    status: Status = "ok"
    if free < DISK_ADVISED:
        status = "warn" if free >= DISK_NEEDED else "fail"
    return Check(
        name=name,
        status=status,
        found=f"{free:.1f} GiB free in {folder}",
        wanted=f"{DISK_ADVISED:g} GiB ({DISK_NEEDED:g} at the very least)",
        remedy="" if status == "ok" else f"Free some space on the disk that holds {folder}.",
    )


def check_writable(name: str, folder: Path, variable: str, otherwise: Status = "fail") -> Check:
    """Write a file where a folder is, or would be; `variable` can point to another folder."""
    check = partial(Check, name=name, wanted="files can be written")
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"biosnn")
    except OSError as error:
        remedy = f"Set {variable} to a folder that you may write to."
        return check(status=otherwise, found=f"{folder}: {error.strerror}", remedy=remedy)
    return check(status="ok", found=str(folder))


def check_cache() -> Check:
    """Count the builds in the cache and measure them."""
    wanted = "builds with a manifest that can be read, which nobody else may write"
    check = partial(Check, name="build cache", wanted=wanted)
    try:
        builds = entries()
        check_owners()
    except DeviceError as error:
        problem, _, remedy = str(error).rpartition(": ")
        return check(status="fail", found=problem, remedy=f"{remedy[:1].upper()}{remedy[1:]}.")
    damaged = sum(not build.complete for build in builds)
    size = sum(build.bytes for build in builds) / 2**20
    found = f"{len(builds)} build{'s' * (len(builds) != 1)}, {size:.1f} MiB in {cache_folder()}"
    if damaged:
        remedy = "They are built anew when needed; 'biosnn cache clear' removes all builds."
        return check(status="warn", found=f"{found}, {damaged} of them damaged", remedy=remedy)
    return check(status="ok", found=found)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if _is_there(path))


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # unlike Path.exists, says no where it may not look


# --- the GPU toolchain, all of it optional


def check_brian2cuda() -> Check:
    """Look for brian2cuda, which pins one version of Brian2, and import it in a child process."""
    wanted = f"brian2cuda{BRIAN2CUDA_WANTED} (optional, for device cuda)"
    check = partial(Check, name="brian2cuda", wanted=wanted)
    remedy = "If you want device cuda: pip install 'biosnn[gpu]'."
    version = gpu.brian2cuda_version()
    if version is None:
        return check(status="warn", found="brian2cuda is not installed", remedy=remedy)
    problem = gpu.brian2_conflict()
    if not SpecifierSet(BRIAN2CUDA_WANTED).contains(version, prereleases=True):
        problem = problem or "another version than biosnn is made for"
    if problem:
        return check(status="warn", found=f"{version}, {problem}", remedy=remedy)
    if problem := gpu.brian2cuda_problem():
        return check(status="warn", found=f"{version}, import failed: {problem}", remedy=remedy)
    return check(status="ok", found=f"brian2cuda {version}")


def check_nvcc(env: Mapping[str, str] | None = None) -> Check:
    """Find CUDA's compiler and read its version."""
    wanted = ".".join(map(str, gpu.OLDEST_CUDA))
    check = partial(Check, name="nvcc", wanted=f"nvcc of CUDA >={wanted} (optional, device cuda)")
    nvcc = gpu.find_nvcc(env)
    if nvcc is None:
        remedy = f"Install the CUDA toolkit and set CUDA_HOME to it, or {gpu.WHEELS}."
        return check(status="warn", found="not found", remedy=remedy)
    release = gpu.cuda_release(nvcc, env)
    if release is None:
        remedy = f"Reinstall the CUDA toolkit: '{nvcc} --version' must print its release."
        return check(status="warn", found=f"{nvcc} does not run", remedy=remedy)
    if tuple(map(int, release.split("."))) < gpu.OLDEST_CUDA:
        remedy = f"Install CUDA {wanted} or later and set CUDA_HOME to it."
        return check(status="warn", found=f"CUDA {release} ({nvcc}) is too old", remedy=remedy)
    return check(status="ok", found=f"CUDA {release} ({nvcc})")


def check_curand(
    env: Mapping[str, str] | None = None, search_path: Sequence[str | Path] | None = None
) -> Check:
    """Find cuRAND's headers and library, in the CUDA toolkit or in NVIDIA's wheels."""
    check = partial(
        Check, name="cuRAND", wanted="curand.h and libcurand.so (optional, device cuda)"
    )
    found = gpu.curand(env, search_path)
    if found is None:
        remedy = "To build for a GPU: pip install 'biosnn[gpu]' (with CUDA 12: nvidia-curand-cu12)."
        return check(status="warn", found="not found", remedy=remedy)
    problem = facts.curand_conflict(found, env)
    if found.library is None:
        problem = problem or "has no libcurand.so beside it"
    if problem:
        remedy = "Install the wheel for that release (nvidia-curand, with CUDA 12 ...-cu12)."
        return check(status="warn", found=f"{found.header} {problem}", remedy=remedy)
    return check(status="ok", found=f"{found.header}, {found.library}")


def check_cuda_build(
    env: Mapping[str, str] | None = None, search_path: Sequence[str | Path] | None = None
) -> Check:
    """Compile and link a small CUDA program with cuRAND; it is not run."""
    check = partial(
        Check, name="CUDA build", wanted="CUDA programs compile (optional, device cuda)"
    )
    try:
        tools = gpu.tools(env, search_path)
        gpu.try_tools(tools, env=env)
    except DeviceError as error:
        reason, _, remedy = str(error).partition(": ")
        remedy = remedy or "Run nvcc by hand on a small program, and mend what it says."
        return check(status="warn", found=reason, remedy=remedy[0].upper() + remedy[1:])
    return check(status="ok", found="; ".join(["a small program compiles", *tools.notes]))


def check_gpu(env: Mapping[str, str] | None = None) -> Check:
    """Ask nvidia-smi which GPUs there are."""
    check = partial(Check, name="GPU", wanted="an NVIDIA GPU with its driver (optional)")
    try:
        found = "; ".join(map(str, gpu.list_gpus(env)))
        problem = facts.gpu_conflict(env)
    except DeviceError as error:
        remedy = "Run on the CPU with device cpp, or see to it that 'nvidia-smi' lists a GPU."
        return check(status="warn", found=str(error), remedy=remedy)
    if problem:
        remedy = "Install a newer CUDA toolkit and set CUDA_HOME to it."
        return check(status="warn", found=f"{found}; {problem}", remedy=remedy)
    return check(status="ok", found=found)
