"""Inhibition that learns: neurons come back to their target rate, whatever excites them.

Vogels et al. (2011, doi:10.1126/science.1211095): conductance-based neurons receive excitatory and
inhibitory Poisson input; inhibitory STDP acts on the inhibitory synapses. In the middle the
excitatory input becomes stronger. The control is the same without plasticity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Hz, ms
from matplotlib.figure import Figure

from biosnn import encoding, experiments, models, plasticity, plotting, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

DT = 1 * ms
N_NEURONS = 20
N_EXC, N_INH = 400, 400
INPUT_RATE = 10 * Hz
TARGET = 10 * Hz
W_EXC, W_INH = 0.04, 0.0125
ETA, SMOKE_ETA = 0.002, 0.005
STRONGER = 1.5  # excitation in the second half
SECONDS, SMOKE_SECONDS = 80, 20  # of a whole run
MEASURED = 0.5  # last part of each half in which rates are taken


def network(eta: float) -> NetworkModel:
    """A sample is a second; its value scales the rate of the input."""
    rule = plasticity.inhibitory_stdp(eta=eta, target_rate=TARGET, w_max=5.0)
    source = encoding.poisson(max_rate=INPUT_RATE)
    return NetworkModel(
        name="inhibitory_stdp",
        dt=DT,
        inputs={"exc_level": Input(features=N_EXC), "inh_level": Input(features=N_INH)},
        populations={
            "exc": Population(model=source, n=N_EXC, drives={"x": "exc_level"}),
            "inh": Population(model=source, n=N_INH, drives={"x": "inh_level"}),
            "out": Population(model=models.lif_conductance_based(), n=N_NEURONS),
        },
        projections={
            "exc_out": Projection(
                pre="exc",
                post="out",
                transmit="g_e_post += w",
                weights=models.Uniform(low=0.5 * W_EXC, high=1.5 * W_EXC),
            ),
            "inh_out": Projection(
                pre="inh", post="out", transmit="g_i_post += w", weights=W_INH, rule=rule
            ),
        },
        presentation=Presentation(duration=1000 * ms, reset="none"),
        output="out",
    )


def measure(
    seconds: int, eta: float, device: str = "runtime", precision: str = "double", seed: int = 0
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Rates in Hz, shape (seconds, neurons), learned and control, mean weights, and timing."""
    level = np.where(np.arange(seconds) < seconds // 2, 1.0, STRONGER)[:, None]
    samples = {
        "exc_level": level * np.ones((1, N_EXC)),
        "inh_level": np.ones((seconds, N_INH)),
    }
    runnable = simulation.compile(
        network(eta), device, precision=precision, snapshots={"inh_out.w": 1}
    )
    learned, _ = runnable.run(samples, learn=True, seed=seed, progress=False)
    control, _ = runnable.run(samples, seed=seed, progress=False)
    timing = {
        "build_s": runnable.build_seconds,
        "run_s": learned.seconds + control.seconds,
        "ms_per_sample": 1000 * learned.seconds / seconds,
    }
    found = {
        "learned": learned.counts("out").astype(float),
        "control": control.counts("out").astype(float),
        "weight": learned.snapshots["inh_out.w"].mean(axis=1),
    }
    return found, timing


def late_rates(rates: np.ndarray) -> dict[str, float]:
    """Mean rates in Hz at the end of both halves."""
    half = len(rates) // 2
    kept = round(half * MEASURED)
    return {
        "before": float(rates[half - kept : half].mean()),
        "after": float(rates[-kept:].mean()),
    }


def draw(found: dict[str, np.ndarray]) -> Figure:
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    seconds = np.arange(len(found["weight"])) + 0.5
    top.plot(seconds, found["control"].mean(axis=1), color="0.6", label="without plasticity")
    top.plot(seconds, found["learned"].mean(axis=1), color="C0", label="inhibitory STDP")
    top.axhline(TARGET / Hz, color="C1", linestyle="--", label="target")
    top.axvline(len(seconds) // 2, color="0.7", linewidth=0.8)
    top.set(ylabel="rate (Hz)", ylim=(0, None))
    top.legend()
    bottom.plot(seconds, found["weight"], color="C2")
    bottom.set(ylabel="mean inhibitory\nweight", xlabel="time (s)")
    figure.align_ylabels((top, bottom))
    return figure


def run() -> None:
    args = experiments.parser("inhibitory_stdp", __doc__, seconds=10).parse_args()
    seconds, eta = (SMOKE_SECONDS, SMOKE_ETA) if args.smoke else (SECONDS, ETA)
    found, timing = measure(seconds, eta, args.device, args.precision, args.seed)
    learned, control = late_rates(found["learned"]), late_rates(found["control"])
    with plotting.style():
        experiments.save_figure(args, draw(found), "rates")
    experiments.write_report(
        args,
        metrics={
            "rate_Hz": learned,
            "relative_error": {k: abs(rate * Hz / TARGET - 1) for k, rate in learned.items()},
            "rate_course_Hz": found["learned"].mean(axis=1),
            "mean_weight": found["weight"],
        },
        controls={"rate_without_plasticity_Hz": control},
        timing=timing,
        parameters={
            "dt": DT,
            "n_neurons": N_NEURONS,
            "n_excitatory": N_EXC,
            "n_inhibitory": N_INH,
            "input_rate": INPUT_RATE,
            "target_rate": TARGET,
            "eta": eta,
            "mean_excitatory_weight": W_EXC,
            "initial_inhibitory_weight": W_INH,
            "excitation_of_second_half": STRONGER,
            "seconds": seconds,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
