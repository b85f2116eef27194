"""What the engine costs, side by side in one run: ``python benchmarks/engine.py NAME [PART ...]``.

Parts, all by default, for the Poisson and the direct network of 400 neurons in single precision:

- ``build``: a first build against Brian2's own ``device.build()`` of the same network;
- ``start``: how long a second start, in a new process, takes to its first sample;
- ``chunks``: 10,000 images in one chunk against ten, with equal results;
- ``parallel``: 10,000 images with plasticity off in one process against two, with equal results;
- ``memory``: peak resident memory of 1,000 and of 60,000 streamed images (Python and binary).

Every figure comes from a process of its own. The record is ``benchmarks/records/NAME.json``; an
existing one is not replaced.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from biosnn import datasets, experiments, networks, simulation
from biosnn.encoding import scale_norm
from biosnn.errors import StorageError

RECORDS = Path(__file__).parent / "records"
ENCODINGS = ("poisson", "direct")
N_IMAGES, REPEATS = 10_000, 5


def compiled(encoding: str) -> simulation.Runnable:
    """The network of 400 neurons."""
    network = networks.winner_take_all(784, 400, encoding=encoding)
    return simulation.compile(network, "cpp", precision="single")


def images(n: int) -> np.ndarray:
    """The first images of the bundled digits, again from the start when they are used up."""
    flat = scale_norm(datasets.load_digits().train.flat(), 9.2)
    return flat[np.arange(n) % len(flat)]


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the action gives."""
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


# --- each of these runs in a process of its own and prints one JSON object


def ours() -> dict[str, float]:
    """A first build by biosnn: everything between the declaration and a binary that runs."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BIOSNN_CACHE_DIR"] = cache
        return {"build_s": timed(lambda: compiled("poisson"))[0]}


def stock() -> dict[str, float]:
    """Brian2's ``device.build()`` of the same objects; declaring them is not counted."""
    from brian2 import BrianObject, Clock, get_device, prefs, set_device

    from biosnn.devices.base.brian2_objects import build
    from biosnn.program.lower import lower
    from biosnn.program.program import Kernel
    from biosnn.program.recorders import Record

    class Hooks:
        """Objects without code in the places where biosnn moves data."""

        def load(self, kernel: Kernel, clock: Clock) -> BrianObject:
            return BrianObject(clock=clock, when="start", name=kernel.name)

        def store(self, kernel: Kernel, clock: Clock) -> BrianObject:
            return BrianObject(clock=clock, when="start", name="store")

        def snapshot(self, kernel: Kernel, clock: Clock) -> None:
            return None

    set_device("cpp_standalone", build_on_run=False)
    prefs.core.default_float_dtype = np.float32
    network = networks.winner_take_all(784, 400)
    program = lower(network, Record(per_sample=("exc.count",)))
    built = build(program, Hooks(), single_precision=True)
    built.net.run(network.dt * network.steps_per_presentation, namespace={})
    with tempfile.TemporaryDirectory() as folder:
        seconds, _ = timed(
            lambda: get_device().build(directory=folder, run=False, with_output=False)
        )
    return {"build_s": seconds}


def second_start(encoding: str) -> dict[str, float]:
    """From the end of the imports to the first sample's end."""

    def start() -> None:
        runnable = compiled(encoding)
        assert not runnable._made.built_now, "the network was not in the cache"
        recording, _ = runnable.run(first, learn=True, progress=False)
        assert recording.counts("exc").shape == (1, 400)

    first = images(1)
    return {"to_first_sample_s": timed(start)[0]}


def peak(n: int) -> dict[str, float]:
    """Peak resident memory of a run over a stream of images, in MiB (Linux)."""
    runnable = compiled("direct")
    rng = np.random.default_rng(0)
    part = scale_norm(rng.random((1000, 784)) * (rng.random((1000, 784)) < 0.2), 9.2)
    part = part.astype(np.float32)

    def stream() -> Iterator[np.ndarray]:
        for _ in range(n // 1000):
            yield part

    with PeakOfChildren() as binary:
        recording, _ = runnable.run(stream(), learn=True, horizon=n, progress=False)
    assert recording.counts("exc").shape == (n, 400)
    assert recording.counts("exc").sum() > n // 10
    assert binary.kib > 0, "no binary was seen"
    usage = {
        "python_MiB": peak_of(Path("/proc/self")) / 2**10,
        "binary_MiB": binary.kib / 2**10,
    }
    return {**usage, "sum_MiB": sum(usage.values())}


def peak_of(process: Path) -> int:
    """Peak resident memory of a process since its program began, in KiB.

    ``getrusage`` would count what the process was before, a copy of the one that started it.
    """
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


class PeakOfChildren:
    """Looks at this process' children while it lasts: the largest resident memory of any."""

    def __enter__(self) -> PeakOfChildren:
        self.kib = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            for task in Path("/proc/self/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    for pid in task.read_text().split():
                        self._note(Path(f"/proc/{pid}"))

    def _note(self, process: Path) -> None:
        if os.readlink(process / "exe").endswith("/main"):
            self.kib = max(self.kib, peak_of(process))


CHILDREN = {"ours": ours, "stock": stock, "second_start": second_start, "peak": peak}


def child(name: str, *arguments: object) -> dict[str, float]:
    """Call one of the functions above in a process of its own."""
    command = [sys.executable, __file__, "--child", name, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


# --- the parts


def build() -> dict[str, Any]:
    """First builds, one after the other and again."""
    pairs = [(child("ours")["build_s"], child("stock")["build_s"]) for _ in range(2)]
    return {
        "ours_s": [one for one, _ in pairs],
        "stock_s": [other for _, other in pairs],
        "ratio": [one / other for one, other in pairs],
    }


def start() -> dict[str, Any]:
    """Second starts."""
    found = {}
    for encoding in ENCODINGS:
        compiled(encoding)
        found[encoding] = [child("second_start", encoding)["to_first_sample_s"] for _ in range(3)]
    return found


def compared(
    encoding: str, learn: bool, one: dict[str, Any], other: dict[str, Any]
) -> dict[str, Any]:
    """Times of two ways to run the same images, in turns, and whether the results are equal."""
    runnable, samples = compiled(encoding), images(N_IMAGES)
    runnable.run(samples[:100], learn=learn, progress=False)
    seconds: tuple[list[float], list[float]] = ([], [])
    results = []
    for _ in range(REPEATS):
        for settings, found in zip((one, other), seconds, strict=True):
            took, result = timed(
                lambda settings=settings: runnable.run(
                    samples, learn=learn, horizon=N_IMAGES, progress=False, **settings
                )
            )
            found.append(took)
            results.append(result)
    counts = results[0][0].counts("exc")
    assert counts.sum() > N_IMAGES
    same = all(
        np.array_equal(recording.counts("exc"), counts)
        and state.checksum() == results[0][1].checksum()
        for recording, state in results
    )
    return {
        "seconds": {str(one): seconds[0], str(other): seconds[1]},
        "fastest_ratio": min(seconds[1]) / min(seconds[0]),
        "median_ratio": float(np.median(seconds[1]) / np.median(seconds[0])),
        "equal_to_the_bit": same,
    }


def chunks() -> dict[str, Any]:
    """One chunk against ten, learning."""
    one, ten = {"chunk_size": N_IMAGES}, {"chunk_size": N_IMAGES // 10}
    return {encoding: compared(encoding, True, one, ten) for encoding in ENCODINGS}


def parallel() -> dict[str, Any]:
    """One process against two, plasticity off."""
    return {
        encoding: compared(encoding, False, {"n_jobs": 1}, {"n_jobs": 2}) for encoding in ENCODINGS
    }


def memory() -> dict[str, Any]:
    """Peaks for few and for many images."""
    few, many = (child("peak", n) for n in (1000, 60_000))
    return {
        "1000": few,
        "60000": many,
        "difference_MiB": many["sum_MiB"] - few["sum_MiB"],
    }


PARTS = {f.__name__: f for f in (build, start, chunks, parallel, memory)}


def run() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the record")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    args = parser.parse_args()
    if set(args.parts) - set(PARTS):
        parser.error(f"a PART must be one of {', '.join(PARTS)}")
    target = RECORDS / f"{args.name}.json"
    if target.exists():
        raise StorageError(f"{target} exists; records are only added, choose another name")
    record: dict[str, Any] = {"environment": experiments.environment(), "cores": os.cpu_count()}
    for part in args.parts or PARTS:
        print(f"{part} ...", file=sys.stderr)
        record[part] = PARTS[part]()
        print(json.dumps({part: record[part]}, indent=1), file=sys.stderr)
    RECORDS.mkdir(exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        arguments = [int(word) if word.isdigit() else word for word in sys.argv[3:]]
        print(json.dumps(CHILDREN[sys.argv[2]](*arguments)))
    else:
        experiments.main(run)
