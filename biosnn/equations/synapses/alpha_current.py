"""Current with the shape of an alpha function, ``t/tau_syn*exp(1 - t/tau_syn)``.

With ``exponential_euler`` the whole time course is too large by the factor ``(exp(h) - 1)/h``,
``h = dt/tau_syn``; ``with_synapses(..., method="rk4")`` has no such bias.
"""

from brian2.units import ms, nA

NAME = "AlphaCurrent"
EQUATIONS = """
dI/dt = (s - I)/tau_syn : amp
ds/dt = -s/tau_syn : amp
"""
CURRENT = "I"
TRANSMIT = "s_post += w*I_max*exp(1)"
PARAMETERS = {
    "tau_syn": (5 * ms, "> 0", "time from the spike to the peak"),
    "I_max": (1 * nA, "finite", "peak of the current at weight 1"),
}
STRENGTH = "I_max"
REFERENCE = "Rall 1967, J. Neurophysiol. 30:1138, doi:10.1152/jn.1967.30.5.1138"
