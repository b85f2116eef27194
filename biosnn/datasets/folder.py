"""Load a folder of pictures with one sub-folder per class."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs
import numpy as np

from biosnn.datasets.parts import Dataset, Split, held_out
from biosnn.datasets.picture import load_image, size_of
from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_choice, check_path, check_shape, check_value, check_whole

#: Most bytes of the pictures of a folder, as they are kept: one per pixel and channel.
MOST_BYTES = 2**30
#: Names of the folders of the parts, where the pictures are divided already.
PARTS = {"train": "train", "test": "test", "validation": "validation", "val": "validation"}
#: Sizes from here on are read at a lower scale and need ``size=``.
_LARGE = 2**22
_WHERE = "load_folder"


@attrs.frozen
class _Listing:
    """Pictures of a part, and the class of each; what lies about besides."""

    files: list[Path] = attrs.Factory(list)
    labels: list[int] = attrs.Factory(list)
    problems: list[str] = attrs.Factory(list)


def load_folder(
    path: str | Path,
    *,
    size: Sequence[int] | None = None,
    channels: int = 1,
    invert: bool | Literal["auto"] = "auto",
    fit: Literal["ink", "whole"] = "whole",
    test_share: float = 0.2,
    seed: int = 0,
) -> Dataset[Split]:
    """Load a folder of pictures that has one sub-folder per class.

    Each picture becomes what ``load_image(file, shape=(*size, 3) or size, invert=..., fit=...)``
    makes of it, rounded to bytes. Names of the sub-folders, sorted, are the names of the classes;
    within a class pictures are sorted by name. What begins with a dot is left out.

    Parameters
    ----------
    path : path
        The folder. With sub-folders ``train`` and ``test`` (and perhaps ``validation`` or
        ``val``), these have one sub-folder per class each, and are the parts of the dataset.
        Otherwise a share of each class is held out as the test part.
    size : (height, width), optional
        In pixels, to which pictures are scaled. By default all must have one size, and keep it.
    channels : {1, 3}
        Grey, or red, green and blue.
    invert : bool or "auto"
        Whether ink is dark on bright paper, see `load_image`. "auto" looks at the border of each
        picture in grey: right for drawings on paper. Say False for photographs.
    fit : {"whole", "ink"}
        What of a picture of another size than `size` is scaled to it: the whole picture, or what
        is drawn, as in MNIST.
    test_share : float
        Share of each class that is held out, in (0, 1); at least one picture of each class, and
        never all of them.
    seed : int
        Seed >= 0 of which ones are held out.

    Returns
    -------
    Dataset
        Named as the folder, with images ``[n, height, width]`` or ``[n, height, width, 3]`` and
        the names of classes. `Dataset.problems` has one sentence for each file that was left out:
        no picture, damaged, blank, a folder inside of a class, or a file beside the classes. A
        warning tells how many.

    Raises
    ------
    DataError
        If there is no such folder, it has fewer than two classes, a class has no readable picture
        in a part, or one only where some are held out, parts have other classes, pictures have
        several sizes and `size` is not given, or all together are too large.
    ParameterError
        If a setting is out of its bounds, or `test_share` or `seed` is given though there is a
        folder ``test``.
    """
    check_path(_WHERE, "path", path)
    check_choice(_WHERE, "channels", channels, (1, 3))
    check_choice(_WHERE, "fit", fit, ("whole", "ink"))
    check_value(_WHERE, "test_share", test_share, 1.0, "in (0, 1)")
    check_whole(_WHERE, "seed", seed)
    if not isinstance(invert, bool) and invert != "auto":
        raise ParameterError(_WHERE, "invert", repr(invert), "True, False or 'auto'")
    if size is not None:
        size = check_shape(_WHERE, "size", size, "(height, width) in pixels")
    root = Path(path).expanduser()
    parts = _parts(root)
    divided = "" not in parts
    if divided and (test_share, seed) != (0.2, 0):
        remedy = f"{root} has folders train and test already"
        raise ParameterError(_WHERE, "test_share, seed", (test_share, seed), "left out", remedy)
    classes = _classes(root, parts)
    listings = {part: _listed(folder, classes) for part, folder in parts.items()}
    problems = [
        f"{file} lies beside the class folders and has no class"
        for folder in dict.fromkeys((root, *parts.values()))
        for file in _entries(folder)
        if not file.is_dir()
    ]
    shape = _shape(root, listings, size)
    n = sum(len(listing.files) for listing in listings.values())
    if (needed := n * channels * shape[0] * shape[1]) > MOST_BYTES:
        raise DataError(
            f"{root} has {n} files, which make {needed} bytes at {shape[0]} x {shape[1]} pixels, "
            f"and at most {MOST_BYTES} are read; give a smaller size, or fewer pictures"
        )
    wanted = (*shape, 3) if channels == 3 else shape
    loaded = {}
    for part, listing in listings.items():
        images, labels = [], []
        for file, label in zip(listing.files, listing.labels, strict=True):
            try:
                sample = load_image(file, shape=wanted, invert=invert, fit=fit)
            except DataError as error:
                listing.problems.append(str(error))
                continue
            images.append(np.rint(255 * sample).astype(np.uint8).reshape(wanted))
            labels.append(label)
        problems += listing.problems
        _check_classes(root / part, classes, labels, 1 if divided else 2, problems)
        loaded[part] = Split(np.array(images), labels)
    if not divided:
        test = held_out(loaded[""].labels, test_share, seed)
        loaded = {"train": loaded[""].pick(~test), "test": loaded[""].pick(test)}
    if problems:
        warnings.warn(
            f"{root}: {len(problems)} files were left out (Dataset.problems has all): "
            f"{problems[0]}",
            stacklevel=2,
        )
    return Dataset(
        name=root.resolve().name,
        train=loaded["train"],
        test=loaded["test"],
        validation=loaded.get("validation"),
        n_classes=len(classes),
        source=f"pictures of the folder {root}",
        classes=classes,
        problems=problems,
        picture={"invert": invert, "fit": fit},
    )


def is_divided(path: str | Path) -> bool:
    """Whether a folder has its own training and test parts, as `load_folder` sees it.

    Raises
    ------
    DataError
        If there is no such folder, or something else lies beside the parts.
    """
    return "" not in _parts(Path(path).expanduser())


def _entries(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read ({error.strerror}); give the folder that has one "
            "sub-folder per class"
        ) from error
    return [entry for entry in found if not entry.name.startswith(".")]


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _parts(root: Path) -> dict[str, Path]:
    """Part -> its folder; one part without a name where the pictures are not divided yet."""
    found = {entry.name: entry for entry in _folders(root)}
    if not {"train", "test"} <= set(found) or not any(
        _folders(found[part]) for part in ("train", "test")
    ):
        return {"": root}
    parts = {}
    for name, folder in found.items():
        part = PARTS.get(name)
        if part is None or part in parts:
            raise DataError(
                f"{root} has the folders train and test, and {folder.name} beside them, which is "
                "no part of a dataset; keep train, test and validation there, and nothing else"
            )
        parts[part] = folder
    return parts


def _classes(root: Path, parts: dict[str, Path]) -> tuple[str, ...]:
    names = {
        part: tuple(entry.name for entry in _folders(folder)) for part, folder in parts.items()
    }
    first = next(iter(names.values()))
    for part, found in names.items():
        if differ := sorted(set(first).symmetric_difference(found)):
            raise DataError(
                f"{root}: all parts must have the same classes, and {parts[part]} and "
                f"{next(iter(parts.values()))} differ in {', '.join(differ[:5])}"
            )
    if len(first) < 2:
        raise DataError(
            f"{root} must have a sub-folder of pictures for each of two or more classes, got "
            f"{len(first)}; give the folder above those of the classes"
        )
    return first


def _listed(folder: Path, classes: tuple[str, ...]) -> _Listing:
    listing = _Listing()
    for label, name in enumerate(classes):
        for entry in _entries(folder / name):
            if entry.is_file():  # not for sockets, pipes and links that lead nowhere
                listing.files.append(entry)
                listing.labels.append(label)
            else:
                what = "a folder inside of a class" if entry.is_dir() else "no plain file"
                listing.problems.append(f"{entry} is {what}; put pictures into {folder / name}")
    return listing


def _shape(
    root: Path, listings: dict[str, _Listing], size: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Size of all pictures: the one that is wanted, or the one that all have by their headers."""
    if size is not None:
        return size
    seen: dict[tuple[int, int], Path] = {}
    for listing in listings.values():
        for file in listing.files:
            try:
                seen.setdefault(size_of(file), file)
            except DataError:
                continue  # reported when it is read
    if len(seen) > 1:
        (one, first), (other, second), *_ = seen.items()
        raise DataError(
            f"{root} has pictures of {len(seen)} sizes: {first} has {one[0]} x {one[1]} pixels, "
            f"{second} {other[0]} x {other[1]}; give size=(height, width), to which all are scaled"
        )
    found = next(iter(seen), (1, 1))
    if found[0] * found[1] > _LARGE:
        raise DataError(
            f"{root} has pictures of {found[0]} x {found[1]} pixels, more than {_LARGE}; give a "
            "smaller size=(height, width), to which all are scaled"
        )
    return found


def _check_classes(
    folder: Path, classes: tuple[str, ...], labels: list[int], least: int, problems: list[str]
) -> None:
    counts = np.bincount(labels, minlength=len(classes)) if labels else np.zeros(len(classes), int)
    for name, n in zip(classes, counts, strict=True):
        if n < least:
            here = [text for text in problems if str(folder / name) in text]
            why = f": {here[0]}" if here else ""
            wanted = "two, one to learn from and one to be tested on" if least == 2 else "one"
            raise DataError(
                f"{folder / name} must have at least {wanted}, got {n} readable pictures{why}; add "
                "pictures, or take the folder away"
            )
