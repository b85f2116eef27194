"""Conductance that rises and decays exponentially; ``norm`` makes its peak ``g_max``."""

from brian2.units import ms, mV, nS

NAME = "DifferenceOfExponentialsConductance"
EQUATIONS = """
dg_decay/dt = -g_decay/tau_decay : siemens
dg_rise/dt = -g_rise/tau_rise : siemens
g = g_decay - g_rise : siemens
"""
CURRENT = "g*(E - v)"
TRANSMIT = """
g_decay_post += w*norm*g_max
g_rise_post += w*norm*g_max
"""
PARAMETERS = {
    "tau_rise": (1 * ms, "> 0", "time constant of the rise"),
    "tau_decay": (5 * ms, "> 0", "time constant of the decay"),
    "E": (0 * mV, "finite", "reversal potential"),
    "g_max": (1 * nS, "> 0", "peak of the conductance at weight 1"),
}
STRENGTH = "g_max"
REFERENCE = (
    "Roth & van Rossum 2009, Modeling synapses (ch. 6 of Computational Modeling Methods for "
    "Neuroscientists), doi:10.7551/mitpress/9780262013277.001.0001"
)
