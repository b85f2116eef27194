"""Which runs a sweep has, and what each of them is known by."""

from __future__ import annotations

import inspect
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from biosnn.declaration import fingerprint, to_data
from biosnn.errors import ParameterError, StorageError
from biosnn.validation import LARGEST, check_whole, describe
from biosnn.version import __version__

_WHERE = "sweep"
#: Columns of the tables that are no settings.
RESERVED = (
    "run", "seed", "status", "error", "seconds", "metric", "n", "mean", "std_ddof1", "failed",
)  # fmt: skip
_LIMIT = 1_000_000


@attrs.frozen(eq=False)
class PlannedRun:
    """One run of a sweep.

    Attributes
    ----------
    setting : dict
        Name -> value.
    number : int
        Of the setting, in the order in which the grid gives them.
    seed : int
    key : str
        Hash of the setting, the seed and the version of what is run: the name of its folder.
    """

    setting: dict[str, Any]
    number: int
    seed: int
    key: str


def planned_runs(grid: Any, seeds: Any, version: Any) -> list[PlannedRun]:
    """All runs of a sweep: each setting with each seed, all settings with the first seed first.

    Parameters
    ----------
    grid : mapping or sequence of mappings
        Name -> values, of which every combination is a setting; or the settings themselves.
    seeds : int or sequence of int
        Number of seeds, which are 0, 1, 2, ...; or the seeds.
    version : object
        Of what is run: numbers and texts. Runs of another version are other runs.

    Raises
    ------
    ParameterError
        If there is no setting or no seed, one occurs twice, or a value cannot be written down.
    """
    found = _seeds(seeds)
    settings = _settings(grid, len(found))
    parts = [sorted(setting.items()) for setting in settings]
    known = set()
    for setting in settings:
        for name, value in setting.items():
            _check_value(name, value)
        mark = fingerprint(sorted(setting.items()))
        if mark in known:
            got = f"twice {describe(setting)}"
            raise ParameterError(_WHERE, "grid", got, "settings that differ")
        known.add(mark)
    return [
        PlannedRun(setting, k, seed, fingerprint(parts[k], seed, version)[:16])
        for seed in found
        for k, setting in enumerate(settings)
    ]


def _settings(grid: Any, n_seeds: int) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping):
        columns = {name: _values(name, values) for name, values in grid.items()}
        _check_names(columns)
        _check_number(math.prod(map(len, columns.values())), n_seeds)
        products = itertools.product(*columns.values())
        return [dict(zip(columns, values, strict=True)) for values in products]
    if isinstance(grid, str) or not isinstance(grid, Sequence) or not grid:
        wanted = "a dict of lists, whose combinations are the settings, or a list of settings"
        raise ParameterError(_WHERE, "grid", describe(grid), wanted)
    _check_number(len(grid), n_seeds)
    for k, setting in enumerate(grid):
        if not isinstance(setting, Mapping):
            raise ParameterError(_WHERE, f"grid[{k}]", describe(setting), "a dict, name -> value")
        _check_names(setting)
    return [dict(setting) for setting in grid]


def _check_number(n: int, n_seeds: int) -> None:
    if n * n_seeds > _LIMIT:
        got = f"{n} settings with {n_seeds} seed(s) each"
        raise ParameterError(_WHERE, "grid", got, f"at most {_LIMIT} runs")


def _values(name: Any, values: Any) -> list[Any]:
    # A quantity such as [5, 10]*ms is a list of values, too.
    scalar = isinstance(values, str | Mapping) or getattr(values, "ndim", 1) == 0
    if scalar or not isinstance(values, Iterable):
        wanted, remedy = "a list of values", "A single value is a list of one"
        raise ParameterError(_WHERE, f"grid[{name!r}]", describe(values), wanted, remedy)
    found = list(values)
    if not found:
        raise ParameterError(_WHERE, f"grid[{name!r}]", "no value", "at least one value")
    return found


def _check_names(names: Iterable[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or not name:
            raise ParameterError(_WHERE, "grid", f"the name {describe(name)}", "named by texts")
        if name in RESERVED:
            wanted, remedy = "of other names", "The tables have a column of this name"
            raise ParameterError(_WHERE, "grid", f"the name {name!r}", wanted, remedy)


def _check_value(name: str, value: Any) -> None:
    try:
        json.dumps([name, to_data(value)], ensure_ascii=False).encode()
    except (StorageError, UnicodeEncodeError) as error:
        wanted = "a number, a text, a quantity, a list of them or a spec of biosnn"
        remedy = "Give a name, and make the object of it in the function"
        raise ParameterError(_WHERE, f"grid[{name!r}]", describe(value), wanted, remedy) from error


def _seeds(seeds: Any) -> list[int]:
    if isinstance(seeds, int) or not isinstance(seeds, Iterable):
        return list(range(check_whole(_WHERE, "seeds", seeds, 1, _LIMIT)))
    found = [check_whole(_WHERE, f"seeds[{k}]", seed, 0, LARGEST) for k, seed in enumerate(seeds)]
    if not found:
        raise ParameterError(_WHERE, "seeds", "none", "at least one seed")
    if len(set(found)) < len(found):
        raise ParameterError(_WHERE, "seeds", describe(found), "seeds that differ")
    return found


def version_of(function: Callable[..., Any], version: Any) -> list[Any]:
    """What a function is known by: its name, and its version or else its source and biosnn's.

    Raises
    ------
    ParameterError
        If it cannot be called, or has no source to be read and no version was given.
    """
    if not callable(function):
        wanted = "a function of a setting and a seed"
        raise ParameterError(_WHERE, "function", describe(function), wanted)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    if version is not None:
        if isinstance(version, bool) or not isinstance(version, str | int):
            raise ParameterError(_WHERE, "version", describe(version), "a text or a whole number")
        return [name, version]
    try:
        return [name, inspect.getsource(function), __version__]
    except (OSError, TypeError) as error:
        remedy = f"Source code cannot be read of {describe(function)}"
        wanted = "a text that changes when what is run changes"
        raise ParameterError(_WHERE, "version", None, wanted, remedy) from error
