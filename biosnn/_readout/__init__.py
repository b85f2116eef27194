"""The parts behind `biosnn.readout`."""
