"""Three balanced random networks that keep themselves active without any input.

COBA, CUBA and COBAHH are benchmarks 1 to 3 of Brette et al. 2007: 3,200 excitatory and 800
inhibitory cells, 80 connections per cell on average. They start from random potentials (and
conductances); the first part of the run is left out of all figures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure
from numpy.typing import NDArray

from biosnn import experiments, networks, plotting, simulation
from biosnn.recording import Recording

KINDS = ("COBA", "CUBA", "COBAHH")
N_NEURONS = 4000
DURATION = 1200 * ms
TRANSIENT = 200 * ms
SMOKE_DURATION = 300 * ms
SMOKE_TRANSIENT = 100 * ms
DT = 0.1 * ms
LEAST_INTERVALS = 4
SHOWN = 400


def activity(
    i: NDArray[np.int64], t: NDArray[np.float64], n: int, start: float, stop: float
) -> dict[str, Any]:
    """Rates and irregularity of ``n`` neurons between two times.

    Parameters
    ----------
    i, t : array [n_spikes]
        Neurons and times in s.
    n : int
        Number of neurons, silent ones included.
    start, stop : float
        In s.

    Returns
    -------
    dict
        ``rate_Hz``; ``cv``, the mean coefficient of variation of the intervals of the
        ``cv_neurons`` neurons that have at least four; ``silent``, the share without a spike;
        and per neuron ``rates`` and ``cvs``.
    """
    inside = (t >= start) & (t < stop)
    i, t = i[inside], t[inside]
    order = np.lexsort((t, i))
    i, t = i[order], t[order]
    counts = np.bincount(i, minlength=n)
    intervals = np.diff(t)[np.diff(i) == 0]
    owner = i[1:][np.diff(i) == 0]
    number = np.bincount(owner, minlength=n)
    enough = number >= LEAST_INTERVALS
    mean = np.bincount(owner, intervals, n)[enough] / number[enough]
    square = np.bincount(owner, intervals**2, n)[enough] / number[enough]
    cvs = np.sqrt(np.maximum(square - mean**2, 0)) / mean
    return {
        "rate_Hz": len(t) / n / (stop - start),
        "cv": float(cvs.mean()) if len(cvs) else float("nan"),
        "cv_neurons": int(enough.sum()),
        "silent": float((counts == 0).mean()),
        "rates": counts / (stop - start),
        "cvs": cvs,
    }


def of_network(recording: Recording, sizes: dict[str, int], start: float, stop: float) -> Any:
    """Activity of each population and of both together."""
    spikes = [recording.spikes[key] for key in sizes]
    found = {
        key: activity(part.i, part.t, n, start, stop)
        for (key, n), part in zip(sizes.items(), spikes, strict=True)
    }
    offsets = np.cumsum([0, *sizes.values()])
    everyone = np.concatenate([part.i + k for part, k in zip(spikes, offsets, strict=False)])
    times = np.concatenate([part.t for part in spikes])
    found["all"] = activity(everyone, times, int(offsets[-1]), start, stop)
    return found


def draw(
    recordings: dict[str, Recording], found: dict[str, Any], sizes: dict[str, int], duration: Any
) -> Figure:
    """A column per network: raster, population rate, and how rates and CVs are distributed."""
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    panels = figure.subplots(4, len(recordings), height_ratios=(3, 1.3, 1.3, 1.3), squeeze=False)
    n = sum(sizes.values())
    rows = {key: max(SHOWN * size // n, 1) for key, size in sizes.items()}
    for (kind, recording), column in zip(recordings.items(), panels.T, strict=True):
        dots, rate, rates, cvs = column
        first = 0
        for (key, shown), colour in zip(rows.items(), ("C0", "C3"), strict=True):
            part = recording.spikes[key]
            some = part.i < shown
            dots.plot(
                1e3 * part.t[some], first + part.i[some], linestyle="none", marker="o",
                markersize=1.2, markeredgewidth=0, color=colour, label=key,
            )  # fmt: skip
            first += shown
        dots.set(title=kind, xlim=(0, float(duration / ms)), ylim=(-0.5, first - 0.5))
        dots.set(ylabel="neuron", xlabel="time (ms)")
        times = np.concatenate([recording.spikes[key].t for key in sizes])
        plotting.population_rate(
            times, n_neurons=n, duration=duration, bin_width=2 * ms, smooth=5 * ms, ax=rate
        )
        for key, colour in zip(sizes, ("C0", "C3"), strict=True):
            part = found[kind][key]
            rates.hist(part["rates"], bins=40, density=True, alpha=0.6, color=colour, label=key)
            if len(part["cvs"]):
                cvs.hist(part["cvs"], bins=40, density=True, alpha=0.6, color=colour)
        rates.set(xlabel="rate of a neuron (Hz)", ylabel="density")
        cvs.set(xlabel="CV of its intervals", ylabel="density")
    panels[2, 0].legend(frameon=False)
    return figure


def run() -> None:
    args = experiments.parser("balanced_networks", __doc__, seconds=30).parse_args()
    n = N_NEURONS // 4 if args.smoke else N_NEURONS
    duration = SMOKE_DURATION if args.smoke else DURATION
    transient = SMOKE_TRANSIENT if args.smoke else TRANSIENT
    start, stop = (float(part / ms) * 1e-3 for part in (transient, duration))
    recordings, found, timing = {}, {}, {}
    sizes: dict[str, int] = {}
    for kind in KINDS:
        network = networks.balanced_network(kind, n, duration=duration, dt=DT, seed=args.seed)
        sizes = {key: population.n for key, population in network.populations.items()}
        runnable = simulation.compile(
            network, args.device, precision=args.precision, spikes=tuple(sizes)
        )
        recording, _ = runnable.run({"n_samples": 1}, seed=args.seed, progress=not args.quiet)
        recordings[kind] = recording
        found[kind] = of_network(recording, sizes, start, stop)
        timing[kind] = {"build_s": runnable.build_seconds, "run_s": recording.seconds}
    with plotting.style():
        experiments.save_figure(args, draw(recordings, found, sizes, duration), "activity")
    experiments.write_report(
        args,
        metrics={
            kind: {
                key: {k: v for k, v in part.items() if k not in ("rates", "cvs")}
                for key, part in parts.items()
            }
            for kind, parts in found.items()
        },
        timing=timing,
        parameters={"n_neurons": n, "duration": duration, "transient": transient, "dt": DT},
    )


if __name__ == "__main__":
    experiments.main(run)
