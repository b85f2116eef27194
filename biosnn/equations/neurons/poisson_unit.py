"""Linear Poisson unit: fires at random, at a rate that follows its input without reset.

The rate is ``nu_0 + gain*v``, none where that is negative, and ``v`` is the low-pass filtered
input. A step holds one spike at most: with the rate ``r``, its probability is ``1 - exp(-r*dt)``.
In a network the draws follow its seed; in a plain group they are Brian2's.
"""

from brian2.units import Hz, ms

NAME = "PoissonUnit"
EQUATIONS = """
dv/dt = (I - v)/tau_m : 1
I : 1
"""
THRESHOLD = "rand() < 1 - exp(-(nu_0 + gain*v)*dt)"
RESET = None
METHOD = "exact"
PARAMETERS = {
    "tau_m": (10 * ms, "> 0", "time constant of the response to input"),
    "nu_0": (0 * Hz, ">= 0", "rate without input"),
    "gain": (1 * Hz, "> 0", "rate per input"),
}
INITIAL = {"v": 0.0, "I": 0.0}
DRIVE = "I", 500.0
START, STEP = {"v": 1.0}, 0.8 * ms
REFERENCE = (
    "Kempter, Gerstner & van Hemmen 1999, Phys. Rev. E 59:4498, sec. II (linear Poisson neuron), "
    "doi:10.1103/PhysRevE.59.4498"
)
