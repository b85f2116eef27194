"""Spiking networks as estimators of scikit-learn: its own checks, searches, and plain biosnn."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from brian2 import Hz, ms
from devices.toy import ToyNetwork, ToySession
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, normalize
from sklearn.utils.estimator_checks import (
    check_classifiers_train,
    estimator_checks_generator,
)

from biosnn import datasets, encoding, networks, plasticity, simulation
from biosnn.callbacks import Callback
from biosnn.devices import register, unregister
from biosnn.errors import DataError, ParameterError, StorageError
from biosnn.estimators import RSTDPClassifier, STDPClassifier, STDPFeatures, base
from biosnn.models import NeuronModel, Operation, Schedule, Uniform
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.readout import VoteReadout

DIRECT: dict[str, Any] = {"pre": "inp", "post": "out", "transmit": "v_post += w*x_pre"}
CELL = NeuronModel(
    name="Cell",
    equations="v : 1",
    threshold="v > 1",
    reset="v = 0",
    operations=(Operation(code="v = 0", on="onset"),),
)


@pytest.fixture(autouse=True, scope="module")
def toy() -> Iterator[None]:
    """An interpreter that builds nothing: what is checked here is no matter of the device."""
    register("toy", cast(Any, ToyNetwork))
    yield
    unregister("toy")


def tiny(n_features: int, *, n_neurons: int = 3, learning_rate: Any = 0.05) -> NetworkModel:
    """Neurons that fire once if the weighted sum of a sample exceeds 1."""
    rule = plasticity.instar(eta=learning_rate, gain=1.0, tau_pre=None)
    weights = Uniform(low=0.0, high=3.0)
    return NetworkModel(
        name="tiny",
        dt=1 * ms,
        inputs={"x": Input(features=n_features)},
        populations={
            "inp": Population(model=encoding.direct(), n=n_features, drives={"x": "x"}),
            "out": Population(model=CELL, n=n_neurons),
        },
        projections={
            "inp_out": Projection(**DIRECT, on_event="present", weights=weights, rule=rule)
        },
        presentation=Presentation(duration=2 * ms, reset="none"),
        output="out",
    )


def rewarded(n_features: int, n_classes: int) -> NetworkModel:
    """Inputs above a half fire once; a cell above its threshold decides, and is rewarded."""
    source = NeuronModel(
        name="Source",
        equations="x : 1\ntold : 1",
        threshold="x > 0.5 and told < 1",
        reset="told = 1",
        operations=(Operation(code="told = 0", on="onset"),),
    )
    cell = NeuronModel(
        name="Decision",
        equations="v : 1\ntold : 1",
        threshold="v > 0 and told < 1",
        reset="told = 1",
        operations=(Operation(code="v = 0\ntold = 0", on="onset"),),
    )
    world = NeuronModel(
        name="World",
        equations="label : 1\nreward : 1",
        operations=(Operation(code="reward = 0", on="onset"),),
    )
    rule = plasticity.reward_prediction(modulator="world.reward", eta=0.1)
    right = "reward_post += int(abs(i + 1 - label_post) < 0.5)"
    return NetworkModel(
        name="rewarded",
        dt=1 * ms,
        inputs={"x": Input(features=n_features), "answer": Input(features=1, optional=True)},
        populations={
            "inp": Population(model=source, n=n_features, drives={"x": "x"}),
            "out": Population(model=cell, n=n_classes),
            "world": Population(model=world, n=1, drives={"label": "answer"}),
        },
        projections={
            "inp_out": Projection(
                pre="inp",
                post="out",
                transmit="v_post += w",
                weights=Uniform(low=0.0, high=0.1),
                rule=rule,
            ),
            "out_world": Projection(pre="out", post="world", transmit=right, order_free=True),
        },
        presentation=Presentation(duration=3 * ms, reset="none"),
        output="out",
    )


# --- scikit-learn's own checks

SCALED: dict[str, Any] = {"scaling": "minmax", "random_state": 0}
CHECKED: list[Any] = [
    STDPFeatures(tiny, device="toy", **SCALED),
    STDPClassifier(tiny, device="toy", **SCALED),
    RSTDPClassifier(rewarded, label_input="answer", device="toy", **SCALED),
]
try:
    from biosnn.estimators import LIFClassifier
except ModuleNotFoundError:  # PyTorch is an extra
    LIFClassifier = None
else:
    layers: dict[str, Any] = {"encoding": "direct", "epochs": 20, "learning_rate": 0.05, "T": 6}
    CHECKED.append(LIFClassifier((20,), weight_scale=3.0, batch_size=32, **layers, **SCALED))
needs_torch = pytest.mark.skipif(LIFClassifier is None, reason="PyTorch is an extra")


#: A check that comes in three variants, of which one is enough every day -> why.
NIGHTLY = {"check_classifiers_train": "300 samples that are shown a dozen times"}


# scikit-learn's own decorator has estimators with the addresses of functions in the tests' names.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [pair for made in CHECKED for pair in estimator_checks_generator(made)],
    ids=lambda part: part.func.__name__ if callable(part) else type(part).__name__,
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    """None is expected to fail; scikit-learn skips what needs pandas or SCIPY_ARRAY_API."""
    name = check.func.__name__
    if name in NIGHTLY and check.keywords:
        pytest.skip(f"with read-only arrays run nightly: {NIGHTLY[name]}")
    check(estimator)


@pytest.mark.nightly
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("estimator", CHECKED[1:], ids=lambda made: type(made).__name__)
def test_scikit_learns_checks_with_read_only_arrays(estimator: Any, dtype: str) -> None:
    name = type(estimator).__name__
    check_classifiers_train(name, estimator, readonly_memmap=True, X_dtype=dtype)


# --- against plain biosnn

X = np.random.default_rng(0).random((24, 4))
MOVES = {"device": "toy", "random_state": 7}


def test_features_are_the_counts_of_the_network() -> None:
    runnable = simulation.compile(tiny(4), device="toy")
    shown = 1.15 * normalize(X)
    begin = runnable.initial_state(7)
    learned, state = runnable.fit(shown, begin, epochs=2, seed=7, progress=False)
    read = state.updated({"inp_out.w": 0.8 * state["inp_out.w"]})
    expected, _ = runnable.run(shown, read, progress=False)
    assert learned.counts("out").sum() > 20
    assert np.abs(state["inp_out.w"] - begin["inp_out.w"]).max() > 0.1
    made = STDPFeatures(
        tiny, epochs=2, norm=1.15, shuffle=False, read_scale={"inp_out.w": 0.8}, **MOVES
    )
    found = made.fit_transform(X)
    np.testing.assert_array_equal(found, expected.counts("out"))
    assert 0 < found.sum() < found.size
    assert made.state_.checksum() == state.checksum()
    assert made.set_params(shuffle=True).fit(X).state_.checksum() != state.checksum()


def test_samples_in_parts_are_samples_at_once() -> None:
    schedule = Schedule(start=0.5, stop=0.01)
    made = STDPFeatures(tiny, learning_rate=schedule, shuffle=False, horizon=24, **MOVES).fit(X)
    whole = made.state_.checksum()
    begin = simulation.compile(made.network_, device="toy").initial_state(7)
    assert np.abs(made.state_["inp_out.w"] - begin["inp_out.w"]).max() > 0.1
    parts = clone(made)
    for first, last in ((0, 5), (5, 6), (6, 24)):
        parts.partial_fit(X[first:last])
    assert parts.state_.checksum() == whole
    again = parts.partial_fit(X)
    assert again.state_.samples_seen == 48
    assert again.state_.checksum() != whole
    assert again.fit(X).state_.checksum() == whole, "fit begins anew"
    jumps = clone(made).set_params(horizon=None)
    for first, last in ((0, 5), (5, 24)):
        jumps.partial_fit(X[first:last])
    assert jumps.state_.checksum() != whole, "schedules run over what is known"


def test_encoded_spikes_follow_from_the_seed() -> None:
    x, rates = X[:8], {"encoding": "poisson", "theta": 0.5}
    made = STDPFeatures(
        n_neurons=2, network_params=rates, max_rate=600 * Hz, duration=5 * ms, **MOVES
    )
    one, two = made.fit(x).transform(x), clone(made).fit(x).transform(x)
    assert one.sum() > 5
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(made.transform(x), one)
    other = made.set_params(random_state=8).fit_transform(x)
    assert (other != one).any()
    drawn = [made.set_params(random_state=given).fit(x).seed_ for given in (None, None)]
    assert drawn[0] != drawn[1]
    states = [np.random.RandomState(3) for _ in range(2)]
    drawn = [made.set_params(random_state=given).fit(x).seed_ for given in states]
    assert drawn[0] == drawn[1]


def test_a_fitted_estimator_can_be_sent_elsewhere() -> None:
    made = STDPFeatures(tiny(4), **MOVES).fit(X)
    sent = pickle.loads(pickle.dumps(made))
    assert made.transform(X).sum() > 5
    np.testing.assert_array_equal(sent.transform(X), made.transform(X))
    assert sent.partial_fit(X).state_.checksum() == made.partial_fit(X).state_.checksum()
    names = make_pipeline(MinMaxScaler(), made).fit(X).get_feature_names_out()
    assert list(names) == ["stdpfeatures0", "stdpfeatures1", "stdpfeatures2"]


@pytest.mark.parametrize("killed", [False, True])
def test_a_fit_that_was_stopped_goes_on(
    killed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C keeps all that was shown, a kill what was shown before the last checkpoint."""
    made = STDPFeatures(tiny, epochs=2, checkpoint_dir=tmp_path, **MOVES)
    expected = clone(made).set_params(checkpoint_dir=None).fit(X).state_.checksum()
    shown: list[int] = []
    true = ToySession.run_chunk

    def counted(self: Any, chunk: Any, *more: Any) -> Any:
        if len(shown) == 4:
            if killed:
                raise RuntimeError("killed")
            signal.raise_signal(signal.SIGINT)
        done = true(self, chunk, *more)
        shown.append(done[0])
        return done

    monkeypatch.setattr(ToySession, "run_chunk", counted)
    monkeypatch.setattr(base, "_CHECKPOINT_EVERY", 10)
    with pytest.raises(RuntimeError if killed else KeyboardInterrupt):
        made.fit(X)
    done = sum(shown[:4])  # chunks end at checkpoints and at the end of an epoch
    assert done == 10 + 10 + 4 + 6
    shown.append(0)
    again = clone(made).fit(X)
    assert again.state_.checksum() == expected
    assert sum(shown) == 48
    n = len(shown)
    assert made.fit(X).state_.checksum() == expected
    assert len(shown) == n, "a finished run is read from its folder"
    assert len(list(tmp_path.iterdir())) == 1
    for other, changed in (({"random_state": 8}, X), ({"learning_rate": 0.1}, X), ({}, X[::-1])):
        made.set_params(**other).fit(changed)
    assert len(list(tmp_path.iterdir())) == 4, "another run has another folder"
    assert sum(shown) == 4 * 48


@pytest.mark.parametrize("kind", [STDPFeatures, STDPClassifier, RSTDPClassifier])
def test_a_fit_that_was_stopped_leaves_nothing_fitted(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They answered with weights that had never learned."""
    labels = (X[:, 0] > X[:, 1]).astype(int)
    told = kind is RSTDPClassifier
    made = kind(rewarded, label_input="answer", **MOVES) if told else kind(tiny, **MOVES)
    answers = made.transform if kind is STDPFeatures else made.predict
    made.fit(X, labels)
    assert len(answers(X)) == 24

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ToySession, "run_chunk", stopped)
        with pytest.raises(KeyboardInterrupt):
            made.fit(X, labels)
    with pytest.raises(NotFittedError):
        answers(X)
    taken = tmp_path / "file"
    taken.touch()
    with pytest.raises(StorageError, match="cannot be written"):
        made.set_params(checkpoint_dir=taken).fit(X, labels)
    made.set_params(checkpoint_dir=None).fit(X, labels)
    assert len(answers(X)) == 24


def test_one_run_serves_all_that_read_it(tmp_path: Path) -> None:
    """Also at the same time: the folder of a run was refused as in use by another process."""
    labels = (X[:, 0] > X[:, 1]).astype(int)
    made = STDPClassifier(tiny, readout=RidgeClassifier(), checkpoint_dir=tmp_path, **MOVES)
    grid = {"readout__alpha": [0.1, 1.0, 10.0, 100.0]}
    expected = GridSearchCV(clone(made).set_params(checkpoint_dir=None), grid, cv=2)
    expected.fit(X, labels)
    search = GridSearchCV(made, grid, cv=2, error_score="raise")
    with parallel_config("threading", n_jobs=4):
        search.fit(X, labels)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, expected.cv_results_["mean_test_score"])
    assert len(list(tmp_path.iterdir())) == 3, "two folds, and all samples"
    told = RSTDPClassifier(rewarded, label_input="answer", checkpoint_dir=tmp_path, **MOVES)
    assert told.fit(X, labels).decision_function(X).any()
    told.set_params(score_variable="count").fit(X, labels)
    assert len(list(tmp_path.iterdir())) == 5


def test_threads_share_a_live_network() -> None:
    """There is one network on the device runtime, and it runs one thing at a time."""
    made = STDPFeatures(tiny, device="runtime", random_state=7)
    expected = [clone(made).fit(X[k:]).transform(X) for k in range(6)]
    assert expected[0].sum() > 5
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda k: clone(made).fit(X[k:]).transform(X), range(6)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --- what they learn

NAMES = np.array(["zero", "one", "two", "three"])


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, ...]:
    """Half-size images of the digits 0 to 3 with labels of text, for training and testing."""

    def halved(split: datasets.Split) -> tuple[np.ndarray, np.ndarray]:
        keep = np.flatnonzero(split.labels < 4)[:300]
        small = split.images[keep].reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255
        return small.reshape(len(keep), -1), NAMES[split.labels[keep]]

    loaded = datasets.load_digits()
    return *halved(loaded.train), *halved(loaded.test)


def test_a_search_finds_what_learns(digits: tuple[np.ndarray, ...]) -> None:
    x, y, x_test, y_test = digits
    network = STDPClassifier(norm=9.2, epochs=2, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(), network)
    grid = [  # three networks to build
        {"stdpclassifier__n_neurons": [20], "stdpclassifier__learning_rate": [0.0, 0.1]},
        {"stdpclassifier__n_neurons": [4], "stdpclassifier__learning_rate": [0.1]},
    ]
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(x, y)
    best = {name.partition("__")[2]: value for name, value in search.best_params_.items()}
    assert best == {"n_neurons": 20, "learning_rate": 0.1}
    frozen = clone(pipeline).set_params(
        stdpclassifier__n_neurons=20, stdpclassifier__learning_rate=0.0
    )
    chance = frozen.fit(x, y).score(x_test, y_test)
    assert search.score(x_test, y_test) > 0.85
    assert chance < 0.7
    alone = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(alone.cv_results_[name], search.cv_results_[name])
    together = clone(frozen).set_params(stdpclassifier__n_jobs=2).fit(x, y)
    np.testing.assert_array_equal(
        together.decision_function(x_test), frozen.decision_function(x_test)
    )


def test_reward_alone_teaches_labels(digits: tuple[np.ndarray, ...]) -> None:
    x, y, x_test, y_test = digits
    made = RSTDPClassifier(n_neurons=100, epochs=4, random_state=0)
    learned = made.fit(x, y).score(x_test, y_test)
    assert set(made.predict(x_test)) == set(NAMES)
    assert made.decision_function(x_test).shape == (len(x_test), 4)
    permuted = np.random.default_rng(0).permutation(y)
    assert learned > 0.8
    assert made.fit(x, permuted).score(x_test, y_test) < 0.5


def test_readouts_of_any_kind() -> None:
    labels = np.array([3, 5])[(X[:, 0] > X[:, 1]).astype(int)]
    vote = STDPClassifier(tiny, readout=VoteReadout(), **MOVES).fit(X, labels)
    assert vote.predict(np.zeros((1, 4)))[0] == -1, "biosnn's readouts leave silent samples out"
    assert set(vote.predict(X)) <= {-1, 3, 5}
    assert not hasattr(vote, "predict_proba")
    ridge = STDPClassifier(tiny, readout=RidgeClassifier(), **MOVES)
    assert not hasattr(ridge, "predict_proba")
    assert len(cross_val_score(ridge, X, labels, cv=2)) == 2
    linear = STDPClassifier(tiny, **MOVES).fit(X, labels)
    np.testing.assert_allclose(linear.predict_proba(X).sum(axis=1), 1)


# --- what is refused

FEATURES: dict[str, tuple[dict[str, Any], str]] = {
    "negative": ({}, r"STDPFeatures: X must be .* scaling=\"minmax\""),
    "scaling": ({"scaling": "standard"}, r"STDPFeatures\.scaling must be"),
    "norm": ({"scaling": "minmax", "norm": 0.0}, r"STDPFeatures\.norm must be > 0"),
    "name": ({"network": "reservoir"}, r"network must be .*winner_take_all.*got 'reservoir'"),
    "number": ({"network": 3}, r"STDPFeatures\.network must be"),
    "class": ({"network": lambda n: n}, r"network\(\.\.\.\) must be a NetworkModel"),
    "not taken": ({"max_rate": 9 * Hz}, r"network must be .*max_rate"),
    "fixed": ({"network": tiny(4), "n_neurons": 5}, r"n_neurons must be None where"),
    "twice": ({"n_neurons": 5, "network_params": {"n_neurons": 5}}, "network_params"),
    "epochs": ({"epochs": 0}, r"STDPFeatures\.epochs must be"),
    "scale": ({"scaling": "minmax", "read_scale": {"out.v": "x"}}, "read_scale"),
    "unknown scale": ({"scaling": "minmax", "read_scale": {"out.z": 2.0}}, r"out\.z"),
    "seed": ({"random_state": -1, "scaling": "minmax"}, r"STDPFeatures\.random_state"),
    "any seed": ({"random_state": None, "checkpoint_dir": "x"}, r"random_state must be"),
    "sizes": ({"network": tiny(3), "scaling": "minmax"}, "X has 4 features"),
}


@pytest.mark.parametrize("case", FEATURES)
def test_wrong_parameters_are_refused_by_name(case: str) -> None:
    given, message = FEATURES[case]
    made = STDPFeatures(**{"network": tiny, **MOVES, **given})
    with pytest.raises((ParameterError, DataError), match=message):
        made.fit(X - 0.5).transform(X)


def test_a_network_that_cannot_be_told_labels_is_refused() -> None:
    labels = (X[:, 0] > X[:, 1]).astype(int)
    with pytest.raises(ParameterError, match=r"label_input must be an optional input.*'answer'"):
        RSTDPClassifier(rewarded, **MOVES).fit(X, labels)
    three = RSTDPClassifier(rewarded(4, 3), label_input="answer", **MOVES)
    with pytest.raises(DataError, match=r"y has 2 classes, the population 'out' .* 3 neurons"):
        three.fit(X, labels)
    with pytest.raises(ParameterError, match="a projection that learns"):
        STDPFeatures(networks.feedforward((4, 2), encoding="direct"), **MOVES).fit(X)
    with pytest.raises(NotFittedError, match="STDPFeatures"):
        STDPFeatures(**MOVES).transform(X)


def test_silence_is_told() -> None:
    made = STDPFeatures(tiny, norm=0.01, **MOVES)
    with pytest.warns(UserWarning, match="no neuron of 'out' fired for any of 24 samples"):
        made.fit(X)
    dark = RSTDPClassifier(rewarded, label_input="answer", **MOVES)
    dark.fit(X, (X[:, 0] > X[:, 1]).astype(int))
    with pytest.warns(UserWarning, match="no decision for 2 of 2 samples"):
        dark.predict(np.zeros((2, 4)))


# --- gradients in networks of one's own

GRADIENTS: dict[str, Any] = {"epochs": 4, "batch_size": 8, "learning_rate": 0.05, "random_state": 1}
LABELS = np.array(["left", "right"])[(X[:, 0] > X[:, 1]).astype(int)]


def layered(
    n_features: int, n_classes: int, hidden_layer_sizes: Any = (), encoding: str = "direct"
) -> NetworkModel:
    sizes = (n_features, *hidden_layer_sizes, n_classes)
    return networks.feedforward(sizes, steps=6, encoding=encoding, weight_scale=3.0)


def of_rates(n_features: int, n_classes: int, max_rate: Any = 400 * Hz) -> NetworkModel:
    """Spikes that the network itself draws, and an output that also hears itself."""
    recurrent = Projection(pre="out", post="out", weights=0.1, transmit="v_post += w")
    weights = Uniform(low=-1.0, high=1.0)
    return NetworkModel(
        name="of_rates",
        dt=1 * ms,
        inputs={"x": Input(features=n_features)},
        populations={
            "inp": Population(
                model=encoding.poisson(max_rate=max_rate), n=n_features, drives={"x": "x"}
            ),
            "out": Population(model=networks.threshold_neuron(), n=n_classes),
        },
        projections={
            "inp_out": Projection(pre="inp", post="out", weights=weights, transmit="v_post += w"),
            "out_out": recurrent,
        },
        presentation=Presentation(duration=20 * ms),
        output="out",
    )


@needs_torch
@pytest.mark.parametrize("coded", ["direct", "poisson"])
def test_names_functions_and_declarations_are_one_network(coded: str) -> None:
    kind = "direct" if coded == "direct" else "events"
    named = LIFClassifier((5,), T=6, weight_scale=3.0, encoding=coded, **GRADIENTS).fit(X, LABELS)
    begin = named.network_.initial_state(named.seed_)["hidden1_output.w"]
    assert np.abs(named.state()["hidden1_output.w"] - begin).max() > 0.05
    scores = named.decision_function(X)
    assert np.ptp(scores) >= 2
    declared = layered(4, 2, (5,), encoding=kind)
    ways: list[tuple[Any, dict[str, Any]]] = [(declared, {})]
    if kind == "direct":
        ways.append((layered, {"hidden_layer_sizes": (5,)}))
    else:
        ways.append((layered, {"hidden_layer_sizes": (5,), "network_params": {"encoding": kind}}))
    for network, more in ways:
        made = LIFClassifier(network=network, **more, **GRADIENTS).fit(X, LABELS)
        assert made.state().checksum() == named.state().checksum()
        np.testing.assert_array_equal(made.decision_function(X), scores)


@needs_torch
def test_the_counts_of_the_output_decide() -> None:
    import torch

    made = LIFClassifier(network=of_rates, **GRADIENTS | {"epochs": 20}).fit(X, LABELS)
    shown = torch.from_numpy(np.rint(255 * X).astype(np.float32) / 255)
    with torch.no_grad():
        found = [made.module_.counts(part).numpy() for part in shown.split(8)]
    counts = np.concatenate(found)
    assert counts.sum() > 50
    np.testing.assert_array_equal(made.decision_function(X), counts[:, 1] - counts[:, 0])
    np.testing.assert_array_equal(made.predict(X), made.classes_[counts.argmax(1)])
    assert made.score(X, LABELS) > 0.7
    faster = clone(made).set_params(network_params={"max_rate": 40 * Hz}, epochs=1)
    assert faster.fit(X, LABELS).network_ != made.network_
    sent = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(sent.decision_function(X), made.decision_function(X))


@needs_torch
def test_gradients_that_were_stopped_go_on(tmp_path: Path) -> None:
    made = LIFClassifier(network=layered, checkpoint_dir=tmp_path, **GRADIENTS)
    expected = clone(made).set_params(checkpoint_dir=None).fit(X, LABELS)
    epochs: list[int] = []

    class Stop(Callback):
        def on_metrics(self, step: int, metrics: Any, context: Any) -> None:
            epochs.append(step)
            if epochs == [1, 2]:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.fit(X, LABELS, callbacks=[Stop()])
    with pytest.raises(NotFittedError):
        made.predict(X)
    assert made.fit(X, LABELS, callbacks=[Stop()]).state().checksum() == expected.state().checksum()
    assert epochs == [1, 2, 2, 3, 4], "the checkpoint of an epoch follows its callbacks"
    assert len(list(tmp_path.iterdir())) == 1
    for other in ({"surrogate": "sigmoid"}, {"network": layered(4, 2, (3,))}, {"epochs": 1}):
        clone(made).set_params(**other).fit(X, LABELS)
    assert len(list(tmp_path.iterdir())) == 4, "another training has another folder"


SIX: dict[str, Any] = {"network": networks.feedforward((4, 2), steps=6)}
GRADIENT: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"network": "lsm"}, r"LIFClassifier\.network must be .*'feedforward', got 'lsm'"),
    "fixed": ({**SIX, "T": 8}, r"LIFClassifier\.T must be None where network is a NetworkModel"),
    "not taken": ({"network": layered, "tau": 3 * ms}, r"network must be .*tau"),
    "params": ({"network_params": {"steps": 3}}, r"network must be .*steps"),
    "features": ({"network": layered(3, 2)}, r"X has 4 features, the input 'values' .* 3"),
    "classes": ({"network": layered(4, 3)}, r"y has 2 classes, the population 'output' .* 3 neu"),
    "any seed": ({"random_state": None, "checkpoint_dir": "x"}, r"random_state must be"),
    "loss": ({"loss": 3}, r"train\.loss must be a loss"),
}


@needs_torch
@pytest.mark.parametrize("case", GRADIENT)
def test_wrong_parameters_of_gradients_are_refused_by_name(case: str) -> None:
    given, message = GRADIENT[case]
    with pytest.raises((ParameterError, DataError), match=message):
        LIFClassifier(**{**GRADIENTS, **given}).fit(X, LABELS)
