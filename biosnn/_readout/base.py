"""The base class of the readouts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from biosnn.errors import ParameterError, StorageError
from biosnn.validation import describe

SILENT = -1
"""The prediction for a sample in which no neuron fired that the readout listens to."""

_KINDS: list[type[Readout]] = []


class Readout(ClassifierMixin, BaseEstimator, ABC):
    """A scikit-learn classifier from the spikes of a population to a class, or to `SILENT`.

    Every readout weighs neurons: `_weights` says how much each speaks for each class, and a neuron
    without any weight is not listened to. A sample in which none of the others fired is predicted
    `SILENT`, never voted into a class, so `score` counts it as wrong.
    """

    classes_: NDArray[np.int64]
    n_features_in_: int

    _learned: ClassVar[Mapping[str, str]]
    """The learned arrays and their axes: "c" is a class, "n" a neuron."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_learned" in vars(cls):
            _KINDS.append(cls)  # can be restored from arrays

    @abstractmethod
    def _weights(self) -> NDArray[np.floating]:
        """Weights [n_neurons, n_classes] with which the features speak for the classes."""

    def _scores(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """Scores [n_samples, n_classes], to the same bit whatever the arrays' order in memory."""
        return features @ np.ascontiguousarray(self._weights())

    def _features(self, X: ArrayLike, *, reset: bool = False) -> NDArray[np.floating]:
        """Checked features [n_samples, n_neurons], 0 where a neuron was silent."""
        return self._counts(X, reset=reset)

    def decision_function(self, X: ArrayLike) -> NDArray[np.floating]:
        """Score the classes; the highest is predicted unless the sample is silent.

        Parameters
        ----------
        X : array_like, shape [n_samples, n_neurons]
            As given to `fit`.

        Returns
        -------
        ndarray
            Scores [n_samples, n_classes], columns as in `classes_`. With two classes, the second
            one's score less the first one's [n_samples], as scikit-learn has it.

        Raises
        ------
        ParameterError
            If `X` is malformed or has another number of neurons than at `fit`.
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        """
        scores = self._scores(self._features(X))
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def silent(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Tell in which samples no neuron fired that the readout listens to.

        Parameters
        ----------
        X : array_like, shape [n_samples, n_neurons]
            As given to `fit`.

        Returns
        -------
        ndarray of bool, shape [n_samples]

        """
        return self._silent(self._features(X))

    def _silent(self, features: NDArray[np.floating]) -> NDArray[np.bool_]:
        return ~features[:, self._weights().any(axis=1)].any(axis=1)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Predict a class per sample: the highest score, the lowest class among equals.

        Parameters
        ----------
        X : array_like, shape [n_samples, n_neurons]
            As given to `fit`.

        Returns
        -------
        ndarray of int, shape [n_samples]
            Labels from `classes_`, `SILENT` (-1) for silent samples.

        """
        features = self._features(X)
        best = self.classes_[self._scores(features).argmax(axis=1)]
        return np.where(self._silent(features), SILENT, best)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """Give the fitted readout as plain data; `readout_from_arrays` restores it.

        Returns
        -------
        meta : dict
            JSON-serialisable: kind, parameters, number of neurons, version of scikit-learn.
        arrays : dict of str to ndarray
            What was learned, by attribute.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        """
        check_is_fitted(self)
        meta = {
            "kind": type(self).__name__,
            "params": {name: _plain(value) for name, value in self.get_params().items()},
            "n_neurons": self.n_features_in_,
            "sklearn": sklearn.__version__,
        }
        return meta, {name: getattr(self, name) for name in self._learned}

    def _restore(self, n_neurons: int, arrays: Mapping[str, NDArray]) -> Self:
        """Take over what was learned, if the arrays' names, types and shapes fit together."""
        name = type(self).__name__
        if set(arrays) != set(self._learned):
            raise StorageError(f"{name} needs {sorted(self._learned)}, got {sorted(arrays)}")
        sizes = {"n": n_neurons, "c": np.size(arrays["classes_"])}
        for key, axes in self._learned.items():
            array, shape = np.asarray(arrays[key]), tuple(sizes[axis] for axis in axes)
            numbers = array.dtype.kind in "iuf" and array.size and np.isfinite(array).all()
            if not numbers or array.shape != shape:
                raise StorageError(
                    f"{name}.{key} must be finite numbers of shape {shape}, got {describe(array)}"
                )
            setattr(self, key, array)
        self.n_features_in_ = n_neurons
        if self._weights().shape != (sizes["n"], sizes["c"]):
            raise StorageError(f"{name} of {sizes['c']} classes cannot have {n_neurons} neurons")
        return self

    def _counts(
        self, X: ArrayLike, *, reset: bool, dtype: type[np.floating] = np.float64
    ) -> NDArray[np.floating]:
        counts = self._table(X, reset=reset, dtype=dtype)
        good = (counts >= 0) & (counts < np.inf)
        if not good.all():
            raise ParameterError(
                type(self).__name__,
                "X",
                counts[~good][0],
                "finite and >= 0 everywhere",
                "Negative values in data, NaN and inf are no spike counts: look for an integer "
                "type that overflowed, or for features that were centred.",
            )
        return counts

    def _table(self, X: ArrayLike, *, reset: bool, dtype: type[np.floating]) -> NDArray:
        """Numbers [n_samples, n_neurons]; `reset` learns the number of neurons, else it is held."""
        if not reset:
            check_is_fitted(self)
        try:
            table = validate_data(
                self,
                X,  # pyright: ignore[reportArgumentType]
                reset=reset,
                dtype=dtype,
                ensure_all_finite=False,
            )
        except (TypeError, ValueError) as error:
            n_neurons = "n_neurons" if reset else self.n_features_in_
            wanted = f"dense real numbers [n_samples, {n_neurons}]"
            raise ParameterError(
                type(self).__name__,
                "X",
                describe(X),
                wanted,
                f"Give a row per sample and a column per neuron. {error}",
            ) from error
        return np.asarray(table)

    def _labels(self, y: ArrayLike, n_samples: int, n_classes: int | None) -> NDArray[np.int64]:
        name = type(self).__name__
        wanted = f"one label per sample, {n_samples} integers in all"
        try:
            labels = column_or_1d(y, warn=True)
            check_classification_targets(labels)
        except (TypeError, ValueError) as error:
            raise ParameterError(name, "y", describe(y), wanted, str(error)) from error
        if len(labels) != n_samples:
            remedy = "Give the labels of the very samples in X."
            raise ParameterError(name, "y", f"{len(labels)} labels", wanted, remedy)
        if labels.dtype.kind not in "biuf":
            remedy = "Number the classes from 0, for example by sklearn's LabelEncoder."
            raise ParameterError(name, "y", f"labels of type {labels.dtype}", wanted, remedy)
        check_labels(name, "y", labels, 0, n_classes)
        return labels.astype(np.int64)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def check_labels(obj: str, name: str, labels: NDArray, lowest: int, n_classes: int | None) -> None:
    """Refuse labels below `lowest`, or of a class that is not among the `n_classes`."""
    highest = np.inf if n_classes is None else n_classes - 1
    bad = labels[(labels < lowest) | (labels > highest)]
    if bad.size:
        wanted = f">= {lowest}" if n_classes is None else f"in {lowest}..{highest}"
        remedy = "Number the classes from 0, or raise n_classes."
        raise ParameterError(obj, name, bad[0], wanted, remedy)


def _plain(value: Any) -> str | bool | int | float | None:
    """Give a parameter as JSON knows it: a quantity is a float in SI units."""
    if value is None or isinstance(value, str | bool):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def readout_from_arrays(meta: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Readout:
    """Restore a fitted readout from what `Readout.to_arrays` gave; it predicts the same bits.

    Parameters
    ----------
    meta : mapping
        Kind, parameters and number of neurons.
    arrays : mapping of str to ndarray
        What was learned, by attribute.

    Returns
    -------
    Readout

    Raises
    ------
    StorageError
        If the kind is unknown, or something is missing, foreign or of the wrong shape.
    """
    kinds = {kind.__name__: kind for kind in _KINDS}
    try:
        kind = kinds[meta["kind"]]
    except (KeyError, TypeError) as error:
        wanted = ", ".join(kinds)
        raise StorageError(
            f"a readout's meta['kind'] must be one of {wanted}, got {meta}"
        ) from error
    try:
        readout, n_neurons = kind(**meta["params"]), int(meta["n_neurons"])
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{kind.__name__} cannot be restored from {meta}: {error!r}") from error
    return readout._restore(n_neurons, arrays)
