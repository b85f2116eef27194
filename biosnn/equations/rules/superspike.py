"""SuperSpike: a voltage-based rule that makes a neuron fire at desired times.

``dw/dt = eta*L*eligibility/tau_m``. The eligibility is ``psi*x``, filtered with a double
exponential; ``x`` is what presynaptic spikes of weight 1 do to the potential, and
``psi = (1 + abs(v - V_th)/width)**-2`` the derivative of a fast sigmoid. With the learning
signal ``L`` of :func:`spike_error` and the same two time constants, weights descend the
squared distance of the filtered spike trains, own and desired ones.

With ``rmaxprop`` every synapse has a learning rate of its own, ``eta`` divided by the square root
of its ``gradient_max``, a running maximum of the squared gradient that falls by this factor with
every presentation.

Notes
-----
Zenke & Ganguli 2018, Neural Comput. 30:1514, doi:10.1162/neco_a_01086, the rule for output
units, and RMaxProp. Default time constants and ``width`` are the paper's; weights are plain
numbers and filters have unit area, so that ``eta`` is in other units. ``psi`` is taken
before the threshold is tested, in its default slot.
"""

from brian2.units import ms, mV

from biosnn.equations.rules import delta_rule as base

NAME = "SuperSpike"
PARAMETERS = {
    "eta": base.PARAMETERS["eta"],
    "tau_m": (10 * ms, *base.PARAMETERS["tau_m"][1:]),
    "tau_syn": (5 * ms, *base.PARAMETERS["tau_syn"][1:]),
    "tau_rise": (5 * ms, "> 0", "time constant of the eligibility's rise, unlike ``tau_decay``"),
    "tau_decay": (10 * ms, "> 0", "time constant of the eligibility's decay"),
    "distance": (
        "v - V_th",
        "",
        "what the threshold condition compares with zero, a Brian2 expression in variables and "
        "parameters of the postsynaptic neuron",
    ),
    "width": (
        1 * mV,
        "",
        "distance at which the surrogate derivative is a quarter, > 0, in the unit of ``distance``",
    ),
    "signal": base.PARAMETERS["signal"],
    "update": base.PARAMETERS["update"],
    "w_min": base.PARAMETERS["w_min"],
    "w_max": base.PARAMETERS["w_max"],
    "rmaxprop": (None, "in (0, 1]", 'with ``update="presentation"``: see above', 1.0),
}
SCHEDULED = base.SCHEDULED
PSI = "(1 + abs({distance})/width_psi)**(-2)"
#: Parameters of the postsynaptic factor ``psi``.
OF_PSI = {"width_psi": "width"}
ELIGIBILITY = "eligibility_rise += psi_post*x_pre*(dt/tau_rise)"
EQUATIONS = """
deligibility/dt = (eligibility_rise - eligibility)/tau_decay : 1 (clock-driven)
deligibility_rise/dt = -eligibility_rise/tau_rise : 1 (clock-driven)
""".strip()
FACTOR = "eligibility"
#: The change over a presentation in units of its own largest value so far.
RMAXPROP = """
gradient_max = clip(gradient**2, rmaxprop*gradient_max, 1e30)
w = clip(w + eta*gradient/sqrt(gradient_max + 1e-30), w_min, w_max)
gradient = 0
""".strip()
LARGEST = "gradient_max : 1"
REFERENCE = "Zenke & Ganguli 2018, doi:10.1162/neco_a_01086"
