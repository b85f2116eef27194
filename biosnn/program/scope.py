"""What the names in a kernel's code mean: whose they are, and by which index they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
from brian2 import Function, second
from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_UNITS
from brian2.core.variables import ArrayVariable, Constant, Subexpression, Variable
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, get_dimensions
from brian2.utils.stringtools import get_identifiers

from biosnn.models import rename
from biosnn.program.program import Array, Program, parsed_equations
from biosnn.rng import counter_normal, counter_poisson, counter_uniform

_CLOCK = {"t": np.float64, "dt": np.float64, "t_in_timesteps": np.int64}


def draw_function(python: Callable[..., Any]) -> Function:
    """A counter-based draw as a function of Brian2; one of whole numbers begins with a mean."""
    whole = python is counter_poisson
    types = [*(["any"] if whole else []), *(["integer"] * 6)]
    made = Function(
        python,
        arg_units=[1] * len(types),
        arg_types=types,
        return_unit=1,
        return_type="integer" if whole else "float",
    )
    # As it is: Brian2's wrapper checks units, of which it has none, and cannot be pickled.
    made.implementations.add_implementation("numpy", python)
    return made


_FUNCTIONS = {
    **DEFAULT_FUNCTIONS,
    **{f.__name__: draw_function(f) for f in (counter_uniform, counter_normal, counter_poisson)},
}


@attrs.frozen(kw_only=True, eq=False)
class Name:
    """What a name in code means.

    Parameters
    ----------
    kind : str
        ``"array"`` (stored values), ``"expression"`` (code that is computed when it is read),
        ``"constant"`` (a number), ``"function"``, ``"clock"`` (``t``, ``dt``,
        ``t_in_timesteps``), ``"neuron"`` (the number of a neuron) or ``"degree"`` (how many
        synapses a neuron has in a connection).
    index : {"own", "pre", "post", "one"}
        Which value is read: that of the neuron or synapse whose code it is, that of a synapse's
        presynaptic or postsynaptic neuron, or the only one that there is.
    owner : str
        The group or connection whose it is.
    declared : str
        Of a constant: its name there.
    array : Array or None
        Of stored values, and of an expression.
    code : str
        Of an expression, in names that mean something where it is used.
    value : object
        Number in SI units, or function; for a degree ``"N_incoming"`` or ``"N_outgoing"``.
    dim : Dimension
        Physical dimensions.
    """

    kind: str
    index: str = "own"
    owner: str = ""
    declared: str = ""
    array: Array | None = None
    code: str = ""
    value: Any = None
    dim: Dimension = DIMENSIONLESS


class Scope:
    """The meanings of names in the code of a group or a connection.

    Parameters
    ----------
    program : Program
        The program.
    owner : str
        The group or the connection.
    """

    def __init__(self, program: Program, owner: str):
        self.program, self.owner = program, owner
        self._inner: dict[str, Name] = {}  # in the expressions of other owners

    def find(self, name: str) -> Name | None:
        """The meaning of a name; ``None`` if it has none but what the code itself assigns."""
        if name in self._inner:
            return self._inner[name]
        found = self._variable(name)
        if found is not None:
            return found
        owner = self.program.groups.get(self.owner) or self.program.connections[self.owner]
        if name in owner.constants:
            given = owner.constants[name]
            if isinstance(given, Function):
                return Name(kind="function", index="one", value=given)
            return Name(
                kind="constant",
                index="one",
                owner=self.owner,
                declared=name,
                value=np.asarray(given).item(),
                dim=get_dimensions(given),
            )
        return _default(name)

    def variables(
        self, *code: str, single_precision: bool = False
    ) -> dict[str, Variable | Function]:
        """Brian2's variables and functions of all names in code, and in what they stand for.

        Parameters
        ----------
        *code : str
            Statements, conditions or expressions.
        single_precision : bool
            Of the stored values.
        """
        found: dict[str, Variable | Function] = {}
        names = {"t", "dt"}.union(*map(get_identifiers, code))
        while names:
            name = names.pop()
            meaning = None if name in found else self.find(name)
            if meaning is None:
                continue
            found[name] = self._as_brian2(name, meaning, single_precision)
            names |= get_identifiers(meaning.code)
        return found

    # --- names

    def _variable(self, name: str) -> Name | None:
        """A variable of the owner, or one that Brian2 gives it."""
        if name in _CLOCK:
            dim = DIMENSIONLESS if name == "t_in_timesteps" else second.dim
            value = self.program.dt if name == "dt" else None
            return Name(kind="clock", index="one", value=value, dim=dim)
        if self.owner in self.program.groups:
            return self._of_group(name)
        return self._of_connection(name)

    def _of_group(self, name: str) -> Name | None:
        group = self.program.groups[self.owner]
        if name == "i":
            return Name(kind="neuron", owner=self.owner)
        if name == "N":
            return Name(kind="constant", index="one", value=group.n)
        array = self.program.arrays.get(f"{self.owner}.{name}")
        if array is None:
            return None
        if not array.link:
            return self._meaning(array)
        owner, _, variable = array.link.partition(".")
        index = "own" if self.program.groups[owner].n == group.n else "one"
        return self._of_other(name, owner, variable, index)

    def _of_connection(self, name: str) -> Name | None:
        made = self.program.connections[self.owner]
        array = self.program.arrays.get(f"{self.owner}.{name}")
        if array is not None:
            return self._meaning(array)
        if name in ("i", "j"):
            index, owner = ("pre", made.pre) if name == "i" else ("post", made.post)
            return Name(kind="neuron", index=index, owner=owner)
        if name == "N":
            copies = 1 if made.shared else self.program.replicas.n
            return Name(kind="constant", index="one", value=made.size * copies)
        if name in ("N_incoming", "N_outgoing"):
            index = "post" if name == "N_incoming" else "pre"
            return Name(kind="degree", index=index, owner=self.owner, value=name)
        base, _, side = name.rpartition("_")
        if base and side in ("pre", "post"):
            if base in ("N_incoming", "N_outgoing"):
                return self._of_connection(base)
            owner = made.pre if side == "pre" else made.post
            return self._of_other(name, owner, base, side)
        return self._of_other(name, made.post, name, "post")

    def _meaning(self, array: Array) -> Name:
        index = "one" if array.shared else "own"
        owner = self.program.groups.get(array.owner) or self.program.connections[array.owner]
        equations = parsed_equations(owner)
        dim = second.dim if array.name == "lastspike" else DIMENSIONLESS
        return Name(
            kind="expression" if array.expression and not array.held else "array",
            index=index,
            owner=array.owner,
            array=array,
            code="" if array.held else array.expression,
            dim=equations[array.name].dim if array.name in equations else dim,
        )

    def _of_other(self, name: str, owner: str, variable: str, index: str) -> Name | None:
        """A variable of another group, read by an index."""
        inside = Scope(self.program, owner)
        found = inside._variable(variable)
        if found is None:
            return None
        renamed = {}
        for inner in get_identifiers(found.code):
            meaning = inside.find(inner)
            if meaning is not None and meaning.kind not in ("function", "clock"):
                renamed[inner] = f"_{name}_{owner}_{inner}"
                self._inner[renamed[inner]] = (
                    self._of_other(renamed[inner], owner, inner, index) or meaning
                )
        return attrs.evolve(
            found,
            index=index if found.index == "own" else found.index,
            code=rename(found.code, renamed),
        )

    # --- Brian2's variables

    def _as_brian2(self, name: str, meaning: Name, single_precision: bool) -> Any:
        if meaning.kind == "function":
            return meaning.value
        if meaning.kind == "constant":
            return Constant(name, meaning.value, meaning.dim)
        if meaning.kind == "clock":
            return _Stored(
                name,
                dtype=_CLOCK[name],
                dimensions=meaning.dim,
                constant=name == "dt",
                scalar=True,
                value=meaning.value,
            )
        array = meaning.array
        if array is None:
            return _Stored(name, dtype=np.int32, constant=True, unique=meaning.index == "own")
        dtype = array.dtype(single_precision)
        if meaning.kind == "expression":
            return Subexpression(
                name,
                None,
                meaning.code,
                None,
                dimensions=meaning.dim,
                dtype=dtype,
                scalar=array.shared,
            )
        found = _Stored(
            array.name,
            dtype=dtype,
            dimensions=meaning.dim,
            constant=array.constant,
            scalar=array.shared,
        )
        if array.paused:
            found.set_conditional_write(_Stored("not_refractory", dtype=np.bool_))
        return found


class _Stored(ArrayVariable):
    """A variable of Brian2 without a device; ``dt`` has a value."""

    def __init__(self, name: str, *, value: float | None = None, **more: Any):
        super().__init__(name, None, 1, None, **more)
        self._value = value

    def get_value(self) -> np.ndarray:
        """The value of ``dt``."""
        if self._value is None:
            raise NotImplementedError(f"{self.name} has no value before a run")
        return np.array([self._value])


def _default(name: str) -> Name | None:
    """A function, unit or constant of Brian2."""
    if name in _FUNCTIONS:
        return Name(kind="function", index="one", value=_FUNCTIONS[name])
    if name in DEFAULT_UNITS:
        unit = DEFAULT_UNITS[name]
        value, dim = float(unit), get_dimensions(unit)
        return Name(kind="constant", index="one", value=value, dim=dim)
    if name in DEFAULT_CONSTANTS:
        value = DEFAULT_CONSTANTS[name].get_value()
        return Name(kind="constant", index="one", value=value)
    return None
