"""A rule in the words of Brian2's ``Synapses``."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import sympy
from brian2 import Equations, second
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SingleEquation
from brian2.parsing.sympytools import str_to_sympy
from brian2.utils.stringtools import deindent

from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.code_gate import check_statements
from biosnn.errors import ParameterError
from biosnn.models import (
    Known,
    Schedule,
    Trace,
    check_equation_units,
    check_parameters,
    check_statement_units,
    equation_text,
    names_in,
    parsed,
    rename,
    scope_of,
)

_DRIVEN = "event-driven"


def rule(
    on_pre: str,
    on_post: str,
    *,
    equations: str | Equations = "",
    parameters: Mapping[str, Any] | None = None,
    name: str = "rule",
    reference: str = "",
) -> PlasticityRule:
    r"""A rule of one's own, in the words in which it stands in a ``brian2.Synapses``.

    Parameters
    ----------
    on_pre, on_post : str
        Statements for presynaptic and postsynaptic spikes; empty for none. The weight is ``w``,
        without a unit. What a spike does to the target (``g_e_post += w``) belongs into the
        projection's ``transmit``: it also happens where nothing learns.
    equations : str or brian2.Equations
        Variables of a synapse. ``w : 1`` may be left out.
    parameters : mapping, optional
        Name -> Quantity, number or :class:`~biosnn.models.Schedule`.
    name, reference : str
        For messages; source with DOI and equation.

    Returns
    -------
    PlasticityRule
        An ``(event-driven)`` variable that decays exponentially and that spikes of one side
        increase (or set) by what all synapses share becomes a trace of that side's neurons, which
        has the same values and is one per neuron. Another one stays with each synapse, and is
        integrated when events arrive.

    Raises
    ------
    ParameterError
        If statements change variables of neurons, or equations or statements are not valid.

    Notes
    -----
    The form of Brian2's ``Synapses``: Stimberg, Brette & Goodman 2019, eLife 8:e47314,
    doi:10.7554/eLife.47314.

    Examples
    --------
    >>> from brian2 import ms
    >>> from biosnn import plasticity
    >>> stdp = plasticity.rule(
    ...     on_pre="Apre += dApre; w = clip(w + Apost, 0, gmax)",
    ...     on_post="Apost += dApost; w = clip(w + Apre, 0, gmax)",
    ...     equations="dApre/dt = -Apre/taupre : 1 (event-driven)\n"
    ...               "dApost/dt = -Apost/taupost : 1 (event-driven)",
    ...     parameters=dict(taupre=20 * ms, taupost=20 * ms, dApre=.01, dApost=-.0105, gmax=1.0),
    ... )
    >>> stdp.pre_traces[0].name, stdp.post_traces[0].name
    ('Apre', 'Apost')
    """
    given = dict(parameters or {})
    check_parameters(name, given)
    codes = {}
    for side, code in (("pre", on_pre), ("post", on_post)):
        check_statements(name, f"on_{side}", code)
        codes[side] = _Code(name, side, code)
        for line in codes[side].lines:
            if _target(line) in given:
                wanted = "statements that leave parameters as they are"
                got = repr(ast.unparse(line))
                raise ParameterError(name, f"on_{side}", got, wanted, "Declare it in equations")
    declared = parsed(name, equation_text(equations))
    _check_expressions(name, declared)
    scope = {"w": Known(), **scope_of(declared, given)}
    check_equation_units(name, "equations", declared, scope)
    for side, code in codes.items():
        check_statement_units(name, f"on_{side}", code.text, scope)
    kept, moved, traces = [], [], {"pre": [], "post": []}
    for equation in declared.values():
        driven = equation.type == DIFFERENTIAL_EQUATION and _DRIVEN in equation.flags
        side = _side(equation, declared, codes, given) if driven else ""
        if side:
            traces[side].append(_trace(name, equation, codes, side, _numbers(given)))
            moved.append(equation)
        else:
            kept.append(equation)
    in_traces = set(given) & {name for equation in moved for name in equation.identifiers}
    left = {name for code in codes.values() for name in names_in(code.text)}
    left |= {name for equation in kept for name in equation.identifiers}
    statements = [
        Statements(side=side, code=codes[side].text, order=int(side == "post"))
        for side in ("pre", "post")
        if codes[side].lines
    ]
    return PlasticityRule(
        name=name,
        statements=tuple(statements),
        pre_traces=tuple(traces["pre"]),
        post_traces=tuple(traces["post"]),
        equations=equation_text(Equations(kept)),
        parameters={k: v for k, v in given.items() if k not in in_traces - left},
        reference=reference,
    )


def _check_expressions(name: str, declared: Equations) -> None:
    """Refuse expressions of event-driven variables.

    Between two events these hold the value that they had at the last one, and Brian2 does not say
    which value an expression sees.
    """
    driven = {key for key in declared.diff_eq_names if _DRIVEN in declared[key].flags}
    for key in sorted(declared.subexpr_names):
        read = sorted(driven & declared[key].identifiers)
        if read:
            raise ParameterError(
                name,
                "equations",
                f"{key}, an expression of {read[0]} (event-driven)",
                "expressions of variables that are up to date in every time step",
                f"Write it out in the statements, or leave (event-driven) of {read[0]} out",
            )


@attrs.define(init=False)
class _Code:
    """Statements of one side, one by one."""

    lines: list[ast.Assign | ast.AugAssign]

    def __init__(self, name: str, side: str, code: str):
        self.lines = []
        for statement in ast.parse(deindent(code).strip()).body:
            assert isinstance(statement, ast.Assign | ast.AugAssign)
            target = _target(statement)
            if target.endswith(("_pre", "_post")):
                remedy = 'Give the projection transmit="..." for what a spike does to its target'
                wanted = "statements for variables of the synapse"
                got = repr(ast.unparse(statement))
                raise ParameterError(name, f"on_{side}", got, wanted, remedy)
            self.lines.append(statement)

    @property
    def text(self) -> str:
        """The statements as Brian2 code."""
        return "\n".join(map(ast.unparse, self.lines))

    def assigning(self, variable: str) -> list[int]:
        """Numbers of the statements that change a variable."""
        return [k for k, line in enumerate(self.lines) if _target(line) == variable]

    def reading(self, variable: str) -> list[int]:
        """Numbers of the statements that read a variable, besides what ``+=`` reads."""
        return [k for k, x in enumerate(self.lines) if variable in names_in(ast.unparse(x.value))]


def _target(statement: ast.Assign | ast.AugAssign) -> str:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    return target.id if isinstance(target, ast.Name) else ""


def _rate(equation: SingleEquation, numbers: Mapping[str, float]) -> float:
    """The rate (1/s) at which a variable decays exponentially; 0 if that is not what it does."""
    variable = sympy.Symbol(equation.varname, real=True)
    change = str_to_sympy(equation.expr.code)
    rate = sympy.simplify(-change / variable)
    value = rate.subs({s: numbers[s.name] for s in rate.free_symbols if s.name in numbers})
    return float(value) if value.is_number and value.is_real else 0.0


def _numbers(parameters: Mapping[str, Any]) -> dict[str, float]:
    """Units, Brian2's constants, and the parameters that stay one number, in SI units."""
    standard = {name: float(unit) for name, unit in DEFAULT_UNITS.items()}
    standard |= {name: float(value.get_value()) for name, value in DEFAULT_CONSTANTS.items()}
    return standard | {
        name: float(np.asarray(value))
        for name, value in parameters.items()
        if not isinstance(value, Schedule) and np.ndim(value) == 0
    }


def _side(
    equation: SingleEquation,
    declared: Equations,
    codes: Mapping[str, _Code],
    parameters: Mapping[str, Any],
) -> str:
    """The side whose neurons can keep a variable as a trace; empty if none can.

    Spikes of that side change it by one statement, and by what all synapses share. A presynaptic
    neuron's trace has its jump before the synapses of a time step, so what reads it on that side
    comes later; that of a postsynaptic neuron has it after them, so nothing on that side reads it.
    The weight and what other equations read stay on the synapse, as does a variable whose trace
    would have a name that means something else.
    """
    name = equation.varname
    others = {n for other in declared.values() if other is not equation for n in other.identifiers}
    if name == "w" or name in others:
        return ""
    numbers = _numbers(parameters)
    changed = {side: code.assigning(name) for side, code in codes.items()}
    sides = [side for side, found in changed.items() if found]
    if len(sides) != 1 or len(changed[sides[0]]) != 1 or _rate(equation, numbers) <= 0:
        return ""
    side, (at,) = sides[0], changed[sides[0]]
    line = codes[side].lines[at]
    shared = names_in(ast.unparse(line.value)) <= numbers.keys()
    jumps = isinstance(line, ast.Assign) or isinstance(line.op, ast.Add)
    reads = codes[side].reading(name)
    late = not reads if side == "post" else all(k > at for k in reads)
    used = others.union(parameters, *(names_in(code.text) for code in codes.values()))
    free = f"{name}_{side}" not in used
    return side if shared and jumps and late and free else ""


def _trace(
    rule: str,
    equation: SingleEquation,
    codes: Mapping[str, _Code],
    side: str,
    numbers: Mapping[str, float],
) -> Trace:
    """The trace of a variable, whose jump is 1: statements read it times its jump."""
    name = equation.varname
    (at,) = codes[side].assigning(name)
    line = codes[side].lines.pop(at)
    read = {name: f"(({ast.unparse(line.value)})*{name}_{side})"}
    for code in codes.values():
        code.lines = ast.parse(rename(code.text, read)).body  # type: ignore[assignment]
    return Trace(
        name=name,
        tau=second / _rate(equation, numbers),
        bump="= 1" if isinstance(line, ast.Assign) else "+= 1",
        when="before_synapses" if side == "pre" else "after_synapses",
    )
