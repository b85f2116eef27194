"""Initial values: as expressions, drawn, per neuron; and that onsets give them back."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, mV, second, um
from scipy import stats

from biosnn import models, networks, simulation, storage, surrogate
from biosnn.declaration import from_data, to_data
from biosnn.errors import DataError, ParameterError
from biosnn.initial_values import Formula, drawn
from biosnn.models import Normal, Uniform
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.program.interface import Interface
from biosnn.program.lower import lower
from biosnn.program.program import Program

EQUATIONS = """
dv/dt = (E_L + drive - v)/tau_m : volt
drive : volt
x : meter (constant)
m_inf = 1/(1 + exp(-(v - E_L)/(3*mV))) : 1
m : 1
k : integer
low : boolean
"""
PARAMETERS = {"E_L": -70 * mV, "tau_m": 10 * ms, "V_th": -52 * mV, "spacing": 3 * um}
#: Each uses what stands before it; ``m`` also a subexpression.
FIRST = {
    "x": "i*spacing + N*um/7",
    "v": "E_L + 10*mV*(1 + i/N) + 2*mV*exp(-x/(10*um))**2 - 3*mV*(i % 2)",
    "m": "m_inf*0.5 + 1/3 + sqrt(x/(1*mm))**3",
    "k": "i//2",
    "low": "i < 3 and v > -58*mV",
}
N = 5


def cell(**fields: Any) -> models.NeuronModel:
    given = {"parameters": PARAMETERS, "threshold": "v > V_th", "reset": "v = E_L", **fields}
    return models.neuron(name="cell", equations=EQUATIONS, **given)


def network(initial: Any = None, *, reset: Any = "all", n: int = N, **projections: Any) -> Any:
    """Cells that an input drives, and what they send to."""
    first = {"x": "i*spacing", **(initial or {})}
    return NetworkModel(
        name="begun",
        dt=0.1 * ms,
        inputs={"image": Input(features=n)},
        populations={
            "c": Population(model=cell(), n=n, drives={"drive": "image"}, initial=first),
            "target": Population(model=cell(initial={"x": "i*spacing/3"}), n=3),
        },
        projections=projections,
        presentation=Presentation(duration=30 * ms, reset=reset),
        output="c",
    )


DRIVE = np.array([[0.012, 0.02, 0.025, 0.03, 0.05], [0.03, 0.02, 0.021, 0.022, 0.023]])
DRAWN = {"v": "E_L + rand()*(V_th - E_L)", "m": "randn() + v/V_th"}


def test_expressions_give_the_values_that_brian2_gives() -> None:
    """To the bit, with units, subexpressions, integers, truth values and the order of the dict."""
    group = NeuronGroup(
        N, EQUATIONS, threshold="v > V_th", reset="v = E_L", method="exact", namespace=PARAMETERS
    )
    plain = cell(initial=FIRST).group(N)
    state = network(FIRST).initial_state()
    for name, text in FIRST.items():
        setattr(group, name, text)
        expected = np.asarray(getattr(group, name))
        assert len(set(expected)) > 1
        np.testing.assert_array_equal(state[f"c.{name}"], expected, err_msg=name)
        np.testing.assert_array_equal(np.asarray(getattr(plain, name)), expected, err_msg=name)


@pytest.mark.parametrize(
    "pairs", ["all", "all_but_self", "one_to_one", (np.array([4, 0, 3]), np.array([0, 2, 1]))]
)
def test_expressions_of_synapses_give_the_values_that_brian2_gives(pairs: Any) -> None:
    """Of ``i``, ``j``, both neurons' variables and subexpressions, and of variables before."""
    weights = "0.1*(i + 1)*(j + 2)/N_post + exp(-abs(x_pre - x_post)/(20*um))*m_inf_pre"
    first = {"u": "w*spacing/um + i", "q": "int(u > 1.5)*N_pre + k_pre + N"}
    projection = Projection(
        pre="c",
        post="c",
        transmit="v_post += w*u*q*0*mV",
        equations="u : 1\nq : integer",
        parameters={"spacing": 3 * um},
        weights=weights,
        initial=first,
        pairs=pairs,
    )
    ours = network(FIRST, p=projection)
    state = ours.initial_state()
    group = NeuronGroup(N, EQUATIONS, threshold="v > V_th", reset="", namespace=PARAMETERS)
    for name, text in FIRST.items():
        setattr(group, name, text)
    synapses = Synapses(group, group, "w : 1\nu : 1\nq : integer", namespace={"spacing": 3 * um})
    i, j = ours.indices("p")
    synapses.connect(i=i, j=j)
    # Brian2 looks for E_L of m_inf_pre in the namespace of the synapses.
    synapses.namespace.update(PARAMETERS)
    for name, text in {"w": weights, **first}.items():
        setattr(synapses, name, text)
        expected = np.asarray(getattr(synapses, name))
        assert len(set(expected)) > 1
        np.testing.assert_array_equal(state[f"p.{name}"], expected, err_msg=name)


def test_draws_follow_the_seed_the_name_and_the_neuron_only() -> None:
    """One number per neuron, whatever their number; another name or seed gives others."""
    few, many = network(DRAWN), network(DRAWN, n=400)
    v = many.initial_state(3)["c.v"]
    np.testing.assert_array_equal(few.initial_state(3)["c.v"], v[:N])
    assert not np.isin(many.initial_state(4)["c.v"], v).any()
    share = (v + 0.07) / 0.018
    assert stats.kstest(share, "uniform").pvalue > 1e-3
    normal = many.initial_state(3)["c.m"] - v / -0.052
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(share, normal)[0, 1]) < 0.2
    twice = network({"m": "rand() - rand()"}).initial_state()["c.m"]
    assert np.abs(twice).min() > 0


def test_weights_are_drawn_per_synapse_and_normalised() -> None:
    """Columns get their norm; ``poisson`` takes its mean from the expression."""
    normalised = Projection(
        pre="c",
        post="target",
        transmit="v_post += w*mV",
        weights="0.2 + rand()*(j + 1)",
        normalise=networks.Normalisation(total=2.0, online=False),
    )
    counted = attrs.evolve(normalised, weights="poisson(4*(j + 1))", normalise=None)
    made = network(n=400, p=normalised, q=counted)
    state = made.initial_state(1)
    np.testing.assert_allclose(state.weights("p").sum(axis=0), 2.0)
    assert len(np.unique(state["p.w"])) == 1200
    means = state.weights("q").mean(axis=0)
    np.testing.assert_allclose(means, [4, 8, 12], atol=4 * np.sqrt(12 / 400))


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """Three samples, of which two are the same, on both devices."""
    made, found = network(DRAWN), {}
    for device in ("runtime", "cpp"):
        runnable = simulation.compile(
            made, device, spikes=("c",), per_sample=("c.count", "c.v"), math="strict"
        )
        found[device] = runnable, runnable.run(DRIVE[[0, 1, 0]], seed=5, progress=False)
    return {"network": made, **found}


@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_every_sample_begins_with_the_drawn_values(shown: Any, device: str) -> None:
    """The spikes are those of a plain Brian2 group that begins with them, sample by sample."""
    runnable, (recording, state) = shown[device]
    start = shown["network"].initial_state(5)
    for sample, drive in enumerate(DRIVE[[0, 1, 0]]):
        group = NeuronGroup(
            N,
            EQUATIONS,
            threshold="v > V_th",
            reset="v = E_L",
            method="exact",
            namespace=PARAMETERS,
            dt=0.1 * ms,
        )
        group.v_, group.drive_ = start["c.v"], drive
        monitor = SpikeMonitor(group)
        net = Network(group, monitor)
        net.run(30 * ms)
        spikes = recording.spikes["c"].of_sample(sample)
        assert len(monitor.i) > 3
        np.testing.assert_array_equal(spikes.i, monitor.i)
        np.testing.assert_allclose(spikes.t, monitor.t / second, atol=1e-12)
        np.testing.assert_allclose(recording["c.v"][sample], group.v_, rtol=1e-12)
    # ``m`` has no differential equation: it keeps its value and is not reset.
    np.testing.assert_array_equal(state["c.m"], runnable.initial_state(5)["c.m"])


def test_devices_chunks_copies_and_resuming_agree(shown: Any, tmp_path: Any) -> None:
    """All have the same draws; a state that goes on keeps what onsets give."""
    samples = DRIVE[[0, 1, 0]]
    runnable, (recording, state) = shown["cpp"]
    _, (other, there) = shown["runtime"]
    np.testing.assert_allclose(recording["c.v"], other["c.v"], rtol=1e-12)
    for name in state:  # the last digits of exp are those of another library
        np.testing.assert_allclose(state[name], there[name], rtol=1e-12)
    first, between = runnable.run(samples[:1], seed=5, progress=False)
    second_, after = runnable.run(samples[1:], between, seed=99, first_sample=1, progress=False)
    np.testing.assert_array_equal(np.vstack([first["c.v"], second_["c.v"]]), recording["c.v"])
    assert after.checksum() == state.checksum()
    runnable.run(samples[:2], seed=5, folder=tmp_path / "run", checkpoint_every=1, progress=False)
    resumed, _ = runnable.run(
        samples[:2], seed=5, folder=tmp_path / "run", checkpoint_every=1, resume=True,
        progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(resumed["c.v"], recording["c.v"][:2])
    exported = simulation.load(runnable.export(tmp_path / "artifact"))
    assert exported.initial_state(8).checksum() == runnable.initial_state(8).checksum()


def test_members_of_an_ensemble_begin_as_they_do_alone() -> None:
    """Also where a parameter of the expression differs, and several samples are shown at once."""
    made = network(DRAWN)
    values = [-70 * mV, -66 * mV]
    several = simulation.ensemble(
        made, 2, parameters={"c.E_L": values}, per_sample=("c.v",), math="strict"
    )
    results = several.run(DRIVE, seeds=[5, 6], progress=False)
    for member, seed, (recording, state) in zip(several.members, (5, 6), results, strict=True):
        alone = simulation.compile(member, "runtime", per_sample=("c.v",))
        expected, _ = alone.run(DRIVE, seed=seed, progress=False)
        np.testing.assert_array_equal(state["c.m"], alone.initial_state(seed)["c.m"])
        np.testing.assert_allclose(recording["c.v"], expected["c.v"], rtol=1e-12)
    assert not np.isin(results[0][1]["c.m"], results[1][1]["c.m"]).any()
    at_once = simulation.compile(made, n_parallel=2, per_sample=("c.v",), math="strict")
    together, _ = at_once.run(DRIVE, seed=5, progress=False)
    alone, _ = simulation.compile(made, "runtime", per_sample=("c.v",)).run(
        DRIVE, seed=5, progress=False
    )
    np.testing.assert_allclose(together["c.v"], alone["c.v"], rtol=1e-12)


@pytest.mark.parametrize(
    "value",
    [
        np.linspace(-70, -54, N) * mV,
        Uniform(low=-70 * mV, high=-54 * mV),
        Normal(mean=-60 * mV, sd=3 * mV),
    ],
    ids=["an array", "uniform", "normal"],
)
def test_onsets_give_back_what_differs_between_neurons(value: Any) -> None:
    """Both samples are the first one, in Brian2 and in torch."""
    made = network({"v": value})
    runnable = simulation.compile(made, "runtime", spikes=("c",))
    recording, _ = runnable.run(DRIVE[[0, 0]], seed=2, progress=False)
    first, again = (recording.spikes["c"].of_sample(k) for k in (0, 1))
    assert len(first.i) > 3
    np.testing.assert_array_equal(first.i, again.i)
    np.testing.assert_allclose(first.t, again.t)


def test_torch_begins_with_the_same_values(shown: Any) -> None:
    """Spike for spike, sample by sample."""
    torch = pytest.importorskip("torch")
    module = surrogate.to_torch(shown["network"], seed=5).double()
    _, (recording, _) = shown["runtime"]
    with torch.no_grad():
        out = module(torch.tensor(DRIVE[[0, 1, 0]], dtype=torch.float64))
    spikes = out["c"] if isinstance(out, dict) else out
    assert recording["c.count"].sum() > 10
    np.testing.assert_array_equal(np.asarray(spikes.sum(0)), recording["c.count"])


def test_a_layer_without_numbered_neurons_takes_expressions_of_constants_only() -> None:
    torch = pytest.importorskip("torch")
    given = {"drive": "drive", "gain": 1 * mV, "dt": 1 * ms}
    first = cell(initial={"v": "E_L + 0.5*(V_th - E_L)"})
    layer = surrogate.SpikingLayer(first, output="v", **given)
    v = layer.double()(torch.zeros(1, 1, 3, dtype=torch.float64))
    np.testing.assert_allclose(v.numpy().ravel(), -0.07 + 0.009 * np.exp(-0.1), rtol=1e-9)
    for text in ("E_L + rand()*mV", "E_L + i*mV"):
        with pytest.raises(ParameterError, match="without i, N and random numbers"):
            surrogate.SpikingLayer(cell(initial={"v": text}), **given)


def test_synapses_get_back_what_they_began_with() -> None:
    """A variable that events change begins each sample with its values per synapse."""
    projection = Projection(
        pre="c",
        post="target",
        transmit="u += 1\nv_post += 0*w*mV",
        equations="du/dt = -u/(5*ms) : 1",
        weights=0.5,
        initial={"u": "0.1*i + rand()"},
    )
    made = network(p=projection)
    runnable = simulation.compile(made, "runtime", traces={"p.u": [0, 7, 14]})
    recording, state = runnable.run(DRIVE[[0, 0]], seed=1, progress=False)
    trace = recording.traces["p.u"].values
    begins = runnable.initial_state(1)["p.u"][[0, 7, 14]]
    half = trace.shape[1] // 2
    np.testing.assert_array_equal(trace[:, 0], begins)
    np.testing.assert_array_equal(trace[:, half], begins)
    assert not np.array_equal(state["p.u"][[0, 7, 14]], begins)


def test_declarations_programs_and_files_keep_expressions(tmp_path: Any) -> None:
    """As text in declarations, as formulas in programs; a foreign file's is bounded."""
    random = networks.FixedProbability(p=0.4)
    weights = {"transmit": "v_post += w*mV", "weights": "0.1*i + rand()"}
    made = network(DRAWN, p=Projection(pre="c", post="c", pairs=random, **weights))
    again = from_data(to_data(made))
    assert again.fingerprint == made.fingerprint
    assert again.initial_state(2).checksum() == made.initial_state(2).checksum()
    program = lower(made)
    assert Program.from_data(program.to_data()).hash == program.hash
    runnable = simulation.compile(made, "runtime")
    face = Interface.from_data(runnable.interface.to_data())
    assert face == Interface.from_data(face.to_data())
    assert runnable.initial_state(2)["p.w"].tolist() == made.initial_state(2)["p.w"].tolist()
    path = storage.save_state(made.initial_state(2), tmp_path / "state.biosnn", made)
    assert storage.load_state(path, made).checksum() == made.initial_state(2).checksum()


FOREIGN = {
    "a call": "x = __import__('os')",
    "an attribute": "x = i.shape",
    "a call of an unknown function": "x = open(1)",
    "a name": "x = y",
    "a statement": "import os",
    "a nesting": "x = " + "-" * 5000 + "1",
    "a circle": "x = c",
    "no number": "x = log(0)",
}


@pytest.mark.parametrize("code", FOREIGN.values(), ids=FOREIGN.keys())
def test_formulas_of_foreign_files_are_arithmetic_or_refused(code: str) -> None:
    with pytest.raises(DataError, match="initial value of c"):
        drawn({"c.x": Formula(code=code, size=3, variables={"c": "c.x"})}, 0)


WRONG = {
    "an unknown name": ({"v": "E_LL + 1*mV"}, "E_LL.*has none"),
    "another unit": ({"v": "rand()*10"}, "be in V.*in plain numbers"),
    "volt and number": ({"v": "E_L + rand()"}, "of one unit"),
    "the time": ({"v": "E_L + t*mV/ms"}, "known before a run"),
    "itself": ({"v": "v + 1*mV"}, "values already"),
    "a later one": ({"m": "v/mV", "v": "E_L"}, "behind those it uses"),
    "a later one inside": ({"m": "m_inf", "v": "E_L + 1*mV"}, "behind those it uses"),
    "no condition": ({"low": "i + 1"}, "a condition"),
    "numbers joined by and": ({"m": "i and 1"}, "Boolean operator acting on non-booleans"),
    "a quotation": ({"v": "exp('x')*mV"}, "initial"),
    "no code": ({"v": "E_L +"}, "valid Brian2 code"),
    "no variable": ({"z": "1"}, "keyed by a variable"),
    "of synapses": ({"m": "j"}, "has none"),
    "timestep": ({"m": "timestep(1*ms, 1*ms)"}, "known before a run"),
}


@pytest.mark.parametrize(("initial", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_expressions_are_refused_where_they_are_declared(initial: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        network(initial)


WRONG_SYNAPSES = {
    "a unit": ({"weights": "rand()*mV"}, "in V"),
    "an unknown name": ({"weights": "rand()*w_max"}, "w_max.*has none"),
    "a later variable": ({"weights": "u", "initial": {"u": 1.0}}, "values already"),
    "the weight": ({"initial": {"w": 1.0}}, "given as weights"),
    "no variable": ({"initial": {"z": 1.0}}, "keyed by a variable of its synapses"),
    "a number with a unit": ({"initial": {"u": 1 * mV}}, "one per synapse"),
    "a size": ({"initial": {"u": np.ones(4)}}, "15 of them"),
}


@pytest.mark.parametrize(("fields", "message"), WRONG_SYNAPSES.values(), ids=WRONG_SYNAPSES.keys())
def test_wrong_values_of_synapses_are_refused(fields: Any, message: str) -> None:
    given = {"transmit": "v_post += w*u*mV", "equations": "u : 1", "weights": 0.1, **fields}
    with pytest.raises(ParameterError, match=message):
        network(p=Projection(pre="c", post="target", **given))


def test_values_that_are_not_finite_are_named() -> None:
    with pytest.raises((DataError, ParameterError), match=r"c\.m.*must be finite.*index 0"):
        network({"m": "log(i)"})
