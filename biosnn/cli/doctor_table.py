"""``biosnn doctor``: the checks as a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from biosnn.doctor import Check

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def show(checks: Iterable[Check]) -> None:
    """Print a row per finding, with the remedy where there is one."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("", "what", "found"):
        table.add_column(title, overflow="fold")
    for check in checks:
        found = f"{check.found}\n{check.remedy}" if check.remedy else check.found
        table.add_row(Text(check.status, _STYLES[check.status]), Text(check.name), Text(found))
    Console(highlight=False).print(table)
