"""Keep the results of experiments as a record: ``python benchmarks/record.py NAME RUN [RUN ...]``.

Each RUN is an experiment's output folder. The record ``benchmarks/records/NAME.json`` holds their
``results.json`` under the folders' names, with paths cut to their last part. Records are only
added; an existing one is not replaced.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from biosnn.errors import StorageError
from biosnn.experiments import main

RECORDS = Path(__file__).parent / "records"
PATHS = ("data_dir", "out", "save", "load", "continue_from")


def without_paths(result: dict[str, Any]) -> dict[str, Any]:
    """A result whose parameters name files and folders without where they are."""
    parameters = {
        key: Path(value).name if key in PATHS and value else value
        for key, value in result["parameters"].items()
    }
    return {**result, "parameters": parameters}


def run() -> None:
    """Write the record that the command line asks for."""
    name, *folders = sys.argv[1:]
    target = RECORDS / f"{name}.json"
    if target.exists():
        raise StorageError(f"{target} exists; records are only added, choose another name")
    record = {
        Path(folder).name: without_paths(json.loads((Path(folder) / "results.json").read_text()))
        for folder in folders
    }
    RECORDS.mkdir(exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(run)
