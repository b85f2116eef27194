"""The wheel: what is in it, and that it works in any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from biosnn import experiments

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "biosnn/experiments/scripts"
#: What it starts is what the command ``biosnn`` starts: without the current folder on the path.
COMMAND = """
import sys
from importlib.metadata import distribution
sys.argv[0] = "biosnn"
(found,) = (one for one in distribution("biosnn").entry_points if one.name == "biosnn")
found.load()()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    (made,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(made)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, in a folder with a blank in its name."""
    folder = tmp_path_factory.mktemp("site packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def sources() -> set[str]:
    """All files of the package and its experiments: those that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    done = subprocess.run(
        [*command, "biosnn", "experiments"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}
    paths = [p for folder in ("biosnn", "experiments") for p in (ROOT / folder).rglob("*.*")]
    return {str(p.relative_to(ROOT)) for p in paths if p.is_file() and p.suffix != ".pyc"}


def test_the_wheel_has_the_package_with_its_experiments_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        there = set(archive.namelist())
    info = {name for name in there if name.split("/")[0].endswith(".dist-info")}
    moved = {name.replace("experiments/", f"{SCRIPTS}/", 1) for name in sources()
             if name.startswith("experiments/")}  # fmt: skip
    package = {name for name in sources() if name.startswith("biosnn/")}
    assert there - info == package | moved
    assert {f"{SCRIPTS}/{name}.py" for name in experiments.experiment_names()} <= there
    assert {"biosnn/data/digits.npz", f"{SCRIPTS}/data/japanese_vowels.npz"} <= there
    assert {Path(name).name for name in info} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "LICENSE",
        "entry_points.txt",
    }
    kinds = {Path(name).suffix for name in there - info}
    assert kinds <= {".py", ".npz", ".md", ".cpp", ".h", ".cu", ".slurm", ".sh"}


def test_the_sdist_has_what_the_wheel_is_made_of() -> None:
    builder = SdistBuilder(str(ROOT))
    there = {Path(one.distribution_path).as_posix() for one in builder.recurse_included_files()}
    assert sources() <= there  # hatchling adds pyproject.toml, README.md and LICENSE


def test_an_installed_biosnn_runs_experiments_in_any_folder(
    installed: Path, tmp_path: Path
) -> None:
    """C10; and modules that lie in the folder are not taken for those of Python or biosnn."""
    trap = "raise SystemExit('taken from the current folder')"
    for name in ("random", "numpy", "biosnn", "networks", "experiments/lif_membrane"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(trap)
    (tmp_path / "pyproject.toml").write_text("")

    def biosnn(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-c", COMMAND, *words], cwd=tmp_path, text=True,
            env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = [line.split()[0] for line in biosnn("run").splitlines()]
    assert tuple(listed) == experiments.experiment_names()
    report = json.loads(biosnn("run", "lif_membrane", "--smoke", "--json").splitlines()[-1])
    assert report["experiment"] == "lif_membrane"
    assert report["metrics"]["spikes"] >= 70
    assert report["environment"]["commit"] == "unknown", "it is not this checkout's"
    assert (tmp_path / "runs" / "lif_membrane" / "results.json").exists()
    said = biosnn("sweep", "lif_membrane", "--workers", "0", "--out", "many", "--", "--smoke")
    assert "1 of 1 runs finished" in said
    (result,) = (tmp_path / "many").glob("runs/*/output/results.json")
    assert json.loads(result.read_text())["metrics"] == report["metrics"]
