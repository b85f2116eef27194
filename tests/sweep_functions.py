"""What workers run in the tests of sweeps, in a module that is imported quickly."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np


def noted(folder: str, text: object) -> None:
    """Add a line to a file that several processes write."""
    with Path(folder, "calls").open("a") as file:
        file.write(f"{text}\n")


def calls(folder: object) -> list[str]:
    path = Path(str(folder), "calls")
    return path.read_text().split() if path.exists() else []


class Scores:
    """A function of a setting and a seed that says where it was called."""

    def __init__(self, notes: Path):
        self.notes = str(notes)

    def __call__(self, setting: dict[str, Any], seed: int) -> dict[str, Any]:
        noted(self.notes, f"{setting['a']}{setting['b']}{seed}")
        if setting["a"] == 3 and setting["b"] == "y":
            raise ValueError("3y is\nno setting")
        return {
            "score": 10 * setting["a"] + np.float64(seed**2),
            "b": setting["b"],
            "nan": np.nan,
            "deep": {"list": [1, 2], "flag": np.True_},
        }


def deadly(setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """Ends its worker: the first time, each time or never."""
    noted(setting["notes"], setting["kind"])
    first = calls(setting["notes"]).count(setting["kind"]) == 1
    if setting["kind"] == "always" or (setting["kind"] == "once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    threads = {os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {"score": seed, "pid": os.getpid(), "threads": "/".join(threads)}


def counts_of(setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """Spikes of a compiled network; notes which networks are built."""
    os.environ.update(setting["environment"])
    from brian2 import ms

    from biosnn import models, networks, simulation
    from biosnn.devices.cpp import device as cpp

    n, cached = setting["neurons"], cpp.cached
    cell = models.neuron(
        name="Cell", equations="dv/dt = x/ms : 1\nx : 1", threshold="v > 1", reset="v = 0",
        method="euler",
    )  # fmt: skip

    def watched(key: str, make: Any, check: Any) -> Any:
        folder, built_now = cached(key, make, check)
        if built_now:
            noted(setting["notes"], key)
        return folder, built_now

    cpp.cached = watched
    try:
        network = networks.NetworkModel(
            name="cells",
            dt=1 * ms,
            inputs={"values": networks.Input(features=n)},
            populations={"cells": networks.Population(model=cell, n=n, drives={"x": "values"})},
            presentation=networks.Presentation(duration=4 * ms),
            output="cells",
        )
        runnable = simulation.compile(network, "cpp", progress=False)
    finally:
        cpp.cached = cached
    recording, _ = runnable.run(np.full((1, n), 0.75), seed=seed, progress=False)
    return {"spikes": int(recording.counts("cells").sum())}


def passed_on(table: np.ndarray, notes: str) -> np.ndarray:
    """The table; the third time that a worker is asked, it ends."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return table
    noted(notes, os.getpid())
    if len(calls(notes)) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return table
