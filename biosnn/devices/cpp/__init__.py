"""The device ``cpp``: C++ programs for the CPU."""
