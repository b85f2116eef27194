"""Functions that are made of published data: signature and docstring follow from it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import attrs
from brian2.units.fundamentalunits import Quantity

_TEXT = textwrap.TextWrapper(width=96, initial_indent="    ", subsequent_indent="    ")


@attrs.frozen
class Keyword:
    """A keyword of a factory: its default, its type as the docstring names it, what it means."""

    default: Any
    kind: str
    meaning: str


def keywords(source: ModuleType) -> dict[str, Keyword]:
    """The parameters of a module of ``biosnn.equations`` as keywords."""
    scheduled = getattr(source, "SCHEDULED", ())
    found = {}
    for name, (default, bound, meaning, *unit) in source.PARAMETERS.items():
        if isinstance(bound, tuple):
            kind = f"{{{', '.join(map(repr, bound))}}}".replace("'", '"')
            found[name] = Keyword(default, kind, meaning)
            continue
        like = unit[0] if unit else default
        kind = "Quantity" if isinstance(like, Quantity) else type(like).__name__
        kind += ", optional" if unit else ""
        kind += " or Schedule" if name in scheduled else ""
        if bound not in ("", "finite", "whole"):
            meaning = re.sub("(?=[;:])|$", f", {bound}", meaning, count=1)
        found[name] = Keyword(default, kind, meaning)
    return found


def factory[T](
    make: Callable[[dict[str, Any]], T],
    source: ModuleType,
    given: Mapping[str, Keyword],
    returns: type,
    *,
    name: str,
    face: str,
    raises: str = "If a parameter is unknown, has another unit or is out of its bound.",
) -> Callable[..., T]:
    """A function of keywords that documents itself.

    Parameters
    ----------
    make : function
        Takes the keywords that were given, by name.
    source : module
        Of ``biosnn.equations``, with a docstring and a ``REFERENCE``.
    given : mapping
        Its keywords, in the order of the signature.
    returns : type
        What it makes.
    name, face : str
        Its name, and the module that exports it.
    raises : str
        When it raises a ParameterError.
    """

    def made(**parameters: Any) -> T:
        return make(parameters)

    prose, _, notes = (inspect.getdoc(source) or "").partition("\n\nNotes\n-----\n")
    rows = []
    for key, keyword in given.items():
        sentence = f"{keyword.meaning[0].upper()}{keyword.meaning[1:]}."
        rows += [f"{key} : {keyword.kind}", *_TEXT.wrap(sentence)]
    made.__doc__ = "\n\n".join([
        prose,
        _section("Parameters", rows),
        _section("Returns", [returns.__name__]),
        _section("Raises", ["ParameterError", *_TEXT.wrap(raises)]),
        *([_section("Notes", [notes])] if notes else []),
        _section("References", textwrap.wrap(source.REFERENCE, 100)),
    ])  # fmt: skip
    made.__name__ = made.__qualname__ = name
    made.__module__ = f"biosnn.{face}"
    made.__annotations__ = {"return": returns}
    made.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=keyword.default)
            for key, keyword in given.items()
        ],
        return_annotation=returns,
    )
    return made


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, "-" * len(title), *lines])
