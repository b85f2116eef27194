"""Ten leaky integrate-and-fire neurons follow a staircase of currents.

All start at a random potential and get the same current, which changes every 10 ms. Between two
spikes under one current I the membrane runs from reset to threshold in a time known in
closed form, so that every measured interval can be held against

    t_ref + tau_m*ln((R*I + E_L - V_r) / (R*I + E_L - V_th)).
"""

from __future__ import annotations

import math
from itertools import groupby

import attrs
import numpy as np
from brian2 import Mohm, ms, mV, nA
from matplotlib import colormaps
from matplotlib.figure import Figure

from biosnn import experiments, models, plotting, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation
from biosnn.recording import Recording

N_NEURONS = 10
DT = 0.1 * ms
DURATION = 200 * ms
STEP = 10 * ms
CURRENTS_NA = (0.0, 5.0, 5.0, 6.0, 6.5, 0.0)  # one per step, then nothing
CELL = {
    "tau_m": 5 * ms,
    "E_L": -65 * mV,
    "V_r": -65 * mV,
    "V_th": -62 * mV,
    "t_ref": 1 * ms,
    "R": 1 * Mohm,
}


def network() -> NetworkModel:
    start = models.Uniform(low=CELL["V_r"], high=CELL["V_th"])
    cell = attrs.evolve(models.lif(**CELL), initial={"v": start})
    return NetworkModel(
        name="lif_membrane",
        dt=DT,
        inputs={"current": Input(features=N_NEURONS, kind="sequence", frame=STEP)},
        populations={"lif": Population(model=cell, n=N_NEURONS, drives={"I": "current"})},
        presentation=Presentation(duration=DURATION, reset="none"),
        output="lif",
    )


def currents() -> np.ndarray:
    """Currents in A, one sample of shape (1, frames, neurons)."""
    frames = np.zeros(round(DURATION / STEP))
    frames[: len(CURRENTS_NA)] = np.array(CURRENTS_NA) * float(nA)
    return np.repeat(frames[None, :, None], N_NEURONS, axis=2)


def closed_form_interval(current_nA: float) -> float:
    """Interval between two spikes in ms; infinite where the threshold is out of reach."""
    level = CELL["E_L"] + CELL["R"] * current_nA * nA
    if level <= CELL["V_th"]:
        return math.inf
    rise = math.log((level - CELL["V_r"]) / (level - CELL["V_th"]))
    return float((CELL["t_ref"] + CELL["tau_m"] * rise) / ms)


def intervals(recording: Recording) -> dict[str, list[float]]:
    """Closed-form and measured intervals over all neurons: a column per current."""
    spikes = recording.spikes["lif"]
    table: dict[str, list[float]] = {
        "current_nA": [],
        "closed_form_ms": [],
        "measured_ms": [],
        "largest_error_ms": [],
        "n_intervals": [],
    }
    first = 0
    for current, steps in groupby(CURRENTS_NA):
        last = first + len(list(steps))
        begin, end = (float(k * STEP - DT / 2) for k in (first, last))
        inside = (spikes.t > begin) & (spikes.t < end)
        trains = [np.sort(spikes.t[inside & (spikes.i == k)]) for k in range(N_NEURONS)]
        measured = np.concatenate([np.diff(train) for train in trains]) / float(ms)
        expected = closed_form_interval(current)
        none = not len(measured)
        row = (
            current,
            expected,
            math.inf if none else measured.mean(),
            math.nan if none else abs(measured - expected).max(),
            len(measured),
        )
        for column, value in zip(table.values(), row, strict=True):
            column.append(value)
        first = last
    return table


def draw(recording: Recording) -> Figure:
    """Current, membranes and spikes: the staircase, and beside it, narrower, what follows."""
    trace, spikes = recording.traces["lif.v"], recording.spikes["lif"]
    end = float(DURATION / ms)
    split = float(len(CURRENTS_NA) * STEP / ms)
    edges = [*(k * float(STEP / ms) for k in range(len(CURRENTS_NA) + 1)), end]
    # From dark to bright: neurons that started low to neurons that started high.
    ranks = np.argsort(np.argsort(trace.values[:, 0]))
    colours = colormaps["viridis"](0.9 * ranks / (N_NEURONS - 1))
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    panels = figure.subplots(
        3, 2, sharex="col", sharey="row", width_ratios=(3, 1), height_ratios=(1, 3, 2)
    )
    for (top, middle, bottom), limits in zip(panels.T, [(0, split), (split, end)], strict=True):
        top.stairs([*CURRENTS_NA, 0.0], edges, baseline=None, color="0.2", linewidth=1.4)
        middle.set_prop_cycle(color=colours)
        plotting.membrane(
            trace.t,
            trace.values,
            threshold=CELL["V_th"],
            spikes=(spikes.i, spikes.t),
            labels=[""] * N_NEURONS,
            ax=middle,
        )
        middle.get_legend().remove()
        plotting.raster(spikes.i, spikes.t, n_neurons=N_NEURONS, duration=DURATION, ax=bottom)
        bottom.set_xlim(limits)
        middle.set_xlabel("")
    top, middle, bottom = panels[:, 0]
    top.set(ylabel="current (nA)", ylim=(-0.5, 7.5), yticks=CURRENTS_NA[:2])
    middle.text(1, CELL["V_th"] / mV + 0.1, "threshold", color="0.35", size=8)
    for ax in panels[:, 1]:
        ax.set_ylabel("")
    figure.align_ylabels(panels[:, 0])
    return figure


def run() -> None:
    args = experiments.parser("lif_membrane", __doc__, device="runtime", seconds=5).parse_args()
    runnable = simulation.compile(
        network(),
        args.device,
        precision=args.precision,
        spikes=("lif",),
        traces={"lif.v": range(N_NEURONS)},
    )
    recording, _ = runnable.run(currents(), seed=args.seed, progress=not args.quiet)
    with plotting.style():
        experiments.save_figure(args, draw(recording), "membrane")
    measured = intervals(recording)
    counts = recording.counts("lif")[0]
    experiments.write_report(
        args,
        metrics={
            "spikes_per_neuron": counts,
            "spikes": counts.sum(),
            "largest_interval_error_ms": np.nanmax(measured["largest_error_ms"]),
            "intervals": measured,
        },
        timing={
            "build_s": runnable.build_seconds,
            "run_s": recording.seconds,
            "ms_per_sample": 1000 * recording.seconds,
        },
        parameters={
            **CELL,
            "n_neurons": N_NEURONS,
            "dt": DT,
            "duration": DURATION,
            "step": STEP,
            "currents_nA": CURRENTS_NA,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
