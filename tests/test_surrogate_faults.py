"""Faults of gradient training that strangers found: each must stay mended (W, S, C, P: numbers)."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from brian2 import Clock, Function, Hz, NeuronGroup, SpikeMonitor, TimedArray, ms, mV, nA
from brian2 import Network as BrianNetwork
from sklearn.exceptions import NotFittedError

from biosnn import encoding, models, networks, plasticity, simulation
from biosnn.errors import DataError, ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

torch = pytest.importorskip("torch")

from biosnn import surrogate  # noqa: E402


@pytest.fixture(autouse=True)
def _brian2(fresh_brian2: None) -> None:
    """Every test with a Brian2 of its own."""
    torch.manual_seed(0)


def integrator(refractory: Any = 0 * ms) -> models.NeuronModel:
    """``v += x`` up to a threshold of 1 mV."""
    return models.neuron(
        name="IF",
        equations="dv/dt = 0*volt/second : volt (unless refractory)",
        threshold="v >= V_th",
        reset="v = 0*mV",
        refractory=refractory,
        method="euler",
        parameters={"V_th": 1 * mV},
    )


def steps_of(spikes: Any) -> list[int]:
    """Steps with a spike of the only neuron."""
    return spikes.flatten().nonzero().flatten().tolist()


# --- W3: inputs that are added


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_added_input_acts_in_every_step(dtype: Any) -> None:
    layer = surrogate.SpikingLayer(
        integrator(), dt=1 * ms, drive="v += x", gain=1 * mV, step_mode="multi"
    )
    spikes = layer(torch.full((12, 1, 1), 0.6, dtype=dtype))
    assert steps_of(spikes) == [1, 3, 5, 7, 9, 11]


def test_an_input_is_added_behind_the_leak() -> None:
    leaky = models.neuron(
        equations="dv/dt = -v/tau : 1", threshold="v >= 1", reset="v = 0", method="euler",
        parameters={"tau": 2 * ms},
    )  # fmt: skip
    layer = surrogate.SpikingLayer(
        leaky, dt=1 * ms, drive="v += x", detach_reset=True, step_mode="multi"
    )
    assert steps_of(layer(torch.ones(4, 1, 1))) == [0, 1, 2, 3]  # v - v/tau + x is 1
    layer.reset()
    x = torch.full((4, 1, 1), 0.4, requires_grad=True)
    assert steps_of(layer(x)) == []
    assert layer.v.item() == pytest.approx(0.4 * (1 + 0.5 + 0.25 + 0.125))
    layer.v.sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([0.125, 0.25, 0.5, 1.0])


@pytest.mark.parametrize("refractory", [0 * ms, 2 * ms])
def test_added_inputs_are_those_of_brian2_between_equations_and_threshold(refractory: Any) -> None:
    given = np.random.default_rng(1).random((40, 1))
    layer = surrogate.SpikingLayer(
        integrator(refractory), dt=1 * ms, drive="v += x", gain=1 * mV, step_mode="multi"
    )
    found = steps_of(layer(torch.as_tensor(given)[:, None]))
    group = integrator(refractory).group(1, clock=Clock(dt=1 * ms))
    group.namespace["given"] = TimedArray(given[:, 0] * mV, dt=1 * ms)
    group.run_regularly("v += given(t)", dt=1 * ms, when="after_groups")
    spikes = SpikeMonitor(group)
    BrianNetwork(group.contained_objects, group, spikes).run(40 * ms, namespace={})
    assert len(found) > 8
    assert found == np.rint(np.asarray(spikes.t_) * 1e3).astype(int).tolist()


# --- W12, S3: what an input of 1 means


def test_a_variable_with_a_unit_needs_a_gain() -> None:
    with pytest.raises(ParameterError, match=r"gain must be .*I has a unit.*Give gain=1\*nA"):
        surrogate.SpikingLayer(models.lif(), dt=1 * ms)
    with pytest.raises(ParameterError, match=r"v has a unit.*Give gain=1\*mV"):
        surrogate.SpikingLayer(models.lif(), dt=1 * ms, drive="v += x")
    for bad in (1e-9, 1 * mV, float("nan") * nA, float("inf") * nA, [1, 2] * nA, "1 nA"):
        with pytest.raises(ParameterError, match=r"SpikingLayer\.gain"):
            surrogate.SpikingLayer(models.lif(), dt=1 * ms, gain=bad)
    for bad in (float("nan"), 1 * mV):
        with pytest.raises(ParameterError, match=r"SpikingLayer\.gain"):
            surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms, gain=bad)
    assert surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms).gain == 1.0


# --- C4: files and copies


def round_trips(made: Any, folder: Any) -> dict[str, Any]:
    """A thing as it comes back from each way of storing it."""
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    joblib.dump(made, folder / "made.joblib")
    return {
        "torch.save": torch.load(file, weights_only=False),
        "pickle": pickle.loads(pickle.dumps(made)),
        "deepcopy": copy.deepcopy(made),
        "joblib": joblib.load(folder / "made.joblib"),
    }


def driven_group() -> NeuronGroup:
    """Three neurons of Brian2, with refractoriness and a TimedArray."""
    drive = TimedArray(np.linspace(0, 2, 30), dt=1 * ms)
    return NeuronGroup(
        3,
        "dv/dt = (I + drive(t) - v)/tau : 1 (unless refractory)\nI : 1",
        threshold="v > 1",
        reset="v = 0",
        refractory=2 * ms,
        method="euler",
        clock=Clock(dt=1 * ms),
        namespace={"tau": 5 * ms, "drive": drive},
    )


LAYERS: dict[str, Any] = {
    "layer": lambda: surrogate.SpikingLayer(
        models.lif(t_ref=2 * ms), dt=1 * ms, gain=100 * nA, train=("tau_m",), step_mode="multi"
    ),
    "group": lambda: surrogate.SpikingLayer(driven_group(), dt=1 * ms, step_mode="multi"),
    "sequential": lambda: surrogate.Sequential(
        torch.nn.Linear(3, 3),
        surrogate.SpikingLayer(surrogate.rate_neuron(0.5), dt=1 * ms),
        surrogate.ForeignStateful(torch.nn.GRUCell(3, 3)),
        step_mode="multi",
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_come_back_from_files_as_they_were(kind: str, tmp_path: Any) -> None:
    layer, x = LAYERS[kind](), torch.rand(30, 2, 3)
    expected = layer(x)
    assert expected.abs().sum() > 10
    with surrogate.OutputMonitor(layer):  # a monitor is not stored
        for way, twin in round_trips(layer, tmp_path).items():
            for part in surrogate.stateful_layers(layer):
                theirs = twin.get_submodule(part).memory
                for name, value in layer.get_submodule(part).memory.items():
                    assert torch.equal(theirs[name], value), (way, part, name)
            surrogate.reset(twin)
            assert torch.equal(twin(x), expected), way
            assert repr(twin) == repr(layer)


def test_networks_come_back_from_files_as_they_were(tmp_path: Any) -> None:
    declared = networks.feedforward((6, 4, 2), steps=20, weight_scale=2.0, delay=2 * ms)
    module = surrogate.to_torch(declared, train=["input_hidden1", "hidden1.tau_m"])
    given = (torch.rand(20, 3, 6) < 0.5).float()
    expected = module.counts(given, record=["hidden1.v"])
    assert expected.sum() > 3
    for way, twin in round_trips(module, tmp_path).items():
        found = twin.counts(given)
        assert torch.equal(found, expected), way
        found.sum().backward()
        assert twin.weights["input_hidden1"].grad.abs().sum() > 0
        assert np.array_equal(twin.state()["input_hidden1.w"], module.state()["input_hidden1.w"])
        assert twin.network.populations["hidden1"].n == 4


def test_a_fitted_classifier_comes_back_from_files_as_it_was(tmp_path: Any) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 6), dtype=np.uint8)
    y = np.where(x[:, 0] > x[:, 1], "left", "right")
    fitted = surrogate.LIFClassifier(epochs=1, batch_size=20, random_state=0).fit(x, y)
    scores = fitted.decision_function(x)
    assert np.abs(scores).sum() > 10
    for way, twin in round_trips(fitted, tmp_path).items():
        assert np.array_equal(twin.decision_function(x), scores), way
        assert np.array_equal(twin.predict(x), fitted.predict(x)), way


# --- W20: names of inputs


def shown_in_frames(*names: str, every: tuple[Any, ...] = (20 * ms,)) -> NetworkModel:
    """Poisson inputs that are shown sequences, and the neurons that they drive."""
    populations = {
        f"inp{k}": Population(model=encoding.poisson(max_rate=400 * Hz), n=2, drives={"x": name})
        for k, name in enumerate(names)
    }
    return NetworkModel(
        name="frames",
        dt=1 * ms,
        inputs={
            name: Input(features=2, kind="sequence", frame=frame)
            for name, frame in zip(names, every, strict=True)
        },
        populations={**populations, "out": Population(model=networks.threshold_neuron(), n=3)},
        projections={
            f"a{k}": Projection(pre=f"inp{k}", post="out", transmit="v_post += w", weights=0.4)
            for k in range(len(names))
        },
        presentation=Presentation(duration=100 * ms),
        output="out",
    )


@pytest.mark.parametrize(
    ("names", "every"),
    [
        (("image2",), (20 * ms,)),
        (("image_",), (20 * ms,)),
        (("frame_clock_7",), (20 * ms,)),
        (("past_inp0_spike_1",), (20 * ms,)),
        (("a", "a_1", "a_1_2"), (20 * ms, 10 * ms, 25 * ms)),
    ],
)
def test_frames_arrive_whatever_their_input_is_called(
    names: tuple[str, ...], every: tuple[Any, ...]
) -> None:
    network = shown_in_frames(*names, every=every)
    frames = {
        name: torch.rand(2, round(100 * ms / step), 2)
        for name, step in zip(names, every, strict=True)
    }
    module = surrogate.to_torch(network, normalise=False).double()
    found = module.counts(frames, record=[f"inp{k}" for k in range(len(names))], seed=3)
    recording, _ = simulation.compile(
        network, device="runtime", per_sample=("inp0.count", "out.count")
    ).run({k: v.numpy() for k, v in frames.items()}, seed=3, progress=False)
    given = module.recorded["inp0"].sum(0).detach().numpy()
    assert given.sum() > 50
    np.testing.assert_array_equal(given, recording.counts("inp0"))
    assert found.sum() > 20
    np.testing.assert_array_equal(found.detach().numpy(), recording.counts("out"))


def test_a_group_may_be_called_protocol() -> None:
    group = NeuronGroup(
        2, "dv/dt = (I - v)/(5*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0",
        method="euler", clock=Clock(dt=1 * ms), name="protocol",
    )  # fmt: skip
    assert surrogate.SpikingLayer(group, step_mode="multi")(torch.full((20, 1, 2), 3.0)).sum() > 4


# --- W5, S3: values of samples


def one_input(kind: str = "events", **more: Any) -> NetworkModel:
    source = encoding.address_events() if kind == "events" else encoding.poisson(max_rate=500 * Hz)
    return NetworkModel(
        name="one",
        dt=1 * ms,
        inputs={"x": Input(features=2, kind=kind, **more)},
        populations={
            "inp": Population(model=source, n=2, drives={"x": "x"}),
            "out": Population(model=networks.threshold_neuron(V_th=1.5), n=2),
        },
        projections={"a": Projection(pre="inp", post="out", transmit="v_post += w", weights=1.0)},
        presentation=Presentation(duration=10 * ms),
        output="out",
    )


@pytest.mark.parametrize("bad", [2.0, 0.5, -1.0, float("nan"), float("inf")])
def test_events_are_zero_or_one(bad: float) -> None:
    given = torch.zeros(10, 1, 2)
    given[3] = 1
    assert surrogate.to_torch(one_input()).counts(given).sum() == 2  # 1 + 1 >= 1.5
    assert len(surrogate.address_events(given, 1 * ms)["events"][0]) == 2
    given[5, 0, 1] = bad
    with pytest.raises(DataError, match=r"'x' must be spikes, 0 or 1, got .* at \(5, 0, 1\)"):
        surrogate.to_torch(one_input()).counts(given)
    with pytest.raises(ParameterError, match=r"spikes must be 0 or 1, got"):
        surrogate.address_events(given, 1 * ms)


def test_what_is_shown_is_finite_and_within_its_bounds() -> None:
    module = surrogate.to_torch(one_input("static"))
    assert module.counts(torch.full((3, 2), 0.9)).sum() > 10
    for bad, message in (
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (-0.1, "from 0 to 2"),
        (2.5, "at most one spike per time step"),
    ):
        x = torch.full((3, 2), 0.5)
        x[1, 0] = bad
        with pytest.raises(DataError, match=rf"'x' must be .*{message}.* at \(1, 0\)"):
            module.counts(x)
    x = torch.full((3, 2), 1.0)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="'intensity' must be"):
            module.counts({"x": x, "intensity": torch.tensor([1.0, bad, 1.0])})
    with pytest.raises(DataError, match="intensity must not raise rates"):
        module.counts({"x": x, "intensity": torch.tensor([1.0, 2.5, 1.0])})
    with pytest.raises(DataError, match="sample_ids"):
        module.counts(x, sample_ids=torch.rand(3))
    frames = surrogate.to_torch(one_input("sequence", frame=5 * ms))
    with pytest.raises(DataError, match="at most 2 frames, got 3"):
        frames.counts(torch.rand(1, 3, 2))
    state = module.state()
    with pytest.raises(DataError, match=r"a\.w.*finite"):
        module.load_state(state.updated({"a.w": np.full(4, np.nan)}))


# --- P9: booleans, and networks without inputs


def free() -> NetworkModel:
    """Neurons of a constant current that fire every other time, by a flag."""
    cell = models.neuron(
        equations="dv/dt = (2 - v)/tau : 1\nb : boolean",
        threshold="v > 1 and not b",
        reset="v = 0; b = not b",
        operations=[models.Operation(code="b = b and v < 1.5")],
        method="euler",
        parameters={"tau": 5 * ms},
    )
    return NetworkModel(
        name="free",
        dt=1 * ms,
        inputs={},
        populations={"out": Population(model=cell, n=2)},
        projections={},
        presentation=Presentation(duration=60 * ms),
        output="out",
    )


def test_networks_without_inputs_and_with_booleans_run() -> None:
    module = surrogate.to_torch(free())
    counts = module.counts({"n_samples": 3})
    assert counts.shape == (3, 2)
    recording, _ = simulation.compile(free(), device="runtime").run(
        {"n_samples": 1}, progress=False
    )
    assert (counts > 2).all()
    np.testing.assert_array_equal(counts[:1].numpy(), recording.counts("out"))
    for bad in (torch.ones(3, 2), {}):
        with pytest.raises(DataError, match="n_samples"):
            module.counts(bad)
    with pytest.raises(ParameterError, match="n_samples"):
        module.counts({"n_samples": 0})


# --- W7, W8: spikes of intensities

PIXELS = np.tile(np.array([0, 26, 128, 255], dtype=np.uint8), (50, 1))


@pytest.mark.parametrize("kind", ["MT19937", "SFC64", "PCG64", "PCG64DXSM", "Philox"])
def test_pixels_fire_with_their_probability_whatever_draws_them(kind: str) -> None:
    made = np.random.Generator(getattr(np.random, kind)(0))
    drawn = surrogate.poisson_batch(PIXELS, 400, made)
    rate, p = drawn.double().mean((0, 1)).numpy(), PIXELS[0] / 256
    assert np.all(np.abs(rate - p) <= 4 * np.sqrt(p * (1 - p) / 20_000)), rate
    assert rate[1] > 0.09
    if kind != "MT19937":  # the bytes are those of the generator itself
        raw = getattr(np.random, kind)(0).random_raw(drawn.numel() // 8).view(np.uint8)
        assert torch.equal(drawn, torch.from_numpy(raw.reshape(drawn.shape) < PIXELS))


def test_one_rule_says_what_intensities_are() -> None:
    rng = np.random.default_rng(0)
    floats = PIXELS / np.float32(255)
    rate = surrogate.poisson_batch(floats, 400, rng).double().mean((0, 1)).numpy()
    p = floats[0]
    assert rate[0] == 0
    assert rate[3] == 1
    assert np.all(np.abs(rate - p) <= 4 * np.sqrt(p * (1 - p) / 20_000))
    shown = surrogate.DirectEncoder()
    assert torch.equal(shown(PIXELS, rng), shown(floats, rng))
    spikes, classifier = surrogate.PoissonEncoder(3), surrogate.LIFClassifier()
    labels = np.arange(50) % 2
    for bad in (PIXELS.astype(float), PIXELS.astype(int), -floats, floats * np.nan):
        for door in (
            lambda x=bad: spikes(x, rng),
            lambda x=bad: shown(x, rng),
            lambda x=bad: classifier.fit(x, labels),
        ):
            with pytest.raises(ValueError, match=r"uint8|finite|NaN"):
                door()
    with pytest.raises(ParameterError, match="rng"):
        surrogate.poisson_batch(PIXELS, 3, np.random.RandomState(0))
    with pytest.raises(ParameterError, match="steps"):
        surrogate.poisson_batch(PIXELS, 0, rng)
    with pytest.raises(DataError, match="height"):
        surrogate.PoissonEncoder(3, shift=1)(PIXELS, rng)
    for bad in (labels / 3, labels - 1, labels[:, None], labels.astype(str)):
        with pytest.raises(DataError, match="labels must be whole numbers >= 0"):
            surrogate.Batches(PIXELS, bad, spikes)


# --- W6: labels of a classifier


def test_a_classifier_scores_by_its_own_labels() -> None:
    x = np.zeros((80, 6), dtype=np.uint8)
    y = np.tile([0, 2], 40)
    x[y == 0, :3] = 255
    x[y == 2, 3:] = 255
    fitted = surrogate.LIFClassifier(
        epochs=8, batch_size=20, learning_rate=0.05, random_state=0
    ).fit(x, y)
    assert fitted.score(x, y) > 0.9
    assert fitted.evaluate(x, y)["accuracy"] == fitted.score(x, y)
    for bad in (np.where(y == 2, 1, 0), np.full(80, 9), y.astype(str), y - 0.5):
        with pytest.raises(DataError, match=r"labels of the training \(0, 2\), got"):
            fitted.evaluate(x, bad)
    for bad in (np.full(80, np.nan), y[:, None]):
        with pytest.raises(DataError, match="y must be labels"):
            fitted.evaluate(x, bad)
    with pytest.raises(ValueError, match="y contains NaN"):
        surrogate.LIFClassifier().fit(x, np.full(80, np.nan))
    for use in ("predict", "decision_function"):
        with pytest.raises(NotFittedError, match="fit"):
            getattr(surrogate.LIFClassifier(), use)(x)


# --- W17: modules that keep a state of their own


class Integrator(torch.nn.Module):
    """Keeps its potential in one of the ways that modules do; fires at 1."""

    def __init__(self, way: str):
        super().__init__()
        self.way, self.held = way, []
        if way == "buffer":
            self.register_buffer("v", torch.zeros(1, 2))

    def forward(self, x: Any) -> Any:
        before = self.held[-1] if self.held else getattr(self, "v", 0.0)
        v = before + x
        spikes = (v >= 1).to(x)
        after = v * (1 - spikes)
        if self.way == "buffer":
            self.v.copy_(after[-1:])
        elif self.way == "list":
            self.held.append(after)
        else:
            self.v = after
        return spikes


WAYS = ["attribute", "buffer", "list"]


@pytest.mark.parametrize("inside", ["itself", "block"])
@pytest.mark.parametrize("way", WAYS)
def test_a_module_with_a_state_of_its_own_sees_one_step_after_the_other(
    way: str, inside: str
) -> None:
    module: Any = Integrator(way)
    module = torch.nn.Sequential(torch.nn.Identity(), module) if inside == "block" else module
    net = surrogate.Sequential(torch.nn.Identity(), module, step_mode="multi")
    spikes = net(torch.full((6, 1, 2), 0.4))
    assert spikes[:, 0, 0].tolist() == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("way", WAYS)
def test_a_module_with_a_state_is_not_declared_stateless(way: str) -> None:
    layer = surrogate.Stateless(Integrator(way), step_mode="multi")
    name = "held" if way == "list" else "v"
    with pytest.raises(ParameterError, match=f"Integrator, whose call changes {name}"):
        layer(torch.full((6, 1, 2), 0.4))
    with pytest.raises(ParameterError, match="a module without a state"):
        surrogate.seq_to_batch(torch.full((6, 1, 2), 0.4), Integrator(way))
    spiking = surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms)
    with pytest.raises(ParameterError, match="changes memory"):
        surrogate.seq_to_batch(torch.full((6, 1, 2), 0.4), spiking)


def test_what_keeps_nothing_is_called_once() -> None:
    calls = []

    class Doubled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(2)  # whose statistics are of all steps

        def forward(self, x: Any) -> Any:
            calls.append(len(x))
            return self.norm(2 * x)

    x = torch.rand(5, 3, 2)
    declared = surrogate.Sequential(surrogate.Stateless(Doubled()), step_mode="multi")
    found = declared(x)
    assert calls == [15]
    torch.testing.assert_close(found.mean((0, 1)), torch.zeros(2), atol=1e-5, rtol=0)
    surrogate.Sequential(Doubled().eval(), step_mode="multi")(x)
    assert calls == [15] + 5 * [3]
    nested = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    seen = []
    nested.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    surrogate.Sequential(nested, step_mode="multi")(x)
    assert seen == [15]


# --- W23, S3: what layers and helpers are given


def test_tuples_are_refused_by_name() -> None:
    x = torch.rand(4, 2, 3)
    layer = surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms)
    doors: tuple[Any, ...] = (
        lambda given: surrogate.multi_step_forward(given, layer),
        lambda given: surrogate.seq_to_batch(given, torch.nn.ReLU()),
        surrogate.Sequential(layer, step_mode="multi"),
        layer,
    )
    assert doors[0](x).shape == (4, 2, 3)
    for door in doors:
        for given in ((x, x), [x], None):
            with pytest.raises(ParameterError, match="input must be one tensor, got a"):
                door(given)
    for many in (torch.nn.LSTM(3, 2), torch.nn.MaxPool1d(1, return_indices=True)):
        for run in (surrogate.multi_step_forward, surrogate.seq_to_batch):
            with pytest.raises(
                ParameterError, match=r"answer of .* must be one tensor, got a tuple"
            ):
                run(x, many)


@pytest.mark.parametrize("mode", ["single", "multi"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_layers_refuse_what_is_not_finite(mode: str, bad: float) -> None:
    layer = surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms, step_mode=mode)
    x = torch.full((4, 2, 3), 0.6)
    assert layer(x).sum() > 0 or mode == "single"
    x[3, 1, 2] = bad
    before = layer.v.clone()
    with pytest.raises(
        ParameterError, match=r"SpikingLayer\.input must be finite.* at \(3, 1, 2\)"
    ):
        layer(x)
    assert torch.equal(layer.v, before)


def test_steps_are_fused_whatever_variables_are_called() -> None:
    named = models.neuron(
        equations="dv/dt = (I - v)/tau : 1\nmy_step_ : 1\nI : 1", threshold="v > 1",
        reset="v = 0; my_step_ = my_step_ + 1", method="euler", parameters={"tau": 5 * ms},
    )  # fmt: skip
    assert surrogate.SpikingLayer(named, dt=1 * ms, fuse=3).fuse == 3
    plus = Function(lambda x: np.asarray(x) + 1, arg_units=[1], return_unit=1)
    group = NeuronGroup(
        2, "dv/dt = (I - v)/(5*ms) : 1\nw : 1\nI : 1", threshold="v > plus(w)", reset="v = 0",
        method="euler", clock=Clock(dt=1 * ms), namespace={"plus": plus},
    )  # fmt: skip
    with pytest.raises(
        ParameterError, match="numpy's functions, got 3, for equations that use plus"
    ):
        surrogate.SpikingLayer(group, fuse=3)


def test_learners_take_finite_rewards_and_scales() -> None:
    neurons = surrogate.SpikingLayer(surrogate.rate_neuron(), dt=1 * ms)
    synapses = torch.nn.Linear(3, 2)
    synapses.weight.data.fill_(0.6)
    learner = surrogate.Learner(plasticity.mstdp(modulator="critic.r"), synapses, neurons)
    before = synapses.weight.detach().clone()
    for bad in (float("nan"), float("inf")):
        for given in ({"reward": bad}, {"reward": 1.0, "scale": bad}):
            neurons(synapses(torch.ones(1, 3)))
            with pytest.raises(ParameterError, match="must be finite"):
                learner.step(on_grad=False, **given)
    assert torch.equal(synapses.weight, before)
    learner.reset()
    for k in range(4):  # pairs of a pre- before a postsynaptic spike
        neurons(synapses(torch.full((1, 3), float(k % 2))))
    learner.step(on_grad=False, reward=1.0)
    assert not torch.equal(synapses.weight, before)
