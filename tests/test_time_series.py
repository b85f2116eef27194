"""Parameters with values over time, in every kind of code, beside Brian2's TimedArray."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Mohm, Network, NeuronGroup, SpikeMonitor, TimedArray, ms, mV, nA, second

from biosnn import models, simulation, storage, surrogate
from biosnn.declaration import from_data, to_data
from biosnn.errors import ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation
from biosnn.program.lower import lower
from biosnn.program.program import Program

RNG = np.random.default_rng(0)
COMMON, EACH = RNG.random(30) * 4 * nA, RNG.random((30, 4)) * 4 * nA
EQUATIONS = """
dv/dt = (E_L - v + R*(I(t) + J(t, i)) + drive)/tau_m : volt (unless refractory)
drive : volt
both = I(t)*2 + J(t, i) : amp
sum_of_both : amp
late = J(t, i) : amp (constant over dt)
"""
THRESHOLD, REFRACTORY = "v > V_th + both*(0.1*Mohm) + late*(0.1*Mohm)", "0.5*ms + J(t, i)*ms/nA/4"
CONSTANTS = {"E_L": -70 * mV, "R": 10 * Mohm, "tau_m": 10 * ms, "V_th": -56 * mV}
STEP = "sum_of_both += both*(v < V_th)"


def cell(method: str = "exact", **parameters: Any) -> models.NeuronModel:
    given = {
        **CONSTANTS,
        "I": TimedArray(COMMON, dt=1 * ms),
        "J": models.TimeSeries(values=EACH, dt=0.5 * ms),
        **parameters,
    }
    return models.neuron(
        name="driven",
        equations=EQUATIONS,
        threshold=THRESHOLD,
        reset="v = E_L",
        refractory=REFRACTORY,
        method=method,
        parameters=given,
        operations=[models.Operation(code=STEP, when="end")],
    )


def network(model: models.NeuronModel | None = None, n: int = 4) -> NetworkModel:
    return NetworkModel(
        name="driven",
        dt=0.1 * ms,
        inputs={"image": Input(features=n)},
        populations={"c": Population(model=model or cell(), n=n, drives={"drive": "image"})},
        presentation=Presentation(duration=25 * ms, rest=5 * ms),
        output="c",
    )


DRIVE = np.array([[0.0, 0.001, 0.002, 0.003], [0.0, 0.0, 0.0, 0.0], [0.004, 0.001, 0.002, 0.003]])


def in_brian2(drive: np.ndarray, method: str = "exact") -> tuple[SpikeMonitor, NeuronGroup]:
    """One sample in plain Brian2."""
    arrays = {"I": TimedArray(COMMON, dt=1 * ms), "J": TimedArray(EACH, dt=0.5 * ms)}
    group = NeuronGroup(
        4,
        EQUATIONS,
        threshold=THRESHOLD,
        reset="v = E_L",
        refractory=REFRACTORY,
        method=method,
        namespace={**CONSTANTS, **arrays},
        dt=0.1 * ms,
    )
    group.run_regularly(STEP, when="end")
    group.drive_ = drive
    monitor = SpikeMonitor(group)
    Network(group, *group.contained_objects, monitor).run(30 * ms)
    return monitor, group


@pytest.mark.parametrize("method", ["exact", "euler", "exponential_euler"])
def test_samples_are_those_of_a_timed_array_that_begins_at_the_onset(method: str) -> None:
    """In equations, subexpressions, threshold, refractory period and operations."""
    runnable = simulation.compile(
        network(cell(method)), "runtime", spikes=("c",), per_sample=("c.sum_of_both", "c.v")
    )
    recording, _ = runnable.run(DRIVE, progress=False)
    begun = np.zeros(4)
    for sample, drive in enumerate(DRIVE):
        monitor, group = in_brian2(drive, method)
        spikes = recording.spikes["c"].of_sample(sample)
        assert len(monitor.i) >= 8
        np.testing.assert_array_equal(spikes.i, monitor.i)
        np.testing.assert_allclose(spikes.t, monitor.t / second, atol=1e-12)
        np.testing.assert_allclose(recording["c.v"][sample], group.v_, rtol=1e-12)
        summed = recording["c.sum_of_both"][sample] - begun
        np.testing.assert_allclose(summed, group.sum_of_both_, rtol=1e-9)
        begun = recording["c.sum_of_both"][sample]


def test_compiled_chunks_and_copies_agree(tmp_path: Any) -> None:
    """On cpp, however samples are cut, also several at once; and after a round trip as a file."""
    made = network()
    runnable = simulation.compile(made, "runtime", per_sample=("c.count", "c.v"))
    expected, _ = runnable.run(DRIVE, progress=False)
    assert expected["c.count"].sum() > 20
    compiled = simulation.compile(
        from_data(to_data(made)), "cpp", per_sample=("c.count", "c.v"), math="strict"
    )
    found, after = compiled.run(DRIVE, chunk_size=1, progress=False)
    with pytest.raises(ParameterError, match=r"c\.sum_of_both"):
        simulation.compile(made, "cpp", n_parallel=2)
    np.testing.assert_array_equal(found["c.count"], expected["c.count"])
    np.testing.assert_allclose(found["c.v"], expected["c.v"], rtol=1e-12)
    path = storage.save_state(after, tmp_path / "state.biosnn", made)
    assert storage.load_state(path, made).checksum() == after.checksum()
    program = lower(made)
    assert Program.from_data(program.to_data()).hash == program.hash


def test_torch_has_the_same_spikes() -> None:
    torch = pytest.importorskip("torch")
    module = surrogate.to_torch(network()).double()
    with torch.no_grad():
        spikes = module(torch.as_tensor(DRIVE))
    recording, _ = simulation.compile(network(), "runtime").run(DRIVE, progress=False)
    np.testing.assert_array_equal(spikes.sum(0).numpy(), recording["c.count"])


def test_a_group_of_the_model_is_one_of_brian2s() -> None:
    group = cell().group(4, dt=0.1 * ms)
    group.drive_ = DRIVE[2]
    monitor = SpikeMonitor(group)
    Network(group, *group.contained_objects, monitor).run(30 * ms)
    expected, _ = in_brian2(DRIVE[2])
    np.testing.assert_array_equal(monitor.i, expected.i)
    np.testing.assert_array_equal(monitor.t_, expected.t_)


def own(equations: str, **fields: Any) -> models.NeuronModel:
    series = models.TimeSeries(values=np.arange(3) * mV, dt=1 * ms)
    given = {"E": series, "tau": 5 * ms}
    return models.neuron(name="own", equations=equations, parameters=given, **fields)


WRONG = {
    "not called": (lambda: own("dv/dt = (E - v)/tau : volt"), r"'E\(t\)'.*called with the time"),
    "another time": (lambda: own("dv/dt = (E(t - tau) - v)/tau : volt"), "known functions"),
    "a column": (lambda: own("dv/dt = (E(t, i) - v)/tau : volt"), r"'E\(t\)'"),
    "the unit": (lambda: own("dv/dt = E(t)/tau : 1"), "one|in "),
    "no series": (lambda: own("dv/dt = (E(t) - F(t))/tau : volt"), "F.*has no value"),
    "a constant": (lambda: own("dv/dt = (E(t) - tau(t)*mV/ms)/tau : volt"), "tau"),
    "rk4": (lambda: own("dv/dt = (E(t) - v)/tau : volt", method="rk4"), "beginning of a time"),
    "an onset": (
        lambda: own(
            "dv/dt = (E(t) - v)/tau : volt",
            operations=[models.Operation(code="v = E(t)", on="onset")],
        ),
        "time steps and events only",
    ),
    "infinity": (lambda: models.TimeSeries(values=[1.0, np.inf], dt=1 * ms), r"inf at \[1\]"),
    "no values": (lambda: models.TimeSeries(values=[], dt=1 * ms), r"shape \(0,\)"),
    "too many": (lambda: models.TimeSeries(values=np.zeros(1_000_001), dt=1 * ms), "are inputs"),
    "no time": (lambda: models.TimeSeries(values=[1.0], dt=1.0), "TimeSeries.dt"),
    "a word": (lambda: models.TimeSeries(values="I", dt=1 * ms), "array of numbers"),
    "the time step": (
        lambda: network(cell(I=models.TimeSeries(values=COMMON, dt=0.25 * ms))),
        "multiple of the time step",
    ),
    "columns": (lambda: network(n=3), "one column for each of 3"),
}


@pytest.mark.parametrize(("declare", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_refused_in_words(declare: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        declare()
