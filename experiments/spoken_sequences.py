"""Spoken vowels as sequences: delta modulation and receptive fields, STDP, a linear readout.

Nine speakers say the Japanese vowels /ae/ (Kudo, Toyama & Shimbo 1999): 270 training and 370 test
utterances of 7 to 29 frames, 6.4 ms apart, of twelve cepstral coefficients. Half of them, drawn at
random, are played backwards. There are two questions: who spoke, which the mean of the channels
tells as well, and whether it was played backwards, which only the order of the frames tells.

A sequence is shown frame by frame to a competitive layer, in one of two codes: delta modulation
(ON and OFF units that tell changes, and the level at the beginning) or population code (each
frame as first-spike latencies of Gaussian receptive fields, which tell levels). The layer learns
by the instar rule on spike traces, without labels; linear readouts of its spike counts are
fitted on the training utterances. Controls: the same readout on the channels' means, on the spike
counts of the encoders, on a layer that never learned, and on the learned layer with each
utterance's frames in random order. Settings were chosen with --validation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import ms
from matplotlib.figure import Figure

from biosnn import encoding, experiments, networks, plotting, simulation
from biosnn.models import NeuronModel, Schedule
from biosnn.networks import Input, NetworkModel, Population
from biosnn.readout import linear_readout
from biosnn.recording import Recording
from biosnn.simulation import Runnable
from biosnn.state import State

ARCHIVE = Path(__file__).resolve().parent / "data" / "japanese_vowels.npz"
N_CHANNELS, N_FRAMES, N_SPEAKERS = 12, 29, 9
DT, FRAME = 0.4 * ms, 6.4 * ms
TASKS = ("speaker", "direction")
THRESHOLD = 0.1
FIELDS = {"n_fields": 6, "low": -2.0, "high": 2.0}
CUTOFF = 0.2
#: Time constants of trace and membrane, and what sets the scale of weights and potentials.
LAYERS: dict[str, dict[str, Any]] = {
    "delta": {"theta": 2.0, "gain": 0.6, "weight_norm": 1.2},
    "population": {"theta": 8.0, "gain": 1.0, "weight_norm": 3.0},
}
TAU = 6 * ms
ETA = Schedule(start=0.3, stop=0.01)
HOMEOSTASIS = Schedule(start=0.08, stop=0.005)


@attrs.frozen(eq=False)
class Utterances:
    """Series [frames, channels] of varying length, their speakers, and 1 where played backwards."""

    series: list[np.ndarray]
    speaker: np.ndarray
    direction: np.ndarray

    def take(self, chosen: np.ndarray) -> Utterances:
        """Some of them."""
        return Utterances(
            [self.series[k] for k in chosen], self.speaker[chosen], self.direction[chosen]
        )

    def changed(self, change: Callable[[int, np.ndarray], np.ndarray]) -> Utterances:
        """The same with other series."""
        return attrs.evolve(self, series=[change(k, x) for k, x in enumerate(self.series)])

    def means(self) -> np.ndarray:
        """Mean of each channel, [n, channels]."""
        return np.array([x.mean(axis=0) for x in self.series])


def load(rng: np.random.Generator) -> dict[str, Utterances]:
    """Training and test utterances as recorded, and a coin for the direction of each."""
    parts = {}
    with np.load(ARCHIVE, allow_pickle=False) as archive:
        for part in ("train", "test"):
            frames = archive[f"{part}_millionths"] / 1e6
            ends = np.cumsum(archive[f"{part}_lengths"].astype(int))
            speaker = archive[f"{part}_speakers"].astype(int)
            coin = rng.integers(0, 2, len(speaker))
            parts[part] = Utterances(np.split(frames, ends[:-1]), speaker, coin)
    return parts


def of_each_speaker(data: Utterances, first: int, last: int | None) -> Utterances:
    """The utterances number ``first`` to before ``last`` of each speaker."""
    by_speaker = [np.flatnonzero(data.speaker == k)[first:last] for k in range(N_SPEAKERS)]
    return data.take(np.concatenate(by_speaker))


def prepared(parts: dict[str, Utterances]) -> dict[str, Utterances]:
    """Channels in standard deviations from their mean over training frames; half of them turned."""
    frames = np.concatenate(parts["train"].series)
    mean, sd = frames.mean(axis=0), frames.std(axis=0)

    def change(data: Utterances) -> Utterances:
        return data.changed(lambda k, x: ((x - mean) / sd)[:: -1 if data.direction[k] else 1])

    return {part: change(data) for part, data in parts.items()}


def delta_samples(data: Utterances) -> np.ndarray:
    """Sequences for ON and OFF units; after its end an utterance stays what it was."""
    held = [np.concatenate([x, np.repeat(x[-1:], N_FRAMES - len(x), axis=0)]) for x in data.series]
    return encoding.on_off(np.array(held))


def population_samples(data: Utterances) -> np.ndarray:
    """Responses of receptive fields; after the end of an utterance there are none."""
    samples = np.zeros((len(data.series), N_FRAMES, N_CHANNELS * FIELDS["n_fields"]), np.float32)
    for k, x in enumerate(data.series):
        samples[k, : len(x)] = encoding.gaussian_fields(x, **FIELDS)
    return samples


def encoder(name: str) -> tuple[NeuronModel, int, Callable[[Utterances], np.ndarray]]:
    """Input population, its size, and what makes its samples."""
    if name == "delta":
        return encoding.delta(threshold=THRESHOLD, start=0.0), 2 * N_CHANNELS, delta_samples
    model = encoding.latency(t_max=FRAME, cutoff=CUTOFF)
    return model, N_CHANNELS * FIELDS["n_fields"], population_samples


def network(name: str, n_neurons: int) -> NetworkModel:
    """The ready winner-take-all network with another input population."""
    model, n_inputs, _ = encoder(name)
    ready = networks.winner_take_all(
        n_inputs,
        n_neurons,
        duration=N_FRAMES * FRAME,
        dt=DT,
        eta=ETA,
        homeostasis=HOMEOSTASIS,
        tau_pre=TAU,
        tau_m=TAU,
        **LAYERS[name],
    )
    inputs = {"image": Input(features=n_inputs, kind="sequence", frame=FRAME)}
    source = Population(model=model, n=n_inputs, drives={"x": "image"})
    return attrs.evolve(
        ready,
        name=f"spoken_{name}",
        inputs=inputs,
        populations={**ready.populations, "inp": source},
    )


def observe(
    runnable: Runnable, rows: dict[str, np.ndarray], key: str, state: State | None, **how: Any
) -> tuple[dict[str, np.ndarray], Recording]:
    """Spike counts of a population, nothing learning, and what was recorded of the test set."""
    found = {part: runnable.run(x, state, **how)[0] for part, x in rows.items()}
    return {part: recording.counts(key) for part, recording in found.items()}, found["test"]


def accuracies(
    features: dict[str, np.ndarray], data: dict[str, Utterances], seed: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Accuracy and predictions of linear readouts for both tasks, fitted on training features."""
    scores, predictions = {}, {}
    for task in TASKS:
        readout = linear_readout(seed=seed).fit(features["train"], getattr(data["train"], task))
        predictions[task] = readout.predict(features["test"])
        scores[task] = float(np.mean(predictions[task] == getattr(data["test"], task)))
    return scores, predictions


def shuffled(data: Utterances, seed: int) -> Utterances:
    """The frames of each utterance in random order."""
    rng = np.random.default_rng([seed, 1])
    return data.changed(lambda _, x: rng.permutation(x))


def draw_utterance(data: Utterances, recordings: dict[str, Recording]) -> Figure:
    """One utterance: its channels, the spikes of both encoders, and the winners of their layers."""
    figure = Figure(figsize=(10.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 3)
    x = data.series[0]
    end = float(N_FRAMES * FRAME / ms)
    shown = {"extent": (0, len(x) * float(FRAME / ms), N_CHANNELS - 0.5, -0.5), "aspect": "auto"}
    image = panels[0, 0].imshow(x.T, cmap="RdBu_r", vmin=-3, vmax=3, interpolation="none", **shown)
    figure.colorbar(image, ax=panels[0, 0], location="bottom", label="standard deviations")
    panels[0, 0].set(title="cepstral channels", ylabel="channel", xlim=(0, end))
    panels[1, 0].plot(np.arange(len(x)) * float(FRAME / ms), x[:, :4])
    panels[1, 0].set(
        title="four of them", xlabel="time (ms)", ylabel="standard deviations", xlim=(0, end)
    )
    for row, (name, recording) in zip(panels[:, 1:], recordings.items(), strict=True):
        for ax, key, title in zip(
            row, ("inp", "exc"), (f"{name}: input spikes", f"{name}: winners"), strict=True
        ):
            spikes = recording.spikes[key]
            first = spikes.sample == 0
            n = recording.counts(key).shape[1]
            plotting.raster(
                spikes.i[first], spikes.t[first], n_neurons=n, duration=N_FRAMES * FRAME, ax=ax
            )
            ax.set_title(title)
    return figure


def draw_accuracies(rows: dict[str, dict[str, float]]) -> Figure:
    """Accuracy of both tasks, with and without what a control leaves out."""
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    ax = figure.add_subplot()
    place = np.arange(len(rows))
    for number, (task, chance) in enumerate(zip(TASKS, (1 / N_SPEAKERS, 0.5), strict=True)):
        values = [100 * row[task] for row in rows.values()]
        bars = ax.barh(place + 0.4 * number - 0.2, values, 0.38, label=task, color=f"C{number}")
        ax.bar_label(bars, fmt="%.0f", padding=2, fontsize="small")
        ax.axvline(100 * chance, linestyle=":", color=f"C{number}", label=f"chance, {task}")
    ax.set_yticks(place, [name.replace("_", " ") for name in rows])
    ax.invert_yaxis()
    ax.set(xlabel="test accuracy (%)", xlim=(0, 109))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, fontsize="small")
    return figure


def arguments() -> argparse.Namespace:
    parser = experiments.parser("spoken_sequences", __doc__)
    parser.add_argument(
        "--neurons", type=experiments.whole(2), metavar="N", help="of a layer (200; smoke 60)"
    )
    parser.add_argument(
        "--epochs", type=experiments.whole(1), metavar="N", help="of learning", default=10
    )
    parser.add_argument(
        "--validation",
        action="store_true",
        help="learn from 20 training utterances of each speaker and score on the other 10",
    )
    experiments.add_run_flags(parser, checkpoint_every=270, evaluates=False)
    args = parser.parse_args()
    args.neurons = args.neurons or (60 if args.smoke else 200)
    return args


def split(args: argparse.Namespace) -> dict[str, Utterances]:
    """What is learned from and what is scored on."""
    parts = load(np.random.default_rng([args.seed, 0]))
    if args.validation:
        train = parts["train"]
        parts = {"train": of_each_speaker(train, 0, 20), "test": of_each_speaker(train, 20, None)}
    if args.smoke:
        parts = {part: of_each_speaker(data, 0, 10) for part, data in parts.items()}
    return prepared(parts)


def run() -> None:
    args = arguments()
    experiments.begin(args)
    data = split(args)
    mixed = {part: shuffled(rows, args.seed) for part, rows in data.items()}
    console = experiments.console_for(args)
    metrics: dict[str, Any] = {}
    controls: dict[str, Any] = {}
    counts: dict[str, dict[str, np.ndarray]] = {}
    drawn: dict[str, Recording] = {}
    build = learn = shown = 0.0
    for name in LAYERS:
        samples = encoder(name)[2]
        rows = {part: samples(utterances) for part, utterances in data.items()}
        out_of_order = {part: samples(utterances) for part, utterances in mixed.items()}
        runnable = simulation.compile(
            network(name, args.neurons),
            device=args.device,
            precision=args.precision,
            per_sample=("inp.count", "exc.count"),
            spikes=("inp", "exc"),
        )
        quiet = {"seed": args.seed, "progress": not args.quiet}
        console.print(f"Learning from sequences in {name} code ...")
        learned, state = runnable.fit(
            rows["train"],
            epochs=args.epochs,
            seed=args.seed,
            **experiments.fit_settings(args, name),
        )

        counts[name], drawn[name] = observe(runnable, rows, "exc", state, **quiet)
        metrics[name], _ = accuracies(counts[name], data, args.seed)
        encoded, _ = observe(runnable, rows, "inp", state, **quiet)
        random, _ = observe(runnable, rows, "exc", None, **quiet)
        disordered, _ = observe(runnable, out_of_order, "exc", state, **quiet)
        for control, features in (
            ("encoder_counts", encoded), ("random", random), ("shuffled", disordered),
        ):  # fmt: skip
            controls[f"{name}_{control}"], _ = accuracies(features, data, args.seed)
        metrics[name]["spikes_per_utterance"] = counts[name]["test"].sum(axis=1).mean()
        controls[f"{name}_encoder_counts"]["spikes_per_utterance"] = (
            encoded["test"].sum(axis=1).mean()
        )
        build += runnable.build_seconds
        learn += learned.seconds
        shown += drawn[name].seconds
    joined = {part: np.hstack([found[part] for found in counts.values()]) for part in data}
    metrics["both"], predictions = accuracies(joined, data, args.seed)
    means = {part: utterances.means() for part, utterances in data.items()}
    controls["channels_mean"], _ = accuracies(means, data, args.seed)
    controls["chance"] = {"speaker": 1 / N_SPEAKERS, "direction": 0.5}

    with plotting.style():
        experiments.save_figure(args, draw_utterance(data["test"], drawn), "utterance")
        bars = {k: v for k, v in (metrics | controls).items() if k != "chance"}
        experiments.save_figure(args, draw_accuracies(bars), "accuracies")
        ax = plotting.confusion_matrix(
            data["test"].speaker, predictions["speaker"], n_classes=N_SPEAKERS
        )
        experiments.save_figure(args, ax, "confusion")
    n_train, n_test = (len(data[part].series) for part in ("train", "test"))
    experiments.write_report(
        args,
        metrics=metrics,
        controls=controls,
        timing={
            "build_s": build,
            "run_s": learn + shown,
            "ms_per_sample": 1000 * learn / (len(LAYERS) * args.epochs * n_train),
        },
        parameters={
            "n_train": n_train,
            "n_test": n_test,
            "scored_on": "validation" if args.validation else "test",
            "dt": DT,
            "frame": FRAME,
            "threshold": THRESHOLD,
            "fields": FIELDS,
            "cutoff": CUTOFF,
            "layers": LAYERS,
            "tau": TAU,
            "source": "Japanese Vowels: Kudo, Toyama & Shimbo (1999), "
            "doi:10.1016/S0167-8655(99)00077-X; UCI, doi:10.24432/C5NS47, CC BY 4.0",
        },
        console=console,
    )


if __name__ == "__main__":
    experiments.main(run)
