"""Adaptive LIF neuron: every spike raises the threshold and adds to an adaptation current.

The threshold is ``V_th + theta``. The adaptation current ``w_adapt`` is off (``b`` = 0) by default,
so that the threshold alone adapts. ``theta_plus`` stands for ``beta*(1 - rho)`` of Bellec et al.;
the defaults are ours.
"""

from brian2.units import Mohm, amp, ms, mV, nA, pA

NAME = "AdaptiveLIF"
EQUATIONS = """
dv/dt = (E_L - v + R*(I - w_adapt))/tau_m : volt (unless refractory)
dw_adapt/dt = -w_adapt/tau_w : amp
dtheta/dt = -theta/tau_theta : volt
I : amp
"""
THRESHOLD = "v > V_th + theta"
RESET = "v = V_r; w_adapt += b; theta += theta_plus"
SOFT_RESET = "V_th + theta - E_L"
REFRACTORY = "t_ref"
METHOD = "exact"
PARAMETERS = {
    "tau_m": (20 * ms, "> 0", "membrane time constant"),
    "E_L": (-65 * mV, "finite", "resting potential"),
    "V_th": (-50 * mV, "finite", "threshold without adaptation"),
    "V_r": (-65 * mV, "finite", "reset potential"),
    "t_ref": (2 * ms, ">= 0", "absolute refractory period"),
    "R": (100 * Mohm, "> 0", "membrane resistance"),
    "theta_plus": (1.8 * mV, ">= 0", "growth of the threshold at each spike"),
    "tau_theta": (700 * ms, "> 0", "time constant of the threshold's decay"),
    "b": (0 * pA, ">= 0", "growth of the adaptation current at each spike"),
    "tau_w": (100 * ms, "> 0", "time constant of the adaptation current"),
}
INITIAL = {"v": "E_L", "w_adapt": 0 * amp, "theta": 0 * mV, "I": 0 * amp}
DRIVE = "I", 0.4 * nA
START, STEP = {"v": -60 * mV, "w_adapt": 0.05 * nA, "theta": 2 * mV}, 0.8 * ms
REFERENCE = (
    "Bellec, Salaj, Subramoney, Legenstein & Maass 2018, NeurIPS 31:787, eqs. 1 to 3 "
    "(threshold), doi:10.48550/arXiv.1803.09574; Gerstner, Kistler, Naud & Paninski 2014, "
    "Neuronal Dynamics, eqs. 6.1 and 6.2 with a = 0 (current), doi:10.1017/CBO9781107447615"
)
