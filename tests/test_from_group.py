"""``NeuronModel.from_group``: groups of users in declared networks, with the same spikes."""

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    TimedArray,
    check_units,
    defaultclock,
    linked_var,
    ms,
    mV,
    run,
    second,
)

from biosnn import compile as make_runnable
from biosnn import encoding
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

pytestmark = pytest.mark.usefixtures("fresh_brian2")


def network(model: NeuronModel, n: int, **more: Any) -> NetworkModel:
    """The group of a user; ``base`` takes the samples."""
    return NetworkModel(
        name="brought",
        dt=0.1 * ms,
        inputs={"x": Input(features=n)},
        populations={"cells": Population(model=model, n=n, drives={"base": "x"})},
        presentation=Presentation(duration=80 * ms, reset="none"),
        output="cells",
        **more,
    )


def everything() -> NeuronGroup:
    cells = NeuronGroup(
        6,
        """dv/dt = (base + total - v)/tau : 1 (unless refractory)
        da/dt = -a/(30*ms) : 1
        total = E - a + 0.1*i : 1
        held = v**2 : 1 (constant over dt)
        level : 1 (shared)
        k : integer
        base : 1
        b : 1 (constant)
        crossed : boolean""",
        threshold="v > 1 + level and held > 0.1",
        reset="v = 0; a += 0.1; k += 1",
        refractory="3*ms + b*ms",
        events={"low": "v < 0.3 and t > 5*ms"},
        method=("exact", "euler"),
        name="cells",
    )
    cells.b = "0.5*i"
    cells.v = "0.1*i"
    cells.base, cells.k, cells.crossed = 1, 3, True
    cells.run_on_event("low", "crossed = not crossed; v += 0.01", when="after_resets")
    cells.run_regularly("level = 0.1*sin(t/(7*ms))", when="before_groups")
    return cells


def test_everything_that_a_group_has_comes_along() -> None:
    defaultclock.dt = 0.1 * ms
    tau, E = 8 * ms, 0.5  # noqa: F841
    cells = everything()
    model = NeuronModel.from_group(cells)
    assert model.parameters == {"tau": 8 * ms, "E": 0.5}
    assert model.initial["k"] == 3
    np.testing.assert_array_equal(model.initial["b"], np.arange(6) / 2)
    runnable = make_runnable(
        network(model, 6),
        device="runtime",
        spikes=["cells"],
        per_sample=["cells.k", "cells.crossed", "cells.a"],
    )
    drive = np.linspace(0.8, 1.6, 6)
    recording, _ = runnable.run(drive[None])
    spikes = SpikeMonitor(cells)
    cells.base = drive
    run(80 * ms)
    assert spikes.num_spikes > 20
    assert np.ptp(cells.k) > 0
    seen = recording.spikes["cells"]
    np.testing.assert_array_equal(seen.i, spikes.i)
    np.testing.assert_allclose(seen.t, spikes.t / second, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(recording["cells.k"][0], cells.k)
    np.testing.assert_array_equal(recording["cells.crossed"][0], cells.crossed)
    np.testing.assert_allclose(recording["cells.a"][0], cells.a, rtol=1e-12)


def test_units_and_other_sizes_and_projections() -> None:
    cells = NeuronGroup(
        2,
        "dv/dt = (E_L - v)/tau : volt (unless refractory)\nbase : 1",
        threshold="v > -50*mV",
        reset="v = E_L",
        refractory=2 * ms,
        namespace={"E_L": -70 * mV, "tau": 10 * ms},
        method="euler",
    )
    cells.v = -70 * mV
    model = NeuronModel.from_group(cells, namespace={})
    assert (model.method, model.refractory) == ("euler", 2 * ms)
    assert model.initial == {"v": -70 * mV}
    net = NetworkModel(
        name="fed",
        dt=0.1 * ms,
        inputs={"x": Input(features=3)},
        populations={
            "source": Population(model=encoding.regular(max_rate=200 * Hz), n=3, drives={"x": "x"}),
            "cells": Population(model=model, n=4),
        },
        projections={
            "p": Projection(pre="source", post="cells", weights=1.0, transmit="v_post += w*12*mV")
        },
        presentation=Presentation(duration=100 * ms),
        output="cells",
    )
    recording, _ = make_runnable(net, device="runtime").run(np.full((1, 3), 1.0))
    assert (recording.counts("cells") > 3).all()


def test_what_a_model_cannot_hold_is_named() -> None:
    tau = 10 * ms

    def group(equations: str = "dv/dt = -v/tau : 1", **more: Any) -> NeuronGroup:
        return NeuronGroup(2, equations, name="brought*", **more)

    @check_units(x=1, result=1)
    def half(x: Any) -> Any:
        return x / 2

    linked = group("v : 1 (linked)")
    linked.v = linked_var(group("v : 1"), "v")
    late = group(threshold="v > 1", reset="v = 0")
    late.resetter["spike"].when = "end"
    cases = [
        (PoissonGroup(2, 1 * Hz), "PoissonGroup"),
        (group()[:1], "Subgroup.*source"),
        (group("dv/dt = (half(v) - v)/tau : 1", method="euler"), "function .half"),
        (group("dv/dt = -v/absent : 1"), "absent"),
        (linked, "linked"),
        (late, "resets in 'resets'"),
        (group(method="rk4", method_options={"x": 1}), "method_options"),
    ]
    for wrong, told in cases:
        with pytest.raises(ParameterError, match=rf"(?s){told}"):
            NeuronModel.from_group(wrong, namespace={"tau": tau, "half": half})


def test_a_timed_array_comes_along() -> None:
    tau, given = 10 * ms, TimedArray([1, 2], dt=1 * ms)
    brought = NeuronGroup(2, "dv/dt = (given(t) - v)/tau : 1", name="brought*")
    model = NeuronModel.from_group(brought, namespace={"tau": tau, "given": given})
    assert list(model.series) == ["given"]
    assert model.series["given"].columns == 0
    np.testing.assert_array_equal(model.series["given"].values, [1, 2])
