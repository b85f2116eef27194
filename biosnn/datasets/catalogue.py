"""What is known of published datasets: sizes, licence, checksums, and where a loader is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import attrs

from biosnn.errors import DataError
from biosnn.validation import check_choice, check_path

_TORCHVISION = "torchvision/datasets/mnist.py"
_TONIC = "tonic 1.7.0, tonic/datasets"


@attrs.frozen
class DatasetInfo:
    """Facts about a published dataset.

    Parameters
    ----------
    name : str
        As `info` knows it.
    kind : {"images", "events"}
        What its samples are.
    shape : tuple of int
        Of a sample: (height, width); of addresses, see `EventSplit`.
    n_classes : int
        Number of classes.
    n_train, n_validation, n_test : int
        Numbers of samples of the whole set; 0 validation samples where none are published.
    reference : str
        Authors, year and identifier.
    licence : str
        Under which it is given away.
    loader : str
        How it is loaded.
    files : dict of str to str
        Published file -> its MD5.
    checksum_source : str
        Where the checksums are from.
    where : str
        Where to get the files and what to do with them.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    n_classes: int
    n_train: int
    n_validation: int
    n_test: int
    reference: str
    licence: str
    loader: str
    files: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    checksum_source: str = ""
    where: str = ""

    @property
    def source(self) -> str:
        """Reference and licence, as datasets and reports have it."""
        return f"{self.reference}; {self.licence}"

    def check_files(self, folder: str | Path) -> dict[str, bool]:
        """Compare the published files that lie in a folder with their checksums.

        Parameters
        ----------
        folder : path
            Where they are, as they were downloaded.

        Returns
        -------
        dict
            Name of each file that is there: whether its MD5 is the published one.

        Raises
        ------
        DataError
            If none of them is there.
        """
        check_path("DatasetInfo.check_files", "folder", folder)
        found = {}
        for name, md5 in self.files.items():
            file = Path(folder).expanduser() / name
            if file.is_file():
                with file.open("rb") as stream:
                    found[name] = hashlib.file_digest(stream, "md5").hexdigest() == md5
        if not found:
            listed = ", ".join(self.files) or "none: there are no published checksums"
            raise DataError(f"{folder} holds none of the files of {self.name} ({listed})")
        return found


_HEIDELBERG = (
    "Cramer, Stradmann, Schemmel and Zenke (2022), The Heidelberg spiking data sets, "
    "doi:10.1109/TNNLS.2020.3044364"
)
_ZENKE = "zenkelab.org/datasets; unpack the .zip files into one folder"
_ENTRIES = (
    DatasetInfo(
        "digits", "images", (28, 28), 10, 10_000, 0, 10_000,
        "MNIST: LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791; Y. LeCun, C. "
        "Cortes, C. J. C. Burges",
        "CC BY-SA 3.0",
        "load_digits()",
        where="in the package: a class-balanced subset, biosnn/data/PROVENANCE.md",
    ),
    DatasetInfo(
        "mnist", "images", (28, 28), 10, 60_000, 0, 10_000,
        "MNIST: LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791; Y. LeCun, C. "
        "Cortes, C. J. C. Burges",
        "CC BY-SA 3.0",
        "load_mnist(data_dir)",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        _TORCHVISION,
        'load_mnist(download=True), through torchvision: pip install "biosnn[torch]"',
    ),
    DatasetInfo(
        "fashion-mnist", "images", (28, 28), 10, 60_000, 0, 10_000,
        "Fashion-MNIST: Xiao, Rasul and Vollgraf (2017), arXiv:1708.07747; Zalando SE",
        "MIT",
        "load_fashion_mnist(data_dir)",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
        _TORCHVISION,
        'load_fashion_mnist(download=True), through torchvision: pip install "biosnn[torch]"',
    ),
    DatasetInfo(
        "n-mnist", "events", (2, 34, 34), 10, 60_000, 0, 10_000,
        "N-MNIST: Orchard, Jayawant, Cohen and Thakor (2015), doi:10.3389/fnins.2015.00437",
        "CC BY-SA 4.0",
        "load_nmnist(data_dir)",
        {
            "train.zip": "20959b8e626244a1b502305a9e6e2031",
            "test.zip": "69ca8762b2fe404d9b9bad1103e97832",
        },
        f"{_TONIC}/nmnist.py",
        "data.mendeley.com, data set 468j46mzdv; unpack train.zip and test.zip into one folder, "
        "which then has Train/0 to Test/9",
    ),
    DatasetInfo(
        "shd", "events", (700,), 20, 8_156, 0, 2_264,
        f"Spiking Heidelberg Digits: {_HEIDELBERG}",
        "CC BY 4.0",
        "load_shd(data_dir)",
        {
            "shd_train.h5.zip": "f3252aeb598ac776c1b526422d90eecb",
            "shd_test.h5.zip": "1503a5064faa34311c398fb0a1ed0a6f",
        },
        f"{_TONIC}/hsd.py",
        _ZENKE,
    ),
    DatasetInfo(
        "ssc", "events", (700,), 35, 75_466, 9_981, 20_382,
        f"Spiking Speech Commands: {_HEIDELBERG}",
        "CC BY 4.0",
        "load_ssc(data_dir)",
        {
            "ssc_train.h5.zip": "d102be95e7144fcc0553d1f45ba94170",
            "ssc_valid.h5.zip": "b4eee3516a4a90dd0c71a6ac23a8ae43",
            "ssc_test.h5.zip": "a35ff1e9cffdd02a20eb850c17c37748",
        },
        f"{_TONIC}/hsd.py",
        _ZENKE,
    ),
    DatasetInfo(
        "dvs-gesture", "events", (2, 128, 128), 11, 1_077, 0, 264,
        "DVS Gesture: Amir et al. (2017), doi:10.1109/CVPR.2017.781, cut into samples by tonic",
        "CC BY 4.0",
        "from_tonic(tonic.datasets.DVSGesture(folder, train=True))",
        {
            "ibmGestureTrain.tar.gz": "3a8f0d4120a166bac7591f77409cb105",
            "ibmGestureTest.tar.gz": "56070e45dadaa85fff82e0fbfbc06de5",
        },
        f"{_TONIC}/dvsgesture.py",
        'tonic downloads what is missing: pip install "biosnn[events]"',
    ),
)  # fmt: skip
_BY_NAME = {entry.name: entry for entry in _ENTRIES}


def catalogue() -> tuple[DatasetInfo, ...]:
    """Return what is known of each published dataset."""
    return _ENTRIES


def info(name: str) -> DatasetInfo:
    """Return what is known of a published dataset.

    Raises
    ------
    ParameterError
        If the name is none of the `catalogue`'s.
    """
    check_choice("datasets.info", "name", name, tuple(_BY_NAME))
    return _BY_NAME[name]
