"""One run of one neuron model in plain Brian2; spikes and potentials in ms and mV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np
from brian2 import Network, Quantity, SpikeMonitor, StateMonitor, TimedArray, ms, mV, prefs
from numpy.typing import NDArray

from biosnn.models import NeuronModel

Floats = NDArray[np.float64]


@attrs.frozen(eq=False, kw_only=True)
class Run:
    """Spike times in ms per neuron, and potentials in mV [n_neurons, n_times] at ``t`` in ms."""

    spikes: list[Floats]
    t: Floats
    v: Floats


@contextmanager
def numpy_target() -> Iterator[None]:
    """Let Brian2 run NumPy code, as the runtime device does."""
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    try:
        yield
    finally:
        prefs.codegen.target = before


def simulate(
    model: NeuronModel,
    n: int,
    duration: Any,
    *,
    dt: Any,
    values: Mapping[str, Any] | None = None,
    current: Quantity | None = None,
    sample_every: Any = None,
) -> Run:
    """Run a group of neurons.

    Parameters
    ----------
    model : NeuronModel
        The neurons' model.
    n : int
        How many.
    duration, dt : Quantity
        How long, and the time step.
    values : mapping, optional
        Variable -> value before the run.
    current : Quantity [n_steps, n], optional
        The input ``I`` in each step.
    sample_every : Quantity, optional
        Interval between samples of the potential; ``dt`` without it.
    """
    with numpy_target():
        group = model.group(n, dt=dt)
        for variable, value in (values or {}).items():
            setattr(group, variable, value)
        if current is not None:
            group.namespace["injected"] = TimedArray(current, dt=dt)
            group.run_regularly("I = injected(t, i)", dt=dt, when="start", order=-1)
        spikes = SpikeMonitor(group)
        trace = StateMonitor(
            group, "v", record=True, dt=dt if sample_every is None else sample_every
        )
        Network(group, spikes, trace).run(duration)
        trains = spikes.spike_trains()
    return Run(
        spikes=[np.asarray(trains[k] / ms) for k in range(n)],
        t=np.asarray(trace.t / ms),
        v=np.asarray(trace.v / (mV if Quantity(trace.v).dim is mV.dim else 1)),
    )


def verdict(**checks: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of several checks under their names; ``ok`` if all of them are."""
    return {"ok": all(check["ok"] for check in checks.values()), **checks}


def within(value: float, low: float, high: float) -> dict[str, Any]:
    """A figure with its bounds."""
    return {"ok": bool(low <= value <= high), "value": float(value), "bounds": [low, high]}


def mean_rates(trains: Sequence[Floats]) -> Floats:
    """Rates in Hz, from the mean interval; 0 where there is none."""
    return np.array([1000 / np.diff(x).mean() if len(x) > 1 else 0.0 for x in trains])
