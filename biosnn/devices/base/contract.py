"""What every device offers to ``biosnn.simulation``: one chunk of samples at a time.

Nothing here needs Brian2: a network that was compiled runs without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from biosnn.program.interface import Interface
from biosnn.recording import Recording
from biosnn.state import State

#: bytes of a recorded spike: index, time, sample, attempt
SPIKE_BYTES = 4 + 8 + 8 + 4
#: what a binary writes of each, as types of NumPy
SPIKE_FILES = {"i": "<i4", "t_sample": "<f8", "sample": "<i4", "attempt": "<i4"}


@attrs.frozen(kw_only=True)
class Settings:
    """Numbers that a chunk sets besides the state; ``seed`` and ``horizon`` for each network.

    Parameters
    ----------
    seed, epoch, first_sample : int
        Key of the counter-based draws; the last one is the dataset's index of the first sample.
    position : int
        Samples of this run that came before.
    horizon : int
        Number of samples over which learning schedules run.
    learning : tuple of str
        Projections that learn.
    recorder_limit : int
        Bytes of spikes and traces that the chunk may record.
    """

    seed: int | tuple[int, ...]
    epoch: int
    first_sample: int
    position: int
    horizon: int | tuple[int, ...]
    learning: tuple[str, ...]
    recorder_limit: int = 2**62


@attrs.frozen(eq=False)
class AddressEvents:
    """Input spikes as lists, sorted by sample and step.

    Parameters
    ----------
    sample, step, unit : numpy.ndarray of int32, shape (n_events,)
        Row of the sample in the chunk, time step since its onset, input unit.
    """

    sample: np.ndarray
    step: np.ndarray
    unit: np.ndarray


@attrs.frozen(eq=False)
class Chunk:
    """Samples that are shown in one go.

    Parameters
    ----------
    n : int
        Number of samples.
    inputs : dict
        Port -> array (n, features) or (n, T, features) of float32 or, in double precision,
        float64, :class:`AddressEvents`, or
        ``None`` for an input that is left out.
    """

    n: int
    inputs: dict[str, Any]


#: is told from time to time: samples done, presentations and spikes so far, all in this chunk
Report = Callable[[int, int, int], None]


class NotFiniteError(Exception):
    """A state variable became NaN or infinite: its name, the index, the sample in the chunk.

    ``replica`` is the copy of the network in which it did.
    """

    def __init__(self, name: str, index: int, sample: int, replica: int = 0):
        super().__init__(f"{name}[{index}] in sample {sample}")
        self.name, self.index, self.sample, self.replica = name, index, sample, replica


class TooMuchRecordedError(Exception):
    """Spikes and traces have passed the limit of a run."""


class Stop:
    """A wish to stop at the next safe point; whoever can hear it registers a listener."""

    def __init__(self) -> None:
        self.requested = False
        self._listeners: list[Callable[[], None]] = []

    def request(self) -> None:
        """Ask to stop."""
        self.requested = True
        for listener in list(self._listeners):
            listener()

    def add(self, listener: Callable[[], None]) -> None:
        """Have a function called when a stop is asked for."""
        self._listeners.append(listener)

    def remove(self, listener: Callable[[], None]) -> None:
        """Do not call it any more."""
        self._listeners.remove(listener)


class Session(Protocol):
    """A run on a device. The state stays there from chunk to chunk."""

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, Recording | None]:
        """Show samples.

        Parameters
        ----------
        chunk : Chunk
            The samples.
        settings : Settings
            Seed, indices, schedules, what learns.
        report : callable
            Progress.
        stop : Stop
            A device may end the chunk early after a whole sample when it is asked to.

        Returns
        -------
        int, Recording
            How many samples were shown, and what was observed in them (nothing if none was).

        Raises
        ------
        DeviceError
            If the run failed. The state is then what it was before the chunk.
        NotFiniteError, TooMuchRecordedError
            For the caller to turn into a sentence.
        """
        ...

    def state(self) -> State:
        """The state after the last chunk."""
        ...


class Device(Protocol):
    """A network on a device."""

    interface: Interface
    #: state with everything that is not drawn at random
    defaults: State
    #: seconds that building took
    build_seconds: float
    #: most samples in a chunk, where a chunk cannot end early; None where it can
    longest_chunk: int | None

    def session(self, state: State, folder: Path) -> AbstractContextManager[Session]:
        """Begin a run from a complete state; ``folder`` is an empty one for its files."""
        ...


class EnsembleSession(Protocol):
    """A run of independent copies of a network, which all show the same samples."""

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, list[Recording]]:
        """As that of a :class:`Session`, with what was observed in each copy.

        ``settings.seed`` and ``settings.horizon`` may have one value per copy.
        """
        ...

    def state(self) -> list[State]:
        """The state of each copy after the last chunk."""
        ...


class ReplicatingDevice(Device, Protocol):
    """A network on a device that is registered with ``replicates``.

    A program's replicas share the samples and the weights in a :class:`Session`, or are independent
    copies of the network (``Replicas.shared``).
    """

    def ensemble(
        self, states: Sequence[State], folder: Path
    ) -> AbstractContextManager[EnsembleSession]:
        """Begin a run of independent copies, each from its own complete state."""
        ...
