"""Pinsky & Rinzel's two-compartment CA3 pyramidal cell, per area.

The soma (``v``) spikes with sodium and potassium, the dendrite (``v_d``) with calcium, and both
play the bursts between them. The paper measures potentials from ``V_0``; here they are absolute.
``I`` enters the soma and ``I_d`` the dendrite. Nothing is reset: a spike is an upward crossing of
``V_th``, and counts once however long it lasts.
"""

from brian2.units import amp, cm, meter, ms, msiemens, mV, uA, ufarad

NAME = "PinskyRinzel"
EQUATIONS = """
dv/dt = (g_L*(E_L - v) - g_Na*m_inf**2*h*(v - E_Na) - g_KDR*n*(v - E_K)
         + g_c/p*(v_d - v) + I/p)/C : volt
dv_d/dt = (g_L*(E_L - v_d) - I_Ca - g_KAHP*q*(v_d - E_K) - g_KC*c*chi*(v_d - E_K)
           + g_c/(1 - p)*(v - v_d) + I_d/(1 - p))/C : volt
dh/dt = alpha_h*(1 - h) - beta_h*h : 1
dn/dt = alpha_n*(1 - n) - beta_n*n : 1
ds/dt = alpha_s*(1 - s) - beta_s*s : 1
dc/dt = alpha_c*(1 - c) - beta_c*c : 1
dq/dt = alpha_q*(1 - q) - beta_q*q : 1
dCa/dt = (-0.13*I_Ca*cm**2/uamp - 0.075*Ca)/ms : 1
I_Ca = g_Ca*s**2*(v_d - E_Ca) : amp/meter**2
chi = clip(Ca/250, 0, 1) : 1
m_inf = alpha_m/(alpha_m + beta_m) : 1
x = (v - V_0)/mV : 1
y = (v_d - V_0)/mV : 1
alpha_m = 1.28/exprel((13.1 - x)/4)/ms : Hz
beta_m = 1.4/exprel((x - 40.1)/5)/ms : Hz
alpha_h = 0.128*exp((17 - x)/18)/ms : Hz
beta_h = 4/(1 + exp((40 - x)/5))/ms : Hz
alpha_n = 0.08/exprel((35.1 - x)/5)/ms : Hz
beta_n = 0.25*exp(0.5 - 0.025*x)/ms : Hz
alpha_s = 1.6/(1 + exp(-0.072*(y - 65)))/ms : Hz
beta_s = 0.1/exprel((y - 51.1)/5)/ms : Hz
fall_c = 2*exp((6.5 - y)/27)/ms : Hz
rise_c = exp((y - 10)/11 - (y - 6.5)/27)/18.975/ms : Hz
alpha_c = int(y <= 50)*rise_c + int(y > 50)*fall_c : Hz
beta_c = int(y <= 50)*(fall_c - rise_c) : Hz
alpha_q = clip(0.00002*Ca, 0, 0.01)/ms : Hz
beta_q = 0.001/ms : Hz
I : amp/meter**2
I_d : amp/meter**2
"""
THRESHOLD = "v > V_th"
RESET = None
REFRACTORY = "v > V_th"
METHOD = "rk4"
PARAMETERS = {
    "C": (3 * ufarad / cm**2, "> 0", "membrane capacitance per area"),
    "p": (0.5, "in (0, 1)", "share of the soma in the area"),
    "g_c": (2.1 * msiemens / cm**2, ">= 0", "coupling conductance per area"),
    "g_L": (0.1 * msiemens / cm**2, ">= 0", "leak conductance per area"),
    "g_Na": (30 * msiemens / cm**2, ">= 0", "largest sodium conductance per area"),
    "g_KDR": (15 * msiemens / cm**2, ">= 0", "largest conductance of the delayed rectifier"),
    "g_Ca": (10 * msiemens / cm**2, ">= 0", "largest calcium conductance per area"),
    "g_KAHP": (
        0.8 * msiemens / cm**2,
        ">= 0",
        "largest conductance of the slow potassium",
    ),
    "g_KC": (15 * msiemens / cm**2, ">= 0", "largest conductance of calcium-gated potassium"),
    "E_L": (-60 * mV, "finite", "leak reversal potential"),
    "E_Na": (60 * mV, "finite", "sodium reversal potential"),
    "E_Ca": (80 * mV, "finite", "calcium reversal potential"),
    "E_K": (-75 * mV, "finite", "potassium reversal potential"),
    "V_0": (-60 * mV, "finite", "potential from which the rates are measured"),
    "V_th": (-30 * mV, "finite", "potential whose upward crossing is a spike"),
}
INITIAL = {
    "v": -64.6 * mV,
    "v_d": -64.5 * mV,
    "h": 0.999,
    "n": 0.001,
    "s": 0.009,
    "c": 0.007,
    "q": 0.01,
    "Ca": 0.2,
    "I": 0 * amp / meter**2,
    "I_d": 0 * amp / meter**2,
}
DRIVE = "I", 4 * uA / cm**2
START, STEP = {"v": -62 * mV}, 0.1 * ms
REFERENCE = (
    "Pinsky & Rinzel 1994, J. Comput. Neurosci. 1:39, eqs. 1 to 3 and appendix, "
    "doi:10.1007/BF00962717"
)
