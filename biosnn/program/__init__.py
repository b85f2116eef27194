"""Networks lowered to what devices run."""
