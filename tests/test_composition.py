"""Synapses, delays, short-term plasticity and rules with state of their own, on both devices."""

import attrs
import numpy as np
import pytest
from brian2 import Hz, Mohm, Network, amp, ms, mV, nS

from biosnn import encoding, models, simulation
from biosnn.errors import ParameterError
from biosnn.models import Companion, Operation, SynapseModel, Trace
from biosnn.networks import (
    FixedProbability,
    Input,
    NetworkModel,
    Population,
    Presentation,
    Projection,
)
from biosnn.plasticity import PlasticityRule, Statements

N_IN, N_OUT = 6, 4

CONDUCTANCE = SynapseModel(
    name="Conductance",
    companion=Companion(
        equations="dg/dt = -g/tau : siemens", parameters={"tau": 5 * ms, "E": 0 * mV}
    ),
    current="g*(E - v)",
    transmit="g_post += w*unit",
    parameters={"unit": 1 * nS},
)
GAP = SynapseModel(
    name="Gap",
    companion=Companion(equations="I : amp"),
    current="I",
    equations="I_post = w*unit*(v_pre - v_post) : amp (summed)",
    parameters={"unit": 0.5 * nS},
)
DEPRESSION = Companion(
    equations="dx/dt = (1 - x)/tau_rec : 1\nr : 1",
    operations=(Operation(code="r = U*x\nx -= r", on="spike", when="before_synapses"),),
    parameters={"tau_rec": 40 * ms, "U": 0.5},
    initial={"x": 1.0},
)
ELIGIBLE = PlasticityRule(
    name="Eligible",
    equations="dz/dt = -z/tau_z : 1 (clock-driven)",
    method="exact",
    pre_traces=(Trace(name="x", tau=20 * ms),),
    post_companion=Companion(
        equations="drate/dt = -rate/tau_rate : 1",
        operations=(Operation(code="rate += 1", on="spike", when="after_synapses"),),
        parameters={"tau_rate": 50 * ms},
    ),
    modulators={"reward": "critic.r"},
    statements=(
        Statements(side="post", code="z += x_pre", order=1),
        Statements(side="synapse", code="w += eta*reward_post*z", event="step", every=5 * ms),
        Statements(side="synapse", code="w -= eta*rate_post", event="end"),
    ),
    parameters={"tau_z": 30 * ms, "eta": 0.01},
)


def network(delay=2 * ms, reset="all", **changes) -> NetworkModel:
    cell = models.lif(R=200 * Mohm, tau_m=10 * ms).with_synapses(ampa=CONDUCTANCE, gap=GAP)
    projections = {
        "inp_out": Projection(
            pre="inp",
            post="out",
            synapse="ampa",
            weights=20.0 + np.arange(N_IN * N_OUT),
            delay=delay,
            short_term=DEPRESSION,
            rule=ELIGIBLE,
        ),
        "gap": Projection(pre="out", post="out", synapse="gap", weights=1.0, pairs="all_but_self"),
        **changes,
    }
    return NetworkModel(
        name="composed",
        dt=1 * ms,
        inputs={"x": Input(features=N_IN), "reward": Input(features=1)},
        populations={
            "inp": Population(model=encoding.regular(max_rate=200 * Hz), n=N_IN, drives={"x": "x"}),
            "out": Population(model=cell, n=N_OUT),
            "critic": Population(
                model=models.neuron(equations="r : 1", name="Critic"), n=1, drives={"r": "reward"}
            ),
        },
        projections=projections,
        presentation=Presentation(duration=60 * ms, reset=reset),
        output="out",
    )


SAMPLES = np.random.default_rng(0).uniform(0.2, 1.0, (6, N_IN))
REWARDS = np.array([[1.0], [-1.0], [0.5], [1.0], [0.0], [2.0]])


TRACES = {"inp_out.z": [0, 5], "inp_out.w": [3], "out.inp_out_rate": [0], "out.I_gap": [1]}


def shown(device: str, model: NetworkModel, learn: bool = True, **options):
    runnable = simulation.compile(
        model,
        device=device,
        math="strict" if device == "cpp" else "fast",
        spikes=("out",),
        traces=TRACES,
    )
    return runnable.run({"x": SAMPLES, "reward": REWARDS}, learn=learn, seed=3, **options)


@pytest.fixture(scope="module")
def compiled():
    return shown("cpp", network())


def test_both_devices_agree(compiled) -> None:
    recording, state = compiled
    assert recording.counts("out").sum() > 20
    before = network().initial_state(0)
    assert np.abs(state["inp_out.w"] - before["inp_out.w"]).max() > 0.01
    assert np.abs(state["inp_out.z"]).max() > 0.1
    other, after = shown("runtime", network())
    assert np.array_equal(recording.counts("out"), other.counts("out"))
    for name in after:
        np.testing.assert_allclose(state[name], after[name], rtol=1e-9, atol=1e-12, err_msg=name)
    for name in TRACES:
        assert np.abs(recording.traces[name].values).max() > 0
        np.testing.assert_allclose(
            recording.traces[name].values, other.traces[name].values, rtol=1e-9, atol=1e-24
        )


@pytest.mark.parametrize("device", ["cpp", "runtime"])
def test_where_a_run_is_cut_changes_no_bit(device, compiled) -> None:
    whole = compiled if device == "cpp" else shown(device, network())
    parts = shown(device, network(), chunk_size=1)
    assert whole[0].counts("out").sum() > 20
    assert np.array_equal(whole[0].counts("out"), parts[0].counts("out"))
    for name in whole[1]:
        assert np.array_equal(whole[1][name], parts[1][name]), name


def test_nothing_learns_where_learning_is_off(compiled) -> None:
    recording, state = shown("cpp", network(), learn=False)
    assert recording.counts("out").sum() > 20
    before = network().initial_state(0)
    assert np.array_equal(state["inp_out.w"], before["inp_out.w"])
    assert not state["inp_out.z"].any()
    assert np.abs(compiled[1]["inp_out.w"] - before["inp_out.w"]).max() > 0.01


def one_to_one(delay, n=3, weights=1.0, pairs="one_to_one", rest=0 * ms, duration=10 * ms):
    """Units that count what arrives; input spikes are given one by one."""
    counter = models.neuron(
        name="Counter",
        equations="v : 1\nwhen_last : second\nt_sample : second (linked)\nn_last : 1",
        operations=(
            Operation(
                code="when_last += int(v > n_last)*(t_sample - when_last)\nn_last = v",
                when="end",
            ),
        ),
        links={"t_sample": "protocol.t_sample"},
    )
    return NetworkModel(
        name="delays",
        dt=1 * ms,
        inputs={"events": Input(features=n, kind="events")},
        populations={
            "inp": Population(model=encoding.address_events(), n=n, drives={"x": "events"}),
            "out": Population(model=counter, n=n),
        },
        projections={
            "line": Projection(
                pre="inp",
                post="out",
                transmit="v_post += w",
                delay=delay,
                weights=weights,
                pairs=pairs,
            )
        },
        presentation=Presentation(
            duration=duration, rest=rest, reset={"out": ("v", "n_last", "when_last")}
        ),
        output="out",
    )


#: sample, unit and time in s of the spikes that are given
EVENTS = (
    np.array([0, 0, 0, 1, 2]),
    np.array([0, 1, 2, 2, 0]),
    np.array([1e-3, 5e-3, 8e-3, 0.0, 2e-3]),
)


def arrivals(model: NetworkModel, device: str = "runtime", **options):
    """How much arrived in each sample at each unit, and in which step (in ms) the last."""
    runnable = simulation.compile(model, device=device, per_sample=("out.v", "out.when_last"))
    recording, _ = runnable.run({"events": EVENTS, "n_samples": 3}, learn=False, **options)
    return recording.per_sample["out.v"], 1e3 * recording.per_sample["out.when_last"]


@pytest.mark.parametrize("device", ["cpp", "runtime"])
def test_an_event_takes_effect_after_its_delay_and_not_beyond_its_sample(device) -> None:
    values, when = arrivals(one_to_one(delay=3 * ms), device)
    assert values.sum() == 4
    # The one sent at 8 ms would arrive at 11 ms, when the presentation of 10 ms is over.
    np.testing.assert_array_equal(values, [[1, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_allclose(when, [[4, 8, 0], [0, 0, 3], [5, 0, 0]])
    again, _ = arrivals(one_to_one(delay=3 * ms), device, chunk_size=1)
    np.testing.assert_array_equal(values, again)


@pytest.mark.parametrize("device", ["cpp", "runtime"])
def test_every_synapse_may_have_its_own_delay(device) -> None:
    pairs = (np.array([2, 0, 1]), np.array([2, 0, 1]))  # not in the order (pre, post)
    model = one_to_one(delay=[0, 4, 2] * ms, weights=[3.0, 1.0, 2.0], pairs=pairs)
    values, when = arrivals(model, device)
    np.testing.assert_array_equal(values, [[1, 2, 3], [0, 0, 3], [1, 0, 0]])
    np.testing.assert_allclose(when, [[5, 7, 8], [0, 0, 0], [6, 0, 0]])


def test_a_delay_of_all_to_all_synapses_keeps_their_queue() -> None:
    values, when = arrivals(one_to_one(delay=3 * ms, pairs="all"), "cpp")
    np.testing.assert_array_equal(values, [[2, 2, 2], [1, 1, 1], [1, 1, 1]])
    np.testing.assert_allclose(when, [[8, 8, 8], [3, 3, 3], [5, 5, 5]])


def test_random_connectivity_is_part_of_the_declaration() -> None:
    pattern = FixedProbability(p=0.3, seed=4)
    i, j = pattern.indices(40, 50)
    assert 500 < len(i) < 700
    assert np.array_equal(np.lexsort((j, i)), np.arange(len(i)))
    assert np.array_equal(pattern.indices(40, 50)[1], j)
    model = one_to_one(delay=0 * ms, pairs=FixedProbability(p=0.7, seed=1))
    i, j = model.projections["line"].indices(3, 3)
    values, _ = arrivals(model)
    given = np.zeros((3, 3))
    np.add.at(given, EVENTS[:2], 1)
    expected = np.zeros((3, 3))
    for pre, post in zip(i, j, strict=True):
        expected[:, post] += given[:, pre]
    assert expected.sum() > 3
    np.testing.assert_array_equal(values, expected)


def test_rand_is_the_same_on_every_device_and_wherever_a_run_is_cut() -> None:
    unit = models.neuron(
        name="Noisy",
        equations="p : 1",
        threshold="rand() < p",
        reset="p = 0.3*rand() + 0.2",
        initial={"p": 0.3},
    )
    model = NetworkModel(
        name="noise",
        dt=1 * ms,
        inputs={},
        populations={"out": Population(model=unit, n=50)},
        presentation=Presentation(duration=200 * ms, reset={"out": ("p",)}),
        output="out",
    )
    counts = {}
    for device, chunk in (("cpp", 4), ("runtime", 4), ("cpp", 1)):
        runnable = simulation.compile(
            model, device=device, math="strict" if device == "cpp" else "fast"
        )
        recording, _ = runnable.run({"n_samples": 4}, learn=False, seed=1, chunk_size=chunk)
        counts[device, chunk] = recording.counts("out")
    first = counts["cpp", 4]
    assert first.mean() == pytest.approx(200 * 0.35, rel=0.1)
    assert len(np.unique(first, axis=0)) == 4
    for other in counts.values():
        assert np.array_equal(first, other)


def test_a_neuron_may_fire_in_the_step_in_which_its_input_arrives() -> None:
    times = {}
    for when in ("thresholds", "after_synapses"):
        unit = models.neuron(
            name="Relay", equations="v : 1", threshold="v >= 1", reset="v = 0", spike_when=when
        )
        base = one_to_one(delay=0 * ms)
        model = attrs.evolve(
            base,
            populations={**base.populations, "out": Population(model=unit, n=3)},
            presentation=Presentation(duration=10 * ms, reset={"out": ("v",)}),
        )
        runnable = simulation.compile(model, device="runtime", spikes=("out",))
        recording, _ = runnable.run({"events": EVENTS, "n_samples": 3}, learn=False)
        times[when] = 1e3 * recording.spikes["out"].t
    np.testing.assert_allclose(times["after_synapses"], [1, 5, 8, 0, 2])
    np.testing.assert_allclose(times["thresholds"], [2, 6, 9, 1, 3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"synapse": "nmda"},
            r"projections\['inp_out'\].synapse must be one of out's \(ampa, gap\)",
        ),
        ({"transmit": "v_post += 1*mV"}, "transmit must be empty beside a synapse"),
        ({"delay": -1 * ms}, r"delay must be finite and >= 0 s"),
        ({"delay": 3 * mV}, "delay must be a time"),
        ({"delay": 60 * ms}, r"delay must be below a presentation \(60. ms\)"),
        ({"delay": [1, 2] * ms}, r"delay must be one, or \(24,\)"),
        ({"short_term": Companion(equations="u : 1")}, "short_term must be a companion with the"),
        ({"rule": attrs.evolve(ELIGIBLE, modulators={"reward": "inp.x"})}, "of one neuron"),
        ({"rule": attrs.evolve(ELIGIBLE, modulators={"reward": "no.r"})}, "must be one of critic"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message) -> None:
    base = network().projections["inp_out"]
    with pytest.raises(ParameterError, match=message):
        network(inp_out=attrs.evolve(base, **changes))


def test_a_delayed_statement_must_have_a_form_that_can_be_gated() -> None:
    base = one_to_one(delay=1 * ms)
    line = attrs.evolve(base.projections["line"], transmit="v_post *= 2")
    with pytest.raises(ParameterError, match="where there is a delay"):
        attrs.evolve(base, projections={"line": line})


@pytest.mark.parametrize("name", models.LIBRARY)
def test_every_neuron_can_be_the_target_of_weights(name) -> None:
    cell = models.LIBRARY[name][0]()
    base = one_to_one(delay=0 * ms)
    line = attrs.evolve(base.projections["line"], transmit="")
    changed = attrs.evolve(
        base,
        populations={**base.populations, "out": Population(model=cell, n=3)},
        projections={"line": line},
        presentation=Presentation(duration=10 * ms),
    )
    assert "line.w" in changed.initial_state()


def test_a_neuron_must_not_call_a_variable_as_its_synapses_do() -> None:
    cell = models.neuron(name="Cell", equations="dw/dt = -w/tau : 1", parameters={"tau": 9 * ms})
    base = one_to_one(delay=0 * ms)
    changes = {"populations": {**base.populations, "out": Population(model=cell, n=3)}}
    with pytest.raises(ParameterError, match=r"'line'\].variables must be a name used once"):
        attrs.evolve(base, presentation=Presentation(duration=10 * ms), **changes)


def test_a_synapse_must_suit_its_neuron() -> None:
    with pytest.raises(ParameterError, match="a current in the unit of I"):
        models.competitive_unit().with_synapses(a=CONDUCTANCE)
    with pytest.raises(ParameterError, match='because the neuron has no input "I : unit"'):
        models.lif_conductance_based().with_synapses(a=CONDUCTANCE)
    cell = models.lif().with_synapses(a=CONDUCTANCE)
    with pytest.raises(ParameterError, match="a new identifier"):
        cell.with_synapses(a=CONDUCTANCE)
    both = cell.with_synapses(b=GAP)
    assert {"g_a", "I_b", "I_ext"} <= set(both.variables)
    assert both.method == "exponential_euler"
    assert both.initial["I_ext"] == 0 * amp


def test_coupled_rates_that_coincide_are_not_integrated_exactly(numpy_target) -> None:
    """The closed form of two coupled equations divides by the difference of their rates."""
    shadow = Companion(equations="du/dt = (v - u)/tau_u : volt", parameters={"tau_u": 10 * ms})
    cell = models.lif(tau_m=10 * ms)
    group = cell.group(1, traces=[shadow], dt=0.1 * ms)
    group.v, group.u = -55 * mV, -65 * mV
    Network(group).run(10 * ms)
    assert np.asarray(group.v)[0] == pytest.approx(-65e-3 + 10e-3 * np.exp(-1), rel=1e-6)
    assert np.asarray(group.u)[0] < -60e-3
