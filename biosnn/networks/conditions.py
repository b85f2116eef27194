"""Patterns of connectivity in Brian2's words: conditions with probabilities, and generators."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions
from numpy.typing import NDArray

from biosnn.arithmetic import value_of
from biosnn.code_gate import Generated, check_expression, check_name, parse_generator
from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.models import (
    Known,
    check_condition_units,
    check_expression_units,
    names_in,
)
from biosnn.networks.connectivity import AT_ONCE, SEED, Pattern
from biosnn.validation import LARGEST, check_mapping, check_value, check_whole, describe, flag

#: Text of an expression, whether it is a condition, and the indices that have values there.
_Text = tuple[str, bool, tuple[str, ...]]
#: Side of a synapse -> the index of its neurons.
_SIDES = {"pre": "i", "post": "j"}

_Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
#: Pairs at which a condition is tried to estimate how many are connected.
_PROBES = 2**14
#: Largest whole number of an expression: up to there doubles are exact.
_EXACT = 2**53


# --- expressions


def _functions() -> dict[str, Any]:
    """Brian2's functions that draw nothing, for NumPy's arrays without units."""
    found = {}
    for name, function in DEFAULT_FUNCTIONS.items():
        if function.stateless:
            known = "numpy" in function.implementations
            code = function.implementations["numpy"].get_code(None) if known else None
            found[name] = code or function.pyfunc
    return found


_CALLED = _functions()
_DRAWS = frozenset(DEFAULT_FUNCTIONS) - frozenset(_CALLED)
_STANDARD = {
    **{name: float(unit) for name, unit in DEFAULT_UNITS.items()},
    **{name: constant.get_value() for name, constant in DEFAULT_CONSTANTS.items()},
}


def evaluated(text: str, names: Mapping[str, Any]) -> Any:
    """Value of an expression that has passed the gate, for arrays of numbers.

    Parameters
    ----------
    text : str
        The expression.
    names : mapping
        Values of its names; those of Brian2's units and constants are known.
    """
    with np.errstate(all="ignore"):
        return value_of(
            ast.parse(text.strip(), mode="eval").body,
            lambda name: names[name] if name in names else _STANDARD[name],
            lambda name, arguments: _CALLED[name](*arguments),
        )


# --- what both patterns have in common


def _thinned(rng: np.random.Generator, total: int, p: float) -> Iterator[NDArray[np.int64]]:
    """Numbers below a total that are chosen, each with probability p, a part at a time.

    The gaps between them are drawn: time and memory go with the number of those that are chosen.
    """
    if p >= 1:
        for first in range(0, total, AT_ONCE):
            yield np.arange(first, min(first + AT_ONCE, total))
        return
    last = -1
    while p > 0 and last < total:
        gaps = np.minimum(rng.geometric(p, AT_ONCE), total + 1)
        places = last + np.cumsum(gaps)
        yield places[places < total]
        last = int(places[-1])


@attrs.frozen(eq=False)
class _InWords(Pattern):
    """A pattern that expressions of ``i``, ``j``, ``N_pre``, ``N_post`` and parameters say.

    Parameters that are arrays have a value for each neuron: ``x`` is read as ``x_pre`` and
    ``x_post``, ``x_pre`` and ``x_post`` as what they are called.
    """

    n: int | str = attrs.field(default=1, kw_only=True)
    parameters: dict[str, Any] = attrs.field(factory=dict, kw_only=True)
    seed: int | None = attrs.field(default=None, kw_only=True, validator=SEED)

    @property
    def _where(self) -> str:
        return type(self).__name__

    def _check_texts(self, texts: Mapping[str, _Text], iterator: str = "") -> None:
        """Check expressions, by the field that they are told under, and the parameters."""
        where = self._where
        check_mapping(where, "parameters", self.parameters)
        scope = {name: Known() for name in ("i", "j", "N_pre", "N_post")}
        if iterator:
            scope[iterator] = Known()
        side_of = {"i": "i", "j": "j", iterator: iterator}  # names that an index must be known for
        for name, value in self.parameters.items():
            field = f"parameters[{name!r}]"
            check_name(where, "parameters", name)
            if name in scope:
                raise ParameterError(where, "parameters", repr(name), "a name of its own")
            if np.ndim(value) == 0:
                check_value(where, field, value, value)
                scope[name] = Known(get_dimensions(value), float(np.asarray(value)))
                continue
            array = np.asarray(value)
            numeric = array.dtype.kind in "iufb" and array.ndim == 1 and array.size > 0
            if not numeric or not np.isfinite(array).all():
                wanted = "a number, or an array with a finite number for each neuron"
                raise ParameterError(where, field, describe(value), wanted)
            for called, index in self._read(name):
                if called in scope or (called != name and called in self.parameters):
                    got = f"{called!r} beside {name!r}"
                    remedy = f"{name!r} is read as {called}: leave one of them out"
                    raise ParameterError(where, "parameters", got, "names used once", remedy)
                scope[called], side_of[called] = Known(get_dimensions(value)), index
        for field, (text, condition, indices) in texts.items():
            names = names_in(text)
            known = {n: v for n, v in scope.items() if side_of.get(n, "") in ("", *indices)}
            self._check_names(field, text, names, known)
            if condition:
                check_condition_units(where, field, text, known)
            else:
                check_expression_units(where, field, text, DIMENSIONLESS, known)
        used = set().union(*(names_in(text) for text, _, _ in texts.values()))
        for name in self.parameters:
            if not used & {name, f"{name}_pre", f"{name}_post"}:
                remedy = "Mend its name, or leave it out: it has no effect"
                raise ParameterError(where, "parameters", repr(name), "used", remedy)

    def _check_names(self, field: str, text: str, names: set[str], known: Any) -> None:
        """Check that all names of an expression have a value where it is evaluated."""
        unknown = sorted(names - {*known, *_CALLED, *_STANDARD})
        if not unknown:
            return
        bare, wanted = unknown[0], f"made of {', '.join(known)}, functions and units"
        remedy = "Give it in parameters={...}"
        if bare in _DRAWS:
            wanted, remedy = "without random numbers", "Give a probability, p=..."
        elif np.ndim(self.parameters.get(bare, 0)):
            remedy = f"Write {bare}_pre or {bare}_post: it has a value for each neuron"
        got = f"{bare!r} in {text.strip()!r}"
        raise ParameterError(self._where, field, got, wanted, remedy)

    @staticmethod
    def _read(name: str) -> list[tuple[str, str]]:
        """Names by which an array of neurons is read, each with the index that looks it up."""
        for side, index in _SIDES.items():
            if name.endswith(f"_{side}"):
                return [(name, index)]
        return [(f"{name}_{side}", index) for side, index in _SIDES.items()]

    def check(self, where: str, n_pre: int, n_post: int) -> None:
        """See :class:`Pattern`."""
        sizes = {"i": n_pre, "j": n_post}
        for name, value in self.parameters.items():
            reads = self._read(name) if np.ndim(value) else []
            for called, index in reads:
                if len(value) != sizes[index]:
                    side = "presynaptic" if index == "i" else "postsynaptic"
                    wanted = f"one for each of {sizes[index]} {side} neurons"
                    remedy = f"Give {name}_pre and {name}_post" if called != name else ""
                    field, got = f"parameters[{name!r}]", f"{len(value)} values"
                    raise ParameterError(f"{where}.pairs", field, got, wanted, remedy)

    def _names(self, n_pre: int, n_post: int, **own: Any) -> dict[str, Any]:
        """Values of names: those of arrays are looked up by ``i`` and ``j``, where these are."""
        names: dict[str, Any] = {"N_pre": n_pre, "N_post": n_post, **own}
        for name, value in self.parameters.items():
            if np.ndim(value) == 0:
                names[name] = np.asarray(value).item()
                continue
            array = np.asarray(value)
            for called, index in self._read(name):
                if index in own:
                    # What is beyond the last neuron is refused or left out afterwards.
                    names[called] = array[np.clip(own[index], 0, len(array) - 1)]
        return names

    def _whole(self, field: str, values: Any, least: int | None = None) -> NDArray[np.int64]:
        """Values of an expression that must be whole numbers."""
        array = np.asarray(values)
        bad = np.zeros(array.shape, dtype=bool)
        if array.dtype.kind not in "biu":
            array = array.astype(float)
            bad = ~np.isfinite(array) | (array != np.round(array))
        beyond = ~bad & (np.abs(array.astype(float)) > _EXACT)
        if beyond.any():
            got = f"{array[beyond].flat[0]:g}, of {getattr(self, field)!r}"
            raise ParameterError(self._where, field, got, f"whole numbers up to {_EXACT:,}")
        if least is not None:
            bad |= array < least
        if bad.any():
            got = f"{array[bad].flat[0]:g}, of {getattr(self, field)!r}"
            wanted = "whole numbers" + (f" >= {least}" if least is not None else "")
            raise ParameterError(self._where, field, got, wanted, "Round with int(...)")
        return array.astype(np.int64)

    def _repeated(self, found: Iterator[_Pairs], n_pre: int, n_post: int) -> _Pairs:
        """All pairs, as often as ``n`` says."""
        none = np.empty(0, dtype=np.int64)
        parts: list[_Pairs] = [(none, none)]
        total = 0
        for i, j in found:
            n: Any = self.n
            if isinstance(n, str):
                n = evaluated(n, self._names(n_pre, n_post, i=i, j=j))
                n = np.broadcast_to(self._whole("n", n, 0), i.shape)
            total += int(np.sum(np.broadcast_to(n, i.shape), dtype=float))
            if total > LARGEST:
                wanted = f"at most {LARGEST:,} synapses, which Brian2 can number"
                raise ParameterError(self._where, "pairs", f"{total:,} and more", wanted)
            if not (isinstance(n, int) and n == 1):
                i, j = np.repeat(i, n), np.repeat(j, n)
            parts.append((i, j))
        i, j = (np.concatenate(side) for side in zip(*parts, strict=True))
        return i, j

    def _checked_n(self) -> dict[str, _Text]:
        """The expression of ``n``, if it is one."""
        if isinstance(self.n, str):
            check_expression(self._where, "n", self.n)
            return {"n": (self.n, False, ("i", "j"))}
        check_whole(self._where, "n", self.n, 1)
        return {}


# --- the patterns


@declared
@attrs.frozen(eq=False)
class Condition(_InWords):
    """Pairs for which a condition is true, each with a probability: Brian2's ``connect``.

    Parameters
    ----------
    condition : str
        Expression of the indices ``i`` and ``j``, of ``N_pre`` and ``N_post``, and of parameters,
        such as ``"i != j and abs(i - j) < 20"``.
    p : float or str
        Probability of each pair, in [0, 1], or an expression of it, such as
        ``"exp(-(x_pre - x_post)**2/(2*sigma**2))"``: above 1 it counts as 1, below 0 as 0.
    n : int or str
        How many synapses a pair has.
    parameters : dict
        Name -> number or quantity, or an array with one for each neuron: ``x`` is read as
        ``x_pre`` and ``x_post``; ``x_pre`` and ``x_post`` may be given each by itself.
    seed : int, optional
        Seed of the draw, whatever the network's is. Default: drawn for each projection, see
        :class:`Pattern`.

    Notes
    -----
    Conditions are evaluated for a million pairs at a time, or, where `p` is a number, for those
    that it leaves. For pairs whose partners are known, :class:`Generator` is faster.
    """

    tries_all = True

    condition: str = "True"
    p: float | str = attrs.field(default=1.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_expression("Condition", "condition", self.condition)
        texts: dict[str, _Text] = {"condition": (self.condition, True, ("i", "j"))}
        if isinstance(self.p, str):
            check_expression("Condition", "p", self.p)
            texts["p"] = (self.p, False, ("i", "j"))
        else:
            check_value("Condition", "p", self.p, 1.0, "in [0, 1]")
        self._check_texts(texts | self._checked_n())

    @property
    def without_seed(self) -> bool:
        """See :class:`Pattern`."""
        drawn = isinstance(self.p, str) or 0 < self.p < 1
        return drawn and self.seed is None

    def expected(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`: estimated from some of the pairs."""
        self.check("Condition", n_pre, n_post)
        flat = np.random.default_rng(0).integers(0, n_pre * n_post, _PROBES)
        names = self._names(n_pre, n_post, i=flat // n_post, j=flat % n_post)
        share = np.broadcast_to(evaluated(self.condition, names), flat.shape).astype(float)
        for factor, most in ((self.p, 1.0), (self.n, np.inf)):
            value = evaluated(factor, names) if isinstance(factor, str) else factor
            share = share * np.clip(np.asarray(value, dtype=float), 0.0, most)
        return round(float(np.nan_to_num(np.maximum(share, 0)).mean() * n_pre * n_post))

    def pairs(self, n_pre: int, n_post: int) -> _Pairs:
        """See :class:`Pattern`."""
        self.check("Condition", n_pre, n_post)
        return self._repeated(self._found(n_pre, n_post), n_pre, n_post)

    def _found(self, n_pre: int, n_post: int) -> Iterator[_Pairs]:
        rng = np.random.default_rng(self.seed or 0)
        p = self.p
        for flat in _thinned(rng, n_pre * n_post, 1.0 if isinstance(p, str) else p):
            i, j = np.divmod(flat, n_post)
            names = self._names(n_pre, n_post, i=i, j=j)
            keep = np.broadcast_to(np.asarray(evaluated(self.condition, names), bool), i.shape)
            if isinstance(p, str):
                chance = np.broadcast_to(evaluated(p, names), i.shape)
                if np.isnan(chance[keep]).any():
                    where = np.flatnonzero(keep & np.isnan(chance))[0]
                    got = f"no number for i = {i[where]}, j = {j[where]} ({p})"
                    raise ParameterError("Condition", "p", got, "a probability for each pair")
                keep = keep & (rng.random(len(i)) < chance)
            yield i[keep], j[keep]


@declared
@attrs.frozen(eq=False)
class Generator(_InWords):
    """Partners of each neuron that a generator expression says: Brian2's ``connect(j="...")``.

    Parameters
    ----------
    j, i : str
        One of them: postsynaptic indices of each ``i``, such as
        ``"k for k in range(i - 3, i + 4) if k != i"``, or presynaptic ones of each ``j``. In place
        of ``range`` there may be ``sample``, with a probability or a number of those that are
        taken: ``"k for k in sample(N_post, p=0.1)"``, ``"k for k in sample(N_post, size=10)"``.
    skip_if_invalid : bool
        Whether indices that are none of a neuron are left out, and a `size` that is not between 0
        and the number of those in the range is brought there; else both are refused.
    n, parameters, seed
        As for :class:`Condition`.
    """

    j: str = attrs.field(default="", kw_only=True)
    i: str = attrs.field(default="", kw_only=True)
    skip_if_invalid: bool = attrs.field(default=False, kw_only=True, validator=flag())

    def __attrs_post_init__(self) -> None:
        if bool(self.j) == bool(self.i):
            got = "both" if self.j else "neither"
            remedy = "Use Condition for all pairs that fulfil a condition"
            raise ParameterError("Generator", "j, i", got, "one of them", remedy)
        outer, inner = self._indices
        parts = self._parts
        texts: dict[str, _Text] = {inner: (parts.element, False, (outer, parts.variable))}
        if parts.condition:
            texts[f"{inner} (if)"] = (parts.condition, True, ("i", "j", parts.variable))
        ranging = [*parts.bounds, *filter(None, [parts.amount])]
        for number, part in enumerate(ranging):
            texts[f"{inner} (range, {number + 1})"] = (part, False, (outer,))
            for name in sorted(names_in(part) & {inner, parts.variable}):
                got = f"{name!r} in the range of {getattr(self, inner)!r}"
                wanted = f"a range that depends on {outer} only"
                raise ParameterError("Generator", inner, got, wanted, "Put it behind if")
        if parts.variable in ("i", "j", "N_pre", "N_post", *self.parameters):
            got = f"{parts.variable!r} in {getattr(self, inner)!r}"
            raise ParameterError("Generator", inner, got, "a name of its own", "Call it k")
        self._check_texts(texts | self._checked_n(), parts.variable)

    @property
    def _indices(self) -> tuple[str, str]:
        """The index that each neuron has, and the one that is generated."""
        return ("i", "j") if self.j else ("j", "i")

    @property
    def _parts(self) -> Generated:
        _, inner = self._indices
        return parse_generator("Generator", inner, getattr(self, inner))

    @property
    def without_seed(self) -> bool:
        """See :class:`Pattern`."""
        return bool(self._parts.chosen) and self.seed is None

    def expected(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`: as if its condition were always true."""
        self.check("Generator", n_pre, n_post)
        names, counts, *_ = self._ranges(n_pre, n_post)
        total = self._taken(names, counts)
        return round(total * (self.n if isinstance(self.n, int) else 1))

    def tried(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`."""
        names, counts, *_ = self._ranges(n_pre, n_post)
        return round(self._taken(names, counts))

    def _taken(self, names: Any, counts: Any) -> float:
        """About how many numbers of all ranges are taken."""
        amount = np.asarray(evaluated(self._parts.amount or "1", names), dtype=float)
        by_size = self._parts.chosen == "size"
        chosen = np.clip(amount, 0, counts) if by_size else counts * np.clip(amount, 0, 1)
        return float(np.nan_to_num(np.broadcast_to(chosen, counts.shape)).sum())

    def pairs(self, n_pre: int, n_post: int) -> _Pairs:
        """See :class:`Pattern`."""
        self.check("Generator", n_pre, n_post)
        return self._repeated(self._found(n_pre, n_post), n_pre, n_post)

    def _ranges(self, n_pre: int, n_post: int) -> tuple[Any, ...]:
        """Values of names of each neuron, and how many numbers its range has, from where, how."""
        outer, inner = self._indices
        each = np.arange(n_pre if outer == "i" else n_post)
        names = self._names(n_pre, n_post, **{outer: each})
        first, end, step = (
            np.broadcast_to(self._whole(inner, evaluated(bound, names)), each.shape)
            for bound in self._parts.bounds
        )
        if (step == 0).any():
            wanted = "a range with steps that are not 0"
            raise ParameterError("Generator", inner, repr(getattr(self, inner)), wanted)
        counts = np.maximum(0, -((first - end) // step))
        if counts.sum(dtype=float) > _EXACT:
            got = f"{counts.sum(dtype=float):g} of them, of {getattr(self, inner)!r}"
            raise ParameterError("Generator", inner, got, f"ranges of at most {_EXACT:,} numbers")
        return names, counts, first, step

    def _found(self, n_pre: int, n_post: int) -> Iterator[_Pairs]:
        outer, inner = self._indices
        parts, size = self._parts, n_post if inner == "j" else n_pre
        names, counts, first, step = self._ranges(n_pre, n_post)
        ends = np.cumsum(counts)
        for flat in self._chosen(names, counts, ends):
            owner = np.searchsorted(ends, flat, side="right")
            k = first[owner] + step[owner] * (flat - (ends - counts)[owner])
            known: dict[str, Any] = {outer: owner, parts.variable: k}
            element = evaluated(parts.element, self._names(n_pre, n_post, **known))
            made = np.broadcast_to(self._whole(inner, element), k.shape)
            keep = np.ones(k.shape, dtype=bool)
            if parts.condition:
                all_names = self._names(n_pre, n_post, **known, **{inner: made})
                keep &= np.asarray(evaluated(parts.condition, all_names), dtype=bool)
            outside = (made < 0) | (made >= size)
            if not self.skip_if_invalid and (keep & outside).any():
                at = np.flatnonzero(keep & outside)[0]
                got = f"{made[at]} for {outer} = {owner[at]}, of {getattr(self, inner)!r}"
                remedy = "Leave such indices out with skip_if_invalid=True, or behind if"
                wanted = f"indices from 0 to {size - 1}"
                raise ParameterError("Generator", inner, got, wanted, remedy)
            keep &= ~outside
            own, found = owner[keep].astype(np.int64), made[keep]
            yield (own, found) if inner == "j" else (found, own)

    def _chosen(self, names: Any, counts: Any, ends: Any) -> Iterator[NDArray[np.int64]]:
        """Places in all ranges one behind the other that are taken, a part at a time."""
        parts, total = self._parts, int(ends[-1])
        rng = np.random.default_rng(self.seed or 0)
        amount = evaluated(parts.amount or "1", names)
        if parts.chosen != "size":
            if np.isnan(amount).any():
                _, inner = self._indices
                wanted = "a probability for each neuron"
                raise ParameterError("Generator", inner, f"no number, of {parts.amount!r}", wanted)
            if np.ndim(amount) == 0:
                yield from _thinned(rng, total, float(amount))
                return
            for flat in _thinned(rng, total, 1.0):
                chance = amount[np.searchsorted(ends, flat, side="right")]
                yield flat[rng.random(len(flat)) < chance]
            return
        _, inner = self._indices
        least = None if self.skip_if_invalid else 0
        sizes = np.broadcast_to(self._whole(inner, amount, least), counts.shape)
        if self.skip_if_invalid:  # as many as there are, as in Brian2
            sizes = np.clip(sizes, 0, counts)
        if (sizes > counts).any():
            at = np.flatnonzero(sizes > counts)[0]
            got = f"size={sizes[at]} of {counts[at]}, in {getattr(self, inner)!r}"
            remedy = "Take as many as there are with skip_if_invalid=True"
            raise ParameterError("Generator", inner, got, "at most as many as there are", remedy)
        begins = ends - counts
        rows = (
            begin + rng.choice(count, n, replace=False, shuffle=False)
            for begin, count, n in zip(
                begins.tolist(), counts.tolist(), sizes.tolist(), strict=True
            )
        )
        yield np.sort(np.concatenate([np.empty(0, dtype=np.int64), *rows]))
