"""Progress of a long run, training or build: a bar, or lines where there is no terminal."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar as Bar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_PATIENCE = 2.0
_LINE_EVERY = 10.0
_DRAWINGS_PER_SECOND = 10
_BAR_WIDTH = 40
_builds_shown = ContextVar("builds_shown", default=True)


@contextlib.contextmanager
def quiet_builds() -> Iterator[None]:
    """Show no progress of builds inside a ``with`` block."""
    before = _builds_shown.set(False)
    try:
        yield
    finally:
        _builds_shown.reset(before)


class ProgressBar:
    """Shows how many of ``total`` samples are done, on stderr, if it takes more than two seconds.

    In a terminal and in a notebook it is a bar that disappears in the end; elsewhere a line
    every ten seconds and one at the end. :meth:`update` may be called from several threads.

    Parameters
    ----------
    total : int or None
        Number of samples (or of other units); ``None`` for a stream of unknown length.
    show : bool or callable
        Whether to show anything, or a function ``(done, total)`` to call instead.
    start : int
        How many of the samples were done before (a resumed run).
    unit : str
        What is counted.
    console : rich.console.Console, optional
        Where to write; default: stderr.
    clock : callable
        Seconds since any moment.
    """

    def __init__(
        self,
        total: int | None,
        show: bool | Callable[[int, int | None], None],
        *,
        start: int = 0,
        unit: str = "samples",
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total = total
        self._show = show
        self._start = start
        self._unit = unit
        self._console = _Quiet(stderr=True) if console is None else console
        self._clock = clock
        self._lock = threading.RLock()
        self._live: Live | None = None
        #: Samples done and running figures. The bar's own thread reads it without the lock,
        #: so it is only ever replaced as a whole.
        self._report: tuple[int, Mapping[str, float]] = (start, {})
        self._written: tuple[int, Mapping[str, float]] | None = None
        self._started = self._last_line = clock()

    def __enter__(self) -> ProgressBar:
        self._started = self._last_line = self._clock()
        return self

    def update(self, done: int, figures: Mapping[str, float] | None = None) -> None:
        """Tell how many samples are done, those of ``start`` included.

        Parameters
        ----------
        done : int
            Number of samples. A report that comes later than one of more samples is ignored.
        figures : mapping of str to float, optional
            Running figures to show beside it; without it the last ones stay.
        """
        if self._show is False:
            return
        with self._lock:
            if done < self._report[0]:
                return
            self._report = (done, self._report[1] if figures is None else dict(figures))
            if callable(self._show):
                self._show(done, self.total)
                return
            if self._live is not None:  # draws itself
                return
            now = self._clock()
            if now - self._started < _PATIENCE:
                return
            if _can_draw(self._console):
                self._draw()
            elif now - self._last_line >= _LINE_EVERY:
                self._last_line = now
                self._write()

    def note(self, text: str) -> None:
        """Print one line, above the bar if there is one."""
        if self._show is True:
            self._console.out(" ".join(text.split()), highlight=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()
            elif (
                self._show is True
                and kind is None
                and not _can_draw(self._console)
                and self._clock() - self._started >= _PATIENCE
                and self._written != self._report
            ):
                self._write()

    def _draw(self) -> None:
        self._live = _live(self._console, self._drawing)

    def _drawing(self) -> Table:
        done, figures = self._report
        text = "  ".join(self._figures(done, figures, "/"))
        grid = Table.grid(padding=(0, 1))
        parts: list[Bar | Text] = [Text(text, no_wrap=True, overflow="ellipsis")]
        if self.total is not None:
            width = max(4, min(_BAR_WIDTH, self._console.width - len(text) - 2))
            parts.insert(0, Bar(total=max(self.total, 1), completed=done, width=width))
        grid.add_row(*parts)
        return grid

    def _write(self) -> None:
        done, figures = self._written = self._report
        line = ", ".join(self._figures(done, figures, " of "))
        self._console.out(line, highlight=False)

    def _figures(self, done: int, figures: Mapping[str, float], between: str) -> list[str]:
        of = "" if self.total is None else f"{between}{self.total}"
        running = [f"{name} {_number(value)}" for name, value in figures.items()]
        return [f"{done}{of} {self._unit}", *self._speed(done), *running]

    def _speed(self, done: int) -> list[str]:
        """Samples per second of this run, and the time that is left or was needed."""
        seconds = self._clock() - self._started
        new = done - self._start
        if new <= 0 or seconds <= 0:
            return []
        rate = f"{_number(new / seconds)} {self._unit}/s"
        if self.total is None:
            return [rate]
        if done >= self.total:
            return [rate, f"{_duration(seconds)} in all"]
        return [rate, f"{_duration((self.total - done) * seconds / new)} left"]


class Waiting:
    """Says on stderr what is waited for, and for how long, if it takes more than two seconds.

    In a terminal and in a notebook it is a line that counts the seconds and disappears in the end;
    elsewhere a line after two seconds and one at the end.

    Parameters
    ----------
    what : str
        What is done, such as ``"compiling 'wta' for cpp"``.
    show : bool
        Whether to show anything.
    console : rich.console.Console, optional
        Where to write; default: stderr.
    clock : callable
        Seconds since any moment.
    """

    def __init__(
        self,
        what: str,
        show: bool = True,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._what, self._show = what, show and _builds_shown.get()
        self._console = _Quiet(stderr=True) if console is None else console
        self._clock = clock
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._begun = self._over = False

    def __enter__(self) -> Waiting:
        self._started = self._clock()
        self._timer = threading.Timer(_PATIENCE, self._begin)
        self._timer.daemon = True
        if self._show:
            self._timer.start()
        return self

    def _begin(self) -> None:
        """Show the message, unless the work is over already."""
        with self._lock:
            if self._over:
                return
            self._begun = True
            if not _can_draw(self._console):
                self._console.out(f"{self._what} ...", highlight=False)
                return
            spinner = Spinner("dots")

            def drawing() -> Spinner:
                seconds = _duration(self._clock() - self._started)
                spinner.update(text=f"{self._what}, {seconds}")
                return spinner

            self._live = _live(self._console, drawing)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._live is not None:
                self._live.stop()
            elif self._begun and kind is None:
                seconds = _duration(self._clock() - self._started)
                self._console.out(f"{self._what}: done in {seconds}", highlight=False)


def _live(console: Console, drawing: Callable[[], Table | Spinner]) -> Live:
    """Something that is redrawn in place, and disappears when it is stopped."""
    live = Live(
        console=console,
        get_renderable=drawing,
        refresh_per_second=_DRAWINGS_PER_SECOND,
        transient=True,
        # What others print goes above it, unless stdout goes elsewhere.
        redirect_stdout=console.is_jupyter or sys.stdout.isatty(),
    )
    live.start(refresh=True)
    return live


class _Quiet(Console):
    """Falls silent when nobody reads stderr any more (``2>&1 | tee log`` after Ctrl-C)."""

    def on_broken_pipe(self) -> None:
        """Rich would end the process."""
        self.quiet = True


def _can_draw(console: Console) -> bool:
    """Whether a bar can be redrawn in place."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_interactive


def _number(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    return f"{value:.0f}" if 100 <= abs(value) < math.inf else f"{value:.3g}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
