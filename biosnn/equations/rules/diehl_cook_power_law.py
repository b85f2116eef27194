"""Diehl & Cook's rule of the paper: ``dw = eta*(x_pre - x_tar)*(w_max - w)**mu`` on a spike.

A presynaptic spike sets its trace to 1. Synapses whose trace is below ``x_tar`` are depressed. A
weight that a normalisation has lifted above ``w_max`` comes back with the next spike.

Notes
-----
Diehl & Cook 2015, sec. 2.3, eq. of the power-law rule, doi:10.3389/fncom.2015.00099.
"""

from brian2.units import ms

NAME = "DiehlCookPowerLaw"
PARAMETERS = {
    "tau_pre": (20 * ms, "> 0", "time constant of the presynaptic trace"),
    "eta": (0.01, ">= 0", "learning rate"),
    "x_tar": (0.4, ">= 0", "target value of the trace"),
    "mu": (0.2, ">= 0", "exponent of the dependence on the weight"),
    "w_max": (1.0, "> 0", "largest weight"),
}
SCHEDULED = ("eta",)
STATEMENTS = (
    {
        "side": "post",
        "code": "w = clip(w + eta*(x_pre - x_tar)*clip(w_max - w, 0, w_max)**mu, 0, w_max)",
        "order": 1,
    },
)
PRE_TRACES = ({"name": "x", "tau": "tau_pre", "bump": "= 1"},)
REFERENCE = "Diehl & Cook 2015, sec. 2.3, doi:10.3389/fncom.2015.00099"
