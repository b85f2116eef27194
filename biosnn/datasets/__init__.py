"""Datasets of images: the bundled subset of MNIST, MNIST, Fashion-MNIST, and pictures of one's own.

Every dataset is a `Dataset` of two `Split`s with uint8 images, bright ink on black, and int64
labels ``[n]``; those below have images ``[n, 28, 28]``, one's own have any size and channels.
`load_digits` works offline; MNIST and Fashion-MNIST are read from IDX files, which torchvision
downloads on request.
"""

from biosnn.datasets.loading import (
    Dataset,
    Split,
    load_dataset,
    load_digits,
    load_fashion_mnist,
    load_mnist,
    train_validation_split,
)
from biosnn.datasets.picture import SIDE, load_image
