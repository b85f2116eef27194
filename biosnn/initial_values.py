"""Initial values as expressions, evaluated for each neuron or synapse; nothing here needs Brian2.

An expression's text is not executed: its syntax tree is walked, and only arithmetic, comparisons
and the functions listed here are known.
"""

from __future__ import annotations

import ast
import itertools
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from biosnn import rng
from biosnn.arithmetic import value_of
from biosnn.errors import DataError
from biosnn.state import Draw, normalised

#: Pass and sample of the draws, which no run has.
_BEFORE_A_RUN = -1
_MAX_CHARACTERS = 200_000

_DRAWS: dict[str, Callable[..., Any]] = {
    "rand": rng.counter_uniform,
    "randn": rng.counter_normal,
    "poisson": rng.counter_poisson,
}


def _exprel(x: Any) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    inner = np.where(np.abs(x) < 1e-16, 1.0, x)
    return np.where(np.abs(x) < 1e-16, 1.0, np.expm1(inner) / inner)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: getattr(np, name) for name in ("arcsin", "arccos", "arctan", "exp", "log", "log10")},
    **{name: getattr(np, name) for name in ("expm1", "log1p", "sqrt", "ceil", "floor", "abs")},
    **{"sign": np.sign, "clip": np.clip, "int": np.trunc, "exprel": _exprel},
}
#: Functions that an expression may call.
FUNCTIONS = frozenset({*_FUNCTIONS, *_DRAWS})


@attrs.frozen(kw_only=True)
class Formula:
    """Initial values of one variable as an expression.

    Parameters
    ----------
    code : str
        Statements ``name = expression``, one per line; the last one gives the values. Names are
        those of earlier lines and of the fields below, and ``i`` and ``N`` of neurons, or ``i``,
        ``j``, ``N``, ``N_pre`` and ``N_post`` of synapses.
    size : int
        How many values.
    whole : bool
        Whether they are whole numbers.
    constants : dict
        Name -> number in SI units.
    variables, pre, post : dict
        Name -> ``"owner.variable"`` whose initial values it stands for: of the same neurons or
        synapses, or of the neurons before or behind a synapse.
    n_pre, n_post : int
        Of synapses: neurons on both sides.
    pairs : {"", "all", "one_to_one", "all_but_self"}
        Of synapses: their order; empty where ``i`` and ``j`` give it, or nothing needs it.
    i, j : tuple of int
        Of synapses: the neurons before and behind each.
    shape, total, p
        As for :class:`biosnn.state.Draw`.
    """

    code: str
    size: int
    whole: bool = False
    constants: dict[str, float] = attrs.field(factory=dict)
    variables: dict[str, str] = attrs.field(factory=dict)
    pre: dict[str, str] = attrs.field(factory=dict)
    post: dict[str, str] = attrs.field(factory=dict)
    n_pre: int = 0
    n_post: int = 0
    pairs: str = ""
    i: tuple[int, ...] = ()
    j: tuple[int, ...] = ()
    shape: tuple[int, int] | None = None
    total: float = 0.0
    p: int = 1

    @property
    def drawn(self) -> bool:
        """Whether it draws random numbers itself."""
        calls = (node for node in ast.walk(ast.parse(self.code)) if isinstance(node, ast.Call))
        return any(isinstance(call.func, ast.Name) and call.func.id in _DRAWS for call in calls)

    @property
    def by_place(self) -> bool:
        """Whether it needs to know which neurons a synapse connects."""
        names = (node.id for node in ast.walk(ast.parse(self.code)) if isinstance(node, ast.Name))
        return bool(self.pre or self.post or {"i", "j"} & set(names))

    @property
    def uses(self) -> set[str]:
        """``"owner.variable"`` of all variables that it needs."""
        return {*self.variables.values(), *self.pre.values(), *self.post.values()}

    def sample(self, seed: int, name: str, values: Callable[[str], np.ndarray]) -> np.ndarray:
        """Evaluate it for the variable called ``name``.

        Parameters
        ----------
        seed : int
            Seed of the draws, which also depend on the name and on the number of the neuron or
            synapse, and on nothing else.
        name : str
            ``"owner.variable"``.
        values : callable
            Gives the initial values of other variables.

        Raises
        ------
        DataError
            If it is not one of known functions, or its values are not finite.
        """
        try:
            found = _Evaluation(self, seed, name, values).result()
        except (ArithmeticError, LookupError, RecursionError, SyntaxError, TypeError, ValueError):
            raise DataError(f"initial value of {name}: {self.code[-100:]!r} has no value") from None
        bad = np.flatnonzero(~np.isfinite(found))
        if bad.size:
            got = f"{found[bad[0]]} at index {bad[0]}"
            shown = self.code.rpartition("\n")[2][:100]
            raise DataError(f"initial value of {name}: {shown!r} must be finite, got {got}")
        if self.shape is not None:
            found = normalised(found.reshape(self.shape), self.total, self.p).ravel()
        return np.trunc(found).astype(np.int64) if self.whole else found


class _Evaluation:
    """The walk over one expression's syntax tree."""

    def __init__(self, formula: Formula, seed: int, name: str, values: Callable[[str], np.ndarray]):
        self.formula, self.seed, self.values = formula, seed, values
        self.stream = zlib.crc32(name.encode()) & 0x7FFFFFFF
        self.numbers = itertools.count(1)
        self.known: dict[str, Any] = {}

    def result(self) -> np.ndarray:
        """Values of the last statement."""
        if len(self.formula.code) > _MAX_CHARACTERS:
            raise ValueError("too long")
        value: Any = 0.0
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for statement in ast.parse(self.formula.code).body:
                match statement:
                    case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                        value = value_of(expression, self.named, self.called)
                        self.known[name] = value
                    case _:
                        raise ValueError("a statement that is no assignment")
        return np.broadcast_to(np.asarray(value, dtype=float), (self.formula.size,)).copy()

    def called(self, name: str, arguments: list[Any]) -> Any:
        """Value of a function."""
        return self.drawn(name, arguments) if name in _DRAWS else _FUNCTIONS[name](*arguments)

    def named(self, name: str) -> Any:
        """Value of a name."""
        formula = self.formula
        if name not in self.known:
            if name in formula.constants:
                found: Any = formula.constants[name]
            elif name in formula.variables:
                found = self.values(formula.variables[name])
            elif name in formula.pre:
                found = _of_each(self.values(formula.pre[name]), self.named("i"))
            elif name in formula.post:
                found = _of_each(self.values(formula.post[name]), self.named("j"))
            else:
                found = self._built_in(name)
            self.known[name] = found
        return self.known[name]

    def _built_in(self, name: str) -> Any:
        formula = self.formula
        sizes = {"N": formula.size, "N_pre": formula.n_pre, "N_post": formula.n_post}
        if name in sizes:
            return float(sizes[name])
        if name not in ("i", "j") or (name == "j" and not formula.n_post):
            raise LookupError(name)
        number = np.arange(formula.size)
        if not formula.n_post or formula.pairs == "one_to_one":
            return number
        if not formula.pairs:
            return np.asarray(formula.i if name == "i" else formula.j, dtype=np.int64)
        width = formula.n_post
        if formula.pairs == "all":
            return number // width if name == "i" else number % width
        # All but self: the pairs (k, k) with k < N_post are left out.
        pairs = np.arange(formula.n_pre * width)
        pairs = pairs[pairs // width != pairs % width]
        return pairs // width if name == "i" else pairs % width

    def drawn(self, name: str, arguments: list[Any]) -> np.ndarray:
        """Random numbers of one call, which has a number of its own."""
        unit, run = np.arange(self.formula.size), _BEFORE_A_RUN
        key = (self.seed, self.stream, run, run, unit, next(self.numbers))
        return np.asarray(_DRAWS[name](*arguments, *key), dtype=float)


def _of_each(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Values of the neurons before or behind each synapse; all neurons may share one."""
    return values if values.size == 1 else values[index]


#: What a variable begins with: values, or how they are found.
Initial = np.ndarray | Draw | Formula


def drawn(values: Mapping[str, Initial], seed: int) -> dict[str, np.ndarray]:
    """All values, of which some are random or follow from others.

    Parameters
    ----------
    values : mapping
        ``"owner.variable"`` -> what it begins with.
    seed : int
        Of the random ones.

    Raises
    ------
    DataError
        If one is not finite, or depends on itself.
    """
    found: dict[str, np.ndarray] = {}
    begun: set[str] = set()

    def value(name: str) -> np.ndarray:
        if name in found:
            return found[name]
        if name in begun:
            raise DataError(f"initial value of {name} depends on itself")
        begun.add(name)
        given = values[name]
        if isinstance(given, Draw):
            given = given.sample(seed, name)
        elif isinstance(given, Formula):
            given = given.sample(seed, name, value)
        found[name] = given
        return given

    return {name: value(name) for name in values}


def settled(values: Mapping[str, Initial]) -> dict[str, Initial]:
    """The same, in which all that does not depend on random numbers is evaluated."""
    random = {
        name
        for name, given in values.items()
        if isinstance(given, Draw) or (isinstance(given, Formula) and given.drawn)
    }
    while more := {
        name
        for name, given in values.items()
        if isinstance(given, Formula) and name not in random and given.uses & random
    }:
        random |= more
    fixed = {name: given for name, given in values.items() if name not in random}
    return {**values, **drawn(fixed, 0)}
