"""``biosnn classify``: classify pictures, folders, arrays and address events with a saved model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from biosnn import datasets, storage
from biosnn.datasets.numpy_files import read_npy, read_npz
from biosnn.errors import BiosnnError, DataError, ParameterError

Model = storage.TrainedModel | storage.LayeredModel
#: Endings of files that hold samples, and not a picture.
_ARRAYS = (".npy", ".npz")
_EVENTS = (".bin", ".aedat", ".h5", ".hdf5", ".npz")


@attrs.define
class Found:
    """What was found of the paths that were given.

    Attributes
    ----------
    predictions : list of dict
        In the order of the paths: ``image``, the file; ``sample``, its number in a file of
        several; ``label`` (-1: no neuron fired), ``class`` where the model knows names, ``true``
        where the right class is known; or ``error``.
    problems : list of BiosnnError
        Of what cannot be read.
    """

    predictions: list[dict[str, Any]] = attrs.Factory(list)
    problems: list[BiosnnError] = attrs.Factory(list)

    def accuracy(self) -> tuple[int, int]:
        """How many samples were given their right class, and of how many it is known."""
        known = [one for one in self.predictions if "true" in one and "label" in one]
        # A class may be called as what is said of silent samples.
        right = [one["label"] >= 0 and one["said"] == one["true"] for one in known]
        return sum(right), len(known)

    def rows(self) -> list[dict[str, Any]]:
        """The predictions without what is kept for counting."""
        return [{k: v for k, v in one.items() if k != "said"} for one in self.predictions]


def classify_paths(
    path: Path, paths: Sequence[Path], *, device: str, seed: int, invert: bool | None
) -> Found:
    """Classify all that can be read.

    Parameters
    ----------
    path : Path
        The model.
    paths : sequence of Path
        Pictures; folders, of which all files are taken, those of folders inside included; arrays
        (``.npy``, or ``.npz`` with ``samples`` and perhaps ``labels``); and for a model that takes
        address events the files of :func:`biosnn.datasets.read_events`.
    device, seed
        As in :meth:`biosnn.storage.TrainedModel.classify`.
    invert : bool, optional
        Whether ink is dark on bright paper; default: as in training.
    """
    model = storage.load_model(path)
    _, known = _known(model)
    found = Found()
    pictures: list[tuple[dict[str, Any], NDArray[np.float32]]] = []
    for file in _files(paths, found):
        if file.suffix.lower() in {*_ARRAYS, *_EVENTS}:
            try:
                _classify_file(model, file, device, seed, found)
            except DataError as error:
                found.problems.append(error)
                found.predictions.append({"image": str(file), "error": str(error)})
            continue
        row: dict[str, Any] = {"image": str(file)}
        found.predictions.append(row)
        try:
            pictures.append((row, _picture(model, file, invert)))
        except DataError as error:
            found.problems.append(error)
            row["error"] = str(error)
            continue
        if file.parent.name in known:
            row["true"] = file.parent.name
    if pictures:
        samples = np.stack([sample for _, sample in pictures])
        labels = model.classify(_arranged(model, samples), device=device, seed=seed)
        _note(model, [row for row, _ in pictures], labels)
    return found


def _files(paths: Iterable[Path], found: Found) -> Iterable[Path]:
    """The files that are meant; those of folders in the order of their paths."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if not any(part.startswith(".") for part in file.relative_to(path).parts)
            and file.is_file()
        )
        if not inside:
            error = DataError(f"{path} holds no file; give a folder of pictures")
            found.problems.append(error)
            found.predictions.append({"image": str(path), "error": str(error)})
        yield from inside


def _takes_events(model: Model) -> bool:
    return model.takes.kind == "events" and model.encoding is None


def _known(model: Model) -> tuple[list[int], list[str]]:
    """The labels that the model may give, and their names."""
    labels = np.zeros(0, np.int64) if model.labels is None else model.labels
    return labels.tolist(), model.names(labels)


def _classify_file(model: Model, file: Path, device: str, seed: int, found: Found) -> None:
    """Classify the samples of a file of arrays or events.

    Raises
    ------
    DataError
        If it cannot be read, or its samples are none of this model.
    """
    true: NDArray[Any] | None
    if _takes_events(model):
        try:
            events = datasets.read_events(file)
        except ParameterError as error:  # such as a camera that the file does not name
            raise DataError(f"{file} cannot be read: {error}") from error
        samples, true = events, events.labels
    else:
        if file.suffix.lower() not in _ARRAYS:
            raise DataError(f"{file} holds address events, and this model takes none; give arrays")
        samples, true = _arrays(model, file)
    known = dict(zip(*_known(model), strict=True))
    if true is not None:
        if true.ndim != 1 or true.dtype.kind not in "iuU":
            raise DataError(
                f"{file}: labels must be whole numbers or names of classes [n], got {true.dtype} "
                f"{list(true.shape)}"
            )
        known = {name: name for name in known.values()} if true.dtype.kind == "U" else known
    labels = model.classify(samples, device=device, seed=seed)
    if true is not None and len(true) != len(labels):
        raise DataError(f"{file} holds {len(true)} labels for {len(labels)} samples")
    rows: list[dict[str, Any]] = [{"image": str(file), "sample": k} for k in range(len(labels))]
    _note(model, rows, labels)
    for row, label in zip(rows, [] if true is None else true.tolist(), strict=False):
        if label in known:
            row["true"] = known[label]
    found.predictions += rows


def _arrays(model: Model, file: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Samples, and labels where there are some; one sample may stand alone."""
    labels = None
    if file.suffix.lower() == ".npy":
        samples = read_npy(file)
    else:
        arrays = read_npz(file)
        labels = arrays.pop("labels", None)
        if "samples" in arrays:
            samples = arrays["samples"]
        elif len(arrays) == 1:
            (samples,) = arrays.values()
        else:
            held = ", ".join(arrays) or "none"
            raise DataError(f"{file} must hold an array 'samples', got {held}")
    takes = model.takes
    one = takes.features if takes.kind != "sequence" else takes.features * takes.frames
    alone = samples.ndim and samples.size == one and len(samples) != 1
    return (samples[None] if alone else samples), labels


def _picture(model: Model, file: Path, invert: bool | None) -> NDArray[np.float32]:
    """A picture as the model takes it."""
    if _takes_events(model):
        raise DataError(f"{file} is no sample of this model: it takes address events")
    if model.values != "intensities":
        raise DataError(
            f"{file} is no sample of this model: it takes numbers as they were measured; give an "
            ".npy or .npz of them"
        )
    how = {"invert": "auto", "fit": "ink", **model.picture}
    if invert is not None:
        how["invert"] = invert
    shape = model.image_shape
    if shape[2:] == (1,):
        shape = shape[:2]
    return datasets.load_image(file, shape=shape, **how)


def _arranged(model: Model, samples: NDArray[Any]) -> NDArray[Any]:
    """Pictures as rows, or as the frames of a sequence."""
    takes = model.takes
    return samples.reshape(len(samples), -1, takes.features) if takes.frames > 1 else samples


def _note(model: Model, rows: Sequence[dict[str, Any]], labels: NDArray[np.int64]) -> None:
    """Write labels and names into the rows of the predictions."""
    names = model.names(labels)
    for row, label, name in zip(rows, labels.tolist(), names, strict=True):
        row["label"], row["said"] = label, name
        if model.classes is not None:
            row["class"] = name


def lines(found: Found) -> Iterable[str]:
    """What is printed: a file and its class in a line, and the accuracy if classes are known."""
    for one in found.predictions:
        if "label" in one:
            number = f"[{one['sample']}]" if "sample" in one else ""
            said = f"-1 ({one['said']})" if one["label"] < 0 else one["said"]
            yield f"{one['image']}{number}: {said}"
    right, n = found.accuracy()
    if n:
        yield f"accuracy: {right / n:.4f} ({right} of {n} whose class is known)"


def as_csv(found: Found) -> str:
    """A table of the predictions, with a row for what cannot be read as well."""
    text = io.StringIO()
    columns = ("image", "sample", "label", "class", "true", "error")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([row.get(name, "") for name in columns] for row in found.rows())
    return text.getvalue()


def exit_status(found: Found) -> int:
    """0 if all was classified, 1 if some could not be read, 2 if nothing could."""
    if not found.problems:
        return 0
    return 1 if any("label" in one for one in found.predictions) else 2
