"""Datasets: the bundled subset of MNIST, MNIST, Fashion-MNIST, folders of pictures.

Every loader gives a `Dataset` with the parts ``train`` and ``test`` and int64 labels ``[n]``;
`Dataset.split_validation` gives training, validation and test. A `Split` has uint8 images, bright
ink on black. `load_digits` works offline; MNIST and Fashion-MNIST are read from IDX files, which
torchvision downloads on request.
"""

from biosnn.datasets.folder import load_folder
from biosnn.datasets.loading import (
    load_dataset,
    load_digits,
    load_fashion_mnist,
    load_mnist,
)
from biosnn.datasets.parts import Dataset, Split, train_validation_split
from biosnn.datasets.picture import SIDE, load_image
