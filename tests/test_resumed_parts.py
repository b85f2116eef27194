"""Experiments in parts: what was finished before an interruption is not done again (S13)."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biosnn import experiments, files
from biosnn.cli.run_script import run_script
from biosnn.errors import StorageError
from biosnn.experiments import flags
from biosnn.state import State

#: Experiments that are interrupted daily; the others are killed nightly.
DAILY = {"mnist_currents"}
#: Flags with which the smoke run keeps more than one thing.
FLAGS = {"mnist_currents": ("--checkpoint-every", "40")}
SCRIPT = """
import numpy as np
from pathlib import Path
from biosnn import experiments
def run():
    parser = experiments.parser("mine", "Count.")
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--notes", type=Path)
    experiments.add_resume_flags(parser)
    args = parser.parse_args()
    experiments.begin(args)
    parts = experiments.Parts(args)
    def make(k):
        with args.notes.open("a") as notes:
            notes.write(f"{k}\\n")
        if k == 2 and not args.resume:
            raise KeyboardInterrupt
        return {"array": np.arange(k) / 3, "k": k}
    found = [parts(f"part-{k}", lambda k=k: make(k)) for k in range(args.parts)]
    experiments.write_report(args, metrics={"sum": sum(one["array"].sum() for one in found)})
experiments.main(run)
"""


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    return parsed(tmp_path, "--seed", "3")


def parsed(out: Path, *flags: str) -> argparse.Namespace:
    parser = experiments.parser("mine", "Count.")
    experiments.add_resume_flags(parser)
    return parser.parse_args([*flags, "--out", str(out)])


VALUE = {
    "number": 1 / 3,
    "none": None,
    "list": [1, True, "text", float("inf")],
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "deep": {"empty": np.zeros((0, 2)), "whole": np.int64(7), "tuple": (1.5, 2.5)},
    "state": State({"q.w": np.arange(6.0), "a.v": np.ones(2)}, {"q.w": (2, 3)}, {"a.v": "V"}),
}


def test_parts_come_back_as_they_were(args: argparse.Namespace, tmp_path: Path) -> None:
    experiments.begin(args)
    first = experiments.Parts(args)("one", lambda: VALUE)
    again = experiments.Parts(parsed(tmp_path, "--seed", "3", "--resume"))("one", pytest.fail)
    for found in (first, again):
        assert found["number"] == 1 / 3
        assert found["none"] is None
        assert found["list"] == [1, True, "text", float("inf")]
        assert found["array"].dtype == np.float32
        np.testing.assert_array_equal(found["array"], VALUE["array"])
        assert found["deep"]["empty"].shape == (0, 2)
        assert found["deep"]["whole"] == 7
        assert found["deep"]["tuple"] == [1.5, 2.5]
        assert found["state"].checksum() == VALUE["state"].checksum()
        assert found["state"].shapes == {"q.w": (2, 3)}
        assert found["state"].units == {"a.v": "V"}


def test_parts_of_other_flags_are_refused(args: argparse.Namespace, tmp_path: Path) -> None:
    experiments.begin(args)
    experiments.Parts(args)("one", lambda: 1)
    other = experiments.Parts(parsed(tmp_path, "--seed", "4", "--resume"))
    with pytest.raises(StorageError, match=r"had --seed 3, not 4; give the same flags"):
        other("one", pytest.fail)
    quiet = experiments.Parts(parsed(tmp_path, "--seed", "3", "--resume", "--quiet"))
    assert quiet("one", pytest.fail) == 1
    with pytest.raises(StorageError, match=r"holds an interrupted run; go on with it"):
        experiments.begin(parsed(tmp_path, "--seed", "3"))


def test_damaged_parts_are_refused(args: argparse.Namespace, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "parts" / "one.biosnn"
    resumed = experiments.Parts(parsed(tmp_path, "--seed", "3", "--resume"))
    for content in ({}, {"settings": 3, "value": 1}, []):
        files.write(path, files.packed("part", content, {}), overwrite=True)
        with pytest.raises(StorageError, match=r"one\.biosnn"):
            resumed("one", pytest.fail)
    path.write_bytes(b"nothing")
    with pytest.raises(StorageError):
        resumed("one", pytest.fail)


def test_finished_parts_are_not_done_again(python: Any, tmp_path: Path) -> None:
    """Interrupted in the third part, with the command that goes on in the message."""
    script, out, notes = tmp_path / "mine.py", tmp_path / "out", tmp_path / "notes"
    script.write_text(SCRIPT)
    stopped = python(script, "--out", str(out), "--notes", str(notes), "--quiet")
    assert stopped.returncode == 130
    said, then = stopped.stderr.splitlines()
    assert said == "interrupted"
    assert then == f"Go on with: biosnn resume {out} --script {script}"
    assert notes.read_text().split() == ["0", "1", "2"]
    words = then.partition(": biosnn ")[2].split()
    done = python("biosnn", *words)
    assert done.returncode == 0, done.stderr
    assert notes.read_text().split() == ["0", "1", "2", "2", "3"]
    report = json.loads((out / "results.json").read_text())
    assert report["metrics"]["sum"] == pytest.approx((0 + 1 + 3) / 3)
    again = python("biosnn", *words)
    assert again.returncode == 2
    assert "has ended" in again.stderr


def test_an_experiment_that_keeps_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"those of less than a minute keep nothing, start them"):
        experiments.interrupted_command(tmp_path)


def begins(name: str) -> bool:
    return "experiments.begin(args)" in experiments.find_experiment(name).read_text()


def experiment(name: str) -> Path:
    """The script; skips the test where it needs PyTorch, which is an extra."""
    script = experiments.find_experiment(name)
    if "\nimport torch\n" in script.read_text():
        pytest.importorskip("torch")
    return script


@pytest.fixture
def parser_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The parser of an experiment, with all of its flags."""
    made: list[Any] = []

    def stop(parser: Any, *_: Any) -> None:
        made.append(parser)
        raise SystemExit

    def found(name: str) -> Any:
        monkeypatch.setattr(flags.Parser, "parse_args", stop)
        with pytest.raises(SystemExit):
            run_script(experiment(name), ())
        return made[-1]

    return found


@pytest.mark.parametrize("name", experiments.experiment_names())
def test_experiments_take_a_minute_or_can_be_resumed(
    name: str, parser_of: Callable[[str], Any]
) -> None:
    """S13: only two could be resumed with ``biosnn resume``."""
    parser = parser_of(name)
    resumed = parser.get_default("resume") is not None
    assert resumed == (parser.seconds is None)
    assert begins(name) == resumed
    if not resumed:
        assert 0 < parser.seconds <= 60
        assert f"It takes about {parser.seconds} s on one core" in parser.format_help()


def figures(out: Path) -> Any:
    """Metrics and controls of a run, without times."""
    report = json.loads((out / "results.json").read_text())

    def untimed(value: Any) -> Any:
        if isinstance(value, list):
            return [untimed(part) for part in value]
        if not isinstance(value, dict):
            return value
        return {
            key: untimed(part)
            for key, part in value.items()
            if not key.endswith(("_s", "_minutes")) and not key.startswith("ms_per_")
        }

    return untimed({key: report[key] for key in ("metrics", "controls")})


def kept(out: Path) -> set[Path]:
    return set((out / "checkpoints").rglob("*.biosnn"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in DAILY else pytest.mark.nightly)
        for name in experiments.experiment_names()
        if begins(name)
    ],
)
def test_a_long_experiment_goes_on(name: str, python: Any, tmp_path: Path) -> None:
    """Stopped when it has kept half of what it keeps, it ends with the figures of a whole run."""
    script, out, whole = experiment(name), tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, str(script), "--smoke", "--quiet", *FLAGS.get(name, ()), "--out"]
    assert python(*command[1:], str(whole)).returncode == 0
    assert kept(whole)
    seen: set[Path] = set()
    with subprocess.Popen(
        [*command, str(out)], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        while child.poll() is None and len(seen) < max(len(kept(whole)) // 2, 1):
            seen |= kept(out)
            time.sleep(0.01)
        number = signal.SIGINT if name in DAILY else signal.SIGKILL
        os.killpg(child.pid, number)
        said = child.communicate()[1]
    if number == signal.SIGKILL:
        assert child.returncode == -number
    else:
        assert child.returncode == 130, said
        assert f"Go on with: biosnn resume {out}" in said
    assert not (out / "results.json").exists()
    parts = {path: path.stat().st_mtime_ns for path in kept(out) if path.parent.name == "parts"}
    done = python("biosnn", "resume", str(out))
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == then for path, then in parts.items())
    assert figures(out) == figures(whole)
    shutil.rmtree(out)
