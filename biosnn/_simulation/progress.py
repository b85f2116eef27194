"""A progress bar that appears when a run takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_PATIENCE = 2.0
_LINE_EVERY = 10.0


class ProgressBar:
    """Shows how many of ``total`` samples are done, on stderr.

    Parameters
    ----------
    total : int
        Number of samples.
    show : bool or callable
        Whether to show anything, or a function ``(done, total)`` to call instead.
    """

    def __init__(self, total: int, show: bool | Callable[[int, int], None]):
        self.total = total
        self._show = show
        self._console = Console(file=sys.stderr)
        self._bar: Progress | None = None

    def __enter__(self) -> ProgressBar:
        self._started = self._last_line = time.monotonic()
        return self

    def update(self, done: int) -> None:
        """Tell how many samples are done."""
        if callable(self._show):
            self._show(done, self.total)
            return
        now = time.monotonic()
        if not self._show or now - self._started < _PATIENCE:
            return
        rate = done / (now - self._started)
        if self._console.is_terminal:
            self._draw(done, rate)
        elif now - self._last_line >= _LINE_EVERY:
            self._last_line = now
            self._console.print(f"{done} of {self.total} samples, {rate:.0f} samples/s")

    def _draw(self, done: int, rate: float) -> None:
        if self._bar is None:
            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("samples, {task.fields[rate]:.0f}/s, left"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, rate=rate)
        self._bar.update(self._task, completed=done, rate=rate)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
