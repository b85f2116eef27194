"""Voltage-based STDP: the postsynaptic potential decides, instead of its spikes.

A presynaptic spike subtracts ``A_LTD*[u_minus - theta_minus]``. While the postsynaptic
potential ``v`` is above ``theta_plus``, weights grow in every time step by
``A_LTP*x*[v - theta_plus]*[u_plus - theta_minus]*dt/tau_x``. ``u_minus`` and ``u_plus`` are
low-pass filtered potentials that begin at ``u_rest``, ``x`` counts presynaptic spikes before the
present step, and square brackets are zero where their content is negative. Only neurons that are
depolarised so far pay for potentiation.

With ``u_ref`` depression is homeostatic: ``A_LTD`` is multiplied by ``(u_bar/u_ref)**2``, where
``u_bar`` is the mean depolarisation ``v - u_rest`` over ``tau_bar``, which presentations do not
reset.

The postsynaptic model needs a potential ``v`` in volt that has the course of a spike. One
that is only reset at its threshold does not reach ``theta_plus``.

Notes
-----
Clopath, Buesing, Vasilaki & Gerstner 2010, Nat. Neurosci. 13:344, doi:10.1038/nn.2479;
default values: visual cortex, Table 1b, and the authors' code (ModelDB 144566), which, with a step
of 1 ms and spikes that last for 2 ms, reads the filtered potentials 3 steps late.
"""

from brian2.units import ms, mV, second, volt

NAME = "VoltageSTDP"
PARAMETERS = {
    "A_LTD": (14e-5 / mV, ">= 0", "amplitude of depression, in 1/V"),
    "A_LTP": (8e-5 / mV**2, ">= 0", "amplitude of potentiation, in 1/V**2"),
    "tau_minus": (10 * ms, "> 0", "time constant of ``u_minus``"),
    "tau_plus": (7 * ms, "> 0", "time constant of ``u_plus``"),
    "tau_x": (15 * ms, "> 0", "time constant of the presynaptic trace"),
    "theta_minus": (-70.6 * mV, "finite", "threshold of the filtered potentials"),
    "theta_plus": (-45.3 * mV, "finite", "threshold of the present potential"),
    "u_rest": (-70.6 * mV, "finite", "potential at which filters begin"),
    "tau_bar": (1 * second, "> 0", "time constant of the mean depolarisation"),
    "lag": (0, "whole", "time steps by which the filtered potentials are read late"),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
    "u_ref": (None, "> 0", "depolarisation at which homeostasis leaves ``A_LTD`` alone", volt),
}
#: ``{minus}`` and ``{plus}`` are the filtered potentials, late or not; ``{A}`` is the amplitude.
STATEMENTS = (
    {
        "side": "pre",
        "code": "w = clip(w - {A}*({minus}_post - theta_minus)"
        "*int({minus}_post > theta_minus), w_min, w_max)",
    },
    {
        "side": "post",
        "event": "depolarised",
        "code": "w = clip(w + A_LTP*x_pre*(v_post - theta_plus)"
        "*({plus}_post - theta_minus)*dt/tau_x, w_min, w_max)",
        "order": 1,
    },
)
DEPOLARISED = "v > theta_u_plus and {plus} > theta_u_minus"
HOMEOSTATIC = "A_LTD*(u_bar_post/u_ref)**2"
PRE_TRACES = ({"name": "x", "tau": "tau_x", "when": "after_synapses"},)
FILTERS = """
du_minus/dt = (v - u_minus)/tau_u_minus : volt
du_plus/dt = (v - u_plus)/tau_u_plus : volt
""".strip()
MEAN = "du_bar/dt = (v - u_rest - u_bar)/tau_u_bar : volt"
REFERENCE = "Clopath et al. 2010, doi:10.1038/nn.2479"
