"""Dopamine, which turns the eligibility of synapses into weight."""

from __future__ import annotations

from typing import Any

from brian2 import ms

from biosnn.equations.rules import dopamine_stdp
from biosnn.models import NeuronModel, Operation, neuron
from biosnn.validation import check_value


def dopamine(*, tau_d: Any = 200 * ms, baseline: float = 0.0) -> NeuronModel:
    """Extracellular dopamine as a population of one neuron: ``dd/dt = (baseline - d)/tau_d``.

    Whenever new input arrives, at the onset of a sample or of a frame, ``release`` is added to
    ``d``; synapses inside the network may add to it too (``transmit="d_post += w"``).

    Parameters
    ----------
    tau_d : Quantity
        Time constant with which it is taken up.
    baseline : float
        Tonic concentration.

    Returns
    -------
    NeuronModel
        With the concentration ``d`` and the input ``release``, plain numbers.

    Notes
    -----
    Izhikevich 2007, eq. 3, doi:10.1093/cercor/bhl152; its ``DA(t)`` is
    ``baseline/tau_d + release*delta(t)``.
    """
    name = "Dopamine"
    return neuron(
        equations="dd/dt = (baseline - d)/tau_d : 1\nrelease : 1",
        operations=(Operation(code="d += release", on="input"),),
        parameters={
            "tau_d": check_value(name, "tau_d", tau_d, ms, "> 0"),
            "baseline": check_value(name, "baseline", baseline, 1.0, ">= 0"),
        },
        initial={"d": "baseline"},
        name=name,
        reference=dopamine_stdp.REFERENCE,
    )
