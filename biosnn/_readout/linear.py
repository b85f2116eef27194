"""Linear readouts of spike counts or of spike latencies."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_array

from biosnn._readout.base import Readout
from biosnn.errors import ParameterError
from biosnn.validation import check_choice, check_flag, check_value, check_whole, describe

Kind = Literal["logistic", "svc", "ridge"]
Features = Literal["counts", "latency"]


def latency_features(first_spike: ArrayLike, tau: float = 1.5e-3) -> NDArray[np.float32]:
    r"""Turn first-spike times into features that decay from the first spike of a sample on.

    .. math:: f_i = \exp(-(t_i - \min_j t_j) / \tau)

    Parameters
    ----------
    first_spike : array_like, shape [n_samples, n_neurons]
        Time of each neuron's first spike in s, inf if it was silent.
    tau : float
        Decay in s (a Brian2 quantity will do).

    Returns
    -------
    ndarray of float32, shape [n_samples, n_neurons]
        In [0, 1]; 0 for silent neurons, so a silent sample has zeros only.

    Raises
    ------
    ParameterError
        If `first_spike` is malformed or empty, a time is negative or NaN, or `tau` not positive.
    """
    check_value("latency_features", "tau", tau, tau if hasattr(tau, "dim") else 1.0, "> 0")
    try:
        times = check_array(first_spike, dtype="float64", ensure_all_finite=False)
    except (TypeError, ValueError) as error:
        remedy = f"Give a row per sample and a column per neuron. {error}"
        wanted = "times [n_samples, n_neurons]"
        got = describe(first_spike)
        raise ParameterError("latency_features", "first_spike", got, wanted, remedy) from error
    good = times >= 0
    if not good.all():
        remedy = (
            "Negative values in data point to another zero of time: measure from the sample's "
            "start, and write inf for a silent neuron."
        )
        wanted = ">= 0 s everywhere"
        raise ParameterError("latency_features", "first_spike", times[~good][0], wanted, remedy)
    first = times.min(axis=1, keepdims=True)
    delay = np.subtract(times, first, out=np.full_like(times, np.inf), where=times < np.inf)
    return np.exp(-delay / float(tau)).astype(np.float32)


def linear_readout(
    kind: Kind = "logistic",
    *,
    C: float = 1.0,
    alpha: float = 1.0,
    seed: int = 0,
    max_iter: int = 1000,
) -> Pipeline:
    """Make an unfitted scikit-learn pipeline: scaling, then a linear classifier.

    Each neuron is divided by its highest training count: zeros stay zeros, neurons that fire rarely
    and often weigh alike under the penalty, and the solvers converge in some ten to a hundred
    iterations where unscaled or standardised counts took up to a thousand.

    Parameters
    ----------
    kind : {"logistic", "svc", "ridge"}
        Multinomial logistic regression, linear support vectors (one class against the rest), or
        least squares on the labels, which is the fastest by far.
    C : float
        Inverse strength of the penalty, for "logistic" and "svc". Sparse winner-take-all codes
        prefer more than dense ones: choose it on held-out training samples.
    alpha : float
        Strength of the penalty, for "ridge".
    seed : int
        Of scikit-learn's `random_state`; only "svc" with fewer samples than neurons is random.
    max_iter : int
        Iterations at most, for "logistic" and "svc"; scikit-learn warns if they do not suffice.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Raises
    ------
    ParameterError
        If a parameter is out of its range.
    """
    check_choice("linear_readout", "kind", kind, ("logistic", "svc", "ridge"))
    check_value("linear_readout", "C", C, 1.0, "> 0")
    check_value("linear_readout", "alpha", alpha, 1.0, "> 0")
    check_whole("linear_readout", "max_iter", max_iter, 1)
    check_whole("linear_readout", "seed", seed, 0, 2**32 - 1)
    match kind:
        case "logistic":
            model = LogisticRegression(C=C, max_iter=max_iter, random_state=seed)
        case "svc":
            model = LinearSVC(C=C, max_iter=max_iter, random_state=seed, dual="auto")
        case _:
            model = RidgeClassifier(alpha=alpha, random_state=seed)
    return make_pipeline(MaxAbsScaler(), model)


class LinearReadout(Readout):
    """A linear classifier of spike counts or latencies, which leaves silent samples undecided.

    The control that any learned code has to be compared with: the same readout on the raw pixels or
    on an untrained network.

    Parameters
    ----------
    kind, C, alpha, seed, max_iter
        As in `linear_readout`.
    features : {"counts", "latency"}
        What `X` is: spike counts, or times of first spikes in s with inf for silent neurons.
    tau_latency : float
        `latency_features`' `tau` in s, for "latency".
    undecided : bool
        Whether samples in which no neuron fired are predicted -1. Without it the intercepts decide
        them, as in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of int, shape [n_classes]
    scale_ : ndarray of float, shape [n_neurons]
        What the features are divided by.
    coef_ : ndarray of float, shape [n_classes, n_neurons]
        Weights of the scaled features; with two classes, both have a row, of opposite signs.
    intercept_ : ndarray of float, shape [n_classes]
    pipeline_ : sklearn.pipeline.Pipeline
        The fitted pipeline from which these were taken. A readout restored from arrays has none,
        and needs none to predict.
    """

    scale_: NDArray[np.floating]
    coef_: NDArray[np.floating]
    intercept_: NDArray[np.floating]
    _learned: ClassVar = {"classes_": "c", "scale_": "n", "coef_": "cn", "intercept_": "c"}

    def __init__(
        self,
        kind: Kind = "logistic",
        *,
        features: Features = "counts",
        tau_latency: float = 1.5e-3,
        C: float = 1.0,
        alpha: float = 1.0,
        seed: int = 0,
        max_iter: int = 1000,
        undecided: bool = True,
    ):
        self.kind: Kind = kind
        self.features: Features = features
        self.tau_latency = tau_latency
        self.C = C
        self.alpha = alpha
        self.seed = seed
        self.max_iter = max_iter
        self.undecided = undecided

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn the weights.

        Parameters
        ----------
        X : array_like, shape [n_samples, n_neurons]
            Spike counts (or rates), or first-spike times in s, as `features` says.
        y : array_like of int, shape [n_samples]
            Labels, of two classes at least.

        Returns
        -------
        LinearReadout
            The readout itself.

        Raises
        ------
        ParameterError
            If a parameter, the features or the labels are malformed.
        """
        check_flag("LinearReadout", "undecided", self.undecided)
        features = self._features(X, reset=True)
        labels = self._labels(y, len(features), None)
        if (labels == labels[0]).all():
            remedy = "A linear readout needs samples of at least 2 classes."
            got = f"1 class ({labels[0]})"
            raise ParameterError("LinearReadout", "y", got, "labels of 2 or more classes", remedy)
        self.pipeline_ = linear_readout(
            self.kind, C=self.C, alpha=self.alpha, seed=self.seed, max_iter=self.max_iter
        ).fit(features, labels)
        scaler, model = (step for _, step in self.pipeline_.steps)
        self.scale_ = scaler.scale_
        self._take(model, model.classes_)
        return self

    @classmethod
    def of(cls, fitted: Any) -> Self:
        """Make a readout of a fitted linear classifier of scikit-learn.

        It predicts what the classifier predicts, as numbers 0, 1, ... of its ``classes_``, silent
        samples included.

        Parameters
        ----------
        fitted : LogisticRegression, LinearSVC, RidgeClassifier or Pipeline
            Alone, or behind a MaxAbsScaler as :func:`linear_readout` makes it.

        Raises
        ------
        ParameterError
            If it is another classifier, or not fitted.
        """
        steps = [step for _, step in fitted.steps] if isinstance(fitted, Pipeline) else [fitted]
        model, before = steps[-1], steps[:-1]
        kinds: dict[type, Kind] = {
            LogisticRegression: "logistic",
            LinearSVC: "svc",
            RidgeClassifier: "ridge",
        }
        scaled = len(before) == 1 and isinstance(before[0], MaxAbsScaler)
        if type(model) not in kinds or (before and not scaled) or not hasattr(model, "coef_"):
            wanted = (
                "a fitted LogisticRegression, LinearSVC or RidgeClassifier, alone or behind a "
                "MaxAbsScaler"
            )
            remedy = "Fit linear_readout() or a readout of biosnn.readout."
            raise ParameterError("LinearReadout.of", "fitted", repr(fitted), wanted, remedy)
        readout = cls(kinds[type(model)], undecided=False)
        readout.n_features_in_ = model.n_features_in_
        readout.scale_ = before[0].scale_ if scaled else np.ones(model.n_features_in_)
        readout._take(model, np.arange(len(model.classes_)))
        return readout

    def _take(self, model: Any, classes: NDArray[np.int64]) -> None:
        """Take over the weights of a linear classifier."""
        self.classes_ = classes
        self.coef_, self.intercept_ = np.atleast_2d(model.coef_), np.ravel(model.intercept_)
        if self.intercept_.size == 1 and len(self.coef_) > 1:  # without a fitted intercept
            self.intercept_ = np.repeat(self.intercept_, len(self.coef_))
        if len(classes) == 2:
            self.coef_ = np.vstack([-self.coef_, self.coef_]) / 2
            self.intercept_ = np.hstack([-self.intercept_, self.intercept_]) / 2

    def _weights(self) -> NDArray[np.floating]:
        return (self.coef_ / self.scale_).T

    def _silent(self, features: NDArray[np.floating]) -> NDArray[np.bool_]:
        if not self.undecided:
            return np.zeros(len(features), dtype=bool)
        return super()._silent(features)

    def _scores(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        return super()._scores(features) + self.intercept_

    def _features(self, X: ArrayLike, *, reset: bool = False) -> NDArray[np.floating]:
        check_choice("LinearReadout", "features", self.features, ("counts", "latency"))
        if self.features == "counts":
            return self._counts(X, reset=reset, dtype=np.float32)
        times = self._table(X, reset=reset, dtype=np.float64)
        return latency_features(times, self.tau_latency)
