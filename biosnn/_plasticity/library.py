"""The factories of published rules, made of their modules in ``biosnn.equations.rules``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from biosnn._models.factory import Keyword, factory, keywords
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.equations.entries import published_entry
from biosnn.errors import ParameterError
from biosnn.models import Companion, Operation, Schedule, Trace, names_in, parsed
from biosnn.validation import check_choice, check_value, check_whole

Values = dict[str, Any]
#: What a spike does to a trace under a pairing.
BUMPS = {"all": "+= 1", "nearest": "= 1"}


def published_rule(
    entry: str, build: Callable[[ModuleType, Values], PlasticityRule] | None = None
) -> Callable[..., PlasticityRule]:
    """The factory of a rule of ``biosnn.equations.rules``.

    Parameters
    ----------
    entry : str
        Name of the module and of the factory.
    build : function, optional
        Makes the rule of the module and of checked parameters; :func:`rule_of` by default.
    """
    source = published_entry("rules", entry)
    own: dict[str, Keyword] = {}
    if hasattr(source, "MODULATOR"):
        meaning = f'{source.MODULATOR[1]}, as ``"population.variable"`` of one neuron'
        own["modulator"] = Keyword(inspect.Parameter.empty, "str", meaning)

    def make(given: Values) -> PlasticityRule:
        return (build or rule_of)(source, _checked(source, given))

    made = {**own, **keywords(source)}
    return factory(make, source, made, PlasticityRule, name=entry, face="plasticity")


def _checked(source: ModuleType, given: Mapping[str, Any]) -> Values:
    """All parameters of a rule, within their bounds."""
    rule, values = source.NAME, {}
    known = {*source.PARAMETERS, *(["modulator"] if hasattr(source, "MODULATOR") else [])}
    for name in sorted(set(given) - known):
        wanted = f"one of {', '.join(sorted(known))}"
        raise ParameterError(rule, name, given[name], wanted)
    for name, (default, bound, _, *unit) in source.PARAMETERS.items():
        values[name] = value = given.get(name, default)
        scheduled = name in getattr(source, "SCHEDULED", ()) and isinstance(value, Schedule)
        if not bound or scheduled or (unit and value is None):
            continue
        if isinstance(bound, tuple):
            check_choice(rule, name, value, bound)
        elif bound == "whole":
            check_whole(rule, name, value)
        else:
            check_value(rule, name, value, unit[0] if unit else default, bound)
    low, high = values.get("w_min"), values.get("w_max")
    if low is not None and not low < high:
        raise ParameterError(rule, "w_max", high, f"above w_min ({low})")
    if hasattr(source, "MODULATOR"):
        values["modulator"] = _modulator(rule, given.get("modulator"))
    return values


def _modulator(rule: str, value: Any) -> str:
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isidentifier() for part in parts):
        remedy = "Name a variable of a population of one neuron"
        raise ParameterError(rule, "modulator", repr(value), '"population.variable"', remedy)
    return value


def rule_of(source: ModuleType, values: Values, **changes: Any) -> PlasticityRule:
    """The rule of a module.

    Parameters
    ----------
    source : module
        Of ``biosnn.equations.rules``.
    values : dict
        Checked parameters. In code ``{name}`` stands for the one of this name; those whose names
        the statements use become parameters of the rule, in this order.
    **changes
        Fields of the rule that the module does not give.
    """
    every = values.get("every")
    values = {"interval": "dt" if every is None else "every", **values}
    rows = changes.pop("statements", getattr(source, "STATEMENTS", ()))
    if every is not None:
        timed = {"event": "step", "every": every}
        rows = [{**row, **timed} if row["side"] == "synapse" else row for row in rows]
    statements = tuple(Statements(**{**row, "code": filled(row["code"], values)}) for row in rows)
    equations = changes.pop("equations", getattr(source, "EQUATIONS", ""))
    used = parsed(source.NAME, equations).identifiers
    used = used.union(*(names_in(part.code) for part in statements))
    modulators = {}
    if hasattr(source, "MODULATOR"):
        modulators = {source.MODULATOR[0]: values["modulator"]}
    fields = {
        "pre_traces": traces(getattr(source, "PRE_TRACES", ()), values),
        "post_traces": traces(getattr(source, "POST_TRACES", ()), values),
        "pre_companion": companion(getattr(source, "PRE_COMPANION", None), values),
        "post_companion": companion(getattr(source, "POST_COMPANION", None), values),
        "modulators": modulators,
        "transient": getattr(source, "TRANSIENT", ()),
        "parameters": {name: value for name, value in values.items() if name in used},
        "reference": source.REFERENCE,
    }
    return PlasticityRule(
        name=source.NAME, statements=statements, equations=equations, **{**fields, **changes}
    )


def filled(code: str, values: Mapping[str, Any]) -> str:
    """Code with values in the places of ``{name}``."""
    for name, value in values.items():
        code = code.replace(f"{{{name}}}", str(value))
    return code


def traces(rows: Any, values: Mapping[str, Any]) -> tuple[Trace, ...]:
    """Traces of rows that name the parameters which are their time constants."""
    bump = BUMPS[values.get("pairing", "all")]
    return tuple(
        Trace(**{"bump": bump, **row, "tau": values[row["tau"]]})
        for row in rows
        if values[row["tau"]] is not None
    )


def companion(row: Mapping[str, Any] | None, values: Mapping[str, Any]) -> Companion | None:
    """The companion of a row that names parameters of the rule for its own."""
    if row is None:
        return None
    named = {
        field: {name: values[parameter] for name, parameter in row.get(field, {}).items()}
        for field in ("parameters", "initial")
    }
    operations = tuple(
        Operation(**{**operation, "code": filled(operation["code"], values)})
        for operation in row["operations"]
    )
    return Companion(**{**row, "operations": operations, **named})
