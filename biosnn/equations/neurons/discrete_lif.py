"""Leaky integrate-and-fire neuron in discrete steps, as SpikingJelly's ``LIFNode``.

The time constant is a number of time steps. A step moves the potential towards its input and to
rest, which is ``V_r``, fires and resets. ``I`` is an input that is held; ``I_syn`` sums what
synapses send (``transmit="I_syn_post += w"``) for the next step, so that no reset wipes it. The
arithmetic has the order of the library's; the time constant is a variable ``tau_m`` because Brian2
multiplies by the inverse of a constant, which is rounded once more.
"""

NAME = "DiscreteLIF"
EQUATIONS = """
v : 1
I : 1
I_syn : 1
tau_m : 1 (constant)
"""
UPDATES = (("u = v - V_r\ndu = I + I_syn - u\nv = v + du/tau_m\nI_syn = 0", "after_groups"),)
THRESHOLD = "v >= V_th"
RESET = "v = V_r"
SOFT_RESET = "V_th"
METHOD = "exact"
OPTIONS = {"decay_input": ((True, False), "whether the input is divided by ``tau``, too")}
VARIANTS = {
    (False,): {
        "UPDATES": (
            ("u = v - V_r\nv = v - u/tau_m\nv = v + (I + I_syn)\nI_syn = 0", "after_groups"),
        )
    }
}
PARAMETERS = {
    "tau": (2.0, "> 1", "membrane time constant in time steps"),
    "V_th": (1.0, "finite", "firing threshold"),
    "V_r": (0.0, "finite", "reset and resting potential"),
}
INITIAL = {"v": "V_r", "I": 0.0, "I_syn": 0.0, "tau_m": "tau"}
TRANSIENT = ("v", "I_syn")
DRIVE = "I", 1.5
REFERENCE = "Fang et al. 2023, Sci. Adv. 9:eadi1480 (SpikingJelly), doi:10.1126/sciadv.adi1480"
