"""LIF neuron in discrete steps whose leak is trained, as SpikingJelly's ``ParametricLIFNode``.

The leak of a step, 1 over the time constant in steps, is the logistic function of ``a``, which
gradients change: ``SpikingLayer(..., train="a")``. All else is as in ``discrete_lif``.
"""

NAME = "DiscretePLIF"
EQUATIONS = """
v : 1
I : 1
I_syn : 1
"""
UPDATES = (
    (
        "k = 1/(1 + exp(-a))\nu = v - V_r\ndu = I + I_syn - u\nv = v + du*k\nI_syn = 0",
        "after_groups",
    ),
)
THRESHOLD = "v >= V_th"
RESET = "v = V_r"
SOFT_RESET = "V_th"
METHOD = "exact"
OPTIONS = {"decay_input": ((True, False), "whether the input is multiplied by the leak, too")}
VARIANTS = {
    (False,): {
        "UPDATES": (
            (
                "k = 1/(1 + exp(-a))\nu = v - V_r\nv = v - u*k\nv = v + (I + I_syn)\nI_syn = 0",
                "after_groups",
            ),
        )
    }
}
PARAMETERS = {
    "a": (0.0, "finite", "logit of the leak; ``-log(tau - 1)`` for a time constant"),
    "V_th": (1.0, "finite", "firing threshold"),
    "V_r": (0.0, "finite", "reset and resting potential"),
}
INITIAL = {"v": "V_r", "I": 0.0, "I_syn": 0.0}
TRANSIENT = ("v", "I_syn")
DRIVE = "I", 1.5
REFERENCE = (
    "Fang, Yu, Chen, Masquelier, Huang & Tian 2021, ICCV, eqs. 6 and 7, "
    "doi:10.1109/ICCV48922.2021.00266"
)
