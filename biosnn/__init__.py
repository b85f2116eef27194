"""biosnn: spiking networks defined by equations, trained as one compiled program."""

__version__ = "0.1.0"
