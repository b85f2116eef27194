"""The device ``cuda``: the network and its whole protocol as one program for a GPU."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import brian2

from biosnn.declaration import fingerprint
from biosnn.devices.base.artifact import BINARY, files_of, open_artifact, platform_of, seal
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.cache import cached
from biosnn.devices.base.code_process import check_build, source_texts, write_code
from biosnn.devices.base.free_description import with_values, without_values
from biosnn.devices.cpp.compiler import check_program
from biosnn.devices.cuda.brian2cuda_patches import write_makefile
from biosnn.devices.cuda.error_messages import explain, explain_build
from biosnn.devices.cuda.probe import brian2cuda_version, require_brian2cuda
from biosnn.devices.cuda.tool_checks import CudaTools, tools
from biosnn.devices.cuda.tool_checks import architecture as checked_architecture
from biosnn.errors import DeviceError, ParameterError
from biosnn.program.interface import Interface
from biosnn.program.passes.script_on_gpu import on_gpu
from biosnn.program.program import Program
from biosnn.version import __version__

NVCC_FLAGS = {
    "fast": ("-w", "-O3", "-use_fast_math"),
    "strict": ("-w", "-O3", "-fmad=false"),
}
SOURCE = "source"


def build(
    program: Program, precision: str, math: str = "fast", architecture: str = "native"
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
    architecture : str
        Of the GPU, such as ``"sm_90"``; ``"native"`` is that of the first GPU here.

    Raises
    ------
    DeviceError
        If Brian2CUDA, a CUDA toolkit or cuRAND is missing or does not fit, or the build fails.
    """
    started = time.perf_counter()
    script = program if program.free_running else None
    if script is not None:
        program = without_values(on_gpu(script))
    require_brian2cuda()
    options = flags(math)
    found = tools()
    target = checked_architecture(architecture, found.nvcc)
    key = fingerprint(
        [program.hash, precision],
        [target, found.release, str(found.nvcc), str(found.curand_library), *options],
        sources_of_builds(),
    )[:32]
    folder, built_now = cached(
        key, lambda folder: _make(program, precision, math, target, found, folder), check_build
    )
    artifact = open_artifact(folder)
    artifact = artifact if script is None else with_values(artifact, script)
    return CompiledNetwork(artifact, time.perf_counter() - started, built_now, explain)


def flags(math: str) -> tuple[str, ...]:
    """Flags for nvcc.

    Parameters
    ----------
    math : {"fast", "strict"}
        ``fast`` lets nvcc use approximate functions and fused operations; ``strict`` gives the
        results of other devices on the same input, up to the last digits of ``exp`` and its like
        and the order of sums.
    """
    if math not in NVCC_FLAGS:
        raise ParameterError("compile", "math", repr(math), '"fast" or "strict"')
    return NVCC_FLAGS[math]


def sources_of_builds() -> list[str]:
    """Versions and texts that decide what a build contains."""
    texts = list(source_texts("devices/cuda"))
    versions = [__version__, brian2.__version__, str(brian2cuda_version()), sys.version]
    return versions + texts


def write_program(
    program: Program, precision: str, math: str, architecture: str, folder: Path
) -> None:
    """Write the code of a program into a folder that exists: ``source/`` with a makefile.

    Raises
    ------
    DeviceError
        If Brian2CUDA is missing or does not fit, or refuses the network, with its words.
    """
    require_brian2cuda()
    refusal = f"Brian2CUDA could not write code for {program.name!r}"
    write_code("biosnn.devices.cuda.code_generation", program, precision, folder, refusal)
    written = json.loads((folder / "generated.json").read_text())
    write_makefile(folder / SOURCE, written["sources"], architecture, list(flags(math)))
    shutil.rmtree(folder / SOURCE / "results", ignore_errors=True)


def compile_program(folder: Path, found: CudaTools, jobs: int | None = None) -> Path:
    """Compile a written program with nvcc; takes minutes.

    Raises
    ------
    DeviceError
        If nvcc fails, with its first lines.
    """
    command = [
        "make",
        "-s",
        f"-j{jobs or os.cpu_count() or 1}",
        f"NVCC={found.nvcc}",
        f"INCLUDES={shlex.join(found.include_flags)}",
        f"LIBRARIES={shlex.join(found.library_flags)}",
    ]
    done = subprocess.run(command, cwd=folder / SOURCE, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    head = "\n".join(said.strip().splitlines()[:12])
    if done.returncode != 0:
        raise DeviceError(
            explain_build(said) or f"nvcc failed; run `biosnn doctor`. It said:\n{head}"
        )
    check_program(folder / BINARY, shlex.join(command), head)
    for made in (folder / SOURCE).glob("*.o"):
        made.unlink()
    return folder / BINARY


def _make(
    program: Program,
    precision: str,
    math: str,
    architecture: str,
    found: CudaTools,
    folder: Path,
) -> None:
    """Generate and compile a network in a fresh folder."""
    write_program(program, precision, math, architecture, folder)
    compile_program(folder, found)
    seal_program(program, math, architecture, found.release, folder)


def seal_program(
    program: Program, math: str, architecture: str, release: str, folder: Path
) -> None:
    """Write the manifest of a complete folder; ``release`` is "" if nothing was compiled."""
    found = folder / "generated.json"
    generated = json.loads(found.read_text())
    source = json.loads(program.declaration or '{"network": null, "record": null}')
    found.unlink()
    seal(
        folder,
        {
            "device": "cuda",
            "interface": generated["interface"],
            "plastic": generated["plastic"],
            "seeds": generated.get("seeds", False),
            "gpu_bytes": generated["gpu_bytes"],
            "architecture": architecture,
            "layout": files_of(Interface.from_data(generated["interface"])),
            "declaration": source["network"],
            "record": source["record"],
            "versions": {
                "biosnn": __version__,
                "brian2": brian2.__version__,
                "brian2cuda": brian2cuda_version(),
                "cuda": release,
                "python": platform.python_version(),
            },
            "compiler": f"nvcc {release}" if release else "",
            "flags": list(flags(math)),
            "platform": platform_of(portable=True),
        },
    )
