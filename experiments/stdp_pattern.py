"""A pattern without labels: weights of active inputs grow apart from those of silent ones.

100 Poisson inputs, of which 0 to 49 have the value 0.8 and the others 0, drive 20 LIF neurons.
Pairs of spikes change the weights, and every spike of a neuron lets all its weights decay a little.
The effect is Cohen's d between the weights of the two halves. Controls: before learning, and the
same network with as many active inputs, chosen anew for every sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Hz, ms, mV
from matplotlib.figure import Figure

from biosnn import encoding, experiments, models, plasticity, plotting, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

N_INPUTS, N_NEURONS = 100, 20
N_ACTIVE, VALUE = 50, 0.8
N_SAMPLES, SMOKE_SAMPLES = 100, 6
MAX_RATE = 60 * Hz
UNIT = 2.5 * mV
PAIRS = {"A_plus": 0.01, "A_minus": 0.0105, "weight_dependence": "multiplicative"}
DECAY = {"beta": 0.004, "power": 0}


def network() -> NetworkModel:
    rule = plasticity.combined(
        plasticity.pair_stdp(**PAIRS), plasticity.heterosynaptic_decay(**DECAY)
    )
    return NetworkModel(
        name="stdp_pattern",
        dt=0.5 * ms,
        inputs={"pattern": Input(features=N_INPUTS)},
        populations={
            "inp": Population(
                model=encoding.poisson(max_rate=MAX_RATE), n=N_INPUTS, drives={"x": "pattern"}
            ),
            "out": Population(model=models.lif(t_ref=2 * ms), n=N_NEURONS),
        },
        projections={
            "syn": Projection(
                pre="inp",
                post="out",
                transmit="v_post += w*unit",
                parameters={"unit": UNIT},
                weights=models.Uniform(low=0.2, high=0.4),
                rule=rule,
            )
        },
        presentation=Presentation(duration=200 * ms),
        output="out",
    )


def effect_size(weights: np.ndarray) -> float:
    """Cohen's d of the weights of inputs 0 to 49 against the others; weights [pre, post]."""
    active, silent = weights[:N_ACTIVE].ravel(), weights[N_ACTIVE:].ravel()
    spread = np.sqrt((active.var(ddof=1) + silent.var(ddof=1)) / 2)
    return float((active.mean() - silent.mean()) / spread)


def patterns(n_samples: int, shuffled: bool, seed: int) -> np.ndarray:
    """Samples with the values of the inputs, shape (samples, inputs)."""
    samples = np.zeros((n_samples, N_INPUTS))
    samples[:, :N_ACTIVE] = VALUE
    return np.random.default_rng(seed).permuted(samples, axis=1) if shuffled else samples


def measure(
    n_samples: int, device: str = "runtime", precision: str = "double", seed: int = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights [pre, post] and spike counts, learned, shuffled and untrained, and timing."""
    runnable = simulation.compile(network(), device, precision=precision)
    found: dict[str, Any] = {"untrained": runnable.initial_state(seed).weights("syn")}
    seconds = 0.0
    for name in ("learned", "shuffled"):
        samples = patterns(n_samples, name == "shuffled", seed)
        recording, state = runnable.run(samples, learn=True, seed=seed, progress=False)
        found[name] = state.weights("syn")
        found[f"{name}_counts"] = recording.counts("out")
        seconds += recording.seconds
    return found, {
        "build_s": runnable.build_seconds,
        "run_s": seconds,
        "ms_per_sample": 1000 * seconds / (2 * n_samples),
    }


def draw(found: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    bins = np.linspace(0, 1, 41)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for ax, name in zip(panels, ("untrained", "learned", "shuffled"), strict=True):
        weights = found[name]
        ax.hist(weights[:N_ACTIVE].ravel(), bins, color="C1", alpha=0.7, label="inputs 0 to 49")
        ax.hist(weights[N_ACTIVE:].ravel(), bins, color="C0", alpha=0.7, label="inputs 50 to 99")
        ax.set(title=f"{name}: d = {effect_size(weights):.2f}", xlabel="weight")
    panels[0].set_ylabel("synapses")
    panels[0].legend()
    return figure


def run() -> None:
    args = experiments.parser("stdp_pattern", __doc__, seconds=10).parse_args()
    n_samples = SMOKE_SAMPLES if args.smoke else N_SAMPLES
    found, timing = measure(n_samples, args.device, args.precision, args.seed)
    with plotting.style():
        experiments.save_figure(args, draw(found), "weights")
    experiments.write_report(
        args,
        metrics={
            "effect_size": effect_size(found["learned"]),
            "mean_weight_active": found["learned"][:N_ACTIVE].mean(),
            "mean_weight_silent": found["learned"][N_ACTIVE:].mean(),
            "spikes_per_neuron_and_sample": found["learned_counts"].mean(),
        },
        controls={
            "effect_size_untrained": effect_size(found["untrained"]),
            "effect_size_shuffled": effect_size(found["shuffled"]),
            "spikes_per_neuron_and_sample_shuffled": found["shuffled_counts"].mean(),
        },
        timing=timing,
        parameters={
            "n_inputs": N_INPUTS,
            "n_neurons": N_NEURONS,
            "n_active": N_ACTIVE,
            "value": VALUE,
            "n_samples": n_samples,
            "max_rate": MAX_RATE,
            "unit": UNIT,
            "pair_stdp": PAIRS,
            "heterosynaptic_decay": DECAY,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
