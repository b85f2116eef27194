"""Homeostasis: thresholds that adapt, and decay of weights."""

from __future__ import annotations

import ast
from types import ModuleType
from typing import Any

import attrs
from brian2 import Hz, get_unit, second

from biosnn._plasticity.library import Values, filled, rule_of
from biosnn._plasticity.rule import PlasticityRule
from biosnn.errors import ParameterError
from biosnn.models import Companion, NeuronModel, Operation, parsed
from biosnn.validation import check_instance, check_value


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
        parameters[f"tau_{name}"] = check_value(
            "adaptive_threshold", "tau_theta", tau_theta, second, "> 0"
        )
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


def heterosynaptic(source: ModuleType, values: Values) -> PlasticityRule:
    """Decay of weights at a spike, which a power of the trace makes one of bursts."""
    if not values["power"]:
        values["factor"] = source.FACTOR_OF_EVERY_SPIKE
        return rule_of(source, values, post_traces=())
    values["factor"] = filled(source.FACTOR, values)
    return rule_of(source, values)
