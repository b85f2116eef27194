"""GABA-A receptors of cortical cells: fast inhibition whose rise is instantaneous."""

from brian2.units import ms, mV, nS

from biosnn.equations.synapses import exponential_conductance

NAME = "GABA_A"
EQUATIONS = exponential_conductance.EQUATIONS
CURRENT = exponential_conductance.CURRENT
TRANSMIT = exponential_conductance.TRANSMIT
PARAMETERS = {
    "tau_syn": (5 * ms, "> 0", "time constant of the decay"),
    "E": (-70 * mV, "finite", "reversal potential"),
    "g_max": (1 * nS, "> 0", "peak of the conductance at weight 1"),
}
STRENGTH = "g_max"
REFERENCE = (
    "Wang 2002, Neuron 36:955 (time constant and reversal potential), "
    "doi:10.1016/S0896-6273(02)01092-9"
)
