"""Types of command-line flags."""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Callable
from pathlib import Path


def whole(least: int) -> Callable[[str], int]:
    """Type of a flag that takes a whole number from ``least`` up."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value < 2**31:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least} to {2**31 - 1}, got {text!r}"
            )
        return value

    return convert


def folder(text: str) -> Path:
    """Type of ``--out``: makes the folder, to fail before the work is done and not after it."""
    path = Path(text).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"must be a folder that you may write to, got {text!r} ({error.strerror})"
        ) from error
    return path
