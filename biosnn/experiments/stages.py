"""Keep the finished parts of an experiment, so that a resumed one does not repeat them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biosnn.errors import StorageError
from biosnn.files import SUFFIX, packed, read, write

if TYPE_CHECKING:
    import numpy as np

_KIND = "part"
_ARRAY, _STATE = "$array", "$state"
#: Flags on which no result depends.
_OF_THE_RUN = (
    "out", "resume", "restart", "quiet", "json", "command", "checkpoint_every", "keep", "jobs",
    "save", "overwrite", "threads", "workers", "tensorboard",
)  # fmt: skip


class Parts:
    """Keeps the results of finished parts in ``--out``, for ``--resume``.

    Parameters
    ----------
    args : argparse.Namespace
        From a parser with the flags of :func:`biosnn.experiments.add_resume_flags`, after
        :func:`biosnn.experiments.begin`.
    """

    def __init__(self, args: argparse.Namespace):
        self._folder: Path = args.out / "checkpoints" / "parts"
        self._resume: bool = args.resume
        kept = {key: value for key, value in vars(args).items() if key not in _OF_THE_RUN}
        self._settings = {key: str(value) for key, value in kept.items()}

    def __call__(self, name: str, make: Callable[[], Any]) -> Any:
        """The result of a part: of the interrupted run if it had finished it, else made now.

        Parameters
        ----------
        name : str
            Of the part, as a file name.
        make : callable
            Gives numbers, texts, arrays and states, in dicts and lists; they come back so.

        Raises
        ------
        StorageError
            If the interrupted run had other flags, or a file cannot be read or written.
        """
        path = self._folder / f"{name}{SUFFIX}"
        if self._resume and path.exists():
            content, arrays = read(path, _KIND)
            self._check(path, content)
            return _from_data(content["value"], arrays)
        arrays = {}
        content = {"settings": self._settings, "value": _to_data(make(), arrays)}
        write(path, packed(_KIND, content, arrays), overwrite=True)
        return _from_data(content["value"], arrays)

    def _check(self, path: Path, content: Any) -> None:
        settings = content.get("settings") if isinstance(content, dict) else None
        if not isinstance(settings, dict) or "value" not in content:
            raise StorageError(f"{path} is no part of an experiment; begin anew with --restart")
        for key in sorted({*settings, *self._settings}):
            theirs, ours = settings.get(key), self._settings.get(key)
            if theirs != ours:
                flag = f"--{key.replace('_', '-')}"
                raise StorageError(
                    f"the interrupted run in {self._folder.parents[1]} had {flag} {theirs}, not "
                    f"{ours}; give the same flags, or begin anew with --restart"
                )


def _to_data(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """JSON data, and the arrays that it refers to by number."""
    import numpy as np

    from biosnn.state import State

    def put(array: np.ndarray) -> str:
        name = str(len(arrays))
        arrays[name] = np.ascontiguousarray(array)
        return name

    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return value.item()
        case np.ndarray():
            return {_ARRAY: put(value)}
        case State():
            names = {name: put(array) for name, array in value.items()}
            known = {"shapes": value.shapes, "units": value.units}
            return {_STATE: names, **known, "infinite": sorted(value.infinite)}
        case Mapping():
            return {str(key): _to_data(part, arrays) for key, part in value.items()}
        case list() | tuple():
            return [_to_data(part, arrays) for part in value]
    raise TypeError(f"a part of an experiment cannot keep a {type(value).__name__}")


def _from_data(data: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    from biosnn.state import State

    match data:
        case {"$array": str(name)}:
            return arrays[name]
        case {"$state": dict(names), "shapes": dict(shapes), "units": dict(units), **more}:
            whole = {key: (int(pre), int(post)) for key, (pre, post) in shapes.items()}
            arrays_of = {key: arrays[name] for key, name in names.items()}
            return State(arrays_of, whole, units, more.get("infinite", ()))
        case dict():
            return {key: _from_data(part, arrays) for key, part in data.items()}
        case list():
            return [_from_data(part, arrays) for part in data]
    return data
