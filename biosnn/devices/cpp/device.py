"""The device ``cpp``: the network and its whole protocol compiled into one binary."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import brian2

from biosnn.declaration import fingerprint
from biosnn.devices.base.artifact import BINARY, files_of, open_artifact, platform_of, seal
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.cache import cached
from biosnn.devices.base.code_process import check_build, request_of, source_texts, write_code
from biosnn.devices.base.contract import Interface
from biosnn.devices.cpp import compiler
from biosnn.networks import NetworkModel
from biosnn.program.recorders import Record, check_record
from biosnn.program.replicas import Replicas
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
    network: NetworkModel,
    record: Record,
    precision: str,
    math: str,
    portable: bool,
    replicas: Replicas | None = None,
) -> CompiledNetwork:
    """Compile a network, or take it from the build cache.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    record : Record
        What to observe.
    precision : {"double", "single"}
        Of the state variables.
    math : {"fast", "strict"}
        Floating-point flags.
    portable : bool
        Build for any CPU of this architecture.
    replicas : Replicas, optional
        Copies of the network in the program; default: one.

    Raises
    ------
    DeviceError
        If there is no working compiler, or the build fails.
    """
    check_record(network, record)
    started = time.perf_counter()
    options = compiler.flags(math, portable)
    request = request_of(network, record, precision, replicas)
    key = fingerprint(
        request,
        list(options),
        compiler.describe(compiler.compiler()),
        platform.machine() if portable else compiler.cpu(),
        [__version__, brian2.__version__, sys.version],
        list(source_texts()),
    )[:32]
    folder, built_now = cached(
        key,
        lambda folder: _make(request, options, portable, folder),
        check_build,
    )
    artifact = open_artifact(folder)
    return CompiledNetwork(artifact, time.perf_counter() - started, built_now)


def write_sources(
    network: NetworkModel,
    record: Record,
    precision: str,
    math: str,
    arch: str | None,
    folder: Path,
) -> None:
    """Write a network as an artifact without its binary, which ``make`` adds on any machine.

    Parameters
    ----------
    network, record, precision, math
        As for :func:`build`.
    arch : str, optional
        What the compiler is told with ``-march=``; default: nothing, for any CPU.
    folder : Path
        An empty one.
    """
    check_record(network, record)
    options = compiler.flags(math, portable=True)
    options += () if arch is None else (f"-march={arch}",)
    request = request_of(network, record, precision)
    generated = _generate(request, folder)
    (folder / "makefile").write_text(_MAKEFILE.format(flags=" ".join(options)))
    _seal(folder, request, generated, {"flags": list(options), "platform": platform_of(True)})


def _make(request: dict[str, Any], options: tuple[str, ...], portable: bool, folder: Path) -> None:
    """Generate and compile a network in a fresh folder."""
    compiler.describe(compiler.compiler())
    generated = _generate(request, folder)
    compiler.compile_unit(folder / PROGRAM, folder / BINARY, options)
    built = {
        "compiler": compiler.describe(compiler.compiler()),
        "flags": list(options),
        "platform": platform_of(portable),
    }
    _seal(folder, request, generated, built)


def _generate(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the program, the static arrays and the state; what is known of them."""
    refusal = "Brian2 could not generate code for this network"
    write_code("biosnn.devices.cpp.code_generation", request, folder, refusal)
    found, project = folder / "generated.json", folder / "project"
    generated = json.loads(found.read_text())
    (project / PROGRAM).rename(folder / PROGRAM)
    shutil.rmtree(project)
    found.unlink()
    return generated


def _seal(
    folder: Path, request: dict[str, Any], generated: dict[str, Any], built: dict[str, Any]
) -> None:
    seal(
        folder,
        {
            "device": "cpp",
            **generated,
            "layout": files_of(Interface.from_data(generated["interface"])),
            "declaration": request["network"],
            "record": request["record"],
            "versions": {
                "biosnn": __version__,
                "brian2": brian2.__version__,
                "python": platform.python_version(),
            },
            **built,
        },
    )
