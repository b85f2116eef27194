"""Resume experiments: their command is kept beside their checkpoints."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

from biosnn.callbacks import Callback, TensorBoard
from biosnn.errors import StorageError
from biosnn.experiments.flag_check import end_of_check
from biosnn.experiments.flags import whole
from biosnn.experiments.registry import noted_command
from biosnn.files import replace

_COMMAND = "command.json"
#: Samples between two points of a log; each chunk costs about 40 ms on compiled devices.
_LOGGED_EVERY = 500
_LONGEST = 2**20  # bytes of a noted command
_FOLDER = "checkpoints"
_BEGUN: list[Path] = []  # output folder of the experiment that this process has begun


def add_resume_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--resume`` and ``--restart``, for an experiment that keeps what it has finished.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        From :func:`biosnn.experiments.parser`.
    """
    again = parser.add_argument_group("long runs").add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with the interrupted run in --out"
    )
    again.add_argument(
        "--restart", action="store_true", help="throw the interrupted run in --out away"
    )


def add_tensorboard_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--tensorboard``, for an experiment whose trainings take :func:`callbacks`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        From :func:`biosnn.experiments.parser`.
    """
    parser.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="log trainings here for TensorBoard, each in a folder of its own",
    )


def callbacks(args: argparse.Namespace, name: str = "training") -> tuple[Callback, ...]:
    """Who is told how a training goes, as the flags ask.

    Parameters
    ----------
    args : argparse.Namespace
        With the flag of :func:`add_tensorboard_flag`.
    name : str
        Of this training, where an experiment has several.
    """
    return () if args.tensorboard is None else (TensorBoard(args.tensorboard / name),)


def add_run_flags(
    parser: argparse.ArgumentParser, checkpoint_every: int = 5000, *, evaluates: bool = True
) -> None:
    """Add the flags of experiments that run one network for long.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        From :func:`biosnn.experiments.parser`.
    checkpoint_every : int
        Default of ``--checkpoint-every``.
    evaluates : bool
        Whether there are ``--jobs`` and ``--portable``, too.
    """
    add_resume_flags(parser)
    add_tensorboard_flag(parser)
    group = parser.add_argument_group("checkpoints of long runs")
    group.add_argument(
        "--checkpoint-every",
        type=whole(1),
        default=checkpoint_every,
        metavar="N",
        help="learned samples between two checkpoints",
    )
    group.add_argument(
        "--keep", type=whole(1), default=2, metavar="N", help="checkpoints that are kept"
    )
    if not evaluates:
        return
    group.add_argument(
        "--jobs",
        type=whole(1),
        default=1,
        metavar="N",
        help="processes that share the samples while plasticity is off (device cpp)",
    )
    group.add_argument(
        "--portable", action="store_true", help="build for any CPU of this architecture"
    )


def begin(args: argparse.Namespace) -> None:
    """Note in ``--out`` which command runs there, for ``biosnn resume``.

    Checkpoints of a run that has ended make room for the new one's.

    Raises
    ------
    StorageError
        If there is an interrupted run, and neither ``--resume`` nor ``--restart`` was given, or
        one that shall go on would write through a symbolic link.
    """
    end_of_check()
    command, folder = args.out / _COMMAND, args.out / _FOLDER
    if args.resume:
        _check_links(args.out)
    known = _known(command)
    if not known and not args.resume and folder.exists() and any(folder.iterdir()):
        raise StorageError(
            f"{folder} is there already and was not made by an experiment; choose another --out"
        )
    _BEGUN.append(args.out)
    interrupted = any(folder.rglob("*.biosnn")) and not known.get("finished")
    if interrupted and not (args.resume or args.restart):
        raise StorageError(
            f"{args.out} holds an interrupted run; go on with it (biosnn resume {args.out}), "
            "begin anew with --restart, or choose another --out"
        )
    if args.resume and interrupted and known:
        return  # its command stays, even if this one turns out to be another
    if not args.resume:
        shutil.rmtree(folder, ignore_errors=True)
    said = {"experiment": args.experiment, "arguments": args.command, "finished": False}
    replace(command, json.dumps(said, indent=1).encode())


def forget() -> None:
    """Forget which experiment has begun in this process."""
    _BEGUN.clear()


def finish(args: argparse.Namespace) -> None:
    """Note that the command in ``--out`` has ended well."""
    forget()
    command = args.out / _COMMAND
    known = _known(command)
    if known:
        replace(command, json.dumps({**known, "finished": True}, indent=1).encode())


def fit_settings(args: argparse.Namespace, name: str = "training") -> dict[str, Any]:
    """Keyword arguments of :meth:`Runnable.fit` that the flags ask for.

    Parameters
    ----------
    args : argparse.Namespace
        With the flags of :func:`add_run_flags`.
    name : str
        Of this fit, where an experiment has several.
    """
    told = callbacks(args, name)
    logged = {"callbacks": told, "chunk_size": _LOGGED_EVERY} if told else {}
    return {
        **logged,
        "folder": args.out / _FOLDER / name,
        "checkpoint_every": args.checkpoint_every,
        "keep": args.keep,
        "resume": args.resume,
        "progress": not args.quiet,
    }


def _known(command: Path) -> dict[str, Any]:
    if not command.exists():
        return {}
    try:
        if command.stat().st_size > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} bytes")
        known = json.loads(command.read_text("utf-8"))
        if not {"experiment", "arguments", "finished"} <= known.keys():
            raise ValueError("it lacks a part")
    except (OSError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise StorageError(
            f"{command} is damaged ({error}); begin anew in another folder, or give the command "
            "that made it with --resume"
        ) from error
    return known


def _check_links(folder: Path) -> None:
    """Check that a run which goes on in a folder writes to files in it, and to no others."""
    for where, folders, names in os.walk(folder):
        for path in (Path(where, name) for name in (*folders, *names)):
            if path.is_symlink():
                raise StorageError(
                    f"{path} is a symbolic link, which is not followed; put what it leads to there"
                )


def interrupted_command(folder: Path, script: Path | None = None) -> tuple[Path, list[str]]:
    """The command that goes on with the experiment in a folder: its script, and its arguments.

    Parameters
    ----------
    folder : Path
        Output folder of an interrupted experiment.
    script : Path, optional
        The script of an experiment that is none of biosnn's: the folder never tells what is run.

    Raises
    ------
    StorageError
        If no experiment ran there, it has ended, it is none of biosnn's and no script is given,
        or there is a symbolic link in the folder.
    """
    _check_links(folder)
    command = folder / _COMMAND
    known = _known(command)
    if not known:
        raise StorageError(
            f"{folder} is not the output folder of an experiment that can be resumed (it has no "
            f"{_COMMAND}): those of less than a minute keep nothing, start them again. A run of "
            "your own goes on with the same call and resume=True"
        )
    if known["finished"]:
        raise StorageError(
            f"the experiment in {folder} has ended: its results are in {folder / 'results.json'}"
        )
    path, words = noted_command(command, known["experiment"], known["arguments"], script)
    return path, [*words, "--resume", "--out", str(folder.resolve())]


def experiment_folder(inside: Path | None) -> Path | None:
    """The output folder of the experiment that a run's folder belongs to, or that has begun."""
    if inside is None:
        return _BEGUN[-1] if _BEGUN else None
    return next((path for path in inside.parents if (path / _COMMAND).exists()), None)
