"""Run an experiment's script in this process."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path


def run_script(script: Path, flags: Sequence[str]) -> None:
    """Run a script as ``python SCRIPT FLAGS`` would; ``sys.argv`` and ``sys.path`` come back."""
    argv, path = sys.argv, list(sys.path)
    sys.argv = [str(script), *flags]
    sys.path.insert(0, str(script.parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = argv, path
