"""Diehl & Cook's rule of the published code, which is like a triplet rule.

A presynaptic spike subtracts ``eta_pre*post1``, a postsynaptic one adds
``eta_post*pre*post2`` with ``post2`` as it was before this spike. All traces are set to 1.

Notes
-----
Form after Pfister & Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006; constants of the
code published with Diehl & Cook 2015, doi:10.3389/fncom.2015.00099.
"""

from brian2.units import ms

NAME = "DiehlCookTriplet"
PARAMETERS = {
    "tau_pre": (20 * ms, "> 0", "time constant of the presynaptic trace"),
    "tau_post_1": (20 * ms, "> 0", "time constant of ``post1``"),
    "tau_post_2": (40 * ms, "> 0", "time constant of ``post2``"),
    "eta_pre": (0.0001, ">= 0", "learning rate of depression"),
    "eta_post": (0.01, ">= 0", "learning rate of potentiation"),
    "w_max": (1.0, "> 0", "largest weight"),
}
SCHEDULED = ("eta_pre", "eta_post")
STATEMENTS = (
    {"side": "pre", "code": "w = clip(w - eta_pre*post1_post, 0, w_max)"},
    {"side": "post", "code": "w = clip(w + eta_post*x_pre*post2_post, 0, w_max)", "order": 1},
)
PRE_TRACES = ({"name": "x", "tau": "tau_pre", "bump": "= 1"},)
POST_TRACES = (
    {"name": "post1", "tau": "tau_post_1", "bump": "= 1", "when": "after_synapses"},
    {"name": "post2", "tau": "tau_post_2", "bump": "= 1", "when": "after_synapses"},
)
REFERENCE = "code published with Diehl & Cook 2015, doi:10.3389/fncom.2015.00099"
