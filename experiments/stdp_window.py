"""The STDP window: the weight change of pairs of spikes against the time between them.

Each synapse sees pairs of one lag, as in the protocol of Bi & Poo (1998, J. Neurosci. 18:10464,
doi:10.1523/JNEUROSCI.18-24-10464.1998): 60 pairs, so far apart that they do not touch. The time
constants are those of their fit (2001, doi:10.1146/annurev.neuro.24.1.139). An exponential is
fitted to each side and compared with what the rule was given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure
from scipy.optimize import least_squares

from biosnn import encoding, experiments, plasticity, plotting, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

DT = 0.5 * ms
PAIR = 400 * ms  # a presentation
LAGS_MS = np.concatenate([np.arange(-100.0, 0.0, 2.5), np.arange(0.0, 100.5, 2.5)])
N_PAIRS, SMOKE_PAIRS = 60, 2
FIRST_MS = 150.0
PAIR_STDP = {
    "tau_plus": 16.8 * ms,
    "tau_minus": 33.7 * ms,
    "A_plus": 0.008,
    "A_minus": 0.003,
    "w_min": -1.0,
}
SYMMETRIC = {"tau_stdp": 20 * ms, "eta": 0.005, "alpha": 0.3, "w_min": -1.0}
#: Rule -> time constants before and after zero lag, in ms, and its change at large lags.
EXPECTED = {
    "pair": {"plus": 16.8, "minus": 33.7, "offset": 0.0},
    "symmetric": {"plus": 20.0, "minus": 20.0, "offset": -0.0015},
}


def network() -> NetworkModel:
    n = len(LAGS_MS)
    rules = {
        "pair": plasticity.pair_stdp(**PAIR_STDP),
        "symmetric": plasticity.symmetric_stdp(**SYMMETRIC),
    }
    return NetworkModel(
        name="stdp_window",
        dt=DT,
        inputs={name: Input(features=n, kind="events") for name in ("before", "after")},
        populations={
            "pre": Population(model=encoding.address_events(), n=n, drives={"x": "before"}),
            "post": Population(model=encoding.address_events(), n=n, drives={"x": "after"}),
        },
        projections={
            name: Projection(pre="pre", post="post", weights=0.0, pairs="one_to_one", rule=rule)
            for name, rule in rules.items()
        },
        presentation=Presentation(duration=PAIR),
        output="post",
    )


def measure(
    n_pairs: int, device: str = "runtime", precision: str = "double"
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Changes per pair at all lags, by rule, and timing."""
    n = len(LAGS_MS)
    sample, unit = (part.ravel() for part in np.mgrid[:n_pairs, :n])
    before = np.full(len(unit), FIRST_MS * 1e-3)
    inputs = {
        "before": (sample, unit, before),
        "after": (sample, unit, before + LAGS_MS[unit] * 1e-3),
        "n_samples": n_pairs,
    }
    runnable = simulation.compile(network(), device, precision=precision)
    recording, state = runnable.run(inputs, learn=True, progress=False)
    if not (recording.counts("post") == 1).all():
        raise RuntimeError("a spike of the protocol is missing")
    timing = {
        "build_s": runnable.build_seconds,
        "run_s": recording.seconds,
        "ms_per_sample": 1000 * recording.seconds / n_pairs,
    }
    return {name: state[f"{name}.w"] / n_pairs for name in EXPECTED}, timing


def fit(changes: np.ndarray) -> dict[str, float]:
    """Amplitude (at zero lag), time constant in ms and offset of both sides."""
    found = {}
    for name, chosen in (("plus", LAGS_MS >= 0), ("minus", LAGS_MS < 0)):
        lags, values = np.abs(LAGS_MS[chosen]), changes[chosen]
        start = (values[np.argmin(lags)] - values[np.argmax(lags)], 25.0, 0.0)
        scale = np.abs(values).max()

        def residuals(p: np.ndarray, lags=lags, values=values, scale=scale) -> np.ndarray:
            return (p[0] * np.exp(-lags / p[1]) + p[2] - values) / scale

        amplitude, tau, offset = least_squares(residuals, start, x_scale=(scale, 10.0, scale)).x
        found |= {f"A_{name}": amplitude, f"tau_{name}_ms": tau, f"offset_{name}": offset}
    return {name: float(value) for name, value in found.items()}


def errors(fitted: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Relative errors of the fitted time constants, by rule."""
    return {
        rule: {
            f"tau_{side}": abs(fitted[rule][f"tau_{side}_ms"] / EXPECTED[rule][side] - 1)
            for side in ("plus", "minus")
        }
        for rule in EXPECTED
    }


def draw(changes: dict[str, np.ndarray], fitted: dict[str, dict[str, float]]) -> Figure:
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    for ax, (rule, values) in zip(figure.subplots(1, 2), changes.items(), strict=True):
        ax.axhline(0, color="0.7", linewidth=0.8)
        ax.axvline(0, color="0.7", linewidth=0.8)
        ax.plot(LAGS_MS, values, "o", markersize=3, color="C0", label="simulated")
        for side, sign in (("plus", 1), ("minus", -1)):
            lags = np.linspace(0, 100, 200)
            found = fitted[rule]
            curve = found[f"A_{side}"] * np.exp(-lags / found[f"tau_{side}_ms"])
            label = f"fit, {found[f'tau_{side}_ms']:.1f} ms"
            curve += found[f"offset_{side}"]
            ax.plot(sign * lags, curve, color="C1" if sign > 0 else "C2", label=label)
        ax.set(title=f"{rule} STDP", xlabel="t_post - t_pre (ms)", ylabel="weight change per pair")
        ax.legend()
    return figure


def run() -> None:
    args = experiments.parser("stdp_window", __doc__, seconds=10).parse_args()
    n_pairs = SMOKE_PAIRS if args.smoke else N_PAIRS
    changes, timing = measure(n_pairs, args.device, args.precision)
    fitted = {rule: fit(values) for rule, values in changes.items()}
    with plotting.style():
        experiments.save_figure(args, draw(changes, fitted), "window")
    experiments.write_report(
        args,
        metrics={
            "fit": fitted,
            "relative_error": errors(fitted),
            "lags_ms": LAGS_MS,
            "change_per_pair": changes,
        },
        timing=timing,
        parameters={
            "dt": DT,
            "n_pairs": n_pairs,
            "pair_stdp": PAIR_STDP,
            "symmetric_stdp": SYMMETRIC,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
