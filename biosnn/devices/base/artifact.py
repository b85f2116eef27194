"""A compiled network on disk: a folder with the binary and a manifest of everything in it.

It needs neither Brian2 nor the build cache: it can be copied to another folder or to another
machine of the same architecture, and be run there any number of times at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import numpy as np

from biosnn.devices.base.contract import SPIKE_FILES
from biosnn.devices.cpp.compiler import instruction_sets
from biosnn.errors import DeviceError, StorageError
from biosnn.files import inside
from biosnn.program.interface import Interface
from biosnn.state import State

FORMAT = 5
BINARY, STATE, MANIFEST = "main", "state", "manifest.json"
#: What reading JSON that says something unexpected raises.
UNREADABLE = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)
_DAMAGED = "%s is damaged: %s; copy it again, or compile the network anew"


@attrs.frozen(kw_only=True)
class Artifact:
    """A compiled network on disk, made by :func:`seal` and read by :func:`open_artifact`.

    Parameters
    ----------
    folder : Path
        Where it is.
    manifest : dict
        ``interface`` (variables, inputs, recorders), ``layout`` (their files), ``declaration``,
        ``plastic``, ``versions``, ``compiler``, ``flags``, ``platform``, ``files``
        (name -> bytes and SHA-256).
    interface : Interface
        The manifest's interface.
    first : State or None
        The state before a run, if it is not the one in the folder.
    """

    folder: Path
    manifest: dict[str, Any]
    interface: Interface
    first: State | None = None

    def defaults(self) -> State:
        """The state before a run; what is drawn at random is zero."""
        return self.first or read_states(self.folder / STATE, self.interface)[0]


def read_states(path: Path, interface: Interface, n: int = 1) -> list[State]:
    """Read the raw state file of an artifact or of a run, which holds so many states."""
    data = np.fromfile(path, dtype=np.uint8)
    expected = n * sum(variable.bytes for variable in interface.variables)
    if expected != data.size:
        raise StorageError(f"{path} has {data.size} bytes, expected {expected}: it is damaged")
    states, offset = [], 0
    for _ in range(n):
        arrays = {}
        for variable in interface.variables:
            end = offset + variable.bytes
            arrays[variable.name] = np.frombuffer(data[offset:end].tobytes(), variable.dtype)
            offset = end
        states.append(interface.state(arrays))
    return states


def write_states(path: Path, interface: Interface, states: Iterable[State]) -> None:
    """Write states as the binary reads them, one behind the other."""
    with path.open("wb") as file:
        for state in states:
            for variable in interface.variables:
                file.write(np.ascontiguousarray(state[variable.name], dtype=variable.dtype))


def files_of(interface: Interface) -> dict[str, dict[str, Any]]:
    """Where a run finds each variable and input, and leaves each recorder: for other readers.

    Variables lie one behind the other in the file of the state; inputs and recorders are files
    of the run, raw arrays in C order with one row per sample, snapshot or point in time.
    """
    variables, offset = {}, 0
    for variable in interface.variables:
        variables[variable.name] = {"file": STATE, "offset": offset}
        offset += variable.bytes
    recorders = {"shown": "shown", **{name: name for name in interface.per_sample}}
    recorders |= {f"snapshots.{name}": f"snapshots.{name}" for name in interface.snapshots}
    for key in interface.spikes:
        recorders |= {f"spikes.{key}.{p}": f"spikes.{key}.{p}" for p in SPIKE_FILES}
    for name in interface.traces:
        recorders |= {f"trace.{name}.{p}": f"trace.{name}.{p}" for p in ("t", "values")}
    return {
        "variables": variables,
        "inputs": {name: {"file": f"input.{name}"} for name in interface.ports},
        "recorders": {name: {"file": f"out/{file}"} for name, file in recorders.items()},
    }


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a complete folder, with the SHA-256 of every file and its own."""
    files = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
    manifest = json.loads(json.dumps({"format": FORMAT, **manifest, "files": files}))
    manifest["sha256"] = digest_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


def platform_of(portable: bool) -> dict[str, Any]:
    """What a binary needs of a machine."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "instruction_sets": [] if portable else sorted(instruction_sets()),
    }


def open_artifact(folder: Path) -> Artifact:
    """Read and verify an artifact.

    Raises
    ------
    StorageError
        If it is none, is damaged, or was made by another format version.
    DeviceError
        If it was built for another machine.
    """
    artifact = open_sources(folder)
    needs, has = artifact.manifest["platform"], platform_of(portable=False)
    for name in ("system", "machine"):
        if needs[name] != has[name]:
            raise DeviceError(
                f"{folder} was built for {needs['system']} on {needs['machine']}, this is "
                f"{has['system']} on {has['machine']}: compile the network here"
            )
    lacking = sorted(set(needs["instruction_sets"]) - set(has["instruction_sets"]))
    if lacking:
        raise DeviceError(
            f"{folder} was built for another CPU: this one lacks {', '.join(lacking)}. Build "
            "it with portable=True (--portable), or compile the network here"
        )
    return artifact


def open_sources(folder: Path) -> Artifact:
    """Read and verify an artifact that shall not run here, whatever machine it is for.

    Raises
    ------
    StorageError
        If it is none, is damaged, or was made by another format version.
    """
    folder = Path(folder)
    manifest = _verified(folder)
    try:
        _check_facts(manifest)
        interface = Interface.from_data(manifest["interface"])
    except UNREADABLE as error:
        raise StorageError(_DAMAGED % (folder, f"{MANIFEST} cannot be understood")) from error
    return Artifact(folder=folder, manifest=manifest, interface=interface)


def _check_facts(manifest: Mapping[str, Any]) -> None:
    """Check the types of what a manifest says besides the interface."""
    needs = manifest["platform"]
    texts = [manifest["device"], needs["system"], needs["machine"], *needs["instruction_sets"]]
    texts += [name for names in manifest["plastic"].values() for name in names]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError("not a text")


def read_manifest(
    folder: Path,
    key: str,
    known: int,
    what: str = "a compiled network",
    wrote: str = "Runnable.export()",
    again: str = "compile the network anew",
) -> dict[str, Any]:
    """Read a manifest, and compare it with its own SHA-256.

    Parameters
    ----------
    folder : Path
        Where it is.
    key, known : str, int
        The entry that tells the version of its format, and the version that is read.
    what, wrote, again : str
        What the folder should be, what writes it, and how it is made anew, for messages.

    Raises
    ------
    StorageError
        If there is none, it is damaged, or of another version.
    """
    damaged = f"{folder} is not {what}, or is damaged: {MANIFEST} %s; copy it again, or {again}"
    try:
        manifest = json.loads(inside(folder, MANIFEST).read_bytes())
        version, digest = manifest[key], manifest.pop("sha256")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StorageError(
            f"{folder} is not {what}: it has no {MANIFEST}; give a folder that {wrote} wrote"
        ) from error
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}") from error
    except UNREADABLE as error:
        raise StorageError(damaged % "cannot be read") from error
    if version != known:
        raise StorageError(
            f"{folder} has {key.replace('_', ' ')} version {version}, this biosnn reads {known}: "
            f"{again}"
        )
    if digest != digest_of(manifest):
        raise StorageError(damaged % "does not match its SHA-256")
    return manifest


def _verified(folder: Path) -> dict[str, Any]:
    """The manifest, if it and all files are what was sealed."""
    manifest = read_manifest(folder, "format", FORMAT)
    try:
        sealed = {name: (at["bytes"], at["sha256"]) for name, at in manifest["files"].items()}
    except UNREADABLE as error:
        raise StorageError(_DAMAGED % (folder, f"{MANIFEST} cannot be understood")) from error
    for name, (size, digest) in sealed.items():
        path = inside(folder, name)
        if not path.is_file():
            raise StorageError(_DAMAGED % (folder, f"{name} is missing"))
        if path.stat().st_size != size or sha256_of(path) != digest:
            raise StorageError(_DAMAGED % (folder, f"{name} does not match its SHA-256"))
    return manifest


def export(artifact: Artifact, target: Path) -> Path:
    """Copy an artifact to a folder that does not exist yet: wholly or not at all.

    Raises
    ------
    StorageError
        If the folder exists or cannot be written.
    """
    first = artifact.first
    if first is not None:
        return export_with(
            artifact, target, lambda part: write_states(part / STATE, artifact.interface, [first])
        )
    with new_folder(target) as part:
        _copy(artifact, part, MANIFEST)
    return Path(target)


def export_with(
    artifact: Artifact,
    target: Path,
    complete: Callable[[Path], None],
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Copy an artifact, and complete its folder and its manifest before it is sealed anew."""
    with new_folder(target) as part:
        _copy(artifact, part)
        complete(part)
        seal(part, {**artifact.manifest, **(more or {})})
    return Path(target)


def _copy(artifact: Artifact, part: Path, *more: str) -> None:
    for name in (*more, *artifact.manifest["files"]):
        copy = part / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(inside(artifact.folder, name), copy)


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill, which gets its name when that is done: wholly or not at all.

    Raises
    ------
    StorageError
        If the folder exists or cannot be written.
    """
    target = Path(target)
    if target.exists():
        raise StorageError(f"{target} exists; choose another folder")
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        try:
            part.mkdir(parents=True)
            yield part
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"{target} cannot be written: {reason}; choose a folder that you may write to and "
            "that has space"
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(manifest: dict[str, Any]) -> str:
    """SHA-256 of JSON data."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
