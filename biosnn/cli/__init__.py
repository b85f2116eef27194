"""The command ``biosnn``.

Commands import what they need when they are called, because Brian2 takes seconds to import and
``biosnn --help`` shall not wait for it. An error of biosnn is one sentence on stderr and exit
status 2; any other exception is a bug and keeps its traceback.
"""

from biosnn.cli.app import (
    app,
    classify,
    run,
)

__all__ = [
    "app",
    "classify",
    "run",
]
