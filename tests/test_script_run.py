"""``biosnn.run``: the objects of a script after it are as Brian2 leaves them."""

from collections.abc import Iterator
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    second,
)
from test_from_brian2 import neurons, synapses

import biosnn
from biosnn import run
from biosnn.errors import ParameterError
from biosnn.program.pending import queued
from biosnn.simulation import script_run

pytestmark = pytest.mark.usefixtures("numpy_target")


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    defaultclock.dt = 0.1 * ms
    yield
    defaultclock.dt = 0.1 * ms


def everything(net: Network) -> dict[tuple[str, str], np.ndarray]:
    """All that the objects of a network hold."""
    found = {}
    for target in net.sorted_objects:
        for name, held in target._full_state().items() if hasattr(target, "_full_state") else ():
            if name == "_spikequeue":
                found[target.name, name] = queued(target.queue)
            else:
                found[target.name, name] = np.array(held[0] if isinstance(held, tuple) else held)
    made_anew = ("_sub_idx", "_timebins", "_previous_dt", "_spikes_changed")  # before each run
    return {key: values for key, values in found.items() if key[1] not in made_anew}


def equal(net: Network, expected: dict[tuple[str, str], np.ndarray]) -> None:
    found = everything(net)
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values, err_msg=str(key))


@pytest.mark.parametrize("make", [neurons, synapses])
def test_the_objects_are_as_after_brian2(make: Any) -> None:
    """Also where one goes on with what the other left, and what was on its way."""
    namespace, net = make()
    net.run(30 * ms, namespace=namespace)
    net.run(50 * ms, namespace=namespace)
    assert net["spikes"].num_spikes > 20
    expected = everything(net)
    for brought in ((True, True), (True, False), (False, True)):
        del net
        namespace, net = make()
        for ours, duration in zip(brought, (30 * ms, 50 * ms), strict=True):
            if ours:
                run(duration, network=net, namespace=namespace, device="runtime")
            else:
                net.run(duration, namespace=namespace)
        assert net.t == 80 * ms
        equal(net, expected)


def test_a_duration_that_is_no_multiple_of_a_time_step_set_anew() -> None:
    """Brian2 checks a time step that was changed at the beginning of a run, not at its end."""
    defaultclock.dt = 100.0 * brian2.us  # not to the bit what it was

    def runs(one: Any) -> tuple[NeuronGroup, StateMonitor]:
        cells = NeuronGroup(2, "dv/dt = (2 - v)/(5*ms) : 1", threshold="v > 1", reset="v = 0")
        monitor = StateMonitor(cells, "v", record=True)
        net = Network(cells, monitor)
        for duration in (0.25 * ms, 0.25 * ms, 7.33 * ms):
            one(net, duration)
        return cells, monitor

    expected, seen = runs(lambda net, duration: net.run(duration))
    found, recorded = runs(lambda net, duration: run(duration, network=net, device="runtime"))
    assert np.ptp(seen.v) > 0.9
    np.testing.assert_array_equal(recorded.v, seen.v)
    np.testing.assert_array_equal(recorded.t, seen.t)
    assert found.t == expected.t


def test_compiled_runs_leave_the_same() -> None:
    namespace, net = synapses()
    net.run(80 * ms, namespace=namespace)
    expected = everything(net)
    del net
    namespace, net = synapses()
    for duration in (30 * ms, 50 * ms):
        run(duration, network=net, namespace=namespace, math="strict")
    assert len(expected["spikes", "t"]) > 20
    for key, values in expected.items():
        found = everything(net)[key]
        np.testing.assert_allclose(found, values, rtol=1e-12, atol=1e-12, err_msg=str(key))


@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_spikes_that_are_given_anew_come(device: str) -> None:
    """Those that were given between runs were taken for past ones; also with a period."""
    found = []
    for runs in (None, run):
        given = SpikeGeneratorGroup(3, [0, 1, 2], [1, 2, 3] * ms)
        again = SpikeGeneratorGroup(2, [0, 1], [1, 3] * ms, period=5 * ms)
        monitors = SpikeMonitor(given), SpikeMonitor(again)
        net = Network(given, again, *monitors)
        for spikes in ([2.5, 6.0, 7.0], [8.0, 9.0, 12.0], None):
            if runs is None:
                net.run(5 * ms)
            else:
                run(5 * ms, network=net, device=device)
            if spikes is not None:
                given.set_spikes([2, 2, 0], spikes * ms)
        net.run(6 * ms)  # Brian2 goes on
        found.append([(np.array(m.i), np.array(m.t / ms)) for m in monitors])
    plain, ours = found
    assert len(plain[0][0]) == 3 + 2 + 1
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1])


def random_script() -> tuple[Any, ...]:
    inputs = PoissonGroup(50, 40 * brian2.Hz)
    cells = NeuronGroup(5, "dv/dt = (b - v)/tau : 1", threshold="v > 1", reset="v = 0")
    made = Synapses(inputs, cells, on_pre="v += 0.1 + 0.1*rand()")
    made.connect()
    return inputs, cells, made, SpikeMonitor(cells), StateMonitor(cells, "v", record=[1])


def test_random_numbers_go_on_where_numpys_generator_is() -> None:
    tau, b = 10 * ms, 0.0  # noqa: F841
    brian2.seed(4)
    _inputs, _cells, _synapses, spikes, trace = random_script()
    brian2.run(100 * ms)
    brian2.run(50 * ms)
    drawn = np.random.random()
    plain = np.array(spikes.i), np.array(spikes.t_), np.array(trace.v)
    del spikes, trace
    brian2.seed(4)
    _inputs, _cells, _synapses, again, other = random_script()
    run(100 * ms, device="runtime")
    run(50 * ms, device="runtime")
    assert again.num_spikes > 100
    for found, expected in zip((again.i, again.t_, other.v), plain, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert other.t[-1] == 149.9 * ms
    assert np.random.random() == drawn


def test_other_values_and_constants_need_no_other_build(monkeypatch: pytest.MonkeyPatch) -> None:
    tau = 10 * ms  # noqa: F841
    built = []
    make = script_run.make_runnable
    monkeypatch.setattr(
        script_run, "make_runnable", lambda *a, **k: built.append(1) or make(*a, **k)
    )
    plain, brought = [], []
    for runs, found in ((brian2.run, plain), (run, brought)):
        options = {} if runs is brian2.run else {"device": "runtime"}
        brian2.seed(1)
        _inputs, cells, _synapses, spikes, _trace = random_script()
        for b in (0.0, 1.5, 0.5):
            cells.v = b / 4
            runs(20 * ms, **options)
            found.append((spikes.num_spikes, cells.v[0]))
        del b
    assert plain[0][0] < plain[1][0] < plain[2][0]
    assert brought == plain
    assert len(built) == 1
    run(1 * ms, device="runtime", namespace={"tau": 5 * ms, "b": 0.0})
    assert len(built) == 1
    late = NeuronGroup(1, "x : 1")
    late.run_regularly("x += 1")
    run(1 * ms, network=Network(late), device="runtime")
    assert late.x[0] == 10
    assert len(built) == 2


def test_reports_are_brian2s(capsys: pytest.CaptureFixture[str]) -> None:
    cells = NeuronGroup(1, "x : 1")
    cells.run_regularly("x += 1")
    told = []
    run(1 * ms, "text", device="runtime")
    run(1 * ms, report=lambda *seen: told.append(seen), device="runtime")
    assert "Starting simulation at t=0. s" in capsys.readouterr().out
    assert [(done, start, whole) for _, done, start, whole in told] == [
        (0.0, 1 * ms, 1 * ms),
        (1.0, 1 * ms, 1 * ms),
    ]
    assert cells.x[0] == 20


def test_what_cannot_be_run_is_named() -> None:
    cells = NeuronGroup(1, "x : 1", name="counted")
    cells.run_regularly("x += 1")
    with pytest.raises(ParameterError, match="duration"):
        run(3)
    with pytest.raises(ParameterError, match="report"):
        run(1 * ms, "loud")
    with pytest.raises(ParameterError, match="network"):
        run(1 * ms, network=[cells])
    with pytest.raises(ParameterError, match="device"):
        run(1 * ms, device="abacus")
    with pytest.raises(ParameterError, match="math"):
        run(1 * ms, device="runtime", math="quick")
    with pytest.raises(ParameterError, match="namespace must be a dict"):
        run(1 * ms, device="runtime", namespace=3)  # pyright: ignore[reportArgumentType]
    assert cells.x[0] == 0
    other = Network(cells)
    run(1 * ms, device="runtime")
    with pytest.raises(ParameterError, match=r"counted.*another network"):
        run(1 * ms, network=other, device="runtime")
    late = NeuronGroup(1, "x : 1", name="late")
    late.run_regularly("x = unknown")
    net = Network(late)
    with pytest.raises(ParameterError, match=r"late_run_regularly.*\.code.*unknown"):
        run(1 * second, network=net, device="runtime")
    assert biosnn.run is run
