"""Accuracy, recall and confusions of a readout, as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from biosnn._readout.base import SILENT, check_labels
from biosnn.errors import ParameterError
from biosnn.validation import check_whole


def score_report(y_true: ArrayLike, y_pred: ArrayLike, n_classes: int) -> dict[str, Any]:
    """Compare predictions with labels; a silent sample counts as wrong.

    Parameters
    ----------
    y_true : array_like of int, shape [n_samples]
        Labels in 0..n_classes - 1.
    y_pred : array_like of int, shape [n_samples]
        Predictions: such labels, or -1 for silent samples.
    n_classes : int
        Number of classes.

    Returns
    -------
    dict
        JSON-serialisable. ``accuracy`` as a fraction, ``n_samples``, ``n_silent``, ``recall`` (a
        fraction per class, None for one without samples) and ``confusion``: a row per true class,
        with a column per predicted class and a last one for silent samples.

    Raises
    ------
    ParameterError
        If the labels are not integers in range, differ in number or are none at all.
    """
    check_whole("score_report", "n_classes", n_classes, 1)
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    for name, labels, lowest in (("y_true", true, 0), ("y_pred", pred, SILENT)):
        if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu":
            wanted = "a row of one or more integers"
            remedy = "Give the labels of one set of samples, and what a readout predicted for them."
            got = f"{labels.dtype} of shape {labels.shape}"
            raise ParameterError("score_report", name, got, wanted, remedy)
        check_labels("score_report", name, labels, lowest, n_classes)
    if len(pred) != len(true):
        wanted = f"one prediction for each of {len(true)} labels"
        remedy = "Give both for the same samples."
        raise ParameterError("score_report", "y_pred", f"{len(pred)} of them", wanted, remedy)
    columns = n_classes + 1
    cells = true.astype(int) * columns + np.where(pred == SILENT, n_classes, pred).astype(int)
    confusion = np.bincount(cells, minlength=n_classes * columns).reshape(n_classes, columns)
    hits, totals = np.diagonal(confusion), confusion.sum(axis=1)
    return {
        "accuracy": int(hits.sum()) / len(true),
        "n_samples": len(true),
        "n_silent": int(confusion[:, -1].sum()),
        "recall": [
            int(hit) / int(total) if total else None
            for hit, total in zip(hits, totals, strict=True)
        ],
        "confusion": confusion.tolist(),
    }
