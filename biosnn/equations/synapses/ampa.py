"""AMPA receptors of cortical cells: fast excitation whose rise is instantaneous."""

from brian2.units import ms, mV, nS

from biosnn.equations.synapses import exponential_conductance

NAME = "AMPA"
EQUATIONS = exponential_conductance.EQUATIONS
CURRENT = exponential_conductance.CURRENT
TRANSMIT = exponential_conductance.TRANSMIT
PARAMETERS = {
    "tau_syn": (2 * ms, "> 0", "time constant of the decay"),
    "E": (0 * mV, "finite", "reversal potential"),
    "g_max": (1 * nS, "> 0", "peak of the conductance at weight 1"),
}
STRENGTH = "g_max"
REFERENCE = (
    "Brunel & Wang 2001, J. Comput. Neurosci. 11:63 (time constant and reversal "
    "potential), doi:10.1023/A:1011204814320"
)
