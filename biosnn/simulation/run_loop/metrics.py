"""What callbacks are told of a chunk: numbers of spikes, weights, schedules, speed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from biosnn.callbacks import Calls, Context, RunInfo
from biosnn.recording import COUNT, Recording
from biosnn.simulation.run_loop.chunks import Position, Run
from biosnn.state import SEEN, State


class ChunkMetrics:
    """Tells the callbacks of a run what each chunk showed; without callbacks it does nothing.

    Parameters
    ----------
    run : Run
        What is shown.
    calls : Calls
        Who is told.
    """

    def __init__(self, run: Run, calls: Calls):
        self._run, self._calls = run, calls
        self._weights = tuple(
            variable.name
            for variable in run.interface.variables
            if variable.role == "weight" and variable.name.partition(".")[0] in run.learning
        )
        self._before = [self._values(state) for state in self._each(run.start)] if calls else []

    def told(self, at: Position, resume: bool) -> AbstractContextManager[None]:
        """Tell that the run begins, or goes on, and in the end that it is over."""
        name, total = self._run.interface.name, self._run.total
        return self._calls.told(
            RunInfo(network=name, unit="samples", start=at.position, total=total, resume=resume)
        )

    def chunk(self, at: Position, recording: Any, state: Callable[[], Any]) -> None:
        """A chunk is over, after which the run is at a position."""
        if not self._calls:
            return
        recordings, states = self._each(recording), [None] * len(self._each(recording))
        if self._run.learning:
            states = self._each(state())
        found: dict[str, float] = {"epoch": self._run.options.first_epoch + at.epoch}
        for k, (part, known) in enumerate(zip(recordings, states, strict=True)):
            prefix = f"member_{k}/" if self._run.members else ""
            told = _of_recording(part)
            if known is not None:
                told |= self._of_state(k, known)
            found |= {f"{prefix}{name}": float(value) for name, value in told.items()}
        self._calls.metrics(at.position, found, Context(state=state))

    def _each(self, of: Any) -> list[Any]:
        """What belongs to each member; of one network, a list of one."""
        return list(of) if self._run.members else [of]

    def _values(self, state: State) -> dict[str, np.ndarray]:
        return {name: np.asarray(state[name], np.float64) for name in self._weights}

    def _of_state(self, member: int, state: State) -> dict[str, float]:
        run = self._run
        found: dict[str, float] = {"samples_seen": state.samples_seen} if SEEN in state else {}
        values, before = self._values(state), self._before[member]
        for name, now in values.items():
            if now.size:
                found[f"{name}/mean"] = now.mean()
                found[f"{name}/change"] = np.abs(now - before[name]).mean()
        self._before[member] = values
        if run.schedules:
            horizon = run.horizon[member] if isinstance(run.horizon, tuple) else run.horizon
            done = min(state.samples_seen / horizon, 1.0)
            followed = run.schedules[member]
            found |= {f"schedules/{name}": one.value(done) for name, one in followed.items()}
        return found


def _of_recording(recording: Recording) -> dict[str, float]:
    n = len(recording.shown)
    spikes = {key: len(part.i) for key, part in recording.spikes.items()}
    for name, values in recording.per_sample.items():
        owner, _, variable = name.partition(".")
        if variable == COUNT:
            spikes[owner] = values.sum()
    return {
        **{f"spikes_per_sample/{owner}": total / n for owner, total in spikes.items()},
        "presentations_per_sample": recording.shown.mean(),
        "ms_per_sample": 1e3 * recording.seconds / n,
    }


def schedules_of(network: Any) -> dict[str, Any]:
    """``"owner.parameter"`` -> the schedule that it follows, of a declaration."""
    owners = {key: population.model for key, population in network.populations.items()}
    rules = {key: projection.rule for key, projection in network.projections.items()}
    owners |= {key: rule for key, rule in rules.items() if rule is not None}
    return {
        f"{key}.{name}": schedule
        for key, owner in owners.items()
        for name, schedule in owner.schedules.items()
    }
