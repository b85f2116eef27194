"""Arguments that cannot be, given to the constructors and functions of biosnn.surrogate.

The rows are those of ``test_bad_arguments``.
"""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import ms, mV, nA
from test_bad_arguments import IMG, cases, nothing_is_built, refused

from biosnn import models, networks

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from biosnn import surrogate  # noqa: E402

__all__ = ["nothing_is_built"]

TORCH = {
    "ATan": (surrogate.ATan, dict(alpha=2.0), {"alpha": "text none"}),
    "Erf": (surrogate.Erf, dict(alpha=2.0), {"alpha": "text none"}),
    "FastSigmoid": (surrogate.FastSigmoid, dict(alpha=2.0), {"alpha": "text none"}),
    "LeakyKReLU": (
        surrogate.LeakyKReLU,
        dict(leak=0.0, k=1.0),
        {"leak": "text none", "k": "text none"},
    ),
    "LogTailedReLU": (surrogate.LogTailedReLU, dict(alpha=0.0), {"alpha": "text none"}),
    "PiecewiseLinear": (
        surrogate.PiecewiseLinear,
        dict(width=1.0, leak=0.01),
        {"width": "text none", "leak": "text none"},
    ),
    "PiecewiseQuadratic": (surrogate.PiecewiseQuadratic, dict(alpha=1.0), {"alpha": "text none"}),
    "Rectangular": (surrogate.Rectangular, dict(alpha=1.0), {"alpha": "text none"}),
    "Sigmoid": (surrogate.Sigmoid, dict(alpha=4.0), {"alpha": "text none"}),
    "SoftSign": (surrogate.SoftSign, dict(alpha=2.0), {"alpha": "text none"}),
    "SquarewaveFourier": (
        surrogate.SquarewaveFourier,
        dict(terms=1, period=8.0),
        {"terms": "text none", "period": "text none"},
    ),
    "Triangle": (
        surrogate.Triangle,
        dict(alpha=1.0, gamma=0.3),
        {"alpha": "text none", "gamma": "text none"},
    ),
    "UserDefined": (
        surrogate.UserDefined,
        dict(gradient=torch.ones_like),
        {"gradient": "text none"},
    ),
    "DirectEncoder": (surrogate.DirectEncoder, dict(shift=0), {"shift": "text none"}),
    "PoissonEncoder": (
        surrogate.PoissonEncoder,
        dict(steps=5, shift=0),
        {"steps": "text none", "shift": "text none"},
    ),
    "MembraneCrossEntropy": (
        surrogate.MembraneCrossEntropy,
        dict(over="max", scale=1.0),
        {"over": "text none", "scale": "text none"},
    ),
    "RateCrossEntropy": (surrogate.RateCrossEntropy, dict(scale=1.0), {"scale": "text none"}),
    "FirstSpikeCrossEntropy": (
        surrogate.FirstSpikeCrossEntropy,
        dict(tau=2.0),
        {"tau": "text none"},
    ),
    "Batches": (
        surrogate.Batches,
        dict(
            samples=IMG,
            labels=np.zeros(4, int),
            encode=surrogate.PoissonEncoder(5),
            batch_size=2,
            seed=0,
            shuffle=True,
            workers=0,
        ),
        {
            "samples": "text none",
            "labels": "text none",
            "batch_size": "text none",
            "seed": "text none",
            "shuffle": "text none",
            "workers": "text none",
        },
    ),
    "SpikingLayer": (
        surrogate.SpikingLayer,
        dict(
            model=models.lif(),
            dt=1 * ms,
            drive="I",
            gain=1 * nA,
            surrogate="atan",
            width=1 * mV,
            detach_reset=True,
            train=(),
            output=None,
            smooth=False,
            step_mode="single",
        ),
        {
            "model": "text none",
            "dt": "text none",
            "drive": "text none",
            "gain": "text none",
            "surrogate": "text none",
            "width": "text negative nan cube",
            "train": "text none negative odd cube",
            "detach_reset": "text cube",
            "smooth": "text none cube",
            "functions": "negative cube",
            "namespace": "negative cube",
            "output": "text negative",
            "step_mode": "text none",
        },
    ),
    "Sequential": (
        surrogate.Sequential,
        dict(step_mode="single", order="layer"),
        {"step_mode": "text none", "order": "text none"},
    ),
    "Stateless": (
        surrogate.Stateless,
        dict(module=nn.Linear(2, 2), step_mode="single"),
        {"module": "text none", "step_mode": "text none"},
    ),
    "surrogate_function": (
        surrogate.surrogate_function,
        dict(which="atan"),
        {"which": "text none"},
    ),
    "rate_neuron": (surrogate.rate_neuron, dict(initial=0.0), {"initial": "text none"}),
    "poisson_batch": (
        surrogate.poisson_batch,
        dict(images=IMG, steps=3, rng=np.random.default_rng(0)),
        {"images": "negative nan", "steps": "text none", "rng": "text none"},
    ),
    "address_events": (
        surrogate.address_events,
        dict(spikes=np.zeros((3, 2, 4)), dt=1 * ms),
        {"spikes": "time list", "dt": "text none"},
    ),
    "set_step_mode": (
        surrogate.set_step_mode,
        dict(net=nn.Linear(2, 2), mode="single"),
        {"net": "text none", "mode": "text none"},
    ),
    "reset": (surrogate.reset, dict(net=nn.Linear(2, 2)), {"net": "text none"}),
    "detach": (surrogate.detach, dict(net=nn.Linear(2, 2)), {"net": "text none"}),
    "stateful_layers": (surrogate.stateful_layers, dict(net=nn.Linear(2, 2)), {"net": "text none"}),
    "SurrogateNetwork": (
        surrogate.SurrogateNetwork,
        dict(
            network=networks.feedforward((4, 3, 2)),
            state=None,
            seed=0,
            train=None,
            surrogate="atan",
            width=1.0,
            detach_reset=True,
            smooth=False,
        ),
        {
            "network": "text none",
            "state": "text negative",
            "seed": "text none",
            "train": "text negative odd cube",
            "surrogate": "text none",
            "width": "text negative nan cube",
            "detach_reset": "text cube",
            "smooth": "text none cube",
            "normalise": "text none cube",
            "functions": "negative cube",
        },
    ),
    "TrainedConstant": (
        surrogate.TrainedConstant,
        dict(value=1.0, shape=()),
        {"value": "text none nan cube", "shape": "text none negative"},
    ),
    "VariableMonitor": (
        surrogate.VariableMonitor,
        dict(variable="v"),
        {"net": "text none negative"},
    ),
    "OutputMonitor": (surrogate.OutputMonitor, {}, {"net": "text none negative"}),
    "compile": (
        surrogate.to_torch,
        dict(model=models.lif(), dt=1 * ms, gain=1 * nA),
        {"model": "text none", "dt": "text none", "gain": "text none"},
    ),
    "fold_batch_norm": (
        surrogate.fold_batch_norm,
        dict(ann=nn.Sequential(nn.Linear(2, 2))),
        {"ann": "text none"},
    ),
    "train": (
        surrogate.train,
        dict(
            module=nn.Linear(2, 2),
            batches=[],
            epochs=1,
            optimiser="adam",
            lr=0.001,
            scheduler="cosine",
        ),
        {
            "module": "text none",
            "batches": "none negative",
            "epochs": "text none",
            "optimiser": "text none",
            "lr": "text",
            "scheduler": "text negative cube",
            "loss": "text negative cube",
            "callbacks": "none negative",
            "settings": "text negative",
            "validation": "negative",
            "test": "negative",
            "folder": "negative list",
            "progress": "text none cube",
        },
    ),
    "convert": (
        surrogate.convert,
        dict(
            ann=nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
            data=torch.ones(3, 2),
            normalisation="max",
            channelwise=False,
            initial=0.0,
            dt=1 * ms,
        ),
        {
            "ann": "text none",
            "data": "text none",
            "normalisation": "text negative",
            "channelwise": "text none cube",
            "initial": "text none",
            "dt": "text none",
        },
    ),
}

CASES = cases({"surrogate": TORCH})


@pytest.mark.parametrize(("call", "valid", "name", "value"), CASES)
def test_an_argument_is_refused_by_its_name(call, valid, name, value):
    refused(call, valid, name, value)
