"""XOR of two firing rates, learned from rewarded and punished output spikes (Florian 2007).

Two bits are coded by 30 input neurons each, at 40 Hz for 1 and silent for 0; half of them excite
and half inhibit 60 hidden neurons, which excite one output neuron. While a pattern is shown, for
500 ms, every output spike brings a reward of +1 if XOR of the bits is 1 and of -1 if it is 0. A
critic in the network answers the spike in its own time step; only the sign comes in from outside.
A run has learned if the output rate for 11 ends below those for 01 and for 10 (00 has no input),
in the last epoch, as in the paper, and when all patterns are shown again with plasticity off. The
two differ for MSTDP: without an eligibility trace the weights keep following the pattern that is
shown, so that what is left in the end depends on the last one.

Controls: the same networks without learning, and with rewards whose signs are those of other
samples.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
from brian2 import Hz, ms, mV
from matplotlib.figure import Figure
from rich.progress import Progress

from biosnn import encoding, experiments, models, plasticity, plotting, simulation
from biosnn.models import Operation, Uniform
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule

# Florian 2007, sec. 4.1 and 4.2; weights are in mV.
DT = 1 * ms
DURATION = 500 * ms
RATE = 40 * Hz
CELL = {"tau_m": 20 * ms, "E_L": -70 * mV, "V_th": -54 * mV, "V_r": -70 * mV}
N_PER_BIT, N_HIDDEN = 30, 60
W_MAX = 5.0
GAMMA = {"mstdp": 0.1, "mstdpet": 0.625}
TAU_Z = 25 * ms
EPOCHS = 200
#: Share of 1,000 experiments in which the network learned (sec. 4.2).
PUBLISHED = {"mstdp": 0.991, "mstdpet": 0.982}
PATTERNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
NAMES = ("00", "01", "10", "11")


def rule(kind: str, *, excitatory: bool) -> PlasticityRule:
    bounds = {"w_min": 0.0, "w_max": W_MAX} if excitatory else {"w_min": -W_MAX, "w_max": 0.0}
    settings = {"modulator": f"critic_{kind}.r", "gamma": GAMMA[kind], **bounds}
    if kind == "mstdp":
        return plasticity.mstdp(**settings)
    return plasticity.mstdpet(tau_z=TAU_Z, **settings)


def synapses(kind: str, pre: str, post: str, sign: int) -> Projection:
    low, high = sorted((0.0, sign * W_MAX))
    return Projection(
        pre=pre,
        post=post,
        # A spike at t acts with its whole weight at t + dt (eq. 4.1), also in a step in which the
        # target fires.
        transmit="v_post += w*jump",
        when="after_resets",
        parameters={"jump": math.exp(DT / CELL["tau_m"]) * mV},
        weights=Uniform(low=low, high=high),
        rule=rule(kind, excitatory=sign > 0),
    )


def network() -> NetworkModel:
    """Two 60-60-1 networks on the same input spikes: one learns by each rule."""
    membrane = "dv/dt = (E_L - v)/tau_m : volt"
    cell = {"threshold": "v > V_th", "reset": "v = V_r", "parameters": CELL}
    hidden = models.neuron(equations=membrane, initial={"v": "E_L"}, name="Hidden", **cell)
    out = models.neuron(
        equations=f"{membrane}\nfired : 1",
        initial={"v": "E_L"},
        operations=(
            Operation(code="fired = 0"),
            Operation(code="fired = 1", on="spike", when="after_thresholds"),
        ),
        name="Output",
        **cell,
    )
    source = encoding.bernoulli(max_rate=RATE)
    populations = {
        "exc": Population(model=source, n=N_PER_BIT, drives={"x": "excite"}),
        "inh": Population(model=source, n=N_PER_BIT, drives={"x": "inhibit"}),
    }
    projections = {}
    for kind in GAMMA:
        critic = models.neuron(
            equations="target : 1\nr : 1\nfired : 1 (linked)",
            operations=(Operation(code="r = target*fired", when="after_thresholds", order=1),),
            links={"fired": f"out_{kind}.fired"},
            name="Critic",
        )
        populations |= {
            f"hidden_{kind}": Population(model=hidden, n=N_HIDDEN),
            f"out_{kind}": Population(model=out, n=1),
            f"critic_{kind}": Population(model=critic, n=1, drives={"target": "target"}),
        }
        projections |= {
            f"exc_{kind}": synapses(kind, "exc", f"hidden_{kind}", 1),
            f"inh_{kind}": synapses(kind, "inh", f"hidden_{kind}", -1),
            f"hidden_out_{kind}": synapses(kind, f"hidden_{kind}", f"out_{kind}", 1),
        }
    return NetworkModel(
        name="rstdp_xor",
        dt=DT,
        inputs={
            "excite": Input(features=N_PER_BIT),
            "inhibit": Input(features=N_PER_BIT),
            "target": Input(features=1),
        },
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=DURATION, reset="none"),
        output="out_mstdp",
    )


def compiled(device: str, precision: str = "double") -> simulation.Runnable:
    """The network on a device, with the output spikes of every sample."""
    outputs = [f"out_{kind}.count" for kind in GAMMA]
    return simulation.compile(network(), device, precision=precision, per_sample=outputs)


def inputs(order: np.ndarray, signs: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Streams of the network for patterns by number; signs of the reward are XOR's by default."""
    bits = PATTERNS[order]
    spread = np.repeat(bits, N_PER_BIT // 2, axis=1).astype(float)
    xor = 2.0 * (bits[:, :1] != bits[:, 1:]) - 1.0
    return {"excite": spread, "inhibit": spread, "target": xor if signs is None else signs}


def shuffled_order(epochs: int, seed: int) -> np.ndarray:
    """All four patterns in each epoch, in random order."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(4) for _ in range(epochs)])


def by_pattern(counts: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Output rates in Hz, [epoch, pattern]."""
    rates = counts.reshape(-1, 4) / float(DURATION)
    return np.take_along_axis(rates, np.argsort(order.reshape(-1, 4), axis=1), axis=1)


def margin(rates: np.ndarray) -> float:
    """How far the rate for 11 is below the lower one of those for 01 and 10, in Hz."""
    return float(min(rates[1], rates[2]) - rates[3])


def trial(
    runnable: simulation.Runnable, seed: int, epochs: int, *, tests: int = 10, control: str = ""
) -> dict[str, dict[str, Any]]:
    """Learn for some epochs, then show each pattern some times with plasticity off.

    Parameters
    ----------
    runnable : Runnable
        That of :func:`compiled`.
    seed : int
        Of weights, spikes and the order of patterns.
    epochs, tests : int
        Presentations of each pattern, while learning and afterwards.
    control : {"", "untrained", "shuffled"}
        Learn nothing, or from rewards whose signs belong to other samples.

    Returns
    -------
    dict
        For each rule ``course`` [epoch, pattern] and ``tested`` [pattern] in Hz, and what they say.
    """
    order = shuffled_order(epochs, seed)
    given = inputs(order)
    if control == "shuffled":
        signs = np.random.default_rng([seed, 1]).permutation(given["target"])
        given = inputs(order, signs)
    learn = control != "untrained"
    before = runnable.initial_state(seed)
    shown, state = runnable.run(given, before, learn=learn, seed=seed, progress=False)
    again = np.tile(np.arange(4), tests)
    after, _ = runnable.run(inputs(again), state, seed=seed, epoch=1, progress=False)
    found = {}
    for kind in GAMMA:
        course = by_pattern(shown.per_sample[f"out_{kind}.count"][:, 0], order)
        tested = by_pattern(after.per_sample[f"out_{kind}.count"][:, 0], again).mean(axis=0)
        moved = np.abs(state[f"exc_{kind}.w"] - before[f"exc_{kind}.w"]).mean()
        found[kind] = {
            "course": course,
            "tested": tested,
            "learned": margin(course[-1]) > 0,
            "learned_frozen": margin(tested) > 0,
            "margin_Hz": margin(course[-1]),
            "margin_frozen_Hz": margin(tested),
            "mean_weight_change_mV": float(moved),
        }
    return found


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and shares over seeds, for one rule."""
    tested = np.array([found["tested"] for found in trials])
    last = np.array([found["course"][-1] for found in trials])

    def mean(key: str) -> float:
        return float(np.mean([found[key] for found in trials]))

    return {
        "runs": len(trials),
        "learned": mean("learned"),
        "learned_frozen": mean("learned_frozen"),
        "mean_margin_Hz": mean("margin_Hz"),
        "mean_margin_frozen_Hz": mean("margin_frozen_Hz"),
        "rates_Hz": dict(zip(NAMES, last.mean(axis=0), strict=True)),
        "rates_frozen_Hz": dict(zip(NAMES, tested.mean(axis=0), strict=True)),
        "margins_Hz": [found["margin_Hz"] for found in trials],
        "margins_frozen_Hz": [found["margin_frozen_Hz"] for found in trials],
        "mean_weight_change_mV": mean("mean_weight_change_mV"),
    }


def draw(results: dict[str, list[dict[str, Any]]]) -> Figure:
    """Output rates over the epochs, mean and 10 to 90 % of the runs, a panel per rule."""
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for ax, (kind, trials) in zip(panels, results.items(), strict=True):
        courses = np.array([found["course"] for found in trials])
        width = max(1, courses.shape[1] // 20)
        kernel = np.ones(width) / width
        smooth = np.apply_along_axis(np.convolve, 1, courses, kernel, "valid")
        epochs = np.arange(smooth.shape[1]) + width
        for pattern, colour in zip(range(1, 4), ("C0", "C2", "C3"), strict=True):
            low, high = np.percentile(smooth[:, :, pattern], (10, 90), axis=0)
            ax.plot(epochs, smooth[:, :, pattern].mean(axis=0), colour, label=NAMES[pattern])
            ax.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.set(xlabel=f"epoch (means over {width})", title=kind.upper(), ylim=(0, None))
    panels[0].set_ylabel("output rate (Hz)")
    panels[0].legend(title="input", frameon=False)
    return figure


def arguments() -> argparse.Namespace:
    parser = experiments.parser("rstdp_xor", __doc__)
    whole = experiments.whole(1)
    parser.add_argument("--runs", type=whole, default=20, metavar="N", help="seeds per rule")
    parser.add_argument("--epochs", type=whole, default=EPOCHS, metavar="N")
    experiments.add_resume_flags(parser)
    args = parser.parse_args()
    if args.smoke:
        args.runs, args.epochs = min(args.runs, 2), min(args.epochs, 40)
    return args


def run() -> None:
    args = arguments()
    experiments.begin(args)
    parts = experiments.Parts(args)
    runnable = compiled(args.device, args.precision)
    progress = Progress(console=experiments.console_for(args))
    times: dict[str, float] = {}

    def course(control: str, epochs: int) -> list[dict[str, Any]]:
        """The trials of all seeds; the time that they took."""

        def timed(seed: int) -> dict[str, Any]:
            began = time.perf_counter()
            made = trial(runnable, seed, epochs, control=control)
            return {"found": made, "seconds": time.perf_counter() - began}

        kind = control or "learning"
        seeds = range(args.seed, args.seed + args.runs)
        done = [
            parts(f"{kind}-{seed}", lambda seed=seed: timed(seed))
            for seed in progress.track(seeds, description=kind)
        ]
        times[kind] = sum(one["seconds"] for one in done)
        return [one["found"] for one in done]

    with progress:
        trials = course("", args.epochs)
        others = {
            "untrained": course("untrained", 1),
            "shuffled": course("shuffled", args.epochs),
        }
    run_s = times["learning"]
    results = {kind: [found[kind] for found in trials] for kind in GAMMA}
    with plotting.style():
        experiments.save_figure(args, draw(results), "rates")
    experiments.write_report(
        args,
        metrics={kind: {**summary(results[kind]), "published": PUBLISHED[kind]} for kind in GAMMA},
        controls={
            kind: {
                name: summary([found[kind] for found in trials]) for name, trials in others.items()
            }
            for kind in GAMMA
        },
        timing={
            "build_s": runnable.build_seconds,
            "run_s": run_s,
            "ms_per_sample": 1000 * run_s / (args.runs * 4 * (args.epochs + 10)),
        },
        parameters={
            **CELL,
            "dt": DT,
            "duration": DURATION,
            "rate": RATE,
            "n_inputs": 2 * N_PER_BIT,
            "n_hidden": N_HIDDEN,
            "w_max_mV": W_MAX,
            "gamma_mV": GAMMA,
            "tau_z": TAU_Z,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
