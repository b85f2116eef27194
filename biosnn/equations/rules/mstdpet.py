"""Reward-modulated STDP with an eligibility trace (MSTDPET).

``dw/dt = gamma*r(t)*z/tau_z`` and ``dz/dt = -z/tau_z + zeta(t)``, with the ``zeta`` of
:func:`mstdp`: a reward acts on the pairs of about the last ``tau_z``. A pair that is followed
by a constant reward of 1 changes the weight by as much as under :func:`mstdp`.

With ``every`` weights change and eligibilities decay every so often, which visits the synapses
less. The reward of that moment then stands for the interval, and a pair counts as if it had
happened at the end of its own interval, an error of up to ``every/tau_z``. It must divide a
presentation.

Notes
-----
Florian 2007, Neural Comput. 19:1468, sec. 3, eqs. 3.6 to 3.12 and, for the discrete form,
2.7 and 2.8, doi:10.1162/neco.2007.19.6.1468. The synapse's ``z`` is the paper's times
``tau_z``, a plain number. With every step, ``z`` decays by the paper's
``beta = exp(-dt/tau_z)`` and then takes up ``zeta`` before the reward of that step acts on
it; time steps and signs are as in :func:`mstdp`.
"""

from brian2.units import ms

from biosnn.equations.rules import mstdp as base

NAME = "MSTDPET"
MODULATOR = base.MODULATOR
PARAMETERS = {
    "gamma": base.PARAMETERS["gamma"],
    "tau_z": (25 * ms, "> 0", "time constant of the eligibility trace"),
    **{name: base.PARAMETERS[name] for name in ("tau_plus", "tau_minus", "A_plus", "A_minus")},
    "every": (None, "> 0", "time between two changes; by default a time step", ms),
    **{name: base.PARAMETERS[name] for name in ("w_min", "w_max")},
}
SCHEDULED = base.SCHEDULED
EQUATIONS = "z : 1"
TRANSIENT = ("z",)
#: ``{interval}`` is a time step, or ``every``.
STATEMENTS = (
    {"side": "pre", "code": "z -= A_minus*y_post"},
    {"side": "post", "code": "z += A_plus*x_pre", "order": 1},
    {
        "side": "synapse",
        "event": "step",
        "code": "w = clip(w + gamma*({interval}/tau_z)*reward_post*z, w_min, w_max)\n"
        "z *= exp(-{interval}/tau_z)",
        "order": 2,
    },
)
PRE_TRACES, POST_TRACES = base.PRE_TRACES, base.POST_TRACES
REFERENCE = base.REFERENCE
