"""Synapses that change when events arrive: beside plain Brian2, cut anywhere, on every device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Equations, Network, NeuronGroup, SpikeMonitor, Synapses, ms

from biosnn import models, plasticity, simulation
from biosnn.errors import ParameterError
from biosnn.models import Companion, Trace
from biosnn.networks import NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule, Statements

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT, STEPS = 0.1 * ms, 500
TRACES = """
dApre/dt = -Apre/taupre : 1 (event-driven)
dApost/dt = -Apost/taupost : 1 (event-driven)
"""
PARAMETERS: dict[str, Any] = {
    "taupre": 20 * ms, "taupost": 15 * ms, "dApre": 0.06, "dApost": -0.05, "gmax": 1.0,
}  # fmt: skip
ON_PRE = "Apre += dApre; w = clip(w + Apost, 0, gmax)"
ON_POST = "Apost += dApost; w = clip(w + Apre, 0, gmax)"
RULE = PlasticityRule(
    name="STDP on synapses",
    equations=TRACES,
    parameters=PARAMETERS,
    statements=(
        Statements(side="pre", code=ON_PRE),
        Statements(side="post", code=ON_POST, order=1),
    ),
)
LIBRARY = plasticity.pair_stdp(
    tau_plus=20 * ms, tau_minus=15 * ms, A_plus=0.06, A_minus=0.05, w_max=1.0
)
#: Depression of each synapse by itself, as in Brian2's examples.
FATIGUE: dict[str, Any] = {
    "equations": "dx/dt = (1 - x)/tau_d : 1 (event-driven)\ndu/dt = -u/tau_f : 1 (event-driven)",
    "parameters": {"tau_d": 30 * ms, "tau_f": 12 * ms},
    "initial": {"x": 1.0},
    "transmit": "u += 0.3*(1 - u)\nv_post += 8*w*u*x\nx = x - u*x*0.5",
}


def network(*, reset: str = "none", steps: int = STEPS, **projection: Any) -> NetworkModel:
    """Units that fire by a formula, and cells that they drive."""
    unit = models.neuron(
        name="unit",
        equations="step : integer (linked)",
        threshold="(step*7 + i*13) % 37 == 3",  # steps count from 1
        reset="",
        links={"step": "protocol.step"},
    )
    cell = models.neuron(
        name="cell",
        equations="dv/dt = -v/tau : 1",
        threshold="v > 1",
        reset="v = 0",
        parameters={"tau": 5 * ms},
        method="exact",
    )
    given = {"transmit": "v_post += w", "weights": 0.4, **projection}
    return NetworkModel(
        name="events",
        dt=DT,
        inputs={},
        populations={"a": Population(model=unit, n=6), "b": Population(model=cell, n=4)},
        projections={"p": Projection(pre="a", post="b", **given)},
        presentation=Presentation(duration=steps * DT, reset=reset),
        output="b",
    )


def plain(
    on_pre: str, equations: str, parameters: Any, on_post: str | None = None, delay=0 * ms, **first
):
    """The same in plain Brian2: number of spikes, and the variables of its synapses."""
    pre = NeuronGroup(
        6, "y : 1", threshold="((t_in_timesteps + 1)*7 + i*13) % 37 == 3", reset="", dt=DT
    )
    post = NeuronGroup(
        4, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0", method="exact",
        namespace={"tau": 5 * ms}, dt=DT,
    )  # fmt: skip
    synapses = Synapses(
        pre, post, f"w : 1\n{equations}", on_pre=on_pre, on_post=on_post, namespace=parameters,
        delay={"pre": delay}, dt=DT,
    )  # fmt: skip
    synapses.connect()
    for name, value in {"w": 0.4, **first}.items():
        setattr(synapses, name, value)
    monitor = SpikeMonitor(post)
    Network(pre, post, synapses, monitor).run(STEPS * DT)
    names = ("w", *Equations(equations).names)
    return monitor.num_spikes, {name: np.array(getattr(synapses, name)[:]) for name in names}


def run(declared: NetworkModel, n: int = 1, state=None, *, learn: bool = False, device="runtime"):
    """Number of spikes of each sample, and the state."""
    runnable = simulation.compile(declared, device)
    learns = learn and declared.projections["p"].rule is not None
    recording, state = runnable.run({"n_samples": n}, state=state, learn=learns)
    return recording.counts("b").sum(axis=1), state


@pytest.mark.parametrize("delay", [0 * ms, 2 * ms], ids=["at once", "delayed"])
def test_learning_is_that_of_brian2_to_the_bit(delay) -> None:
    """Traces of each synapse, and weights; presynaptic events are seen when they arrive."""
    spikes, wanted = plain(f"v_post += w; {ON_PRE}", TRACES, PARAMETERS, ON_POST, delay)
    declared = network(rule=RULE, delay=delay, axonal_delay=bool(delay))
    counts, state = run(declared, learn=True)
    assert counts.tolist() == [spikes]
    assert spikes > 100
    assert np.ptp(wanted["w"]) > 0.2
    for name, values in wanted.items():
        assert np.ravel(state[f"p.{name}"]).tolist() == values.tolist(), name


@pytest.mark.parametrize(
    "rule",
    [LIBRARY, plasticity.rule(ON_PRE, ON_POST, equations=TRACES, parameters=PARAMETERS)],
    ids=["library", "own"],
)
def test_traces_of_neurons_that_learning_sees_late(rule) -> None:
    """They are those of Brian2 with the axon's delay; without it, learning is another one."""
    _, wanted = plain(f"v_post += w; {ON_PRE}", TRACES, PARAMETERS, ON_POST, 2 * ms)
    weights = {}
    for axonal in (True, False):
        _, state = run(network(rule=rule, delay=2 * ms, axonal_delay=axonal), learn=True)
        weights[axonal] = np.ravel(state["p.w"])
    np.testing.assert_allclose(weights[True], wanted["w"], rtol=0, atol=1e-12)
    assert np.abs(weights[False] - wanted["w"]).max() > 0.1


def test_what_synapses_transmit_is_that_of_brian2_to_the_bit() -> None:
    """Variables that a spike reads and changes; at an onset they begin anew."""
    on_pre = FATIGUE["transmit"].replace("\n", "; ")
    spikes, wanted = plain(on_pre, FATIGUE["equations"], FATIGUE["parameters"], x=1)
    counts, state = run(network(**FATIGUE))
    assert counts.tolist() == [spikes]
    assert spikes > 5
    for name in ("u", "x"):
        assert np.ravel(state[f"p.{name}"]).tolist() == wanted[name].tolist()
        assert np.ptp(wanted[name]) > 1e-6
    again, _ = run(network(reset="all", **FATIGUE), 3)
    assert again.tolist() == [spikes] * 3


@pytest.mark.parametrize("given", [{"rule": RULE}, FATIGUE], ids=["learning", "transmission"])
def test_a_run_that_is_cut_is_the_run_in_one_piece(given) -> None:
    declared = network(steps=120, **given)
    counts, whole = run(declared, 3, learn=True)
    cut, state = [], None
    for _ in range(3):
        one, state = run(declared, 1, state, learn=True)
        cut += one.tolist()
    assert cut == counts.tolist()
    assert len(set(cut)) > 1
    assert all(np.array_equal(whole[name], state[name]) for name in whole)


@pytest.mark.slow
def test_on_other_devices() -> None:
    """The same spikes in C++ and torch, and the same variables but for the last digit."""
    pytest.importorskip("torch")
    from biosnn import surrogate

    for given in ({"rule": RULE, "delay": 1 * ms, "axonal_delay": True}, FATIGUE):
        declared = network(reset="all", steps=200, **given)
        counts, state = run(declared, 2, learn=True)
        runnable = simulation.compile(declared, "cpp", math="strict")
        recording, there = runnable.run({"n_samples": 2}, learn="rule" in given)
        assert counts.sum() > 10
        assert recording.counts("b").sum(axis=1).tolist() == counts.tolist()
        for name in state:  # NumPy has an exponential function of its own
            np.testing.assert_allclose(there[name], state[name], rtol=1e-13, atol=1e-13)
    module = surrogate.to_torch(declared).double()
    assert int(module({"n_samples": 1}).sum()) == counts[0]


BAD = {
    "not linear": (
        lambda: simulation.compile(
            network(equations="dx/dt = -x**2/tau_d : 1 (event-driven)",
                    parameters={"tau_d": 5 * ms}, transmit="v_post += w*x"), "runtime"),
        r"projections\['p'\].equations.*x \(event-driven\).*clock-driven",
    ),
    "followed": (
        lambda: network(equations="dx/dt = -x/(5*ms) : 1 (event-driven)\n"
                                  "dy/dt = (z - y)/(5*ms) : 1 (clock-driven)\nz = 2*x : 1",
                        transmit="v_post += w*y"),
        r"y, which follows x \(event-driven\)",
    ),
    "follows": (
        lambda: network(equations="dy/dt = -y/(5*ms) : 1\n"
                                  "dx/dt = (y - x)/(5*ms) : 1 (event-driven)",
                        transmit="v_post += w*x"),
        r"x \(event-driven\), which follows y",
    ),
    "a rule's, summed": (
        lambda: network(rule=RULE, equations="u_post = Apre : 1 (summed)"),
        r"projections\['p'\].equations.*u_post, which follows Apre \(event-driven\)",
    ),
    "a projection's, followed by a rule": (
        lambda: network(
            rule=PlasticityRule(
                name="follower", equations="dy/dt = (q - y)/(5*ms) : 1",
                statements=(Statements(side="pre", code="w += y"),)),
            equations="dq/dt = -q/(5*ms) : 1 (event-driven)", transmit="v_post += w*q"),
        r"y, which follows q \(event-driven\)",
    ),
    "a name of a neuron that sends": (
        lambda: network(equations="dstep/dt = -step/(5*ms) : 1 (event-driven)",
                        transmit="v_post += w*step"),
        r"projections\['p'\].variables.*'step' of the synapses and of a",
    ),
    "nothing learns": (
        lambda: network(delay=1 * ms, axonal_delay=True),
        r"Projection\(a->b\).axonal_delay must be given where there is a rule",
    ),
    "several delays": (
        lambda: network(rule=LIBRARY, delay=np.ones(24) * ms, axonal_delay=True),
        "delay must be one for all synapses where learning sees the delay, got 24 values",
    ),
    "more than traces": (
        lambda: network(
            rule=PlasticityRule(
                name="filtered", pre_companion=Companion(equations="u : 1"),
                statements=(Statements(side="pre", code="w += u_pre"),)),
            delay=1 * ms, axonal_delay=True),
        "filtered.pre_companion must be a rule that keeps nothing but traces.*axonal_delay out",
    ),
    "read in every step": (
        lambda: network(
            rule=PlasticityRule(
                name="steady", pre_traces=(Trace(name="x", tau=5 * ms),),
                statements=(Statements(side="synapse", event="step", code="w += x_pre"),)),
            delay=1 * ms, axonal_delay=True),
        r"steady.statements\[0\].*x_pre in 'w \+= x_pre'",
    ),
    "read at the end": (
        lambda: simulation.compile(network(
            rule=PlasticityRule(
                name="last", equations="dx/dt = -x/(5*ms) : 1 (event-driven)",
                statements=(Statements(side="pre", code="x += 1"),
                            Statements(side="synapse", event="end", code="w += x")))), "runtime"),
        r"x \(event-driven\) at the end of a presentation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(ParameterError, match=message):
        make()
