"""Check the flags of an experiment without running it."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import attrs

_active: ContextVar[FlagCheck | None] = ContextVar("flag_check", default=None)


class FlagsTaken(BaseException):
    """The flags are right: the experiment ends here, because they are only checked."""


@attrs.define(eq=False)
class FlagCheck:
    """What an experiment took its flags for.

    Attributes
    ----------
    parser : argparse.ArgumentParser or None
        Its parser; None as long as it has read no flags.
    values : dict
        Name -> value, as they were read.
    """

    parser: argparse.ArgumentParser | None = None
    values: dict[str, Any] = attrs.field(factory=dict)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """End the experiment that is started meanwhile when its flags are taken."""
        token = _active.set(self)
        try:
            yield
        except FlagsTaken:
            pass
        finally:
            _active.reset(token)


def note_flags(parser: argparse.ArgumentParser, values: dict[str, Any]) -> None:
    """Called with the flags that were read, and ends an experiment that will not call `begin`."""
    check = _active.get()
    if check is not None:
        check.parser, check.values = parser, dict(values)
        if "resume" not in values:
            raise FlagsTaken


def end_of_check() -> None:
    """Called before an experiment does its work, and ends it if its flags are only checked."""
    if _active.get() is not None:
        raise FlagsTaken
