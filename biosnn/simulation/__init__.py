"""Compile a network for a device and run samples through it.

>>> from biosnn import networks, simulation
>>> network = networks.winner_take_all(784, 100)
>>> runnable = simulation.compile(network, device="cpp", precision="single")  # doctest: +SKIP
>>> recording, state = runnable.run(images, learn=True, seed=1)  # doctest: +SKIP
"""

from biosnn.program.interface import TraceOf
from biosnn.progress import quiet_builds
from biosnn.simulation.auto_device import Choice, choices
from biosnn.simulation.compilation import AUTO, compile, ensemble, load
from biosnn.simulation.ensemble import Ensemble
from biosnn.simulation.free_runnable import FreeRunnable
from biosnn.simulation.jobs.experiment import ExperimentJobs, JobWritten, active_jobs
from biosnn.simulation.jobs.job import Job, collect_job, open_job
from biosnn.simulation.run_loop.options import Checkpointing, RunOptions
from biosnn.simulation.runnable import Runnable

__all__ = [
    "AUTO",
    "Checkpointing",
    "Choice",
    "Ensemble",
    "ExperimentJobs",
    "FreeRunnable",
    "Job",
    "JobWritten",
    "RunOptions",
    "Runnable",
    "TraceOf",
    "active_jobs",
    "choices",
    "collect_job",
    "compile",
    "ensemble",
    "load",
    "open_job",
    "quiet_builds",
]
