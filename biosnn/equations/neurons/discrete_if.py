"""Integrate-and-fire neuron in discrete steps, as SpikingJelly's ``IFNode``.

A time step adds the input to the potential, fires in the same step and resets. ``I`` is an input
that is held; ``I_syn`` sums what synapses send (``transmit="I_syn_post += w"``) for the next step,
so that no reset wipes it. The arithmetic has the order of the library's.
"""

NAME = "DiscreteIF"
EQUATIONS = """
v : 1
I : 1
I_syn : 1
"""
UPDATES = (("v = v + (I + I_syn)\nI_syn = 0", "after_groups"),)
THRESHOLD = "v >= V_th"
RESET = "v = V_r"
SOFT_RESET = "V_th"
METHOD = "exact"
PARAMETERS = {
    "V_th": (1.0, "finite", "firing threshold"),
    "V_r": (0.0, "finite", "reset potential, where it begins"),
}
INITIAL = {"v": "V_r", "I": 0.0, "I_syn": 0.0}
TRANSIENT = ("v", "I_syn")
DRIVE = "I", 0.3
REFERENCE = "Fang et al. 2023, Sci. Adv. 9:eadi1480 (SpikingJelly), doi:10.1126/sciadv.adi1480"
