"""Leaky integrate-and-fire neuron with exponentially decaying synaptic current."""

from brian2.units import Mohm, amp, ms, mV, nA

NAME = "LIFExponential"
EQUATIONS = """
dv/dt = (E_L - v + R*(I + I_syn))/tau_m : volt (unless refractory)
dI_syn/dt = -I_syn/tau_syn : amp
I : amp
"""
THRESHOLD = "v > V_th"
RESET = "v = V_r"
SOFT_RESET = "V_th - E_L"
REFRACTORY = "t_ref"
METHOD = "exact"
PARAMETERS = {
    "tau_m": (10 * ms, "> 0", "membrane time constant"),
    "tau_syn": (5 * ms, "> 0", "synaptic time constant"),
    "E_L": (-65 * mV, "finite", "resting potential"),
    "V_th": (-50 * mV, "finite", "firing threshold"),
    "V_r": (-65 * mV, "finite", "reset potential"),
    "t_ref": (0 * ms, ">= 0", "absolute refractory period"),
    "R": (1 * Mohm, "> 0", "membrane resistance"),
}
INITIAL = {"v": "E_L", "I_syn": 0 * amp, "I": 0 * amp}
DRIVE = "I", 20 * nA
START, STEP = {"v": -60 * mV, "I_syn": 5 * nA}, 0.8 * ms
REFERENCE = (
    "Gerstner, Kistler, Naud & Paninski 2014, Neuronal Dynamics, eq. 1.5 and sec. 3.1, "
    "doi:10.1017/CBO9781107447615"
)
