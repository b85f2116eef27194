"""Reward-modulated rules against closed forms, and against what was published.

- *One synapse.* A pair of spikes, then a reward some time later: the weight changes by what the
  rules' equations say, for many intervals of the pair and many delays of the reward.
- *One neuron with 1,000 synapses*: the synapse whose coincidences are rewarded 0.3 to 0.7 s later
  ends above all others; with as many rewards at random times it does not.
- *The network of Izhikevich 2007, Fig. 1*, doi:10.1093/cercor/bhl152: 1,000 recurrently connected
  neurons and rewards 1 to 3 s later (``experiments/rstdp_distal_reward.py``). On average over
  half an hour the rewarded synapse is the strongest of its neuron, and less than one in 1,000
  of all others is above it. Not in the short form.
- *XOR* of firing rates (Florian 2007, sec. 4.2, doi:10.1162/neco.2007.19.6.1468): the share of
  networks that learn, beside the published one (``experiments/rstdp_xor.py``).
"""

from __future__ import annotations

import math
import runpy
from typing import Any

import numpy as np
from brian2 import Hz, ms, mV, second
from scipy import stats

from biosnn import encoding, experiments, models, plasticity, simulation
from biosnn.models import Operation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from validation._checks import check

TAU_PLUS, TAU_MINUS, TAU_Z, TAU_C, TAU_D = 20.0, 30.0, 25.0, 1000.0, 200.0  # ms
A_PLUS, A_MINUS = 1.0, 0.6
START = 1.0
N_SYNAPSES = 1000
INPUT_RATE = 2 * Hz
W_START, W_MAX = 0.1, 0.4  # mV
DELAYS = (300 * ms, 700 * ms)
LEARNING = {"rate": 1 * Hz, "tau_c": 1 * second, "A_plus": 0.1, "A_minus": 0.15, "every": 10 * ms}
SLOT = 10 * second


# --- one synapse -----------------------------------------------------------------------------


def _single(cases: int, steps: int) -> NetworkModel:
    """Pairs of neurons that fire when they are told to; each rule has one synapse per pair."""
    window = {
        "tau_plus": TAU_PLUS * ms,
        "tau_minus": TAU_MINUS * ms,
        "A_plus": A_PLUS,
        "A_minus": A_MINUS,
        "w_min": -9.0,
        "w_max": 9.0,
    }
    rules = {
        "mstdp": plasticity.mstdp(modulator="critic.r", gamma=1.0, **window),
        "mstdpet": plasticity.mstdpet(modulator="critic.r", gamma=1.0, tau_z=TAU_Z * ms, **window),
        "dopamine_stdp": plasticity.dopamine_stdp(
            modulator="dopamine.d", rate=10 * Hz, tau_c=TAU_C * ms, **window
        ),
    }
    source = encoding.address_events()
    critic = models.neuron(equations="r : 1", name="Critic")
    return NetworkModel(
        name="single_synapses",
        dt=1 * ms,
        inputs={
            "before": Input(features=cases, kind="events"),
            "after": Input(features=cases, kind="events"),
            "reward": Input(features=1, kind="sequence", frame=1 * ms),
        },
        populations={
            "pre": Population(model=source, n=cases, drives={"x": "before"}),
            "post": Population(model=source, n=cases, drives={"x": "after"}),
            "critic": Population(model=critic, n=1, drives={"r": "reward"}),
            "dopamine": Population(
                model=plasticity.dopamine(tau_d=TAU_D * ms), n=1, drives={"release": "reward"}
            ),
        },
        projections={
            key: Projection(pre="pre", post="post", weights=START, pairs="one_to_one", rule=rule)
            for key, rule in rules.items()
        },
        presentation=Presentation(duration=steps * ms, reset="none"),
        output="post",
    )


def _closed_form(interval: int, delay: int, rest: int) -> dict[str, float]:
    """Change of the weight when a pulse of reward comes ``delay`` steps after a pair.

    ``interval`` is the postsynaptic minus the presynaptic time in steps of 1 ms, not zero;
    ``rest`` is how many steps the run goes on for after the pulse.
    """
    if interval > 0:
        pair = A_PLUS * math.exp(-interval / TAU_PLUS)
    else:
        pair = -A_MINUS * math.exp(interval / TAU_MINUS)
    # Released in step 0, dopamine has decayed by k + 1 steps in step k; c decays all the time.
    k = np.arange(rest)
    both = np.exp(-(delay + k) / TAU_C - (k + 1) / TAU_D).sum()
    return {
        "mstdp": pair if delay == 0 else 0.0,
        "mstdpet": pair * math.exp(-delay / TAU_Z) / TAU_Z,
        "dopamine_stdp": 10e-3 * pair * float(both),
    }


def single_synapses(short: bool, device: str) -> dict[str, Any]:
    """Weight changes of pairs that end at different times before one pulse of reward."""
    intervals = np.array([-80, -40, -20, -10, -5, -1, 1, 5, 10, 20, 40, 80])
    delays = np.array([0, 1, 10, 50, 200, 1000])
    interval, delay = (part.ravel() for part in np.meshgrid(intervals, delays))
    pulse = 1100
    steps = pulse + (100 if short else 3000)
    reward = np.zeros((1, steps, 1))
    reward[0, pulse] = 1.0
    fired = {
        "before": pulse - delay - np.maximum(interval, 0),
        "after": pulse - delay + np.minimum(interval, 0),
    }
    n = len(interval)
    spikes = {
        name: (np.zeros(n, dtype=int), np.arange(n), (step + 0.5) * 1e-3)
        for name, step in fired.items()
    }
    options = {"math": "strict"} if device == "cpp" else {}
    runnable = simulation.compile(_single(n, steps), device, **options)
    _, state = runnable.run({**spikes, "reward": reward}, learn=True, progress=False)
    found: dict[str, Any] = {"cases": n}
    wanted = [_closed_form(*case, steps - pulse) for case in zip(interval, delay, strict=True)]
    for key in wanted[0]:
        change = np.asarray(state[f"{key}.w"]) - START
        error = float(np.abs(change - [case[key] for case in wanted]).max())
        moved = float(np.abs(change).max())
        found[key] = {
            "largest_error_of_weight_change": check(error, 1e-12, error < 1e-12),
            "largest_weight_change": check(moved, 1e-3, moved > 1e-3),
        }
    return found


# --- 1,000 synapses of one neuron ---------------------------------------------------------------


def _one_neuron(distal: dict[str, Any]) -> NetworkModel:
    """Critic, timers and dopamine of the experiment, and one LIF neuron with noise."""
    rule = plasticity.dopamine_stdp(modulator="dopamine.d", w_max=W_MAX, **LEARNING)
    weights = np.full(N_SYNAPSES, W_START)
    weights[0] = 0.0
    cell = models.neuron(
        equations="dv/dt = -v/tau_m : volt",
        threshold="v > V_th",
        reset="v = 0*mV",
        operations=(Operation(code="v += noise*(rand() - 0.5)", when="start"),),
        parameters={"tau_m": 20 * ms, "V_th": 20 * mV, "noise": 11 * mV},
        name="NoisyLIF",
    )
    return NetworkModel(
        name="one_neuron",
        dt=1 * ms,
        inputs={
            "rates": Input(features=N_SYNAPSES),
            "reward": Input(features=1, kind="sequence", frame=distal["FRAME"]),
        },
        populations={
            "inp": Population(
                model=encoding.poisson(max_rate=INPUT_RATE), n=N_SYNAPSES, drives={"x": "rates"}
            ),
            "out": Population(model=cell, n=1),
            **distal["critic_populations"](DELAYS),
        },
        projections={
            "inp_out": Projection(
                pre="inp", post="out", weights=weights, transmit="v_post += w*mV", rule=rule
            ),
            "first": Projection(
                pre="inp", post="critic", pairs=([0], [0]), transmit="since_post = 0*ms"
            ),
            "second": Projection(
                pre="out",
                post="critic",
                transmit=distal["SEEN"],
                parameters={"interval": distal["INTERVAL"]},
                order=0,
            ),
            "release": Projection(
                pre="timers", post="dopamine", weights=distal["REWARD"], transmit="d_post += w"
            ),
        },
        presentation=Presentation(duration=SLOT, reset="none"),
        output="out",
    )


def one_neuron(short: bool, distal: dict[str, Any], device: str) -> dict[str, Any]:
    """The rewarded synapse among 1,000 of one neuron, and the same with random rewards."""
    slots = 60 if short else 120
    runnable = simulation.compile(
        _one_neuron(distal), device, per_sample=("out.count", "critic.hits")
    )
    frames = slots * round(SLOT / distal["FRAME"])
    found: dict[str, Any] = {}
    rewards = 0
    for name in ("contingent", "random"):
        state = runnable.initial_state(0)
        given = np.zeros(frames)
        if name == "random":
            state = state.updated({"release.w": 0 * state["release.w"]})
            times = np.random.default_rng(0).integers(0, frames, rewards)
            given = distal["REWARD"] * np.bincount(times, minlength=frames)
        streams = {"rates": np.ones((slots, N_SYNAPSES)), "reward": given.reshape(slots, -1, 1)}
        recording, state = runnable.run(streams, state, learn=True, progress=False)
        weights = np.asarray(state["inp_out.w"]).ravel()
        if name == "contingent":
            rewards = int(recording.per_sample["critic.hits"][-1, 0])
        rank = 1 + int((weights[1:] > weights[0]).sum())
        found[name] = {
            "rank": check(rank, 1, rank == 1) if name == "contingent" else rank,
            "weight_mV": float(weights[0]),
            "largest_other_mV": float(weights[1:].max()),
            "mean_other_mV": float(weights[1:].mean()),
            "rate_Hz": float(recording.per_sample["out.count"].mean() / SLOT * second),
        }
    wins = found["random"]["rank"] == 1
    found["random"]["does_not_win"] = check(found["random"]["rank"], 1, not wins)
    found["rewards"] = check(rewards, 10, rewards >= 10)
    rate = found["contingent"]["rate_Hz"]
    found["rate_Hz"] = check(rate, 1.0, rate > 1.0)
    found["simulated_s"] = slots * float(SLOT)
    return found


# --- what was published -------------------------------------------------------------------------


def izhikevich_2007(distal: dict[str, Any], device: str) -> dict[str, Any]:
    """One hour of the recurrent network, with rewards for coincidences and at random times."""
    runnable = distal["compiled"](0, device)
    slots = round(distal["HOUR"] / distal["SLOT"])
    contingent = distal["simulate"](runnable, 0, slots)
    control = distal["simulate"](runnable, 0, slots, rewards=contingent["rewards"])
    wins, loses = (distal["summary"](part) for part in (contingent, control))
    above, other = (part["others_above_per_1000"] for part in (wins, loses))
    rate = wins["rates_Hz"]["exc"]
    return {
        # Among 1,000 synapses less than one is above it.
        "others_above_per_1000": check(above, 1, above < 1),
        "with_random_rewards": check(other, 10, other > 10),
        "rank_at_its_neuron": check(wins["rank_at_its_neuron"], 1, wins["rank_at_its_neuron"] == 1),
        "excitatory_rate_Hz": check(rate, 0.5, rate > 0.5),
        "contingent": wins,
        "random_rewards": loses,
    }


def florian_2007(short: bool, xor: dict[str, Any], device: str) -> dict[str, Any]:
    """Share of networks that learn XOR, against the published share by a binomial test."""
    runs, epochs = (1, 80) if short else (20, xor["EPOCHS"])
    runnable = xor["compiled"](device)
    trials = [xor["trial"](runnable, seed, epochs) for seed in range(runs)]
    controls = [xor["trial"](runnable, seed, epochs, control="shuffled") for seed in range(runs)]
    found: dict[str, Any] = {}
    for kind, published in xor["PUBLISHED"].items():
        seen = xor["summary"]([trial[kind] for trial in trials])
        other = xor["summary"]([trial[kind] for trial in controls])
        learned = round(seen["learned"] * runs)
        # So few, or fewer, if the share were the published one.
        p_value = float(stats.binom.cdf(learned, runs, published))
        moved = seen["mean_weight_change_mV"]
        share = check(p_value, 0.01, p_value > 0.01, published=published)
        found[kind] = {
            # A single run cannot refute a share; it has to learn.
            **({} if short else {"p_of_published_share": share}),
            "learned": check(learned, runs // 2 + 1, learned > runs // 2),
            "learned_share": seen["learned"],
            "learned_with_shuffled_rewards": check(other["learned"], 0.2, other["learned"] <= 0.2),
            "mean_weight_change_mV": check(moved, 0.1, moved > 0.1),
            "trained": seen,
            "shuffled": other,
        }
    return {"runs": runs, "epochs": epochs, **found}


def validate(*, short: bool) -> dict[str, Any]:
    """Hold the rules of ``biosnn.plasticity`` that learn from rewards to their sources.

    Parameters
    ----------
    short : bool
        Fewer cases and shorter runs, without the recurrent network.

    Returns
    -------
    dict
        Nested plain numbers; a dict with ``value``, ``bound`` and ``ok`` is a check.
    """
    distal, xor = (
        runpy.run_path(str(experiments.find_experiment(name)))
        for name in ("rstdp_distal_reward", "rstdp_xor")
    )
    found = {
        "one_synapse": single_synapses(short, "runtime" if short else "cpp"),
        "one_neuron": one_neuron(short, distal, "cpp"),
        "florian_2007_xor": florian_2007(short, xor, "cpp"),
    }
    return found if short else {**found, "izhikevich_2007": izhikevich_2007(distal, "cpp")}
