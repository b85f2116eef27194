"""``biosnn cache``: list and remove builds."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import attrs
import typer

from biosnn.devices.base.cache import Entry, cache_folder, clear, entries
from biosnn.errors import ParameterError
from biosnn.state import bytes_of


def show(*, as_json: bool) -> None:
    """Print a row per build, their total size and where they are; or one line of JSON."""
    found = entries()
    total = sum(entry.bytes for entry in found)
    if as_json:
        report = {
            "folder": str(cache_folder()),
            "bytes": total,
            "entries": [
                {
                    **attrs.asdict(entry),
                    "folder": str(entry.folder),
                    "modified": entry.modified.isoformat(),
                }
                for entry in found
            ],
        }
        typer.echo(json.dumps(report))
        return
    if found:
        _show_table(found)
    typer.echo(f"{_count(len(found))}, {bytes_of(total)} in {cache_folder()}")


def _show_table(found: list[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("network", "device", "precision", "size", "age", "key"):
        justify = "right" if title in ("size", "age") else "left"
        table.add_column(title, justify=justify, overflow="fold", no_wrap=title == "key")
    now = datetime.now(UTC)
    for entry in found:
        table.add_row(
            (entry.network or "?") if entry.complete else "(damaged)",
            entry.device or "?",
            entry.precision or "?",
            bytes_of(entry.bytes),
            _age((now - entry.modified).total_seconds()),
            entry.key,
        )
    Console(highlight=False, markup=False, emoji=False).print(table)


def remove(*, older_than: float | None, yes: bool) -> None:
    """Ask, if that is possible and wanted, then remove builds and say what was removed."""
    if not yes:
        if not sys.stdin.isatty():
            raise ParameterError(
                "biosnn cache clear",
                "--yes",
                "nothing",
                "given where standard input is not a terminal",
                "Nothing was removed.",
            )
        which = "all builds" if older_than is None else f"builds older than {older_than:g} days"
        typer.confirm(f"Remove {which} in {cache_folder()}?", abort=True)
    removed, freed = clear(older_than)
    typer.echo(
        f"removed {_count(removed)}, {bytes_of(freed)}; "
        f"{_count(len(entries()))} left in {cache_folder()}"
    )


def _count(n: int) -> str:
    return f"{n} build" if n == 1 else f"{n} builds"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"
