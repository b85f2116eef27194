"""The run loop: samples chunk by chunk, with recorders, checkpoints, progress and signals."""
