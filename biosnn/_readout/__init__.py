"""The readouts of ``biosnn.readout``."""
