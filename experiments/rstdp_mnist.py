"""Digits from right and wrong: a spiking network whose last layer learns from a scalar reward.

    python experiments/rstdp_mnist.py                    # bundled digits, some minutes
    python experiments/rstdp_mnist.py --epochs 12        # the same network to the end
    python experiments/rstdp_mnist.py --full --score-every 3  # 64 features at every pixel
    python experiments/rstdp_mnist.py --validation 2000  # scored on images of the training set

Filters are learned without labels, by competition on small patches of the training images. Then
the network decides by a spike of one of ten decision cells, is told whether that was right, and
learns from the difference between the reward and the reward that it had predicted. No readout is
fitted anywhere. The scored images are shown after epochs with plasticity off, for the curve; what
is reported is the last epoch.

The controls learn in the same way, but from labels permuted among the images of an epoch, from
the rewards of the true run in random order whatever the network decides (yoked), or on filters
that never learned.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import _mnist
import attrs
import numpy as np
from _mnist import Data, Timer
from brian2 import ms

from biosnn import experiments, networks, plotting, simulation, storage
from biosnn.errors import ParameterError
from biosnn.models import Schedule
from biosnn.networks import NetworkModel
from biosnn.readout import PopulationReadout, score_report
from biosnn.state import State
from biosnn.validation import check_value

# All constants were chosen on validation images split off the training set.
SIDE, KERNEL, N_CLASSES = 28, 5, 10
FAINT = 60 / 255  # patches whose Euclidean norm is below it show no stroke
PATCH_EPOCHS = 2
SHIFT = 1  # pixels by which training images are moved at most
ETA_STOP = 0.05  # learning rate at the end, as a share of that at the beginning
FULL = {"features": 64, "stride": 1, "epochs": 12, "control_epochs": 3, "eta": 0.6 / 159}
CONTROLS = ("shuffled", "yoked", "random_filters")
# Numbers of the random streams.
PATCHES, SHIFTS, ORDER, CONTROL = range(1, 5)


def parse() -> argparse.Namespace:
    """Flags of this experiment."""
    assert __doc__
    parser = experiments.parser("rstdp_mnist", __doc__.splitlines()[0])
    parser.set_defaults(precision="single")
    _mnist.add_data_flags(parser, train=10_000, test=10_000)
    whole = experiments.whole
    model = parser.add_argument_group("network")
    model.add_argument(
        "--full",
        action="store_true",
        help="other defaults: "
        + ", ".join(f"--{name.replace('_', '-')} {value:.4g}" for name, value in FULL.items()),
    )
    model.add_argument("--features", type=whole(2), default=32, help="features per place")
    model.add_argument("--stride", type=whole(1), default=2, help="pixels between two places")
    model.add_argument(
        "--eta",
        type=float,
        default=0.6 / 65,
        help="learning rate at the beginning, about 0.6 by the pooling cells that fire per image",
    )
    model.add_argument("--patches", type=whole(1), default=60_000, help="that filters learn from")
    model.add_argument("--epochs", type=whole(1), default=4)
    model.add_argument(
        "--score-every",
        type=whole(1),
        default=1,
        metavar="N",
        help="epochs from one point of the curve to the next; the last epoch is always scored",
    )
    model.add_argument("--control-epochs", type=whole(1), default=2, help="of each control")
    model.add_argument(
        "--controls", nargs="*", choices=CONTROLS, default=CONTROLS, help="which ones to run"
    )
    _mnist.add_save_flags(parser)
    experiments.add_resume_flags(parser)
    if parser.parse_known_args()[0].full:
        parser.set_defaults(**FULL)
    args = parser.parse_args()
    _mnist.check_save(args)
    check_value("rstdp_mnist", "--eta", args.eta, 1.0, "> 0")
    if not args.controls:
        experiments.without_effect(args, ["--control-epochs"], "without --controls")
    if args.smoke:
        args.train, args.test = min(args.train, 1000), min(args.test, 500)
        args.features, args.patches = min(args.features, 16), min(args.patches, 6000)
        args.epochs, args.control_epochs = min(args.epochs, 2), min(args.control_epochs, 1)
    return args


def patches(images: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Patches at random places of random images, scaled to norm 1; the faint ones are left out."""
    rng = np.random.default_rng([seed, PATCHES])
    views = np.lib.stride_tricks.sliding_window_view(
        images.reshape(-1, SIDE, SIDE), (KERNEL, KERNEL), axis=(1, 2)
    )
    places = views.shape[1]
    chosen = rng.integers(len(views), size=n), *rng.integers(places, size=(2, n))
    found = views[chosen].reshape(n, -1)
    norm = np.linalg.norm(found, axis=1, keepdims=True)
    keep = norm[:, 0] > FAINT
    if not keep.any():
        wanted = "so many that some of them show a stroke"
        raise ParameterError("rstdp_mnist", "--patches", n, wanted)
    return (found[keep] / norm[keep]).astype(np.float32)


@attrs.frozen(eq=False)
class Filters:
    """One filter per row, of norm 1, and whether every patch had one winner."""

    learned: np.ndarray
    random: np.ndarray
    winners_per_patch: float
    least_share: float


def learn_filters(args: argparse.Namespace, images: np.ndarray) -> dict[str, Any]:
    """Competition of the features for patches, without labels: filters, and seconds by name."""
    network = networks.winner_take_all(
        KERNEL**2,
        args.features,
        encoding="direct",
        duration=2 * ms,
        cutoff=0.0,
        eta=Schedule(start=0.1, stop=0.005),
        homeostasis=Schedule(start=0.002, stop=0.0001),
        theta=0.5,
        weight_norm=1.0,
    )
    runnable = simulation.compile(
        network, args.device, precision=args.precision, per_sample=("exc.count",)
    )
    shown = patches(images, args.patches, args.seed)
    start = runnable.initial_state(args.seed)
    recording, state = runnable.fit(
        shown, start, epochs=PATCH_EPOCHS, seed=args.seed, progress=not args.quiet
    )
    counts = recording.counts("exc")

    def rows(of: State) -> np.ndarray:
        weights = of.weights("inp_exc").T
        return weights / np.linalg.norm(weights, axis=1, keepdims=True)

    filters = Filters(
        learned=rows(state),
        random=rows(start),
        winners_per_patch=float(counts.sum(axis=1).mean()),
        least_share=float(counts[-len(shown) :].mean(axis=0).min() * args.features),
    )
    seconds = {"build_s": runnable.build_seconds, "filters_s": recording.seconds}
    return {"filters": attrs.asdict(filters), "seconds": seconds}


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by a random number of pixels in both directions; the rest is dark."""
    room = SIDE + 2 * SHIFT
    padded = np.zeros((len(images), room, room), dtype=images.dtype)
    padded[:, SHIFT:-SHIFT, SHIFT:-SHIFT] = images.reshape(-1, SIDE, SIDE)
    views = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(1, 2))
    corner = rng.integers(2 * SHIFT + 1, size=(2, len(images)))
    return views[np.arange(len(images)), *corner].reshape(len(images), -1)


def decisions(counts: np.ndarray) -> np.ndarray:
    """The decision cell that fired; -1 where none or several did."""
    return np.where(counts.sum(axis=1) == 1, counts.argmax(axis=1), -1)


@attrs.define
class Course:
    """What one condition of learning leaves behind."""

    state: State
    epochs: list[int]  # after which the images were scored
    accuracy: list[float]
    rewarded: list[float]  # share of the images of an epoch that brought a reward
    rewards: list[np.ndarray]
    predictions: np.ndarray
    activity: dict[str, float]

    def report(self) -> dict[str, Any]:
        """The figures of this condition."""
        return {
            "accuracy": self.accuracy[-1],
            "curve": {"epochs": self.epochs, "accuracy": self.accuracy},
            "rewarded_while_learning": self.rewarded,
        }


class Trainer:
    """Shows epochs of moved images, under different conditions, to one compiled network."""

    def __init__(
        self,
        args: argparse.Namespace,
        data: Data,
        network: NetworkModel,
        timer: Timer,
        parts: experiments.Parts,
    ):
        self.args, self.data, self.network, self.timer = args, data, network, timer
        self.parts = parts
        self.runnable = simulation.compile(
            network,
            args.device,
            precision=args.precision,
            per_sample=("s1.count", "c1.count", "decision.count", "environment.reward"),
        )
        timer.add("build_s", self.runnable.build_seconds)
        self.n_tested = 0
        self._untrained: dict[str, dict[str, Any]] = {}

    def start(self, filters: np.ndarray) -> State:
        """The state before the first image, with these filters at every place."""
        pattern = self.network.projections["inp_s1"].pairs
        weights = pattern.weights(filters.reshape(-1, 1, KERNEL, KERNEL))
        return self.runnable.initial_state(self.args.seed).updated({"inp_s1.w": weights})

    def test(self, state: State) -> dict[str, Any]:
        """Decisions on the scored images with plasticity off; no label is shown."""
        recording, _ = self.runnable.run(
            {"image": self.data.test}, state, seed=self.args.seed, progress=not self.args.quiet
        )
        found = decisions(recording.counts("decision"))
        accuracy = score_report(self.data.test_labels, found, N_CLASSES)["accuracy"]
        activity = {
            f"{key}_spikes_per_image": float(recording.counts(key).sum(axis=1).mean())
            for key in ("s1", "c1", "decision")
        }
        return {
            "predictions": found,
            "accuracy": accuracy,
            "activity": activity,
            "seconds": recording.seconds,
        }

    def count(self, tested: dict[str, Any]) -> dict[str, Any]:
        """What a test found, when its time has been added."""
        self.timer.add("test_s", tested["seconds"])
        self.n_tested += len(self.data.test)
        return tested

    def answers(
        self, condition: str, labels: np.ndarray, rewards: np.ndarray | None, epoch: int
    ) -> dict[str, np.ndarray]:
        """What the environment is told in an epoch: the label plus 1, and gifts."""
        rng = np.random.default_rng([self.args.seed, CONTROL, epoch])
        given = {"label": labels + 1.0, "gift": np.zeros(len(labels))}
        if condition == "shuffled":
            given["label"] = rng.permutation(given["label"])
        if rewards is not None:
            given = {"label": np.zeros(len(labels)), "gift": rng.permutation(rewards)}
        return {name: values[:, None] for name, values in given.items()}

    def learn(
        self, condition: str, filters: np.ndarray, epochs: int, rewards: list[np.ndarray]
    ) -> Course:
        """Learn for some epochs; score after each of them."""
        state = self.start(filters)
        # Conditions on the same filters begin alike.
        key = "random" if condition == "random_filters" else "learned"
        if key not in self._untrained:
            found = self.parts(f"untrained-{key}", lambda: self.test(state))
            self._untrained[key] = self.count(found)
        first = self._untrained[key]
        course = Course(
            state, [0], [first["accuracy"]], [], [], first["predictions"], first["activity"]
        )
        for epoch in range(epochs):
            given = rewards[epoch] if rewards else None
            before = course.state
            found = self.parts(
                f"{condition}-{epoch}",
                lambda epoch=epoch, given=given, before=before: self.epoch(
                    condition, before, epoch, epochs, given
                ),
            )
            self.timer.add("train_s", found["seconds"])
            self.timer.add("learned_images", len(self.data.train))
            course.state = found["state"]
            course.rewards.append(found["rewards"])
            course.rewarded.append(float(found["rewards"].mean()))
            if found["tested"] is not None:
                tested = self.count(found["tested"])
                course.predictions, course.activity = tested["predictions"], tested["activity"]
                course.epochs.append(epoch + 1)
                course.accuracy.append(tested["accuracy"])
        return course

    def epoch(
        self, condition: str, state: State, epoch: int, epochs: int, rewards: np.ndarray | None
    ) -> dict[str, Any]:
        """One epoch of a condition: the state it ends in, its rewards, and the score if due."""
        images, labels = self.data.train, self.data.train_labels
        order = np.random.default_rng([self.args.seed, ORDER, epoch]).permutation(len(images))
        rng = np.random.default_rng([self.args.seed, SHIFTS, epoch])
        recording, state = self.runnable.fit(
            {
                "image": shifted(images[order], rng),
                **self.answers(condition, labels[order], rewards, epoch),
            },
            state,
            seed=self.args.seed,
            first_epoch=epoch,
            horizon=epochs * len(images),
            progress=not self.args.quiet,
        )
        due = (epoch + 1) % self.args.score_every == 0 or epoch + 1 == epochs
        return {
            "state": state,
            "rewards": np.asarray(recording["environment.reward"], dtype=float).reshape(-1),
            "seconds": recording.seconds,
            "tested": self.test(state) if due else None,
        }


def draw(
    args: argparse.Namespace, data: Data, filters: Filters, courses: Mapping[str, Course]
) -> None:
    """The curves, the filters, and which digits are taken for which."""
    n = len(data.train)
    with plotting.style():
        ax = None
        for name, course in courses.items():
            seen = n * np.asarray(course.epochs)
            last = name == list(courses)[-1]
            curve = {name: np.asarray(course.accuracy)}
            ax = plotting.learning_curve(seen, curve, chance=0.1 if last else None, ax=ax)
        assert ax is not None
        experiments.save_figure(args, ax, "accuracy")
        shape = (KERNEL, KERNEL)
        fields = plotting.receptive_fields(filters.learned.T, shape=shape)
        experiments.save_figure(args, fields, "filters")
        confusion = plotting.confusion_matrix(data.test_labels, courses["reward"].predictions)
        experiments.save_figure(args, confusion, "confusion")


def run() -> None:
    """The experiment."""
    args = parse()
    data = _mnist.load(args)
    experiments.begin(args)
    parts = experiments.Parts(args)
    timer = Timer()
    console = experiments.console_for(args)
    found = parts("filters", lambda: learn_filters(args, data.train))
    filters = Filters(**found["filters"])
    for name, seconds in found["seconds"].items():
        timer.add(name, seconds)
    network = networks.convolutional_reward_network(
        args.features,
        N_CLASSES,
        side=SIDE,
        kernel=KERNEL,
        stride=args.stride,
        eta=Schedule(start=args.eta, stop=ETA_STOP * args.eta),
    )
    trainer = Trainer(args, data, network, timer, parts)
    courses = {"reward": trainer.learn("reward", filters.learned, args.epochs, [])}
    reward = courses["reward"]
    console.print(f"reward: {', '.join(f'{value:.4f}' for value in reward.accuracy)}")
    model = storage.TrainedModel(
        network=network,
        state=reward.state,
        readout=PopulationReadout(N_CLASSES).fit(np.zeros((1, N_CLASSES))),
        observed="decision.count",
        precision=args.precision,
        provenance={"experiment": "rstdp_mnist", "seed": args.seed, "dataset": data.name},
    )
    _mnist.save(args, model)
    received = [reward.rewards[k % args.epochs] for k in range(args.control_epochs)]
    for name in args.controls:
        courses[name] = trainer.learn(
            name,
            filters.random if name == "random_filters" else filters.learned,
            args.control_epochs,
            received if name == "yoked" else [],
        )
        console.print(f"{name}: {', '.join(f'{value:.4f}' for value in courses[name].accuracy)}")
    report = score_report(data.test_labels, reward.predictions, N_CLASSES)
    change = reward.state["c1_decision.w"] - trainer.start(filters.learned)["c1_decision.w"]
    metrics = {
        **reward.report(),
        "recall": report["recall"],
        "undecided": report["n_silent"],
        **reward.activity,
        "mean_weight_change": float(np.abs(change).mean()),
        "winners_per_patch": filters.winners_per_patch,
        "least_share_of_a_filter": filters.least_share,
    }
    controls: dict[str, Any] = {
        name: course.report() for name, course in courses.items() if name != "reward"
    }
    controls["untrained"] = reward.accuracy[0]
    if "shuffled" in courses:
        metrics["above_shuffled"] = reward.accuracy[-1] - courses["shuffled"].accuracy[-1]
    timing = dict(timer.seconds)
    n_learned = timing.pop("learned_images")
    timing["train_ms_per_sample"] = 1e3 * timing["train_s"] / n_learned
    timing["test_ms_per_sample"] = 1e3 * timing["test_s"] / trainer.n_tested
    _mnist.save_arrays(
        args.out,
        filters=filters.learned,
        weights=reward.state.weights("c1_decision"),
        labels=data.test_labels,
        predictions=reward.predictions,
    )
    draw(args, data, filters, courses)
    experiments.write_report(
        args,
        metrics=metrics,
        controls=controls,
        timing=timing,
        parameters={
            "dataset": data.name,
            "scored_on": data.scored_on,
            "scored": "after epochs for the curve; the last epoch is the result",
            "settings_chosen_on": "validation images split off the training set",
            "n_train": len(data.train),
            "n_scored": len(data.test),
            "network_fingerprint": network.fingerprint,
        },
    )


if __name__ == "__main__":
    experiments.main(run)
