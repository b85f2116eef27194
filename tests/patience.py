"""How long tests wait: no test may depend on how fast the machine is (C16)."""

#: Seconds after which something hangs, however slow or loaded the machine is.
HANG = 3600.0
