"""Diehl & Cook (2015): unsupervised learning with STDP, beside the table of the paper.

    python experiments/diehl_cook_2015.py --sizes 100 400 --data-dir MNIST --train 60000

For each size the network learns, then labels are assigned on responses to training images with
plasticity off, and the test images are scored by the vote. The paper (doi:10.3389/
fncom.2015.00099) reports 82.9, 87.0, 91.9 and 95.0 % for 100, 400, 1600 and 6400 excitatory
neurons, with one pass over MNIST for the smaller networks and three and seven for the larger.
"""

from __future__ import annotations

import argparse
from typing import Any

import _mnist
from _mnist import Data, Timer

from biosnn import experiments, networks, plotting, simulation
from biosnn.errors import ParameterError
from biosnn.readout import VoteReadout, score_report

PAPER = {100: 0.829, 400: 0.870, 1600: 0.919, 6400: 0.950}


def parse() -> argparse.Namespace:
    """Flags of this experiment."""
    parser = experiments.parser("diehl_cook_2015", __doc__.splitlines()[0])
    parser.set_defaults(precision="single")
    _mnist.add_data_flags(parser, train=10_000, test=10_000)
    whole = experiments.whole
    model = parser.add_argument_group("network")
    model.add_argument(
        "--sizes", type=whole(1), nargs="+", default=[100], help="excitatory neurons"
    )
    model.add_argument("--rule", choices=("triplet", "power_law"), default="triplet")
    model.add_argument("--epochs", type=whole(1), default=1)
    model.add_argument(
        "--label",
        type=whole(1),
        default=experiments.UpTo(10_000),
        help="training images that assign the labels",
    )
    experiments.add_run_flags(parser)
    args = parser.parse_args()
    if args.jobs > 1:
        wanted = "1 for this network, where a sample depends on those before it"
        raise ParameterError("diehl_cook_2015", "--jobs", args.jobs, wanted)
    if args.smoke:
        args.train, args.test = min(args.train, 300), min(args.test, 100)
        args.label = min(args.label, 200)
        args.sizes = [min(args.sizes[0], 20)]
    return args


def one_size(args: argparse.Namespace, size: int, data: Data, timer: Timer) -> dict[str, Any]:
    """Train and score one network; its row of the table."""
    network = networks.diehl_cook_2015(data.train.shape[1], size, rule=args.rule)
    runnable = simulation.compile(
        network, args.device, precision=args.precision, portable=args.portable
    )
    timer.add("build_s", runnable.build_seconds)
    state = untrained = runnable.initial_state(args.seed)
    progress = not args.quiet
    recording, state = runnable.fit(
        data.train,
        state,
        epochs=args.epochs,
        seed=args.seed,
        **experiments.fit_settings(args, f"{size}"),
    )
    n_train = len(data.train)
    presentations, seconds = int(recording.shown.sum()), recording.seconds
    curve = _mnist.learning_curve(recording.counts("exc")[-n_train:], data.train_labels)
    timer.add("train_s", seconds)
    row: dict[str, Any] = {
        "neurons": size,
        "paper": PAPER.get(size),
        "presentations": presentations,
        "train_s": seconds,
        "ms_per_presentation": 1e3 * seconds / presentations,
    }
    n_label = args.label
    for name, source in (("vote", state), ("random_vote", untrained)):
        settings = {"seed": args.seed, "progress": progress, "epoch": 1000}
        labelled, _ = runnable.run(data.train[-n_label:], source, **settings)
        shown, _ = runnable.run(data.test, source, first_sample=n_label, **settings)
        timer.add("score_s", labelled.seconds + shown.seconds)
        readout = VoteReadout(n_classes=10).fit(
            labelled.counts("exc"), data.train_labels[-n_label:]
        )
        predictions = readout.predict(shown.counts("exc"))
        report = score_report(data.test_labels, predictions, 10)
        row[name], row[f"{name}_silent"] = report["accuracy"], report["n_silent"]
        if name == "vote":
            _mnist.figures(
                args.out / f"{size}",
                state.weights("inp_exc"),
                data,
                predictions,
                shown.counts("exc"),
                curve,
            )
    return row


def run() -> None:
    """The experiment."""
    args = parse()
    data = _mnist.load(args)
    experiments.available(args, "label", len(data.train))
    experiments.begin(args)
    timer = Timer()
    rows = [one_size(args, size, data, timer) for size in args.sizes]
    with plotting.style():
        axes = plotting.learning_curve(
            [row["neurons"] for row in rows],
            {"vote": [row["vote"] for row in rows]},
            chance=0.1,
        )
        axes.set_xlabel("excitatory neurons")
        experiments.save_figure(args, axes, "sizes")
    experiments.write_report(
        args,
        metrics={"vote": rows[-1]["vote"], "table": rows},
        controls={
            "random_vote": rows[-1]["random_vote"],
            "pixels_linear": _mnist.pixels_control(data, args.seed),
        },
        timing=timer.seconds,
        parameters={"dataset": data.name, "scored_on": data.scored_on, "n_train": len(data.train)},
    )


if __name__ == "__main__":
    experiments.main(run)
