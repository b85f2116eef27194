"""Build the bundled Japanese Vowels from the two ``.ts`` files of the time-series archive.

    python scripts/build_vowels.py --data-dir DIR --out experiments/data/japanese_vowels.npz

DIR holds JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts. The same files give the same arrays;
their checksums are printed as the table in experiments/data/PROVENANCE.md.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def read_ts(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Series [frames, channels] and their labels, counted from 0, of a ``.ts`` file."""
    text = path.read_text("utf-8").partition("@data\n")[2]
    series, labels = [], []
    for line in filter(str.strip, text.splitlines()):
        *channels, label = line.split(":")
        series.append(np.array([[float(x) for x in c.split(",")] for c in channels]).T)
        labels.append(int(label) - 1)
    return series, np.array(labels, dtype=np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file and print the checksums of its arrays."""
    parser = argparse.ArgumentParser(description="Build the bundled Japanese Vowels.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    arrays: dict[str, np.ndarray] = {}
    for part in ("train", "test"):
        series, labels = read_ts(options.data_dir / f"JapaneseVowels_{part.upper()}.ts")
        frames = np.concatenate(series)
        arrays[f"{part}_millionths"] = np.round(1e6 * frames).astype("<i4", order="C")
        arrays[f"{part}_lengths"] = np.array([len(x) for x in series], dtype=np.uint8)
        arrays[f"{part}_speakers"] = labels
    np.savez_compressed(options.out, **arrays)
    for name, array in arrays.items():
        shape = " x ".join(f"{length:,}" for length in array.shape)
        print(f"| `{name}` | {array.dtype} | {shape} | `{hashlib.sha256(array).hexdigest()}` |")


if __name__ == "__main__":
    main()
