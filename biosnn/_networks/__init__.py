"""The parts behind ``biosnn.networks``."""
