"""Devices by name: how a program becomes a network that runs, and what each device can do.

Nothing here needs Brian2: a network that was compiled runs without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from biosnn.devices.base.binary import Explain
from biosnn.devices.base.contract import Device
from biosnn.devices.base.job_target import JobTarget
from biosnn.devices.cpp import job_target as cpp
from biosnn.devices.cuda import job_target as cuda
from biosnn.devices.cuda.error_messages import explain
from biosnn.errors import ParameterError

if TYPE_CHECKING:
    from biosnn.program.program import Program

#: What :func:`biosnn.compile` can be told about how a network is built.
OPTIONS = ("precision", "math", "portable", "target", "architecture")


@attrs.frozen(kw_only=True)
class Registration:
    """What is known of a device before it is used.

    Parameters
    ----------
    build : callable
        ``build(program, **options)`` returns a :class:`biosnn.devices.base.contract.Device`. It
        imports what it needs when it is called.
    options : tuple of str
        Those of :data:`OPTIONS` that it takes.
    compiled : bool
        Whether building takes long and gives a program of its own.
    replicates : bool
        Whether it runs programs of several replicas of a network: it builds a
        :class:`biosnn.devices.base.contract.ReplicatingDevice` then.
    job_target : JobTarget, optional
        How a network becomes a job for another machine; default: it cannot.
    explain : callable, optional
        Puts into words what a program of it says when it fails, as
        :class:`biosnn.devices.base.binary.CompiledNetwork` asks for it.
    free_running : bool
        Whether it runs networks of scripts: for those that are not shown samples ``build`` then
        returns a :class:`biosnn.devices.base.free_runs.FreeDevice`.
    """

    build: Callable[..., Device]
    options: tuple[str, ...] = ("precision",)
    compiled: bool = False
    replicates: bool = False
    job_target: JobTarget | None = None
    explain: Explain | None = None
    free_running: bool = False


_registered: dict[str, Registration] = {}


def register(name: str, build: Callable[..., Device], **more: Any) -> None:
    """Make a device known by a name, so that ``biosnn.compile(network, name)`` uses it.

    Parameters
    ----------
    name : str
        Of the device.
    build, **more
        As for :class:`Registration`.

    Raises
    ------
    ParameterError
        If another device has the name, or an option is unknown.
    """
    made = Registration(build=build, **more)
    unknown = sorted(set(made.options) - set(OPTIONS))
    if unknown:
        raise ParameterError("register", "options", unknown[0], f"of {', '.join(OPTIONS)}")
    if name in _registered or name == "auto":
        raise ParameterError("register", "name", repr(name), "a name that no device has yet")
    _registered[name] = made


def unregister(name: str) -> None:
    """Forget a device."""
    del _registered[name]


def devices() -> dict[str, Registration]:
    """All devices that are registered, by name."""
    return dict(_registered)


def build(name: str, program: Program, options: dict[str, Any]) -> Device:
    """Build a program for a device.

    Parameters
    ----------
    name : str
        Of the device.
    program : Program
        What to build.
    options : dict
        Those that the device does not take are left out.
    """
    found = _registered[name]
    return found.build(program, **{key: options[key] for key in found.options if key in options})


def _runtime(program: Program, **options: Any) -> Any:
    if program.samples is not None:
        from biosnn.devices.runtime.sampled_device import SampledRuntimeNetwork

        return SampledRuntimeNetwork(program, **options)
    if program.free_running:
        from biosnn.devices.runtime.free_device import FreeRuntimeNetwork

        return FreeRuntimeNetwork(program, **options)
    from biosnn.devices.runtime.device import RuntimeNetwork

    return RuntimeNetwork(program, **options)


def _cpp(program: Program, **options: Any) -> Any:
    if program.free_running:
        from biosnn.devices.cpp import free_device

        return free_device.build(program, **options)
    from biosnn.devices.cpp import device

    return device.build(program, **options)


def _cuda(program: Program, **options: Any) -> Device:
    from biosnn.devices.cuda import device

    return device.build(program, **options)


register("runtime", _runtime, options=("precision", "target"), free_running=True)
register(
    "cpp",
    _cpp,
    options=("precision", "math", "portable"),
    compiled=True,
    replicates=True,
    job_target=cpp.TARGET,
    free_running=True,
)
register(
    "cuda",
    _cuda,
    options=("precision", "math", "architecture"),
    compiled=True,
    replicates=True,
    job_target=cuda.TARGET,
    explain=explain,
    free_running=True,
)
