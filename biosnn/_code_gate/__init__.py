"""The parts of ``biosnn.code_gate``."""
