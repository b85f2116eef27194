"""What every device offers to ``biosnn.simulation``: one chunk of samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
import numpy as np

from biosnn.recording import Recording
from biosnn.state import State


@attrs.frozen(kw_only=True)
class Settings:
    """Numbers that a run sets besides the state.

    Parameters
    ----------
    seed : int
        Key of the counter-based draws.
    epoch : int
        Pass over the data.
    first_sample : int
        Index in the dataset of the chunk's first sample.
    horizon : int
        Number of samples over which learning schedules run.
    learning : tuple of str
        Projections that learn.
    """

    seed: int
    epoch: int
    first_sample: int
    horizon: int
    learning: tuple[str, ...]


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


class Device(Protocol):
    """A network on a device."""

    #: state with the device's own values for what no declaration sets
    defaults: State
    #: seconds that building took
    build_seconds: float

    def run_chunk(
        self,
        n: int,
        inputs: Mapping[str, Any],
        state: State,
        settings: Settings,
        progress: Callable[[int], None],
    ) -> tuple[Recording, State]:
        """Show ``n`` samples.

        Parameters
        ----------
        n : int
            Number of samples.
        inputs : mapping
            Input -> float32 array (n, features) or (n, T, features), :class:`AddressEvents`, or
            ``None`` for an input that is left out.
        state : State
            Complete state before the first sample.
        settings : Settings
            Seed, indices, schedules, what learns.
        progress : callable
            Is told from time to time how many samples are done.

        Returns
        -------
        Recording, State
        """
        ...
