"""One synapse of 80,000 is rewarded seconds after its spikes, and grows (Izhikevich 2007, Fig. 1).

1,000 randomly connected neurons fire at about 2 Hz. Whenever a chosen presynaptic neuron fires
within 20 ms before a chosen postsynaptic one, dopamine is released 1 to 3 s later, while both fire
on and so does everybody else. The synapse between the two, which begins at zero, grows to the upper
bound and stays there, where few of the others are; it is not the only one.

All of it happens inside the network, over any length of time: a critic counts coincidences, each
starts a timer with a random delay, and a timer that runs out adds to the dopamine. Settings are
those of the program published with the paper (daspnet.m); its time step of 1 ms, in which the
potential takes two steps of 0.5 ms, is a step of 0.5 ms here. Unlike there, spikes arrive without a
delay of 1 ms, and the targets of a neuron are distinct.

Control: the same network and as many rewards, at random times that come in as a stream.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import attrs
import numpy as np
from brian2 import Hz, ms, mV, second
from matplotlib.figure import Figure

from biosnn import experiments, models, plasticity, plotting, simulation
from biosnn.models import NeuronModel, Operation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.state import State

DT = 0.5 * ms
N_EXC, N_INH = 800, 200
N_TARGETS = 100
W_MAX, W_START, W_INHIBITORY = 4.0, 1.0, -1.0  # mV
# The published input is uniform over 13 mV/ms and drawn every 1 ms; half the step, equal variance.
NOISE = 13 * math.sqrt(2) * mV / ms
INTERVAL = 20 * ms
DELAYS = (1 * second, 3 * second)
REWARD, BASELINE = 0.5, 0.002
TAU_D = 200 * ms
RULE = {"rate": 100 * Hz, "tau_c": 1 * second, "A_plus": 0.1, "A_minus": 0.15, "every": 10 * ms}
N_TIMERS = 64
#: What a postsynaptic spike does to the critic: did the presynaptic neuron fire just before?
SEEN = "hit_post = int(since_post > 0*ms and since_post < interval)"
SLOT, FRAME = 10 * second, 100 * ms
SNAPSHOT = 5  # slots
HOUR = 3600 * second


def targets(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets of each neuron, distinct and in order; neuron 800 is the first inhibitory one.

    Returns
    -------
    exc, inh : numpy.ndarray
        Postsynaptic neurons, shapes (800, 100) and (200, 100). Inhibition reaches only the
        excitatory neurons.
    """
    rng = np.random.default_rng(seed)
    n = N_EXC + N_INH
    others = [np.delete(np.arange(n), k) for k in range(N_EXC)]
    exc = [np.sort(rng.choice(possible, N_TARGETS, replace=False)) for possible in others]
    inh = [np.sort(rng.choice(N_EXC, N_TARGETS, replace=False)) for _ in range(N_INH)]
    return np.array(exc), np.array(inh)


def cell(kind: str) -> NeuronModel:
    """A neuron of Izhikevich's model with random input."""
    model = models.izhikevich(kind=kind)
    noisy = model.extended("", Operation(code="I = noise*(rand() - 0.5)", when="start"))
    return attrs.evolve(
        noisy,
        parameters={**model.parameters, "noise": NOISE},
        initial={**model.initial, "v": -65 * mV, "u": -13 * mV / ms},
    )


def critic_populations(delays: tuple[Any, Any] = DELAYS) -> dict[str, Population]:
    """Coincidence counter, timers that run for a random delay, and dopamine."""
    critic = models.neuron(
        equations="since : second\nhit : 1\nhits : 1",
        operations=(
            Operation(code="since += dt\nhit = 0"),
            Operation(code="hits += hit", when="after_synapses"),
        ),
        initial={"since": 1 * second},
        name="Critic",
    )
    timer = models.neuron(
        equations="left : second\nhit : 1 (linked)\nhits : 1 (linked)",
        threshold="left <= 0*second and left > -dt",
        operations=(
            Operation(
                code=(
                    "mine = int(hit > 0.5)*int(abs(hits % n_timers - i) < 0.5)\n"
                    "left = mine*(shortest + (longest - shortest)*rand()) + (1 - mine)*(left - dt)"
                ),
                when="after_synapses",
                order=1,
            ),
        ),
        parameters={"n_timers": N_TIMERS, "shortest": delays[0], "longest": delays[1]},
        initial={"left": -1 * second},
        links={"hit": "critic.hit", "hits": "critic.hits"},
        name="Timer",
    )
    dopamine = plasticity.dopamine(tau_d=TAU_D, baseline=BASELINE)
    return {
        "critic": Population(model=critic, n=1),
        "timers": Population(model=timer, n=N_TIMERS),
        "dopamine": Population(model=dopamine, n=1, drives={"release": "reward"}),
    }


def network(seed: int) -> NetworkModel:
    """The network; its first excitatory synapse is the one that is rewarded."""
    exc, inh = targets(seed)
    chosen = int(exc[0, 0])
    inhibitory = exc >= N_EXC
    rule = plasticity.dopamine_stdp(modulator="dopamine.d", w_min=0.0, w_max=W_MAX, **RULE)

    def synapses(pre: str, post: str, pairs: tuple[Any, Any], weights: Any, **more: Any) -> Any:
        return Projection(
            pre=pre, post=post, pairs=pairs, weights=weights, transmit="v_post += w*mV", **more
        )

    def pairs(rows: np.ndarray, mask: np.ndarray, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        return np.nonzero(mask)[0], rows[mask] - first

    to_exc, to_inh = pairs(exc, ~inhibitory), pairs(exc, inhibitory, N_EXC)
    start = np.full(len(to_exc[0]), W_START)
    start[0] = 0.0
    return NetworkModel(
        name="rstdp_distal_reward",
        dt=DT,
        inputs={"reward": Input(features=1, kind="sequence", frame=FRAME, optional=True)},
        populations={
            "exc": Population(model=cell("RS"), n=N_EXC),
            "inh": Population(model=cell("FS"), n=N_INH),
            **critic_populations(),
        },
        projections={
            "exc_exc": synapses("exc", "exc", to_exc, start, rule=rule),
            "exc_inh": synapses("exc", "inh", to_inh, W_START, rule=rule),
            "inh_exc": synapses("inh", "exc", pairs(inh, inh >= 0), W_INHIBITORY),
            "first": Projection(
                pre="exc", post="critic", pairs=([0], [0]), transmit="since_post = 0*ms"
            ),
            "second": Projection(
                pre="exc",
                post="critic",
                pairs=([chosen], [0]),
                transmit=SEEN,
                parameters={"interval": INTERVAL},
                order=0,
            ),
            "release": Projection(
                pre="timers", post="dopamine", weights=REWARD, transmit="d_post += w"
            ),
        },
        presentation=Presentation(duration=SLOT, reset="none"),
        output="exc",
    )


def compiled(seed: int, device: str, precision: str = "double") -> simulation.Runnable:
    """The network on a device, with what is observed of it."""
    return simulation.compile(
        network(seed),
        device,
        precision=precision,
        per_sample=("exc.count", "inh.count", "critic.hits"),
        snapshots={"exc_exc.w": SNAPSHOT},
    )


def simulate(
    runnable: simulation.Runnable,
    seed: int,
    slots: int,
    *,
    rewards: int | None = None,
    **run: Any,
) -> dict[str, Any]:
    """Simulate some slots of 10 s.

    Parameters
    ----------
    runnable : Runnable
        That of :func:`compiled`.
    seed : int
        Of the network, the random input, and the times of random rewards.
    slots : int
        How many.
    rewards : int, optional
        For the control: so many rewards at random times, instead of those of the critic.
    **run
        As in :meth:`biosnn.simulation.Runnable.run`: ``folder``, ``progress`` and so on.

    Returns
    -------
    dict
        Weights at the end, their course, numbers of rewards and firing rates.
    """
    state = runnable.initial_state(seed)
    frames = round(SLOT / FRAME)
    given = np.zeros((slots, frames, 1))
    if rewards is not None:
        state = state.updated({"release.w": np.zeros(N_TIMERS)})
        times = np.random.default_rng(seed).integers(0, slots * frames, rewards)
        given = REWARD * np.bincount(times, minlength=slots * frames).reshape(given.shape)
    recording, state = runnable.run(
        {"reward": given}, state, learn=True, seed=seed, **{"progress": False, **run}
    )
    hits = recording.per_sample["critic.hits"][:, 0]
    exc, _ = targets(seed)
    return {
        "post": exc[exc < N_EXC],
        "weights": final_weights(state),
        "course": recording.snapshots["exc_exc.w"],
        "coincidences": hits,
        "rewards": int(hits[-1]) if rewards is None else rewards,
        "rates_Hz": {
            key: float(recording.per_sample[f"{key}.count"].mean() / SLOT) for key in ("exc", "inh")
        },
        "seconds": recording.seconds,
    }


def final_weights(state: State) -> np.ndarray:
    """All excitatory synapses, the rewarded one first."""
    return np.concatenate([state["exc_exc.w"], state["exc_inh.w"]])


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """What became of the rewarded synapse among all others.

    Weights go up and down with every reward, and some others reach the bound by chance and hold
    it for long. So the ranks are those of the mean over the second half of the simulated time:
    among all synapses between excitatory neurons, and among those of the same postsynaptic neuron.
    """
    course = found["course"]
    means = course[len(course) // 2 :].mean(axis=0)
    rewarded, others = means[0], means[1:]
    same = found["post"][1:] == found["post"][0]
    above = others > rewarded
    return {
        "rank": int(1 + above.sum()),
        "ranked_synapses": len(means),
        "others_above_per_1000": float(1000 * above.mean()),
        "rank_at_its_neuron": int(1 + above[same].sum()),
        "synapses_of_its_neuron": int(1 + same.sum()),
        "rewarded_mean_mV": float(rewarded),
        "others_mean_mV": float(others.mean()),
        "rewarded_last_mV": float(found["weights"][0]),
        "coincidences": int(found["coincidences"][-1]),
        "rewards": found["rewards"],
        "rates_Hz": found["rates_Hz"],
    }


def draw(contingent: dict[str, Any], control: dict[str, Any]) -> Figure:
    """Course of the rewarded synapse and of the others; all weights at the end."""
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    rows = figure.subplots(2, 2, sharex="col", width_ratios=(2, 1))
    named = ((contingent, "rewards follow coincidences"), (control, "rewards at random times"))
    for (left, right), (found, title) in zip(rows, named, strict=True):
        course = found["course"]
        minutes = np.arange(1, len(course) + 1) * SNAPSHOT * float(SLOT) / 60
        low, middle, high = np.percentile(course[:, 1:], (1, 50, 99), axis=1)
        left.fill_between(minutes, low, high, color="0.85", label="others, 1 to 99 %")
        left.plot(minutes, middle, "0.5", label="others, median")
        left.plot(minutes, course[:, 0], "C3", label="rewarded synapse")
        left.set(ylabel="weight (mV)", ylim=(0, 1.05 * W_MAX), title=title)
        right.hist(found["weights"][1:], bins=np.linspace(0, W_MAX, 41), color="0.6")
        right.axvline(found["weights"][0], color="C3")
        right.set(yscale="log", ylabel="synapses")
    rows[1, 0].legend()
    rows[1, 0].set_xlabel("simulated time (min)")
    rows[1, 1].set_xlabel("weight (mV)")
    return figure


def arguments() -> argparse.Namespace:
    parser = experiments.parser("rstdp_distal_reward", __doc__)
    slots = round(HOUR / SLOT)
    help_slots = f"slots of {SLOT / second:g} s that are simulated"
    parser.add_argument(
        "--slots", type=experiments.whole(SNAPSHOT), default=slots, metavar="N", help=help_slots
    )
    experiments.add_run_flags(parser, checkpoint_every=SNAPSHOT, evaluates=False)
    args = parser.parse_args()
    if args.smoke:
        args.slots = min(args.slots, 2 * SNAPSHOT)
    return args


def run() -> None:
    args = arguments()
    experiments.begin(args)
    runnable = compiled(args.seed, args.device, args.precision)
    contingent = simulate(
        runnable, args.seed, args.slots, **experiments.fit_settings(args, "contingent")
    )
    control = simulate(
        runnable,
        args.seed,
        args.slots,
        rewards=contingent["rewards"],
        **experiments.fit_settings(args, "random_rewards"),
    )
    with plotting.style():
        experiments.save_figure(args, draw(contingent, control), "weights")
    simulated = args.slots * float(SLOT)
    experiments.write_report(
        args,
        metrics={**summary(contingent), "simulated_s": simulated},
        controls={"random_rewards": summary(control)},
        timing={
            "build_s": runnable.build_seconds,
            "run_s": contingent["seconds"],
            "ms_per_sample": 1000 * contingent["seconds"] / args.slots,
            "simulated_s_per_s": simulated / contingent["seconds"],
        },
        parameters={
            "dt": DT,
            "n_exc": N_EXC,
            "n_inh": N_INH,
            "targets_per_neuron": N_TARGETS,
            "w_max_mV": W_MAX,
            "w_start_mV": W_START,
            "w_inhibitory_mV": W_INHIBITORY,
            "noise": NOISE,
            "interval": INTERVAL,
            "delays": DELAYS,
            "reward": REWARD,
            "baseline": BASELINE,
            "tau_d": TAU_D,
            **RULE,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
