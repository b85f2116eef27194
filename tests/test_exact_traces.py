"""Traces are integrated exactly, whatever the method of their neuron (P1)."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from brian2 import Equations, Network, NeuronGroup, exact, ms, mV
from brian2.stateupdaters.base import UnsupportedEquationsException

from biosnn import models, plasticity, simulation
from biosnn._models.exact_integration import ExactByComponents
from biosnn.errors import ParameterError
from biosnn.models import Companion, NeuronModel
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

pytestmark = pytest.mark.usefixtures("fresh_brian2")

RULE = plasticity.pair_stdp(tau_plus=20 * ms, tau_minus=20 * ms)
NOISY = NeuronModel(
    name="noisy",
    equations="dv/dt = -v/tau_m + 0.1*sqrt(2/tau_m)*xi : 1",
    threshold="v > 1",
    reset="v = 0",
    method="euler",
    parameters={"tau_m": 10 * ms},
)
#: Integration methods that can solve a model's own equations.
METHODS = {
    models.lif: ("exact", "euler", "rk2", "rk4", "heun", "exponential_euler"),
    models.adex: ("euler", "rk2", "rk4", "exponential_euler"),
    models.eif: ("euler", "rk4", "exponential_euler"),
    models.izhikevich: ("semi_implicit_euler", "euler", "rk4"),
    models.lif_conductance_based: ("euler", "exponential_euler"),
    lambda: NOISY: ("euler", "heun"),
}


@pytest.mark.parametrize(
    ("make", "method"), [(make, m) for make, methods in METHODS.items() for m in methods]
)
def test_a_trace_decays_exactly(make, method: str) -> None:
    model = attrs.evolve(make(), method=method)
    group = model.group(1, traces=RULE.needs("pre"), dt=1 * ms)
    group.x = 1.0
    Network(group).run(40 * ms)
    assert group.x[0] == pytest.approx(np.exp(-2), rel=1e-12)


@pytest.mark.parametrize("method", ["euler", "rk4", "exponential_euler"])
def test_linear_companions_are_exact_and_others_follow_the_method(method: str) -> None:
    """An alpha function (two coupled equations) is linear; a filter of v is not on its own."""
    companion = Companion(
        equations="da/dt = (b - a)/tau_a : 1\ndb/dt = -b/tau_b : 1\n"
        "du/dt = (v - u)/tau_a : volt\ndr/dt = (1 - r)/tau_b : 1\nds/dt = -s**2/tau_a : 1",
        parameters={"tau_a": 5 * ms, "tau_b": 20 * ms},
    )
    model = attrs.evolve(models.eif(), method=method)
    if method == "exponential_euler":
        companion = attrs.evolve(
            companion, equations=companion.equations.replace("-s**2/tau_a", "-s/tau_a")
        )
    carrying = model.with_traces([companion])
    apart = {"a", "b", "r"} if method != "exponential_euler" else {"a", "b", "r", "s"}
    assert set(carrying.exact) == apart
    group = model.group(1, traces=[companion], dt=1 * ms)
    group.b = 1.0
    group.v = -60 * mV
    group.s = 1.0
    plain = NeuronGroup(
        1,
        model.equations + "\ndu/dt = (v - u)/tau_a : volt",
        method=method,
        threshold=model.threshold,
        reset=model.reset,
        refractory=model.refractory,
        namespace={**model.parameters, **companion.parameters},
        dt=1 * ms,
    )
    plain.v = -60 * mV
    Network(group, plain).run(30 * ms)
    alpha = 20 / (20 - 5) * (np.exp(-30 / 20) - np.exp(-30 / 5))
    assert group.b[0] == pytest.approx(np.exp(-30 / 20), rel=1e-12)
    assert group.a[0] == pytest.approx(alpha, rel=1e-10)
    assert group.r[0] == pytest.approx(1 - np.exp(-30 / 20), rel=1e-12)
    assert group.u[0] == plain.u[0] != 0
    assert group.v[0] == plain.v[0] != -60 * mV


def test_within_a_step_the_host_sees_a_trace_as_its_method_would() -> None:
    model = NeuronModel(
        name="driven",
        equations="dv/dt = (gain*x - v)/tau_m : 1\ndx/dt = -x/tau_x : 1",
        method="euler",
        exact=("x",),
        parameters={"tau_m": 10 * ms, "gain": 2.0, "tau_x": 20 * ms},
        initial={"x": 1.0},
    )
    group = model.group(1, dt=1 * ms)
    Network(group).run(1 * ms)
    assert group.v[0] == pytest.approx(0.1 * 2 * 1.0, rel=1e-12)  # Euler: x at the step's begin
    assert group.x[0] == pytest.approx(np.exp(-1 / 20), rel=1e-12)


def test_only_linear_equations_can_be_declared_exact() -> None:
    for equations in ("dx/dt = -x**2/tau : 1", "dx/dt = (v - x)/tau : 1\ndv/dt = -v/tau : 1"):
        with pytest.raises(ParameterError, match=r"m\.exact must be variables with linear"):
            NeuronModel(name="m", equations=equations, parameters={"tau": 1 * ms}, exact=("x",))


def network() -> NetworkModel:
    """One neuron of Euler's method that fires when it is told to, with a trace and depression."""
    puppet = NeuronModel(
        name="puppet",
        equations="dv/dt = -v/tau_m : 1\ns : 1",
        threshold="s > 0.5",
        reset="v = 1",
        method="euler",
        parameters={"tau_m": 10 * ms},
    )
    return NetworkModel(
        name="traces",
        dt=1 * ms,
        inputs={"events": Input(features=1, kind="events")},
        populations={
            "pre": Population(model=puppet, n=1, drives={"s": "events"}),
            "post": Population(model=attrs.evolve(models.lif(), method="euler"), n=1),
        },
        projections={
            "syn": Projection(
                pre="pre",
                post="post",
                transmit="v_post += w*mV",
                weights=0.5,
                rule=RULE,
                short_term=models.tsodyks_markram(U=0.5, tau_rec=100 * ms, tau_facil=50 * ms),
            )
        },
        presentation=Presentation(duration=41 * ms, reset="none"),
        output="post",
    )


#: Values of the presynaptic neuron 40 ms after its one spike, which comes in the first step.
EXPECTED = {
    "pre.syn_x": np.exp(-40 / 20),
    "pre.syn_stp_u": 0.5 * np.exp(-40 / 50),
    "pre.syn_stp_x": 1 - 0.5 * np.exp(-40 / 100),
    "pre.v": 0.9**40,
}


def test_in_a_network_on_runtime() -> None:
    runnable = simulation.compile(network(), device="runtime")
    events = (np.array([0]), np.array([0]), np.array([0.0]))
    _, state = runnable.run({"events": events, "n_samples": 1}, progress=False)
    assert {k: float(state[k][0]) for k in EXPECTED} == pytest.approx(EXPECTED, rel=1e-12)


def test_in_a_network_in_torch() -> None:
    torch = pytest.importorskip("torch")
    from biosnn import surrogate

    module = surrogate.to_torch(network(), normalise=False).double()
    spikes = torch.zeros(41, 1, 1, dtype=torch.float64)
    spikes[0] = 1
    names = [name for name in EXPECTED if name.endswith((".v", "_u"))]
    module(spikes, record=["post.v", *names])
    found = {name: float(module.recorded[name][-1, 0, 0]) for name in names}
    assert found == pytest.approx({name: EXPECTED[name] for name in names}, rel=1e-12)


def test_uncoupled_equations_are_solved_apart_as_brian2_solves_them_together() -> None:
    equations = Equations("""
    dv/dt = (E - v + I)/tau_m : volt
    dI/dt = -I/tau_s : volt
    dx/dt = -x/tau_m : 1
    dk/dt = (1 - k)/tau_s : 1
    dh/dt = (k - h)/tau_m : 1
    """)
    together, apart = exact(equations), ExactByComponents()(equations)
    assert len(apart.splitlines()) == 10
    assert apart == together
    coupled = Equations("dv/dt = (I - v)/tau_m : volt\ndI/dt = -I/tau_s : volt")
    assert ExactByComponents()(coupled) == exact(coupled)
    with pytest.raises(UnsupportedEquationsException):
        ExactByComponents()(Equations("dv/dt = -v**2/tau : 1\ndx/dt = -x/tau : 1"))
