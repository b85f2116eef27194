"""Delta synapse: a spike lets the postsynaptic potential jump.

``J`` is in the unit of the neuron's ``v``. A refractory neuron whose potential is held misses it.
"""

from brian2.units import mV

NAME = "Delta"
EQUATIONS = ""
CURRENT = ""
TRANSMIT = "v_post += w*J"
PARAMETERS = {"J": (1 * mV, "finite", "jump of the potential at weight 1")}
STRENGTH = "J"
REFERENCE = "Brunel 2000, J. Comput. Neurosci. 8:183, eq. 2, doi:10.1023/A:1008925309027"
