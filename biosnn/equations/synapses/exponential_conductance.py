"""Conductance that jumps with a spike and decays exponentially."""

from brian2.units import ms, mV, nS

NAME = "ExponentialConductance"
EQUATIONS = "dg/dt = -g/tau_syn : siemens"
CURRENT = "g*(E - v)"
TRANSMIT = "g_post += w*g_max"
PARAMETERS = {
    "tau_syn": (5 * ms, "> 0", "time constant of the decay"),
    "E": (0 * mV, "finite", "reversal potential"),
    "g_max": (1 * nS, "> 0", "peak of the conductance at weight 1"),
}
STRENGTH = "g_max"
REFERENCE = (
    "Roth & van Rossum 2009, Modeling synapses (ch. 6 of Computational Modeling Methods for "
    "Neuroscientists), doi:10.7551/mitpress/9780262013277.001.0001"
)
