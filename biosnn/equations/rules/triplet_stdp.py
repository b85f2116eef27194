"""Triplet STDP, which depends on the frequency of pairs as experiments do.

A presynaptic spike subtracts ``o1*(A2_minus + A3_minus*r2)``, a postsynaptic one adds
``r1*(A2_plus + A3_plus*o2)``. The traces ``r1`` (``tau_plus``) and ``r2`` (``tau_x``) follow
presynaptic spikes, ``o1`` (``tau_minus``) and ``o2`` (``tau_y``) postsynaptic ones; ``r2``
and ``o2`` are those before the spike itself. Parameters that are not given are those of a fit
(:func:`triplet_parameters`). A triplet's amplitude of zero is left out, with its trace.

Notes
-----
Pfister & Gerstner 2006, J. Neurosci. 26:9673, Tables 3-4,
doi:10.1523/JNEUROSCI.1425-06.2006. Their weight changes are fractions of the initial weight.
"""

from brian2.units import ms

NAME = "TripletSTDP"
PARAMETERS = {
    "data": (
        "visual_cortex",
        ("visual_cortex", "hippocampus"),
        "experiment of which the parameters that are not given are taken",
    ),
    "form": ("minimal", ("full", "minimal"), "which fit: all terms, or those that the data need"),
    "pairing": ("all", ("all", "nearest"), "traces that grow by 1 or are set to 1 by a spike"),
    "A2_plus": (None, ">= 0", "potentiation by a pair", 1.0),
    "A3_plus": (None, ">= 0", "potentiation by a triplet", 1.0),
    "A2_minus": (None, ">= 0", "depression by a pair", 1.0),
    "A3_minus": (None, ">= 0", "depression by a triplet", 1.0),
    "tau_plus": (None, "> 0", "time constant of ``r1``", ms),
    "tau_minus": (None, "> 0", "time constant of ``o1``", ms),
    "tau_x": (None, "> 0", "time constant of ``r2``", ms),
    "tau_y": (None, "> 0", "time constant of ``o2``", ms),
    "w_min": (0.0, "finite", "least weight"),
    "w_max": (1.0, "finite", "largest weight"),
}
SCHEDULED = ("A2_plus", "A3_plus", "A2_minus", "A3_minus")
#: Times of the pairs in all fits: Bi & Poo 2001, doi:10.1146/annurev.neuro.24.1.139.
TAU_PLUS, TAU_MINUS = 16.8 * ms, 33.7 * ms
#: Of ``r2`` where a fit has none.
TAU_X = 101 * ms
#: (data, form, pairing) -> values of the two tables, times in ms. A fit without ``A3_minus`` has
#: no ``tau_x``.
FITTED = ("A2_plus", "A3_plus", "A2_minus", "A3_minus", "tau_x", "tau_y")
TABLES: dict[tuple[str, str, str], tuple[float | None, ...]] = {
    ("visual_cortex", "full", "all"): (5e-10, 6.2e-3, 7e-3, 2.3e-4, 101, 125),
    ("visual_cortex", "minimal", "all"): (0, 6.5e-3, 7.1e-3, 0, None, 114),
    ("visual_cortex", "full", "nearest"): (8.8e-11, 5.3e-2, 6.6e-3, 3.1e-3, 714, 40),
    ("visual_cortex", "minimal", "nearest"): (0, 5e-2, 8e-3, 0, None, 40),
    ("hippocampus", "full", "all"): (6.1e-3, 6.7e-3, 1.6e-3, 1.4e-3, 946, 27),
    ("hippocampus", "minimal", "all"): (5.3e-3, 8e-3, 3.5e-3, 0, None, 40),
    ("hippocampus", "full", "nearest"): (4.6e-3, 9.1e-3, 3e-3, 7.5e-9, 575, 47),
    ("hippocampus", "minimal", "nearest"): (4.6e-3, 9.1e-3, 3e-3, 0, None, 48),
}
STATEMENTS = (
    {"side": "pre", "code": "w = clip(w - o1_post*({depression}), w_min, w_max)"},
    {"side": "post", "code": "w = clip(w + r1_pre*({potentiation}), w_min, w_max)", "order": 1},
)
#: With a triplet's term, and without it.
DEPRESSION = ("A2_minus + A3_minus*r2_pre", "A2_minus")
POTENTIATION = ("A2_plus + A3_plus*o2_post", "A2_plus")
PRE_TRACES = (
    {"name": "r1", "tau": "tau_plus"},
    {"name": "r2", "tau": "tau_x", "when": "after_synapses"},
)
POST_TRACES = (
    {"name": "o1", "tau": "tau_minus", "when": "after_synapses"},
    {"name": "o2", "tau": "tau_y", "when": "after_synapses"},
)
REFERENCE = "Pfister & Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006"
