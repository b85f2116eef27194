"""The command ``biosnn``."""

from biosnn.cli.commands import app
