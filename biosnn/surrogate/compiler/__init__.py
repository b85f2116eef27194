"""From equations to torch code."""
