"""Plots of results under several settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from biosnn.errors import ParameterError
from biosnn.plotting.canvas import axes_or_new, legend_beside
from biosnn.validation import check_instance

_WHERE = "setting_means"
# Positive values that span more than this are drawn on a logarithmic axis.
_WIDE = 10.0


def setting_means(
    x: Sequence[float] | Sequence[str],
    means: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw means with standard deviations against a setting.

    Parameters
    ----------
    x : sequence of float or of str [n]
        The setting's values; numbers are drawn in their order, on a logarithmic axis where they are
        positive and span more than a decade, texts as they come.
    means : mapping of str to array [2, n]
        Label -> means and standard deviations. NaN: no run, or no spread.
    xlabel, ylabel : str
        What the setting and what the metric is.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    check_instance(_WHERE, "means", means, Mapping)
    if not means:
        raise ParameterError(_WHERE, "means", "none", "at least one array by label")
    numeric = all(isinstance(value, Real) and not isinstance(value, bool) for value in x)
    places = np.asarray(x, dtype=float) if numeric else np.arange(len(x), dtype=float)
    order = np.argsort(places, kind="stable")
    ax = axes_or_new(ax)
    for label, values in means.items():
        table = np.asarray(values, dtype=float)
        if table.shape != (2, len(x)):
            wanted = f"of shape (2, {len(x)}), means and standard deviations"
            raise ParameterError(_WHERE, f"means[{label!r}]", f"shape {table.shape}", wanted)
        mean, spread = table[:, order]
        spread = np.nan_to_num(spread)
        ax.errorbar(
            places[order], mean, spread, marker="o", markersize=4, capsize=3, label=label or None
        )
    if numeric and places.min() > 0 and places.max() > _WIDE * places.min():
        ax.set_xscale("log")
        ax.minorticks_off()
    ax.set_xticks(places, [f"{value:g}" for value in places] if numeric else list(map(str, x)))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    legend_beside(ax)
    return ax
