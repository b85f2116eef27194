"""Digits from right and wrong: the spiking network against plain arithmetic and against controls.

- *Layers.* A feature cell fires where its filter has the largest inner product with the patch, a
  pooling cell where one of its feature cells fired, one decision cell per image.
- *Environment.* The reward is 1 where the cell that fired is that of the label, else 0.
- *Rule.* The weights after learning are those of ``w += eta*(R - clip(sum of w, 0, 1))`` on the
  synapses from the pooling cells that fired to the cell that decided, one image after the other.
- *Reward matters.* What is learned from rewards is at least ten points better than what the same
  network makes of labels in random order.

The short form learns from few images and takes patches of images as filters. The long form is the
experiment ``rstdp_mnist`` as it stands, which learns its filters without labels first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biosnn import datasets, networks, simulation
from biosnn.experiments import find_experiment
from biosnn.models import Schedule
from validation._checks import at_least, check

SEED = 3
SIDE, KERNEL, STRIDE, GRID, FEATURES = 28, 5, 3, 4, 16
ETA = Schedule(start=0.02, stop=0.002)
EPOCHS, IMAGES, SCORED = 4, 800, 400
#: Points by which reward has to exceed its control.
MARGIN = 0.10
#: Accuracy that the long form has to reach.
GOAL = 0.90

Floats = NDArray[np.float64]


def patches_of(images: Floats) -> Floats:
    """All patches at the network's places, shape (images, places, pixels)."""
    views = np.lib.stride_tricks.sliding_window_view(
        images.reshape(-1, SIDE, SIDE), (KERNEL, KERNEL), axis=(1, 2)
    )[:, ::STRIDE, ::STRIDE]
    return views.reshape(len(images), -1, KERNEL**2)


def patch_filters(images: Floats, rng: np.random.Generator) -> Floats:
    """Random patches with a stroke as filters of norm 1, one per row."""
    found = patches_of(images).reshape(-1, KERNEL**2)
    found = found[np.linalg.norm(found, axis=1) > 1]
    chosen = found[rng.choice(len(found), FEATURES, replace=False)]
    return chosen / np.linalg.norm(chosen, axis=1, keepdims=True)


def pools_of(images: Floats, filters: Floats) -> NDArray[np.bool_]:
    """Which pooling cells fire, by inner products; the order is that of the network."""
    fit = patches_of(images) @ filters.T
    n = (SIDE - KERNEL) // STRIDE + 1
    best = (fit == fit.max(axis=2, keepdims=True)) & (fit > 0)
    best = best.reshape(len(images), n, n, FEATURES)
    edges = np.linspace(0, n, GRID + 1).astype(int)[:-1]
    pooled = np.logical_or.reduceat(np.logical_or.reduceat(best, edges, axis=1), edges, axis=2)
    return pooled.transpose(0, 3, 1, 2).reshape(len(images), -1)


def replayed(
    w: Floats, pools: NDArray[np.bool_], decided: NDArray[np.int64], rewards: Floats
) -> Floats:
    """Weights after learning, by the rule alone."""
    w = w.copy()
    n = len(pools)
    for k in range(n):
        eta = ETA.start * (ETA.stop / ETA.start) ** (k / n)
        column = w[:, decided[k]]
        column[pools[k]] += eta * (rewards[k] - np.clip(column[pools[k]].sum(), 0, 1))
    return w


def short_form() -> dict[str, Any]:
    """One small compiled network: layers, environment, rule, and learning against the control."""
    digits = datasets.load_digits()
    rng = np.random.default_rng(SEED)
    images, labels = digits.train.flat()[:IMAGES].astype(float), digits.train.labels[:IMAGES]
    scored = digits.train.flat()[IMAGES : IMAGES + SCORED].astype(float)
    answers = digits.train.labels[IMAGES : IMAGES + SCORED]
    filters = patch_filters(images, rng)
    network = networks.convolutional_reward_network(
        FEATURES, side=SIDE, kernel=KERNEL, stride=STRIDE, grid=GRID, eta=ETA
    )
    runnable = simulation.compile(
        network, per_sample=("c1.count", "decision.count", "environment.reward")
    )
    pattern = network.projections["inp_s1"].pairs
    weights = pattern.weights(filters.reshape(FEATURES, 1, KERNEL, KERNEL))
    start = runnable.initial_state(SEED).updated({"inp_s1.w": weights})
    shown = np.concatenate([rng.permutation(IMAGES) for _ in range(EPOCHS)])
    right = labels[shown]
    figures: dict[str, Any] = {}
    accuracy = {}
    for name, told in (("reward", right), ("shuffled", rng.permutation(right))):
        learned, state = runnable.run(
            {"image": images[shown], "label": told[:, None] + 1.0},
            start,
            learn=True,
            progress=False,
        )
        decided = learned.counts("decision").argmax(axis=1)
        got = np.asarray(learned["environment.reward"]).reshape(-1)
        pools = learned.counts("c1") > 0
        expected = replayed(start.weights("c1_decision"), pools, decided, got)
        found = state.weights("c1_decision")
        error = np.abs(found - expected).max() / np.abs(expected).max()
        # With plasticity off, and without any label.
        test, after = runnable.run({"image": scored}, state, progress=False)
        counts = test.counts("decision")
        accuracy[name] = float((counts.argmax(axis=1) == answers).mean())
        moved = float(np.abs(found - start.weights("c1_decision")).mean())
        figures[name] = {
            "accuracy": accuracy[name],
            "pooling_spikes_per_image": at_least(pools.sum(axis=1).mean(), 10),
            "mean_weight_change": at_least(moved, 1e-3),
            "decisions_per_image_error": check(np.abs(counts.sum(axis=1) - 1).max(), 0),
            "pools_unlike_arithmetic": check(
                (pools != pools_of(images, filters)[shown]).mean(), 1e-4
            ),
            "rewards_unlike_labels": check((got != (decided == told)).mean(), 0),
            "weights_unlike_rule": check(error, 1e-9),
            "weights_moved_without_learning": check(
                np.abs(after.weights("c1_decision") - found).max(), 0
            ),
        }
    figures["above_shuffled"] = at_least(accuracy["reward"] - accuracy["shuffled"], 3 * MARGIN)
    return figures


def long_form() -> dict[str, Any]:
    """The experiment's own figures."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(find_experiment("rstdp_mnist")), "--quiet", "--out", folder]
        subprocess.run(command, check=True)
        report = json.loads((Path(folder) / "results.json").read_text())
    metrics, controls = report["metrics"], report["controls"]
    accuracy = metrics["accuracy"]
    return {
        "n_train": report["parameters"]["n_train"],
        "n_scored": report["parameters"]["n_scored"],
        "epochs": report["parameters"]["epochs"],
        "seed": report["seed"],
        "decisions_per_image": at_least(metrics["decision_spikes_per_image"], 0.99),
        "mean_weight_change": at_least(metrics["mean_weight_change"], 1e-3),
        "accuracy": at_least(accuracy, GOAL),
        "above_shuffled": at_least(accuracy - controls["shuffled"]["accuracy"], MARGIN),
        "above_yoked": at_least(accuracy - controls["yoked"]["accuracy"], MARGIN),
        "above_untrained": at_least(accuracy - controls["untrained"], MARGIN),
    }


def validate(*, short: bool) -> dict[str, Any]:
    """Figures and checks: the short form always, the experiment with ``short=False``."""
    figures = {"small_network": short_form()}
    if not short:
        figures["rstdp_mnist"] = long_form()
    return figures
