"""Several processes share the samples of a run without plasticity.

Samples belong to parts, one per process, which all start from the same state. That is the same
as one process only if no sample leaves anything behind for a later one, which the declaration says
(:mod:`biosnn.program.carried`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import pairwise

import attrs
import numpy as np
from joblib import Parallel, delayed

from biosnn.devices.base.binary import CompiledNetwork
from biosnn.errors import Interrupted, ParameterError
from biosnn.program.carried import check_independent
from biosnn.progress import ProgressBar
from biosnn.recording import Recording
from biosnn.simulation.inputs import ArraySource
from biosnn.simulation.recorders import MemorySink
from biosnn.simulation.run_loop import Course, Order
from biosnn.simulation.signals import SafePoint
from biosnn.state import State


def run(
    made: CompiledNetwork,
    source: ArraySource,
    start: State,
    order: Order,
    n_jobs: int,
    progress: bool | Callable[[int, int | None], None],
) -> tuple[Recording, State]:
    """Show samples in several processes.

    Parameters
    ----------
    made, source, start, order, progress
        As for a :class:`Course`.
    n_jobs : int
        Number of processes.

    Returns
    -------
    Recording, State
        Those of one process.

    Raises
    ------
    ParameterError
        If samples depend on those before them.
    """
    if made.interface.snapshots:
        raise ParameterError("run", "n_jobs", n_jobs, "1 together with snapshots")
    check_independent("run", "n_jobs", n_jobs, made.interface.carried)
    source.check()
    whole = MemorySink(made.interface, source.n, order.memory_limit)
    bounds = np.linspace(0, source.n, min(n_jobs, source.n) + 1).astype(int).tolist()
    order = attrs.evolve(order, memory_limit=order.memory_limit // len(bounds[1:]))
    with ProgressBar(source.n, progress) as bar, SafePoint(bar.note) as stop:
        board = _Board(bar, len(bounds) - 1)

        def show(
            first: int, last: int, state: State, report: Callable[..., None] = lambda *_: None
        ) -> tuple[Recording, State]:
            part = attrs.evolve(order, first_sample=order.first_sample + first)
            course = Course(made, source.part(first, last), state, part, False)
            return course.in_memory(stop, report)

        def job(first: int, last: int, number: int) -> tuple[Recording, State] | None:
            try:
                return show(first, last, start, board.reporter(number))
            except Interrupted:  # not for a thread to raise; all of them are asked to stop
                return None
            except BaseException:
                stop.request()  # the others need not go on
                raise

        # Threads suffice: each waits for a binary of its own.
        parts = Parallel(n_jobs=len(bounds) - 1, backend="threading")(
            delayed(job)(first, last, number)
            for number, (first, last) in enumerate(pairwise(bounds))
        )
        done = [part for part in parts if part is not None]
        if len(done) < len(parts):
            raise Interrupted("stopped; a run with n_jobs > 1 keeps nothing", stop.signal)
    if stop.signal:
        raise Interrupted("stopped; a run with n_jobs > 1 keeps nothing", stop.signal)
    end = done[-1][1]
    del parts
    while done:
        whole.append(done.pop(0)[0])
    return whole.finish(), end


class _Board:
    """Adds up the progress of several processes."""

    def __init__(self, bar: ProgressBar, n: int):
        self._bar = bar
        self._done = [(0, 0.0)] * n
        self._lock = threading.Lock()

    def reporter(self, number: int) -> Callable[[int, Mapping[str, float]], None]:
        """What one process calls."""

        def report(done: int, figures: Mapping[str, float]) -> None:
            with self._lock:
                self._done[number] = (done, done * figures.get("spikes/sample", 0.0))
                done = sum(part for part, _ in self._done)
                spikes = sum(part for _, part in self._done)
            self._bar.update(done, {"spikes/sample": spikes / max(done, 1)})

        return report
