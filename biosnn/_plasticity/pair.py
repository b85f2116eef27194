"""Spike-timing-dependent plasticity from pairs of spikes."""

from __future__ import annotations

from typing import Any

from brian2 import Hz, ms

from biosnn._plasticity.checks import bounds, bump_of, number, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.errors import ParameterError
from biosnn.models import Trace
from biosnn.validation import check_choice, check_value

_ROOM_UP = "(clip(w_max - w, 0, w_max - w_min)/(w_max - w_min))"
_ROOM_DOWN = "(clip(w - w_min, 0, w_max - w_min)/(w_max - w_min))"
#: Factors of potentiation and depression.
_DEPENDENCE = {
    "additive": ("", ""),
    "multiplicative": (f"*{_ROOM_UP}", f"*{_ROOM_DOWN}"),
    "power_law": (f"*{_ROOM_UP}**mu_plus", f"*{_ROOM_DOWN}**mu_minus"),
    "morrison": ("*w_0**(1 - mu)*clip(w, 0, w_max)**mu", "*w"),
}


def pair_stdp(
    *,
    tau_plus: Any = 20 * ms,
    tau_minus: Any = 20 * ms,
    A_plus: Any = 0.01,
    A_minus: Any = 0.0105,
    w_min: float = 0.0,
    w_max: float = 1.0,
    pairing: str = "all",
    weight_dependence: str = "additive",
    mu: float | tuple[float, float] = 0.4,
    w_0: float = 1.0,
) -> PlasticityRule:
    """Pair STDP with hard bounds, additive by default.

    A pair at ``s = t_post - t_pre`` changes the weight by ``A_plus*f_plus(w)*exp(-s/tau_plus)``
    for ``s >= 0`` and by ``-A_minus*f_minus(w)*exp(s/tau_minus)`` for ``s < 0``.

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
    weight_dependence : {"additive", "multiplicative", "power_law", "morrison"}
        ``f_plus`` and ``f_minus``. With ``u = (w - w_min)/(w_max - w_min)`` they are 1 and 1;
        ``1 - u`` and ``u``; ``(1 - u)**mu`` and ``u**mu``; or, potentiation that grows with the
        weight, ``w_0**(1 - mu)*w**mu`` and ``w``, which needs no upper bound.
    mu : float or (float, float)
        Exponent in [0, 1] of the last two; ``"power_law"`` takes one for potentiation and one
        for depression as well: (0, 1) is additive potentiation with multiplicative depression.
    w_0 : float
        Weight, > 0, at which the factors of ``"morrison"`` are equal.

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
    rule = "PairSTDP"
    check_choice(rule, "weight_dependence", weight_dependence, tuple(_DEPENDENCE))
    bump = bump_of(rule, pairing)
    up, down = _DEPENDENCE[weight_dependence]
    parameters = {
        "A_plus": number(rule, "A_plus", A_plus),
        "A_minus": number(rule, "A_minus", A_minus),
        **bounds(rule, w_min, w_max),
    }
    if weight_dependence == "power_law":
        both = mu if isinstance(mu, tuple | list) else (mu, mu)
        if len(both) != 2:
            raise ParameterError(rule, "mu", mu, "one exponent, or two")
        for name, value in zip(("mu_plus", "mu_minus"), both, strict=True):
            parameters[name] = check_value(rule, name, value, 1.0, "in [0, 1]")
    elif weight_dependence == "morrison":
        parameters["mu"] = check_value(rule, "mu", mu, 1.0, "in [0, 1]")
        parameters["w_0"] = check_value(rule, "w_0", w_0, 1.0, "> 0")
        if w_min < 0:
            raise ParameterError(rule, "w_min", w_min, ">= 0 with a power of the weight")
    depress = f"w = clip(w - A_minus*y_post{down}, w_min, w_max)"
    potentiate = f"w = clip(w + A_plus*x_pre{up}, w_min, w_max)"
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(side="pre", code=depress),
            Statements(side="post", code=potentiate, order=1),
        ),
        pre_traces=(Trace(name="x", tau=tau(rule, "tau_plus", tau_plus), bump=bump),),
        post_traces=(
            Trace(
                name="y",
                tau=tau(rule, "tau_minus", tau_minus),
                bump=bump,
                when="after_synapses",
            ),
        ),
        parameters=parameters,
        reference="Song, Miller & Abbott 2000, doi:10.1038/78829",
    )


def _symmetric(
    rule: str, tau_stdp: Any, eta: Any, alpha: float, w_min: float, w_max: float, reference: str
) -> PlasticityRule:
    """Both orders potentiate; a presynaptic spike by itself depresses by ``eta*alpha``."""
    constant = tau(rule, "tau_stdp", tau_stdp)
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(side="pre", code="w = clip(w + eta*(y_post - alpha), w_min, w_max)"),
            Statements(side="post", code="w = clip(w + eta*x_pre, w_min, w_max)", order=1),
        ),
        pre_traces=(Trace(name="x", tau=constant),),
        post_traces=(Trace(name="y", tau=constant, when="after_synapses"),),
        parameters={
            "eta": number(rule, "eta", eta),
            "alpha": alpha,
            **bounds(rule, w_min, w_max),
        },
        reference=reference,
    )


def symmetric_stdp(
    *,
    tau_stdp: Any = 20 * ms,
    eta: Any = 0.01,
    alpha: float = 0.4,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> PlasticityRule:
    """Symmetric STDP: spikes that are close potentiate in either order, others depress.

    A pair at ``s = t_post - t_pre`` adds ``eta*exp(-abs(s)/tau_stdp)``; every presynaptic spike
    subtracts ``eta*alpha``.

    Parameters
    ----------
    tau_stdp : Quantity
        Time constant of both sides of the window.
    eta : float or Schedule
        Amplitude, >= 0.
    alpha : float
        Constant depression by a presynaptic spike, in units of the amplitude, >= 0.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    A symmetric window between pyramidal cells: Mishra, Kim, Guzman & Jonas 2016,
    Nat. Commun. 7:11552, Fig. 2, doi:10.1038/ncomms11552; their window is broader than the default
    time constant here. The constant term as in Vogels et al. 2011, doi:10.1126/science.1211095
    (:func:`inhibitory_stdp`).
    """
    rule = "SymmetricSTDP"
    check_value(rule, "alpha", alpha, 1.0, ">= 0")
    reference = "Mishra, Kim, Guzman & Jonas 2016, doi:10.1038/ncomms11552"
    return _symmetric(rule, tau_stdp, eta, alpha, w_min, w_max, reference)


def inhibitory_stdp(
    *,
    tau_stdp: Any = 20 * ms,
    eta: Any = 0.01,
    target_rate: Any = 5 * Hz,
    w_min: float = 0.0,
    w_max: float = 10.0,
) -> PlasticityRule:
    """Inhibitory STDP, which brings the target to a rate by balancing its excitation.

    A pair adds ``eta*exp(-abs(s)/tau_stdp)``, every presynaptic spike subtracts
    ``eta*2*target_rate*tau_stdp``. Weights are the strengths of inhibition, >= 0.

    Parameters
    ----------
    tau_stdp : Quantity
        Time constant of both sides of the window.
    eta : float or Schedule
        Learning rate, >= 0.
    target_rate : Quantity
        Rate of the postsynaptic neuron at which the weights stay, in the mean.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    Vogels, Sprekeler, Zenke, Clopath & Gerstner 2011, Science 334:1569, Fig. 1 and supplement,
    doi:10.1126/science.1211095.
    """
    rule = "InhibitorySTDP"
    check_value(rule, "target_rate", target_rate, Hz, ">= 0")
    alpha = float(2 * target_rate * tau(rule, "tau_stdp", tau_stdp))
    reference = "Vogels et al. 2011, Fig. 1, doi:10.1126/science.1211095"
    return _symmetric(rule, tau_stdp, eta, alpha, w_min, w_max, reference)
