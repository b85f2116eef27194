"""A compiled declaration that runs again with other parameters and values, without a build."""

from __future__ import annotations

import sys
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, SpikeMonitor, Synapses, ms, mV, second

from biosnn import encoding, models, plasticity, simulation
from biosnn.errors import DataError, ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.simulation import Runnable

CELL = "dv/dt = (E_L + drive - v)/tau_m : volt (unless refractory)\ndrive : volt"
TARGET = "dv/dt = -v/tau : 1"
CONSTANTS = {"E_L": -70 * mV, "tau_m": 10 * ms, "V_th": -55 * mV, "t_ref": 2 * ms}
CHANGEABLE = ["c.tau_m", "c.E_L", "c.t_ref", "p.J", "p.eta"]
DRIVE = np.array([[0.02, 0.025, 0.03, 0.018], [0.03, 0.02, 0.016, 0.04]])


def network() -> NetworkModel:
    """Cells whose weights onto a target learn from the target's potential."""
    rule = plasticity.rule("w += eta*v_post", "", parameters={"eta": 0.01})
    cell = models.neuron(
        name="cell",
        equations=CELL,
        threshold="v > V_th",
        reset="v = E_L",
        refractory="t_ref",
        parameters=CONSTANTS,
        initial={"v": "E_L + rand()*10*mV"},
    )
    target = models.neuron(name="target", equations=TARGET, parameters={"tau": 20 * ms})
    return NetworkModel(
        name="changed",
        dt=0.1 * ms,
        inputs={"image": Input(features=4)},
        populations={
            "c": Population(model=cell, n=4, drives={"drive": "image"}),
            "target": Population(model=target, n=2),
        },
        projections={
            "p": Projection(
                pre="c",
                post="target",
                transmit="v_post += J*w",
                parameters={"J": 0.5},
                weights=0.5,
                rule=rule,
            )
        },
        presentation=Presentation(duration=40 * ms),
        output="c",
    )


def in_brian2(start: np.ndarray, **values: Any) -> tuple[SpikeMonitor, NeuronGroup, Synapses]:
    """The first sample in plain Brian2."""
    constants = {**CONSTANTS, "J": 0.5, "eta": 0.01, **values}
    given = {"method": "exact", "dt": 0.1 * ms}
    space = {k: v for k, v in constants.items() if k in CONSTANTS}
    cells = NeuronGroup(
        4, CELL, threshold="v > V_th", reset="v = E_L", refractory="t_ref", namespace=space, **given
    )
    target = NeuronGroup(2, TARGET, namespace={"tau": 20 * ms}, **given)
    synapses = Synapses(
        cells, target, "w : 1", on_pre={"transmit": "v_post += J*w", "learn": "w += eta*v_post"},
        namespace={"J": constants["J"], "eta": constants["eta"]}, dt=0.1 * ms,
    )  # fmt: skip
    synapses.learn.order = 0  # behind what is transmitted
    synapses.connect()
    synapses.w = 0.5
    cells.v_, cells.drive_ = start, DRIVE[0]
    monitor = SpikeMonitor(cells)
    Network(cells, target, synapses, monitor).run(40 * ms)
    return monitor, target, synapses


@pytest.fixture(scope="module", params=["runtime", "cpp"])
def runnable(request: Any) -> Runnable:
    return simulation.compile(
        network(),
        request.param,
        spikes=("c",),
        per_sample=("c.count", "c.v", "target.v"),
        math="strict",
        changeable=CHANGEABLE,
    )


CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a time constant": {"c.tau_m": 25 * ms},
    "what the initial values depend on": {"c.E_L": -64 * mV},
    "everything": {
        "c.tau_m": 7 * ms, "c.E_L": -60 * mV, "c.t_ref": 0.5 * ms, "p.J": 2.0, "p.eta": -0.02,
    },
}  # fmt: skip


@pytest.mark.parametrize("values", CHANGES.values(), ids=CHANGES.keys())
def test_a_run_with_changed_parameters_is_brian2s(runnable: Runnable, values: Any) -> None:
    """Spikes, potentials and weights that learn; initial values follow from the parameters."""
    recording, state = runnable.run(DRIVE[:1], values=values, learn=True, seed=3, progress=False)
    rest = values.get("c.E_L", -70 * mV)
    start = network().initial_state(3)["c.v"] + 0.07 + float(rest)
    monitor, target, synapses = in_brian2(
        start, **{name.partition(".")[2]: value for name, value in values.items()}
    )
    assert len(monitor.i) > 4
    np.testing.assert_array_equal(recording.spikes["c"].i, monitor.i)
    np.testing.assert_allclose(recording.spikes["c"].t, monitor.t / second, atol=1e-12)
    np.testing.assert_allclose(recording["target.v"][0], target.v_, rtol=1e-12)
    np.testing.assert_allclose(state["p.w"], synapses.w_, rtol=1e-12)
    for name, value in values.items():
        np.testing.assert_allclose(state[name], float(value))


def test_the_result_is_that_of_a_network_declared_with_the_values() -> None:
    """To the bit, as long as the declaration is compiled in the same way."""
    values = {"c.tau_m": 25 * ms, "c.E_L": -64 * mV}
    made = network()
    cell = made.populations["c"]
    other = cell.model.with_parameters(tau_m=25 * ms, E_L=-64 * mV)
    populations = {**made.populations, "c": attrs.evolve(cell, model=other)}
    kept: dict[str, Any] = {"per_sample": ("c.v",), "changeable": ("c.tau_m", "c.E_L")}
    changed, state = simulation.compile(made, "runtime", **kept).run(
        DRIVE, values=values, seed=1, progress=False
    )
    declared, there = simulation.compile(
        attrs.evolve(made, populations=populations), "runtime", **kept
    ).run(DRIVE, seed=1, progress=False)
    np.testing.assert_array_equal(changed["c.v"], declared["c.v"])
    assert state.checksum() == there.checksum()


def test_values_go_on_with_the_state_and_variables_change_too(runnable: Runnable, tmp_path) -> None:
    """Also over chunks and in checkpoints; a variable without another build anyway."""
    values = {"c.tau_m": 25 * ms, "target.v": [0.5, 1.5], "p.w": 0.25}
    whole, end = runnable.run(DRIVE, values=values, seed=3, progress=False)
    first, between = runnable.run(DRIVE[:1], values=values, seed=3, progress=False)
    second_, after = runnable.run(DRIVE[1:], between, seed=3, first_sample=1, progress=False)
    np.testing.assert_array_equal(np.vstack([first["c.v"], second_["c.v"]]), whole["c.v"])
    assert after.checksum() == end.checksum()
    assert (end["p.w"] == 0.25).all()
    other, _ = runnable.run(DRIVE, seed=3, progress=False)
    assert not np.array_equal(other["c.count"], whole["c.count"])
    back, _ = runnable.run(DRIVE[1:], between, values={"c.tau_m": 0.010}, progress=False)
    assert not np.array_equal(back["c.v"], second_["c.v"])
    kept: dict[str, Any] = {"folder": tmp_path / "run", "checkpoint_every": 1, "seed": 3}
    runnable.run(DRIVE, values=values, progress=False, **kept)
    resumed, _ = runnable.run(DRIVE, values=values, resume=True, progress=False, **kept)
    np.testing.assert_array_equal(resumed["c.v"], whole["c.v"])


WRONG = {
    "a parameter of the code": ({"c.V_th": -50 * mV}, r'changeable=\["c.V_th"\]'),
    "an unknown name": ({"c.tau": 5 * ms}, "keyed by"),
    "another unit": ({"c.tau_m": 5 * mV}, "in s"),
    "no number": ({"c.tau_m": "5 ms"}, "a number"),
    "infinity": ({"c.tau_m": np.inf * second}, "finite"),
    "no time": ({"c.tau_m": 0 * ms}, "equations.v must be .* a division by zero"),
    "an array": ({"c.tau_m": [5] * ms}, r"values\['c.tau_m'\] must be one number"),
    "several": ({"c.tau_m": [5, 6] * ms}, "number"),
    "the number of samples": ({"protocol.seen": 3}, "keyed by"),
    "no dict": ([("c.tau_m", 5 * ms)], "run.values"),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_values_are_refused(values: Any, message: str) -> None:
    runnable = simulation.compile(network(), "runtime", changeable=CHANGEABLE)
    with pytest.raises((ParameterError, DataError), match=message):
        runnable.run(DRIVE, values=values, progress=False)


def test_parameters_need_brian2_and_a_state_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    runnable = simulation.compile(network(), "runtime", per_sample=("c.v",), changeable=["c.tau_m"])
    expected, _ = runnable.run(DRIVE, values={"c.tau_m": 5 * ms}, progress=False)
    monkeypatch.setitem(sys.modules, "biosnn.program.layout", None)
    with pytest.raises(ParameterError, match=r"no Brian2.*updated\(\{\"c\.tau_m\""):
        runnable.run(DRIVE, values={"c.tau_m": 0.005}, progress=False)
    state = runnable.initial_state(0).updated({"c.tau_m": 0.005})
    found, _ = runnable.run(DRIVE, state, progress=False)
    np.testing.assert_array_equal(found["c.v"], expected["c.v"])


def test_a_state_with_another_value_of_a_constant_is_refused() -> None:
    """The value was in the state, and the network that took it ran with its own."""
    made = network()
    changed = simulation.compile(made, "runtime", changeable=["c.tau_m"])
    fixed = simulation.compile(made, "runtime")
    samples = DRIVE[:1]
    _, other = changed.run(samples, values={"c.tau_m": 25 * ms}, progress=False)
    with pytest.raises(ParameterError, match=r"c\.tau_m = 0\.025 in the state.*changeable="):
        fixed.run(samples, state=other, progress=False)
    _, same = changed.run(samples, progress=False)
    recording, _ = fixed.run(samples, state=same, progress=False)
    assert recording.counts("c").sum() > 0


def test_what_cannot_change_is_refused_when_it_is_compiled() -> None:
    made = network()
    for names, message in (
        (["c.nothing"], r"one of c\.E_L"),
        ("c.tau_m", r'\["c.tau_m"\]'),
        ([1], "changeable"),
    ):
        with pytest.raises(ParameterError, match=message):
            simulation.compile(made, "runtime", changeable=names)
    with pytest.raises(ParameterError, match="left out with n_parallel"):
        simulation.compile(made, "cpp", changeable=["c.tau_m"], n_parallel=2)
    rates = Population(model=encoding.poisson(max_rate=50 * Hz), n=4, drives={"x": "image"})
    of_rates = attrs.evolve(made, populations={"c": rates, "target": made.populations["target"]})
    with pytest.raises(ParameterError, match="Scale the samples"):
        simulation.compile(of_rates, "runtime", changeable=["c.max_rate"])


def test_values_that_need_another_integration_are_refused() -> None:
    """The closed form of two coupled equations divides by the difference of their rates."""
    cell = models.neuron(
        name="pole",
        equations="dv/dt = (g + drive - v)/tau_m : 1\ndg/dt = -g/tau_g : 1\ndrive : 1",
        parameters={"tau_m": 10 * ms, "tau_g": 5 * ms},
        initial={"g": 1.0},
    )
    made = NetworkModel(
        name="pole",
        dt=0.1 * ms,
        inputs={"image": Input(features=4)},
        populations={"c": Population(model=cell, n=4, drives={"drive": "image"})},
        presentation=Presentation(duration=10 * ms),
        output="c",
    )
    runnable = simulation.compile(
        made, "runtime", per_sample=("c.v",), changeable=["c.tau_g", "c.tau_m"]
    )
    found, _ = runnable.run(np.zeros((1, 4)), values={"c.tau_g": 4 * ms}, progress=False)
    exact = 4 / 6 * (np.exp(-1) - np.exp(-10 / 4))
    np.testing.assert_allclose(found["c.v"], exact, rtol=1e-9)
    for values in ({"c.tau_g": 10 * ms}, {"c.tau_g": 7 * ms, "c.tau_m": 0.007}):
        with pytest.raises(ParameterError, match="compile the network with them"):
            runnable.run(np.zeros((1, 4)), values=values, progress=False)


def test_rules_keep_their_bounds() -> None:
    """What a declaration refuses is refused for a run, too."""
    made = network()
    runnable = simulation.compile(made, "runtime", changeable=["c.t_ref"])
    with pytest.raises(ParameterError, match=r"refractory.*>= 0"):
        runnable.run(DRIVE, values={"c.t_ref": -1 * ms}, progress=False)
