"""``biosnn classify``: classify pictures with a saved model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biosnn import datasets, storage
from biosnn.errors import BiosnnError, DataError


def classify_pictures(
    model: Path, pictures: Sequence[Path], *, device: str, seed: int, invert: bool | None
) -> tuple[list[dict[str, Any]], list[BiosnnError]]:
    """Classify the pictures that can be read.

    Returns
    -------
    found : list of dict
        In the order of the pictures: ``image`` and ``label`` (-1: no neuron fired), or ``error``.
    problems : list of BiosnnError
        Of those that cannot be read.
    """
    trained = storage.load_model(model)
    shape, how = trained.image_shape, "auto" if invert is None else invert
    found: list[dict[str, Any]] = [{"image": str(path)} for path in pictures]
    problems: list[BiosnnError] = []
    samples = {}
    for number, path in enumerate(pictures):
        try:
            samples[number] = datasets.load_image(path, invert=how, shape=shape)
        except DataError as error:
            problems.append(error)
            found[number]["error"] = str(error)
    if samples:
        rows = np.stack(list(samples.values()))
        labels = trained.classify(rows, device=device, seed=seed).tolist()
        for number, label in zip(samples, labels, strict=True):
            found[number]["label"] = label
    return found, problems
