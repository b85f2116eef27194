"""The errors of biosnn.

Every one of them says which object and parameter is meant, what was received, what
would have been accepted and what to do about it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def printable(text: object) -> str:
    """A text for a terminal: characters that would control it are shown as escapes."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in str(text)
    )


class BiosnnError(Exception):
    """Base class of all errors that biosnn raises on purpose."""


class ParameterError(BiosnnError, ValueError):
    """A parameter of a public object has a value it cannot have.

    Parameters
    ----------
    obj : str
        The object (class or function) that was given the value, e.g. ``"LIF"``.
    name : str
        The parameter's name, e.g. ``"tau_m"``.
    got : object
        The value received.
    wanted : str
        The bound that it breaks, as a phrase after "must be", e.g. ``"> 0 s"``.
    remedy : str, optional
        What the user can do about it, one sentence.
    """

    def __init__(self, obj: str, name: str, got: object, wanted: str, remedy: str = ""):
        self.obj = obj
        self.name = name
        self.got = got
        self.wanted = wanted
        self.remedy = remedy
        message = f"{obj}.{name} must be {wanted}, got {got}"
        message = f"{message}. {remedy}" if remedy else message
        super().__init__(" ".join(message.split()))  # in one line, whatever was given


class DataError(BiosnnError, ValueError):
    """A dataset or an input array is missing, malformed or out of its range."""


class NotRecordedError(DataError, KeyError):
    """A recording was asked for something that the network was not compiled to record."""

    __str__ = Exception.__str__  # a KeyError would show the sentence in quotes


class DeviceError(BiosnnError, RuntimeError):
    """A device cannot build or run a network (no compiler, failed build, failed run)."""


class StorageError(BiosnnError, RuntimeError):
    """A saved file is missing, truncated, foreign or would be overwritten."""


class CallbackError(BiosnnError, RuntimeError):
    """A callback of a training raised an exception, which is the cause of this one."""


class MissingExtraError(BiosnnError, ModuleNotFoundError):
    """Something needs a package that one of the extras of biosnn brings."""


@contextlib.contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Say of packages that are imported inside, and are not there, which extra brings them.

    Raises
    ------
    MissingExtraError
        If one is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "biosnn").partition(".")[0] == "biosnn":
            raise
        raise MissingExtraError(
            f'{what} needs {error.name}, which is not installed: pip install "biosnn[{extra}]"',
            name=error.name,
        ) from error


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop (Ctrl-C, SIGTERM) and did so after a whole sample.

    Parameters
    ----------
    message : str
        Where it stopped and how to go on.
    signal : int
        The signal that asked, or 0.
    folder : Path, optional
        Where the checkpoint is.
    """

    def __init__(self, message: str, signal: int = 0, folder: Path | None = None):
        super().__init__(message)
        self.signal = signal
        self.folder = folder
