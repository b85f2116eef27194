"""A network on a device: what :func:`biosnn.simulation.compile` gives back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from biosnn.callbacks import Callback, Calls, checked_callbacks
from biosnn.devices import registry
from biosnn.devices.base.artifact import export
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.contract import SPIKE_BYTES, Device
from biosnn.errors import DeviceError, ParameterError
from biosnn.initial_values import drawn
from biosnn.program.interface import Interface
from biosnn.recording import Recording
from biosnn.simulation import parallel
from biosnn.simulation.argument_checks import checked_state
from biosnn.simulation.jobs.export import export_job
from biosnn.simulation.jobs.job import Job
from biosnn.simulation.jobs.targets import Sources
from biosnn.simulation.provenance import now, with_origin
from biosnn.simulation.run_loop.chunks import Run
from biosnn.simulation.run_loop.metrics import schedules_of
from biosnn.simulation.run_loop.options import EPOCHS, Checkpointing, RunOptions
from biosnn.simulation.run_loop.run import Progress, execute, prepare
from biosnn.state import SEEN, State
from biosnn.validation import LARGEST, check_instance, check_whole

_DEFAULTS, _NOTHING_KEPT = RunOptions(), Checkpointing()


class Runnable:
    """A network on a device, made by :func:`compile` or :func:`load`.

    Attributes
    ----------
    interface : Interface
        Inputs, variables and recorders, as plain data.
    device, precision : str
        Where and how it runs.
    device_reason : str
        Why it runs there.
    build_seconds : float
        What building took (little when the build was in the cache).
    n_parallel : int
        Samples that are shown at once; with more than one, plasticity is off.
    """

    def __init__(
        self,
        made: Device,
        device: str,
        network: Callable[[], Any],
        device_reason: str = "it was asked for",
    ):
        self.interface = made.interface
        self.device, self.device_reason = device, device_reason
        self.precision = made.interface.precision
        self.n_parallel = made.interface.replicas
        self._made = made
        self._network = network

    def __repr__(self) -> str:
        return f"Runnable on {self.device}: {self.interface}"

    @property
    def network(self) -> Any:
        """The declaration, a :class:`biosnn.networks.NetworkModel`."""
        return self._network()

    @property
    def build_seconds(self) -> float:
        """Seconds that building took."""
        return self._made.build_seconds

    def initial_state(self, seed: int = 0) -> State:
        """Complete state before the first sample, random parts drawn with ``seed``."""
        check_whole("initial_state", "seed", seed, 0, LARGEST)
        return with_draws(self._made.defaults, self.interface, seed)

    def changed(
        self, values: Mapping[str, Any] | None, state: State | None = None, seed: int = 0
    ) -> State | None:
        """A state with other values of variables and parameters, as :meth:`run` begins with it.

        Parameters
        ----------
        values, state, seed
            As in :meth:`run`.

        Returns
        -------
        State or None
            The state itself without values.

        Raises
        ------
        ParameterError
            If a name is unknown, a parameter was not compiled as one that changes, or a value is
            out of its bound.
        DataError
            If a value does not fit its variable, or the state is not one of this network.
        """
        if values is None:
            return state
        check_instance("run", "values", values, Mapping)
        face = self.interface
        for name in values:
            if name not in self._made.defaults or name == SEEN:
                among = ", ".join(v for v in self._made.defaults if v != SEEN)
                remedy = f'A parameter has to be compiled so: compile(..., changeable=["{name}"])'
                raise ParameterError("run", "values", repr(name), f"keyed by {among}", remedy)
        parameters = {name: values[name] for name in values if name in face.changeable}
        begin = self.initial_state(seed) if state is None else state
        checked_state(self._made.defaults, begin)
        if parameters:
            try:
                from biosnn.program.layout import first_values
                from biosnn.simulation.ensemble_members import with_changed
            except ModuleNotFoundError as error:
                name = next(iter(parameters))
                wanted = "variables only where there is no Brian2, which knows what follows"
                remedy = "Give a state with all that follows: "
                remedy += f'initial_state(seed).updated({{"{name}": ...}})'
                raise ParameterError("run", "values", repr(name), wanted, remedy) from error

            network = with_changed(self.network, parameters)
            if state is None:
                first = first_values(network, face.changeable, seed)
                begin = begin.updated({name: first[name] for name in begin if name in first})
        return begin.updated(values)

    def memory(self, n_samples: int) -> dict[str, int]:
        """Bytes that each recorder takes for so many samples.

        Spikes are given as the most that there can be: every neuron in every time step of every
        attempt. Everything else is exact if no sample is shown twice.
        """
        check_whole("memory", "n_samples", n_samples, 1, LARGEST)
        face = self.interface
        found = {name: n_samples * column.bytes for name, column in face.per_sample.items()}
        found |= {
            f"snapshots.{name}": column.bytes * column.rows(0, n_samples)
            for name, column in face.snapshots.items()
        }
        steps = n_samples * face.steps_per_presentation
        found |= {
            f"traces.{name}": steps // column.every * (column.bytes + 8)
            for name, column in face.traces.items()
        }
        spikes = steps * face.max_shown * SPIKE_BYTES
        return found | {f"spikes.{key}": n * spikes for key, n in face.spikes.items()}

    @property
    def gpu_memory(self) -> dict[str, int]:
        """Bytes on the GPU, besides the network: recorders' buffers, and the heap of queues.

        The buffers are emptied before they overflow. The heap is computed from the number of
        synapses with delays of their own and the spikes that may be under way. Empty elsewhere.
        """
        if not isinstance(self._made, CompiledNetwork):
            return {}
        return dict(self._made.artifact.manifest.get("gpu_bytes", {}))

    def export(self, folder: str | os.PathLike[str]) -> Path:
        """Copy the compiled network to a folder of its own, to be moved and run elsewhere.

        Parameters
        ----------
        folder : path-like
            A folder that does not exist yet. :func:`load` opens it, without Brian2.

        Raises
        ------
        DeviceError
            If the network is not compiled (device ``"runtime"``).
        StorageError
            If the folder exists or cannot be written.
        """
        if not isinstance(self._made, CompiledNetwork):
            raise DeviceError(
                f'a network on the device "{self.device}" is not an artifact; compile it for "cpp"'
            )
        return export(self._made.artifact, Path(folder))

    def run(
        self,
        samples: Any,
        state: State | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        learn: bool | Iterable[str] = False,
        seed: int = 0,
        epoch: int = 0,
        first_sample: int = 0,
        horizon: int | None = None,
        chunk_size: int | None = None,
        n_jobs: int = 1,
        folder: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        keep: int = 2,
        resume: bool = False,
        memory_limit: int | None = None,
        callbacks: Iterable[Callback] = (),
        progress: Progress = True,
    ) -> tuple[Recording, State]:
        """Show samples to the network.

        Parameters
        ----------
        samples : array_like, iterable or dict
            The samples of the network's only required input, or input name -> samples: shape
            (n, features) for a static input, (n, T, features) for a sequence, and for address
            events a tuple of arrays ``(sample, unit, time)`` with times in seconds since the
            onset, together with ``"n_samples"`` -> n if trailing samples have no event. The key
            ``"intensity"`` gives each sample a factor > 0 on its input, shape (n,). Arrays may
            be memory-mapped. An iterable gives samples or batches (or dicts of them), of any
            number. Two events of one unit in one time step are one.
        state : State, optional
            State to start from; default: the initial state for ``seed``. It is not changed.
        values : mapping, optional
            What is changed before: ``"population.variable"`` -> one value for all or an array, or
            a parameter that :func:`compile` was told of (``changeable``). Quantities, or numbers in
            SI units. Without a state, initial values follow from changed parameters. They are part
            of the state, so that runs that go on from it keep them.
        learn : bool or iterable of str
            Whether plasticity is on, which needs a projection with a rule, or the names of the
            projections that learn.
        seed, epoch, first_sample : int
            Key of all draws: sample ``k`` of this call gets the input spikes and the noise of
            ``(seed, epoch, first_sample + k)`` on every device, however it is chunked.
        horizon : int, optional
            Number of learned samples over which schedules run; default: this call's samples
            and those the state has already learned.
        chunk_size : int, optional
            Samples per chunk. Results do not depend on it, unless equations use Brian2's ``t``,
            which begins anew with every chunk (``t_sample`` does not).
        n_jobs : int
            Processes that share the samples; plasticity must be off. The result is that of one
            process, to the bit and in order.
        folder : path-like, optional
            Keep the recording here, on disk (its arrays come back memory-mapped), and
            checkpoints beside it.
        checkpoint_every : int, optional
            Samples between two checkpoints; default: one at the end. Needs ``folder``.
        keep : int
            How many checkpoints are kept.
        resume : bool
            Go on from the newest checkpoint in ``folder``, if there is one. On the same device
            and with the same ``math`` the result is that of a run that was never interrupted,
            to the bit.
        memory_limit : int, optional
            Bytes of memory that the recording may take; default: a quarter of all memory.
        callbacks : iterable of Callback
            Are told after each chunk how it goes (:mod:`biosnn.callbacks`): give ``chunk_size`` for
            more of it. Not with ``n_jobs`` > 1.
        progress : bool or callable
            Show progress when it takes longer than two seconds, or call ``progress(done,
            total)``.

        Returns
        -------
        Recording
            What was observed.
        State
            The state after the last sample.

        Raises
        ------
        DataError
            If samples or state have the wrong shape or values.
        ParameterError
            If another argument is out of its range, or the recording does not fit; if several
            processes shall share samples that depend on those before them.
        DeviceError
            If the run fails or a state variable becomes NaN or infinite.
        StorageError
            If the folder cannot be written, holds another run, or is damaged.
        CallbackError
            If a callback raised an exception.
        Interrupted
            If Ctrl-C or SIGTERM stopped it; the message says how to go on.
        """
        check_whole("run", "epoch", epoch, 0, EPOCHS - 1)
        state = self.changed(values, state, seed)
        options = RunOptions(
            learn=learn,
            seed=seed,
            first_epoch=epoch,
            first_sample=first_sample,
            horizon=horizon,
            chunk_size=chunk_size,
            memory_limit=memory_limit,
        )
        checkpointing = Checkpointing(
            folder=folder, every=checkpoint_every, keep=keep, resume=resume
        )
        others: dict[str, Any] = {"callbacks": callbacks, "progress": progress}
        return self.execute(samples, state, options, checkpointing, n_jobs=n_jobs, **others)

    def fit(
        self,
        samples: Any,
        state: State | None = None,
        *,
        values: Mapping[str, Any] | None = None,
        epochs: int = 1,
        learn: bool | Iterable[str] = True,
        seed: int = 0,
        first_epoch: int = 0,
        horizon: int | None = None,
        chunk_size: int | None = None,
        folder: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        keep: int = 2,
        resume: bool = False,
        memory_limit: int | None = None,
        callbacks: Iterable[Callback] = (),
        progress: Progress = True,
    ) -> tuple[Recording, State]:
        """Learn from samples, several times over.

        Parameters
        ----------
        samples, state, values, learn, seed, horizon, chunk_size
            As in :meth:`run`; plasticity is on. An iterable must begin anew for each epoch.
        epochs : int
            How often all samples are shown.
        first_epoch : int
            Number of the first of them in the key of the counter-based draws.
        folder, checkpoint_every, keep, resume, memory_limit, callbacks, progress
            As in :meth:`run`. Checkpoints are counted over all epochs.

        Returns
        -------
        Recording
            What was observed, epoch after epoch.
        State
            The state after the last sample.

        Raises
        ------
        DataError, ParameterError, DeviceError, StorageError, CallbackError, Interrupted
            As :meth:`run`.
        """
        state = self.changed(values, state, seed)
        options = RunOptions(
            learn=learn,
            seed=seed,
            epochs=epochs,
            first_epoch=first_epoch,
            horizon=horizon,
            chunk_size=chunk_size,
            memory_limit=memory_limit,
        )
        checkpointing = Checkpointing(
            folder=folder, every=checkpoint_every, keep=keep, resume=resume
        )
        others: dict[str, Any] = {"callbacks": callbacks, "progress": progress}
        return self.execute(samples, state, options, checkpointing, **others)

    def execute(
        self,
        samples: Any,
        state: State | None,
        options: RunOptions,
        checkpointing: Checkpointing = _NOTHING_KEPT,
        *,
        n_jobs: int = 1,
        callbacks: Iterable[Callback] = (),
        progress: Progress = True,
    ) -> tuple[Recording, State]:
        """Show samples as options say; :meth:`run` and :meth:`fit` are this with keywords.

        Parameters
        ----------
        samples, state, n_jobs, callbacks, progress
            As in :meth:`run`.
        options : RunOptions
            Seed, epochs, what learns, and the size of chunks.
        checkpointing : Checkpointing
            The folder of the run, how many checkpoints it keeps, and whether it goes on.

        Returns
        -------
        Recording, State
            As :meth:`run`.

        Raises
        ------
        DataError, ParameterError, DeviceError, StorageError, CallbackError, Interrupted
            As :meth:`run`.
        """
        check_whole("run", "n_jobs", n_jobs, 1, LARGEST)
        run, started = self._prepared(samples, state, options), now()
        calls = checked_callbacks("run", callbacks)
        if calls and self.interface.scheduled:
            with contextlib.suppress(ModuleNotFoundError):  # without Brian2 nobody knows them
                run = attrs.evolve(run, schedules=(schedules_of(self.network),))
        recording, end = self._execute(run, checkpointing, n_jobs, progress, calls)
        origin = (self.interface, self.device, started, options.seed, options)
        return with_origin(recording, *origin), end

    def _execute(
        self,
        run: Run,
        checkpointing: Checkpointing,
        n_jobs: int,
        progress: Progress,
        calls: Calls,
    ) -> tuple[Recording, State]:
        """Show the samples of a checked run."""
        if n_jobs == 1:
            return execute(run, checkpointing, progress, calls)
        if calls:
            raise ParameterError("run", "n_jobs", n_jobs, "1 together with callbacks")
        if self.n_parallel > 1:
            raise ParameterError("run", "n_jobs", n_jobs, f"1 with n_parallel={self.n_parallel}")
        if not registry.devices()[self.device].compiled:
            wanted = f'1 on the device "{self.device}"'
            raise ParameterError("run", "n_jobs", n_jobs, wanted, 'Use device="cpp"')
        for name, refused in (("learn", run.learning), ("folder", checkpointing.folder)):
            if refused:
                raise ParameterError("run", "n_jobs", n_jobs, f"1 together with {name}")
        return parallel.execute(run, n_jobs, progress)

    def export_job(
        self,
        samples: Any,
        folder: str | os.PathLike[str],
        state: State | None = None,
        options: RunOptions = _DEFAULTS,
        *,
        longest_chunk: int | None = None,
        compiled: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> Job:
        """Write a run as a folder that another machine works through without Python.

        There, its ``run.sh`` compiles the network where it has no binary, and leaves results that
        :func:`biosnn.simulation.collect_job` reads. ``compile(..., build=False)`` makes a network
        for this without compiling it.

        Parameters
        ----------
        samples, state
            As in :meth:`run`; samples must be arrays.
        folder : path-like
            Does not exist yet.
        options : RunOptions
            Seed, epochs, what learns, and the size of chunks.
        longest_chunk : int, optional
            Most samples that a job which ends early loses; results do not depend on it.
        compiled : bool
            Whether a network without a binary is compiled here, and the binary goes along.
        about : mapping, optional
            JSON data for the job's manifest; ``experiment`` and ``flags`` are in its description.

        Returns
        -------
        Job

        Raises
        ------
        DataError
            If samples or state have the wrong shape or values.
        ParameterError
            If another argument is out of its range, or samples come from a stream.
        DeviceError
            If the device does not compile networks, or compiling fails.
        StorageError
            If the folder exists or cannot be written.
        """
        if not isinstance(self._made, CompiledNetwork | Sources):
            raise DeviceError(
                f'a network on the device "{self.device}" cannot become a job; compile it for "cpp"'
            )
        run = self._prepared(samples, state, options)
        if longest_chunk is not None:
            check_whole("export_job", "longest_chunk", longest_chunk, 1, LARGEST)
            run = attrs.evolve(run, longest_chunk=min(longest_chunk, run.longest_chunk or LARGEST))
        said = {"experiment": self.interface.name, "flags": [], **(about or {})}
        return export_job(run, self._made.artifact, Path(folder), said, compiled)

    def _check_constants(self, state: State) -> None:
        """Check that a state holds no other value of what is a constant of this network.

        Raises
        ------
        ParameterError
            If it comes from runs that changed a parameter, which is part of the code here.
        """
        if not set(state) - set(self._made.defaults):
            return
        try:
            from biosnn.networks import NetworkModel
            from biosnn.program.passes.changeable import owned_constants
        except ModuleNotFoundError:  # without Brian2 an artifact does not know its constants
            return
        constants = owned_constants(self.network) if isinstance(self.network, NetworkModel) else {}
        for name in sorted(set(state) & set(constants) - set(self._made.defaults)):
            declared = float(np.asarray(constants[name]))
            if (state[name] != declared).any():
                got = f"{name} = {state[name][0]:g} in the state"
                wanted = f"{declared:g}, which is part of what was compiled"
                remedy = f'Compile it as one that changes: compile(..., changeable=["{name}"])'
                raise ParameterError("run", "state", got, wanted, remedy)

    def _prepared(self, samples: Any, state: State | None, options: RunOptions) -> Run:
        """What a run shows, checked."""
        start = self.initial_state(options.seed) if state is None else state
        checked_state(self._made.defaults, start)
        self._check_constants(start)
        run = prepare(self._made, samples, start, options)
        if run.learning and self.n_parallel > 1:
            raise ParameterError(
                "run",
                "learn",
                list(run.learning),
                f"False with n_parallel={self.n_parallel}",
                "To train several networks at once, use simulation.ensemble",
            )
        return run


def with_draws(defaults: State, interface: Interface, seed: int) -> State:
    """A state in which everything that is random, or follows from it, is drawn with a seed."""
    found = {variable.name: variable.draw for variable in interface.variables if variable.draw}
    values = drawn({**defaults, **found}, seed)
    return defaults.updated({name: values[name] for name in found})
