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

from biosnn.errors import Interrupted, ParameterError
from biosnn.program.interface import check_independent
from biosnn.progress import ProgressBar
from biosnn.recording import Recording
from biosnn.simulation.inputs import ArraySource
from biosnn.simulation.run_loop.chunks import Run
from biosnn.simulation.run_loop.recorders import MemoryRecorder
from biosnn.simulation.run_loop.run import Progress, run_in_memory, watched
from biosnn.state import State

_STOPPED = "stopped; a run with n_jobs > 1 keeps nothing"


def execute(run: Run, n_jobs: int, progress: Progress) -> tuple[Recording, State]:
    """Show the samples of a run in several processes; the result is that of one.

    Raises
    ------
    ParameterError
        If samples come from a stream or depend on those before them.
    """
    source = run.source
    if not isinstance(source, ArraySource):
        raise ParameterError("run", "n_jobs", n_jobs, "1 with a stream of samples")
    if run.interface.snapshots:
        raise ParameterError("run", "n_jobs", n_jobs, "1 together with snapshots")
    check_independent("run", "n_jobs", n_jobs, run.interface.carried)
    source.check()
    whole = MemoryRecorder(run.interface, source.n, run.options.memory)
    bounds = np.linspace(0, source.n, min(n_jobs, source.n) + 1).astype(int).tolist()
    memory = run.options.memory // len(bounds[1:])
    with watched(run, progress) as (bar, stop):
        board = _Board(bar, len(bounds) - 1)

        def job(first: int, last: int, number: int) -> tuple[Recording, State] | None:
            options = attrs.evolve(
                run.options,
                first_sample=run.options.first_sample + first,
                memory_limit=memory,
            )
            part = attrs.evolve(run, source=source.part(first, last), options=options)
            try:
                return run_in_memory(part, stop, board.reporter(number))
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
            raise Interrupted(_STOPPED, stop.signal)
    if stop.signal:
        raise Interrupted(_STOPPED, stop.signal)
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
