"""The command ``biosnn``."""

from biosnn.cli.commands import app

__all__ = ["app"]
