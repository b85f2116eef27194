"""LIF neuron with escape noise: it fires at random, the more likely the higher its potential.

Its hazard is ``rho_0*exp((v - V_th)/Delta_u)``. A small ``Delta_u`` makes the threshold sharp.
A step holds one spike at most.
"""

from brian2.units import Hz, Mohm, amp, ms, mV, nA

NAME = "EscapeRate"
EQUATIONS = """
dv/dt = (E_L - v + R*I)/tau_m : volt (unless refractory)
I : amp
"""
THRESHOLD = "rand() < 1 - exp(-rho_0*exp((v - V_th)/Delta_u)*dt)"
RESET = "v = V_r"
SOFT_RESET = "V_th - E_L"
REFRACTORY = "t_ref"
METHOD = "exact"
PARAMETERS = {
    "tau_m": (10 * ms, "> 0", "membrane time constant"),
    "E_L": (-65 * mV, "finite", "resting potential"),
    "V_th": (-50 * mV, "finite", "potential at which the hazard is rho_0"),
    "V_r": (-65 * mV, "finite", "reset potential"),
    "t_ref": (0 * ms, ">= 0", "absolute refractory period"),
    "R": (1 * Mohm, "> 0", "membrane resistance"),
    "rho_0": (1000 * Hz, "> 0", "hazard at threshold"),
    "Delta_u": (1 * mV, "> 0", "width of the noisy threshold"),
}
INITIAL = {"v": "E_L", "I": 0 * amp}
DRIVE = "I", 20 * nA
START, STEP = {"v": -60 * mV}, 0.8 * ms
REFERENCE = (
    "Gerstner & Kistler 2002, Spiking Neuron Models, sec. 5.3, doi:10.1017/CBO9780511815706; "
    "Gerstner, Kistler, Naud & Paninski 2014, Neuronal Dynamics, eqs. 9.4 and 9.8, "
    "doi:10.1017/CBO9781107447615"
)
