"""Delta rule on filtered spikes, for a leaky readout that does not fire.

``dw/dt = eta*L*x/tau_m``: ``x`` is what presynaptic spikes of weight 1 do to the readout's
potential, ``L`` the error of that potential, desired minus present.

Notes
-----
Widrow & Hoff 1960 ("Adaptive switching circuits", IRE WESCON Conv. Rec. 4:96); on filtered
spikes it is what e-prop does to the weights of a leaky readout: Bellec et al. 2020, Nat.
Commun. 11:3625, Methods, doi:10.1038/s41467-020-17236-y.
"""

from brian2.units import ms

NAME = "DeltaRule"
PARAMETERS = {
    "eta": (
        0.01,
        ">= 0",
        "learning rate: change of the weight in ``tau_m`` where ``L`` and the eligibility are 1",
    ),
    "tau_m": (20 * ms, "> 0", "membrane time constant of the postsynaptic neuron"),
    "tau_syn": (
        None,
        "> 0",
        "time constant of its synaptic current (``dv/dt = (I - v)/tau_m``, spikes add to ``I``); "
        "``None`` where spikes add to the potential itself",
        ms,
    ),
    "signal": ("L", "", "learning signal: a variable of the postsynaptic neuron, a number"),
    "update": (
        "presentation",
        ("step", "presentation"),
        "whether weights change in every time step or at the end of a presentation",
    ),
    "w_min": (-10.0, "finite", "least weight"),
    "w_max": (10.0, "finite", "largest weight"),
}
SCHEDULED = ("eta",)
FACTOR = "x_pre"
REFERENCE = "Widrow & Hoff 1960; Bellec et al. 2020, doi:10.1038/s41467-020-17236-y"
