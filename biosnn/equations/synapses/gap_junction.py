"""Gap junction: an ohmic conductance between two cells.

A projection couples one way, from ``pre`` to ``post``; a symmetric one has both pairs.
"""

from brian2.units import nS

NAME = "GapJunction"
EQUATIONS = "I : amp"
CURRENT = "I"
TRANSMIT = ""
SYNAPTIC = "I_post = w*g_max*(v_pre - v_post) : amp (summed)"
PARAMETERS = {"g_max": (1 * nS, "> 0", "conductance of the junction at weight 1")}
STRENGTH = "g_max"
REFERENCE = "Bennett 1966, Ann. N. Y. Acad. Sci. 137:509, doi:10.1111/j.1749-6632.1966.tb50178.x"
