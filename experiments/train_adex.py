"""AdEx neurons learn by gradients to compare two stimuli, and do so in Brian2 afterwards.

A stimulus is shown for 20 ms, and after 40 ms of silence the same or another one: which was it?
Spikes count from the onset of the second stimulus, so that a network without memory cannot do
better than chance. There are no recurrent connections, and membranes (9 ms) and synapses (5 ms)
have forgotten the first stimulus by then; what is left is the adaptation current of the neurons
that it has made fire (Brette & Gerstner 2005), which makes them fire less at a repetition.

Conductances of inputs and of hidden neurons, none of them below 0, and the strength and the time
constant of the adaptation are trained by surrogate gradients in float32, on trials that are new in
each update. Inhibition comes from the same spikes two steps later: its interneurons are left out.
The trained declaration and its weights then go back into Brian2, which is shown the same spikes;
its spikes and potentials are compared with those of torch in float64.

Controls: the network before training; trained without adaptation; with the constants of adaptation
frozen; with the readout trained only; with labels drawn at random.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import attrs
import numpy as np
import torch
from brian2 import Hz, ms, mV, nS, pA
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy

from biosnn import encoding, experiments, models, plotting, simulation, surrogate
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.recording import Recording
from biosnn.state import State

DT = 0.5 * ms
STIMULUS, GAP, TAIL = 40, 80, 10  # time steps; the tail is for what is still on its way
SECOND = STIMULUS + GAP
STEPS = SECOND + STIMULUS + TAIL
N_STIMULI, N_EACH = 4, 10
N_INPUTS = N_STIMULI * N_EACH
RATE_ON, RATE_OFF = 100 * Hz, 5 * Hz
N_HIDDEN, N_OUT = 40, 2  # the outputs mean "another one" and "the same"
CELL = {"a": 0 * nS, "V_peak": -40 * mV}
ADAPTATION = {"b": 60 * pA, "tau_w": 40 * ms}
#: projection -> synapse, mean of the weights in nS, delay
PROJECTIONS = {
    "inp_hidden": ("exc", 7.0, 1 * ms),
    "inp_hidden_inh": ("inh", 2.0, 2 * ms),
    "inp_out": ("exc", 3.0, 1 * ms),
    "hidden_out": ("exc", 2.0, 1 * ms),
    "hidden_out_inh": ("inh", 2.0, 2 * ms),
}
READOUT = ("inp_out", "hidden_out", "hidden_out_inh")
CONSTANTS = ("hidden.b", "hidden.tau_w")
TUNING = (2.2, 0.6)  # factors on weights from the stimulus that a hidden neuron prefers, and others
SHAPE = 2.0  # of the gamma distribution of the first weights
WIDTH = 10 * mV
GAIN = 0.5  # of a spike, in units of the loss
LEARNING_RATE = {"weights": 0.01, "constants": 0.02}
FULL = {"updates": 100, "batch": 64, "test": 500, "seeds": 3}
SMOKE = {"updates": 3, "batch": 8, "test": 20, "seeds": 1}


def network(seed: int) -> NetworkModel:
    """Inputs, hidden neurons that adapt, and outputs that do not."""
    rng = np.random.default_rng([seed, 0])
    synapses = {
        "exc": models.exponential_conductance(tau_syn=5 * ms, E=0 * mV, g_max=1 * nS),
        "inh": models.exponential_conductance(tau_syn=5 * ms, E=-80 * mV, g_max=1 * nS),
    }
    hidden = models.adex(**CELL, **ADAPTATION).with_synapses(**synapses)
    out = models.adex(**CELL, b=0 * pA).with_synapses(**synapses)
    populations = {
        "inp": Population(model=encoding.address_events(), n=N_INPUTS, drives={"x": "events"}),
        "hidden": Population(model=hidden, n=N_HIDDEN),
        "out": Population(model=out, n=N_OUT),
    }
    projections = {}
    for key, (synapse, mean, delay) in PROJECTIONS.items():
        pre, post = key.removesuffix("_inh").split("_")
        shape = populations[pre].n, populations[post].n
        weights = mean * rng.gamma(SHAPE, 1 / SHAPE, shape)
        if key == "inp_hidden":
            preferred = np.arange(N_HIDDEN) % N_STIMULI == np.arange(N_INPUTS)[:, None] // N_EACH
            weights *= np.where(preferred, *TUNING)
        projections[key] = Projection(
            pre=pre, post=post, synapse=synapse, weights=weights, delay=delay
        )
    return NetworkModel(
        name="train_adex",
        dt=DT,
        inputs={"events": Input(features=N_INPUTS, kind="events")},
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=STEPS * DT),
        output="out",
    )


def trials(n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Spikes [STEPS, n, N_INPUTS], and 1 where the second stimulus is the first one."""
    first, same = rng.integers(0, N_STIMULI, n), rng.integers(0, 2, n)
    second = (first + (1 - same) * rng.integers(1, N_STIMULI, n)) % N_STIMULI
    spikes = np.zeros((STEPS, n, N_INPUTS))
    group = np.arange(N_INPUTS) // N_EACH
    for onset, stimulus in ((0, first), (SECOND, second)):
        chance = np.where(group == stimulus[:, None], float(RATE_ON * DT), float(RATE_OFF * DT))
        drawn = rng.random((STIMULUS, n, N_INPUTS)) < chance
        spikes[onset : onset + STIMULUS] = drawn
    return torch.as_tensor(spikes), torch.as_tensor(same)


@attrs.frozen(eq=False)
class Kind:
    """What is trained, and on what."""

    chosen: tuple[str, ...]
    adapts: bool = True
    random_labels: bool = False


KINDS = {
    "trained": Kind((*PROJECTIONS, *CONSTANTS)),
    "no_adaptation": Kind(tuple(PROJECTIONS), adapts=False),
    "frozen_constants": Kind(tuple(PROJECTIONS)),
    "readout_only": Kind(READOUT),
    "random_labels": Kind((*PROJECTIONS, *CONSTANTS), random_labels=True),
}


@attrs.frozen(eq=False)
class Trained:
    """How a training went."""

    losses: list[float]
    constants: list[tuple[float, float]]  # (b in pA, tau_w in ms) after every update
    seconds: float


def begin(module: surrogate.SurrogateNetwork, kind: Kind, seed: int) -> None:
    """Give a module the first weights and constants of a seed, and say what is trained."""
    module.load_state(network(seed).initial_state(seed))
    constants = module.trained["hidden"]
    for name, parameter in module.weights.items():
        parameter.requires_grad_(name in kind.chosen)
    for name, constant in constants.items():
        constant.raw.requires_grad_(f"hidden.{name}" in kind.chosen)
        off = name == "b" and not kind.adapts
        constant.raw.data.fill_(-1.0 if off else 0.0)  # b is begin + |begin|*raw


def decide(spikes: Tensor) -> Tensor:
    """Spikes of both outputs from the second onset on."""
    return spikes[SECOND:].sum(0)


def train(
    module: surrogate.SurrogateNetwork, kind: Kind, size: dict[str, int], seed: int
) -> Trained:
    """Fit what the kind chooses to fresh trials."""
    weights, constants = (
        [p for p in part.parameters() if p.requires_grad]
        for part in (module.weights, module.trained)
    )
    rates = LEARNING_RATE["weights"], LEARNING_RATE["constants"]
    groups = [{"params": p, "lr": r} for p, r in zip((weights, constants), rates, strict=True)]
    optimiser = torch.optim.Adam([group for group in groups if group["params"]])
    rng = np.random.default_rng([seed, 1])
    now = module.trained["hidden"]
    losses, course = [], []
    started = time.perf_counter()
    for _ in range(size["updates"]):
        spikes, same = trials(size["batch"], rng)
        if kind.random_labels:
            same = torch.as_tensor(rng.integers(0, 2, len(same)))
        loss = cross_entropy(GAIN * decide(module(spikes)), same)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*weights, *constants], 1.0)
        optimiser.step()
        with torch.no_grad():
            for values in weights:
                values.clamp_(min=0)
        losses.append(loss.item())
        course.append((float(now["b"].quantity / pA), float(now["tau_w"].quantity / ms)))
    return Trained(losses, course, time.perf_counter() - started)


def fitted(
    module: surrogate.SurrogateNetwork, kind: Kind, size: dict[str, int], seed: int
) -> dict[str, Any]:
    """How a training went, and what the module has learned."""
    trained = train(module, kind, size, seed)
    learned = {key: value.cpu().numpy() for key, value in module.state_dict().items()}
    return {"trained": attrs.asdict(trained), "module": learned}


def accuracy(counts: Tensor, same: Tensor) -> float:
    """Share of right decisions; the output with more spikes decides, of equal ones the first."""
    return (counts.argmax(1) == same).double().mean().item()


@attrs.frozen(eq=False)
class Shown:
    """What a network answered in torch to the test trials."""

    spikes: Tensor
    same: Tensor
    recorded: dict[str, Tensor]  # [STEPS, n, neurons]

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        return accuracy(decide(self.recorded["out"]), self.same)

    def hidden_rates(self) -> dict[str, float]:
        """Spikes of a hidden neuron to the first stimulus, a repetition, and another stimulus."""
        hidden = self.recorded["hidden"]
        second = hidden[SECOND:].sum(0).mean(1)
        return {
            "first": hidden[:SECOND].sum(0).mean().item(),
            "repeated": second[self.same == 1].mean().item(),
            "another": second[self.same == 0].mean().item(),
        }


def show(module: surrogate.SurrogateNetwork, n: int, seed: int) -> Shown:
    """Test a network on trials of their own, in float64 as Brian2."""
    module.to(torch.float64)
    spikes, same = trials(n, np.random.default_rng([seed, 2]))
    with torch.no_grad():
        module(spikes, record=("hidden", "out", "hidden.v", "hidden.w_adapt", "out.v"))
    return Shown(spikes, same, dict(module.recorded))


def deploy(
    trained: NetworkModel, state: State, shown: Shown, device: str, precision: str
) -> tuple[Recording, dict[str, Any]]:
    """Run the trained network in Brian2 and compare its spikes and potentials with torch's."""
    runnable = simulation.compile(
        trained,
        device=device,
        precision=precision,
        math="strict",
        per_sample=("hidden.count", "out.count"),
        spikes=("hidden", "out"),
        traces={"hidden.v": range(N_HIDDEN), "out.v": range(N_OUT)},
    )
    events = surrogate.address_events(shown.spikes, dt=DT)
    begin_with = runnable.initial_state().transferred(state)
    recording, _ = runnable.run(events, state=begin_with, progress=False)
    found: dict[str, Any] = {"build_s": runnable.build_seconds, "run_s": recording.seconds}
    for key in ("hidden", "out"):
        theirs = shown.recorded[key].numpy() > 0
        spikes = recording.spikes[key]
        here = np.zeros_like(theirs)
        here[np.rint(spikes.t / float(DT)).astype(int), spikes.sample, spikes.i] = True
        v = shown.recorded[f"{key}.v"].numpy().transpose(2, 1, 0)
        other = recording.traces[f"{key}.v"].values.reshape(v.shape)
        difference = np.abs(other[..., 1:] - v[..., :-1])  # the end of a step begins the next one
        found[key] = {
            "spikes": int(here.sum()),
            "equal_counts": float(np.mean(recording.counts(key) == theirs.sum(0))),
            "equal_trials": float(np.mean(np.all(here == theirs, axis=(0, 2)))),
            "largest_dv_V": float(difference.max()),
        }
    late = recording.spikes["out"].t > float((SECOND - 0.5) * DT)
    spikes = recording.spikes["out"]
    counts = np.zeros((len(shown.same), N_OUT))
    np.add.at(counts, (spikes.sample[late], spikes.i[late]), 1)
    found["accuracy"] = accuracy(torch.as_tensor(counts), shown.same)
    return recording, found


def draw_training(
    losses: dict[str, list[float]], courses: list[Trained], scores: dict[str, list[float]]
) -> Figure:
    """Losses, learned constants, and accuracies beside their controls."""
    figure = Figure(figsize=(11.0, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for number, (name, values) in enumerate(losses.items()):
        width = max(1, min(10, len(values) // 4))
        smooth = np.convolve(values, np.ones(width) / width, "valid")
        label = name.replace("_", " ")
        left.plot(np.arange(len(smooth)) + width, smooth, color=f"C{number}", label=label)
    left.axhline(np.log(2), color="0.7", linestyle=":")
    left.set(xlabel="update", ylabel="cross-entropy, running mean", title="first seed")
    left.legend(fontsize="small")
    for trained in courses:
        strength, tau = np.array(trained.constants).T
        middle.plot(strength / float(ADAPTATION["b"] / pA), color="C0")
        middle.plot(tau / float(ADAPTATION["tau_w"] / ms), color="C1")
    for number, key in enumerate(("b", "tau_w")):
        middle.plot([], color=f"C{number}", label=f"{key}, from {ADAPTATION[key]}")
    middle.axhline(1, color="0.7", linestyle=":")
    middle.set(xlabel="update", ylabel="constant / its first value", title="all seeds")
    middle.legend()
    for row, values in enumerate(scores.values()):
        right.barh(row, 100 * np.mean(values), color="C1" if row else "C0", alpha=0.6)
        right.plot(100 * np.array(values), np.full(len(values), row), "k.", markersize=4)
    right.set_yticks(range(len(scores)), [name.replace("_", " ") for name in scores])
    right.axvline(50, color="0.5", linestyle="--")
    right.invert_yaxis()
    right.set(xlabel="test accuracy (%)", xlim=(0, 100), title="dots: seeds")
    return figure


def draw_trials(shown: Shown, recording: Recording) -> Figure:
    """A repetition and another stimulus: raster, and potentials in torch and in Brian2."""
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    axes = figure.subplots(4, 2, sharex=True, height_ratios=(1.5, 1, 1, 1))
    t = np.arange(STEPS) * float(DT / ms)
    order = np.argsort(np.arange(N_HIDDEN) % N_STIMULI, kind="stable")
    second = shown.recorded["hidden"][SECOND:].sum(0)
    for column, same, name in ((axes[:, 0], 1, "the same"), (axes[:, 1], 0, "another one")):
        trial = int(torch.nonzero(shown.same == same)[0])
        hidden = recording.spikes["hidden"].of_sample(trial)
        column[0].plot(1e3 * hidden.t, np.argsort(order)[hidden.i], "k|", markersize=4)
        neuron = int(second[trial].argmax())
        column[0].set(title=f"the second is {name}", ylabel="hidden neuron")
        steps = slice(trial * STEPS, (trial + 1) * STEPS)
        shown_traces = (
            ("hidden.v", neuron, "hidden (mV)"),
            ("out.v", 0, '"another" (mV)'),
            ("out.v", 1, '"the same" (mV)'),
        )
        for ax, (key, index, label) in zip(column[1:], shown_traces, strict=True):
            theirs = 1e3 * shown.recorded[key][:, trial, index]
            ax.plot(t + float(DT / ms), theirs, color="C0", linewidth=2.5, alpha=0.5, label="torch")
            here = 1e3 * recording.traces[key].values[index, steps]
            ax.plot(t, here, "k--", linewidth=0.8, label="Brian2")
            fired = recording.spikes[key.partition(".")[0]].of_sample(trial)
            times = 1e3 * fired.t[fired.i == index]
            ax.vlines(times, -45, -35, color="C1")
            ax.set(ylabel=label)
        for ax in column:
            for onset in (0, SECOND):
                span = np.array([onset, onset + STIMULUS]) * float(DT / ms)
                ax.axvspan(*span, color="C2", alpha=0.1)
        column[-1].set(xlabel="time (ms)")
    axes[1, 0].legend(loc="upper center", fontsize="small")
    return figure


def arguments() -> argparse.Namespace:
    parser = experiments.parser("train_adex", __doc__)
    parser.add_argument(
        "--updates", type=experiments.whole(1), metavar="N", help="of a training (100; smoke 3)"
    )
    parser.add_argument(
        "--seeds", type=experiments.whole(1), metavar="N", help="trainings of a kind (3; smoke 1)"
    )
    experiments.add_resume_flags(parser)
    args = parser.parse_args()
    if args.smoke and not experiments.given(args, "--device"):
        args.device = "runtime"
    return args


def run() -> None:
    args = arguments()
    size = dict(SMOKE if args.smoke else FULL)
    size |= {key: getattr(args, key) for key in ("updates", "seeds") if getattr(args, key)}
    console = experiments.console_for(args)
    module = surrogate.to_torch(
        network(args.seed), train=KINDS["trained"].chosen, width=WIDTH, detach_reset=False
    )
    experiments.begin(args)
    parts = experiments.Parts(args)
    seeds = range(args.seed, args.seed + size["seeds"])
    scores: dict[str, list[float]] = {"trained": [], "untrained": []}
    runs: dict[str, list[Trained]] = {name: [] for name in KINDS}
    deployable: list[tuple[NetworkModel, State, Shown]] = []
    for name, kind in KINDS.items():
        for seed in seeds:
            console.print(f"Training: {name.replace('_', ' ')}, seed {seed} ...")
            begin(module, kind, seed)
            if name == "trained":
                scores["untrained"].append(show(module, size["test"], seed).accuracy)
            found = parts(
                f"{name}-{seed}", lambda k=kind, s=seed: fitted(module.float(), k, size, s)
            )
            weights = {key: torch.tensor(value) for key, value in found["module"].items()}
            module.float().load_state_dict(weights)
            runs[name].append(Trained(**found["trained"]))
            shown = show(module, size["test"], seed)
            scores.setdefault(name, []).append(shown.accuracy)
            if name == "trained":
                deployable.append((module.network, module.state(), shown))

    console.print("Showing the test trials to Brian2 ...")
    devices = dict.fromkeys(("runtime", args.device))
    deployed = {}
    shown = deployable[0][-1]
    for device in devices:
        recording, deployed[device] = deploy(*deployable[0], device, args.precision)
    built = {device: found.pop("build_s") for device, found in deployed.items()}
    ran = {device: found.pop("run_s") for device, found in deployed.items()}

    with plotting.style():
        losses = {name: found[0].losses for name, found in runs.items()}
        figure = draw_training(losses, runs["trained"], scores)
        experiments.save_figure(args, figure, "training")
        experiments.save_figure(args, draw_trials(shown, recording), "trials")
    last = np.array([trained.constants[-1] for trained in runs["trained"]])
    others = {name: values for name, values in scores.items() if name != "trained"}
    train_s = sum(trained.seconds for trained in runs["trained"])
    experiments.write_report(
        args,
        metrics={
            "accuracy": float(np.mean(scores["trained"])),
            "accuracy_of_seeds": scores["trained"],
            "loss_before": float(np.mean([r.losses[0] for r in runs["trained"]])),
            "loss_after": float(np.mean([np.mean(r.losses[-10:]) for r in runs["trained"]])),
            "b_pA": last[:, 0],
            "tau_w_ms": last[:, 1],
            "hidden_spikes": shown.hidden_rates(),
            "deployed": deployed,
        },
        controls={
            "chance": 0.5,
            "accuracy": {name: float(np.mean(values)) for name, values in others.items()},
            "accuracy_of_seeds": others,
        },
        timing={
            "train_s": train_s / size["seeds"],
            "all_trainings_s": sum(r.seconds for found in runs.values() for r in found),
            "build_s": sum(built.values()),
            "run_s": sum(ran.values()),
            "ms_per_sample": 1e3 * train_s / (size["seeds"] * size["updates"] * size["batch"]),
        },
        parameters={
            **size,
            "dt": DT,
            "steps": {"stimulus": STIMULUS, "gap": GAP, "tail": TAIL},
            "rates": (RATE_ON, RATE_OFF),
            "n": {"inputs": N_INPUTS, "hidden": N_HIDDEN, "out": N_OUT},
            "cell": CELL,
            "adaptation": ADAPTATION,
            "projections": PROJECTIONS,
            "tuning": TUNING,
            "learning_rate": LEARNING_RATE,
            "width": WIDTH,
            "gain": GAIN,
        },
        console=console,
    )


if __name__ == "__main__":
    experiments.main(run)
