"""Make figures and axes, and save them."""

from __future__ import annotations

import os
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from biosnn.errors import ParameterError
from biosnn.files import replace
from biosnn.validation import check_path

TIME = "time (ms)"


def new_figure(figsize: tuple[float, float]) -> Figure:
    """A new figure, which nobody has to close.

    In a notebook it is one of pyplot's, which the notebook shows once, below the cell, and closes
    then. Elsewhere pyplot does not know of it: no window opens, and it is freed when it is no
    longer used.
    """
    if not in_notebook():
        return Figure(figsize=figsize, layout="constrained")
    from matplotlib import pyplot

    return pyplot.figure(figsize=figsize, layout="constrained")


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def axes_or_new(ax: Axes | None, figsize: tuple[float, float] = (6.4, 4.0)) -> Axes:
    """Return `ax`, or the axes of a new figure."""
    return new_figure(figsize).add_subplot() if ax is None else ax


def axes_row(
    where: str, axes: NDArray[np.object_] | None, n: int, figsize: tuple[float, float], **grid
) -> NDArray[np.object_]:
    """Return `axes` as an array of `n` axes, or those of a new figure laid out as `grid`."""
    if axes is None:
        return new_figure(figsize).subplots(**grid)
    axes = np.ravel(axes)
    if len(axes) != n:
        raise ParameterError(where, "axes", f"{len(axes)} of them", f"an array of {n} Axes")
    return axes


def legend_beside(ax: Axes) -> None:
    """Put a legend to the right of `ax`, where it hides no data, if anything has a label."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0, frameon=False)


def colorbar(ax: Axes, image: AxesImage, label: str, **options) -> None:
    """Draw the colour scale of `image` beside `ax`, as tall as the image."""
    ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.04, 1)), label=label, **options)


def save(figure_or_axes: Figure | Axes | NDArray[np.object_], path: str | os.PathLike[str]) -> Path:
    """Write a figure to a PNG file, in one step.

    Parameters
    ----------
    figure_or_axes : Figure, Axes or array of Axes
        What a plotting function returned, or the figure itself.
    path : path-like
        A file ending in ``.png``. Missing folders are created; an older file is replaced in
        one step, so that a reader never sees half a picture.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    ParameterError
        If `path` does not end in ``.png`` or there is no figure to save.
    StorageError
        If the file cannot be written.
    """
    check_path("save", "path", path)
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ParameterError("save", "path", path, "a file name ending in .png")
    picture = BytesIO()
    _figure(figure_or_axes).savefig(picture, format="png", bbox_inches="tight")
    replace(path, picture.getvalue())
    return path


def _figure(figure_or_axes: object) -> Figure:
    first = figure_or_axes.flat[0] if isinstance(figure_or_axes, np.ndarray) else figure_or_axes
    figure = first.figure if isinstance(first, Artist) else None
    if figure is None:
        raise ParameterError(
            "save", "figure_or_axes", type(first).__name__, "a Figure, an Axes or an array of Axes"
        )
    return figure.figure  # the root, where the axes lie in a subfigure
