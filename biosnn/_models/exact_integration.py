"""Which equations are integrated exactly whatever the method of their neuron, which cannot be."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import attrs
import numpy as np
import sympy
from brian2 import Equations, exponential_euler
from brian2 import exact as exact_method
from brian2.equations.codestrings import Expression
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SingleEquation
from brian2.parsing.sympytools import str_to_sympy
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from scipy.sparse.csgraph import connected_components

from biosnn._models.equation_text import parsed
from biosnn._models.identifiers import rename
from biosnn.errors import ParameterError


def has_pole(equations: str | Equations, parameters: Mapping[str, Any]) -> bool:
    """Whether two coupled linear equations have different rates of the same value.

    The closed form of ``dv/dt = (I - v)/tau_m`` and ``dI/dt = -I/tau_syn`` divides by the
    difference of the rates, so that equal time constants give NaN.

    Parameters
    ----------
    equations : str or Equations
        Brian2 equations.
    parameters : mapping
        Their constants; those that are no single number are taken as different from all others.

    Raises
    ------
    ParameterError
        If a time constant is 0.
    """
    values = {
        sympy.Symbol(name, real=True): float(np.asarray(value))
        for name, value in parameters.items()
        if not attrs.has(type(value)) and np.ndim(value) == 0
    }
    rates = []
    known = parsed("", equations) if isinstance(equations, str) else equations
    for name, expression in known.get_substituted_expressions():
        symbol, code = sympy.Symbol(name, real=True), str_to_sympy(expression.code)
        rate = sympy.diff(code, symbol)
        value = rate.subs(values)
        if value.is_number:
            if value.is_finite is False:
                wanted = "a rate of change that is a number for these parameters"
                remedy = "Give time constants other than 0"
                raise ParameterError("equations", name, "a division by zero", wanted, remedy)
            rates.append((symbol, code.free_symbols, rate, float(value)))
    return any(
        (a in of_b or b in of_a) and rate_a != rate_b and np.isclose(x, y, rtol=1e-6, atol=0)
        for (a, of_a, rate_a, x), (b, of_b, rate_b, y) in itertools.combinations(rates, 2)
    )


#: Methods by which these equations are integrated exactly, or with a controlled error, anyway.
_AS_EXACT = ("exact", "linear", "independent", "gsl")


def linear_apart(equations: str, names: Iterable[str], parameters: Mapping[str, Any]) -> list[str]:
    """Those of some variables whose equations have an exact solution of their own.

    They are linear, depend on no other variables that have a differential equation, and go on
    while a neuron is refractory.

    Parameters
    ----------
    equations : str
        Equations of a neuron.
    names : iterable of str
        Variables of it.
    parameters : mapping
        Constants of the equations.
    """
    found = _linear(equations, tuple(names))
    coupled = [name for name, others in found.items() if others]
    if coupled:
        of_coupled = _alone(parsed("", equations), coupled)
        try:
            exact_method(of_coupled, {})
            solvable = not has_pole(of_coupled, parameters)
        except UnsupportedEquationsException:
            solvable = False
        if not solvable:
            return [name for name in found if name not in coupled]
    return list(found)


@lru_cache(maxsize=256)
def _linear(equations: str, names: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Variables that :func:`linear_apart` may take -> the others of them that they depend on."""
    known = parsed("", equations)
    every = {sympy.Symbol(name, real=True): name for name in known.diff_eq_names}
    rates = {
        name: str_to_sympy(rate.code)
        for name, rate in known.get_substituted_expressions()
        if name in names
        and "unless refractory" not in known[name].flags
        and not rate.identifiers & {"t", *known.stochastic_variables}
    }
    while True:
        chosen = [symbol for symbol, name in every.items() if name in rates]
        kept = {}
        for name, rate in rates.items():
            slopes = [sympy.diff(rate, symbol) for symbol in chosen]
            free = set().union(rate.free_symbols, *(slope.free_symbols for slope in slopes))
            changing = set().union(*(slope.free_symbols for slope in slopes)) & set(chosen)
            if not changing and any(slopes) and free & set(every) <= set(chosen):
                kept[name] = rate
        if len(kept) == len(rates):
            break
        rates = kept
    return {
        name: frozenset(every[s] for s in rate.free_symbols & set(every)) - {name}
        for name, rate in rates.items()
    }


def _alone(equations: Equations, names: Iterable[str], variables: Any = None) -> Equations:
    """The differential equations of some variables, subexpressions written out."""
    rates = dict(equations.get_substituted_expressions(variables))
    return Equations([
        SingleEquation(
            DIFFERENTIAL_EQUATION,
            name,
            equations[name].dim,
            expr=Expression(rates[name].code),
        )
        for name in names
    ])  # fmt: skip


@attrs.frozen
class ExactByComponents(StateUpdateMethod):
    """Exact integration of linear equations, each set of coupled equations for itself.

    The statements are those of Brian2's ``"exact"``, which takes the matrix exponential of all
    equations at once: for 18 uncoupled traces it needs a hundred times as long.
    """

    def __call__(
        self,
        equations: Equations,
        variables: Mapping[str, Any] | None = None,
        method_options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the statements of a step."""
        rates = [
            (name, rate.identifiers)
            for name, rate in equations.get_substituted_expressions(variables)
            if name in equations.diff_eq_names
        ]
        names = [name for name, _ in rates]
        coupled = [[other in read for other in names] for _, read in rates]
        n, component = connected_components(np.array(coupled, ndmin=2), directed=False)
        if n <= 1:
            return exact_method(equations, variables, method_options)
        step = {}
        for k in range(n):
            own = [name for name, of in zip(names, component, strict=True) if of == k]
            solved = exact_method(_alone(equations, own, variables), variables, method_options)
            # One line for the new value of each variable, then one that writes it.
            step |= {line.split(" = ")[0]: line for line in solved.splitlines()}
        return "\n".join(step[f"{prefix}{name}"] for prefix in ("_", "") for name in names)


@attrs.frozen
class WithExact(StateUpdateMethod):
    """Integration of some linear equations exactly, and of all others by another method.

    In a step the others see what they would see if that method integrated all.

    Parameters
    ----------
    method : str
        Brian2's name of the method for the others.
    exact : tuple of str
        What :func:`linear_apart` has found.
    """

    method: str
    exact: tuple[str, ...]

    def __call__(
        self,
        equations: Equations,
        variables: Mapping[str, Any] | None = None,
        method_options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the statements of a step."""
        own = [name for name in self.exact if name in equations.diff_eq_names]
        alone = _alone(equations, own, variables)
        single = all(not e.identifiers & (set(own) - {e.varname}) for e in alone.values())
        solve = exponential_euler if single else exact_method
        names = {f"_{name}": f"_exact_{name}" for name in own}
        solved = rename(solve(alone, variables), names).splitlines()
        others = equations.diff_eq_names - set(own)
        rates = dict(equations.get_substituted_expressions(variables))
        rest = equations
        if not any(rates[name].identifiers & set(own) for name in others):
            rest = Equations([e for name, e in equations.items() if name not in own])
        elsewhere = ""
        if others:
            elsewhere = StateUpdateMethod.apply_stateupdater(
                rest, variables, self.method, method_options=method_options
            )
        # The new values are computed first and written last.
        return "\n".join([*solved[: -len(own)], elsewhere, *solved[-len(own) :]])


def with_exact(method: Any, names: Iterable[str], equations: str) -> Any:
    """A method that integrates some variables exactly.

    Parameters
    ----------
    method : str
        Brian2's name of the method for all others.
    names : iterable of str
        What :func:`linear_apart` has found.
    equations : str
        All of them.
    """
    names = tuple(names)
    if not names or not isinstance(method, str) or method.lower().startswith(_AS_EXACT):
        return method
    if method == "exponential_euler" and not any(_linear(equations, names).values()):
        return method  # exact for each equation alone
    return WithExact(method, names)
