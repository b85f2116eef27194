"""STDP modulated by reward (MSTDP): ``dw/dt = gamma*r(t)*zeta(t)``.

``zeta`` is what additive pair STDP over all pairs would do: ``A_plus*x`` at a postsynaptic
spike and ``-A_minus*y`` at a presynaptic one, with the traces ``x`` and ``y`` of either side.
A pair that no reward accompanies changes nothing. All work is done at spikes.

Notes
-----
Florian 2007, Neural Comput. 19:1468, sec. 3, eqs. 3.6 to 3.12,
doi:10.1162/neco.2007.19.6.1468; ``A_minus`` is the paper's ``-A_-``, and ``x`` and ``y`` are
its ``P+/A_+`` and ``P-/A_-``. As in its discrete form both traces hold the spikes of the
present step, so that a pair at dt = 0 counts on both sides. The paper pairs ``zeta(t)`` with
``r(t + dt)``, the answer to the spikes at ``t``; here that answer is what the modulator holds
in the step of the spikes. A reward that is streamed per frame therefore acts on the spikes
of its own frame.
"""

from brian2.units import ms

NAME = "MSTDP"
MODULATOR = ("reward", "the reward ``r``")
PARAMETERS = {
    "gamma": (0.1, ">= 0", "learning rate, in units of the weight"),
    "tau_plus": (20 * ms, "> 0", "time constant of potentiation"),
    "tau_minus": (20 * ms, "> 0", "time constant of depression"),
    "A_plus": (1.0, ">= 0", "amplitude of potentiation"),
    "A_minus": (1.0, ">= 0", "amplitude of depression"),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
}
SCHEDULED = ("gamma", "A_plus", "A_minus")
STATEMENTS = (
    {"side": "pre", "code": "w = clip(w - gamma*reward_post*A_minus*y_post, w_min, w_max)"},
    {
        "side": "post",
        "code": "w = clip(w + gamma*reward_post*A_plus*x_pre, w_min, w_max)",
        "order": 1,
    },
)
PRE_TRACES = ({"name": "x", "tau": "tau_plus"},)
POST_TRACES = ({"name": "y", "tau": "tau_minus"},)
REFERENCE = "Florian 2007, eqs. 3.6 to 3.12, doi:10.1162/neco.2007.19.6.1468"
