"""Plasticity rules: order of execution, windows and hand-worked examples, what is refused.

The neurons of these tests fire when a script says so, so that every expected weight follows from
the spike times alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    ms,
    mV,
    scheduling_summary,
    second,
)

from biosnn import encoding, models, networks, plasticity
from biosnn.devices.runtime.device import RuntimeNetwork
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Schedule, Trace
from biosnn.plasticity import PlasticityRule, Statements
from biosnn.program.lower import lower

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT = 0.5 * ms
STEP = 0.5e-3

#: Fires where a script sets v, and has the event "teach" where it sets lesson.
PUPPET = models.neuron(
    name="Puppet",
    equations="v : 1\nlesson : 1\ny_graded : 1",
    threshold="v > 0.5",
    reset="v = 0",
    events={"teach": "lesson > 0.5"},
)


def steps(*times: float) -> list[int]:
    """Time steps of times in ms."""
    return [round(time / 0.5) for time in times]


def table(trains: Iterable[Iterable[int]], n_steps: int) -> np.ndarray:
    """Spike trains as lists of steps -> array of 0 and 1, shape (n_steps, n_neurons)."""
    trains = list(trains)
    array = np.zeros((n_steps, len(trains)))
    for neuron, train in enumerate(trains):
        array[list(train), neuron] = 1
    return array


def play(
    rule: PlasticityRule,
    pre: Iterable[Iterable[int]],
    post: Iterable[Iterable[int]],
    *,
    w: Any = 0.5,
    teach: Iterable[Iterable[int]] | None = None,
    pairs: Any = None,
    n_steps: int | None = None,
) -> np.ndarray:
    """Weights [pre, post] (or one per pair) after the neurons fired in the given steps."""
    pre, post, teach = ([list(train) for train in trains or ()] for trains in (pre, post, teach))
    if n_steps is None:
        n_steps = 1 + max(step for train in (*pre, *post, *teach) for step in train)
    scripts = {"pre": table(pre, n_steps), "post": table(post, n_steps)}
    groups = {
        side: PUPPET.group(script.shape[1], traces=rule.needs(side), name=f"{side}*", dt=DT)
        for side, script in scripts.items()
    }
    lessons = table(teach, n_steps) if teach else np.zeros_like(scripts["post"])
    synapses = rule.connect(groups["pre"], groups["post"], pairs=pairs)
    synapses.w = np.asarray(w, dtype=float).ravel() if np.ndim(w) else w
    rows = iter(range(n_steps))

    def fire() -> None:
        row = next(rows)
        for side, script in scripts.items():
            groups[side].variables["v"].get_value()[:] = script[row]
        groups["post"].variables["lesson"].get_value()[:] = lessons[row]

    script_ = NetworkOperation(fire, dt=DT, when="start")
    monitors = {side: SpikeMonitor(group) for side, group in groups.items()}
    Network(*groups.values(), synapses, script_, *monitors.values()).run(n_steps * DT)
    for side, script in scripts.items():
        assert np.asarray(monitors[side].count).tolist() == script.sum(axis=0).tolist()
    weights = np.array(synapses.w)
    return weights if pairs is not None else weights.reshape(len(groups["pre"]), -1)


def play_pairs(rule: PlasticityRule, lags: np.ndarray, w: float = 0.0) -> np.ndarray:
    """Weight changes of independent pairs of one spike each, ``lags`` in steps (post - pre)."""
    n = len(lags)
    pre = [[150]] * n
    post = [[150 + int(lag)] for lag in lags]
    return play(rule, pre, post, w=w, pairs=(np.arange(n), np.arange(n))) - w


# The order of execution


def test_order_of_execution() -> None:
    """Traces before the synapses, transmission, learning, traces after them, resets."""
    rule = plasticity.pair_stdp()
    pre = PUPPET.group(2, traces=rule.needs("pre"), name="pre")
    post = PUPPET.group(2, traces=rule.needs("post"), name="post")
    synapses = rule.connect(pre, post, transmit="y_graded_post += w", name="syn")
    net = Network(pre, post, synapses)
    net.run(0 * second)
    order = [
        (entry.when, entry.order, entry.name)
        for entry in scheduling_summary(net).entries
        if not entry.name.endswith("teach_thresholder")
    ]
    assert order == [
        ("groups", 0, "post_stateupdater"),
        ("groups", 0, "pre_stateupdater"),
        ("thresholds", 0, "post_spike_thresholder"),
        ("thresholds", 0, "pre_spike_thresholder"),
        ("before_synapses", 0, "pre_operation_0"),
        ("synapses", -1, "syn_pre"),
        ("synapses", 0, "syn_learn_0_pre"),
        ("synapses", 1, "syn_learn_1_post"),
        ("after_synapses", 0, "post_operation_0"),
        ("resets", 0, "post_spike_resetter"),
        ("resets", 0, "pre_spike_resetter"),
    ]
    codes = {o.name: o.abstract_code for o in net.sorted_objects if hasattr(o, "abstract_code")}
    assert codes["pre_operation_0"].strip() == "x += 1"
    assert codes["post_operation_0"].strip() == "y += 1"


def test_order_of_execution_in_a_compiled_network() -> None:
    """The same within a network that biosnn builds from a declaration."""
    network = networks.diehl_cook_2015(4, 3)
    built = RuntimeNetwork(lower(network), "double").built
    names = [entry.name for entry in scheduling_summary(built.net).entries if entry.when != "start"]
    bumps = {
        target.abstract_code.strip(): target.name
        for key in ("inp", "exc")
        for target in built.groups[key].contained_objects
        if hasattr(target, "abstract_code")
    }
    order = [
        "inp_stateupdater",
        "exc_stateupdater",
        "inp_spike_thresholder",
        "exc_spike_thresholder",
        bumps["inp_exc_x = 1"],
        "inp_exc_transmit",
        "inp_exc_learn_0",
        "inp_exc_learn_1",
        bumps["inp_exc_post1 = 1"],
        bumps["inp_exc_post2 = 1"],
        "exc_spike_resetter",
    ]
    assert sorted(order, key=names.index) == order


def test_transmission_uses_the_weight_before_learning() -> None:
    rule = plasticity.pair_stdp(A_minus=0.25, A_plus=0.0)
    pre = PUPPET.group(1, traces=rule.needs("pre"), dt=DT)
    post = PUPPET.group(1, traces=rule.needs("post"), dt=DT)
    post.y = 1.0
    synapses = rule.connect(pre, post, transmit="y_graded_post += w")
    synapses.w = 0.5
    pre.v = 1
    Network(pre, post, synapses).run(DT)
    decayed = np.exp(-0.5 / 20)
    assert float(post.y_graded[0]) == 0.5
    assert float(synapses.w[0]) == pytest.approx(0.5 - 0.25 * decayed, abs=1e-15)


# Pairs


@pytest.mark.parametrize("pairing", ["all", "nearest"])
def test_window_of_pairs(pairing: str) -> None:
    """A_plus*exp(-s/tau_plus) for s >= 0 (dt = 0 included), -A_minus*exp(s/tau_minus) below."""
    rule = plasticity.pair_stdp(
        tau_plus=17 * ms,
        tau_minus=34 * ms,
        A_plus=0.3,
        A_minus=0.2,
        w_min=-1.0,
        w_max=1.0,
        pairing=pairing,
    )
    lags = np.arange(-100, 101)  # steps: from -50 to 50 ms
    change = play_pairs(rule, lags)
    s = lags * 0.5
    expected = np.where(s >= 0, 0.3 * np.exp(-s / 17), -0.2 * np.exp(s / 34))
    assert (change != 0).all()
    assert change[100] == 0.3  # together: potentiation and no depression
    np.testing.assert_allclose(change, expected, rtol=0, atol=1e-9)


def pair_sum(pre: list[int], post: list[int], nearest: bool) -> float:
    """Sum of the window over pairs of spikes, straight from its definition."""

    def potentiation(s: int) -> float:
        return 0.02 * np.exp(-s * STEP / 15e-3)

    def depression(s: int) -> float:
        return -0.03 * np.exp(-s * STEP / 25e-3)

    total = 0.0
    for spike in post:
        gaps = [spike - other for other in pre if other <= spike]
        total += sum(map(potentiation, [min(gaps)] if nearest and gaps else gaps))
    for spike in pre:
        gaps = [spike - other for other in post if other < spike]
        total += sum(map(depression, [min(gaps)] if nearest and gaps else gaps))
    return total


@pytest.mark.parametrize("pairing", ["all", "nearest"])
def test_random_trains_against_the_sum_over_pairs(pairing: str) -> None:
    rng = np.random.default_rng(7)
    pre = [np.flatnonzero(rng.random(400) < 0.06).tolist() for _ in range(6)]
    post = [np.flatnonzero(rng.random(400) < 0.06).tolist() for _ in range(5)]
    shared = sum(len(set(a) & set(b)) for a in pre for b in post)
    assert shared > 10  # spikes of both in one step are part of the test
    rule = plasticity.pair_stdp(
        tau_plus=15 * ms,
        tau_minus=25 * ms,
        A_plus=0.02,
        A_minus=0.03,
        w_min=-100.0,
        w_max=100.0,
        pairing=pairing,
    )
    change = play(rule, pre, post, w=0.0)
    expected = [[pair_sum(a, b, pairing == "nearest") for b in post] for a in pre]
    assert np.abs(change).max() > 0.05
    np.testing.assert_allclose(change, expected, atol=1e-9)


def test_triplets_of_spikes_by_hand() -> None:
    """Spikes at 0, 10 and 15 ms (pre, pre, post) and at 0, 10 and 15 ms (post, post, pre)."""
    values = {"tau_plus": 20 * ms, "tau_minus": 10 * ms, "A_plus": 0.1, "A_minus": 0.2}
    far, near = steps(0, 10), steps(15)
    changes = {}
    for pairing in ("all", "nearest"):
        rule = plasticity.pair_stdp(**values, w_min=-1.0, w_max=1.0, pairing=pairing)
        changes[pairing] = (
            play(rule, [far], [near], w=0.0)[0, 0],
            play(rule, [near], [far], w=0.0)[0, 0],
        )
    # 0.1*(exp(-15/20) + exp(-5/20)), -0.2*(exp(-15/10) + exp(-5/10)); then the second terms only.
    np.testing.assert_allclose(changes["all"], [0.12511673362, -0.1659321639725], atol=1e-10)
    np.testing.assert_allclose(changes["nearest"], [0.0778800783071, -0.1213061319425], atol=1e-10)


def test_weights_stay_within_their_bounds() -> None:
    rule = plasticity.pair_stdp(A_plus=0.3, A_minus=0.3, w_min=0.1, w_max=0.9)
    up = play(rule, [steps(0, 10, 20)], [steps(1, 11, 21)])
    down = play(rule, [steps(1, 11, 21)], [steps(0, 10, 20)])
    # Either run takes both directions, and overshoots one of the bounds.
    assert up[0, 0] == pytest.approx(0.9, abs=0.0)
    assert down[0, 0] == pytest.approx(0.1, abs=0.0)


def test_only_chosen_pairs_are_connected_and_learn() -> None:
    rule = plasticity.pair_stdp(w_min=-1.0)
    change = play(rule, [[4], [4], [4]], [[6], [6], [6]], w=0.0, pairs="i != j")
    assert change.shape == (6,)
    np.testing.assert_allclose(change, 0.01 * np.exp(-1 / 20), atol=1e-12)


# Diehl & Cook


def test_triplet_rule_by_hand() -> None:
    """Pre at 0 and 20 ms, post at 10 and 30 ms; then both at 40 ms."""
    rule = plasticity.diehl_cook_triplet(
        tau_pre=20 * ms, tau_post_1=10 * ms, tau_post_2=40 * ms, eta_pre=0.1, eta_post=0.4
    )
    e = np.exp
    w = 0.5
    assert play(rule, [steps(0)], [steps(10)])[0, 0] == w  # nothing was there before
    w -= 0.1 * e(-10 / 10)  # pre at 20: post1 was set to 1 at 10 ms
    assert play(rule, [steps(0, 20)], [steps(10)])[0, 0] == pytest.approx(w, abs=1e-12)
    w += 0.4 * e(-10 / 20) * e(-20 / 40)  # post at 30: x since 20 ms, post2 since 10 ms
    assert play(rule, [steps(0, 20)], [steps(10, 30)])[0, 0] == pytest.approx(w, abs=1e-12)
    w -= 0.1 * e(-10 / 10)  # both at 40: post1 and post2 as they were, x already 1
    w += 0.4 * 1 * e(-10 / 40)
    both = play(rule, [steps(0, 20, 40)], [steps(10, 30, 40)])[0, 0]
    assert both == pytest.approx(w, abs=1e-12)


def test_triplet_rule_respects_its_bounds() -> None:
    rule = plasticity.diehl_cook_triplet(eta_pre=0.4, eta_post=2.0, w_max=0.8)
    assert play(rule, [steps(9)], [steps(0, 10)])[0, 0] == pytest.approx(0.8, abs=0.0)
    assert play(rule, [steps(1, 2, 3)], [steps(0)])[0, 0] == 0.0


def test_power_law_by_hand() -> None:
    rule = plasticity.diehl_cook_power_law(tau_pre=20 * ms, eta=0.2, x_tar=0.4, mu=0.3, w_max=2.0)
    w = 0.5 + 0.2 * (np.exp(-5 / 20) - 0.4) * (2.0 - 0.5) ** 0.3  # post 5 ms after pre
    one = play(rule, [steps(0)], [steps(5)])[0, 0]
    assert one > 0.5
    assert one == pytest.approx(w, abs=1e-12)
    w += 0.2 * (np.exp(-40 / 20) - 0.4) * (2.0 - w) ** 0.3  # post 40 ms after pre: depression
    two = play(rule, [steps(0)], [steps(5, 40)])[0, 0]
    assert two < one
    assert two == pytest.approx(w, abs=1e-12)
    w += 0.2 * (1 - 0.4) * (2.0 - w) ** 0.3  # the second pre spike sets the trace to 1
    three = play(rule, [steps(0, 60)], [steps(5, 40, 60)])[0, 0]
    assert three == pytest.approx(w, abs=1e-12)


def test_power_law_respects_its_bounds() -> None:
    rule = plasticity.diehl_cook_power_law(eta=1.0, mu=0.5)
    assert play(rule, [steps(0)], [steps(0, 1, 2, 3)])[0, 0] == pytest.approx(1.0, abs=0.0)
    assert play(rule, [steps(0)], [steps(100, 120)])[0, 0] == 0.0
    # At w_max nothing moves it, in neither direction: (w_max - w)**mu is zero there.
    assert play(rule, [steps(0)], [steps(100)], w=1.0)[0, 0] == 1.0
    # Above it, where a normalisation may put a weight, it comes back and is no NaN.
    assert play(rule, [steps(0)], [steps(5)], w=1.6)[0, 0] == 1.0


# Instar


def test_instar_on_graded_input_goes_to_it_geometrically() -> None:
    """After n postsynaptic spikes w = gain*x + (w0 - gain*x)*(1 - eta)**n."""
    rule = plasticity.instar(eta=0.25, gain=2.0)
    assert rule.needs("pre") == rule.needs("post") == ()
    source = models.neuron(equations="x : 1", threshold="x > 99", reset="x = 0").group(3, dt=DT)
    source.x = [0.0, 0.3, 1.0]
    target = PUPPET.group(2, dt=DT)
    synapses = rule.connect(source, target)
    synapses.w = 0.8
    fires = NetworkOperation(lambda: setattr(target, "v", [1, 0]), dt=DT, when="start")
    Network(source, target, synapses, fires).run(5 * DT)
    weights = np.array(synapses.w).reshape(3, 2)
    goal = 2 * np.array([0.0, 0.3, 1.0])
    np.testing.assert_allclose(weights[:, 0], goal + (0.8 - goal) * 0.75**5, atol=1e-12)
    assert (weights[:, 1] == 0.8).all()  # the silent neuron learned nothing


def test_instar_on_traces_converges_to_the_mean_activity() -> None:
    """W follows gain*x at postsynaptic spikes; its mean goes to gain*rate*tau."""
    rng = np.random.default_rng(3)
    n_steps, n_pre, probability = 2000, 80, 0.05
    pre = [np.flatnonzero(rng.random(n_steps) < probability).tolist() for _ in range(n_pre)]
    post = [list(range(5, n_steps, 7))]
    rule = plasticity.instar(eta=0.03, gain=0.5, tau_pre=10 * ms)
    weights = play(rule, pre, post, w=3.0, n_steps=n_steps)[:, 0]
    # Step by step, straight from the definition.
    trace, expected = np.zeros(n_pre), np.full(n_pre, 3.0)
    fired = table(pre, n_steps)
    for step in range(n_steps):
        trace = trace * np.exp(-0.5 / 10) + fired[step]
        if step in set(post[0]):
            expected += 0.03 * (0.5 * trace - expected)
    np.testing.assert_allclose(weights, expected, atol=1e-9)
    # In the mean: spikes of probability p per step, each of which leaves sum(exp(-k*dt/tau)).
    mean = 0.5 * probability / (1 - np.exp(-0.5 / 10))
    assert weights.mean() == pytest.approx(mean, rel=0.1)
    assert abs(3.0 - mean) > 2


# ReSuMe


def test_resume_changes_sign_with_the_teacher() -> None:
    """A desired spike adds eta*x, a fired one subtracts it, both at once change nothing."""
    rule = plasticity.resume(eta=0.3, tau_pre=20 * ms)
    pre = [steps(10)]
    post, lessons = [[], steps(30), steps(30)], [steps(30), [], steps(30)]
    change = play(rule, pre, post, w=0.0, teach=lessons)[0]
    size = 0.3 * np.exp(-20 / 20)
    np.testing.assert_allclose(change, [size, -size, 0.0], atol=1e-12)


def test_resume_stops_where_the_neuron_fires_as_it_should() -> None:
    rng = np.random.default_rng(1)
    pre = [np.flatnonzero(rng.random(400) < 0.05).tolist() for _ in range(5)]
    target = steps(20, 55, 90, 140, 170)
    late = [step + 4 for step in target]
    rule = plasticity.resume(eta=0.1)
    change = play(rule, pre, [target, late], w=0.0, teach=[target, target])
    np.testing.assert_allclose(change[:, 0], 0, atol=1e-12)
    assert np.abs(change[:, 1]).max() > 0.01


def test_resume_respects_its_bounds() -> None:
    rule = plasticity.resume(eta=3.0, w_min=-1.0, w_max=2.0)
    up = play(rule, [steps(0)], [[]], w=0.0, teach=[steps(1, 2)])
    down = play(rule, [steps(0)], [steps(1, 2)], w=0.0)
    assert (up[0, 0], down[0, 0]) == (2.0, -1.0)


# Names


def test_prefixes_rename_traces_and_schedules() -> None:
    rule = plasticity.diehl_cook_triplet(eta_post=Schedule(start=0.1, stop=0.01))
    renamed = rule.prefixed("exc")
    assert [trace.name for trace in renamed.needs("pre")] == ["exc_x"]
    assert [trace.name for trace in renamed.needs("post")] == ["exc_post1", "exc_post2"]
    assert [part.code for part in renamed.statements] == [
        "w = clip(w - eta_pre*exc_post1_post, 0, w_max)",
        "w = clip(w + exc_eta_post_post*exc_x_pre*exc_post2_post, 0, w_max)",
    ]
    assert [part.order for part in renamed.statements] == [0, 1]
    assert rule.needs("pre")[0].name == "x"


def test_two_rules_on_the_same_neurons_do_not_disturb_each_other() -> None:
    rng = np.random.default_rng(5)
    scripts = [table([np.flatnonzero(rng.random(200) < 0.08)], 200) for _ in range(2)]
    rules = [
        plasticity.pair_stdp(tau_plus=10 * ms, tau_minus=15 * ms, w_min=-9.0, w_max=9.0),
        plasticity.pair_stdp(
            tau_plus=40 * ms, tau_minus=30 * ms, w_min=-9.0, w_max=9.0, pairing="nearest"
        ),
    ]
    alone = [
        play(rule, *[[np.flatnonzero(s[:, 0])] for s in scripts], w=0.0, n_steps=200)[0, 0]
        for rule in rules
    ]
    named = [rule.prefixed(name) for rule, name in zip(rules, ("one", "two"), strict=True)]
    groups = [
        PUPPET.group(1, traces=[t for rule in named for t in rule.needs(side)], dt=DT)
        for side in ("pre", "post")
    ]
    synapses = [rule.connect(*groups) for rule in named]
    rows = iter(zip(*scripts, strict=True))

    def fire() -> None:
        for group, row in zip(groups, next(rows), strict=True):
            group.v = row

    Network(*groups, *synapses, NetworkOperation(fire, dt=DT, when="start")).run(200 * DT)
    together = [float(s.w[0]) for s in synapses]
    assert abs(alone[0] - alone[1]) > 1e-3
    assert together == pytest.approx(alone, abs=1e-12)


def test_prefixes_replace_whole_names_only() -> None:
    rule = PlasticityRule(
        name="Own",
        statements=[Statements(side="post", code="w = my_x_pre + x_pre*x_pre_2 - x_post")],
        pre_traces=[Trace(name="x", tau=5 * ms)],
    )
    code = rule.prefixed("a").statements[0].code
    assert code == "w = my_x_pre + a_x_pre*x_pre_2 - x_post"


# connect


def groups_for(rule: PlasticityRule, model: NeuronModel = PUPPET) -> list[NeuronGroup]:
    return [model.group(3, traces=rule.needs(side), dt=DT) for side in ("pre", "post")]


def test_connect_makes_plain_synapses() -> None:
    rule = plasticity.pair_stdp()
    synapses = rule.connect(*groups_for(rule), name="plain", transmit="y_graded_post += w")
    assert type(synapses) is Synapses
    assert synapses.name == "plain"
    assert len(synapses) == 9
    assert np.asarray(synapses.w).tolist() == [0.0] * 9
    for pathway in (synapses.pre, synapses.learn_0_pre, synapses.learn_1_post):
        assert np.unique(np.asarray(pathway.delay)).tolist() == [0.0]


def test_connect_takes_index_arrays() -> None:
    rule = plasticity.pair_stdp()
    synapses = rule.connect(*groups_for(rule), pairs=([0, 2, 2], [1, 0, 1]))
    assert np.asarray(synapses.i).tolist() == [0, 2, 2]
    assert np.asarray(synapses.j).tolist() == [1, 0, 1]


def without_spikes() -> NeuronGroup:
    return models.neuron(equations="x : 1\ny : 1").group(1)


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "no_pre_traces": (
        lambda rule: rule.connect(PUPPET.group(1), groups_for(rule)[1]), "pre", r"without \['x'\]",
    ),
    "no_post_traces": (
        lambda rule: rule.connect(groups_for(rule)[0], PUPPET.group(1)),
        "post",
        r"without \['y'\].*rule\.needs\(\"post\"\)",
    ),
    "sides_swapped": (
        lambda rule: rule.connect(*reversed(groups_for(rule))), "pre", r"without \['x'\]",
    ),
    "foreign_group": (
        lambda rule: rule.connect(groups_for(rule)[0], PoissonGroup(1, 5 * Hz, name="noise")),
        "post",
        r"group 'noise' without \['y'\]",
    ),
    "no_spikes": (
        lambda rule: rule.connect(without_spikes(), groups_for(rule)[1]),
        "pre",
        r"without \['spike'\]",
    ),
    "side": (lambda rule: rule.needs("left"), "side", "'pre', 'post', got 'left'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_connect_refuses(case: str) -> None:
    attempt, name, message = REFUSED[case]
    with pytest.raises(ParameterError, match=message) as caught:
        attempt(plasticity.pair_stdp())
    assert (caught.value.obj, caught.value.name) == ("PairSTDP", name)


def test_connect_refuses_groups_without_the_prefixed_traces() -> None:
    rule = plasticity.pair_stdp()
    with pytest.raises(ParameterError, match=r"PairSTDP\.pre .* without \['exc_x'\]"):
        rule.prefixed("exc").connect(*groups_for(rule))


def test_connect_refuses_schedules() -> None:
    rule = plasticity.pair_stdp(A_plus=Schedule(start=0.1, stop=0.01))
    assert set(rule.schedules) == {"A_plus"}
    with pytest.raises(ParameterError, match=r"^PairSTDP\.A_plus must be a constant outside a Net"):
        rule.connect(*groups_for(rule))


def test_connect_refuses_groups_without_a_teacher() -> None:
    rule = plasticity.resume()
    deaf = models.lif().group(2, traces=rule.needs("post"))
    with pytest.raises(ParameterError, match=r"^ReSuMe\.post must be .* without \['teach'\]"):
        rule.connect(groups_for(rule)[0], deaf)


def test_connect_refuses_groups_without_graded_input() -> None:
    rule = plasticity.instar()
    with pytest.raises(ParameterError, match=r"^Instar\.pre must be .* without \['x'\]"):
        rule.connect(*groups_for(rule))


def test_own_rules_use_the_same_door() -> None:
    """Presynaptically gated decay: a rule that the library does not have."""
    rule = PlasticityRule(
        name="Decay",
        statements=[
            Statements(side="pre", code="w -= w*k*z_post"),
            Statements(side="post", code="w += k", event="teach"),
        ],
        post_traces=[Trace(name="z", tau=10 * ms, when="after_synapses")],
        parameters={"k": 0.5},
    )
    change = play(rule, [steps(15)], [steps(5)], w=2.0, teach=[steps(30)])
    assert change[0, 0] == pytest.approx(2.0 * (1 - 0.5 / np.e) + 0.5, abs=1e-12)


# Parameters

BAD: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "tau_unit": (lambda: plasticity.pair_stdp(tau_plus=20), "PairSTDP", "tau_plus", "in s"),
    "tau_sign": (lambda: plasticity.pair_stdp(tau_minus=-1 * ms), "PairSTDP", "tau_minus", "> 0 s"),
    "tau_nan": (
        lambda: plasticity.pair_stdp(tau_plus=np.nan * ms), "PairSTDP", "tau_plus", "> 0 s",
    ),
    "amplitude": (lambda: plasticity.pair_stdp(A_plus=-0.1), "PairSTDP", "A_plus", ">= 0"),
    "amplitude_unit": (
        lambda: plasticity.pair_stdp(A_minus=1 * mV), "PairSTDP", "A_minus", "without unit",
    ),
    "bounds": (lambda: plasticity.pair_stdp(w_min=1.0), "PairSTDP", "w_max", "above w_min (1.0)"),
    "bound": (lambda: plasticity.pair_stdp(w_max=np.inf), "PairSTDP", "w_max", "finite"),
    "bound_text": (lambda: plasticity.pair_stdp(w_min="0"), "PairSTDP", "w_min", "a number"),
    "pairing": (lambda: plasticity.pair_stdp(pairing="some"), "PairSTDP", "pairing", "'nearest'"),
    "power_eta": (
        lambda: plasticity.diehl_cook_power_law(eta=-1), "DiehlCookPowerLaw", "eta", ">= 0",
    ),
    "power_mu": (
        lambda: plasticity.diehl_cook_power_law(mu=-0.1), "DiehlCookPowerLaw", "mu", ">= 0",
    ),
    "power_x_tar": (
        lambda: plasticity.diehl_cook_power_law(x_tar=np.nan), "DiehlCookPowerLaw", "x_tar", ">= 0",
    ),
    "power_w_max": (
        lambda: plasticity.diehl_cook_power_law(w_max=0), "DiehlCookPowerLaw", "w_max", "> 0",
    ),
    "triplet_tau": (
        lambda: plasticity.diehl_cook_triplet(tau_post_2=0 * ms),
        "DiehlCookTriplet",
        "tau_post_2",
        "> 0 s",
    ),
    "triplet_eta": (
        lambda: plasticity.diehl_cook_triplet(eta_pre=-1e-4), "DiehlCookTriplet", "eta_pre", ">= 0",
    ),
    "triplet_w_max": (
        lambda: plasticity.diehl_cook_triplet(w_max=-1.0), "DiehlCookTriplet", "w_max", "> 0",
    ),
    "instar_eta": (lambda: plasticity.instar(eta=1.5), "Instar", "eta", "in [0, 1]"),
    "instar_gain": (lambda: plasticity.instar(gain=0.0), "Instar", "gain", "> 0"),
    "instar_tau": (lambda: plasticity.instar(tau_pre=5), "Instar", "tau_pre", "in s"),
    "resume_eta": (lambda: plasticity.resume(eta=-1), "ReSuMe", "eta", ">= 0"),
    "resume_bounds": (
        lambda: plasticity.resume(w_min=3.0, w_max=2.0), "ReSuMe", "w_max", "above w_min",
    ),
    "side": (lambda: Statements(side="both", code="w = 0"), "Statements", "side", "'pre', 'post'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_parameters_are_checked(case: str) -> None:
    make, obj, name, wanted = BAD[case]
    with pytest.raises(ParameterError) as caught:
        make()
    assert (caught.value.obj, caught.value.name) == (obj, name)
    assert str(caught.value).startswith(f"{obj}.{name} must be ")
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        plasticity.pair_stdp,
        plasticity.diehl_cook_power_law,
        plasticity.diehl_cook_triplet,
        plasticity.instar,
        plasticity.resume,
    ],
)
def test_rules_name_their_source(make: Callable[[], PlasticityRule]) -> None:
    assert "doi:10." in make().reference
    assert "doi:10." in (make.__doc__ or "")


# What groups carry


def foreign(equations: str, **options: Any) -> NeuronGroup:
    """A group that biosnn has not made, which fires always."""
    return NeuronGroup(2, equations, threshold="True", reset="", dt=DT, method="exact", **options)


def test_connect_takes_foreign_groups_whose_traces_are_those_of_the_rule() -> None:
    """P8: the constants may come from the script, the namespace or the neurons."""
    rule = plasticity.pair_stdp(tau_plus=17 * ms, tau_minus=34 * ms, A_plus=0.1, A_minus=0.0)
    tau_script = 17 * ms  # noqa: F841
    pre = foreign("dx/dt = -x/tau_script : 1")
    post = foreign("dy/dt = -y/tau : 1\ntau : second (constant)")
    post.tau = 34 * ms
    pre.x = 1.0
    synapses = rule.connect(pre[:1], post)
    Network(pre, post, synapses).run(DT)
    assert np.asarray(synapses.w) == pytest.approx([0.1 * np.exp(-0.5 / 17)] * 2, rel=1e-12)


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        ("x : 1", r"whose x has no differential equation"),
        ("x = 1.0*i : 1", r"whose x has no differential equation"),
        ("dx/dt = -x/(30*ms) : 1", r"with dx/dt = -x/\(30 *\* *ms\)"),
        ("dx/dt = (1 - x)/(20*ms) : 1", r"with dx/dt = \(1 *- *x\)/\(20 *\* *ms\)"),
        ("dx/dt = -x/tau : 1\ntau : second", r"with dx/dt = -x/tau"),
    ],
)
def test_connect_refuses_what_is_no_trace_of_the_rule(equations: str, message: str) -> None:
    """P8."""
    rule = plasticity.pair_stdp()
    post = PUPPET.group(2, traces=rule.needs("post"), dt=DT)
    with pytest.raises(
        ParameterError, match=r"PairSTDP\.pre must be a group with the trace"
    ) as caught:
        rule.connect(foreign(equations), post)
    assert re.search(message, str(caught.value))


def test_connect_refuses_groups_with_the_traces_of_another_rule() -> None:
    """P8: what a group was made with is known."""
    rule = plasticity.pair_stdp(tau_plus=20 * ms)
    other = plasticity.pair_stdp(tau_plus=21 * ms).needs("pre")
    with pytest.raises(ParameterError, match=r"whose trace x has tau = 21\. ms"):
        rule.connect(PUPPET.group(1, traces=other, dt=DT), groups_for(rule)[1])
    nearest = plasticity.pair_stdp(pairing="nearest").needs("pre")
    with pytest.raises(ParameterError, match=r"whose trace x has tau = 20\. ms, '= 1'"):
        rule.connect(PUPPET.group(1, traces=nearest, dt=DT), groups_for(rule)[1])


def test_connect_refuses_groups_with_different_time_steps() -> None:
    """W22: a trace of the slower group is held between its steps."""
    rule = plasticity.pair_stdp()
    pre = PUPPET.group(1, traces=rule.needs("pre"), dt=1 * ms)
    post = PUPPET.group(1, traces=rule.needs("post"), dt=0.1 * ms)
    with pytest.raises(
        ParameterError, match=r"PairSTDP.pre must be the time step of post.* 1\. ms"
    ):
        rule.connect(pre, post)


@pytest.mark.parametrize("name", ["pair_stdp", "triplet_stdp", "symmetric_stdp"])
def test_sources_without_variables_keep_traces_at_synapses(name: str) -> None:
    """C13: the weights are those of neurons that fire at the same times."""
    rule = getattr(plasticity, name)()
    rng = np.random.default_rng(2)
    i, step = np.nonzero(rng.random((4, 400)) < 0.05)
    fires = rng.random(400) < 0.06
    order = np.lexsort((i, step))

    def fire(puppet: NeuronGroup, post: NeuronGroup) -> NetworkOperation:
        def script() -> None:
            now = round(post.clock.variables["t"].get_value().item() / STEP)
            post.v = float(fires[now])
            puppet.v[:] = np.isin(np.arange(4), i[step == now]).astype(float)

        return NetworkOperation(script, dt=DT, when="start")

    given = SpikeGeneratorGroup(4, i[order], step[order] * DT, dt=DT)
    weights = []
    for plain in (True, False):
        post = PUPPET.group(1, traces=rule.needs("post"), dt=DT)
        puppet = PUPPET.group(4, traces=rule.needs("pre"), dt=DT)
        pre = given if plain else puppet
        synapses = rule.connect(pre, post)
        synapses.w = 0.1
        objects = [given, post, puppet, synapses] if plain else [post, puppet, synapses]

        net = Network(*objects, fire(puppet, post))
        net.run(50 * ms)
        weights.append(np.array(synapses.w))
    assert np.ptp(weights[0]) > 1e-3
    assert np.abs(weights[0] - 0.1).max() > 1e-3
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-9)


def test_poisson_groups_learn() -> None:
    """C13."""
    rule = plasticity.pair_stdp(A_plus=0.1)
    pre = PoissonGroup(50, 200 * Hz, dt=DT)
    post = PUPPET.group(1, traces=rule.needs("post"), dt=DT)
    synapses, monitor = rule.connect(pre, post), SpikeMonitor(pre)
    net = Network(pre, post, synapses, monitor)
    net.run(20 * ms)
    post.v = 1
    net.run(DT)
    assert monitor.num_spikes > 20
    now = 20.0  # ms, when the neuron fires
    tau = float(rule.needs("pre")[0].tau / ms)
    traces = np.zeros(50)
    np.add.at(traces, np.asarray(monitor.i), np.exp(-(now - np.asarray(monitor.t / ms)) / tau))
    assert np.asarray(synapses.w) == pytest.approx(np.minimum(0.1 * traces, 1.0))


def test_the_remedy_for_groups_that_hold_no_variables_works() -> None:
    """C13."""
    rule = plasticity.pair_stdp(A_plus=0.1)
    post = PUPPET.group(1, traces=rule.needs("post"), dt=DT)
    reading = plasticity.delta_rule()
    with pytest.raises(ParameterError, match=r"use neurons, such as models\.poisson_unit\(nu_0=20"):
        reading.connect(PoissonGroup(50, 20 * Hz, dt=DT), post)
    pre = models.poisson_unit(nu_0=200 * Hz).group(50, traces=rule.needs("pre"), dt=DT)
    synapses, monitor = rule.connect(pre, post), SpikeMonitor(pre)
    net = Network(pre, post, synapses, monitor)
    net.run(20 * ms)
    post.v = 1
    net.run(DT)
    assert monitor.num_spikes > 20
    assert np.asarray(synapses.w) == pytest.approx(np.minimum(0.1 * np.asarray(pre.x), 1.0))


def test_a_trace_with_the_name_of_a_variable_is_refused_with_the_remedy() -> None:
    """C13."""
    rule = plasticity.pair_stdp()
    with pytest.raises(ParameterError, match=r"'x' of a trace and of the model .*rule\.prefixed"):
        encoding.poisson().group(50, traces=rule.needs("pre"))
    renamed = rule.prefixed("stdp")
    group = encoding.poisson().group(50, traces=renamed.needs("pre"), dt=DT)
    assert renamed.connect(group, PUPPET.group(1, traces=renamed.needs("post"), dt=DT))
