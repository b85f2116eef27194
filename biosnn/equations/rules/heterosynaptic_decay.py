"""Heterosynaptic decay: bursts of a neuron pull all its weights towards a reference.

A postsynaptic spike does ``w -= beta*(w - w_ref)*z**power``, where the trace ``z`` counts
the spikes before it. Use it beside another rule with :func:`combined`.

Notes
-----
Zenke, Agnes & Gerstner 2015, Nat. Commun. 6:6922, doi:10.1038/ncomms7922, where the power is
3; evidence: Chistiakova et al. 2015, doi:10.3389/fncom.2015.00089.
"""

from brian2.units import ms

NAME = "HeterosynapticDecay"
PARAMETERS = {
    "beta": (0.001, ">= 0", "strength"),
    "w_ref": (0.0, "finite", "weight that is left alone"),
    "tau_post": (20 * ms, "> 0", "time constant of ``z``"),
    "power": (3, "whole", "with 0 every spike counts the same, with 3 only those in bursts count"),
}
SCHEDULED = ("beta",)
STATEMENTS = ({"side": "post", "code": "w -= (w - w_ref)*{factor}", "order": 2},)
#: A spike that follows a long pause must not overshoot, whatever the trace.
FACTOR, FACTOR_OF_EVERY_SPIKE = "clip(beta*z_post**{power}, 0, 1)", "clip(beta, 0, 1)"
POST_TRACES = ({"name": "z", "tau": "tau_post", "when": "after_synapses"},)
REFERENCE = "Zenke, Agnes & Gerstner 2015, doi:10.1038/ncomms7922"
