"""LIF neuron with a synaptic current in discrete steps, as snnTorch's ``Synaptic``.

A step multiplies the current ``syn`` by ``alpha`` and adds the input, then multiplies the
potential by ``beta``, adds the current and fires. What is above the threshold
is reset in the next step only, or at once with ``reset_delay=False``. ``I`` is an input that is
held; ``I_syn`` sums what synapses send (``transmit="I_syn_post += w"``) for the next step, so
that no reset wipes it. ``late`` is 1 where a step began above the threshold; no gradient goes
through it. The arithmetic has the order of the library's.
"""

NAME = "DiscreteSynaptic"
EQUATIONS = """
v : 1
syn : 1
I : 1
I_syn : 1
late : integer
"""
_BEGIN = "late = int(v > V_th)\n"
_ADDED = "syn = alpha*syn\nsyn = syn + (I + I_syn)\nI_syn = 0\nv = beta*v\nv = v + syn\n"
_SUBTRACT = (f"{_BEGIN}{_ADDED}v = v - late*V_th", "after_groups")
_ZERO = (f"{_BEGIN}{_ADDED}v = v - v*late", "after_groups")
_AT_ONCE = "now = fired - late\nfired = 0\n"
UPDATES = (_SUBTRACT,)
THRESHOLD = "v > V_th"
RESET = ""
METHOD = "exact"
OPTIONS = {
    "reset": (
        ("subtract", "zero"),
        "what a reset does: it subtracts ``V_th`` from ``v``, or sets it to 0",
    ),
    "reset_delay": ((True, False), "whether the reset comes one step after the spike"),
}
_FIRED = {"EQUATIONS": f"{EQUATIONS}fired : 1\n", "RESET": "fired = 1"}
VARIANTS = {
    ("zero", True): {"UPDATES": (_ZERO,)},
    ("subtract", False): {
        **_FIRED,
        "UPDATES": (_SUBTRACT, (f"{_AT_ONCE}v = v - now*V_th", "after_resets")),
    },
    ("zero", False): {
        **_FIRED,
        "UPDATES": (_ZERO, (f"{_AT_ONCE}v = v - now*v", "after_resets")),
    },
}
PARAMETERS = {
    "alpha": (0.8, "in [0, 1]", "what a step leaves of the synaptic current"),
    "beta": (0.9, "in [0, 1]", "what a step leaves of the potential"),
    "V_th": (1.0, "finite", "firing threshold"),
}
INITIAL = {"v": 0.0, "syn": 0.0, "I": 0.0, "I_syn": 0.0}
TRANSIENT = ("v", "syn", "I_syn")
DRIVE = "I", 0.3
REFERENCE = "Eshraghian et al. 2023, Proc. IEEE 111:1016 (snnTorch), doi:10.1109/JPROC.2023.3308088"
