"""From trained networks of other kinds to spiking ones."""
