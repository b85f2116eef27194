"""Many independent networks in one program: other seeds, other parameters, the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from biosnn.callbacks import Callback, checked_callbacks
from biosnn.devices.base.contract import ReplicatingDevice
from biosnn.errors import DataError, ParameterError
from biosnn.recording import Recording
from biosnn.simulation.argument_checks import checked_state
from biosnn.simulation.provenance import now, with_origin
from biosnn.simulation.run_loop.metrics import schedules_of
from biosnn.simulation.run_loop.options import EPOCHS, Checkpointing, RunOptions
from biosnn.simulation.run_loop.run import Progress, execute, prepare
from biosnn.state import State
from biosnn.validation import LARGEST, check_whole


class Ensemble:
    """Independent networks that run side by side, made by :func:`biosnn.simulation.ensemble`.

    Attributes
    ----------
    n : int
        How many there are.
    members : tuple of NetworkModel
        Their declarations; a member's results are those of its declaration run alone.
    interface : Interface
        Inputs, variables and recorders of one of them.
    device, device_reason : str
        Where it runs, and why there.
    """

    def __init__(
        self,
        made: ReplicatingDevice,
        members: Sequence[Any],
        begins: Callable[[Any, int], State],
        device: str,
        device_reason: str,
    ):
        self._made = made
        self.device, self.device_reason = device, device_reason
        self._begins = begins
        self.interface = made.interface
        self.members = tuple(members)
        self.n = len(self.members)

    def __repr__(self) -> str:
        return f"Ensemble of {self.n} networks on {self.device}: {self.interface}"

    @property
    def build_seconds(self) -> float:
        """Seconds that building took."""
        return self._made.build_seconds

    def initial_states(self, seeds: int | Sequence[int] | None = None) -> list[State]:
        """Each member's complete state before the first sample.

        Parameters
        ----------
        seeds : int or sequence of int, optional
            Seeds of the random parts, one per member or one for all; default: 0, 1, 2, ...
        """
        return [
            self._begins(member, seed)
            for member, seed in zip(self.members, self._seeds(seeds), strict=True)
        ]

    def run(
        self,
        samples: Any,
        states: Sequence[State] | None = None,
        *,
        learn: bool | Iterable[str] = False,
        seeds: int | Sequence[int] | None = None,
        epoch: int = 0,
        first_sample: int = 0,
        horizon: int | None = None,
        chunk_size: int | None = None,
        memory_limit: int | None = None,
        callbacks: Iterable[Callback] = (),
        progress: Progress = True,
    ) -> list[tuple[Recording, State]]:
        """Show the same samples, in the same order, to every member.

        Parameters
        ----------
        samples, learn, epoch, first_sample, horizon, chunk_size, callbacks, progress
            As in :meth:`biosnn.simulation.Runnable.run`.
        states : sequence of State, optional
            State of each member to start from; default: the initial ones for ``seeds``.
        seeds : int or sequence of int, optional
            Seeds of the counter-based draws, one per member or one for all; default: 0, 1, 2, ...
        memory_limit : int, optional
            Bytes of memory that all recordings may take; default: a quarter of all memory.

        Returns
        -------
        list of (Recording, State)
            What was observed in each member, and its state after the last sample. With
            ``math="strict"`` they are, to the bit, those of ``members[k]`` run alone with its seed
            and state. ``seconds`` is the time that all took together.

        Raises
        ------
        DataError
            If samples or states have the wrong shape, values or number.
        ParameterError
            If another argument is out of its range, or the recordings do not fit.
        DeviceError
            If the run fails or a member's state variable becomes NaN or infinite.
        Interrupted
            If Ctrl-C or SIGTERM stopped it. Nothing is kept.
        """
        check_whole("run", "epoch", epoch, 0, EPOCHS - 1)
        options = RunOptions(
            learn=learn,
            first_epoch=epoch,
            first_sample=first_sample,
            horizon=horizon,
            chunk_size=chunk_size,
            memory_limit=memory_limit,
        )
        others: dict[str, Any] = {"callbacks": callbacks, "progress": progress}
        return self.execute(samples, states, options, seeds=seeds, **others)

    def fit(
        self,
        samples: Any,
        states: Sequence[State] | None = None,
        *,
        epochs: int = 1,
        learn: bool | Iterable[str] = True,
        seeds: int | Sequence[int] | None = None,
        first_epoch: int = 0,
        horizon: int | None = None,
        chunk_size: int | None = None,
        memory_limit: int | None = None,
        callbacks: Iterable[Callback] = (),
        progress: Progress = True,
    ) -> list[tuple[Recording, State]]:
        """Let every member learn from the same samples, several times over.

        Parameters
        ----------
        samples, states, learn, seeds, horizon, chunk_size, memory_limit, callbacks, progress
            As in :meth:`run`; plasticity is on. An iterable must begin anew for each epoch.
        epochs : int
            How often all samples are shown.
        first_epoch : int
            Number of the first of them in the key of the counter-based draws.

        Returns
        -------
        list of (Recording, State)
            As :meth:`run`.

        Raises
        ------
        DataError, ParameterError, DeviceError, CallbackError, Interrupted
            As :meth:`run`.
        """
        options = RunOptions(
            learn=learn,
            epochs=epochs,
            first_epoch=first_epoch,
            horizon=horizon,
            chunk_size=chunk_size,
            memory_limit=memory_limit,
        )
        others: dict[str, Any] = {"callbacks": callbacks, "progress": progress}
        return self.execute(samples, states, options, seeds=seeds, **others)

    def execute(
        self,
        samples: Any,
        states: Sequence[State] | None,
        options: RunOptions,
        *,
        seeds: int | Sequence[int] | None = None,
        callbacks: Iterable[Callback] = (),
        progress: Progress = True,
    ) -> list[tuple[Recording, State]]:
        """Show samples as options say; :meth:`run` and :meth:`fit` are this with keywords.

        Parameters
        ----------
        samples, states, seeds, callbacks, progress
            As in :meth:`run`.
        options : RunOptions
            All else, but for the seed.

        Returns
        -------
        list of (Recording, State)
            As :meth:`run`.

        Raises
        ------
        DataError, ParameterError, DeviceError, CallbackError, Interrupted
            As :meth:`run`.
        """
        keys = self._seeds(seeds)
        starts = self._starts(states, keys)
        run = prepare(self._made, samples, starts, options, seeds=keys, begin=self._made.ensemble)
        started = now()
        calls = checked_callbacks("run", callbacks)
        if calls and self.interface.scheduled:
            run = attrs.evolve(run, schedules=tuple(map(schedules_of, self.members)))
        recordings, ends = execute(run, Checkpointing(), progress, calls)
        known = [
            with_origin(recording, self.interface, self.device, started, seed, options)
            for recording, seed in zip(recordings, keys, strict=True)
        ]
        return list(zip(known, ends, strict=True))

    def _seeds(self, seeds: int | Sequence[int] | None) -> tuple[int, ...]:
        if seeds is None:
            return tuple(range(self.n))
        if not isinstance(seeds, Iterable):
            check_whole("ensemble", "seeds", seeds, 0, LARGEST)
            return (int(seeds),) * self.n
        found = tuple(seeds)
        if len(found) != self.n:
            raise ParameterError("ensemble", "seeds", f"{len(found)} seeds", f"{self.n}, or one")
        for k, seed in enumerate(found):
            check_whole("ensemble", f"seeds[{k}]", seed, 0, LARGEST)
        return tuple(int(seed) for seed in found)

    def _starts(self, states: Sequence[State] | None, seeds: tuple[int, ...]) -> list[State]:
        if states is None:
            return self.initial_states(seeds)
        if isinstance(states, State) or len(states) != self.n:
            got = "one state" if isinstance(states, State) else f"{len(states)} states"
            raise DataError(f"run: states must be a list of {self.n}, one per member, got {got}")
        for state in states:
            checked_state(self._made.defaults, state)
        return list(states)
