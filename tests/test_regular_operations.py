"""Operations with a clock of their own, shared variables, background input, Equations objects."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Equations, Hz, Network, NeuronGroup, SpikeMonitor, ms, second
from scipy import stats

from biosnn import models, simulation, surrogate
from biosnn.errors import ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

EQUATIONS = "dv/dt = (drive - v)/tau : 1\ndrive : 1\nkicks : integer"
KICK = "v += kick*(1 - v); kicks += 1"
PARAMETERS = {"tau": 10 * ms, "kick": 0.5}
DRIVE = np.array([[0.3, 0.9, 1.4], [0.8, 0.2, 1.1]])


def network(model: models.NeuronModel, n: int = 3, drive: str = "drive") -> NetworkModel:
    return NetworkModel(
        name="regular",
        dt=0.5 * ms,
        inputs={"image": Input(features=n)},
        populations={"c": Population(model=model, n=n, drives={drive: "image"})},
        presentation=Presentation(duration=24 * ms, rest=6 * ms),
        output="c",
    )


def cell(every: Any = 2.5 * ms, equations: Any = EQUATIONS, **fields: Any) -> models.NeuronModel:
    code = KICK.replace("; ", "\n")
    given = {"operations": [models.Operation(code=code, every=every)], **fields}
    return models.neuron(
        name="kicked",
        equations=equations,
        threshold="v > 0.95",
        reset="v = 0",
        parameters=PARAMETERS,
        transient=("kicks",),
        **given,
    )


@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_operations_run_as_run_regularly_does_from_each_onset_on(device: str) -> None:
    """The spikes of a plain Brian2 group, sample by sample, however they are cut into chunks."""
    made = network(cell(equations=Equations(EQUATIONS)))
    kept: dict[str, Any] = {"spikes": ("c",), "per_sample": ("c.kicks",), "math": "strict"}
    recording, _ = simulation.compile(made, device, **kept).run(DRIVE, chunk_size=1, progress=False)
    for sample, drive in enumerate(DRIVE):
        group = NeuronGroup(
            3, EQUATIONS, threshold="v > 0.95", reset="v = 0", method="exact",
            namespace=PARAMETERS, dt=0.5 * ms,
        )  # fmt: skip
        group.run_regularly(KICK, dt=2.5 * ms)
        group.drive_ = drive
        monitor = SpikeMonitor(group)
        Network(group, *group.contained_objects, monitor).run(30 * ms)
        spikes = recording.spikes["c"].of_sample(sample)
        assert len(monitor.i) > 3
        np.testing.assert_array_equal(spikes.i, monitor.i)
        np.testing.assert_allclose(spikes.t, monitor.t / second, atol=1e-12)
        np.testing.assert_array_equal(recording["c.kicks"][sample], group.kicks)
        assert (group.kicks[:] == 12).all()


def test_torch_and_plain_groups_have_the_clock_too() -> None:
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        spikes = surrogate.to_torch(network(cell())).double()(torch.as_tensor(DRIVE))
    runnable = simulation.compile(network(cell()), "runtime")
    recording, _ = runnable.run(DRIVE, progress=False)
    assert recording["c.count"].sum() > 6
    np.testing.assert_array_equal(spikes.sum(0).numpy(), recording["c.count"])
    group = cell().group(3, dt=0.5 * ms)
    group.drive_ = DRIVE[0]
    Network(group, *group.contained_objects).run(30 * ms)
    assert (group.kicks[:] == 12).all()
    again = models.NeuronModel.from_group(group)
    assert [float(operation.every) for operation in again.operations] == [0.0025]


WRONG = {
    "no multiple": (lambda: network(cell(2.7 * ms)), "multiple of the time step"),
    "no divisor": (lambda: network(cell(4 * ms)), "divisor of a presentation"),
    "no time": (lambda: models.Operation(code="v = 1", every=2.0), "Operation.every"),
    "zero": (lambda: models.Operation(code="v = 1", every=0 * ms), "> 0"),
    "an event": (
        lambda: models.Operation(code="v = 1", on="spike", every=1 * ms),
        'given with on="step" only',
    ),
}


@pytest.mark.parametrize(("declare", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_clocks_are_refused(declare: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        declare()


def test_background_input_of_many_sources_has_its_distribution() -> None:
    """``PoissonInput`` as an operation: mean and variance of the sum, seeded, chunk by chunk."""
    n, sources, rate, weight = 400, 50, 20 * Hz, 0.1
    model = models.neuron(
        name="background",
        equations="v : 1\ndrive : 1",
        operations=[models.Operation(code="v += weight*poisson(sources*rate*dt) + 0*drive")],
        parameters={"weight": weight, "sources": sources, "rate": rate},
    )
    made = attrs.evolve(network(model, n), output="c")
    runnable = simulation.compile(made, "runtime", per_sample=("c.v",))
    samples = np.zeros((2, n))
    recording, _ = runnable.run(samples, seed=3, progress=False)
    events = np.diff(np.vstack([np.zeros(n), recording["c.v"]]), axis=0) / weight
    mean = sources * float(rate) * 0.030
    assert stats.kstest(events.ravel(), stats.poisson(mean).cdf).statistic < 0.13
    np.testing.assert_allclose(events.mean(), mean, atol=4 * np.sqrt(mean / events.size))
    np.testing.assert_allclose(events.var(), mean, rtol=0.25)
    again, _ = runnable.run(samples, seed=3, chunk_size=1, progress=False)
    np.testing.assert_array_equal(again["c.v"], recording["c.v"])


def test_equations_objects_are_taken_wherever_text_is() -> None:
    """With their substitutions, units and flags."""
    leak = Equations("dx/dt = -x/tau_x : volt", x="g", tau_x="tau_g")
    model = models.neuron(
        name="own",
        equations=Equations("dv/dt = (g - v)/tau : volt (unless refractory)") + leak,
        threshold="v > 1*mV",
        reset="v = 0*mV",
        refractory=1 * ms,
        parameters={"tau": 10 * ms, "tau_g": 5 * ms},
    )
    assert model.variables == ("g", "v")
    more = model.extended(Equations("u : 1 (shared)"))
    assert more.variables == ("g", "u", "v")
    projection = Projection(
        pre="a", post="b", transmit="g_post += s*mV", equations=Equations("s : 1 (constant)")
    )
    assert projection.variables == ("s",)
    with pytest.raises(ParameterError, match="in V"):
        models.neuron(name="own", equations=Equations("dv/dt = -v : volt"))
