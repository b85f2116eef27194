"""The device ``"auto"``: which one it stands for, and why."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from biosnn import gpu
from biosnn.errors import DeviceError

if TYPE_CHECKING:
    from biosnn.networks import NetworkModel

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


def choose(network: NetworkModel, n_parallel: int) -> Choice:
    """Choose between ``cpp`` and ``cuda``, and remember it for reports.

    Parameters
    ----------
    network : NetworkModel
        What shall be run.
    n_parallel : int
        Samples or networks side by side.
    """
    device, reason = _choose(network, n_parallel)
    choice = Choice(network=network.name, device=device, reason=reason)
    if choice not in _made:
        _made.append(choice)
        _LOG.info("%s runs on %s: %s", choice.network, choice.device, choice.reason)
    return choice


def choices() -> tuple[Choice, ...]:
    """What was chosen in this process so far."""
    return tuple(_made)


def _choose(network: NetworkModel, n_parallel: int) -> tuple[str, str]:
    try:
        first, *_ = gpu.list_gpus()
    except DeviceError as error:
        return "cpp", f"there is no GPU ({error})"
    found = gpu.estimate(network, n_parallel)
    if found.device == "cpp":
        return "cpp", found.reason
    try:
        gpu.require_brian2cuda()
        gpu.tools()
    except DeviceError as error:
        return "cpp", f"{first.name} would be faster, but nothing can be built for it: {error}"
    return "cuda", f"{found.reason}, with {first.name}"
