"""From a fitted estimator to a model that can be stored in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from biosnn.errors import ParameterError
from biosnn.estimators.base import NetworkEstimator
from biosnn.estimators.reward import RSTDPClassifier
from biosnn.estimators.stdp import STDPClassifier, STDPFeatures
from biosnn.readout import LinearReadout, PopulationReadout, Readout
from biosnn.storage import TrainedModel, surrogate_model
from biosnn.storage.preprocessing import takes_of
from biosnn.validation import describe


def trained_model(
    estimator: Any,
    *,
    shape: tuple[int, ...] | None = None,
    classes: tuple[str, ...] | None = None,
    picture: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> TrainedModel:
    """Make the model of a fitted estimator, for :func:`biosnn.storage.save_model`.

    Parameters
    ----------
    estimator : STDPClassifier, RSTDPClassifier, LIFClassifier or STDPFeatures
        Fitted. One of features becomes a model without readout, whose
        :meth:`~biosnn.storage.TrainedModel.responses` are the features.
    shape : tuple of int, optional
        Height and width of the images, and 3 for colours; by default they are square.
    classes : tuple of str, optional
        Names of the classes, in the order of ``classes_``; by default these as texts.
    picture : dict, optional
        How pictures were prepared: ``"invert"`` and ``"fit"`` of
        :func:`biosnn.datasets.load_image`.
    provenance : dict, optional
        Facts that are stored besides.

    Returns
    -------
    TrainedModel
        Its labels are those of ``classes_`` where these are whole numbers >= 0, and 0, 1, ...
        otherwise.

    Raises
    ------
    ParameterError
        If it is no such estimator, or its readout, loss or scores have no form in a file.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    The model answers what the estimator's ``predict`` answers, but for two things. Spikes that
    are drawn, in a network or for it, are others than those of the estimator. And where nothing
    was decided (no output neuron fired, or all potentials are equal), a model says -1, where
    RSTDPClassifier and LIFClassifier take the first class.

    Examples
    --------
    >>> model = estimators.trained_model(classifier, shape=(16, 16))  # doctest: +SKIP
    >>> storage.save_model(model, "leaves.biosnn")  # doctest: +SKIP
    """
    kinds = (STDPClassifier, STDPFeatures, RSTDPClassifier)
    lif = _is_lif(estimator)
    if not (lif or isinstance(estimator, kinds)):
        wanted = "a fitted STDPClassifier, STDPFeatures, RSTDPClassifier or LIFClassifier"
        raise ParameterError("trained_model", "estimator", describe(estimator), wanted)
    check_is_fitted(estimator)
    known = getattr(estimator, "classes_", None)
    if classes is None and known is not None:
        classes = tuple(map(str, known.tolist()))
    facts = {"estimator": repr(estimator), "seed": estimator.seed_, **(provenance or {})}
    said: dict[str, Any] = {
        "shape": shape,
        "classes": classes,
        "picture": dict(picture or {}),
        "provenance": facts,
        **_scaling(estimator),
    }
    if not lif:
        return TrainedModel(**_of_network(estimator), **said)
    model = surrogate_model(estimator.module_, estimator.loss, **said)
    assert model.readout is not None
    _labelled(model.readout, estimator.classes_)
    return model


def _is_lif(estimator: Any) -> bool:
    if type(estimator).__name__ != "LIFClassifier":  # torch is imported for it alone
        return False
    from biosnn.surrogate import LIFClassifier

    return isinstance(estimator, LIFClassifier)


def _labelled(readout: Readout, classes: NDArray[Any]) -> Readout:
    """The readout with the estimator's labels where they are numbers of classes."""
    if classes.dtype.kind in "iu" and classes.min() >= 0:
        readout.classes_ = classes.astype(np.int64)
    return readout


def _scaling(estimator: Any) -> dict[str, Any]:
    """What an estimator's ``scaling`` and ``norm`` are in a model."""
    scaler, unit = estimator.scaler_, takes_of(estimator.network_).unit
    steps: dict[str, Any] = {}
    if scaler is not None:
        steps["minmax"] = {"scale": scaler.scale_, "min": scaler.min_}
    if _is_lif(estimator):
        steps["levels"] = 255  # bytes are encoded
    if getattr(estimator, "norm", None) is not None:
        steps["norm"] = estimator.norm
    if not unit.is_dimensionless:
        steps["scale"] = unit  # estimators show numbers, which are in SI units
    return {
        "preprocessing": steps,
        "values": "intensities" if scaler is None else "numbers",
    }


def _of_network(estimator: NetworkEstimator) -> dict[str, Any]:
    """A network that runs on a device, with what it learned as it is read."""
    state = estimator.state_
    factors = estimator.read_scale_.items()
    readout: Readout | None = None
    if isinstance(estimator, STDPClassifier):
        fitted = estimator.readout_
        own = isinstance(fitted, Readout)
        readout = fitted if own else _labelled(LinearReadout.of(fitted), estimator.classes_)
    elif isinstance(estimator, RSTDPClassifier):
        counts = estimator.score_variable == "count"
        n = len(estimator.classes_)
        readout = PopulationReadout(n, reads="counts" if counts else "values")
        readout = _labelled(readout.fit(np.zeros((1, n))), estimator.classes_)
    return {
        "network": estimator.network_,
        "state": state.updated({name: factor * state[name] for name, factor in factors}),
        "readout": readout,
        "observed": estimator._variable(),
        "precision": estimator.precision,
    }
