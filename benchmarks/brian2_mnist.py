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
from collections.abc import Callable, Iterator
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
class Brought:
    """A network that was brought along.

    Parameters
    ----------
    lifted : LiftedNetwork
        The network.
    output, weights : str
        The group that answers, and what is learned.
    thresholds : str
        What adapts besides; empty if nothing does.
    """

    lifted: Any
    output: str
    weights: str
    thresholds: str = ""


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
    """

    lift: Callable[[Path, tuple[np.ndarray, np.ndarray] | None], Brought]
    theirs: Callable[[Path, np.ndarray, int], tuple[float, float]]
    rates: Callable[[np.ndarray], np.ndarray]


def _mute(objects: Any) -> list[BrianObject]:
    """Without monitors: what they would keep of an epoch does not fit into memory."""
    return [target for target in objects if not type(target).__name__.endswith("Monitor")]


def _eighths(images: np.ndarray) -> np.ndarray:
    return images / 8.0


# --- Brian2's example


def _lift_example(checkout: Path, trained: tuple[np.ndarray, np.ndarray] | None) -> Brought:
    example: Any = load_example(checkout)
    np.random.seed(SEED)
    if trained is not None:
        with working_copy(checkout, own=("data",)) as folder:
            np.save(folder / "weights.npy", trained[0])
            np.save(folder / "theta.npy", trained[1])
            example.DATA_PATH = folder
            net = example.build_network(False)
    else:
        net = example.build_network(True)
    names = ("inp", "exc", "inp_exc")
    return _brought(_mute(net.objects), {}, *names, learns=trained is None, retries=False)


def _brought(
    objects: Any,
    namespace: Any,
    inputs: str,
    watch: str,
    synapses: str,
    *,
    learns: bool,
    retries: bool,
) -> Brought:
    more: dict[str, Any] = {}
    weights = f"{synapses}.w"
    if learns:
        more = {
            "learned": weights,
            "normalise": {weights: Normalisation(total=78)},
            "normalise_retries": retries,
        }
    lifted = biosnn.from_brian2(
        objects,
        namespace=namespace,
        inputs={"image": inputs},
        presentation=biosnn.Presentation(watch=watch, **PROTOCOL),
        output=watch,
        **more,
    )
    return Brought(lifted=lifted, output=watch, weights=weights, thresholds=f"{watch}.theta")


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
            np.save(folder / "weights" / "theta_A.npy", trained[1])
            i, j = (part.ravel() for part in np.mgrid[:784, :400])
            rows = np.stack([i, j, trained[0]], axis=1)
            np.save(folder / "weights" / "XeAe.npy", rows)
        yield folder


def _lift_diehl(checkout: Path, trained: tuple[np.ndarray, np.ndarray] | None) -> Brought:
    found: list[Brought] = []

    def take(simulation: Simulation) -> None:
        its, learns = simulation.namespace, trained is None
        chosen = (its["input_groups"]["Xe"], its["neuron_groups"]["e"], its["connections"]["XeAe"])
        names = [target.name for target in chosen]
        objects = _mute(simulation.network.objects)
        found.append(_brought(objects, its, *names, learns=learns, retries=True))
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


def _lift_neftci(checkout: Path, _: Any) -> Brought:
    found: list[Brought] = []

    def take(simulation: Simulation) -> None:
        its = simulation.namespace
        output, weights = its["P"].name, f"{its['Sff'].name}.w"
        lifted = biosnn.from_brian2(
            _mute(simulation.objects),
            namespace=its,
            inputs={"image": f"{its['Pin'].name}.rates"},
            presentation=biosnn.Presentation(duration=250 * ms, reset="none"),
            output=output,
            learned=weights,
        )
        found.append(Brought(lifted=lifted, output=output, weights=weights))
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
    "brian2": Case(lift=_lift_example, theirs=_their_example, rates=_eighths),
    "Brian2STDPMNIST": Case(lift=_lift_diehl, theirs=_their_diehl, rates=_eighths),
    "BrainInspiredMachineLearning": Case(
        lift=_lift_neftci, theirs=_their_neftci, rates=_sum_of_5000
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
    brought = case.lift(checkout, None)
    runnable = biosnn.compile(brought.lifted, device="cpp")
    state = start = runnable.initial_state()
    counts, shown, began = [], 0, _now()
    for first in range(0, args.images, args.chunk):
        rows = case.rates(images[first : min(first + args.chunk, args.images)])
        more = {"learn": True, "seed": SEED, "first_sample": first, "progress": False}
        recording, state = runnable.run({"image": rows}, state, **more)
        counts.append(recording.counts(brought.output))
        shown += int(recording.shown.sum())
        wall, cpu = _since(began)
        print(f"{first + len(rows)} images, {wall:.0f} s, {cpu:.0f} CPU s", flush=True)
    learned = np.abs(np.array(state[brought.weights]) - np.array(start[brought.weights]))
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
    if brought.thresholds:  # the script tests with another network
        trained = (np.array(state[brought.weights]), np.array(state[brought.thresholds]))
        brought = case.lift(checkout, trained)
        runnable = biosnn.compile(brought.lifted, device="cpp")
        state = runnable.initial_state()
    shown_test = {"image": case.rates(tests[: args.test])}
    recording, _ = runnable.run(shown_test, state, seed=SEED + 1, progress=False)
    answers = recording.counts(brought.output)
    figures |= accuracy(data, np.concatenate(counts), answers)
    if args.theirs:
        wall, cpu = case.theirs(checkout, images, args.theirs)
        figures["theirs"] = {
            "images": args.theirs,
            "ms_per_image": 1000 * wall / args.theirs,
            "cpu_ms_per_image": 1000 * cpu / args.theirs,
        }
    return figures


def accuracy(data: Any, counts: np.ndarray, answers: np.ndarray) -> dict[str, Any]:
    """What neurons, labelled by the last images they learned from, say of the first test images.

    Parameters
    ----------
    data : Dataset
        Whose training images were learned from, from the first on.
    counts, answers : numpy.ndarray of int, shape (samples, neurons)
        Spikes while it learned, and of test images.
    """
    n = min(LABELLED, len(counts) // 2)
    readout = VoteReadout().fit(counts[-n:], data.train.labels[len(counts) - n : len(counts)])
    correct = readout.predict(answers) == data.test.labels[: len(answers)]
    return {
        "labelled_on": n,
        "tested_on": len(answers),
        "accuracy": float(correct.mean()),
        "silent_test_images": int((answers.sum(axis=1) == 0).sum()),
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
