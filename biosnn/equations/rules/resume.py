"""Remote supervised rule, a delta rule on spikes: ``dw = eta*x_pre*(S_target - S_post)``.

The postsynaptic neuron needs an event ``teach`` (its desired spikes). Each desired spike
adds ``eta*x_pre``, each spike that the neuron really fires subtracts it, so learning stops
where they coincide.

Notes
-----
ReSuMe: Ponulak & Kasinski 2010, Neural Comput. 22:467, eq. 2.8 without the constant term,
doi:10.1162/neco.2009.11-08-901.
"""

from brian2.units import ms

NAME = "ReSuMe"
PARAMETERS = {
    "eta": (0.01, ">= 0", "learning rate"),
    "tau_pre": (20 * ms, "> 0", "time constant of the presynaptic trace"),
    "w_min": (-10.0, "finite", "least weight"),
    "w_max": (10.0, "finite", "largest weight"),
}
SCHEDULED = ("eta",)
STATEMENTS = (
    {
        "side": "post",
        "event": "teach",
        "code": "w = clip(w + eta*x_pre, w_min, w_max)",
        "order": 1,
    },
    {"side": "post", "code": "w = clip(w - eta*x_pre, w_min, w_max)", "order": 2},
)
PRE_TRACES = ({"name": "x", "tau": "tau_pre"},)
REFERENCE = "Ponulak & Kasinski 2010, doi:10.1162/neco.2009.11-08-901"
