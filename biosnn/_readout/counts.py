"""Readouts of spike counts: vote, proportion and population."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import ClassifierTags, Tags

from biosnn._readout.base import SILENT, Readout
from biosnn.errors import ParameterError
from biosnn.validation import check_choice, check_whole, describe


class _ResponseReadout(Readout):
    """A readout that learns how strongly each neuron responds to each class."""

    def __init__(self, n_classes: int | None = None):
        self.n_classes = n_classes

    @abstractmethod
    def _learn(self, responses: NDArray[np.floating]) -> None:
        """Learn from the mean responses [n_neurons, n_classes]."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn which classes each neuron speaks for.

        Parameters
        ----------
        X : array_like, shape [n_samples, n_neurons]
            Spike counts, or rates.
        y : array_like of int, shape [n_samples]
            Labels.

        Returns
        -------
        Readout
            The readout itself.

        Raises
        ------
        ParameterError
            If the counts, the labels or `n_classes` are malformed.
        """
        self._learn(self._mean_responses(X, y))
        return self

    def _mean_responses(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.floating]:
        """Mean counts [n_neurons, n_classes], 0 for a class without samples; sets `classes_`."""
        if self.n_classes is not None:
            check_whole(type(self).__name__, "n_classes", self.n_classes, 1)
        counts = self._counts(X, reset=True)
        labels = self._labels(y, len(counts), self.n_classes)
        self.classes_ = np.unique(labels) if self.n_classes is None else np.arange(self.n_classes)
        members = (labels[:, np.newaxis] == self.classes_).astype(counts.dtype)
        return counts.T @ members / np.maximum(members.sum(axis=0), 1)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # The data of scikit-learn's checks are no winner-take-all code: all "neurons" always fire.
        tags.classifier_tags = ClassifierTags(poor_score=True)
        return tags


class VoteReadout(_ResponseReadout):
    """Every neuron votes for the class to which it responded most in training.

    A neuron is assigned the class with the highest mean count over that class's training samples,
    so that a frequent class gains nothing by being frequent. A class's score is the mean count of
    the neurons assigned to it. Among equals, the lowest class wins, in both steps.

    Parameters
    ----------
    n_classes : int, optional
        The labels are 0..n_classes - 1; by default, the labels seen by `fit` are the classes.

    Attributes
    ----------
    classes_ : ndarray of int, shape [n_classes]
    assignments_ : ndarray of int, shape [n_neurons]
        The class of each neuron, -1 for one that never fired in training and has no vote.

    References
    ----------
    Diehl & Cook (2015), section 2.5, doi:10.3389/fncom.2015.00099.
    """

    assignments_: NDArray[np.int64]
    _learned: ClassVar = {"classes_": "c", "assignments_": "n"}

    def _learn(self, responses: NDArray[np.floating]) -> None:
        strongest = self.classes_[responses.argmax(axis=1)]
        self.assignments_ = np.where(responses.any(axis=1), strongest, SILENT)

    def _weights(self) -> NDArray[np.floating]:
        return (self.assignments_[:, np.newaxis] == self.classes_).astype(float)

    def _scores(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        votes = self._weights()  # summed before they are averaged, so that equals stay equal
        return features @ votes / np.maximum(votes.sum(axis=0), 1)


class ProportionReadout(_ResponseReadout):
    """Every neuron votes for all classes, in proportion to its mean responses in training.

    A neuron's weights are its mean counts for the classes, divided by their sum. A class's score is
    the sum of the counts times these weights over all neurons; BindsNET's `proportion_weighting`,
    from which the weights are known, averages over the neurons assigned to the class only. Among
    equals, the lowest class wins.

    Parameters
    ----------
    n_classes : int, optional
        The labels are 0..n_classes - 1; by default, the labels seen by `fit` are the classes.

    Attributes
    ----------
    classes_ : ndarray of int, shape [n_classes]
    proportions_ : ndarray of float, shape [n_neurons, n_classes]
        Rows sum to 1, or to 0 for a neuron that never fired in training.

    References
    ----------
    Hazan et al. (2018), doi:10.3389/fninf.2018.00089.
    """

    proportions_: NDArray[np.floating]
    _learned: ClassVar = {"classes_": "c", "proportions_": "nc"}

    def _learn(self, responses: NDArray[np.floating]) -> None:
        total = responses.sum(axis=1, keepdims=True)
        self.proportions_ = np.divide(
            responses, total, out=np.zeros_like(responses), where=total > 0
        )

    def _weights(self) -> NDArray[np.floating]:
        return self.proportions_


class PopulationReadout(Readout):
    """The class whose own neurons answered most, for a population that has neurons for each class.

    For a population that was trained inside the network, and whose neurons are in class-major
    order: the first `neurons_per_class` stand for class 0. There is nothing to learn; `fit` checks
    shapes. Among equals, the lowest class wins.

    Parameters
    ----------
    n_classes : int
        The labels are 0..n_classes - 1.
    neurons_per_class : int
        Neurons that stand for each class.
    reads : {"counts", "values", "latency"}
        What `X` is. Of spike counts the largest wins, and a sample without spikes is silent. Of
        values such as membrane potentials the largest wins, and a sample whose classes have equal
        values is silent. Of times of first spikes in s, inf for a silent neuron, the earliest wins;
        there must be one neuron per class then.

    Attributes
    ----------
    classes_ : ndarray of int, shape [n_classes]
    """

    _learned: ClassVar = {"classes_": "c"}

    def __init__(self, n_classes: int, neurons_per_class: int = 1, *, reads: str = "counts"):
        self.n_classes = n_classes
        self.neurons_per_class = neurons_per_class
        self.reads = reads

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Check that `X` is of such a population.

        Parameters
        ----------
        X : array_like, shape [n_samples, n_classes * neurons_per_class]
            Spike counts or rates, values, or times, as `reads` says.
        y : array_like of int, shape [n_samples], optional
            Labels; checked if given.

        Returns
        -------
        PopulationReadout
            The readout itself.

        Raises
        ------
        ParameterError
            If a parameter, `X` or the labels are malformed.
        """
        check_whole("PopulationReadout", "n_classes", self.n_classes, 1)
        check_whole("PopulationReadout", "neurons_per_class", self.neurons_per_class, 1)
        if self.reads == "latency" and self.neurons_per_class != 1:
            got = self.neurons_per_class
            raise ParameterError(
                "PopulationReadout", "neurons_per_class", got, '1 with reads="latency"'
            )
        features = self._features(X, reset=True)
        n_neurons = self.n_classes * self.neurons_per_class
        if self.n_features_in_ != n_neurons:
            wanted = f"counts [n_samples, n_classes * neurons_per_class = {n_neurons}]"
            remedy = "Give the counts of the output population alone, or correct its parameters."
            raise ParameterError("PopulationReadout", "X", describe(features), wanted, remedy)
        if y is not None:
            self._labels(y, len(features), self.n_classes)
        self.classes_ = np.arange(self.n_classes)
        return self

    def _weights(self) -> NDArray[np.floating]:
        n_classes = len(self.classes_)
        return np.repeat(np.eye(n_classes), self.n_features_in_ // n_classes, axis=0)

    def _features(self, X: ArrayLike, *, reset: bool = False) -> NDArray[np.floating]:
        check_choice("PopulationReadout", "reads", self.reads, ("counts", "values", "latency"))
        if self.reads == "counts":
            return self._counts(X, reset=reset)
        table = self._table(X, reset=reset, dtype=np.float64)
        late = self.reads == "latency"
        good = table >= 0 if late else np.isfinite(table)
        if not good.all():
            wanted = ">= 0 s everywhere" if late else "finite everywhere"
            remedy = "Negative values in data, and NaN, are no times of spikes." if late else ""
            raise ParameterError("PopulationReadout", "X", table[~good][0], wanted, remedy)
        return 1 / (1 + table) if late else table

    def _silent(self, features: NDArray[np.floating]) -> NDArray[np.bool_]:
        if self.reads != "values":
            return super()._silent(features)
        scores = self._scores(features)
        return (scores == scores[:, :1]).all(axis=1) & (scores.shape[1] > 1)
