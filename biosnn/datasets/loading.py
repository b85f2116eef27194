"""Load datasets from the bundled file or from IDX files."""

from __future__ import annotations

import gzip
import math
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from biosnn.datasets.catalogue import info
from biosnn.datasets.parts import Dataset, Split
from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_choice, check_flag, check_path

_MOST_BYTES = 2**27  # of an IDX file; MNIST and Fashion-MNIST have 47 million


def load_digits() -> Dataset:
    """Load the bundled MNIST subset: 1,000 training images per digit and all 10,000 test images.

    Needs neither network nor files; ``biosnn/data/PROVENANCE.md`` says how it was made.

    Raises
    ------
    DataError
        If the installed package lacks its data file.
    """
    file = resources.files("biosnn") / "data" / "digits.npz"
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            train = Split(arrays["train_images"], arrays["train_labels"])
            test = Split(arrays["test_images"], arrays["test_labels"])
    except FileNotFoundError as error:
        raise DataError(f"The bundled file {file} is missing; install biosnn again") from error
    return Dataset("digits", train, test, n_classes=10, source=info("digits").source)


def load_mnist(data_dir: str | Path | None = None, *, download: bool = False) -> Dataset:
    """Load MNIST: 60,000 training and 10,000 test images of handwritten digits.

    Parameters
    ----------
    data_dir : path, optional
        Folder with the four IDX files, gzipped or not, or with torchvision's ``MNIST/raw`` (which
        wins if both are there). Default: biosnn's cache folder.
    download : bool
        Have torchvision download the set into `data_dir`, unless its layout is there already.

    Raises
    ------
    DataError
        If the folder or a file is missing, truncated or of another format, if images and labels do
        not match, if torchvision is not installed or fails.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791.
    """
    check_flag("load_mnist", "download", download)
    return _load_idx_dataset("mnist", "MNIST", data_dir, download)


def load_fashion_mnist(data_dir: str | Path | None = None, *, download: bool = False) -> Dataset:
    """Load Fashion-MNIST: 60,000 training and 10,000 test images of ten kinds of clothes.

    Its files have the same names as MNIST's: give each set a folder of its own.

    Parameters
    ----------
    data_dir : path, optional
        Folder with the four IDX files, gzipped or not, or with torchvision's ``FashionMNIST/raw``
        (which wins if both are there). Default: biosnn's cache folder.
    download : bool
        Have torchvision download the set into `data_dir`, unless its layout is there already.

    Raises
    ------
    DataError
        As `load_mnist`.

    References
    ----------
    Xiao, Rasul and Vollgraf (2017), arXiv:1708.07747.
    """
    check_flag("load_fashion_mnist", "download", download)
    return _load_idx_dataset("fashion-mnist", "FashionMNIST", data_dir, download)


def load_dataset(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Load a dataset by name.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion-mnist"}
        Which one.
    data_dir : path, optional
        Folder of the IDX files, see `load_mnist`; the bundled digits take none.

    Raises
    ------
    ParameterError
        If the name is unknown, or if a folder is given for the bundled digits.
    DataError
        If the files cannot be read.
    """
    check_choice("load_dataset", "name", name, ("digits", "mnist", "fashion-mnist"))
    if name != "digits":
        return (load_mnist if name == "mnist" else load_fashion_mnist)(data_dir)
    if data_dir is not None:
        wanted, remedy = "None for the bundled 'digits'", "Ask for 'mnist' to read a folder."
        raise ParameterError("load_dataset", "data_dir", data_dir, wanted, remedy)
    return load_digits()


def _load_idx_dataset(
    name: str, torchvision_name: str, data_dir: str | Path | None, download: bool
) -> Dataset:
    if data_dir is not None:
        check_path("datasets", "data_dir", data_dir)
    root = user_cache_path("biosnn") if data_dir is None else Path(data_dir).expanduser()
    if download:
        _download(torchvision_name, root)
    remedy = (
        f"give the folder of the four {torchvision_name} IDX files as data_dir (--data-dir of "
        f"experiments), or call load_{name.replace('-', '_')}(download=True), which needs "
        'pip install "biosnn[torch]"'
    )
    if not root.is_dir():
        raise DataError(f"The data folder {root} does not exist; {remedy}")
    raw = root / torchvision_name / "raw"
    folder = raw if raw.is_dir() else root
    train, test = (_read_split(folder, prefix, remedy) for prefix in ("train", "t10k"))
    return Dataset(name, train, test, n_classes=10, source=info(name).source)


def _download(torchvision_name: str, root: Path) -> None:
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(
            f"Downloading {torchvision_name} needs torchvision, which cannot be imported "
            f'({error}); run: pip install "biosnn[torch]"'
        ) from error
    try:
        getattr(datasets, torchvision_name)(root, download=True)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise DataError(
            f"torchvision could not get {torchvision_name} into {root} ({error!r}); check the "
            "network and delete incomplete files, or give a folder with the IDX files as data_dir"
        ) from error


def _read_split(folder: Path, prefix: str, remedy: str) -> Split:
    images_file = _find_idx(folder, f"{prefix}-images-idx3-ubyte", remedy)
    labels_file = _find_idx(folder, f"{prefix}-labels-idx1-ubyte", remedy)
    images, labels = _read_idx(images_file, ndim=3), _read_idx(labels_file, ndim=1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_file} holds {len(images)} images but {labels_file} {len(labels)} labels; "
            "take both files from the same download"
        )
    return Split(images, labels)


def _find_idx(folder: Path, stem: str, remedy: str) -> Path:
    for file in (folder / stem, folder / f"{stem}.gz"):
        if file.is_file():
            return file
    raise DataError(f"{folder / stem} is missing, and so is its .gz; {remedy}")


def _read_idx(file: Path, ndim: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes: magic number, `ndim` big-endian lengths, data.

    Memory is taken for what the header declares, once it is known that so much may be there.
    """
    start = 4 + 4 * ndim
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
            header = stream.read(start)
            magic, *shape = (int.from_bytes(header[at : at + 4]) for at in range(0, start, 4))
            if magic != 0x0800 + ndim:
                raise DataError(
                    f"{file} starts with {magic:#010x} instead of {0x0800 + ndim:#010x}, the magic "
                    f"number of an IDX file of {ndim}-d bytes; check that the file is what its "
                    "name says"
                )
            size = math.prod(shape)
            held = file.stat().st_size if file.suffix != ".gz" else start + size
            if held < start + size:
                raise DataError(_promises(file, held, start + size))
            if size > _MOST_BYTES:
                raise DataError(
                    f"{file} has a header that promises {size} bytes, and at most {_MOST_BYTES} "
                    "are read; download it again"
                )
            content, found = np.empty(size, np.uint8), 0
            while block := stream.readinto(memoryview(content)[found : found + 2**20]):
                found += block
            more = stream.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read ({error}); download it again") from error
    if found != size or more:
        raise DataError(_promises(file, "more" if more else start + found, start + size))
    return content.reshape(shape)


def _promises(file: Path, held: int | str, wanted: int) -> str:
    return f"{file} holds {held} bytes where its header promises {wanted}; download it again"
