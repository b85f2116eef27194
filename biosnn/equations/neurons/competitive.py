"""Competitive unit: leaky integrator with a homeostatic threshold, dimensionless.

The potential integrates an input ``I`` that is held for a whole sample, and increments from
spikes. A unit whose potential exceeds its own threshold ``theta`` is a candidate; how one wins
among the candidates is the network's business (``biosnn.networks.winner_take_all``).
"""

from brian2.units import ms

NAME = "Competitive"
EQUATIONS = """
dv/dt = -v/tau_m + I/ms : 1
I : 1
theta : 1
"""
THRESHOLD = "v > theta"
RESET = "v = 0"
METHOD = "exact"
PARAMETERS = {
    "tau_m": (1000 * ms, "> 0", "membrane time constant"),
    "theta_0": (500.0, "> 0", "initial threshold"),
}
#: It adapts over many samples.
SLOW = ("theta",)
INITIAL = {"v": 0.0, "I": 0.0, "theta": "theta_0"}
DRIVE = "I", 40.0
START, STEP = {"v": 5.0}, 0.8 * ms
REFERENCE = (
    "Rumelhart & Zipser 1985, Cogn. Sci. 9:75 (competitive learning), "
    "doi:10.1207/s15516709cog0901_5; homeostatic thresholds after "
    "Querlioz et al. 2013, IEEE Trans. Nanotechnol. 12:288, doi:10.1109/TNANO.2013.2250995"
)
