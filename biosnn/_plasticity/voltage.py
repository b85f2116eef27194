"""Voltage-based plasticity of Clopath et al. (2010)."""

from __future__ import annotations

from typing import Any

from brian2 import ms, mV, second, volt

from biosnn._plasticity.checks import bounds, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.models import Companion, Event, Operation, Trace
from biosnn.validation import check_value, check_whole


def voltage_stdp(
    *,
    A_LTD: Any = 14e-5 / mV,
    A_LTP: Any = 8e-5 / mV**2,
    tau_minus: Any = 10 * ms,
    tau_plus: Any = 7 * ms,
    tau_x: Any = 15 * ms,
    theta_minus: Any = -70.6 * mV,
    theta_plus: Any = -45.3 * mV,
    u_ref: Any = None,
    u_rest: Any = -70.6 * mV,
    tau_bar: Any = 1 * second,
    lag: int = 0,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> PlasticityRule:
    """Voltage-based STDP: the postsynaptic potential decides, instead of its spikes.

    A presynaptic spike subtracts ``A_LTD*[u_minus - theta_minus]``. While the postsynaptic
    potential ``v`` is above ``theta_plus``, weights grow in every time step by
    ``A_LTP*x*[v - theta_plus]*[u_plus - theta_minus]*dt/tau_x``. ``u_minus`` and ``u_plus`` are
    low-pass filtered potentials, ``x`` counts presynaptic spikes before the present step, and
    square brackets are zero where their content is negative. Only neurons that are depolarised
    so far pay for potentiation.

    The postsynaptic model needs a potential ``v`` in volt that has the course of a spike. One
    that is only reset at its threshold does not reach ``theta_plus``.

    Parameters
    ----------
    A_LTD, A_LTP : Quantity
        Amplitudes in 1/V and 1/V**2, >= 0.
    tau_minus, tau_plus : Quantity
        Time constants of ``u_minus`` and ``u_plus``.
    tau_x : Quantity
        Time constant of the presynaptic trace.
    theta_minus, theta_plus : Quantity
        Thresholds of the filtered and of the present potential.
    u_ref : Quantity, optional
        With it depression is homeostatic: ``A_LTD`` is multiplied by ``(u_bar/u_ref)**2``, where
        ``u_bar`` is the mean depolarisation ``v - u_rest`` over ``tau_bar``, which presentations
        do not reset.
    u_rest, tau_bar : Quantity
        See ``u_ref``; filters begin at ``u_rest``.
    lag : int
        Time steps by which the filtered potentials are read late. The published code, with a
        step of 1 ms and spikes that last for 2 ms, reads them 3 steps late.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    Clopath, Buesing, Vasilaki & Gerstner 2010, Nat. Neurosci. 13:344, doi:10.1038/nn.2479;
    default values: visual cortex, Table 1b, and the authors' code (ModelDB 144566).
    """
    rule = "VoltageSTDP"
    check_value(rule, "A_LTD", A_LTD, 1 / volt, ">= 0")
    check_value(rule, "A_LTP", A_LTP, 1 / volt**2, ">= 0")
    for name, value in (("theta_minus", theta_minus), ("theta_plus", theta_plus)):
        check_value(rule, name, value, volt)
    check_value(rule, "u_rest", u_rest, volt)
    check_whole(rule, "lag", lag)
    lines = [
        "du_minus/dt = (v - u_minus)/tau_u_minus : volt",
        "du_plus/dt = (v - u_plus)/tau_u_plus : volt",
    ]
    constants = {
        "tau_u_minus": tau(rule, "tau_minus", tau_minus),
        "tau_u_plus": tau(rule, "tau_plus", tau_plus),
        "u_rest": u_rest,
        "theta_u_minus": theta_minus,
        "theta_u_plus": theta_plus,
    }
    initial: dict[str, Any] = {"u_minus": "u_rest", "u_plus": "u_rest"}
    amplitude = "A_LTD"
    parameters = {
        "A_LTD": A_LTD,
        "A_LTP": A_LTP,
        "tau_x": tau(rule, "tau_x", tau_x),
        "theta_minus": theta_minus,
        "theta_plus": theta_plus,
        **bounds(rule, w_min, w_max),
    }
    if u_ref is not None:
        parameters["u_ref"] = check_value(rule, "u_ref", u_ref, volt, "> 0")
        lines.append("du_bar/dt = (v - u_rest - u_bar)/tau_u_bar : volt")
        constants["tau_u_bar"] = tau(rule, "tau_bar", tau_bar)
        amplitude = "A_LTD*(u_bar_post/u_ref)**2"
    minus, plus, late = _delayed(lag)
    lines += [f"{name} : volt" for name in late]
    initial |= dict.fromkeys(late, "u_rest")
    shift = "\n".join(f"{name} = {source}" for name, source in late.items())
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(
                side="pre",
                code=f"w = clip(w - {amplitude}*({minus}_post - theta_minus)"
                f"*int({minus}_post > theta_minus), w_min, w_max)",
            ),
            Statements(
                side="post",
                event="depolarised",
                code="w = clip(w + A_LTP*x_pre*(v_post - theta_plus)"
                f"*({plus}_post - theta_minus)*dt/tau_x, w_min, w_max)",
                order=1,
            ),
        ),
        pre_traces=(Trace(name="x", tau=tau_x, when="after_synapses"),),
        post_companion=Companion(
            equations="\n".join(lines),
            operations=(Operation(code=shift, when="end"),) if late else (),
            parameters=constants,
            initial=initial,
            slow=("u_bar",) if u_ref is not None else (),
            events={"depolarised": Event(condition=f"v > theta_u_plus and {plus} > theta_u_minus")},
        ),
        parameters=parameters,
        reference="Clopath et al. 2010, doi:10.1038/nn.2479",
    )


def _delayed(lag: int) -> tuple[str, str, dict[str, str]]:
    """Names of the filtered potentials that are read, and of what delays them -> its source."""
    late: dict[str, str] = {}
    for name in ("u_minus", "u_plus"):
        steps = [name, *(f"{name}_{k}" for k in range(1, lag + 1))]
        late |= {steps[k]: steps[k - 1] for k in range(lag, 0, -1)}
    ending = f"_{lag}" if lag else ""
    return f"u_minus{ending}", f"u_plus{ending}", late
