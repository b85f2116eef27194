"""Implementations behind ``biosnn.encoding``."""
