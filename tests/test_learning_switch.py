"""What must not reach across borders, and what learning off must leave alone."""

import numpy as np
import pytest
from brian2 import ms

from biosnn import encoding, models, plasticity, simulation
from biosnn.errors import ParameterError
from biosnn.models import Companion, Operation, SynapseModel
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule, Statements

COUNTER = models.neuron(name="Counter", equations="v : 1", threshold="v > 1e9", reset="")


def source(step: int, when: str = "thresholds") -> models.NeuronModel:
    """A unit that fires in one step of every presentation."""
    return models.neuron(
        name="Source",
        equations="step : integer (linked)",
        threshold=f"step == {step}",
        reset="",
        links={"step": "protocol.step"},
        spike_when=when,
    )


def network(populations, projections, reset="none") -> NetworkModel:
    return NetworkModel(
        name="switch",
        dt=1 * ms,
        inputs={},
        populations={
            key: part if isinstance(part, Population) else Population(model=part, n=1)
            for key, part in populations.items()
        },
        projections=projections,
        presentation=Presentation(duration=10 * ms, reset=reset),
        output=list(populations)[-1],
    )


def final(model: NetworkModel, learn=False, device="runtime", chunk=4):
    runnable = simulation.compile(model, device=device, per_sample=())
    return runnable.run({"n_samples": 4}, learn=learn, seed=2, chunk_size=chunk)[1]


@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_a_spike_of_the_last_step_stays_in_its_presentation(device) -> None:
    """A reader whose slot comes before the threshold sees the step before, but no other sample."""
    model = network(
        {"early": source(9, "after_synapses"), "late": source(10, "after_synapses")}
        | {"a": COUNTER, "b": COUNTER},
        {
            "early_a": Projection(pre="early", post="a", transmit="v_post += 1"),
            "late_b": Projection(pre="late", post="b", transmit="v_post += 1"),
        },
    )
    for chunk in (1, 4):
        state = final(model, device=device, chunk=chunk)
        assert state["a.v"][0] == 4
        assert state["b.v"][0] == 0


def test_numbers_of_synapses_are_known_to_a_full_projection() -> None:
    model = network(
        {"a": Population(model=source(5), n=3), "b": Population(model=COUNTER, n=2)},
        {"ab": Projection(pre="a", post="b", transmit="v_post += w/N_incoming", weights=3.0)},
    )
    for device in ("runtime", "cpp"):
        np.testing.assert_allclose(final(model, device=device)["b.v"], 12)


def keeps(side: str, plastic: bool = True) -> PlasticityRule:
    """A rule that counts steps on the neurons of one side."""
    companion = Companion(
        equations="q : 1", operations=(Operation(code="q += 1", plastic=plastic),)
    )
    return PlasticityRule(
        name="Keeps",
        statements=(Statements(side="post", code="w = w"),),
        **{f"{side}_companion": companion},
    )


@pytest.mark.parametrize("side", ["pre", "post"])
def test_a_plastic_companion_stops_with_its_own_projection(side) -> None:
    def joined(rule):
        return Projection(pre="a", post="b", weights=1.0, rule=rule)

    model = network({"a": source(5), "b": COUNTER}, {k: joined(keeps(side)) for k in ("p", "r")})
    host = "a" if side == "pre" else "b"
    on, off, half = (final(model, learn) for learn in (True, False, ["p"]))
    assert [on[f"{host}.{k}_q"][0] for k in "pr"] == [40, 40]
    assert [off[f"{host}.{k}_q"][0] for k in "pr"] == [0, 0]
    assert [half[f"{host}.{k}_q"][0] for k in "pr"] == [40, 0]


def test_a_threshold_adapts_only_while_something_learns() -> None:
    cell = plasticity.adaptive_threshold(
        models.neuron(name="Cell", equations="v : 1", threshold="v > 0.5", reset="v = 0"),
        theta_plus=0.01,
        tau_theta=1000 * ms,
    )
    model = network(
        {"a": source(5), "b": cell, "c": COUNTER},
        {
            "ab": Projection(pre="a", post="b", transmit="v_post += 1"),
            "bc": Projection(pre="b", post="c", weights=1.0, rule=keeps("pre", plastic=False)),
        },
    )
    on, off = final(model, learn=True), final(model, learn=False)
    assert on["b.theta"][0] > 0
    assert off["b.theta"][0] == 0


def test_learning_is_refused_where_nothing_can_learn() -> None:  # W15
    model = network(
        {"a": source(5), "b": COUNTER},
        {"ab": Projection(pre="a", post="b", transmit="v_post += 1")},
    )
    runnable = simulation.compile(model, device="runtime", per_sample=())
    for learn in (False, (), []):
        assert runnable.run({"n_samples": 2}, learn=learn)[1]["b.v"][0] == 2
    assert runnable.run({"n_samples": 2})[1]["b.v"][0] == 2
    with pytest.raises(ParameterError, match=r"run\.learn must be False, because no projection"):
        runnable.run({"n_samples": 2}, learn=True)
    with pytest.raises(ParameterError, match="has a rule, got True"):
        runnable.fit({"n_samples": 2})
    with pytest.raises(ParameterError, match=r"run\.learn"):
        runnable.run({"n_samples": 2}, learn="ab")


def test_a_projections_own_equations_go_on_or_are_refused() -> None:
    rule = PlasticityRule(
        name="Eligible",
        equations="dz/dt = -z/(5*ms) : 1 (clock-driven)",
        statements=(Statements(side="pre", code="z += 1"),),
    )
    joined = Projection(
        pre="a",
        post="b",
        weights=1.0,
        equations="ds/dt = -s/(1*ms) : 1 (clock-driven)",
        transmit="s += 1",
        rule=rule,
    )
    with pytest.raises(ParameterError, match=r"projections\['ab'\].equations must be left to the"):
        final(network({"a": source(5), "b": COUNTER}, {"ab": joined}))


def test_a_synapse_models_own_state_is_reset_as_well() -> None:
    slow = SynapseModel(
        name="Slow",
        companion=Companion(equations="g : 1"),
        equations="ds/dt = -s/tau : 1 (clock-driven)",
        transmit="s += 1\ng_post = s",
        parameters={"tau": 1000 * ms},
    )
    cell = models.neuron(name="Cell", equations="v : 1", threshold="v > 1e9", reset="")
    model = network(
        {"a": source(5), "b": cell.with_synapses(x=slow)},
        {"ab": Projection(pre="a", post="b", synapse="x")},
        reset="all",
    )
    assert final(model)["b.g_x"][0] == pytest.approx(1)


def test_rand_of_a_companion_is_counter_based_and_its_own() -> None:
    companion = Companion(equations="q : 1", operations=(Operation(code="q = rand()"),))
    rule = PlasticityRule(
        name="Noisy",
        statements=(Statements(side="post", code="w = w"),),
        pre_companion=companion,
    )
    cell = models.neuron(
        name="Cell",
        equations="p : 1",
        threshold="p > 2",
        reset="",
        operations=(Operation(code="p = rand()"),),
    )
    model = network(
        {"a": cell, "b": COUNTER}, {"ab": Projection(pre="a", post="b", weights=1.0, rule=rule)}
    )
    whole, again, parts = final(model), final(model), final(model, chunk=1)
    assert 0 < whole["a.ab_q"][0] < 1
    assert whole["a.ab_q"][0] != whole["a.p"][0]
    for name in ("a.ab_q", "a.p"):
        assert whole[name][0] == again[name][0] == parts[name][0]


def test_address_events_of_the_last_step_are_seen_once() -> None:
    model = NetworkModel(
        name="last",
        dt=1 * ms,
        inputs={"x": Input(features=1, kind="events")},
        populations={
            "a": Population(model=encoding.address_events(), n=1, drives={"x": "x"}),
            "b": Population(model=COUNTER, n=1),
        },
        projections={"ab": Projection(pre="a", post="b", transmit="v_post += 1")},
        presentation=Presentation(duration=10 * ms, reset="none"),
        output="b",
    )
    runnable = simulation.compile(model, device="runtime", per_sample=())
    events = (np.array([0, 1]), np.array([0, 0]), np.array([9e-3, 9e-3]))
    for chunk in (1, 2):
        _, state = runnable.run({"x": events}, learn=False, chunk_size=chunk)
        assert state["b.v"][0] == 2
