"""Random numbers in the code of neurons, made counter-based.

``rand()``, ``randn()``, ``poisson(mean)`` and the noise ``xi`` become functions of the run's seed,
the pass and the sample, the time step, the neuron, and of where in the population's code they stand
(:mod:`biosnn.rng`). Every occurrence is a stream of its own.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from brian2 import Equations
from brian2.equations.codestrings import Expression
from brian2.equations.equations import SingleEquation
from brian2.stateupdaters.base import StateUpdateMethod
from brian2.utils.stringtools import deindent

from biosnn._models.equation_text import equation_text
from biosnn.errors import DeviceError
from biosnn.models import parsed, random_calls
from biosnn.program.passes.presentation import linked
from biosnn.program.program import Program
from biosnn.program.slots import SUBEXPRESSIONS

#: Brian2's functions that draw -> their counter-based counterparts.
COUNTED = {"rand": "counter_uniform", "randn": "counter_normal", "poisson": "counter_poisson"}
#: Variables that neurons get -> those of the protocol that they are linked to.
COUNTERS = {
    "random_seed": "seed",
    "random_pass": "pass_id",
    "random_sample": "sample_id",
    "random_step": "step",
}


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
        known = parsed("", text)
        if not any(set(equation.identifiers) & set(COUNTED) for equation in known.values()):
            return text
        return equation_text(Equations([self._equation(equation) for equation in known.values()]))

    def _equation(self, equation: SingleEquation) -> SingleEquation:
        """An equation with counter-based draws."""
        expression = None if equation.expr is None else Expression(self.code(equation.expr.code))
        return SingleEquation(
            equation.type,
            equation.varname,
            equation.dim,
            var_type=equation.var_type,
            expr=expression,
            flags=list(equation.flags),
        )

    def noise(self, equations: str) -> dict[str, str]:
        """The stochastic variables of equations, each with its draw of standard normal numbers."""
        names = sorted(parsed("", equations).stochastic_variables)
        return {name: ast.unparse(self.call(COUNTED["randn"])) for name in names}


def count_draws(program: Program, order: Sequence[str] = ()) -> Program:
    """Make all random numbers of the populations counter-based.

    Parameters
    ----------
    program : Program
        The program.
    order : sequence of str
        Names of kernels in the order in which their draws are numbered; all others come behind
        these, as they run.
    """
    place = {name: number for number, name in enumerate(order)}
    kernels = {kernel.name: kernel for kernel in program.kernels}
    for key, group in program.groups.items():
        draws = Draws()
        drawing = program.of(key, "threshold", "reset", "statements")
        for kernel in sorted(drawing, key=lambda kernel: place.get(kernel.name, len(place))):
            kernels[kernel.name] = attrs.evolve(kernel, code=draws.code(kernel.code))
        refractory = group.refractory
        if isinstance(refractory, str):
            refractory = draws.code(refractory)
        noise = draws.noise(group.equations)
        equations = draws.equations(group.equations)
        group = attrs.evolve(group, equations=equations, refractory=refractory, noise=noise)
        program = program.with_group(group)
        if draws.n:
            lines = "\n".join(f"{name} : integer" for name in COUNTERS)
            program = linked(program, key, lines, COUNTERS)
        for kernel in program.of(key, "held") if holds_draws(parsed("", equations)) else ():
            # Brian2 updates them before the protocol knows of the step.
            kernels[kernel.name] = attrs.evolve(kernel, when="start", order=SUBEXPRESSIONS)
    return program.changed(kernels=tuple(kernels.values()))


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
