"""Small event files in the formats of N-MNIST and SHD, of which no event was ever recorded.

``python experiments/_event_files.py DIR`` writes both. Digits of the bundled subset of MNIST are
moved along N-MNIST's three saccades past simulated pixels of an event camera; words of simulated
formants become spikes of 700 channels. Files have the layout of the published ones, so that what
reads these reads those. No figure from them is one of the real datasets.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from biosnn import datasets

SENSOR = 34  # pixels, of N-MNIST
STEP = 2100  # microseconds between two looks at the picture
#: Where the digit is at the ends of the saccades, (x, y) in pixels, as N-MNIST's camera moves.
CORNERS = np.array([(-3.5, -3.5), (0.0, 3.5), (3.5, -3.5), (-3.5, -3.5)])
SACCADE = 105_000  # microseconds
CONTRAST = 0.35  # change of the log intensity that makes an event
N_CHANNELS, N_WORDS = 700, 10
WORD = 0.6  # seconds
FORMANTS = 3
SPIKES = 400  # of each formant, on average


def saccade_events(
    images: np.ndarray, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Events ``(x, y, polarity, time in microseconds)`` of each image [n, 28, 28] of bytes."""
    n = len(images)
    margin = (SENSOR - images.shape[1]) // 2 + 4
    wide = np.pad(images / np.float32(255), ((0, 0), (margin, margin), (margin, margin)))
    looks = np.arange(0, 3 * SACCADE, STEP)
    path = np.stack([np.interp(looks / SACCADE, range(4), CORNERS[:, k]) for k in (0, 1)], axis=1)
    known = np.log1p(5 * _view(wide, *path[0]))
    found = []
    for time, place in zip(looks[1:], path[1:], strict=True):
        change = np.log1p(5 * _view(wide, *place)) - known
        fired = np.abs(change) > CONTRAST
        fired ^= rng.random(fired.shape, dtype=np.float32) < 2e-4  # noise of the pixels
        known += np.where(fired, change, 0)
        sample, y, x = np.nonzero(fired)
        at = time + rng.integers(0, STEP, len(x))
        found.append(np.stack([sample, x, y, change[fired] > 0, at]))
    sample, x, y, polarity, at = np.concatenate(found, axis=1)
    order = np.lexsort((at, sample))
    columns = [column[order] for column in (x, y, polarity, at)]
    borders = np.searchsorted(sample[order], np.arange(1, n))
    return list(zip(*(np.split(column, borders) for column in columns), strict=True))


def _view(wide: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """What the sensor sees of padded images when they are moved by parts of a pixel."""
    x, y = 4 - dx, 4 - dy
    left, top = int(np.floor(x)), int(np.floor(y))
    u, v = np.float32(x - left), np.float32(y - top)

    def cut(row: int, column: int) -> np.ndarray:
        return wide[:, top + row :, left + column :][:, :SENSOR, :SENSOR]

    upper = (1 - u) * cut(0, 0) + u * cut(0, 1)
    return (1 - v) * upper + v * ((1 - u) * cut(1, 0) + u * cut(1, 1))


def write_bin(
    file: Path, x: np.ndarray, y: np.ndarray, polarity: np.ndarray, time: np.ndarray
) -> None:
    """Write the events of one sample as N-MNIST's ``.bin``; times in microseconds below 2**23."""
    columns = (x, y, polarity.astype(int) << 7 | time >> 16, time >> 8 & 255, time & 255)
    file.write_bytes(np.stack(columns, axis=1).astype(np.uint8).tobytes())


def write_nmnist(folder: Path, n_train: int, n_test: int, seed: int) -> Path:
    """Write ``Train/0`` to ``Test/9``: a tenth of `n_train` and `n_test` of each MNIST digit."""
    digits = datasets.load_digits()
    rng = np.random.default_rng([seed, 0])
    for part, split, n in (("Train", digits.train, n_train), ("Test", digits.test, n_test)):
        rows = [np.flatnonzero(split.labels == digit)[: n // 10] for digit in range(10)]
        split = split.pick(np.concatenate(rows))
        for digit in range(10):
            (folder / part / str(digit)).mkdir(parents=True, exist_ok=True)
        samples = saccade_events(split.images, rng)
        for number, (label, sample) in enumerate(zip(split.labels, samples, strict=True), 1):
            write_bin(folder / part / str(label) / f"{number:05}.bin", *sample)
    return folder


def word_spikes(
    labels: np.ndarray, words: np.ndarray, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Spikes ``(time in s, channel)`` of one utterance of each label.

    Parameters
    ----------
    labels : int array [n]
        Which word; those of the second half are the words of the first half, played backwards, so
        that a channel's number of spikes tells them less well than their order.
    words : array [n_words/2, formants, points]
        Course of the formants: channels at points that lie equally far apart in time.
    rng : numpy.random.Generator
        Of the speaker's tempo and pitch, and of the spikes.
    """
    found = []
    half, _, points = words.shape
    for label in labels:
        tempo, onset, pitch = rng.uniform(0.85, 1.15), rng.uniform(0, 0.05), rng.normal(0, 12)
        times, channels = [], []
        for course in words[label % half]:
            n = rng.poisson(SPIKES)
            when = np.sort(rng.beta(1.5, 1.5, n))  # loudest in the middle
            course = course[::-1] if label >= half else course
            centre = np.interp(when, np.linspace(0, 1, points), course)
            channels.append(np.clip(np.rint(centre + pitch + rng.normal(0, 15, n)), 0, 699))
            times.append(onset + tempo * WORD * when)
        time, channel = np.concatenate(times), np.concatenate(channels).astype(np.uint16)
        order = np.argsort(time, kind="stable")
        found.append((time[order], channel[order]))
    return found


def write_heidelberg(
    file: Path,
    samples: Sequence[tuple[np.ndarray, np.ndarray]],
    labels: np.ndarray,
    keys: Sequence[str],
) -> None:
    """Write spikes ``(times in s, units)`` in the layout of SHD and SSC."""
    import h5py

    with h5py.File(file, "w") as content:
        spikes, extra = content.create_group("spikes"), content.create_group("extra")
        for name, dtype, column in (("times", np.float16, 0), ("units", np.uint16, 1)):
            array = spikes.create_dataset(name, (len(samples),), h5py.vlen_dtype(np.dtype(dtype)))
            for row, sample in enumerate(samples):
                array[row] = sample[column].astype(dtype)
        content["labels"] = np.asarray(labels, np.uint16)
        extra["keys"] = np.array([key.encode() for key in keys])
        extra["speaker"] = np.zeros(len(samples), np.uint16)


def write_shd(folder: Path, n_train: int, n_test: int, seed: int) -> Path:
    """Write ``shd_train.h5`` and ``shd_test.h5`` of synthetic words."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 1])
    words = rng.uniform(60, 640, (N_WORDS // 2, FORMANTS, 4))
    keys = [f"synthetic {k}{' backwards' if k >= 5 else ''}" for k in range(N_WORDS)]
    for part, n in (("train", n_train), ("test", n_test)):
        labels = rng.permutation(np.arange(n) % N_WORDS)
        write_heidelberg(folder / f"shd_{part}.h5", word_spikes(labels, words, rng), labels, keys)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--train", type=int, default=1000, metavar="N")
    parser.add_argument("--test", type=int, default=500, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    asked = parser.parse_args()
    write_nmnist(asked.folder / "n-mnist", asked.train, asked.test, asked.seed)
    write_shd(asked.folder / "shd", asked.train, asked.test, asked.seed)
