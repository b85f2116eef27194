"""One experiment of a sweep, in a process of its own: ``python -m biosnn.cli.sweep_child``.

It ends, as after SIGTERM, when the process that started it is no more: that holds the other end of
its standard input. Whoever starts the same run again waits until it has ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from biosnn import experiments
from biosnn.cli.run_script import run_script
from biosnn.errors import StorageError
from biosnn.files import locked_folder

#: Folder of the experiment's results inside the run's.
OUTPUT = "output"


def run(script: Path, folder: Path, words: Sequence[str]) -> None:
    """Run an experiment in a run's folder, or go on with it there."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = locked_folder(folder, "experiment.lock", wait=True)
    out = folder / OUTPUT
    try:
        run_script(script, [*words, *_resuming(script, out), "--out", str(out)])
    finally:
        lock.release()


def _end_with_parent() -> None:
    while os.read(0, 1):  # without the lock of sys.stdin, which would stop Python's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _resuming(script: Path, out: Path) -> list[str]:
    """``--resume`` where there is something to go on with; otherwise an empty folder."""
    if not out.exists():
        return []
    try:
        experiments.interrupted_command(out, script)
    except StorageError:
        shutil.rmtree(out)
        return []
    return ["--resume"]


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
