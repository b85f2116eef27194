"""The checks of names, expressions, statements and equations."""

from __future__ import annotations

import ast
import functools
import keyword
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from brian2.core.namespace import DEFAULT_UNITS

from biosnn.code_gate.sizes import (
    ARITHMETIC,
    MAX_DEPTH,
    MAX_NAME,
    RefusedError,
    check_sizes,
    measured,
    source,
)
from biosnn.code_gate.words import CPP_WORDS
from biosnn.errors import ParameterError

#: Longest text, in characters, and most equations or statements in it.
MAX_CHARACTERS, MAX_LINES = 50_000, 1_000
#: Longest unit with its flags, in characters.
MAX_UNIT = 200

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CHARACTERS = re.compile(r"[A-Za-z0-9_ \t\r\n+\-*/%().,<>=!:;]*")
_BREAKS = re.compile("\r(?!\n)|[\v\f\x1c-\x1e\x85\u2028\u2029\0]")
_HEAD = re.compile(r"\s*(?:d(?P<driven>\w+)\s*/\s*dt|(?P<name>\w+))\s*(?P<equals>=)?", re.ASCII)
_UNIT = re.compile(
    r"(?P<unit>[A-Za-z0-9*/. \t-]+?)[ \t]*(?P<flags>\([A-Za-z][\w, \t-]*\))?", re.ASCII
)
_EQUATION = 'valid Brian2 equations, "variable = expression : unit"'
_UNITS = "valid Brian2 equations with a unit such as siemens/meter**2 after the colon"
_BUMP_TARGET = "x"
_GENERATOR = "a generator such as k for k in range(i - 3, i + 4) if k != i"


class Generated(NamedTuple):
    """A generator expression in its parts, each an expression by itself.

    Parameters
    ----------
    element : str
        What is generated.
    variable : str
        The name that runs through a range.
    bounds : tuple of str
        First, end and step of the range.
    chosen : {"", "p", "size"}
        Whether all of the range are taken, each with a probability, or so many of them.
    amount : str
        The probability or number; empty for all.
    condition : str
        Which are kept; empty for all.
    """

    element: str
    variable: str
    bounds: tuple[str, str, str]
    chosen: str
    amount: str
    condition: str


def check_name(obj: str, field: str, name: Any, *, in_code: bool = True) -> None:
    """Check the name of a variable, parameter, event, population or projection.

    Parameters
    ----------
    obj, field : str
        Where the name is given, for the message.
    name : str
        ASCII letters, digits and ``_``, at most ``MAX_NAME`` of them, not beginning with a digit
        or ``_``.
    in_code : bool
        Whether it stands in code by itself, and so may be no word of Python or C++.
    """
    if not isinstance(name, str):
        raise ParameterError(obj, field, _shown(name), "a name")
    _check(lambda text: _pass_name(text, "names", in_code), obj, field, name, "a name")


def check_title(obj: str, field: str, text: Any) -> None:
    """Check the title of a model, rule or network, which stands in messages and files."""
    named = isinstance(text, str) and text.strip() and text.isprintable() and len(text) <= MAX_NAME
    if not named or "/" in text or "\\" in text:
        wanted = f"1 to {MAX_NAME} printable characters without / and \\"
        raise ParameterError(obj, field, _shown(text), wanted)


def check_target_name(obj: str, field: str, text: Any) -> None:
    """Check a reference ``"population.variable"``."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 2:
        raise ParameterError(obj, field, _shown(text), 'of the form "population.variable"')
    for part in parts:
        check_name(obj, field, part, in_code=False)


def check_expression(obj: str, field: str, text: Any) -> None:
    """Check an expression, such as a condition.

    Parameters
    ----------
    obj, field : str
        Where the text is given, for the message.
    text : str
        The expression.
    """
    _check(_pass_expression, obj, field, text, "an expression")


def check_statements(obj: str, field: str, text: Any) -> None:
    """Check statements: ``name = expression``, ``name += expression`` and the like, or none.

    Parameters are those of :func:`check_expression`.
    """
    _check(_pass_statements, obj, field, text, "statements such as v = E_L")


def parse_generator(obj: str, field: str, text: Any) -> Generated:
    """Check a generator expression of synapses, and take it apart.

    Parameters are those of :func:`check_expression`; the text is of the form
    ``element for k in range(...) if condition``, or with ``sample(..., p=...)`` or
    ``sample(..., size=...)`` in place of ``range(...)``.
    """
    _check(_pass_generator, obj, field, text, _GENERATOR)
    return _pass_generator(text)


def check_bump(obj: str, field: str, text: Any) -> None:
    """Check what a spike does to a trace: ``"+= 1"`` or ``"= 1"``, with any expression."""
    if not isinstance(text, str) or text.lstrip()[:2].rstrip() not in ("+=", "="):
        raise ParameterError(obj, field, _shown(text), 'like "+= 1" or "= 1"')
    check_statements(obj, field, f"{_BUMP_TARGET} {text}")


def check_equations(obj: str, field: str, text: Any) -> None:
    """Check equations in Brian2's form: differential equations, subexpressions, parameters.

    Subexpressions count with all that they stand for where they are used.
    Parameters are those of :func:`check_expression`.
    """
    _check(_pass_equations, obj, field, text, "valid Brian2 equations such as dv/dt = -v/tau : 1")


def _check(passes: Callable[[str], object], obj: str, field: str, text: Any, kind: str) -> None:
    """Check a text, and name its place if it is refused."""
    if not isinstance(text, str):
        got = f"{_shown(text)} of type {type(text).__name__}"
        raise ParameterError(obj, field, got, f"{kind}, as a text")
    try:
        passes(text)
    except RefusedError as error:
        got = f"{error.got} in {_shown(text)}" if error.got else _shown(text)
        raise ParameterError(obj, field, got, error.wanted, error.remedy) from None


# Models are composed step by step, and every step is checked: most texts come again and again.


@functools.lru_cache(maxsize=1024)
def _pass_expression(text: str) -> None:
    measured(_expression(_bounded(text)), {})


@functools.lru_cache(maxsize=1024)
def _pass_statements(text: str) -> None:
    lines = [line.strip() for line in _bounded(text).splitlines()]
    body = _parsed("\n".join(lines), "exec").body
    if len(body) > MAX_LINES:
        raise RefusedError(f"at most {MAX_LINES} statements", f"{len(body)} of them")
    for part in body:
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AugAssign(target=ast.Name(id=name), value=value, op=op):
                if type(op) not in ARITHMETIC:
                    raise RefusedError("made of +=, -=, *=, /= and the like", source(part))
            case _:
                wanted = "made of assignments to single names"
                raise RefusedError(wanted, source(part), "Write one assignment per line")
        _pass_name(name, "names")
        measured(value, {})


@functools.lru_cache(maxsize=1024)
def _pass_generator(text: str) -> Generated:
    node = _expression(_bounded(text))
    match node:
        case ast.GeneratorExp(
            elt=element,
            generators=[
                ast.comprehension(
                    target=ast.Name(id=variable),
                    iter=ast.Call(func=ast.Name(id=function), args=args, keywords=keywords),
                    ifs=conditions,
                    is_async=0,
                )
            ],
        ) if len(conditions) <= 1:
            pass
        case _:
            raise RefusedError(_GENERATOR, source(node))
    _pass_name(variable, "names")
    if function not in ("range", "sample") or not 1 <= len(args) <= 3:
        wanted = "a generator over range(...) or sample(...) with one to three numbers"
        raise RefusedError(wanted, source(ast.Call(ast.Name(function), args, [])))
    named = [keyword.arg or "" for keyword in keywords]
    if function == "range" and named:
        raise RefusedError("a generator over a range of numbers without names", named[0])
    if function == "sample" and named not in (["p"], ["size"]):
        wanted = "a generator over sample(...) with either p=... or size=..."
        raise RefusedError(wanted, ", ".join(named))
    amounts = [keyword.value for keyword in keywords]
    for part in (element, *args, *amounts, *conditions):
        measured(part, {})
    bounds = [ast.unparse(part) for part in args]
    first, end, step = ["0", *bounds, "1"] if len(bounds) == 1 else [*bounds, "1"][:3]
    return Generated(
        element=ast.unparse(element),
        variable=variable,
        bounds=(first, end, step),
        chosen="".join(named),
        amount="".join(map(ast.unparse, amounts)),
        condition="".join(map(ast.unparse, conditions)),
    )


@functools.lru_cache(maxsize=1024)
def _pass_equations(text: str) -> None:
    defined: dict[str, ast.expr] = {}
    driven: list[ast.expr] = []
    for number, (name, differential, expression) in enumerate(_equations(_bounded(text))):
        if number >= MAX_LINES:
            raise RefusedError(f"at most {MAX_LINES} equations")
        _pass_name(name, "variables")
        if expression is None:
            continue
        parsed = _expression(expression)
        if differential:
            driven.append(parsed)
        elif name in defined:
            raise RefusedError("equations that define a variable once", f"{name!r} twice")
        else:
            defined[name] = parsed
    check_sizes(defined, driven)


def _pass_name(name: str, what: str, in_code: bool = True) -> None:
    remedy = "Choose another name, such as v_m"
    if not _NAME.fullmatch(name) or name.startswith("_"):
        wanted = f"made of {what} that are identifiers of ASCII letters, digits and _"
        raise RefusedError(wanted, _shown(name), remedy)
    if len(name) > MAX_NAME:
        raise RefusedError(f"made of {what} of at most {MAX_NAME} characters", _shown(name))
    if in_code and (keyword.iskeyword(name) or name in CPP_WORDS):
        raise RefusedError(f"made of {what} that are no words of Python or C++", repr(name), remedy)


def _shown(value: Any) -> str:
    """A value for a message, in one line."""
    text = " ".join(value[:1_000].split()) if isinstance(value, str) else value
    shown = repr(text)
    return shown if len(shown) <= 120 else f"{shown[:100]}... ({len(str(value))} characters)"


def _bounded(text: str) -> str:
    """The text without its comments, if it is short and made of allowed characters."""
    if len(text) > MAX_CHARACTERS:
        raise RefusedError(f"at most {MAX_CHARACTERS} characters long", f"{len(text)} characters")
    if _BREAKS.search(text):
        # Comments end where the line ends, and all readers of a text must agree on where that is.
        raise RefusedError("made of lines that end with a plain line feed")
    code = "\n".join(line.partition("#")[0] for line in text.split("\n"))
    foreign = code[_CHARACTERS.match(code).end() :][:1]  # type: ignore[union-attr]
    if foreign:
        hint = {"^": "Write ** for a power", "&": "Write and", "|": "Write or"}.get(foreign, "")
        wanted = "made of numbers, ASCII names, operators and parentheses"
        raise RefusedError(wanted, repr(foreign), hint)
    return code


def _parsed(text: str, mode: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return ast.parse(text, mode=mode)
        except SyntaxError as error:
            raise RefusedError(f"valid Brian2 code ({error.msg})") from None
        except (MemoryError, RecursionError, ValueError):
            raise RefusedError(f"nested at most {MAX_DEPTH} deep") from None


def _expression(text: str) -> ast.expr:
    return _parsed(f"({' '.join(text.split())}\n)", "eval").body


def _equations(text: str) -> Iterator[tuple[str, bool, str | None]]:
    """Name, whether it has a differential equation, and expression of each equation."""
    rest = text
    while rest.strip():
        head = _HEAD.match(rest)
        before, colon, after = rest.partition(":")
        if head is None or not colon:
            raise RefusedError(_EQUATION, repr(rest.strip()[:40]))
        inner = before[head.end() :]
        name = head["name"] or head["driven"]
        if bool(head["equals"]) != bool(inner.strip()) or (head["driven"] and not head["equals"]):
            raise RefusedError(_EQUATION, repr(before.strip()[:40]))
        line, _, rest = after.partition("\n")
        _check_unit(line)
        yield name, head["driven"] is not None, inner if head["equals"] else None


def _check_unit(text: str) -> None:
    """Check the unit and the flags at the end of an equation."""
    found = _UNIT.fullmatch(text.strip()) if len(text) <= MAX_UNIT else None
    if found is None:
        wanted = "valid Brian2 equations: a unit, and flags in parentheses, after the colon"
        raise RefusedError(wanted, repr(text.strip()[:40]))
    if found["unit"].strip() in ("boolean", "integer", "1"):
        return
    for node in ast.walk(_expression(found["unit"])):
        match node:
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                pass
            case ast.BinOp(op=ast.Pow(), right=power) if _whole(power):
                pass
            case ast.Constant(value=int(number)) if abs(number) <= 20:
                pass
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
                pass
            case ast.Name(id=name) if name in DEFAULT_UNITS:
                pass
            case ast.Name(id=name):
                remedy = "Write 1 for a number without unit"
                raise RefusedError(
                    "valid Brian2 equations with a known unit after the colon", repr(name), remedy
                )
            case ast.operator() | ast.unaryop() | ast.expr_context():
                pass
            case _:
                wanted = (
                    "valid Brian2 equations with a unit such as siemens/meter**2 after the colon"
                )
                raise RefusedError(wanted, repr(text.strip()[:40]))


def _whole(power: ast.expr) -> bool:
    inner = power.operand if isinstance(power, ast.UnaryOp) else power
    return isinstance(inner, ast.Constant) and type(inner.value) is int and inner.value <= 9
