"""Code of a network, written by a child process: what is asked of it, and what it says."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from biosnn.devices.base.artifact import BINARY, open_artifact
from biosnn.errors import DeviceError, StorageError
from biosnn.program.program import Program
from biosnn.program.serialisation import to_data, with_stored

#: The arrays of a request, beside it.
ARRAYS = "request.npz"
# Brian2 imports these if they are there, for plots, tests and Cython code. The child needs none.
_START = """\
import sys
sys.modules.update(dict.fromkeys(("Cython", "matplotlib", "pylab", "pytest")))
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
_PACKAGE = Path(__file__).parents[2]
_SOURCE_SUFFIXES = (".py", ".cpp", ".h", ".cu")
#: What decides the code of every device that compiles.
_COMMON_SOURCES = (
    "declaration.py",
    "rng.py",
    "state.py",
    "_models",
    "_plasticity",
    "networks",
    "program",
    "devices/base",
    "devices/cpp",
)


@functools.cache
def source_texts(*places: str) -> tuple[str, ...]:
    """Texts of all that decides what a build contains: part of its key in the cache.

    Parameters
    ----------
    *places : str
        Files and folders of the package, such as ``"devices/cpp"``, besides what all devices use.
    """
    texts = []
    for place in (*_COMMON_SOURCES, *places):
        path = _PACKAGE / place
        files = sorted(path.rglob("*.*")) if path.is_dir() else [path]
        texts += [file.read_text() for file in files if file.suffix in _SOURCE_SUFFIXES]
    return tuple(texts)


def write_code(module: str, program: Program, precision: str, folder: Path, refusal: str) -> None:
    """Have a module write the code of a program into a folder that exists.

    Parameters
    ----------
    module : str
        It is run with the request's file and the folder as arguments.
    program : Program
        What the code does.
    precision : {"double", "single"}
        Of the state variables.
    folder : Path
        Where everything goes.
    refusal : str
        What is wrong if the module fails.

    Raises
    ------
    DeviceError
        If it fails, with its last lines.
    """
    asked, stored = folder / "request.json", {}
    data = to_data(program, stored)
    asked.write_text(json.dumps({"program": data, "precision": precision}))
    np.savez(folder / ARRAYS, **stored)
    # The child finds this biosnn, and nothing that happens to lie in the current folder.
    paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", "-c", _START, module, str(asked), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise DeviceError(f"{refusal}. It said:\n{last}")
    asked.unlink()
    (folder / ARRAYS).unlink()


def read_request(asked: Path) -> dict[str, Any]:
    """What :func:`write_code` asks for: the program as data, and the precision."""
    request = json.loads(asked.read_text())
    with np.load(asked.with_name(ARRAYS), allow_pickle=False) as stored:
        request["program"] = with_stored(request["program"], dict(stored))
    return request


def check_build(folder: Path) -> None:
    """Check a build in the cache.

    Raises
    ------
    DeviceError
        If it is damaged, has no program, or is for another machine.
    """
    try:
        artifact = open_artifact(folder)
    except StorageError as error:
        raise DeviceError(str(error)) from error
    if BINARY not in artifact.manifest["files"]:
        raise DeviceError(f"{folder} has no program: its compiler made none")
