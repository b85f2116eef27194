"""Plots of weights: receptive fields, matrices and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from brian2 import Synapses
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from biosnn.errors import ParameterError
from biosnn.plotting.canvas import axes_or_new, colorbar
from biosnn.plotting.checks import (
    BrianUnit,
    Floats,
    image_shape,
    indices,
    positive,
    with_unit,
)
from biosnn.plotting.observed import weights_of
from biosnn.state import State
from biosnn.validation import check_whole


def receptive_fields(
    weights: ArrayLike | State | Synapses,
    projection: str | None = None,
    *,
    shape: Sequence[int] = (28, 28),
    n_columns: int | None = None,
    order: ArrayLike | None = None,
    vmax: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weights onto each neuron as one small image, tiled row by row.

    Parameters
    ----------
    weights : array [n_pre, n_post], State or brian2.Synapses
        Synaptic weights, with or without unit; or the state or synapses that hold them. Where
        some are negative, blue is negative and red is positive.
    projection : str, optional
        Which one of the state; of synapses the variable, by default ``"w"``.
    shape : (height, width)
        The inputs' layout, with ``height * width == n_pre``.
    n_columns : int, optional
        Tiles per row; about as many as rows without it.
    order : integer array [n_tiles], optional
        Which postsynaptic neurons to show, in this order; all of them without it.
    vmax : same unit as `weights`, optional
        The weight at the end of the colour scale; the largest magnitude without it.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "receptive_fields"
    w, unit = weights_of(where, weights, projection)
    height, width = image_shape(where, shape, len(w))
    if order is not None:
        w = w[:, indices(where, "order", order, stop=w.shape[1])]
    n_tiles = w.shape[1]
    if n_tiles == 0:
        raise ParameterError(where, "order", "no neurons", "non-empty")
    if n_columns is None:
        columns = int(np.ceil(np.sqrt(n_tiles)))
    else:
        columns = min(check_whole(where, "n_columns", n_columns, 1), n_tiles)

    rows = -(-n_tiles // columns)
    tiles = np.full((rows * columns, height + 1, width + 1), np.nan)  # a gap below and beside
    tiles[:n_tiles, :-1, :-1] = w.T.reshape(n_tiles, height, width)
    mosaic = tiles.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
    mosaic = mosaic.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]

    ax = axes_or_new(ax, (6.0, 0.5 + 5.0 * mosaic.shape[0] / mosaic.shape[1]))
    _draw_weights(ax, where, mosaic, vmax, unit, aspect="equal")
    ax.set(xticks=[], yticks=[], xlabel=f"{n_tiles} neurons, {height} × {width} inputs each")
    ax.spines[:].set_visible(False)
    return ax


def weight_heatmap(
    weights: ArrayLike | State | Synapses,
    projection: str | None = None,
    *,
    vmax: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a weight matrix: presynaptic neurons downwards, postsynaptic ones across.

    Parameters
    ----------
    weights : array [n_pre, n_post], State or brian2.Synapses
        Synaptic weights, with or without unit; or the state or synapses that hold them. Where
        some are negative, blue is negative and red is positive.
    projection : str, optional
        Which one of the state; of synapses the variable, by default ``"w"``.
    vmax : same unit as `weights`, optional
        The weight at the end of the colour scale; the largest magnitude without it.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "weight_heatmap"
    w, unit = weights_of(where, weights, projection)

    ax = axes_or_new(ax)
    _draw_weights(ax, where, w, vmax, unit, aspect="auto")
    ax.set(xlabel="postsynaptic neuron", ylabel="presynaptic neuron")
    return ax


def weight_histogram(
    weights: ArrayLike | State | Synapses,
    projection: str | None = None,
    *,
    bins: int = 50,
    w_max: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how the weights are distributed.

    Parameters
    ----------
    weights : array of any shape, State or brian2.Synapses
        Synaptic weights, with or without unit; or the state or synapses that hold them.
    projection : str, optional
        Which one of the state; of synapses the variable, by default ``"w"``.
    bins : int
        Number of bins, from 0 (or the smallest weight, if negative) to `w_max` (or the largest
        weight, if larger).
    w_max : same unit as `weights`, optional
        The weights' upper bound, drawn as a dashed line.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "weight_histogram"
    w, unit = weights_of(where, weights, projection, matrix=False)
    bins = check_whole(where, "bins", bins, 1)
    bound = None if w_max is None else positive(where, "w_max", w_max, unit)

    lowest, highest = min(w.min(), 0.0), max(w.max(), bound or 0.0)
    heights, edges = np.histogram(w, bins, (lowest, highest if highest > lowest else 1.0))
    ax = axes_or_new(ax)
    ax.stairs(heights, edges, fill=True)
    if bound is not None:
        ax.axvline(bound, color="0.35", linestyle="--", linewidth=1.0)
        name, above = r"$w_\mathrm{max}$", ax.get_xaxis_transform()
        ax.text(bound, 1.01, name, transform=above, ha="center", va="bottom")
    ax.set(xlabel=with_unit("weight", unit), ylabel="number of synapses")
    return ax


def _draw_weights(
    ax: Axes,
    where: str,
    w: Floats,
    vmax: ArrayLike | None,
    unit: BrianUnit,
    aspect: Literal["equal", "auto"],
) -> None:
    """Draw `w` as an image with a scale from 0 up, or symmetric about a white 0."""
    lowest, highest = np.nanmin(w), np.nanmax(w)
    if vmax is None:
        limit = max(-lowest, highest) or 1.0
    else:
        limit = positive(where, "vmax", vmax, unit)
    low, colours = (-limit, "RdBu_r") if lowest < 0 else (0.0, "magma")
    image = ax.imshow(w, cmap=colours, vmin=low, vmax=limit, aspect=aspect)
    extend = ("neither", "min", "max", "both")[(lowest < low) + 2 * (highest > limit)]
    colorbar(ax, image, with_unit("weight", unit), extend=extend)
