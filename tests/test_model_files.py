"""One file for every kind of trained model: the same labels in a fresh process, and old files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms, nA

from biosnn import datasets, encoding, estimators, models, networks, simulation, surrogate
from biosnn.errors import DataError, ParameterError, StorageError
from biosnn.networks import Input, NetworkModel, Population, Presentation
from biosnn.readout import LinearReadout, VoteReadout
from biosnn.storage import LayeredModel, TrainedModel, load_model, save_model

torch = pytest.importorskip("torch")

SIDE, N_CLASSES = 4, 3
RNG = np.random.default_rng(8)
PROTOTYPES = np.zeros((N_CLASSES, SIDE * SIDE))
for _class in range(N_CLASSES):
    PROTOTYPES[_class, 5 * _class : 5 * _class + 5] = 0.9
Y = np.arange(36) % N_CLASSES
X = np.clip(PROTOTYPES[Y] + RNG.normal(0, 0.08, (36, SIDE * SIDE)), 0, 1)
NAMES = ("ant", "bee", "cat")
KEYS = {"device": "runtime", "random_state": 0}


@cache
def by_stdp() -> estimators.STDPClassifier:
    return estimators.STDPClassifier(n_neurons=9, norm=9.2, duration=40 * ms, **KEYS).fit(X, Y)


@cache
def by_reward() -> estimators.RSTDPClassifier:
    return estimators.RSTDPClassifier(n_neurons=30, norm=2.0, epochs=3, **KEYS).fit(X, Y)


def of_stdp() -> tuple[TrainedModel, Any]:
    return estimators.trained_model(by_stdp(), classes=NAMES), X


def of_stdp_in_own_units() -> tuple[TrainedModel, Any]:
    """Features that are measured, scaled by their ranges; labels that are texts."""
    table = 300 * X - 20
    made = estimators.STDPClassifier(
        n_neurons=9, norm=9.2, scaling="minmax", duration=40 * ms, **KEYS
    )
    return estimators.trained_model(made.fit(table, np.array(NAMES)[Y])), table


def of_reward() -> tuple[TrainedModel, Any]:
    return estimators.trained_model(by_reward()), X


def lif(**settings: Any) -> Any:
    given = {"T": 8, "epochs": 25, "learning_rate": 0.05, "batch_size": 12, "random_state": 0}
    return estimators.LIFClassifier((8,), **{**given, **settings}).fit(X, Y)


def of_gradients_and_values() -> tuple[TrainedModel, Any]:
    return estimators.trained_model(lif(encoding="direct"), classes=NAMES), X


def of_gradients_and_drawn_spikes() -> tuple[TrainedModel, Any]:
    return estimators.trained_model(lif()), X


def of_first_spikes() -> tuple[TrainedModel, Any]:
    return estimators.trained_model(lif(loss=surrogate.FirstSpikeCrossEntropy())), X


def driven(kind: str, features: int) -> NetworkModel:
    """Neurons that are driven by currents, frame by frame or all at once."""
    frame = {"frame": 10 * ms} if kind == "sequence" else {}
    return NetworkModel(
        name="driven",
        dt=0.5 * ms,
        inputs={"current": Input(features=features, kind=kind, **frame)},
        populations={"lif": Population(model=models.lif(), n=features, drives={"I": "current"})},
        presentation=Presentation(duration=40 * ms),
        output="lif",
    )


def read(network: NetworkModel, shown: Any, **settings: Any) -> TrainedModel:
    """A model of a network that is read by a linear readout of its counts."""
    runnable = simulation.compile(network, "runtime", per_sample=(f"{network.output}.count",))
    recording, state = runnable.run(shown, progress=False)
    counts = recording.counts(network.output)
    assert len(np.unique(counts, axis=0)) > 3, "counts tell samples apart"
    return TrainedModel(
        network=network,
        state=state,
        readout=LinearReadout("ridge").fit(counts, Y),
        observed=f"{network.output}.count",
        **settings,
    )


def of_currents() -> tuple[TrainedModel, Any]:
    scale = {"scale": 60 * nA}
    return read(driven("static", 16), X * 60e-9, preprocessing=scale, classes=NAMES), X


def of_sequences() -> tuple[TrainedModel, Any]:
    """The rows of an image are the frames of a current."""
    frames = X.reshape(-1, SIDE, SIDE)
    return read(driven("sequence", SIDE), frames * 60e-9, preprocessing={"scale": 60 * nA}), frames


def events() -> datasets.EventSplit:
    """Address events on a sensor of 2 x 4 x 8 pixels, in 60 ms: a class in its own columns."""
    sample, unit, time = [], [], []
    for k, label in enumerate(Y):
        n = 30
        sample.append(np.full(n, k))
        unit.append(32 * RNG.integers(2, size=n) + 8 * RNG.integers(4, size=n) + 2 * label)
        time.append(RNG.uniform(0, 0.06, n))
    parts = map(np.concatenate, (sample, unit, time))
    return datasets.EventSplit(*parts, Y, (2, 4, 8))


def of_events() -> tuple[TrainedModel, Any]:
    network = networks.feedforward((8, 6), steps=40, weights=models.Uniform(low=0.0, high=1.0))
    given = events()
    kept = datasets.crop_time(datasets.pool(datasets.select_polarity(given, "both"), 2), 40 * ms)
    assert kept.n_units == 8
    steps = {"select_polarity": "both", "pool": 2, "crop_time": 40 * ms}
    return read(network, kept.address_events(), preprocessing=steps), given


def relu_network(seed: int = 0) -> Any:
    """A ReLU network that was trained for some steps."""
    torch.manual_seed(seed)
    nn = torch.nn
    ann = nn.Sequential(
        nn.Conv2d(1, 4, 2, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AvgPool2d(2, stride=1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(16, N_CLASSES),
    )
    x, y = torch.tensor(X, dtype=torch.float32).reshape(-1, 1, SIDE, SIDE), torch.tensor(Y)
    optimiser = torch.optim.Adam(ann.parameters(), lr=0.05)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(ann(x), y).backward()
        optimiser.step()
    return ann.eval(), x


def converted() -> tuple[Any, Any]:
    ann, x = relu_network()
    return surrogate.convert(ann, x, normalisation=99.9, initial=0.5), x


def of_a_converted_network() -> tuple[LayeredModel, Any]:
    chain, weights = surrogate.chain_of(converted()[0], (1, SIDE, SIDE), steps=12, reads="last")
    return LayeredModel(chain=chain, weights=weights, classes=NAMES), X


def of_a_spiking_convolution() -> tuple[LayeredModel, Any]:
    """Layers of which no declaration is: winners per place, maxima, norms, and drawn spikes."""
    torch.manual_seed(1)
    nn = torch.nn
    cell = networks.threshold_neuron(2 * ms)
    shared = {"dt": 1 * ms, "drive": "v += x"}
    net = surrogate.Sequential(
        nn.Conv2d(3, 4, 2),
        nn.BatchNorm2d(4, affine=False),
        surrogate.Stateless(surrogate.StrongestChannel()),
        surrogate.SpikingLayer(cell, **shared),
        nn.Sequential(nn.MaxPool2d(2), nn.Flatten()),
        nn.Linear(4, N_CLASSES),
        surrogate.SpikingLayer(cell, **shared),
        step_mode="multi",
    )
    net[0].weight.data.uniform_(0, 0.1)
    for channel in range(3):  # each answers to its own colour
        net[0].weight.data[channel, channel] += 0.5
    net[1].running_mean.uniform_(-0.1, 0.1)
    net[1].running_var.uniform_(0.5, 1.5)
    net[5].weight.data = torch.eye(3, 4) + 0.1 * torch.rand(3, 4)
    chain, weights = surrogate.chain_of(net, (3, SIDE, SIDE), steps=20)
    colours = RNG.integers(0, 60, (12, SIDE, SIDE, 3), dtype=np.uint8)
    for k, image in enumerate(colours):
        image[..., k % 3] += 150
    return LayeredModel(chain=chain, weights=weights, encoding="bernoulli"), colours


KINDS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "stdp": of_stdp,
    "stdp_in_own_units": of_stdp_in_own_units,
    "reward": of_reward,
    "gradients_and_values": of_gradients_and_values,
    "gradients_and_drawn_spikes": of_gradients_and_drawn_spikes,
    "first_spikes": of_first_spikes,
    "currents": of_currents,
    "sequences": of_sequences,
    "events": of_events,
    "converted": of_a_converted_network,
    "spiking_convolution": of_a_spiking_convolution,
}
FRESH = """
import json, sys
from pathlib import Path
import numpy as np
from biosnn import datasets
from biosnn.storage import load_model
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.biosnn")):
    samples = path.with_suffix(".npy")
    events = path.with_suffix(".npz")
    shown = np.load(samples) if samples.exists() else datasets.read_events(events)
    model = load_model(path)
    found[path.stem] = model.names(model.classify(shown, seed=7, progress=False))
Path(sys.argv[2]).write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Any, Any]]:
    found = {}
    for name, make in KINDS.items():
        model, samples = make()
        few = isinstance(samples, datasets.EventSplit)
        found[name] = model, samples.take(9) if few else samples[:9]
    return found


def test_each_kind_gives_the_same_labels_in_a_fresh_process(
    made: dict[str, tuple[Any, Any]], tmp_path: Path, python: Callable[..., Any]
) -> None:
    folder = tmp_path / "models"
    expected = {}
    for name, (model, samples) in made.items():
        save_model(model, folder / f"{name}.biosnn")
        if isinstance(samples, datasets.EventSplit):
            arrays = {k: getattr(samples, k) for k in ("sample", "unit", "time", "labels", "shape")}
            np.savez(folder / f"{name}.npz", **arrays)
        else:
            np.save(folder / f"{name}.npy", samples)
        labels = model.classify(samples, seed=7, progress=False)
        assert len(set(labels.tolist()) - {-1}) > 1, f"{name} tells samples apart"
        expected[name] = model.names(labels)
    script = tmp_path / "fresh.py"
    script.write_text(FRESH)
    done = python(script, str(folder), str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == expected
    assert set(expected["currents"]) <= {*NAMES, "silent"}


def test_a_model_says_what_the_estimator_says(made: dict[str, tuple[Any, Any]]) -> None:
    fits = {"stdp": by_stdp(), "reward": by_reward()}
    shown = np.vstack([X, np.zeros((1, X.shape[1]))])  # the last one is silent
    for name, estimator in fits.items():
        labels = made[name][0].classify(shown, progress=False)
        decided = labels >= 0
        assert decided.sum() >= len(X)
        np.testing.assert_array_equal(labels[decided], estimator.predict(shown)[decided])
        assert (labels[-1] == -1) == (name == "reward")  # scikit-learn's intercepts decide


def test_floats_are_rounded_to_bytes_as_the_estimator_rounds_them() -> None:
    """Between two bytes, a spike more or less decides."""
    estimator = lif(encoding="direct")
    model = estimators.trained_model(estimator)
    shown = np.random.default_rng(1).random((400, X.shape[1]))
    counts = model.responses(shown, progress=False)
    assert len(np.unique(counts, axis=0)) > 5
    np.testing.assert_array_equal(counts, estimator.decision_function(shown))


def test_gradients_go_on_in_brian2_with_the_same_spikes(made: dict[str, tuple[Any, Any]]) -> None:
    """What a file draws outside is what the library's encoder draws; torch counts the same."""
    model, _ = made["gradients_and_drawn_spikes"]
    shown = 0.3 * X
    spikes = encoding.bernoulli_spikes(
        np.rint(255 * shown) / 256, max_rate=1 / (1 * ms), duration=8 * ms, dt=1 * ms, seed=3
    )
    module = surrogate.SurrogateNetwork(model.network, state=model.state).double()
    with torch.no_grad():
        expected = module.counts(torch.tensor(spikes.swapaxes(0, 1)).double()).numpy()
    found = model.responses(shown, seed=3, progress=False)
    assert found.sum() > len(X) / 2
    np.testing.assert_array_equal(found, expected)
    part = model.responses(shown[:5], seed=3, progress=False)
    np.testing.assert_array_equal(part, found[:5])
    assert (model.responses(shown, seed=4, progress=False) != found).any()


def test_the_same_labels_on_cpp(made: dict[str, tuple[Any, Any]], tmp_path: Path) -> None:
    model, samples = made["gradients_and_drawn_spikes"]
    loaded = load_model(save_model(model, tmp_path / "m.biosnn"))
    here = loaded.responses(samples, "cpp", seed=7, progress=False)
    assert here.any()
    np.testing.assert_array_equal(here, model.responses(samples, seed=7, progress=False))


def test_a_converted_network_says_what_it_said(made: dict[str, tuple[Any, Any]]) -> None:
    snn, x = converted()
    expected = surrogate.outputs_over_time(snn, x, 12)[-1].argmax(1).numpy()
    assert np.mean(expected == Y) > 0.9
    np.testing.assert_array_equal(made["converted"][0].classify(X), expected)


def test_drawn_spikes_of_a_chain_are_those_of_the_library(
    made: dict[str, tuple[Any, Any]], tmp_path: Path
) -> None:
    model, colours = made["spiking_convolution"]
    assert model.image_shape == (SIDE, SIDE, 3)
    rows = colours.reshape(len(colours), -1)
    spikes = encoding.bernoulli_spikes(rows, max_rate=1 / (1 * ms), duration=20 * ms, dt=1 * ms)
    shown = torch.tensor(np.moveaxis(spikes.reshape(len(rows), 20, SIDE, SIDE, 3), -1, -3)).float()
    module = surrogate.chain_module(model.chain, model.weights)
    surrogate.set_step_mode(module, "multi")
    with torch.no_grad():
        expected = module(shown.swapaxes(0, 1)).sum(0).numpy()
    assert expected.sum() > len(rows)
    np.testing.assert_array_equal(model.responses(colours), expected)


def test_a_file_of_before_is_read_as_it_was() -> None:
    """Made by the version before these fields: six neurons with currents, read by their counts."""
    model = load_model(Path(__file__).parent / "files" / "currents_before_record_0048.biosnn")
    assert isinstance(model, TrainedModel)
    assert (model.values, model.encoding, model.picture, model.classes) == (
        "intensities",
        None,
        {},
        None,
    )
    rng = np.random.default_rng(4)
    labels = np.arange(24) % 3
    images = np.clip(rng.random((3, 6))[labels] + rng.normal(0, 0.1, (24, 6)), 0, 1)
    counts = model.responses(images[:3], progress=False)
    assert counts.tolist() == [[5, 2, 5, 0, 4, 1], [5, 0, 5, 2, 6, 0], [2, 5, 5, 2, 6, 6]]
    assert model.classify(images[:12], progress=False).tolist() == [0, 1, 2] * 4
    assert model.names(np.array([2, -1])) == ["2", "silent"]


def test_features_are_a_model_without_a_decision(tmp_path: Path) -> None:
    fitted = estimators.STDPFeatures(n_neurons=9, norm=9.2, **KEYS).fit(X)
    model = load_model(save_model(estimators.trained_model(fitted), tmp_path / "m.biosnn"))
    assert isinstance(model, TrainedModel)
    found = model.responses(X, progress=False)
    assert found.any()
    np.testing.assert_array_equal(found, fitted.transform(X))
    with pytest.raises(ParameterError, match="readout"):
        model.classify(X)


# --- what is refused


def network_of_events() -> dict[str, Any]:
    network = networks.feedforward((8, 6), steps=10)
    return {
        "network": network,
        "state": network.initial_state(),
        "observed": "output.count",
        "readout": VoteReadout(n_classes=6).fit(np.eye(6), np.arange(6)),
    }


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "encoding": ({"encoding": "poisson"}, "TrainedModel.encoding must be one of"),
    "values": ({"values": "pixels"}, "TrainedModel.values must be"),
    "picture": ({"picture": {"flip": True}}, "picture must be made of invert and fit"),
    "fit": ({"picture": {"fit": True}}, r"picture\['fit'\] must be one of"),
    "invert": ({"picture": {"invert": "perhaps"}}, r"picture\['invert'\] must be one of 'auto'"),
    "names": ({"classes": NAMES}, r"one per class \(6 classes\), got 3 names"),
    "same names": ({"classes": ("a",) * 6}, "classes must be different names"),
    "texts": ({"classes": (1, 2, 3, 4, 5, 6)}, "classes must be different names"),
    "steps of values": ({"preprocessing": {"scale": 1.0}}, "made of the steps select_polarity"),
    "pool": ({"preprocessing": {"pool": 0.5}}, r"preprocessing\['pool'\] must be a whole"),
    "minmax": (
        {
            "preprocessing": {"minmax": {"scale": np.ones(8), "min": np.zeros(8)}},
            **{"encoding": "bernoulli"},
        },
        'first, and together with values="numbers"',
    ),
    "ranges": (
        {
            "preprocessing": {"minmax": {"scale": np.ones(7), "min": np.zeros(8)}},
            "encoding": "bernoulli",
            "values": "numbers",
        },
        "a finite number for each feature",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str) -> None:
    changes, message = REFUSED[case]
    with pytest.raises(ParameterError, match=message):
        TrainedModel(**{**network_of_events(), **changes})


def test_samples_that_do_not_fit_are_refused(made: dict[str, tuple[Any, Any]]) -> None:
    bare = TrainedModel(**network_of_events())
    with pytest.raises(DataError, match=r"give an EventSplit, a tuple \(sample, unit, time\)"):
        bare.classify(X[:, :8])
    with pytest.raises(DataError, match="events of 8 units, got 64"):
        bare.classify(events())
    drawn = TrainedModel(**network_of_events(), encoding="bernoulli", preprocessing={"scale": 2.0})
    with pytest.raises(DataError, match="which must be from 0 to 1, got 0 to 2"):
        drawn.classify(np.eye(8))
    with pytest.raises(DataError, match=r"4 frames at most, 4 features, got images of 5 of 4"):
        made["sequences"][0].classify(np.zeros((1, 5, 4)))
    with pytest.raises(DataError, match="must be finite"):
        made["stdp_in_own_units"][0].classify(X * np.inf)
    with pytest.raises(DataError, match="its preprocessing is for an EventSplit"):
        made["events"][0].classify(([0], [1], [0.001]))
    with pytest.raises(ParameterError, match="these layers run in torch"):
        made["converted"][0].classify(X, device="cpp")
    with pytest.raises(DataError, match="must be an array of numbers"):
        made["stdp"][0].classify([[0.5] * 16, [0.5]])


def test_images_of_another_shape_are_not_taken_for_rows() -> None:
    estimator = by_stdp()
    model = estimators.trained_model(estimator, shape=(2, 8))
    labels = model.classify(X, progress=False)
    for shape in ((2, 8), (2, 8, 1)):
        images = X.reshape(-1, *shape)
        np.testing.assert_array_equal(model.classify(images, progress=False), labels)
    with pytest.raises(DataError, match=r"shape \(2, 8\), got \(8, 2\)"):
        model.classify(X.reshape(-1, 8, 2))


def test_estimators_without_a_form_in_a_file_are_refused() -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    with pytest.raises(ParameterError, match="a fitted STDPClassifier, STDPFeatures"):
        estimators.trained_model(SVC())
    near = estimators.STDPClassifier(n_neurons=4, norm=9.2, readout=KNeighborsClassifier(1), **KEYS)
    with pytest.raises(ParameterError, match="alone or behind a MaxAbsScaler"):
        estimators.trained_model(near.fit(X[:6], Y[:6]))
    peaks = lif(loss=surrogate.MembraneCrossEntropy(over="max"), epochs=1)
    with pytest.raises(ParameterError, match="read at the end of a sample"):
        estimators.trained_model(peaks)


def layers_of(chain: surrogate.layer_chain.LayerChain) -> list[str]:
    return [layer.kind for layer in chain.layers]


def test_a_chain_is_taken_apart_and_put_together(made: dict[str, tuple[Any, Any]]) -> None:
    chain = made["spiking_convolution"][0].chain
    kinds = "Conv2d BatchNorm2d StrongestChannel Neurons MaxPool2d Flatten Linear Neurons"
    assert layers_of(chain) == kinds.split()
    assert "Dropout" not in layers_of(made["converted"][0].chain)
    with pytest.raises(ParameterError, match="a layer of the class Tanh"):
        surrogate.chain_of([torch.nn.Linear(2, 2), torch.nn.Tanh()], (2,), steps=1)
    odd = torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")
    with pytest.raises(ParameterError, match="padding_mode='reflect'"):
        surrogate.chain_of([odd, torch.nn.Flatten()], (1, 4, 4), steps=1)
    with pytest.raises(ParameterError, match="layers that fit together"):
        surrogate.chain_of([torch.nn.Linear(3, 2)], (4,), steps=1)
    # torch takes [n, features] for n channels of one sample, and Flatten may join samples.
    joined = [torch.nn.Flatten(0, 1), torch.nn.Flatten(1, 2)]
    for layers, shape in (([torch.nn.Conv1d(1, 4, 3)], (9,)), (joined, (3, 4, 4))):
        with pytest.raises(ParameterError, match="layers"):
            surrogate.chain_of(layers, shape, steps=1)


def hostile() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, changes of the content, changes of the arrays of the file of a chain."""
    yield "a class of torch", {"layers.0.kind": "Module"}, {}
    yield "another class", {"layers.0.kind": "os.system"}, {}
    yield "settings", {"layers.0.settings.in_channels": "__import__('os').system('touch MARK')"}, {}
    yield "more settings", {"layers.0.settings.device": "cuda"}, {}
    yield "size", {"layers.4.settings.out_features": 2**40}, {}
    yield "size without weights", {"layers.4.settings.out_features": 2**24}, {}
    yield "padding", {"layers.0.settings.padding": [2**20, 2**20]}, {}
    yield "steps", {"steps": 2**40}, {}
    yield "reads", {"reads": "eval"}, {}
    yield "in_shape", {"in_shape": [2**40, 4, 4]}, {}
    yield "drive", {"layers.1.settings.drive": "v += __import__('os').system('touch MARK')"}, {}
    yield "output", {"layers.1.settings.output": "__class__"}, {}
    yield "gain of NaN", {"layers.1.settings.gain": float("nan")}, {}
    yield "gain", {"layers.1.settings.gain": "1"}, {}
    yield "reset", {"layers.1.model.reset": "__import__('os').system('touch MARK')"}, {}
    yield (
        "operation",
        {"layers.1.model.operations": [{"$spec": "Operation", "code": "v = open"}]},
        {},
    )
    yield "no layers", {"layers": []}, {}
    yield "layers of texts", {"layers": ["Linear"]}, {}
    yield "array missing", {}, {"weights/0.weight": None}
    yield "array of another size", {}, {"weights/0.weight": np.zeros((4, 1, 3, 3), np.float32)}
    yield "array too many", {}, {"weights/9.weight": np.zeros(3, np.float32)}
    yield "NaN", {}, {"weights/0.bias": np.full(4, np.nan, np.float32)}
    yield "types", {}, {"weights/0.bias": np.zeros(4, np.int64)}


HOSTILE = {name: (content, arrays) for name, content, arrays in hostile()}


@pytest.fixture(scope="module")
def chain_file(
    made: dict[str, tuple[Any, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any]]:
    from biosnn import files

    path = save_model(made["converted"][0], tmp_path_factory.mktemp("chain") / "m.biosnn")
    return files.read(path, "model")


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_chain_is_refused_in_words(
    case: str,
    chain_file: tuple[dict[str, Any], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from biosnn import files
    from validation import _hostile

    content, tensors = json.loads(json.dumps(chain_file[0])), dict(chain_file[1])
    assert content["network"]["layers"][1]["kind"] == "Neurons"
    changes, arrays = HOSTILE[case]
    for where, value in changes.items():
        place: Any = content["network"]
        *steps, last = where.split(".")
        for step in steps:
            place = place[int(step) if step.isdigit() else step]
        place[last] = value
    for name, array in arrays.items():
        tensors.pop(name, None)
        if array is not None:
            tensors[name] = array
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.biosnn"
    path.write_bytes(files.packed("model", content, tensors))
    with _hostile.watched(), pytest.raises(StorageError) as caught:
        load_model(path)
    assert "does not fit together" in str(caught.value)
    assert len(str(caught.value)) < 900 + len(str(path))
    assert list(tmp_path.iterdir()) == [path]
