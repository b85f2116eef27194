"""Perfect integrate-and-fire neuron: a capacitor that sums its current, without leak.

Euler's method is exact here, because a current is held for a step.
"""

from brian2.units import amp, ms, mV, nA, pF

NAME = "IF"
EQUATIONS = """
dv/dt = I/C : volt (unless refractory)
I : amp
"""
THRESHOLD = "v > V_th"
RESET = "v = V_r"
SOFT_RESET = "V_th - V_r"
REFRACTORY = "t_ref"
METHOD = "euler"
PARAMETERS = {
    "C": (200 * pF, "> 0", "membrane capacitance"),
    "V_th": (-50 * mV, "finite", "firing threshold"),
    "V_r": (-65 * mV, "finite", "reset potential"),
    "t_ref": (0 * ms, ">= 0", "absolute refractory period"),
}
INITIAL = {"v": "V_r", "I": 0 * amp}
DRIVE = "I", 0.5 * nA
START, STEP = {"v": -60 * mV}, 0.8 * ms
REFERENCE = (
    "Lapicque 1907, J. Physiol. Pathol. Gen. 9:620, without its leak; history in "
    "Abbott 1999, Brain Res. Bull. 50:303, doi:10.1016/S0361-9230(99)00161-6"
)
