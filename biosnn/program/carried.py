"""Which variables samples hand on to later ones while nothing learns."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from brian2 import Equations
from brian2.utils.stringtools import deindent

from biosnn._models.companions import SLOTS
from biosnn.models import names_in, parsed
from biosnn.program.program import Kernel, Program

#: Equations of what has none, such as an input.
_NONE = parsed("", "")
_FOR_ALL = ("statements", "load", "held", "summed")


def with_carried(program: Program, declared: Program) -> Program:
    """Note the variables through which samples depend on those before them (``carried``).

    The kernels are followed through the first time step of a presentation, with plasticity off. A
    variable is carried if anything that does not learn changes it, unless the first that happens
    to it in that step is that all neurons (or synapses) get a value that does not come from it: at
    the onset, from an input, or in every step. What is on its way at the end of a presentation is
    dropped, so delays carry nothing. Only what was declared is named, as ``"population.variable"``,
    ``"projection.variable"``, ``"population.lastspike"`` for refractoriness, and ``"t"`` where code
    uses Brian2's time.

    Parameters
    ----------
    program : Program
        In which delays are not yet part of the code.
    declared : Program
        The same before passes have added anything.
    """
    history = _History(program)
    for kernel in program.in_order().kernels:
        if not kernel.plastic and kernel.owner != program.protocol:
            history.follow(kernel)
    own = _declared(declared)
    found = (history.changed - history.renewed) & own | history.times
    return program.changed(carried=tuple(sorted(found)))


def _declared(program: Program) -> set[str]:
    """What groups and connections store, as a program names it, and that neurons are refractory."""
    owners = {**program.groups, **program.connections}
    names = {
        f"{key}.{name}" for key, made in owners.items() for name in parsed(key, made.equations)
    }
    return names | {f"{key}.lastspike" for key in program.groups}


class _History:
    """What has happened to the variables of a network since an onset."""

    def __init__(self, program: Program):
        self.program = program
        self.equations = {
            key: parsed(key, owner.equations)
            for key, owner in {**program.groups, **program.connections}.items()
        }
        self.used: set[str] = set()
        self.renewed: set[str] = set()
        self.changed: set[str] = set()
        self.times: set[str] = set()

    def follow(self, kernel: Kernel) -> None:
        """Take note of what a kernel reads and changes."""
        owner, known = kernel.owner, self.equations.get(kernel.owner, _NONE)
        match kernel.kind:
            case "load" | "summed":
                if kernel.kind == "summed":
                    self._read(owner, names_in(kernel.code))
                for target in kernel.targets:
                    key, _, variable = target.partition(".")
                    if key != self.program.protocol:
                        self._write(kernel, key, variable, True)
            case "held":
                for name in known.subexpr_names:
                    if "constant over dt" in known[name].flags:
                        self._read(owner, known[name].identifiers)
                        self._write(kernel, owner, name, True)
            case "state_update":
                self._integrate(kernel, known)
            case "threshold":
                self._read(owner, names_in(kernel.code))
                if kernel.refractory:
                    self._read(owner, ["lastspike"])
                    self._write(kernel, owner, "lastspike", False)
            case _:
                self._statements(kernel)

    def _integrate(self, kernel: Kernel, known: Equations) -> None:
        owner = kernel.owner
        group = self.program.groups.get(owner)
        if group is not None and group.refractory is not None:
            names = names_in(group.refractory) if isinstance(group.refractory, str) else set()
            self._read(owner, names | {"lastspike"})
        for name in known.diff_eq_names:
            self._read(owner, known[name].identifiers)
        for name in sorted(known.diff_eq_names):
            self._write(kernel, owner, name, False)

    def _statements(self, kernel: Kernel) -> None:
        whole = kernel.kind in _FOR_ALL
        for statement in ast.parse(deindent(kernel.code).strip()).body:
            assert isinstance(statement, ast.Assign | ast.AugAssign)
            plain = isinstance(statement, ast.Assign)
            target = statement.targets[0] if plain else statement.target
            assert isinstance(target, ast.Name)
            if not kernel.forced:  # what a reset gives are constants, and times before the onset
                self._read(kernel.owner, names_in(ast.unparse(statement.value)))
            if not plain:
                self._read(kernel.owner, [target.id])
            self._write(kernel, kernel.owner, target.id, plain and whole)

    def _read(self, owner: str, names: Iterable[str]) -> None:
        for name in names:
            if name in ("t", "t_in_timesteps"):
                self.times.add("t")
                continue
            key, variable = self._resolved(owner, name)
            known = self.equations.get(key, _NONE)
            computed = variable in known.subexpr_names
            if computed and "constant over dt" not in known[variable].flags:
                self._read(key, known[variable].identifiers)
            elif f"{key}.{variable}" not in self.renewed:
                self.used.add(f"{key}.{variable}")

    def _write(self, kernel: Kernel, owner: str, name: str, whole: bool) -> None:
        key, variable = self._resolved(owner, name)
        known = self.equations.get(key, _NONE)
        if key == self.program.protocol or (variable not in known and variable != "lastspike"):
            return  # a name of the statements alone
        if variable in known and "unless refractory" in known[variable].flags:
            early = SLOTS.index(kernel.when) < SLOTS.index("thresholds")
            able = early and f"{key}.lastspike" in self.renewed
            whole = whole and (kernel.forced or able)
        self.changed.add(f"{key}.{variable}")
        if whole and f"{key}.{variable}" not in self.used:
            self.renewed.add(f"{key}.{variable}")

    def _resolved(self, owner: str, name: str) -> tuple[str, str]:
        """Whose variable a name in the code of a group or connection is, and its name."""
        made = self.program.connections.get(owner)
        if made is not None:
            if name in self.equations[owner]:
                return owner, name
            base, _, side = name.rpartition("_")
            if base and side in ("pre", "post"):
                return self._resolved(made.pre if side == "pre" else made.post, base)
            return self._resolved(made.post, name)
        if name == "not_refractory":
            return owner, "lastspike"
        group = self.program.groups.get(owner)
        target = group.links.get(name) if group is not None else None
        if target is None:
            return owner, name
        key, _, variable = target.partition(".")
        return self._resolved(key, variable)
