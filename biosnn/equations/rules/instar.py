"""Instar rule: a postsynaptic spike moves the weights towards the presynaptic activity.

``w += eta*(gain*x_pre - w)``. With ``tau_pre`` the activity is an additive spike trace;
without it ``x`` is a variable of the presynaptic neuron itself (graded input).

Notes
-----
Grossberg 1976, Biol. Cybern. 23:121, doi:10.1007/BF00344744; on spike traces it is the
postsynaptically gated STDP of Diehl & Cook 2015 with a linear dependence on the weight.
"""

from brian2.units import ms

NAME = "Instar"
PARAMETERS = {
    "eta": (0.1, "in [0, 1]", "learning rate"),
    "gain": (1.0, "> 0", "scale of the activity"),
    "tau_pre": (None, "> 0", "time constant of the presynaptic trace", ms),
}
SCHEDULED = ("eta",)
STATEMENTS = ({"side": "post", "code": "w += eta*(gain*x_pre - w)", "order": 1},)
PRE_TRACES = ({"name": "x", "tau": "tau_pre"},)
REFERENCE = "Grossberg 1976, doi:10.1007/BF00344744"
