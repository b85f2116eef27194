"""The parts behind ``biosnn.simulation``."""
