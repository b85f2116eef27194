"""A project of brian2cuda as one source file, which compiles several times faster than its parts."""

from __future__ import annotations

import re
from pathlib import Path

_FUNCTION = re.compile(r"^void (_\w+)\(\)$", flags=re.MULTILINE)
_RESET = re.compile(r"^(_reset_\w+)\(\n\s*int32_t\* eventspace", flags=re.MULTILINE)
_LOCAL = re.compile(r'^\s*#include "code_objects/.*$', flags=re.MULTILINE)


def _order(path: Path) -> tuple[bool, str]:
    """What runs before and after the network refers to what runs in it."""
    return path.name.startswith(("before_run_", "after_run_")), path.name


def write_unit(project: Path, clock: str) -> Path:
    """Write ``program.cu``.

    Parameters
    ----------
    project : Path
        What brian2cuda has written.
    clock : str
        The clock of the network's time steps. brian2cuda looks at the time of Brian2's default
        clock to find out whether a uniform delay has passed; a declared network has its own.

    Returns
    -------
    Path
        The file. It needs the project's headers beside it.
    """
    parts = [
        f'#include "{name}"' for name in ("objects.cu", "network.cu", "rand.cu", "run.h")
    ]
    for number, path in enumerate(sorted((project / "code_objects").glob("*.cu"), key=_order)):
        text = _LOCAL.sub("", path.read_text()).replace("defaultclock.", f"{clock}.")
        lines = text.splitlines()
        parts += [line for line in lines if line.startswith("#include")]
        body = "\n".join(line for line in lines if not line.startswith("#include"))
        names = [*_FUNCTION.findall(body), *_RESET.findall(body)]
        exports = "\n".join(f"using code_{number}::{name};" for name in names)
        # brian2cuda repeats helper functions in every file, so each gets a namespace of its own.
        parts.append(f"namespace code_{number} {{\n{body}\n}}\n{exports}")
    parts += [_LOCAL.sub("", (project / name).read_text()) for name in ("run.cu", "main.cu")]
    target = project / "program.cu"
    target.write_text("\n".join(parts))
    return target


def write_makefile(project: Path, compute_capability: str, flags: list[str]) -> None:
    """Write a makefile for ``program.cu`` in place of brian2cuda's, which asks for C++11.

    Parameters
    ----------
    project : Path
        Where ``program.cu`` is.
    compute_capability : str
        Of the GPU, e.g. ``"9.0"``.
    flags : list of str
        For nvcc.
    """
    architecture = compute_capability.replace(".", "")
    (project / "makefile").write_text(
        f"""NVCC = nvcc
CURAND_INCLUDE = /usr/local/cuda/include
CURAND_LIBRARY = /usr/local/cuda/lib64/libcurand.so
JOBS = 1
FLAGS = -std=c++17 -rdc=true -arch=sm_{architecture} {" ".join(flags)}
RPATH = -Xlinker -rpath -Xlinker $(dir $(CURAND_LIBRARY))

main: program.cu
\t$(NVCC) $(FLAGS) --split-compile=$(JOBS) -I. -I$(CURAND_INCLUDE) $< -o $@ \\
\t    -Xlinker $(CURAND_LIBRARY) $(RPATH)
"""
    )
