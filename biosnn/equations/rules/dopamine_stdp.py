"""Dopamine-modulated STDP with eligibility: ``dw/dt = rate*c*d``.

A pair of spikes changes the eligibility ``c`` of its synapse by what pair STDP would do to the
weight, ``dc/dt = -c/tau_c + STDP``, and the extracellular concentration ``d`` of dopamine
turns eligibility into weight. :func:`dopamine` is a population that holds ``d``. ``every`` is as in
:func:`mstdpet`, with an error of up to ``every/tau_c``.

Notes
-----
Izhikevich 2007, Cereb. Cortex 17:2443, eqs. 1 to 3, doi:10.1093/cercor/bhl152. ``rate`` and
the amplitudes are those of the program published with the paper (``daspnet.m``), which changes
the weights every 10 ms. Pairs at dt = 0 potentiate (``biosnn.plasticity``).
"""

from brian2.units import Hz, ms

NAME = "DopamineSTDP"
MODULATOR = ("dopamine", "the concentration ``d``")
PARAMETERS = {
    "rate": (100 * Hz, ">= 0", "change of the weight per time, eligibility and concentration"),
    "tau_c": (1000 * ms, "> 0", "time constant of the eligibility"),
    "tau_plus": (20 * ms, "> 0", "time constant of potentiation"),
    "tau_minus": (20 * ms, "> 0", "time constant of depression"),
    "A_plus": (0.1, ">= 0", "amplitude of potentiation"),
    "A_minus": (0.15, ">= 0", "amplitude of depression"),
    "every": (None, "> 0", "time between two changes; by default a time step", ms),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (4.0, "finite", "largest weight"),
    "pairing": (
        "nearest",
        ("all", "nearest"),
        "all pairs, or each spike with the nearest earlier one of the other side",
    ),
}
SCHEDULED = ("A_plus", "A_minus")
EQUATIONS = "c : 1"
TRANSIENT = ("c",)
#: ``{interval}`` is a time step, or ``every``.
STATEMENTS = (
    {"side": "pre", "code": "c -= A_minus*y_post"},
    {"side": "post", "code": "c += A_plus*x_pre", "order": 1},
    {
        "side": "synapse",
        "event": "step",
        "code": "w = clip(w + rate*{interval}*dopamine_post*c, w_min, w_max)\n"
        "c *= exp(-{interval}/tau_c)",
        "order": 2,
    },
)
PRE_TRACES = ({"name": "x", "tau": "tau_plus"},)
POST_TRACES = ({"name": "y", "tau": "tau_minus", "when": "after_synapses"},)
REFERENCE = "Izhikevich 2007, eqs. 1 to 3, doi:10.1093/cercor/bhl152"
