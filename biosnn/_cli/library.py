"""What ``biosnn models`` prints: tables made from the specs, never written by hand."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

from biosnn import encoding, plasticity
from biosnn.errors import ParameterError
from biosnn.models import LIBRARY, Companion, NeuronModel, Trace
from biosnn.plasticity import PlasticityRule

_ROLE = re.compile(r":\w+:`([\w.]+)`")
_DOI = re.compile(r"10\.\d{4,9}/[^\s,;]+")


def show_all() -> None:
    """Print the library: a table of neuron models, one of rules and one of encoders."""
    models = {name: (module.__doc__, module.REFERENCE) for name, (_, module) in LIBRARY.items()}
    rules = {name: (rule.__doc__, _reference(rule)) for name, rule in _rules().items()}
    encoders = {name: (encoder.__doc__, "") for name, encoder in _encoders().items()}
    console = _console()
    for title, entries in (
        ("neuron models", models),
        ("plasticity rules", rules),
        ("encoders", encoders),
    ):
        cited = any(source for _, source in entries.values())
        table = _table(title, "name", "what it is", *(["source"] if cited else []))
        for name, (doc, source) in entries.items():
            table.add_row(name, _summary(doc), *([source] if cited else []))
        console.print(table)
        console.print()
    console.print("'biosnn models NAME' shows equations and parameters.")


def show_one(name: str) -> None:
    """Print equations, parameters and source of one model, rule or encoder.

    Raises
    ------
    ParameterError
        If there is none of this name.
    """
    rules, encoders = _rules(), _encoders()
    if name in LIBRARY:
        _show_model(name, LIBRARY[name][1])
    elif name in rules:
        _show_function(name, rules[name])
    elif name in encoders:
        _show_function(name, encoders[name])
    else:
        known = ", ".join([*LIBRARY, *rules, *encoders])
        raise ParameterError("biosnn models", "NAME", repr(name), f"one of {known}")


def _show_model(name: str, source: ModuleType) -> None:
    console = _console()
    console.print(f"{name}: {_prose(inspect.getdoc(source))}\n")
    _show_facts(
        {
            "equations": source.EQUATIONS,
            "threshold": source.THRESHOLD,
            "reset": source.RESET,
            "refractory": getattr(source, "REFRACTORY", None),
            "method": source.METHOD,
            "operations": "\n".join(
                f"{code}  (on {on}, {when})" for code, on, when in getattr(source, "OPERATIONS", ())
            ),
            "initial values": "\n".join(f"{k} = {_text(v)}" for k, v in source.INITIAL.items()),
        }
    )
    table = _table("parameters", "name", "default", "bound", "meaning")
    for parameter, (default, bound, meaning) in source.PARAMETERS.items():
        table.add_row(parameter, _text(default), bound, meaning)
    console.print(table)
    _show_source(source.REFERENCE)


def _show_function(name: str, function: Callable[..., Any]) -> None:
    console = _console()
    prose = (inspect.getdoc(function) or "").partition("\nParameters\n")[0]
    console.print(f"{name}: {_prose(prose)}\n")
    made = _made(function)
    if isinstance(made, PlasticityRule):
        facts: dict[str, str] = {}
        for part in made.statements:
            title = "at each" if part.side == "synapse" else f"on a {part.side}synaptic"
            title = f"{title} {part.event}"
            facts[title] = f"{facts.get(title, '')}\n{part.code}"
        for side in ("pre", "post"):
            facts[f"{side}synaptic neuron"] = "\n".join(map(_companion, made.needs(side)))
        _show_facts(facts)
    elif isinstance(made, NeuronModel):
        _show_facts({"equations": made.equations, "threshold": made.threshold, "reset": made.reset})
    meanings = _documented(function)
    table = _table("parameters", "name", "default", "meaning")
    for parameter in inspect.signature(function).parameters.values():
        default = "" if parameter.default is parameter.empty else _text(parameter.default)
        table.add_row(parameter.name, default, meanings.get(parameter.name, ""))
    if table.row_count:
        console.print(table)
    _show_source(_reference(function))


def _companion(part: Trace | Companion) -> str:
    """What a rule keeps on a neuron."""
    if isinstance(part, Trace):
        return f"{part.name} {part.bump} on a spike, tau = {_text(part.tau)}"
    lines = part.equations.splitlines()
    lines += [f"{o.code}  (on {o.on}, {o.when})" for o in part.operations]
    lines += [f"event {name}: {event.condition}" for name, event in part.events.items()]
    return "\n".join([*lines, *(f"{k} = {_text(v)}" for k, v in part.parameters.items())])


def _show_facts(facts: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, fact in facts.items():
        if fact:
            table.add_row(title, str(fact).strip())
    _console().print(table)
    _console().print()


def _show_source(reference: str) -> None:
    if reference:
        _console().print(f"\nsource: {reference}", soft_wrap=True)
        for doi in _DOI.findall(reference):
            _console().print(f"https://doi.org/{doi}", soft_wrap=True)


# --- what there is


def _rules() -> dict[str, Callable[..., Any]]:
    return dict(_makers(plasticity, "PlasticityRule"))


def _encoders() -> dict[str, Callable[..., Any]]:
    return dict(_makers(encoding, "NeuronModel"))


def _makers(module: ModuleType, kind: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public functions of a module that return a spec of this kind."""
    for name, value in vars(module).items():
        if inspect.isfunction(value) and not name.startswith("_"):
            returned = value.__annotations__.get("return")
            if kind in (returned, getattr(returned, "__name__", None)):
                yield name, value


def _made(function: Callable[..., Any]) -> Any:
    """What a function makes of its defaults; nothing if it needs arguments."""
    parameters = inspect.signature(function).parameters.values()
    needed = [k for k in parameters if k.default is k.empty and k.kind is not k.VAR_KEYWORD]
    return None if needed else function()


def _reference(function: Callable[..., Any]) -> str:
    return getattr(_made(function), "reference", "")


# --- text


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    return table


def _prose(doc: str | None) -> str:
    """Text of a docstring without its line breaks and double quotes."""
    paragraphs = inspect.cleandoc(doc or "").strip().split("\n\n")
    text = "\n\n".join(" ".join(part.split()) for part in paragraphs)
    return _ROLE.sub(r"\1", text).replace("``", "")


def _summary(doc: str | None) -> str:
    return _prose(doc).partition("\n\n")[0]


def _text(value: Any) -> str:
    """A number with its unit, without the point that Brian2 leaves behind whole numbers."""
    return re.sub(r"(?<=\d)\.(?=\s|$)", "", str(value)).removesuffix(".0")


def _documented(function: Callable[..., Any]) -> dict[str, str]:
    """Meaning of each parameter, from the docstring's section."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?:\n\n\w[\w ]*\n-+\n|\Z)",
        inspect.getdoc(function) or "",
        re.S | re.M,
    )
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else ():
        if line[:1].strip():
            names = [name.strip(" *") for name in line.partition(" : ")[0].split(",")]
        else:
            for name in names:
                meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip()
    return {name: _prose(text).removesuffix(".") for name, text in meanings.items()}
