"""Build the bundled MNIST subset: equally many training images per digit, and the whole test set.

    python scripts/build_digits.py --data-dir DIR --out biosnn/data/digits.npz

DIR holds the four IDX files of MNIST. The same files, seed and count give the same arrays; their
checksums are printed as the table in biosnn/data/PROVENANCE.md.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biosnn.datasets import Dataset, load_mnist

SEED = 1998


def balanced_subset(mnist: Dataset, per_class: int) -> dict[str, np.ndarray]:
    """Choose `per_class` training images of every class, in their order, and the whole test set."""
    rng = np.random.default_rng(SEED)
    labels = mnist.train.labels
    chosen = np.sort(
        np.concatenate(
            [
                rng.choice(np.flatnonzero(labels == digit), per_class, replace=False)
                for digit in range(mnist.n_classes)
            ]
        )
    )
    return {
        "train_images": mnist.train.images[chosen],
        "train_labels": labels[chosen].astype(np.uint8),
        "train_indices": chosen.astype("<u2"),
        "test_images": mnist.test.images,
        "test_labels": mnist.test.labels.astype(np.uint8),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file and print the checksums of its arrays."""
    parser = argparse.ArgumentParser(description="Build the bundled MNIST subset.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--per-class", type=int, default=1000)
    options = parser.parse_args(arguments)
    arrays = balanced_subset(load_mnist(options.data_dir), options.per_class)
    np.savez_compressed(options.out, **arrays)
    for name, array in arrays.items():
        shape = " x ".join(f"{length:,}" for length in array.shape)
        print(f"| `{name}` | {array.dtype} | {shape} | `{hashlib.sha256(array).hexdigest()}` |")


if __name__ == "__main__":
    main()
