"""Progress: what is written where, and when."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from biosnn import networks, progress, simulation
from biosnn.devices import registry
from biosnn.errors import DeviceError
from biosnn.progress import ProgressBar, Waiting


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def log() -> Console:
    """A console that is no terminal, narrower than any line."""
    return Console(file=io.StringIO(), width=20, force_terminal=False, force_jupyter=False)


def terminal(width: int = 120) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        force_interactive=True,
        force_jupyter=False,
        color_system=None,
        _environ={},
    )


def lines(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def drawn(console: Console) -> list[str]:
    """Frames of a bar, without control sequences and the bar itself."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    return [re.sub(r"^[━╸╺ ]+", "", frame).rstrip() for frame in re.split(r"[\r\n]+", text)]


def test_lines_where_there_is_no_terminal(clock):
    console = log()
    with ProgressBar(60000, True, console=console, clock=clock) as bar:
        for second in range(1, 20):
            clock.now += 1
            bar.update(800 * second, {"spikes/sample": 12.34, "shown": 1.0432})
    assert lines(console) == [
        "8000 of 60000 samples, 800 samples/s, 65 s left, spikes/sample 12.3, shown 1.04",
        "15200 of 60000 samples, 800 samples/s, 56 s left, spikes/sample 12.3, shown 1.04",
    ]


def test_the_last_line_says_how_long_it_took(clock):
    console = log()
    with ProgressBar(9, True, console=console, clock=clock) as bar:
        clock.now += 3
        bar.update(9, {"loss": 0.00012345})
    assert lines(console) == ["9 of 9 samples, 3 samples/s, 3 s in all, loss 0.000123"]


def test_a_line_is_not_written_twice(clock):
    console = log()
    with ProgressBar(9, True, console=console, clock=clock) as bar:
        clock.now += 30
        bar.update(9)
    assert lines(console) == ["9 of 9 samples, 0.3 samples/s, 30 s in all"]


def test_short_runs_and_failed_runs_write_nothing(clock):
    console = log()
    with ProgressBar(5, True, console=console, clock=clock) as bar:
        clock.now += 1.9
        bar.update(5)

    def interrupted() -> None:
        with ProgressBar(5, True, console=console, clock=clock) as bar:
            clock.now += 5
            bar.update(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert lines(console) == []


def test_rate_and_time_left_count_only_what_is_new(clock):
    console = log()
    with ProgressBar(1000, True, start=900, console=console, clock=clock) as bar:
        clock.now += 10
        bar.update(920)
        clock.now += 10
        bar.update(900)  # a worker that is late
        bar.update(940)
    assert lines(console) == [
        "920 of 1000 samples, 2 samples/s, 40 s left",
        "940 of 1000 samples, 2 samples/s, 30 s left",
    ]


def test_no_rate_before_there_is_any(clock):
    console = log()
    with ProgressBar(1000, True, start=900, console=console, clock=clock) as bar:
        clock.now += 12
        bar.update(900, {"shown": float("nan")})
    assert lines(console) == ["900 of 1000 samples, shown nan"]


def test_a_stream_of_unknown_length(clock):
    console = log()
    with ProgressBar(None, True, console=console, clock=clock) as bar:
        clock.now += 10
        bar.update(12345)
        bar.note("weights\nsaved to [bold]here[/bold], in a line longer than the console")
    assert lines(console) == [
        "12345 samples, 1234 samples/s",
        "weights saved to [bold]here[/bold], in a line longer than the console",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (121, "2 min"), (7000, "117 min"), (12000, "3 h 20 min")],
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text


def test_nothing_is_shown_where_it_is_not_wanted(clock, capfd):
    console = log()
    with ProgressBar(5, False, console=console, clock=clock) as bar:
        clock.now += 60
        bar.update(5)
        bar.note("nothing")
    assert lines(console) == []
    with ProgressBar(5, False) as bar:
        bar.update(5)
        bar.note("nothing")
    assert capfd.readouterr() == ("", "")


def test_a_function_is_called_instead(clock):
    console, calls = log(), []
    with ProgressBar(5, lambda *a: calls.append(a), console=console, clock=clock) as bar:
        bar.update(2, {"shown": 1.0})
        clock.now += 60
        bar.update(5)
        bar.note("nothing")
    with ProgressBar(None, lambda *a: calls.append(a), console=console, clock=clock) as bar:
        bar.update(7)
    assert calls == [(2, 5), (5, 5), (7, None)]
    assert lines(console) == []


def test_a_bar_in_a_terminal(clock):
    console = terminal()
    with ProgressBar(60000, True, start=2000, console=console, clock=clock) as bar:
        clock.now += 1.5
        bar.update(3000)
        assert console.file.getvalue() == ""
        clock.now += 8.5
        bar.update(12000, {"spikes/sample": 12.34, "shown": 1.0432})
        bar.note("epoch 1: [9.3 %] of units are silent")
        clock.now += 10
        bar.update(22000, {"spikes/sample": 11.0, "shown": 1.0})
    frames = drawn(console)
    first = "12000/60000 samples  1000 samples/s  48 s left  spikes/sample 12.3  shown 1.04"
    assert frames[0] == first
    assert "━" in console.file.getvalue()
    note = frames.index("epoch 1: [9.3 %] of units are silent")
    assert frames[note + 1] == first
    assert "22000/60000 samples  1000 samples/s  38 s left  spikes/sample 11  shown 1" in frames
    assert console.file.getvalue().endswith("\x1b[1A\x1b[2K")  # it disappears
    assert "\x1b[?25h" in console.file.getvalue()  # and gives the cursor back


def test_a_bar_fits_into_a_narrow_terminal(clock):
    console = terminal(width=50)
    with ProgressBar(60000, True, console=console, clock=clock) as bar:
        clock.now += 10
        bar.update(12000, {"spikes/sample": 12.34, "shown": 1.0432})
    frame = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue()).splitlines()[0]
    assert re.fullmatch(r"[━╸╺ ]{4} 12000/60000 samples  1200 samples/s  40 s le… *", frame)
    assert len(frame) <= 50


def test_no_bar_without_a_length(clock):
    console = terminal()
    with ProgressBar(None, True, console=console, clock=clock) as bar:
        clock.now += 10
        bar.update(12000, {"shown": 1.0})
    assert drawn(console)[0] == "12000 samples  1200 samples/s  shown 1"
    assert "━" not in console.file.getvalue()


def test_a_bar_is_taken_away_when_the_run_fails(clock):
    console = terminal()
    before = sys.stderr

    def failing() -> None:
        with ProgressBar(9, True, console=console, clock=clock) as bar:
            clock.now += 10
            bar.update(4)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        failing()
    assert console.file.getvalue().endswith("\x1b[1A\x1b[2K")
    assert sys.stderr is before


def test_a_dumb_terminal_gets_lines(clock):
    console = Console(
        file=io.StringIO(), force_terminal=True, force_jupyter=False, _environ={"TERM": "dumb"}
    )
    with ProgressBar(9, True, console=console, clock=clock) as bar:
        clock.now += 10
        bar.update(5)
    assert lines(console) == ["5 of 9 samples, 0.5 samples/s, 8 s left"]


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_gets_a_bar_if_it_has_widgets(clock, monkeypatch, widgets):
    console = log()
    console.is_jupyter = True
    started = []

    class Display:
        def __init__(self, **options):
            self.text = options["get_renderable"]

        def start(self, refresh):
            started.append(self.text().columns[1]._cells[0].plain)

        def stop(self):
            started.append("stopped")

    monkeypatch.setattr(progress, "Live", Display)
    find = progress.importlib.util.find_spec
    monkeypatch.setattr(
        progress.importlib.util,
        "find_spec",
        lambda name: (object() if widgets else None) if name == "ipywidgets" else find(name),
    )
    written = []
    monkeypatch.setattr(console, "out", lambda text, **_: written.append(text))
    with ProgressBar(9, True, console=console, clock=clock) as bar:
        clock.now += 10
        bar.update(6)
    if widgets:
        assert started == ["6/9 samples  0.6 samples/s  5 s left", "stopped"]
        assert written == []
    else:
        assert started == []
        assert written == ["6 of 9 samples, 0.6 samples/s, 5 s left"]


def test_workers_may_report_at_once():
    console, calls, clock = terminal(), [], Clock()
    done = iter(range(1, 4001))
    count = threading.Lock()
    with ProgressBar(4000, True, console=console, clock=clock) as bar:
        clock.now += 10

        def work():
            for _ in range(1000):
                with count:
                    finished = next(done)
                bar.update(finished, {"shown": 1.0})
            calls.append(True)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len(calls) == 4
    shown = [int(frame.split("/")[0]) for frame in drawn(console) if "samples" in frame]
    assert shown[-1] == 4000
    assert shown == sorted(shown)


def test_many_updates_are_drawn_ten_times_a_second():
    console, clock = terminal(), Clock()
    began = time.perf_counter()
    with ProgressBar(None, True, console=console, clock=clock) as bar:
        clock.now += 10
        for done in range(20000):
            bar.update(done)
    seconds = time.perf_counter() - began
    frames = [frame for frame in drawn(console) if "samples" in frame]
    assert len(frames) >= 2  # the first and the last
    assert len(frames) <= 10 * seconds + 4


# --- builds (C14)


@pytest.fixture
def by_hand(monkeypatch):
    """Nothing begins by itself."""
    monkeypatch.setattr(progress, "_PATIENCE", 3600.0)


def test_a_build_that_takes_long_is_written_where_there_is_no_terminal(clock, by_hand):
    console = log()
    with Waiting("building 'wta'", console=console, clock=clock) as waiting:
        waiting._begin()
        assert lines(console) == ["building 'wta' ..."]
        clock.now += 28
    assert lines(console) == ["building 'wta' ...", "building 'wta': done in 28 s"]


def test_a_build_counts_the_seconds_at_a_terminal(clock, by_hand):
    console = terminal()
    with Waiting("building 'wta'", console=console, clock=clock) as waiting:
        clock.now += 2
        waiting._begin()
        clock.now += 26
        waiting._live.refresh()
    frames = [frame for frame in drawn(console) if "wta" in frame]
    assert re.fullmatch(r"\S building 'wta', 2 s", frames[0])
    assert re.fullmatch(r"\S building 'wta', 28 s", frames[-1])
    assert console.file.getvalue().endswith("\x1b[2K"), "the line is cleared in the end"


def test_quick_refused_and_failing_builds_say_nothing_in_the_end(clock, by_hand):
    console = log()
    with Waiting("quick", console=console, clock=clock) as waiting:
        pass
    waiting._begin()  # a timer that comes too late
    assert lines(console) == []
    with contextlib.suppress(ValueError), Waiting("f", console=console, clock=clock) as waiting:
        waiting._begin()
        raise ValueError
    assert lines(console) == ["f ..."]


def test_the_timer_begins_by_itself(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    console = log()
    with Waiting("building", console=console) as waiting:
        waiting._timer.join()
        assert lines(console) == ["building ..."]


@pytest.mark.parametrize("how", ["argument", "context"])
def test_builds_can_be_quiet(monkeypatch, how):
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    console = log()
    quiet = progress.quiet_builds() if how == "context" else contextlib.nullcontext()
    with quiet, Waiting("building", how == "context", console=console) as waiting:
        assert not waiting._timer.is_alive()
    assert lines(console) == []
    with Waiting("building", console=console) as waiting:
        waiting._timer.join()
    assert lines(console)[0] == "building ..."


def test_compiling_says_so(monkeypatch, capsys):
    def slow(*_):
        progress_said.wait()
        raise DeviceError("no compiler today")

    progress_said = threading.Event()
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(registry, "build", slow)
    written = progress._Quiet.out
    monkeypatch.setattr(
        progress._Quiet, "out", lambda *a, **kw: (written(*a, **kw), progress_said.set())
    )
    network = networks.winner_take_all(4, 3)
    with pytest.raises(DeviceError, match="no compiler today"):
        simulation.compile(network)
    said = f"building the network {network.name!r} for the device cpp ...\n"
    assert capsys.readouterr().err == said
    progress_said.clear()
    with pytest.raises(DeviceError, match="no compiler today"):
        simulation.ensemble(network, 2)
    assert capsys.readouterr().err == said
    with pytest.raises(DeviceError, match="no compiler today"):
        simulation.compile(network, progress=False)
    assert capsys.readouterr().err == ""


def test_standard_error_is_where_it_goes():
    code = (
        "from biosnn.progress import ProgressBar\n"
        "now = [0.0]\n"
        "with ProgressBar(4, True, clock=lambda: now[0]) as bar:\n"
        "    now[0] = 10.0\n"
        "    bar.update(1)\n"
        "    bar.note('half of it')\n"
        "    print('result')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "result\n"
    assert done.stderr.splitlines() == ["1 of 4 samples, 0.1 samples/s, 30 s left", "half of it"]
