"""Symmetric STDP: spikes that are close potentiate in either order, others depress.

A pair at ``s = t_post - t_pre`` adds ``eta*exp(-abs(s)/tau_stdp)``; every presynaptic spike
subtracts ``eta*alpha``.

Notes
-----
A symmetric window between pyramidal cells: Mishra, Kim, Guzman & Jonas 2016,
Nat. Commun. 7:11552, Fig. 2, doi:10.1038/ncomms11552; their window is broader than the default
time constant here. The constant term as in Vogels et al. 2011, doi:10.1126/science.1211095
(:func:`inhibitory_stdp`).
"""

from brian2.units import ms

NAME = "SymmetricSTDP"
PARAMETERS = {
    "tau_stdp": (20 * ms, "> 0", "time constant of both sides of the window"),
    "eta": (0.01, ">= 0", "amplitude"),
    "alpha": (0.4, ">= 0", "depression by a presynaptic spike, in units of the amplitude"),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
}
SCHEDULED = ("eta",)
STATEMENTS = (
    {"side": "pre", "code": "w = clip(w + eta*(y_post - alpha), w_min, w_max)"},
    {"side": "post", "code": "w = clip(w + eta*x_pre, w_min, w_max)", "order": 1},
)
PRE_TRACES = ({"name": "x", "tau": "tau_stdp"},)
POST_TRACES = ({"name": "y", "tau": "tau_stdp", "when": "after_synapses"},)
REFERENCE = "Mishra, Kim, Guzman & Jonas 2016, doi:10.1038/ncomms11552"
