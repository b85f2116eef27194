"""Folders of runs, bundles and pictures that somebody else has made: data, never what is run."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biosnn import experiments
from biosnn.cli import figures
from biosnn.errors import BiosnnError, ParameterError, StorageError

MARKER = "marker"
EVIL = f'from pathlib import Path\n(Path(__file__).parents[1] / "{MARKER}").write_text("run")\n'


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scripts that leave a marker; the output folder ``out`` of a run is in it."""
    (tmp_path / "experiments").mkdir()
    for name in ("evil", "_mnist", "lif_membrane"):
        (tmp_path / "experiments" / f"{name}.py").write_text(EVIL)
    (tmp_path / "out").mkdir()
    return tmp_path


def note(hostile: Path, **changes: Any) -> Path:
    known = {
        "experiment": "evil", "arguments": [], "folder": str(hostile), "finished": False, **changes,
    }  # fmt: skip
    (hostile / "out" / "command.json").write_text(json.dumps(known))
    return hostile / "out"


def resumed(folder: Path, cwd: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """What ``biosnn resume`` said, and the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "biosnn", "resume", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("inside", [True, False], ids=["called there", "called elsewhere"])
def test_no_script_of_a_run_folder_is_run(
    inside: bool, hostile: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = hostile if inside else tmp_path_factory.mktemp("elsewhere")
    done, seconds = resumed(note(hostile), where)
    assert done.returncode == 2
    assert "names the experiment 'evil', which is none of biosnn's" in done.stderr
    assert done.stderr.count("\n") == 1
    assert seconds < 1
    assert not (hostile / MARKER).exists()


@pytest.mark.parametrize(
    "name",
    ["../experiments/evil", "experiments/evil.py", "/tmp/evil.py", "_mnist", "", 7, None, ["evil"]],
)
def test_names_in_a_run_folder_are_names_and_no_paths(
    name: Any, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    with pytest.raises(StorageError, match=r"none of biosnn's.*--script PATH"):
        experiments.interrupted_command(note(hostile, experiment=name))


def test_an_experiment_of_biosnn_is_never_replaced(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    out = note(hostile, experiment="lif_membrane", arguments=["--smoke"])
    script, words = experiments.interrupted_command(out)
    assert script == experiments.find_experiment("lif_membrane")
    assert not script.is_relative_to(hostile)
    assert words == ["--smoke", "--resume", "--out", str(out)]


def test_a_script_that_the_user_names_is_run(hostile: Path) -> None:
    done, _ = resumed(note(hostile), hostile, "--script", "experiments/evil.py")
    assert done.returncode == 0, done.stderr
    assert (hostile / MARKER).exists()


def test_flags_of_one_call_are_not_taken_from_a_folder(hostile: Path) -> None:
    """They would write elsewhere, or over what is there."""
    said = ["--out", "/elsewhere", "--overwrite", "--seed", "3", "--restart", "--out=/elsewhere"]
    out = note(hostile, experiment="lif_membrane", arguments=said)
    _, words = experiments.interrupted_command(out)
    assert words == ["--seed", "3", "--resume", "--out", str(out)]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        '{"experiment": "lif_membrane", "finished": false}',
        '{"experiment": "lif_membrane", "arguments": 3, "finished": false}',
        '{"experiment": "lif_membrane", "arguments": [3], "finished": false}',
        '{"experiment": "lif_membrane", "arguments": ["a\\u0000b"], "finished": false}',
        "[" * 100_000,
        " " * 2**21,
    ],
)
def test_damaged_notes_are_a_sentence(text: str, hostile: Path) -> None:
    (hostile / "out" / "command.json").write_text(text)
    with pytest.raises(StorageError, match=r"command\.json is damaged"):
        experiments.interrupted_command(hostile / "out")


def test_a_script_of_ones_own_is_named_by_its_path(hostile: Path, monkeypatch) -> None:
    monkeypatch.chdir(hostile)
    path = Path("experiments/evil.py")
    assert experiments.find_script(str(path)) == path
    assert experiments.find_script("lif_membrane") == experiments.find_experiment("lif_membrane")
    for name in ("evil", "experiments/evil", "missing.py"):
        with pytest.raises(ParameterError):
            experiments.find_script(name)


def test_what_is_noted_holds_in_any_folder(tmp_path: Path, monkeypatch) -> None:
    """Nobody changes into a folder that a file names, so paths are noted whole."""
    monkeypatch.chdir(tmp_path)
    parser = experiments.parser("coin", "Toss.")
    experiments.add_run_flags(parser)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--train", type=int)
    words = ["--train=5", "--data-dir", "MNIST", "--out", "here", "--resume"]
    args = parser.parse_args(words)
    assert args.command == ["--train=5", "--data-dir", str(tmp_path / "MNIST")]
    args = parser.parse_args(["--data-dir=5", "--train", "5", "--out=here"])
    assert args.command == [f"--data-dir={tmp_path / '5'}", "--train", "5"]
    args.restart = True
    experiments.begin(args)
    noted = json.loads((tmp_path / "here" / "command.json").read_text())
    assert noted == {"experiment": "coin", "arguments": args.command, "finished": False}
    with pytest.raises(StorageError, match="none of biosnn's"):
        experiments.interrupted_command(tmp_path / "here")


# --- images


def within_bounds(code: str, *, seconds: float = 1.0, mib: int = 200) -> str:
    """What a refusal said, in a process that may take so much memory besides its imports.

    The time is CPU time, because other processes do not lengthen it.
    """
    script = f"""
import resource, time
import numpy, PIL.Image
from biosnn import datasets
from biosnn.errors import BiosnnError
before = resource.getrusage(resource.RUSAGE_SELF)
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    {code}
    print("taken")
except BiosnnError as error:
    print(error)
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
print((after.ru_maxrss - before.ru_maxrss) / 1024)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    said, took, grew = done.stdout.splitlines()
    assert float(took) < seconds
    assert float(grew) < mib
    return said


def png(width: int, height: int) -> bytes:
    """A black picture whose rows compress to nothing."""
    rows = zlib.compressobj(9)
    blank = bytes(1 + -(-width // 8))
    data = b"".join(rows.compress(blank) for _ in range(height)) + rows.flush()

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [6000, 13_000, 60_000])
def test_a_huge_picture_is_refused_by_its_header(side: int, tmp_path: Path) -> None:
    """S8: 169 million pixels in a file of 20 kB."""
    path = tmp_path / "huge.png"
    path.write_bytes(png(side, side))
    assert path.stat().st_size < 10**6
    said = within_bounds(f"datasets.load_image({str(path)!r})")
    assert re.search(r"huge\.png (has \d+ x \d+ pixels|cannot be read as an image)", said)


def test_a_picture_below_the_limit_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(5700, 5800))
    said = within_bounds(f"datasets.load_image({str(path)!r}, invert=True)", seconds=10)
    assert "shows no ink" in said or said == "taken"


def test_no_other_program_reads_a_picture(tmp_path: Path) -> None:
    """PostScript is a language, and Pillow would have it run."""
    path = tmp_path / "picture.png"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EOF\n")
    said = within_bounds(f"datasets.load_image({str(path)!r})")
    assert "cannot be read as an image" in said


IDX = struct.pack(">I", 0x0803)
BOMBS = {
    "declares much": (IDX + struct.pack(">III", 60_000, 28, 28) + b"\0" * 100, ""),
    "declares too much": (IDX + struct.pack(">III", 2**31, 2**31, 2**31), ""),
    "is truncated": (IDX + b"\0\0", ""),
    "is a bomb": (IDX + struct.pack(">III", 2, 28, 28) + bytes(2**30), ".gz"),
    "declares a bomb": (IDX + struct.pack(">III", 2**20, 32, 32) + bytes(2**20), ".gz"),
    "declares more than it has": (IDX + struct.pack(">III", 2**17, 32, 32) + b"\0" * 100, ".gz"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_idx_files_are_read_within_what_they_declare(case: str, tmp_path: Path) -> None:
    """S8: 5 MB of gzip that become gigabytes, and headers that promise them."""
    content, suffix = BOMBS[case]
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(gzip.compress(content, 1) if suffix else content)
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(b"")
    said = within_bounds(f"datasets.load_mnist({str(tmp_path)!r})")
    wanted = r"idx3-ubyte(\.gz)? (holds|has a header) .*promises \d+.*; download it again"
    assert re.search(wanted, said), said


@pytest.mark.parametrize("name", ["arrays.npz", "checkpoints", "checkpoints/parts/one.json"])
def test_a_run_that_goes_on_writes_through_no_link(name: str, hostile: Path) -> None:
    """S7: a link in a stranger's folder would let the run write over a file elsewhere."""
    out = note(hostile, experiment="mnist_stdp")
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).symlink_to(hostile / "precious")
    with pytest.raises(StorageError, match=rf"{name} is a symbolic link"):
        experiments.interrupted_command(out)


def test_pictures_are_drawn_through_no_link(tmp_path: Path) -> None:
    _archive(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "figures").symlink_to(elsewhere)
    with pytest.raises(StorageError, match="figures is a symbolic link"):
        list(figures.draw(tmp_path, None, []))
    assert not list(elsewhere.iterdir())


def _archive(path: Path, **changed: Any) -> Path:
    arrays = {"weights": np.arange(10_000.0).reshape(100, 100), **changed}
    np.savez_compressed(path / "arrays.npz", **arrays)
    return path / "arrays.npz"


def _with_method(data: bytes, method: int) -> bytes:
    """The archive whose directory says that its arrays are packed in another way."""
    at = data.index(b"PK\x01\x02") + 10
    return data[:at] + struct.pack("<H", method) + data[at + 2 :]


DAMAGE = {
    "damaged": lambda data: data[:200] + b"\xff" * 100 + data[300:],
    "packed in an unknown way": lambda data: _with_method(data, 77),
    "cut": lambda data: data[:-30],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_an_archive_that_cannot_be_read_is_a_sentence(kind: str, tmp_path: Path) -> None:
    path = _archive(tmp_path)
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    with pytest.raises(StorageError, match=r"arrays\.npz cannot be read as arrays"):
        list(figures.draw(tmp_path, None, []))


@pytest.mark.parametrize("shape", [np.array(["a"]), np.array([np.nan]), np.array([1e300, 2.0])])
def test_a_layout_that_is_none_leaves_the_other_pictures(shape: Any, tmp_path: Path) -> None:
    _archive(tmp_path, shape=shape)
    problems: list[BiosnnError] = []
    drawn = [path.name for path in figures.draw(tmp_path, None, problems)]
    assert drawn == ["weights.png"]
    assert "biosnn plot.shape must be made of whole numbers" in str(problems[0])
