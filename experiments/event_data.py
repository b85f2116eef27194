"""Event data: N-MNIST and SHD by STDP and by surrogate gradients, on synthetic files or real ones.

    python experiments/event_data.py                        # files that this script makes
    python experiments/event_data.py --data-dir DIR         # DIR/NMNIST and DIR/SHD, the real ones

Without --data-dir no event was ever recorded: small files in the formats of both sets are written
to --out and read back. Digits of MNIST are moved past simulated pixels; words of three simulated
formants become spikes of 700 channels, half of them the others played backwards. Figures from these
files are none of N-MNIST or of the Spiking Heidelberg Digits and cannot be compared with published
ones.

Each set is learned twice. STDP: a competitive layer takes the address events and learns by the
instar rule, without labels; a linear readout of its spike counts is fitted on the training samples.
Gradients: a feed-forward network of leaky neurons is trained on labels, and its weights run in
Brian2. Controls: the linear readout of the events' counts, and of the layer before it learned; the
trained network on permuted labels. Settings were chosen with --validation, on a tenth of the
training samples; the test part is scored at the end.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from _event_files import write_nmnist, write_shd
from brian2 import ms
from matplotlib.figure import Figure

from biosnn import datasets, encoding, experiments, networks, plotting, simulation, surrogate
from biosnn.datasets import Dataset, EventSplit
from biosnn.models import Schedule
from biosnn.networks import Input, NetworkModel, Population
from biosnn.readout import linear_readout

NAMES = ("n-mnist", "shd")
DT = 1 * ms  # of the network that learns by STDP
#: How each set is prepared and learned. Durations are those of the synthetic and the real files.
SETTINGS: dict[str, dict[str, Any]] = {
    "n-mnist": {
        "pool": 2,
        "duration": (320 * ms, 320 * ms),
        "stdp": {"theta": 100.0, "gain": 0.5, "tau_pre": 20 * ms, "tau_m": 50 * ms},
        "weight_norm": 14.0,
        "frame": 5 * ms,
        "tau": 20 * ms,
        "epochs": 6,
    },
    "shd": {
        "pool": 10,
        "duration": (750 * ms, 1400 * ms),
        "stdp": {"theta": 60.0, "gain": 0.3, "tau_pre": 40 * ms, "tau_m": 40 * ms},
        "weight_norm": 5.0,
        "frame": 10 * ms,
        "tau": 50 * ms,
        "epochs": 12,
    },
}
ETA = Schedule(start=0.3, stop=0.01)
STDP_EPOCHS = 5
HIDDEN, BATCH, LR = 100, 50, 5e-3
SMOKE = {"train": 150, "test": 100, "neurons": 30}


@attrs.frozen(eq=False)
class Parts:
    """Samples that are learned from and that are scored, in random order."""

    train: EventSplit
    scored: EventSplit
    classes: tuple[str, ...]
    duration: Any

    @property
    def n_units(self) -> int:
        return self.train.n_units


def balanced(part: EventSplit, n: int, rng: np.random.Generator) -> EventSplit:
    """As many samples of each class, `n` in all at most, in random order."""
    labels = np.unique(part.labels)
    rows = [np.flatnonzero(part.labels == label)[: max(n // len(labels), 1)] for label in labels]
    return part.pick(rng.permutation(np.concatenate(rows)))


def files(args: argparse.Namespace) -> Path:
    """Folder of the event files; without --data-dir they are made now."""
    if args.data_dir is not None:
        return args.data_dir
    folder = args.out / f"files-{args.train}-{args.test}-{args.seed}"
    if "n-mnist" in args.dataset:
        write_nmnist(folder / "NMNIST", args.train, args.test, args.seed)
    if "shd" in args.dataset:
        write_shd(folder / "SHD", args.train, args.test, args.seed)
    return folder


def load(args: argparse.Namespace, name: str, folder: Path) -> Parts:
    """Read the files; sample in space and time; set a validation part aside."""
    how = SETTINGS[name]
    duration = how["duration"][args.data_dir is not None]
    most = max(args.train, args.test) // 10
    read = datasets.load_nmnist if name == "n-mnist" else datasets.load_shd
    data: Dataset[EventSplit] = read(folder, per_class=max(most, 1))
    data = data.map(datasets.pool, how["pool"]).map(datasets.crop_time, duration)
    train, validation, test = data.split_validation()
    rng = np.random.default_rng([args.seed, 2])
    return Parts(
        balanced(train, args.train, rng),
        balanced(validation if args.validation else test, args.test, rng),
        data.classes,
        duration,
    )


def competitive_network(name: str, parts: Parts, n_neurons: int) -> NetworkModel:
    """The ready winner-take-all network, with address events in place of its input."""
    how = SETTINGS[name]
    ready = networks.winner_take_all(
        parts.n_units,
        n_neurons,
        duration=parts.duration,
        dt=DT,
        eta=ETA,
        weight_norm=how["weight_norm"],
        **how["stdp"],
    )
    source = Population(model=encoding.address_events(), n=parts.n_units, drives={"x": "events"})
    return attrs.evolve(
        ready,
        name=f"stdp_{name.replace('-', '_')}",
        inputs={"events": Input(features=parts.n_units, kind="events")},
        populations={**ready.populations, "inp": source},
    )


def accuracy(train: np.ndarray, scored: np.ndarray, parts: Parts, seed: int) -> float:
    """Accuracy of a linear readout that is fitted on training features."""
    readout = linear_readout(seed=seed).fit(train, parts.train.labels)
    return float(np.mean(readout.predict(scored) == parts.scored.labels))


def learn_by_stdp(args: argparse.Namespace, name: str, parts: Parts) -> dict[str, Any]:
    """Accuracy of the readout after and before the layer has learned, and its weights."""
    runnable = simulation.compile(
        competitive_network(name, parts, args.neurons),
        device=args.device,
        precision=args.precision,
        per_sample=("exc.count",),
    )
    shown = {part: getattr(parts, part).address_events() for part in ("train", "scored")}
    learned, state = runnable.fit(
        shown["train"],
        epochs=args.epochs or STDP_EPOCHS,
        seed=args.seed,
        **experiments.fit_settings(args, f"stdp-{name}"),
    )
    found: dict[str, Any] = {}
    for key, given in (("stdp_linear", state), ("random_linear", None)):
        counts = {
            part: runnable.run(x, given, seed=args.seed, progress=not args.quiet)[0].counts("exc")
            for part, x in shown.items()
        }
        found[key] = accuracy(counts["train"], counts["scored"], parts, args.seed)
        found[f"{key}_spikes"] = float(counts["scored"].sum(axis=1).mean())
    weights = state.weights("inp_exc")
    found["weights"] = weights
    found["moved"] = float(
        np.abs(weights - runnable.initial_state(args.seed).weights("inp_exc")).mean()
    )
    found["build_s"], found["run_s"] = runnable.build_seconds, learned.seconds
    return found


def as_sequences(frames: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Frames [N, T, units] as torch modules take them, [T, N, units]."""
    return torch.from_numpy(frames.swapaxes(0, 1).astype(np.float32))


def learn_by_gradients(
    args: argparse.Namespace, name: str, parts: Parts, *, shuffled: bool = False
) -> tuple[dict[str, Any], surrogate.SurrogateNetwork, np.ndarray]:
    """Accuracy of a trained feed-forward network, the network, and the frames that were scored."""
    how = SETTINGS[name]
    steps = int(np.ceil(float(parts.duration / how["frame"]) - 1e-6))
    network = networks.feedforward(
        (parts.n_units, HIDDEN, len(parts.classes)),
        networks.threshold_neuron(how["tau"]),
        steps=steps,
        dt=how["frame"],
    )
    module = surrogate.to_torch(network, seed=args.seed, detach_reset=True)
    frames, labels = {}, {"train": parts.train.labels, "scored": parts.scored.labels}
    for part in ("train", "scored"):
        spikes = datasets.to_frames(
            getattr(parts, part), how["frame"], duration=steps * how["frame"], binary=True
        )
        frames[part] = spikes.frames().astype(bool)
    if shuffled:
        labels["train"] = np.random.default_rng([args.seed, 3]).permutation(labels["train"])
    batches = {
        part: surrogate.Batches(
            frames[part],
            labels[part],
            as_sequences,
            batch_size=BATCH,
            seed=args.seed,
            shuffle=part == "train",
        )
        for part in frames
    }
    loss = surrogate.RateCrossEntropy(scale=0.5)
    history = surrogate.train(
        module,
        batches["train"],
        epochs=args.epochs or how["epochs"],
        lr=LR,
        loss=loss,
        folder=args.out / "checkpoints" / f"gradients-{name}{'-shuffled' if shuffled else ''}",
        resume=args.resume,
        progress=not args.quiet,
    )
    scored = surrogate.evaluate(module, batches["scored"], loss)
    found = {
        "accuracy": scored["accuracy"],
        "train_accuracy": list(history.train_accuracy),
        "run_s": sum(history.seconds),
    }
    return found, module, frames["scored"]


def in_brian2(module: surrogate.SurrogateNetwork, frames: np.ndarray, dt: Any) -> dict[str, Any]:
    """Spike counts of the trained network in Brian2 and in torch, on some samples."""
    spikes = torch.from_numpy(frames.swapaxes(0, 1).astype(np.float64))
    module = surrogate.SurrogateNetwork(
        module.network, state=module.state(), detach_reset=True
    ).double()
    with torch.no_grad():
        expected = module.counts(spikes).numpy()
    runnable = simulation.compile(module.network, "runtime", per_sample=("output.count",))
    recording, _ = runnable.run(
        surrogate.address_events(spikes, dt), module.state(), progress=False
    )
    counts = recording.counts("output")
    return {
        "brian2_samples": len(frames),
        "brian2_spikes": int(counts.sum()),
        "brian2_equal_counts": float((counts == expected).mean()),
    }


def draw(
    name: str, parts: Parts, found: dict[str, Any], weights: np.ndarray, curve: list[float]
) -> Figure:
    """A sample, weights that STDP learned, the training curve, and accuracies with controls."""
    figure = Figure(figsize=(11.0, 6.6), layout="constrained")
    panels = figure.subplots(2, 3)
    events = parts.train.pick([0])
    word = parts.classes[events.labels[0]]
    for ax, shown in ((panels[0, 0], events), (panels[0, 1], parts.train)):
        if name == "n-mnist":
            p, _, _ = np.unravel_index(events.unit, events.shape)
            if shown is events:
                for polarity, label in enumerate(("OFF", "ON")):
                    mine = p == polarity
                    place = events.unit[mine] % (events.shape[1] * events.shape[2])
                    ax.plot(1e3 * events.time[mine], place, ".", markersize=1, label=label)
                ax.set(xlabel="time (ms)", ylabel="pixel", title=f"events of a digit {word}")
                ax.legend(markerscale=8, loc="upper right")
            else:
                off, on = events.counts().reshape(events.shape)
                most = np.abs(on - off).max()
                image = ax.imshow(on - off, cmap="RdBu_r", vmin=-most, vmax=most)
                figure.colorbar(image, ax=ax, label="ON - OFF events")
                ax.set(title="the same, summed over time", xlabel="column", ylabel="row")
        elif shown is events:
            ax.plot(1e3 * events.time, events.unit, ".", markersize=2)
            ax.set(xlabel="time (ms)", ylabel="channel (pooled)", title=f"events of {word!r}")
        else:
            means = [
                shown.counts()[shown.labels == label].mean(axis=0)
                for label in range(len(parts.classes))
            ]
            image = ax.imshow(means, aspect="auto", interpolation="none", cmap="magma")
            figure.colorbar(image, ax=ax, label="events per sample")
            ax.set(title="mean events", xlabel="channel (pooled)", ylabel="class")
    strongest = weights[:, np.argsort(-weights.std(axis=0))[:12]].T
    if name == "n-mnist":
        pictures = strongest.reshape(-1, *parts.train.shape).sum(axis=1)
        side = pictures.shape[1:]
        grid = pictures.reshape(3, 4, *side).swapaxes(1, 2).reshape(3 * side[0], 4 * side[1])
        panels[0, 2].imshow(grid, cmap="magma")
        panels[0, 2].set(title="weights of 12 units by STDP", xticks=[], yticks=[])
    else:
        image = panels[0, 2].imshow(strongest, aspect="auto", cmap="magma", interpolation="none")
        figure.colorbar(image, ax=panels[0, 2], label="weight")
        panels[0, 2].set(
            title="weights of 12 units by STDP", xlabel="channel (pooled)", ylabel="unit"
        )
    panels[1, 0].plot(np.arange(1, len(curve) + 1), 100 * np.array(curve), ".-")
    panels[1, 0].set(xlabel="epoch", ylabel="training accuracy (%)", title="training by gradients")
    bars = panels[1, 1]
    drawn = bars.barh(range(len(found)), [100 * value for value in found.values()])
    for bar, key in zip(drawn, found, strict=True):
        bar.set_color("C0" if key in ("stdp_linear", "gradients") else "0.7")
    bars.bar_label(drawn, fmt="%.1f", padding=2)
    bars.axvline(100 / len(parts.classes), linestyle=":", color="k")
    bars.set_yticks(range(len(found)), [key.replace("_", " ") for key in found])
    bars.invert_yaxis()
    bars.set(
        xlabel="scored accuracy (%); dotted: chance",
        xlim=(0, 112),
        title="accuracy, and controls (grey)",
    )
    counts = parts.scored.n_events
    panels[1, 2].hist(counts, bins=20)
    panels[1, 2].set(xlabel="events per sample", ylabel="samples", title="scored samples")
    return figure


def arguments() -> argparse.Namespace:
    assert __doc__
    parser = experiments.parser("event_data", __doc__)
    whole = experiments.whole
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of real files")
    parser.add_argument(
        "--dataset", choices=NAMES, action="append", help="one of the two; default: both"
    )
    parser.add_argument("--train", type=whole(100), default=1000, metavar="N", help="samples")
    parser.add_argument("--test", type=whole(20), default=500, metavar="N", help="samples")
    parser.add_argument(
        "--neurons", type=whole(12), default=200, metavar="N", help="that learn by STDP"
    )
    parser.add_argument(
        "--epochs", type=whole(1), metavar="N", help="default: 5 of STDP, 6 or 12 of gradients"
    )
    parser.add_argument(
        "--validation",
        action="store_true",
        help="score on the validation part; the test part stays shut",
    )
    experiments.add_run_flags(parser, checkpoint_every=1000, evaluates=False)
    args = parser.parse_args()
    args.dataset = tuple(dict.fromkeys(args.dataset or NAMES))
    if args.smoke:
        for flag, most in SMOKE.items():
            setattr(args, flag, min(getattr(args, flag) or most, most))
    return args


def run() -> None:
    args = arguments()
    experiments.begin(args)
    console = experiments.console_for(args)
    torch.set_num_threads(min(torch.get_num_threads(), 4))
    made = args.data_dir is None
    if made:
        console.print("The event files are synthetic: no figure is one of N-MNIST or SHD.")
    began = time.perf_counter()
    folder = files(args)
    metrics: dict[str, Any] = {}
    controls: dict[str, Any] = {}
    timing: dict[str, Any] = {"files_s": time.perf_counter() - began}
    sizes = {}
    for name in args.dataset:
        console.print(f"{name}: STDP, gradients, and controls ...")
        parts = load(args, name, folder)
        stdp = learn_by_stdp(args, name, parts)
        trained, module, frames = learn_by_gradients(args, name, parts)
        control, _, _ = learn_by_gradients(args, name, parts, shuffled=True)
        metrics[name] = {
            "stdp_linear": stdp["stdp_linear"],
            "gradients": trained["accuracy"],
            "stdp_spikes_per_sample": stdp["stdp_linear_spikes"],
            "stdp_weight_change": stdp["moved"],
            **in_brian2(module, frames[:20], SETTINGS[name]["frame"]),
        }
        controls[name] = {
            "random_linear": stdp["random_linear"],
            "counts_linear": accuracy(
                parts.train.counts(), parts.scored.counts(), parts, args.seed
            ),
            "shuffled_labels": control["accuracy"],
            "chance": 1 / len(parts.classes),
        }
        timing[name] = {
            "build_s": stdp["build_s"],
            "stdp_s": stdp["run_s"],
            "gradients_s": trained["run_s"],
        }
        sizes[name] = {
            "n_train": len(parts.train),
            "n_scored": len(parts.scored),
            "events_per_sample": float(parts.train.n_events.mean()),
            "n_units": parts.n_units,
            "duration": parts.duration,
        }
        bars = {
            key: value
            for key, value in (metrics[name] | controls[name]).items()
            if key in ("stdp_linear", "gradients") or key in controls[name]
        }
        bars.pop("chance")
        with plotting.style():
            figure = draw(name, parts, bars, stdp["weights"], trained["train_accuracy"])
            kind = "synthetic files, not the published set" if made else "published files"
            figure.suptitle(f"{name}: {kind}")
            experiments.save_figure(args, figure, name.replace("-", "_"))
    experiments.write_report(
        args,
        metrics=metrics,
        controls=controls,
        timing=timing,
        parameters={
            "synthetic": made,
            "scored_on": "validation" if args.validation else "test",
            "sizes": sizes,
            "settings": {name: SETTINGS[name] for name in args.dataset},
            "hidden": HIDDEN,
            "batch": BATCH,
            "lr": LR,
            "dt": DT,
            "stdp_epochs": args.epochs or STDP_EPOCHS,
            "sources": {name: datasets.info(name).source for name in args.dataset},
        },
        console=console,
    )


if __name__ == "__main__":
    experiments.main(run)
