"""Pair STDP with hard bounds, additive by default.

A pair at ``s = t_post - t_pre`` changes the weight by ``A_plus*f_plus(w)*exp(-s/tau_plus)``
for ``s >= 0`` and by ``-A_minus*f_minus(w)*exp(s/tau_minus)`` for ``s < 0``. With
``u = (w - w_min)/(w_max - w_min)``, ``f_plus`` and ``f_minus`` are 1 and 1 (``"additive"``);
``1 - u`` and ``u`` (``"multiplicative"``); ``(1 - u)**mu`` and ``u**mu`` (``"power_law"``); or,
potentiation that grows with the weight, ``w_0**(1 - mu)*w**mu`` and ``w`` (``"morrison"``), which
needs no upper bound.

Notes
-----
Song, Miller & Abbott 2000, Nat. Neurosci. 3:919, doi:10.1038/78829; trace formulation:
Morrison, Diesmann & Gerstner 2008, Biol. Cybern. 98:459, doi:10.1007/s00422-008-0233-1.
Multiplicative: Rubin, Lee & Sompolinsky 2001, doi:10.1103/PhysRevLett.86.364; power law:
Guetig, Aharonov, Rotter & Sompolinsky 2003, doi:10.1523/JNEUROSCI.23-09-03697.2003;
exponents (0, 1): van Rossum, Bi & Turrigiano 2000,
doi:10.1523/JNEUROSCI.20-23-08812.2000; growing potentiation: Morrison, Aertsen & Diesmann
2007, doi:10.1162/neco.2007.19.6.1437.
"""

from brian2.units import ms

_ROOM_UP = "(clip(w_max - w, 0, w_max - w_min)/(w_max - w_min))"
_ROOM_DOWN = "(clip(w - w_min, 0, w_max - w_min)/(w_max - w_min))"
#: Dependence on the weight -> factors of potentiation and depression.
DEPENDENCE = {
    "additive": ("", ""),
    "multiplicative": (f"*{_ROOM_UP}", f"*{_ROOM_DOWN}"),
    "power_law": (f"*{_ROOM_UP}**mu_plus", f"*{_ROOM_DOWN}**mu_minus"),
    "morrison": ("*w_0**(1 - mu)*clip(w, 0, w_max)**mu", "*w"),
}
NAME = "PairSTDP"
PARAMETERS = {
    "tau_plus": (20 * ms, "> 0", "time constant of potentiation"),
    "tau_minus": (20 * ms, "> 0", "time constant of depression"),
    "A_plus": (0.01, ">= 0", "amplitude of potentiation"),
    "A_minus": (0.0105, ">= 0", "amplitude of depression"),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
    "pairing": (
        "all",
        ("all", "nearest"),
        "all pairs, or each spike with the nearest earlier one of the other side",
    ),
    "weight_dependence": ("additive", tuple(DEPENDENCE), "factors ``f_plus`` and ``f_minus``"),
    "mu": (
        0.4,
        "",
        'exponent in [0, 1] of the last two; ``"power_law"`` also takes a pair, for potentiation '
        "and for depression: (0, 1) is additive potentiation with multiplicative depression",
    ),
    "w_0": (1.0, "", 'weight, > 0, at which the factors of ``"morrison"`` are equal'),
}
SCHEDULED = ("A_plus", "A_minus")
#: The factors stand in the places of ``{up}`` and ``{down}``.
STATEMENTS = (
    {"side": "pre", "code": "w = clip(w - A_minus*y_post{down}, w_min, w_max)"},
    {"side": "post", "code": "w = clip(w + A_plus*x_pre{up}, w_min, w_max)", "order": 1},
)
PRE_TRACES = ({"name": "x", "tau": "tau_plus"},)
POST_TRACES = ({"name": "y", "tau": "tau_minus", "when": "after_synapses"},)
REFERENCE = "Song, Miller & Abbott 2000, doi:10.1038/78829"
