"""The main job: images through STDP to a trained readout, as one compiled binary.

    python experiments/mnist_stdp.py                                # bundled digits, Poisson input
    python experiments/mnist_stdp.py --data-dir MNIST --train 60000 --encoding direct
    python experiments/mnist_stdp.py --readout spiking --save model.biosnn

A winner-take-all layer (or the network of Diehl & Cook) learns without labels. Then plasticity
is switched off, readouts are fitted on the responses to the training images, and the test
images are scored once. The controls go through the same readouts: random weights that never
learned, and raw pixels.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import _mnist
import attrs
import numpy as np
from _mnist import Data, Timer

from biosnn import experiments, networks, simulation, storage
from biosnn.errors import ParameterError
from biosnn.models import Schedule
from biosnn.networks import NetworkModel
from biosnn.readout import LinearReadout, PopulationReadout, score_report
from biosnn.state import State
from biosnn.validation import check_value

# All constants were chosen on validation images split off the training set (docs/decisions).
NORM = 9.2  # Euclidean norm of an image, close to the mean over MNIST with pixels in [0, 1]
LATENCY_THETA, LATENCY_TAU = 950.0, 1.5e-3  # of the pass that reads first-spike latencies
# With plasticity off all thresholds are lowered by one factor, so that several units answer.
THRESHOLD_SCALE = {"direct": 0.05, "poisson": 0.25, "regular": 0.25, "bernoulli": 0.25}
SPIKING_SAMPLES = 20_000  # training images that a spiking readout learns from at most
# Inverse strength of regularisation; for counts small because fits on 60,000 samples slow down.
C_COUNTS, C_LATENCY = 0.1, 1.0
#: Largest number of neurons -> learning settings for direct current (others keep the defaults).
DIRECT_SETTINGS = {
    200: {
        "eta": Schedule(start=0.2, stop=0.003),
        "homeostasis": Schedule(start=3.0, stop=0.1),
    },
    800: {},
    2**31: {
        "eta": Schedule(start=0.5, stop=0.02),
        "homeostasis": Schedule(start=10.0, stop=0.6),
    },
}
READOUTS = ("vote", "proportion", "linear", "latency", "spiking")


def parse() -> argparse.Namespace:
    """Flags of this experiment."""
    parser = experiments.parser("mnist_stdp", __doc__.splitlines()[0])
    parser.set_defaults(precision="single")
    _mnist.add_data_flags(parser, train=10_000, test=10_000)
    experiments.add_run_flags(parser)
    whole = experiments.whole
    model = parser.add_argument_group("network")
    model.add_argument(
        "--network", choices=("winner_take_all", "diehl_cook_2015"), default="winner_take_all"
    )
    model.add_argument(
        "--encoding",
        choices=("poisson", "regular", "bernoulli", "direct"),
        default="poisson",
        help="of the images, for winner_take_all",
    )
    model.add_argument("--competition", choices=("argmax", "pool"), default="argmax")
    model.add_argument("--neurons", type=whole(1), default=400)
    model.add_argument("--epochs", type=whole(1), default=1)
    model.add_argument(
        "--readout",
        choices=READOUTS,
        default="vote",
        help="the one that is saved; latency and spiking need passes of their own",
    )
    model.add_argument(
        "--threshold-scale",
        type=float,
        metavar="X",
        help="factor on all thresholds while plasticity is off; default by encoding",
    )
    model.add_argument(
        "--n-parallel",
        type=whole(1),
        default=1,
        metavar="N",
        help="samples shown at once while plasticity is off: what a GPU is good at",
    )
    model.add_argument("--no-controls", action="store_true", help="skip the controls")
    model.add_argument(
        "--loop-samples",
        type=whole(0),
        default=0,
        metavar="N",
        help="also time N images through Brian2's own loop, one run() per image",
    )
    files = parser.add_argument_group("files")
    files.add_argument("--save", type=Path, metavar="FILE", help="save the trained model")
    files.add_argument("--load", type=Path, metavar="FILE", help="score a saved model instead")
    files.add_argument(
        "--continue-from",
        type=Path,
        metavar="FILE",
        help="go on learning from a saved model's state",
    )
    files.add_argument("--overwrite", action="store_true", help="let --save replace a file")
    args = parser.parse_args()
    if args.threshold_scale is None:
        args.threshold_scale = THRESHOLD_SCALE[args.encoding]
    check_value("mnist_stdp", "--threshold-scale", args.threshold_scale, 1.0, "> 0")
    check_effects(args)
    for flag, value in (("--n-parallel", args.n_parallel), ("--jobs", args.jobs)):
        if value > 1 and args.network == "diehl_cook_2015":
            wanted = "1 for diehl_cook_2015, where a sample depends on those before it"
            raise ParameterError("mnist_stdp", flag, value, wanted)
    if args.save:
        storage.check_target(args.save, overwrite=args.overwrite)
    if args.smoke:
        args.train, args.test = min(args.train, 1000), min(args.test, 500)
        args.neurons = min(args.neurons, 50)
    return args


def check_effects(args: argparse.Namespace) -> None:
    """Refuse flags that would do nothing beside others."""
    if args.network == "diehl_cook_2015":
        unused = ("--encoding", "--competition", "--threshold-scale")
        experiments.without_effect(args, unused, f"with --network {args.network}")
        if args.readout in ("latency", "spiking"):
            wanted = f"vote, proportion or linear with --network {args.network}"
            raise ParameterError("mnist_stdp", "--readout", args.readout, wanted)
    if args.load:
        used = ("--load", "--dataset", "--data-dir", "--test", "--validation", "--device", "--seed")
        shared = ("--smoke", "--json", "--quiet")
        words = [word.partition("=")[0] for word in args.command]
        unused = [word for word in words if word.startswith("--") and word not in (*used, *shared)]
        experiments.without_effect(args, unused, "with --load, which scores a saved model")
    if args.overwrite and not args.save:
        raise ParameterError("mnist_stdp", "--overwrite", "it", "left out without --save")


def declare(args: argparse.Namespace, **changes: Any) -> NetworkModel:
    """The network that the flags describe."""
    if args.network == "diehl_cook_2015":
        return networks.diehl_cook_2015(784, args.neurons)
    settings: dict[str, Any] = {
        "encoding": args.encoding,
        "competition": args.competition,
        "n_classes": 10 if args.readout == "spiking" else None,
    }
    if args.encoding == "direct":
        size = next(most for most in DIRECT_SETTINGS if args.neurons <= most)
        settings.update(DIRECT_SETTINGS[size])
    return networks.winner_take_all(784, args.neurons, **{**settings, **changes})


@attrs.define
class Trained:
    """What training leaves behind."""

    network: NetworkModel
    runnable: simulation.Runnable
    state: State
    untrained: State
    curve: dict[str, Any]


def learned_before(path: Path, fresh: State) -> State:
    """The state in which a saved model stopped learning, to go on from."""
    model = storage.load_model(path)
    for name in ("inp_exc.w", "exc.theta"):
        found = model.state[name].size if name in model.state else 0
        if found != fresh[name].size:
            raise ParameterError(
                "mnist_stdp",
                "--continue-from",
                f"a model with {found} values of {name}",
                f"one of this network ({fresh[name].size} values)",
                "Give the flags with which the model was trained",
            )
    state = fresh.transferred(model.state)
    # Models are saved with the thresholds at which they are read.
    theta = state["exc.theta"] / model.provenance.get("theta_scale", 1.0)
    seen = model.provenance.get("samples_seen", state.samples_seen)
    return state.updated({"exc.theta": theta, "protocol.seen": seen})


def train(args: argparse.Namespace, data: Data, images: np.ndarray, timer: Timer) -> Trained:
    """Learn without labels, epoch after epoch."""
    network = declare(args)
    observed = ["exc.count"] + (["readout.count"] if args.readout == "spiking" else [])
    runnable = simulation.compile(
        network,
        args.device,
        precision=args.precision,
        per_sample=observed,
        portable=args.portable,
    )
    timer.add("build_s", runnable.build_seconds)
    untrained = state = runnable.initial_state(args.seed)
    if args.continue_from:
        state = learned_before(args.continue_from, state)
    recording, state = runnable.fit(
        images,
        state,
        epochs=args.epochs,
        learn=("inp_exc",),
        seed=args.seed,
        **experiments.fit_settings(args),
    )
    timer.add("train_s", recording.seconds)
    curve: dict[str, Any] = {}
    for epoch in range(args.epochs):
        shown = slice(epoch * len(images), (epoch + 1) * len(images))
        part = _mnist.learning_curve(recording.counts("exc")[shown], data.train_labels)
        for key, values in part.items():
            offset = shown.start if key == "n_samples" else 0
            curve.setdefault(key, []).extend(value + offset for value in values)
    timer.add("train_ms_per_sample", 1e3 * timer.seconds["train_s"] / (args.epochs * len(images)))
    return Trained(network, runnable, state, untrained, curve)


def with_low_thresholds(args: argparse.Namespace, state: State) -> State:
    """The state with the thresholds at which a trained network is read."""
    if args.network == "diehl_cook_2015":
        return state
    return state.updated({"exc.theta": state["exc.theta"] * args.threshold_scale})


def responses(
    args: argparse.Namespace,
    runnable: simulation.Runnable,
    state: State,
    images: tuple[np.ndarray, np.ndarray],
    timer: Timer,
    variable: str = "exc.count",
    key: str = "label",
) -> tuple[np.ndarray, np.ndarray]:
    """Responses to the training images and to the scored images, with plasticity off."""
    first = 0
    found = []
    for part in images:
        found.append(
            _mnist.observe(
                runnable,
                state,
                part,
                variable,
                timer,
                seed=args.seed,
                first_sample=first,
                progress=not args.quiet,
                jobs=args.jobs,
                key=key,
            )
        )
        first += len(part)
    return found[0], found[1]


def latency_readout(
    args: argparse.Namespace,
    data: Data,
    images: tuple[np.ndarray, np.ndarray],
    states: dict[str, State],
    timer: Timer,
) -> tuple[dict[str, float], tuple[NetworkModel, State, Any]]:
    """Linear readout of first-spike latencies, without competition, for each of the states."""
    network = declare(args, competition="none", n_classes=None)
    runnable = simulation.compile(
        network,
        args.device,
        precision=args.precision,
        per_sample=("exc.t_first",),
        portable=args.portable,
    )
    timer.add("build_s", runnable.build_seconds)
    runnable = _mnist.reader(args, runnable, timer)
    accuracies, kept = {}, {}
    for name, source in states.items():
        theta = np.asarray(source["exc.theta"], dtype=float)
        state = runnable.initial_state(args.seed).transferred(source)
        state = state.updated({"exc.theta": theta * LATENCY_THETA / theta.mean()})
        train, test = responses(args, runnable, state, images, timer, "exc.t_first", key="latency")
        readout = LinearReadout(
            "logistic", features="latency", tau_latency=LATENCY_TAU, C=C_LATENCY, seed=args.seed
        )
        accuracies[name], _, fitted = _mnist.score(readout, train, data, test)
        kept[name] = (network, state, fitted)
    return accuracies, kept["learned"]


def spiking_readout(
    args: argparse.Namespace,
    data: Data,
    images: tuple[np.ndarray, np.ndarray],
    trained: Trained,
    timer: Timer,
) -> tuple[float, State, Any]:
    """Let the readout population learn the labels by its local rule; score its spikes."""
    n = min(len(images[0]), SPIKING_SAMPLES)
    samples = {"image": images[0][:n], "label": _mnist.one_hot(data.train_labels[:n])}
    low = with_low_thresholds(args, trained.state)
    recording, state = trained.runnable.run(
        samples,
        low.updated({"protocol.seen": 0}),
        learn=("exc_readout",),
        seed=args.seed,
        epoch=500,
        horizon=n,
        progress=not args.quiet,
    )
    timer.add("spiking_train_s", recording.seconds)
    counts = _mnist.observe(
        trained.runnable,
        state,
        images[1],
        "readout.count",
        timer,
        seed=args.seed,
        first_sample=len(images[0]),
        progress=not args.quiet,
        jobs=args.jobs,
        key="spiking_test",
    )
    readout = PopulationReadout(n_classes=10)
    readout.fit(np.zeros((1, 10), dtype=int), np.zeros(1, dtype=int))
    accuracy = score_report(data.test_labels, readout.predict(counts), 10)["accuracy"]
    return accuracy, state, readout


def evaluate(
    args: argparse.Namespace, data: Data, images: tuple[np.ndarray, np.ndarray], timer: Timer
) -> tuple[dict[str, Any], dict[str, Any], Trained, Any]:
    """Train, fit the readouts on training data, score once; metrics, controls, what to save."""
    console = experiments.console_for(args)
    trained = train(args, data, images[0], timer)
    console.print(f"learned {len(images[0])} images, {args.epochs} time(s)")
    read = with_low_thresholds(args, trained.state)
    reader = _mnist.reader(args, trained.runnable, timer)
    counts = responses(args, reader, read, images, timer)
    metrics: dict[str, Any] = {}
    predictions, fitted = {}, {}
    for name, readout in _mnist.count_readouts(C_COUNTS, args.seed).items():
        metrics[name], predictions[name], fitted[name] = _mnist.score(
            readout, counts[0], data, counts[1]
        )
    report = score_report(data.test_labels, predictions["vote"], 10)
    metrics["vote_silent"] = report["n_silent"]
    metrics["vote_recall"] = report["recall"]
    metrics["spikes_per_sample"] = float(counts[1].sum(axis=1).mean())
    controls: dict[str, Any] = {}
    if not args.no_controls:
        untrained = with_low_thresholds(args, trained.untrained)
        random = responses(args, reader, untrained, images, timer, key="control")
        for name, readout in _mnist.count_readouts(C_COUNTS, args.seed).items():
            controls[f"random_{name}"] = _mnist.score(readout, random[0], data, random[1])[0]
        controls["pixels_linear"] = _mnist.pixels_control(data, args.seed)
    chosen = fitted.get(args.readout)
    keep = (trained.network, read, chosen, "exc.count")
    if args.network == "winner_take_all" and (
        args.encoding == "direct" or args.readout == "latency"
    ):
        states = {"learned": trained.state}
        if not args.no_controls:
            states["random"] = trained.untrained
        accuracies, kept = latency_readout(args, data, images, states, timer)
        metrics["latency_linear"] = accuracies["learned"]
        if "random" in accuracies:
            controls["random_latency_linear"] = accuracies["random"]
        if args.readout == "latency":
            keep = (*kept, "exc.t_first")
    if args.readout == "spiking":
        metrics["spiking"], state, readout = spiking_readout(args, data, images, trained, timer)
        keep = (trained.network, state, readout, "readout.count")
    _mnist.save_arrays(
        args.out,
        weights=trained.state.weights("inp_exc"),
        shape=np.array([28, 28]),
        counts=counts[1][:2000],
        labels=data.test_labels,
        predictions=predictions["vote"],
        learning_n=np.array(trained.curve.get("n_samples", [])),
        learning_vote=np.array(trained.curve.get("vote", [])),
    )
    _mnist.figures(
        args.out,
        trained.state.weights("inp_exc"),
        data,
        predictions["vote"],
        counts[1],
        trained.curve,
    )
    return metrics, controls, trained, keep


def score_saved(args: argparse.Namespace, data: Data) -> None:
    """Score a saved model on the test images."""
    model = storage.load_model(args.load)
    predictions = model.classify(
        data.test, device=args.device, seed=args.seed, progress=not args.quiet
    )
    report = score_report(data.test_labels, predictions, 10)
    experiments.write_report(args, metrics={"saved": report["accuracy"], **report})


def run() -> None:
    """The experiment."""
    args = parse()
    data = _mnist.load(args)
    if args.load:
        score_saved(args, data)
        return
    if args.loop_samples:
        experiments.available(args, "loop_samples", len(data.train) - 1)
    experiments.begin(args)
    timer = Timer()
    norm = NORM if args.network == "winner_take_all" else None
    images = _mnist.scaled(data.train, norm), _mnist.scaled(data.test, norm)
    metrics, controls, trained, keep = evaluate(args, data, images, timer)
    if args.loop_samples:
        timer.seconds.update(
            _mnist.against_brian2_loop(
                trained.network,
                trained.state,
                images[0][: args.loop_samples + 1],
                trained.runnable,
                seed=args.seed,
                horizon=args.epochs * len(images[0]),
            )
        )
    if args.save:
        network, state, readout, observed = keep
        theta_scale = state["exc.theta"].mean() / trained.state["exc.theta"].mean()
        storage.save_model(
            storage.TrainedModel(
                network=network,
                state=state,
                readout=readout,
                preprocessing={} if norm is None else {"scale_norm": norm},
                observed=observed,
                precision=args.precision,
                provenance=storage.provenance(
                    dataset=data.name,
                    train=len(data.train),
                    seed=args.seed,
                    theta_scale=float(theta_scale),
                    samples_seen=trained.state.samples_seen,
                    metrics=metrics,
                    controls=controls,
                ),
            ),
            args.save,
            overwrite=args.overwrite,
        )
    experiments.write_report(
        args,
        metrics=metrics,
        controls=controls,
        timing=timer.seconds,
        parameters={
            "dataset": data.name,
            "scored_on": data.scored_on,
            "n_train": len(data.train),
            "n_scored": len(data.test),
            "image_norm": norm,
            "network_fingerprint": trained.network.fingerprint,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
