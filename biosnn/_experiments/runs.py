"""Experiments that can be interrupted: their command, kept beside their checkpoints."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from biosnn._experiments.flags import whole
from biosnn.errors import StorageError
from biosnn.files import replace

_COMMAND = "command.json"
_FOLDER = "checkpoints"


def add_run_flags(parser: argparse.ArgumentParser, checkpoint_every: int = 5000) -> None:
    """Add the flags of experiments that train for long.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        From :func:`biosnn.experiments.parser`.
    checkpoint_every : int
        Default of ``--checkpoint-every``.
    """
    group = parser.add_argument_group("long runs")
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
    again = group.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with the interrupted run in --out"
    )
    again.add_argument(
        "--restart", action="store_true", help="throw the interrupted run in --out away"
    )
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
        If there is an interrupted run, and neither ``--resume`` nor ``--restart`` was given.
    """
    command, folder = args.out / _COMMAND, args.out / _FOLDER
    known = _known(command)
    if not known and not args.resume and folder.exists() and any(folder.iterdir()):
        raise StorageError(
            f"{folder} is there already and was not made by an experiment; choose another --out"
        )
    interrupted = any(folder.rglob("checkpoint-*.biosnn")) and not known.get("finished")
    if interrupted and not (args.resume or args.restart):
        raise StorageError(
            f"{args.out} holds an interrupted run; go on with it (biosnn resume {args.out}), "
            "begin anew with --restart, or choose another --out"
        )
    if args.resume and interrupted and known:
        return  # its command stays, even if this one turns out to be another
    if not args.resume:
        shutil.rmtree(folder, ignore_errors=True)
    said = {
        "experiment": args.experiment,
        "arguments": [word for word in sys.argv[1:] if word not in ("--resume", "--restart")],
        "folder": os.getcwd(),
        "finished": False,
    }
    replace(command, json.dumps(said, indent=1).encode())


def finish(args: argparse.Namespace) -> None:
    """Note that the command in ``--out`` has ended well."""
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
    return {
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
        known = json.loads(command.read_text())
        known["experiment"], known["arguments"], known["folder"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{command} is damaged; begin anew in another folder, or give the command that "
            "made it with --resume"
        ) from error
    return known


def interrupted_command(folder: Path) -> tuple[str, list[str], Path]:
    """The command that goes on with the experiment in a folder: name, arguments, where to be.

    Raises
    ------
    StorageError
        If no experiment ran there, or it has ended.
    """
    known = _known(folder / _COMMAND)
    if not known:
        raise StorageError(
            f"{folder} is not the output folder of an experiment that can be resumed (it has no "
            f"{_COMMAND}). A run of your own goes on with the same call and resume=True"
        )
    if known["finished"]:
        raise StorageError(
            f"the experiment in {folder} has ended: its results are in {folder / 'results.json'}"
        )
    if not Path(known["folder"]).is_dir():
        raise StorageError(
            f"the experiment in {folder} was started in {known['folder']}, which is no more; make "
            "that folder, or start it by hand with --resume"
        )
    again = [*known["arguments"], "--resume", "--out", str(folder.resolve())]
    return str(known["experiment"]), again, Path(known["folder"])


def experiment_folder(inside: Path | None) -> Path | None:
    """The output folder of the experiment that a run's folder belongs to."""
    if inside is None:
        return None
    return next((path for path in inside.parents if (path / _COMMAND).exists()), None)
