"""Readouts that learn by local gradient rules while the network runs, against their controls.

- *Digits.* ``networks.online_readout`` sees each training image once, with spiking and with leaky
  readout neurons. Its accuracy on images that it has not seen stands beside that with labels in
  random order, that without learning, and that of logistic regression on the pixels.
- *Spike times.* Neurons shall answer a frozen pattern of input spikes at given times (the task of
  Zenke & Ganguli 2018, doi:10.1162/neco_a_01086, with other numbers): by SuperSpike the
  distance of own and desired spike trains falls, for several patterns, and without learning it
  stays what it was.

All of it runs in compiled networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms
from sklearn.linear_model import LogisticRegression

from biosnn import datasets, encoding, models, networks, plasticity, simulation
from biosnn.models import Normal
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from validation._checks import at_least, check

SEED = 1
CLASSES = 10
#: Accuracy that a readout has to reach after 1,000 and after 10,000 images; what controls must not.
SHORT_GOAL, GOAL, CHANCE = 0.75, 0.87, 0.25

N_PATTERN, STEPS, SHOWN = 50, 100, 300
#: Neuron and time step of the desired spikes.
DUE = ((0, 30), (0, 70), (1, 45), (1, 85))


# --- digits ----------------------------------------------------------------------------------


def readout(cell: str, train: datasets.Split, test: datasets.Split) -> dict[str, Any]:
    """Accuracy of an online readout and of its controls, and what an image costs."""
    network = networks.online_readout(datasets.SIDE**2, CLASSES, cell=cell)
    runnable = simulation.compile(network, "cpp", per_sample=("readout.score",))

    def accuracy(state: Any) -> float:
        recording, _ = runnable.run(
            {"image": test.flat()}, state, learn=False, seed=SEED + 1, progress=False
        )
        guess = recording.per_sample["readout.score"].argmax(axis=1)
        return float((guess == test.labels).mean())

    found: dict[str, float] = {"untrained": accuracy(None)}
    shuffled = np.random.default_rng(SEED).permutation(train.labels)
    seconds = 0.0
    for name, labels in (("shuffled_labels", shuffled), ("learned", train.labels)):
        samples = {"image": train.flat(), "label": np.eye(CLASSES)[labels]}
        recording, state = runnable.run(samples, learn=True, seed=SEED, progress=False)
        seconds = recording.seconds
        found[name] = accuracy(state)
    return {
        "learned": at_least(found["learned"], GOAL if len(train) >= 10_000 else SHORT_GOAL),
        "shuffled_labels": check(found["shuffled_labels"], CHANCE),
        "untrained": check(found["untrained"], CHANCE),
        "ms_per_learned_image": 1e3 * seconds / len(train),
    }


def digits(short: bool) -> dict[str, Any]:
    """Both kinds of readout on the bundled digits."""
    bundled = datasets.load_digits()
    train = bundled.train.take(1_000 if short else 10_000)
    test = bundled.test.take(500 if short else 10_000)
    pixels = LogisticRegression(C=0.01, max_iter=500).fit(train.flat(), train.labels)
    return {
        "train_images": len(train),
        "test_images": len(test),
        "logistic_regression_on_pixels": float(pixels.score(test.flat(), test.labels)),
        **{cell: readout(cell, train, test) for cell in ("lif", "leaky")},
    }


# --- spike times -----------------------------------------------------------------------------


def _timed() -> NetworkModel:
    cell = models.neuron(
        name="Timed",
        equations="dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_syn : 1",
        threshold="v > V_th",
        reset="v -= V_th",
        method="exact",
        parameters={"tau_m": 10 * ms, "tau_syn": 5 * ms, "V_th": 1.0},
    )
    source = encoding.address_events()
    return NetworkModel(
        name="spike_times",
        dt=1 * ms,
        inputs={
            "pattern": Input(features=N_PATTERN, kind="events"),
            "desired": Input(features=2, kind="events"),
        },
        populations={
            "pre": Population(model=source, n=N_PATTERN, drives={"x": "pattern"}),
            "teacher": Population(model=source, n=2, drives={"x": "desired"}),
            "post": Population(model=plasticity.spike_error(cell), n=2),
        },
        projections={
            "learned": Projection(
                pre="pre",
                post="post",
                transmit="I_post += w",
                weights=Normal(mean=0.2, sd=0.1),
                rule=plasticity.superspike(eta=0.02, width=0.3, rmaxprop=0.9),
            ),
            "teaching": Projection(
                pre="teacher", post="post", transmit="L_rise_post += 1", pairs="one_to_one"
            ),
        },
        presentation=Presentation(duration=STEPS * ms, reset="all"),
        output="post",
    )


def _distances(recording: Any, shown: int) -> np.ndarray:
    """Squared distance of the filtered spike trains, own and desired, in every presentation."""
    spikes = recording.spikes["post"]
    trains = np.zeros((shown, STEPS, 2))
    np.add.at(trains, (spikes.sample, np.round(spikes.t * 1e3).astype(int), spikes.i), 1)
    for neuron, step in DUE:
        trains[:, step, neuron] -= 1
    steps = np.arange(STEPS)
    lag = np.abs(steps[:, None] - steps)
    kernel = np.where(steps[:, None] >= steps, np.exp(-lag / 10) - np.exp(-lag / 5), 0.0)
    return (np.einsum("ts,nsi->nti", kernel, trains) ** 2).sum(axis=(1, 2))


def spike_times(short: bool) -> dict[str, Any]:
    """Distances before and after learning, for patterns of input spikes drawn at random."""
    runnable = simulation.compile(_timed(), "cpp", spikes=("post",))
    before, after, exact, moved = [], [], [], []
    patterns = 3 if short else 20
    for seed in range(patterns):
        fired = np.random.default_rng(seed).random((STEPS, N_PATTERN)) < 0.03
        fired[-1] = False
        step, unit = np.nonzero(fired)
        given = {"pattern": (unit, step), "desired": tuple(np.transpose(DUE))}
        samples = {
            name: (
                np.repeat(np.arange(SHOWN), len(units)),
                np.tile(units, SHOWN),
                np.tile((steps + 0.5) * 1e-3, SHOWN),
            )
            for name, (units, steps) in given.items()
        }
        recording, _ = runnable.run(samples, learn=True, seed=seed, progress=False)
        distance = _distances(recording, SHOWN)
        before.append(distance[0])
        after.append(distance[-50:].mean())
        exact.append((distance[-50:] < 1e-12).mean())
        still, _ = runnable.run(samples, learn=False, seed=seed, progress=False)
        moved.append(np.abs(_distances(still, SHOWN) - distance[0]).max())
    share = float(np.mean(after) / np.mean(before))
    return {
        "patterns": patterns,
        "presentations": SHOWN,
        "distance_before": float(np.mean(before)),
        "distance_after_over_before": check(share, 0.05),
        "largest_ratio": float(np.max(np.divide(after, before))),
        "share_with_every_spike_in_its_step": float(np.mean(exact)),
        "change_without_learning": check(float(np.max(moved)), 0.0),
    }


def validate(*, short: bool) -> dict[str, Any]:
    """Let readouts learn, and hold them to their controls.

    Parameters
    ----------
    short : bool
        Fewer images and patterns.

    Returns
    -------
    dict
        Figures and checks of both tasks.
    """
    return {"digits": digits(short), "spike_times": spike_times(short)}
