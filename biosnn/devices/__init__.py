"""The only rooms that name a Brian2 device: runtime, C++ standalone, the artifact, the cache."""
