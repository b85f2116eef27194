"""Networks that are ready to use."""
