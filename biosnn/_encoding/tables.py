"""What estimators of scikit-learn do with their arguments: features as intensities, seeds."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import MinMaxScaler, normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from biosnn._encoding.checks import intensities
from biosnn.errors import DataError, ParameterError
from biosnn.validation import LARGEST, check_choice, check_path, check_value, check_whole


def checked_table(
    estimator: Any, X: ArrayLike, y: ArrayLike | None = None, *, reset: bool
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Features (n, n_features), and labels (n,) where there are some, as scikit-learn checks them.

    Numbers of other types than bytes and floats become floats.
    """
    kinds = (np.float64, np.float32, np.uint8)
    if y is None and not (reset and estimator.__sklearn_tags__().target_tags.required):
        return validate_data(estimator, X, dtype=kinds, reset=reset), None  # pyright: ignore
    return validate_data(estimator, X, y, dtype=kinds, reset=reset)  # pyright: ignore


def fitted_scaler(estimator: Any, table: NDArray[Any]) -> MinMaxScaler | None:
    """What an estimator's ``scaling`` learns from the samples of ``fit``: the range of features."""
    if estimator.scaling is None:
        return None
    check_choice(type(estimator).__name__, "scaling", estimator.scaling, ("minmax",))
    return MinMaxScaler(clip=True).fit(table)


def scaled_table(
    estimator: Any, table: NDArray[Any], scaler: MinMaxScaler | None, norm: float | None = None
) -> NDArray[np.floating[Any]]:
    """Intensities from 0 to 1; with a ``norm`` each row is brought to this Euclidean norm.

    Raises
    ------
    DataError
        If features that are not scaled are neither bytes nor floats from 0 to 1.
    """
    where = type(estimator).__name__
    if norm is not None:
        check_value(where, "norm", norm, 1.0, "> 0")
    if scaler is not None:
        shown = np.asarray(scaler.transform(table))
    else:
        try:
            shown = intensities(table, where, name="X")
        except DataError as error:
            raise DataError(
                f'{error}, or let the estimator do it with scaling="minmax", which maps the range '
                "of each feature in the samples of fit to 0 to 1"
            ) from error
    return shown if norm is None else norm * np.asarray(normalize(shown))


def check_checkpoints(estimator: Any) -> None:
    """Check that an estimator which keeps checkpoints has a seed that another ``fit`` has, too.

    Raises
    ------
    ParameterError
        If ``checkpoint_dir`` is no path, or ``random_state`` no whole number.
    """
    if estimator.checkpoint_dir is None:
        return
    called = type(estimator).__name__
    check_path(called, "checkpoint_dir", estimator.checkpoint_dir)
    if not isinstance(estimator.random_state, Integral):
        wanted = "a whole number together with checkpoint_dir"
        remedy = "Another seed is another run, which cannot go on with a checkpoint"
        raise ParameterError(called, "random_state", estimator.random_state, wanted, remedy)


def drawn_seed(estimator: Any) -> int:
    """The seed of a ``fit``: a whole number as it is, else one drawn from ``random_state``."""
    given = estimator.random_state
    if isinstance(given, Integral):
        return check_whole(type(estimator).__name__, "random_state", given, 0, LARGEST)
    return int(check_random_state(given).randint(LARGEST))
