"""The parts behind ``biosnn.surrogate``."""
