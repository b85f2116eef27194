"""A network on a device: what :func:`biosnn.simulation.compile` gives back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from biosnn.devices.base.artifact import export
from biosnn.devices.base.binary import CompiledNetwork
from biosnn.devices.base.contract import SPIKE_BYTES, Device
from biosnn.errors import DeviceError, ParameterError
from biosnn.recording import Recording
from biosnn.simulation import parallel
from biosnn.simulation.argument_checks import checked_state, learning_of
from biosnn.simulation.inputs import ArraySource, StreamSource, source_of
from biosnn.simulation.run_loop import Course, Order, default_limit
from biosnn.state import State
from biosnn.validation import LARGEST, check_whole

_EPOCHS = 2**22  # of the key of the counter-based draws


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
        drawn = {
            variable.name: variable.draw.sample(seed, variable.name)
            for variable in self.interface.variables
            if variable.draw is not None
        }
        return self._made.defaults.updated(drawn)

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
        progress: bool | Callable[[int, int | None], None] = True,
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
        Interrupted
            If Ctrl-C or SIGTERM stopped it; the message says how to go on.
        """
        check_whole("run", "epoch", epoch, 0, _EPOCHS)
        return self._execute(
            samples,
            state,
            epochs=1,
            learn=learn,
            seed=seed,
            first_epoch=epoch,
            first_sample=first_sample,
            horizon=horizon,
            chunk_size=chunk_size,
            n_jobs=n_jobs,
            folder=folder,
            checkpoint_every=checkpoint_every,
            keep=keep,
            resume=resume,
            memory_limit=memory_limit,
            progress=progress,
        )

    def fit(
        self,
        samples: Any,
        state: State | None = None,
        *,
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
        progress: bool | Callable[[int, int | None], None] = True,
    ) -> tuple[Recording, State]:
        """Learn from samples, several times over.

        Parameters
        ----------
        samples, state, learn, seed, horizon, chunk_size
            As in :meth:`run`; plasticity is on. An iterable must begin anew for each epoch.
        epochs : int
            How often all samples are shown.
        first_epoch : int
            Number of the first of them in the key of the counter-based draws.
        folder, checkpoint_every, keep, resume, memory_limit, progress
            As in :meth:`run`. Checkpoints are counted over all epochs.

        Returns
        -------
        Recording
            What was observed, epoch after epoch.
        State
            The state after the last sample.

        Raises
        ------
        DataError, ParameterError, DeviceError, StorageError, Interrupted
            As :meth:`run`.
        """
        check_whole("fit", "epochs", epochs, 1, _EPOCHS)
        check_whole("fit", "first_epoch", first_epoch, 0, _EPOCHS - epochs)
        return self._execute(
            samples,
            state,
            epochs=epochs,
            learn=learn,
            seed=seed,
            first_epoch=first_epoch,
            first_sample=0,
            horizon=horizon,
            chunk_size=chunk_size,
            n_jobs=1,
            folder=folder,
            checkpoint_every=checkpoint_every,
            keep=keep,
            resume=resume,
            memory_limit=memory_limit,
            progress=progress,
        )

    def _execute(
        self,
        samples: Any,
        state: State | None,
        *,
        epochs: int,
        learn: bool | Iterable[str],
        seed: int,
        first_epoch: int,
        first_sample: int,
        horizon: int | None,
        chunk_size: int | None,
        n_jobs: int,
        folder: str | os.PathLike[str] | None,
        checkpoint_every: int | None,
        keep: int,
        resume: bool,
        memory_limit: int | None,
        progress: bool | Callable[[int, int | None], None],
    ) -> tuple[Recording, State]:
        for name, value in (("seed", seed), ("first_sample", first_sample)):
            check_whole("run", name, value, 0, LARGEST)
        for name, value in (
            ("horizon", horizon),
            ("chunk_size", chunk_size),
            ("checkpoint_every", checkpoint_every),
            ("keep", keep),
            ("n_jobs", n_jobs),
        ):
            if value is not None:
                check_whole("run", name, value, 1, LARGEST)
        if memory_limit is not None:
            check_whole("run", "memory_limit", memory_limit, 1, 2**62)
        for name, given in (("checkpoint_every", checkpoint_every), ("resume", resume)):
            if given and folder is None:
                remedy = "Say with folder=... where"
                raise ParameterError("run", name, given, "given together with folder", remedy)
        source = source_of(self.interface, samples)
        if epochs > 1 and isinstance(samples, Iterator):
            wanted = "an array or an iterable that begins anew each time, for more than one epoch"
            remedy = "Give an object with __iter__, such as a data loader"
            raise ParameterError("fit", "samples", "an iterator", wanted, remedy)
        learning = learning_of(self.interface, learn)
        start = self._start(state, seed)
        if horizon is None and source.n is None and learning and self.interface.scheduled:
            remedy = "Say how many samples the schedules run over"
            raise ParameterError(
                "run", "horizon", None, "given where a stream of samples is learned", remedy
            )
        if source.n is not None:
            check_whole("run", "first_sample", first_sample, 0, LARGEST - source.n + 1)
        total = None if source.n is None else source.n * epochs
        order = Order(
            seed=seed,
            epochs=epochs,
            first_epoch=first_epoch,
            first_sample=first_sample,
            horizon=horizon or max(start.samples_seen + (total or 0), 1),
            learning=learning,
            chunk_size=chunk_size,
            checkpoint_every=checkpoint_every,
            keep=keep,
            memory_limit=default_limit() if memory_limit is None else memory_limit,
        )
        where = None if folder is None else Path(folder)
        return self._perform(source, start, order, n_jobs, where, resume, progress)

    def _start(self, state: State | None, seed: int) -> State:
        """The state that a run starts from, checked."""
        start = self.initial_state(seed) if state is None else state
        checked_state(self._made.defaults, start)
        return start

    def _perform(
        self,
        source: ArraySource | StreamSource,
        start: State,
        order: Order,
        n_jobs: int,
        folder: Path | None,
        resume: bool,
        progress: bool | Callable[[int, int | None], None],
    ) -> tuple[Recording, State]:
        """Do what was asked for."""
        if self.n_parallel > 1:
            n = f"n_parallel={self.n_parallel}"
            if order.learning:
                remedy = "To train several networks at once, use simulation.ensemble"
                raise ParameterError(
                    "run", "learn", list(order.learning), f"False with {n}", remedy
                )
            if n_jobs > 1:
                raise ParameterError("run", "n_jobs", n_jobs, f"1 with {n}")
        if n_jobs > 1:
            if not isinstance(self._made, CompiledNetwork):
                wanted = f'1 on the device "{self.device}"'
                raise ParameterError("run", "n_jobs", n_jobs, wanted, 'Use device="cpp"')
            for name, refused in (("learn", bool(order.learning)), ("folder", folder is not None)):
                if refused:
                    raise ParameterError("run", "n_jobs", n_jobs, f"1 together with {name}")
            if not isinstance(source, ArraySource):
                raise ParameterError("run", "n_jobs", n_jobs, "1 with a stream of samples")
            return parallel.run(self._made, source, start, order, n_jobs, progress)
        return Course(self._made, source, start, order, progress).run(folder, resume)
