"""STDP in discrete steps: one input, one integrate-and-fire neuron, their traces and the weight.

The figure of the deep-learning libraries' tutorials on STDP: traces follow
``tr <- tr - tr/tau + s``, and in each step the weight changes by
``f(w)*tr_pre*s_post - f(w)*tr_post*s_pre``. Every step is a presentation of its own, so that the
weight after each of them is recorded. The control is the same in a few lines of NumPy.
"""

from __future__ import annotations

import attrs
import numpy as np
from brian2 import ms
from matplotlib.figure import Figure

from biosnn import experiments, models, plasticity, plotting, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

N_STEPS = 128
TAU_PRE, TAU_POST = 2.0, 100.0
ETA = 0.01
W = 0.4
BOUNDS = {"w_min": -1.0, "w_max": 1.0}
PROBABILITY = 0.3


def network(n: int = 1) -> NetworkModel:
    """``n`` independent pairs of an input and a neuron; a sample is one time step."""
    source = models.neuron(name="Spikes", equations="x : 1", threshold="x > 0.5", reset="")
    neuron = models.neuron(name="IF", equations="v : 1", threshold="v >= 1", reset="v = 0")
    rule = plasticity.discrete_stdp(tau_pre=TAU_PRE, tau_post=TAU_POST, eta=ETA, **BOUNDS)
    return NetworkModel(
        name="stdp_trace",
        dt=1 * ms,
        inputs={"spikes": Input(features=n)},
        populations={
            "inp": Population(model=source, n=n, drives={"x": "spikes"}),
            # A neuron of these libraries fires in the step in which its input arrives.
            "out": Population(model=attrs.evolve(neuron, spike_when="after_synapses"), n=n),
        },
        projections={
            "syn": Projection(
                pre="inp",
                post="out",
                transmit="v_post += w",
                weights=W,
                pairs="one_to_one",
                rule=rule,
            )
        },
        presentation=Presentation(duration=1 * ms, reset="none"),
        output="out",
    )


def learn(
    spikes: np.ndarray, device: str = "runtime", precision: str = "double"
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Show spike trains, shape (steps, pairs), each to a pair of its own.

    Returns
    -------
    dict of numpy.ndarray, shape (steps, pairs)
        ``out``, ``trace_pre``, ``trace_post`` and ``w`` after each step.
    dict
        Timing.
    """
    names = {"out": "out.count", "trace_pre": "inp.syn_x", "trace_post": "out.syn_y"}
    runnable = simulation.compile(
        network(spikes.shape[1]),
        device,
        precision=precision,
        per_sample=tuple(names.values()),
        snapshots={"syn.w": 1},
    )
    recording, _ = runnable.run(spikes, learn=True, progress=False)
    found = {name: recording[variable] for name, variable in names.items()}
    timing = {
        "build_s": runnable.build_seconds,
        "run_s": recording.seconds,
        "ms_per_sample": 1000 * recording.seconds / len(spikes),
    }
    return {**found, "w": recording.snapshots["syn.w"]}, timing


def definition(spikes: np.ndarray) -> dict[str, np.ndarray]:
    """The same step by step from the definitions."""
    n = spikes.shape[1]
    v, trace_pre, trace_post, w = np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, W)
    found: dict[str, list[np.ndarray]] = {}
    for now in spikes:
        v = v + w * now
        fired = v >= 1
        v = np.where(fired, 0, v)
        trace_pre = trace_pre - trace_pre / TAU_PRE + now
        trace_post = trace_post - trace_post / TAU_POST + fired
        w = w + ETA * (w * trace_pre * fired - w * trace_post * now)
        w = np.clip(w, BOUNDS["w_min"], BOUNDS["w_max"])
        values = {"out": fired, "trace_pre": trace_pre, "trace_post": trace_post, "w": w}
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def draw(spikes: np.ndarray, found: dict[str, np.ndarray]) -> Figure:
    """Spikes, traces and weight of the first pair over time."""
    steps = np.arange(len(spikes))
    figure = Figure(figsize=(8.0, 7.0), layout="constrained")
    panels = figure.subplots(5, 1, sharex=True, height_ratios=(1, 2, 1, 2, 2))
    rows = (
        ("input", spikes[:, 0], True),
        ("input trace", found["trace_pre"][:, 0], False),
        ("output", found["out"][:, 0], True),
        ("output trace", found["trace_post"][:, 0], False),
        ("weight", found["w"][:, 0], False),
    )
    for number, (ax, (label, values, spiking)) in enumerate(zip(panels, rows, strict=True)):
        colour = f"C{number}"
        if spiking:
            ax.eventplot([steps[values > 0]], colors=[colour])
            ax.set_yticks([])
        else:
            ax.plot(steps, values, color=colour)
        ax.set_ylabel(label)
    panels[-1].set_xlabel("time step")
    figure.align_ylabels(panels)
    return figure


def run() -> None:
    args = experiments.parser("stdp_trace", __doc__, device="runtime", seconds=5).parse_args()
    rng = np.random.default_rng(args.seed)
    spikes = (rng.random((N_STEPS, 1)) < PROBABILITY).astype(float)
    found, timing = learn(spikes, args.device, args.precision)
    expected = definition(spikes)
    with plotting.style():
        experiments.save_figure(args, draw(spikes, found), "traces")
    experiments.write_report(
        args,
        metrics={
            "input_spikes": int(spikes.sum()),
            "output_spikes": int(found["out"].sum()),
            "final_weight": found["w"][-1, 0],
        },
        controls={
            f"largest_difference_{name}": np.abs(found[name] - expected[name]).max()
            for name in expected
        },
        timing=timing,
        parameters={
            "n_steps": N_STEPS,
            "tau_pre_steps": TAU_PRE,
            "tau_post_steps": TAU_POST,
            "eta": ETA,
            "initial_weight": W,
            "input_probability": PROBABILITY,
            **BOUNDS,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
