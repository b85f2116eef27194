"""Reward-modulated rules: a pair of spikes makes a synapse eligible, a reward moves its weight.

The reward is a *modulator*: a variable of a population of one neuron, which an input streams per
sample or per frame, or which equations compute inside the network. It is read in every step
before the synapses, so that a critic which answers a spike by an operation
``when="after_thresholds"`` rewards the very pairs that this spike makes.

>>> from biosnn import models, plasticity
>>> rule = plasticity.mstdpet(modulator="critic.r", gamma=0.01)
>>> critic = models.neuron(equations="r : 1", name="Critic")  # drives={"r": "reward"}
"""

from __future__ import annotations

from typing import Any

from brian2 import Hz, ms

from biosnn._plasticity.checks import bounds, bump_of, number, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Operation, Trace, neuron
from biosnn.validation import check_value

FLORIAN = "Florian 2007, eqs. 3.6 to 3.12, doi:10.1162/neco.2007.19.6.1468"
IZHIKEVICH = "Izhikevich 2007, eqs. 1 to 3, doi:10.1093/cercor/bhl152"


def _modulator(rule: str, value: Any) -> str:
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isidentifier() for part in parts):
        wanted = '"population.variable"'
        raise ParameterError(
            rule, "modulator", repr(value), wanted, "Name a variable of a population of one neuron"
        )
    return value


def _traces(rule: str, tau_plus: Any, tau_minus: Any, bump: str, post: str) -> tuple[Trace, Trace]:
    plus, minus = tau(rule, "tau_plus", tau_plus), tau(rule, "tau_minus", tau_minus)
    return (
        Trace(name="x", tau=plus, bump=bump),
        Trace(name="y", tau=minus, bump=bump, when=post),
    )


def _eligible(variable: str, change: str, decay: str, every: Any) -> tuple[Statements, ...]:
    """Pairs add to a variable of the synapse; a step changes the weight and lets it decay."""
    interval = "dt" if every is None else "every"
    step = (
        f"w = clip(w + {change.format(interval=interval)}, w_min, w_max)\n"
        f"{variable} *= exp(-{interval}/{decay})"
    )
    return (
        Statements(side="pre", code=f"{variable} -= A_minus*y_post"),
        Statements(side="post", code=f"{variable} += A_plus*x_pre", order=1),
        Statements(side="synapse", code=step, event="step", order=2, every=every),
    )


def _every(rule: str, every: Any) -> dict[str, Any]:
    return {} if every is None else {"every": tau(rule, "every", every)}


def mstdp(
    *,
    modulator: str,
    gamma: Any = 0.1,
    tau_plus: Any = 20 * ms,
    tau_minus: Any = 20 * ms,
    A_plus: Any = 1.0,
    A_minus: Any = 1.0,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> PlasticityRule:
    """STDP modulated by reward (MSTDP): ``dw/dt = gamma*r(t)*zeta(t)``.

    ``zeta`` is what additive pair STDP over all pairs would do: ``A_plus*x`` at a postsynaptic
    spike and ``-A_minus*y`` at a presynaptic one, with the traces ``x`` and ``y`` of either side.
    A pair that no reward accompanies changes nothing. All work is done at spikes.

    Parameters
    ----------
    modulator : str
        The reward ``r``, as ``"population.variable"`` of a population of one neuron.
    gamma : float or Schedule
        Learning rate, in units of the weight.
    tau_plus, tau_minus : Quantity
        Time constants of the two sides of the window.
    A_plus, A_minus : float or Schedule
        Amplitudes of the two sides, >= 0.
    w_min, w_max : float
        Bounds of the weight.

    Raises
    ------
    ParameterError
        If ``modulator`` is not of that form, or a number is out of its bounds.

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
    rule = "MSTDP"
    x, y = _traces(rule, tau_plus, tau_minus, "+= 1", "before_synapses")
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(
                side="pre", code="w = clip(w - gamma*reward_post*A_minus*y_post, w_min, w_max)"
            ),
            Statements(
                side="post",
                code="w = clip(w + gamma*reward_post*A_plus*x_pre, w_min, w_max)",
                order=1,
            ),
        ),
        pre_traces=(x,),
        post_traces=(y,),
        modulators={"reward": _modulator(rule, modulator)},
        parameters={
            "gamma": number(rule, "gamma", gamma),
            "A_plus": number(rule, "A_plus", A_plus),
            "A_minus": number(rule, "A_minus", A_minus),
            **bounds(rule, w_min, w_max),
        },
        reference=FLORIAN,
    )


def mstdpet(
    *,
    modulator: str,
    gamma: Any = 0.1,
    tau_z: Any = 25 * ms,
    tau_plus: Any = 20 * ms,
    tau_minus: Any = 20 * ms,
    A_plus: Any = 1.0,
    A_minus: Any = 1.0,
    w_min: float = 0.0,
    w_max: float = 1.0,
    every: Any = None,
) -> PlasticityRule:
    """Reward-modulated STDP with an eligibility trace (MSTDPET).

    ``dw/dt = gamma*r(t)*z/tau_z`` and ``dz/dt = -z/tau_z + zeta(t)``, with the ``zeta`` of
    :func:`mstdp`: a reward acts on the pairs of about the last ``tau_z``. A pair that is followed
    by a constant reward of 1 changes the weight by as much as under :func:`mstdp`.

    Parameters
    ----------
    modulator : str
        The reward ``r``, as ``"population.variable"`` of a population of one neuron.
    gamma : float or Schedule
        Learning rate, in units of the weight.
    tau_z : Quantity
        Time constant of the eligibility trace.
    tau_plus, tau_minus : Quantity
        Time constants of the two sides of the window.
    A_plus, A_minus : float or Schedule
        Amplitudes of the two sides, >= 0.
    w_min, w_max : float
        Bounds of the weight.
    every : Quantity, optional
        How often weights change and eligibilities decay: in every time step, or every so often,
        which visits the synapses less. The reward of that moment then stands for the interval,
        and a pair counts as if it had happened at the end of its own interval, an error of up to
        ``every/tau_z``. It must divide a presentation.

    Raises
    ------
    ParameterError
        If ``modulator`` is not of that form, or a number is out of its bounds.

    Notes
    -----
    Florian 2007, Neural Comput. 19:1468, sec. 3, eqs. 3.6 to 3.12 and, for the discrete form,
    2.7 and 2.8, doi:10.1162/neco.2007.19.6.1468. The synapse's ``z`` is the paper's times
    ``tau_z``, a plain number. With every step, ``z`` decays by the paper's
    ``beta = exp(-dt/tau_z)`` and then takes up ``zeta`` before the reward of that step acts on
    it; time steps and signs are as in :func:`mstdp`.
    """
    rule = "MSTDPET"
    x, y = _traces(rule, tau_plus, tau_minus, "+= 1", "before_synapses")
    return PlasticityRule(
        name=rule,
        statements=_eligible("z", "gamma*({interval}/tau_z)*reward_post*z", "tau_z", every),
        pre_traces=(x,),
        post_traces=(y,),
        modulators={"reward": _modulator(rule, modulator)},
        equations="z : 1",
        transient=("z",),
        parameters={
            "gamma": number(rule, "gamma", gamma),
            "tau_z": tau(rule, "tau_z", tau_z),
            "A_plus": number(rule, "A_plus", A_plus),
            "A_minus": number(rule, "A_minus", A_minus),
            **_every(rule, every),
            **bounds(rule, w_min, w_max),
        },
        reference=FLORIAN,
    )


def dopamine_stdp(
    *,
    modulator: str,
    rate: Any = 100 * Hz,
    tau_c: Any = 1000 * ms,
    tau_plus: Any = 20 * ms,
    tau_minus: Any = 20 * ms,
    A_plus: Any = 0.1,
    A_minus: Any = 0.15,
    w_min: float = 0.0,
    w_max: float = 4.0,
    pairing: str = "nearest",
    every: Any = None,
) -> PlasticityRule:
    """Dopamine-modulated STDP with eligibility: ``dw/dt = rate*c*d``.

    A pair of spikes changes the eligibility ``c`` of its synapse by what pair STDP would do to the
    weight, ``dc/dt = -c/tau_c + STDP``, and the extracellular concentration ``d`` of dopamine
    turns eligibility into weight. :func:`dopamine` is a population that holds ``d``.

    Parameters
    ----------
    modulator : str
        The concentration ``d``, as ``"population.variable"`` of a population of one neuron.
    rate : Quantity
        Change of the weight per time, eligibility and concentration, in Hz.
    tau_c : Quantity
        Time constant of the eligibility.
    tau_plus, tau_minus : Quantity
        Time constants of the two sides of the window.
    A_plus, A_minus : float or Schedule
        Amplitudes of the two sides, >= 0.
    w_min, w_max : float
        Bounds of the weight.
    pairing : {"nearest", "all"}
        Each spike with the nearest earlier one of the other side, or all pairs.
    every : Quantity, optional
        How often weights change and eligibilities decay, as in :func:`mstdpet`: in every time
        step, or every so often, with an error of up to ``every/tau_c``.

    Raises
    ------
    ParameterError
        If ``modulator`` is not of that form, or a number is out of its bounds.

    Notes
    -----
    Izhikevich 2007, Cereb. Cortex 17:2443, eqs. 1 to 3, doi:10.1093/cercor/bhl152. ``rate`` and
    the amplitudes are those of the program published with the paper (``daspnet.m``), which changes
    the weights every 10 ms. Pairs at dt = 0 potentiate (``biosnn.plasticity``).
    """
    rule = "DopamineSTDP"
    x, y = _traces(rule, tau_plus, tau_minus, bump_of(rule, pairing), "after_synapses")
    return PlasticityRule(
        name=rule,
        statements=_eligible("c", "rate*{interval}*dopamine_post*c", "tau_c", every),
        pre_traces=(x,),
        post_traces=(y,),
        modulators={"dopamine": _modulator(rule, modulator)},
        equations="c : 1",
        transient=("c",),
        parameters={
            "rate": check_value(rule, "rate", rate, Hz, ">= 0"),
            "tau_c": tau(rule, "tau_c", tau_c),
            "A_plus": number(rule, "A_plus", A_plus),
            "A_minus": number(rule, "A_minus", A_minus),
            **_every(rule, every),
            **bounds(rule, w_min, w_max),
        },
        reference=IZHIKEVICH,
    )


def dopamine(*, tau_d: Any = 200 * ms, baseline: float = 0.0) -> NeuronModel:
    """Extracellular dopamine as a population of one neuron: ``dd/dt = (baseline - d)/tau_d``.

    Whenever new input arrives, at the onset of a sample or of a frame, ``release`` is added to
    ``d``; synapses inside the network may add to it too (``transmit="d_post += w"``).

    Parameters
    ----------
    tau_d : Quantity
        Time constant with which it is taken up.
    baseline : float
        Tonic concentration.

    Returns
    -------
    NeuronModel
        With the concentration ``d`` and the input ``release``, plain numbers.

    Notes
    -----
    Izhikevich 2007, eq. 3, doi:10.1093/cercor/bhl152; its ``DA(t)`` is
    ``baseline/tau_d + release*delta(t)``.
    """
    name = "Dopamine"
    return neuron(
        equations="dd/dt = (baseline - d)/tau_d : 1\nrelease : 1",
        operations=(Operation(code="d += release", on="input"),),
        parameters={
            "tau_d": tau(name, "tau_d", tau_d),
            "baseline": check_value(name, "baseline", baseline, 1.0, ">= 0"),
        },
        initial={"d": "baseline"},
        name=name,
        reference=IZHIKEVICH,
    )
