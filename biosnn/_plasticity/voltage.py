"""Voltage-based plasticity, with or without homeostasis and late potentials."""

from __future__ import annotations

from types import ModuleType

from biosnn._plasticity.library import Values, filled, rule_of
from biosnn._plasticity.rule import PlasticityRule
from biosnn.models import Companion, Event, Operation


def voltage(source: ModuleType, values: Values) -> PlasticityRule:
    """The rule of Clopath et al., whose filters live on the postsynaptic neuron."""
    homeostatic = values["u_ref"] is not None
    minus, plus, late = _delayed(values["lag"])
    values |= {"A": source.HOMEOSTATIC if homeostatic else "A_LTD", "minus": minus, "plus": plus}
    constants = {
        "tau_u_minus": values["tau_minus"],
        "tau_u_plus": values["tau_plus"],
        "u_rest": values["u_rest"],
        "theta_u_minus": values["theta_minus"],
        "theta_u_plus": values["theta_plus"],
        **({"tau_u_bar": values["tau_bar"]} if homeostatic else {}),
    }
    means = [source.MEAN] if homeostatic else []
    shift = "\n".join(f"{name} = {earlier}" for name, earlier in late.items())
    neuron = Companion(
        equations="\n".join([source.FILTERS, *means, *(f"{name} : volt" for name in late)]),
        operations=(Operation(code=shift, when="end"),) if late else (),
        parameters=constants,
        initial=dict.fromkeys(("u_minus", "u_plus", *late), "u_rest"),
        slow=("u_bar",) if homeostatic else (),
        events={"depolarised": Event(condition=filled(source.DEPOLARISED, values))},
    )
    return rule_of(source, values, post_companion=neuron)


def _delayed(lag: int) -> tuple[str, str, dict[str, str]]:
    """Names of the filtered potentials that are read, and of what delays them -> its source."""
    late: dict[str, str] = {}
    for name in ("u_minus", "u_plus"):
        steps = [name, *(f"{name}_{k}" for k in range(1, lag + 1))]
        late |= {steps[k]: steps[k - 1] for k in range(lag, 0, -1)}
    ending = f"_{lag}" if lag else ""
    return f"u_minus{ending}", f"u_plus{ending}", late
