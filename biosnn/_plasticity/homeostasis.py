"""Homeostasis: thresholds that adapt, scaling and decay of weights, sliding thresholds."""

from __future__ import annotations

import ast
from typing import Any

import attrs
from brian2 import Hz, get_unit, ms, second

from biosnn._plasticity.checks import bounds, number, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.errors import ParameterError
from biosnn.models import Companion, NeuronModel, Operation, Trace, parsed
from biosnn.validation import check_instance, check_value, check_whole


def adaptive_threshold(
    model: NeuronModel,
    *,
    theta_plus: Any,
    tau_theta: Any = None,
    target_rate: Any = None,
    theta_0: Any = None,
    name: str = "theta",
) -> NeuronModel:
    """Give a neuron model a threshold that grows with each of its spikes.

    Its condition ``v > V_th`` becomes ``v > V_th + theta``. A spike adds ``theta_plus``.
    ``theta`` decays with ``tau_theta``, or falls steadily by ``theta_plus*target_rate``, so that
    the mean rate goes to ``target_rate``. It changes only while plasticity is on, if the network
    has a plastic projection to the neurons, and presentations do not reset it.

    Parameters
    ----------
    model : NeuronModel
        With a threshold such as ``"v > V_th"`` or ``"v >= V_th"``.
    theta_plus : Quantity or float
        Growth by a spike, >= 0, in the unit of the variable that is compared.
    tau_theta : Quantity, optional
        Time constant of the decay.
    target_rate : Quantity, optional
        Instead of it: the rate that the neuron shall get.
    theta_0 : Quantity or float, optional
        Initial value; zero by default.
    name : str
        Name of the variable.

    Returns
    -------
    NeuronModel

    Raises
    ------
    ParameterError
        If the threshold has another form, the name is taken, a value has another unit, or not
        exactly one of ``tau_theta`` and ``target_rate`` is given.

    Notes
    -----
    Decay: Diehl & Cook 2015, sec. 2.4, doi:10.3389/fncom.2015.00099; a rate as the target:
    Querlioz et al. 2013, doi:10.1109/TNANO.2013.2250995.
    """
    check_instance("adaptive_threshold", "model", model, NeuronModel)
    equations = parsed("", model.equations)
    variable, comparison, bound = _comparison(model, set(equations.names))
    if (tau_theta is None) == (target_rate is None):
        wanted = "given, or target_rate; one of the two"
        raise ParameterError("adaptive_threshold", "tau_theta", tau_theta, wanted)
    like = get_unit(equations[variable].dim)
    check_value("adaptive_threshold", "theta_plus", theta_plus, like, ">= 0")
    parameters = {f"{name}_plus": theta_plus}
    if target_rate is None:
        parameters[f"tau_{name}"] = tau("adaptive_threshold", "tau_theta", tau_theta)
        fall = f"{name} -= {name}*dt/tau_{name}"
    else:
        check_value("adaptive_threshold", "target_rate", target_rate, Hz, ">= 0")
        parameters[f"rate_{name}"] = target_rate
        fall = f"{name} -= {name}_plus*rate_{name}*dt"
    initial = {}
    if theta_0 is not None:
        initial[name] = check_value("adaptive_threshold", "theta_0", theta_0, like)
    unit = "1" if like.is_dimensionless else repr(like)
    companion = Companion(
        equations=f"{name} : {unit}",
        operations=(
            Operation(code=f"{name} += {name}_plus", on="spike", when="after_resets", plastic=True),
            Operation(code=fall, when="before_groups", plastic=True),
        ),
        parameters=parameters,
        initial=initial,
        slow=(name,),
    )
    return attrs.evolve(
        model.with_traces([companion]),
        threshold=f"{variable} {comparison} ({bound}) + {name}",
        double=(*model.double, name),
    )


def _comparison(model: NeuronModel, variables: set[str]) -> tuple[str, str, str]:
    """The variable of a threshold, ``>`` or ``>=``, and what it must exceed.

    Raises
    ------
    ParameterError
        If the threshold is no such comparison.
    """
    code = (model.threshold or "").strip()
    match ast.parse(code).body:
        case [
            ast.Expr(
                value=ast.Compare(
                    left=ast.Name(id=variable),
                    ops=[(ast.Gt() | ast.GtE()) as comparison],
                    comparators=[bound],
                )
            )
        ] if variable in variables:
            sign = ">" if isinstance(comparison, ast.Gt) else ">="
            return variable, sign, ast.get_source_segment(code, bound) or ast.unparse(bound)
    wanted = 'a variable and what it must exceed, such as "v > V_th"'
    raise ParameterError(model.name, "threshold", repr(model.threshold), wanted)


def _mean_rate(name: str) -> tuple[str, tuple[Operation, ...]]:
    """A mean rate that presentations do not reset: equation and operations."""
    return f"{name} : Hz", (
        Operation(code=f"{name} -= {name}*dt/tau_{name}", when="before_groups", plastic=True),
        Operation(code=f"{name} += 1/tau_{name}", on="spike", when="after_synapses", plastic=True),
    )


def synaptic_scaling(
    *,
    target_rate: Any = 5 * Hz,
    eta: Any = 0.01,
    tau_rate: Any = 10 * second,
    every: Any = None,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> PlasticityRule:
    """Synaptic scaling: all weights of a neuron change by one factor until its rate is right.

    ``w *= 1 + eta*(1 - rate/target_rate)`` at the end of each presentation, or every so often.
    Use it beside another rule with :func:`combined`.

    Parameters
    ----------
    target_rate : Quantity
        Rate at which the weights stay, > 0 Hz.
    eta : float or Schedule
        Strength of one change, >= 0.
    tau_rate : Quantity
        Time constant of the mean rate, which begins at the target and which presentations do
        not reset.
    every : Quantity, optional
        Time between two changes; by default a presentation. It visits all synapses each time.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    Turrigiano et al. 1998, Nature 391:892, doi:10.1038/36103; multiplicative, driven by the
    error of the rate: van Rossum, Bi & Turrigiano 2000, doi:10.1523/JNEUROSCI.20-23-08812.2000.
    """
    rule = "SynapticScaling"
    check_value(rule, "target_rate", target_rate, Hz, "> 0")
    equation, operations = _mean_rate("rate")
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(
                side="synapse",
                event="end" if every is None else "step",
                every=every,
                when="after_synapses",
                code="w = clip(w*(1 + eta*(1 - rate_post/target_rate)), w_min, w_max)",
            ),
        ),
        post_companion=Companion(
            equations=equation,
            operations=operations,
            parameters={"tau_rate": tau(rule, "tau_rate", tau_rate)},
            initial={"rate": target_rate},
            slow=("rate",),
        ),
        parameters={
            "eta": number(rule, "eta", eta),
            "target_rate": target_rate,
            **bounds(rule, w_min, w_max),
        },
        reference="Turrigiano et al. 1998, doi:10.1038/36103",
    )


def heterosynaptic_decay(
    *,
    beta: Any = 0.001,
    w_ref: float = 0.0,
    tau_post: Any = 20 * ms,
    power: int = 3,
) -> PlasticityRule:
    """Heterosynaptic decay: bursts of a neuron pull all its weights towards a reference.

    A postsynaptic spike does ``w -= beta*(w - w_ref)*z**power``, where the trace ``z`` counts
    the spikes before it. Use it beside another rule with :func:`combined`.

    Parameters
    ----------
    beta : float or Schedule
        Strength, >= 0.
    w_ref : float
        The weight that is left alone.
    tau_post : Quantity
        Time constant of ``z``.
    power : int
        With 0 every spike counts the same, with 3 only those in bursts count.

    Notes
    -----
    Zenke, Agnes & Gerstner 2015, Nat. Commun. 6:6922, doi:10.1038/ncomms7922, where the power is
    3; evidence: Chistiakova et al. 2015, doi:10.3389/fncom.2015.00089.
    """
    rule = "HeterosynapticDecay"
    check_whole(rule, "power", power)
    # A spike that follows a long pause must not overshoot, whatever the trace.
    factor = f"clip(beta*z_post**{power}, 0, 1)" if power else "clip(beta, 0, 1)"
    trace = Trace(name="z", tau=tau(rule, "tau_post", tau_post), when="after_synapses")
    return PlasticityRule(
        name=rule,
        statements=(Statements(side="post", code=f"w -= (w - w_ref)*{factor}", order=2),),
        post_traces=(trace,) if power else (),
        parameters={
            "beta": number(rule, "beta", beta),
            "w_ref": check_value(rule, "w_ref", w_ref, 1.0),
        },
        reference="Zenke, Agnes & Gerstner 2015, doi:10.1038/ncomms7922",
    )


def bcm(
    *,
    eta: Any = 0.001,
    rate_0: Any = 10 * Hz,
    tau_pre: Any = 20 * ms,
    tau_post: Any = 100 * ms,
    tau_theta: Any = 10 * second,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> PlasticityRule:
    """BCM-like rule on spikes: potentiation above a threshold of the rate that slides.

    A postsynaptic spike adds ``eta*x*(y - theta)/rate_0``. ``x`` is the presynaptic trace, ``y``
    the postsynaptic rate over ``tau_post`` before the spike, and ``theta = y_mean**2/rate_0``
    follows its mean over ``tau_theta``. With constant rates the mean change per second is
    ``eta*tau_pre*rate_pre*rate_post*(rate_post - theta)/rate_0``.

    Parameters
    ----------
    eta : float or Schedule
        Learning rate, >= 0.
    rate_0 : Quantity
        Rate that is its own threshold, > 0 Hz.
    tau_pre, tau_post : Quantity
        Time constants of the trace and of the rate.
    tau_theta : Quantity
        Time constant of the mean, which begins at ``rate_0`` and which presentations do not
        reset.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    Bienenstock, Cooper & Munro 1982, J. Neurosci. 2:32,
    doi:10.1523/JNEUROSCI.02-01-00032.1982, with ``phi(c) = c*(c - theta)``.
    """
    rule = "BCM"
    check_value(rule, "rate_0", rate_0, Hz, "> 0")
    follow = "y_mean += (y - y_mean)*dt/tau_y_mean"
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(
                side="post",
                code="w = clip(w + eta*x_pre*(y_post/rate_0 - (y_mean_post/rate_0)**2), "
                "w_min, w_max)",
                order=1,
            ),
        ),
        pre_traces=(Trace(name="x", tau=tau(rule, "tau_pre", tau_pre)),),
        post_companion=Companion(
            equations="dy/dt = -y/tau_y : Hz\ny_mean : Hz",
            operations=(
                Operation(code="y += 1/tau_y", on="spike", when="after_synapses"),
                Operation(code=follow, when="before_groups", plastic=True),
            ),
            parameters={
                "tau_y": tau(rule, "tau_post", tau_post),
                "tau_y_mean": tau(rule, "tau_theta", tau_theta),
            },
            initial={"y_mean": rate_0},
            slow=("y_mean",),
        ),
        parameters={
            "eta": number(rule, "eta", eta),
            "rate_0": rate_0,
            **bounds(rule, w_min, w_max),
        },
        reference="Bienenstock, Cooper & Munro 1982, doi:10.1523/JNEUROSCI.02-01-00032.1982",
    )
