"""Damaged files are refused: of a run's folder, and of a compiled network.

100 corruptions, each drawn from its own number: a truncation, one flipped bit, a foreign file in
the place, appended bytes. Harmless, and therefore not among them, are: a checkpoint that is older
than the newest one; what lies in ``recording/`` behind the length that the checkpoint knows (a run
that was killed leaves such bytes, and they are cut off); and a change that leaves a JSON file
saying the same (``1e-12`` for ``1E-12``, blanks at its end). The last test shows the first two.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from biosnn import simulation, storage
from biosnn.errors import StorageError

N_SAMPLES, EVERY, SEED = 60, 20, 5
KINDS = ("truncated", "flipped", "foreign", "appended")
NEWEST, OLDER = "checkpoint-000000000100.biosnn", "checkpoint-000000000080.biosnn"
RECORDING = tuple(
    f"recording/{name}"
    for name in ("exc.count", "shown", "spikes.exc.i", "spikes.exc.t", "spikes.exc.sample")
)
IN_RUN = [
    (name, kind)
    for name in (NEWEST, "run.json", *RECORDING)
    for kind in KINDS
    if kind != "appended" or name not in RECORDING
]
LISTED = "static_arrays/_static_array__array_inp_exc_listed"
IN_ARTIFACT = [
    (name, kind)
    for name in (
        "manifest.json",
        "main",
        "state",
        "program.cpp",
        f"{LISTED}_sources",
        f"{LISTED}_targets",
    )
    for kind in KINDS
]


def harness() -> ModuleType:
    """benchmarks/faults.py, for its network."""
    path = Path(__file__).parents[2] / "benchmarks" / "faults.py"
    spec = importlib.util.spec_from_file_location("faults", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def fit(runnable, images, folder, seed=SEED):
    return runnable.fit(
        images,
        epochs=2,
        folder=folder,
        checkpoint_every=EVERY,
        keep=3,
        resume=True,
        seed=seed,
        progress=False,
    )


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A run as it is left when it is killed after 100 of 120 samples, and its network."""
    folder = tmp_path_factory.mktemp("corruption")
    faults = harness()
    runnable, images = faults.compiled(), faults.images(N_SAMPLES)
    runnable.export(folder / "artifact")
    for name, seed in (("run", SEED), ("other", SEED + 1)):
        recording, state = fit(runnable, images, folder / name, seed)
        assert len(recording.spikes["exc"].i) > 2 * N_SAMPLES
        (folder / name / "checkpoint-000000000120.biosnn").unlink()
        storage.save_state(state, folder / f"{name}.biosnn", runnable.network)
    assert (folder / "run" / OLDER).exists()
    return folder, runnable, images


def corrupted(data: bytes, kind: str, length: int, foreign: list[bytes], rng) -> bytes:
    """Other bytes; the change is within the first ``length`` ones."""
    if kind == "truncated":
        return data[: rng.integers(0, length)]
    if kind == "flipped":
        at = int(rng.integers(0, length))
        return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(0, 8)))]) + data[at + 1 :]
    if kind == "appended":
        return data + rng.bytes(int(rng.integers(8, 1000)))
    choices = [rng.bytes(len(data)), bytes(len(data)), b"{}", b"[1]", b"\x89PNG\r\n", *foreign]
    return choices[rng.integers(len(choices))]


def corrupt(path: Path, kind: str, length: int, foreign: list[bytes], rng) -> None:
    """Change a file so that it says something else."""
    data = path.read_bytes()
    while said(path, changed := corrupted(data, kind, length, foreign, rng)) == said(path, data):
        pass
    path.write_bytes(changed)


def said(path: Path, data: bytes) -> object:
    """What a file says: of JSON the content, else the bytes."""
    if path.suffix != ".json":
        return data
    try:
        return json.loads(data)
    except ValueError:
        return data


def hashes(folder: Path) -> dict[str, str]:
    """Of every file but the lock and those of a session."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name != "run.lock"
        and path.relative_to(folder).parts[0] != ".biosnn-work"
    }


@pytest.mark.parametrize("number", range(50))
def test_a_damaged_run_is_refused(bench, number, tmp_path):
    base, runnable, images = bench
    name, kind = IN_RUN[number % len(IN_RUN)]
    rng = np.random.default_rng([1, number])
    copy = tmp_path / "run"
    shutil.copytree(base / "run", copy)
    length = (base / "run" / name).stat().st_size
    foreign = [(base / "other" / "run.json").read_bytes(), (base / "run.biosnn").read_bytes()]
    if name in RECORDING:
        length = recorded_length(base / "run", name)
    else:
        foreign.append((base / "other" / NEWEST).read_bytes())
    corrupt(copy / name, kind, length, foreign, rng)
    before = hashes(copy)
    with pytest.raises(StorageError) as caught:
        fit(runnable, images, copy)
    assert_names(str(caught.value), copy, name)
    assert hashes(copy) == before


def recorded_length(folder: Path, name: str) -> int:
    """Bytes of a file of the recording that belong to the first 100 of 120 samples."""
    data = (folder / name).read_bytes()
    if not name.startswith("recording/spikes"):
        return len(data) * 100 // 120
    sample = np.fromfile(folder / "recording" / "spikes.exc.sample", dtype=np.int64)
    return len(data) // len(sample) * int(np.count_nonzero(sample < 100))


def assert_names(message: str, folder: Path, name: str) -> None:
    """Assert that a message is one line that names the file.

    A ``run.json`` that can be read tells of another run, and that is what the message says.
    """
    assert "\n" not in message
    assert str(folder) in message
    if not (name == "run.json" and "holds another run" in message):
        assert name in message


@pytest.mark.parametrize("number", range(50))
def test_a_damaged_compiled_network_is_refused(bench, number, tmp_path):
    base = bench[0]
    name, kind = IN_ARTIFACT[number % len(IN_ARTIFACT)]
    copy = tmp_path / "artifact"
    shutil.copytree(base / "artifact", copy)
    path = copy / name
    foreign = [(copy / other).read_bytes() for other, _ in IN_ARTIFACT if other != name]
    foreign.append((base / "run" / "run.json").read_bytes())
    rng = np.random.default_rng([2, number])
    corrupt(path, kind, path.stat().st_size, foreign, rng)
    before = hashes(copy)
    with pytest.raises(StorageError) as caught:
        simulation.load(copy)
    assert_names(str(caught.value), copy, name)
    assert hashes(copy) == before


def test_what_is_not_read_may_be_damaged(bench, tmp_path):
    base, runnable, images = bench
    rng = np.random.default_rng(3)
    expected = storage.load_state(base / "run.biosnn", runnable.network).checksum()
    whole, harmless = tmp_path / "whole", tmp_path / "harmless"
    shutil.copytree(base / "run", whole)
    shutil.copytree(base / "run", harmless)
    (harmless / OLDER).write_bytes(rng.bytes(100))
    for name in RECORDING:
        path, length = harmless / name, recorded_length(harmless, name)
        assert length < path.stat().st_size
        path.write_bytes(path.read_bytes()[:length] + rng.bytes(1001))
    recordings = []
    for folder in (whole, harmless):
        recording, state = fit(runnable, images, folder)
        assert state.checksum() == expected
        recordings.append(recording)
    first, second = recordings
    assert len(first.shown) == 2 * N_SAMPLES
    np.testing.assert_array_equal(first.counts("exc"), second.counts("exc"))
    for part in ("i", "t", "sample"):
        np.testing.assert_array_equal(
            getattr(first.spikes["exc"], part), getattr(second.spikes["exc"], part)
        )
