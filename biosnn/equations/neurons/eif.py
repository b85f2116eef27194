"""Exponential integrate-and-fire neuron, per area of membrane.

The defaults are those that its authors fitted to a conductance-based neuron.
"""

from brian2.units import amp, cm, meter, ms, msiemens, mV, uA, ufarad

NAME = "EIF"
EQUATIONS = """
dv/dt = (g_L*(E_L - v) + g_L*Delta_T*exp((v - V_T)/Delta_T) + I)/C : volt (unless refractory)
I : amp/meter**2
"""
THRESHOLD = "v > V_peak"
RESET = "v = V_r"
REFRACTORY = "t_ref"
METHOD = "euler"
PARAMETERS = {
    "C": (1 * ufarad / cm**2, "> 0", "membrane capacitance per area"),
    "g_L": (0.1 * msiemens / cm**2, "> 0", "leak conductance per area"),
    "E_L": (-65 * mV, "finite", "leak reversal potential"),
    "V_T": (-59.9 * mV, "finite", "threshold: where the current has its minimum"),
    "Delta_T": (3.48 * mV, "> 0", "slope factor: sharpness of spike onset"),
    "V_peak": (-30 * mV, "finite", "potential at which a spike is cut off"),
    "V_r": (-68 * mV, "finite", "reset potential"),
    "t_ref": (1.7 * ms, ">= 0", "absolute refractory period"),
}
INITIAL = {"v": "E_L", "I": 0 * amp / meter**2}
DRIVE = "I", 3 * uA / cm**2
START, STEP = {"v": -63 * mV}, 0.4 * ms
REFERENCE = (
    "Fourcaud-Trocmé, Hansel, van Vreeswijk & Brunel 2003, J. Neurosci. 23:11628, Table 1, "
    "doi:10.1523/JNEUROSCI.23-37-11628.2003"
)
