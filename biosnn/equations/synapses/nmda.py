"""NMDA receptors of cortical cells: slow excitation that magnesium blocks at rest.

Contributions of spikes add up without saturation. ``B`` is the share of channels that
magnesium leaves open; at 1 mM half of them are open at -20.5 mV.
The neuron's ``v`` must be a voltage.
"""

from brian2.units import mM, ms, mV, nS

from biosnn.equations.synapses import difference_of_exponentials_conductance as base

NAME = "NMDA"
EQUATIONS = (
    base.EQUATIONS
    + """
B = 1/(1 + Mg/K_Mg*exp(-gamma*v)) : 1
"""
)
CURRENT = "g*B*(E - v)"
TRANSMIT = base.TRANSMIT
PARAMETERS = {
    "tau_rise": (2 * ms, "> 0", "time constant of the rise"),
    "tau_decay": (100 * ms, "> 0", "time constant of the decay"),
    "E": (0 * mV, "finite", "reversal potential"),
    "g_max": (1 * nS, "> 0", "peak of the conductance at weight 1, without the block"),
    "Mg": (1 * mM, ">= 0", "extracellular magnesium concentration"),
    "K_Mg": (3.57 * mM, "> 0", "magnesium concentration that blocks half at 0 mV"),
    "gamma": (0.062 / mV, "> 0", "steepness of the block"),
}
STRENGTH = "g_max"
REFERENCE = (
    "Time constants and reversal potential: Brunel & Wang 2001, J. Comput. Neurosci. 11:63, "
    "doi:10.1023/A:1011204814320; block: Jahr & Stevens 1990, J. Neurosci. 10:3178, "
    "eq. 4a, doi:10.1523/JNEUROSCI.10-09-03178.1990"
)
