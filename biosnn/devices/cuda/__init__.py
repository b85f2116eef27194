"""The device ``cuda``: programs for a GPU, through Brian2CUDA."""
