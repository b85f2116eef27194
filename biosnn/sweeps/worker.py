"""What the workers of a sweep's own cluster do first (``preload`` of Dask)."""

from __future__ import annotations

import signal
from importlib import import_module
from typing import Any


def dask_setup(worker: Any) -> None:
    """Import Brian2, which has to be done in the main thread, and leave Ctrl-C to the sweep."""
    import_module("brian2")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
