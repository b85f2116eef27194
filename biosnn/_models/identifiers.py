"""Which names equations and statements use, and which of them need a value."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from brian2.core import namespace
from brian2.utils.stringtools import deindent

#: Brian2's own variables, and what every network gives its populations.
_BUILT_IN = frozenset({
    "t", "dt", "i", "N", "t_in_timesteps", "not_refractory", "lastspike",
    "active_for", "stream", "counter_uniform", "counter_normal", "counter_poisson",
})  # fmt: skip


def names_in(code: str) -> set[str]:
    """Names that a condition or statements use without assigning them.

    Raises
    ------
    SyntaxError
        If they do not parse.
    """
    tree = ast.parse(deindent(code).strip())
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    assigned = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - assigned


def without_value(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of the names that are neither known nor a function, unit or constant of Brian2."""
    return sorted(
        set(names)
        - set(known)
        - _BUILT_IN
        - set(namespace.DEFAULT_FUNCTIONS)
        - set(namespace.DEFAULT_UNITS)
        - set(namespace.DEFAULT_CONSTANTS)
    )


def rename(code: str, names: Mapping[str, str]) -> str:
    """Replace whole identifiers in Brian2 code."""
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda match: names.get(match[0], match[0]), code)
