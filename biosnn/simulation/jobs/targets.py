"""Networks whose sources are written for a job, and which devices can write them."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from biosnn.devices import registry
from biosnn.devices.base.artifact import Artifact, open_sources
from biosnn.devices.base.contract import Session
from biosnn.devices.base.job_target import JobTarget
from biosnn.errors import DeviceError, ParameterError

if TYPE_CHECKING:
    from biosnn.program.program import Program
    from biosnn.state import State


def target_of(device: str) -> JobTarget:
    """How jobs are made for a device.

    Raises
    ------
    ParameterError
        If none can be.
    """
    registered = registry.devices().items()
    known = {name: found.job_target for name, found in registered if found.job_target}
    if device not in known:
        wanted = "a device that compiles networks (" + ", ".join(known) + ")"
        raise ParameterError("biosnn build", "--device", repr(device), wanted)
    return known[device]


class Sources:
    """A network that is not compiled: it can become a job, and cannot run.

    Parameters
    ----------
    artifact : Artifact
        Sources, makefile and state.
    folder : tempfile.TemporaryDirectory, optional
        Where it is, if it is needed no longer than this object.
    """

    build_seconds = 0.0
    longest_chunk: int | None = None

    def __init__(self, artifact: Artifact, folder: tempfile.TemporaryDirectory[str] | None = None):
        self.artifact, self._folder = artifact, folder
        self.interface, self.defaults = artifact.interface, artifact.defaults()

    def session(self, state: State, folder: Path) -> contextlib.AbstractContextManager[Session]:
        """See :class:`biosnn.devices.base.contract.Device`."""
        raise DeviceError("the network is not compiled: compile it with build=True to run it here")


def sources(device: str, program: Program, precision: str, math: str, arch: str | None) -> Sources:
    """Write a program's sources into a temporary folder.

    Raises
    ------
    ParameterError
        If the device does not compile networks, or the architecture is none.
    """
    target = target_of(device)
    target.check_arch(arch)
    folder = tempfile.TemporaryDirectory(prefix="biosnn-sources-")
    target.write_sources(program, precision, math, arch, Path(folder.name))
    return Sources(open_sources(Path(folder.name)), folder)
