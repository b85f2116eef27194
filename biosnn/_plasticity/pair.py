"""Rules of pairs and triplets of spikes, whose terms depend on options."""

from __future__ import annotations

import ast
from types import ModuleType
from typing import Any

from brian2 import ms
from brian2.core.functions import DEFAULT_FUNCTIONS

from biosnn._plasticity.library import Values, rule_of
from biosnn._plasticity.rule import PlasticityRule
from biosnn.equations.rules import triplet_stdp
from biosnn.errors import ParameterError
from biosnn.validation import check_choice, check_value


def pair(source: ModuleType, values: Values) -> PlasticityRule:
    """Pair STDP with a dependence on the weight."""
    rule, dependence = source.NAME, values["weight_dependence"]
    mu, w_0 = values.pop("mu"), values.pop("w_0")
    if dependence == "power_law":
        both = mu if isinstance(mu, tuple | list) else (mu, mu)
        if len(both) != 2:
            raise ParameterError(rule, "mu", mu, "one exponent, or two")
        for name, value in zip(("mu_plus", "mu_minus"), both, strict=True):
            values[name] = check_value(rule, name, value, 1.0, "in [0, 1]")
    elif dependence == "morrison":
        values["mu"] = check_value(rule, "mu", mu, 1.0, "in [0, 1]")
        values["w_0"] = check_value(rule, "w_0", w_0, 1.0, "> 0")
        if values["w_min"] < 0:
            raise ParameterError(rule, "w_min", values["w_min"], ">= 0 with a power of the weight")
    values["up"], values["down"] = source.DEPENDENCE[dependence]
    return rule_of(source, values)


def inhibitory(source: ModuleType, values: Values) -> PlasticityRule:
    """Symmetric STDP whose constant term sets a rate."""
    alpha = float(2 * values["target_rate"] * values["tau_stdp"])
    named = {name: values[name] for name in ("tau_stdp", "eta")}
    return rule_of(source, {**named, "alpha": alpha, **values})


def triplet_parameters(
    data: str = "visual_cortex", form: str = "minimal", pairing: str = "all"
) -> dict[str, Any]:
    """The parameters that Pfister & Gerstner fitted to an experiment.

    Parameters
    ----------
    data : {"visual_cortex", "hippocampus"}
        Slices of visual cortex (their Table 3), or hippocampal culture (Table 4).
    form : {"full", "minimal"}
        All terms, or only those that the data need.
    pairing : {"all", "nearest"}
        The amplitudes belong to one pairing.

    Returns
    -------
    dict
        ``A2_plus``, ``A3_plus``, ``A2_minus``, ``A3_minus``, ``tau_plus``, ``tau_minus``,
        ``tau_y``, and ``tau_x`` where the fit has one.

    Notes
    -----
    ``tau_plus`` and ``tau_minus`` are those of Bi & Poo 2001 in all fits,
    doi:10.1146/annurev.neuro.24.1.139.
    """
    chosen = {"data": data, "form": form, "pairing": pairing}
    for name, value in chosen.items():
        check_choice("triplet_parameters", name, value, triplet_stdp.PARAMETERS[name][1])
    fit = zip(triplet_stdp.FITTED, triplet_stdp.TABLES[data, form, pairing], strict=True)
    found: dict[str, Any] = {
        name: value * ms if name.startswith("tau") else value
        for name, value in fit
        if value is not None
    }
    return {**found, "tau_plus": triplet_stdp.TAU_PLUS, "tau_minus": triplet_stdp.TAU_MINUS}


def triplet(source: ModuleType, values: Values) -> PlasticityRule:
    """Triplet STDP, without the terms whose amplitude is zero."""
    fitted = triplet_parameters(*(values[name] for name in ("data", "form", "pairing")))
    fitted = {"tau_x": source.TAU_X, **fitted}
    values = {k: fitted.get(k) if value is None else value for k, value in values.items()}
    for amplitude, constant, term in (
        ("A3_minus", "tau_x", "depression"),
        ("A3_plus", "tau_y", "potentiation"),
    ):
        zero = isinstance(values[amplitude], int | float) and values[amplitude] == 0
        values[term] = getattr(source, term.upper())[zero]
        if zero:
            values[constant] = None
    return rule_of(source, values)


def discrete(source: ModuleType, values: Values) -> PlasticityRule:
    """STDP in discrete steps, scaled by expressions of the weight."""
    for name in ("f_pre", "f_post"):
        _check_expression(source.NAME, name, values[name])
    for name in ("tau_pre", "tau_post"):
        if check_value(source.NAME, name, values[name], 1.0, "> 0") < 1:
            raise ParameterError(source.NAME, "tau", values[name], ">= 1 time step")
    return rule_of(source, values)


def _check_expression(rule: str, name: str, code: str) -> None:
    try:
        tree = ast.parse(code.strip(), mode="eval")
    except (SyntaxError, AttributeError) as error:
        wanted = "a Brian2 expression of w"
        raise ParameterError(rule, name, repr(code), wanted, str(error)) from error
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    unknown = used - {"w", "w_min", "w_max"} - set(DEFAULT_FUNCTIONS)
    if unknown:
        wanted = "an expression of w, w_min and w_max"
        raise ParameterError(rule, name, repr(code), wanted, f"{sorted(unknown)[0]} is unknown")
