"""Who could have written a program: checked before anything from the build cache is run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from biosnn.errors import DeviceError

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def check_folder(folder: Path) -> None:
    """Check that only this user and root could have put something into a folder.

    A folder in which everybody owns what they make (the sticky bit, as ``/tmp`` has it) is
    accepted, because what is in it is checked by itself.

    Raises
    ------
    DeviceError
        If it belongs to another user, or others may write to it.
    """
    status = folder.stat()
    if not (status.st_mode & stat.S_ISVTX and status.st_uid in _trusted()):
        _check(folder, status)


def check_tree(folder: Path) -> None:
    """Check a folder and everything in it: owners, modes, and that there are no links.

    Raises
    ------
    DeviceError
        If something belongs to another user, others may write to it, or it is a symbolic link
        or a special file.
    """
    _check(folder, folder.lstat())
    for where, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            path = Path(where, name)
            _check(path, path.lstat())


def protect_tree(folder: Path) -> None:
    """Take the permission to write from everybody but the owner, whatever the umask is."""
    for where, _, files in os.walk(folder):
        for path in (Path(where), *(Path(where, name) for name in files)):
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)


def _trusted() -> tuple[int, int]:
    return os.geteuid(), 0


def _raise(error: OSError) -> None:
    raise error


def _check(path: Path, status: os.stat_result) -> None:
    """Check one file or folder."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        problem, remedy = "is a link or a special file", "remove it"
    elif status.st_uid not in _trusted():
        problem = f"belongs to another user (number {status.st_uid})"
        remedy = "have root own a cache that several users share (chown -R root)"
    elif status.st_mode & _OTHERS:
        problem = f"may be written to by others (mode {stat.S_IMODE(status.st_mode):o})"
        remedy = "remove its builds (biosnn cache clear) and forbid that (chmod -R go-w)"
    else:
        return
    raise DeviceError(
        f"{path} {problem}, so somebody else could decide what is run from the build cache: "
        f"{remedy}, or set BIOSNN_CACHE_DIR to a folder of your own"
    )
