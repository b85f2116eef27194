"""Current that jumps with a spike and decays exponentially."""

from brian2.units import ms, nA

NAME = "ExponentialCurrent"
EQUATIONS = "dI/dt = -I/tau_syn : amp"
CURRENT = "I"
TRANSMIT = "I_post += w*I_max"
PARAMETERS = {
    "tau_syn": (5 * ms, "> 0", "time constant of the decay"),
    "I_max": (1 * nA, "finite", "peak of the current at weight 1"),
}
STRENGTH = "I_max"
REFERENCE = (
    "Roth & van Rossum 2009, Modeling synapses (ch. 6 of Computational Modeling Methods for "
    "Neuroscientists), doi:10.7551/mitpress/9780262013277.001.0001"
)
