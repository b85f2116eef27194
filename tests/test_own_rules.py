"""Rules in the words of Brian2's Synapses: beside plain Brian2, as declared and in a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, ms, nS

from biosnn import models, plasticity, simulation
from biosnn.errors import ParameterError
from biosnn.models import Schedule
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

N_PRE, N_POST, STEPS = 6, 4, 400
ON_PRE = "Apre += dApre; w = clip(w + Apost, 0, gmax)"
ON_POST = "Apost += dApost; w = clip(w + Apre, 0, gmax)"
DECAYS = """
dApre/dt = -Apre/taupre : 1 (event-driven)
dApost/dt = -Apost/taupost : 1 (event-driven)
"""
PARAMETERS: dict[str, Any] = {
    "taupre": 20 * ms,
    "taupost": 15 * ms,
    "dApre": 0.06,
    "dApost": -0.05,
    "gmax": 1.0,
}
#: Fires where a script sets v.
PUPPET = models.neuron(name="Puppet", equations="v : 1", threshold="v > 0.5", reset="v = 0")


def spikes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of both sides, [steps, neurons], some of them in the same time step."""
    rng = np.random.default_rng(seed)
    pre, post = rng.random((STEPS, N_PRE)) < 0.05, rng.random((STEPS, N_POST)) < 0.05
    post[:, 0] |= pre[:, 0]
    return pre, post


def played(rule: Any, connect: Any) -> np.ndarray:
    """Weights in every time step of synapses that are given spikes of both sides."""
    from brian2 import TimedArray

    pre, post = spikes(3)
    groups = []
    for side, train in (("pre", pre), ("post", post)):
        group = PUPPET.group(train.shape[1], traces=() if rule is None else rule.needs(side))
        group.namespace["train"] = TimedArray(train.astype(float), dt=group.clock.dt)
        group.run_regularly("v = train(t, i)", when="start")
        groups.append(group)
    synapses = connect(*groups)
    synapses.w = "0.3 + 0.05*i + 0.02*j"
    monitor = StateMonitor(synapses, "w", record=True, when="end")
    counts = [SpikeMonitor(group) for group in groups]
    Network(*groups, synapses, monitor, *counts).run(STEPS * groups[0].clock.dt, namespace={})
    assert [count.num_spikes for count in counts] == [pre.sum(), post.sum()]
    weights = np.array(monitor.w)
    assert (np.ptp(weights, axis=1) > 0.1).all()
    return weights


def plainly(on_pre: str, on_post: str, equations: str, parameters: dict[str, Any]) -> Any:
    def connect(pre: NeuronGroup, post: NeuronGroup) -> Synapses:
        made = Synapses(
            pre, post, f"w : 1\n{equations}", on_pre=on_pre, on_post=on_post, namespace=parameters
        )
        made.connect()
        return made

    return connect


@pytest.mark.usefixtures("fresh_brian2")
@pytest.mark.parametrize(
    ("changed", "pre_traces", "post_traces"),
    [
        ({}, ["Apre"], ["Apost"]),
        # Numbers in their place.
        ({"equations": DECAYS.replace("taupre", "(20*ms)").replace("taupost", "(1.5*10*ms)"),
          "on_pre": ON_PRE.replace("dApre", "0.02*3")}, ["Apre"], ["Apost"]),
        # One spike of a pair: the nearest.
        ({"on_pre": ON_PRE.replace("+= dApre", "= dApre")}, ["Apre"], ["Apost"]),
        # What reads the postsynaptic trace at its own spike sees the jump: kept on the synapse.
        ({"on_post": f"{ON_POST}; w = clip(w + 0.1*Apost, 0, gmax)"}, ["Apre"], []),
        # What is read before the jump, or depends on the weight, too.
        ({"on_pre": "w = clip(w + Apost - 0.1*Apre, 0, gmax); Apre += dApre"}, [], ["Apost"]),
        ({"on_pre": "Apre += dApre*w; w = clip(w + Apost, 0, gmax)"}, [], ["Apost"]),
        ({"on_pre": "Apre *= 0.5; w = clip(w + Apost - 0.01, 0, gmax)",
          "on_post": f"{ON_POST}; Apre += 0.1"}, [], ["Apost"]),
        # A variable whose trace would be called like a parameter, too.
        ({"equations": DECAYS.replace("Apre", "A"),
          "on_pre": ON_PRE.replace("Apre += dApre", "A += A_pre"),
          "on_post": ON_POST.replace("Apre", "A")}, [], ["Apost"]),
    ],
)  # fmt: skip
def test_weights_are_those_of_plain_brian2(changed, pre_traces, post_traces) -> None:
    text = {"on_pre": ON_PRE, "on_post": ON_POST, "equations": DECAYS, **changed}
    parameters = {**PARAMETERS, "A_pre": 0.06}
    rule = plasticity.rule(**text, parameters=parameters)
    assert [trace.name for trace in rule.pre_traces] == pre_traces
    assert [trace.name for trace in rule.post_traces] == post_traces
    wanted = played(None, plainly(**text, parameters=parameters))
    np.testing.assert_allclose(played(rule, rule.connect), wanted, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_a_network_learns_by_it_as_by_the_library(device) -> None:
    """Pair STDP in one's own words and from the library: the same weights on every device."""
    weaker = {**PARAMETERS, "dApre": 0.01, "dApost": -0.02}
    own = plasticity.rule(ON_PRE, ON_POST, equations=DECAYS, parameters=weaker)
    library = plasticity.pair_stdp(
        tau_plus=20 * ms, tau_minus=15 * ms, A_plus=0.01, A_minus=0.02, w_max=1.0
    )
    pre, _ = spikes(5)
    found = {}
    for name, rule in (("own", own), ("library", library)):
        network = NetworkModel(
            name=name,
            dt=1 * ms,
            inputs={"drive": Input(features=N_PRE, kind="sequence", frame=1 * ms)},
            populations={
                "source": Population(model=PUPPET, n=N_PRE, drives={"v": "drive"}),
                "target": Population(model=models.lif(tau_m=10 * ms), n=N_POST),
            },
            projections={
                "learns": Projection(
                    pre="source", post="target", weights=0.5, transmit="v_post += 12*w*mV",
                    rule=rule,
                )
            },
            presentation=Presentation(duration=STEPS * ms),
            output="target",
        )  # fmt: skip
        runnable = (
            simulation.compile(network, device, math="strict")
            if device == "cpp"
            else (simulation.compile(network, device))
        )
        recording, state = runnable.run(
            {"drive": pre[None].astype(float)}, learn=True, progress=False
        )
        assert recording.per_sample["target.count"].sum() > 20
        found[name] = state["learns.w"]
    assert np.abs(found["library"] - 0.5).max() > 0.1
    assert (found["library"] < 1).all()
    np.testing.assert_allclose(found["own"], found["library"], rtol=0, atol=1e-12)


@pytest.mark.usefixtures("fresh_brian2")
def test_a_weight_that_decays_is_no_trace() -> None:
    equations = "dw/dt = -w/taupre : 1 (event-driven)"
    rule = plasticity.rule("w += dApre", "", equations=equations, parameters=PARAMETERS)
    assert not rule.pre_traces

    def connect(pre: NeuronGroup, post: NeuronGroup) -> Synapses:
        made = Synapses(pre, post, equations, on_pre="w += dApre", namespace=PARAMETERS)
        made.connect()
        return made

    assert played(rule, rule.connect).tolist() == played(None, connect).tolist()


def test_a_variable_keeps_its_unit() -> None:
    rule = plasticity.rule(
        on_pre="g += dg",
        on_post="w += g/gmax",
        equations="dg/dt = -g/tau : siemens (event-driven)",
        parameters={"dg": 2 * nS, "gmax": 100 * nS, "tau": 5 * ms},
    )
    assert rule.pre_traces[0].tau == 5 * ms
    assert "dg * g_pre" in rule.statements[0].code


def test_a_schedule_is_no_number() -> None:
    rule = plasticity.rule(
        ON_PRE, ON_POST, equations=DECAYS,
        parameters={**PARAMETERS, "dApre": Schedule(start=0.1, stop=0.01)},
    )  # fmt: skip
    assert not rule.pre_traces
    assert "Apre" in rule.variables


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"on_pre": "v_post += w*mV"}, r"on_pre.*variables of the synapse.*transmit"),
        ({"on_post": "w = __import__('os')"}, "on_post"),
        ({"equations": "dApre/dt = -Apre : 1 (event-driven)"}, "equations"),
        ({"equations": DECAYS.replace("taupre : 1", "taupre : volt")}, r"on_pre.*of one unit"),
        ({"equations": f"{DECAYS}twice = 2*Apre : 1"}, r"twice, an expression of Apre.*Write it"),
        ({"on_pre": f"{ON_PRE}; dApre = 0.5"}, r"on_pre.*dApre = 0.5.*Declare it in equations"),
    ],
)
def test_what_is_wrong_is_said(wrong, said) -> None:
    given = {"on_pre": ON_PRE, "on_post": ON_POST, "equations": DECAYS, "parameters": PARAMETERS}
    with pytest.raises(ParameterError, match=f"(?s){said}"):
        plasticity.rule(**{**given, **wrong})
