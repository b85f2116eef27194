"""Connections given as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from biosnn.errors import ParameterError
from biosnn.networks.connectivity import Pairs
from biosnn.validation import check_numbers


def from_matrix(matrix: Any) -> tuple[Pairs, NDArray[np.float64]]:
    """Pairs and weights of a matrix, for ``Projection(pairs=..., weights=...)``.

    Parameters
    ----------
    matrix : array_like or scipy.sparse matrix
        Weights, shape (n_pre, n_post). Zeros of a dense matrix are no connections; a sparse matrix
        connects what it stores, zeros included, and entries of one pair are added up.

    Returns
    -------
    (i, j) : tuple of numpy.ndarray
        Indices of the connected pairs, in the order (pre, post).
    weights : numpy.ndarray
        Their weights.

    Raises
    ------
    ParameterError
        If it is no matrix, or a value is not finite.

    Examples
    --------
    >>> pairs, weights = from_matrix([[0, 2.5], [1, 0]])
    >>> pairs[1].tolist(), weights.tolist()
    ([1, 0], [2.5, 1.0])
    """
    dense = None if sparse.issparse(matrix) else check_numbers("from_matrix", "matrix", matrix)
    if dense is not None and dense.ndim != 2:
        raise ParameterError("from_matrix", "matrix", f"shape {dense.shape}", "(n_pre, n_post)")
    rows = sparse.csr_array(matrix if dense is None else dense).astype(float)
    rows.sum_duplicates()
    entries = rows.tocoo()
    if not np.isfinite(entries.data).all():
        bad = entries.data[~np.isfinite(entries.data)][0]
        raise ParameterError("from_matrix", "matrix", bad, "finite everywhere")
    i, j = (np.asarray(part, dtype=np.int64) for part in entries.coords)
    return (i, j), np.asarray(entries.data)
