"""Run validations and write their record.

Use: ``python -m validation [TOPIC ...] [FOLDER] [--short] [--device DEVICE] [--out FILE]``.

Each module of this folder whose name has no underscore is a topic. Its ``validate(short=...)``
returns figures in nested dicts; a dict with ``value``, ``bound`` and ``ok`` is a check, one with
``not_run`` a check that could not be made, and why. Topics that need data from elsewhere are given
the folder.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import validation
from biosnn.errors import ParameterError, StorageError
from biosnn.experiments import environment, main, plain_data


def topics() -> list[str]:
    """Names of all validations."""
    found = (module.name for module in pkgutil.iter_modules(validation.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def checks(figures: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All checks in a topic's figures, with where they stand."""
    for key, value in figures.items():
        if isinstance(value, Mapping):
            if "ok" in value or "not_run" in value:
                yield f"{path}{key}", value
            yield from checks(value, f"{path}{key}.")


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)


def show(console: Console, topic: str, figures: Mapping[str, Any], seconds: float) -> int:
    """Print a topic's checks and return how many failed."""
    table = Table(title=topic, title_justify="left", box=None, pad_edge=False)
    table.add_column("check", overflow="fold")
    table.add_column("value", overflow="fold")
    for heading in ("bound", ""):
        table.add_column(heading, no_wrap=True)
    failed = left_out = 0
    for name, found in checks(figures):
        if "ok" not in found:
            left_out += 1
            table.add_row(name, f"not run: {found['not_run']}", "", "[yellow]not run")
            continue
        failed += not found["ok"]
        verdict = "[green]holds" if found["ok"] else "[red bold]fails"
        bound = _number(found.get("bound", ""))
        table.add_row(name, _number(found.get("value", "")), bound, verdict)
    console.print(table)
    counts = f"{table.row_count} checks, {failed} failed, {left_out} not run"
    console.print(f"{topic}: {counts}, {seconds:.0f} s\n")
    return failed


def run() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m validation", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(topics()))
    parser.add_argument("--short", action="store_true", help="the short form that tests run")
    parser.add_argument("--device", help="of the topics that can be run on several")
    parser.add_argument("--out", type=Path, help="write the record to this new JSON file")
    args = parser.parse_args()
    unknown = sorted(set(args.topics) - set(topics()))
    folder = Path(unknown.pop()) if len(unknown) == 1 and Path(unknown[0]).is_dir() else None
    chosen = [topic for topic in args.topics if topic in topics()]
    if unknown:
        raise ParameterError("validation", "TOPIC", repr(unknown[0]), f"of {', '.join(topics())}")
    if args.out is not None and args.out.exists():
        raise StorageError(f"{args.out} exists; records are only added, choose another name")
    console = Console()
    record: dict[str, Any] = {"environment": environment(), "short": args.short, "topics": {}}
    failed = 0
    for topic in chosen or topics():
        module = importlib.import_module(f"validation.{topic}")
        with console.status(f"{topic} ..."):
            started = time.perf_counter()
            takes = inspect.signature(module.validate).parameters
            given = {"folder": folder} if "folder" in takes else {}
            if args.device is not None and "device" in takes:
                given["device"] = args.device
            figures = plain_data(module.validate(short=args.short, **given))
            seconds = time.perf_counter() - started
        failed += show(console, topic, figures, seconds)
        record["topics"][topic] = {"seconds": round(seconds, 1), "figures": figures}
        if args.out is not None:  # what is there is kept, should a later topic stop
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(record, indent=1) + "\n")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main(run)
