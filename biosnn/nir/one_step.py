"""What a neuron model does in a time step, as numbers: an affine map of its variables.

Equations and statements are evaluated at points, by a walk over their syntax trees; what is no
affine map is noticed and refused.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

import attrs
import numpy as np
from scipy.linalg import expm

from biosnn.errors import ParameterError
from biosnn.models import SLOTS, NeuronModel, parsed
from biosnn.networks.conditions import evaluated

#: How far a map may be from an affine one, for rounding.
_ROUNDING = 1e-9
#: Multiples of values near 1 (in SI units) at which it is looked at; bounds may be on either side.
_PROBED = (1.0, -1.0, 1e-3, -1e-3, 1e3, -1e3)


@attrs.frozen(eq=False, kw_only=True)
class AffineStep:
    """New values of variables: ``matrix @ values + constant`` for each neuron.

    Parameters
    ----------
    variables : tuple of str
        In the order of the matrix.
    matrix : numpy.ndarray, shape (n, k, k)
    constant : numpy.ndarray, shape (n, k)
    """

    variables: tuple[str, ...]
    matrix: np.ndarray
    constant: np.ndarray

    def of(self, new: str, old: str) -> np.ndarray:
        """How much of an old value is in a new one."""
        return self.matrix[:, self.variables.index(new), self.variables.index(old)]


class Numbers:
    """A population's model with the values of its constants.

    Parameters
    ----------
    key : str
        The population, for messages.
    model : NeuronModel
        Its own model, without what rules keep on it.
    values : mapping
        Stored variable -> values, one per neuron.
    n : int
        Number of neurons.
    dt : float
        Time step in seconds.
    left_out : collection of str
        Populations that are left out, and with them the operations that read them.
    """

    def __init__(
        self,
        key: str,
        model: NeuronModel,
        values: Mapping[str, np.ndarray],
        n: int,
        dt: float,
        left_out: Collection[str],
    ):
        self.key, self.model, self.n, self.dt = key, model, n, dt
        self.equations = parsed(key, model.equations)
        self._values = values
        absent = {v for v, t in model.links.items() if t.partition(".")[0] in left_out}
        kept = [o for o in model.operations if not (o.plastic or names_in(o.code) & absent)]
        self._onset = [o for o in kept if o.on == "onset"]
        self.operations = [o for o in kept if o.on not in ("onset", "input")]
        for operation in self.operations:
            if operation.every is not None:
                wanted = "left out: nodes of NIR do the same in every time step"
                raise self.refused("operations", f"every={operation.every}", wanted)
        if model.series:
            raise self.refused("model.series", sorted(model.series)[0], "absent: NIR has no time")
        period = model.constants.get(str(model.refractory), model.refractory)
        if period is not None and (isinstance(period, str) or np.any(np.asarray(period) > 0)):
            wanted = "None or 0 s: NIR has no refractory period"
            raise self.refused("model.refractory", period, wanted, "Train without one")
        if self.equations.stochastic_variables:
            raise self.refused("equations", "noise", "without noise: NIR has none")

    def refused(self, field: str, got: Any, wanted: str, remedy: str = "") -> ParameterError:
        """An error that names the population."""
        return ParameterError(f"populations[{self.key!r}]", field, got, wanted, remedy)

    @property
    def driven(self) -> tuple[str, ...]:
        """Variables that change in every time step."""
        found = set(self.equations.diff_eq_names)
        for operation in self._steps():
            found |= stored_in(operation.code) & set(self.equations.names)
        return tuple(sorted(found))

    def _steps(self) -> list[Any]:
        steps = [o for o in self.operations if o.on == "step"]
        return sorted(steps, key=lambda o: (SLOTS.index(o.when), o.order))

    def changing_in(self, text: str) -> list[str]:
        """Variables that an expression reads and that do not keep their value in a sample."""
        codes = [self.model.reset or "", *(o.code for o in self.operations)]
        changing = {*self.equations.diff_eq_names}.union(*map(stored_in, codes))
        found, read = set(), names_in(text)
        while read - found:
            found |= read
            below = (read & set(self.equations.subexpr_names)) - changing
            read = set().union(*(names_in(self.equations[name].expr.code) for name in below))
        return sorted(found & changing)

    def begun(self, initial: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Values at the beginning of a sample: initial ones, and what is done at its onset."""
        now = {name: np.asarray(value, dtype=float) for name, value in initial.items()}
        for operation in self._onset:
            self._execute(operation.code, now)
        return now

    def value(self, text: str, field: str, names: Mapping[str, Any]) -> np.ndarray:
        """Value of an expression for each neuron.

        Raises
        ------
        ParameterError
            If it reads something else than constants and ``names``.
        """
        try:
            used = {n.id for n in ast.walk(ast.parse(text.strip())) if isinstance(n, ast.Name)}
            found = evaluated(text, self._known(used, field, names))
        except (KeyError, ValueError, SyntaxError) as error:
            if isinstance(error, ParameterError):
                raise
            got, wanted = f"{text.strip()!r} ({error})", "arithmetic of constants and variables"
            raise self.refused(field, got, wanted) from error
        return np.broadcast_to(np.asarray(found, dtype=float), (self.n,))

    def _known(self, used: set[str], field: str, names: Mapping[str, Any]) -> dict[str, Any]:
        """The values of names; those of units and functions are left to the evaluation."""
        found: dict[str, Any] = {}
        for name in used:
            if name in names:
                found[name] = names[name]
            elif name == "dt":
                found[name] = self.dt
            elif name in self.model.constants:
                found[name] = float(np.asarray(self.model.constants[name]))
            elif name in self.model.links:
                target = self.model.links[name]
                remedy = f"leave_out=({target.partition('.')[0]!r},) if it is not part of it"
                wanted = "without links: NIR has none"
                raise self.refused(field, f"{name!r}, which is {target}", wanted, remedy)
            elif name in self.equations.subexpr_names:
                found[name] = self.value(self.equations[name].expr.code, field, names)
            elif name in self._values:
                found[name] = np.asarray(self._values[name], dtype=float)
        return found

    def step(self, more: Collection[str]) -> AffineStep:
        """The affine map of a time step, of variables that change and of more.

        Raises
        ------
        ParameterError
            If it is none.
        """
        variables = tuple(sorted({*self.driven, *more}))
        k = len(variables)
        with np.errstate(all="ignore"):  # of functions that are refused below
            zero = self._stepped(variables, np.zeros((k, self.n)))
            columns = [
                self._stepped(variables, np.eye(k)[i][:, None] * np.ones((1, self.n))) - zero
                for i in range(k)
            ]
            matrix = np.stack(columns)  # (old, new, n)
            probes = np.random.default_rng(0).uniform(0.5, 1.5, (k, self.n))
            for factor in _PROBED:
                expected = np.einsum("ijn,in->jn", matrix, factor * probes) + zero
                found = self._stepped(variables, factor * probes)
                close = np.abs(found - expected) <= _ROUNDING * (1 + np.abs(expected))
                self._check_affine(variables, close)
        return AffineStep(
            variables=variables, matrix=matrix.transpose(2, 1, 0), constant=zero.T.copy()
        )

    def _check_affine(self, variables: tuple[str, ...], close: np.ndarray) -> None:
        for name, as_expected in zip(variables, close, strict=True):
            if not as_expected.all():
                wanted = "an affine map of its variables in each time step, as all nodes of NIR are"
                raise self.refused("model", f"{self.model.name!r}, whose {name} is not", wanted)

    def _stepped(self, variables: tuple[str, ...], values: np.ndarray) -> np.ndarray:
        now = dict(zip(variables, values, strict=True))
        before = SLOTS.index("groups")
        steps = self._steps()
        early = [o for o in steps if (SLOTS.index(o.when), o.order) < (before, 0)]
        for operation in early:
            self._execute(operation.code, now)
        self._integrate(now)
        for operation in steps[len(early) :]:
            self._execute(operation.code, now)
        return np.stack([np.broadcast_to(now[name], (self.n,)) for name in variables])

    def _execute(self, code: str, now: dict[str, Any]) -> None:
        local: dict[str, Any] = {}
        for statement in statements(code):
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    text = ast.unparse(value)
                case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                    whole = ast.BinOp(ast.Name(name, ast.Load()), op, value)
                    text = ast.unparse(whole)
                case _:
                    raise self.refused("operations", repr(code), "assignments to variables")
            found = self.value(text, "operations", {**now, **local})
            (now if name in now else local)[name] = found

    def _integrate(self, now: dict[str, Any]) -> None:
        driven = sorted(self.equations.diff_eq_names)
        if not driven:
            return
        known = dict(self.equations.get_substituted_expressions(include_subexpressions=False))

        def rates(values: np.ndarray) -> np.ndarray:
            names = {**now, **dict(zip(driven, values, strict=True))}
            return np.stack([self.value(known[d].code, "equations", names) for d in driven])

        k = len(driven)
        begin = np.stack([np.broadcast_to(now[d], (self.n,)) for d in driven])
        zero = rates(np.zeros((k, self.n)))
        parts = [rates(np.eye(k)[i][:, None] * np.ones((1, self.n))) - zero for i in range(k)]
        a = np.stack(parts).transpose(2, 1, 0)  # (n, rate of, variable)
        if self.model.method == "euler":
            after = begin + self.dt * rates(begin)
        elif self.model.method in ("exact", "linear", "exponential_euler"):
            if self.model.method == "exponential_euler" and not self.model.exact:
                own = np.einsum("nii->in", a)
                rest = rates(begin) - own * begin
                after = np.exp(own * self.dt) * begin + rest * _integral(own, self.dt)
            else:
                whole = np.zeros((self.n, k + 1, k + 1))
                whole[:, :k, :k], whole[:, :k, k] = a * self.dt, zero.T * self.dt
                padded = np.concatenate([begin, np.ones((1, self.n))])
                after = np.einsum("nij,jn->in", expm(whole), padded)[:k]
        else:
            wanted = "exact, exponential_euler or euler"
            raise self.refused("model.method", repr(self.model.method), wanted)
        now.update(zip(driven, after, strict=True))


def _integral(rate: np.ndarray, dt: float) -> np.ndarray:
    """Integral of ``exp(rate*s)`` over a time step."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(rate == 0, dt, np.expm1(rate * dt) / rate)


def statements(code: str) -> list[ast.stmt]:
    """Statements of a text."""
    return ast.parse("\n".join(line.strip() for line in code.strip().splitlines())).body


def names_in(code: str) -> set[str]:
    """Names in statements."""
    return {n.id for s in statements(code) for n in ast.walk(s) if isinstance(n, ast.Name)}


def stored_in(code: str) -> set[str]:
    """Names that statements give a value."""
    return {
        n.id
        for s in statements(code)
        for n in ast.walk(s)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
