"""Layered networks without recurrence, as gradient training wants them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from brian2 import ms

from biosnn.encoding import address_events
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Uniform
from biosnn.models import neuron as declare_neuron
from biosnn.networks.network import NetworkModel
from biosnn.networks.projection import Projection
from biosnn.networks.structure import Input, Population, Presentation
from biosnn.validation import check_choice, check_instance, check_value, check_whole


def _integrators(dt: Any) -> NeuronModel:
    """Input units that integrate a value ``x`` without leak: 1 fires in every step."""
    return declare_neuron(
        name="IntegratorInput",
        equations="dv/dt = x/step_size : 1\nx : 1",
        threshold="v >= 1",
        reset="v -= 1",
        method="euler",
        parameters={"step_size": dt},
    )


def threshold_neuron(
    tau_m: Any = 10 * ms, V_th: float = 1.0, *, reset: str = "hard"
) -> NeuronModel:
    """Dimensionless leaky integrate-and-fire neuron of discrete networks.

    Between inputs ``v`` decays by ``exp(-dt/tau_m)``; it fires at ``v >= V_th``.

    Parameters
    ----------
    tau_m : Quantity
        Membrane time constant, > 0 s.
    V_th : float
        Threshold, > 0; the resting potential is 0.
    reset : {"hard", "soft"}
        To 0, or by subtraction of the threshold.

    Raises
    ------
    ParameterError
        If a constant is out of its bound.

    Notes
    -----
    Leaky integration is Lapicque's (1907); for the discrete form and the soft reset see Eshraghian
    et al. (2023), doi:10.1109/JPROC.2023.3308088, eqs. 3 and 4.
    """
    check_value("threshold_neuron", "tau_m", tau_m, ms, "> 0")
    check_value("threshold_neuron", "V_th", V_th, 1.0, "> 0")
    check_choice("threshold_neuron", "reset", reset, ("hard", "soft"))
    return declare_neuron(
        name="ThresholdNeuron",
        equations="dv/dt = -v/tau_m : 1",
        threshold="v >= V_th",
        reset="v = 0" if reset == "hard" else "v -= V_th",
        method="exact",
        parameters={"tau_m": tau_m, "V_th": V_th},
    )


def feedforward(
    sizes: Sequence[int] = (784, 128, 10),
    neuron: NeuronModel | None = None,
    *,
    steps: int = 20,
    dt: Any = 1 * ms,
    encoding: str = "events",
    transmit: str = "v_post += w",
    synapse: str | None = None,
    delay: Any = 0 * ms,
    weights: Any = None,
    weight_scale: float = 1.0,
    rest_steps: int | None = None,
) -> NetworkModel:
    """Layers of neurons, each connected with all of the next one.

    Populations are ``input``, ``hidden1``, ``hidden2``, ... and ``output``; the projections are
    named after both ends (``input_hidden1``).

    Parameters
    ----------
    sizes : sequence of int
        Numbers of inputs, of hidden neurons, and of output neurons.
    neuron : NeuronModel, optional
        Neurons of all layers but the first; by default dimensionless leaky ones
        (:func:`threshold_neuron`).
    steps : int
        Time steps for which a sample is shown.
    dt : Quantity
        Time step.
    encoding : {"events", "direct"}
        Inputs are spikes, the address events of the input ``events``; or constant values from 0
        to 1 of the input ``values``, which input units integrate: they fire at regular intervals,
        at 1 in every step.
    transmit : str
        What a spike does to the neurons of the next layer.
    synapse : str, optional
        Instead: a synapse model that the neurons receive (``model.with_synapses(name=...)``).
    delay : Quantity
        Of every projection.
    weights : Uniform, Normal or float, optional
        Of every projection. By default uniform between ``-1/sqrt(n)`` and ``1/sqrt(n)`` for ``n``
        inputs of a neuron, where ``torch.nn.Linear`` starts as well.
    weight_scale : float
        Factor on these default weights, > 0.
    rest_steps : int, optional
        Time steps after the sample. By default the fewest in which the last input can reach the
        output: one and the delay for every layer, since a spike acts on the next step.

    Returns
    -------
    NetworkModel
        With the output population ``output``.

    Raises
    ------
    ParameterError
        If sizes or numbers of steps are out of their bounds, or neurons and synapses do not fit.

    Notes
    -----
    The default weights are those of LeCun et al. (1998), doi:10.1007/3-540-49430-8_2, section
    4.6, with a third of the variance, as PyTorch has them.
    """
    where = "feedforward"
    check_instance(where, "sizes", sizes, Sequence)
    widths = tuple(check_whole(where, f"sizes[{k}]", size, 1) for k, size in enumerate(sizes))
    if len(widths) < 2:
        raise ParameterError(where, "sizes", sizes, "two or more whole numbers")
    check_choice(where, "encoding", encoding, ("events", "direct"))
    check_value(where, "weight_scale", weight_scale, 1.0, "> 0")
    check_value(where, "delay", delay, ms, ">= 0")
    for name, value, least in (("steps", steps, 1), ("rest_steps", rest_steps, 0)):
        if value is not None:
            check_whole(where, name, value, least)
    check_whole(where, "steps", steps, 1)
    check_value(where, "dt", dt, ms, "> 0")
    check_instance(where, "neuron", neuron, NeuronModel, optional=True)
    direct = encoding == "direct"
    names = ["input", *(f"hidden{k}" for k in range(1, len(widths) - 1)), "output"]
    cell = threshold_neuron() if neuron is None else neuron
    projections = {}
    for k, (pre, post) in enumerate(pairwise(names)):
        bound = weight_scale / np.sqrt(widths[k])
        drawn = Uniform(low=-bound, high=bound) if weights is None else weights
        projections[f"{pre}_{post}"] = Projection(
            pre=pre,
            post=post,
            weights=drawn,
            transmit=transmit if synapse is None else "",
            synapse=synapse,
            delay=delay,
        )
    if rest_steps is None:
        rest_steps = len(projections) * (1 + round(float(delay / dt)))
    given, source = ("values", _integrators(dt)) if direct else ("events", address_events())
    return NetworkModel(
        name="Feedforward",
        dt=dt,
        inputs={given: Input(features=widths[0], kind="static" if direct else "events")},
        populations={
            "input": Population(model=source, n=widths[0], drives={"x": given}),
            **{
                name: Population(model=cell, n=n)
                for name, n in zip(names[1:], widths[1:], strict=True)
            },
        },
        projections=projections,
        presentation=Presentation(duration=steps * dt, rest=rest_steps * dt),
        output="output",
    )
