"""Interrupt runs anywhere, resume them, and compare what they end with.

``python benchmarks/faults.py --kills 25 --seed 0 --out FILE`` trains a small network once without
a disturbance and then, in folders of their own, as often as ``--kills`` says with one to three:

* SIGKILL, SIGTERM or SIGINT to Python, at any moment after a checkpoint,
* the same to the binary alone, in the middle of a chunk of samples,
* SIGKILL at an enumerated moment of writing: before, half-way through or after each operation on
  the recording, on a checkpoint and on ``run.json`` (:data:`MOMENTS`),
* a full disk, pretended at the same moments, and a real one on a small tmpfs (needs root).

Each run is started again until it ends, and must then have the weights, thresholds, whole state
and recording of the undisturbed run, to the bit. A binary that was stopped must end its Python
process with an error. Linux only: processes are found in ``/proc``.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np

N_INPUTS, N_NEURONS = 100, 30
FINISHED, FAILED, INTERRUPTED = 0, 3, 130  # exit status of a run's process

#: Operation -> its phases. ``recording`` is a file of the recording, ``checkpoint`` and ``run``
#: the file that is put in its place in one step, ``state`` the one that goes from chunk to chunk.
MOMENTS = {
    "recording.append": ("before", "after"),
    "recording.write": ("before", "half", "after"),
    "recording.marks": ("before", "after"),
    "recording.fsync": ("before", "after"),
    "recording.truncate": ("before", "after"),
    **{
        f"{file}.{operation}": phases
        for file in ("checkpoint", "run")
        for operation, phases in {
            "write": ("before", "half", "after"),
            "fsync": ("before", "after"),
            "rename": ("before", "after"),
            "sync_folder": ("before", "after"),
        }.items()
    },
    "checkpoint.remove_old": ("before", "after"),
    "state.rename": ("before", "after"),
}


@attrs.frozen(kw_only=True)
class Size:
    """How long the run is; 2 epochs."""

    samples: int = 2000
    checkpoint_every: int = 200
    seed: int = 1

    @property
    def total(self) -> int:
        return 2 * self.samples


@attrs.frozen(kw_only=True)
class Kill:
    """One disturbance.

    ``where`` is "python", "binary", "write" or "disk". The first two get a signal ``how`` (twice,
    if ``twice``) once there is a checkpoint of at least ``after`` samples: Python ``delay`` seconds
    later, the binary when it has finished ``share`` of a chunk. With a ``phase``, Python gets it
    when it has just started the binary for the ``n``-th time: "deaf" or "hearing", which says
    whether the binary listens to signals yet. The others happen at the ``n``-th time (in that
    process) of the ``phase`` of an operation ``how``; "tmpfs" is a full disk there.
    """

    where: str
    how: str
    after: int = 0
    delay: float = 0.0
    share: float = 0.0
    twice: bool = False
    phase: str = ""
    n: int = 1
    tmpfs: bool = False

    @property
    def order(self) -> list[str]:
        """What the run's process itself is told to do: where, and what."""
        if self.where in ("write", "disk"):
            return [f"{self.how}:{self.phase}:{self.n}", "tmpfs" if self.tmpfs else self.where]
        return [f"binary.start:{self.phase}:{self.n}", self.how] if self.phase else []

    def __str__(self) -> str:
        if self.where in ("write", "disk"):
            full = {"write": "SIGKILL", "disk": "full tmpfs" if self.tmpfs else "no space"}
            return f"{full[self.where]} {self.phase} {self.how} #{self.n}"
        start = f", binary {self.phase}" if self.phase else ""
        return f"{self.how}{' twice' if self.twice else ''} to {self.where}{start}"


# The run's own process -------------------------------------------------------------------------


class Moments:
    """Counts the moments of a run, and does something at one of them.

    Parameters
    ----------
    target : str
        ``operation:phase:n``.
    action : callable
        What to do there.
    disk : callable, optional
        Called when bytes are about to be written: raises if the disk is full.
    """

    def __init__(self, target: str, action: Callable[[], None], disk: Callable[[], None]):
        self.operation, self.phase, n = target.split(":")
        self.left = int(n)
        self.action = action
        self.disk = disk
        self.file = "run"  # what is being replaced
        self.binary = 0  # the process that was started last

    def reach(self, operation: str, phase: str) -> bool:
        """Whether this is the moment; if it is not half-way, the action is done."""
        if (operation, phase) != (self.operation, self.phase):
            return False
        self.left -= 1
        if self.left == 0 and phase != "half":
            self.action()
        return self.left == 0

    @contextlib.contextmanager
    def around(self, operation: str) -> Iterator[None]:
        self.reach(operation, "before")
        yield
        self.reach(operation, "after")


class WatchedFile:
    """A file whose writing has a moment before, half-way through and after it."""

    def __init__(self, file: Any, moments: Moments, operation: str):
        self._file, self._moments, self._operation = file, moments, operation

    def __enter__(self) -> WatchedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        if len(data) < 2:
            return self._file.write(data)
        self._moments.disk()
        with self._moments.around(self._operation):
            if self._moments.reach(self._operation, "half"):
                self._file.write(data[: len(data) // 2])
                self._file.flush()
                self._moments.action()
            written = self._file.write(data)
            self._file.flush()
        return written


def watch(moments: Moments) -> None:
    """Put the moments around what a run does to its files, in this process."""
    from biosnn import files
    from biosnn.simulation.run_loop import checkpoints
    from biosnn.simulation.run_loop.recorders import FileRecorder

    within: list[str] = []  # the method of FileRecorder or the replacement that we are in

    def named(operation: str, function: Callable) -> Callable:
        def watched(*arguments: Any, **options: Any) -> Any:
            within.append(operation)
            try:
                with moments.around(operation):
                    return function(*arguments, **options)
            finally:
                within.pop()

        return watched

    FileRecorder.append = named("recording.append", FileRecorder.append)
    FileRecorder.marks = named("recording.marks", FileRecorder.marks)
    os.truncate = named("recording.truncate", os.truncate)
    sync, replace, fsync = files.sync_folder, files.replace, os.fsync
    rename, unlink, open_path, start = Path.replace, Path.unlink, Path.open, subprocess.Popen

    def watched_replace(path: Path, data: bytes) -> None:
        moments.file = "run" if path.name == "run.json" else "checkpoint"
        within.append(f"{moments.file}.replace")
        try:
            replace(path, data)
        finally:
            within.pop()

    def watched_sync(folder: Path) -> None:
        with moments.around(f"{moments.file}.sync_folder"):
            within.append("sync_folder")
            sync(folder)
            within.pop()

    def watched_fsync(handle: int) -> None:
        if within and within[-1] == "sync_folder":
            return fsync(handle)
        marking = bool(within) and within[-1] == "recording.marks"
        moments.disk()
        with moments.around("recording.fsync" if marking else f"{moments.file}.fsync"):
            fsync(handle)

    def watched_rename(path: Path, target: Path) -> Path:
        if not within:  # the state of the session
            with moments.around("state.rename"):
                return rename(path, target)
        with moments.around(f"{moments.file}.rename"):
            return rename(path, target)

    def watched_unlink(path: Path, missing_ok: bool = False) -> None:
        if not path.name.startswith("checkpoint-"):
            return unlink(path, missing_ok)
        with moments.around("checkpoint.remove_old"):
            unlink(path, missing_ok)

    def watched_open(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = open_path(path, mode, *arguments, **options)
        if mode == "xb" and path.suffix == ".part":
            return WatchedFile(file, moments, f"{moments.file}.write")
        if mode == "ab" and path.parent.name == "recording":
            return WatchedFile(file, moments, "recording.write")
        return file

    def watched_start(*arguments: Any, **options: Any) -> subprocess.Popen:
        process = start(*arguments, **options)
        moments.binary = process.pid
        moments.reach("binary.start", "deaf")
        moments.reach("binary.start", "hearing")
        return process

    subprocess.Popen = watched_start
    checkpoints.replace = watched_replace
    files.sync_folder = watched_sync
    os.fsync = watched_fsync
    Path.replace, Path.unlink, Path.open = watched_rename, watched_unlink, watched_open


def child(base: Path, folder: Path, moment: str | None, what: str) -> int:
    """Run or resume; say on stdout what it ended with, on stderr where it went on."""
    from biosnn import simulation
    from biosnn.errors import BiosnnError, Interrupted

    full: list[bool] = []

    def act() -> None:
        if what == "write":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "tmpfs":
            with contextlib.suppress(OSError), (folder.parent / "ballast").open("wb") as file:
                while True:
                    file.write(bytes(2**16))
                    file.flush()
        elif what == "disk":
            full.append(True)
            disk()
        else:
            if moments.phase == "hearing":
                wait_until_it_hears(moments.binary)
            os.kill(moments.binary, signal.SIGSTOP)  # it hears of it when it goes on
            os.kill(os.getpid(), getattr(signal, what))
            threading.Timer(0.05, os.kill, (moments.binary, signal.SIGCONT)).start()

    def disk() -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    moments = Moments(moment or "::0", act, disk)
    if moment is not None:
        watch(moments)
    size = Size(**json.loads((base / "size.json").read_text()))
    try:
        recording, state = simulation.load(base / "artifact").fit(
            np.load(base / "samples.npy"),
            epochs=2,
            folder=folder,
            checkpoint_every=size.checkpoint_every,
            resume=True,
            seed=size.seed,
            progress=True,
        )
    except BiosnnError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as error:
        said = error if isinstance(error, Interrupted) else "at once"
        print(f"{type(error).__name__}: {said}", file=sys.stderr)
        return INTERRUPTED
    spikes = recording.spikes["exc"]
    print(
        json.dumps(
            {
                "weights": sha256(state["inp_exc.w"]),
                "thresholds": sha256(state["exc.theta"]),
                "state": sha256(*(state[name] for name in sorted(state))),
                "recording": sha256(
                    recording.shown, recording.counts("exc"), spikes.i, spikes.t, spikes.sample
                ),
                "samples": len(recording.shown),
                "spikes": len(spikes.i),
                "thresholds_spread": float(np.ptp(state["exc.theta"])),
            }
        )
    )
    return FINISHED


def wait_until_it_hears(pid: int) -> None:
    """Wait until a process handles SIGTERM, without giving it much time beyond that."""
    status = Path(f"/proc/{pid}/status")
    while True:
        caught = re.search(r"SigCgt:\s*(\w+)", status.read_text())
        if caught is not None and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return


def sha256(*arrays: np.ndarray) -> str:
    """SHA-256 of the bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# The network and its samples ---------------------------------------------------------------------


def network() -> Any:
    """A winner-take-all network with Poisson inputs, and a few synapses given as a list."""
    from brian2 import Hz, ms

    from biosnn import networks

    made = networks.winner_take_all(
        N_INPUTS,
        N_NEURONS,
        theta=25.0,
        weight_norm=4.0,
        homeostasis=0.5,
        max_rate=300 * Hz,
        dt=0.25 * ms,
    )
    listed = networks.Projection(
        pre="inp",
        post="exc",
        transmit="v_post += 0.01",
        pairs=(np.arange(N_INPUTS), np.arange(N_INPUTS) * 7 % N_NEURONS),
    )
    return attrs.evolve(made, projections={**made.projections, "inp_exc_listed": listed})


def images(n: int, seed: int = 0) -> np.ndarray:
    """Noisy copies of ten sparse patterns, shape (n, 100)."""
    rng = np.random.default_rng(seed)
    patterns = rng.random((10, N_INPUTS)) * (rng.random((10, N_INPUTS)) < 0.2)
    noise = 0.1 * rng.random((n, N_INPUTS)) * (rng.random((n, N_INPUTS)) < 0.2)
    return np.clip(patterns[rng.integers(0, 10, n)] + noise, 0, 1).astype(np.float32)


def compiled() -> Any:
    """The network on the device cpp, with counts and spikes recorded."""
    from biosnn import simulation

    return simulation.compile(network(), "cpp", per_sample=("exc.count",), spikes=("exc",))


@contextlib.contextmanager
def bench(size: Size) -> Iterator[Path]:
    """A folder with the compiled network, samples and settings for :func:`child`."""
    with tempfile.TemporaryDirectory(prefix="biosnn-faults-") as name:
        folder = Path(name)
        compiled().export(folder / "artifact")
        np.save(folder / "samples.npy", images(size.samples))
        (folder / "size.json").write_text(json.dumps(attrs.asdict(size)))
        yield folder


# Watching and disturbing it ----------------------------------------------------------------------


class FaultError(Exception):
    """A run did not do what it must."""


class MissedError(FaultError):
    """The run was over, or nearly so, before it could be disturbed: nothing is shown by that."""


def check(holds: bool, message: str) -> None:
    """Raise a FaultError if something does not hold."""
    if not holds:
        raise FaultError(message)


@attrs.define(kw_only=True)
class Attempt:
    """One process of a run and how it ended."""

    kill: Kill | None
    checkpoint: int | None  # samples of the newest one when it was started
    went_on_from: int = 0
    status: int = 0
    said: str = ""
    result: dict[str, Any] | None = None
    hit_after: int | None = None  # samples of the newest checkpoint when it was hit
    hit_in_chunk: list[int] | None = None  # samples of the chunk finished, samples in the chunk

    def to_data(self) -> dict[str, Any]:
        last = self.said.strip().splitlines()[-1:] or [""]
        return {
            "kill": None if self.kill is None else str(self.kill),
            "went_on_from": self.went_on_from,
            "newest_checkpoint_when_hit": self.hit_after,
            "finished_of_chunk_when_hit": self.hit_in_chunk,
            "status": self.status,
            "said": re.sub(r"\S*/", "", last[0]),
        }


def checkpoints(folder: Path) -> list[int]:
    """Samples of the checkpoints, in order."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("checkpoint-*.biosnn"))


def newest(folder: Path) -> int | None:
    return max(checkpoints(folder), default=None)


def binaries(folder: Path) -> list[tuple[int, int]]:
    """Process and parent of the binaries of a run."""
    settings, found = bytes(folder / ".biosnn-work" / "settings"), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            if settings in (entry / "cmdline").read_bytes().split(b"\0")[1:]:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                if status[0] != "Z":
                    found.append((int(entry.name), int(status[1])))
    return found


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[bool]:
    """Stop a process for a look at it; whether it was there."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, signal.SIGSTOP)
        while (state := stat.read_text().rpartition(")")[2].split()[0]) not in "TZX":
            time.sleep(0.0005)
        there = state == "T"
    except (OSError, IndexError):
        there = False
    try:
        yield there
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def progress_of_chunk(folder: Path) -> tuple[int, int]:
    """Samples of the present chunk that the binary has finished, and of how many."""
    try:
        shown = np.fromfile(folder / ".biosnn-work" / "out" / "shown", dtype=np.int32)
    except OSError:
        return 0, 0
    return int(np.count_nonzero(shown)), len(shown)


def begin(base: Path, folder: Path, kill: Kill | None) -> subprocess.Popen:
    """Start the run's process."""
    import biosnn

    package = str(Path(biosnn.__file__).parents[1])
    paths = filter(None, [package, os.environ.get("PYTHONPATH")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, __file__, "child", str(base), str(folder)]
    if kill is not None:
        command += kill.order
    with (
        folder.with_name(f"{folder.name}.out").open("wb") as out,
        folder.with_name(f"{folder.name}.err").open("wb") as err,
    ):
        return subprocess.Popen(command, stdout=out, stderr=err, env=environment)


def hit_python(process: subprocess.Popen, folder: Path, kill: Kill, attempt: Attempt) -> None:
    """Send a signal to Python; the second one while it waits for the binary."""
    number = getattr(signal, kill.how)
    if not kill.twice:
        time.sleep(kill.delay)
        attempt.hit_after = newest(folder)
        process.send_signal(number)
        return
    with middle_of_a_chunk(process, folder, kill, attempt):
        process.send_signal(number)
        said = folder.with_name(f"{folder.name}.err")
        while process.poll() is None and b"once more" not in said.read_bytes():
            time.sleep(0.002)
        process.send_signal(number)
        process.wait(600)


def hit_binary(process: subprocess.Popen, folder: Path, kill: Kill, attempt: Attempt) -> None:
    """Send a signal to the binary in the middle of a chunk."""
    with middle_of_a_chunk(process, folder, kill, attempt) as pid:
        os.kill(pid, getattr(signal, kill.how))


@contextlib.contextmanager
def middle_of_a_chunk(
    process: subprocess.Popen, folder: Path, kill: Kill, attempt: Attempt
) -> Iterator[int]:
    """Freeze the binary when it has finished ``share`` of a chunk, and neither none nor all."""
    pid = 0
    while process.poll() is None:
        if not Path(f"/proc/{pid}/cwd").exists() or pid == 0:
            pid, parent = next(iter(binaries(folder)), (0, 0))
            if pid == 0:
                continue
            check(parent == process.pid, "the binary is not a child of its Python")
        with frozen(pid) as there:
            done, of = progress_of_chunk(folder)
            if there and kill.share * of < done < of - 1:
                attempt.hit_after, attempt.hit_in_chunk = newest(folder), [done, of]
                yield pid
                return
        time.sleep(0.001)
    raise MissedError(f"the run was over before {kill}")


def attempt_run(base: Path, folder: Path, kill: Kill | None, size: Size) -> Attempt:
    """Start the run once, disturb it, and check that it ended as it must."""
    attempt = Attempt(kill=kill, checkpoint=newest(folder))
    process = begin(base, folder, kill)
    try:
        if kill is not None and not kill.order:
            while process.poll() is None and (newest(folder) or 0) < kill.after:
                time.sleep(0.002)
            hit = hit_python if kill.where == "python" else hit_binary
            hit(process, folder, kill, attempt)
        attempt.status = process.wait(3600)
    finally:
        process.kill()
        process.wait()
    if attempt.status == FINISHED and kill is not None and kill.where == "python":
        late = attempt.hit_after is not None and attempt.hit_after > size.total * 0.9
        if late and not kill.order:
            raise MissedError(f"the run was over before {kill}")
    if kill is not None and kill.order:
        attempt.hit_after = newest(folder)
    attempt.said = folder.with_name(f"{folder.name}.err").read_text()
    found = re.search(r"going on from sample (\d+)", attempt.said)
    attempt.went_on_from = int(found[1]) if found else 0
    if attempt.status == FINISHED:
        attempt.result = json.loads(folder.with_name(f"{folder.name}.out").read_text())
    check_attempt(attempt, size)
    until = time.monotonic() + 600  # only a hang takes so long
    while binaries(folder):
        check(time.monotonic() < until, f"a binary outlived its Python after {kill}")
        time.sleep(0.01)
    return attempt


def check_attempt(attempt: Attempt, size: Size) -> None:
    """Check how a process ended, and that it had gone on from the newest checkpoint."""
    kill, said = attempt.kill, attempt.said.strip()
    hit = f"hit after {attempt.hit_after} samples, in the chunk {attempt.hit_in_chunk}"
    told = f"{kill} ({hit}): status {attempt.status}, it said: {said}"
    check(attempt.status in (FINISHED, FAILED, INTERRUPTED, -signal.SIGKILL), told)
    check("Traceback" not in said, told)
    early = kill is not None and kill.how.startswith(("run.", "recording.truncate"))
    if attempt.checkpoint is not None and attempt.checkpoint < size.total and not early:
        check(attempt.went_on_from == attempt.checkpoint, f"not from the checkpoint; {told}")
    if kill is None:
        check(attempt.status == FINISHED, told)
        return
    check(attempt.status != FINISHED, f"taken for finished; {told}")
    last = (said.splitlines() or [""])[-1]
    if kill.where == "binary":
        check(attempt.status == FAILED, told)
        check(last.startswith("DeviceError: the compiled network stopped with status"), told)
    elif kill.where == "disk":
        check(attempt.status == FAILED, told)
        check(last.startswith("StorageError: "), told)
        check("cannot be written: No space left on device" in last, told)
    elif kill.where == "write" or kill.how == "SIGKILL":
        check(attempt.status == -signal.SIGKILL, told)
    else:
        check(attempt.status == INTERRUPTED, told)
        wanted = "KeyboardInterrupt: at once" if kill.twice else "Interrupted: stopped after sample"
        check(last.startswith(wanted), told)


def disturbed(base: Path, folder: Path, kills: tuple[Kill, ...], size: Size) -> list[Attempt]:
    """Run, disturb, resume, until it ends; all attempts, the last one undisturbed."""
    attempts = [attempt_run(base, folder, kill, size) for kill in kills if not kill.tmpfs]
    for kill in kills:
        if kill.tmpfs:
            attempts.append(attempt_run(base, folder, kill, size))
            (folder.parent / "ballast").unlink()
    return [*attempts, attempt_run(base, folder, None, size)]


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int = 40) -> Iterator[bool]:
    """A tmpfs of a few megabytes at a folder; whether that is allowed here."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        allowed = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        allowed = False
    try:
        yield allowed
    finally:
        if allowed:
            subprocess.run(["umount", str(folder)], check=True)


# What is done and what comes of it ---------------------------------------------------------------


def plan(n: int, size: Size, seed: int) -> list[tuple[Kill, ...]]:
    """The disturbances of each run: a third in writes, a third in the binary, a third in Python.

    Of the first 25 runs, four are hit before there is a checkpoint, and every third one is hit
    again after it was resumed.
    """
    rng = np.random.default_rng(seed)
    signals = ("SIGKILL", "SIGTERM", "SIGINT")
    every, borders = size.checkpoint_every, size.total // size.checkpoint_every
    after = [(how, phase) for how, phases in MOMENTS.items() for phase in phases]
    after = [moment for moment in after if not moment[0].startswith(("run.", "recording.trunc"))]
    after = [after[k] for k in rng.permutation(len(after))]
    # Before a checkpoint: run.json, the first chunk, the first checkpoint.
    first = [("recording.append", "after"), ("run.write", "half"), ("checkpoint.write", "half")]
    taken = Counter()

    def in_write(resumed: bool) -> Kill:
        taken["write"] += 1
        if resumed and taken["write"] % 3 == 0:
            return Kill(where="write", how="recording.truncate", phase="after", n=1)
        if first and not resumed and taken["write"] % 2 == 0:
            how, phase = first.pop()
            return Kill(where="write", how=how, phase=phase)
        how, phase = after[taken["moment"] % len(after)]
        taken["moment"] += 1
        # A file of the recording is written up to five times per chunk.
        times = 5 if how in ("recording.write", "recording.fsync") else 1
        least = 2 if resumed else 3
        n = times * int(rng.integers(least, max(borders // 3, least + 1)))
        return Kill(where="write", how=how, phase=phase, n=n)

    def in_process(where: str, resumed: bool) -> Kill:
        taken[where] += 1
        border = int(rng.integers(*((borders // 2, borders - 3) if resumed else (1, borders // 2))))
        return Kill(
            where=where,
            how=signals[taken[where] % 3],
            after=0 if taken[where] == 4 and where == "binary" else border * every,
            delay=float(rng.uniform(0, 0.15)),
            share=float(rng.uniform(0, 0.8)),
            twice=where == "python" and taken[where] % 6 == 2,
            phase={4: "hearing", 7: "deaf"}.get(taken[where], "") if where == "python" else "",
            n=int(rng.integers(2, 5)),
        )

    def kill(turn: int, resumed: bool) -> Kill:
        where = ("write", "binary", "python")[turn % 3]
        return in_write(resumed) if where == "write" else in_process(where, resumed)

    return [(kill(k, False), *([kill(k // 3, True)] if k % 3 == 2 else [])) for k in range(n)]


#: Full disks: in the recording, in a checkpoint's bytes, when they shall be on the disk.
FULL_DISKS = tuple(
    Kill(where="disk", how=how, phase=phase, n=n)
    for how, phase, n in (
        ("recording.write", "half", 14),
        ("checkpoint.write", "half", 3),
        ("checkpoint.fsync", "before", 3),
    )
)
FULL_TMPFS = Kill(where="disk", how="checkpoint.write", phase="before", n=3, tmpfs=True)


def every_moment() -> list[tuple[Kill, ...]]:
    """A kill at each of the moments, when it first comes and later."""
    made = []
    for how, phases in MOMENTS.items():
        for phase, n in ((phase, n) for phase in phases for n in (1, 3)):
            if how.startswith("run.") and n > 1:
                continue  # written once
            times = 5 if how in ("recording.write", "recording.fsync") else 1
            kill = Kill(where="write", how=how, phase=phase, n=1 if n == 1 else n * times)
            first = Kill(where="write", how="checkpoint.rename", phase="after", n=2)
            made.append((first, kill) if how == "recording.truncate" else (kill,))
    return made


def one_run(
    base: Path, folder: Path, kills: tuple[Kill, ...], size: Size, expected: dict[str, Any]
) -> dict[str, Any]:
    """Disturb a run; what happened, with whether it ended as the undisturbed one."""
    for again in range(5):
        try:
            attempts = disturbed(base, folder, kills, size)
            break
        except MissedError as error:
            print(f"once more, because {error}", file=sys.stderr)
            folder = folder.with_name(f"{folder.name}-{again}")
    else:
        raise MissedError(f"five times the run was over before {kills}")
    result = attempts[-1].result
    return {
        "attempts": [attempt.to_data() for attempt in attempts],
        "kills": [
            {
                "where": attempt.kill.where,
                "how": str(attempt.kill),
                # What counts is where the next process went on that came so far.
                "resumed_from": next(filter(None, (a.went_on_from for a in attempts[k:])), None),
            }
            for k, attempt in enumerate(attempts[:-1], 1)
        ],
        "equal": {name: result[name] == expected[name] for name in expected},
        "left_behind": sum(1 for _ in folder.glob(".*.part")),
    }


def undisturbed(base: Path, size: Size) -> dict[str, Any]:
    """What a run ends with that nobody disturbs, having checked that it does something."""
    result = disturbed(base, base / "calm", (), size)[0].result
    check(result["spikes"] > size.total, "the network hardly spikes")
    check(result["thresholds_spread"] > 1, "the thresholds hardly adapt")
    return result


def measure(base: Path, n: int, size: Size, seed: int, say: Callable[[str], None]) -> dict:
    """All runs; the record."""
    started = time.monotonic()
    calm = undisturbed(base, size)
    seconds = time.monotonic() - started
    say(f"undisturbed: {seconds:.1f} s, {calm['spikes']} spikes")
    runs, disks = [], []
    for k, kills in enumerate(plan(n, size, seed)):
        runs.append(one_run(base, base / f"run-{k:03d}", kills, size, calm))
        say(row(k + 1, runs[-1]))
    for k, kill in enumerate(FULL_DISKS):
        disks.append(one_run(base, base / f"disk-{k}", (kill,), size, calm))
        say(row(f"d{k + 1}", disks[-1]))
    with small_disk(base / "tmpfs") as allowed:
        if allowed:
            disks.append(one_run(base, base / "tmpfs" / "run", (FULL_TMPFS,), size, calm))
            say(row("d4", disks[-1]))
        else:
            say("a full tmpfs: skipped, it may not be mounted here")
    return {
        "size": {**attrs.asdict(size), "epochs": 2, "inputs": N_INPUTS, "neurons": N_NEURONS},
        "seed": seed,
        "undisturbed": {**calm, "seconds": round(seconds, 2)},
        "summary": summary(runs, disks, allowed),
        "runs": runs,
        "full_disks": disks,
    }


def measure_moments(base: Path, size: Size, say: Callable[[str], None]) -> dict[str, Any]:
    """A short run, killed at every moment in turn."""
    calm, runs = undisturbed(base, size), []
    for k, kills in enumerate(every_moment()):
        runs.append(one_run(base, base / f"moment-{k:03d}", kills, size, calm))
        say(row(f"m{k + 1}", runs[-1]))
    return {
        "size": attrs.asdict(size),
        "moments": len(runs),
        "equal": sum(all(run["equal"].values()) for run in runs),
        "kills": [run["kills"][-1] | {"equal": all(run["equal"].values())} for run in runs],
    }


def summary(runs: list[dict], disks: list[dict], tmpfs: bool) -> dict[str, Any]:
    """The counts of a record."""
    kills = [kill for run in runs for kill in run["kills"]]
    equal = Counter(name for run in runs for name, same in run["equal"].items() if same)
    return {
        "runs": len(runs),
        "kills": len(kills),
        "by_kind": dict(Counter(kill["where"] for kill in kills)),
        "by_signal": dict(
            sorted(Counter(k["how"] for k in kills if k["where"] in ("python", "binary")).items())
        ),
        "after_first_checkpoint": sum(kill["resumed_from"] is not None for kill in kills),
        "runs_resumed_from_a_checkpoint": sum(
            any(kill["resumed_from"] for kill in run["kills"]) for run in runs
        ),
        "resumed_from": [kill["resumed_from"] or 0 for kill in kills],
        "equal": {name: equal[name] for name in ("weights", "thresholds", "state", "recording")},
        "full_disks": len(disks),
        "full_disks_equal": sum(all(run["equal"].values()) for run in disks),
        "real_full_disk": "a tmpfs of 40 MiB" if tmpfs else "skipped: no tmpfs may be mounted",
        "left_behind_part_files": sum(run["left_behind"] for run in runs),
    }


def row(name: object, run: dict[str, Any]) -> str:
    """A line of the table."""
    same = "equal" if all(run["equal"].values()) else "DIFFERENT"
    parts = [f"{kill['how']} -> {kill['resumed_from'] or 0}" for kill in run["kills"]]
    return f"{name!s:>3}  {same:9}  {'; '.join(parts)}"


def check_record(record: dict[str, Any], n: int) -> None:
    """Whether everything was as it must be."""
    counted = record["summary"]
    check(set(counted["equal"].values()) == {n}, f"runs that ended equal: {counted['equal']}")
    moments = record.get("every_moment", {"equal": 0, "moments": 0})
    check(moments["equal"] == moments["moments"], f"moments that ended equal: {moments['equal']}")
    check(counted["full_disks_equal"] == counted["full_disks"], "a full disk changed a result")


def record(kills: int, seed: int, moments: bool) -> dict[str, Any]:
    """Everything that the command line asks for."""
    from biosnn.experiments import environment

    with bench(size := Size()) as folder:
        made = measure(folder, kills, size, seed, print)
    if moments:
        with bench(size := Size(samples=300, checkpoint_every=60)) as folder:
            made["every_moment"] = measure_moments(folder, size, print)
        made["summary"]["every_moment"] = {
            key: made["every_moment"][key] for key in ("moments", "equal")
        }
    return {**made, "environment": environment()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=25, help="runs that are killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--every-moment", action="store_true", help="and kill a short run at each moment of a write"
    )
    parser.add_argument("--out", type=Path, help="JSON file for the record")
    arguments = parser.parse_args()
    try:
        made = record(arguments.kills, arguments.seed, arguments.every_moment)
        print(json.dumps(made["summary"], indent=1))
        if arguments.out is not None:
            arguments.out.write_text(json.dumps(made, indent=1) + "\n")
        check_record(made, arguments.kills)
    except FaultError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        moment, what = (*sys.argv[4:6], None, "")[:2] if len(sys.argv) > 4 else (None, "")
        sys.exit(child(Path(sys.argv[2]), Path(sys.argv[3]), moment, what))
    main()
