"""Readouts: from the spikes of a population to the label of a sample.

All are scikit-learn classifiers of features [n_samples, n_neurons] and predict -1 (`SILENT`) for a
sample in which no neuron fired that they listen to. Fit them on training samples, never on those
that they are scored on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from biosnn._readout.base import SILENT, Readout
from biosnn._readout.counts import PopulationReadout, ProportionReadout, VoteReadout
from biosnn._readout.linear import LinearReadout, latency_features, linear_readout
from biosnn._readout.report import score_report
from biosnn.errors import StorageError

__all__ = [
    "SILENT",
    "LinearReadout",
    "PopulationReadout",
    "ProportionReadout",
    "Readout",
    "VoteReadout",
    "latency_features",
    "linear_readout",
    "readout_from_arrays",
    "score_report",
]

_KINDS: dict[str, type[Readout]] = {
    kind.__name__: kind
    for kind in (VoteReadout, ProportionReadout, LinearReadout, PopulationReadout)
}


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
    try:
        kind = _KINDS[meta["kind"]]
    except (KeyError, TypeError) as error:
        wanted = ", ".join(_KINDS)
        raise StorageError(
            f"a readout's meta['kind'] must be one of {wanted}, got {meta}"
        ) from error
    try:
        readout, n_neurons = kind(**meta["params"]), int(meta["n_neurons"])
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{kind.__name__} cannot be restored from {meta}: {error!r}") from error
    return readout._restore(n_neurons, arrays)
