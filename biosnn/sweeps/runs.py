"""One run of a sweep, where it is run, and what of it is on disk."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import math
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from biosnn.errors import DataError
from biosnn.files import locked_folder, replace
from biosnn.validation import describe

_FORMAT = 1
_RESULT, _TRACEBACK, _STARTS = "result.json", "error.txt", "starts"
_LONGEST = 2**26  # bytes of a result
#: In the sweep's folder while it runs: who does not see it has another disk.
MARK = ".sweep"
_log = logging.getLogger("biosnn")


@attrs.frozen(kw_only=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    status : str
        ``"finished"`` or ``"failed"``.
    metrics : dict
        What the function returned, as plain data.
    error : str
        One line, if it failed.
    seconds : float
        How long it took.
    """

    status: str
    metrics: dict[str, Any]
    error: str
    seconds: float


@attrs.frozen(eq=False, kw_only=True)
class Task:
    """What a worker needs for one run.

    Attributes
    ----------
    function : callable
        Called with the setting and the seed, and with ``folder`` if it has such a parameter.
    setting, seed
        What it is called with.
    written : dict
        The setting as plain data.
    folder : str
        Folder of this run.
    mark : str
        What the file :data:`MARK` of the sweep's folder must hold: another for each call.
    retries : int
        How often it is started again in one call because its process died.
    """

    function: Callable[..., Any]
    setting: dict[str, Any]
    written: dict[str, Any]
    seed: int
    folder: str
    mark: str
    retries: int


def execute(task: Task) -> Outcome:
    """Run, and keep the result; where it is there already, give that.

    An exception of the function is an outcome, and is kept as one. Only one process at a time
    works in a run's folder: others wait, and find the result.
    """
    folder = Path(task.folder)
    _check_place(folder.parents[1], task.mark)
    lock = locked_folder(folder, "run.lock", wait=True)
    try:
        known = kept(folder)
        if known is not None:
            return known
        starts = _count_start(folder, task.mark)
        if starts > task.retries + 1:
            outcome = died(starts - 1)
            keep(task, outcome)
            return outcome
        _import_brian2()
        begun = time.perf_counter()
        own = {"folder": folder} if _takes_folder(task.function) else {}
        metrics, error = {}, ""
        try:
            metrics = checked_metrics(task.function(copy.deepcopy(task.setting), task.seed, **own))
            (folder / _TRACEBACK).unlink(missing_ok=True)  # of an earlier attempt
        except (Exception, SystemExit) as problem:
            error = one_line(problem)
            replace(folder / _TRACEBACK, _writable(traceback.format_exc()).encode())
        outcome = Outcome(
            status="failed" if error else "finished",
            metrics=metrics,
            error=error,
            seconds=time.perf_counter() - begun,
        )
        keep(task, outcome)
        (folder / _STARTS).unlink(missing_ok=True)
        return outcome
    finally:
        lock.release()


def _check_place(folder: Path, mark: str) -> None:
    try:
        found = (folder / MARK).read_text("utf-8")
    except OSError:
        found = ""
    if found != mark:
        raise DataError(
            f"the worker on {socket.gethostname()} does not see the sweep's folder {folder}: "
            "choose one on a disk that all workers share"
        )


def _import_brian2() -> None:
    """Import Brian2 in the main thread of a worker: it cannot be imported first in another one.

    It sets a handler of signals when it is imported, and runs are in a thread beside the main one.
    """
    if threading.current_thread() is threading.main_thread() or "brian2" in sys.modules:
        return
    from distributed import get_worker

    done: Future[Any] = Future()

    def imported() -> None:
        try:
            done.set_result(import_module("brian2"))
        except BaseException as error:
            done.set_exception(error)

    get_worker().loop.add_callback(imported)
    done.result()


def _count_start(folder: Path, mark: str) -> int:
    """How often a call of `sweep` has started the run, with this time."""
    path = folder / _STARTS
    before = path.read_text("utf-8", "replace").split() if path.exists() else []
    starts = [*(word for word in before if word == mark), mark]
    replace(path, " ".join(starts).encode())
    return len(starts)


def died(times: int) -> Outcome:
    """The outcome of a run whose process does not live to its end."""
    error = f"its worker died each of the {times} times that it ran (out of memory, or killed)"
    return Outcome(status="failed", metrics={}, error=error, seconds=0.0)


def _takes_folder(function: Callable[..., Any]) -> bool:
    try:
        return "folder" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # of C, without a signature
        return False


def one_line(error: BaseException) -> str:
    """An exception as one line for a table."""
    text = _writable(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _writable(text: str) -> str:
    """A text in which bytes that are no text, as in names of files, are written out."""
    return text.encode("utf-8", "backslashreplace").decode()


# --- files


def keep(task: Task, outcome: Outcome) -> None:
    """Write how a run ended, in one step."""
    data = {
        "format": _FORMAT,
        "setting": task.written,
        "seed": task.seed,
        "host": socket.gethostname(),
        **attrs.asdict(outcome),
    }
    replace(Path(task.folder) / _RESULT, json.dumps(data, indent=1, ensure_ascii=False).encode())


def kept(folder: Path) -> Outcome | None:
    """The finished run in a folder, if there is a whole one; runs that failed are run again."""
    path = folder / _RESULT
    if not path.exists():
        return None
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} bytes")
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']!r}")
        if data["status"] not in ("finished", "failed"):
            raise ValueError(f"status {data['status']!r}")
        outcome = Outcome(
            status=data["status"],
            metrics=checked_metrics(data["metrics"]),
            error=str(data["error"]),
            seconds=float(data["seconds"]),
        )
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        _log.warning("%s is damaged (%s): the run is repeated", path, one_line(error))
        return None
    return outcome if outcome.status == "finished" else None


# --- metrics


def checked_metrics(found: Any) -> dict[str, Any]:
    """What a function returned, as plain data; NaN and infinities are None.

    Raises
    ------
    TypeError
        If it is no dict of numbers, texts, and lists and dicts of them, or two have one name.
    """
    if not isinstance(found, Mapping):
        raise TypeError(f"the function must return a dict of metrics, not {describe(found)}")
    metrics = {_name(key): _plain(key, value) for key, value in found.items()}
    names: set[str] = set()
    for name, _ in scalars(metrics):
        if name in names:
            raise TypeError(
                f"there are two metrics {name!r}: the dots in it stand for a dict in one"
            )
        names.add(name)
    return metrics


def _name(key: Any) -> str:
    if not isinstance(key, str) or not key:
        raise TypeError(f"the names of metrics must be texts, got {describe(key)}")
    return _writable(key)


def _plain(name: str, value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return _writable(value)
        case np.generic():
            return _plain(name, value.item())
        case int() if abs(value) <= sys.float_info.max:
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case np.ndarray() if not hasattr(value, "dim"):
            return _plain(name, value.tolist())
        case Mapping():
            return {_name(key): _plain(f"{name}.{key}", part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(name, part) for part in value]
    raise TypeError(
        f"the metric {name!r} must be a number, a text, or a list or dict of them, got "
        f"{describe(value)}; divide quantities by their unit"
    )


def scalars(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of all metrics that fit into a cell of a table."""
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            yield prefix + key, value
