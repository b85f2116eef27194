"""Events that are on their way: Brian2's queues of a pathway as arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np


def queued(queue: Any) -> np.ndarray:
    """What is on its way in a queue of Brian2, between two time steps.

    Parameters
    ----------
    queue : brian2.synapses.spikequeue.SpikeQueue
        Of a pathway.

    Returns
    -------
    numpy.ndarray of int32, shape (n, 2)
        Time steps from the last one to the effect, at least 1, and synapse, of each event in the
        order in which they take effect.
    """
    offset, slots = queue._full_state()
    rows = [
        np.column_stack([np.full(len(events), ahead + 1), events])
        for ahead in range(len(slots))
        for events in (slots[(offset + ahead) % len(slots)],)
        if len(events)
    ]
    return np.concatenate([np.empty((0, 2)), *rows]).astype(np.int32)


def set_queue(queue: Any, events: np.ndarray) -> None:
    """Have a queue of Brian2 hold what :func:`queued` said, and nothing else."""
    slots: list[list[int]] = [[] for _ in range(int(events[:, 0].max(initial=1)))]
    for ahead, synapse in events:
        slots[ahead - 1].append(int(synapse))
    queue._restore_from_full_state((0, slots))
