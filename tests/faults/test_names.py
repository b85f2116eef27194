"""Names and numbers in files that others made (S7): they lead nowhere else, and end somewhere.

Every file here is well-formed, with the right SHA-256: whoever forges one can compute that, too.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from brian2 import Hz, ms

from biosnn import __version__, networks, simulation
from biosnn.devices.base.artifact import (
    digest_of,
    export,
    open_artifact,
    platform_of,
    seal,
    sha256_of,
    write_states,
)
from biosnn.errors import StorageError
from biosnn.files import inside, is_plain, packed, read
from biosnn.simulation import Job

N, EVERY, EPOCHS = 6, 4, 2
NEWEST = "checkpoint-000000000008.biosnn"
BAD = ["../out", "/etc/hostname", "a/../../out", "", ".", "..", "a//b", "a\x00b", "a\nb", 3, None]


@pytest.fixture(scope="module")
def runnable():
    network = networks.winner_take_all(
        20, 6, encoding="direct", duration=20 * ms, theta=10.0, weight_norm=4.0, homeostasis=0.5,
        max_rate=300 * Hz,
    )  # fmt: skip
    return simulation.compile(network, "runtime", spikes=["exc"], snapshots={"inp_exc.w": 2})


def fit(runnable, folder):
    samples = np.linspace(0.2, 1, 20 * N).reshape(N, 20)
    return runnable.fit(
        samples, epochs=EPOCHS, folder=folder, checkpoint_every=EVERY, resume=True, progress=False
    )


@pytest.fixture(scope="module")
def interrupted(runnable, tmp_path_factory):
    """A run that ended after 8 of 12 samples, and the state of the whole one."""
    folder = tmp_path_factory.mktemp("names") / "run"
    recording, state = fit(runnable, folder)
    assert len(recording.shown) == N * EPOCHS
    assert recording.counts("exc").sum() > N
    (folder / "checkpoint-000000000012.biosnn").unlink()
    assert (folder / NEWEST).exists()
    return folder, state.checksum()


@pytest.fixture
def run(interrupted, tmp_path):
    shutil.copytree(interrupted[0], tmp_path / "run")
    return tmp_path / "run"


def forge(run: Path, change) -> None:
    """Change what the newest checkpoint says."""
    content, tensors = read(run / NEWEST, "checkpoint")
    change(content)
    (run / NEWEST).write_bytes(packed("checkpoint", content, tensors))


def refused(runnable, run: Path, *parts: str) -> None:
    """Assert that a run is refused in a sentence, and that no file has changed."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(StorageError) as caught:
        fit(runnable, run)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before


# --- the shared function


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    with pytest.raises(StorageError, match="does not name a file in it"):
        inside(tmp_path, name)


def test_names_of_files(tmp_path):
    assert inside(tmp_path, "spikes.exc.i") == tmp_path / "spikes.exc.i"
    assert inside(tmp_path, "static_arrays/_a") == tmp_path / "static_arrays" / "_a"
    assert is_plain("n" * 255)
    assert not is_plain("n" * 256)
    assert not is_plain("a/b")
    assert not is_plain("a\\b")


def test_links_on_the_way_are_refused(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing")
    for name in ("link", "link/file", "nowhere"):
        with pytest.raises(StorageError, match="is a symbolic link, which is not followed"):
            inside(tmp_path, name)


# --- checkpoints


def test_an_unchanged_checkpoint_goes_on(runnable, run, interrupted):
    forge(run, lambda content: None)
    assert fit(runnable, run)[1].checksum() == interrupted[1]


@pytest.mark.parametrize("name", ["/tmp/victim", "../victim", "other"])
def test_a_checkpoint_cannot_name_other_files(runnable, run, name):
    victim = run / "victim"
    victim.write_text("precious")
    name = str(victim) if name.startswith("/") else name
    forge(run, lambda content: content["recording"]["files"].update({name: [0, 0]}))
    refused(runnable, run, NEWEST, "is damaged", "is not among the files")
    assert victim.read_text() == "precious"


PLACES = [
    {"epoch": 3},  # never ended
    {"epoch": 1, "offset": 5},
    {"epoch": 2, "offset": 0},
    {"epoch": -1, "offset": 14},
    {"offset": -4},
    {"offset": 2.0},
    {"offset": True},
    {"position": 9},
    {"finished": True},
    {"finished": None},
    {"checksums": 3},
    {"checksums": {"inp": "x"}},
    {"more": 1},
]
MARKS = [
    {"n": 9},
    {"n": "8"},
    {"presentations": 7},
    {"presentations": 10**9},
    {"seconds": float("nan")},
    {"seconds": []},
    {"files": {}},
    {"files": []},
    {"files": {"shown": 3}},
]


@pytest.mark.parametrize("change", PLACES, ids=str)
def test_a_place_that_cannot_be_is_refused(runnable, run, change):
    forge(run, lambda content: content["place"].update(change))
    refused(runnable, run, NEWEST, "If an older checkpoint shall do, delete this one")


@pytest.mark.parametrize("change", MARKS, ids=str)
def test_marks_that_cannot_be_are_refused(runnable, run, change):
    forge(run, lambda content: content["recording"].update(change))
    refused(runnable, run, NEWEST)


@pytest.mark.parametrize("mark", [[-4, 0], [3, 0], [2**60, 0], ["32", 0], [32], 32])
@pytest.mark.parametrize("name", ["shown", "spikes.exc.i"])
def test_sizes_that_cannot_be_are_refused(runnable, run, name, mark):
    forge(run, lambda content: content["recording"]["files"].update({name: mark}))
    refused(runnable, run)


@pytest.mark.parametrize(
    "name", ["run.json", "run.lock", NEWEST, "recording", "recording/shown", "recording/exc.count"]
)
def test_links_in_a_run_are_not_followed(runnable, run, name, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (run / name).rename(elsewhere)
    (run / name).symlink_to(elsewhere)
    before = elsewhere.stat().st_mtime_ns
    refused(runnable, run, f"{run / name} is a symbolic link")
    assert elsewhere.stat().st_mtime_ns == before


def test_links_in_a_new_run_are_not_followed(runnable, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "run" / "recording").mkdir(parents=True)
    (tmp_path / "run" / "recording" / "shown").symlink_to(victim)
    with pytest.raises(StorageError, match="is a symbolic link"):
        fit(runnable, tmp_path / "run")
    assert victim.read_text() == "precious"


# --- compiled networks


@pytest.fixture
def artifact(runnable, tmp_path):
    """A folder like that of a compiled network, whose program is a text."""
    return sealed(runnable, tmp_path / "artifact")


def sealed(runnable, folder: Path) -> Path:
    (folder / "static_arrays").mkdir(parents=True)
    (folder / "main").write_text("program")
    (folder / "static_arrays" / "ids").write_bytes(bytes(4))
    write_states(folder / "state", runnable.interface, [runnable.initial_state()])
    manifest = {
        "device": "cpp",
        "interface": runnable.interface.to_data(),
        "plastic": {"inp_exc": ["code"]},
        "platform": platform_of(True),
    }
    seal(folder, manifest)
    return folder


def reseal(folder: Path, change, name: str = "manifest.json") -> None:
    """Change what a manifest says, with the right SHA-256."""
    manifest = json.loads((folder / name).read_text())
    del manifest["sha256"]
    change(manifest)
    manifest["sha256"] = digest_of(manifest)
    (folder / name).write_text(json.dumps(manifest))


def test_an_unchanged_artifact_is_opened_and_copied(artifact, runnable, tmp_path):
    reseal(artifact, lambda manifest: None)
    (artifact / "stray").symlink_to("/etc/hostname")
    found = open_artifact(artifact)
    assert found.interface == runnable.interface
    export(found, tmp_path / "copy")
    assert not (tmp_path / "copy" / "stray").exists(), "only what is sealed is copied"
    assert open_artifact(tmp_path / "copy").manifest == found.manifest


@pytest.mark.parametrize("name", ["/etc/hostname", "../artifact/main", "static_arrays/../main"])
def test_an_artifact_cannot_name_other_files(artifact, name):
    entry = json.loads((artifact / "manifest.json").read_text())["files"]["main"]
    reseal(artifact, lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(StorageError, match="does not name a file in it"):
        open_artifact(artifact)


@pytest.mark.parametrize("name", ["manifest.json", "main", "state", "static_arrays"])
def test_links_in_an_artifact_are_not_followed(artifact, name, tmp_path):
    (artifact / name).rename(tmp_path / "elsewhere")
    (artifact / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=f"{name} is a symbolic link"):
        open_artifact(artifact)


def column(**changes):
    return {"dtype": "<f8", "size": 3, "unit": "V", "every": 1, "indices": [], **changes}


INTERFACES = [
    {"per_sample": {"../victim": column()}},
    {"snapshots": {"/tmp/victim": column()}},
    {"traces": {"exc/v": column()}},
    {"spikes": {"..": 3}},
    {"spikes": {"exc": -3}},
    {"spikes": {"exc": "3"}},
    {"per_sample": {"exc.v": column(dtype="O")}},
    {"per_sample": {"exc.v": column(dtype="no type")}},
    {"per_sample": {"exc.v": column(size=-1)}},
    {"per_sample": {"exc.v": column(size=10**30)}},
    {"snapshots": {"exc.v": column(every=0)}},
    {"max_shown": 0},
    {"variables": [{"name": "x"}]},
    {"unheard": 1},
]


@pytest.mark.parametrize("change", INTERFACES, ids=str)
def test_an_interface_that_cannot_be_is_refused(artifact, change):
    reseal(artifact, lambda manifest: manifest["interface"].update(change))
    with pytest.raises(StorageError, match=r"manifest\.json cannot be understood") as caught:
        open_artifact(artifact)
    assert "\n" not in str(caught.value)


def test_a_draw_of_another_size_is_refused(artifact):
    def change(manifest):
        drawn = [v for v in manifest["interface"]["variables"] if v["draw"]]
        assert drawn
        drawn[0]["draw"]["size"] = 10**12

    reseal(artifact, change)
    with pytest.raises(StorageError, match=r"cannot be understood"):
        open_artifact(artifact)


@pytest.mark.parametrize("name", ["interface", "files", "platform", "plastic", "device"])
@pytest.mark.parametrize("value", [None, 3, [1]], ids=repr)
def test_a_manifest_of_other_types_is_refused(artifact, name, value):
    reseal(artifact, lambda manifest: manifest.update({name: value}))
    with pytest.raises(StorageError):
        open_artifact(artifact)


# --- jobs


@pytest.fixture
def job(runnable, tmp_path):
    """A job of one chunk, with its results."""
    folder = tmp_path / "job"
    network, out = folder / "network", folder / "results" / "chunk-0000"
    sealed(runnable, network)
    out.mkdir(parents=True)
    (out / "settings").write_text("job b\n")
    manifest = {
        "job_format": 2,
        "job": "b",
        "about": {"experiment": "hello", "flags": []},
        "device": "cpp",
        "arch": None,
        "versions": {"biosnn": __version__},
        "identity": {},
        "chunks": [{"n": 1, "position": 0, "sha256": sha256_of(out / "settings"), "bytes": 3}],
    }
    manifest["sha256"] = digest_of(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_job_is_opened(job, runnable):
    opened = simulation.open_job(job)
    assert isinstance(opened, Job)
    assert opened.network.interface == runnable.interface
    with pytest.raises(StorageError, match="checksums"):
        opened.check_results()


def in_chunk(**changes):
    return lambda manifest: manifest["chunks"][0].update(changes)


CHANGES = {
    "no samples": in_chunk(n=0),
    "a text for samples": in_chunk(n="1"),
    "a position before the first": in_chunk(position=-1),
    "a position after the first": in_chunk(position=1),
    "no checksum": in_chunk(sha256=None),
    "no chunks": lambda m: m.update(chunks=[]),
    "no identity": lambda m: m.update(identity=None),
    "about what": lambda m: m.update(about=[]),
    "flags of another type": lambda m: m["about"].update(flags=[3]),
    "chunks of another type": lambda m: m.update(chunks=3),
    "no versions": lambda m: m.update(versions=None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_job_that_cannot_be_is_refused(job, change):
    reseal(job, CHANGES[change])
    with pytest.raises(StorageError, match=r"manifest\.json cannot be understood") as caught:
        simulation.open_job(job)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "network", "results", "results/chunk-0000"],
)
def test_links_in_a_job_are_not_followed(job, name, tmp_path):
    (job / name).rename(tmp_path / "elsewhere")
    (job / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="is a symbolic link"):
        simulation.open_job(job).check_results()


def test_results_cannot_name_other_files(job):
    out = job / "results" / "chunk-0000"
    digest = sha256_of(Path("/etc/hostname")) if Path("/etc/hostname").exists() else "0" * 64
    (out / "checksums").write_text(f"{digest}  /etc/hostname\n")
    with pytest.raises(StorageError, match="does not name a file in it"):
        simulation.open_job(job).check_results()
