"""Neuron models: the library, resets, refractoriness, own equations, and what is refused."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    Mohm,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    have_same_dimensions,
    ms,
    mV,
    nA,
    second,
    seed,
)

from biosnn import encoding, models, plasticity
from biosnn.equations import neurons, rules, synapses
from biosnn.errors import ParameterError
from biosnn.models import Event, NeuronModel, Normal, Operation, Schedule, Trace, Uniform

pytestmark = pytest.mark.usefixtures("fresh_brian2")

DT = 0.1 * ms


def run(group: NeuronGroup, duration: Any, *variables: str) -> tuple[SpikeMonitor, StateMonitor]:
    """Run; spikes, and variables at the end of every step."""
    spikes = SpikeMonitor(group)
    trace = StateMonitor(group, variables or True, record=True, when="end")
    Network(group, spikes, trace).run(duration)
    return spikes, trace


def hold(group: NeuronGroup, name: str, value: Any) -> NeuronGroup:
    """Hold the variable that drives a neuron of the library."""
    variable, _ = models.LIBRARY[name][1].DRIVE
    group.namespace["held"] = value
    group.run_regularly(f"{variable} = held", when="start")
    return group


def si(quantity: Any) -> Any:
    return np.asarray(quantity, dtype=float)


# The library


def test_every_entry_says_what_makes_it_fire() -> None:
    """What the tests of all neurons need, in the units of the entry's own variables."""
    for name, (make, source) in models.LIBRARY.items():
        model = make()
        variable, value = source.DRIVE
        integrated = bool(models.parsed(name, model.equations).diff_eq_names)
        assert hasattr(source, "START") == hasattr(source, "STEP") == integrated, name
        start = source.START if integrated else {}
        for key, given in {variable: value, **start}.items():
            assert have_same_dimensions(given, model.initial_value(key)), (name, key)
        assert not integrated or ("v" in start and 0 * ms < source.STEP), name


def test_every_published_entry_is_exported() -> None:
    """A file in ``equations/`` and a line of ``models`` or ``plasticity`` belong together."""
    kinds = {"neurons": set(models.LIBRARY), "synapses": set(models.SYNAPSES)}
    factories = {getattr(plasticity, name).__name__ for name in plasticity.__all__}
    for package in (neurons, synapses, rules):
        kind = package.__name__.rpartition(".")[2]
        files = {module.name for module in pkgutil.iter_modules(package.__path__)}
        assert files
        assert kinds.get(kind, files & factories) == files


def test_a_factory_documents_itself() -> None:
    """Signature, docstring and checks follow from the entry."""
    parameters = inspect.signature(models.lif).parameters
    assert list(parameters) == ["reset", *neurons.lif.PARAMETERS]
    assert parameters["tau_m"].default is neurons.lif.PARAMETERS["tau_m"][0]
    shown = inspect.getdoc(plasticity.pair_stdp) or ""
    assert "A_minus : float or Schedule\n    Amplitude of depression, >= 0." in shown
    assert 'pairing : {"all", "nearest"}' in shown
    with pytest.raises(ParameterError, match=r"PairSTDP\.tau must be one of .*tau_minus"):
        plasticity.pair_stdp(tau=20 * ms)


@pytest.mark.parametrize("name", models.LIBRARY)
@pytest.mark.parametrize("single", [False, True], ids=["double", "single"])
def test_every_model_of_the_library_runs(name: str, single: bool) -> None:
    make, source = models.LIBRARY[name]
    model, (variable, drive) = make(), source.DRIVE
    silence = getattr(source, "SILENCE", model.initial_value(variable))
    counts = []
    for value in (silence, drive):
        group = model.group(1, dt=DT, single_precision=single)
        for key in source.INITIAL:
            begins = si(model.initial_value(key))
            np.testing.assert_allclose(si(getattr(group, key)[:]), begins, rtol=1e-6, err_msg=key)
        seed(0)  # some models draw random numbers
        spikes, trace = run(hold(group, name, value), 40 * ms)
        assert np.isfinite(si(trace.v)).all()
        counts.append(spikes.num_spikes)
    assert counts[1] > 0
    assert counts[0] == 0  # at rest nothing happens


@pytest.mark.parametrize("name", models.LIBRARY)
def test_every_parameter_of_the_library_is_described(name: str) -> None:
    make, source = models.LIBRARY[name]
    model = make()
    assert model.name == source.NAME
    assert "doi:10." in model.reference
    assert list(model.parameters) == list(source.PARAMETERS)
    for key, (default, _, meaning) in source.PARAMETERS.items():
        assert meaning
        assert model.parameters[key] is default
        assert make(**{key: default * 1.01}).parameters[key] == default * 1.01


# Resets and refractoriness


def after_one_spike(model: NeuronModel) -> float:
    """Potential in V at the end of the step in which a neuron 3 mV above threshold fires."""
    group = model.group(1, dt=DT)
    group.v = model.parameters["V_th"] + 3 * mV
    spikes, trace = run(group, DT, "v")
    assert spikes.num_spikes == 1
    return float(si(trace.v)[0, 0])


@pytest.mark.parametrize("make", [models.lif, models.lif_exponential, models.lif_conductance_based])
def test_hard_and_soft_reset(make: Callable[..., NeuronModel]) -> None:
    values = {"E_L": -65 * mV, "V_th": -50 * mV, "V_r": -62 * mV, "tau_m": 10 * ms}
    assert after_one_spike(make(**values)) == pytest.approx(-62e-3, abs=1e-15)
    # In the step before the spike the potential decays from 18 mV above rest, exactly or by Euler.
    soft = make(reset="soft", **values)
    decay = np.exp(-0.01) if soft.method == "exact" else 1 - 0.01
    expected = -65e-3 + 18e-3 * decay - 15e-3
    assert after_one_spike(soft) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("name", ["lif", "lif_exponential", "lif_conductance"])
def test_refractory_neurons_are_held(name: str) -> None:
    make, source = models.LIBRARY[name]
    t_ref = 3 * ms
    model = make(t_ref=t_ref)
    group = hold(model.group(1, dt=DT), name, 3 * source.DRIVE[1])
    spikes, trace = run(group, 30 * ms, "v")
    assert spikes.num_spikes >= 2
    first = round(float(spikes.t[0] / DT))
    held = round(float(t_ref / DT))
    v = si(trace.v)[0]
    assert np.diff(si(spikes.t)).min() >= si(t_ref) - 1e-9
    assert (v[first : first + held] == si(model.parameters["V_r"])).all()
    assert v[first + held] > v[first]


@pytest.mark.parametrize("name", ["diehl_cook_excitatory", "diehl_cook_inhibitory"])
def test_refractory_diehl_cook_cells_cannot_fire(name: str) -> None:
    make, _ = models.LIBRARY[name]
    model = make(tau_e=50 * ms)
    group = model.group(1, dt=DT)
    group.g_e = 100
    spikes, _ = run(group, 60 * ms, "v")
    intervals = np.diff(si(spikes.t))
    assert len(intervals) >= 3
    assert intervals.min() >= si(model.parameters["t_ref"]) - 1e-9
    # The drive is so strong that the refractory period is most of the interval.
    assert intervals.min() < 2 * si(model.parameters["t_ref"])


# Groups


def test_a_group_is_a_plain_brian2_group() -> None:
    """It takes part in a network with objects that biosnn knows nothing about."""
    cells = models.lif().group(3, name="cells", dt=DT)
    source = SpikeGeneratorGroup(2, [0, 1], [1, 4] * ms, dt=DT)
    foreign = NeuronGroup(3, "dv/dt = -v/(5*ms) : 1", method="exact", dt=DT)
    into = Synapses(source, cells, on_pre="v_post += 20*mV", dt=DT)
    into.connect(i=[0, 1], j=[0, 2])
    out = Synapses(cells, foreign, on_pre="v_post += 1", dt=DT)
    out.connect(j="i")
    spikes = SpikeMonitor(cells)
    Network(source, cells, foreign, into, out, spikes).run(5 * ms)
    assert type(cells) is NeuronGroup
    assert cells.name == "cells"
    assert len(cells) == 3
    assert list(spikes.i) == [0, 2]
    np.testing.assert_allclose(si(spikes.t), [1.1e-3, 4.1e-3], atol=1e-9)
    expected = [np.exp(-3.8 / 5), 0.0, np.exp(-0.8 / 5)]
    np.testing.assert_allclose(si(foreign.v), expected, rtol=1e-9)


def test_groups_do_not_see_the_surrounding_script() -> None:
    tau_m = 1e6 * ms  # noqa: F841 - a name that the model has, too
    group = models.lif(tau_m=10 * ms).group(1, dt=DT)
    group.v = -60 * mV
    run(group, 10 * ms, "v")
    assert float(si(group.v)[0]) == pytest.approx(-65e-3 + 5e-3 / np.e, rel=1e-9)


def test_groups_of_one_model_are_independent() -> None:
    model = models.lif()
    first, second_ = model.group(2), model.group(2)
    first.v = -70 * mV
    assert first.name != second_.name
    np.testing.assert_allclose(si(second_.v), -65e-3)
    assert model.initial_value("v") == -65 * mV


def test_single_precision_stores_floats_but_times_as_doubles() -> None:
    trace = Trace(name="x", tau=20 * ms)
    for single, kind in ((False, np.float64), (True, np.float32)):
        group = models.lif(t_ref=2 * ms).group(2, traces=[trace], single_precision=single)
        kinds = {name: group.variables[name].dtype for name in ("v", "I", "x", "lastspike")}
        assert kinds == {"v": kind, "I": kind, "x": kind, "lastspike": np.float64}
        adaptive = models.diehl_cook_excitatory_cell().group(2, single_precision=single)
        kinds = {name: adaptive.variables[name].dtype for name in ("v", "g_e", "theta")}
        assert kinds == {"v": kind, "g_e": kind, "theta": np.float64}
        inputs = encoding.poisson().group(2, single_precision=single)
        assert inputs.variables["rate"].dtype == kind
        assert inputs.variables["t_next"].dtype == np.float64
        assert np.issubdtype(inputs.variables["draw"].dtype, np.integer)


def test_random_initial_values() -> None:
    model = models.neuron(
        equations="v : volt\ng : 1",
        initial={"v": Uniform(low=-70 * mV, high=-50 * mV), "g": Normal(mean=2.0, sd=0.5)},
    )
    group = model.group(20_000)
    v, g = si(group.v), si(group.g)
    assert v.min() >= -70e-3
    assert v.max() < -50e-3
    assert v.mean() == pytest.approx(-60e-3, abs=0.3e-3)
    assert g.mean() == pytest.approx(2.0, abs=0.02)
    assert g.std() == pytest.approx(0.5, abs=0.02)


def test_initial_values_as_arrays_and_names() -> None:
    model = models.neuron(
        equations="v : volt\nx : 1",
        parameters={"E_L": -65 * mV},
        initial={"v": "E_L", "x": np.array([1.0, 2.0, 3.0])},
    )
    group = model.group(3)
    np.testing.assert_array_equal(si(group.x), [1, 2, 3])
    np.testing.assert_allclose(si(group.v), -65e-3)


# Own equations


def test_own_equations_with_events_and_operations() -> None:
    """An event of its own, statements on it, on spikes and in every step, in their order."""
    model = models.neuron(
        name="Counter",
        equations="""
        dv/dt = drive/tau : 1
        drive : 1
        crossings : 1
        steps : 1
        v_seen : 1
        """,
        threshold="v > V_th",
        reset="v = 0",
        method="euler",
        parameters={"tau": 10 * ms, "V_th": 1.0, "half": 0.5},
        initial={"drive": 1.0},
        events={"crossing": "v > half and v - drive*dt/tau <= half"},
        operations=[
            Operation(code="crossings += 1", on="crossing", when="after_thresholds", order=1),
            Operation(code="steps += 1"),
            Operation(code="v_seen = v", on="spike", when="before_resets"),
        ],
    )
    group = model.group(2, dt=DT)
    group.drive = [1.005, 0.0]
    spikes, _ = run(group, 35 * ms, "v")
    assert np.asarray(spikes.count).tolist() == [3, 0]  # after 10, 20 and 30 ms
    assert si(group.crossings).tolist() == [4, 0]  # after 5, 15, 25 and 35 ms
    assert si(group.steps).tolist() == [350, 350]
    assert 1 < si(group.v_seen)[0] < 1.02
    assert si(group.v_seen)[1] == 0


def test_several_operations_on_one_event_run_in_their_order() -> None:
    """Brian2's run_on_event allows only one per event and group."""
    model = models.neuron(
        equations="v : 1\nx : 1",
        threshold="v > 0.5",
        reset="v = 0",
        initial={"v": 1.0, "x": 1.0},
        operations=[
            Operation(code="x *= 10", on="spike", when="after_resets", order=2),
            Operation(code="x += 1", on="spike", when="after_resets", order=1),
            Operation(code="x += 5", on="spike", when="before_synapses"),
        ],
    )
    group = model.group(1)
    run(group, 2 * DT, "x")
    assert si(group.x).tolist() == [(1 + 5 + 1) * 10]


def test_functions_constants_and_brian2s_own_names_need_no_value() -> None:
    model = models.neuron(
        equations="""
        dv/dt = (sin(2*pi*f*t) - v)/tau*int(not_refractory) + xi*tau**-0.5*noise : 1
        """,
        threshold="v > 1 and t > lastspike + 2*ms and i < N",
        reset="old = v; v = clip(old, 0, exp(-dt/tau))",
        refractory="v > 0.5 and rand() < 2",
        method="euler",
        parameters={"f": 20 * Hz, "tau": 5 * ms, "noise": 0.0},
    )
    group = model.group(1, dt=DT)
    group.v = 3
    spikes, _ = run(group, 10 * ms, "v")
    assert spikes.num_spikes >= 1


def test_own_model_equals_the_librarys() -> None:
    library = models.lif(t_ref=2 * ms)
    own = models.neuron(
        equations="dv/dt = (E_L - v + R*I)/tau_m : volt (unless refractory)\nI : amp",
        threshold="v > V_th",
        reset="v = V_r",
        refractory=2 * ms,
        parameters={
            "tau_m": 10 * ms,
            "E_L": -65 * mV,
            "V_th": -50 * mV,
            "V_r": -65 * mV,
            "R": 1 * Mohm,
        },
        initial={"v": "E_L"},
    )
    found = []
    for model in (library, own):
        group = model.group(1, dt=DT)
        group.I = 25 * nA
        spikes, trace = run(group, 60 * ms, "v")
        found.append((si(spikes.t), si(trace.v)))
    assert len(found[0][0]) >= 3
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


# Copies with more


def test_traces_follow_the_spikes() -> None:
    """X' = -x/tau between spikes; "+= 1" adds up, "= 1" forgets what was before."""
    traces = (
        Trace(name="x", tau=10 * ms),
        Trace(name="z", tau=5 * ms, bump="= 1", when="after_synapses"),
    )
    model = models.neuron(equations="v : 1", threshold="v > 0.5", reset="v = 0")
    group = model.group(1, traces=traces, dt=DT)
    source = SpikeGeneratorGroup(1, [0, 0, 0], [0, 4, 5] * ms, dt=DT)
    into = Synapses(source, group, on_pre="v_post = 1", dt=DT)
    into.connect()
    spikes, trace = SpikeMonitor(group), StateMonitor(group, ["x", "z"], record=0, when="end")
    Network(source, group, into, spikes, trace).run(8 * ms)
    fired = si(spikes.t)
    np.testing.assert_allclose(fired, [0.1e-3, 4.1e-3, 5.1e-3], atol=1e-9)
    t = si(trace.t)
    since = t[:, np.newaxis] - fired
    past = since > -1e-9
    additive = np.where(past, np.exp(-since / 10e-3), 0).sum(axis=1)
    latest = np.where(past, since, np.inf).min(axis=1)
    np.testing.assert_allclose(si(trace.x[0]), additive, rtol=1e-9)
    np.testing.assert_allclose(si(trace.z[0]), np.exp(-latest / 5e-3), rtol=1e-9)


def test_copies_leave_the_original_alone() -> None:
    model = models.lif()
    before = (model.equations, model.operations, dict(model.parameters), dict(model.links))
    copies = (
        model.with_traces([Trace(name="x", tau=5 * ms)]),
        model.extended("y : 1", Operation(code="y += 1")),
        model.with_parameters(tau_m=99 * ms),
    )
    assert (model.equations, model.operations, model.parameters, model.links) == before
    assert copies[0].parameters["tau_x"] == 5 * ms
    assert "y" in copies[1].variables
    assert copies[2].parameters["tau_m"] == 99 * ms
    assert model.extended("v : 1").equations.count("v") == model.equations.count("v")


def test_schedules_are_not_constants() -> None:
    schedule = Schedule(start=1.0, stop=0.01)
    model = models.neuron(equations="v : 1\nx = rate*v : 1", parameters={"rate": schedule})
    assert model.schedules == {"rate": schedule}
    assert model.constants == {}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(start=0.4, stop=0.1), [0.4, 0.2, 0.1]),
        (Schedule(start=4.0, stop=-2.0, kind="linear"), [4.0, 1.0, -2.0]),
        (Schedule(start=3.0, stop=3.0), [3.0, 3.0, 3.0]),
        # S10: numbers of NumPy are numbers.
        (Schedule(start=np.float64(0.5), stop=np.float32(2.0)), [0.5, 1.0, 2.0]),
        (Schedule(start=np.int64(4), stop=2.0 * mV / mV, kind="linear"), [4.0, 3.0, 2.0]),
    ],
)
def test_schedules_go_from_start_to_stop(schedule: Schedule, expected: list[float]) -> None:
    group = NeuronGroup(3, "f : 1\nvalue : 1")
    group.f = [0, 0.5, 1]
    group.value = schedule.expression("f")
    np.testing.assert_allclose(si(group.value), expected, rtol=1e-12)
    assert [schedule.value(f) for f in (0, 0.5, 1)] == pytest.approx(expected, rel=1e-12)


# What is refused: each case makes the error and says which object and parameter it names


def own(**changes: Any) -> NeuronModel:
    fields = {
        "equations": "dv/dt = -v/tau : 1",
        "threshold": "v > 1",
        "reset": "v = 0",
        "parameters": {"tau": 10 * ms},
    }
    return models.neuron(**{**fields, **changes})


NUMBERS: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "without_unit": (lambda: models.lif(tau_m=10), "LIF", "tau_m", "a quantity in s"),
    "other_unit": (lambda: models.lif(tau_m=10 * mV), "LIF", "tau_m", "a quantity in s"),
    "zero": (lambda: models.lif(tau_m=0 * ms), "LIF", "tau_m", "> 0 s"),
    "negative": (lambda: models.lif(t_ref=-1 * ms), "LIF", "t_ref", ">= 0 s"),
    "nan": (lambda: models.lif(E_L=np.nan * mV), "LIF", "E_L", "finite"),
    "infinite": (lambda: models.lif(tau_m=np.inf * ms), "LIF", "tau_m", "> 0 s"),
    "text": (lambda: models.lif(tau_m="10 ms"), "LIF", "tau_m", "a number in units of s"),
    "none": (lambda: models.lif(tau_m=None), "LIF", "tau_m", "a number in units of s"),
    "array": (lambda: models.lif(tau_m=[5, 6] * ms), "LIF", "tau_m", "a number in units of s"),
    "bool": (lambda: models.competitive_unit(theta_0=True), "Competitive", "theta_0", "a number"),
    "unit_on_number": (
        lambda: models.competitive_unit(theta_0=5 * mV),
        "Competitive",
        "theta_0",
        "a number without unit",
    ),
    "zero_number": (
        lambda: models.competitive_unit(theta_0=0.0), "Competitive", "theta_0", "> 0",
    ),
    "unknown": (lambda: models.lif(tau_mem=5 * ms), "LIF", "tau_mem", "one of tau_m, E_L"),
    "unknown_exponential": (
        lambda: models.lif_exponential(tau_s=5 * ms), "LIFExponential", "tau_s", "tau_syn",
    ),
    "reset_at_threshold": (lambda: models.lif(V_r=-50 * mV), "LIF", "V_r", "below V_th"),
    "reset_above_threshold": (
        lambda: models.diehl_cook_inhibitory_cell(V_th=-46 * mV),
        "DiehlCookInhibitory",
        "V_r",
        "below V_th",
    ),
    "kind_of_reset": (lambda: models.lif(reset="medium"), "LIF", "reset", "'hard', 'soft'"),
    "conductance": (
        lambda: models.lif_conductance_based(tau_e=-5 * ms), "LIFConductance", "tau_e", "> 0 s",
    ),
    "theta": (
        lambda: models.diehl_cook_excitatory_cell(theta_plus=-1 * mV),
        "DiehlCookExcitatory",
        "theta_plus",
        ">= 0 V",
    ),
    "changed_unit": (
        lambda: models.lif().with_parameters(tau_m=5), "LIF", "tau_m", "a quantity in s",
    ),
    "changed_nan": (
        lambda: models.lif().with_parameters(R=np.nan * Mohm), "LIF", "R", "finite",
    ),
    "changed_unknown": (
        lambda: models.lif().with_parameters(C=5 * ms), "LIF", "C", "one of tau_m",
    ),
    "own_nan": (
        lambda: own(parameters={"tau": np.nan * ms}, name="Cell"), "Cell", "tau", "finite",
    ),
    "own_text": (lambda: own(parameters={"tau": "10 ms"}), "neuron", "tau", "a number"),
    "own_function": (lambda: own(parameters={"tau": np.sin}), "neuron", "tau", "a number"),
    "schedule_start": (lambda: Schedule(start=0, stop=1), "Schedule", "start", "> 0"),
    "schedule_stop": (lambda: Schedule(start=1, stop=-1), "Schedule", "stop", "> 0"),
    "schedule_unit": (lambda: Schedule(start=1 * mV, stop=1), "Schedule", "start", "without"),
    "schedule_kind": (
        lambda: Schedule(start=1, stop=1, kind="cubic"), "Schedule", "kind", "'linear'",
    ),
    "trace_tau": (lambda: Trace(name="x", tau=0 * ms), "Trace", "tau", "> 0 s"),
    "trace_tau_unit": (lambda: Trace(name="x", tau=20), "Trace", "tau", "a quantity in s"),
    "trace_bump": (lambda: Trace(name="x", tau=5 * ms, bump="-= 1"), "Trace", "bump", "+= 1"),
    "trace_when": (
        lambda: Trace(name="x", tau=5 * ms, when="synapses"), "Trace", "when", "'after_synapses'",
    ),
    "event_every": (lambda: Event(condition="v > 0", every="hour"), "Event", "every", "'step'"),
}  # fmt: skip

TEXTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "no_value": (lambda: own(parameters={}), "parameters", r"\['tau'\] has no value"),
    "no_value_in_threshold": (
        lambda: own(threshold="v > V_th"), "parameters", r"threshold; \['V_th'\] has no value",
    ),
    "no_value_in_reset": (
        lambda: own(reset="v = V_r"), "parameters", r"reset; \['V_r'\] has no value",
    ),
    "no_value_in_refractory": (
        lambda: own(refractory="t_ref"), "parameters", r"refractory; \['t_ref'\] has no value",
    ),
    "no_value_in_event": (
        lambda: own(events={"far": Event(condition="v > far_away")}),
        "parameters",
        r"event 'far'; \['far_away'\]",
    ),
    "no_value_in_operation": (
        lambda: own(operations=[Operation(code="u = v\nv = u*gain")]),
        "parameters",
        r"operations\[0\]; \['gain'\]",
    ),
    "two_meanings": (
        lambda: own(parameters={"tau": 5 * ms, "v": 1.0}), "v", "a variable or a parameter only",
    ),
    "syntax": (lambda: own(equations="dv/dt = -v/tau"), "equations", "valid Brian2 equations"),
    "bracket": (lambda: own(equations="dv/dt = -v/(tau : 1"), "equations", "never closed"),
    "unit": (lambda: own(equations="dv/dt = -v/tau : furlong"), "equations", "valid Brian2"),
    "twice": (lambda: own(equations="v : 1\nv : 1"), "equations", "Duplicate definition"),
    "no_text": (lambda: own(equations=5), "equations", "valid Brian2 equations"),
    "threshold_syntax": (lambda: own(threshold="v >"), "threshold", "valid Brian2 code"),
    "reset_syntax": (lambda: own(reset="v = = 0"), "reset", "valid Brian2 code"),
    "initial_name": (
        lambda: own(initial={"u": 1.0}), "initial", r"'u'",
    ),
    "initial_unit": (
        lambda: own(initial={"v": 1 * mV}), "initial['v']", "must be a number, got 1",
    ),
    "initial_nan": (lambda: own(initial={"v": np.nan}), "initial['v']", "must be a number"),
    "initial_parameter": (lambda: own(initial={"v": "E_L"}), "initial['v']", "has none"),
    "initial_distribution": (
        lambda: own(initial={"v": Uniform(low=0 * mV, high=5 * mV)}), "initial['v']", "a number",
    ),
    "initial_object": (lambda: own(initial={"v": object()}), "initial['v']", "a number"),
    "trace_name": (
        lambda: own().with_traces([Trace(name="v", tau=5 * ms)]), "traces", "used once",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_checked(case: str) -> None:
    make, obj, name, wanted = NUMBERS[case]
    with pytest.raises(ParameterError) as caught:
        make()
    error = caught.value
    assert (error.obj, error.name) == (obj, name)
    assert str(error).startswith(f"{obj}.{name} must be ")
    assert wanted in str(error)
    assert "rad" not in str(error)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("case", TEXTS)
def test_equations_and_names_are_checked(case: str) -> None:
    make, name, message = TEXTS[case]
    with pytest.raises(ParameterError, match=message) as caught:
        make()
    assert caught.value.obj == "neuron"
    assert caught.value.name == name
    assert str(caught.value).startswith(f"neuron.{name} must be ")


@pytest.mark.parametrize("n", [0, -1, 1.5, 2.0, True, "3", None, [3], np.nan], ids=repr)
def test_the_number_of_neurons_is_checked(n: Any) -> None:
    with pytest.raises(ParameterError, match=r"^LIF\.n must be a whole number >= 1, got") as caught:
        models.lif().group(n)
    assert (caught.value.obj, caught.value.name) == ("LIF", "n")


def test_the_number_of_neurons_may_be_numpys() -> None:
    assert len(models.lif().group(np.int64(4))) == 4


def test_operations_need_their_event() -> None:
    with pytest.raises(ParameterError, match=r"an event \(spike\), got 'dawn'") as caught:
        own(operations=[Operation(code="v = 0", on="dawn")])
    assert caught.value.name == "operations[0].on"


def test_messages_give_value_bound_and_remedy() -> None:
    with pytest.raises(ParameterError) as caught:
        models.lif(tau_m=-5 * ms)
    assert str(caught.value) == "LIF.tau_m must be > 0 s, got -5. ms"
    with pytest.raises(ParameterError) as caught:
        models.lif(tau_m=5)
    assert str(caught.value).endswith("Multiply the number by the right unit")
    assert float(models.lif(tau_m=5 * ms).parameters["tau_m"] / second) == 5e-3
