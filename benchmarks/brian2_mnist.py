"""An epoch of MNIST through networks of Brian2 users, in one program, beside their own loops.

``python -m benchmarks.brian2_mnist NAME FOLDER NETWORK --data-dir MNIST``, with a folder of
checkouts as for ``python -m validation brian2_mnist``; NETWORK is the name of one of them. The
network that the script builds is brought along without its monitors and learns so many images in
one compiled program; the last of them tell the neurons' labels, which vote on test images in the
network that the script tests with, or without learning. ``--theirs`` images go through
the script's own loop with Brian2's default code generation. Both are given in seconds and in CPU
seconds. The record is ``benchmarks/records/NAME.json``; an existing one is extended by NETWORK.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import Hz, ms, second, seed
from brian2.core.base import BrianObject

import biosnn
from biosnn import datasets
from biosnn.devices.runtime.script import Simulation, StopScript, run_script
from biosnn.errors import StorageError
from biosnn.experiments import environment, main
from biosnn.networks import Normalisation
from biosnn.readout import VoteReadout
from validation._follow import changed_text, working_copy
from validation.brian2_mnist import (
    DIEHL,
    DIEHL_CHANGES,
    NEFTCI,
    load_example,
    prepare_diehl,
)

RECORDS = Path(__file__).parent / "records"
SEED = 1
#: Most training images whose responses give the labels.
LABELLED = 10_000
#: Of the two networks after Diehl & Cook; sums of 78 are their scripts' own.
PROTOCOL = {
    "duration": 350 * ms,
    "rest": 150 * ms,
    "reset": "none",
    "min_spikes": 5,
    "max_retries": 255,
    "intensity": 2,
    "intensity_step": 1,
}


@attrs.frozen(kw_only=True)
class Case:
    """A user's network.

    Parameters
    ----------
    lift : callable
        Checkout, and weights and thresholds to test with or None -> the network.
    theirs : callable
        Checkout, images, number -> seconds and CPU seconds of so many images in the script's loop.
    rates : callable
        Images, shape (n, 784) -> values that are shown.
    output, weights : str
        The group that answers, and what is learned.
    thresholds : str
        What adapts besides; empty if nothing does.
    """

    lift: Callable[[Path, Mapping[str, np.ndarray] | None], Any]
    theirs: Callable[[Path, np.ndarray, int], tuple[float, float]]
    rates: Callable[[np.ndarray], np.ndarray]
    output: str
    weights: str
    thresholds: str = ""


def _mute(objects: Any) -> list[BrianObject]:
    """Without monitors: what they would keep of an epoch does not fit into memory."""
    return [target for target in objects if not type(target).__name__.endswith("Monitor")]


def _eighths(images: np.ndarray) -> np.ndarray:
    return images / 8.0


# --- Brian2's example


def _lift_example(checkout: Path, trained: Mapping[str, np.ndarray] | None) -> Any:
    example: Any = load_example(checkout)
    np.random.seed(SEED)
    if trained is not None:
        with working_copy(checkout, own=("data",)) as folder:
            np.save(folder / "theta.npy", trained["exc.theta"])
            np.save(folder / "weights.npy", trained["inp_exc.w"])
            example.DATA_PATH = folder
            net = example.build_network(False)
    else:
        net = example.build_network(True)
    return _lifted(_mute(net.objects), {}, "inp", "exc", "inp_exc.w" if trained is None else "")


def _lifted(
    objects: Any, namespace: Any, inputs: str, watch: str, learned: str, retries: bool = False
) -> Any:
    more: dict[str, Any] = {}
    if learned:
        more = {
            "learned": learned,
            "normalise": {learned: Normalisation(total=78)},
            "normalise_retries": retries,
        }
    return biosnn.from_brian2(
        objects,
        namespace=namespace,
        inputs={"image": inputs},
        presentation=biosnn.Presentation(watch=watch, **PROTOCOL),
        output=watch,
        **more,
    )


def _their_example(checkout: Path, images: np.ndarray, n: int) -> tuple[float, float]:
    example: Any = load_example(checkout)
    np.random.seed(SEED)
    net = example.build_network(True)
    seed(SEED)
    for k in range(n + 1):  # the first generates code
        if k == 1:
            began = _now()
        example.normalize_plastic_weights(net["inp_exc"])
        example.show_sample(net, _eighths(images[k]), example.INTENSITY)
    return _since(began)


# --- Brian2STDPMNIST


@contextmanager
def _diehl(checkout: Path, images: np.ndarray, trained: Any = None) -> Iterator[Path]:
    own = (DIEHL, "random", "mnist", "weights")
    with working_copy(checkout, own=own, absent=("brian2tools",)) as folder:
        labels = np.zeros(len(images), dtype=np.uint8)
        prepare_diehl(checkout, folder, images.reshape(-1, 28, 28), labels)
        if trained is not None:  # the first change has the script train; it tests without it
            (folder / DIEHL).write_text(changed_text(checkout / DIEHL, DIEHL_CHANGES[1:]))
            (folder / "weights").mkdir()
            np.save(folder / "weights" / "theta_A.npy", trained["neurongroup.theta"])
            i, j = (part.ravel() for part in np.mgrid[:784, :400])
            rows = np.stack([i, j, trained["synapses_2.w"]], axis=1)
            np.save(folder / "weights" / "XeAe.npy", rows)
        yield folder


def _lift_diehl(checkout: Path, trained: Mapping[str, np.ndarray] | None) -> Any:
    found: list[Any] = []

    def take(simulation: Simulation) -> None:
        learned = "synapses_2.w" if trained is None else ""
        objects = _mute(simulation.network.objects)
        names = simulation.namespace
        found.append(_lifted(objects, names, "poissongroup", "neurongroup", learned, retries=True))
        raise StopScript

    with _diehl(checkout, np.zeros((20, 784), np.uint8), trained) as folder:
        end = run_script(folder / DIEHL, take)
    if not found:
        raise StorageError(str(end))
    return found[0]


def _their_diehl(checkout: Path, images: np.ndarray, n: int) -> tuple[float, float]:
    marks: dict[int, tuple[float, float]] = {}

    def time_it(simulation: Simulation) -> None:
        shown = simulation.namespace.get("j", 0)
        marks.setdefault(shown, _now())
        if shown == n + 1:
            raise StopScript
        simulation.simulate()

    with _diehl(checkout, images) as folder:
        run_script(folder / DIEHL, time_it)
    (a, b), (c, d) = marks[1], marks[n + 1]
    return c - a, d - b


# --- BrainInspiredMachineLearning


@contextmanager
def _neftci(checkout: Path, images: np.ndarray) -> Iterator[Path]:
    data = ("mnist_data.npy", "mnist_targets.npy")
    with working_copy(checkout / "phase_2", own=data) as folder:
        np.save(folder / data[0], images[:1000].astype(float))
        np.save(folder / data[1], np.zeros(len(images[:1000])))
        yield folder


def _lift_neftci(checkout: Path, trained: Mapping[str, np.ndarray] | None) -> Any:
    found: list[Any] = []

    def take(simulation: Simulation) -> None:
        lifted = biosnn.from_brian2(
            _mute(simulation.objects),
            namespace=simulation.namespace,
            inputs={"image": "neurongroup.rates"},
            presentation=biosnn.Presentation(duration=250 * ms, reset="none"),
            output="neurongroup_1",
            learned="synapses.w",
        )
        found.append(lifted)
        raise StopScript

    np.random.seed(SEED)
    with _neftci(checkout, np.ones((1, 784))) as folder:
        end = run_script(folder / NEFTCI, take)
    if not found:
        raise StorageError(str(end))
    return found[0]


def _their_neftci(checkout: Path, images: np.ndarray, n: int) -> tuple[float, float]:
    found: list[tuple[float, float]] = []

    def time_it(simulation: Simulation) -> None:
        simulation.simulate(250 * ms)  # generates code
        began = _now()
        simulation.simulate(n * 0.25 * second)
        found.append(_since(began))
        raise StopScript

    with _neftci(checkout, images) as folder:
        run_script(folder / NEFTCI, time_it)
    return found[0]


def _sum_of_5000(images: np.ndarray) -> np.ndarray:
    return images / images.sum(axis=1, keepdims=True) * (5000 * Hz)


CASES = {
    "brian2": Case(
        lift=_lift_example,
        theirs=_their_example,
        rates=_eighths,
        output="exc",
        weights="inp_exc.w",
        thresholds="exc.theta",
    ),
    "Brian2STDPMNIST": Case(
        lift=_lift_diehl,
        theirs=_their_diehl,
        rates=_eighths,
        output="neurongroup",
        weights="synapses_2.w",
        thresholds="neurongroup.theta",
    ),
    "BrainInspiredMachineLearning": Case(
        lift=_lift_neftci,
        theirs=_their_neftci,
        rates=_sum_of_5000,
        output="neurongroup_1",
        weights="synapses.w",
    ),
}


def _now() -> tuple[float, float]:
    """Wall-clock time, and CPU seconds of this process and of those it has waited for."""
    own, children = (resource.getrusage(which) for which in (0, resource.RUSAGE_CHILDREN))
    return time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in (own, children))


def _since(began: tuple[float, float]) -> tuple[float, float]:
    now = _now()
    return now[0] - began[0], now[1] - began[1]


def measured(case: Case, checkout: Path, data: Any, args: argparse.Namespace) -> dict[str, Any]:
    """An epoch, what it taught, and the script's own loop."""
    images, tests = data.train.images.reshape(-1, 784), data.test.images.reshape(-1, 784)
    runnable = biosnn.compile(case.lift(checkout, None), device="cpp")
    state = start = runnable.initial_state()
    counts, shown, began = [], 0, _now()
    for first in range(0, args.images, args.chunk):
        rows = case.rates(images[first : min(first + args.chunk, args.images)])
        more = {"learn": True, "seed": SEED, "first_sample": first, "progress": False}
        recording, state = runnable.run({"image": rows}, state, **more)
        counts.append(recording.counts(case.output))
        shown += int(recording.shown.sum())
        wall, cpu = _since(began)
        print(f"{first + len(rows)} images, {wall:.0f} s, {cpu:.0f} CPU s", flush=True)
    learned = np.abs(np.array(state[case.weights]) - np.array(start[case.weights]))
    figures = {
        "images": args.images,
        "presentations": shown,
        "build_s": runnable.build_seconds,
        "learning_s": wall,
        "learning_cpu_s": cpu,
        "ms_per_image": 1000 * wall / args.images,
        "cpu_ms_per_image": 1000 * cpu / args.images,
        "spikes_per_image": float(np.concatenate(counts).sum(axis=1).mean()),
        "mean_change_of_a_weight": float(learned.mean()),
    }
    figures |= accuracy(case, checkout, data, state, runnable, np.concatenate(counts), tests, args)
    if args.theirs:
        wall, cpu = case.theirs(checkout, images, args.theirs)
        figures["theirs"] = {
            "images": args.theirs,
            "ms_per_image": 1000 * wall / args.theirs,
            "cpu_ms_per_image": 1000 * cpu / args.theirs,
        }
    return figures


def accuracy(
    case: Case,
    checkout: Path,
    data: Any,
    state: Any,
    runnable: Any,
    counts: np.ndarray,
    tests: np.ndarray,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """What the neurons, labelled by the last images they learned from, say of test images."""
    n = min(LABELLED, args.images // 2)
    labels = data.train.labels[args.images - n : args.images]
    readout = VoteReadout().fit(counts[-n:], labels)
    if case.thresholds:
        trained = {name: np.array(state[name]) for name in (case.weights, case.thresholds)}
        runnable = biosnn.compile(case.lift(checkout, trained), device="cpp")
        state = runnable.initial_state()
    shown = {"image": case.rates(tests[: args.test])}
    recording, _ = runnable.run(shown, state, seed=SEED + 1, progress=False)
    found = recording.counts(case.output)
    correct = readout.predict(found) == data.test.labels[: args.test]
    return {
        "labelled_on": n,
        "tested_on": args.test,
        "accuracy": float(correct.mean()),
        "silent_test_images": int((found.sum(axis=1) == 0).sum()),
    }


def run() -> None:
    """Write the record that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.brian2_mnist", description=__doc__)
    parser.add_argument("name", help="of the record")
    parser.add_argument("folder", type=Path, help="with checkouts")
    parser.add_argument("network", choices=CASES)
    parser.add_argument("--data-dir", help="with MNIST's IDX files; default: the bundled subset")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--chunk", type=int, default=2_000, help="images in one start")
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--theirs", type=int, default=20)
    args = parser.parse_args()
    target = RECORDS / f"{args.name}.json"
    record = json.loads(target.read_text()) if target.exists() else {"environment": environment()}
    if args.network in record:
        raise StorageError(f"{target} has {args.network}; records are only added")
    data = datasets.load_mnist(args.data_dir) if args.data_dir else datasets.load_digits()
    checkout = (args.folder / args.network).resolve()
    record[args.network] = measured(CASES[args.network], checkout, data, args)
    target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(run)
