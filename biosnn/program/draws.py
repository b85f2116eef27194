"""Random numbers in the code of neurons, made counter-based.

``rand()``, ``randn()``, ``poisson(mean)`` and the noise ``xi`` become functions of the run's seed,
the pass and the sample, the time step, the neuron, and of where in the population's code they stand
(:mod:`biosnn.rng`). Every occurrence is a stream of its own.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from brian2 import Equations, get_unit
from brian2.equations.equations import DIFFERENTIAL_EQUATION, FLOAT
from brian2.stateupdaters.base import StateUpdateMethod
from brian2.utils.stringtools import deindent

from biosnn.errors import DeviceError
from biosnn.models import Companion, Event, NeuronModel, Operation, Trace, random_calls

#: Brian2's functions that draw -> their counter-based counterparts.
COUNTED = {"rand": "counter_uniform", "randn": "counter_normal", "poisson": "counter_poisson"}
#: Variables that neurons get -> those of the protocol that they are linked to.
COUNTERS = {
    "random_seed": "protocol.seed",
    "random_pass": "protocol.pass_id",
    "random_sample": "protocol.sample_id",
    "random_step": "protocol.step",
}

#: Projection -> what its rule or its short-term plasticity keeps on a neuron.
Carried = tuple[str, Trace | Companion]


class Draws(ast.NodeTransformer):
    """Gives every draw in the code of one population a number of its own."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.n = 0

    def call(self, function: str, *arguments: ast.expr) -> ast.Call:
        """The next draw, as a call of a counter-based function."""
        self.n = next(self._numbers)
        counters = f"random_seed, stream + {self.n}, random_pass, random_sample, i, random_step"
        drawn = ast.parse(f"{function}({counters})", mode="eval").body
        assert isinstance(drawn, ast.Call)
        drawn.args[:0] = arguments
        return drawn

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace a call of a function that draws."""
        node.args = [self.visit(argument) for argument in node.args]
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        return self.call(COUNTED[name], *node.args) if name in COUNTED else node

    def code(self, text: str) -> str:
        """Return an expression, a condition or statements with counter-based draws."""
        if not random_calls(text):
            return text
        return ast.unparse(self.visit(ast.parse(deindent(text).strip())))

    def equations(self, text: str) -> str:
        """Return equations with counter-based draws; ``xi`` is left (:meth:`noise`)."""
        known = Equations(text)
        if not any(set(equation.identifiers) & set(COUNTED) for equation in known.values()):
            return text
        lines = []
        for name, equation in known.items():
            head = f"d{name}/dt" if equation.type == DIFFERENTIAL_EQUATION else name
            unit = equation.var_type
            if unit == FLOAT:
                unit = "1" if equation.dim.is_dimensionless else repr(get_unit(equation.dim))
            flags = f" ({', '.join(equation.flags)})" if equation.flags else ""
            value = "" if equation.expr is None else f" = {self.code(equation.expr.code)}"
            lines.append(f"{head}{value} : {unit}{flags}")
        return "\n".join(lines)

    def events(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return events with counter-based draws."""
        return {
            name: attrs.evolve(spec, condition=self.code(spec.condition))
            if isinstance(spec, Event)
            else self.code(spec)
            for name, spec in given.items()
        }

    def operations(self, given: Iterable[Operation]) -> tuple[Operation, ...]:
        """Return operations with counter-based draws."""
        return tuple(attrs.evolve(part, code=self.code(part.code)) for part in given)

    def part(self, part: Trace | Companion) -> Trace | Companion:
        """Return what neurons carry, with counter-based draws; equations are left."""
        if isinstance(part, Trace):
            bumped = self.code(f"{part.name} {part.bump}")
            return attrs.evolve(part, bump=bumped.removeprefix(part.name).strip())
        operations = self.operations(part.operations)
        return attrs.evolve(part, operations=operations, events=self.events(part.events))

    def noise(self, equations: str) -> dict[str, str]:
        """The stochastic variables of equations, each with its draw of standard normal numbers."""
        names = sorted(Equations(equations).stochastic_variables)
        return {name: ast.unparse(self.call(COUNTED["randn"])) for name in names}


def counted(
    model: NeuronModel, carried: Iterable[Carried]
) -> tuple[NeuronModel, tuple[Carried, ...], dict[str, str]]:
    """Make all random numbers of a population counter-based.

    Parameters
    ----------
    model : NeuronModel
        The population's model.
    carried : iterable of (str, Trace or Companion)
        What it carries for projections.

    Returns
    -------
    model, carried
        The same with other code.
    dict of str to str
        Stochastic variables of the equations -> their draws, for :class:`CountedNoise`.
    """
    draws = Draws()
    changed: dict[str, Any] = {
        "threshold": model.threshold and draws.code(model.threshold),
        "reset": model.reset and draws.code(model.reset),
        "events": draws.events(model.events),
        "operations": draws.operations(model.operations),
    }
    found = [(owner, draws.part(part)) for owner, part in carried]
    if isinstance(model.refractory, str):
        changed["refractory"] = draws.code(model.refractory)
    noise = draws.noise(model.with_traces(part for _, part in found).equations)
    equations = [draws.equations(model.equations)]
    found = [
        (owner, attrs.evolve(part, equations=draws.equations(part.equations)))
        if isinstance(part, Companion)
        else (owner, part)
        for owner, part in found
    ]
    if draws.n:
        equations += [f"{name} : integer (linked)" for name in COUNTERS]
        changed["links"] = {**model.links, **COUNTERS}
    return attrs.evolve(model, equations="\n".join(equations), **changed), tuple(found), noise


def holds_draws(equations: Equations) -> bool:
    """Whether subexpressions that keep their value for a time step may contain draws."""
    held = any("constant over dt" in equation.flags for equation in equations.values())
    return held and bool(set(equations.identifiers) & set(COUNTED.values()))


class CountedNoise:
    """A state updater whose stochastic variables are counter-based draws.

    Parameters
    ----------
    method : str or callable
        Brian2's name of the integration method, or the method.
    noise : dict of str to str
        Stochastic variable -> expression of its standard normal number in a time step.
    """

    def __init__(self, method: Any, noise: Mapping[str, str]):
        self.method, self.noise = method, dict(noise)

    def __call__(
        self, equations: Equations, variables: Any = None, method_options: Any = None
    ) -> str:
        """Return the statements of a step.

        Raises
        ------
        DeviceError
            If the method draws numbers for anything but stochastic variables.
        """
        apply = StateUpdateMethod.apply_stateupdater
        code = apply(equations, variables, self.method, method_options=method_options)
        lines = [self._counted(line) for line in code.splitlines()]
        if random_calls("\n".join(lines)):
            raise DeviceError(
                f"the integration method {self.method!r} draws random numbers that do not follow "
                "the seed of a run; use Brian2's euler, heun or milstein"
            )
        return "\n".join(lines)

    def _counted(self, line: str) -> str:
        """The line, with its draw where it gives a stochastic variable its value."""
        tree = ast.parse(line.strip())
        match tree.body:
            case [ast.Assign(targets=[ast.Name(id=name)], value=value)] if name in self.noise:
                drawn = ast.parse(self.noise[name], mode="eval").body
                return f"{name} = {ast.unparse(_InPlaceOfRandn(drawn).visit(value))}"
        return line


class _InPlaceOfRandn(ast.NodeTransformer):
    def __init__(self, drawn: ast.expr):
        self.drawn = drawn

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace ``randn()``."""
        called = isinstance(node.func, ast.Name) and node.func.id == "randn"
        return self.drawn if called else self.generic_visit(node)
