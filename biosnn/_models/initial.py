"""Initial values as expressions: their checks, and the formulas that are evaluated before a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from brian2 import Equations
from brian2.codegen.optimisation import Simplifier
from brian2.core import namespace
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.preferences import prefs
from brian2.core.variables import Variable
from brian2.equations.equations import BOOLEAN, INTEGER

from biosnn._models.identifiers import names_in, rename, without_value
from biosnn._models.neuron_fields import NeuronFields
from biosnn._models.units import (
    BUILT_IN,
    Known,
    Scope,
    as_variable,
    check_condition_units,
    check_expression_units,
    scope_of,
)
from biosnn.code_gate import check_expression
from biosnn.errors import ParameterError
from biosnn.initial_values import FUNCTIONS, Formula

#: What no expression may use: before a run there is no time.
_IN_A_RUN = (*BUILT_IN.keys() - {"i", "j", "N", "N_pre", "N_post"}, "timestep")
_VALUE = "value_"


def check_text(
    where: str,
    field: str,
    text: str,
    known: Scope,
    later: Iterable[str],
    variable: Known,
    used: Iterable[str],
) -> None:
    """Check an expression: its text, its names and its unit.

    Parameters
    ----------
    where, field : str
        Whose it is, for the message.
    text : str
        The expression.
    known : mapping
        Names that it may use, besides functions, units and constants.
    later : iterable of str
        Variables that have no value yet when it is evaluated.
    variable : Known
        What the variable is whose values it gives.
    used : iterable of str
        All names that it uses, with those of subexpressions.

    Raises
    ------
    ParameterError
        Naming what cannot be.
    """
    check_expression(where, field, text)
    names = names_in(text)
    functions = names & (set(DEFAULT_FUNCTIONS) - FUNCTIONS)
    for name in sorted((names & set(_IN_A_RUN)) - set(known) | functions):
        got, wanted = f"{name} in {text!r}", "an expression of what is known before a run"
        raise ParameterError(where, field, got, wanted)
    missing = without_value(names, known) + sorted(names & {"j", "N_pre", "N_post"} - set(known))
    if missing:
        among = ", ".join(sorted(known))
        raise ParameterError(
            where,
            field,
            repr(text),
            f"made of names that have a value; {missing} has none",
            f"There are {among}",
        )
    early = sorted(set(used) & set(later))
    if early:
        got, wanted = f"{early[0]} in {text!r}", "made of variables that have their values already"
        remedy = "Initial values are given in the order of the dict: put it behind those it uses"
        raise ParameterError(where, field, got, wanted, remedy)
    if variable.boolean:
        check_condition_units(where, field, text, known)
    else:
        check_expression_units(where, field, text, variable.dim, known)


def check_initial_text(model: NeuronFields, variable: str, equations: Equations) -> None:
    """Check an initial value of a neuron model that is an expression.

    Raises
    ------
    ParameterError
        Naming what cannot be.
    """
    text, order = model.initial[variable], list(model.initial)
    linked = {name for name in equations.names if "linked" in equations[name].flags}
    follows = set(model.parameters) - set(model.constants)
    known = {
        name: meaning
        for name, meaning in scope_of(equations, model.parameters).items()
        if name not in {*linked, *follows, *equations.stochastic_variables}
    }
    known |= {name: BUILT_IN[name] for name in ("i", "N")}
    field = f"initial[{variable!r}]"
    check_expression(model.name, field, text)
    later = order[order.index(variable) :]
    used = {name for _, code in _steps(text, equations) for name in names_in(code)}
    for name in sorted(used - names_in(text) - set(known)):
        if name in linked | follows or name in _IN_A_RUN:
            got = f"{text!r}, which depends on {name}"
            raise ParameterError(
                model.name, field, got, "an expression of what is known before a run"
            )
    is_boolean = equations[variable].var_type == BOOLEAN
    meant = Known(equations[variable].dim, boolean=is_boolean)
    check_text(model.name, field, text, known, later, meant, used)


def _steps(text: str, equations: Equations) -> list[tuple[str, str]]:
    """Subexpressions that an expression uses, each behind those that it uses, and itself."""
    steps: dict[str, str] = {}

    def need(code: str) -> None:
        for name in sorted(names_in(code)):
            if name in equations.subexpr_names and name not in steps:
                inner = " ".join(equations[name].expr.code.split())
                need(inner)
                steps[name] = inner

    need(text)
    return [*steps.items(), (_VALUE, " ".join(text.split()))]


def neuron_formula(key: str, model: NeuronFields, equations: Equations, name: str, n: int) -> Any:
    """The formula of an initial value that is an expression of a neuron model.

    Parameters
    ----------
    key : str
        Of the population.
    model : NeuronModel
        With all that its neurons carry.
    equations : Equations
        Of the model.
    name : str
        The variable.
    n : int
        How many values.
    """
    steps = _steps(model.initial[name], equations)
    used = {name for _, code in steps for name in names_in(code)}
    scope = {**BUILT_IN, **scope_of(equations, model.parameters)}
    computed = {step for step, _ in steps}
    return Formula(
        code=_simplified(steps, scope),
        size=n,
        whole=equations[name].var_type == INTEGER,
        constants=_numbers(used, model.parameters),
        variables={v: f"{key}.{v}" for v in sorted(used & (equations.names - computed))},
    )


def synapse_formula(
    text: str,
    key: str,
    equations: Equations,
    parameters: Mapping[str, Any],
    sides: Mapping[str, tuple[str, NeuronFields, Equations]],
    scope: Scope,
) -> Formula:
    """The formula of an initial value that is an expression of synapses, for one synapse.

    Parameters
    ----------
    text : str
        The expression.
    key : str
        Of the projection.
    equations : Equations
        Of the synapses, with the weight.
    parameters : mapping
        Constants of the synapses.
    sides : mapping
        ``"pre"`` and ``"post"`` -> key, model and equations of the population.
    scope : mapping
        What is known of all names.
    """
    synapses = _Synapses(equations, parameters, sides)
    synapses.need(text)
    steps = [*synapses.steps.items(), (_VALUE, " ".join(text.split()))]
    used = {name for _, code in steps for name in names_in(code)}
    values = equations.names - set(synapses.steps)
    return Formula(
        code=_simplified(steps, {**scope, **scope_of(Equations(""), synapses.constants)}),
        size=1,
        constants=_numbers(used, synapses.constants),
        variables={name: f"{key}.{name}" for name in sorted(used & values)},
        pre=synapses.found["pre"],
        post=synapses.found["post"],
    )


class _Synapses:
    """What an expression of synapses needs: subexpressions as steps, constants, variables."""

    def __init__(
        self,
        equations: Equations,
        parameters: Mapping[str, Any],
        sides: Mapping[str, tuple[str, NeuronFields, Equations]],
    ):
        self.equations, self.constants, self.sides = equations, dict(parameters), sides
        self.steps: dict[str, str] = {}
        self.found: dict[str, dict[str, str]] = {"pre": {}, "post": {}}

    def need(self, code: str) -> None:
        """Add what code uses."""
        for name in sorted(names_in(code)):
            if name in self.steps or name in self.constants:
                continue
            if name in self.equations.subexpr_names:
                self._step(name, self.equations[name].expr.code)
            elif name not in self.equations.names:
                self._of_side(name)

    def _step(self, name: str, code: str) -> None:
        code = " ".join(code.split())
        self.need(code)
        self.steps[name] = code

    def _of_side(self, name: str) -> None:
        """A name that may be a variable of a neuron: without an ending, of the target."""
        base, _, side = name.rpartition("_")
        if side not in self.sides:
            base, side = name, "post"
        key, model, known = self.sides[side]
        if base not in known.subexpr_names:
            if base in known.names:
                self.found[side][name] = f"{key}.{base}"
            return
        code = known[base].expr.code
        given = {k: f"{k}_of_{side}" for k in names_in(code) & set(model.constants)}
        self.constants.update({given[k]: model.constants[k] for k in given})
        own = {k: f"{k}_{side}" for k in names_in(code) & known.names}
        counts = {"i": "i" if side == "pre" else "j", "N": f"N_{side}"}
        self._step(name, rename(code, {**counts, **own, **given}))


def _numbers(used: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, float]:
    """The numbers, in SI units, that names stand for."""
    found = {}
    for name in sorted(used):
        if name in parameters:
            found[name] = float(np.asarray(parameters[name]).item())
        elif name in namespace.DEFAULT_UNITS:
            found[name] = float(namespace.DEFAULT_UNITS[name])
        elif name in namespace.DEFAULT_CONSTANTS:
            found[name] = float(namespace.DEFAULT_CONSTANTS[name].value)
    return found


def _simplified(steps: list[tuple[str, str]], scope: Scope) -> str:
    """Statements with the arithmetic that Brian2 makes of them: the last digits depend on it."""
    variables: dict[str, Any] = dict(DEFAULT_FUNCTIONS)
    for name in {name for _, code in steps for name in names_in(code)}:
        if name in ("i", "j"):
            variables[name] = Variable(name, dtype=np.int32, scalar=False)
        elif name.startswith("N") and name in BUILT_IN:
            variables[name] = Variable(name, dtype=np.int32, scalar=True)
        elif name not in variables:
            variables[name] = as_variable(name, scope)
    kept = prefs.core.default_float_dtype
    prefs.core.default_float_dtype = np.float64
    try:
        simplifier = Simplifier(variables, [])
        lines = [(name, simplifier.render_expr(code)) for name, code in steps]
    finally:
        prefs.core.default_float_dtype = kept
    scalars = [(name, code) for code, name in simplifier.loop_invariants.items()]
    return "\n".join(f"{name} = {code}" for name, code in [*scalars, *lines])
