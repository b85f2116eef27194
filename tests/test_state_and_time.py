"""What a presentation resets, what a state takes, and the clock of recordings."""

from __future__ import annotations

import json
from typing import Any

import attrs
import brian2 as b2
import numpy as np
import pytest
from brian2 import ms, mV

from biosnn import encoding, models, networks, plasticity, simulation, storage
from biosnn.declaration import from_data, to_data
from biosnn.errors import DataError, DeviceError, ParameterError
from biosnn.experiments import stages
from biosnn.models import NeuronModel
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.recording import Spikes, Trace
from biosnn.state import State

DEVICES = ("runtime", "cpp")

pytestmark = pytest.mark.usefixtures("numpy_target")


def one(
    model: NeuronModel,
    n: int = 1,
    duration: Any = 53 * ms,
    drives: dict[str, str] | None = None,
    **presentation: Any,
) -> NetworkModel:
    """A network of one population ``c``, whose input ``I`` is set once per sample."""
    return NetworkModel(
        name="one",
        dt=0.1 * ms,
        inputs={"x": Input(features=n)},
        populations={"c": Population(model=model, n=n, drives=drives or {"I": "x"})},
        presentation=Presentation(duration=duration, **presentation),
        output="c",
    )


# The clock of recordings (W13)

#: Amperes of two neurons in three samples; the second one needs two retries.
CURRENTS = np.array([[20e-9, 30e-9], [6e-9, 0.0], [40e-9, 17e-9]])


def cell() -> NeuronModel:
    return models.lif(t_ref=2 * ms)


@pytest.fixture(scope="module")
def retried():
    """Samples of 53 ms and a rest of 7 ms, shown up to three times, on both devices."""
    amplified = cell().extended(
        "intensity : 1 (linked)\nI_given : amp",
        models.Operation(code="I = I_given*intensity", on="onset"),
        links={"intensity": "protocol.intensity"},
    )
    network = one(
        amplified,
        n=2,
        drives={"I_given": "x"},
        rest=7 * ms,
        watch="c",
        min_spikes=2,
        max_retries=3,
        intensity_step=2.0,
    )
    record: dict[str, Any] = {
        "per_sample": ("c.count", "c.v"),
        "spikes": ["c"],
        "traces": {"c.v": [0, 1], "c.I": simulation.TraceOf([1], every=0.5 * ms)},
    }
    found = {}
    for device in DEVICES:
        runnable = simulation.compile(network, device, **record)
        found[device] = runnable.run(CURRENTS, chunk_size=2, progress=False)[0]
    return found


def test_samples_are_shown_until_they_have_enough_spikes() -> None:
    """As often as the amplified input needs; one that never fires stops the run and is named."""
    summing = models.neuron(
        name="Summing",
        equations="dv/dt = I*intensity/(5*ms) : 1\nI : 1\nintensity : 1 (linked)",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        links={"intensity": "protocol.intensity"},
    )
    again = {"watch": "c", "min_spikes": 1, "max_retries": None, "intensity_step": 0.5}
    network = one(summing, duration=2 * ms, **again)
    assert from_data(to_data(network)).presentation.max_retries is None
    # The integral of 1 + attempt/2 over 2/5 of a time constant passes 1 with these inputs.
    needed = np.array([3.0, 0.9, 0.05, 2.6])
    attempts = np.maximum(np.ceil((1 / (0.4 * needed) - 1) / 0.5).astype(int), 0)
    assert (attempts.min(), attempts.max()) == (0, 98)
    runnable = simulation.compile(network, "cpp")  # which begins 256 presentations in no time
    recording, _ = runnable.run(needed[:, None], progress=False)
    assert recording.shown.tolist() == (attempts + 1).tolist()
    with pytest.raises(DeviceError, match="sample 1 of the run was shown 256 times without"):
        runnable.run(np.array([[3.0], [0.0]]), progress=False)
    with pytest.raises(ParameterError, match=r"max_retries must be a number, got None.*watch="):
        one(summing, max_retries=None)


def in_brian2(currents: np.ndarray, steps: int) -> tuple[np.ndarray, ...]:
    """One presentation in plain Brian2: times, potentials and spikes of its own monitors."""
    group = cell().group(len(currents), dt=0.1 * ms)
    group.I = currents * b2.amp
    trace, spikes = b2.StateMonitor(group, "v", record=True), b2.SpikeMonitor(group)
    b2.Network(group, trace, spikes).run(steps * 0.1 * ms, namespace={})
    return tuple(map(np.asarray, (trace.t, trace.v, spikes.i, spikes.t)))


@pytest.mark.parametrize("device", DEVICES)
def test_spikes_and_traces_have_the_times_of_brian2s_monitors(retried, device: str) -> None:
    """W13: within the presentation, sample by sample and attempt by attempt."""
    recording = retried[device]
    assert recording.shown.tolist() == [1, 2, 1]
    presentations = [(0, 0, 1.0), (1, 0, 1.0), (1, 1, 3.0), (2, 0, 1.0)]
    trace, spikes = recording.traces["c.v"], recording.spikes["c"]
    fired = []
    for number, (sample, attempt, factor) in enumerate(presentations):
        t, v, i, times = in_brian2(CURRENTS[sample] * factor, 600)
        shown = trace.of_sample(sample, attempt)
        np.testing.assert_allclose(shown.t, t, rtol=0, atol=1e-12)
        np.testing.assert_allclose(shown.values, v, rtol=0, atol=1e-14)
        np.testing.assert_allclose(shown.time, t + number * 60e-3, rtol=0, atol=1e-12)
        train = spikes.of_sample(sample, attempt)
        assert train.i.tolist() == i.tolist()
        np.testing.assert_allclose(train.t, times, rtol=0, atol=1e-12)
        np.testing.assert_allclose(train.time, times + number * 60e-3, rtol=0, atol=1e-12)
        fired.append(len(i))
    assert fired[1] < 2 <= min(fired[0], fired[2], fired[3])
    assert len(spikes.i) == sum(fired)


def test_a_spike_lies_on_the_trace_of_its_neuron(retried) -> None:
    """W13: at its time the potential is below threshold for the last time, then it is reset."""
    recording = retried["cpp"]
    trace, spikes = recording.traces["c.v"], recording.spikes["c"]
    steps = np.rint(spikes.time / 1e-4).astype(int)
    assert len(steps) > 20
    np.testing.assert_array_equal(np.rint(trace.time[steps] / 1e-4), steps)
    before, after = trace.values[spikes.i, steps], trace.values[spikes.i, steps + 1]
    assert (before > -52e-3).all()
    assert (before <= -50e-3).all()
    np.testing.assert_allclose(after, -65e-3, atol=1e-12)


def test_attempts_and_thin_traces_have_the_same_clock(retried) -> None:
    """W13: on the slower clock of a trace, and over attempts."""
    recording = retried["runtime"]
    current = recording.traces["c.I"]
    assert current.values.shape == (1, 4 * 120)
    assert sorted(set(zip(current.sample, current.attempt, strict=True))) == [
        (0, 0), (1, 0), (1, 1), (2, 0),
    ]  # fmt: skip
    np.testing.assert_allclose(current.of_sample(1, -1).t, np.arange(120) * 5e-4, atol=1e-12)
    # What an input sets is there at the onset.
    np.testing.assert_allclose(current.of_sample(2).values, 17e-9, rtol=1e-6)
    assert recording.clock.onset(2) == pytest.approx(180e-3)
    counted = recording.spikes["c"].of_sample(1, -1)
    np.testing.assert_array_equal(np.bincount(counted.i, minlength=2), recording.counts("c")[1])


def test_devices_have_one_clock(retried) -> None:
    """W13: to the bit."""
    ours, theirs = retried["cpp"], retried["runtime"]
    for name in ("i", "t", "sample", "attempt", "time"):
        one, other = (getattr(found.spikes["c"], name) for found in (ours, theirs))
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_what_belongs_to_no_run_has_no_place_in_time() -> None:
    spikes = Spikes(np.zeros(1, int), np.zeros(1), np.zeros(1, int))
    assert spikes.attempt.tolist() == [0]
    trace = Trace(np.zeros(1), np.zeros((1, 1)), np.zeros(1, int), "V")
    for use in (lambda: spikes.time, lambda: trace.t, lambda: spikes.of_sample(0, -1)):
        with pytest.raises(DataError, match="belong to no run"):
            use()


@pytest.mark.parametrize("kind", ["spikes", "traces", "snapshots", "per_sample"])
def test_what_was_not_recorded_says_what_was_and_how_to_record_it(retried, kind: str) -> None:
    """C12: an error that is a KeyError, too."""
    found = getattr(retried["runtime"], kind)
    assert found.get("nobody") is None
    assert "nobody" not in found
    with pytest.raises(KeyError) as raised:
        found["nobody"]
    said = str(raised.value)
    assert f"simulation.compile(..., {kind}=...)" in said
    assert said.startswith("'nobody' is not among")
    assert all(repr(name) in said for name in found) if found else "there are none" in said


@pytest.mark.parametrize("given", [True, 3, "c", [True], ["c", 1]])
@pytest.mark.parametrize("kind", ["spikes", "per_sample"])
def test_recorders_are_lists_of_names(kind: str, given: Any) -> None:
    """C12."""
    options: dict[str, Any] = {kind: given}
    with pytest.raises(ParameterError, match=rf"compile.{kind} must be a list .*names"):
        simulation.compile(one(cell()), "runtime", **options)


# What a presentation resets (W1, W14), and what follows an event (W4)

EIF_CURRENT = 0.03  # A/m**2, which is 30 nA/mm**2: the third presentation used to begin 1 ms late

HOMEOSTATIC = models.neuron(
    name="Homeostatic",
    equations="""
    dv/dt = (I - v)/(10*ms) : 1 (unless refractory)
    dtheta/dt = -theta/(500*ms) : 1
    I : 1
    """,
    threshold="v > 1 + theta",
    reset="v = 0; theta += 0.15",
    refractory=3 * ms,
    slow=("theta",),
)

COUNTING = models.neuron(
    name="Counting",
    equations="step : integer (linked)\na : 1\nb : 1\nc : 1\nd : 1\nx : 1",
    threshold="(step - 6) % 106 == 105 or step == 530",  # in the last step, too
    reset="",
    operations=[
        models.Operation(code="a += 1", on="spike"),
        models.Operation(code="b += 1", on="marked"),
        models.Operation(code="d += 1", on="begun"),
    ],
    events={
        "marked": "step % 265 == 0",
        "begun": models.Event(condition="x > 0", every="presentation"),
    },
    links={"step": "protocol.step"},
)


def resetting(reset: Any = "all") -> NetworkModel:
    """Neurons that end a presentation refractory, that adapt, and that count events."""
    return NetworkModel(
        name="resetting",
        dt=0.1 * ms,
        inputs={"current": Input(features=1), "drive": Input(features=1)},
        populations={
            "c": Population(model=models.eif(), n=1, drives={"I": "current"}),
            "h": Population(model=HOMEOSTATIC, n=1, drives={"I": "drive"}),
            "k": Population(model=COUNTING, n=1, drives={"x": "drive"}),
        },
        presentation=Presentation(duration=53 * ms, reset=reset),
        output="h",
    )


BOTH = {"current": np.full((5, 1), EIF_CURRENT), "drive": np.full((5, 1), 3.0)}


@pytest.fixture(scope="module")
def reset_all():
    """Five presentations with ``reset="all"``, on both devices."""
    found = {}
    for device in DEVICES:
        counted = ("h.count", "c.count", "h.theta", "k.a", "k.b", "k.d")
        runnable = simulation.compile(resetting(), device, per_sample=counted, spikes=("c", "h"))
        found[device] = runnable.run(BOTH, chunk_size=2, progress=False)[0]
    return found


def first_spikes(recording: Any, n: int, key: str = "c") -> list[float]:
    """Milliseconds from each onset to the first spike."""
    trains = [recording.spikes[key].of_sample(k).t for k in range(n)]
    return [round(1e3 * train.min(), 3) for train in trains]


@pytest.mark.parametrize("device", DEVICES)
def test_a_refractory_neuron_begins_anew(reset_all, device: str) -> None:
    """W1: it used to keep its potential, and to go on being refractory."""
    recording = reset_all[device]
    assert first_spikes(recording, 5) == [5.1] * 5
    assert recording.counts("c").ravel().tolist() == [7] * 5
    last = recording.spikes["c"].of_sample(0).t.max()
    assert last > 53e-3 - 1.7e-3, "the presentation does not end within the refractory period"


def test_a_dict_resets_potential_and_refractoriness_each_by_its_name() -> None:
    """W1: what is named is reset unconditionally, and nothing else is."""
    found = {}
    for names in (("v",), ("v", "lastspike"), ("lastspike",), ()):
        runnable = simulation.compile(one(models.eif(), reset={"c": names}), spikes=("c",),
                                      device="runtime")  # fmt: skip
        found[names] = runnable.run(BOTH["current"], progress=False)[0]
    assert first_spikes(found["v", "lastspike"], 5) == [5.1] * 5
    kept = first_spikes(found["v",], 5)
    assert kept[0] == 5.1
    for k, late in enumerate(kept[1:]):
        # Refractory for the rest of 1.7 ms, then as from the first onset.
        left = found["v",].spikes["c"].of_sample(k).t.max() * 1e3 + 1.7 - 53
        assert late == pytest.approx(5.1 + max(left, 0), abs=0.11)
    assert max(kept) > 5.5
    assert len({tuple(first_spikes(part, 5)) for part in found.values()}) == 4


def test_torch_and_brian2_begin_a_presentation_alike(reset_all) -> None:
    """W1: the module shows every sample from the initial state."""
    torch = pytest.importorskip("torch")
    from biosnn import surrogate

    for reset in ("all", {"c": ("v", "lastspike")}):
        module = surrogate.to_torch(one(models.eif(), reset=reset)).double()
        spikes = module(torch.as_tensor(BOTH["current"]))[..., 0]
        for sample in range(5):
            steps = torch.nonzero(spikes[:, sample])[:, 0].numpy()
            ours = reset_all["runtime"].spikes["c"].of_sample(sample).t
            np.testing.assert_array_equal(steps, np.rint(ours / 1e-4))


def homeostasis_in_brian2() -> tuple[list[int], list[float]]:
    """Spikes per presentation and theta after it, where only theta outlives it."""
    group = HOMEOSTATIC.group(1, dt=0.1 * ms)
    group.I = 3
    spikes = b2.SpikeMonitor(group)
    net = b2.Network(group, spikes)
    counts, thetas = [], []
    for _ in range(5):
        group.v, group.lastspike = 0, net.t - 1e4 * b2.second
        before = spikes.num_spikes
        net.run(53 * ms, namespace={})
        counts.append(spikes.num_spikes - before)
        thetas.append(float(group.theta[0]))
    return counts, thetas


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_slow_outlives_presentations(reset_all, device: str) -> None:
    """W14: homeostasis goes on from sample to sample with ``reset="all"``."""
    counts, thetas = homeostasis_in_brian2()
    assert counts[0] > 2 * counts[-1] > 0
    recording = reset_all[device]
    assert recording.counts("h").ravel().tolist() == counts
    np.testing.assert_allclose(recording["h.theta"].ravel(), thetas, rtol=1e-9)


def test_a_network_tells_what_a_presentation_resets() -> None:
    """W14."""
    assert resetting().resets == {"c": ("v", "lastspike"), "h": ("v", "lastspike")}
    assert resetting("none").resets == {}
    assert resetting({"h": ("theta",)}).resets == {"h": ("theta",)}
    diehl_cook = networks.diehl_cook_2015(9, 4)
    anew = attrs.evolve(diehl_cook, presentation=Presentation(duration=50 * ms)).resets
    assert "theta" not in anew["exc"]  # it adapts over samples
    assert {"g_e", "g_i", "v", "lastspike"} < set(anew["exc"])
    clopath = plasticity.voltage_stdp(u_ref=1 * mV).post_companion
    assert clopath is not None
    assert models.lif().with_traces([clopath]).fast == ("u_minus", "u_plus", "v", "lastspike")


def test_a_model_without_slow_variables_in_a_file_is_read(tmp_path) -> None:
    """Models that were written before there were any."""
    data = to_data(models.adaptive_lif())
    for name in ("slow", "transient"):
        del data[name]
    old = from_data(data)
    assert old.fast == ("theta", "v", "w_adapt", "lastspike")
    assert attrs.evolve(old, slow=("theta",)).fast == ("v", "w_adapt", "lastspike")


def test_discrete_variables_can_be_transient() -> None:
    """Variables without a differential equation, which are kept otherwise."""
    square = models.neuron(
        name="SquareIF",
        equations="v : 1\nI : 1",
        operations=[models.Operation(code="v += I**2", when="groups")],
        threshold="v >= 1",
        reset="v = 0",
        transient=("v",),
    )
    counts = {}
    for model in (square, attrs.evolve(square, transient=())):
        runnable = simulation.compile(one(model, duration=0.8 * ms), "runtime")
        counts[model.transient] = runnable.run(np.full((4, 1), 0.6), progress=False)[0].counts("c")
    assert counts["v",].ravel().tolist() == [2, 2, 2, 2]
    assert counts[()].ravel().tolist() == [2, 3, 3, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slow": ("u",)}, "slow must be variables of the model"),
        ({"transient": ("v",)}, "transient must be variables without a differential equation"),
        ({"slow": ("I",), "transient": ("I",)}, "that are not slow"),
    ],
)
def test_slow_and_transient_variables_are_known(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        attrs.evolve(models.lif(), **changes)


@pytest.mark.parametrize("device", DEVICES)
def test_operations_see_all_events_of_their_presentation(reset_all, device: str) -> None:
    """W4: those of the last step, too; and events of a presentation happen once in it."""
    recording = reset_all[device]
    assert recording["k.a"].ravel().tolist() == [6, 12, 18, 24, 30]
    assert recording["k.b"].ravel().tolist() == [2, 4, 6, 8, 10]
    assert recording["k.d"].ravel().tolist() == [1, 2, 3, 4, 5]


def test_event_operations_in_plain_brian2_come_in_the_same_step() -> None:
    """W4: outside of networks."""
    group = models.lif().extended("n : 1", models.Operation(code="n += 1", on="spike")).group(1)
    (operation,) = [o for o in group.contained_objects if o.name.endswith("operation_0")]
    assert (operation.when, operation.order) == ("after_resets", 0)


LATE = attrs.evolve(models.lif(), spike_when="after_synapses")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: models.lif().extended("n : 1", models.Operation(
                code="n += 1", on="spike", when="start")),
            r"LIF.operations\[0\].when must be behind the test of 'spike' \('thresholds', order 0\)"
            ", got 'start', order 0",
        ),
        (
            lambda: LATE.extended("n : 1", models.Operation(
                code="n += 1", on="spike", when="after_synapses")),
            r"behind the test of 'spike' \('after_synapses', order 1\)",
        ),
        (
            lambda: models.neuron(equations="x : 1", events={"high": models.Event(
                condition="x > 0", when="end")}, operations=[models.Operation(
                    code="x = 0", on="high")]),
            r"behind the test of 'high' \('end', order 0\), got 'after_resets'",
        ),
        (
            lambda: models.neuron(equations="x : 1", operations=[models.Operation(
                code="x = 0", on="spike")]),
            r"operations\[0\].on must be 'step', 'onset', 'input' or an event \(it has none\)",
        ),
        (
            lambda: models.Operation(code="x = 0", on="onset", when="end"),
            "Operation.when must be left out with on='onset'",
        ),
        (
            lambda: models.Operation(code="x = 0", when="later"),
            "Operation.when must be one of",
        ),
        (
            lambda: learning(LATE, plasticity.pair_stdp()),
            r"projections\['in_out'\].rule.statements\[1\].when must be behind the test of 'spike'",
        ),
    ],
)  # fmt: skip
def test_what_comes_before_its_cause_is_refused(make: Any, message: str) -> None:
    """W4: it would act one step late, and never in the last step."""
    with pytest.raises(ParameterError, match=message):
        make()


def learning(model: NeuronModel, rule: Any) -> NetworkModel:
    """One neuron of a model learns from another one."""
    return NetworkModel(
        name="learning",
        dt=0.1 * ms,
        inputs={"x": Input(features=1, kind="events")},
        populations={
            "inp": Population(model=encoding.address_events(), n=1, drives={"x": "x"}),
            "out": Population(model=model, n=1),
        },
        projections={
            "in_out": Projection(pre="inp", post="out", transmit="v_post += w*mV", weights=0.5,
                                 rule=rule),
        },
        presentation=Presentation(duration=5 * ms),
        output="out",
    )  # fmt: skip


def test_a_trace_follows_the_spikes_of_neurons_that_are_tested_late() -> None:
    """W4: the bump of the last step's spike is not lost."""
    traced = LATE.with_traces([models.Trace(name="y", tau=1e6 * ms)])
    (operation,) = traced.operations
    assert (operation.when, operation.order) == ("after_synapses", 2)
    group = attrs.evolve(traced, threshold="True", refractory=None).group(1, dt=0.1 * ms)
    b2.Network(group).run(0.3 * ms, namespace={})
    assert group.y[0] == pytest.approx(3)


# What a state takes (W2)


@pytest.fixture(scope="module")
def transposable() -> NetworkModel:
    """Full projections of 2 x 3 and 3 x 2 weights, whose numbers are equally many."""
    population = Population(model=models.lif(), n=2)
    return NetworkModel(
        name="transposable",
        dt=0.1 * ms,
        inputs={"x": Input(features=2)},
        populations={
            "p": attrs.evolve(population, drives={"I": "x"}),
            "q": Population(model=models.lif(), n=3),
        },
        projections={
            "pq": Projection(pre="p", post="q", transmit="v_post += w*mV", weights=0.5),
            "qp": Projection(pre="q", post="p", transmit="v_post += w*mV", weights=0.25),
        },
        presentation=Presentation(duration=5 * ms),
        output="q",
    )


def test_weights_have_their_shape(transposable: NetworkModel) -> None:
    """W2: a transposed matrix is refused; a full and a flat one are the same."""
    state = transposable.initial_state()
    matrix = np.arange(6.0).reshape(2, 3)
    for given in (matrix, matrix.ravel()):
        np.testing.assert_array_equal(state.updated({"pq.w": given}).weights("pq"), matrix)
    assert (state.updated({"pq.w": 2})["pq.w"] == 2).all()
    for given in (matrix.T, matrix[None], matrix.reshape(6, 1), matrix[:, :2], matrix[0]):
        with pytest.raises(DataError, match=r"must have shape \(6,\) .* or \(2, 3\), got"):
            state.updated({"pq.w": given})
    for given in (np.zeros((2, 1)), np.zeros((1, 2)), np.zeros(3)):
        with pytest.raises(DataError, match=r"must have shape \(2,\), got"):
            state.updated({"p.v": given})


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("pq.w", np.nan, "must be finite, got NaN"),
        ("pq.w", np.inf, "must be finite, got infinity"),
        ("pq.w", ["a"] * 6, "must be numbers"),
        ("pq.w", 3 * mV, "must be in plain numbers, got values in V"),
        ("p.v", [-60, -61] * b2.mA, "must be in V, got values in A"),
        ("p.v", b2.Quantity(-0.06), "must be in V, got values in plain numbers"),
        ("protocol.seen", [0.5], "must be whole numbers"),
    ],
)
def test_states_take_finite_numbers_in_their_units(transposable, name, given, message) -> None:
    """W2."""
    state = transposable.initial_state()
    with pytest.raises(DataError, match=message):
        state.updated({name: given})
    np.testing.assert_allclose(state.updated({"p.v": [-60, -61] * mV})["p.v"], [-0.06, -0.061])


def test_only_times_of_spikes_that_did_not_come_are_infinite(transposable, tmp_path) -> None:
    """A state says which variables may be; it does so after a stage of an experiment, too."""
    made = simulation.compile(transposable, "runtime", per_sample=("p.t_first", "q.count"))
    recording, state = made.run(np.zeros((1, 2)), progress=False)
    assert np.isinf(recording.latencies("p")).all()
    assert state.infinite == {"p.t_first"}
    early = state.updated({"p.t_first": [1e-3, 2e-3]})
    assert np.isinf(early.updated({"p.t_first": np.inf})["p.t_first"]).all()
    with pytest.raises(DataError, match=r"'p.v'\] must be finite, got infinity"):
        state.updated({"p.v": np.inf * mV})
    made.run(np.zeros((1, 2)), state, progress=False)
    wrong = {**state, "p.t_first": np.full(2, np.nan)}
    with pytest.raises(DataError, match=r"'p.t_first'\] must be finite, got nan at index 0"):
        made.run(np.zeros((1, 2)), State(wrong, state.shapes, state.units), progress=False)
    arrays: dict[str, np.ndarray] = {}
    kept = stages._from_data(json.loads(json.dumps(stages._to_data(state, arrays))), arrays)
    assert (kept.infinite, kept.checksum()) == (state.infinite, state.checksum())


def test_states_of_transposed_networks_are_not_mixed(transposable: NetworkModel) -> None:
    """W2: nor by torch, nor from a file."""
    state = transposable.initial_state()
    other = NetworkModel(
        name="turned",
        dt=transposable.dt,
        inputs={"x": Input(features=3)},
        populations={
            "p": Population(model=models.lif(), n=3, drives={"I": "x"}),
            "q": Population(model=models.lif(), n=2),
        },
        projections=transposable.projections,
        presentation=transposable.presentation,
        output="q",
    )
    turned = other.initial_state()
    with pytest.raises(DataError, match=r"state\['pq.w'\] must have shape"):
        state.transferred(turned)
    kept = state.transferred({"p.v": turned["p.v"], "pq.w": np.arange(6.0)})
    np.testing.assert_array_equal(kept["p.v"], state["p.v"])  # of another size
    assert kept["pq.w"].tolist() == list(range(6))
    pytest.importorskip("torch")
    from biosnn import surrogate

    module = surrogate.to_torch(transposable)
    with pytest.raises(DataError, match=r"state\['pq.w'\] must have shape \(2, 3\), got \(3, 2\)"):
        module.load_state(turned)


def test_a_file_with_nan_is_refused(transposable: NetworkModel, tmp_path) -> None:
    """W2."""
    path = tmp_path / "state.biosnn"
    state = transposable.initial_state()
    storage.save_state(state, path, network=transposable)
    again = storage.load_state(path, network=transposable)
    with pytest.raises(DataError, match="must be in V"):
        again.updated({"p.v": 3 * b2.mA})
    broken = State({**state, "p.v": np.full(2, np.nan)}, state.shapes, state.units)
    with pytest.raises(ParameterError, match=r"NaN in .p\.v., at index 0"):
        storage.save_state(broken, tmp_path / "other.biosnn", network=transposable)


# Samples on their way to the neurons (W10, P6)


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    """A neuron that only holds its input, on both devices, in both precisions."""
    model = models.neuron(equations="I : amp\nx : 1", threshold="x > 1e9", reset="")
    network = NetworkModel(
        name="given",
        dt=1 * ms,
        inputs={"current": Input(features=2), "frames": Input(features=2, kind="sequence",
                                                              frame=1 * ms)},
        populations={"c": Population(model=model, n=2, drives={"I": "current", "x": "frames"})},
        presentation=Presentation(duration=2 * ms),
        output="c",
    )  # fmt: skip
    kept = {"per_sample": ("c.I", "c.x")}
    return {
        "runtime": simulation.compile(network, "runtime", **kept),
        "cpp": simulation.compile(network, "cpp", **kept),
        "single": simulation.compile(network, "runtime", precision="single", **kept),
    }


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int64])
def test_samples_keep_their_precision(given, device: str, dtype: type) -> None:
    """W10: .1 is .1, and not .10000000149; what needs no more takes the space of float32."""
    values = np.array([[0.1, 1 / 3], [2.0, 1e-12], [7.0, 0.7]])
    if np.dtype(dtype).kind in "iu":
        values *= 30
    values = values.astype(dtype)
    if dtype is np.int64:
        values[0] = 2**53 - 1
    samples = {"current": values, "frames": np.stack([values[::-1], values], axis=1)}
    recording, _ = given[device].run(samples, chunk_size=2, progress=False)
    assert values.astype(float).max() >= 2
    np.testing.assert_array_equal(recording["c.I"], values.astype(float))
    np.testing.assert_array_equal(recording["c.x"], values.astype(float))


def test_single_precision_stays_single(given) -> None:
    """W10."""
    samples = {"current": [[0.1, 0.2]], "frames": np.full((1, 1, 2), 0.1)}
    recording, _ = given["single"].run(samples, progress=False)
    np.testing.assert_array_equal(recording["c.I"], np.float32([[0.1, 0.2]]))
    beyond = {**samples, "current": [[0.1, 1e39]]}
    with pytest.raises(DataError, match=r"'current' must be within .*1e\+39 at \(0, 1\)"):
        given["single"].run(beyond, progress=False)
    assert given["runtime"].run(beyond, progress=False)[0]["c.I"][0, 1] == 1e39


@pytest.mark.parametrize("device", DEVICES)
def test_quantities_are_samples(given, device: str) -> None:
    """P6: in any multiple of the variable's unit."""
    frames = np.zeros((2, 1, 2))
    currents = [[20, 30], [-1, 0]] * b2.nA
    recording, _ = given[device].run({"current": currents, "frames": frames}, progress=False)
    np.testing.assert_allclose(recording["c.I"], [[20e-9, 30e-9], [-1e-9, 0]], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("current", [[1, 2]] * mV, "'current' must be in A, or numbers of A, got values in V"),
        ("frames", [[[1, 2]]] * b2.nA, "'frames' must be plain numbers, got values in A: divide"),
        ("current", [[np.nan, 0]], r"'current' must be finite, got nan at \(0, 0\)"),
        ("frames", [[[0, np.inf]]], r"'frames' must be finite, got inf at \(0, 0, 1\)"),
    ],
)
def test_wrong_units_and_nan_are_refused(given, name: str, values: Any, message: str) -> None:
    """P6, S3: in words that lead to the right number."""
    samples = {"current": np.zeros((1, 2)), "frames": np.zeros((1, 1, 2)), name: values}
    with pytest.raises(DataError, match=message):
        given["runtime"].run(samples, progress=False)


@pytest.mark.parametrize("device", DEVICES)
def test_a_projection_without_any_synapse_runs(device: str) -> None:
    """C3: a pattern that connects nothing, and empty lists."""
    encoder = encoding.poisson(max_rate=1000 * b2.Hz)
    network = NetworkModel(
        name="unconnected",
        dt=0.1 * ms,
        inputs={"x": Input(features=3)},
        populations={
            "a": Population(model=encoder, n=3, drives={"x": "x"}),
            "b": Population(model=models.lif(), n=2),
        },
        projections={
            key: Projection(pre="a", post="b", transmit="v_post += w*mV", weights=0.5, **more)
            for key, more in {
                "none": {"pairs": networks.FixedProbability(p=0)},
                "listed": {"pairs": ([], []), "delay": 1 * ms, "rule": plasticity.pair_stdp()},
            }.items()
        },
        presentation=Presentation(duration=5 * ms),
        output="b",
    )
    kept: dict[str, Any] = {"per_sample": ("a.count", "b.v"), "snapshots": {"none.w": 1}}
    recording, state = simulation.compile(network, device, **kept).run(
        np.ones((2, 3)), learn=True, progress=False
    )
    assert recording["a.count"].sum() > 5
    np.testing.assert_allclose(recording["b.v"], -65e-3)
    assert state["none.w"].shape == state["listed.w"].shape == (0,)
