"""What runs when, and which value a name has, in networks beside plain Brian2."""

from __future__ import annotations

import re
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Hz, Network, NetworkOperation, NeuronGroup, Synapses, kHz, ms
from brian2.utils.logger import catch_logs

from biosnn import models, simulation
from biosnn.errors import DataError, ParameterError
from biosnn.models import Companion, Event, NeuronModel, Operation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule, Statements
from biosnn.program.lower import lower

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT = 1 * ms
#: Both neurons fire in these steps.
STEPS = (0, 4)
CELL = NeuronModel(
    name="cell",
    equations="du/dt = (gain*s - u)/tau : 1\ns : 1\nF = gain*u + offset : 1\nG = gain*F : 1",
    threshold="s > 0.5",
    reset="",
    method="euler",
    parameters={"gain": 10.0, "tau": 5 * ms, "offset": 1.0},
)
TWICE_THEN_PLUS_ONE = PlasticityRule(
    name="rule",
    equations="delig/dt = (u_post - elig)/tau_elig : 1 (clock-driven)",
    method="euler",
    parameters={"tau_elig": 3 * ms},
    statements=(
        Statements(side="pre", code="w = 2*w"),
        Statements(side="post", code="w = w + 1"),
    ),
)


def network(
    pre: str = "a",
    post: str = "b",
    key: str = "syn",
    reverse: bool = False,
    cell: NeuronModel = CELL,
    **changes: Any,
) -> NetworkModel:
    """Two neurons that are told when to fire, and a synapse that learns."""
    populations = [
        (name, Population(model=cell, n=1, drives={"s": name + "_in"})) for name in (pre, post)
    ]
    given = {"transmit": "u_post += w", "weights": 1.0, "rule": TWICE_THEN_PLUS_ONE, **changes}
    return NetworkModel(
        name="net",
        dt=DT,
        inputs={f"{name}_in": Input(features=1, kind="events") for name in (pre, post)},
        populations=dict(reversed(populations) if reverse else populations),
        projections={key: Projection(pre=pre, post=post, **given)},
        presentation=Presentation(duration=12 * DT, reset="none"),
        output=post,
    )


def shown(declared: NetworkModel, device: str = "runtime") -> Any:
    """State after both neurons fired together."""
    events = (np.zeros(2, int), np.zeros(2, int), np.array(STEPS) * 1e-3)
    samples = {name: events for name in declared.inputs}
    runnable = simulation.compile(declared, device=device, per_sample=(f"{declared.output}.count",))
    learn = bool(runnable.network.plastic_projections)
    recording, state = runnable.run({**samples, "n_samples": 1}, learn=learn, progress=False)
    assert recording.counts(declared.output).tolist() == [[2]]
    return state


def in_brian2(synapses: Any) -> tuple[NeuronGroup, Synapses]:
    """The same as plain objects, made by ``synapses(pre, post)``."""
    groups = [CELL.group(1, dt=DT) for _ in range(2)]
    made = synapses(*groups)

    def drive(t: Any) -> None:
        for group in groups:
            group.s = float(round(float(t / DT)) in STEPS)

    drives = NetworkOperation(drive, dt=DT, when="start")
    Network(*groups, made, drives).run(12 * DT)
    return groups[1], made


def connected(pre: NeuronGroup, post: NeuronGroup) -> Synapses:
    synapses = TWICE_THEN_PLUS_ONE.connect(pre, post, transmit="u_post += w")
    synapses.w = 1
    return synapses


def plain(pre: NeuronGroup, post: NeuronGroup) -> Synapses:
    synapses = Synapses(
        pre,
        post,
        "w : 1\ndelig/dt = (u_post - elig)/tau_elig : 1 (clock-driven)",
        on_pre="u_post += w\nw = 2*w",
        on_post="w = w + 1",
        method="euler",
        namespace=TWICE_THEN_PLUS_ONE.parameters,
        dt=DT,
    )
    synapses.connect()
    synapses.w = 1
    return synapses


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"key": "zz"},
        {"pre": "k", "post": "c", "key": "aa"},
        {"pre": "c", "post": "k", "key": "aa", "reverse": True},
    ],
)
def test_results_do_not_depend_on_names(names: dict[str, Any]) -> None:
    """P3: state updates of equal place run as declared, not by the alphabet. P4 as well."""
    post, synapses = in_brian2(plain)
    state = shown(network(**names))
    key, target = names.get("key", "syn"), names.get("post", "b")
    assert float(synapses.elig[0]) > 0.5
    assert float(state[f"{key}.elig"][0]) == float(synapses.elig[0])
    assert float(state[f"{target}.u"][0]) == float(post.u[0])
    assert float(state[f"{key}.w"][0]) == float(synapses.w[0]) == 2 * (2 * 1 + 1) + 1


def test_connect_runs_statements_in_their_order() -> None:
    """P4: coincident spikes, pre ``w = 2*w`` before post ``w = w + 1``."""
    _, synapses = in_brian2(connected)
    assert float(synapses.w[0]) == 2 * (2 * 1 + 1) + 1


def test_more_than_ten_statements_keep_their_order() -> None:
    """P4: the order is that of the numbers, not of their digits."""
    statements = tuple(Statements(side="pre", code=f"w = 2*w + {k}") for k in range(12))
    rule = PlasticityRule(name="many", statements=statements)
    expected = 1.0
    for _ in STEPS:
        for k in range(12):
            expected = 2 * expected + k
    state = shown(network(rule=rule))
    assert float(state["syn.w"][0]) == expected

    def many(pre: NeuronGroup, post: NeuronGroup) -> Synapses:
        made = rule.connect(pre, post)
        made.w = 1
        return made

    assert float(in_brian2(many)[1].w[0]) == expected


def test_the_order_of_declaration_is_part_of_the_declaration() -> None:
    one, other = network(), network(reverse=True)
    assert list(one.populations) == list(other.populations)[::-1]
    assert one.fingerprint != other.fingerprint


# --- scopes


@pytest.mark.parametrize("device", ["runtime"])
def test_a_subexpression_keeps_its_own_parameters(device: str) -> None:
    """P2: ``gain`` is 10 in the neuron's ``F`` and 0.5 in the projection's statement."""
    rule = PlasticityRule(
        name="r",
        statements=(Statements(side="pre", code="w = offset + G_pre"),),
        parameters={"offset": 100.0},
    )
    cell = CELL.extended("y : 1")
    declared = network(
        cell=cell, transmit="y_post = gain*F_pre", parameters={"gain": 0.5}, rule=rule
    )
    linked = NeuronModel(
        name="linked",
        equations="L : 1 (linked)\nm : 1",
        parameters={"gain": 3.0, "offset": 7.0},
        links={"L": "a.F"},
        operations=(Operation(code="m = gain*L + offset", when="end"),),
    )
    declared = attrs.evolve(
        declared, populations={**declared.populations, "c": Population(model=linked, n=1)}
    )
    state = shown(declared, device)
    u = 0.0  # in the step of the last spike
    for step in range(STEPS[1] + 1):
        u += (10 * float(step in STEPS) - u) / 5
    assert float(state["b.y"][0]) == pytest.approx(0.5 * (10 * u + 1), rel=1e-12)
    assert float(state["syn.w"][0]) == pytest.approx(100 + 10 * (10 * u + 1), rel=1e-12)
    last = float(state["a.u"][0])
    assert float(state["c.m"][0]) == pytest.approx(3 * (10 * last + 1) + 7, rel=1e-12)


def test_subexpressions_keep_their_parameters_in_plain_synapses_too() -> None:
    """P2: ``rule.connect`` between plain groups; a constant that is changed later is seen."""
    rule = PlasticityRule(
        name="r",
        statements=(Statements(side="pre", code="w = gain*F_pre"),),
        parameters={"gain": 0.5},
    )
    group = CELL.group(1, dt=DT)
    made = rule.connect(group, group)
    group.s, group.u = 1.0, 0.5
    net = Network(group, made)
    net.run(DT)
    u = 0.5 + (10 - 0.5) / 5
    assert float(made.w[0]) == pytest.approx(0.5 * (10 * u + 1), rel=1e-12)
    group.namespace["offset"] = 3.0
    net.run(DT)
    u += (10 - u) / 5
    assert float(made.w[0]) == pytest.approx(0.5 * (10 * u + 3), rel=1e-12)


def test_a_parameter_with_the_name_of_a_target_variable_is_refused() -> None:
    """P2: Brian2 takes the neuron's variable for it."""
    with pytest.raises(ParameterError, match=r"parameters must be .* 'F' of the synapses and of b"):
        network(transmit="u_post += F*w", parameters={"F": 0.5})


# --- the order of synapses


QUEUE = models.neuron(name="queue", equations="q : 1\nF = 2*q : 1\nv : 1", threshold="v > 1")


def onto(code: str, **changes: Any) -> NetworkModel:
    return NetworkModel(
        name="net",
        dt=DT,
        inputs={},
        populations={name: Population(model=QUEUE, n=3) for name in ("a", "b")},
        projections={
            "syn": Projection(
                **{"pre": "a", "post": "b", "transmit": code, "weights": 1.0, **changes}
            )
        },
        presentation=Presentation(duration=DT),
        output="b",
    )


@pytest.mark.parametrize(
    "code",
    [
        "q_post += 1\nw += q_post",
        "q_post += 1\nz = q_post\nw += z",
        "q_post += 1\nw += F_post",
        "q += 1; w += q",
        "q_pre += 1\nw += q_pre",
        "q_post = w",
        "q_post = clip(q_post + w, 0, 1)",
        "q_post *= w\nq_post += 1",  # 9 and 16 in two devices
        "q -= w\nq_post /= 2",
        "q_post = 0\nq_post += w",
    ],
)
def test_what_depends_on_the_order_of_synapses_is_refused(code: str) -> None:
    """P5: the devices would differ; Brian2 warns on one of them."""
    with pytest.raises(ParameterError, match=r"transmit must be .* the order of the synapses"):
        onto(code)
    assert onto(code, order_free=True)
    assert onto(code, pairs=([0, 1], [2, 1]))  # no neuron is changed by two synapses


@pytest.mark.parametrize(
    "code",
    [
        "q_post += w*q_pre",
        "q_post = 3",
        "z = w*2\nq_post += z",
        "q_post -= F_pre\nw += q_pre",
        "q_post += w\nq -= 2",
    ],
)
def test_what_does_not_is_accepted(code: str) -> None:
    assert onto(code)


@pytest.mark.parametrize(
    "code", ["q_pre += 1\nw += q_post", "w += q_post\nq_pre += 1", "q_pre += 1\nq_post *= 2"]
)
def test_both_names_of_one_population_are_one_variable(code: str) -> None:
    """P5: in a recurrent projection the weights were 3 3 3 and 0 1 1 on two devices."""
    assert onto(code, pre="b", pairs=([0, 1], [0, 1]))
    for pairs in ("all", ([0, 1], [1, 2])):
        with pytest.raises(ParameterError, match=r"transmit must be .* the order of the synapses"):
            onto(code, pre="b", pairs=pairs)
    assert onto("q_pre += w\nq_post -= w", pre="b")


def test_statements_of_a_rule_must_not_depend_on_the_order_either() -> None:
    """P5: homeostasis as in a Clopath script: each synapse changes what the next one reads."""
    rule = PlasticityRule(
        name="homeostatic",
        statements=(Statements(side="pre", code="q_post += 1\nw -= A*q_post**2"),),
        parameters={"A": 0.1},
    )
    with pytest.raises(ParameterError, match=r"rule.statements\[0\] must be .* the order"):
        onto("v_post += w", rule=rule)


# --- methods of integration


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk4", None])
def test_a_projection_chooses_its_method(method: str | None) -> None:
    """P7."""
    declared = network(
        transmit="g += w", equations="dg/dt = -g/tau_g : 1 (clock-driven)", method=method,
        parameters={"tau_g": 2 * ms}, rule=None,
    )  # fmt: skip
    z = 0.5  # of tau_g
    decay = {"euler": 1 - z, "rk4": 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24}
    factor = decay.get(method or "", np.exp(-z))
    found = float(shown(declared)["syn.g"][0])
    assert found == pytest.approx(factor**11 + factor**7, rel=1e-12)


def test_a_method_that_cannot_be_is_refused() -> None:
    """P7."""
    linear = {"equations": "dg/dt = -g/tau_g : 1 (clock-driven)", "parameters": {"tau_g": 2 * ms}}
    with pytest.raises(ParameterError, match=r"method must be one of .*euler.*, got 'rk5'"):
        network(method="rk5", rule=None, **linear)
    cubic = {**linear, "equations": "dg/dt = -g**3/tau_g : 1 (clock-driven)"}
    with pytest.raises(ParameterError, match="can integrate the equations of g, got 'exact'"):
        network(method="exact", rule=None, **cubic)
    with pytest.raises(ParameterError, match="'euler', the method of rule, got 'rk4'"):
        network(method="rk4", **linear)
    with pytest.raises(ParameterError, match="where synapses have differential equations"):
        network(method="rk4", rule=None)
    with pytest.raises(ParameterError, match=r"rule\.method must be one of"):
        attrs.evolve(TWICE_THEN_PLUS_ONE, method="rk5")


# --- delays


@pytest.mark.parametrize("delay", [0 * ms, 2 * ms])
def test_delayed_statements_may_have_names_of_their_own(delay: Any) -> None:
    """C5: a name that is given a value within the statements stays what it is."""
    code = "half = w/2\nhalf += 0.25\nu_post += half\nz_post = half"
    cell = CELL.extended("z : 1")
    state = shown(network(cell=cell, transmit=code, delay=delay, weights=1.0, rule=None))
    u = 0.0
    for step in range(12):
        u += (10 * float(step in STEPS) - u) / 5
        u += 0.75 * float(step - round(float(delay / DT)) in STEPS)
    assert float(state["b.z"][0]) == 0.75
    assert float(state["b.u"][0]) == pytest.approx(u, rel=1e-12)


def test_a_delayed_statement_is_refused_in_its_own_words() -> None:
    """C5."""
    with pytest.raises(ParameterError, match=r"transmit must be of the form .* got 'u_post \*= w'"):
        network(transmit="half = w/2\nu_post *= w", delay=2 * ms, rule=None)


# --- what an input is


def test_rates_are_what_a_model_says_and_no_name() -> None:
    """W21: neither a parameter called max_rate nor a model called BernoulliInput is a rate."""
    cell = NeuronModel(
        name="BernoulliInput",
        equations="v = gain*x/max_rate : 1\nx : 1",
        threshold="v > 1",
        reset="",
        parameters={"gain": 10 * kHz, "max_rate": 10 * kHz},
    )
    declared = NetworkModel(
        name="net",
        dt=DT,
        inputs={"x": Input(features=1)},
        populations={"cell": Population(model=cell, n=1, drives={"x": "x"})},
        presentation=Presentation(duration=5 * DT),
        output="cell",
    )
    runnable = simulation.compile(declared, device="runtime")
    counts = runnable.run(np.array([[-1.0], [2.0], [300.0]]), progress=False)[0].counts("cell")
    assert counts.ravel().tolist() == [0, 5, 5]
    rated = attrs.evolve(cell, rates={"x": models.Rate(parameter="max_rate", drawn=True)})
    with pytest.raises(ParameterError, match=r"max_rate must be at most 1/dt = 1000 Hz"):
        attrs.evolve(
            declared, populations={"cell": Population(model=rated, n=1, drives={"x": "x"})}
        )
    slower = rated.with_parameters(max_rate=500 * Hz)
    declared = attrs.evolve(
        declared, populations={"cell": Population(model=slower, n=1, drives={"x": "x"})}
    )
    with pytest.raises(DataError, match="become rates and must be >= 0"):
        simulation.compile(declared, device="runtime").run(np.array([[-1.0]]), progress=False)
    with pytest.raises(ParameterError, match=r"rates must be a variable and a parameter of it"):
        attrs.evolve(cell, rates={"x": models.Rate(parameter="rate")})


# --- variables that all neurons or synapses share


SHARING = NeuronModel(
    name="sharing",
    equations="du/dt = (G - u)/tau : 1\ng : 1 (shared)\nG = 2*g : 1 (shared)\ns : 1",
    threshold="s > 0.5",
    reset="",
    method="euler",
    parameters={"tau": 5 * ms},
    initial={"g": 0.5, "u": 1.0},
    operations=(Operation(code="g = g + 0.25", when="end"),),
)
SHARING_RULE = PlasticityRule(
    name="sharing",
    equations="m : 1 (shared)",
    statements=(
        Statements(side="synapse", event="step", code="m = m + 0.5\nw += 0.01*m", when="end"),
    ),
)


def sharing() -> NetworkModel:
    return NetworkModel(
        name="sharing",
        dt=DT,
        inputs={"x": Input(features=3, kind="events")},
        populations={"a": Population(model=SHARING, n=3, drives={"s": "x"})},
        projections={
            "syn": Projection(
                pre="a",
                post="a",
                transmit="u_post += w*h*g_pre",
                equations="h : 1 (shared)",
                weights=1.0,
                rule=SHARING_RULE,
            )
        },
        presentation=Presentation(duration=6 * DT, reset="none"),
        output="a",
    )


def counting(on_event: str = "seen = c", condition: str = "c == 3", **step: str) -> dict[str, Any]:
    """Fields of what counts steps, and tests its count in the slot in which it counts."""
    return {
        "operations": (
            Operation(code=step.get("step", "c += 1"), when="before_groups"),
            Operation(code=on_event, on="third"),
        ),
        "events": {"third": Event(condition=condition, when="before_groups")},
    }


def test_events_are_tested_before_what_runs_in_their_slot() -> None:
    """Those of a model, and those of what its neurons carry for a projection."""
    names = "c : 1\nseen : 1"
    cell = attrs.evolve(CELL, equations=f"{CELL.equations}\n{names}", **counting())
    carried = Companion(equations=f"{names}\nr : 1", **counting("seen = c\nr = 1"))
    state = shown(network(cell=cell, short_term=carried))
    # The third count is there in the fourth step: that step goes on counting behind the test.
    assert (state["a.seen"], state["a.c"]) == (4, 12)
    assert (state["a.syn_stp_seen"], state["a.syn_stp_c"]) == (4, 12)


def test_draws_keep_their_numbers_whatever_runs_first() -> None:
    """A companion's statements are numbered before the conditions of its events."""
    drawing = counting("seen = rand()\nr = 1", "rand() > 0.5", step="c += rand()")
    carried = Companion(equations="c : 1\nseen : 1\nr : 1", **drawing)
    program = lower(network(short_term=carried))
    kernels = [k for k in program.of("a") if "random_seed" in k.code]
    numbers = [re.findall(r"stream \+ (\d)", kernel.code) for kernel in kernels]
    assert [kernel.kind for kernel in kernels] == ["threshold", "statements", "reset"]
    assert numbers == [["3"], ["1"], ["2"]]


@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_what_neurons_or_synapses_share_has_one_value(device: str) -> None:
    """C1."""
    runnable = simulation.compile(sharing(), device=device, traces={"a.g": [0]})
    start = runnable.initial_state()
    assert {k: start[k].shape for k in ("a.g", "syn.h", "syn.m", "a.u", "syn.w")} == {
        "a.g": (1,), "syn.h": (1,), "syn.m": (1,), "a.u": (3,), "syn.w": (9,),
    }  # fmt: skip
    events = (np.zeros(1, int), np.ones(1, int), np.array([2e-3]))
    recording, state = runnable.run(
        {"x": events, "n_samples": 2},
        state=start.updated({"syn.h": np.array([0.5])}),
        learn=True,
        progress=False,
    )
    g, u, m, w = 0.5, 1.0, 0.0, 1.0
    course = []
    for step in range(12):
        u += (2 * g - u) / 5
        u += w * 0.5 * g * (step == 2)
        course.append(g)
        g += 0.25
        m += 0.5
        w += 0.01 * m
    found = {k: state[k].ravel() for k in ("a.g", "syn.m", "syn.h", "a.u", "syn.w")}
    assert recording.counts("a").sum() == 1
    assert (found["a.g"], found["syn.m"], found["syn.h"]) == (g, m, 0.5)
    assert found["a.u"] == pytest.approx(np.full(3, u), rel=1e-9)
    assert found["syn.w"] == pytest.approx(np.full(9, w), rel=1e-9)
    traced = np.concatenate([np.ravel(recording.traces["a.g"].values)])
    assert {0.5, 0.75, g - 0.25} <= set(traced)


def test_where_nothing_can_be_shared_it_is_refused() -> None:
    """C1: differential equations, copies side by side, inputs, torch."""
    for make in (
        lambda: attrs.evolve(SHARING, equations="dg/dt = -g/tau : 1 (shared)\ns : 1\nu : 1"),
        lambda: PlasticityRule(
            name="r", statements=(), equations="dz/dt = -z/tau : 1 (shared)", parameters={"tau": DT}
        ),
    ):
        with pytest.raises(ParameterError, match=r"without it: a differential equation may be"):
            make()
    # Samples that hand nothing on could be shown side by side.
    anew = attrs.evolve(sharing().presentation, reset={"a": ["g", "u"]})
    apart = attrs.evolve(sharing(), presentation=anew)
    with pytest.raises(ParameterError, match=r"n_parallel must be 1 .* a\.G \(shared\)"):
        simulation.compile(apart, device="cpp", n_parallel=2)
    population = Population(model=SHARING, n=3, drives={"g": "x"})
    with pytest.raises(ParameterError, match=r"a variable of each neuron, got 'g' \(shared\)"):
        attrs.evolve(sharing(), populations={"a": population})
    pytest.importorskip("torch")
    from biosnn import surrogate

    with pytest.raises(ParameterError, match=r"a variable of each neuron or synapse, got G"):
        surrogate.to_torch(sharing())


def test_a_reset_that_is_meant_to_be_absent_is_no_slip() -> None:
    """Brian2 warns of a threshold without reset; an empty one was asked for here."""
    with catch_logs() as logged:
        shown(network())
    assert not [message for _, name, message in logged if name.endswith("only_threshold")]
