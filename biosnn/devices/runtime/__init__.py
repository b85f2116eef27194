"""The device ``runtime``: a live Brian2 network."""
