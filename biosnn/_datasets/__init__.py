"""The parts behind ``biosnn.datasets``."""
