"""Networks of Brian2 scripts: plain Brian2 beside the devices, feature by feature."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import brian2
import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    check_units,
    defaultclock,
    implementation,
    linked_var,
    ms,
    mV,
    network_operation,
    prefs,
    second,
)

import biosnn
from biosnn.devices.base.artifact import BINARY, open_artifact, seal
from biosnn.devices.cpp.device import compiled
from biosnn.errors import DataError, DeviceError, Interrupted, ParameterError, StorageError
from biosnn.networks import Normalisation

DEVICES = ("runtime", "cpp")


@pytest.fixture(autouse=True)
def _numpy(monkeypatch):
    """Plain Brian2 runs NumPy code, with the usual time step."""
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    defaultclock.dt = 0.1 * ms
    yield
    prefs.codegen.target = before
    defaultclock.dt = 0.1 * ms


def check_equal(net, recording, state, rounding=0.0):
    """Hold what a device recorded, and where it ended, against plain Brian2's objects.

    Events and times are equal in any case, and values to the bit unless ``rounding`` is given:
    NumPy's ``exp`` and that of C++ differ in the last bit for one argument in twenty.
    """

    def check(values, found, name):
        np.testing.assert_allclose(values, found, rtol=rounding, atol=rounding, err_msg=name)

    for target in net.sorted_objects:
        name = target.name
        if isinstance(target, EventMonitor):
            spikes = recording.spikes[name]
            np.testing.assert_array_equal(recording.counts(name)[0], target.count[:])
            if target.record:
                np.testing.assert_array_equal(spikes.i, target.i[:])
                np.testing.assert_array_equal(spikes.t, target.t_[:])
            for variable, values in spikes.values.items():
                found = target.variables[variable].get_value()
                check(values, found, f"{name}.{variable}")
        elif isinstance(target, StateMonitor):
            for variable in target.record_variables:
                trace = recording.traces[f"{name}.{variable}"]
                np.testing.assert_array_equal(trace.time, target.t_[:])
                found = target.variables[variable].get_value().T
                check(trace.values, found, f"{name}.{variable}")
        elif isinstance(target, PopulationRateMonitor):
            trace = recording.traces[f"{name}.rate"]
            np.testing.assert_array_equal(trace.time, target.t_[:])
            np.testing.assert_array_equal(trace.values[0], target.rate_[:])
    compared = 0
    for name, values in state.items():
        owner, _, variable = name.partition(".")
        if owner in net and variable in net[owner].variables and not variable.startswith("_"):
            found = net[owner].variables[variable].get_value()
            check(values, found, name)
            compared += 1
    assert compared


def run_everywhere(net, duration, namespace, devices=DEVICES, rounding=0.0):
    """Run a network with plain Brian2 and on devices; the runnables by device."""
    lifted = biosnn.from_brian2(net, namespace=namespace)
    net.run(duration, namespace=namespace)
    found = {}
    for device in devices:
        found[device] = biosnn.compile(lifted, device=device, math="strict")
        checked = found[device].run(duration)
        check_equal(net, *checked, rounding=0.0 if device == "runtime" else rounding)
    return found


def test_ten_neurons_with_a_current_over_time():
    """The LIF group whose current is a TimedArray, taken from the script's frame."""
    tau = 10 * ms  # noqa: F841
    R = 1.0  # noqa: F841
    current = TimedArray(  # noqa: F841
        np.linspace(0, 40, 20)[:, None] + np.arange(10), dt=5 * ms
    )
    cells = NeuronGroup(
        10,
        "dv/dt = (R*current(t, i) - v)/tau : 1 (unless refractory)",
        threshold="v > 15",
        reset="v = 0",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    spikes = SpikeMonitor(cells, name="spikes")
    trace = StateMonitor(cells, "v", record=[0, 5], name="trace")
    net = Network(cells, spikes, trace)
    lifted = biosnn.from_brian2(net)
    assert "cells" in repr(lifted)
    assert "10" in repr(lifted)
    net.run(100 * ms)
    assert spikes.num_spikes > 50
    for device in DEVICES:
        runnable = biosnn.compile(lifted, device=device, math="strict")
        recording, state = runnable.run(100 * ms)
        check_equal(net, recording, state, rounding=0.0 if device == "runtime" else 1e-12)
        again, _ = runnable.run(100 * ms)
        np.testing.assert_array_equal(again.spikes["spikes"].t, recording.spikes["spikes"].t)


def neurons():
    """Everything that neurons alone can have."""

    @implementation("cpp", "double half(double x) { return x/2; }")
    @check_units(x=1, result=1)
    def half(x):
        return x / 2

    namespace = {"tau": 8 * ms, "drive": TimedArray([1.5, 3.0, 2.0], dt=20 * ms), "half": half}
    clock = NeuronGroup(1, "phase = sin(2*pi*50*Hz*t) : 1 (shared)", name="rhythm")
    cells = NeuronGroup(
        6,
        """dv/dt = (total - v)/tau : 1 (unless refractory)
        da/dt = -a/(30*ms) : 1
        total = drive(t) + half(rhythm) - a + 0.1*i : 1
        held = v**2 : 1 (constant over dt)
        rhythm : 1 (linked)
        level : 1 (shared)
        k : integer
        b : 1 (constant)
        crossed : boolean""",
        threshold="v > 1 + level",
        reset="v = 0; a += 0.1; k += 1",
        refractory="3*ms + b*ms",
        events={"low": "v < 0.3 and t > 5*ms"},
        method="euler",
        name="cells",
    )
    cells.rhythm = linked_var(clock, "phase")
    cells.b = "0.5*i"
    cells.v = "0.1*i"
    cells.run_on_event("low", "crossed = True; v += 0.01", when="after_resets")
    cells.run_regularly("level = 0.1*sin(t/(7*ms))", dt=2 * ms, when="before_groups")
    cells[2:4].run_regularly("v += 0.05*(i + 1)", dt=5 * ms)
    other = NeuronGroup(3, "copy : 1 (linked)\ny = 2*copy : 1", name="other")
    other.copy = linked_var(cells, "v", index=[5, 0, 2])
    return namespace, Network(
        clock,
        cells,
        other,
        SpikeMonitor(cells, variables=["a", "total"], name="spikes"),
        EventMonitor(cells, "low", name="lows"),
        SpikeMonitor(cells[1:3], record=False, name="counted"),
        StateMonitor(cells, ["v", "total", "held", "level"], record=True, name="trace"),
        StateMonitor(other, "y", record=[0, 2], dt=0.5 * ms, when="end", name="coarse"),
        PopulationRateMonitor(cells[:4], name="rate"),
    )


def test_neurons_and_their_monitors():
    namespace, net = neurons()
    found = run_everywhere(net, 80 * ms, namespace)
    assert net["spikes"].num_spikes > 20
    assert net["lows"].num_events > 20
    assert np.ptp(net["trace"].level) > 0.1
    assert net["coarse"].y.max() > 0.5
    assert found["cpp"].initial_state().units["cells.b"] == ""


def synapses():
    """Everything that synapses can have."""
    rng = np.random.default_rng(3)
    namespace = {"tau": 10 * ms, "taupre": 15 * ms, "E": 0.5}
    i, t = np.divmod(np.flatnonzero(rng.random(8 * 200) < 0.08), 200)
    order = np.lexsort((i, t))
    source = SpikeGeneratorGroup(8, i[order], t[order] * 0.5 * ms, name="source")
    cells = NeuronGroup(
        10,
        """dv/dt = (g + s - v)/tau : 1
        dg/dt = -g/(5*ms) : 1
        s : 1
        F = v*E : 1""",
        threshold="v > 0.6",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    stdp = Synapses(
        source,
        cells[2:],
        """w : 1
        dApre/dt = -Apre/taupre : 1 (event-driven)
        dApost/dt = -Apost/(20*ms) : 1 (event-driven)
        gate : 1""",
        on_pre={"up": "g_post += w*(1 + gate)", "learn": "Apre += 0.02; w = clip(w + Apost, 0, 1)"},
        on_post="Apost -= 0.021; w = clip(w + Apre, 0, 1)",
        delay={"learn": 1 * ms},
        name="stdp",
    )
    stdp.connect(condition="(i + j) % 3 != 0")
    stdp.w = "0.3 + 0.01*i"
    stdp.up.delay = "0.1*ms*(i + j % 4)"
    gap = Synapses(cells, cells, "s_post = 0.1*(v_pre - v_post) : 1 (summed)", name="gap")
    gap.connect(condition="abs(i - j) == 1")
    slow = Synapses(
        cells[:5],
        cells,
        """dr/dt = -r/(12*ms) : 1 (clock-driven)
        dx/dt = (F_pre - x)/tau : 1 (clock-driven)""",
        on_pre="r += 0.5; v_post += 0.02*r",
        multisynaptic_index="k",
        method="euler",
        name="slow",
    )
    slow.connect(condition="i != j", n=2)
    slow.delay = "2*ms*k"
    gating = Synapses(cells, stdp, on_pre="gate_post = clip(gate_post + 0.1, 0, 1)", name="gating")
    gating.connect(i=[0, 3, 5], j=[1, 4, 7])
    return namespace, Network(
        source,
        cells,
        stdp,
        gap,
        slow,
        gating,
        SpikeMonitor(cells, name="spikes"),
        StateMonitor(stdp, ["w", "Apre"], record=[0, 7, 20], dt=1 * ms, name="weights"),
        StateMonitor(slow, ["r", "x"], record=True, dt=2 * ms, name="slow_trace"),
    )


def test_synapses():
    namespace, net = synapses()
    first = np.array(net["stdp"].w)
    run_everywhere(net, 100 * ms, namespace, rounding=1e-12)
    assert net["spikes"].num_spikes > 30
    assert np.abs(net["stdp"].w - first).max() > 0.05
    assert net["stdp"].gate[:].max() > 0
    assert net["slow_trace"].r.max() > 0.5
    assert np.abs(net["cells"].s).max() > 0


def test_a_run_goes_on_from_its_state_with_what_is_on_its_way():
    namespace, net = synapses()
    lifted = biosnn.from_brian2(net, namespace=namespace)
    net.run(100 * ms, namespace=namespace)
    for device in DEVICES:
        runnable = biosnn.compile(lifted, device=device, math="strict")
        whole, end = runnable.run(100 * ms)
        parts, state = [], None
        for duration in (31.4, 0.1, 68.5):
            part, state = runnable.run(duration * ms, state=state)
            parts.append(part.spikes["spikes"])
        assert sum(len(state[f"slow_{name}.pending"]) for name in ("pre",)) > 0
        assert state["t"][0] == pytest.approx(0.1)
        assert all(len(part.i) for part in parts[::2])
        times = np.concatenate([part.t for part in parts])
        np.testing.assert_array_equal(times, whole.spikes["spikes"].t)
        for name in end:
            if name != "t":
                np.testing.assert_array_equal(state[name], end[name], err_msg=name)
    # A state goes on elsewhere.
    runtime = biosnn.compile(lifted, device="runtime")
    _, state = runtime.run(31.4 * ms)
    rest, _ = runnable.run(68.6 * ms, state=state)
    after = whole.spikes["spikes"].t >= 0.0314 - 1e-9
    np.testing.assert_array_equal(rest.spikes["spikes"].t, whole.spikes["spikes"].t[after])


def test_values_that_change_from_run_to_run():
    tau = 10 * ms
    reach = 2.0

    def network(tau, reach, v):
        cells = NeuronGroup(
            4, "dv/dt = (reach - v)/tau : 1", threshold="v > 1", reset="v = 0", name="cells"
        )
        cells.v = v
        return Network(cells, SpikeMonitor(cells, name="spikes"))

    lifted = biosnn.from_brian2(network(tau, reach, 0))
    assert lifted.constants == {"cells.reach": 2.0, "cells.tau": 10 * ms}
    values = [0.1, 0.2, 0.3, 0.9]
    for device in DEVICES:
        runnable = biosnn.compile(lifted, device=device, math="strict")
        counts = []
        for changed in ({}, {"cells.tau": 5 * ms}, {"tau": 5 * ms, "cells.v": values}):
            recording, _ = runnable.run(50 * ms, changed)
            counts.append(recording.counts("spikes").sum())
            plain = network(tau, reach, changed.get("cells.v", 0))
            own = changed.get("cells.tau", changed.get("tau", tau))
            plain.run(50 * ms, namespace={"tau": own, "reach": reach})
            np.testing.assert_array_equal(recording.spikes["spikes"].t, plain["spikes"].t_[:])
        assert 0 < counts[0] < counts[1] < counts[2]
        for wrong, what in (
            ({"cells.w": 1}, "cells.w"),
            ({"tau": 5 * mV}, "number in s"),
            ({"cells.tau": [1, 2] * ms}, "number in s"),
        ):
            with pytest.raises(ParameterError, match=what):
                runnable.run(50 * ms, wrong)
        with pytest.raises(DataError, match="shape"):
            runnable.run(50 * ms, {"cells.v": [1, 2]})
        with pytest.raises(ParameterError, match="duration"):
            runnable.run(50)


def noisy():
    """Every source of random numbers."""
    namespace = {"tau": 10 * ms}
    cells = NeuronGroup(
        20,
        """dv/dt = (0.5 - v)/tau + 0.3*xi*tau**-0.5 : 1
        u : 1""",
        threshold="v > 0.8 or rand() < 0.005",
        reset="v = 0.1*randn()",
        method="euler",
        name="cells",
    )
    cells.run_regularly("u = rand()", dt=5 * ms)
    inputs = PoissonGroup(30, rates="100*Hz*(1 + sin(2*pi*10*Hz*t))", name="inputs")
    fixed = PoissonGroup(10, rates=50 * Hz, name="fixed")
    one = Synapses(inputs, cells, on_pre="v += 0.05*rand()", delay=1 * ms, name="one")
    one.connect(p=0.5)
    two = Synapses(fixed, cells, on_pre="v += 0.05", name="two")
    two.connect(j="i")
    many = PoissonInput(cells, "v", 20, 30 * Hz, weight=0.02)
    few = PoissonInput(cells, "v", 100, 2 * Hz, weight="0.01*(i + 1)/N", when="end")
    some = PoissonInput(cells[2:5], "v", 50, 4 * Hz, weight=0.03)
    return namespace, Network(
        inputs, fixed, cells, one, two, many, few, some, SpikeMonitor(cells, name="spikes"),
        SpikeMonitor(inputs, name="sent"), SpikeMonitor(fixed, name="sent_too"),
    )  # fmt: skip


def test_random_numbers_are_brian2s_own():
    """With the same seed, Brian2 in Python and the device `runtime` draw the same numbers."""
    brian2.seed(5)
    namespace, net = noisy()
    lifted = biosnn.from_brian2(net, namespace=namespace)
    brian2.seed(17)
    net.run(100 * ms, namespace=namespace)
    assert net["spikes"].num_spikes > 50
    assert net["sent"].num_spikes > 100
    means = {}
    for device in DEVICES:
        runnable = biosnn.compile(lifted, device=device, math="strict")
        drawn = np.random.get_state()[1].copy()
        recording, state = runnable.run(100 * ms, seed=17)
        np.testing.assert_array_equal(np.random.get_state()[1], drawn)
        if device == "runtime":
            check_equal(net, recording, state)
        again, _ = runnable.run(100 * ms, seed=17)
        np.testing.assert_array_equal(again.spikes["spikes"].t, recording.spikes["spikes"].t)
        other, _ = runnable.run(100 * ms, seed=18)
        assert len(other.spikes["sent"].t) != len(recording.spikes["sent"].t)
        # It goes on to the bit.
        begun, middle = runnable.run(37.3 * ms, seed=17)
        ended, end = runnable.run(62.7 * ms, state=middle)
        times = [part.spikes["spikes"].t for part in (begun, ended)]
        np.testing.assert_array_equal(np.concatenate(times), recording.spikes["spikes"].t)
        for name in state:
            if name != "t":
                np.testing.assert_array_equal(end[name], state[name], err_msg=name)
        means[device] = [
            [len(r.spikes[key].t) for key in ("spikes", "sent", "sent_too")]
            for r in (runnable.run(100 * ms, seed=k)[0] for k in range(8))
        ]
    one, two = (np.asarray(means[device]) for device in DEVICES)
    spread = np.sqrt(one.var(0, ddof=1) / 8 + two.var(0, ddof=1) / 8)
    assert (np.abs(one.mean(0) - two.mean(0)) < 4.5 * spread).all()


def test_what_begins_later_takes_its_time_along():
    """A script that has run already: its time, its values and what is on its way come along."""
    namespace, net = synapses()
    net.run(30 * ms, namespace=namespace)
    lifted = biosnn.from_brian2(net, namespace=namespace)
    assert lifted.program.start == pytest.approx(0.03)
    assert lifted.program.pending
    before = net["spikes"].num_spikes
    net.run(30 * ms, namespace=namespace)
    assert net["spikes"].num_spikes > before
    for device in DEVICES:
        runnable = biosnn.compile(lifted, device=device, math="strict")
        recording, _ = runnable.run(30 * ms)
        np.testing.assert_array_equal(
            recording.spikes["spikes"].t, net["spikes"].t_[before:], err_msg=device
        )


def test_the_magic_network_and_lists():
    brian2.start_scope()
    tau = 10 * ms
    cells = NeuronGroup(3, "dv/dt = (2 - v)/tau : 1", threshold="v > 1", reset="v = 0", name="one")
    spikes = SpikeMonitor(cells, name="seen")
    for lifted in (biosnn.from_brian2(), biosnn.from_brian2([cells, {"s": spikes}])):
        recording, state = biosnn.compile(lifted, device="runtime").run(50 * ms)
        assert recording.counts("seen").sum() == 3 * 7
        assert state["t"][0] == 0.05
    net = Network(cells, spikes)
    direct, _ = biosnn.compile(net, device="runtime").run(50 * ms)
    assert direct.counts("seen").sum() == 21
    del tau


def test_what_cannot_come_along_is_named():
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", name="cells")

    @network_operation(dt=1 * ms)
    def stir():
        cells.v += 1

    with pytest.raises(
        ParameterError, match=r"(?s)network_?operation.*test_from_brian2.*run_regul"
    ):
        biosnn.from_brian2([cells, stir])
    gsl = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="gsl", name="integrated")
    with pytest.raises(ParameterError, match=r"integrated\.method"):
        biosnn.from_brian2([gsl])
    other = Synapses(cells, cells, name="alone")
    with pytest.raises(ParameterError, match=r"alone\.connect"):
        biosnn.from_brian2([cells, other])
    other = Synapses(cells, cells, "x : 1", name="lonely")
    other.connect()
    other.run_regularly("x += 1")
    with pytest.raises(ParameterError, match=r"lonely\.source"):
        biosnn.from_brian2([other])
    with pytest.raises(ParameterError, match=r"from_brian2\.network"):
        biosnn.from_brian2("cells")
    lifted = biosnn.from_brian2([cells])
    with pytest.raises(ParameterError, match="spikes"):
        biosnn.compile(lifted, device="runtime", spikes=["cells"])
    with pytest.raises(ParameterError, match=r"shown samples .* on a GPU"):
        biosnn.compile(lifted, device="cuda")


def test_names_that_are_nothing_are_said_at_once():
    cells = NeuronGroup(
        2,
        "dv/dt = (I - v)/(10*ms) + xi*ms**-0.5 : 1\nI = 2*missing : 1\ndone : 1",
        threshold="v > 1",
        reset="w = v; v -= w",
        method="euler",
        name="cells",
    )
    synapses = Synapses(cells, cells, "g : 1", on_pre="d = g*v_pre; v += d; g += absent", name="s")
    synapses.connect()
    with pytest.raises(ParameterError, match=r"(?s)cells\.equations.*missing.*py.*namespace"):
        biosnn.from_brian2([cells], namespace={})
    given = {"missing": 1.0}
    biosnn.compile(biosnn.from_brian2([cells], namespace=given), device="runtime")
    with pytest.raises(ParameterError, match=r"(?s)s_pre\.code.*d = g.*absent.*from_brian2\.py"):
        biosnn.from_brian2([cells, synapses], namespace=given)
    runner = cells.run_regularly("done = lost")
    with pytest.raises(ParameterError, match=rf"{runner.name}\.code.*lost"):
        biosnn.from_brian2([cells, runner], namespace=given)


def test_what_brian2_cannot_run_is_said_when_it_is_compiled():
    cells = NeuronGroup(2, "v : 1\nu : volt", threshold="v > u", name="cells")
    lifted = biosnn.from_brian2([cells], namespace={})
    with pytest.raises(ParameterError, match="unit"):
        biosnn.compile(lifted, device="runtime")
    with pytest.raises(DeviceError, match="unit"):
        biosnn.compile(lifted, device="cpp")


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_can_be_stopped(device):
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="euler", name="cells")
    runnable = biosnn.compile(biosnn.from_brian2([cells]), device=device)

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    timer.start()
    with pytest.raises(Interrupted, match="nothing was kept"):
        runnable.run(1e7 * ms * 1000)
    timer.join()
    _, state = runnable.run(1 * ms)
    assert state["t"][0] == 0.001


def test_functions_without_code_for_cpp_run_in_python_only():
    @check_units(x=1, result=1)
    def third(x):
        return x / 3

    cells = NeuronGroup(2, "v : 1", threshold="v > 1", reset="", name="cells")
    cells.run_regularly("v = third(t/ms)")
    net = Network(cells, SpikeMonitor(cells, name="spikes"))
    lifted = biosnn.from_brian2(net)
    net.run(5 * ms)
    assert net["spikes"].num_spikes > 10
    check_equal(net, *biosnn.compile(lifted, device="runtime").run(5 * ms))
    with pytest.raises(ParameterError, match=r"third\.implementation"):
        biosnn.compile(lifted, device="cpp")


def test_the_schedule_of_the_network_holds():
    """A network's own slots, and names that break ties."""
    a = NeuronGroup(1, "v : 1", name="a")
    b = NeuronGroup(1, "v : 1\nread : 1 (linked)", name="b")
    b.read = linked_var(a, "v")
    b.run_regularly("v = read", when="end", name="b_reads")
    a.run_regularly("v += 1", when="start", name="a_counts")
    net = Network(a, b, StateMonitor(b, "v", record=True, when="after_end", name="trace"))
    net.schedule = ["end", "start", "groups", "thresholds", "synapses", "resets"]
    run_everywhere(net, 1 * ms, {}, devices=("runtime",))
    assert list(net["trace"].v[0][:3]) == [0, 1, 2]


def test_groups_of_two_time_steps_read_one_timed_array():
    """Brian2 writes its code anew for each time step."""
    stimulus = TimedArray(np.arange(20.0), dt=1 * ms)
    groups = [
        NeuronGroup(1, "dv/dt = (stimulus(t) - v)/(5*ms) : 1", method="euler", dt=dt, name=name)
        for name, dt in (("fine", 0.1 * ms), ("coarse", 0.5 * ms))
    ]
    traces = [StateMonitor(g, "v", True, name=f"trace_{g.name}") for g in groups]
    run_everywhere(Network(*groups, *traces), 20 * ms, {"stimulus": stimulus})
    assert all(np.ptp(trace.v) > 5 for trace in traces)


def test_a_constant_may_be_infinite():
    cells = NeuronGroup(
        1,
        "dv/dt = drive - v/tau : 1",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    net = Network(cells, SpikeMonitor(cells, name="spikes"))
    run_everywhere(net, 20 * ms, {"tau": np.inf * ms, "drive": 300 * Hz})
    assert net["spikes"].num_spikes > 3


def test_squares_are_products_in_cpp(monkeypatch):
    """What C++ has for powers is put into the network's code, as nothing of ours keeps it out."""
    monkeypatch.setenv("BIOSNN_OPTIMISATION", "3")
    cells = NeuronGroup(3, "dv/dt = (v**2 - v)/ms : 1", method="euler", name="cells")
    cells.v = [0.1, 0.5, 0.9]
    runnable = biosnn.compile(biosnn.from_brian2(Network(cells)), device="cpp")
    _, state = runnable.run(1 * ms)
    assert (state["cells.v"] < [0.1, 0.5, 0.9]).all()
    folder, _ = compiled(
        biosnn.from_brian2(Network(cells)).program, precision="double", math="fast", portable=False
    )
    assert b"\0pow\0" not in (folder / BINARY).read_bytes()


def test_a_function_of_the_script_goes_before_one_of_cpp():
    @implementation("cpp", "double hypot(double x, double y) { return 2*x + 2*y; }")
    @check_units(x=1, y=1, result=1)
    def hypot(x, y):
        return 2 * x + 2 * y

    cells = NeuronGroup(2, "dv/dt = (hypot(v, v) + 1)/ms : 1", method="euler", name="cells")
    lifted = biosnn.from_brian2(Network(cells), namespace={"hypot": hypot})
    found = [
        biosnn.compile(lifted, device=device, precision="single").run(1 * ms)[1]["cells.v"]
        for device in DEVICES
    ]
    assert (found[0] > 5).all()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_clocks_that_do_not_divide_each_other():
    a = NeuronGroup(1, "dv/dt = 1/(10*ms) : 1", dt=0.3 * ms, method="euler", name="a")
    b = NeuronGroup(
        1,
        "x : 1 (linked)\ndy/dt = x*Hz : 1",
        dt=0.2 * ms,
        threshold="int(t/dt) % 4 == 1",
        reset="y = 0",
        method="euler",
        name="b",
    )
    b.x = linked_var(a, "v")
    net = Network(a, b, SpikeMonitor(b, name="spikes"), StateMonitor(b, "y", True, name="trace"))
    run_everywhere(net, 20 * ms, {})
    assert net["spikes"].num_spikes > 20
    assert net["trace"].y.max() > 0


@pytest.mark.parametrize("device", DEVICES)
def test_recordings_of_a_duration_have_a_limit(device):
    net = firing()
    runnable = biosnn.compile(biosnn.from_brian2(net, namespace={}), device=device, math="strict")
    with pytest.raises(ParameterError, match=r"needs at least 381 MiB"):
        runnable.run(1000 * second, memory_limit=10**8)
    with pytest.raises(ParameterError, match=r"memory_limit .* has grown to"):
        runnable.run(20 * ms, memory_limit=11000)
    recording, _ = runnable.run(20 * ms, memory_limit=20000)
    assert len(recording.spikes["spikes"].i) > 200
    check_recorded = 20e-3 / 1e-4 * (8 + 4 * 8)
    assert recording.traces["trace.v"].values.nbytes + 8 * 200 == check_recorded


#: Runs an artifact where there is no Brian2.
LOADED = """
import sys
sys.modules["brian2"] = None
import numpy as np
from biosnn import simulation
made = simulation.load("network")
first, middle = made.run(0.02, {"cells.tau": 0.008, "stdp.w": 0.5}, seed=3)
second, end = made.run(0.03, state=middle)
np.savez("found.npz", first=first.spikes["spikes"].t, second=second.spikes["spikes"].t, **end)
"""


def test_a_network_that_runs_for_a_duration_is_an_artifact(tmp_path):
    namespace, net = synapses()
    net.run(0.7 * ms, namespace=namespace)  # it begins later, with events on their way
    here = biosnn.compile(biosnn.from_brian2(net, namespace=namespace), math="strict")
    first, middle = here.run(20 * ms, {"cells.tau": 8 * ms, "stdp.w": 0.5}, seed=3)
    second, end = here.run(30 * ms, state=middle)
    assert len(first.spikes["spikes"].t) > 10
    assert end["t"][0] == pytest.approx(50.7e-3)
    there = here.export(tmp_path / "network")
    environment = {**os.environ, "PYTHONPATH": str(Path(biosnn.__file__).parents[1])}
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as found:
        assert found["first"].tobytes() == first.spikes["spikes"].t.tobytes()
        assert found["second"].tobytes() == second.spikes["spikes"].t.tobytes()
        for name in end:
            np.testing.assert_array_equal(found[name], end[name], err_msg=name)
    for change in ({"recorded": {"../x": here._made.artifact.manifest["recorded"]["spikes"]}},
                   {"recorded": []}, {"start": None}):  # fmt: skip
        seal(there, {**open_artifact(there).manifest, **change})
        with pytest.raises(StorageError, match="cannot be understood"):
            biosnn.simulation.load(there)
    shutil.rmtree(there)
    loaded = biosnn.simulation.load(here.export(there))
    assert loaded.initial_state().checksum() == here.initial_state().checksum()
    with pytest.raises(ParameterError, match="in s, got"):
        loaded.run(1 * ms, {"cells.tau": 1 * mV})
    with pytest.raises(DataError, match="not the script"):
        _ = loaded.network
    with pytest.raises(DeviceError, match='compile it for "cpp"'):
        biosnn.compile(here.network, "runtime").export(tmp_path / "none")


def firing():
    cells = NeuronGroup(4, "dv/dt = 1/(0.25*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="euler", name="cells")  # fmt: skip
    trace = StateMonitor(cells, "v", record=True, name="trace")
    return Network(cells, SpikeMonitor(cells, name="spikes"), trace)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("end 0.0x2", "malformed setting 'end'"),
        ("start", "malformed setting 'start'"),
        ("seed -1", "malformed setting 'seed'"),
        ("recorder_limit 1e3", "malformed setting 'recorder_limit'"),
        ("constant.0 one", "malformed setting 'constant.0'"),
        ("state_in {long}", "is too long"),
        ("static_arrays {long}", "is too long"),
    ],
)
def test_a_binary_refuses_what_is_malformed(tmp_path, line, said):
    tau = np.array([1.0, 2.0]) * ms
    net = firing()
    more = NeuronGroup(1, "I = given(t) : 1\ndx/dt = (I - x)/tau : 1", method="euler", name="more")
    net.add(more)
    namespace = {"tau": 5 * ms, "given": TimedArray(tau / ms, dt=1 * ms)}
    lifted = biosnn.from_brian2(net, namespace=namespace)
    folder, _ = compiled(lifted.program, "double", "strict", False)
    state = biosnn.compile(lifted, math="strict")._made
    (tmp_path / "out").mkdir()
    state._write_state(tmp_path / "state_in", state.defaults)
    static = next((folder / "static_arrays").iterdir())
    (tmp_path / "long").write_bytes(b"x" * 10**6)
    known = {"parent": os.getpid(), "state_in": tmp_path / "state_in", "out": tmp_path / "out",
             "state_out": tmp_path / "state_out", "start": 0.0, "end": 0.01, "seed": 1,
             "recorder_limit": 10**6}  # fmt: skip
    key, _, value = line.partition(" ")
    value = value.format(long=tmp_path / "long")
    if key == "static_arrays":
        shutil.copytree(folder, tmp_path / "network")
        folder = tmp_path / "network"
        shutil.copy(value, folder / "static_arrays" / static.name)
    else:
        known[key] = value
    settings = tmp_path / "settings"
    settings.write_text("".join(f"{name} {text}\n" for name, text in known.items()))
    done = subprocess.run([folder / BINARY, settings], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert said in done.stderr


# --- samples


def classifier():
    """A script with Poisson inputs and STDP, which looks at one picture."""
    namespace = {"tau": 10 * ms}
    pixels = PoissonGroup(12, rates=30 * Hz, name="pixels")
    current = NeuronGroup(3, "I : 1\ndx/dt = (I - x)/(5*ms) : 1", threshold="x > 1", reset="x = 0",
                          method="euler", name="current")  # fmt: skip
    cells = NeuronGroup(
        4,
        """dv/dt = -v/tau : 1 (unless refractory)
        dtheta/dt = -theta/(1*second) : 1""",
        threshold="v > 1 + theta",
        reset="v = 0; theta += 0.02",
        refractory=3 * ms,
        method="euler",
        name="cells",
    )
    stdp = Synapses(
        pixels,
        cells,
        """w : 1
        dApre/dt = -Apre/(20*ms) : 1 (event-driven)
        dApost/dt = -Apost/(20*ms) : 1 (event-driven)""",
        on_pre="""v_post += w
            Apre += 0.01
            w = clip(w + Apost, 0, 1)""",
        on_post="Apost -= 0.0105; w = clip(w + Apre, 0, 1)",
        delay=2 * ms,
        name="stdp",
    )
    stdp.connect()
    stdp.w = "0.2 + 0.01*(i - j)"
    other = Synapses(current, cells, on_pre="v_post += 0.3", name="other")
    other.connect()
    return namespace, Network(
        pixels, current, cells, stdp, other, SpikeMonitor(cells, name="spikes"),
        StateMonitor(cells, "v", record=[0], dt=1 * ms, name="trace"),
    )  # fmt: skip


def sampled(**more):
    namespace, net = classifier()
    keep = {"cells": ("v", "lastspike"), "current": ("x",), "stdp": ("Apre", "Apost")}
    options = {
        "inputs": {"image": "pixels", "drive": "current.I"},
        "presentation": biosnn.Presentation(duration=50 * ms, rest=20 * ms, reset=keep),
        "output": "cells",
        "learned": "stdp.w",
    }
    return biosnn.from_brian2(net, namespace=namespace, **{**options, **more})


SHOWN = {
    "image": np.random.default_rng(2).random((9, 12)) * 120,
    "drive": np.random.default_rng(3).random((9, 3)) * 3,
}


@pytest.mark.parametrize("device", DEVICES)
def test_a_script_is_shown_samples_in_chunks(device):
    runnable = biosnn.compile(sampled(), device=device, math="strict")
    whole, end = runnable.run(SHOWN, learn=True, seed=3, progress=False)
    counts = whole.counts("cells")
    assert counts.shape == (9, 4)
    assert counts.sum() > 40
    start = runnable.initial_state()
    assert np.abs(end["stdp.w"] - start["stdp.w"]).max() > 0.02
    assert end.samples_seen == 9
    assert end["cells.theta"].max() > 0.02
    spikes = whole.spikes["spikes"]
    for sample in range(9):
        assert (np.bincount(spikes.i[spikes.sample == sample], minlength=4) == counts[sample]).all()
    assert spikes.t.max() < 0.07
    trace = whole.traces["trace.v"]
    assert trace.values.shape == (1, 9 * 70)
    np.testing.assert_array_equal(trace.sample, np.repeat(np.arange(9), 70))
    # Chunks and a run that goes on give the same.
    parts = [{key: rows[:4] for key, rows in SHOWN.items()}]
    parts.append({key: rows[4:] for key, rows in SHOWN.items()})
    first, middle = runnable.run(parts[0], learn=True, seed=3, chunk_size=1, progress=False)
    more = {"learn": True, "seed": 3, "first_sample": 4, "progress": False}
    second, last = runnable.run(parts[1], middle, **more)
    joined = np.concatenate([first.counts("cells"), second.counts("cells")])
    np.testing.assert_array_equal(joined, counts)
    for name in end:
        np.testing.assert_array_equal(last[name], end[name], err_msg=name)
    # Without learning the weights stay, and everything else goes on.
    shown, still = runnable.run(SHOWN, seed=3, progress=False)
    np.testing.assert_array_equal(still["stdp.w"], start["stdp.w"])
    assert shown.counts("cells").sum() > 40
    refused = r"cells\.theta" if device == "cpp" else "n_jobs"
    with pytest.raises(ParameterError, match=refused):
        runnable.run(SHOWN, seed=3, n_jobs=2, progress=False)


def test_a_sample_is_a_run_of_the_script():
    """Plain Brian2, with the values of the sample set, gives the spikes of the first sample."""
    namespace, net = classifier()
    net["pixels"].rates = SHOWN["image"][0] * Hz
    net["current"].I = SHOWN["drive"][0]
    runnable = biosnn.compile(sampled(), device="runtime")
    recording, _ = runnable.run(SHOWN, learn=True, seed=3, progress=False)
    brian2.seed(int(np.random.SeedSequence([3, 0, 0]).generate_state(1)[0]))
    net.run(50 * ms, namespace=namespace)
    net["pixels"].rates = 0 * Hz
    net.run(20 * ms, namespace=namespace)
    assert net["spikes"].num_spikes > 3
    first = recording.spikes["spikes"].of_sample(0)
    np.testing.assert_array_equal(first.t, net["spikes"].t_[:])
    np.testing.assert_array_equal(first.i, net["spikes"].i[:])


def test_weights_are_normalised_and_samples_are_shown_again_as_scripts_do():
    """The loop of a script: normalise, show, rest, and again with more intensity."""
    images = np.random.default_rng(5).random((5, 12)) * np.array([[30, 4, 30, 2, 30]]).T
    presentation = biosnn.Presentation(
        duration=50 * ms,
        rest=20 * ms,
        reset={"cells": ("v",)},
        watch="cells",
        min_spikes=4,
        max_retries=30,
        intensity=2,
        intensity_step=3,
    )
    for retries in (False, True):
        lifted = sampled(
            inputs={"image": "pixels"},
            presentation=presentation,
            normalise={"stdp.w": Normalisation(total=3)},
            normalise_retries=retries,
        )
        runnable = biosnn.compile(lifted, device="runtime", math="strict")
        recording, end = runnable.run(images, learn=True, seed=3, progress=False)
        namespace, net = classifier()
        shown, counts, spikes, watched = [], [], net["spikes"], 0
        for k, image in enumerate(images):
            brian2.seed(int(np.random.SeedSequence([3, 0, k]).generate_state(1)[0]))
            for attempt in range(31):
                if attempt == 0 or retries:
                    columns = np.array(net["stdp"].w).reshape(12, 4)
                    net["stdp"].w = (columns * (3 / columns.sum(axis=0))).ravel()
                net["cells"].v = 0
                net["pixels"].rates = image * (2 + 3 * attempt) * Hz
                before = np.array(spikes.count)
                net.run(50 * ms, namespace=namespace)
                watched = (spikes.count - before).sum()
                net["pixels"].rates = 0 * Hz
                net.run(20 * ms, namespace=namespace)
                if watched >= 4:
                    break
            shown.append(attempt + 1)
            counts.append(spikes.count - before)
        assert max(shown) > 2
        assert min(shown) == 1
        np.testing.assert_array_equal(recording.shown, shown)
        np.testing.assert_array_equal(recording.counts("cells"), counts)
        ours = recording.spikes["spikes"]
        assert len(ours.i) > 30
        np.testing.assert_array_equal(ours.i, spikes.i[:])
        np.testing.assert_allclose(ours.time, spikes.t_[:], atol=1e-9)
        assert ours.attempt.max() == max(shown) - 1
        np.testing.assert_allclose(end["stdp.w"], net["stdp"].w[:], rtol=1e-9)
        assert np.abs(end["stdp.w"] - 0.25).max() > 0.05


def test_normalisation_and_retries_are_those_of_the_binary():
    images = np.random.default_rng(5).random((6, 12)) * np.array([[30, 2, 30, 1, 30, 3]]).T
    presentation = biosnn.Presentation(
        duration=50 * ms,
        rest=20 * ms,
        reset="none",
        watch="cells",
        min_spikes=4,
        max_retries=3,
        intensity=2,
        intensity_step=3,
    )
    lifted = sampled(
        inputs={"image": "pixels"},
        presentation=presentation,
        normalise={"stdp.w": Normalisation(total=1.2, p=2)},
    )
    runnable = biosnn.compile(lifted, device="cpp", math="strict")
    whole, end = runnable.run(images, learn=True, seed=3, progress=False)
    assert set(whole.shown) >= {1, 4}
    spikes = whole.spikes["spikes"]
    last = spikes.attempt == whole.shown[spikes.sample] - 1
    for sample in range(6):
        chosen = last & (spikes.sample == sample)
        counts = np.bincount(spikes.i[chosen], minlength=4)
        np.testing.assert_array_equal(counts, whole.counts("cells")[sample])
    again = {"learn": True, "seed": 3, "chunk_size": 1, "progress": False}
    parts, same = runnable.run(images, **again)
    np.testing.assert_array_equal(parts.shown, whole.shown)
    for name in end:
        np.testing.assert_array_equal(same[name], end[name], err_msg=name)
    # Nothing is shown in a sample without input: its weights are those that were scaled.
    silent, scaled = runnable.run(0 * images[:1], learn=True, seed=3, progress=False)
    assert silent.counts("cells").sum() == 0
    assert silent.shown[0] == 4
    weights = runnable.initial_state()["stdp.w"].reshape(12, 4)
    expected = weights * (1.2 / np.sqrt((weights**2).sum(axis=0)))
    np.testing.assert_allclose(scaled["stdp.w"], expected.ravel(), rtol=1e-12)
    assert np.abs(expected - weights).max() > 0.05
    _, still = runnable.run(images, seed=3, progress=False)
    np.testing.assert_array_equal(still["stdp.w"].ravel(), weights.ravel())


def test_samples_take_the_place_of_a_subexpression():
    """A script that reads its pictures from a TimedArray."""
    pictures = np.random.default_rng(6).random((3, 8)) * 300
    rate = TimedArray(pictures * Hz, dt=40 * ms)  # noqa: F841
    pixels = NeuronGroup(8, "rates = rate(t, i) : Hz", threshold="rand() < rates*dt", name="pixels")
    cells = NeuronGroup(3, "dv/dt = -v/(20*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="euler", name="cells")  # fmt: skip
    fan = Synapses(pixels, cells, on_pre="v_post += 0.2", name="fan")
    fan.connect()
    net = Network(pixels, cells, fan, SpikeMonitor(cells, name="spikes"))
    lifted = biosnn.from_brian2(
        net,
        inputs={"image": "pixels.rates"},
        presentation=biosnn.Presentation(duration=40 * ms, reset="none"),
        output="cells",
    )
    assert "rate" not in lifted.program.groups["pixels"].constants
    runnable = biosnn.compile(lifted, device="runtime")
    recording, _ = runnable.run(pictures, seed=4, progress=False)
    assert recording.counts("cells").sum() > 20
    brian2.seed(int(np.random.SeedSequence([4, 0, 0]).generate_state(1)[0]))
    net.run(40 * ms)
    assert net["spikes"].num_spikes > 5
    first = recording.spikes["spikes"].of_sample(0)
    np.testing.assert_array_equal(first.i, net["spikes"].i[:])
    np.testing.assert_array_equal(first.t, net["spikes"].t_[:])


def test_given_spikes_are_the_events_of_samples():
    given = SpikeGeneratorGroup(6, [], [] * ms, name="given")
    cells = NeuronGroup(4, "dv/dt = -v/(8*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="euler", name="cells")  # fmt: skip
    fan = Synapses(given, cells, on_pre="v_post += 0.3", delay=1.5 * ms, name="fan")
    fan.connect(condition="(i + j) % 2 == 0")
    net = Network(given, cells, fan, SpikeMonitor(cells, name="spikes"))
    lifted = biosnn.from_brian2(
        net,
        namespace={},
        inputs={"events": "given"},
        presentation=biosnn.Presentation(duration=30 * ms, rest=5 * ms, reset="all"),
        output="cells",
    )
    rng = np.random.default_rng(4)
    sample, unit, step = np.nonzero(rng.random((5, 6, 300)) < 0.06)
    events = {"events": (sample, unit, step * 1e-4), "n_samples": 5}
    found = {}
    for device in DEVICES:
        runnable = biosnn.compile(lifted, device=device, math="strict")
        found[device], _ = runnable.run(events, chunk_size=2, progress=False)
    one, two = (found[device].spikes["spikes"] for device in DEVICES)
    assert len(one.i) > 50
    np.testing.assert_array_equal(two.i, one.i)
    np.testing.assert_array_equal(two.t, one.t)
    # The third sample alone, by plain Brian2.
    chosen = sample == 2
    order = np.lexsort((unit[chosen], step[chosen]))
    given.set_spikes(unit[chosen][order], step[chosen][order] * 0.1 * ms)
    net.run(35 * ms, namespace={})
    assert net["spikes"].num_spikes > 5
    third = one.of_sample(2)
    np.testing.assert_array_equal(third.i, net["spikes"].i[:])
    np.testing.assert_array_equal(third.t, net["spikes"].t_[:])


def test_independent_samples_are_shared_between_processes():
    lifted = sampled(presentation=biosnn.Presentation(duration=50 * ms, reset="all"))
    runnable = biosnn.compile(lifted, device="cpp", math="strict")
    one, _ = runnable.run(SHOWN, seed=1, progress=False)
    two, _ = runnable.run(SHOWN, seed=1, n_jobs=2, progress=False)
    assert one.counts("cells").sum() > 40
    np.testing.assert_array_equal(two.counts("cells"), one.counts("cells"))


def watching(group):
    return biosnn.Presentation(duration=5 * ms, watch=group, min_spikes=1, max_retries=1)


def test_samples_that_do_not_fit_a_script_are_named():
    for wrong, what in (
        ({"inputs": {"image": "cells.w"}}, "inputs"),
        ({"inputs": {}}, "inputs"),
        ({"output": "stdp"}, "output"),
        ({"learned": "stdp.Apre"}, "learned"),
        ({"learned": "cells.v"}, "learned"),
        ({"presentation": biosnn.Presentation(duration=0.05 * ms)}, "duration"),
        ({"presentation": biosnn.Presentation(duration=5 * ms, reset={"cells": ["u"]})}, "reset"),
        ({"presentation": None}, "presentation"),
        ({"presentation": watching("stdp")}, "watch"),
        ({"normalise": Normalisation(total=1)}, "a dict"),
        ({"normalise": {"other.w": Normalisation(total=1)}}, "learned"),
        ({"normalise": {"stdp.w": 78}}, "Normalisation"),
        ({"normalise": {"stdp.w": Normalisation(total=1, online=False)}}, "online"),
        ({"normalise_retries": True}, "normalise_retries"),
        ({"normalise_retries": 1}, "True or False"),
    ):
        with pytest.raises(ParameterError, match=what):
            sampled(**wrong)


def test_the_neurons_of_a_script_become_a_torch_module():
    torch = pytest.importorskip("torch")
    from biosnn import surrogate

    tau = 10 * ms  # noqa: F841
    cells = NeuronGroup(
        10,
        "dv/dt = (I - v)/tau : 1 (unless refractory)\nI : 1",
        threshold="v > 1",
        reset="v = 0",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    cells.v = "0.05*i"
    lifted = biosnn.from_brian2(Network(cells, SpikeMonitor(cells, name="spikes")))
    current = np.linspace(0.5, 4, 10)
    runnable = biosnn.compile(lifted, device="runtime")
    recording, _ = runnable.run(100 * ms, {"cells.I": current})
    spikes = recording.spikes["spikes"]
    assert len(spikes.i) > 100
    layer = surrogate.to_torch(lifted, drive="I", step_mode="multi")
    given = torch.tensor(np.tile(current, (1000, 1, 1)), requires_grad=True)
    fired = layer.double()(given)
    expected = np.zeros((1000, 10))
    expected[np.rint(spikes.t / 1e-4).astype(int), spikes.i] = 1
    np.testing.assert_array_equal(fired.detach().numpy()[:, 0], expected)
    fired.sum().backward()
    assert given.grad.abs().sum() > 0
    with pytest.raises(ParameterError, match="one NeuronGroup"):
        surrogate.to_torch(sampled())


def test_what_a_script_records_is_drawn():
    pytest.importorskip("matplotlib").use("Agg")
    from biosnn import plotting

    namespace, net = neurons()
    runnable = biosnn.compile(biosnn.from_brian2(net, namespace=namespace), device="runtime")
    recording, _ = runnable.run(80 * ms)
    assert len(recording.spikes["spikes"].i) > 20
    dots = plotting.raster(recording, "spikes").get_lines()[0].get_xdata()
    assert len(dots) == len(recording.spikes["spikes"].i)
    lines = plotting.membrane(recording, "trace.v", spikes=False).get_lines()
    assert [len(line.get_xdata()) for line in lines] == [800] * 6


@pytest.mark.parametrize("device", DEVICES)
def test_single_precision_keeps_times_double(device):
    namespace, net = neurons()
    lifted = biosnn.from_brian2(net, namespace=namespace)
    net.run(80 * ms, namespace=namespace)
    runnable = biosnn.compile(lifted, device=device, precision="single", math="strict")
    recording, state = runnable.run(80 * ms)
    assert state["cells.v"].dtype == np.float32
    assert state["cells.lastspike"].dtype == np.float64
    assert recording.traces["trace.v"].values.dtype == np.float32
    expected = net["spikes"].count[:]
    assert expected.sum() > 20
    assert np.abs(recording.counts("spikes")[0] - expected).max() <= 1
    first = slice(0, 80)  # after 8.8 ms a neuron is at 0.3, where an event is tested for
    np.testing.assert_allclose(
        recording.traces["trace.v"].values[:, first], net["trace"].v[:, first], atol=1e-5
    )
