"""Synapses, delays, short-term plasticity and rules with state of their own, on both devices."""

import numpy as np
import pytest
from brian2 import Hz, ms, mV, nS

from biosnn import encoding, models, simulation
from biosnn.models import Companion, Operation, SynapseModel, Trace
from biosnn.networks import (
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
    cell = models.lif(R=200 * models_unit(), tau_m=10 * ms).with_synapses(ampa=CONDUCTANCE, gap=GAP)
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


def models_unit():
    from brian2 import Mohm

    return 1 * Mohm


SAMPLES = np.random.default_rng(0).uniform(0.2, 1.0, (6, N_IN))
REWARDS = np.array([[1.0], [-1.0], [0.5], [1.0], [0.0], [2.0]])


def shown(device: str, model: NetworkModel, chunk: int | None = None):
    runnable = simulation.compile(
        model, device=device, math="strict" if device == "cpp" else "fast", spikes=("out",)
    )
    inputs = {"x": SAMPLES, "reward": REWARDS}
    more = {} if chunk is None else {"chunk_size": chunk}
    return runnable.run(inputs, learn=True, seed=3, **more)


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
