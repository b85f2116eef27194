"""Current that rises and decays exponentially; ``norm`` makes its peak ``I_max``."""

from brian2.units import ms, nA

NAME = "DifferenceOfExponentialsCurrent"
EQUATIONS = """
dI_decay/dt = -I_decay/tau_decay : amp
dI_rise/dt = -I_rise/tau_rise : amp
"""
CURRENT = "I_decay - I_rise"
TRANSMIT = """
I_decay_post += w*norm*I_max
I_rise_post += w*norm*I_max
"""
PARAMETERS = {
    "tau_rise": (1 * ms, "> 0", "time constant of the rise"),
    "tau_decay": (5 * ms, "> 0", "time constant of the decay"),
    "I_max": (1 * nA, "finite", "peak of the current at weight 1"),
}
STRENGTH = "I_max"
REFERENCE = (
    "Roth & van Rossum 2009, Modeling synapses (ch. 6 of Computational Modeling Methods for "
    "Neuroscientists), doi:10.7551/mitpress/9780262013277.001.0001"
)
