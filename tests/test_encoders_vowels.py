"""The bundled Japanese Vowels: whole, as published, and built by its script."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "experiments" / "data"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(DATA / "japanese_vowels.npz", allow_pickle=False) as archive:
        return dict(archive)


def test_the_checksums_are_those_of_the_provenance(arrays: dict[str, np.ndarray]) -> None:
    rows = re.findall(
        r"`(\w+)` \| (\w+) \| ([\d x,]+) \| `(\w{64})`", (DATA / "PROVENANCE.md").read_text()
    )
    assert {row[0] for row in rows} == set(arrays)
    for name, dtype, shape, checksum in rows:
        found = arrays[name]
        assert found.dtype.name == dtype
        assert " x ".join(f"{length:,}" for length in found.shape) == shape
        assert hashlib.sha256(found).hexdigest() == checksum


def test_the_numbers_are_those_of_the_publication(arrays: dict[str, np.ndarray]) -> None:
    """270 and 370 utterances of 7 to 29 frames, and so many of each speaker."""
    assert np.bincount(arrays["train_speakers"]).tolist() == [30] * 9
    assert np.bincount(arrays["test_speakers"]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = np.concatenate([arrays["train_lengths"], arrays["test_lengths"]])
    assert (lengths.min(), lengths.max()) == (7, 29)
    for part in ("train", "test"):
        assert arrays[f"{part}_lengths"].sum() == len(arrays[f"{part}_millionths"])


def test_the_script_reads_the_archive_format(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "build_vowels", ROOT / "scripts" / "build_vowels.py"
    )
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = "# a note\n@classLabel true 1 2\n@data\n1.5,-2.25:0.000001,3:2\n4:5:1\n"
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"JapaneseVowels_{part}.ts").write_text(text)
    out = tmp_path / "vowels.npz"
    script.main(["--data-dir", str(tmp_path), "--out", str(out)])
    with np.load(out) as made:
        assert made["test_millionths"].tolist() == [
            [1_500_000, 1], [-2_250_000, 3_000_000], [4_000_000, 5_000_000],
        ]  # fmt: skip
        assert made["train_lengths"].tolist() == [2, 1]
        assert made["train_speakers"].tolist() == [1, 0]
