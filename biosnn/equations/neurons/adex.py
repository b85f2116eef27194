"""Adaptive exponential integrate-and-fire neuron (AdEx).

Without a pattern the parameters are those of Brette & Gerstner 2005; ``SETS`` holds those of the
eight firing patterns of Naud et al. 2008, each with the current that evokes it.
``w_adapt`` is the papers' ``w``, a name that the weights of synapses have here.
"""

from brian2.units import amp, ms, mV, nA, nS, pA, pF

NAME = "AdEx"
EQUATIONS = """
dv/dt = (I_L + I_spike - w_adapt + I)/C : volt (unless refractory)
I_L = g_L*(E_L - v) : amp
I_spike = g_L*Delta_T*exp((v - V_T)/Delta_T) : amp
dw_adapt/dt = (a*(v - E_L) - w_adapt)/tau_w : amp
I : amp
"""
THRESHOLD = "v > V_peak"
RESET = "v = V_r; w_adapt += b"
REFRACTORY = "t_ref"
METHOD = "euler"
PARAMETERS = {
    "C": (281 * pF, "> 0", "membrane capacitance"),
    "g_L": (30 * nS, "> 0", "leak conductance"),
    "E_L": (-70.6 * mV, "finite", "leak reversal potential"),
    "V_T": (-50.4 * mV, "finite", "threshold of the exponential"),
    "Delta_T": (2 * mV, "> 0", "slope factor: sharpness of spike onset"),
    "a": (4 * nS, "finite", "coupling of adaptation to the potential"),
    "tau_w": (144 * ms, "> 0", "time constant of adaptation"),
    "b": (80.5 * pA, "finite", "growth of adaptation at each spike"),
    "V_r": (-70.6 * mV, "finite", "reset potential"),
    "V_peak": (20 * mV, "finite", "potential at which a spike is cut off"),
    "t_ref": (0 * ms, ">= 0", "absolute refractory period"),
}
INITIAL = {"v": "E_L", "w_adapt": 0 * amp, "I": 0 * amp}
DRIVE = "I", 1.5 * nA
START, STEP = {"v": -60 * mV, "w_adapt": 0.05 * nA}, 0.4 * ms
REFERENCE = (
    "Brette & Gerstner 2005, J. Neurophysiol. 94:3637, eqs. 2 and 3, doi:10.1152/jn.00686.2005; "
    "patterns: Naud, Marcille, Clopath & Gerstner 2008, Biol. Cybern. 99:335, Table 1, "
    "doi:10.1007/s00422-008-0264-7"
)

_COLUMNS = ("C", "g_L", "E_L", "V_T", "Delta_T", "a", "tau_w", "b", "V_r", "I")
_UNITS = (pF, nS, mV, mV, mV, nS, ms, pA, mV, pA)
_TABLE = {
    "tonic spiking": (200, 10, -70, -50, 2, 2, 30, 0, -58, 500),
    "adaptation": (200, 12, -70, -50, 2, 2, 300, 60, -58, 500),
    "initial burst": (130, 18, -58, -50, 2, 4, 150, 120, -50, 400),
    "regular bursting": (200, 10, -58, -50, 2, 2, 120, 100, -46, 210),
    "delayed accelerating": (200, 12, -70, -50, 2, -10, 300, 0, -58, 300),
    "delayed regular bursting": (100, 10, -65, -50, 2, -10, 90, 30, -47, 110),
    "transient spiking": (100, 10, -65, -50, 2, 10, 90, 100, -47, 180),
    "irregular spiking": (100, 12, -60, -50, 2, -11, 130, 30, -48, 160),
}
#: Pattern -> parameters, and the step of current ``I`` that evokes it (Naud et al. 2008, Table 1).
SETS = {
    pattern: {
        name: value * unit for name, value, unit in zip(_COLUMNS, values, _UNITS, strict=True)
    }
    for pattern, values in _TABLE.items()
}
CHOICE = ("pattern", None, "one of the firing patterns of Naud et al. 2008, Table 1")
