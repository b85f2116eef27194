"""Lines and functions of generated code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import torch

from biosnn.surrogate.compiler.expressions import Value

#: Modules that generated code uses.
LIBRARIES = {"torch": torch, "np": np}
_NAME = re.compile(r"[A-Za-z_]\w*")


@attrs.frozen
class Line:
    """An assignment of generated code."""

    target: str
    text: str
    comment: str = ""

    @property
    def reads(self) -> set[str]:
        """Names in its expression."""
        return set(_NAME.findall(self.text))

    def __str__(self) -> str:
        return f"{self.target} = {self.text}" + (f"  # {self.comment}" if self.comment else "")


@attrs.frozen(eq=False)
class Stored:
    """A stored variable of a group or of synapses.

    Parameters
    ----------
    name : str
        Its name in the program.
    owner, variable : str
        The Brian2 object's name, and its own there.
    kind : {"float", "int", "bool"}
        What it holds.
    value : array
        Initial value in SI units.
    constant : bool
        Whether nothing may change it.
    """

    name: str
    owner: str
    variable: str
    kind: str
    value: np.ndarray
    constant: bool


class Phase:
    """The lines of one function, in the order in which they run."""

    def __init__(self, name: str):
        self.name = name
        self.lines: list[Line] = []
        #: what is known of stored variables while the lines are written
        self.current: dict[str, Value] = {}

    def write(self, target: str, text: str, comment: str = "") -> None:
        """Add a line."""
        self.lines.append(Line(target, text, comment))

    @property
    def loaded(self) -> set[str]:
        """Names that are read before a line defines them."""
        defined: set[str] = set()
        found: set[str] = set()
        for line in self.lines:
            found |= line.reads - defined
            defined.add(line.target)
        return found

    def defined(self) -> set[str]:
        """Names that its lines define."""
        return {line.target for line in self.lines}

    def live(self, wanted: set[str]) -> set[str]:
        """Names that must be there before it runs, for what is wanted of it."""
        return self._kept(wanted)[1] - (wanted - self.loaded)

    def passed(self, name: str) -> str:
        """The name whose value a name ends with, where lines only hand it on."""
        for line in reversed(self.lines):
            if line.target == name:
                if not _NAME.fullmatch(line.text):
                    return ""
                name = line.text
        return name

    def prune(self, wanted: set[str]) -> None:
        """Leave out lines whose results nobody reads."""
        self.lines = self._kept(wanted)[0]

    def _kept(self, wanted: set[str]) -> tuple[list[Line], set[str]]:
        kept: list[Line] = []
        needed = set(wanted)
        for line in reversed(self.lines):
            if line.target in needed:
                kept.append(line)
                needed = (needed - {line.target}) | line.reads
        return kept[::-1], needed


@attrs.frozen(eq=False)
class Compiled:
    """A program as functions ``(step, state, fixed, port)``, which change the three dictionaries.

    It has nothing of Brian2 left, and is pickled as its source.

    Parameters
    ----------
    source : str
        Readable source; numbers are SI values.
    namespace : dict
        What the source uses besides its own names.
    state, fixed : dict of str to Stored
        Variables that change, and those that do not.
    phases : tuple of str
        Names of the functions.
    ones : tuple of str
        Projections that need one 1 per synapse.
    written : dict of str to set of str
        Function -> ports that it writes.
    passed : dict of str to str
        Port that is written -> port that it is a copy of, in every function.
    """

    source: str
    namespace: dict[str, Any]
    state: dict[str, Stored]
    fixed: dict[str, Stored]
    phases: tuple[str, ...]
    ones: tuple[str, ...]
    written: dict[str, set[str]]
    passed: dict[str, str]
    functions: dict[str, Callable[..., None]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        scope = {**LIBRARIES, **self.namespace}
        exec(compile(self.source, "<biosnn.surrogate>", "exec"), scope)
        found = {name: scope[name] for name in ("prepare", *self.phases)}
        object.__setattr__(self, "functions", found)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (field.name for field in attrs.fields(Compiled) if field.init)
        return Compiled, tuple(getattr(self, name) for name in fields)
