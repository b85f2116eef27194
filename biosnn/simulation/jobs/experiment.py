"""Experiments with runs on another machine: jobs in place of runs, one after the other.

While :class:`ExperimentJobs` is active, networks that an experiment compiles for its device hand
their runs to it: the first ones are answered by jobs that have come back, the next one is written
as a job, which ends the experiment, or everything else is run here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biosnn.callbacks import Callback
from biosnn.devices.base.contract import Device
from biosnn.errors import DeviceError, ParameterError, StorageError
from biosnn.files import short
from biosnn.recording import Recording
from biosnn.simulation.jobs.job import Job, collect_job
from biosnn.simulation.jobs.targets import Sources, sources, target_of
from biosnn.simulation.provenance import with_origin_of_job
from biosnn.simulation.run_loop.checkpoints import RunFolder
from biosnn.simulation.run_loop.chunks import Position, Run
from biosnn.simulation.run_loop.options import Checkpointing, RunOptions
from biosnn.simulation.run_loop.run import Progress, identity_of
from biosnn.simulation.runnable import Runnable
from biosnn.state import State
from biosnn.validation import describe

if TYPE_CHECKING:
    from biosnn.networks import NetworkModel
    from biosnn.program.program import Program

_active: ContextVar[ExperimentJobs | None] = ContextVar("jobs", default=None)


def active_jobs() -> ExperimentJobs | None:
    """Who takes the runs of an experiment, if it runs with jobs."""
    return _active.get()


class JobWritten(BaseException):
    """A run was written as a job: the experiment ends here, because its result is not known.

    Parameters
    ----------
    job : Job
        The job.
    """

    def __init__(self, job: Job):
        super().__init__(f"the run is now the job in {job.folder}")
        self.job = job


class ExperimentJobs:
    """Jobs in place of an experiment's runs, in the order in which it asks for them.

    Parameters
    ----------
    device : str
        Runs on this device are jobs.
    done : sequence of Job
        With results that were checked, for the first runs.
    export : mapping, optional
        How the run after them becomes a job: ``arch``, and arguments of
        :meth:`Runnable.export_job`. Without it that one and all later ones are run here.
    rest : str
        The device for them.
    """

    def __init__(
        self,
        device: str,
        done: Sequence[Job],
        export: Mapping[str, Any] | None = None,
        rest: str = "cpp",
    ):
        self.device, self.rest = device, rest
        self.left = list(done)
        self._taken: list[Job] = []
        self.export = None if export is None else dict(export)
        self.arch = self.export.pop("arch") if self.export else None
        if self.export is not None:
            target_of(device).check_arch(self.arch)
            if Path(self.export["folder"]).exists():
                raise StorageError(
                    f"{self.export['folder']} exists; choose another folder, or remove it"
                )

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Take the runs that are asked for meanwhile."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def note(self) -> dict[str, Any] | None:
        """What a report says about jobs, if results come from some."""
        if not self._taken:
            return None
        return {
            "ids": [job.manifest["job"] for job in self._taken],
            "device": self.device,
            "arch": self._taken[0].manifest["arch"],
            "machines": [line for job in self._taken for line in job.machines()],
            "rest_on": self.rest,
        }

    def elsewhere(self) -> str:
        """The device here for an ensemble, which cannot become a job."""
        if self.export is not None:
            raise DeviceError(
                "an ensemble cannot become a job, and the experiment compiles one before its first "
                f'run on the device "{self.device}": choose other flags'
            )
        return self.rest

    def runnable(
        self,
        network: NetworkModel,
        program: Program,
        precision: str,
        math: str,
        build: Callable[[str], Device],
    ) -> Runnable:
        """What ``simulation.compile`` returns; ``build(device)`` builds the network here."""
        key = f"{program.hash} {precision} {math}"
        known = [job for job in self.left if job.about.get("network") == key]
        made: Device
        if known:
            made = Sources(known[0].network)
        elif self.export is not None:
            made = sources(self.device, program, precision, math, self.arch)
        else:
            made = build(self.rest)
        return _WithJobs(self, made, lambda: network, key, build)

    def take(self, run: Run, key: str, checkpointing: Checkpointing) -> tuple[Recording, State]:
        """The result of the next job, which must be that of this run."""
        job = self.left[0]
        identity = json.loads(json.dumps(identity_of(run)))
        known = job.manifest["identity"]
        differ = [name for name in identity if known.get(name) != identity[name]]
        if differ or job.about.get("network") != key:
            name = (differ or ["network"])[0]
            raise StorageError(
                f"the experiment is not the one that {job.folder} was written by: of its run, "
                f"{', '.join(differ or ['network'])} differ ({name} is {short(known.get(name))} "
                f"there, {short(identity.get(name))} here); collect with the same script, data and "
                "flags, or build the job anew"
            )
        self._taken.append(self.left.pop(0))
        if checkpointing.folder is None:
            return collect_job(job.folder, memory_limit=run.options.memory_limit)
        folder = RunFolder(checkpointing, run.interface, identity, run.options.memory)
        try:
            at, _ = folder.begin()
            if at.position > 0 and not at.finished:
                raise StorageError(
                    f"{folder.folder} holds an interrupted run of this machine; choose another "
                    "folder, or begin anew (--restart)"
                )
            if not at.finished:
                folder.check_space(job.n_samples)
                for recording in job.recordings():
                    folder.recorder.append(recording)
                end = Position(position=job.n_samples, epoch=run.options.epochs, finished=True)
                folder.save_if_due(end, job.state)
            return with_origin_of_job(folder.recorder.finish(), job.manifest), job.state()
        finally:
            folder.close()


class _WithJobs(Runnable):
    """A network whose runs are jobs, as long as there are some."""

    def __init__(
        self,
        jobs: ExperimentJobs,
        made: Device,
        network: Callable[[], Any],
        key: str,
        build: Callable[[str], Device],
    ):
        device = jobs.device if isinstance(made, Sources) else jobs.rest
        super().__init__(made, device, network)
        self._jobs, self._key, self._build = jobs, key, build

    def execute(
        self,
        samples: Any,
        state: State | None,
        options: RunOptions,
        checkpointing: Checkpointing = Checkpointing(),  # noqa: B008 (frozen)
        *,
        n_jobs: int = 1,
        callbacks: Iterable[Callback] = (),
        progress: Progress = True,
    ) -> tuple[Recording, State]:
        """As :meth:`Runnable.execute`."""
        jobs, callbacks = self._jobs, tuple(callbacks)
        if callbacks and (jobs.left or jobs.export is not None):
            wanted = "left out of a run that is a job: nobody is there to be told"
            raise ParameterError("run", "callbacks", describe(callbacks), wanted)
        if jobs.left:
            return jobs.take(self._prepared(samples, state, options), self._key, checkpointing)
        if jobs.export is not None:
            about = {**jobs.export["about"], "network": self._key}
            export = {**jobs.export, "about": about}
            job = self.export_job(samples, state=state, options=options, **export)
            raise JobWritten(job)
        if isinstance(self._made, Sources):
            self._made, self.device = self._build(jobs.rest), jobs.rest
        others: dict[str, Any] = {"callbacks": callbacks, "progress": progress}
        return super().execute(samples, state, options, checkpointing, n_jobs=n_jobs, **others)
