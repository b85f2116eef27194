"""Load datasets from files of NumPy, ``.npy`` and ``.npz``."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biosnn.datasets.arrays import ArraySplit
from biosnn.datasets.events import EventSplit
from biosnn.datasets.parts import Dataset, held_out
from biosnn.errors import DataError, ParameterError
from biosnn.validation import (
    check_instance,
    check_mapping,
    check_members,
    check_path,
    check_value,
    check_whole,
    describe,
)

#: Most bytes of the arrays of an ``.npz``; an ``.npy`` is memory-mapped.
MOST_BYTES = 2**32
_PARTS = ("train", "test", "validation")
_EVENTS = ("sample", "unit", "time")
_KEYS = ("samples", "labels", *_EVENTS, "shape")
_WHERE = "load_arrays"
#: What NumPy and zipfile raise on damaged files; NumPy reads headers by Python's tokenizer.
_UNREADABLE = (
    OSError, ValueError, TypeError, EOFError, OverflowError, MemoryError, RecursionError,
    SyntaxError, RuntimeError, tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def load_arrays(
    path: str | Path,
    labels: str | Path | None = None,
    *,
    keys: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    test_share: float = 0.2,
    seed: int = 0,
) -> Dataset[Any]:
    """Load samples from a file of NumPy: static ones, sequences, or address events.

    An ``.npz`` holds ``samples`` ``[n, ...]`` and ``labels`` ``[n]``; or ``sample``, ``unit``,
    ``time`` (in seconds), ``labels`` and ``shape`` of an `EventSplit`. With ``train_`` and
    ``test_`` (and perhaps ``validation_``) before each name, it holds the parts of the dataset;
    otherwise a share of each class is held out as the test part. Other arrays of the file are
    left out.

    Parameters
    ----------
    path : path
        An ``.npz``, or an ``.npy`` of samples.
    labels : path, optional
        The ``.npy`` of labels that belongs to an ``.npy`` of samples.
    keys : dict of str to str, optional
        What the arrays of an ``.npz`` are called that has other names: ``{"samples": "images"}``
        for ``train_images``, or ``{"train_samples": "x_train", ...}``.
    classes : sequence of str, optional
        Names of the classes. By default their numbers; labels that are texts name them.
    test_share : float
        Share of each class that is held out, in (0, 1).
    seed : int
        Seed >= 0 of which samples are held out.

    Returns
    -------
    Dataset
        Of `ArraySplit` or `EventSplit`, named as the file. Samples of an ``.npy`` are
        memory-mapped until they are divided.

    Raises
    ------
    DataError
        If a file is missing, damaged, too large, holds objects (which would be executed code) or
        lacks an array, or if arrays do not fit each other.
    ParameterError
        If a setting is out of its bounds or would have no effect.
    """
    check_path(_WHERE, "path", path)
    check_value(_WHERE, "test_share", test_share, 1.0, "in (0, 1)")
    check_whole(_WHERE, "seed", seed)
    check_instance(_WHERE, "classes", classes, (list, tuple), optional=True)
    check_members(_WHERE, "classes", classes or (), str)
    file = Path(path).expanduser()
    if file.suffix.lower() == ".npy":
        if labels is None:
            remedy = "Give the .npy of labels, or put both into an .npz"
            raise ParameterError(_WHERE, "labels", None, "the path of the labels", remedy)
        check_path(_WHERE, "labels", labels)
        if keys is not None:
            raise ParameterError(_WHERE, "keys", dict(keys), "left out for .npy files")
        arrays = {"samples": read_npy(file), "labels": read_npy(Path(labels).expanduser())}
    else:
        if labels is not None:
            wanted = "left out for an .npz, which has the labels inside"
            raise ParameterError(_WHERE, "labels", describe(labels), wanted)
        arrays = read_npz(file)
    named = _named(file, arrays, {} if keys is None else keys)
    divided = "" not in named
    if divided and (test_share, seed) != (0.2, 0):
        wanted, remedy = "left out", f"{file} has a test part already"
        raise ParameterError(_WHERE, "test_share, seed", (test_share, seed), wanted, remedy)
    names = _name_classes(file, named, classes)
    parts = {part: _part(file, part, found) for part, found in named.items()}
    if not divided:
        whole = parts[""]
        test = held_out(whole.labels, test_share, seed)
        if not test.any():
            raise DataError(f"{file} has one sample of each class; the test part needs more")
        parts = {"train": whole.pick(~test), "test": whole.pick(test)}
    return Dataset(
        name=file.stem,
        train=parts["train"],
        test=parts["test"],
        validation=parts.get("validation"),
        n_classes=len(names),
        source=f"arrays of the file {file}",
        classes=names,
    )


def read_npy(file: Path) -> NDArray:
    """Memory-map an array; nothing is executed.

    Raises
    ------
    DataError
        If the file is missing, no array, shorter than its header promises, or holds objects.
    """
    _check_plain(file)
    try:
        with file.open("rb") as stream:
            np.lib.format.read_magic(stream)  # an archive is opened by numpy.load as well
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist; check the path") from error
    except _UNREADABLE as error:
        raise DataError(
            f"{file} cannot be read as an array ({_said(error)}); save it again by numpy.save"
        ) from error


def read_npz(file: Path) -> dict[str, NDArray]:
    """Read the arrays of an archive; nothing is executed.

    Memory is taken for what the headers declare, once it is known that so much is there.

    Raises
    ------
    DataError
        If the file is missing, no such archive, damaged, too large, or holds objects.
    """
    arrays: dict[str, NDArray] = {}
    _check_plain(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if (size := sum(info.file_size for info in members)) > MOST_BYTES:
                raise DataError(
                    f"{file} holds {size} bytes of arrays, and at most {MOST_BYTES} are read; "
                    "save them as .npy, which are read as they are needed"
                )
            for info in members:
                with archive.open(info) as stream:
                    _check_header(stream, info.file_size)
                with archive.open(info) as stream:
                    name = info.filename.removesuffix(".npy")
                    arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{file} does not exist; check the path") from error
    except _UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{file} cannot be read as arrays ({_said(error)}); save it again by numpy.savez"
        ) from error
    return arrays


def _check_plain(file: Path) -> None:
    """A pipe would be waited for."""
    if file.exists() and not file.is_file():
        raise DataError(f"{file} cannot be read: it is no plain file")


def _check_header(stream: Any, size: int) -> None:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of format {version}")
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read(stream)
    promised = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and promised != size - stream.tell():
        raise ValueError(f"{size - stream.tell()} bytes where a header promises {promised}")


def _said(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _named(
    file: Path, arrays: Mapping[str, NDArray], keys: Mapping[str, str]
) -> dict[str, dict[str, NDArray]]:
    """Part -> its arrays by the names of this module."""
    check_mapping(_WHERE, "keys", keys)
    allowed = {f"{part}{key}" for part in ("", *(f"{k}_" for k in _PARTS)) for key in _KEYS}
    for key, name in keys.items():
        if key not in allowed or name not in {*arrays, *_suffixes(arrays)}:
            wanted = f"names of arrays of {file} ({', '.join(arrays)}) by {', '.join(_KEYS)}"
            raise ParameterError(_WHERE, "keys", f"{key!r}: {describe(name)}", wanted)
    found: dict[str, dict[str, NDArray]] = {}
    for part in ("", *_PARTS):
        before = f"{part}_" if part else ""
        for key in _KEYS:
            name = keys.get(before + key, before + keys.get(key, key))
            if name in arrays:
                found.setdefault(part, {})[key] = arrays[name]
    common = found.pop("", {})
    if "train" in found or "test" in found:
        if set(common) - {"shape"}:
            raise DataError(f"{file} has parts, and {', '.join(common)} beside them; take one out")
        found = {part: common | those for part, those in found.items()}
        missing = [part for part in ("train", "test") if part not in found]
    elif found:
        raise DataError(f"{file} has {', '.join(found)} without train and test; add those parts")
    else:
        found, missing = {"": common}, []
    for part, those in found.items():
        if "samples" in those and set(those) & set(_EVENTS):
            both = ", ".join(those)
            raise DataError(f"{file} has samples and events in one part ({both}); take one out")
        wanted = (*_EVENTS, "shape", "labels") if set(those) & set(_EVENTS) else _KEYS[:2]
        before = f"{part}_" if part else ""
        missing += [before + key for key in wanted if key not in those]
    if missing:
        raise DataError(
            f"{file} lacks {', '.join(missing)} among its arrays ({', '.join(arrays) or 'none'}); "
            "save them under these names, or say what they are called by keys={...}"
        )
    return found


def _suffixes(arrays: Mapping[str, NDArray]) -> set[str]:
    return {
        name.removeprefix(f"{part}_")
        for name in arrays
        for part in _PARTS
        if name.startswith(f"{part}_")
    }


def _name_classes(
    file: Path, named: dict[str, dict[str, NDArray]], classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Names of the classes; labels that are texts become numbers."""
    labels = [found["labels"] for found in named.values()]
    if all(array.dtype.kind == "U" for array in labels):
        known = np.unique(np.concatenate([array.ravel() for array in labels]))
        names = tuple(map(str, known)) if classes is None else tuple(classes)
        if unknown := sorted(set(map(str, known)) - set(names)):
            raise ParameterError(_WHERE, "classes", list(names), f"with {', '.join(unknown)}")
        order = {name: number for number, name in enumerate(names)}
        for found in named.values():
            numbers = [order[str(name)] for name in found["labels"].ravel()]
            found["labels"] = np.array(numbers).reshape(found["labels"].shape)
        return names
    if classes is not None:
        return tuple(classes)
    whole = [array for array in labels if array.dtype.kind in "iu" and array.size]
    most = max((int(array.max()) for array in whole), default=0)
    if most >= 2**16:
        raise DataError(f"{file} has labels up to {most}; number the classes from 0")
    return tuple(map(str, range(max(most, 0) + 1)))


def _part(file: Path, part: str, found: Mapping[str, NDArray]) -> ArraySplit | EventSplit:
    try:
        if "unit" not in found:
            return ArraySplit(found["samples"], found["labels"])
        sample, unit, time = (found[key] for key in _EVENTS)
        shape = np.atleast_1d(found["shape"]).tolist()
        return EventSplit(sample, unit, time, found["labels"], shape)
    except (DataError, ParameterError) as error:
        raise DataError(f"{file}{f' ({part})' if part else ''}: {error}") from error
