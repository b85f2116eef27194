"""Ctrl-C and SIGTERM stop a run after a whole sample."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from biosnn.devices.base.contract import Stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalStop(Stop):
    """Asks a run to stop at the first SIGINT or SIGTERM; the second one interrupts at once.

    Signals reach a process' main thread; in others this does nothing.

    Parameters
    ----------
    say : callable
        Is given a line for the user when a signal has come.
    """

    def __init__(self, say: Callable[[str], None]):
        super().__init__()
        self._say = say
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> SignalStop:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                # What is ignored (nohup, `script &`) stays ignored; a handler that C code has
                # set could not be put back.
                if before not in (None, signal.SIG_IGN):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.signal = number
        self.request()
        self._say("stopping after the present sample; once more to stop at once")
