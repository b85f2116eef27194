"""Plasticity rules: frozen specs of ``on_pre``/``on_post`` statements over neuron traces.

A rule says which traces it needs on the presynaptic and on the postsynaptic *neuron*
(``rule.needs("pre")``, ``rule.needs("post")``); ``model.group(n, traces=...)`` provides them and
``rule.connect(pre, post)`` gives a plain ``brian2.Synapses``.

Convention for a pair at the same time step: the presynaptic trace is bumped before the synapses
of the step, the postsynaptic one after them. ``on_pre`` therefore sees the postsynaptic spikes of
earlier steps only, and ``on_post`` sees presynaptic spikes up to and including its own step: a
pair at dt = 0 potentiates and does not depress.

>>> from brian2 import ms
>>> from biosnn import models, plasticity
>>> rule = plasticity.pair_stdp(tau_plus=20 * ms, A_plus=0.01)
>>> pre = models.lif().group(10, traces=rule.needs("pre"))
>>> post = models.lif().group(5, traces=rule.needs("post"))
>>> synapses = rule.connect(pre, post)
"""

from __future__ import annotations

from typing import Any

from brian2 import ms

from biosnn._plasticity.prediction import reward_prediction
from biosnn._plasticity.reward import dopamine, dopamine_stdp, mstdp, mstdpet
from biosnn._plasticity.spec import PlasticityRule, Statements
from biosnn.errors import ParameterError
from biosnn.models import Schedule, Trace, check_value

__all__ = [
    "PlasticityRule",
    "Statements",
    "diehl_cook_power_law",
    "diehl_cook_triplet",
    "dopamine",
    "dopamine_stdp",
    "instar",
    "mstdp",
    "mstdpet",
    "pair_stdp",
    "resume",
    "reward_prediction",
]


def _number(rule: str, name: str, value: Any, bound: str = ">= 0") -> Any:
    if isinstance(value, Schedule):
        return value
    return check_value(rule, name, value, 1.0, bound)


def _bounds(rule: str, w_min: float, w_max: float) -> dict[str, float]:
    check_value(rule, "w_min", w_min, 1.0)
    check_value(rule, "w_max", w_max, 1.0)
    if not w_min < w_max:
        raise ParameterError(rule, "w_max", w_max, f"above w_min ({w_min})")
    return {"w_min": w_min, "w_max": w_max}


def _tau(rule: str, name: str, value: Any) -> Any:
    return check_value(rule, name, value, ms, "> 0")


def pair_stdp(
    *,
    tau_plus: Any = 20 * ms,
    tau_minus: Any = 20 * ms,
    A_plus: Any = 0.01,
    A_minus: Any = 0.0105,
    w_min: float = 0.0,
    w_max: float = 1.0,
    pairing: str = "all",
) -> PlasticityRule:
    """Additive pair STDP with hard bounds.

    A pair at ``s = t_post - t_pre`` changes the weight by ``A_plus*exp(-s/tau_plus)`` for
    ``s >= 0`` and by ``-A_minus*exp(s/tau_minus)`` for ``s < 0``.

    Parameters
    ----------
    tau_plus, tau_minus : Quantity
        Time constants of the two sides of the window.
    A_plus, A_minus : float or Schedule
        Amplitudes, >= 0.
    w_min, w_max : float
        Bounds of the weight.
    pairing : {"all", "nearest"}
        All pairs, or each spike with the nearest earlier one of the other side.

    Notes
    -----
    Song, Miller & Abbott 2000, Nat. Neurosci. 3:919, doi:10.1038/78829; trace formulation:
    Morrison, Diesmann & Gerstner 2008, Biol. Cybern. 98:459, doi:10.1007/s00422-008-0233-1.
    """
    rule = "PairSTDP"
    if pairing not in ("all", "nearest"):
        raise ParameterError(rule, "pairing", repr(pairing), '"all" or "nearest"')
    bump = "+= 1" if pairing == "all" else "= 1"
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(side="pre", code="w = clip(w - A_minus*y_post, w_min, w_max)"),
            Statements(side="post", code="w = clip(w + A_plus*x_pre, w_min, w_max)", order=1),
        ),
        pre_traces=(Trace(name="x", tau=_tau(rule, "tau_plus", tau_plus), bump=bump),),
        post_traces=(
            Trace(
                name="y",
                tau=_tau(rule, "tau_minus", tau_minus),
                bump=bump,
                when="after_synapses",
            ),
        ),
        parameters={
            "A_plus": _number(rule, "A_plus", A_plus),
            "A_minus": _number(rule, "A_minus", A_minus),
            **_bounds(rule, w_min, w_max),
        },
        reference="Song, Miller & Abbott 2000, doi:10.1038/78829",
    )


def diehl_cook_power_law(
    *,
    tau_pre: Any = 20 * ms,
    eta: Any = 0.01,
    x_tar: float = 0.4,
    mu: float = 0.2,
    w_max: float = 1.0,
) -> PlasticityRule:
    """Diehl & Cook's rule of the paper: ``dw = eta*(x_pre - x_tar)*(w_max - w)**mu`` on a spike.

    Parameters
    ----------
    tau_pre : Quantity
        Time constant of the presynaptic trace, which a spike sets to 1.
    eta : float or Schedule
        Learning rate.
    x_tar : float
        Target value of the trace: synapses whose trace is below it are depressed.
    mu : float
        Exponent of the dependence on the weight.
    w_max : float
        Largest weight. One that a normalisation has lifted above it comes back with the next spike.

    Notes
    -----
    Diehl & Cook 2015, sec. 2.3, eq. of the power-law rule, doi:10.3389/fncom.2015.00099.
    """
    rule = "DiehlCookPowerLaw"
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(
                side="post",
                code="w = clip(w + eta*(x_pre - x_tar)*clip(w_max - w, 0, w_max)**mu, 0, w_max)",
                order=1,
            ),
        ),
        pre_traces=(Trace(name="x", tau=_tau(rule, "tau_pre", tau_pre), bump="= 1"),),
        parameters={
            "eta": _number(rule, "eta", eta),
            "x_tar": check_value(rule, "x_tar", x_tar, 1.0, ">= 0"),
            "mu": check_value(rule, "mu", mu, 1.0, ">= 0"),
            "w_max": check_value(rule, "w_max", w_max, 1.0, "> 0"),
        },
        reference="Diehl & Cook 2015, sec. 2.3, doi:10.3389/fncom.2015.00099",
    )


def diehl_cook_triplet(
    *,
    tau_pre: Any = 20 * ms,
    tau_post_1: Any = 20 * ms,
    tau_post_2: Any = 40 * ms,
    eta_pre: Any = 0.0001,
    eta_post: Any = 0.01,
    w_max: float = 1.0,
) -> PlasticityRule:
    """Diehl & Cook's rule of the published code, which is like a triplet rule.

    A presynaptic spike subtracts ``eta_pre*post1``, a postsynaptic one adds
    ``eta_post*pre*post2`` with ``post2`` as it was before this spike. All traces are set to 1.

    Parameters
    ----------
    tau_pre, tau_post_1, tau_post_2 : Quantity
        Time constants of the traces.
    eta_pre, eta_post : float or Schedule
        Learning rates of depression and potentiation.
    w_max : float
        Largest weight.

    Notes
    -----
    Form after Pfister & Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006; constants of the
    code published with Diehl & Cook 2015, doi:10.3389/fncom.2015.00099.
    """
    rule = "DiehlCookTriplet"
    late = "after_synapses"
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(side="pre", code="w = clip(w - eta_pre*post1_post, 0, w_max)"),
            Statements(
                side="post",
                code="w = clip(w + eta_post*x_pre*post2_post, 0, w_max)",
                order=1,
            ),
        ),
        pre_traces=(Trace(name="x", tau=_tau(rule, "tau_pre", tau_pre), bump="= 1"),),
        post_traces=(
            Trace(name="post1", tau=_tau(rule, "tau_post_1", tau_post_1), bump="= 1", when=late),
            Trace(name="post2", tau=_tau(rule, "tau_post_2", tau_post_2), bump="= 1", when=late),
        ),
        parameters={
            "eta_pre": _number(rule, "eta_pre", eta_pre),
            "eta_post": _number(rule, "eta_post", eta_post),
            "w_max": check_value(rule, "w_max", w_max, 1.0, "> 0"),
        },
        reference="code published with Diehl & Cook 2015, doi:10.3389/fncom.2015.00099",
    )


def instar(*, eta: Any = 0.1, gain: float = 1.0, tau_pre: Any | None = None) -> PlasticityRule:
    """Instar rule: a postsynaptic spike moves the weights towards the presynaptic activity.

    ``w += eta*(gain*x_pre - w)``. With ``tau_pre`` the activity is an additive spike trace;
    without it ``x`` is a variable of the presynaptic neuron itself (graded input).

    Parameters
    ----------
    eta : float or Schedule
        Learning rate, in [0, 1].
    gain : float
        Scale of the activity.
    tau_pre : Quantity, optional
        Time constant of the presynaptic trace.

    Notes
    -----
    Grossberg 1976, Biol. Cybern. 23:121, doi:10.1007/BF00344744; on spike traces it is the
    postsynaptically gated STDP of Diehl & Cook 2015 with a linear dependence on the weight.
    """
    rule = "Instar"
    if not isinstance(eta, Schedule):
        check_value(rule, "eta", eta, 1.0, "in [0, 1]")
    return PlasticityRule(
        name=rule,
        statements=(Statements(side="post", code="w += eta*(gain*x_pre - w)", order=1),),
        pre_traces=()
        if tau_pre is None
        else (Trace(name="x", tau=_tau(rule, "tau_pre", tau_pre)),),
        parameters={"eta": eta, "gain": check_value(rule, "gain", gain, 1.0, "> 0")},
        reference="Grossberg 1976, doi:10.1007/BF00344744",
    )


def resume(
    *, eta: Any = 0.01, tau_pre: Any = 20 * ms, w_min: float = -10.0, w_max: float = 10.0
) -> PlasticityRule:
    """Remote supervised rule, a delta rule on spikes: ``dw = eta*x_pre*(S_target - S_post)``.

    The postsynaptic neuron needs an event ``teach`` (its desired spikes). Each desired spike
    adds ``eta*x_pre``, each spike that the neuron really fires subtracts it, so learning stops
    where they coincide.

    Parameters
    ----------
    eta : float or Schedule
        Learning rate, >= 0.
    tau_pre : Quantity
        Time constant of the presynaptic trace.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    ReSuMe: Ponulak & Kasinski 2010, Neural Comput. 22:467, eq. 2.8 without the constant term,
    doi:10.1162/neco.2009.11-08-901.
    """
    rule = "ReSuMe"
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(
                side="post", code="w = clip(w + eta*x_pre, w_min, w_max)", event="teach", order=1
            ),
            Statements(side="post", code="w = clip(w - eta*x_pre, w_min, w_max)", order=2),
        ),
        pre_traces=(Trace(name="x", tau=_tau(rule, "tau_pre", tau_pre)),),
        parameters={"eta": _number(rule, "eta", eta), **_bounds(rule, w_min, w_max)},
        reference="Ponulak & Kasinski 2010, doi:10.1162/neco.2009.11-08-901",
    )
