"""Graphs of NIR from and to files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from biosnn.errors import ParameterError, StorageError, printable
from biosnn.validation import check_path

#: Largest file that is read, and most that its arrays may take, in bytes.
MAX_FILE = 4 * 2**30


def library() -> ModuleType:
    """The package ``nir``.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed, with the name of the extra.
    """
    try:
        import nir
    except ModuleNotFoundError as error:
        if error.name not in ("nir", "h5py"):
            raise
        remedy = 'pip install "biosnn[nir]"'
        raise ModuleNotFoundError(
            f"biosnn.nir needs the package nir: {remedy}", name=error.name
        ) from error
    return nir


def read(path: str | Path) -> Any:
    """Read a graph from an HDF5 file. Nothing in the file is executed.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    nir.NIRGraph
        As it is in the file; :func:`from_nir` checks it.

    Raises
    ------
    StorageError
        If the file is missing, too large, reads other files, or holds no graph that the package
        ``nir`` can read.
    """
    nir = library()
    check_path("nir.read", "path", path)
    path = Path(path)
    if not path.is_file():
        raise StorageError(f"there is no file {path}")
    if path.stat().st_size > MAX_FILE:
        raise StorageError(f"{path} has more than {MAX_FILE} bytes")
    try:
        _check_contents(path)
        graph = nir.read(path, type_check=False)
    except StorageError:
        raise
    except Exception as error:  # whatever a damaged file makes h5py and nir raise
        why = printable(f"{type(error).__name__}: {error}")[:300]
        raise StorageError(f"{path} is no graph that NIR {nir.version} can read ({why})") from error
    if not isinstance(graph, nir.NIRGraph):
        raise StorageError(f"{path} holds a single {type(graph).__name__}, not a graph")
    return graph


def _check_contents(path: Path) -> None:
    """Check what a small file may make of itself: groups in themselves, huge arrays, other files.

    Raises
    ------
    StorageError
        Naming the object.
    """
    import h5py

    seen: set[int] = set()
    n_bytes = 0
    with h5py.File(path, "r") as file:
        left = [("", file)]
        while left:
            above, group = left.pop()
            for key in group:
                name = f"{above}/{key}"
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    raise _reaching_out(path, name)
                found = group[key]
                address = h5py.h5o.get_info(found.id).addr
                if address in seen:  # which may make of some bytes as many nodes as there are
                    raise _reaching_out(path, name)
                seen.add(address)
                if isinstance(found, h5py.Group):
                    left.append((name, found))
                elif isinstance(found, h5py.Dataset):
                    if found.external or found.is_virtual:
                        raise _reaching_out(path, name)
                    n_bytes += found.nbytes
                    if n_bytes > MAX_FILE:
                        got = f"{n_bytes} bytes with {printable(name)}"
                        raise StorageError(f"arrays of {path} may take {MAX_FILE} bytes, not {got}")


def _reaching_out(path: Path, name: str) -> StorageError:
    return StorageError(
        f"{path}: {printable(name)} is a link, or lies in another file; graphs of NIR have "
        "neither: copy what it stands for"
    )


def write(path: str | Path, graph: Any) -> None:
    """Write a graph to an HDF5 file, as ``nir.write`` does.

    Parameters
    ----------
    path : str or Path
        The file; one that exists is not overwritten.
    graph : nir.NIRGraph
        For example of :func:`to_nir`.

    Raises
    ------
    ParameterError
        If it is no graph.
    StorageError
        If the file exists or cannot be written.
    """
    nir = library()
    check_path("nir.write", "path", path)
    if not isinstance(graph, nir.NIRGraph):
        got = type(graph).__name__
        raise ParameterError("nir.write", "graph", got, "a nir.NIRGraph", "Use nir.to_nir(network)")
    if Path(path).exists():
        raise StorageError(f"{path} exists and is not overwritten")
    try:
        nir.write(path, graph)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}") from error
