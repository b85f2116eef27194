"""Where CUDA's compiler and cuRAND are: in a toolkit, or in the wheels that NVIDIA publishes.

The functions that look return facts, never advice; :mod:`biosnn.devices.cuda.tool_checks` does.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from biosnn.devices.cuda.probe import Gpu, brian2cuda_version, call, find_program, list_gpus
from biosnn.errors import DeviceError

#: Where the toolkit's installers put ``cuda`` and ``cuda-13.0``, unless told otherwise.
USUAL_FOLDER = Path("/usr/local")

# The toolkit's names for machines -> what it calls the folder with their headers and libraries.
_TARGETS = {"x86_64": "x86_64-linux", "aarch64": "sbsa-linux"}


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
    nvcc = find_nvcc(env, search_path)
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


# --- the compiler


def find_nvcc(
    env: Mapping[str, str] | None = None, search_path: Sequence[str | Path] | None = None
) -> Path | None:
    """Find CUDA's compiler, see :func:`every_nvcc`.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.
    search_path : sequence of str or pathlib.Path, optional
        Folders of Python packages in which to look for wheels, by default ``sys.path``.

    Returns
    -------
    pathlib.Path or None
        The first that may be executed.
    """
    return next(every_nvcc(env, search_path), None)


def every_nvcc(
    env: Mapping[str, str] | None = None, search_path: Sequence[str | Path] | None = None
) -> Iterator[Path]:
    """Find all of CUDA's compilers that are here, the one to use first.

    ``$CUDA_HOME`` and ``$CUDA_PATH`` come first: who sets one of them means CUDA, whereas the PATH
    often leads to the compiler that an administrator chose for all, or to a distribution's old
    one. Then follow the PATH, ``/usr/local/cuda``, ``/usr/local/cuda-*`` with the newest release
    first, and wheels. The wheels of CUDA 13 have a compiler (``nvidia/cu13/bin/nvcc``); those of
    CUDA 12 (``nvidia-cuda-nvcc-cu12``) have none.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.
    search_path : sequence of str or pathlib.Path, optional
        Folders of Python packages in which to look for wheels, by default ``sys.path``.

    Yields
    ------
    pathlib.Path
        One that may be executed; each program once, whatever links lead to it.
    """
    env = os.environ if env is None else env
    candidates = [str(home / "bin" / "nvcc") for home in _named_homes(env)]
    candidates += ["nvcc", *(str(home / "bin" / "nvcc") for home in _usual_homes())]
    for folder in _packages(search_path):
        candidates += [str(path) for path in sorted(folder.glob("*/bin/nvcc"), reverse=True)]
    seen = set()
    for candidate in candidates:
        found = find_program(candidate, env)
        if found and os.path.realpath(found) not in seen:
            seen.add(os.path.realpath(found))
            yield Path(found)


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


def home_of(nvcc: Path, env: Mapping[str, str] | None = None) -> Path:
    """Ask CUDA's compiler for its toolkit's folder; what is on the PATH may only call it.

    Parameters
    ----------
    nvcc : pathlib.Path
        The compiler, see :func:`find_nvcc`.
    env : mapping of str to str, optional
        Environment variables to run it with, by default those of this process.

    Returns
    -------
    pathlib.Path
        What ``CUDA_HOME`` should be.
    """
    idle = ["--dryrun", "-x", "cu", "-c", os.devnull, "-o", os.devnull]
    _, output = call([str(nvcc), *idle], env=env)
    top = re.search(r"^#\$ TOP=(.+)$", output, flags=re.MULTILINE)
    return Path(os.path.realpath(top[1].strip() if top else nvcc.resolve().parents[1]))


def library_folders(home: Path) -> list[Path]:
    """Return the folders of a toolkit or a wheel in which libraries may be."""
    names = ["lib64", "lib", f"lib/{platform.machine()}-linux-gnu"]
    names.insert(1, f"targets/{_TARGETS.get(platform.machine(), '')}/lib")
    return [home / name for name in names if os.path.isdir(home / name)]


# --- cuRAND


@attrs.frozen(kw_only=True)
class Curand:
    """cuRAND, as far as it is there.

    Parameters
    ----------
    header : pathlib.Path
        ``curand.h``.
    library : pathlib.Path or None
        ``libcurand.so``, or in wheels, which lack that name for linkers, ``libcurand.so.10``.
    serves : str or None
        Major version of the CUDA for which it is; None if nothing tells.
    """

    header: Path
    library: Path | None
    serves: str | None


def find_curand(
    env: Mapping[str, str] | None = None,
    search_path: Sequence[str | Path] | None = None,
    release: str | None = None,
) -> Path | None:
    """Find cuRAND's header, in the CUDA toolkit or else in one of NVIDIA's wheels.

    Parameters
    ----------
    env : mapping of str to str, optional
        Environment variables, by default those of this process.
    search_path : sequence of str or pathlib.Path, optional
        Folders of Python packages in which to look for the wheels, by default ``sys.path``.
    release : str, optional
        The compiler's release, by default that of :func:`find_nvcc`. What serves another major
        version is found only where nothing else is.

    Returns
    -------
    pathlib.Path or None
        The first ``curand.h``; see :func:`find_curand_library` for what belongs to it.
    """
    found = curand(env, search_path, release)
    return None if found is None else found.header


def find_curand_library(header: Path) -> Path | None:
    """Find the library that belongs to cuRAND's header.

    Parameters
    ----------
    header : pathlib.Path
        ``curand.h``, see :func:`find_curand`.

    Returns
    -------
    pathlib.Path or None
        The real or linked file. A wheel has no link ``libcurand.so``: hand the linker the path
        (``-Xlinker``, as nvcc takes no file ``libcurand.so.10``).
    """
    home = header.parents[3] if header.parents[2].name == "targets" else header.parents[1]
    for folder in library_folders(home):
        if found := sorted(folder.glob("libcurand.so*"), key=lambda path: len(path.name)):
            return found[0]
    return None


def curand(
    env: Mapping[str, str] | None = None,
    search_path: Sequence[str | Path] | None = None,
    release: str | None = None,
) -> Curand | None:
    """Find the best cuRAND: one that fits the compiler's release, if possible with a library.

    Parameters
    ----------
    env, search_path, release
        As for :func:`find_curand`.

    Returns
    -------
    Curand or None
    """
    env = os.environ if env is None else env
    nvcc = find_nvcc(env, search_path)
    if release is None and nvcc is not None:
        release = cuda_release(nvcc, env)
    major = release.partition(".")[0] if release else None
    found = [
        Curand(header=header, library=find_curand_library(header), serves=_serves(header))
        for header in _curand_headers(env, search_path, nvcc)
    ]

    def fits(one: Curand) -> tuple[bool, bool]:
        return major is None or one.serves in (None, major), one.library is not None

    return max(found, key=fits, default=None)  # of equals, the first


def _curand_headers(
    env: Mapping[str, str], search_path: Sequence[str | Path] | None, nvcc: Path | None
) -> Iterator[Path]:
    homes = [
        *_named_homes(env),
        *([home_of(nvcc, env), nvcc.parents[1]] if nvcc else []),
        *_usual_homes(),
    ]
    target = f"targets/{_TARGETS.get(platform.machine(), '')}/include"
    headers = [home / name / "curand.h" for home in homes for name in ("include", target)]
    for folder in _packages(search_path):
        headers += sorted(folder.glob("*/include/curand.h"))
    # Unlike Path.is_file, os.path.isfile says no where it may not look.
    return (header for header in headers if os.path.isfile(header))


def _serves(header: Path) -> str | None:
    """Read for which CUDA a header is: off its wheel's folder or name, or the header beside it."""
    package = header.parents[1]
    if serves := re.fullmatch(r"cu(\d+)", package.name):
        return serves[1]
    if package.name == "curand" and package.parent.name == "nvidia":
        wheels = package.parents[1].glob("nvidia_curand_cu*.dist-info")
        majors = {name[1] for wheel in wheels if (name := re.search(r"_cu(\d+)-", wheel.name))}
        return majors.pop() if len(majors) == 1 else None
    try:
        text = (header.parent / "cuda.h").read_text(errors="replace")
    except OSError:
        return None
    version = re.search(r"^#define CUDA_VERSION (\d+)", text, flags=re.MULTILINE)
    return str(int(version[1]) // 1000) if version else None


# --- folders


def _named_homes(env: Mapping[str, str]) -> Iterator[Path]:
    return (Path(env[name]) for name in ("CUDA_HOME", "CUDA_PATH") if env.get(name))


def _usual_homes() -> list[Path]:
    """Return ``cuda``, which is what an administrator chose, and ``cuda-*``, newest first."""

    def release(home: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", home.name)]

    versions = sorted(USUAL_FOLDER.glob("cuda-*"), key=release, reverse=True)
    return [USUAL_FOLDER / "cuda", *versions]


def _packages(search_path: Sequence[str | Path] | None) -> Iterator[Path]:
    """Where wheels of NVIDIA's put their files."""
    return (Path(k or ".", "nvidia") for k in (sys.path if search_path is None else search_path))
