"""Synaptic scaling: all weights of a neuron change by one factor until its rate is right.

``w *= 1 + eta*(1 - rate/target_rate)`` at the end of each presentation, or every so often, which
visits all synapses each time. The mean rate begins at the target; presentations do not reset it.
Use it beside another rule with :func:`combined`.

Notes
-----
Turrigiano et al. 1998, Nature 391:892, doi:10.1038/36103; multiplicative, driven by the
error of the rate: van Rossum, Bi & Turrigiano 2000, doi:10.1523/JNEUROSCI.20-23-08812.2000.
"""

from brian2.units import Hz, second

NAME = "SynapticScaling"
PARAMETERS = {
    "eta": (0.01, ">= 0", "strength of one change"),
    "target_rate": (5 * Hz, "> 0", "rate at which the weights stay"),
    "tau_rate": (10 * second, "> 0", "time constant of the mean rate"),
    "every": (None, "> 0", "time between two changes; by default a presentation", second),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
}
SCHEDULED = ("eta",)
STATEMENTS = (
    {
        "side": "synapse",
        "event": "end",
        "when": "after_synapses",
        "code": "w = clip(w*(1 + eta*(1 - rate_post/target_rate)), w_min, w_max)",
    },
)
POST_COMPANION = {
    "equations": "rate : Hz",
    "operations": (
        {"code": "rate -= rate*dt/tau_rate", "when": "before_groups", "plastic": True},
        {"code": "rate += 1/tau_rate", "on": "spike", "when": "after_synapses", "plastic": True},
    ),
    "parameters": {"tau_rate": "tau_rate"},
    "initial": {"rate": "target_rate"},
    "slow": ("rate",),
}
REFERENCE = "Turrigiano et al. 1998, doi:10.1038/36103"
