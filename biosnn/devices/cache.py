"""Where built networks are kept, so that the same network is compiled once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from biosnn.errors import DeviceError


def cache_folder() -> Path:
    """Folder of the build cache: ``$BIOSNN_CACHE_DIR``, else the user's cache folder."""
    chosen = os.environ.get("BIOSNN_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("biosnn")


def cached(key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """Folder of the build with this key, made if it is not there.

    Parameters
    ----------
    key : str
        Hash of everything that the build depends on.
    make : callable
        Fills a fresh folder. The folder gets its final name only when it is complete.

    Returns
    -------
    Path, bool
        The folder, and whether it was made now.

    Raises
    ------
    DeviceError
        If the cache folder cannot be written.
    """
    builds = cache_folder() / "builds"
    folder = builds / key
    try:
        builds.mkdir(parents=True, exist_ok=True)
        with FileLock(builds / f"{key}.lock"):
            if folder.exists():
                return folder, False
            partial = Path(tempfile.mkdtemp(prefix=f"{key}.partial-", dir=builds))
            try:
                make(partial)
                partial.rename(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except PermissionError as error:
        raise DeviceError(
            f"the build cache {builds} cannot be written ({error.strerror}): set "
            "BIOSNN_CACHE_DIR to a folder of yours"
        ) from error
    return folder, True
