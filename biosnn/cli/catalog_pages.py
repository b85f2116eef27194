"""``biosnn models``: the catalogue as tables, and as ``docs/library.md``."""

from __future__ import annotations

import re

from rich.console import Console
from rich.table import Table

from biosnn.cli.catalog import Entry, catalog
from biosnn.errors import ParameterError

_DOI = re.compile(r"10\.\d{4,9}/[^\s,;]+")
_PAGE = """# The library

Made from the specs by `biosnn models --markdown`; `biosnn models NAME` shows one entry on the
terminal.
Every entry goes with every other and with equations of your own: `models.neuron(equations=...)`,
`model.with_synapses(name=...)`, `Projection(synapse="name", rule=..., short_term=...)`.

Out of scope: spike-based expectation maximisation, policy-gradient and temporal-difference
learning.
"""


def show_all() -> None:
    """Print the library: a table for each kind of entry."""
    console = _console()
    for title, entries in catalog().items():
        table = _table(title, "name", "what it is", "source")
        for entry in entries:
            table.add_row(entry.name, entry.summary, entry.reference)
        console.print(table)
        console.print()
    console.print("'biosnn models NAME' shows equations and parameters.")


def show_one(name: str) -> None:
    """Print equations, parameters and source of the entries with this name."""
    entries = [entry for kind in catalog().values() for entry in kind]
    found = [entry for entry in entries if entry.name == name]
    if not found:
        known = ", ".join(entry.name for entry in entries)
        raise ParameterError("biosnn models", "NAME", repr(name), f"one of {known}")
    for entry in found:
        _show(entry)


def markdown() -> str:
    """The library as a page of the documentation."""
    parts = [_PAGE]
    for kind, entries in catalog().items():
        parts.append(f"## {kind[0].upper()}{kind[1:]}\n")
        parts.append("| name | what it is |\n|---|---|")
        parts += [f"| [`{e.name}`](#{_anchor(kind, e)}) | {_cell(e.summary)} |" for e in entries]
        parts.append("")
        parts += [_section(kind, entry) for entry in entries]
    return "\n".join(parts).rstrip() + "\n"


def _show(entry: Entry) -> None:
    console = _console()
    console.print(f"{entry.name}: {entry.prose}\n")
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for title, fact in {"in Python": f"{entry.call}(...)", **entry.facts}.items():
        facts.add_row(title, fact.strip())
    console.print(facts)
    console.print()
    bounded = any(bound for _, _, bound, _ in entry.parameters)
    columns = ("name", "default", "bound", "meaning") if bounded else ("name", "default", "meaning")
    table = _table("parameters", *columns)
    for name, default, bound, meaning in entry.parameters:
        table.add_row(name, default, *([bound] if bounded else []), meaning)
    if table.row_count:
        console.print(table)
    if entry.reference:
        console.print(f"\nsource: {entry.reference}", soft_wrap=True)
        for doi in _DOI.findall(entry.reference):
            console.print(f"https://doi.org/{doi.rstrip(').')}", soft_wrap=True)


def _anchor(kind: str, entry: Entry) -> str:
    return f"{kind.split()[0].rstrip('s')}-{entry.name}".replace("_", "-")


def _section(kind: str, entry: Entry) -> str:
    lines = [f'<a id="{_anchor(kind, entry)}"></a>\n', f"### {entry.name}\n"]
    lines.append(f"`{entry.call}`: {entry.prose}\n")
    for title, fact in entry.facts.items():
        lines.append(f"{title}:\n\n```\n{fact}\n```\n")
    if entry.parameters:
        bounded = any(bound for _, _, bound, _ in entry.parameters)
        lines.append("| parameter | default | " + ("bound | " if bounded else "") + "meaning |")
        lines.append("|---|---|" + ("---|" if bounded else "") + "---|")
        for name, default, bound, meaning in entry.parameters:
            cells = [f"`{name}`", default, *([bound] if bounded else []), meaning]
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
        lines.append("")
    if entry.reference:
        lines.append(f"Source: {entry.reference}\n")
    return "\n".join(lines)


def _cell(content: str) -> str:
    return content.replace("|", "\\|").replace("\n", " ")


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    return table
