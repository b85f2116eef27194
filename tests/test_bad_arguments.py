"""Arguments that cannot be, given one by one to the public constructors and functions.

A row is a callable, arguments that it accepts, and for each of them the names of values (`VALUES`)
that it must refuse: as an error of biosnn that names the argument and shows what was given, in one
line, before anything is built or run.
"""

from __future__ import annotations

import inspect
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from brian2 import Hz, Network, ms, mV, nA, second

from biosnn import (
    datasets,
    encoding,
    models,
    networks,
    plasticity,
    plotting,
    readout,
    storage,
)
from biosnn.errors import BiosnnError

X = np.linspace(0, 1, 12).reshape(3, 4)
S = np.zeros((3, 10, 4), bool)
S[:, 2] = True
COUNTS, LAB = np.arange(12).reshape(3, 4), np.array([0, 1, 0])
IMG = np.zeros((4, 784), np.float32)
TR = models.Trace(name="x", tau=5 * ms)


class Odd:
    def __repr__(self):
        return "<odd>"


def made():
    """What was not called."""


VALUES: dict[str, Any] = {
    "text": "nonsense",
    "none": None,
    "negative": -1,
    "time": 3 * ms,
    "nan": float("nan"),
    "odd": Odd(),
    "function": made,
    "list": [],
    "dict": {},
    "cube": np.ones((2, 2, 2, 2)),
    "true": True,
    "fraction": 2.5,
}


def shown(value: Any) -> list[str]:
    """The ways in which a message may show a value."""
    if callable(value):
        return ["made"]
    if isinstance(value, np.ndarray) and value.ndim:
        return [repr(value), str(value), "shape (2, 2, 2, 2)", "(2, 2, 2)", "ndarray"]
    empty = isinstance(value, list | dict)
    more = ["none", "empty", "()", "(0,", "0 values", "[]", "{}"] if empty else []
    scalar = ["shape ()", "got ()", "[]"] if isinstance(value, np.ndarray) else []
    return [repr(value), str(value), type(value).__name__, *more, *scalar]


def small():
    return networks.winner_take_all(4, 3)


ENCODING = {
    "poisson": (encoding.poisson, {"max_rate": 100 * Hz}, {"max_rate": "text none"}),
    "regular": (
        encoding.regular,
        {"max_rate": 100 * Hz, "phase": 0.5},
        {"max_rate": "text none", "phase": "text none"},
    ),
    "bernoulli": (encoding.bernoulli, {"max_rate": 100 * Hz}, {"max_rate": "text none"}),
    "burst": (
        encoding.burst,
        dict(n_max=5, t_min=2 * ms, t_max=10 * ms),
        {"n_max": "text none", "t_min": "text none", "t_max": "text none"},
    ),
    "delta": (
        encoding.delta,
        dict(threshold=0.1, start=0.0),
        {"threshold": "text none", "start": "text time"},
    ),
    "direct": (encoding.direct, dict(cutoff=0.0), {"cutoff": "text none"}),
    "latency": (
        encoding.latency,
        dict(t_max=5 * ms, cutoff=0.1, kind="linear"),
        {"t_max": "text negative", "cutoff": "text none", "kind": "text none"},
    ),
    "phase": (
        encoding.phase,
        dict(n_bits=8, width=1 * ms),
        {"n_bits": "text none", "width": "text negative"},
    ),
    "rank_order": (encoding.rank_order, dict(interval=1 * ms), {"interval": "text none"}),
    "poisson_spikes": (
        encoding.poisson_spikes,
        dict(
            samples=X,
            max_rate=100 * Hz,
            dt=1 * ms,
            seed=0,
            stream=0,
            first_sample=0,
            duration=10 * ms,
        ),
        {
            "samples": "text time",
            "max_rate": "text none",
            "dt": "text none",
            "seed": "text none",
            "stream": "text none",
            "first_sample": "text none",
            "duration": "text none",
        },
    ),
    "bernoulli_spikes": (
        encoding.bernoulli_spikes,
        dict(
            samples=X,
            max_rate=100 * Hz,
            dt=1 * ms,
            seed=0,
            stream=0,
            first_sample=0,
            duration=10 * ms,
        ),
        {
            "samples": "text time",
            "max_rate": "text none",
            "dt": "text none",
            "seed": "text none",
            "stream": "text none",
            "first_sample": "text none",
            "duration": "text none",
        },
    ),
    "regular_spikes": (
        encoding.regular_spikes,
        dict(samples=X, max_rate=100 * Hz, dt=1 * ms, phase=0.5, duration=10 * ms),
        {
            "samples": "text time",
            "max_rate": "text none",
            "dt": "text none",
            "phase": "text none",
            "duration": "text none",
        },
    ),
    "burst_spikes": (
        encoding.burst_spikes,
        dict(samples=X, n_max=3, t_min=1 * ms, t_max=3 * ms, dt=1 * ms, duration=10 * ms),
        {
            "samples": "text time",
            "n_max": "text none",
            "t_min": "text none",
            "t_max": "text none",
            "dt": "text none",
            "duration": "text none",
        },
    ),
    "latency_spikes": (
        encoding.latency_spikes,
        dict(samples=X, t_max=5 * ms, cutoff=0.1, kind="linear", dt=1 * ms, duration=10 * ms),
        {
            "samples": "text time",
            "t_max": "text negative",
            "cutoff": "text none",
            "kind": "text none",
            "dt": "text none",
            "duration": "text none",
        },
    ),
    "phase_spikes": (
        encoding.phase_spikes,
        dict(samples=X, n_bits=4, width=1 * ms, dt=1 * ms, duration=10 * ms),
        {
            "samples": "text time",
            "n_bits": "text none",
            "width": "text negative",
            "dt": "text none",
            "duration": "text none",
        },
    ),
    "rank_order_spikes": (
        encoding.rank_order_spikes,
        dict(samples=X, interval=1 * ms, cutoff=0.0, dt=1 * ms, duration=10 * ms),
        {
            "samples": "text time",
            "interval": "text none",
            "cutoff": "text none",
            "dt": "text none",
            "duration": "text none",
        },
    ),
    "direct_current": (
        encoding.direct_current,
        dict(samples=X, amplitude=1 * nA, dt=1 * ms, duration=10 * ms),
        {
            "samples": "text time",
            "amplitude": "text none",
            "dt": "text none",
            "duration": "text none",
        },
    ),
    "delta_spikes": (
        encoding.delta_spikes,
        dict(sequences=np.ones((2, 3, 4)), threshold=0.1, frame=1 * ms, dt=1 * ms, start=0.0),
        {"threshold": "text none", "frame": "text none", "dt": "text none", "start": "text time"},
    ),
    "on_off_contrast": (
        encoding.on_off_contrast,
        dict(images=np.ones((2, 5, 5)), sigma=1.0, ratio=1.6),
        {"images": "text time", "sigma": "text none", "ratio": "text none"},
    ),
    "gaussian_fields": (
        encoding.gaussian_fields,
        dict(values=X, n_fields=4, low=0.0, high=1.0, beta=1.5),
        {
            "values": "text time",
            "n_fields": "text none",
            "low": "text none",
            "high": "text none",
            "beta": "text none",
        },
    ),
    "ranks": (
        encoding.ranks,
        dict(samples=X, cutoff=0.0),
        {"samples": "text time", "cutoff": "text none"},
    ),
    "rank_table": (encoding.rank_table, dict(samples=X), {"samples": "text time"}),
    "scale_norm": (
        encoding.scale_norm,
        dict(samples=X, norm=1.0),
        {"samples": "text time", "norm": "text none"},
    ),
    "decode_rate": (
        encoding.decode_rate,
        dict(spikes=S, max_rate=100 * Hz, dt=1 * ms),
        {"spikes": "text time", "max_rate": "text none", "dt": "text none"},
    ),
    "decode_phase": (
        encoding.decode_phase,
        dict(spikes=S, n_bits=4, width=1 * ms, dt=1 * ms),
        {"spikes": "text time", "n_bits": "text none", "width": "text negative", "dt": "text none"},
    ),
    "decode_latency": (
        encoding.decode_latency,
        dict(spikes=S, dt=1 * ms, t_max=5 * ms, cutoff=0.1, kind="linear"),
        {
            "spikes": "text time",
            "dt": "text none",
            "t_max": "text negative",
            "cutoff": "text none",
            "kind": "text none",
        },
    ),
    "decode_burst": (
        encoding.decode_burst,
        dict(spikes=S, dt=1 * ms, n_max=5, t_min=1 * ms, t_max=3 * ms),
        {
            "spikes": "text time",
            "dt": "text none",
            "n_max": "text none",
            "t_min": "text none",
            "t_max": "text none",
        },
    ),
    "decode_delta": (
        encoding.decode_delta,
        dict(spikes=np.zeros((2, 3, 8)), threshold=0.1, start=0.0),
        {"spikes": "text time", "threshold": "text none", "start": "text odd"},
    ),
    "decode_fields": (
        encoding.decode_fields,
        dict(responses=np.ones((3, 8)), n_fields=8, low=0.0, high=1.0, beta=1.5),
        {
            "responses": "text time",
            "n_fields": "text none",
            "low": "text none",
            "high": "text none",
            "beta": "text none",
        },
    ),
    "decode_ranks": (encoding.decode_ranks, dict(spikes=S), {"spikes": "text time"}),
    "decode_rank_order": (
        encoding.decode_rank_order,
        dict(spikes=S, table=np.ones(4)),
        {"spikes": "text time", "table": "text time"},
    ),
}

READOUT = {
    "latency_features": (
        readout.latency_features,
        dict(first_spike=np.ones((3, 4)), tau=0.001),
        {"first_spike": "text none", "tau": "text none"},
    ),
    "linear_readout": (
        readout.linear_readout,
        dict(kind="logistic", C=1.0, alpha=1.0, seed=0, max_iter=100),
        {
            "kind": "text none",
            "C": "text none",
            "alpha": "text none",
            "seed": "text none",
            "max_iter": "text none",
        },
    ),
    "score_report": (
        readout.score_report,
        dict(y_true=LAB, y_pred=LAB, n_classes=2),
        {"y_true": "negative time", "y_pred": "negative time", "n_classes": "text none"},
    ),
    "VoteReadout.fit": (
        lambda n_classes, X, y: readout.VoteReadout(n_classes).fit(X, y),
        dict(n_classes=2, X=COUNTS, y=LAB),
        {"n_classes": "text negative", "X": "text none", "y": "text none"},
    ),
    "ProportionReadout.fit": (
        lambda n_classes, X, y: readout.ProportionReadout(n_classes).fit(X, y),
        dict(n_classes=2, X=COUNTS, y=LAB),
        {"n_classes": "text negative", "X": "text none", "y": "text none"},
    ),
    "PopulationReadout.predict": (
        lambda n_classes, neurons_per_class, X: (
            readout.PopulationReadout(n_classes, neurons_per_class).fit(X).predict(X)
        ),
        dict(n_classes=2, neurons_per_class=2, X=COUNTS),
        {"n_classes": "text none", "neurons_per_class": "text none", "X": "text none"},
    ),
    "LinearReadout.fit": (
        lambda X, y, **k: readout.LinearReadout(**k).fit(X, y),
        dict(
            X=COUNTS, y=LAB, kind="ridge", features="counts", C=1.0, alpha=1.0, seed=0, max_iter=50
        ),
        {
            "X": "text none",
            "y": "text none",
            "kind": "text none",
            "features": "text none",
            "C": "text none",
            "alpha": "text none",
            "seed": "text none",
            "max_iter": "text none",
        },
    ),
}

PLOTTING = {
    "raster": (
        plotting.raster,
        dict(i=[0, 1], t=[1, 2] * ms, n_neurons=3, duration=5 * ms),
        {
            "i": "time list",
            "t": "text time",
            "n_neurons": "text negative",
            "duration": "text negative",
        },
    ),
    "membrane": (
        plotting.membrane,
        dict(t=[0, 1, 2] * ms, v=[1, 2, 3] * mV, threshold=1 * mV, spikes=[[1] * ms], labels=["a"]),
        {
            "t": "text time",
            "v": "text odd",
            "threshold": "text odd",
            "spikes": "text negative",
            "labels": "text negative",
        },
    ),
    "population_rate": (
        plotting.population_rate,
        dict(t=[1, 2] * ms, n_neurons=3, duration=10 * ms, bin_width=1 * ms, smooth=2 * ms),
        {
            "t": "text time",
            "n_neurons": "text none",
            "duration": "text negative",
            "bin_width": "text negative",
            "smooth": "text negative",
        },
    ),
    "activity_heatmap": (
        plotting.activity_heatmap,
        dict(counts=COUNTS, labels=LAB),
        {"counts": "text odd", "labels": "time list"},
    ),
    "receptive_fields": (
        plotting.receptive_fields,
        dict(weights=np.ones((4, 3)), shape=(2, 2), n_columns=2, order=[0, 1, 2], vmax=1.0),
        {
            "weights": "text time",
            "shape": "text none",
            "n_columns": "text negative",
            "order": "time list",
            "vmax": "text negative",
        },
    ),
    "weight_heatmap": (
        plotting.weight_heatmap,
        dict(weights=np.ones((4, 3)), vmax=1.0),
        {"weights": "text time", "vmax": "text negative"},
    ),
    "weight_histogram": (
        plotting.weight_histogram,
        dict(weights=np.ones((4, 3)), bins=5, w_max=1.0),
        {"weights": "text odd", "bins": "text none", "w_max": "text negative"},
    ),
    "confusion_matrix": (
        plotting.confusion_matrix,
        dict(labels=LAB, predictions=LAB, n_classes=2, class_names=["a", "b"]),
        {
            "labels": "time list",
            "predictions": "time list",
            "n_classes": "text negative",
            "class_names": "text negative",
        },
    ),
    "image_pair": (
        plotting.image_pair,
        dict(original=np.ones(4), reconstruction=np.ones(4), shape=(2, 2)),
        {"original": "text time", "reconstruction": "text time", "shape": "text none"},
    ),
    "learning_curve": (
        plotting.learning_curve,
        dict(n_samples=[1, 2], accuracy={"a": [0.1, 0.2]}, chance=0.1),
        {"n_samples": "text odd", "accuracy": "text none", "chance": "text negative"},
    ),
    "plasticity_traces": (
        plotting.plasticity_traces,
        dict(
            t=[0, 1, 2] * ms,
            pre_spikes=[1] * ms,
            post_spikes=[1] * ms,
            traces={"x": [1, 2, 3]},
            weight=[1, 2, 3],
        ),
        {
            "t": "text time",
            "pre_spikes": "text time",
            "post_spikes": "text time",
            "traces": "text none",
            "weight": "text time",
        },
    ),
    "save": (
        plotting.save,
        dict(figure_or_axes=None, path="x.png"),
        {"figure_or_axes": "text none", "path": "text none"},
    ),
}

DATA = {
    "Split": (
        datasets.Split,
        dict(images=np.zeros((3, 4, 4), np.uint8), labels=LAB),
        {"images": "negative time", "labels": "negative time"},
    ),
    "load_dataset": (datasets.load_dataset, dict(name="digits"), {"name": "text none"}),
    "load_image": (
        datasets.load_image,
        dict(path="missing.png", invert="auto", shape=(28, 28)),
        {"path": "text none"},
    ),
    "train_validation_split": (
        datasets.train_validation_split,
        dict(split=datasets.Split(np.zeros((3, 4, 4), np.uint8), LAB), n_validation=1, seed=0),
        {"split": "text none", "n_validation": "text none", "seed": "text none"},
    ),
    "load_model": (storage.load_model, dict(path="missing.biosnn"), {"path": "text none"}),
    "load_state": (
        storage.load_state,
        dict(path="missing.biosnn", network=small()),
        {"path": "text none", "network": "text none"},
    ),
    "save_state": (
        storage.save_state,
        dict(state=small().initial_state(), path="s.biosnn", network=small(), overwrite=True),
        {"state": "text none", "network": "text none", "overwrite": "text none"},
    ),
    "save_model": (
        storage.save_model,
        dict(model=None, path="m.biosnn", overwrite=True),
        {"model": "text none"},
    ),
    "TrainedModel": (
        storage.TrainedModel,
        dict(
            network=small(),
            state=small().initial_state(),
            readout=None,
            observed="exc.count",
            precision="double",
        ),
        {
            "network": "text none",
            "state": "text none",
            "readout": "text negative",
            "observed": "text none",
            "precision": "text none",
        },
    ),
}

NETWORKS = {
    "winner_take_all": (
        networks.winner_take_all,
        dict(
            n_inputs=4,
            n_neurons=3,
            encoding="poisson",
            competition="argmax",
            duration=100 * ms,
            max_rate=100 * Hz,
            cutoff=0.03,
            eta=0.01,
            gain=0.1,
            tau_pre=100 * ms,
            tau_m=1 * second,
            theta=1.0,
            weight_norm=1.0,
            homeostasis=0.1,
        ),
        {
            "n_inputs": "text none",
            "n_neurons": "text none",
            "encoding": "text none",
            "competition": "text none",
            "duration": "text negative",
            "max_rate": "text none",
            "eta": "text negative",
            "gain": "text negative",
            "tau_pre": "text negative",
            "tau_m": "text none",
            "theta": "text time",
            "weight_norm": "text none",
        },
    ),
    "diehl_cook_2015": (
        networks.diehl_cook_2015,
        dict(
            n_inputs=4,
            n_neurons=3,
            rule="triplet",
            max_rate=60 * Hz,
            w_exc_inh=1.0,
            w_inh_exc=1.0,
            weight_sum=1.0,
            min_spikes=5,
            max_retries=3,
            dt=0.5 * ms,
        ),
        {
            "n_inputs": "text none",
            "n_neurons": "text none",
            "rule": "text none",
            "max_rate": "text none",
            "w_exc_inh": "text none",
            "w_inh_exc": "text none",
            "weight_sum": "text none",
            "min_spikes": "text none",
            "max_retries": "text negative",
            "dt": "text none",
        },
    ),
    "online_readout": (
        networks.online_readout,
        dict(
            n_inputs=4,
            n_classes=3,
            cell="lif",
            loss="softmax",
            encoding="poisson",
            max_rate=60 * Hz,
            duration=100 * ms,
            tau_m=20 * ms,
            tau_out=20 * ms,
            gain=1.0,
            width=2.0,
        ),
        {
            "n_inputs": "text none",
            "n_classes": "text none",
            "cell": "text none",
            "loss": "text none",
            "encoding": "text none",
            "max_rate": "text none",
            "duration": "text none",
            "tau_m": "text none",
            "tau_out": "text none",
            "gain": "text none",
            "width": "text none",
        },
    ),
    "spiking_readout": (
        networks.spiking_readout,
        dict(tau_m=20 * ms, tau_syn=20 * ms, rate=100 * Hz),
        {"tau_m": "text none", "tau_syn": "text none", "rate": "text none"},
    ),
    "threshold_neuron": (
        networks.threshold_neuron,
        dict(tau_m=10 * ms, V_th=1.0, reset="hard"),
        {"tau_m": "text none", "V_th": "text none", "reset": "text none"},
    ),
    "balanced_network": (
        networks.balanced_network,
        dict(kind="COBA", n_neurons=20, p=0.1, duration=10 * ms, dt=0.1 * ms, seed=0),
        {
            "kind": "text none",
            "n_neurons": "text none",
            "p": "text negative",
            "duration": "text none",
            "dt": "text none",
            "seed": "text none",
        },
    ),
    "convolutional": (
        networks.convolutional_reward_network,
        dict(n_features=4, n_classes=2, side=9, kernel=3, stride=2, grid=2, w_max=0.003),
        {
            "n_features": "text none",
            "n_classes": "text none",
            "side": "text none",
            "kernel": "text none",
            "stride": "text none",
            "grid": "text none",
            "w_max": "text none",
        },
    ),
    "reward_network": (
        networks.reward_network,
        dict(n_inputs=4, n_classes=2, n_hidden=5, eta=0.1, V_th=0.5),
        {
            "n_inputs": "text none",
            "n_classes": "text none",
            "n_hidden": "text none",
            "V_th": "text none",
        },
    ),
    "feedforward": (
        networks.feedforward,
        dict(
            sizes=(4, 3, 2),
            neuron=None,
            steps=10,
            dt=1 * ms,
            encoding="events",
            transmit="v_post += w",
            delay=0 * ms,
            weights=None,
            weight_scale=1.0,
            rest_steps=None,
        ),
        {
            "sizes": "none negative",
            "neuron": "text negative",
            "steps": "text none",
            "dt": "text none",
            "encoding": "text none",
            "transmit": "text none",
            "delay": "text none",
            "weights": "text time",
            "weight_scale": "text none",
            "rest_steps": "text negative",
        },
    ),
    "from_matrix": (networks.from_matrix, dict(matrix=np.ones((2, 3))), {"matrix": "text time"}),
    "Input": (
        networks.Input,
        dict(features=3, kind="sequence", frame=1 * ms, optional=False),
        {"features": "text none", "kind": "text none", "frame": "none", "optional": "text none"},
    ),
    "Population": (
        networks.Population,
        dict(model=models.lif(), n=3, drives={}, initial={}),
        {"model": "text none", "n": "text none", "drives": "text none", "initial": "text none"},
    ),
    "Presentation": (
        networks.Presentation,
        dict(
            duration=10 * ms,
            rest=1 * ms,
            reset="all",
            watch="a",
            min_spikes=1,
            max_retries=1,
            intensity=1.0,
            intensity_step=0.1,
        ),
        {
            "duration": "text none",
            "rest": "text none",
            "reset": "text none",
            "watch": "none negative",
            "min_spikes": "text none",
            "max_retries": "text negative",
            "intensity": "text none",
            "intensity_step": "text none",
        },
    ),
    "Projection": (
        networks.Projection,
        dict(
            pre="a",
            post="b",
            transmit="v_post += w",
            short_term=None,
            delay=0 * ms,
            equations="",
            parameters={},
            weights=1.0,
            rule=None,
            normalise=None,
            pairs="all",
            on_event="spike",
            when="synapses",
            order=0,
            order_free=False,
        ),
        {
            "pre": "none negative",
            "post": "none negative",
            "transmit": "text none",
            "short_term": "text negative",
            "delay": "text none",
            "equations": "text none",
            "parameters": "text none",
            "weights": "odd time",
            "initial": "text none",
            "rule": "text negative",
            "normalise": "text negative",
            "pairs": "text none",
            "on_event": "none negative",
            "when": "text none",
            "order": "text none",
            "order_free": "text none",
        },
    ),
    "Normalisation": (
        networks.Normalisation,
        dict(total=1.0, p=1, online=True),
        {"total": "text none", "p": "text none", "online": "text none"},
    ),
    "FixedProbability": (
        networks.FixedProbability,
        dict(p=0.1, seed=0, to_self=True),
        {"p": "text none", "seed": "text negative"},
    ),
    "FixedInDegree": (
        networks.FixedInDegree,
        dict(k=2, seed=0, replacement=False, to_self=True),
        {"k": "text none", "seed": "text negative"},
    ),
    "DistanceDependent": (
        networks.DistanceDependent,
        dict(
            pre=(2, 2),
            post=(2, 2),
            sigma=0.1,
            profile="gaussian",
            p_max=1.0,
            cutoff=0.5,
            extent=(1.0, 1.0),
            wrap=False,
            seed=0,
            to_self=True,
        ),
        {
            "pre": "time list",
            "post": "time list",
            "sigma": "text none",
            "profile": "text none",
            "p_max": "text none",
            "cutoff": "text negative",
            "extent": "text negative",
            "seed": "text negative",
        },
    ),
    "Convolution": (
        networks.Convolution,
        dict(in_shape=(1, 5, 5), kernel=3, out_channels=2, stride=1, padding=0),
        {
            "in_shape": "text none",
            "kernel": "text none",
            "out_channels": "text none",
            "stride": "text none",
            "padding": "text none",
        },
    ),
    "NetworkModel": (
        networks.NetworkModel,
        dict(
            name="n",
            dt=1 * ms,
            inputs={},
            populations={"a": networks.Population(model=models.lif(), n=1)},
            projections={},
            presentation=networks.Presentation(duration=10 * ms),
            output="a",
        ),
        {
            "name": "none negative",
            "dt": "text none",
            "inputs": "text none",
            "populations": "text none",
            "projections": "text none",
            "presentation": "text none",
            "output": "text none",
        },
    ),
    "initial_state": (
        lambda seed: small().initial_state(seed),
        dict(seed=0),
        {"seed": "text none"},
    ),
}

MODELS = {
    "neuron": (
        models.neuron,
        dict(
            equations="dv/dt = -v/tau : 1",
            threshold="v > 1",
            reset="v = 0",
            refractory=1 * ms,
            method="exact",
            parameters={"tau": 5 * ms},
            initial={"v": 0.0},
            events={"far": "v > 2"},
            operations=[],
            links={},
            spike_when="thresholds",
            name="x",
        ),
        {
            "equations": "text none",
            "threshold": "text negative",
            "reset": "text negative",
            "refractory": "text negative",
            "method": "text negative",
            "parameters": "text negative",
            "initial": "text negative",
            "events": "text negative",
            "operations": "text none",
            "links": "text negative",
            "spike_when": "text none",
            "name": "none negative",
        },
    ),
    "Trace": (
        models.Trace,
        dict(name="x", tau=5 * ms, bump="+= 1", when="before_synapses"),
        {"name": "none negative", "tau": "text none", "bump": "text none", "when": "text none"},
    ),
    "Event": (
        models.Event,
        dict(condition="v > 1", every="step", when="resets"),
        {"condition": "none negative", "every": "text none", "when": "text none"},
    ),
    "Operation": (
        models.Operation,
        dict(code="v = 1", on="step", when="start", order=0, plastic=False),
        {
            "code": "text none",
            "on": "none negative",
            "when": "text none",
            "order": "text none",
            "plastic": "text none",
        },
    ),
    "Companion": (
        models.Companion,
        dict(equations="x : 1", operations=(), parameters={}, initial={}, links={}, events={}),
        {
            "equations": "text none",
            "operations": "text none",
            "parameters": "text none",
            "initial": "text none",
            "links": "text none",
            "events": "text none",
        },
    ),
    "SynapseModel": (
        models.SynapseModel,
        dict(
            name="s",
            companion=models.Companion(equations="g : 1"),
            current="g",
            transmit="g_post += w",
            equations="",
            parameters={},
        ),
        {
            "name": "none negative",
            "companion": "text none",
            "current": "none negative",
            "transmit": "text none",
            "equations": "text none",
            "parameters": "text none",
        },
    ),
    "Schedule": (
        models.Schedule,
        dict(start=1.0, stop=0.1, kind="linear"),
        {"start": "text none", "stop": "text none", "kind": "text none"},
    ),
    "Uniform": (models.Uniform, dict(low=0.0, high=1.0), {"low": "text none", "high": "text none"}),
    "Normal": (models.Normal, dict(mean=0.0, sd=1.0), {"mean": "text none", "sd": "text none"}),
    "Statements": (
        plasticity.Statements,
        dict(side="synapse", code="w += 1", event="step", order=0, when="synapses", every=1 * ms),
        {
            "side": "text none",
            "code": "text none",
            "event": "text none",
            "order": "text none",
            "when": "text none",
            "every": "text negative",
        },
    ),
    "PlasticityRule": (
        plasticity.PlasticityRule,
        dict(
            name="r",
            statements=(plasticity.Statements(side="pre", code="w += x_pre"),),
            pre_traces=(TR,),
            post_traces=(),
            pre_companion=None,
            post_companion=None,
            modulators={},
            equations="",
            method="euler",
            transient=(),
            parameters={},
        ),
        {
            "name": "none negative",
            "statements": "text none",
            "pre_traces": "text none",
            "post_traces": "text none",
            "pre_companion": "text negative",
            "post_companion": "text negative",
            "modulators": "text none",
            "equations": "text none",
            "method": "text none",
            "transient": "text none",
            "parameters": "text none",
        },
    ),
    "lif": (
        models.lif,
        dict(reset="hard", tau_m=10 * ms),
        {"reset": "text none", "tau_m": "text none"},
    ),
    "adex": (models.adex, dict(pattern="tonic spiking"), {"pattern": "text negative"}),
    "izhikevich": (models.izhikevich, dict(kind="RS"), {"kind": "text none"}),
    "per_neuron": (
        models.per_neuron,
        dict(models=[models.lif(), models.lif()], name="x"),
        {"models": "text none", "name": "none negative"},
    ),
    "gap_junction": (models.gap_junction, dict(v_unit=1 * mV), {"v_unit": "text none"}),
    "with_synapses": (
        lambda **k: models.lif().with_synapses(**k),
        dict(method="exact", exc=models.exponential_current()),
        {"method": "negative time", "exc": "text none"},
    ),
    "with_parameters": (
        lambda **k: models.lif().with_parameters(**k),
        dict(tau_m=10 * ms),
        {"tau_m": "text none"},
    ),
    "group": (
        lambda **k: models.lif().group(**k),
        dict(n=2, traces=(), name="grp"),
        {"n": "text none", "traces": "text none", "name": "negative time"},
    ),
    "extended": (
        lambda equations, operation: models.lif().extended(equations, operation),
        dict(equations="q : 1", operation=models.Operation(code="q = 1")),
        {"equations": "text none", "operation": "text none"},
    ),
    "with_traces": (
        lambda traces: models.lif().with_traces(traces),
        dict(traces=[TR]),
        {"traces": "text none"},
    ),
    "connect": (
        lambda **k: plasticity.pair_stdp().connect(**k),
        dict(
            pre=models.lif().group(2, traces=plasticity.pair_stdp().needs("pre")),
            post=models.lif().group(2, traces=plasticity.pair_stdp().needs("post")),
            transmit="",
            pairs="i != j",
        ),
        {
            "pre": "text none",
            "post": "text none",
            "transmit": "none negative",
            "pairs": "text negative",
        },
    ),
}

RULES = {
    "pair_stdp": (
        plasticity.pair_stdp,
        dict(),
        {
            "tau_plus": "text none",
            "tau_minus": "text none",
            "A_plus": "text none",
            "A_minus": "text none",
            "w_min": "text none",
            "w_max": "text none",
            "pairing": "text none",
            "weight_dependence": "text none",
        },
    ),
    "symmetric_stdp": (
        plasticity.symmetric_stdp,
        dict(),
        {
            "tau_stdp": "text none",
            "eta": "text none",
            "alpha": "text none",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "inhibitory_stdp": (
        plasticity.inhibitory_stdp,
        dict(),
        {
            "tau_stdp": "text none",
            "eta": "text none",
            "target_rate": "text none",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "triplet_stdp": (
        plasticity.triplet_stdp,
        dict(),
        {
            "data": "text none",
            "form": "text none",
            "pairing": "text none",
            "A2_plus": "text negative",
            "A3_plus": "text negative",
            "A2_minus": "text negative",
            "A3_minus": "text negative",
            "tau_plus": "text negative",
            "tau_minus": "text negative",
            "tau_y": "text negative",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "voltage_stdp": (
        plasticity.voltage_stdp,
        dict(),
        {
            "A_LTD": "text none",
            "A_LTP": "text none",
            "tau_minus": "text none",
            "tau_plus": "text none",
            "tau_x": "text none",
            "theta_minus": "text none",
            "theta_plus": "text none",
            "u_ref": "text negative",
            "u_rest": "text none",
            "lag": "text none",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "diehl_cook_triplet": (
        plasticity.diehl_cook_triplet,
        dict(),
        {
            "tau_pre": "text none",
            "tau_post_1": "text none",
            "tau_post_2": "text none",
            "eta_pre": "text none",
            "eta_post": "text none",
            "w_max": "text none",
        },
    ),
    "diehl_cook_power_law": (
        plasticity.diehl_cook_power_law,
        dict(),
        {
            "tau_pre": "text none",
            "eta": "text none",
            "x_tar": "text none",
            "mu": "text none",
            "w_max": "text none",
        },
    ),
    "discrete_stdp": (
        plasticity.discrete_stdp,
        dict(),
        {
            "tau_pre": "text none",
            "tau_post": "text none",
            "eta": "text none",
            "f_pre": "text none",
            "f_post": "text none",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "instar": (
        plasticity.instar,
        dict(),
        {"eta": "text none", "gain": "text none", "tau_pre": "text negative"},
    ),
    "resume": (
        plasticity.resume,
        dict(),
        {"eta": "text none", "tau_pre": "text none", "w_min": "text none", "w_max": "text none"},
    ),
    "bcm": (
        plasticity.bcm,
        dict(),
        {
            "eta": "text none",
            "rate_0": "text none",
            "tau_pre": "text none",
            "tau_post": "text none",
            "tau_theta": "text none",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "heterosynaptic_decay": (
        plasticity.heterosynaptic_decay,
        dict(),
        {"beta": "text none", "w_ref": "text none", "tau_post": "text none", "power": "text none"},
    ),
    "synaptic_scaling": (
        plasticity.synaptic_scaling,
        dict(),
        {
            "target_rate": "text none",
            "eta": "text none",
            "tau_rate": "text none",
            "every": "text negative",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "mstdp": (
        plasticity.mstdp,
        dict(modulator="c.r"),
        {
            "gamma": "text none",
            "tau_plus": "text none",
            "tau_minus": "text none",
            "A_plus": "text none",
            "A_minus": "text none",
            "w_min": "text none",
            "w_max": "text none",
            "modulator": "text none",
        },
    ),
    "mstdpet": (
        plasticity.mstdpet,
        dict(modulator="c.r"),
        {
            "gamma": "text none",
            "tau_z": "text none",
            "tau_plus": "text none",
            "tau_minus": "text none",
            "A_plus": "text none",
            "A_minus": "text none",
            "w_min": "text none",
            "w_max": "text none",
            "every": "text negative",
            "modulator": "text none",
        },
    ),
    "dopamine_stdp": (
        plasticity.dopamine_stdp,
        dict(modulator="c.r"),
        {
            "rate": "text none",
            "tau_c": "text none",
            "tau_plus": "text none",
            "tau_minus": "text none",
            "A_plus": "text none",
            "A_minus": "text none",
            "w_min": "text none",
            "w_max": "text none",
            "pairing": "text none",
            "every": "text negative",
            "modulator": "text none",
        },
    ),
    "dopamine": (plasticity.dopamine, dict(), {"tau_d": "text none", "baseline": "text none"}),
    "reward_prediction": (
        plasticity.reward_prediction,
        dict(modulator="c.r"),
        {"eta": "text none", "modulator": "text none"},
    ),
    "e_prop": (
        plasticity.e_prop,
        dict(),
        {
            "eta": "text none",
            "tau_m": "text none",
            "tau_syn": "text negative",
            "tau_out": "text negative",
            "distance": "none negative",
            "width": "text none",
            "gamma": "text none",
            "signal": "none negative",
            "update": "text none",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "delta_rule": (
        plasticity.delta_rule,
        dict(),
        {
            "eta": "text none",
            "tau_m": "text none",
            "tau_syn": "text negative",
            "signal": "none negative",
            "update": "text none",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "superspike": (
        plasticity.superspike,
        dict(),
        {
            "eta": "text none",
            "tau_m": "text none",
            "tau_syn": "text negative",
            "tau_rise": "text none",
            "tau_decay": "text none",
            "distance": "none negative",
            "width": "text none",
            "signal": "none negative",
            "update": "text none",
            "rmaxprop": "text negative",
            "w_min": "text none",
            "w_max": "text none",
        },
    ),
    "triplet_parameters": (
        plasticity.triplet_parameters,
        dict(),
        {"data": "text none", "form": "text none", "pairing": "text none"},
    ),
    "adaptive_threshold": (
        plasticity.adaptive_threshold,
        dict(model=models.lif(), theta_plus=1 * mV, target_rate=None, tau_theta=1 * second),
        {"tau_theta": "text none", "model": "text none"},
    ),
    "spike_error": (
        plasticity.spike_error,
        dict(model=models.lif()),
        {
            "tau_rise": "text none",
            "tau_decay": "text none",
            "name": "none list",
            "model": "text none",
        },
    ),
}

TABLES = {
    "encoding": ENCODING,
    "readout": READOUT,
    "plotting": PLOTTING,
    "data": DATA,
    "networks": NETWORKS,
    "models": MODELS,
    "plasticity": RULES,
}


def cases(tables: dict[str, Any]) -> list[Any]:
    """One case for each argument and each value that it must refuse."""
    return [
        pytest.param(call, valid, name, value, id=f"{room}: {title}({name}={value})")
        for room, table in tables.items()
        for title, (call, valid, bad) in table.items()
        for name, values in bad.items()
        for value in values.split()
    ]


CASES = cases(TABLES)


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch):
    def begun(*_, **__):
        raise AssertionError("a build or a run was begun")

    monkeypatch.setattr(Network, "before_run", begun)
    monkeypatch.setattr("subprocess.Popen.__init__", begun)
    monkeypatch.chdir("/")
    yield
    plt.close("all")


def refused(call: Any, valid: dict[str, Any], name: str, value: str) -> None:
    """The call is refused by the name of the argument, with what was given, in one line."""
    with pytest.raises(BiosnnError) as caught:
        call(**{**valid, name: VALUES[value]})
    text = str(caught.value)
    assert name in text, text
    assert any(form in text for form in shown(VALUES[value])), text
    assert "\n" not in text


@pytest.mark.parametrize(("call", "valid", "name", "value"), CASES)
def test_an_argument_is_refused_by_its_name(call, valid, name, value):
    refused(call, valid, name, value)


def test_there_are_many_cases_and_each_differs_in_one_argument():
    assert len(CASES) >= 350
    for _, table in TABLES.items():
        for call, valid, bad in table.values():
            names = inspect.signature(call).parameters
            kinds = {parameter.kind for parameter in names.values()}
            assert set(bad) <= {*names, *valid} or inspect.Parameter.VAR_KEYWORD in kinds
