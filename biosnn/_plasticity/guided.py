"""Rules that move weights towards the input, or towards given output spikes."""

from __future__ import annotations

from typing import Any

from brian2 import ms

from biosnn._plasticity.checks import bounds, number, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.models import Schedule, Trace
from biosnn.validation import check_value


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
        pre_traces=() if tau_pre is None else (Trace(name="x", tau=tau(rule, "tau_pre", tau_pre)),),
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
        pre_traces=(Trace(name="x", tau=tau(rule, "tau_pre", tau_pre)),),
        parameters={"eta": number(rule, "eta", eta), **bounds(rule, w_min, w_max)},
        reference="Ponulak & Kasinski 2010, doi:10.1162/neco.2009.11-08-901",
    )
