"""CUDA programs on the CPU: compiled with g++, and run thread after thread.

The headers in ``include`` stand in for those of CUDA. Blocks run one after the other, the threads
of a block as fibres that wait for each other at ``__syncthreads()`` and in their warp. Device
memory is a range of addresses of its own: host code that touches it crashes, copies beyond an
allocation are refused, and what nobody has written is no number. Random numbers are others than
those of cuRAND.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cuda_emulation.rewrite import rewrite

HERE = Path(__file__).parent
BINARY = "on_cpu"
_INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', flags=re.MULTILINE)


class EmulationError(RuntimeError):
    """What g++ or the program said."""


def compile_on_cpu(
    project: Path,
    sources: Iterable[str] = ("program.cu", "part_*.cu"),
    flags: Iterable[str] = ("-O1",),
    *,
    jobs: int = 2,
) -> Path:
    """Compile a CUDA program for this machine's CPU.

    Parameters
    ----------
    project : Path
        Folder with the sources and their headers; it gets a folder ``emulated``.
    sources : iterable of str
        Patterns of the files to compile, relative to `project`.
    flags : iterable of str
        For g++.
    jobs : int
        Files that are compiled at once.

    Returns
    -------
    Path
        The program, ``emulated/on_cpu`` in `project`; it wants to be run in `project`.

    Raises
    ------
    EmulationError
        If g++ refuses, with its first lines.
    """
    made = project / "emulated"
    files = [p.relative_to(project) for s in sources for p in sorted(project.glob(s))]
    if not files:
        raise EmulationError(f"{project} holds none of {', '.join(sources)}")
    _rewrite_all(project, files, made)
    common = ["g++", "-std=c++17", "-w", "-ffp-contract=off", f"-I{HERE / 'include'}", *flags]
    commands = {
        made / file.with_suffix(".o"): [
            *("-x", "c++", f"-I{made}", "-include", "cuda_runtime.h"),
            *("-c", str(made / file)),
        ]
        for file in files
    }
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda one: _call([*common, *one[1], "-o", str(one[0])]), commands.items()))
    binary = made / BINARY
    _call([*common, *map(str, commands), str(_runtime(tuple(common))), "-o", str(binary)])
    return binary


@functools.cache
def _runtime(command: tuple[str, ...]) -> Path:
    """What all programs are linked to, compiled once per process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    made = Path(folder.name) / "runtime.o"
    _call([*command, "-c", str(HERE / "runtime.cpp"), "-o", str(made)])
    return made


def run_on_cpu(
    binary: Path,
    folder: Path,
    order: str = "forward",
    arguments: Iterable[str] = (),
    **settings: str,
) -> subprocess.CompletedProcess[str]:
    """Run an emulated program.

    Parameters
    ----------
    binary : Path
        What :func:`compile_on_cpu` made.
    folder : Path
        Where to run it.
    order : str
        Of blocks, and of threads between two barriers: ``"forward"``, ``"reversed"`` or
        ``"shuffled:SEED"``.
    arguments : iterable of str
        For the program.
    **settings : str
        Environment variables besides, e.g. ``EMULATED_MULTIPROCESSORS="16"``.

    Returns
    -------
    subprocess.CompletedProcess
        Its exit status and what it printed.
    """
    return subprocess.run(
        [str(binary), *arguments],
        cwd=folder,
        env={**os.environ, **settings, "EMULATED_ORDER": order},
        capture_output=True,
        text=True,
        check=False,
    )


def _rewrite_all(project: Path, files: Iterable[Path], made: Path) -> None:
    """Rewrite sources and all of the project that they include."""
    wanted, seen = list(files), set(files)
    while wanted:
        file = wanted.pop()
        text = (project / file).read_text()
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).write_text(rewrite(text))
        for name in _INCLUDE.findall(text):
            for found in (file.parent / name, Path(name)):
                if found not in seen and (project / found).is_file():
                    seen.add(found)
                    wanted.append(found)


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error" in line or "undef" in line]
        raise EmulationError("\n".join(["g++ said:", *(errors or done.stderr.splitlines())[:20]]))
