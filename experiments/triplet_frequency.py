"""Pairs at different frequencies: what triplets explain and pairs cannot.

Sjoestroem, Turrigiano & Nelson (2001, Neuron 32:1149, doi:10.1016/S0896-6273(01)00542-6) paired
spikes at lags of +10 and -10 ms at frequencies from 0.1 to 50 Hz. Pfister & Gerstner (2006,
doi:10.1523/JNEUROSCI.1425-06.2006) fitted the triplet rule to their means with 60 pairs at regular
intervals; their four parameter sets for visual cortex run here. The error is the mean squared
difference between rule and experiment in units of the experiment's standard errors. Controls: the
pair rule whose two amplitudes fit the same data best, and the sum over spikes without simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import ms, second
from matplotlib.figure import Figure
from scipy.optimize import nnls

from biosnn import encoding, experiments, plasticity, plotting, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

DT = 1 * ms
N_PAIRS = 60
LAGS_MS = (10.0, -10.0)
#: Frequency in Hz -> mean and standard error of the relative change at +10 ms and at -10 ms.
EXPERIMENT = {
    0.1: ((-0.04, 0.05), (-0.29, 0.08)),
    10.0: ((0.14, 0.10), (-0.41, 0.11)),
    20.0: ((0.29, 0.14), (-0.34, 0.10)),
    40.0: ((0.53, 0.11), (0.56, 0.32)),
    50.0: ((0.56, 0.26), (0.75, 0.19)),
}
FREQUENCIES = (0.1, 1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
SMOKE_FREQUENCIES = (20.0, 50.0)
FITS = {
    f"{form}_{pairing}": {"data": "visual_cortex", "form": form, "pairing": pairing}
    for form in ("minimal", "full")
    for pairing in ("all", "nearest")
}
RULES = (*FITS, "pairs")
FREE = {"w_min": -10.0, "w_max": 10.0}


def trains(frequency: float, lag_ms: float) -> tuple[np.ndarray, np.ndarray]:
    """Spike times of both neurons in ms, on the grid of time steps."""
    first = 20.0 + np.round(np.arange(N_PAIRS) * 1000 / frequency)
    return first + max(-lag_ms, 0), first + max(lag_ms, 0)


def spike_sum(pre: np.ndarray, post: np.ndarray, p: dict[str, Any], nearest: bool) -> float:
    """Weight change of two spike trains (times in ms) under the triplet rule, from spike to spike.

    The traces are (presynaptic fast and slow, postsynaptic fast and slow).
    """
    names = ("tau_plus", "tau_x", "tau_minus", "tau_y")
    taus = np.array([float(p.get(name, second) / ms) for name in names])
    traces, last, change = np.zeros(4), 0.0, 0.0
    events = sorted([(t, 0) for t in pre] + [(t, 1) for t in post])
    for t, side in events:
        traces *= np.exp(-(t - last) / taus)
        last = t
        if side == 0:
            change -= traces[2] * (p["A2_minus"] + p["A3_minus"] * traces[1])
        else:
            change += traces[0] * (p["A2_plus"] + p["A3_plus"] * traces[3])
        own = slice(2 * side, 2 * side + 2)
        traces[own] = 1 if nearest else traces[own] + 1
    return float(change)


def sums(p: dict[str, Any], nearest: bool, frequencies: Sequence[float]) -> np.ndarray:
    """Changes by :func:`spike_sum`, shape (frequencies, lags)."""
    return np.array(
        [[spike_sum(*trains(f, lag), p, nearest) for lag in LAGS_MS] for f in frequencies]
    )


def error(changes: np.ndarray) -> float:
    """Mean squared difference from the experiment in standard errors, over its ten points."""
    mean, sem = np.moveaxis(np.array(list(EXPERIMENT.values())), 2, 0)
    return float(np.mean(((changes - mean) / sem) ** 2))


def best_pair_rule() -> dict[str, Any]:
    """The pair rule of all pairs whose amplitudes, >= 0, fit the experiment best."""
    taus = plasticity.triplet_parameters()
    shapes = []
    for name in ("A2_plus", "A2_minus"):
        unit = dict.fromkeys(("A2_plus", "A3_plus", "A2_minus", "A3_minus"), 0.0) | {name: 1.0}
        shapes.append(sums({**taus, **unit}, False, tuple(EXPERIMENT)))
    mean, sem = np.moveaxis(np.array(list(EXPERIMENT.values())), 2, 0)
    matrix = np.stack([(shape / sem).ravel() for shape in shapes], axis=1)
    (plus, minus), _ = nnls(matrix, (mean / sem).ravel())
    return {**taus, "A2_plus": plus, "A3_plus": 0.0, "A2_minus": minus, "A3_minus": 0.0}


def parameter_sets() -> dict[str, tuple[dict[str, Any], bool]]:
    """Rule -> parameters, and whether it counts the nearest spikes only."""
    found = {
        name: (plasticity.triplet_parameters(**fit), fit["pairing"] == "nearest")
        for name, fit in FITS.items()
    }
    return {**found, "pairs": (best_pair_rule(), False)}


def network(frequencies: Sequence[float], names: Sequence[str]) -> NetworkModel:
    """One pair of neurons per frequency and lag, joined by a synapse per named rule."""
    n = len(frequencies) * len(LAGS_MS)
    pair = best_pair_rule()
    rules = {name: plasticity.triplet_stdp(**fit, **FREE) for name, fit in FITS.items()}
    rules["pairs"] = plasticity.pair_stdp(
        tau_plus=pair["tau_plus"],
        tau_minus=pair["tau_minus"],
        A_plus=pair["A2_plus"],
        A_minus=pair["A2_minus"],
        **FREE,
    )
    last = max(train.max() for f in frequencies for lag in LAGS_MS for train in trains(f, lag))
    return NetworkModel(
        name="triplet_frequency",
        dt=DT,
        inputs={name: Input(features=n, kind="events") for name in ("before", "after")},
        populations={
            "pre": Population(model=encoding.address_events(), n=n, drives={"x": "before"}),
            "post": Population(model=encoding.address_events(), n=n, drives={"x": "after"}),
        },
        projections={
            name: Projection(pre="pre", post="post", weights=1.0, pairs="one_to_one", rule=rule)
            for name, rule in rules.items()
            if name in names
        },
        presentation=Presentation(duration=(last + 20) * ms),
        output="post",
    )


def measure(
    frequencies: Sequence[float],
    device: str = "runtime",
    precision: str = "double",
    names: Sequence[str] = RULES,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Simulated changes by rule, shape (frequencies, lags), and timing."""
    inputs: dict[str, Any] = {"n_samples": 1}
    conditions = [(f, lag) for f in frequencies for lag in LAGS_MS]
    for side, name in enumerate(("before", "after")):
        times = np.array([trains(*condition)[side] for condition in conditions])
        unit = np.repeat(np.arange(len(conditions)), N_PAIRS)
        inputs[name] = (np.zeros(unit.size, dtype=int), unit, times.ravel() * 1e-3)
    runnable = simulation.compile(network(frequencies, names), device, precision=precision)
    recording, state = runnable.run(inputs, learn=True, progress=False)
    if not (recording.counts("post") == N_PAIRS).all():
        raise RuntimeError("a spike of the protocol is missing")
    shape = (len(frequencies), len(LAGS_MS))
    timing = {
        "build_s": runnable.build_seconds,
        "run_s": recording.seconds,
        "ms_per_sample": 1000 * recording.seconds,
    }
    found = {name: state[f"{name}.w"].reshape(shape) - 1 for name in names}
    return found, timing


def draw(frequencies: Sequence[float], changes: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(10.0, 3.8), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    titles = ("minimal_all", "minimal_nearest", "pairs")
    for ax, rule in zip(panels, titles, strict=True):
        ax.axhline(0, color="0.7", linewidth=0.8)
        for k, lag in enumerate(LAGS_MS):
            colour = f"C{k}"
            ax.plot(frequencies, changes[rule][:, k], color=colour, label=f"{lag:+.0f} ms")
            mean, sem = np.array([point[k] for point in EXPERIMENT.values()]).T
            ax.errorbar(list(EXPERIMENT), mean, sem, fmt="o", color=colour, capsize=2)
        ax.set(title=rule.replace("_", ", "), xlabel="frequency of pairs (Hz)")
    panels[0].set_ylabel("relative weight change")
    panels[0].legend()
    return figure


def run() -> None:
    args = experiments.parser("triplet_frequency", __doc__, seconds=10).parse_args()
    frequencies = SMOKE_FREQUENCIES if args.smoke else FREQUENCIES
    changes, timing = measure(frequencies, args.device, args.precision)
    chosen = parameter_sets()
    exact = {name: sums(*parameters, frequencies) for name, parameters in chosen.items()}
    fitted = {
        name: error(sums(*parameters, tuple(EXPERIMENT))) for name, parameters in chosen.items()
    }
    with plotting.style():
        experiments.save_figure(args, draw(frequencies, changes), "frequency")
    experiments.write_report(
        args,
        metrics={
            "error": {name: fitted[name] for name in FITS},
            "frequencies_Hz": frequencies,
            "change": changes,
        },
        controls={
            "error_of_best_pair_rule": fitted["pairs"],
            "largest_difference_from_spike_sum": {
                name: np.abs(changes[name] - exact[name]).max() for name in changes
            },
        },
        timing=timing,
        parameters={
            "dt": DT,
            "n_pairs": N_PAIRS,
            "lags_ms": LAGS_MS,
            "sets": {name: parameters for name, (parameters, _) in chosen.items()},
        },
    )


if __name__ == "__main__":
    experiments.main(run)
