"""Hodgkin & Huxley's squid axon membrane, per area, in the modern sign convention.

The paper measures the potential from rest, with depolarisation negative; here the inside is
measured against the outside and rest is at ``V_0``. The rate constants divide by ``exprel``,
which is smooth where those of m and n read 0/0. Nothing is reset: a spike is an upward crossing
of ``V_th``, and counts once however long it lasts.
"""

from brian2.units import amp, cm, meter, ms, msiemens, mV, uA, ufarad

NAME = "HodgkinHuxley"
EQUATIONS = """
dv/dt = (I - g_Na*m**3*h*(v - E_Na) - g_K*n**4*(v - E_K) - g_L*(v - E_L))/C : volt
dm/dt = phi*(alpha_m*(1 - m) - beta_m*m) : 1
dh/dt = phi*(alpha_h*(1 - h) - beta_h*h) : 1
dn/dt = phi*(alpha_n*(1 - n) - beta_n*n) : 1
phi = 3**((T_C - 6.3)/10) : 1
alpha_m = 1/exprel((V_0 + 25*mV - v)/(10*mV))/ms : Hz
beta_m = 4*exp((V_0 - v)/(18*mV))/ms : Hz
alpha_h = 0.07*exp((V_0 - v)/(20*mV))/ms : Hz
beta_h = 1/(exp((V_0 + 30*mV - v)/(10*mV)) + 1)/ms : Hz
alpha_n = 0.1/exprel((V_0 + 10*mV - v)/(10*mV))/ms : Hz
beta_n = 0.125*exp((V_0 - v)/(80*mV))/ms : Hz
I : amp/meter**2
"""
THRESHOLD = "v > V_th"
RESET = None
REFRACTORY = "v > V_th"
METHOD = "exponential_euler"
PARAMETERS = {
    "C": (1 * ufarad / cm**2, "> 0", "membrane capacitance per area"),
    "g_Na": (120 * msiemens / cm**2, ">= 0", "largest sodium conductance per area"),
    "g_K": (36 * msiemens / cm**2, ">= 0", "largest potassium conductance per area"),
    "g_L": (0.3 * msiemens / cm**2, ">= 0", "leak conductance per area"),
    "E_Na": (50 * mV, "finite", "sodium reversal potential"),
    "E_K": (-77 * mV, "finite", "potassium reversal potential"),
    "E_L": (-54.387 * mV, "finite", "leak reversal potential, for which V_0 is at rest"),
    "V_0": (-65 * mV, "finite", "resting potential, from which the rates are measured"),
    "T_C": (6.3, "finite", "temperature in degrees Celsius"),
    "V_th": (-20 * mV, "finite", "potential whose upward crossing is a spike"),
}
#: The steady state at ``V_0``.
INITIAL = {
    "v": "V_0",
    "m": 0.052932485,
    "h": 0.596120754,
    "n": 0.317676914,
    "I": 0 * amp / meter**2,
}
DRIVE = "I", 10 * uA / cm**2
START, STEP = {"v": -62 * mV}, 0.1 * ms
REFERENCE = (
    "Hodgkin & Huxley 1952, J. Physiol. 117:500, eq. 26 with 7, 12, 13, 15, 16, 20, 21, 23, 24 "
    "and Table 3, doi:10.1113/jphysiol.1952.sp004764"
)
