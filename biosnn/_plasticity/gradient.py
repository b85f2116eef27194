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

from types import ModuleType
from typing import Any

import attrs
from brian2 import ms
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity

from biosnn._plasticity.library import Values, companion, filled, rule_of, traces
from biosnn._plasticity.rule import PlasticityRule
from biosnn.errors import ParameterError
from biosnn.models import Companion, NeuronModel, Operation
from biosnn.validation import check_instance, check_value

#: What presynaptic spikes of weight 1 do to the potential, without those of the present step: to
#: the potential itself, or by way of a synaptic current.
_TRACE = ({"name": "x", "tau": "tau_m", "when": "after_synapses"},)
_CURRENT = {
    "equations": "dx/dt = (x_syn - x)/tau_x : 1\ndx_syn/dt = -x_syn/tau_x_syn : 1",
    "operations": ({"code": "x_syn += 1", "on": "spike", "when": "after_synapses"},),
    "parameters": {"tau_x": "tau_m", "tau_x_syn": "tau_syn"},
}
_CHANGE = "{signal}_post*{factor}*(dt/tau_dw)"


def three_factors(source: ModuleType, values: Values) -> PlasticityRule:
    """A rule that adds ``eta*L*factor`` in every step, to the weight or to a sum for its end."""
    rule, signal = source.NAME, values["signal"]
    if not isinstance(signal, str) or not signal.isidentifier():
        wanted = "the name of a variable of the postsynaptic neuron"
        raise ParameterError(rule, "signal", repr(signal), wanted)
    at_once = values["update"] == "step"
    grow, equations = getattr(source, "ELIGIBILITY", ""), getattr(source, "EQUATIONS", "")
    values["factor"] = source.FACTOR
    if values.get("tau_out", ms) is None:
        grow, equations, values["factor"] = "", "", source.UNFILTERED
    change = filled(_CHANGE, values)
    learn = f"w = clip(w + eta*{change}, w_min, w_max)" if at_once else f"gradient += {change}"
    step = {"side": "synapse", "event": "step", "code": f"{grow}\n{learn}".strip(), "order": 2}
    statements = [step]
    if not at_once:
        equations = f"{equations}\ngradient : 1".strip()
        code = "w = clip(w + eta*gradient, w_min, w_max)\ngradient = 0"
        statements.append({"side": "synapse", "event": "end", "code": code})
    current = values["tau_syn"] is not None
    return rule_of(
        source,
        {"eta": values["eta"], "tau_dw": values["tau_m"], **values},
        statements=statements,
        equations=equations,
        method="exact",
        transient=() if at_once else ("gradient",),
        pre_traces=() if current else traces(_TRACE, values),
        pre_companion=companion(_CURRENT, values) if current else None,
        post_companion=_surrogate(source, values) if hasattr(source, "PSI") else None,
    )


def superspike(source: ModuleType, values: Values) -> PlasticityRule:
    """SuperSpike, with one learning rate or with one of every synapse (RMaxProp)."""
    check_unlike(source.NAME, values["tau_rise"], values["tau_decay"])
    if values["rmaxprop"] is None:
        return three_factors(source, values)
    if values["update"] != "presentation":
        wanted = '"presentation" with rmaxprop'
        raise ParameterError(source.NAME, "update", repr(values["update"]), wanted)
    made = three_factors(source, values)
    step, end = made.statements
    return attrs.evolve(
        made,
        statements=(step, attrs.evolve(end, code=source.RMAXPROP)),
        equations=f"{made.equations}\n{source.LARGEST}",
        parameters={**made.parameters, "rmaxprop": values["rmaxprop"]},
    )


def _surrogate(source: ModuleType, values: Values) -> Companion:
    """The postsynaptic factor ``psi``, taken where the threshold is about to be tested."""
    distance, width = values["distance"], values["width"]
    if not isinstance(distance, str) or not distance.strip():
        wanted = "a Brian2 expression of the postsynaptic neuron"
        raise ParameterError(source.NAME, "distance", repr(distance), wanted)
    like = Quantity(1, dim=getattr(width, "dim", DIMENSIONLESS))
    check_value(source.NAME, "width", width, like, "> 0")
    code = f"psi = {filled(source.PSI, values)}"
    return Companion(
        equations="psi : 1",
        operations=(Operation(code=code, when="before_thresholds", plastic=True),),
        parameters={name: values[parameter] for name, parameter in source.OF_PSI.items()},
    )


def check_unlike(rule: str, tau_rise: Any, tau_decay: Any) -> None:
    """Check that a double exponential has two time constants.

    Raises
    ------
    ParameterError
        If it has not.
    """
    if abs(float(tau_rise / tau_decay) - 1) < 1e-6:
        raise ParameterError(rule, "tau_rise", tau_rise, f"unlike tau_decay ({tau_decay})")


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
        f"tau_{name}_rise": check_value("spike_error", "tau_rise", tau_rise, ms, "> 0"),
        f"tau_{name}_decay": check_value("spike_error", "tau_decay", tau_decay, ms, "> 0"),
    }
    check_unlike("spike_error", tau_rise, tau_decay)
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
