"""Published synapses as data: equations, default parameters with units and bounds, DOI.

One model per module. Each module has the names ``NAME``, ``EQUATIONS`` (of the postsynaptic
neuron), ``CURRENT`` (what adds to the neuron's input ``I``), ``TRANSMIT`` (what a presynaptic
spike does), ``PARAMETERS`` (name -> (default, bound, meaning)), ``STRENGTH`` (the parameter that is
the effect of a spike at weight 1) and ``REFERENCE``; a gap junction has ``SYNAPTIC``, equations of
every single synapse. The strength may have another unit than its default: state variables in
the default's unit follow it. ``biosnn.models`` makes synapse models of them.
"""

from biosnn.equations.synapses import (
    alpha_conductance,
    alpha_current,
    ampa,
    delta,
    difference_of_exponentials_conductance,
    difference_of_exponentials_current,
    exponential_conductance,
    exponential_current,
    gaba_a,
    gap_junction,
    nmda,
    tsodyks_markram,
)

__all__ = [
    "alpha_conductance",
    "alpha_current",
    "ampa",
    "delta",
    "difference_of_exponentials_conductance",
    "difference_of_exponentials_current",
    "exponential_conductance",
    "exponential_current",
    "gaba_a",
    "gap_junction",
    "nmda",
    "tsodyks_markram",
]
