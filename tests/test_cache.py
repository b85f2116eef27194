"""The build cache: one build per key, nothing half-made is trusted, problems are sentences."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
from filelock import FileLock
from patience import HANG

from biosnn.devices.base import cache
from biosnn.devices.base.artifact import open_artifact, platform_of, seal
from biosnn.devices.base.cache import cached, clear, entries
from biosnn.devices.base.code_process import check_build
from biosnn.devices.cpp import compiler
from biosnn.errors import DataError, DeviceError, ParameterError
from biosnn.program.interface import Interface

KEY, OTHER, THIRD = "a" * 32, "b" * 32, "0123456789abcdef" * 2
MANIFEST = {
    "device": "cpp",
    "interface": {"name": "wta", "precision": "single"},
}


@pytest.fixture(autouse=True)
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; its folder of builds, which is not there yet."""
    monkeypatch.setenv("BIOSNN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "builds"


def make(folder: Path) -> None:
    (folder / "main").write_text("program")
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))


def check(folder: Path) -> None:
    if not (folder / "main").is_file() or (folder / "main").read_text() != "program":
        raise DeviceError(f"{folder} has no\nwhole program")


def never(folder: Path) -> None:
    raise AssertionError(f"{folder} was built")


def build(key: str, days: float = 0.0) -> Path:
    """A finished build of an age."""
    folder, made = cached(key, make, check)
    assert made
    then = time.time() - days * 86400
    os.utime(folder, (then, then))
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- building


def test_a_build_is_made_once(builds: Path) -> None:
    checked: list[str] = []

    def watch(folder: Path) -> None:
        checked.append(folder.name)
        check(folder)

    folder, made = cached(KEY, make, watch)
    assert (folder, made) == (builds / KEY, True)
    assert (folder / "main").read_text() == "program"
    assert checked[0].startswith(f"{KEY}.partial-"), "checked before it gets its name"
    assert cached(KEY, never, watch) == (folder, False)
    assert checked[1:] == [KEY]
    assert names(builds) == {KEY, f"{KEY}.lock", "door.lock"}


def test_the_folder_does_not_depend_on_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIOSNN_CACHE_DIR", "here")
    assert cache.cache_folder() == tmp_path / "here"


@pytest.mark.parametrize("error", [DataError("no data"), DeviceError("no compiler"), KeyError(3)])
def test_errors_of_make_pass_and_leave_nothing(error: Exception, builds: Path) -> None:
    tried = []

    def broken(folder: Path) -> None:
        make(folder)
        tried.append(folder)
        raise error

    with pytest.raises(type(error)) as caught:
        cached(KEY, broken, check)
    assert caught.value is error
    assert len(tried) == 1
    assert not any(path.is_dir() for path in builds.iterdir())
    assert cached(KEY, make, check)[1]


def test_a_fresh_build_that_is_damaged_gets_no_name(builds: Path) -> None:
    with pytest.raises(DeviceError, match="whole program"):
        cached(KEY, lambda folder: (folder / "main").write_text("prog") and None, check)
    assert names(builds) == {f"{KEY}.lock", "door.lock"}


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_build_is_made_anew_with_a_warning(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build(KEY)
    (folder / "stale").touch()
    if damage == "changed":
        (folder / "main").write_text("progrAm")
    else:
        (folder / "main").unlink()
    with caplog.at_level(logging.WARNING, logger="biosnn"):
        assert cached(KEY, make, check) == (folder, True)
    check(folder)
    assert not (folder / "stale").exists()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("biosnn", "WARNING")
    assert record.getMessage() == (
        f"the build {folder} is damaged ({folder} has no whole program): "
        "it is removed and built anew"
    )
    caplog.clear()
    assert cached(KEY, never, check) == (folder, False)
    assert not caplog.records


# --- at the same time


def test_threads_make_one_build() -> None:
    gate, built = threading.Barrier(8), []

    def slow(folder: Path) -> None:
        built.append(folder)
        time.sleep(0.2)
        make(folder)

    def one(_: int) -> tuple[Path, bool]:
        gate.wait(timeout=HANG)
        return cached(KEY, slow, check)

    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(one, range(8)))
    assert len(built) == 1
    assert len({folder for folder, _ in answers}) == 1
    assert sorted(made for _, made in answers) == [False] * 7 + [True]


CHILD = """
import sys, time
from pathlib import Path
from biosnn.devices.base.cache import cached

def make(folder):
    (folder / "main").write_text("half")
    print("making", folder, flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / "main").write_text("program")

def check(folder):
    assert (folder / "main").read_text() == "program"

print("ready", flush=True)
sys.stdin.readline()
print("made" if cached(sys.argv[1], make, check)[1] else "found", flush=True)
"""


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes that ask for a build when they are sent a line."""
    started: list[subprocess.Popen[str]] = []

    def start(key: str, seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, key, str(seconds)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_processes_make_one_build(child, builds: Path) -> None:
    processes = [child(KEY, 0.5) for _ in range(4)]
    for process in processes:
        go(process)
    said = [process.communicate(timeout=HANG)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(lines[-1] for lines in said) == ["found"] * 3 + ["made"]
    assert sum(lines[0].startswith("making ") for lines in said) == 1
    assert names(builds) == {KEY, f"{KEY}.lock", "door.lock"}


def killed(process: subprocess.Popen[str]) -> Path:
    """Folder in which a process was building when it was killed."""
    go(process)
    assert process.stdout is not None
    word, _, folder = process.stdout.readline().strip().partition(" ")
    assert word == "making"
    process.kill()
    assert process.wait(timeout=HANG) == -signal.SIGKILL
    return Path(folder)


def test_what_a_killed_builder_leaves_is_not_trusted(child, builds: Path) -> None:
    left, beside = killed(child(KEY, 60)), killed(child(OTHER, 60))
    assert (left / "main").read_text() == "half"
    assert not (builds / KEY).exists()
    folder, made = cached(KEY, make, check)
    assert made
    check(folder)
    assert not left.exists()
    assert beside.exists(), "another key's builder may be at work"


def test_clear_removes_what_a_killed_builder_leaves(child, builds: Path) -> None:
    left = killed(child(KEY, 60))
    assert left.exists()
    assert entries() == []
    assert clear() == (0, len("half"))
    assert names(builds) == {"door.lock"}


def test_clearing_and_building_at_the_same_time() -> None:
    """Lock files come and go; still, nobody is disturbed and two never build together."""
    inside, most, stop = [], [], threading.Event()

    def busy(folder: Path) -> None:
        inside.append(folder)
        most.append(len(inside))
        time.sleep(0.01)
        make(folder)
        inside.pop()

    def builder() -> int:
        made = 0
        while not stop.is_set():
            made += cached(KEY, busy, check)[1]
        return made

    with ThreadPoolExecutor(max_workers=4) as pool:
        running = [pool.submit(builder) for _ in range(3)]
        began, removed = time.monotonic(), 0
        while removed < 20 and time.monotonic() < began + HANG:
            removed += clear()[0]
        stop.set()
        made = sum(future.result(timeout=HANG) for future in running)
    assert removed >= 20
    assert removed <= made <= removed + 1
    assert set(most) == {1}


# --- folders that cannot be used


def is_sentence(error: DeviceError, *parts: str) -> None:
    text = str(error)
    assert "\n" not in text
    for part in (*parts, "BIOSNN_CACHE_DIR"):
        assert part in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, check)
    is_sentence(caught.value, str(tmp_path / "cache" / "builds"), "Permission denied")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_cannot_be_made(
    number: int, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(path: object, *_: object, **__: object) -> None:
        asked.append(path)
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, check)
    assert asked
    is_sentence(caught.value, str(builds), os.strerror(number))
    full = number in (errno.ENOSPC, errno.EDQUOT)
    assert ("`biosnn cache clear`" in str(caught.value)) == full


def test_a_disk_that_fills_up_while_building(builds: Path) -> None:
    tried = []

    def fill(folder: Path) -> None:
        tried.append(folder)
        (folder / "main").write_text("prog")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DeviceError) as caught:
        cached(KEY, fill, check)
    is_sentence(caught.value, str(builds), "No space left on device", "`biosnn cache clear`")
    assert len(tried) == 1
    assert not tried[0].exists()


@pytest.mark.parametrize("place", ["cache", "builds", "entry"])
def test_a_file_where_a_folder_should_be(place: str, builds: Path) -> None:
    path = {"cache": builds.parent, "builds": builds, "entry": builds / KEY}[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, check)
    is_sentence(caught.value, str(path))
    if place != "entry":
        for function in (entries, clear):
            with pytest.raises(DeviceError) as caught:
                function()
            is_sentence(caught.value, str(builds), "Not a directory")
    assert path.read_text() == "mine"


Usage = namedtuple("Usage", "total used free")


def test_a_disk_that_is_nearly_full(builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, free = [], 63.5 * 2**20

    def usage(folder: Path) -> Usage:
        measured.append(folder)
        return Usage(10**12, 10**12 - int(free), int(free))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, check)
    assert measured == [builds]
    is_sentence(caught.value, str(builds), "63 MiB free", "64 MiB", "`biosnn cache clear`")
    free = 64 * 2**20
    assert cached(KEY, make, check)[1]
    free = 0
    assert not cached(KEY, never, check)[1], "what is there needs no space"


# --- a cache that others share (S9)


@pytest.fixture
def shared(builds: Path) -> Iterator[Path]:
    """Folder of builds with one build, which this user may read and not write."""
    folder = build(KEY)
    for path in (builds.parent, builds, folder):
        path.chmod(0o755)
    if os.geteuid() == 0:  # root may write everywhere: be somebody else
        base = Path(tempfile.mkdtemp(prefix="biosnn-shared-"))
        base.chmod(0o755)
        shutil.copytree(builds.parent, base / "cache")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BIOSNN_CACHE_DIR", str(base / "cache"))
            os.seteuid(65534)
            try:
                yield base / "cache" / "builds"
            finally:
                os.seteuid(0)
                shutil.rmtree(base)
    else:
        builds.chmod(0o555)
        yield builds
        builds.chmod(0o755)


def test_a_read_only_cache_gives_what_it_has(shared: Path) -> None:
    before = names(shared)
    assert cached(KEY, never, check) == (shared / KEY, False)
    with pytest.raises(DeviceError) as caught:
        cached(OTHER, never, check)
    is_sentence(caught.value, str(shared), "Permission denied, and this network is not in it yet")
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, lambda folder: check(folder / "not there"))
    is_sentence(caught.value, str(shared), "a build in it is damaged", "tell its owner")
    assert [entry.key for entry in entries()] == [KEY]
    assert names(shared) == before


def test_new_folders_are_this_users_alone(builds: Path) -> None:
    before = os.umask(0o002)
    try:
        folder, _ = cached(KEY, make, check)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (builds.parent, builds, folder)]
    assert modes == [0o700] * 3
    assert stat.S_IMODE((folder / "main").stat().st_mode) == 0o644
    assert cached(KEY, never, check) == (folder, False)


@pytest.mark.parametrize("place", ["cache", "builds", "entry", "file"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_is_not_run(place: str, mode: int, builds: Path) -> None:
    folder = build(KEY)
    path = {"cache": builds.parent, "builds": builds, "entry": folder, "file": folder / "main"}
    kept = stat.S_IMODE(path[place].stat().st_mode)
    path[place].chmod(kept | mode)
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, never)
    is_sentence(caught.value, f"{path[place]} may be written to by others", "chmod -R go-w")
    path[place].chmod(kept)
    assert cached(KEY, never, check) == (folder, False)


def test_a_cache_in_a_folder_like_tmp(builds: Path) -> None:
    """Everybody may make files there, but nobody replaces another one's."""
    builds.parent.mkdir()
    builds.parent.chmod(0o1777)
    folder = build(KEY)
    assert cached(KEY, never, check) == (folder, False)


@pytest.mark.parametrize("place", ["cache", "builds", "entry", "file"])
def test_what_another_user_made_is_not_run(
    place: str, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build(KEY)
    path = {"cache": builds.parent, "builds": builds, "entry": folder, "file": folder / "main"}
    real = os.stat_result

    def foreign(status: os.stat_result, is_it: bool) -> os.stat_result:
        return real((*status[:4], 4711, *status[5:10])) if is_it else status

    for name in ("stat", "lstat"):
        of = getattr(Path, name)
        monkeypatch.setattr(
            Path, name, lambda p, of=of, **kw: foreign(of(p, **kw), p == path[place])
        )
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, never)
    is_sentence(caught.value, f"{path[place]} belongs to another user (number 4711)", "chown")


@pytest.mark.parametrize("name", ["entry", "file"])
def test_links_are_not_followed(name: str, builds: Path, tmp_path: Path) -> None:
    folder, elsewhere = build(KEY), tmp_path / "elsewhere"
    path = folder if name == "entry" else folder / "main"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(DeviceError) as caught:
        cached(KEY, never, never)
    is_sentence(caught.value, f"{path} is a link or a special file")


# --- compilers (S9)


def command(path: Path, *lines: str) -> Path:
    """A program of so many lines."""
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "lines", [[], ["> program"], ["echo text > program"]], ids=["nothing", "empty", "no program"]
)
def test_a_compiler_that_makes_no_program_is_not_believed(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake = command(tmp_path / "c++", "echo half a warning >&2", *lines)
    monkeypatch.setenv("CXX", str(fake))
    with pytest.raises(DeviceError, match=r"reported success, but made no(.|\n)*half a warning"):
        compiler.compile_unit(tmp_path / "source.cpp", tmp_path / "program", ("-O3",))


def test_a_build_without_its_program_is_made_anew(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a one was kept for ever by earlier versions."""
    monkeypatch.setattr(Interface, "from_data", lambda data: data)

    def sealed(folder: Path, *files: str) -> None:
        for name in files:
            (folder / name).write_text(name)
        seal(folder, {**MANIFEST, "plastic": {}, "platform": platform_of(True)})

    folder, _ = cached(KEY, lambda folder: sealed(folder, "program.cpp"), open_artifact)
    with caplog.at_level(logging.WARNING, logger="biosnn"):
        again = cached(KEY, lambda folder: sealed(folder, "program.cpp", "main"), check_build)
    assert again == (folder, True)
    assert "has no program: its compiler made none" in caplog.text
    assert cached(KEY, never, check_build) == (folder, False)


def test_cxx_may_have_several_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = command(tmp_path / "ccache", 'echo "$@" >> "$0.log"', 'exec "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CXX", "ccache g++ -DTEN=10")
    assert compiler.compiler() == (str(wrapper), "g++", "-DTEN=10")
    version = compiler.describe(compiler.compiler())
    monkeypatch.setenv("CXX", "g++")
    assert version == f"{compiler.describe(compiler.compiler())} g++ -DTEN=10"
    monkeypatch.setenv("CXX", "ccache g++ -DTEN=10")
    (tmp_path / "ten.cpp").write_text("int main() { return TEN; }")
    compiler.compile_unit(tmp_path / "ten.cpp", tmp_path / "ten", ("-O0",))
    assert subprocess.run([tmp_path / "ten"], check=False).returncode == 10
    assert (tmp_path / "ccache.log").read_text().count("g++ -DTEN=10") == 2


def test_cxx_may_be_a_path_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my tools").mkdir()
    mine = command(tmp_path / "my tools" / "c++")
    monkeypatch.setenv("CXX", str(mine))
    assert compiler.compiler() == (str(mine),)


@pytest.mark.parametrize("text", ["no-such-compiler", "no-such-cache g++", " ", "g++ 'open"])
def test_a_cxx_that_is_none_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", text)
    with pytest.raises(DeviceError, match=r"no C\+\+ compiler found"):
        compiler.compiler()


# --- looking and clearing


def test_entries_newest_first(builds: Path) -> None:
    assert entries() == []
    assert not builds.exists(), "looking makes nothing"
    for key, days in ((KEY, 3), (OTHER, 1), (THIRD, 2)):
        build(key, days)
    found = entries()
    assert [entry.key for entry in found] == [OTHER, THIRD, KEY]
    first = found[0]
    assert first.folder == builds / OTHER
    assert first.bytes == sum(path.stat().st_size for path in first.folder.iterdir()) > 50
    assert (first.network, first.device, first.precision) == ("wta", "cpp", "single")
    assert first.complete
    assert 0.99 < (datetime.now(UTC) - first.modified).total_seconds() / 86400 < 1.01
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.key = KEY  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        (None, False),
        ("{", False),
        (b"\xff\xfe", False),
        ("[1]", False),
        ("{}", True),
        ('{"interface": [], "device": 3}', True),
        ('{"interface": {"name": null}}', True),
    ],
)
def test_entries_tolerate_any_manifest(text: str | bytes | None, complete: bool) -> None:
    manifest = build(KEY) / "manifest.json"
    manifest.unlink()
    if text is not None:
        manifest.write_bytes(text.encode() if isinstance(text, str) else text)
    (entry,) = entries()
    assert entry.complete == complete
    assert (entry.network, entry.device, entry.precision) == (None, None, None)
    assert clear()[0] == 1


def test_clear_counts_what_it_removes(builds: Path) -> None:
    assert clear() == (0, 0)
    build(KEY)
    build(OTHER)
    size = sum(entry.bytes for entry in entries())
    assert clear() == (2, size)
    assert entries() == []
    assert names(builds) == {"door.lock"}
    assert cached(KEY, make, check)[1]


def test_clear_spares_what_is_young(builds: Path) -> None:
    build(KEY, days=3)
    young = build(OTHER, days=1)
    left = builds / f"{THIRD}.partial-x1"
    left.mkdir()
    assert clear(older_than_days=2)[0] == 1
    assert [entry.key for entry in entries()] == [OTHER]
    check(young)
    assert not left.exists()
    assert clear(older_than_days=1e9) == (0, 0)
    assert clear(older_than_days=0)[0] == 1


@pytest.mark.parametrize("age", [-1, float("nan")])
def test_clear_refuses_an_impossible_age(age: float) -> None:
    build(KEY)
    with pytest.raises(ParameterError, match=r"older_than_days must be >= 0, got"):
        clear(age)
    assert len(entries()) == 1


def test_clear_skips_what_is_being_built(builds: Path) -> None:
    removed = []

    def watched(folder: Path) -> None:
        make(folder)
        # From another thread, as another process would.
        with ThreadPoolExecutor(max_workers=1) as pool:
            removed.append(pool.submit(clear).result(timeout=HANG))
        assert folder.exists()
        assert (builds / f"{KEY}.lock").exists()

    build(OTHER)
    size = entries()[0].bytes
    assert cached(KEY, watched, check) == (builds / KEY, True)
    assert removed == [(1, size)]
    assert [entry.key for entry in entries()] == [KEY]
    with FileLock(builds / f"{KEY}.lock"), ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(clear).result(timeout=HANG) == (0, 0)
    check(builds / KEY)
    assert clear()[0] == 1


def test_clear_leaves_foreign_files_alone(builds: Path, tmp_path: Path) -> None:
    build(KEY)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "data").write_text("precious")
    foreign = ["notes.txt", "c" * 31, "C" * 32, f"{OTHER}.txt", "short.lock", "my.partial-1"]
    for name in foreign:
        (builds / name).write_text("mine")
    (builds / THIRD).symlink_to(elsewhere)
    (builds / OTHER).write_text("a file with a build's name")
    (builds / ("d" * 31)).mkdir()
    before = names(builds)
    assert clear()[0] == 1
    assert names(builds) == before - {KEY, f"{KEY}.lock"}
    assert (elsewhere / "data").read_text() == "precious"


def test_an_interrupted_removal_does_not_stay(builds: Path) -> None:
    build(KEY)
    half = builds / f"{KEY}.partial-removed"
    half.mkdir()
    (half / "main").write_text("prog")
    assert clear()[0] == 1
    assert names(builds) == {"door.lock"}


def test_the_cache_does_not_need_brian2() -> None:
    load = "import sys; from biosnn.devices.base import cache; "
    code = load + "print(cache.cached.__name__, *sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, *modules = shown.stdout.split()
    assert first == "cached"
    assert "biosnn.devices.base.cache" in modules
    assert "brian2" not in modules


def test_a_level_of_optimisation_is_one_of_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIOSNN_OPTIMISATION")
    assert "-O3" in compiler.flags("strict", portable=True)
    monkeypatch.setenv("BIOSNN_OPTIMISATION", "1")
    found = compiler.flags("strict", portable=True)
    assert "-O1" in found
    assert "-O3" not in found
    monkeypatch.setenv("BIOSNN_OPTIMISATION", "fast")
    with pytest.raises(ParameterError, match=r"BIOSNN_OPTIMISATION.*one of 0, 1, 2, 3.*'fast'"):
        compiler.flags("strict", portable=True)
