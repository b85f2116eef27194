"""The device ``cpp``: the network and its whole protocol compiled into one binary."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import brian2

from biosnn.declaration import fingerprint
from biosnn.devices.base.artifact import BINARY, files_of, open_artifact, platform_of, seal
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.cache import cached
from biosnn.devices.base.code_process import check_build, source_texts, write_code
from biosnn.devices.cpp import compiler
from biosnn.program.interface import Interface
from biosnn.program.program import Program
from biosnn.version import __version__

PROGRAM = "program.cpp"  # stands alone: it needs no header but the compiler's
_MAKEFILE = """\
# Compiles the network: `make`, or `make CXX=clang++`. The program is one file without headers.
FLAGS = {flags}

main: program.cpp
\t$(CXX) $(FLAGS) program.cpp -o main.part
\tmv main.part main
"""


def build(
    program: Program, precision: str, math: str = "fast", portable: bool = False
) -> CompiledNetwork:
    """Compile a program, or take it from the build cache.

    Parameters
    ----------
    program : Program
        What to compile.
    precision : {"double", "single"}
        Of the state variables.
    math : {"fast", "strict"}
        Floating-point flags.
    portable : bool
        Build for any CPU of this architecture.

    Raises
    ------
    DeviceError
        If there is no working compiler, or the build fails.
    """
    started = time.perf_counter()
    folder, built_now = compiled(program, precision, math, portable)
    artifact = open_artifact(folder)
    return CompiledNetwork(artifact, time.perf_counter() - started, built_now)


def compiled(program: Program, precision: str, math: str, portable: bool) -> tuple[Path, bool]:
    """Compile a program, or find it in the build cache: its folder, and whether it was built now.

    Parameters
    ----------
    program, precision, math, portable
        As for :func:`build`.
    """
    options = compiler.flags(math, portable)
    key = fingerprint(
        [program.hash, precision],
        list(options),
        compiler.describe(compiler.compiler()),
        platform.machine() if portable else compiler.cpu(),
        [__version__, brian2.__version__, sys.version],
        list(source_texts()),
    )[:32]
    return cached(
        key,
        lambda folder: _make(program, precision, options, portable, folder),
        check_build,
    )


def write_sources(
    program: Program, precision: str, math: str, arch: str | None, folder: Path
) -> None:
    """Write a program as an artifact without its binary, which ``make`` adds on any machine.

    Parameters
    ----------
    program, precision, math
        As for :func:`build`.
    arch : str, optional
        What the compiler is told with ``-march=``; default: nothing, for any CPU.
    folder : Path
        An empty one.
    """
    options = compiler.flags(math, portable=True)
    options += () if arch is None else (f"-march={arch}",)
    generated = _generate(program, precision, folder)
    (folder / "makefile").write_text(_MAKEFILE.format(flags=" ".join(options)))
    _seal(folder, program, generated, {"flags": list(options), "platform": platform_of(True)})


def _make(
    program: Program, precision: str, options: tuple[str, ...], portable: bool, folder: Path
) -> None:
    """Generate and compile a network in a fresh folder."""
    compiler.describe(compiler.compiler())
    generated = _generate(program, precision, folder)
    compiler.compile_unit(folder / PROGRAM, folder / BINARY, options)
    built = {
        "compiler": compiler.describe(compiler.compiler()),
        "flags": list(options),
        "platform": platform_of(portable),
    }
    _seal(folder, program, generated, built)


def _generate(program: Program, precision: str, folder: Path) -> dict[str, Any]:
    """Write the program, the static arrays and the state; what is known of them."""
    refusal = "Brian2 could not generate code for this network"
    code = "free_code" if program.free_running else "code_generation"
    write_code(f"biosnn.devices.cpp.{code}", program, precision, folder, refusal)
    found = folder / "generated.json"
    generated = json.loads(found.read_text())
    found.unlink()
    return generated


def _seal(folder: Path, program: Program, generated: dict[str, Any], built: dict[str, Any]) -> None:
    source = json.loads(program.declaration or '{"network": null, "record": null}')
    seal(
        folder,
        {
            "device": "cpp",
            **generated,
            "layout": files_of(Interface.from_data(generated["interface"])),
            "declaration": source["network"],
            "record": source["record"],
            "versions": {
                "biosnn": __version__,
                "brian2": brian2.__version__,
                "python": platform.python_version(),
            },
            **built,
        },
    )
