"""Find the scripts of experiments."""

from __future__ import annotations

import ast
from importlib import resources
from pathlib import Path
from typing import Any

from biosnn.errors import ParameterError, StorageError
from biosnn.experiments.flags import lasting

_ROOT = Path(__file__).resolve().parents[2]


def _folder() -> Path:
    """``experiments/`` of the checkout; its copy in the package where biosnn is installed."""
    if (_ROOT / "pyproject.toml").is_file():
        return _ROOT / "experiments"
    return Path(str(resources.files("biosnn.experiments") / "scripts"))


def _scripts() -> dict[str, Path]:
    found = sorted(_folder().glob("*.py"))
    return {path.stem: path for path in found if not path.name.startswith("_")}


def experiment_names() -> tuple[str, ...]:
    """Names of the experiments that come with biosnn."""
    return tuple(_scripts())


def summary(name: str) -> str:
    """The first line of an experiment's docstring."""
    doc = ast.get_docstring(ast.parse(find_experiment(name).read_text("utf-8"))) or ""
    return doc.partition("\n")[0]


def find_experiment(name: str) -> Path:
    """Path of the script of an experiment that comes with biosnn.

    Parameters
    ----------
    name : str
        One of :func:`experiment_names`; never a path.

    Raises
    ------
    ParameterError
        If there is no experiment of this name; the message lists those that there are.
    """
    scripts = _scripts()
    if name not in scripts:
        known = ", ".join(scripts) or f"none: {_folder()} is missing, install biosnn again"
        remedy = "A script of your own is named by its path, such as ./mine.py"
        raise ParameterError("experiments", "name", repr(name), f"one of {known}", remedy)
    return scripts[name]


def find_script(text: str) -> Path:
    """Path of what a user named on the command line: an experiment, or a script of their own.

    Parameters
    ----------
    text : str
        A name, or a path that ends in ``.py``.

    Raises
    ------
    ParameterError
        If there is no experiment of this name, or no such file.
    """
    if not text.endswith(".py"):
        return find_experiment(text)
    path = Path(text)
    if not path.is_file():
        raise ParameterError("experiments", "name", repr(text), "the path of a script that exists")
    return path


def noted_command(
    where: Path, name: Any, words: Any, script: Path | None = None
) -> tuple[Path, list[str]]:
    """Script and arguments of a command that was noted in a file.

    Anybody may have written the file. It tells an experiment's name and flags, and never which
    file is run: that is an experiment of biosnn, or the script that the user names.

    Parameters
    ----------
    where : Path
        The file.
    name, words : object
        What it tells.
    script : Path, optional
        The script of an experiment that is none of biosnn's, from the user.

    Raises
    ------
    StorageError
        If the experiment is none of biosnn's and no script is given, or the words are no texts.
    ParameterError
        If the user's script does not exist.
    """
    if not isinstance(words, list) or not all(isinstance(k, str) and "\0" not in k for k in words):
        raise StorageError(f"{where} is damaged: the flags in it are no texts")
    if script is not None:
        return find_script(str(script)), list(lasting(words))
    if not isinstance(name, str) or name not in _scripts():
        raise StorageError(
            f"{where} names the experiment {str(name)[:80]!r}, which is none of biosnn's; if you "
            "trust its script, name it with --script PATH"
        )
    return find_experiment(name), list(lasting(words))
