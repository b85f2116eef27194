"""Load N-MNIST, SHD and SSC from their published files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from biosnn.datasets.addresses import check_number
from biosnn.datasets.catalogue import info
from biosnn.datasets.event_files import read_bin
from biosnn.datasets.events import EventSplit, joined
from biosnn.datasets.hdf5 import read_hdf5
from biosnn.datasets.parts import Dataset
from biosnn.errors import DataError
from biosnn.validation import check_path, check_whole


def load_nmnist(data_dir: str | Path, *, per_class: int | None = None) -> Dataset[EventSplit]:
    """Load N-MNIST: MNIST's digits as a moving event camera saw them, in three saccades of 100 ms.

    Parameters
    ----------
    data_dir : path
        Folder with ``Train/0`` to ``Train/9`` and ``Test/0`` to ``Test/9``, or with tonic's
        ``NMNIST``, which holds them.
    per_class : int, optional
        Read this many samples of each digit and part at most, those with the first names. The
        whole set has 290 million events and takes 5 GB.

    Returns
    -------
    Dataset
        Of `EventSplit` with the shape (2, 34, 34), in the order of digits and file names.

    Raises
    ------
    DataError
        If a folder is missing or empty, a file in it is no ``.bin`` or is damaged, or there are
        too many events. What begins with a dot is left out.

    References
    ----------
    Orchard, Jayawant, Cohen and Thakor (2015), doi:10.3389/fnins.2015.00437.
    """
    if per_class is not None:
        check_whole("load_nmnist", "per_class", per_class, 1)
    about = info("n-mnist")
    root = _root("load_nmnist", data_dir, "NMNIST")
    files = {part: _bin_files(root / part, per_class, about.where) for part in ("Train", "Test")}
    for part, found in files.items():
        check_number(str(root / part), sum(file.stat().st_size for file, _ in found) // 5)
    height, width = about.shape[1:]
    train, test = (
        joined(
            [read_bin(file, (height, width)) for file, _ in found],
            np.array([label for _, label in found]),
            about.shape,
        )
        for found in files.values()
    )
    return Dataset("n-mnist", train, test, about.n_classes, about.source)


def load_shd(data_dir: str | Path, *, per_class: int | None = None) -> Dataset[EventSplit]:
    """Load the Spiking Heidelberg Digits: spoken digits as spikes of a model of the cochlea.

    Times of the published files have 16 bits: they are exact to half a millisecond after the first
    second. The test part has two speakers that the training part has not.

    Parameters
    ----------
    data_dir : path
        Folder with ``shd_train.h5`` and ``shd_test.h5``, or with tonic's ``SHD``, which holds them.
    per_class : int, optional
        Read this many samples of each class and part at most, the first ones.

    Returns
    -------
    Dataset
        Of `EventSplit` with the shape (700,), and the names of the 20 classes.

    Raises
    ------
    DataError
        If h5py is not installed, or a file is missing, damaged or of another layout.

    References
    ----------
    Cramer, Stradmann, Schemmel and Zenke (2022), doi:10.1109/TNNLS.2020.3044364.
    """
    parts = {"train": "train", "test": "test"}
    return _load_heidelberg("load_shd", "shd", data_dir, parts, per_class)


def load_ssc(data_dir: str | Path, *, per_class: int | None = None) -> Dataset[EventSplit]:
    """Load the Spiking Speech Commands, which come with a validation part.

    Parameters
    ----------
    data_dir : path
        Folder with ``ssc_train.h5``, ``ssc_valid.h5`` and ``ssc_test.h5``, or with tonic's ``SSC``,
        which holds them.
    per_class : int, optional
        Read this many samples of each class and part at most, the first ones; the whole training
        part has more events than are read in one go.

    Returns
    -------
    Dataset
        Of `EventSplit` with the shape (700,), and the names of the 35 classes.

    Raises
    ------
    DataError
        As `load_shd`; if the set has more events than are read in one go.

    References
    ----------
    Cramer, Stradmann, Schemmel and Zenke (2022), doi:10.1109/TNNLS.2020.3044364.
    """
    parts = {"train": "train", "validation": "valid", "test": "test"}
    return _load_heidelberg("load_ssc", "ssc", data_dir, parts, per_class)


def _root(where: str, data_dir: str | Path, inner: str) -> Path:
    check_path(where, "data_dir", data_dir)
    root = Path(data_dir).expanduser()
    return root / inner if (root / inner).is_dir() else root


def _bin_files(folder: Path, most: int | None, remedy: str) -> list[tuple[Path, int]]:
    found = []
    for digit in range(10):
        within = folder / str(digit)
        try:
            entries = sorted(within.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(
                f"{within} cannot be read ({error.strerror}); N-MNIST is at {remedy}"
            ) from error
        entries = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in entries:
            if entry.suffix != ".bin" or not entry.is_file():
                raise DataError(f"{entry} is no .bin file of N-MNIST; take it out of the folder")
        if not entries:
            raise DataError(f"{within} holds no .bin file; N-MNIST is at {remedy}")
        found += [(entry, digit) for entry in entries[:most]]
    return found


def _load_heidelberg(
    where: str, name: str, data_dir: str | Path, parts: dict[str, str], per_class: int | None
) -> Dataset[EventSplit]:
    if per_class is not None:
        check_whole(where, "per_class", per_class, 1)
    about = info(name)
    root = _root(where, data_dir, name.upper())
    files = {part: root / f"{name}_{written}.h5" for part, written in parts.items()}
    if missing := [str(file) for file in files.values() if not file.is_file()]:
        raise DataError(f"{', '.join(missing)} missing; {name.upper()} is at {about.where}")
    loaded, names = {}, {}
    for part, file in files.items():
        loaded[part], names[part] = read_hdf5(file, about.shape[0], per_class)
    if len(set(names.values())) > 1:
        raise DataError(f"{root}: the files name other classes (extra/keys); download them again")
    classes = names["train"]
    if classes is None:
        most = max(int(split.labels.max()) for split in loaded.values())
        classes = tuple(map(str, range(min(max(most, 0), 2**16) + 1)))
    return Dataset(
        name=name,
        train=loaded["train"],
        test=loaded["test"],
        validation=loaded.get("validation"),
        n_classes=len(classes),
        source=about.source,
        classes=classes,
    )
