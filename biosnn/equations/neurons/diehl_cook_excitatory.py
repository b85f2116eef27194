"""Excitatory cell of Diehl & Cook: conductance-based LIF with an adaptive threshold.

The threshold is ``V_th - theta_offset + theta``. ``theta`` grows by ``theta_plus`` with every
spike and decays with ``tau_theta``; both happen only while plasticity is switched on, as in the
published code.

As in Brian 1, for which the published code was written, the potential is held at its reset
value during the refractory period.
"""

from brian2.units import ms, mV

NAME = "DiehlCookExcitatory"
EQUATIONS = """
dv/dt = (E_L - v + g_e*(E_e - v) + g_i*(E_i - v))/tau_m : volt (unless refractory)
dg_e/dt = -g_e/tau_e : 1
dg_i/dt = -g_i/tau_i : 1
theta : volt
"""
THRESHOLD = "v > V_th - theta_offset + theta"
RESET = "v = V_r"
REFRACTORY = "t_ref"
METHOD = "exponential_euler"
PARAMETERS = {
    "tau_m": (100 * ms, "> 0", "membrane time constant"),
    "tau_e": (1 * ms, "> 0", "excitatory synaptic time constant"),
    "tau_i": (2 * ms, "> 0", "inhibitory synaptic time constant"),
    "E_L": (-65 * mV, "finite", "resting potential"),
    "E_e": (0 * mV, "finite", "excitatory reversal potential"),
    "E_i": (-100 * mV, "finite", "inhibitory reversal potential"),
    "V_th": (-52 * mV, "finite", "threshold without adaptation"),
    "V_r": (-65 * mV, "finite", "reset potential"),
    "t_ref": (5 * ms, ">= 0", "absolute refractory period"),
    "theta_offset": (20 * mV, "finite", "constant subtracted from the threshold"),
    "theta_plus": (0.05 * mV, ">= 0", "growth of theta at each spike"),
    "tau_theta": (1e7 * ms, "> 0", "time constant of theta's decay"),
}
INITIAL = {"v": "E_L", "g_e": 0.0, "g_i": 0.0, "theta": 20 * mV}
OPERATIONS = (
    ("theta += theta_plus", "spike", "after_resets"),
    ("theta -= theta*dt/tau_theta", "step", "before_groups"),
)
#: In one step theta changes by less than single precision resolves.
DOUBLE = ("theta",)
#: It adapts over many samples.
SLOW = ("theta",)
DRIVE = "g_e", 3.0
START, STEP = {"v": -60 * mV, "g_e": 1.0, "g_i": 0.5}, 0.2 * ms
REFERENCE = (
    "Diehl & Cook 2015, Front. Comput. Neurosci. 9:99, sec. 2.1 and 2.4, "
    "doi:10.3389/fncom.2015.00099 (constants from the published code)"
)
