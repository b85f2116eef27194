"""Rules of plasticity against closed forms, published data and another library.

- *Window.* Time constants fitted to the weight changes of pairs are those of the rule.
- *Triplets.* Weight changes are the sums over spikes; the published parameters fit the data of
  Sjoestroem et al. (2001), and no pair rule does.
- *Voltage.* The frequency dependence that the code of Clopath et al. (2010) gives.
- *BCM.* The rates at which potentiation takes over, of the BCM-like rule and of triplets.
- *Discrete steps.* SpikingJelly's learner on twenty inputs.
- *Inhibition.* Neurons reach the target rate of Vogels et al. (2011) from far above.
- *Pattern.* Weights of active inputs grow apart from silent ones (long form).

The short form has fewer conditions, and runs all but the inhibition on the device ``runtime``.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from brian2 import Hz, ms, mV, nS, pA, pF, second
from numpy.typing import NDArray

from biosnn import encoding, models, plasticity, simulation
from biosnn.experiments import find_experiment
from biosnn.models import Operation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from validation._checks import at_least, check

Floats = NDArray[np.float64]

SPIKINGJELLY = Path(__file__).parents[1] / "tests" / "published" / "spikingjelly.npz"


def script(name: str) -> ModuleType:
    """An experiment as a module."""
    spec = importlib.util.spec_from_file_location(name, find_experiment(name))
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- pairs and triplets


def window(device: str, short: bool) -> dict[str, Any]:
    """Time constants fitted to pairs, to one per cent."""
    experiment = script("stdp_window")
    changes, _ = experiment.measure(1 if short else experiment.N_PAIRS, device)
    fitted = {rule: experiment.fit(values) for rule, values in changes.items()}
    found: dict[str, Any] = {
        f"{rule}.{name}": check(error, 0.01)
        for rule, errors in experiment.errors(fitted).items()
        for name, error in errors.items()
    }
    found["potentiation"] = at_least(changes["pair"].max(), 0.5 * experiment.PAIR_STDP["A_plus"])
    return {**found, "fitted": fitted}


def triplets(device: str, short: bool) -> dict[str, Any]:
    """Simulated changes against sums over spikes, and the fit to the experiment."""
    experiment = script("triplet_frequency")
    frequencies = (50.0,) if short else experiment.FREQUENCIES
    simulated = ("minimal_all", "full_nearest") if short else experiment.RULES
    changes, _ = experiment.measure(frequencies, device, names=simulated)
    found: dict[str, Any] = {}
    for name, (parameters, nearest) in experiment.parameter_sets().items():
        if name in simulated:
            exact = experiment.sums(parameters, nearest, frequencies)
            found[f"{name}.spike_sum"] = check(np.abs(changes[name] - exact).max(), 1e-9)
        error = experiment.error(experiment.sums(parameters, nearest, tuple(experiment.EXPERIMENT)))
        if name == "pairs":
            found["pairs.error"] = at_least(error, 5.0)
        else:  # below one: closer to the means than their standard errors
            found[f"{name}.error"] = check(error, 0.4)
    return found


# --- voltage

#: Final weights, from 0.5, for Fig. 2b: (period of the pairs in ms, lag in ms) -> weight. They are
#: those of a public Python transcription of the authors' code (ModelDB 144566, visual cortex).
CLOPATH = {
    (10000, 10): 0.5000010253248656,
    (100, 10): 0.5145169131346606,
    (50, 10): 0.5785321888565067,
    (25, 10): 0.7313255793239102,
    (20, 10): 0.8250073071063487,
    (10000, -10): 0.3584295456866586,
    (100, -10): 0.2980880775388822,
    (50, -10): 0.30255459853267885,
    (25, -10): 0.5888818833532738,
    (20, -10): 0.867785888080795,
    (29, -10): 0.47058659846259776,
    (28, -10): 0.49459237300370246,
    (27, -10): 0.521940645642134,
}
START, TAU_X, TAIL = 20, 15, 100  # steps of 1 ms
#: Constants of the neuron in that code.
CLOPATH_NEURON = {
    "C": 281 * pF,
    "g_L": 30 * nS,
    "E_L": -70.6 * mV,
    "D_T": 2 * mV,
    "V_rest": -50.4 * mV,
    "V_jump": 20 * mV,
    "V_spike": 20 * mV,
    "v_peak": 29.4 * mV,
    "v_hold": (29.4 + 3.462) * mV,
    "v_end": (-70.6 + 15 + 6.0984) * mV,
    "a": 4 * nS,
    "b": 0.0805 * pA,
    "w_jump": 400 * pA,
    "tau_w": 144 * ms,
    "tau_tail": 40 * ms,
    "tau_T": 50 * ms,
    "dt_code": 1 * ms,
}


def clopath_neuron() -> models.NeuronModel:
    """AdEx neuron of that code: spikes of 2 ms, after-depolarisation, moving threshold."""
    return models.neuron(
        name="Clopath",
        equations="""
        dv/dt = (begin - v)/dt_code + (g_L*(E_L - begin) + g_L*D_T*exp((begin - V_T)/D_T)
                 - w_ad + w_tail + I)/C : volt
        dw_ad/dt = (a*(begin - E_L) - w_ad)/tau_w : amp
        dw_tail/dt = -w_tail/tau_tail : amp
        dV_T/dt = (V_rest - V_T)/tau_T : volt
        begin = v + ended*(v_end - v) : volt
        I : amp
        w_old : amp
        phase : 1
        ended : 1
        """,
        method="euler",
        operations=(
            Operation(
                code="""
                ended = int(phase > 1.5)
                phase = (1 - ended)*phase
                w_ad += ended*b
                w_tail = ended*w_jump + (1 - ended)*w_tail
                V_T = ended*(V_rest + V_jump) + (1 - ended)*V_T
                w_old = w_ad
                """,
                when="before_groups",
            ),
            Operation(
                code="""
                hold = int(phase > 0.5)
                fires = int(v > V_spike)*(1 - hold)
                v = hold*v_hold + fires*v_peak + (1 - hold)*(1 - fires)*v
                w_ad = hold*w_old + (1 - hold)*w_ad
                phase = 2*hold + fires
                """,
                when="after_groups",
            ),
        ),
        parameters=CLOPATH_NEURON,
        initial={"v": "E_L", "V_T": "V_rest"},
        reference="Clopath et al. 2010, doi:10.1038/nn.2479; ModelDB 144566",
    )


def _episodes(period: int, lag: int) -> list[tuple[int, list[int], list[int]]]:
    """What the protocol is made of: (how often, presynaptic, postsynaptic spikes in steps).

    15 groups of 5 pairs, or 10 at 0.1 Hz, 10 s apart. With a negative lag every group has one more
    postsynaptic spike, and the code misses the very first one.
    """
    pair = ([START], [START + lag]) if lag > 0 else ([START - lag], [START])
    if period == 10000 and lag > 0:
        return [(50, *pair)]
    if period == 10000:
        return [(40, *pair), (9, [START + 21], [START, START + 11])]
    pre = [START + abs(lag) + k * period for k in range(5)]
    post = [spike + lag for spike in pre]
    if lag > 0:
        return [(15, pre, post)]
    post.append(post[-1] + period)
    return [(14, pre, post), (1, pre, post[1:])]


def voltage(device: str, conditions: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Final weights against those of the transcribed code, and where depression turns.

    Groups of pairs run side by side here and one after the other there.
    """
    parts = [(c, *episode) for c in conditions for episode in _episodes(*c)]
    n_steps = TAIL + max(max(*pre, *post) for _, _, pre, post in parts)
    # Euler's steps of the code are an exact decay with another time constant; and it lets the
    # presynaptic trace decay from the step after the next one on.
    tau_x = -1 / np.log1p(-1 / TAU_X)
    rule = plasticity.voltage_stdp(
        A_LTP=8e-5 / mV**2 * tau_x / (TAU_X - 1), tau_x=tau_x * ms, lag=3, w_min=-10.0, w_max=10.0
    )
    source = encoding.address_events()
    n = len(parts)
    network = NetworkModel(
        name="clopath",
        dt=1 * ms,
        inputs={
            "before": Input(features=n, kind="events"),
            "current": Input(features=n, kind="sequence", frame=1 * ms),
        },
        populations={
            "pre": Population(model=source, n=n, drives={"x": "before"}),
            "post": Population(model=clopath_neuron(), n=n, drives={"I": "current"}),
        },
        projections={
            "syn": Projection(pre="pre", post="post", weights=0.5, pairs="one_to_one", rule=rule)
        },
        presentation=Presentation(duration=n_steps * ms),
        output="post",
    )
    current = np.zeros((1, n_steps, n))
    for k, (_, _, _, post) in enumerate(parts):
        current[0, post, k] = 1e-6
    unit = np.repeat(np.arange(n), [len(pre) for _, _, pre, _ in parts])
    steps = np.concatenate([pre for _, _, pre, _ in parts])
    inputs = {
        "before": (np.zeros(unit.size, dtype=int), unit, steps * 1e-3),
        "current": current,
        "n_samples": 1,
    }
    _, state = simulation.compile(network, device).run(inputs, learn=True, progress=False)
    change = state["syn.w"] - 0.5
    weights = dict.fromkeys(conditions, 0.5)
    for (condition, times, _, _), value in zip(parts, change, strict=True):
        weights[condition] += times * value
    found: dict[str, Any] = {
        f"{1000 / period:.3g} Hz, {lag:+d} ms": check(
            abs(weights[period, lag] - CLOPATH[period, lag]), 1e-6
        )
        for period, lag in conditions
    }
    turning = {period: w for (period, lag), w in weights.items() if lag < 0}
    found["depression below 35 Hz"] = check(turning[29], 0.5)
    found["potentiation above 36 Hz"] = at_least(turning[27], 0.5)
    return found


# --- thresholds of the rate

POST_RATES = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
PRE_RATE = 20.0
SHORT_UNITS = 200  # neurons per rate in the short form


def _crossing(rates: Floats, drift: Floats) -> float:
    """Where the straight line through drift/rate crosses zero."""
    slope, offset = np.polyfit(rates, drift / rates, 1)
    return float(-offset / slope)


def rate_thresholds(device: str, n: int, seconds: float = 1.0) -> dict[str, Any]:
    """Independent Poisson spikes: the rates at which the mean change is zero.

    BCM's threshold is held still here; ``tests/test_rules.py`` follows it while it slides.
    """
    theta = 15.0
    rules = {
        "bcm": plasticity.bcm(
            rate_0=theta * Hz, tau_theta=1e9 * second, eta=1e-3, w_min=-10.0, w_max=10.0
        ),
        "triplets": plasticity.triplet_stdp(w_min=-10.0, w_max=10.0),
    }
    units = n * len(POST_RATES)
    rates = np.repeat(POST_RATES, n)
    network = NetworkModel(
        name="thresholds",
        dt=1 * ms,
        inputs={"before": Input(features=units), "after": Input(features=units)},
        populations={
            name: Population(
                model=encoding.bernoulli(max_rate=100 * Hz), n=units, drives={"x": channel}
            )
            for name, channel in (("pre", "before"), ("post", "after"))
        },
        projections={
            name: Projection(pre="pre", post="post", weights=0.0, pairs="one_to_one", rule=rule)
            for name, rule in rules.items()
        },
        presentation=Presentation(duration=seconds * second, reset="none"),
        output="post",
    )
    sample = {"before": np.full((1, units), PRE_RATE / 100), "after": rates[None] / 100}
    runnable = simulation.compile(network, device)
    _, settled = runnable.run(sample, seed=1, progress=False)
    recording, state = runnable.run(
        sample, settled, learn=True, seed=1, first_sample=1, progress=False
    )
    grouped = recording.counts("post").reshape(len(POST_RATES), n)
    measured = grouped.mean(axis=1) / seconds
    drift = {name: state[f"{name}.w"].reshape(grouped.shape).mean(axis=1) for name in rules}
    p = plasticity.triplet_parameters()

    def trace(tau: Any, now: bool) -> float:
        """Mean of a trace per rate, of the spikes before a step or with its own."""
        decay = np.exp(-1e-3 / float(tau))
        return 1e-3 * (1.0 if now else decay) / (1 - decay)

    expected = {
        "bcm": theta * 0.1 / trace(100 * ms, False),
        "triplets": p["A2_minus"]
        * trace(p["tau_minus"], False)
        / (p["A3_plus"] * trace(p["tau_plus"], True) * trace(p["tau_y"], False)),
    }
    found: dict[str, Any] = {
        "rates reached": check(np.abs(measured / np.array(POST_RATES) - 1).max(), 0.1)
    }
    for name, values in drift.items():
        crossing = _crossing(np.array(POST_RATES), values)
        found[f"{name} threshold"] = check(abs(crossing / expected[name] - 1), 0.1)
        found[f"{name} crossing_Hz"] = crossing
    return found


# --- discrete steps, inhibition, pattern


def discrete(device: str) -> dict[str, Any]:
    """Spikes, traces and weights of SpikingJelly's learner, on twenty inputs."""
    data = np.load(SPIKINGJELLY)
    found, _ = script("stdp_trace").learn(data["spikes"].T.astype(float), device)
    checks: dict[str, Any] = {
        name: check(np.abs(values.T - data[name]).max(), 1e-6) for name, values in found.items()
    }
    checks["spikes"] = at_least(found["out"].sum(), 100)
    return {**checks, "versions": json.loads(str(data["versions"]))}


def inhibition(device: str, short: bool) -> dict[str, Any]:
    """Rates against the target, from far above."""
    experiment = script("inhibitory_stdp")
    chosen = (
        (experiment.SMOKE_SECONDS, experiment.SMOKE_ETA)
        if short
        else (experiment.SECONDS, experiment.ETA)
    )
    found, _ = experiment.measure(*chosen, device)
    learned = experiment.late_rates(found["learned"])
    control = experiment.late_rates(found["control"])
    target = float(experiment.TARGET / Hz)
    checks: dict[str, Any] = {
        f"rate {when}": check(abs(rate / target - 1), 0.1) for when, rate in learned.items()
    }
    checks["rate without plasticity"] = at_least(control["before"] / target, 3.0)
    return {**checks, "learned_Hz": learned, "control_Hz": control}


def pattern(device: str) -> dict[str, Any]:
    """Effect size against its controls."""
    experiment = script("stdp_pattern")
    found, _ = experiment.measure(experiment.N_SAMPLES, device)
    effect = {
        name: experiment.effect_size(found[name]) for name in ("learned", "untrained", "shuffled")
    }
    return {
        "effect size": at_least(effect["learned"], 2.0),
        "untrained": check(abs(effect["untrained"]), 0.3),
        "shuffled": check(abs(effect["shuffled"]), 0.5),
    }


def short_conditions() -> list[tuple[int, int]]:
    """Conditions of :func:`voltage` in the short form."""
    return [condition for condition in CLOPATH if condition[0] in (27, 29, 10000, 20)]


def validate(*, short: bool) -> dict[str, Any]:
    """Run all comparisons.

    Parameters
    ----------
    short : bool
        The form that the tests run.

    Returns
    -------
    dict
        Topic -> checks, each with its value, bound and ``ok``, and plain figures.
    """
    device = "runtime" if short else "cpp"
    some = short_conditions() if short else list(CLOPATH)
    found = {
        "window": window(device, short),
        "triplets": triplets(device, short),
        "voltage": voltage("runtime", some),
        "thresholds": rate_thresholds(device, SHORT_UNITS if short else 2000),
        "discrete": discrete("runtime"),
        "inhibition": inhibition("cpp", short),
    }
    if not short:
        found["pattern"] = pattern(device)
    return found
