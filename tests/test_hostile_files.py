"""Files from strangers (S1, S7, S8): nothing in them is run, and none goes beyond its limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from biosnn import storage
from biosnn.errors import StorageError
from validation import _hostile, untrusted

FILES = _hostile.model_files()


@pytest.mark.parametrize("kind", FILES)
def test_a_hostile_model_is_refused_in_words(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.biosnn"
    path.write_bytes(FILES[kind])
    with _hostile.watched(), pytest.raises(StorageError) as caught:
        storage.load_model(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 700 + len(str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_file_without_harm_is_read(tmp_path: Path) -> None:
    """What the hostile files change is accepted as it was: the refusals are of the changes."""
    import json

    path = tmp_path / "model.biosnn"
    path.write_bytes(_hostile.saved(json.loads(_hostile.WHOLE)))
    assert storage.load_model(path).network.populations["out"].n == 2


def test_the_watch_sees_processes_and_files(tmp_path: Path) -> None:
    import subprocess
    import sys

    with _hostile.watched(tmp_path):
        (tmp_path / "allowed").touch()
        with pytest.raises(_hostile.TouchedError, match="open"):
            (tmp_path.parent / "outside").open("w")
        with pytest.raises(_hostile.TouchedError, match="Popen"):
            subprocess.run([sys.executable, "-c", ""], check=True)


def test_a_fuzz_of_the_gate_and_the_readers(tmp_path: Path) -> None:
    found = untrusted.fuzz(untrusted.SHORT_CASES, tmp_path)
    for kind, figures in found.items():
        assert figures["cases"]["ok"], kind
    assert found["equations"]["passed"] > 0
    assert found["declarations"]["passed"] > 0
