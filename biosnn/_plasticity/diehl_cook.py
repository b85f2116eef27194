"""The rules of Diehl & Cook (2015)."""

from __future__ import annotations

from typing import Any

from brian2 import ms

from biosnn._plasticity.checks import number, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.models import Trace
from biosnn.validation import check_value


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
        pre_traces=(Trace(name="x", tau=tau(rule, "tau_pre", tau_pre), bump="= 1"),),
        parameters={
            "eta": number(rule, "eta", eta),
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
        pre_traces=(Trace(name="x", tau=tau(rule, "tau_pre", tau_pre), bump="= 1"),),
        post_traces=(
            Trace(name="post1", tau=tau(rule, "tau_post_1", tau_post_1), bump="= 1", when=late),
            Trace(name="post2", tau=tau(rule, "tau_post_2", tau_post_2), bump="= 1", when=late),
        ),
        parameters={
            "eta_pre": number(rule, "eta_pre", eta_pre),
            "eta_post": number(rule, "eta_post", eta_post),
            "w_max": check_value(rule, "w_max", w_max, 1.0, "> 0"),
        },
        reference="code published with Diehl & Cook 2015, doi:10.3389/fncom.2015.00099",
    )
