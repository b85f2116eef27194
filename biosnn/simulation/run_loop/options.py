"""Options of a run, checked: what is shown and learned, and where checkpoints are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from biosnn.errors import ParameterError
from biosnn.validation import LARGEST, check_whole, integer

EPOCHS = 2**22  # of the key of the counter-based draws


def _whole(
    obj: str, least: int, most: int = LARGEST, *, default: int | None, name: str = ""
) -> Any:
    """A field: a whole number within bounds, or None if that is the default.

    ``obj`` and ``name`` are the method and its keyword, for messages.
    """

    def validate(_: Any, attribute: Any, value: Any) -> None:
        if value is not None or default is not None:
            check_whole(obj, name or attribute.name, value, least, most)

    return attrs.field(default=default, converter=integer, validator=validate)


@attrs.frozen(kw_only=True)
class RunOptions:
    """What a run shows and learns; the keywords of ``Runnable.run`` and ``fit`` explain each.

    Parameters
    ----------
    learn : bool or iterable of str
        Whether plasticity is on, or the projections that learn.
    seed, first_epoch, first_sample : int
        Key of the counter-based draws of the first sample.
    epochs : int
        How often all samples are shown.
    horizon : int, optional
        Number of learned samples over which schedules run.
    chunk_size : int, optional
        Samples per chunk.
    memory_limit : int, optional
        Bytes of memory that the recording may take; default: a quarter of all memory.

    Raises
    ------
    ParameterError
        If a number is out of its range.
    """

    learn: bool | Iterable[str] = False
    seed: int = _whole("run", 0, default=0)
    epochs: int = _whole("fit", 1, EPOCHS, default=1)
    first_epoch: int = attrs.field(default=0, converter=integer)
    first_sample: int = _whole("run", 0, default=0)
    horizon: int | None = _whole("run", 1, default=None)
    chunk_size: int | None = _whole("run", 1, default=None)
    memory_limit: int | None = _whole("run", 1, 2**62, default=None)

    def __attrs_post_init__(self) -> None:
        check_whole("fit", "first_epoch", self.first_epoch, 0, EPOCHS - self.epochs)

    @property
    def memory(self) -> int:
        """Bytes that the recording may take in memory."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return self.memory_limit or memory // 4


@attrs.frozen(kw_only=True)
class Checkpointing:
    """Where and how often a run keeps checkpoints, and whether it goes on from the newest.

    Parameters
    ----------
    folder : path-like, optional
        Of the run: its recording and its checkpoints. Without it nothing is kept.
    every : int, optional
        Samples between two checkpoints; default: one at the end.
    keep : int
        How many are kept.
    resume : bool
        Whether to go on from the newest one, if there is one.

    Raises
    ------
    ParameterError
        If a number is out of its range, or something is asked for without a folder.
    """

    folder: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    every: int | None = _whole("run", 1, default=None, name="checkpoint_every")
    keep: int = _whole("run", 1, default=2)
    resume: bool = False

    def __attrs_post_init__(self) -> None:
        for name, given in (("checkpoint_every", self.every), ("resume", self.resume)):
            if given and self.folder is None:
                remedy = "Say with folder=... where"
                raise ParameterError("run", name, given, "given together with folder", remedy)
