"""The version of biosnn."""

__version__ = "0.1.0"
