"""Published firing patterns: 8 of the AdEx model, 20 of Izhikevich's model.

Each neuron has the parameters and the current of its authors (Naud et al. 2008, Table 1;
Izhikevich 2004, Fig. 1), and a criterion in numbers says whether it shows its pattern. Izhikevich's
patterns run with the time steps of the script behind his figure, on which some of them depend.
"""

from __future__ import annotations

import attrs
import numpy as np
from _firing_patterns import FiringPattern, adex_patterns, izhikevich_patterns
from brian2 import ms, mV
from matplotlib.figure import Figure

from biosnn import experiments, models, plotting, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation

ADEX_STEP = 0.1 * ms
SMOKE = 4  # of each model
#: AdEx's spikes end somewhere above, depending on the time step; they are drawn as strokes.
ADEX_TOP, SIMPLE_TOP = -38.0, 30.0
ADEX_SHOWN = 600.0  # ms of 1000


@attrs.frozen
class Answer:
    """Spike times in ms, and the potential in mV at the times in ms."""

    spikes: np.ndarray
    t: np.ndarray
    v: np.ndarray


def network(groups: dict[str, list[FiringPattern]], dt: float) -> NetworkModel:
    """One population per list of patterns, each neuron under its own current."""
    duration = max(pattern.duration for members in groups.values() for pattern in members)
    return NetworkModel(
        name=f"firing_patterns_{dt:g}_ms".replace(".", "_"),
        dt=dt * ms,
        inputs={
            f"{name}_current": Input(features=len(members), kind="sequence", frame=dt * ms)
            for name, members in groups.items()
        },
        populations={
            name: Population(
                model=models.per_neuron([pattern.model for pattern in members]),
                n=len(members),
                drives={"I": f"{name}_current"},
            )
            for name, members in groups.items()
        },
        presentation=Presentation(duration=duration, reset="none"),
        output=next(iter(groups)),
    )


def by_step(adex: list[FiringPattern], simple: list[FiringPattern]) -> dict[float, dict]:
    """Time step in ms -> population -> patterns. Other equations are another population."""
    found: dict[float, dict[str, list[FiringPattern]]] = {}
    for pattern in [*adex, *simple]:
        step = float((ADEX_STEP if pattern in adex else pattern.dt) / ms)
        name = pattern.model.name.lower()
        if name == "izhikevich" and pattern.model.equations != simple[0].model.equations:
            name = pattern.name
        found.setdefault(step, {}).setdefault(name, []).append(pattern)
    return found


def played(args, groups: dict[str, list[FiringPattern]], dt: float) -> tuple[dict, list[float]]:
    """Pattern -> answer, and the seconds of build and run."""
    declared = network(groups, dt)
    runnable = simulation.compile(
        declared,
        args.device,
        precision=args.precision,
        spikes=tuple(groups),
        traces={f"{name}.v": range(len(members)) for name, members in groups.items()},
    )
    times = np.arange(declared.steps_per_presentation) * dt * ms
    samples = {
        f"{name}_current": np.array([[np.asarray(p.current(times)) for p in members]]).swapaxes(
            1, 2
        )
        for name, members in groups.items()
    }
    recording, _ = runnable.run(samples, seed=args.seed, progress=not args.quiet)
    answers = {}
    for name, members in groups.items():
        spikes, trace = recording.spikes[name], recording.traces[f"{name}.v"]
        for k, pattern in enumerate(members):
            fired = np.sort(spikes.t[spikes.i == k]) * 1e3
            t, end = trace.t * 1e3, float(pattern.duration / ms) + dt / 2
            answers[pattern.model.name, pattern.name] = Answer(
                fired[fired < end], t[t < end], trace.values[k, t < end] * 1e3
            )
    return answers, [runnable.build_seconds, recording.seconds]


def draw(
    patterns: list[FiringPattern], answers: dict, shown: dict, columns: int, top: float
) -> Figure:
    """A panel per pattern: the potential, strokes for spikes, and the current below."""
    rows = -(-len(patterns) // columns)
    figure = Figure(figsize=(2.7 * columns, 1.75 * rows + 0.3), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for ax in axes[len(patterns) :]:
        ax.set_axis_off()
    for ax, pattern in zip(axes, patterns, strict=False):
        key = pattern.model.name, pattern.name
        answer = answers[key]
        plotting.membrane(
            answer.t * ms,
            np.minimum(answer.v, top) * mV,
            spikes=[answer.spikes * ms],
            ax=ax,
        )
        current = np.asarray(pattern.current(answer.t * ms) / pattern.unit)
        low, high = current.min(), max(current.max(), current.min() + 1e-9)
        level = answer.v.min() - 35 + 12 * (current - low) / (high - low)
        ax.plot(answer.t, level, color="0.5", linewidth=0.9)
        mark = "" if shown[key] else " (not shown)"
        ax.set_title(f"{pattern.name}{mark}", size=8)
        ax.set(xlabel="", ylabel="", yticks=[], xlim=(0, min(answer.t[-1], ADEX_SHOWN)))
        ax.tick_params(labelsize=7)
    figure.supxlabel("time (ms)", size=9)
    return figure


def run() -> None:
    args = experiments.parser("firing_patterns", __doc__, device="runtime", seconds=10).parse_args()
    adex = list(adex_patterns().values())
    simple = list(izhikevich_patterns().values())
    if args.smoke:
        adex, simple = adex[:SMOKE], simple[:SMOKE]
    answers, seconds = {}, np.zeros(2)
    for dt, groups in by_step(adex, simple).items():
        found, spent = played(args, groups, dt)
        answers.update(found)
        seconds += spent
    shown = {
        (pattern.model.name, pattern.name): pattern.shown_by(
            answers[pattern.model.name, pattern.name].spikes * ms,
            answers[pattern.model.name, pattern.name].t * ms,
            answers[pattern.model.name, pattern.name].v * mV,
        )
        for pattern in [*adex, *simple]
    }
    with plotting.style():
        experiments.save_figure(args, draw(adex, answers, shown, 4, ADEX_TOP), "adex")
        experiments.save_figure(args, draw(simple, answers, shown, 5, SIMPLE_TOP), "izhikevich")
    metrics = {}
    for name, patterns in (("adex", adex), ("izhikevich", simple)):
        keys = [(pattern.model.name, pattern.name) for pattern in patterns]
        metrics[name] = {
            "shown": sum(shown[key] for key in keys),
            "of": len(keys),
            "not_shown": [key[1] for key in keys if not shown[key]],
            "spikes": {key[1]: len(answers[key].spikes) for key in keys},
        }
    experiments.write_report(
        args,
        metrics=metrics,
        timing={
            "build_s": seconds[0],
            "run_s": seconds[1],
            "ms_per_sample": 1000 * seconds[1],
        },
        parameters={"adex_dt": ADEX_STEP, "izhikevich_dt": [pattern.dt for pattern in simple]},
    )


if __name__ == "__main__":
    experiments.main(run)
