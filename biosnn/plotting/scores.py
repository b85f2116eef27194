"""Plots of performance: learning curves, confusions and reconstructed images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from biosnn.errors import ParameterError
from biosnn.plotting.canvas import axes_or_new, axes_row, colorbar, legend_beside
from biosnn.plotting.checks import Floats, best_unit, indices, numbers, same_shape
from biosnn.validation import check_instance, check_members, check_shape, check_whole

SILENT = -1


def learning_curve(
    n_samples: ArrayLike,
    accuracy: Mapping[str, ArrayLike],
    *,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against the number of training samples seen.

    Parameters
    ----------
    n_samples : array [n_points]
        Training samples presented before each measurement.
    accuracy : mapping of str to array [n_points]
        Accuracies as fractions from 0 to 1, by the name of the readout or model.
    chance : float, optional
        The accuracy of guessing, as a fraction, drawn as a dotted line.
    ax : Axes, optional

    Returns
    -------
    Axes
        With accuracy in percent.
    """
    where = "learning_curve"
    samples = numbers(where, "n_samples", n_samples, ndim=1)
    check_instance(where, "accuracy", accuracy, Mapping)
    if not accuracy:
        raise ParameterError(where, "accuracy", "none", "at least one array by name")
    curves = {}
    for name, values in accuracy.items():
        curves[name] = _fractions(where, f"accuracy[{name!r}]", values)
        same_shape(where, f"accuracy[{name!r}]", curves[name], "n_samples", samples.shape)
    level = None if chance is None else float(_fractions(where, "chance", chance, ndim=0))

    ax = axes_or_new(ax)
    for name, values in curves.items():
        ax.plot(samples, 100 * values, marker="o", markersize=4, label=name)
    if level is not None:
        ax.axhline(100 * level, color="0.35", linestyle=":", label=f"chance ({100 * level:.3g} %)")
    ax.set(xlabel="training samples", ylabel="accuracy (%)", ylim=(0, 102))
    legend_beside(ax)
    return ax


def confusion_matrix(
    labels: ArrayLike,
    predictions: ArrayLike,
    *,
    n_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw which class was taken for which: true classes downwards, predicted ones across.

    Cells hold numbers of samples; their colour is the share of the true class.

    Parameters
    ----------
    labels : integer array [n_samples]
        True classes, from 0.
    predictions : integer array [n_samples]
        Predicted classes; -1 where the network stayed silent. Silent samples count as wrong
        and get a last column of their own, if there are any.
    n_classes : int, optional
        Without it, as many as `class_names`, or as the largest label or prediction says.
    class_names : sequence of str, optional
        Tick labels, one per class; the classes' numbers without it.
    ax : Axes, optional

    Returns
    -------
    Axes
        With the accuracy in its title.
    """
    where = "confusion_matrix"
    if class_names is not None:
        check_members(where, "class_names", class_names, str)
    if n_classes is None and class_names is not None:
        n_classes = len(class_names)
    n = None if n_classes is None else check_whole(where, "n_classes", n_classes, 1)
    true = indices(where, "labels", labels, stop=n)
    predicted = indices(where, "predictions", predictions, lowest=SILENT, stop=n)
    if not true.size:
        raise ParameterError(where, "labels", "an empty array", "non-empty")
    same_shape(where, "predictions", predicted, "labels", true.shape)
    n = n or int(max(true.max(), predicted.max())) + 1
    names = [str(k) for k in range(n)] if class_names is None else list(class_names)
    if len(names) != n:
        raise ParameterError(where, "class_names", f"{len(names)} names", f"{n} names")

    silent = predicted == SILENT
    columns = [*names, "silent"] if silent.any() else names
    confusions = np.zeros((n, len(columns)), dtype=int)
    np.add.at(confusions, (true, np.where(silent, n, predicted)), 1)
    shares = confusions / np.maximum(confusions.sum(axis=1, keepdims=True), 1)

    side = max(4.4, 0.42 * n + 1.2)
    ax = axes_or_new(ax, (side + 1.2, side))
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    colorbar(ax, image, "share of the true class (%)", format=PercentFormatter(1.0, symbol=""))
    cell = ax.bbox.width / len(columns) * 72 / ax.figure.dpi  # width in points
    crowded = 5 * max(map(len, names)) > cell
    ax.set_xticks(range(len(columns)), columns, rotation=90 if crowded else 0)
    ax.set_yticks(range(n), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if silent.any():
        ax.axvline(n - 0.5, color="0.35", linewidth=1.0)
    digits = len(str(confusions.max()))
    size = np.clip(cell / digits, 3, 9)
    for (row, column), number in np.ndenumerate(confusions):
        colour = "white" if shares[row, column] > 0.5 else "0.15"
        ax.text(column, row, str(number), ha="center", va="center", color=colour, size=size)
    accuracy = np.mean(predicted == true)
    ax.set(
        xlabel="predicted class",
        ylabel="true class",
        title=f"accuracy {100 * accuracy:.2f} % of {len(true)} samples",
    )
    return ax


def image_pair(
    original: ArrayLike,
    reconstruction: ArrayLike,
    *,
    shape: Sequence[int] = (28, 28),
    axes: NDArray[np.object_] | None = None,
) -> NDArray[np.object_]:
    """Draw an image beside its reconstruction, with their Pearson correlation as a title.

    Each image is drawn on its own grey scale, from its smallest to its largest value.

    Parameters
    ----------
    original, reconstruction : arrays [height * width] or [height, width]
        Intensities in any unit.
    shape : (height, width)
        The images' layout.
    axes : array of 2 Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    array of 2 Axes
    """
    where = "image_pair"
    shape = check_shape(where, "shape", shape, "(height, width)")
    first = _picture(where, "original", original, shape)
    second = _picture(where, "reconstruction", reconstruction, shape)
    if np.ptp(first) and np.ptp(second):
        r = f"r = {np.corrcoef(first.ravel(), second.ravel())[0, 1]:.3f}"
    else:
        r = "r undefined: constant image"

    axes = axes_row(where, axes, 2, (5.0, 2.8), ncols=2)
    for ax, picture, title in zip(
        axes, (first, second), ("original", f"reconstruction ({r})"), strict=True
    ):
        ax.imshow(picture, cmap="gray")
        ax.set(title=title, xticks=[], yticks=[])
    return axes


def _fractions(where: str, name: str, value: ArrayLike, ndim: int = 1) -> Floats:
    values = numbers(where, name, value, ndim=ndim)
    if values.min() < 0 or values.max() > 1:
        got = f"{values.min():g} to {values.max():g}"
        raise ParameterError(where, name, got, "from 0 to 1", "Divide percentages by 100.")
    return values


def _picture(where: str, name: str, value: ArrayLike, shape: Sequence[int]) -> Floats:
    picture = numbers(where, name, value, best_unit(where, name, value))
    height, width = shape
    if picture.shape not in {(height * width,), (height, width)}:
        wanted = f"of shape ({height * width},) or ({height}, {width})"
        raise ParameterError(where, name, f"shape {picture.shape}", wanted)
    return picture.reshape(height, width)
