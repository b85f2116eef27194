"""The functions that make networks runnable: ``compile``, ``ensemble`` and ``load``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from biosnn.devices import registry
from biosnn.devices.base.artifact import BINARY, MANIFEST, UNREADABLE, open_artifact
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.contract import Device, ReplicatingDevice
from biosnn.devices.base.free_binary import FreeCompiledNetwork
from biosnn.devices.base.member_processes import MemberProcesses
from biosnn.errors import DataError, DeviceError, ParameterError, StorageError
from biosnn.progress import Waiting
from biosnn.simulation.auto_device import choose
from biosnn.simulation.ensemble import Ensemble
from biosnn.simulation.free_runnable import FreeRunnable
from biosnn.simulation.jobs.experiment import active_jobs
from biosnn.simulation.jobs.targets import sources
from biosnn.simulation.runnable import Runnable, with_draws
from biosnn.validation import LARGEST, check_whole

if TYPE_CHECKING:
    from brian2 import Network

    from biosnn.networks import NetworkModel
    from biosnn.program.program import Program
    from biosnn.program.script import LiftedNetwork
    from biosnn.state import State

#: Stands for "cuda" where that is estimated to be faster, else for "cpp".
AUTO = "auto"


@overload
def compile(
    network: NetworkModel,
    device: str = "cpp",
    *,
    precision: str = "double",
    per_sample: Sequence[str] | None = None,
    spikes: Sequence[str] = (),
    traces: Mapping[str, Any] | None = None,
    snapshots: Mapping[str, int] | None = None,
    math: str = "fast",
    portable: bool = False,
    target: str = "numpy",
    architecture: str = "native",
    n_parallel: int = 1,
    changeable: Sequence[str] = (),
    build: bool = True,
    progress: bool = True,
) -> Runnable: ...


@overload
def compile(
    network: LiftedNetwork | Network,
    device: str = "cpp",
    *,
    precision: str = "double",
    snapshots: Mapping[str, int] | None = None,
    math: str = "fast",
    portable: bool = False,
    target: str = "numpy",
    architecture: str = "native",
    n_parallel: int = 1,
    build: bool = True,
    progress: bool = True,
) -> FreeRunnable | Runnable: ...


def compile(  # pyright: ignore[reportInconsistentOverload]
    network: Any,
    device: str = "cpp",
    *,
    precision: str = "double",
    per_sample: Sequence[str] | None = None,
    spikes: Sequence[str] = (),
    traces: Mapping[str, Any] | None = None,
    snapshots: Mapping[str, int] | None = None,
    math: str = "fast",
    portable: bool = False,
    target: str = "numpy",
    architecture: str = "native",
    n_parallel: int = 1,
    changeable: Sequence[str] = (),
    build: bool = True,
    progress: bool = True,
) -> Any:
    """Make a network runnable.

    Parameters
    ----------
    network : NetworkModel, LiftedNetwork or brian2.Network
        The declaration; or the network of a Brian2 script, as :func:`biosnn.from_brian2` returns
        it, or as it is.
    device : {"cpp", "cuda", "runtime", "auto"}
        One compiled binary for the CPU or for a GPU (built once, kept in the cache), or a live
        Brian2 network here. ``"auto"`` is ``"cuda"`` where there is a GPU, CUDA code can be built
        and the GPU is estimated to be faster, else ``"cpp"``; the runnable says which and why.
    precision : {"double", "single"}
        Of state variables. Times are always double.
    per_sample : sequence of str, optional
        ``"population.variable"`` kept at the end of every sample. Default: the spike counts of
        the network's output. ``count`` and ``t_first`` exist wherever there is a threshold.
    spikes : sequence of str
        Populations whose spikes are recorded one by one.
    traces : dict, optional
        ``"population.variable"`` or ``"projection.w"`` -> indices of neurons or synapses (in
        the order (pre, post)) recorded in every time step, or ``TraceOf(indices, every=1*ms)``.
    snapshots : dict, optional
        ``"projection.w"`` (or another synaptic variable) or ``"population.variable"`` ->
        number of samples after which its values are copied, again and again.
    math : {"fast", "strict"}
        Compiled only: let the compiler reorder floating-point operations, or not.
    portable : bool
        C++ only: build for any CPU of this architecture.
    target : {"numpy", "cython"}
        ``runtime`` only: Brian2's code generation target.
    architecture : str
        ``cuda``: of the GPU, such as ``"sm_90"`` or ``"9.0"``; default: that of the first GPU
        here. ``cpp``: of the CPU, where it is not built here.
    n_parallel : int
        Number of samples that a run shows at once, to copies of the network that share its
        weights; plasticity is off then. With ``math="strict"`` results are those of one sample
        after the other, to the bit. Networks whose samples depend on those before them are
        refused. Projections that are not full, or have delays, a value per synapse besides the
        weight, or statements for all synapses, have their synapses once per copy.
    changeable : sequence of str
        ``"population.parameter"`` and ``"projection.parameter"`` (of the projection or its rule)
        that runs may change without another build, as ``run(..., values={name: value})``. They
        are part of the state, and are read in each time step where others are part of the code.
    build : bool
        Whether to compile it here. Without, it cannot run, and becomes a job for another machine
        with :meth:`Runnable.export_job`; devices that compile nothing, such as ``runtime``, refuse.
    progress : bool
        Say on stderr that the network is being built, if it takes longer than two seconds.

    Returns
    -------
    Runnable
        For a script's network a :class:`biosnn.simulation.FreeRunnable`, which runs for a duration
        and records what the script's monitors do, unless it is shown samples.

    Raises
    ------
    ParameterError
        If the device, the precision or what shall be recorded is unknown, or samples shall be shown
        at once but depend on those before them; if an object of a script cannot come along.
    DeviceError
        If there is no working compiler, or the build fails; for ``cuda``, if Brian2CUDA, a CUDA
        toolkit or cuRAND is missing or does not fit.
    """
    # Brian2 is needed to compile, not to run.
    from brian2 import Network

    from biosnn.program.lower import lower_parallel
    from biosnn.program.recorders import Record, observed
    from biosnn.program.script import LiftedNetwork, from_brian2

    among = (*registry.devices(), AUTO)
    _check_options(
        "compile",
        device=(device, among),
        precision=(precision, ("double", "single")),
        math=(math, ("fast", "strict")),
        target=(target, ("numpy", "cython")),
    )
    if isinstance(network, LiftedNetwork | Network):
        lifted = from_brian2(network, level=1) if isinstance(network, Network) else network
        given = {"per_sample": per_sample, "spikes": spikes, "traces": traces}
        program = _of_script("compile", lifted.program, given, snapshots, n_parallel)
        network = lifted
        if changeable:
            remedy = "All constants of a script can be changed: run(..., {name: value})"
            wanted = "left out for the network of a script"
            raise ParameterError("compile", "changeable", list(changeable), wanted, remedy)
    else:
        _check_network("compile", network)
        kept = observed(network, per_sample)
        record = Record(per_sample=kept, spikes=spikes, traces=traces, snapshots=snapshots)
        program = lower_parallel(network, record, n_parallel, changeable)
    if device != AUTO:
        _check_device(program, device, n_parallel)
    reason = "it was asked for"
    if device == AUTO:
        choice = choose(program)
        device, reason = choice.device, choice.reason
    if not build and registry.devices()[device].job_target is None:
        wanted = f'True on the device "{device}", which compiles nothing for other machines'
        raise ParameterError("compile", "build", build, wanted, 'Use device="cpp"')
    options = {
        "precision": precision,
        "math": math,
        "portable": portable,
        "target": target,
        "architecture": architecture,
    }

    def made(where: str) -> Device:
        registered = registry.devices()[where]
        if build:
            with _waiting(network, where, progress and registered.compiled):
                return registry.build(where, program, options)
        any_cpu = portable and "portable" in registered.options
        return sources(where, program, precision, math, None if any_cpu else architecture)

    if program.free_running and program.samples is None:
        return FreeRunnable(cast(Any, made(device)), device, lambda: network, reason)
    jobs = active_jobs()
    if jobs is not None and device == jobs.device:
        return jobs.runnable(network, program, precision, math, made)
    return Runnable(made(device), device, lambda: network, reason)


def ensemble(
    network: NetworkModel | LiftedNetwork,
    n: int,
    device: str = "cpp",
    *,
    parameters: Mapping[str, Any] | None = None,
    precision: str = "double",
    per_sample: Sequence[str] | None = None,
    spikes: Sequence[str] = (),
    snapshots: Mapping[str, int] | None = None,
    math: str = "fast",
    portable: bool = False,
    architecture: str = "native",
    progress: bool = True,
) -> Ensemble:
    """Make many independent networks runnable as one program.

    Each member has weights and a state of its own, and may learn. All are shown the same samples
    in the same order; which of them are shown again may differ between members.

    Parameters
    ----------
    network : NetworkModel or LiftedNetwork
        The declaration of all members, or the network of a script that is shown samples: each
        member is then a process, on the device ``"cpp"`` only.
    n : int
        How many there are.
    device : {"cpp", "cuda", "auto"}
        One compiled binary, for the CPU or for a GPU; ``"auto"`` as in :func:`compile`.
    parameters : mapping, optional
        ``"population.parameter"``, or ``"projection.parameter"`` of its rule -> the values, one
        per member, with unit. What else a declaration says is the same for all. Of a script: a
        constant ``"object.constant"``, or the first values of ``"object.variable"``.
    precision, per_sample, spikes, snapshots, math, portable, architecture, progress
        As in :func:`compile`. Parameters that differ are double precision.

    Returns
    -------
    Ensemble

    Raises
    ------
    ParameterError
        If an argument is out of its range, or a parameter cannot differ between members.
    DeviceError
        If there is no working compiler, or the build fails.

    Examples
    --------
    >>> from biosnn import networks, simulation
    >>> network = networks.winner_take_all(784, 100)
    >>> four = simulation.ensemble(network, 4)  # doctest: +SKIP
    >>> results = four.fit(images, seeds=[1, 2, 3, 4])  # doctest: +SKIP
    """
    from biosnn.program.layout import first_state
    from biosnn.program.lower import lower
    from biosnn.program.recorders import Record, observed
    from biosnn.program.script import LiftedNetwork
    from biosnn.simulation.ensemble_members import members_of

    _check_options("ensemble", precision=(precision, ("double", "single")))
    check_whole("ensemble", "n", n, 1, LARGEST)
    options = {"precision": precision, "math": math, "portable": portable}
    if isinstance(network, LiftedNetwork):
        recorders = {"per_sample": per_sample, "spikes": spikes}
        program = _of_script("ensemble", network.program, recorders, snapshots, 1)
        changed = LiftedNetwork(program)
        return _script_ensemble(changed, int(n), device, parameters, options, progress)
    _check_network("ensemble", network)
    known = [name for name, found in registry.devices().items() if found.replicates]
    if device not in (*known, AUTO):
        among = f'{", ".join(f'"{name}"' for name in known)} or "{AUTO}"'
        raise ParameterError("ensemble", "device", repr(device), among)
    members, base, replicas = members_of(network, int(n), parameters)
    record = Record(per_sample=observed(network, per_sample), spikes=spikes, snapshots=snapshots)
    program = lower(base, record, replicas)
    reason = "it was asked for"
    if device == AUTO:
        choice = choose(program)
        device, reason = choice.device, choice.reason
    if (jobs := active_jobs()) is not None and device == jobs.device:
        device = jobs.elsewhere()
    with _waiting(base, device, progress):
        built = registry.build(device, program, {**options, "architecture": architecture})
    made = cast(ReplicatingDevice, built)

    def begins(member: Any, seed: int) -> State:
        return first_state(made.interface, program, member, seed)

    return Ensemble(made, members, begins, device, reason)


def _script_ensemble(
    network: LiftedNetwork,
    n: int,
    device: str,
    parameters: Any,
    options: dict[str, Any],
    progress: bool,
) -> Ensemble:
    """An ensemble of a script's network: a process of one binary for each member."""
    from biosnn.devices.base.free_description import sampled_state
    from biosnn.simulation.script_members import script_members

    if device not in ("cpp", AUTO):
        wanted = '"cpp" for the network of a script, whose members are processes'
        raise ParameterError("ensemble", "device", repr(device), wanted)
    if network.program.samples is None:
        remedy = (
            "Call from_brian2 with inputs and a presentation; or run its runnable once for each"
        )
        wanted = "one that is shown samples"
        raise ParameterError("ensemble", "network", repr(network.name), wanted, remedy)
    with _waiting(network, "cpp", progress):
        made: Any = registry.build("cpp", network.program, options)
    pairs = script_members(network, made.interface, n, parameters)
    together = MemberProcesses(made, [member for _, member in pairs])
    return Ensemble(
        together,
        [network for network, _ in pairs],
        lambda member, seed: with_draws(
            sampled_state(made.interface, member.program), made.interface, seed
        ),
        "cpp",
        "members of a script are processes",
    )


def _of_script(
    called: str, program: Program, recorders: Mapping[str, Any], snapshots: Any, n_parallel: int
) -> Program:
    """The program of a script with what is recorded besides its monitors."""
    from biosnn.program.recorders import Record

    sampled = program.samples is not None
    for name, given in {**recorders, "snapshots": None if sampled else snapshots}.items():
        if given:
            remedy = "Record with Brian2's monitors in the script"
            wanted = "left out for the network of a script"
            raise ParameterError(called, name, repr(given), wanted, remedy)
    if n_parallel != 1:
        wanted = "1 for the network of a script, whose copies would share its random generator"
        remedy = 'Show samples at once in processes: run(..., n_jobs=...) on the device "cpp"'
        raise ParameterError(called, "n_parallel", n_parallel, wanted, remedy)
    record = Record(snapshots=snapshots)
    for name, every in record.snapshots.items():
        if name not in program.arrays or "._" in name:
            among = ", ".join(key for key in program.arrays if "._" not in key)
            raise ParameterError(called, "snapshots", repr(name), f"one of {among}")
        check_whole(called, f"snapshots[{name!r}]", every, 1, LARGEST)
    return program.changed(record=record)


def _check_device(program: Program, device: str, n_parallel: int) -> None:
    """Check that a device can do what a program asks for."""
    registered = registry.devices()
    free = [name for name, found in registered.items() if found.free_running]
    if program.free_running and device not in free:
        wanted = f"{' or '.join(map(repr, free))} for the network of a script"
        raise ParameterError("compile", "device", repr(device), wanted)
    if n_parallel > 1 and not registered[device].replicates:
        wanted = f'1 on the device "{device}"'
        raise ParameterError("compile", "n_parallel", n_parallel, wanted, 'Use device="cpp"')


def _waiting(network: Any, device: str, progress: bool) -> Waiting:
    return Waiting(f"building the network {network.name!r} for the device {device}", progress)


def _check_network(obj: str, network: Any) -> None:
    from biosnn.networks import NetworkModel

    if not isinstance(network, NetworkModel):
        raise ParameterError(obj, "network", repr(network), "a NetworkModel")


def _check_options(obj: str, **choices: tuple[str, tuple[str, ...]]) -> None:
    for name, (value, among) in choices.items():
        if value not in among:
            raise ParameterError(obj, name, repr(value), " or ".join(map(repr, among)))


def load(folder: str | os.PathLike[str]) -> Any:
    """Open a compiled network that :meth:`Runnable.export` wrote; needs no Brian2.

    Parameters
    ----------
    folder : path-like
        The artifact.

    Returns
    -------
    Runnable or FreeRunnable
        The latter for the network of a script that runs for a duration.

    Raises
    ------
    StorageError
        If it is none, or is damaged.
    DeviceError
        If it was built for another machine, or is not compiled.
    """
    artifact = open_artifact(Path(folder).absolute())
    device = artifact.manifest["device"]
    registered = registry.devices().get(device)
    if BINARY not in artifact.manifest["files"]:
        target = registered and registered.job_target
        remedy = target.without_binary if target else "compile the network anew"
        raise DeviceError(
            f"{folder} holds a program that is not compiled: {remedy.format(folder=str(folder))}"
        )

    def network() -> NetworkModel:
        from biosnn import networks as _networks  # registers what declarations are made of
        from biosnn.declaration import from_data

        del _networks
        if artifact.manifest["declaration"] is None:
            raise DataError(
                f"{folder} holds the compiled network of a script, not the script: take the "
                "network from the script with biosnn.from_brian2"
            )
        return from_data(artifact.manifest["declaration"])

    if "pathways" in artifact.manifest:
        try:
            free = FreeCompiledNetwork(artifact)
        except UNREADABLE as error:
            raise StorageError(
                f"{folder} is damaged: {MANIFEST} cannot be understood; copy it again, or compile "
                "the network anew"
            ) from error
        return FreeRunnable(free, device, network, plain_seconds=True)
    made = CompiledNetwork(artifact, explain=registered and registered.explain)
    return Runnable(made, device, network)
