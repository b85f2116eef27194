"""Hippocampal pyramidal cell after Traub & Miles, as the benchmark COBAHH has it.

``I`` is the current into the whole cell. With the constants of the benchmark there is no resting
state: without input the cell fires some 14 times per second, and about -50 pA silence it. Nothing
is reset: a spike is an upward crossing of ``V_th``, and counts once however long it lasts.
"""

from brian2.units import amp, cm, ms, msiemens, mV, nA, siemens, ufarad, um

NAME = "TraubMiles"
EQUATIONS = """
dv/dt = (I/area - g_Na*m**3*h*(v - E_Na) - g_K*n**4*(v - E_K) - g_L*(v - E_L))/C : volt
dm/dt = alpha_m*(1 - m) - beta_m*m : 1
dh/dt = alpha_h*(1 - h) - beta_h*h : 1
dn/dt = alpha_n*(1 - n) - beta_n*n : 1
alpha_m = 1.28/exprel((V_T + 13*mV - v)/(4*mV))/ms : Hz
beta_m = 1.4/exprel((v - V_T - 40*mV)/(5*mV))/ms : Hz
alpha_h = 0.128*exp((V_T + 17*mV - v)/(18*mV))/ms : Hz
beta_h = 4/(1 + exp((V_T + 40*mV - v)/(5*mV)))/ms : Hz
alpha_n = 0.16/exprel((V_T + 15*mV - v)/(5*mV))/ms : Hz
beta_n = 0.5*exp((V_T + 10*mV - v)/(40*mV))/ms : Hz
I : amp
"""
THRESHOLD = "v > V_th"
RESET = None
REFRACTORY = "v > V_th"
METHOD = "exponential_euler"
PARAMETERS = {
    "C": (1 * ufarad / cm**2, "> 0", "membrane capacitance per area"),
    "area": (20000 * um**2, "> 0", "area of the membrane"),
    "g_Na": (100 * msiemens / cm**2, ">= 0", "largest sodium conductance per area"),
    "g_K": (30 * msiemens / cm**2, ">= 0", "largest potassium conductance per area"),
    "g_L": (5e-5 * siemens / cm**2, ">= 0", "leak conductance per area"),
    "E_Na": (50 * mV, "finite", "sodium reversal potential"),
    "E_K": (-90 * mV, "finite", "potassium reversal potential"),
    "E_L": (-60 * mV, "finite", "leak reversal potential"),
    "V_T": (-63 * mV, "finite", "shift of the rates, which sets the threshold"),
    "V_th": (-20 * mV, "finite", "potential whose upward crossing is a spike"),
}
#: The gates' steady state at ``E_L``.
INITIAL = {"v": "E_L", "m": 0.0268633, "h": 0.9913058, "n": 0.0604340, "I": 0 * amp}
DRIVE = "I", 0.5 * nA
SILENCE = -0.05 * nA
START, STEP = {"v": -75 * mV}, 0.05 * ms
REFERENCE = (
    "Brette et al. 2007, J. Comput. Neurosci. 23:349, app. B (COBAHH), "
    "doi:10.1007/s10827-007-0038-6; after Traub & Miles 1991, Neuronal Networks of the "
    "Hippocampus, doi:10.1017/CBO9780511895401"
)
