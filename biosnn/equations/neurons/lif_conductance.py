"""Leaky integrate-and-fire neuron with exponential excitatory and inhibitory conductances.

The conductances ``g_e`` and ``g_i`` are in units of the leak conductance.
"""

from brian2.units import ms, mV

NAME = "LIFConductance"
EQUATIONS = """
dv/dt = (E_L - v + g_e*(E_e - v) + g_i*(E_i - v))/tau_m : volt (unless refractory)
dg_e/dt = -g_e/tau_e : 1
dg_i/dt = -g_i/tau_i : 1
"""
THRESHOLD = "v > V_th"
RESET = "v = V_r"
SOFT_RESET = "V_th - E_L"
REFRACTORY = "t_ref"
METHOD = "euler"
PARAMETERS = {
    "tau_m": (20 * ms, "> 0", "membrane time constant"),
    "tau_e": (5 * ms, "> 0", "excitatory synaptic time constant"),
    "tau_i": (10 * ms, "> 0", "inhibitory synaptic time constant"),
    "E_L": (-60 * mV, "finite", "resting potential"),
    "E_e": (0 * mV, "finite", "excitatory reversal potential"),
    "E_i": (-80 * mV, "finite", "inhibitory reversal potential"),
    "V_th": (-50 * mV, "finite", "firing threshold"),
    "V_r": (-60 * mV, "finite", "reset potential"),
    "t_ref": (5 * ms, ">= 0", "absolute refractory period"),
}
INITIAL = {"v": "E_L", "g_e": 0.0, "g_i": 0.0}
DRIVE = "g_e", 3.0
START, STEP = {"v": -58 * mV, "g_e": 0.4, "g_i": 1.5}, 0.8 * ms
REFERENCE = (
    "Vogels & Abbott 2005, J. Neurosci. 25:10786, doi:10.1523/JNEUROSCI.3508-05.2005; "
    "Brette et al. 2007, J. Comput. Neurosci. 23:349 (COBA), doi:10.1007/s10827-007-0038-6"
)
