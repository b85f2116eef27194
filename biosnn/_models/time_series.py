"""Parameters with values over time, which equations call with the time: ``I(t)``, ``I(t, i)``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from brian2 import Equations, TimedArray
from brian2.equations.codestrings import Expression
from brian2.equations.equations import SingleEquation
from brian2.utils.stringtools import deindent

from biosnn._models.equation_text import equation_text, parsed
from biosnn._models.neuron_fields import NeuronFields
from biosnn.errors import ParameterError

#: Methods that look at later times than the beginning of a step.
_LATER = ("rk2", "rk4")


def functions_of(model: NeuronFields, prefix: str) -> dict[str, TimedArray]:
    """Series of a model as functions of Brian2, with names that begin with a prefix."""
    return {name: series.timed_array(f"{prefix}_{name}") for name, series in model.series.items()}


class _Calls(ast.NodeTransformer):
    """Replaces calls of series."""

    def __init__(self, names: Iterable[str], time: str):
        self.names, self.time = frozenset(names), time

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call at another time, or without one."""
        if not (isinstance(node.func, ast.Name) and node.func.id in self.names):
            return self.generic_visit(node)
        if not self.time:
            return ast.Name(node.func.id)
        return ast.Call(node.func, [ast.Name(self.time), *node.args[1:]], [])


def at_time(code: str, names: Iterable[str], time: str) -> str:
    """Code that calls series with another name for the time; an empty one leaves the calls out."""
    if not (names := frozenset(names)):
        return code
    return ast.unparse(_Calls(names, time).visit(ast.parse(deindent(code).strip())))


def equations_at_time(text: str, names: Iterable[str], time: str) -> str:
    """Equations that call series with another name for the time; an empty one leaves them out."""
    if not (names := frozenset(names)):
        return text
    known = parsed("", text)
    if not names & known.identifiers:
        return text
    changed = [
        SingleEquation(
            equation.type,
            equation.varname,
            equation.dim,
            var_type=equation.var_type,
            expr=equation.expr and Expression(at_time(equation.expr.code, names, time)),
            flags=list(equation.flags),
        )
        for equation in known.values()
    ]
    return equation_text(Equations(changed))


def check_calls(model: NeuronFields, codes: Mapping[str, str]) -> None:
    """Check that code of a model calls its series, and as it should.

    Parameters
    ----------
    model : NeuronModel
        The model.
    codes : mapping
        Field -> expressions or statements, besides those of its equations.

    Raises
    ------
    ParameterError
        Naming the code that does not.
    """
    if not model.series:
        return
    equations = parsed(model.name, model.equations)
    every = {f"equations ({name})": e.expr.code for name, e in equations.items() if e.expr}
    for field, code in {**every, **codes}.items():
        tree = ast.parse(deindent(code).strip())
        called = set()
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            series = model.series.get(node.func.id)
            if series is None:
                continue
            called.add(node.func)
            wanted = f"{node.func.id}(t, i)" if series.columns else f"{node.func.id}(t)"
            if ast.unparse(node) != wanted:
                raise ParameterError(model.name, field, repr(ast.unparse(node)), repr(wanted))
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in model.series and node not in called:
                series = model.series[node.id]
                wanted = f"{node.id}(t, i)" if series.columns else f"{node.id}(t)"
                remedy = "It is a TimeSeries, which is called with the time"
                raise ParameterError(model.name, field, repr(node.id), repr(wanted), remedy)
    for number, operation in enumerate(model.operations):
        used = {
            n.id for n in ast.walk(ast.parse(deindent(operation.code))) if isinstance(n, ast.Name)
        }
        if operation.on in ("onset", "input") and used & set(model.series):
            got = f"a TimeSeries in an operation on {operation.on}"
            wanted = "in operations of time steps and events only"
            raise ParameterError(model.name, f"operations[{number}]", got, wanted)


def check_method_of_series(model: NeuronFields) -> None:
    """Check that the method of a model evaluates its series at the beginning of a step.

    Raises
    ------
    ParameterError
        If it looks ahead, where the next value may hold already.
    """
    used = parsed(model.name, model.equations).identifiers & set(model.series)
    if used and model.method.lower() in _LATER:
        got = f"{model.method!r} with the TimeSeries {sorted(used)[0]}"
        wanted = "a method that evaluates equations at the beginning of a time step"
        remedy = 'Use "exponential_euler", "exact" or "euler"'
        raise ParameterError(model.name, "method", got, wanted, remedy)
