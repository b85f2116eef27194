"""The parts behind ``biosnn.plasticity``."""
