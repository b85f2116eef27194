"""Short-term depression and facilitation of all synapses that a neuron makes.

``x`` is the share of resources that is available and ``u`` the share of it that a spike uses. At
a spike ``u`` grows first; then ``r = u*x`` is transmitted and leaves ``x``.

It is given to a projection, ``Projection(short_term=tsodyks_markram(...))``, and lives on the
presynaptic neurons. Between spikes it is exact where these are integrated with ``exact`` or
``exponential_euler``. A delayed event transmits the share of the latest spike before its arrival,
which is its own where intervals are longer than the delay.
"""

from brian2.units import ms, second

NAME = "TsodyksMarkram"
EQUATIONS = """
dx/dt = (1 - x)/tau_rec : 1
du/dt = -u/tau_facil : 1
r : 1
"""
SPIKE = """
u += U*(1 - u)
r = u*x
x -= r
"""
#: The same where facilitation decays at once.
DEPRESSION_EQUATIONS = """
dx/dt = (1 - x)/tau_rec : 1
r : 1
"""
DEPRESSION_SPIKE = """
r = U*x
x -= r
"""
PARAMETERS = {
    "U": (0.5, "in (0, 1]", "share of the resources that the first spike uses"),
    "tau_rec": (800 * ms, "> 0", "time constant of the recovery from depression"),
    "tau_facil": (0 * second, ">= 0", "time constant of facilitation; 0 s for none"),
}
INITIAL = {"x": 1.0}
REFERENCE = (
    "Tsodyks, Pawelzik & Markram 1998, Neural Comput. 10:821, sec. 2, "
    "doi:10.1162/089976698300017502"
)
