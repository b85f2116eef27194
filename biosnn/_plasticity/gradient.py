"""Gradient rules that need nothing but what a synapse sees: SuperSpike, e-prop, the delta rule.

Three factors change a weight: a trace of presynaptic spikes, how near the postsynaptic potential is
to its threshold (the surrogate derivative), and a learning signal, which is a variable of the
postsynaptic neuron: what it should do minus what it does. :func:`spike_error` makes one from
desired spikes, :func:`biosnn.networks.online_readout` one from labels.

For one feed-forward layer of leaky integrate-and-fire neurons that are integrated exactly, as all
filters of these rules are, and whose reset subtracts and is detached, the change over a
presentation is the surrogate gradient of backpropagation through time, apart from a constant
factor that is the same for all synapses.

>>> from biosnn import models, plasticity
>>> cell = plasticity.spike_error(models.lif())
>>> rule = plasticity.superspike()
>>> "L" in cell.variables
True
"""

from __future__ import annotations

from typing import Any

import attrs
from brian2 import ms, mV
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity

from biosnn._plasticity.checks import bounds, number, tau
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.errors import ParameterError
from biosnn.models import Companion, NeuronModel, Operation, Trace
from biosnn.validation import check_choice, check_instance, check_value

UPDATES = ("step", "presentation")


def superspike(
    *,
    eta: Any = 0.01,
    tau_m: Any = 10 * ms,
    tau_syn: Any | None = 5 * ms,
    tau_rise: Any = 5 * ms,
    tau_decay: Any = 10 * ms,
    distance: str = "v - V_th",
    width: Any = 1 * mV,
    signal: str = "L",
    update: str = "presentation",
    rmaxprop: float | None = None,
    w_min: float = -10.0,
    w_max: float = 10.0,
) -> PlasticityRule:
    """SuperSpike: a voltage-based rule that makes a neuron fire at desired times.

    ``dw/dt = eta*L*eligibility/tau_m``. The eligibility is ``psi*x``, filtered with a double
    exponential; ``x`` is what presynaptic spikes of weight 1 do to the potential, and
    ``psi = (1 + abs(v - V_th)/width)**-2`` the derivative of a fast sigmoid. With the learning
    signal ``L`` of :func:`spike_error` and the same two time constants, weights descend the
    squared distance of the filtered spike trains, own and desired ones.

    Parameters
    ----------
    eta : float or Schedule
        Learning rate, >= 0: change of the weight in ``tau_m`` where ``L`` and the eligibility
        are 1.
    tau_m : Quantity
        Membrane time constant of the postsynaptic neuron.
    tau_syn : Quantity, optional
        Time constant of its synaptic current (``dv/dt = (I - v)/tau_m``, spikes add to ``I``);
        ``None`` where spikes add to the potential itself.
    tau_rise, tau_decay : Quantity
        Time constants of the eligibility's filter, two different ones.
    distance : str
        What the threshold condition compares with zero, a Brian2 expression in variables and
        parameters of the postsynaptic neuron.
    width : Quantity or float
        Distance at which the surrogate derivative is a quarter, > 0, in the unit of ``distance``.
    signal : str
        The learning signal: a variable of the postsynaptic neuron, a plain number.
    update : {"presentation", "step"}
        Whether weights change at the end of a presentation or in every time step.
    rmaxprop : float, optional
        With it every synapse has a learning rate of its own, ``eta`` divided by the square root
        of its ``gradient_max``, a running maximum of the squared gradient that falls by this
        factor, in (0, 1], with every presentation. Needs ``update="presentation"``.
    w_min, w_max : float
        Bounds of the weight.

    Raises
    ------
    ParameterError
        If a value is out of its bounds, or time constants of a filter are equal.

    Notes
    -----
    Zenke & Ganguli 2018, Neural Comput. 30:1514, doi:10.1162/neco_a_01086, the rule for output
    units, and RMaxProp. Default time constants and ``width`` are the paper's; weights are plain
    numbers and filters have unit area, so that ``eta`` is in other units. ``psi`` is taken
    before the threshold is tested, in its default slot.
    """
    rule = "SuperSpike"
    if rmaxprop is not None:
        check_value(rule, "rmaxprop", rmaxprop, 1.0, "in (0, 1]")
        if update != "presentation":
            wanted = '"presentation" with rmaxprop'
            raise ParameterError(rule, "update", repr(update), wanted)
    filters = {
        "tau_rise": tau(rule, "tau_rise", tau_rise),
        "tau_decay": tau(rule, "tau_decay", tau_decay),
    }
    _check_unlike(rule, tau_rise, tau_decay)
    made = _three_factors(
        rule,
        eta=eta,
        tau_m=tau_m,
        tau_syn=tau_syn,
        post=_surrogate(rule, "(1 + abs({})/width_psi)**(-2)", distance, width),
        equations=(
            "deligibility/dt = (eligibility_rise - eligibility)/tau_decay : 1 (clock-driven)\n"
            "deligibility_rise/dt = -eligibility_rise/tau_rise : 1 (clock-driven)"
        ),
        before="eligibility_rise += psi_post*x_pre*(dt/tau_rise)",
        parameters={**filters, **bounds(rule, w_min, w_max)},
        signal=signal,
        update=update,
        reference="Zenke & Ganguli 2018, doi:10.1162/neco_a_01086",
    )
    return made if rmaxprop is None else _with_own_rates(made, rmaxprop)


def e_prop(
    *,
    eta: Any = 0.01,
    tau_m: Any = 20 * ms,
    tau_syn: Any | None = None,
    tau_out: Any | None = 20 * ms,
    distance: str = "v - V_th",
    width: Any = 15 * mV,
    gamma: float = 0.3,
    signal: str = "L",
    update: str = "presentation",
    w_min: float = -10.0,
    w_max: float = 10.0,
) -> PlasticityRule:
    """Eligibility propagation (e-prop) for leaky integrate-and-fire neurons.

    ``dw/dt = eta*L*eligibility/tau_m``. The eligibility is ``psi*x``, low-pass filtered with
    ``tau_out`` as the readout of the neuron's spikes is; ``x`` is what presynaptic spikes of
    weight 1 do to the potential, and ``psi = gamma*max(0, 1 - abs(v - V_th)/width)`` the
    pseudo-derivative. The learning signal ``L`` is the error that reaches the neuron, desired
    minus present readout.

    Parameters
    ----------
    eta : float or Schedule
        Learning rate, >= 0: change of the weight in ``tau_m`` where ``L`` and the eligibility
        are 1.
    tau_m : Quantity
        Membrane time constant of the postsynaptic neuron.
    tau_syn : Quantity, optional
        Time constant of its synaptic current (``dv/dt = (I - v)/tau_m``, spikes add to ``I``);
        by default spikes add to the potential itself.
    tau_out : Quantity, optional
        Time constant of the readout of the neuron's spikes; ``None`` where the learning signal
        depends on the spikes of the present step only.
    distance : str
        What the threshold condition compares with zero, a Brian2 expression in variables and
        parameters of the postsynaptic neuron.
    width : Quantity or float
        Distance at which the pseudo-derivative becomes zero, > 0, in the unit of ``distance``.
    gamma : float
        The pseudo-derivative at the threshold, > 0.
    signal : str
        The learning signal: a variable of the postsynaptic neuron, a plain number.
    update : {"presentation", "step"}
        Whether weights change at the end of a presentation or in every time step.
    w_min, w_max : float
        Bounds of the weight.

    Raises
    ------
    ParameterError
        If a value is out of its bounds, or time constants of a filter are equal.

    Notes
    -----
    Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein & Maass 2020, Nat. Commun. 11:3625,
    doi:10.1038/s41467-020-17236-y, Methods: eligibility traces of LIF neurons and the
    pseudo-derivative with its 0.3. Their learning signal has the opposite sign, their ``psi``
    is divided by the threshold, and their filters are sums over time steps; here these factors
    are in ``eta``. ``psi`` is taken before the threshold is tested, in its default slot.
    """
    rule = "EProp"
    filtered = tau_out is not None
    parameters = {"tau_out": tau(rule, "tau_out", tau_out)} if filtered else {}
    return _three_factors(
        rule,
        eta=eta,
        tau_m=tau_m,
        tau_syn=tau_syn,
        post=_surrogate(
            rule,
            "gamma_psi*clip(1 - abs({})/width_psi, 0, 1)",
            distance,
            width,
            gamma_psi=check_value(rule, "gamma", gamma, 1.0, "> 0"),
        ),
        equations="deligibility/dt = -eligibility/tau_out : 1 (clock-driven)" if filtered else "",
        before="eligibility += psi_post*x_pre*(dt/tau_out)" if filtered else "",
        factor="eligibility" if filtered else "psi_post*x_pre",
        parameters={**parameters, **bounds(rule, w_min, w_max)},
        signal=signal,
        update=update,
        reference="Bellec et al. 2020, doi:10.1038/s41467-020-17236-y",
    )


def delta_rule(
    *,
    eta: Any = 0.01,
    tau_m: Any = 20 * ms,
    tau_syn: Any | None = None,
    signal: str = "L",
    update: str = "presentation",
    w_min: float = -10.0,
    w_max: float = 10.0,
) -> PlasticityRule:
    """Delta rule on filtered spikes, for a leaky readout that does not fire.

    ``dw/dt = eta*L*x/tau_m``: ``x`` is what presynaptic spikes of weight 1 do to the readout's
    potential, ``L`` the error of that potential, desired minus present.

    Parameters
    ----------
    eta : float or Schedule
        Learning rate, >= 0: change of the weight in ``tau_m`` where ``L`` and ``x`` are 1.
    tau_m : Quantity
        Time constant of the readout.
    tau_syn : Quantity, optional
        Time constant of its synaptic current; by default spikes add to the potential itself.
    signal : str
        The error: a variable of the postsynaptic neuron, a plain number.
    update : {"presentation", "step"}
        Whether weights change at the end of a presentation or in every time step.
    w_min, w_max : float
        Bounds of the weight.

    Raises
    ------
    ParameterError
        If a value is out of its bounds.

    Notes
    -----
    Widrow & Hoff 1960 ("Adaptive switching circuits", IRE WESCON Conv. Rec. 4:96); on filtered
    spikes it is what e-prop does to the weights of a leaky readout: Bellec et al. 2020, Nat.
    Commun. 11:3625, Methods, doi:10.1038/s41467-020-17236-y.
    """
    rule = "DeltaRule"
    return _three_factors(
        rule,
        eta=eta,
        tau_m=tau_m,
        tau_syn=tau_syn,
        factor="x_pre",
        parameters=bounds(rule, w_min, w_max),
        signal=signal,
        update=update,
        reference="Widrow & Hoff 1960; Bellec et al. 2020, doi:10.1038/s41467-020-17236-y",
    )


def spike_error(
    model: NeuronModel,
    *,
    tau_rise: Any = 5 * ms,
    tau_decay: Any = 10 * ms,
    name: str = "L",
) -> NeuronModel:
    """Give a neuron model the learning signal of :func:`superspike`: its filtered spike error.

    Desired spikes minus own ones, filtered with a double exponential. A projection from a
    population that fires the desired spikes brings them, with ``transmit="L_rise_post += 1"``.

    Parameters
    ----------
    model : NeuronModel
        With a threshold.
    tau_rise, tau_decay : Quantity
        Time constants of the filter, two different ones, those of the rule.
    name : str
        Name of the signal; desired spikes add to ``name_rise``.

    Returns
    -------
    NeuronModel
        With the variables ``L`` and ``L_rise``, plain numbers.

    Raises
    ------
    ParameterError
        If the model has no threshold, a name is taken, or the time constants are equal.

    Notes
    -----
    Zenke & Ganguli 2018, Neural Comput. 30:1514, doi:10.1162/neco_a_01086: the error of an
    output unit, whose square is the distance of van Rossum 2001, Neural Comput. 13:751,
    doi:10.1162/089976601300014321, with another kernel.
    """
    check_instance("spike_error", "model", model, NeuronModel)
    if model.threshold is None:
        raise ParameterError(model.name, "threshold", None, "given: its spikes are compared")
    parameters = {
        f"tau_{name}_rise": tau("spike_error", "tau_rise", tau_rise),
        f"tau_{name}_decay": tau("spike_error", "tau_decay", tau_decay),
    }
    _check_unlike("spike_error", tau_rise, tau_decay)
    return model.with_traces(
        [
            Companion(
                equations=f"d{name}/dt = ({name}_rise - {name})/tau_{name}_decay : 1\n"
                f"d{name}_rise/dt = -{name}_rise/tau_{name}_rise : 1",
                operations=(
                    Operation(code=f"{name}_rise -= 1", on="spike", when="before_synapses"),
                ),
                parameters=parameters,
            )
        ]
    )


def _check_unlike(rule: str, tau_rise: Any, tau_decay: Any) -> None:
    """A double exponential needs two time constants."""
    if abs(float(tau_rise / tau_decay) - 1) < 1e-6:
        raise ParameterError(rule, "tau_rise", tau_rise, f"unlike tau_decay ({tau_decay})")


def _surrogate(rule: str, shape: str, distance: str, width: Any, **constants: Any) -> Companion:
    """The postsynaptic factor ``psi``, taken where the threshold is about to be tested."""
    if not isinstance(distance, str) or not distance.strip():
        wanted = "a Brian2 expression of the postsynaptic neuron"
        raise ParameterError(rule, "distance", repr(distance), wanted)
    like = Quantity(1, dim=getattr(width, "dim", DIMENSIONLESS))
    check_value(rule, "width", width, like, "> 0")
    code = f"psi = {shape.format(distance)}"
    return Companion(
        equations="psi : 1",
        operations=(Operation(code=code, when="before_thresholds", plastic=True),),
        parameters={"width_psi": width, **constants},
    )


def _response(rule: str, tau_m: Any, tau_syn: Any) -> dict[str, Any]:
    """The presynaptic factor ``x``, without the spikes of the present step."""
    tau(rule, "tau_m", tau_m)
    if tau_syn is None:
        return {"pre_traces": (Trace(name="x", tau=tau_m, when="after_synapses"),)}
    companion = Companion(
        equations="dx/dt = (x_syn - x)/tau_x : 1\ndx_syn/dt = -x_syn/tau_x_syn : 1",
        operations=(Operation(code="x_syn += 1", on="spike", when="after_synapses"),),
        parameters={"tau_x": tau_m, "tau_x_syn": tau(rule, "tau_syn", tau_syn)},
    )
    return {"pre_companion": companion}


def _three_factors(
    rule: str,
    *,
    eta: Any,
    tau_m: Any,
    tau_syn: Any,
    post: Companion | None = None,
    equations: str = "",
    before: str = "",
    factor: str = "eligibility",
    parameters: dict[str, Any],
    signal: str,
    update: str,
    reference: str,
) -> PlasticityRule:
    """A rule that adds ``eta*L*factor`` in every step, to the weight or to a sum for its end."""
    check_choice(rule, "update", update, UPDATES)
    if not isinstance(signal, str) or not signal.isidentifier():
        wanted = "the name of a variable of the postsynaptic neuron"
        raise ParameterError(rule, "signal", repr(signal), wanted)
    change = f"{signal}_post*{factor}*(dt/tau_dw)"
    at_once = update == "step"
    learn = f"w = clip(w + eta*{change}, w_min, w_max)" if at_once else f"gradient += {change}"
    statements = [
        Statements(side="synapse", event="step", code=f"{before}\n{learn}".strip(), order=2)
    ]
    if not at_once:
        equations = f"{equations}\ngradient : 1".strip()
        code = "w = clip(w + eta*gradient, w_min, w_max)\ngradient = 0"
        statements.append(Statements(side="synapse", event="end", code=code))
    return PlasticityRule(
        name=rule,
        statements=statements,
        post_companion=post,
        equations=equations,
        method="exact",
        transient=() if at_once else ("gradient",),
        parameters={"eta": number(rule, "eta", eta), "tau_dw": tau_m, **parameters},
        reference=reference,
        **_response(rule, tau_m, tau_syn),
    )


def _with_own_rates(made: PlasticityRule, decay: float) -> PlasticityRule:
    """RMaxProp: the change over a presentation in units of its own largest value so far."""
    step, end = made.statements
    code = (
        "gradient_max = clip(gradient**2, rmaxprop*gradient_max, 1e30)\n"
        "w = clip(w + eta*gradient/sqrt(gradient_max + 1e-30), w_min, w_max)\n"
        "gradient = 0"
    )
    return attrs.evolve(
        made,
        statements=(step, attrs.evolve(end, code=code)),
        equations=f"{made.equations}\ngradient_max : 1",
        parameters={**made.parameters, "rmaxprop": decay},
    )
