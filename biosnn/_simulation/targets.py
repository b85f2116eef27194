"""What a bundle needs to know of a device: its sources, and what must be there to compile them.

A device that bundles shall be made for is entered in ``TARGETS``; nothing else differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from biosnn.errors import ParameterError

if TYPE_CHECKING:
    from biosnn.devices.record import Record
    from biosnn.networks import NetworkModel


@attrs.frozen(kw_only=True)
class Target:
    """A device whose networks are compiled and run by a shell script, on any machine.

    A network's folder is an artifact (see :mod:`biosnn.devices.artifact`) without its binary:
    ``make`` in it makes ``main``, which takes one argument, the settings of a chunk, and is run
    with the folder as the current one. Without an argument it says ``usage: main SETTINGS``.

    Parameters
    ----------
    write_sources : callable
        Writes such an artifact: ``write_sources(network, record, precision, math, arch, folder)``
        into an empty folder.
    needs : str
        What a machine must have to compile a network.
    arch : str
        Regular expression of what ``--arch`` may be.
    example : str
        One that it may be.
    slurm : tuple of str
        What a job asks for, besides time and memory.
    """

    write_sources: Callable[[NetworkModel, Record, str, str, str | None, Path], None]
    needs: str
    arch: str
    example: str
    slurm: tuple[str, ...] = ()

    def check_arch(self, arch: str | None) -> None:
        """Check an architecture.

        Raises
        ------
        ParameterError
            If it cannot be one.
        """
        if arch is not None and not re.fullmatch(self.arch, arch):
            wanted = f"an architecture such as {self.example}"
            raise ParameterError("biosnn build", "--arch", repr(arch), wanted)


def _write_cpp(
    network: NetworkModel,
    record: Record,
    precision: str,
    math: str,
    arch: str | None,
    folder: Path,
) -> None:
    from biosnn.devices import cpp_standalone  # imports Brian2

    cpp_standalone.write_sources(network, record, precision, math, arch, folder)


TARGETS: Mapping[str, Target] = {
    "cpp": Target(
        write_sources=_write_cpp,
        needs="a C++17 compiler (g++, or set CXX) and make",
        arch=r"[a-z0-9][a-z0-9._+-]*",
        example="native or x86-64-v3",
    ),
}


def target_of(device: str) -> Target:
    """The target of this name.

    Raises
    ------
    ParameterError
        If bundles cannot be made for the device.
    """
    if device not in TARGETS:
        wanted = "a device that compiles networks (" + ", ".join(TARGETS) + ")"
        raise ParameterError("biosnn build", "--device", repr(device), wanted)
    return TARGETS[device]
