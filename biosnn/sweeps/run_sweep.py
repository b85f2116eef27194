"""Run a function under many settings and seeds, and keep what it returns."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from biosnn.declaration import to_data
from biosnn.errors import BiosnnError, DeviceError, Interrupted
from biosnn.files import locked_folder, replace
from biosnn.progress import ProgressBar
from biosnn.sweeps.clusters import client_of
from biosnn.sweeps.plan import PlannedRun, planned_runs, version_of
from biosnn.sweeps.runs import MARK, Outcome, Task, died, execute, keep, kept, one_line
from biosnn.sweeps.tables import Sweep, check_tables
from biosnn.validation import check_flag, check_path, check_whole

#: Seconds between two looks at how many workers there are.
_LOOK_EVERY = 1.0
#: Times that a run is given to workers for each time that it may start: Dask blames a worker's
#: death on runs that it had not begun, too.
_MOST = 10
_RUNS = "runs"

Report = Callable[[PlannedRun, Outcome], None]


def sweep(
    function: Callable[..., Any],
    grid: Any,
    *,
    folder: str | os.PathLike[str],
    seeds: int | Sequence[int] = 1,
    version: str | int | None = None,
    workers: int | None = None,
    scheduler: Any = None,
    retries: int = 3,
    progress: bool = True,
) -> Sweep:
    """Run a function under every setting of a grid, with every seed.

    Parameters
    ----------
    function : callable
        ``function(setting, seed)`` with ``setting`` a dict; it returns a dict of metrics: numbers
        and texts, also in lists and dicts. If it has a parameter ``folder``, that is the run's own
        folder, a path where it may leave files (and checkpoints, which it finds there when the run
        is started again).
    grid : dict of lists, or list of dicts
        Name -> values, of which every combination is a setting; or the settings themselves, such as
        ``list(sklearn.model_selection.ParameterSampler(...))``. Values are numbers, texts,
        quantities, and specs of biosnn.
    folder : path-like
        Where results are kept. Runs that are finished there are not repeated; runs that failed are.
    seeds : int or sequence of int
        Number of seeds, 0, 1, 2, ...; or the seeds.
    version : str or int, optional
        Of what is run: results of another version do not count. Default: the function's source
        code and biosnn's version. What the function calls and closes over is not part of it, so
        give a version of your own when that changes.
    workers : int, optional
        Worker processes on this machine; default: its CPUs. 0 runs all in this process, one after
        the other, without Dask.
    scheduler : str, distributed.Client or cluster, optional
        A scheduler's address, or something of Dask that has a scheduler, such as
        :func:`slurm_cluster`. Its workers have one thread each and see ``folder``. It stays open.
    retries : int
        How often a run is started again because its worker died, before it counts as failed.
    progress : bool
        Show on stderr how many runs are done.

    Returns
    -------
    Sweep
        Tables of the runs and of their means. They are also in ``folder``, as CSV and Parquet.

    Raises
    ------
    ParameterError
        If an argument is out of its bounds. Nothing has run then.
    StorageError
        If ``folder`` cannot be written, or another sweep is running there.
    DeviceError
        If the scheduler does not answer, or is lost. What is finished is kept.
    MissingExtraError
        If a library of ``pip install "biosnn[sweeps]"`` is not installed.
    Interrupted
        If Ctrl-C stopped it. What is finished is kept; the same call goes on.

    Notes
    -----
    An exception of the function is an entry of the table (``status`` "failed"), and its traceback
    is in the run's folder. Worker processes import the main module: a script calls ``sweep`` below
    ``if __name__ == "__main__":``.
    """
    known = version_of(function, version)
    plan = planned_runs(grid, seeds, known)
    check_path("sweep", "folder", folder)
    check_flag("sweep", "progress", progress)
    check_whole("sweep", "retries", retries, 0)
    check_tables()
    place = Path(folder).absolute()
    lock = locked_folder(place, "sweep.lock")
    try:
        return _swept(function, plan, place, (scheduler, workers), retries, progress)
    finally:
        lock.release()


def _swept(
    function: Callable[..., Any],
    plan: list[PlannedRun],
    place: Path,
    where: tuple[Any, int | None],
    retries: int,
    progress: bool,
) -> Sweep:
    outcomes: dict[str, Outcome] = {}
    for run in plan:
        outcome = kept(place / _RUNS / run.key)
        if outcome is not None:
            outcomes[run.key] = outcome
    left = [run for run in plan if run.key not in outcomes]
    try:
        with ProgressBar(len(plan), progress, start=len(outcomes), unit="runs") as bar:

            def report(run: PlannedRun, outcome: Outcome) -> None:
                outcomes[run.key] = outcome
                if outcome.error:
                    bar.note(f"failed: {run.setting}, seed {run.seed}: {outcome.error}")
                bar.update(len(outcomes))

            if left:
                with client_of(*where) as client, _marked(place) as mark:
                    tasks = [(run, _task(function, run, place, mark, retries)) for run in left]
                    _run_all(client, tasks, report)
    except KeyboardInterrupt as error:
        Sweep.of(place, plan, outcomes).write()
        done = sum(not outcome.error for outcome in outcomes.values())
        raise Interrupted(
            f"stopped after {done} of {len(plan)} runs, which are kept in {place}: the same call "
            "goes on with the others",
            getattr(error, "signal", 0),
            place,
        ) from error
    found = Sweep.of(place, plan, outcomes)
    found.write()
    return found


@contextlib.contextmanager
def _marked(place: Path) -> Iterator[str]:
    """Put a file there by which workers see that they see the folder."""
    mark = uuid4().hex
    replace(place / MARK, mark.encode())
    try:
        yield mark
    finally:
        (place / MARK).unlink(missing_ok=True)


def _task(
    function: Callable[..., Any], run: PlannedRun, place: Path, mark: str, retries: int
) -> Task:
    return Task(
        function=function,
        setting=run.setting,
        written=to_data(run.setting),
        seed=run.seed,
        folder=str(place / _RUNS / run.key),
        mark=mark,
        retries=retries,
    )


def _run_all(client: Any, tasks: list[tuple[PlannedRun, Task]], report: Report) -> None:
    """Run here, or give each worker one run at a time: it is known then which run it dies of."""
    if client is None:
        for run, task in tasks:
            report(run, execute(task))
        return
    import distributed

    waiting = list(reversed(tasks))
    running: dict[Any, tuple[PlannedRun, Task]] = {}
    submitted: Counter[str] = Counter()
    try:
        while waiting or running:
            free = max(len(client.nthreads()), 1) - len(running)
            for _ in range(min(free, len(waiting))):
                run, task = waiting.pop()
                submitted[run.key] += 1
                name = f"biosnn-{run.key}-{task.mark}-{submitted[run.key]}"
                running[client.submit(execute, task, key=name)] = (run, task)
            with contextlib.suppress(TimeoutError):
                distributed.wait(list(running), timeout=_LOOK_EVERY, return_when="FIRST_COMPLETED")
            for future in [future for future in running if future.done()]:
                run, task = running.pop(future)
                outcome = _ended(client, future, task)
                if outcome is None and submitted[run.key] < _MOST * (task.retries + 1):
                    waiting.append((run, task))
                    continue
                if outcome is None:  # its worker dies before it can count
                    outcome = died(submitted[run.key])
                    keep(task, outcome)
                report(run, outcome)
    finally:
        if running and client.status == "running":
            client.cancel(list(running))


def _ended(client: Any, future: Any, task: Task) -> Outcome | None:
    """How a run ended; None if its worker died, or the one that it was to run on."""
    from distributed.scheduler import KilledWorker

    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise DeviceError(
            f"the scheduler {client} was lost; what is finished is kept, and the same call goes on"
        )
    problem = future.exception()
    if isinstance(problem, KilledWorker):
        return None
    if isinstance(problem, BiosnnError):  # not of the function: the folder cannot be used
        raise problem
    raise DeviceError(
        f"the workers cannot run {task.function!r} ({one_line(problem)}): let them import what "
        "this process imports, from the same versions"
    ) from problem
