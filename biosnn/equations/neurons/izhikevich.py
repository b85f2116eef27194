"""Izhikevich's simple model of a spiking neuron.

In the papers potentials are in mV, times in ms, and ``u`` and ``I`` are plain numbers; here these
are in mV/ms. ``SETS`` holds the cell types of 2003; the default is regular spiking (RS).
"""

from brian2.units import ms, mV, second, volt

NAME = "Izhikevich"
EQUATIONS = """
dv/dt = k_2*v**2 + k_1*v + k_0 - u + I : volt
du/dt = a*(b*v - u) : volt/second
I : volt/second
"""
THRESHOLD = "v >= V_peak"
RESET = "v = c; u += d"
METHOD = "semi_implicit_euler"
PARAMETERS = {
    "a": (0.02 / ms, "finite", "rate of recovery"),
    "b": (0.2 / ms, "finite", "coupling of recovery to the potential"),
    "c": (-65 * mV, "finite", "reset potential"),
    "d": (8 * mV / ms, "finite", "growth of recovery at each spike"),
    "k_2": (0.04 / (mV * ms), "> 0", "coefficient of the square of the potential"),
    "k_1": (5 / ms, "finite", "coefficient of the potential"),
    "k_0": (140 * mV / ms, "finite", "constant of the potential's equation"),
    "V_peak": (30 * mV, "finite", "potential at which a spike is cut off"),
}
INITIAL = {"v": -70 * mV, "u": -14 * mV / ms, "I": 0 * volt / second}
DRIVE = "I", 15 * mV / ms
START, STEP = {"v": -65 * mV}, 0.4 * ms
REFERENCE = (
    "Izhikevich 2003, IEEE Trans. Neural Netw. 14:1569, eqs. 1 to 3 and Fig. 2, "
    "doi:10.1109/TNN.2003.820440"
)

#: Cell type -> a, b, c, d (Izhikevich 2003, Fig. 2): regular spiking (the defaults), intrinsically
#: bursting, chattering, fast spiking, thalamo-cortical, resonator, low-threshold spiking.
SETS = {"RS": {}} | {
    name: {"a": a / ms, "b": b / ms, "c": c * mV, "d": d * mV / ms}
    for name, (a, b, c, d) in {
        "IB": (0.02, 0.2, -55, 4),
        "CH": (0.02, 0.2, -50, 2),
        "FS": (0.1, 0.2, -65, 2),
        "TC": (0.02, 0.25, -65, 0.05),
        "RZ": (0.1, 0.26, -65, 2),
        "LTS": (0.02, 0.25, -65, 2),
    }.items()
}
CHOICE = ("kind", "RS", "cell type of Izhikevich 2003, Fig. 2")
