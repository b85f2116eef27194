"""What a device whose networks a shell script compiles and runs on any machine says of itself.

Nothing here needs Brian2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from biosnn.errors import ParameterError

if TYPE_CHECKING:
    from biosnn.program.program import Program


@attrs.frozen(kw_only=True)
class JobTarget:
    """A device whose networks are compiled and run by a shell script, on any machine.

    A network's folder is an artifact (see :mod:`biosnn.devices.base.artifact`) without its binary:
    ``make`` in it makes ``main``, which takes one argument, the settings of a chunk, and is run
    with the folder as the current one. Without an argument it says ``usage: main SETTINGS``.

    Parameters
    ----------
    write_sources : callable
        Writes such an artifact: ``write_sources(program, precision, math, arch, folder)``
        into an empty folder.
    compile : callable
        Adds the binary here.
    without_binary : str
        What to do with such a folder to run it here, ``{folder}`` being its path.
    needs : str
        What a machine must have to compile a network.
    module : str
        What clusters tend to call that.
    compiling : str
        How long it takes.
    memory : int
        GiB that compiling and the program need, besides the network's state.
    arch : str
        Regular expression of what ``--arch`` may be.
    example : str
        One that it may be.
    any_arch : bool
        Whether it may be left out.
    slurm : tuple of str
        What a job asks for, besides time and memory.
    """

    write_sources: Callable[[Program, str, str, str | None, Path], None]
    compile: Callable[[Path], object]
    without_binary: str
    needs: str
    module: str
    compiling: str
    memory: int
    arch: str
    example: str
    any_arch: bool = False
    slurm: tuple[str, ...] = ()

    def check_arch(self, arch: str | None) -> None:
        """Check an architecture.

        Raises
        ------
        ParameterError
            If it cannot be one.
        """
        if arch is None and self.any_arch:
            return
        if arch is None or not re.fullmatch(self.arch, arch):
            wanted = f"an architecture such as {self.example}"
            raise ParameterError("biosnn build", "--arch", repr(arch), wanted)
