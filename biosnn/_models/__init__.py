"""The parts behind ``biosnn.models``."""
