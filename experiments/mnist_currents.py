"""Show images to 784 leaky integrate-and-fire neurons, one per pixel, as currents.

A pixel's current is I_max times its brightness, for 50 ms. The spike counts are turned back into an
image by the closed-form f-I curve, and read out by a trained linear classifier, next to the same
classifier on the pixels. What makes it work is the scale of the currents: a neuron fires only where
R*I is above the 15 mV from rest to threshold, and its refractory period of 5 ms leaves time for ten
spikes, so I_max is ten times the rheobase, and the count runs from 0 to 9 over the pixel values.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _mnist import add_save_flags, check_save, save
from brian2 import Mohm, ms, mV, nA
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from biosnn import experiments, models, plotting, simulation, storage
from biosnn.datasets import Dataset, load_dataset
from biosnn.networks import Input, NetworkModel, Population, Presentation
from biosnn.readout import LinearReadout
from biosnn.recording import Recording

N_PIXELS = 784
SHAPE = (28, 28)
DT = 0.1 * ms
DURATION = 50 * ms
I_MAX = 150 * nA
CELL = {
    "tau_m": 10 * ms,
    "E_L": -65 * mV,
    "V_r": -65 * mV,
    "V_th": -50 * mV,
    "t_ref": 5 * ms,
    "R": 1 * Mohm,
}
RHEOBASE = (CELL["V_th"] - CELL["E_L"]) / CELL["R"]


def network() -> NetworkModel:
    return NetworkModel(
        name="mnist_currents",
        dt=DT,
        inputs={"current": Input(features=N_PIXELS)},
        populations={
            "lif": Population(model=models.lif(**CELL), n=N_PIXELS, drives={"I": "current"})
        },
        presentation=Presentation(duration=DURATION, reset="all"),
        output="lif",
    )


def currents(pixels: np.ndarray) -> np.ndarray:
    """Currents in A of pixels in [0, 1]."""
    return pixels * float(I_MAX)


def thresholds(dt: float) -> np.ndarray:
    """Brightness that a pixel must exceed for 1, 2, ... spikes (closed form).

    From reset, a current I reaches the threshold in x = -tau_m*log(1 - rheobase/I); n spikes need
    n*x + (n - 1)*t_ref <= duration, hence I > rheobase/(1 - exp(-x/tau_m)) with the largest such x.
    A simulation in steps of dt rounds x up to a step and tests the threshold one step before a
    rise from the end of the refractory period would be complete, which makes t_ref a step shorter;
    dt = 0 is continuous time.
    """
    duration, t_ref = float(DURATION), float(CELL["t_ref"]) - dt
    n = np.arange(1, int((duration + t_ref) / t_ref) + 1)
    rise = (duration + t_ref) / n - t_ref
    if dt:
        rise = dt * np.floor(rise / dt + 1e-9)
    possible = rise > 0
    ratio = -1 / np.expm1(-rise[possible] / float(CELL["tau_m"]))
    return ratio * float(RHEOBASE / I_MAX)


def closed_form_counts(brightness: np.ndarray, dt: float = float(DT)) -> np.ndarray:
    """Spike counts of pixels in [0, 1]."""
    return np.searchsorted(thresholds(dt), brightness)


def reconstruct(counts: np.ndarray) -> np.ndarray:
    """Brightness from spike counts: the middle of the range that gives this count.

    Silence is taken for black.
    """
    borders = np.minimum(thresholds(float(DT)), 1.0)
    middles = np.concatenate([[0.0], (borders[:-1] + borders[1:]) / 2])
    return middles[counts]


def correlations(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pearson correlation of every image with its reconstruction; 0 for a constant one."""
    a, b = (rows - rows.mean(axis=1, keepdims=True) for rows in (images, others))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=1), norms, out=np.zeros(len(a)), where=norms > 0)


def draw_image(recording: Recording, image: np.ndarray) -> Figure:
    """One image: the pixels, the membranes of some of them, and the spikes of all."""
    trace, spikes = recording.traces["lif.v"], recording.spikes["lif"]
    counts = recording.counts("lif")[0]
    alike = [np.flatnonzero(counts == n) for n in (9, 6, 3, 1)]
    chosen = [int(pixels[len(pixels) // 2]) for pixels in alike if len(pixels)]
    figure = Figure(figsize=(10.0, 5.2), layout="constrained")
    panels = figure.subplot_mosaic(
        [["image", "raster"], ["image", "membrane"]], width_ratios=(1, 2)
    )
    panels["image"].imshow(image.reshape(SHAPE), cmap="gray", vmin=0, vmax=1)
    panels["image"].set(xticks=[], yticks=[], title="pixels (circles: membranes shown)")
    for number, pixel in enumerate(chosen):
        row, column = divmod(pixel, SHAPE[1])
        panels["image"].plot(column, row, "o", markersize=9, fillstyle="none", color=f"C{number}")
    plotting.raster(spikes.i, spikes.t, n_neurons=N_PIXELS, duration=DURATION, ax=panels["raster"])
    panels["raster"].set(ylabel="neuron = pixel, row by row", xlabel="", xticklabels=[])
    panels["raster"].invert_yaxis()
    numbers = np.full(N_PIXELS, -1)
    numbers[chosen] = range(len(chosen))
    shown = numbers[spikes.i] >= 0
    plotting.membrane(
        trace.t,
        trace.values[chosen],
        threshold=CELL["V_th"],
        spikes=(numbers[spikes.i[shown]], spikes.t[shown]),
        labels=[f"pixel value {255 * image[k]:.0f}" for k in chosen],
        ax=panels["membrane"],
    )
    panels["membrane"].set_xlim(0, float(DURATION / ms))
    return figure


def draw_reconstructions(images: np.ndarray, others: np.ndarray, r: np.ndarray) -> Figure:
    """The worst, the median, the best image, and two between them."""
    order = np.argsort(r)
    names = ("worst", "lower quartile", "median", "upper quartile", "best")
    chosen = order[np.round(np.linspace(0, 1, len(names)) * (len(r) - 1)).astype(int)]
    figure = Figure(figsize=(10.0, 4.3), layout="constrained")
    panels = figure.subplots(2, len(names))
    for column, name, k in zip(panels.T, names, chosen, strict=True):
        plotting.image_pair(images[k], others[k], axes=column)
        column[0].set_title(name)
        column[1].set_title(f"r = {r[k]:.3f}")
    panels[0, 0].set_ylabel("pixels")
    panels[1, 0].set_ylabel("from spike counts")
    figure.suptitle(f"correlation over {len(r)} test images", size="medium")
    return figure


def draw_curve(levels: np.ndarray, counts: np.ndarray) -> Axes:
    """Spike count against pixel value, simulated and in closed form."""
    ax = Figure(figsize=(6.4, 4.0), layout="constrained").add_subplot()
    fine = np.linspace(0, 1, 4001)
    for dt, line, name in ((float(DT), "C1-", f"dt = {DT / ms:g} ms"), (0.0, "k:", "dt = 0")):
        label = f"closed form, {name}"
        ax.plot(255 * fine, closed_form_counts(fine, dt), line, linewidth=1.2, label=label)
    ax.plot(255 * levels, counts, "o", markersize=3, color="C0", label="simulated", zorder=1)
    ax.set(xlabel="pixel value", ylabel=f"spikes in {DURATION / ms:g} ms", xlim=(-2, 257))
    ax.legend(loc="lower right")
    return ax


def arguments() -> argparse.Namespace:
    parser = experiments.parser("mnist_currents", __doc__)
    parser.add_argument(
        "--dataset",
        choices=("digits", "mnist", "fashion-mnist"),
        help="images (mnist with --data-dir, else the bundled digits)",
    )
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files")
    parser.add_argument(
        "--train",
        type=experiments.whole(10),
        metavar="N",
        default=experiments.UpTo(10_000),
        help="training images (smoke 150)",
    )
    parser.add_argument(
        "--test",
        type=experiments.whole(1),
        metavar="N",
        default=experiments.UpTo(10_000),
        help="test images (smoke 50)",
    )
    parser.add_argument(
        "--image", type=experiments.whole(0), default=0, metavar="K", help="test image to draw"
    )
    add_save_flags(parser)
    experiments.add_run_flags(parser, checkpoint_every=1000, evaluates=False)
    args = parser.parse_args()
    check_save(args)
    args.dataset = args.dataset or ("mnist" if args.data_dir else "digits")
    if args.smoke:
        args.train, args.test = min(args.train, 150), min(args.test, 50)
    if args.image >= args.test:
        parser.error(f"argument --image: must be below --test ({args.test}), got {args.image}")
    return args


def run() -> None:
    args = arguments()
    data: Dataset = load_dataset(args.dataset, args.data_dir)
    train = data.train.take(experiments.available(args, "train", len(data.train)))
    test = data.test.take(experiments.available(args, "test", len(data.test)))
    experiments.begin(args)
    pixels = {"train": train.flat(), "test": test.flat()}
    levels = np.arange(256) / 255
    scale = np.zeros((1, N_PIXELS))
    scale[0, :256] = levels

    options = {"device": args.device, "precision": args.precision}
    runnable = simulation.compile(network(), **options)
    probe = simulation.compile(
        network(), **options, spikes=("lif",), traces={"lif.v": range(N_PIXELS)}
    )
    shown = {"seed": args.seed, "progress": not args.quiet}
    recordings = {
        k: runnable.run(currents(rows), seed=args.seed, **experiments.fit_settings(args, k))[0]
        for k, rows in pixels.items()
    }
    counts = {k: recording.counts("lif") for k, recording in recordings.items()}
    level_counts = runnable.run(currents(scale), **shown)[0].counts("lif")[0, :256]
    image = pixels["test"][args.image]
    observed, _ = probe.run(currents(image[None]), **shown)

    rebuilt = reconstruct(counts["test"])
    r = correlations(pixels["test"], rebuilt)
    console = experiments.console_for(args)
    console.print("Training the linear readout on counts and on pixels ...")
    readout = LinearReadout(seed=args.seed).fit(counts["train"], train.labels)
    control = LinearReadout(seed=args.seed).fit(pixels["train"], train.labels)
    predicted = readout.predict(counts["test"])
    model = storage.TrainedModel(
        network=network(),
        state=runnable.initial_state(args.seed),
        readout=readout,
        observed="lif.count",
        precision=args.precision,
        preprocessing={"scale": I_MAX},
        provenance={"experiment": "mnist_currents", "seed": args.seed, "source": data.source},
    )
    save(args, model)

    with plotting.style():
        experiments.save_figure(args, draw_image(observed, image), "membrane_raster")
        experiments.save_figure(
            args, draw_reconstructions(pixels["test"], rebuilt, r), "reconstructions"
        )
        experiments.save_figure(args, draw_curve(levels, level_counts), "count_vs_pixel")
        experiments.save_figure(
            args,
            plotting.confusion_matrix(test.labels, predicted, n_classes=data.n_classes),
            "confusion",
        )
    seconds = sum(recording.seconds for recording in recordings.values())
    deviations = level_counts - closed_form_counts(levels)
    experiments.write_report(
        args,
        metrics={
            "linear": np.mean(predicted == test.labels),
            "correlation_median": np.median(r),
            "correlation_min": r.min(),
            "spikes_per_image": counts["test"].sum(axis=1).mean(),
            "count_max": level_counts.max(),
            "counts_monotone_in_pixel": (np.diff(level_counts) >= 0).all(),
            "levels_off_closed_form": np.count_nonzero(deviations),
        },
        controls={"pixels_linear": control.score(pixels["test"], test.labels)},
        timing={
            "build_s": runnable.build_seconds,
            "run_s": seconds,
            "ms_per_sample": 1000 * seconds / (len(train) + len(test)),
        },
        parameters={
            **CELL,
            "I_max": I_MAX,
            "rheobase": RHEOBASE,
            "dt": DT,
            "duration": DURATION,
            "readout": repr(readout),
            "source": data.source,
        },
        console=console,
    )


if __name__ == "__main__":
    experiments.main(run)
