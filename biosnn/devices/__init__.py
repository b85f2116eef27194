"""Devices: translations of a program into something that runs."""

from biosnn.devices.registry import devices, register, unregister

__all__ = ["devices", "register", "unregister"]
