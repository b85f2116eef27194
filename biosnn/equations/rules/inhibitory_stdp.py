"""Inhibitory STDP, which brings the target to a rate by balancing its excitation.

A pair adds ``eta*exp(-abs(s)/tau_stdp)``, every presynaptic spike subtracts
``eta*2*target_rate*tau_stdp``. Weights are the strengths of inhibition, >= 0. ``target_rate`` is
the rate of the postsynaptic neuron at which the weights stay, in the mean.

Notes
-----
Vogels, Sprekeler, Zenke, Clopath & Gerstner 2011, Science 334:1569, Fig. 1 and supplement,
doi:10.1126/science.1211095.
"""

from brian2.units import Hz, ms

from biosnn.equations.rules import symmetric_stdp as base

NAME = "InhibitorySTDP"
PARAMETERS = {
    "tau_stdp": (20 * ms, "> 0", "time constant of both sides of the window"),
    "eta": (0.01, ">= 0", "learning rate"),
    "target_rate": (5 * Hz, ">= 0", "rate that the postsynaptic neuron shall get"),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (10.0, "finite", "largest weight"),
}
SCHEDULED = base.SCHEDULED
STATEMENTS = base.STATEMENTS
PRE_TRACES, POST_TRACES = base.PRE_TRACES, base.POST_TRACES
REFERENCE = "Vogels et al. 2011, Fig. 1, doi:10.1126/science.1211095"
