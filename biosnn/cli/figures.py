"""``biosnn plot``: draw the arrays of an experiment, or the weights of a model."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from biosnn import plotting, storage
from biosnn.errors import BiosnnError, ParameterError, StorageError
from biosnn.files import inside

Arrays = Mapping[str, NDArray[Any]]

_ARRAYS = "arrays.npz"
_MOST_BYTES = 2**28  # of its arrays
#: What reading an archive raises that is damaged, encrypted or packed in another way.
_UNREADABLE = (
    OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_MOST_FIELDS = 100
_MOST_TRACES = 5


def draw(run: Path, out: Path | None, problems: list[BiosnnError]) -> Iterator[Path]:
    """Draw all figures for which there are arrays.

    Parameters
    ----------
    run : Path
        The output folder of an experiment (with ``arrays.npz`` or models), or a model's file.
    out : Path, optional
        Folder of the pictures; ``figures`` in the same folder without it.
    problems : list
        Takes the errors of what cannot be drawn, while all else is.

    Yields
    ------
    Path
        Each picture, when it is written.
    """
    if not run.exists():
        raise StorageError(f"{run} does not exist; give the output folder of an experiment")
    folder = out or inside(run if run.is_dir() else run.parent, "figures")
    nothing = True
    for prefix, arrays in _sources(run, problems):
        for name, figure in FIGURES.items():
            try:
                with plotting.style():
                    axes = figure(arrays)
                    if axes is None:
                        continue
                    path = plotting.save(axes, folder / f"{prefix}{name}.png")
            except ParameterError as error:
                problems.append(error)
            else:
                nothing = False
                yield path
    if nothing and not problems:
        raise StorageError(
            f"{run} holds nothing to draw: neither an {_ARRAYS} with known arrays nor a "
            f"{storage.SUFFIX} model; give the output folder of an experiment, or a model"
        )


def _sources(run: Path, problems: list[BiosnnError]) -> Iterator[tuple[str, Arrays]]:
    """Prefix of the pictures, and arrays."""
    if not run.is_dir():
        yield from _of_model(run).items()
    elif (run / _ARRAYS).exists():
        yield "", _of_archive(run / _ARRAYS)
    else:
        for path in sorted(run.glob(f"*{storage.SUFFIX}")):
            try:
                found = _of_model(path)
            except BiosnnError as error:
                problems.append(error)
            else:
                yield from ((f"{path.stem}_{prefix}", arrays) for prefix, arrays in found.items())


def _of_archive(path: Path) -> Arrays:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > _MOST_BYTES:
            raise StorageError(
                f"{path} holds arrays of {size} bytes, more than the {_MOST_BYTES} that are drawn; "
                "keep fewer samples in it"
            )
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.atleast_1d(archive[name]) for name in archive.files}
    except _UNREADABLE as error:
        raise StorageError(
            f"{path} cannot be read as arrays ({error}); run the experiment again"
        ) from error


def _of_model(path: Path) -> dict[str, Arrays]:
    """Weights of the projections that learn; only inputs' weights are drawn as images."""
    model = storage.load_model(path)
    if not isinstance(model, storage.TrainedModel):
        raise StorageError(
            f"{path} holds a chain of torch layers, of which nothing is drawn; "
            "load_model(...).weights has their arrays"
        )
    network = model.network
    found: dict[str, Arrays] = {}
    for name in network.plastic_projections:
        if f"{name}.w" in model.state.shapes:
            arrays: dict[str, NDArray[Any]] = {"weights": model.state.weights(name)}
            if not network.populations[network.projections[name].pre].drives:
                arrays["shape"] = np.empty(0)  # what it sees has no layout
            found[name] = arrays
    if len(found) == 1:
        return {"": next(iter(found.values()))}
    return {f"{name}_": arrays for name, arrays in found.items()}


# --- one function per figure: axes, or None where its arrays are missing


def _layout(arrays: Arrays) -> tuple[int, ...] | None:
    if "shape" in arrays:
        shape = arrays["shape"].ravel()
        if shape.size and shape.dtype.kind not in "iu":
            raise ParameterError("biosnn plot", "shape", shape.dtype, "made of whole numbers")
        return tuple(int(k) for k in shape) or None
    side = math.isqrt(len(arrays["weights"]))
    return (side, side) if side * side == len(arrays["weights"]) else None


def _receptive_fields(arrays: Arrays) -> Axes | None:
    if "weights" not in arrays or (shape := _layout(arrays)) is None:
        return None
    weights, order = arrays["weights"], None
    if weights.ndim == 2 and weights.shape[1] > _MOST_FIELDS:
        counts = arrays.get("counts", np.zeros((1, weights.shape[1])))
        order = np.arange(weights.shape[1])
        if counts.shape[1:] == order.shape:
            order = np.argsort(-counts.sum(axis=0), kind="stable")  # the most active first
        order = order[:_MOST_FIELDS]
    return plotting.receptive_fields(weights, shape=shape, order=order)


def _weights(arrays: Arrays) -> Axes | None:
    return plotting.weight_histogram(arrays["weights"]) if "weights" in arrays else None


def _learning_curve(arrays: Arrays) -> Axes | None:
    curves = {
        name.removeprefix("learning_"): values
        for name, values in arrays.items()
        if name.startswith("learning_") and name != "learning_n"
    }
    if not curves or not arrays.get("learning_n", np.empty(0)).size:
        return None
    n_classes = len(np.unique(arrays.get("labels", ())))
    chance = 1 / n_classes if n_classes else None
    return plotting.learning_curve(arrays["learning_n"], curves, chance=chance)


def _activity(arrays: Arrays) -> Axes | None:
    if "counts" not in arrays:
        return None
    labels = arrays["labels"][: len(arrays["counts"])] if "labels" in arrays else None
    return plotting.activity_heatmap(arrays["counts"], labels)


def _confusion(arrays: Arrays) -> Axes | None:
    if not {"labels", "predictions"} <= set(arrays):
        return None
    predictions = arrays["predictions"]
    return plotting.confusion_matrix(arrays["labels"][: len(predictions)], predictions)


def _raster(arrays: Arrays) -> Axes | None:
    if not {"spikes_i", "spikes_t"} <= set(arrays) or not arrays["spikes_t"].size:
        return None
    return plotting.raster(arrays["spikes_i"], arrays["spikes_t"])


def _membrane(arrays: Arrays) -> Axes | None:
    if not {"v", "v_t"} <= set(arrays):
        return None
    return plotting.membrane(arrays["v_t"], np.atleast_2d(arrays["v"])[:_MOST_TRACES])


FIGURES: dict[str, Callable[[Arrays], Axes | None]] = {
    "receptive_fields": _receptive_fields,
    "weights": _weights,
    "learning_curve": _learning_curve,
    "activity": _activity,
    "confusion": _confusion,
    "raster": _raster,
    "membrane": _membrane,
}
