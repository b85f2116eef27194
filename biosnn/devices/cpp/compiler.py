"""The C++ compiler: which one, with which flags, and plain words when it fails."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from biosnn.errors import DeviceError, ParameterError

# Of x86 and of ARM, as Linux names them.
_INSTRUCTIONS = re.compile(
    r"(sse|ssse|pni$|avx|fma|f16c$|bmi|abm$|adx$|aes$|vaes$|pclmul|vpclmul|popcnt$|movbe$|sha_ni$"
    r"|gfni$|amx|lzcnt$|xop$|tbm$|rdrand$|rdseed$"
    r"|fp$|asimd|neon|vfp|sve|sme(2|_|$)|crc32$|atomics$|pmull$|sha[1235]|fphp$|jscvt$|fcma$|bf16$|i8mm$)"
)
# The program is one file: what it does not call is not compiled.
_BASE = ("-std=c++17", "-w", "-fwhole-program")
_MATH = {"fast": ("-ffast-math", "-fno-finite-math-only"), "strict": ("-ffp-contract=off",)}
_OPTIMISATION = "BIOSNN_OPTIMISATION"
_LEVELS = ("0", "1", "2", "3")


def compiler() -> tuple[str, ...]:
    """Command of the C++ compiler: ``$CXX``, else ``g++``, else ``clang++``.

    As make reads it, ``CXX`` may hold several words: ``ccache g++``, ``g++ -m64``.

    Returns
    -------
    tuple of str
        The path of a program, and its first arguments.

    Raises
    ------
    DeviceError
        If there is none.
    """
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    for name in candidates:
        path = shutil.which(name)
        if path:  # its folder may have blanks in its name
            return (path,)
        try:
            first, *rest = shlex.split(name)
        except ValueError:  # nothing but blanks, or a quotation mark without its partner
            continue
        path = shutil.which(first)
        if path:
            return path, *rest
    raise DeviceError(
        f"no C++ compiler found (looked for {', '.join(candidates)}): install one "
        "(Debian/Ubuntu: apt install g++; macOS: xcode-select --install), or set CXX, "
        'or use device="runtime"'
    )


@lru_cache
def describe(command: tuple[str, ...]) -> str:
    """First line of the compiler's version, and the arguments that it is always given."""
    name = shlex.join(command)
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "strerror", None) or f"{name} --version failed"
        raise DeviceError(
            f"the C++ compiler {name} does not run ({reason}): mend it, or set CXX to another one"
        ) from error
    version = done.stdout.splitlines()[0] if done.stdout else command[0]
    return " ".join([version, *command[1:]])


@lru_cache
def instruction_sets() -> frozenset[str]:
    """Features of this CPU that a compiler makes use of with ``-march=native``."""
    features = {word for line in _cpu_lines("flags", "Features") for word in line.split()}
    return frozenset(filter(_INSTRUCTIONS.match, features))


@lru_cache
def cpu() -> str:
    """What ``-march=native`` depends on: architecture, model and instruction sets."""
    models = sorted(set(_cpu_lines("model name"))) or [platform.processor()]
    return "\n".join([platform.machine(), *models, *sorted(instruction_sets())])


def _cpu_lines(*names: str) -> list[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.startswith(names)]


def flags(math: str, portable: bool) -> tuple[str, ...]:
    """Compiler flags.

    Parameters
    ----------
    math : {"fast", "strict"}
        ``fast`` lets the compiler reorder floating-point operations, as Brian2 does by
        default; ``strict`` gives the same results as other devices on the same input.
    portable : bool
        Leave out ``-march=native``.

    Raises
    ------
    ParameterError
        If ``math`` or the level of ``$BIOSNN_OPTIMISATION`` (default 3) is unknown.
    """
    if math not in _MATH:
        raise ParameterError("compile", "math", repr(math), '"fast" or "strict"')
    level = os.environ.get(_OPTIMISATION) or "3"
    if level not in _LEVELS:
        raise ParameterError("compile", _OPTIMISATION, repr(level), f"one of {', '.join(_LEVELS)}")
    return (*_BASE, f"-O{level}", *_MATH[math], *(() if portable else ("-march=native",)))


def compile_unit(source: Path, binary: Path, options: tuple[str, ...]) -> None:
    """Compile one translation unit.

    Raises
    ------
    DeviceError
        With the first lines that the compiler said; if it made no program, too.
    """
    command = [*compiler(), *options]
    done = subprocess.run(
        [*command, str(source), "-o", str(binary)], capture_output=True, text=True, check=False
    )
    head = "\n".join(done.stderr.strip().splitlines()[:12])
    if done.returncode != 0:
        raise DeviceError(
            f"the C++ compiler failed with status {done.returncode} "
            f"({shlex.join(command)}); run `biosnn doctor`. It said:\n{head}"
        )
    check_program(binary, shlex.join(command), head)


def check_program(binary: Path, command: str, said: str) -> None:
    """Check that a compiler that reported success has made a program.

    Raises
    ------
    DeviceError
        If there is none.
    """
    if not (binary.is_file() and binary.stat().st_size and os.access(binary, os.X_OK)):
        raise DeviceError(
            f"the compiler reported success, but made no program ({command}); run `biosnn "
            f"doctor`. It said:\n{said or 'nothing'}"
        )
