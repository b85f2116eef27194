"""The triplet rule of Pfister & Gerstner (2006) with its published parameters."""

from __future__ import annotations

from typing import Any

from brian2 import ms

from biosnn._plasticity.checks import bounds, bump_of, number, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.models import Trace
from biosnn.validation import check_choice

_NAMES = ("A2_plus", "A3_plus", "A2_minus", "A3_minus", "tau_x", "tau_y")
#: (data, form, pairing) -> fitted values of the two tables, times in ms. A fit without ``A3_minus``
#: has no ``tau_x``.
_TABLES: dict[tuple[str, str, str], tuple[float | None, ...]] = {
    ("visual_cortex", "full", "all"): (5e-10, 6.2e-3, 7e-3, 2.3e-4, 101, 125),
    ("visual_cortex", "minimal", "all"): (0, 6.5e-3, 7.1e-3, 0, None, 114),
    ("visual_cortex", "full", "nearest"): (8.8e-11, 5.3e-2, 6.6e-3, 3.1e-3, 714, 40),
    ("visual_cortex", "minimal", "nearest"): (0, 5e-2, 8e-3, 0, None, 40),
    ("hippocampus", "full", "all"): (6.1e-3, 6.7e-3, 1.6e-3, 1.4e-3, 946, 27),
    ("hippocampus", "minimal", "all"): (5.3e-3, 8e-3, 3.5e-3, 0, None, 40),
    ("hippocampus", "full", "nearest"): (4.6e-3, 9.1e-3, 3e-3, 7.5e-9, 575, 47),
    ("hippocampus", "minimal", "nearest"): (4.6e-3, 9.1e-3, 3e-3, 0, None, 48),
}


def triplet_parameters(
    data: str = "visual_cortex", form: str = "minimal", pairing: str = "all"
) -> dict[str, Any]:
    """The parameters that Pfister & Gerstner fitted to an experiment.

    Parameters
    ----------
    data : {"visual_cortex", "hippocampus"}
        Slices of visual cortex (their Table 3), or hippocampal culture (Table 4).
    form : {"full", "minimal"}
        All terms, or only those that the data need.
    pairing : {"all", "nearest"}
        The amplitudes belong to one pairing.

    Returns
    -------
    dict
        ``A2_plus``, ``A3_plus``, ``A2_minus``, ``A3_minus``, ``tau_plus``, ``tau_minus``,
        ``tau_y``, and ``tau_x`` where the fit has one.

    Notes
    -----
    ``tau_plus`` and ``tau_minus`` are those of Bi & Poo 2001 in all fits,
    doi:10.1146/annurev.neuro.24.1.139.
    """
    rule = "triplet_parameters"
    check_choice(rule, "data", data, ("visual_cortex", "hippocampus"))
    check_choice(rule, "form", form, ("full", "minimal"))
    bump_of(rule, pairing)
    found: dict[str, Any] = dict(zip(_NAMES, _TABLES[data, form, pairing], strict=True))
    for name in ("tau_x", "tau_y"):
        value = found.pop(name)
        if value is not None:
            found[name] = value * ms
    return {**found, "tau_plus": 16.8 * ms, "tau_minus": 33.7 * ms}


def triplet_stdp(
    *,
    data: str = "visual_cortex",
    form: str = "minimal",
    pairing: str = "all",
    A2_plus: Any = None,
    A3_plus: Any = None,
    A2_minus: Any = None,
    A3_minus: Any = None,
    tau_plus: Any = None,
    tau_minus: Any = None,
    tau_x: Any = None,
    tau_y: Any = None,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> PlasticityRule:
    """Triplet STDP, which depends on the frequency of pairs as experiments do.

    A presynaptic spike subtracts ``o1*(A2_minus + A3_minus*r2)``, a postsynaptic one adds
    ``r1*(A2_plus + A3_plus*o2)``. The traces ``r1`` (``tau_plus``) and ``r2`` (``tau_x``) follow
    presynaptic spikes, ``o1`` (``tau_minus``) and ``o2`` (``tau_y``) postsynaptic ones; ``r2``
    and ``o2`` are those before the spike itself.

    Parameters
    ----------
    data : {"visual_cortex", "hippocampus"}
        Experiment of which the parameters that are not given are taken.
    form : {"minimal", "full"}
        The same: which of its fits (:func:`triplet_parameters`).
    pairing : {"all", "nearest"}
        Traces that grow by 1 or are set to 1 by a spike.
    A2_plus, A3_plus, A2_minus, A3_minus : float or Schedule, optional
        Amplitudes of pairs and triplets, >= 0. A triplet's amplitude of zero is left out,
        with its trace.
    tau_plus, tau_minus, tau_x, tau_y : Quantity, optional
        Time constants.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    Pfister & Gerstner 2006, J. Neurosci. 26:9673, Tables 3-4,
    doi:10.1523/JNEUROSCI.1425-06.2006. Their weight changes are fractions of the initial weight.
    """
    rule = "TripletSTDP"
    given = {
        "A2_plus": A2_plus,
        "A3_plus": A3_plus,
        "A2_minus": A2_minus,
        "A3_minus": A3_minus,
        "tau_plus": tau_plus,
        "tau_minus": tau_minus,
        "tau_x": tau_x,
        "tau_y": tau_y,
    }
    values = {"tau_x": 101 * ms, **triplet_parameters(data, form, pairing)}
    values |= {name: value for name, value in given.items() if value is not None}
    amplitudes = {name: number(rule, name, values[name]) for name in _NAMES[:4]}
    bump = bump_of(rule, pairing)
    late = "after_synapses"

    def trace(name: str, constant: str, when: str = late) -> Trace:
        return Trace(name=name, tau=tau(rule, constant, values[constant]), bump=bump, when=when)

    slow_pre = _used(amplitudes["A3_minus"])
    slow_post = _used(amplitudes["A3_plus"])
    depression = "A2_minus + A3_minus*r2_pre" if slow_pre else "A2_minus"
    potentiation = "A2_plus + A3_plus*o2_post" if slow_post else "A2_plus"
    left_out = {"A3_minus": not slow_pre, "A3_plus": not slow_post}
    amplitudes = {name: value for name, value in amplitudes.items() if not left_out.get(name)}
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(side="pre", code=f"w = clip(w - o1_post*({depression}), w_min, w_max)"),
            Statements(
                side="post", code=f"w = clip(w + r1_pre*({potentiation}), w_min, w_max)", order=1
            ),
        ),
        pre_traces=(
            trace("r1", "tau_plus", "before_synapses"),
            *([trace("r2", "tau_x")] if slow_pre else []),
        ),
        post_traces=(
            trace("o1", "tau_minus"),
            *([trace("o2", "tau_y")] if slow_post else []),
        ),
        parameters={**amplitudes, **bounds(rule, w_min, w_max)},
        reference="Pfister & Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006",
    )


def _used(amplitude: Any) -> bool:
    """Whether an amplitude is a schedule, or not zero."""
    return not isinstance(amplitude, int | float) or amplitude != 0
