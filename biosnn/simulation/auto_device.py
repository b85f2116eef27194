"""The device ``"auto"``: which one it stands for, and why."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from biosnn import gpu
from biosnn.errors import DeviceError, ParameterError

if TYPE_CHECKING:
    from biosnn.program.program import Program

_LOG = logging.getLogger("biosnn")


@attrs.frozen(kw_only=True)
class Choice:
    """A device that was chosen for a network.

    Parameters
    ----------
    network, device, reason : str
        The network's name, ``"cpp"`` or ``"cuda"``, and why.
    """

    network: str
    device: str
    reason: str


_made: list[Choice] = []


def choose(program: Program) -> Choice:
    """Choose between ``cpp`` and ``cuda``, and remember it for reports.

    Parameters
    ----------
    program : Program
        What shall be run, with its replicas.
    """
    device, reason = _choose(program)
    choice = Choice(network=program.name, device=device, reason=reason)
    if choice not in _made:
        _made.append(choice)
        _LOG.info("%s runs on %s: %s", choice.network, choice.device, choice.reason)
    return choice


def choices() -> tuple[Choice, ...]:
    """What was chosen in this process so far."""
    return tuple(_made)


def _choose(program: Program) -> tuple[str, str]:
    # These need Brian2, as programs do.
    from biosnn.devices.cuda.estimate import estimate
    from biosnn.program.passes.script_on_gpu import on_gpu

    if program.free_running:
        try:
            on_gpu(program)
        except ParameterError as error:
            return "cpp", f"a GPU cannot run it ({error})"
    try:
        first, *_ = gpu.list_gpus()
    except DeviceError as error:
        return "cpp", f"there is no GPU ({error})"
    found = estimate(program)
    if found.device == "cpp":
        return "cpp", found.reason
    try:
        gpu.require_brian2cuda()
        gpu.tools()
    except DeviceError as error:
        return "cpp", f"{first.name} would be faster, but nothing can be built for it: {error}"
    return "cuda", f"{found.reason}, with {first.name}"
