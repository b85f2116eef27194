"""A search over learning rates and neurons, by joblib and on Dask: ``python -m benchmarks.search``.

``GridSearchCV`` over the learning rate and the number of neurons of an ``STDPClassifier`` in a
pipeline, on the bundled digits, four times: with joblib's own processes, on a cluster of Dask with
as many workers, on the same while one of the workers is killed in the middle, and once more with
joblib. Scores must be equal. The first search also compiles the networks (one for each setting);
the others find them in the build cache, so the last of joblib's is what Dask is held against.

The record is ``benchmarks/records/NAME.json``; an existing one is not replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from biosnn import datasets, experiments, sweeps
from biosnn.errors import DeviceError, StorageError
from biosnn.estimators import STDPClassifier

RECORDS = Path(__file__).parent / "records"
NEURONS, LEARNING_RATES, PARTS = (50, 100), (0.05, 0.1, 0.2), 3


def search(n_images: int) -> Callable[..., GridSearchCV]:
    """The search, still to be run."""
    split = datasets.load_digits().train.take(n_images)
    images = split.images.reshape(n_images, -1) / 255
    # Digits of 0 to 1 stay as they are; the step is there because real pipelines have some.
    classifier = STDPClassifier(norm=9.2, random_state=0, precision="single")
    pipeline = make_pipeline(MinMaxScaler(clip=True), classifier)
    grid = {
        "stdpclassifier__n_neurons": NEURONS,
        "stdpclassifier__learning_rate": LEARNING_RATES,
    }

    def run(**options: Any) -> GridSearchCV:
        made = GridSearchCV(pipeline, grid, cv=PARTS, refit=False, **options)
        return made.fit(images, split.labels)

    return run


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A client of a cluster on this machine; Brian2 is imported when workers start."""
    from distributed import Client, LocalCluster

    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            local_directory=scratch,
            preload=["brian2"],
            silence_logs=50,
        ) as made,
        Client(made) as client,
    ):
        yield sweeps.with_copies(client)


def timed(name: str, action: Callable[[], GridSearchCV], found: dict[str, Any]) -> None:
    """Note the seconds and the scores of a search."""
    load, started = os.getloadavg()[0], time.perf_counter()
    scores = action().cv_results_
    found[name] = {
        "seconds": round(time.perf_counter() - started, 2),
        "load_before": round(load, 2),
        "scores": [scores[f"split{k}_test_score"].tolist() for k in range(PARTS)],
    }
    print(f"{name}: {found[name]['seconds']} s", flush=True)


def killed_after(client: Any, seconds: float) -> tuple[threading.Timer, list[int]]:
    """Kills one worker, so many seconds from now."""
    killed: list[int] = []

    def kill() -> None:
        pid = next(iter(client.run(os.getpid).values()))
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    return threading.Timer(seconds, kill), killed


def measured(n_images: int, workers: int) -> dict[str, Any]:
    """All searches, one after the other."""
    run, found = search(n_images), {}
    timed("joblib_and_builds", lambda: run(n_jobs=workers), found)
    with cluster(workers) as client, joblib.parallel_config("dask"):
        timed("dask", run, found)
        timer, killed = killed_after(client, found["dask"]["seconds"] / 2)
        timer.start()
        timed("dask_worker_killed", run, found)
        timer.join()
    timed("joblib", lambda: run(n_jobs=workers), found)
    if not killed:
        raise DeviceError("the search had ended before a worker was killed: take more images")
    scores = [np.array(part["scores"]) for part in found.values()]
    for name, part in zip(found, scores, strict=True):
        if not np.array_equal(part, scores[0]):
            raise DeviceError(f"the search {name} has other scores than the first")
    found["equal"] = True
    found["mean_scores"] = scores[0].mean(axis=0).tolist()
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the record")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    target = RECORDS / f"{args.name}.json"
    if target.exists():
        raise StorageError(f"{target} exists; records are only added, choose another name")
    os.environ["BIOSNN_CACHE_DIR"] = tempfile.mkdtemp()
    settings = [[n, rate] for rate in LEARNING_RATES for n in NEURONS]
    record = {
        "what": "GridSearchCV over neurons and learning rate, STDPClassifier in a pipeline",
        "images": args.images,
        "parts": PARTS,
        "workers": args.workers,
        "neurons_and_learning_rate": settings,
        **measured(args.images, args.workers),
        "cpus": joblib.cpu_count(),
        "environment": experiments.environment(),
    }
    target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    experiments.main(main)
