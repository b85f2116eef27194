"""Graphs of NIR from and to files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from biosnn.errors import ParameterError, StorageError, printable
from biosnn.validation import check_path

#: Largest file that is read, in bytes.
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
        If the file is missing, too large, or holds no graph that the package ``nir`` can read.
    """
    nir = library()
    check_path("nir.read", "path", path)
    path = Path(path)
    if not path.is_file():
        raise StorageError(f"there is no file {path}")
    if path.stat().st_size > MAX_FILE:
        raise StorageError(f"{path} has more than {MAX_FILE} bytes")
    try:
        graph = nir.read(path, type_check=False)
    except Exception as error:  # whatever a damaged file makes h5py and nir raise
        why = printable(f"{type(error).__name__}: {error}")[:300]
        raise StorageError(f"{path} is no graph that NIR {nir.version} can read ({why})") from error
    if not isinstance(graph, nir.NIRGraph):
        raise StorageError(f"{path} holds a single {type(graph).__name__}, not a graph")
    return graph


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
