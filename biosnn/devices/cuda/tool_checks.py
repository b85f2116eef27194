"""Everything that compiles CUDA code, checked; every failure in words and with its remedy."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from biosnn.devices.cuda.error_messages import WHEELS, explain_build
from biosnn.devices.cuda.probe import call, find_program, list_gpus
from biosnn.devices.cuda.toolchain import (
    Curand,
    cuda_release,
    curand,
    every_nvcc,
    home_of,
    library_folders,
)
from biosnn.errors import DeviceError, ParameterError

#: brian2cuda is tried with no release before the first, and biosnn with none after the second.
OLDEST_CUDA, NEWEST_CUDA = (12, 0), (13, 0)

# The headers that generated code needs. Thrust compares its release with that of the compiler.
_PROBE = """#include <cuda_profiler_api.h>
#include <curand.h>
#include <curand_kernel.h>
#include <thrust/detail/config.h>
"""
_TRIAL = """#include <curand.h>
#include <thrust/version.h>
__global__ void set(double* x) { *x = 1; }
int main() {
    curandGenerator_t generator;
    double* x;
    if (curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT) != CURAND_STATUS_SUCCESS)
        return 1;
    cudaMalloc(&x, sizeof(double));
    set<<<1, 1>>>(x);
    return cudaDeviceSynchronize() != cudaSuccess;
}
"""


@attrs.frozen(kw_only=True)
class CudaTools:
    """What compiles and links CUDA code here, and fits together.

    Parameters
    ----------
    nvcc : pathlib.Path
        CUDA's compiler.
    home : pathlib.Path
        The folder of its toolkit.
    release : str
        Its release, e.g. ``"13.0"``.
    curand_header : pathlib.Path
        ``curand.h``.
    curand_library : pathlib.Path
        ``libcurand.so``, or ``libcurand.so.10`` in a wheel.
    include_flags : tuple of str
        For nvcc, to compile: where cuRAND's headers are. They come behind nvcc's own (``-isystem``,
        not ``-I``), as the folder of a wheel often holds headers of another release of CUDA.
    library_flags : tuple of str
        For nvcc, to link: cuRAND, CUDA's runtime, and where the program shall look for both.
    host_compiler : str
        The C++ compiler that nvcc calls; empty if it is not on the PATH.
    notes : tuple of str
        What a user should know, although nothing is wrong.
    """

    nvcc: Path
    home: Path
    release: str
    curand_header: Path
    curand_library: Path
    include_flags: tuple[str, ...]
    library_flags: tuple[str, ...]
    host_compiler: str
    notes: tuple[str, ...] = ()


def tools(
    env: Mapping[str, str] | None = None, search_path: Sequence[str | Path] | None = None
) -> CudaTools:
    """Find all that compiles CUDA code, and check that it fits together; takes 0.3 s.

    The C++ compiler and the headers are checked by having nvcc read them, without a GPU.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.
    search_path : sequence of str or pathlib.Path, optional
        Folders of Python packages in which to look for wheels, by default ``sys.path``.

    Returns
    -------
    CudaTools

    Raises
    ------
    DeviceError
        If there is no nvcc, it does not run or is older than CUDA 12.0; if cuRAND's header or
        library is missing or serves another CUDA; if nvcc does not accept the C++ compiler or the
        headers. The message says what to do.
    """
    env = os.environ if env is None else env
    nvcc, release = _compiler(env, search_path)
    found = _curand(curand(env, search_path, release), nvcc, release)
    assert found.library is not None
    home, notes = home_of(nvcc, env), []
    if _numbers(release)[0] > NEWEST_CUDA[0]:
        tested = f"{OLDEST_CUDA[0]} and {NEWEST_CUDA[0]}"
        notes.append(f"CUDA {release} is newer than those that biosnn is made for ({tested})")
    made = CudaTools(
        nvcc=nvcc,
        home=home,
        release=release,
        curand_header=found.header,
        curand_library=found.library,
        include_flags=_include_flags(home, found.header),
        library_flags=_library_flags(home, found.library),
        host_compiler=env.get("NVCC_CCBIN") or find_program("g++", env) or "",
        notes=tuple(notes),
    )
    with tempfile.TemporaryDirectory(prefix="biosnn_cuda_") as folder:
        _ask(made, folder, _PROBE, ["-E", "-o", "probe.ii", *made.include_flags], env)
    return made


def try_tools(
    found: CudaTools, architecture: str = "sm_90", env: Mapping[str, str] | None = None
) -> None:
    """Compile and link a small program, but do not run it; takes 2 s.

    Parameters
    ----------
    found : CudaTools
        See :func:`tools`, which checks all but CUDA's own programs behind nvcc.
    architecture : str
        For which GPU, see :func:`architecture`.
    env : mapping of str to str, optional
        Environment variables, by default those of this process.

    Raises
    ------
    DeviceError
        If that fails: what nvcc said, in words where they are known.
    """
    options = [f"-arch={architecture}", "-std=c++17", "-o", "trial"]
    with tempfile.TemporaryDirectory(prefix="biosnn_cuda_") as folder:
        options += [*found.include_flags, *found.library_flags]
        _ask(found, folder, _TRIAL, options, os.environ if env is None else env)


def _ask(
    found: CudaTools, folder: str, source: str, options: list[str], env: Mapping[str, str]
) -> None:
    """Have nvcc work in a folder of its own."""
    Path(folder, "probe.cu").write_text(source)
    options = [str(Path(folder, k)) if k in ("probe.ii", "trial") else k for k in options]
    command = [str(found.nvcc), str(Path(folder, "probe.cu")), *options]
    code, output = call(command, env=env, timeout=300)
    if code != 0:
        head = "\n".join(output.strip().splitlines()[:6]) or f"exit status {code}"
        raise DeviceError(explain_build(output) or f"{found.nvcc} does not work. It said:\n{head}")


def _compiler(env: Mapping[str, str], search_path: Sequence[str | Path] | None) -> tuple[Path, str]:
    there = list(every_nvcc(env, search_path))
    oldest = ".".join(map(str, OLDEST_CUDA))
    install = f"install the CUDA toolkit {oldest} or later and set CUDA_HOME to it, or {WHEELS}"
    if not there:
        raise DeviceError(f"no nvcc, CUDA's compiler, was found: {install}")
    nvcc, *others = there
    release = cuda_release(nvcc, env)
    if release is not None and _numbers(release) >= OLDEST_CUDA:
        return nvcc, release
    for other in others:
        if _numbers(cuda_release(other, env) or "0") >= OLDEST_CUDA:
            install = f"set CUDA_HOME to {home_of(other, env)}, which has a newer one"
            break
    if release is None:
        said = call([str(nvcc), "--version"], env=env)[1].strip()
        reason = said.splitlines()[-1] if said else "it says nothing"
        raise DeviceError(f"{nvcc} does not tell its release ({reason}): {install}")
    raise DeviceError(f"{nvcc} is of CUDA {release}, but {oldest} is needed at least: {install}")


def _curand(found: Curand | None, nvcc: Path, release: str) -> Curand:
    major = release.partition(".")[0]
    name = "nvidia-curand" if int(major) > 12 else f"nvidia-curand-cu{major}"
    install = f"install cuRAND with the CUDA toolkit, or pip install {name}"
    if found is None:
        raise DeviceError(f"cuRAND was not found (no curand.h): {install}")
    if found.serves not in (None, major):
        raise DeviceError(
            f"{found.header} serves CUDA {found.serves}, but {nvcc} is of CUDA {release}: {install}"
        )
    if found.library is None:
        raise DeviceError(f"no libcurand.so was found beside {found.header}: {install}")
    return found


def _include_flags(home: Path, header: Path) -> tuple[str, ...]:
    folder = os.path.realpath(header.parent)
    own = {os.path.realpath(home / "include"), "/usr/include"}
    return () if folder in own else ("-isystem", str(header.parent))


def _library_flags(home: Path, library: Path) -> tuple[str, ...]:
    """Name files and folders: wheels lack libcurand.so and lib64, where nvcc would look."""
    runtime = [k for k in library_folders(home) if any(k.glob("libcudart*"))]
    # CUDA 13's cuRAND needs libcudart.so.13, too, which wheels have beside it and toolkits may.
    folders = dict.fromkeys([library.parent, *runtime[:1]])
    flags = [f"-L{folder}" for folder in runtime[:1]]
    for word in (library, *(f"-rpath={folder}" for folder in folders)):
        flags += ["-Xlinker", str(word)]
    return tuple(flags)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


# --- architectures


def architecture(text: str, nvcc: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Read for which GPU to build.

    Parameters
    ----------
    text : str
        ``"sm_90"``, ``"9.0"`` or ``"90"``, also for one GPU only (``"sm_90a"``) or for its family
        (``"sm_100f"``), or ``"native"`` for the first GPU of this machine.
    nvcc : pathlib.Path, optional
        The compiler that has to know it; without one, only the form is checked.
    env : mapping of str to str, optional
        Environment variables, by default those of this process.

    Returns
    -------
    str
        As nvcc's option ``-arch`` wants it, e.g. ``"sm_90"``.

    Raises
    ------
    ParameterError
        If the text names no architecture.
    DeviceError
        If nvcc cannot build for it, with those that it offers; with ``"native"``, if there is no
        GPU or its driver does not tell.
    """
    asked = str(text).strip().lower()
    if asked == "native":
        asked = _native(env)
    form = re.fullmatch(r"(?:sm_|compute_)?(\d{1,2}\.\d|\d{2,3})([af]?)", asked)
    if form is None:
        wanted = 'an architecture such as "sm_90" or "9.0", or "native"'
        raise ParameterError("gpu.architecture", "text", repr(text), wanted)
    made = f"sm_{form[1].replace('.', '')}{form[2]}"
    if nvcc is None:
        return made
    _, output = call([str(nvcc), "--list-gpu-code"], env=env)
    offered = sorted(set(re.findall(r"\bsm_(\d+)\b", output)), key=int)
    # nvcc lists no forms with a letter, but refuses those that it does not know.
    dry = [str(nvcc), f"-arch={made}", "--dryrun", "-x", "cu", "-c", os.devnull, "-o", os.devnull]
    refused = form[2] and call(dry, env=env)[0] != 0
    if refused or (offered and made.removeprefix("sm_").rstrip("af") not in offered):
        listed = ", ".join(f"sm_{k}" for k in offered)
        release = cuda_release(nvcc, env)
        raise DeviceError(
            f"{nvcc} (CUDA {release}) cannot build for {made}, only for {listed}: name one of "
            "these, or use another release of CUDA (CUDA_HOME)"
        )
    return made


def compute_capability(architecture: str) -> str:
    """Return the compute capability that an architecture is for: ``"sm_90a"`` -> ``"9.0"``."""
    digits = architecture.removeprefix("sm_").rstrip("af")
    return f"{digits[:-1]}.{digits[-1]}"


def _native(env: Mapping[str, str] | None) -> str:
    remedy = "name one, e.g. sm_90 for an H100"
    try:
        first = list_gpus(env)[0]
    except DeviceError as error:
        raise DeviceError(
            f"no GPU tells for which architecture to build ({error}): {remedy}"
        ) from None
    if first.compute_capability is None:
        raise DeviceError(f"the driver does not tell the architecture of {first.name}: {remedy}")
    return first.compute_capability
