"""The parts behind ``biosnn.experiments``."""
