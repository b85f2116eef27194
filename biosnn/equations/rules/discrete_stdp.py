"""STDP in discrete steps: traces ``tr <- tr - tr/tau + s``, then one change of the weight.

In every step both traces are updated with the spikes ``s`` of the step, and then
``w <- clip(w + eta*(f_post(w)*tr_pre*s_post - f_pre(w)*tr_post*s_pre), w_min, w_max)``,
where both terms use the weight as it was. There a neuron fires in the step in which its
input arrives: give the postsynaptic model ``spike_when="after_synapses"`` for that.

Notes
-----
The traces are no differential equations, so ``Presentation(reset="all")`` leaves them; name
them in its ``reset={...}`` to begin every sample anew. The convention is that of
``spikingjelly.activation_based.learning.STDPLearner`` in single
steps with a plain gradient step of rate ``eta``: Fang et al. 2023, Sci. Adv. 9:eadi1480,
doi:10.1126/sciadv.adi1480.
"""

NAME = "DiscreteSTDP"
PARAMETERS = {
    "tau_pre": (2.0, "", "time constant of the presynaptic trace in time steps, >= 1"),
    "tau_post": (2.0, "", "time constant of the postsynaptic trace in time steps, >= 1"),
    "eta": (0.01, ">= 0", "learning rate"),
    "f_pre": ("w", "", "Brian2 expression of ``w`` that scales depression"),
    "f_post": ("w", "", "Brian2 expression of ``w`` that scales potentiation"),
    "w_min": (-1.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
}
SCHEDULED = ("eta",)
#: A postsynaptic spike in the same step does the work of both.
STATEMENTS = (
    {
        "side": "pre",
        "code": "w = clip(w - (1 - y_now_post)*eta*({f_pre})*y_post, w_min, w_max)",
        "when": "before_resets",
    },
    {
        "side": "post",
        "code": "w = clip(w + eta*({f_post})*x_pre - x_now_pre*eta*({f_pre})*y_post, w_min, w_max)",
        "when": "before_resets",
        "order": 1,
    },
)
PRE_COMPANION = {
    "equations": "x : 1\nx_now : 1",
    "operations": (
        {"code": "x -= x/tau_x\nx_now = 0", "when": "before_groups"},
        {"code": "x += 1\nx_now = 1", "on": "spike", "when": "before_resets", "order": -1},
    ),
    "parameters": {"tau_x": "tau_pre"},
}
POST_COMPANION = {
    "equations": "y : 1\ny_now : 1",
    "operations": (
        {"code": "y -= y/tau_y\ny_now = 0", "when": "before_groups"},
        {"code": "y += 1\ny_now = 1", "on": "spike", "when": "before_resets", "order": -1},
    ),
    "parameters": {"tau_y": "tau_post"},
}
REFERENCE = "Fang et al. 2023, doi:10.1126/sciadv.adi1480"
