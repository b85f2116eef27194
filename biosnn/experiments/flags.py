"""Command-line flags of experiments, and their parser."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from biosnn.errors import ParameterError
from biosnn.experiments.flag_check import note_flags


def whole(least: int) -> Callable[[str], int]:
    """Type of a flag that takes a whole number from ``least`` up."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value < 2**31:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least} to {2**31 - 1}, got {text!r}"
            )
        return value

    return convert


def folder(text: str) -> Path:
    """Type of ``--out``: makes the folder, to fail before the work is done and not after it."""
    path = Path(text).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"must be a folder that you may write to, got {text!r} ({error.strerror})"
        ) from error
    return path


class UpTo(int):
    """Default of a flag that counts: so many, or as many as there are (see :func:`available`)."""


def available(args: argparse.Namespace, name: str, n: int) -> int:
    """How many samples a flag asks for, of those that there are; also noted in ``args``.

    Parameters
    ----------
    args : argparse.Namespace
        From the parser of an experiment.
    name : str
        The flag's name there, e.g. ``"train"``.
    n : int
        How many there are.

    Raises
    ------
    ParameterError
        If the flag asks for more. A default of :class:`UpTo` takes what there is.
    """
    asked = getattr(args, name)
    if isinstance(asked, UpTo):
        asked = min(int(asked), n)
    if asked > n:
        flag = f"--{name.replace('_', '-')}"
        raise ParameterError(args.experiment, flag, asked, f"at most {n}, as many as there are")
    setattr(args, name, asked)
    return asked


def given(args: argparse.Namespace, flag: str) -> bool:
    """Whether a flag was given on the command line."""
    return any(word.partition("=")[0] == flag for word in args.command)


def without_effect(args: argparse.Namespace, flags: Iterable[str], why: str) -> None:
    """Refuse flags that would do nothing.

    Raises
    ------
    ParameterError
        If one of them was given.
    """
    for flag in flags:
        if given(args, flag):
            remedy = "It would have no effect"
            raise ParameterError(args.experiment, flag, "it", f"left out {why}", remedy)


#: Flags of one call, which a noted command does not have.
_OF_THE_MOMENT = ("--out", "--resume", "--restart", "--overwrite")


def lasting(words: Iterable[str]) -> Iterator[str]:
    """The words of a command without flags such as ``--resume``, which belong to one call."""
    value_follows = False
    for word in words:
        if word.partition("=")[0] in _OF_THE_MOMENT:
            value_follows = word == "--out"
        elif value_follows:
            value_follows = False
        else:
            yield word


class Parser(argparse.ArgumentParser):
    """A parser that also returns the words it was given, as ``command``.

    Paths are absolute there, and flags that belong to one call only are left out.

    Attributes
    ----------
    seconds : float or None
        How long a short experiment takes; None of one that can be resumed.
    """

    seconds: float | None = None

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parse as :class:`argparse.ArgumentParser` does."""
        words = sys.argv[1:] if args is None else list(args)
        found = super().parse_args(words, namespace)
        found.command = list(self._with_whole_paths(lasting(words)))
        note_flags(self, vars(found))
        return found

    def action_of(self, flag: str) -> argparse.Action | None:
        """What is known of a flag such as ``"--seed"``; None if there is none."""
        return self._option_string_actions.get(flag)

    def _with_whole_paths(self, words: Iterable[str]) -> Iterator[str]:
        is_path = False
        for word in words:
            flag, given, value = word.partition("=")
            action = self._option_string_actions.get(flag)
            if action is None:
                yield os.path.abspath(word) if is_path else word
            else:
                is_path = action.type is Path
                yield f"{flag}={os.path.abspath(value)}" if is_path and given else word
