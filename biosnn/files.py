"""Files: safetensors with a SHA-256 over all of their bytes, written in one step.

:func:`inside` makes a path of a name that comes out of a file; nothing else may.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from biosnn.errors import StorageError

if TYPE_CHECKING:
    from filelock import FileLock

SUFFIX = ".biosnn"
FORMAT = 1
_BLANK = "0" * 64
_MARK = b'"biosnn":"'  # the hash follows; cannot occur inside a JSON string: quotes are escaped
_LONGEST_NAME = 255  # bytes, on all common file systems
#: Kind of file -> how it is read.
_READERS = {
    "model": "use load_model",
    "state": "use load_state",
    "checkpoint": "it belongs to a run, which goes on with resume=True",
    "training": "it is a checkpoint of surrogate.train: surrogate.load_module reads its weights "
    "into the module that was trained",
}
#: Longest declaration, in bytes, most values in it, and largest file.
MAX_HEADER, MAX_VALUES, MAX_FILE = 64_000_000, 4_000_000, 4 << 30


def is_plain(name: object) -> bool:
    """Whether a name names one file in a folder: no path, not ``..``, all of it printable."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and "/" not in name
        and "\\" not in name
        and name not in ("", ".", "..")
        and len(name.encode()) <= _LONGEST_NAME
    )


def inside(folder: Path, name: object) -> Path:
    """Path of a file below a folder, by a name that comes out of another file.

    Parameters
    ----------
    folder : Path
        The folder, which somebody chose.
    name : str
        What the description says: plain names with ``/`` between them.

    Raises
    ------
    StorageError
        If the name leads out of the folder, or something on the way is a symbolic link.
    """
    parts = name.split("/") if isinstance(name, str) else []
    if not (parts and all(map(is_plain, parts))):
        raise StorageError(
            f"{folder} is damaged: {short(name)} does not name a file in it; copy it anew from a "
            "place that you trust"
        )
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise StorageError(
                f"{path} is a symbolic link, which is not followed; put what it leads to there"
            )
    return path


def locked_folder(folder: Path, name: str, *, wait: bool = False) -> FileLock:
    """Make a folder if it is not there, and lock it for this process until the lock is released.

    Parameters
    ----------
    folder : Path
        The folder.
    name : str
        Of the lock's file in it.
    wait : bool
        Whether to wait for a process that holds it.

    Raises
    ------
    StorageError
        If another process holds it and is not waited for, it cannot be written, or the lock is a
        symbolic link.
    """
    from filelock import FileLock, Timeout  # only runs and trainings lock a folder

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(inside(folder, name))
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        raise StorageError(
            f"{folder} is in use by another process; wait for it, or choose another folder"
        ) from error
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror or error}; choose a folder that you "
            "may write to"
        ) from error
    return lock


def short(value: object) -> str:
    """A value for a message, at most 60 characters long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def packed(kind: str, content: Mapping[str, Any], tensors: Mapping[str, NDArray]) -> bytes:
    """Serialise content and arrays, with the SHA-256 of all bytes among them."""
    text = json.dumps({"format": FORMAT, "kind": kind, "content": content})
    try:
        arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
        data = safetensors.numpy.save(arrays, {"biosnn": f"{_BLANK} {text}"})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StorageError(f"the arrays cannot be stored: {error}") from error
    length = int.from_bytes(data[:8], "little")
    values = sum(map(text.count, ",[{"))
    if length > MAX_HEADER or values > MAX_VALUES:
        raise StorageError(
            f"the network's declaration takes {length} bytes and {values} values, more than "
            f"{MAX_HEADER} or {MAX_VALUES}: give patterns or distributions instead of long lists "
            "of pairs and weights"
        )
    at = data.index(_MARK) + len(_MARK)
    return data[:at] + hashlib.sha256(data).hexdigest().encode() + data[at + len(_BLANK) :]


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Check before a long computation that its result may be saved there.

    Parameters
    ----------
    path : path-like
        A file name ending in ``.biosnn``.
    overwrite : bool
        Whether a file that is there already may be replaced.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    StorageError
        If it has another suffix, is there already and may not be replaced, is a folder, or lies in
        one that cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise StorageError(f"{path} must end in {SUFFIX}; choose such a name")
    if path.exists() and not overwrite:
        raise StorageError(f"{path} exists; choose another name, or allow it with overwrite=True")
    folder = next((k for k in path.absolute().parents if k.exists()), path.absolute().parent)
    reasons = {
        "Is a directory": path.is_dir(),
        f"{folder} is no folder": not folder.is_dir(),
        f"{folder}: Permission denied": not os.access(folder, os.W_OK | os.X_OK),
    }
    if found := [reason for reason, holds in reasons.items() if holds]:
        raise StorageError(
            f"{path} cannot be written: {found[0]}; choose a folder that you may write to, and a "
            "new name"
        )
    return path


def write(path: str | os.PathLike[str], data: bytes, overwrite: bool) -> Path:
    """Write a file in one step, over another one only where that is allowed."""
    path = check_target(path, overwrite=overwrite)
    replace(path, data)
    return path


def replace(path: Path, data: bytes) -> None:
    """Give a file new content in one step that survives a crash: all of it or none.

    Raises
    ------
    StorageError
        If it cannot be written. What was there before is still there.
    """
    with replacement(path) as part, part.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def replacement(path: Path, ending: str = "") -> Iterator[Path]:
    """Give a file to write, which takes the place of another when that is done, or never.

    Parameters
    ----------
    path : Path
        The file to replace; missing folders are created.
    ending : str
        What the name of the file that is written must end with.

    Raises
    ------
    StorageError
        If it cannot be written. What was there before is still there.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex}.part{ending}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}; free some space there, or "
            "choose a folder that you may write to"
        ) from error


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """Read and verify a file; return its content and its tensors.

    Raises
    ------
    StorageError
        If it is missing, too large, damaged, foreign, or of another format or kind.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise StorageError(f"{path} cannot be read: it is no plain file")
        if path.stat().st_size > MAX_FILE:
            raise StorageError(f"{path} is larger than {MAX_FILE} bytes: no {SUFFIX} file is")
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            header = file.read(length) if length <= MAX_HEADER else b""
            described, digest, at = _described(path, header)
            data = start + header + file.read()
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
    at += len(start)
    found = hashlib.sha256(data[:at])
    found.update(_BLANK.encode())
    found.update(memoryview(data)[at + len(_BLANK) :])
    if found.hexdigest() != digest:
        raise StorageError(
            f"{path} is damaged: its content does not match its SHA-256; copy or save it anew"
        )
    if described["kind"] != kind:
        holds = str(described["kind"])[:80]
        remedy = _READERS.get(holds, "give the right file")
        raise StorageError(f"{path} holds a {holds}, not a {kind}; {remedy}")
    try:
        return described["content"], safetensors.numpy.load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error!r}") from error


def _described(path: Path, header: bytes) -> tuple[dict[str, Any], str, int]:
    """Parse a header: the description, the SHA-256, and its position in the header."""
    damaged = f"{path} is not a {SUFFIX} file, or is damaged; give a file that biosnn saved"
    if sum(map(header.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise StorageError(f"{path} holds more than {MAX_VALUES} values in its declaration")
    try:
        digest, _, text = json.loads(header)["__metadata__"]["biosnn"].partition(" ")
        described = json.loads(text)
        version, _, content = described["format"], described["kind"], described["content"]
        at = header.index(_MARK) + len(_MARK)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise StorageError(damaged) from error
    if version != FORMAT:
        raise StorageError(
            f"{path} has format version {str(version)[:80]}, this biosnn reads {FORMAT}: update "
            "biosnn, or save the file again with this version"
        )
    if not isinstance(content, dict):
        raise StorageError(damaged)
    return described, digest, at


def run_folder(
    parent: str | os.PathLike[str], named: tuple[Any, ...], arrays: Mapping[str, np.ndarray]
) -> Path:
    """The folder below another one for exactly one run: plain values that name it, and arrays."""
    digest = hashlib.sha256(repr(named).encode())
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return Path(parent) / digest.hexdigest()[:16]
