"""Readouts against answers worked out by hand, closed forms and scikit-learn's own checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from brian2 import ms, us
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from biosnn import readout as exports
from biosnn.errors import ParameterError, StorageError
from biosnn.readout import (
    SILENT,
    LinearReadout,
    PopulationReadout,
    ProportionReadout,
    Readout,
    VoteReadout,
    latency_features,
    linear_readout,
    readout_from_arrays,
    score_report,
)

COUNTS = np.array([[4, 0, 1, 0], [2, 0, 1, 0], [0, 3, 1, 0], [0, 5, 1, 0]])
LABELS = np.array([0, 0, 1, 1])

small_counts = arrays(np.int64, (8, 5), elements=st.integers(0, 6))
small_labels = arrays(np.int64, 8, elements=st.integers(0, 2))


def coded(n_samples: int, n_classes: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Poisson counts of 4 neurons per class that prefer it, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n_samples)
    preferred = np.repeat(np.arange(n_classes), 4)
    return rng.poisson(np.where(labels[:, np.newaxis] == preferred, 3.0, 0.2)), labels


def first_spikes(n_samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """First-spike times in s: neurons of the right class lead by 3 ms, a third stay silent."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_samples)
    late = labels[:, np.newaxis] != np.repeat(np.arange(3), 4)
    times = 5e-3 + 3e-3 * late + rng.normal(0, 3e-4, late.shape)
    return np.where(rng.random(late.shape) < 0.3, np.inf, times), labels


#: The readouts that ``biosnn.readout`` exports.
READOUTS = [
    found
    for found in (getattr(exports, name) for name in exports.__all__)
    if isinstance(found, type) and issubclass(found, Readout) and found is not Readout
]


def each(n_neurons: int) -> list[Readout]:
    """One of each readout, for three classes; those that have to know get the number of neurons."""
    needed = {PopulationReadout: {"n_classes": 3, "neurons_per_class": n_neurons // 3}}
    return [kind(**needed.get(kind, {})) for kind in READOUTS]


def fitted() -> list[Readout]:
    counts, labels = coded(200, 3)
    two = labels < 2
    return [
        *(readout.fit(counts, labels) for readout in each(counts.shape[1])),
        LinearReadout("svc").fit(counts, labels),
        LinearReadout("ridge").fit(counts[two], labels[two]),
        LinearReadout(features="latency", tau_latency=1.0, C=3).fit(counts, labels),
        LinearReadout.of(linear_readout("logistic").fit(counts, labels)),
        PopulationReadout(counts.shape[1], reads="latency").fit(counts),
        PopulationReadout(3, counts.shape[1] // 3, reads="values").fit(counts),
    ]


each_fitted = pytest.mark.parametrize("readout", fitted(), ids=str)


# scikit-learn's conformance checks

FOREIGN_LABELS = {
    "check_classifiers_classes": "labels are class numbers, as -1 has to mean silent",
    "check_dtype_object": "a ParameterError is a ValueError, where a TypeError is expected",
}
ITERATIONS = {"check_non_transformer_estimators_n_iter": "n_iter_ is that of pipeline_[-1]"}
TIMES = {
    "check_estimators_nan_inf": "a time of inf is a silent neuron",
    "check_classifiers_train": "the checks' two features are no times of spikes",
}
OWN_WIDTH = "takes exactly n_classes * neurons_per_class neurons"
POPULATION = dict.fromkeys(
    [
        "check_classifier_data_not_an_array",
        "check_classifiers_train",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_overwrite_params",
        "check_fit2d_1feature",
        "check_fit2d_1sample",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_readonly_memmap_input",
        "check_requires_y_none",
        "check_classifiers_regression_target",
    ],
    OWN_WIDTH,
) | {"check_classifiers_one_label": "learns nothing, so not even a single class"}


def expected_failures(readout: Readout) -> dict[str, str]:
    match readout:
        case PopulationReadout():
            return FOREIGN_LABELS | POPULATION
        case LinearReadout(features="latency"):
            return FOREIGN_LABELS | ITERATIONS | TIMES
        case LinearReadout():
            return FOREIGN_LABELS | ITERATIONS
    return FOREIGN_LABELS


@parametrize_with_checks(
    [
        *each(3),
        LinearReadout("svc"),
        LinearReadout("ridge"),
        LinearReadout(features="latency", tau_latency=1.0),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_conformance(estimator: Readout, check: Callable[[Any], None]) -> None:
    check(estimator)


# Vote


def test_vote_assigns_by_mean_response_and_leaves_silent_neurons_out() -> None:
    readout = VoteReadout().fit(COUNTS, LABELS)
    # means per class: (3, 0), (0, 4), (1, 1) a tie, (0, 0) never fired
    assert readout.assignments_.tolist() == [0, 1, 0, -1]
    assert readout.classes_.tolist() == [0, 1]


def test_vote_averages_over_the_neurons_of_a_class() -> None:
    readout = VoteReadout(3).fit(COUNTS, LABELS)
    samples = [[1, 1, 0, 0], [2, 1, 0, 0], [3, 1, 1, 0], [0, 0, 0, 9], [0, 0, 0, 0]]
    scores = [[0.5, 1, 0], [1, 1, 0], [2, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert readout.decision_function(samples).tolist() == scores
    assert readout.predict(samples).tolist() == [1, 0, 0, SILENT, SILENT]  # the second is a tie
    assert readout.silent(samples).tolist() == [False, False, False, True, True]


def test_vote_is_by_mean_not_by_sum() -> None:
    # three samples of class 0 add up to 6 spikes, one of class 1 has 5
    readout = VoteReadout().fit([[2], [2], [2], [5]], [0, 0, 0, 1])
    assert readout.assignments_.tolist() == [1]


@pytest.mark.parametrize("n_neurons", [3, 6, 12, 49])
def test_vote_ties_are_exact_for_any_number_of_neurons(n_neurons: int) -> None:
    # six times 1/6 adds up to less than 1: class 0 must not lose a tie by rounding
    training = np.zeros((2, n_neurons + 1), int)
    training[0, :-1] = training[1, -1] = 1
    readout = VoteReadout().fit(training, [0, 1])
    assert readout.predict(np.ones((1, n_neurons + 1))).tolist() == [0]


def test_all_silent_training_leaves_everything_silent() -> None:
    for readout in (VoteReadout(), ProportionReadout()):
        readout.fit(np.zeros((4, 3)), LABELS)
        assert readout.predict(np.ones((2, 3))).tolist() == [SILENT, SILENT]


@given(small_counts, small_labels)
def test_vote_equals_a_plain_loop(counts: np.ndarray, labels: np.ndarray) -> None:
    readout = VoteReadout(3).fit(counts, labels)
    for neuron, assigned in enumerate(readout.assignments_):
        means = [counts[labels == c, neuron].mean() if c in labels else 0 for c in range(3)]
        assert assigned == (int(np.argmax(means)) if counts[:, neuron].any() else -1)
    for sample, predicted in zip(counts, readout.predict(counts), strict=True):
        own = [sample[readout.assignments_ == c] for c in range(3)]
        score = [votes.mean() if votes.size else 0 for votes in own]
        assert predicted == (int(np.argmax(score)) if any(score) else SILENT)


@given(small_counts, small_labels, st.integers(2, 5))
def test_repeating_a_class_changes_nothing(
    counts: np.ndarray, labels: np.ndarray, times: int
) -> None:
    repeats = np.where(labels == 0, times, 1)
    more = counts.repeat(repeats, axis=0), labels.repeat(repeats)
    once, often = VoteReadout(3).fit(counts, labels), VoteReadout(3).fit(*more)
    assert (often.assignments_ == once.assignments_).all()
    once, often = ProportionReadout(3).fit(counts, labels), ProportionReadout(3).fit(*more)
    np.testing.assert_allclose(often.proportions_, once.proportions_, rtol=1e-12)


# Proportion


def test_proportions_are_shares_of_the_mean_responses() -> None:
    readout = ProportionReadout().fit([[3, 0, 0], [3, 0, 0], [1, 2, 0]], [0, 0, 1])
    # means per class: (3, 1), (0, 2), (0, 0)
    assert readout.proportions_.tolist() == [[0.75, 0.25], [0, 1], [0, 0]]
    samples = [[4, 1, 0], [4, 2, 9], [4, 3, 0], [0, 0, 5]]
    # scores: (3, 2), (3, 3) a tie, (3, 4), (0, 0) silent
    assert readout.decision_function(samples).tolist() == [-1, 0, 1, 0]
    assert readout.predict(samples).tolist() == [0, 0, 1, SILENT]
    assert readout.silent(samples).tolist() == [False, False, False, True]


@given(small_counts, small_labels)
def test_proportions_sum_to_one_where_a_neuron_fired(
    counts: np.ndarray, labels: np.ndarray
) -> None:
    proportions = ProportionReadout(3).fit(counts, labels).proportions_
    assert proportions.min() >= 0
    np.testing.assert_allclose(proportions.sum(axis=1), counts.any(axis=0), rtol=1e-12)


# Population


def test_population_sums_the_neurons_of_each_class() -> None:
    readout = PopulationReadout(3, 2).fit(np.zeros((1, 6)))
    samples = [[1, 1, 0, 1, 0, 0], [0, 0, 0, 2, 1, 1], [0, 0, 0, 0, 0, 4], [0] * 6]
    assert readout.decision_function(samples).tolist() == [
        [2, 1, 0],
        [0, 2, 2],
        [0, 0, 4],
        [0, 0, 0],
    ]
    assert readout.predict(samples).tolist() == [0, 1, 2, SILENT]
    assert readout.score(samples, [0, 1, 2, 0]) == 0.75


def test_population_checks_labels_if_given() -> None:
    assert PopulationReadout(2).fit(np.ones((3, 2)), [0, 1, 1]).classes_.tolist() == [0, 1]
    with pytest.raises(ParameterError, match=r"PopulationReadout\.y must be in 0\.\.1, got 2"):
        PopulationReadout(2).fit(np.ones((3, 2)), [0, 1, 2])


# Latency


def test_latency_features_follow_the_closed_form() -> None:
    times = np.array([[2e-3, 5e-3, np.inf], [np.inf, np.inf, np.inf], [0.0, 0.0, 1.5e-3]])
    features = latency_features(times)
    assert features.dtype == np.float32
    expected = [[1, np.exp(-2), 0], [0, 0, 0], [1, 1, np.exp(-1)]]
    np.testing.assert_allclose(features, expected, rtol=1e-6)


def test_latency_features_take_quantities() -> None:
    features = latency_features([[1.0, 2.0]] * ms, tau=500 * us)
    np.testing.assert_allclose(features, [[1, np.exp(-2)]], rtol=1e-6)


@given(arrays(np.float64, (4, 6), elements=st.floats(0, 0.1)), st.floats(0, 10))
def test_latency_features_ignore_when_the_sample_began(times: np.ndarray, start: float) -> None:
    shifted = latency_features(times + start)
    np.testing.assert_allclose(shifted, latency_features(times), atol=1e-6)
    assert (shifted.max(axis=1) == 1).all()


# Linear


@pytest.mark.parametrize("kind", ["logistic", "svc", "ridge"])
def test_linear_separates_what_is_separable(kind: Any) -> None:
    readout = LinearReadout(kind).fit(*coded(800))
    counts, labels = coded(400, seed=1)
    assert readout.score(counts, labels) > 0.95
    heard = ~readout.silent(counts)
    assert (readout.pipeline_.predict(counts[heard]) == readout.predict(counts[heard])).all()


@pytest.mark.parametrize("kind", ["logistic", "svc", "ridge"])
def test_linear_learns_nothing_from_shuffled_labels(kind: Any) -> None:
    counts, labels = coded(2800)
    labels = np.random.default_rng(2).permutation(labels)
    readout = LinearReadout(kind).fit(counts[:800], labels[:800])
    # 2000 independent guesses among ten classes: standard deviation 0.0067
    assert readout.score(counts[800:], labels[800:]) == pytest.approx(0.1, abs=0.027)


def test_ridge_solves_the_normal_equations() -> None:
    counts, labels = coded(300, 3)
    readout = LinearReadout("ridge", alpha=2.0).fit(counts, labels)
    features = counts / counts.max(axis=0)
    targets = np.where(labels[:, np.newaxis] == np.arange(3), 1.0, -1.0)
    centred = features - features.mean(axis=0)
    coef = np.linalg.solve(
        centred.T @ centred + 2.0 * np.eye(12), centred.T @ (targets - targets.mean(axis=0))
    )
    intercept = targets.mean(axis=0) - features.mean(axis=0) @ coef
    np.testing.assert_allclose(readout.scale_, counts.max(axis=0))
    np.testing.assert_allclose(readout.coef_, coef.T, atol=1e-4)
    np.testing.assert_allclose(
        readout.decision_function(counts), features @ coef + intercept, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["logistic", "svc", "ridge"])
def test_linear_of_two_classes_scores_as_scikit_learn(kind: Any) -> None:
    counts, labels = coded(200, 2)
    readout = LinearReadout(kind).fit(counts, labels)
    assert readout.coef_.shape == (2, 8)
    scores = readout.decision_function(counts)
    expected = readout.pipeline_.decision_function(counts.astype(np.float32))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    heard = ~readout.silent(counts)
    assert (readout.predict(counts)[heard] == (scores > 0)[heard]).all()


def test_linear_leaves_silent_samples_undecided() -> None:
    counts, labels = coded(200, 3)
    counts[:, 0] = 0  # this neuron never fires in training: nobody listens to it
    readout = LinearReadout().fit(counts, labels)
    samples = np.zeros((3, 12))
    samples[1, 0], samples[2, 1] = 7, 7
    assert readout.predict(samples).tolist() == [SILENT, SILENT, 0]
    assert readout.silent(samples).tolist() == [True, True, False]


def test_linear_reads_latencies() -> None:
    readout = LinearReadout(features="latency").fit(*first_spikes(300))
    times, labels = first_spikes(200, seed=1)
    assert np.isinf(times).any()
    assert readout.score(times, labels) > 0.95
    assert readout.predict(np.full((1, 12), np.inf)).tolist() == [SILENT]


def test_linear_pipeline_keeps_zeros_and_single_precision() -> None:
    counts, labels = coded(100, 3)
    scaled = (
        linear_readout("ridge")
        .fit(counts.astype(np.float32), labels)[0]
        .transform(counts.astype(np.float32))
    )
    assert scaled.dtype == np.float32
    assert ((scaled == 0) == (counts == 0)).all()
    assert scaled.max() == 1


# Report


def test_score_report_on_a_known_case() -> None:
    report = score_report([0, 0, 0, 1, 1, 3], [0, 0, -1, 1, 0, -1], 4)
    assert report == {
        "accuracy": 0.5,
        "n_samples": 6,
        "n_silent": 2,
        "recall": [2 / 3, 0.5, None, 0.0],
        "confusion": [[2, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]],
    }
    assert json.loads(json.dumps(report)) == report


@given(
    arrays(np.int64, 20, elements=st.integers(0, 3)),
    arrays(np.int8, 20, elements=st.integers(-1, 3)),
)
def test_score_report_counts_every_sample_once(true: np.ndarray, pred: np.ndarray) -> None:
    report = score_report(true, pred, 4)
    confusion = np.array(report["confusion"])
    assert confusion.sum(axis=1).tolist() == np.bincount(true, minlength=4).tolist()
    assert confusion[:, -1].sum() == report["n_silent"] == (pred == -1).sum()
    assert report["accuracy"] == pytest.approx((true == pred).mean())


def test_score_report_takes_small_integer_types() -> None:
    true = np.full(3, 99, np.uint8)
    assert score_report(true, true.astype(np.int8), 100)["accuracy"] == 1


# To arrays and back


@each_fitted
def test_round_trip_predicts_the_same_bits(readout: Readout, tmp_path: Path) -> None:
    counts, _ = coded(50, 3, seed=1)
    counts[0] = 0
    meta, learned = readout.to_arrays()
    assert meta["sklearn"] == sklearn.__version__
    np.savez(tmp_path / "readout.npz", **{k: np.asfortranarray(v) for k, v in learned.items()})
    with np.load(tmp_path / "readout.npz", allow_pickle=False) as file:
        restored = readout_from_arrays(json.loads(json.dumps(meta)), dict(file))
    assert type(restored) is type(readout)
    assert restored.get_params() == readout.get_params()
    assert (restored.predict(counts) == readout.predict(counts)).all()
    scores = readout.decision_function(counts)
    assert scores.any()
    assert restored.decision_function(counts).tobytes() == scores.tobytes()


def test_single_samples_survive_the_round_trip_too() -> None:
    # one row times a matrix goes another way through BLAS, which depends on the matrix's order
    rng = np.random.default_rng(0)
    counts, labels = rng.poisson(1.0, (200, 400)), rng.integers(0, 10, 200)
    for readout in (ProportionReadout().fit(counts, labels), LinearReadout().fit(counts, labels)):
        meta, learned = readout.to_arrays()
        restored = readout_from_arrays(meta, {k: np.asfortranarray(v) for k, v in learned.items()})
        for sample in counts[:20]:
            expected = readout.decision_function([sample])
            assert restored.decision_function([sample]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["logistic", "svc", "ridge"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_readout_of_a_classifier_of_sklearn_says_the_same(kind: Any, n_classes: int) -> None:
    """Silent samples included, which intercepts decide; its labels are the places of the names."""
    counts, labels = coded(120, n_classes)
    names = np.array(["a", "b", "c"])[labels]
    shown = np.vstack([counts, np.zeros((1, counts.shape[1]))])
    for fitted in (
        linear_readout(kind).fit(counts, names),
        linear_readout(kind)[-1].fit(counts, names),
    ):
        readout = LinearReadout.of(fitted)
        expected = fitted.predict(shown)
        assert len(set(expected)) == n_classes
        np.testing.assert_array_equal(np.array(["a", "b", "c"])[readout.predict(shown)], expected)
        assert LinearReadout(kind).fit(counts, labels).predict(shown)[-1] == SILENT
    with pytest.raises(ParameterError, match="alone or behind a MaxAbsScaler"):
        LinearReadout.of(linear_readout(kind))


def test_a_population_decides_by_values_or_by_its_first_spike() -> None:
    values = PopulationReadout(3, reads="values").fit(np.zeros((1, 3)))
    assert values.predict([[-3.0, -1.0, -2.0], [0.5, 0.5, 0.5], [0, 0, 1e-9]]).tolist() == [
        1,
        -1,
        2,
    ]
    times = PopulationReadout(3, reads="latency").fit(np.zeros((1, 3)))
    inf = np.inf
    shown = [[4e-3, 3.9e-3, inf], [inf, inf, inf], [inf, inf, 0.0]]
    assert times.predict(shown).tolist() == [1, SILENT, 2]
    with pytest.raises(ParameterError, match=">= 0 s everywhere, got -1"):
        times.predict([[0, 0, -1.0]])
    with pytest.raises(ParameterError, match="finite everywhere"):
        values.predict([[0, 0, inf]])
    with pytest.raises(ParameterError, match='1 with reads="latency"'):
        PopulationReadout(3, 2, reads="latency").fit(np.zeros((1, 6)))
    with pytest.raises(ParameterError, match="reads must be one of"):
        PopulationReadout(3, reads="spikes").fit(np.zeros((1, 3)))


def test_parameters_are_stored_as_plain_numbers() -> None:
    times, labels = first_spikes(50)
    readout = LinearReadout(
        features="latency", tau_latency=2 * ms, C=np.float32(0.5), seed=np.int64(3)
    )
    meta, _ = readout.fit(times, labels).to_arrays()
    assert meta["params"] == {
        "kind": "logistic",
        "features": "latency",
        "tau_latency": 2e-3,
        "C": 0.5,
        "alpha": 1.0,
        "seed": 3,
        "max_iter": 1000,
        "undecided": True,
    }
    assert meta["n_neurons"] == 12


VOTE_META, VOTE_ARRAYS = VoteReadout().fit(COUNTS, LABELS).to_arrays()


@pytest.mark.parametrize(
    ("meta", "changed", "message"),
    [
        (VOTE_META | {"kind": "Pickle"}, {}, r"must be one of VoteReadout, .*Pickle"),
        (VOTE_META | {"kind": ["VoteReadout"]}, {}, r"meta\['kind'\] must be one of"),
        ({}, {}, r"meta\['kind'\] must be one of .*, got {}"),
        ({"kind": "VoteReadout"}, {}, r"VoteReadout cannot be restored .*KeyError\('params'\)"),
        (VOTE_META | {"params": {"k": 1}}, {}, r"VoteReadout cannot be restored .*'k'"),
        (VOTE_META | {"n_neurons": "many"}, {}, r"cannot be restored .*invalid literal"),
        (
            VOTE_META,
            {"extra": COUNTS},
            r"VoteReadout needs \['assignments_', 'classes_'\], got .*'extra'",
        ),
        (VOTE_META | {"n_neurons": 5}, {}, r"assignments_ must be .* shape \(5,\), got .*\(4,\)"),
        (VOTE_META, {"assignments_": np.array(["0"] * 4)}, r"must be finite numbers .*<U1"),
        (VOTE_META, {"assignments_": np.full(4, np.nan)}, r"must be finite numbers"),
        (VOTE_META, {"classes_": np.zeros(0)}, r"classes_ must be finite numbers"),
        (VOTE_META, {"classes_": np.zeros((2, 1))}, r"classes_ must be .*\(2,\), got .*\(2, 1\)"),
    ],
)
def test_foreign_arrays_are_refused(
    meta: dict[str, Any], changed: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(StorageError, match=message):
        readout_from_arrays(meta, VOTE_ARRAYS | changed)


def test_a_population_of_another_size_is_refused() -> None:
    meta, learned = PopulationReadout(2, 3).fit(np.ones((1, 6))).to_arrays()
    with pytest.raises(StorageError, match="of 2 classes cannot have 7 neurons"):
        readout_from_arrays(meta | {"n_neurons": 7}, learned)


# Errors

MALFORMED: list[tuple[Any, str, str]] = [
    ([1, 2, 3, 4], r"\[1, 2, 3, 4\]", "Expected 2D array, got 1D"),
    (np.ones((4, 2, 2)), r"float64 of shape \(4, 2, 2\)", "dim 3"),
    (np.ones((0, 4)), r"float64 of shape \(0, 4\)", "minimum of 1 is required"),
    (np.ones((4, 0)), r"float64 of shape \(4, 0\)", r"0 feature\(s\)"),
    (np.ones((4, 4), complex), "complex128", "Complex data not supported"),
    (np.array([["a"] * 4] * 4), "<U1", "could not convert"),
    (csr_array(np.eye(4)), "a csr_array", "dense data is required"),
    (None, "None", "Expected 2D array"),
]


@pytest.mark.parametrize("readout", each(3), ids=str)
@pytest.mark.parametrize(("X", "got", "remedy"), MALFORMED, ids=[row[1] for row in MALFORMED])
def test_malformed_counts(readout: Readout, X: Any, got: str, remedy: str) -> None:
    wanted = r"\.X must be dense real numbers \[n_samples, n_neurons\], got "
    with pytest.raises(
        ParameterError, match=rf"{wanted}{got}.*Give a row per sample.*(?s:.*){remedy}"
    ):
        clone(readout).fit(X, LABELS)


@each_fitted
@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_values_that_are_no_counts(readout: Readout, value: float) -> None:
    counts = np.ones((2, 12))
    counts[1, 3] = value
    if getattr(readout, "reads", "counts") == "values":  # of either sign
        assert np.isnan(value) or readout.predict(counts).shape == (2,)
        return
    message = rf"must be .*>= 0.* everywhere, got {value}\. Negative values in data"
    for method in (readout.predict, readout.decision_function, readout.silent):
        with pytest.raises(ParameterError, match=message):
            method(counts)


def test_infinite_counts() -> None:
    with pytest.raises(ParameterError, match=r"VoteReadout\.X must be finite .*, got inf"):
        VoteReadout().fit([[np.inf, 1.0]], [0])


@each_fitted
def test_another_number_of_neurons_than_at_fit(readout: Readout) -> None:
    message = r"\.X must be .*\[n_samples, 12\], got float64 of shape \(2, 9\)\. Give .* 9 features"
    for method in (readout.predict, readout.decision_function, readout.silent):
        with pytest.raises(ParameterError, match=message):
            method(np.ones((2, 9)))


@each_fitted
def test_unfitted_use(readout: Readout) -> None:
    fresh = clone(readout)
    for method in (fresh.predict, fresh.decision_function, fresh.silent):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            method(np.ones((2, 12)))
    with pytest.raises(NotFittedError, match="not fitted yet"):
        fresh.to_arrays()


one_each = "one label per sample, 4 integers in all"


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 1], f"{one_each}, got 3 labels. Give the labels of the very samples"),
        ([0, 0, 1, -1], r"in 0\.\.2, got -1\. Number the classes from 0, or raise"),
        ([0, 0, 1, 3], r"in 0\.\.2, got 3"),
        ([0, 0, 1, np.nan], rf"{one_each}, got \[0, 0, 1, nan\]\. Input .*contains NaN"),
        ([0, 0, 1, 0.5], rf"{one_each}, got \[0, 0, 1, 0\.5\]\. Unknown label type: continuous"),
        (["a", "a", "b", "b"], f"{one_each}, got labels of type <U1. Number .* LabelEncoder"),
        (np.zeros((4, 2)), rf"{one_each}, got float64 of shape \(4, 2\)\. y should be a 1d array"),
        (None, f"{one_each}, got None. y should be a 1d array"),
    ],
)
def test_malformed_labels(labels: Any, message: str) -> None:
    for readout in (VoteReadout(3), ProportionReadout(3)):
        with pytest.raises(ParameterError, match=rf"{type(readout).__name__}\.y must be {message}"):
            readout.fit(COUNTS, labels)


def test_labels_below_zero_without_a_number_of_classes() -> None:
    for readout in (VoteReadout(), LinearReadout()):
        with pytest.raises(ParameterError, match=r"\.y must be >= 0, got -2"):
            readout.fit(COUNTS, [0, 0, 1, -2])


def test_a_column_of_labels_is_taken_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning):
        readout = VoteReadout().fit(COUNTS, LABELS[:, np.newaxis].astype(float))
    assert readout.assignments_.dtype == np.int64


def test_a_linear_readout_needs_two_classes() -> None:
    with pytest.raises(ParameterError, match=r"LinearReadout\.y must .* got 1 class \(7\)"):
        LinearReadout().fit(COUNTS, [7] * 4)


@pytest.mark.parametrize(
    ("readout", "message"),
    [
        (VoteReadout(0), r"VoteReadout\.n_classes must be a whole number >= 1, got 0"),
        (ProportionReadout(2.0), r"ProportionReadout\.n_classes must be a whole .*, got 2\.0"),
        (PopulationReadout("4"), r"PopulationReadout\.n_classes must be .*, got '4'"),
        (PopulationReadout(4, 0), r"PopulationReadout\.neurons_per_class must be .*, got 0"),
        (
            PopulationReadout(3, 2),
            r"PopulationReadout\.X must be counts .* = 6\], got float64 of shape \(4, 4\)\. Give",
        ),
        (
            LinearReadout("lda"),
            r"linear_readout\.kind must be one of .*, got 'lda'",
        ),
        (LinearReadout(C=0), r"linear_readout\.C must be > 0, got 0"),
        (LinearReadout(C=np.inf), r"linear_readout\.C must be > 0, got inf"),
        (LinearReadout(alpha=None), r"linear_readout\.alpha must be a number, got None"),
        (LinearReadout(max_iter=0), r"linear_readout\.max_iter must be a whole number >= 1, got 0"),
        (
            LinearReadout(features="rates"),
            r"LinearReadout\.features must be one of 'counts', 'latency', got 'rates'",
        ),
        (
            LinearReadout(features="latency", tau_latency=-1e-3),
            r"latency_features\.tau must be > 0, got -0\.001",
        ),
    ],
)
def test_parameters_out_of_range(readout: Readout, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        readout.fit(COUNTS, LABELS)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([[1e-3, -1e-3]], r"must be >= 0 s everywhere, got -0\.001\. Negative values in data"),
        ([[1e-3, np.nan]], r"must be >= 0 s everywhere, got nan"),
        (np.ones(2), r"must be times \[n_samples, n_neurons\], got float64 of shape \(2,\)\. Give"),
        (np.ones((2, 0)), r"must be times .*, got float64 of shape \(2, 0\)\. Give .* 0 feature"),
        ([[1e-3], []], r"must be times .*, got \[\[0\.001\], \[\]\]\. Give a row per sample"),
    ],
)
def test_malformed_times(times: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=rf"latency_features\.first_spike {message}"):
        latency_features(times)


@pytest.mark.parametrize(
    ("true", "pred", "n_classes", "message"),
    [
        ([0], [0], 0, r"score_report\.n_classes must be a whole number >= 1, got 0"),
        ([], [], 2, r"score_report\.y_true must be .* integers, got float64 of shape \(0,\)"),
        ([0.0], [0], 2, r"score_report\.y_true must be .* integers, got float64 of shape \(1,\)"),
        ([0], [[0]], 2, r"score_report\.y_pred must be .* integers, got int64 of shape \(1, 1\)"),
        ([-1], [0], 2, r"score_report\.y_true must be in 0\.\.1, got -1"),
        ([0], [2], 2, r"score_report\.y_pred must be in -1\.\.1, got 2"),
        ([0, 1], [0], 2, r"score_report\.y_pred must be one .* of 2 labels, got 1 of them\. Give"),
    ],
)
def test_malformed_reports(true: Any, pred: Any, n_classes: int, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        score_report(true, pred, n_classes)
