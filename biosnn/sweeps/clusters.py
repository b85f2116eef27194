"""Where the runs of a sweep are run: workers of Dask, or this process."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

from joblib import cpu_count

from biosnn.errors import DeviceError, ParameterError, needs_extra
from biosnn.validation import check_whole, describe

_WHERE = "sweep"
_CONNECT = 30  # seconds
_NO_ADDRESS: Any = None  # Dask says that it must be a text, and takes None for none
# One worker is one thread: Brian2 is not made for several, and workers share the CPUs.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextlib.contextmanager
def client_of(scheduler: Any, workers: int | None) -> Iterator[Any]:
    """A Dask client for the runs; None where they are run in this process.

    Parameters
    ----------
    scheduler : str, Client or cluster, optional
        Address of a scheduler, or something of Dask that has one; it stays open. Without it a
        cluster is started on this machine, and closed in the end.
    workers : int, optional
        Number of its worker processes, default: the CPUs that this process may use. 0: none.

    Raises
    ------
    ParameterError
        If the arguments do not go together, or a worker has several threads.
    DeviceError
        If the scheduler does not answer.
    MissingExtraError
        If Dask is not installed.
    """
    if scheduler is None:
        n = check_whole(_WHERE, "workers", cpu_count() if workers is None else workers, 0)
        if n == 0:
            yield None
            return
        with _local(n) as client:
            yield client
        return
    if workers is not None:
        wanted, remedy = "None together with scheduler", "They are those of its cluster"
        raise ParameterError(_WHERE, "workers", workers, wanted, remedy)
    with _connected(scheduler) as client:
        _check_threads(client)
        yield client


@contextlib.contextmanager
def _local(workers: int) -> Iterator[Any]:
    with needs_extra("biosnn.sweeps", "sweeps"):
        import distributed
        from dask import config

    # Whose worker has died is told at once, and started again from here.
    settings: dict[str, Any] = {"distributed.scheduler.allowed-failures": 0}
    for name in _THREADS:
        settings[f"distributed.nanny.pre-spawn-environ.{name}"] = 1
    with (
        tempfile.TemporaryDirectory(prefix="biosnn-dask-", ignore_cleanup_errors=True) as scratch,
        config.set(settings),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=_NO_ADDRESS,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any port, from here only
            local_directory=scratch,
            preload=["biosnn.sweeps.worker"],
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def _connected(scheduler: Any) -> Iterator[Any]:
    with needs_extra("biosnn.sweeps", "sweeps"):
        import distributed
        from distributed.deploy.cluster import Cluster

    if isinstance(scheduler, distributed.Client):
        yield scheduler
        return
    if not isinstance(scheduler, str | Cluster):
        wanted = "the address of a scheduler, a dask.distributed.Client or a cluster of Dask"
        raise ParameterError(_WHERE, "scheduler", describe(scheduler), wanted)
    try:
        client = distributed.Client(scheduler, timeout=_CONNECT)
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"the scheduler {scheduler!r} does not answer ({error}): start it with `dask "
            "scheduler`, and give the address that it prints, such as tcp://10.0.0.1:8786"
        ) from error
    with client:
        yield client


def _check_threads(client: Any) -> None:
    most = max(client.nthreads().values(), default=1)
    if most > 1:
        wanted = "one whose workers have one thread each"
        remedy = "Start them with `dask worker ADDRESS --nworkers auto --nthreads 1`"
        raise ParameterError(_WHERE, "scheduler", f"workers of {most} threads", wanted, remedy)


def with_copies(client: Any) -> Any:
    """Let a Dask client put data on all workers, for searches with joblib that outlive some.

    joblib sends arrays of more than 1 kB to one worker, from where the others fetch them. If that
    worker is killed before, Dask cannot make them again, and the search ends with a
    ``FutureCancelledError``.

    Parameters
    ----------
    client : distributed.Client
        The client, which is changed; its scheduler no longer removes copies of data.

    Returns
    -------
    distributed.Client
        The same.
    """
    client.amm.stop()  # the scheduler's active memory manager removes copies after two seconds
    client.scatter = partial(client.scatter, broadcast=True)
    return client


def slurm_cluster(jobs: int, **options: Any) -> Any:
    """A cluster of Dask whose workers are jobs of SLURM, for ``sweep(..., scheduler=...)``.

    Parameters
    ----------
    jobs : int
        How many jobs are submitted, of one worker, process and thread each. 0: none yet, to look
        at ``cluster.job_script()``.
    **options
        Of :class:`dask_jobqueue.SLURMCluster`: ``queue``, ``account``, ``walltime``,
        ``memory``, ``job_extra_directives``, ``scheduler_options`` and others.

    Returns
    -------
    dask_jobqueue.SLURMCluster
        To be closed after the sweep (it is a context manager).

    Raises
    ------
    ParameterError
        If an option is unknown or has to be another.
    DeviceError
        If jobs are wanted where there is no ``sbatch``.
    MissingExtraError
        If dask-jobqueue is not installed.
    """
    check_whole("slurm_cluster", "jobs", jobs, 0)
    with needs_extra("biosnn.sweeps", "sweeps"):
        from dask_jobqueue.slurm import SLURMCluster

    for name in ("cores", "processes"):
        if options.get(name, 1) != 1:
            remedy = "More workers are more jobs"
            raise ParameterError("slurm_cluster", name, options[name], "1", remedy)
    if jobs and shutil.which("sbatch") is None:
        raise DeviceError(
            "there is no sbatch on this machine: start the sweep where jobs of SLURM are "
            "submitted, or copy the job script there, with the address of a scheduler in it"
        )
    prologue = [f"export {name}=1" for name in _THREADS]
    prologue += options.pop("job_script_prologue", [])
    wanted = {"cores": 1, "processes": 1, "memory": "4GB", **options}
    try:
        cluster = SLURMCluster(job_script_prologue=prologue, **wanted)
    except (TypeError, ValueError) as error:
        wanted_text = "those of dask_jobqueue.SLURMCluster"
        raise ParameterError("slurm_cluster", "options", error, wanted_text) from error
    if jobs:
        cluster.scale(jobs=jobs)
    return cluster
