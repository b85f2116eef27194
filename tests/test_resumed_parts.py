"""Experiments in parts: what was finished before an interruption is not done again (S13)."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biosnn import experiments, files
from biosnn.errors import StorageError
from biosnn.state import State

#: Those that run for more than some minutes, or are asked to with more data.
LONG = {
    "ann2snn_mnist",
    "diehl_cook_2015",
    "mnist_currents",
    "mnist_stdp",
    "mnist_surrogate",
    "rstdp_distal_reward",
    "rstdp_mnist",
    "rstdp_xor",
    "spoken_sequences",
    "stdp_plus_gradient",
    "train_adex",
}
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
    with pytest.raises(StorageError, match=r"those of a few minutes keep nothing, start them"):
        experiments.interrupted_command(tmp_path)


@pytest.mark.parametrize("name", experiments.experiment_names())
def test_the_long_experiments_keep_what_they_have_finished(name: str) -> None:
    """S13: only two could be resumed with ``biosnn resume``."""
    text = experiments.find_experiment(name).read_text()
    assert ("experiments.begin(args)" in text) == (name in LONG)


def figures(out: Path) -> Any:
    """Metrics and controls of a run, without times."""
    report = json.loads((out / "results.json").read_text())

    def untimed(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        timed = ("_s", "_minutes")
        return {key: untimed(part) for key, part in value.items() if not key.endswith(timed)}

    return untimed({key: report[key] for key in ("metrics", "controls")})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_files", "flags"),
    [
        ("mnist_currents", 1, "--checkpoint-every 40"),
        pytest.param("stdp_plus_gradient", 2, "", marks=pytest.mark.nightly),
        pytest.param(
            "mnist_surrogate",
            2,
            "--train 500 --test 200 --epochs 3",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_a_long_experiment_goes_on(
    name: str, n_files: int, flags: str, python: Any, tmp_path: Path
) -> None:
    """Interrupted when it has kept something, it ends with the figures of a whole run."""
    script, out, whole = experiments.find_experiment(name), tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, str(script), "--smoke", "--quiet", *flags.split(), "--out"]
    with subprocess.Popen([*command, str(out)], stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None and len(list(out.rglob("*.biosnn"))) < n_files:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        said = child.communicate()[1]
    assert child.returncode == 130, said
    assert f"Go on with: biosnn resume {out}" in said
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("parts/*.biosnn")}
    done = python("biosnn", "resume", str(out))
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert python(*command[1:], str(whole)).returncode == 0
    assert figures(out) == figures(whole)
    shutil.rmtree(out)
