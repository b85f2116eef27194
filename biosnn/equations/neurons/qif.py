"""Quadratic integrate-and-fire neuron: the normal form of a saddle-node onset of firing.

With the default ``a_0`` = 1/(V_c - E_L) small deviations from rest decay with ``tau_m``.
"""

from brian2.units import Mohm, amp, ms, mV, nA

NAME = "QIF"
EQUATIONS = """
dv/dt = (a_0*(v - E_L)*(v - V_c) + R*I)/tau_m : volt (unless refractory)
I : amp
"""
THRESHOLD = "v > V_peak"
RESET = "v = V_r"
REFRACTORY = "t_ref"
METHOD = "rk4"
PARAMETERS = {
    "tau_m": (10 * ms, "> 0", "membrane time constant"),
    "a_0": (1 / (15 * mV), "> 0", "curvature of the current"),
    "E_L": (-65 * mV, "finite", "resting potential"),
    "V_c": (-50 * mV, "finite", "critical potential, from where a spike follows"),
    "V_peak": (0 * mV, "finite", "potential at which a spike is cut off"),
    "V_r": (-65 * mV, "finite", "reset potential"),
    "t_ref": (0 * ms, ">= 0", "absolute refractory period"),
    "R": (1 * Mohm, "> 0", "membrane resistance"),
}
INITIAL = {"v": "E_L", "I": 0 * amp}
DRIVE = "I", 20 * nA
START, STEP = {"v": -58 * mV}, 0.4 * ms
REFERENCE = (
    "Gerstner, Kistler, Naud & Paninski 2014, Neuronal Dynamics, eq. 5.16, "
    "doi:10.1017/CBO9781107447615; Latham et al. 2000, J. Neurophysiol. 83:808, "
    "doi:10.1152/jn.2000.83.2.808"
)
