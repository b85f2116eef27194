"""Rules of the library beyond pairs: against their definitions, and on both devices."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Hz, Network, NetworkOperation, SpikeMonitor, ms, mV, second, volt
from test_plasticity import DT, STEP, play, play_pairs, steps, table

from biosnn import encoding, models, plasticity, simulation
from biosnn.errors import ParameterError
from biosnn.models import Companion, Event, Operation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule, Statements

pytestmark = pytest.mark.usefixtures("fresh_brian2")


def random_trains(n: int, n_steps: int, probability: float, seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [np.flatnonzero(rng.random(n_steps) < probability).tolist() for _ in range(n)]


# Pairs, with a dependence on the weight


@pytest.mark.parametrize(
    ("settings", "up", "down"),
    [
        ({"weight_dependence": "multiplicative"}, 0.75, 0.25),
        ({"weight_dependence": "power_law", "mu": 0.5}, 0.75**0.5, 0.25**0.5),
        ({"weight_dependence": "power_law", "mu": (0, 1)}, 1.0, 0.25),
        ({"weight_dependence": "morrison", "mu": 0.4, "w_0": 2.0}, 2**0.6 * 0.8**0.4, 0.8),
    ],
)
def test_dependence_on_the_weight(settings: dict[str, Any], up: float, down: float) -> None:
    """One pair at w = 0.8 between the bounds 0.6 and 1.4: a quarter of the way up."""
    rule = plasticity.pair_stdp(
        A_plus=0.1, A_minus=0.2, tau_minus=30 * ms, w_min=0.6, w_max=1.4, **settings
    )
    change = play_pairs(rule, np.array([10, -10]), w=0.8)
    expected = [0.1 * up * np.exp(-5 / 20), -0.2 * down * np.exp(-5 / 30)]
    np.testing.assert_allclose(change, expected, rtol=1e-12)


def test_a_power_of_zero_is_additive_and_one_is_multiplicative() -> None:
    trains = random_trains(5, 300, 0.1, 1), random_trains(4, 300, 0.1, 2)
    found = {}
    for name, mu in (("additive", 0.4), ("multiplicative", 0.4), ("zero", 0.0), ("one", 1.0)):
        kind = name if mu == 0.4 else "power_law"
        rule = plasticity.pair_stdp(A_plus=0.05, A_minus=0.06, weight_dependence=kind, mu=mu)
        found[name] = play(rule, *trains)
    assert np.ptp(found["additive"]) > 0.1
    np.testing.assert_allclose(found["zero"], found["additive"], atol=1e-12)
    np.testing.assert_allclose(found["one"], found["multiplicative"], atol=1e-12)
    assert np.abs(found["additive"] - found["multiplicative"]).max() > 0.05


def test_symmetric_window() -> None:
    rule = plasticity.symmetric_stdp(tau_stdp=15 * ms, eta=0.1, alpha=0.3, w_min=-1.0)
    lags = np.arange(-40, 41)
    expected = 0.1 * (np.exp(-np.abs(lags) * 0.5 / 15) - 0.3)
    np.testing.assert_allclose(play_pairs(rule, lags), expected, atol=1e-12)


def test_inhibitory_rule_is_symmetric_around_its_target_rate() -> None:
    """A lone presynaptic spike costs what 2*rate*tau pairs at lag 0 bring."""
    rule = plasticity.inhibitory_stdp(tau_stdp=20 * ms, eta=0.1, target_rate=7 * Hz)
    lags = np.array([-20, 0, 20, 5000])
    expected = 0.1 * (np.exp(-np.abs(lags) * 0.5 / 20) - 2 * 7 * 0.02)
    np.testing.assert_allclose(play_pairs(rule, lags[:3], w=2.0), expected[:3], atol=1e-12)
    alone = play(rule, [[0]], [[]], w=2.0, n_steps=1)[0, 0] - 2.0
    assert alone == pytest.approx(expected[3], abs=1e-12)


# Triplets


def triplet_sum(pre: list[int], post: list[int], p: dict[str, Any], nearest: bool) -> float:
    """Sum over pairs and triplets of spikes, straight from the definition of the rule."""

    def total(spike: int, others: list[int], tau: Any, also_now: bool = False) -> float:
        gaps = [spike - other for other in others if other < spike or (also_now and other == spike)]
        gaps = [min(gaps)] if nearest and gaps else gaps
        return sum(np.exp(-gap * STEP / float(tau)) for gap in gaps)

    change = 0.0
    for spike in pre:
        slow = total(spike, pre, p.get("tau_x", 1 * second))
        change -= total(spike, post, p["tau_minus"]) * (p["A2_minus"] + p["A3_minus"] * slow)
    for spike in post:
        slow = total(spike, post, p["tau_y"])
        fast = total(spike, pre, p["tau_plus"], also_now=True)
        change += fast * (p["A2_plus"] + p["A3_plus"] * slow)
    return change


@pytest.mark.parametrize(
    ("data", "form", "pairing"),
    [
        ("visual_cortex", "full", "nearest"),
        ("visual_cortex", "minimal", "all"),
        ("hippocampus", "full", "all"),
        ("hippocampus", "minimal", "nearest"),
    ],
)
def test_triplet_rule_against_the_sum_over_triplets(data: str, form: str, pairing: str) -> None:
    pre, post = random_trains(4, 300, 0.07, 3), random_trains(4, 300, 0.07, 4)
    assert sum(len(set(a) & set(b)) for a in pre for b in post) > 3
    rule = plasticity.triplet_stdp(data=data, form=form, pairing=pairing, w_min=-100.0, w_max=100.0)
    values = plasticity.triplet_parameters(data, form, pairing)
    change = play(rule, pre, post, w=0.0)
    expected = [[triplet_sum(a, b, values, pairing == "nearest") for b in post] for a in pre]
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(change, expected, atol=1e-9)


def test_a_triplet_rule_without_triplets_is_the_pair_rule() -> None:
    pre, post = random_trains(4, 300, 0.07, 3), random_trains(4, 300, 0.07, 4)
    taus = {"tau_plus": 17 * ms, "tau_minus": 34 * ms}
    bounds = {"w_min": -9.0, "w_max": 9.0}
    triplet = plasticity.triplet_stdp(
        A2_plus=0.02, A3_plus=0.0, A2_minus=0.03, A3_minus=0.0, **taus, **bounds
    )
    assert [len(triplet.needs(side)) for side in ("pre", "post")] == [1, 1]
    pair = plasticity.pair_stdp(A_plus=0.02, A_minus=0.03, **taus, **bounds)
    found = play(triplet, pre, post, w=0.0)
    assert np.ptp(found) > 0.01
    assert np.array_equal(found, play(pair, pre, post, w=0.0))


# Voltage


def test_voltage_rule_against_its_definition() -> None:
    """A scripted potential: filters and both terms, step by step."""
    n_steps, lag = 120, 2
    rng = np.random.default_rng(5)
    course = np.repeat(rng.uniform(-75e-3, 20e-3, n_steps // 4), 4)
    fired = rng.random(n_steps) < 0.2
    rule = plasticity.voltage_stdp(u_ref=30 * mV, tau_bar=50 * ms, lag=lag, w_min=-9.0, w_max=9.0)
    host = models.neuron(equations="v : volt\nfire : 1", threshold="fire > 0.5", method="euler")
    pre = host.group(1, traces=rule.needs("pre"), dt=DT)
    post = host.group(1, traces=rule.needs("post"), dt=DT)
    synapses = rule.connect(pre, post)
    rows = iter(range(n_steps))

    def play_row() -> None:
        row = next(rows)
        post.v = course[row] * volt
        pre.fire = float(fired[row])

    Network(pre, post, synapses, NetworkOperation(play_row, dt=DT, when="start")).run(n_steps * DT)
    rest = theta = -70.6e-3
    minus, plus, mean, x, w, ups = [rest], [rest], 0.0, 0.0, 0.0, 0
    for v, spike in zip(course, fired, strict=True):
        x *= np.exp(-STEP / 15e-3)
        minus.append(v + (minus[-1] - v) * np.exp(-STEP / 10e-3))
        plus.append(v + (plus[-1] - v) * np.exp(-STEP / 7e-3))
        mean = v - rest + (mean - v + rest) * np.exp(-STEP / 50e-3)
        late_minus, late_plus = (f[max(len(f) - 1 - lag, 0)] for f in (minus, plus))
        if spike:
            w -= 0.14 * (mean / 30e-3) ** 2 * max(late_minus - theta, 0)
        if v > -45.3e-3 and late_plus > theta:
            w += 80 * x * (v + 45.3e-3) * (late_plus - theta) * STEP / 15e-3
            ups += 1
        x += spike
    assert 10 < ups < n_steps - 10
    assert w != 0
    assert float(synapses.w[0]) == pytest.approx(w, rel=1e-9)


# Discrete steps


@pytest.mark.parametrize(
    ("f_pre", "f_post"), [("w", "w"), ("1 - w", "clip(w, 0, 0.5)"), ("1", "1")]
)
def test_discrete_rule_against_its_definition(f_pre: str, f_post: str) -> None:
    n_steps = 150
    pre, post = random_trains(5, n_steps, 0.3, 6), random_trains(4, n_steps, 0.3, 7)
    rule = plasticity.discrete_stdp(
        tau_pre=5, tau_post=3, eta=0.01, f_pre=f_pre, f_post=f_post, w_min=-0.2, w_max=0.9
    )
    s_pre, s_post = table(pre, n_steps), table(post, n_steps)
    tr_pre, tr_post, w = np.zeros(5), np.zeros(4), np.full((5, 4), 0.4)
    names = {"clip": np.clip}
    for now_pre, now_post in zip(s_pre, s_post, strict=True):
        tr_pre = tr_pre - tr_pre / 5 + now_pre
        tr_post = tr_post - tr_post / 3 + now_post
        up = eval(f_post, names, {"w": w}) * np.outer(tr_pre, now_post)
        down = eval(f_pre, names, {"w": w}) * np.outer(now_pre, tr_post)
        w = np.clip(w + 0.01 * (up - down), -0.2, 0.9)
    assert np.ptp(w) > 0.01
    found = play(rule, pre, post, w=0.4, n_steps=n_steps)
    np.testing.assert_allclose(found, w, atol=1e-12)


# Homeostasis


def test_thresholds_bring_neurons_to_their_rate() -> None:
    """Every spike raises theta as much as 1/rate of time lowers it: the mean rate is the target."""
    cell = models.neuron(
        equations="dv/dt = I/ms : 1\nI : 1", threshold="v >= 2", reset="v = 0", method="euler"
    )
    cell = plasticity.adaptive_threshold(cell, theta_plus=5.0, target_rate=20 * Hz)
    assert cell.threshold == "v >= (2) + theta"
    group = cell.group(2, dt=DT)
    group.I = [0.5, 2.0]
    monitor = SpikeMonitor(group)
    net = Network(group, monitor)
    net.run(2 * second)
    before = np.array(monitor.count)
    early = [(monitor.t[monitor.i == k] < 100 * ms).sum() for k in (0, 1)]
    assert early[0] > 2 * 2  # more than the target at first
    net.run(2 * second)
    assert (np.abs(np.array(monitor.count) - before - 40) <= 1).all()


def test_a_threshold_that_decays() -> None:
    cell = models.lif(tau_m=10 * ms)
    cell = plasticity.adaptive_threshold(
        cell, theta_plus=2 * mV, tau_theta=50 * ms, theta_0=4 * mV, name="height"
    )
    group = cell.group(1, dt=DT)
    Network(group).run(50 * ms)
    decay = (1 - STEP / 50e-3) ** 100
    assert float(group.height[0]) == pytest.approx(4e-3 * decay, rel=1e-9)


def test_decay_spares_the_reference_and_counts_bursts() -> None:
    rule = plasticity.heterosynaptic_decay(beta=0.2, w_ref=0.3, tau_post=20 * ms, power=2)
    post = [steps(0, 10, 15)]
    w = play(rule, [[0], [0]], post, w=[[0.3], [1.0]])
    z = [np.exp(-10 / 20), np.exp(-15 / 20) + np.exp(-5 / 20)]
    expected = 0.3 + 0.7 * (1 - 0.2 * z[0] ** 2) * (1 - 0.2 * z[1] ** 2)
    assert w[0, 0] == 0.3
    assert w[1, 0] == pytest.approx(expected, rel=1e-12)


def test_scaling_multiplies_all_weights_alike() -> None:
    """Two neurons, of which one fires at twice the target; the mean begins at the target."""
    rule = plasticity.synaptic_scaling(
        target_rate=20 * Hz, eta=0.02, tau_rate=100 * ms, every=1 * ms, w_max=99.0
    )
    regular, silent = list(range(0, 400, 50)), []
    w = play(rule, [[0], [0]], [regular, silent], w=[[1.0, 1.0], [2.0, 2.0]], n_steps=400)
    rates, factor = [20.0, 20.0], [1.0, 1.0]
    for step, k in itertools.product(range(400), (0, 1)):
        rates[k] *= 1 - STEP / 0.1
        rates[k] += 10 * (k == 0 and step in regular)
        if step % 2 == 0:
            factor[k] *= 1 + 0.02 * (1 - rates[k] / 20)
    assert factor[0] < 0.5
    assert factor[1] > 2
    np.testing.assert_allclose(w[0], factor, rtol=1e-9)
    np.testing.assert_allclose(w[1], 2 * np.array(factor), rtol=1e-9)


def test_bcm_against_its_definition() -> None:
    n_steps = 400
    pre, post = random_trains(3, n_steps, 0.05, 8), random_trains(3, n_steps, 0.05, 9)
    rule = plasticity.bcm(
        eta=0.05, rate_0=30 * Hz, tau_post=50 * ms, tau_theta=200 * ms, w_min=-9.0, w_max=9.0
    )
    s_pre, s_post = table(pre, n_steps), table(post, n_steps)
    x, y, mean, w = np.zeros(3), np.zeros(3), np.full(3, 30.0), np.zeros((3, 3))
    for now_pre, now_post in zip(s_pre, s_post, strict=True):
        mean += (y - mean) * STEP / 0.2
        y *= np.exp(-STEP / 0.05)
        x = x * np.exp(-STEP / 0.02) + now_pre
        w += 0.05 * np.outer(x, now_post * (y / 30 - (mean / 30) ** 2))
        y += now_post / 0.05
    assert w.min() < 0 < w.max()
    np.testing.assert_allclose(play(rule, pre, post, w=0.0, n_steps=n_steps), w, atol=1e-10)


# Events of a rule's own


def test_a_rule_brings_an_event_of_its_own() -> None:
    """Under a prefix, and beside another rule with an event of that name."""
    high = PlasticityRule(
        name="High",
        statements=(Statements(side="post", event="high", code="w += step"),),
        post_companion=Companion(
            equations="n : 1",
            parameters={"level": 2.0},
            operations=(Operation(code="n += 1", on="high", when="after_synapses"),),
            events={"high": Event(condition="v > level")},
        ),
        parameters={"step": 1.0},
    )
    higher = attrs.evolve(
        high, post_companion=attrs.evolve(high.post_companion, parameters={"level": 5.0})
    )
    rules = [rule.prefixed(key) for key, rule in (("a", high), ("b", higher))]
    assert [rule.statements[0].event for rule in rules] == ["a_high", "b_high"]
    host = models.neuron(equations="v : 1")
    with pytest.raises(ParameterError, match="a name of a companion too"):
        host.with_traces([*high.needs("post"), *higher.needs("post")])
    group = host.group(3, traces=[part for rule in rules for part in rule.needs("post")], dt=DT)
    group.v = [1.0, 3.0, 6.0]
    source = host.group(1, dt=DT)
    synapses = [rule.connect(source, group) for rule in rules]
    Network(source, group, *synapses).run(4 * DT)
    assert [np.array(made.w).tolist() for made in synapses] == [[0, 4, 4], [0, 0, 4]]
    assert np.array(group.b_n).tolist() == [0, 0, 4]


# Several rules at once


def test_combined_rules_do_what_both_do() -> None:
    """Pairs and decay on spikes that do not touch: one after the other."""
    pair = plasticity.pair_stdp(A_plus=0.1, w_max=5.0)
    decay = plasticity.heterosynaptic_decay(beta=0.2, w_ref=1.0, power=0)
    both = plasticity.combined(pair, decay)
    assert [part.side for part in both.statements] == ["pre", "post", "post"]
    w = play(both, [steps(0)], [steps(5)], w=2.0)[0, 0]
    grown = 2.0 + 0.1 * np.exp(-5 / 20)
    assert w == pytest.approx(grown - 0.2 * (grown - 1.0), rel=1e-12)
    scaled = plasticity.combined(pair, plasticity.synaptic_scaling(w_max=5.0))
    assert scaled.ends
    assert scaled.parameters["w_max"] == 5.0


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (plasticity.combined, "rules"),
        (
            lambda: plasticity.combined(
                plasticity.pair_stdp(), plasticity.pair_stdp(tau_minus=9 * ms)
            ),
            "traces['y']",
        ),
        (
            lambda: plasticity.combined(
                plasticity.pair_stdp(w_max=2.0), plasticity.synaptic_scaling()
            ),
            "parameters['w_max']",
        ),
        (lambda: plasticity.combined(plasticity.bcm(), plasticity.bcm()), "companions"),
        (lambda: plasticity.pair_stdp(weight_dependence="none"), "weight_dependence"),
        (lambda: plasticity.pair_stdp(weight_dependence="power_law", mu=(0, 1, 2)), "mu"),
        (lambda: plasticity.pair_stdp(weight_dependence="power_law", mu=1.5), "mu_plus"),
        (lambda: plasticity.pair_stdp(weight_dependence="morrison", w_min=-1.0), "w_min"),
        (lambda: plasticity.triplet_stdp(data="cerebellum"), "data"),
        (lambda: plasticity.triplet_stdp(A3_plus=-1.0), "A3_plus"),
        (lambda: plasticity.triplet_parameters(pairing="some"), "pairing"),
        (lambda: plasticity.inhibitory_stdp(target_rate=-1 * Hz), "target_rate"),
        (lambda: plasticity.voltage_stdp(A_LTP=1.0), "A_LTP"),
        (lambda: plasticity.voltage_stdp(lag=-1), "lag"),
        (lambda: plasticity.discrete_stdp(tau_pre=0.5), "tau"),
        (lambda: plasticity.discrete_stdp(f_pre="w +"), "f_pre"),
        (lambda: plasticity.discrete_stdp(f_post="w*x_pre"), "f_post"),
        (lambda: plasticity.heterosynaptic_decay(power=1.5), "power"),
        (lambda: plasticity.bcm(rate_0=0 * Hz), "rate_0"),
        (
            lambda: plasticity.adaptive_threshold(models.lif(), theta_plus=1 * mV),
            "tau_theta",
        ),
        (
            lambda: plasticity.adaptive_threshold(models.lif(), theta_plus=1.0, tau_theta=9 * ms),
            "theta_plus",
        ),
        (
            lambda: plasticity.adaptive_threshold(
                models.neuron(equations="v : 1", threshold="abs(v) > 1"),
                theta_plus=1.0,
                tau_theta=9 * ms,
            ),
            "threshold",
        ),
        *(
            (
                lambda threshold=threshold: plasticity.adaptive_threshold(
                    models.neuron(equations="v : 1\nu : 1", threshold=threshold),
                    theta_plus=1.0,
                    tau_theta=9 * ms,
                ),
                "threshold",
            )
            # C6: what is no simple comparison
            for threshold in ("v > 1 and u < 1", "v > 1 or u > 1", "0 < v > 1", "v < 1", "1 > v")
        ),
    ],
)
def test_what_is_refused(make: Any, named: str) -> None:
    with pytest.raises(ParameterError) as refused:
        make()
    assert f".{named} must be" in str(refused.value)


def test_a_threshold_is_raised_as_a_whole() -> None:
    """C6: the bound is an expression of its own, whatever operators it has."""
    model = models.neuron(equations="v : 1\nu : 1", threshold="v >= u + 1")
    raised = plasticity.adaptive_threshold(model, theta_plus=1.0, tau_theta=9 * ms)
    assert raised.threshold == "v >= (u + 1) + theta"


# On both devices

N_PRE, N_POST = 6, 5
RULES = {
    "power": plasticity.pair_stdp(weight_dependence="power_law", mu=(0.2, 0.6), A_plus=0.1),
    "morrison": plasticity.pair_stdp(weight_dependence="morrison", A_plus=0.1, w_max=3.0),
    "symmetric": plasticity.symmetric_stdp(eta=0.01, alpha=1.2),
    "inhibitory": plasticity.inhibitory_stdp(eta=0.05),
    "triplet": plasticity.triplet_stdp(form="full", pairing="nearest"),
    "voltage": plasticity.voltage_stdp(A_LTP=2 / volt**2, u_ref=40 * mV, lag=1),
    "discrete": plasticity.discrete_stdp(eta=0.05),
    "scaled": plasticity.combined(
        plasticity.pair_stdp(), plasticity.synaptic_scaling(eta=0.02, tau_rate=50 * ms)
    ),
    "decaying": plasticity.combined(
        plasticity.bcm(eta=0.005, rate_0=50 * Hz), plasticity.heterosynaptic_decay(beta=0.002)
    ),
}


def everything() -> NetworkModel:
    """All rules side by side between given spikes; the targets also follow a given potential."""
    target = models.neuron(
        name="Target", equations="x : 1\nv : volt", threshold="x > 0", method="euler"
    )
    target = plasticity.adaptive_threshold(target, theta_plus=0.001, tau_theta=100 * ms)
    return NetworkModel(
        name="rules",
        dt=1 * ms,
        inputs={
            "before": Input(features=N_PRE, kind="events"),
            "after": Input(features=N_POST, kind="events"),
            "v": Input(features=N_POST, kind="sequence", frame=2 * ms),
        },
        populations={
            "inp": Population(model=encoding.address_events(), n=N_PRE, drives={"x": "before"}),
            "out": Population(model=target, n=N_POST, drives={"x": "after", "v": "v"}),
        },
        projections={
            key: Projection(pre="inp", post="out", weights=0.5, rule=rule)
            for key, rule in RULES.items()
        },
        presentation=Presentation(duration=60 * ms),
        output="out",
    )


@pytest.fixture(scope="module")
def states() -> dict[str, Any]:
    n_samples, rng = 2, np.random.default_rng(10)
    samples: dict[str, Any] = {"v": rng.uniform(-75e-3, 0, (n_samples, 30, N_POST))}
    for name, n in (("before", N_PRE), ("after", N_POST)):
        sample, step, unit = np.nonzero(rng.random((n_samples, 60, n)) < 0.1)
        samples[name] = (sample, unit, step * 1e-3)
    samples["n_samples"] = n_samples
    runnable = simulation.compile(everything(), "runtime")
    recording, on = runnable.run(samples, learn=True, progress=False)
    assert recording.counts("out").sum() > 30
    return {"on": on, "off": runnable.run(samples, progress=False)[1]}


@pytest.mark.parametrize("key", RULES)
def test_rules_side_by_side_all_learn(key: str, states: dict[str, Any]) -> None:
    """That devices agree is held by ``tests/test_any_device.py``."""
    change = states["on"].weights(key) - 0.5
    assert np.abs(change).max() > 0.003
    assert np.ptp(change) > 0.001


def test_with_learning_off_nothing_learns(states: dict[str, Any]) -> None:
    assert all((states["off"][f"{key}.w"] == 0.5).all() for key in RULES)
    assert (states["off"]["out.theta"] == 0).all()
    assert (states["on"]["out.theta"] > 0).all()
