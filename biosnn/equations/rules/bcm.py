"""BCM-like rule on spikes: potentiation above a threshold of the rate that slides.

A postsynaptic spike adds ``eta*x*(y - theta)/rate_0``. ``x`` is the presynaptic trace, ``y``
the postsynaptic rate over ``tau_post`` before the spike, and ``theta = y_mean**2/rate_0``
follows its mean over ``tau_theta``, which begins at ``rate_0`` and which presentations do not
reset. With constant rates the mean change per second is
``eta*tau_pre*rate_pre*rate_post*(rate_post - theta)/rate_0``.

Notes
-----
Bienenstock, Cooper & Munro 1982, J. Neurosci. 2:32,
doi:10.1523/JNEUROSCI.02-01-00032.1982, with ``phi(c) = c*(c - theta)``.
"""

from brian2.units import Hz, ms, second

NAME = "BCM"
PARAMETERS = {
    "eta": (0.001, ">= 0", "learning rate"),
    "rate_0": (10 * Hz, "> 0", "rate that is its own threshold"),
    "tau_pre": (20 * ms, "> 0", "time constant of the presynaptic trace"),
    "tau_post": (100 * ms, "> 0", "time constant of the postsynaptic rate"),
    "tau_theta": (10 * second, "> 0", "time constant of the mean rate"),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
}
SCHEDULED = ("eta",)
STATEMENTS = (
    {
        "side": "post",
        "code": "w = clip(w + eta*x_pre*(y_post/rate_0 - (y_mean_post/rate_0)**2), w_min, w_max)",
        "order": 1,
    },
)
PRE_TRACES = ({"name": "x", "tau": "tau_pre"},)
POST_COMPANION = {
    "equations": "dy/dt = -y/tau_y : Hz\ny_mean : Hz",
    "operations": (
        {"code": "y += 1/tau_y", "on": "spike", "when": "after_synapses"},
        {
            "code": "y_mean += (y - y_mean)*dt/tau_y_mean",
            "when": "before_groups",
            "plastic": True,
        },
    ),
    "parameters": {"tau_y": "tau_post", "tau_y_mean": "tau_theta"},
    "initial": {"y_mean": "rate_0"},
    "slow": ("y_mean",),
}
REFERENCE = "Bienenstock, Cooper & Munro 1982, doi:10.1523/JNEUROSCI.02-01-00032.1982"
