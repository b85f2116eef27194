"""Where built networks are kept, so that the same network is compiled once.

A build is made in ``builds/<key>.partial-*`` and gets its name when it is complete, under the lock
``builds/<key>.lock``. Whoever opens or removes a lock file holds ``builds/door.lock`` meanwhile, so
nobody can hold a lock file that is no longer there.

Builds are programs. Nothing is run that another user than this one or root could have written
(:mod:`biosnn.devices.base.ownership`), and new folders are this user's alone. A cache that cannot
be written to, such as one that root shares, gives the builds that it has.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from biosnn.devices.base.ownership import check_folder, check_tree, protect_tree
from biosnn.errors import DeviceError, ParameterError

__all__ = ["Entry", "cache_folder", "cached", "check_owners", "clear", "entries"]

#: Free space below which no build is started (MiB).
SPACE_NEEDED = 64

_log = logging.getLogger("biosnn")
_OURS = re.compile(r"(?P<key>[0-9a-f]{32})(?P<kind>\.lock|\.partial-.+)?")
_FULL = (errno.ENOSPC, errno.EDQUOT)


@attrs.frozen(kw_only=True)
class Entry:
    """One finished build.

    Parameters
    ----------
    key : str
        Hash of everything that the build depends on.
    folder : Path
        Where it is.
    bytes : int
        The size of its files.
    modified : datetime
        When it was made (UTC).
    network, device, precision : str or None
        As its manifest says; None where it does not.
    complete : bool
        Whether it has a manifest that can be read.
    """

    key: str
    folder: Path
    bytes: int
    modified: datetime
    network: str | None
    device: str | None
    precision: str | None
    complete: bool


def cache_folder() -> Path:
    """Folder of the build cache: ``$BIOSNN_CACHE_DIR``, else the user's cache folder."""
    chosen = os.environ.get("BIOSNN_CACHE_DIR")
    return Path(chosen).absolute() if chosen else user_cache_path("biosnn")


def cached(
    key: str, make: Callable[[Path], None], check: Callable[[Path], None]
) -> tuple[Path, bool]:
    """Folder of the build with this key, made if it is not there or damaged.

    Parameters
    ----------
    key : str
        Hash of everything that the build depends on, 32 hexadecimal digits.
    make : callable
        Fills a fresh folder. The folder gets its final name only when it is complete.
    check : callable
        Raises DeviceError if the build in a folder is damaged. Applied to a build that is found,
        which is then made anew with a warning, and to a fresh one before it gets its name.

    Returns
    -------
    Path, bool
        The folder, and whether it was made now.

    Raises
    ------
    DeviceError
        If the cache folder cannot be used, its disk is full, others than this user and root may
        write to it, or the fresh build is damaged.
    """
    builds = _builds()
    folder = builds / key
    with _explained(builds):
        _make_folder(builds)
        check_owners()
        if not os.access(builds, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            return _ready(folder, check), False
        with _locked(builds, key):
            for path in builds.iterdir():
                if path.name.startswith(f"{key}.partial-"):  # its builder is no more
                    shutil.rmtree(path, ignore_errors=True)
            if _is_there(folder):
                check_tree(folder)
                try:
                    check(folder)
                    return folder, False
                except DeviceError as error:
                    why = " ".join(str(error).split())
                    _log.warning(
                        "the build %s is damaged (%s): it is removed and built anew", folder, why
                    )
                    _remove(folder)
            _check_space(builds)
            partial = Path(tempfile.mkdtemp(prefix=f"{key}.partial-", dir=builds))
            try:
                make(partial)
                protect_tree(partial)
                check(partial)
                partial.rename(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    return folder, True


def check_owners() -> None:
    """Check that only this user and root may put builds into the cache, if it is there.

    Raises
    ------
    DeviceError
        If its folder belongs to another user, or others may write to it.
    """
    builds = _builds()
    for folder in (builds.parent, builds):
        if folder.exists():
            check_folder(folder)


def entries() -> list[Entry]:
    """Finished builds, newest first.

    Raises
    ------
    DeviceError
        If the cache folder cannot be read.
    """
    found = []
    builds = _builds()
    with _explained(builds):
        for key, paths in _ours(builds).items():
            folder = builds / key
            if folder in paths:
                try:
                    found.append(_entry(key, folder))
                except FileNotFoundError:  # somebody removes it at this moment
                    continue
    return sorted(found, key=lambda entry: entry.modified, reverse=True)


def clear(older_than_days: float | None = None) -> tuple[int, int]:
    """Remove builds, and what crashed builders and finished ones left beside them.

    A build that is being made or looked up at this moment stays, and so does every file that is
    not the cache's. A network that is compiled and still in use loses its build, too.

    Parameters
    ----------
    older_than_days : float, optional
        Remove only builds made longer ago than this; without it, all.

    Returns
    -------
    int, int
        Builds removed, and bytes freed.

    Raises
    ------
    ParameterError
        If the age is negative or not a number.
    DeviceError
        If something cannot be removed.
    """
    latest = math.inf
    if older_than_days is not None:
        if not older_than_days >= 0:
            raise ParameterError("cache.clear", "older_than_days", older_than_days, ">= 0")
        latest = time.time() - older_than_days * 86400
    builds = _builds()
    removed = freed = 0
    with _explained(builds):
        for key in _ours(builds):
            try:
                with _locked(builds, key, wait=False):
                    # Anew, because what was there before the lock was ours may be gone.
                    # Finished builds last: their names sort before those of left-over folders.
                    for path in reversed(_ours(builds).get(key, [])):
                        if path.name.endswith(".lock"):
                            continue
                        finished = path.name == key
                        if finished and path.stat().st_mtime > latest:
                            continue
                        size = _size(path)
                        _remove(path)
                        removed, freed = removed + finished, freed + size
                    with _door(builds):
                        (builds / f"{key}.lock").unlink(missing_ok=True)
            except Timeout:
                continue
    return removed, freed


# --- folders


def _builds() -> Path:
    return cache_folder() / "builds"


def _make_folder(builds: Path) -> None:
    """Make the folders of the cache, which nobody else can enter; those that are there stay."""
    builds.parent.parent.mkdir(parents=True, exist_ok=True)
    for folder in (builds.parent, builds):
        folder.mkdir(mode=0o700, exist_ok=True)


def _is_there(folder: Path) -> bool:
    """Whether there is a build.

    Raises
    ------
    NotADirectoryError
        If something else has its name.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder))
    return folder.exists()


def _ready(folder: Path, check: Callable[[Path], None]) -> Path:
    """A build of a cache that cannot be written to.

    Raises
    ------
    OSError
        If it is not there.
    DeviceError
        If it is damaged, or others may write to it.
    """
    if not _is_there(folder):
        why = "Permission denied, and this network is not in it yet"
        raise PermissionError(errno.EACCES, why, str(folder))
    check_tree(folder)
    try:
        check(folder)
    except DeviceError as error:
        why = " ".join(str(error).split())
        raise DeviceError(
            f"the build cache {folder.parent} cannot be written to, and a build in it is damaged "
            f"({why}): tell its owner, or {_remedy(errno.EACCES)}"
        ) from error
    return folder


def _ours(builds: Path) -> dict[str, list[Path]]:
    """Key -> its folder, left-over folders and lock file, as far as they are there."""
    found: dict[str, list[Path]] = {}
    try:
        paths = sorted(builds.iterdir())
    except FileNotFoundError:
        return found
    for path in paths:
        name = _OURS.fullmatch(path.name)
        if name is None or path.is_symlink():
            continue
        if path.is_file() if name["kind"] == ".lock" else path.is_dir():
            found.setdefault(name["key"], []).append(path)
    return found


def _entry(key: str, folder: Path) -> Entry:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        manifest = None
    interface = _at(manifest, "interface")
    return Entry(
        key=key,
        folder=folder,
        bytes=_size(folder),
        modified=datetime.fromtimestamp(folder.stat().st_mtime, UTC),
        network=_text(interface, "name"),
        device=_text(manifest, "device"),
        precision=_text(interface, "precision"),
        complete=isinstance(manifest, Mapping),
    )


def _at(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, Mapping) else None


def _text(data: Any, name: str) -> str | None:
    value = _at(data, name)
    return value if isinstance(value, str) else None


def _size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _remove(folder: Path) -> None:
    """Remove a folder so that half of it never has the name of a finished build."""
    key = folder.name.partition(".")[0]
    if folder.name == key:
        folder = folder.rename(folder.with_name(f"{key}.partial-removed"))
    shutil.rmtree(folder)


def _check_space(builds: Path) -> None:
    free = math.floor(shutil.disk_usage(builds).free / 2**20)
    if free < SPACE_NEEDED:
        raise DeviceError(
            f"the disk of the build cache {builds} has {free} MiB free, and a build needs "
            f"{SPACE_NEEDED} MiB: {_remedy(errno.ENOSPC)}"
        )


# --- locks and errors


def _door(builds: Path) -> Any:
    return FileLock(builds / "door.lock").acquire(poll_interval=0.01)


@contextmanager
def _locked(builds: Path, key: str, *, wait: bool = True) -> Iterator[None]:
    """Hold a key's lock; without waiting, raise Timeout if another holds it."""
    lock = FileLock(builds / f"{key}.lock")
    while True:
        with _door(builds):
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                if not wait:
                    raise
        time.sleep(0.05)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _explained(builds: Path) -> Iterator[None]:
    """Turn what the operating system says into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.filename is not None:
            reason = f"{reason}: {error.filename}"
        raise DeviceError(
            f"the build cache {builds} cannot be used ({reason}): {_remedy(error.errno)}"
        ) from error


def _remedy(number: int | None) -> str:
    if number in _FULL:
        return (
            "remove old builds with `biosnn cache clear`, or set BIOSNN_CACHE_DIR to a folder "
            "on another disk"
        )
    return "set BIOSNN_CACHE_DIR to a folder that you may write to"
