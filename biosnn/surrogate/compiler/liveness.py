"""Generated code as lines: which names are live, and the compiled functions."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import torch

from biosnn.surrogate.compiler.expressions import Value

#: Modules that generated code uses.
LIBRARIES = {"torch": torch, "np": np}


def names_in_tree(tree: ast.AST) -> frozenset[str]:
    """Names that a syntax tree of Python or Brian2 code uses."""
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


@functools.lru_cache(maxsize=4096)
def names_of(expression: str) -> frozenset[str]:
    """Names in an expression."""
    return names_in_tree(ast.parse(expression.strip(), mode="eval"))


@attrs.frozen
class Line:
    """An assignment of generated code."""

    target: str
    text: str
    comment: str = ""

    @property
    def reads(self) -> frozenset[str]:
        """Names in its expression."""
        return names_of(self.text)

    def __str__(self) -> str:
        return f"{self.target} = {self.text}" + (f"  # {self.comment}" if self.comment else "")


@attrs.frozen(eq=False)
class Stored:
    """A stored variable of a group or of synapses."""

    name: str  # in the program
    owner: str  # group or connection
    variable: str  # its name there
    kind: str  # "float", "int" or "bool"
    value: np.ndarray  # initial value in SI units


class Phase:
    """The lines of one function of a program, in the order in which they run."""

    def __init__(self, name: str):
        self.name = name
        self.lines: list[Line] = []
        #: present values of stored variables while the lines are written
        self.current: dict[str, Value] = {}

    def write(self, target: str, text: str, comment: str = "") -> None:
        """Add a line."""
        self.lines.append(Line(target, text, comment))

    @property
    def loaded(self) -> set[str]:
        """Live-in variables: names that are read before a line defines them."""
        defined: set[str] = set()
        found: set[str] = set()
        for line in self.lines:
            found |= line.reads - defined
            defined.add(line.target)
        return found

    def defined(self) -> set[str]:
        """Names that its lines define."""
        return {line.target for line in self.lines}

    def live(self, live_out: set[str]) -> set[str]:
        """Live-in variables of the lines that the live-out variables depend on."""
        return self._needed(live_out)[1] - (live_out - self.loaded)

    def passed(self, name: str) -> str:
        """The name that another one is a copy of in the end; empty if it is computed."""
        for line in reversed(self.lines):
            if line.target == name:
                if not line.text.isidentifier():
                    return ""
                name = line.text
        return name

    def prune(self, live_out: set[str]) -> None:
        """Eliminate dead code: lines that no live-out variable depends on."""
        self.lines = self._needed(live_out)[0]

    def _needed(self, live_out: set[str]) -> tuple[list[Line], set[str]]:
        lines: list[Line] = []
        live = set(live_out)
        for line in reversed(self.lines):
            if line.target in live:
                lines.append(line)
                live = (live - {line.target}) | line.reads
        return lines[::-1], live


@attrs.frozen(eq=False)
class Compiled:
    """A program as functions ``(step, state, fixed, port)``, which change the three dictionaries.

    It has nothing of Brian2 left, and is pickled as its source.
    """

    source: str  # readable; numbers are SI values
    namespace: dict[str, Any]  # what the source uses besides its own names
    state: dict[str, Stored]  # variables that change
    fixed: dict[str, Stored]  # variables that do not
    phases: tuple[str, ...]  # names of the functions
    ones: tuple[str, ...]  # projections that need one 1 per synapse
    written: dict[str, set[str]]  # function -> ports that it writes
    passed: dict[str, str]  # port -> port that it is a copy of, in every function
    functions: dict[str, Callable[..., None]] = attrs.field(
        init=False, default=attrs.Factory(lambda program: _executed(program), takes_self=True)
    )

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (field.name for field in attrs.fields(Compiled) if field.init)
        return Compiled, tuple(getattr(self, name) for name in fields)


def _executed(program: Compiled) -> dict[str, Callable[..., None]]:
    """The functions that the source of a program defines."""
    scope = {**LIBRARIES, **program.namespace}
    exec(compile(program.source, "<biosnn.surrogate>", "exec"), scope)
    return {name: scope[name] for name in ("prepare", *program.phases)}
