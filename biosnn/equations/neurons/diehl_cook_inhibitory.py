"""Inhibitory cell of Diehl & Cook: conductance-based LIF.

As in Brian 1, for which the published code was written, the potential is held at its reset
value during the refractory period.
"""

from brian2.units import ms, mV

NAME = "DiehlCookInhibitory"
EQUATIONS = """
dv/dt = (E_L - v + g_e*(E_e - v) + g_i*(E_i - v))/tau_m : volt (unless refractory)
dg_e/dt = -g_e/tau_e : 1
dg_i/dt = -g_i/tau_i : 1
"""
THRESHOLD = "v > V_th"
RESET = "v = V_r"
REFRACTORY = "t_ref"
METHOD = "exponential_euler"
PARAMETERS = {
    "tau_m": (10 * ms, "> 0", "membrane time constant"),
    "tau_e": (1 * ms, "> 0", "excitatory synaptic time constant"),
    "tau_i": (2 * ms, "> 0", "inhibitory synaptic time constant"),
    "E_L": (-60 * mV, "finite", "resting potential"),
    "E_e": (0 * mV, "finite", "excitatory reversal potential"),
    "E_i": (-85 * mV, "finite", "inhibitory reversal potential"),
    "V_th": (-40 * mV, "finite", "firing threshold"),
    "V_r": (-45 * mV, "finite", "reset potential"),
    "t_ref": (2 * ms, ">= 0", "absolute refractory period"),
}
INITIAL = {"v": "E_L", "g_e": 0.0, "g_i": 0.0}
DRIVE = "g_e", 3.0
START, STEP = {"v": -55 * mV, "g_e": 0.5, "g_i": 0.3}, 0.2 * ms
REFERENCE = (
    "Diehl & Cook 2015, Front. Comput. Neurosci. 9:99, sec. 2.1, "
    "doi:10.3389/fncom.2015.00099 (constants from the published code)"
)
