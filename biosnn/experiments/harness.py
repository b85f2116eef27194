"""The parser and the report of an experiment, and how its script ends."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biosnn.errors import BiosnnError, Interrupted, ParameterError, printable
from biosnn.experiments.flag_check import end_of_check
from biosnn.experiments.flags import Parser, folder, whole
from biosnn.experiments.registry import find_experiment
from biosnn.experiments.resumable import experiment_folder, finish, forget
from biosnn.files import replace
from biosnn.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.table import Table

PACKAGES = ("brian2", "numpy", "scipy", "scikit-learn")
_ROOT = Path(__file__).resolve().parents[2]
_MAX_SHOWN = 12


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows a docstring as it is, and the defaults of flags that have one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def parser(
    name: str, description: str, *, device: str = "cpp", seconds: float | None = None
) -> argparse.ArgumentParser:
    """Make an argument parser with the flags that all experiments share.

    Parameters
    ----------
    name : str
        The experiment's name; it is written into the report as ``args.experiment``.
    description : str
        What ``--help`` says about it.
    device : str
        Default of ``--device``.
    seconds : float, optional
        How long an experiment of at most a minute takes on one core, builds included: it keeps
        nothing while it runs. Longer ones have the flags of :func:`add_resume_flags` instead.

    Returns
    -------
    argparse.ArgumentParser
        With ``--device``, ``--precision``, ``--seed``, ``--out``, ``--smoke``, ``--json`` and
        ``--quiet``; add the experiment's own flags to it.
    """
    from biosnn import simulation
    from biosnn.devices.registry import devices

    made = Parser(
        prog=name,
        description=description,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    made.set_defaults(experiment=name)
    if seconds is not None:
        made.seconds = seconds
        made.epilog = f"It takes about {seconds:g} s on one core."
    shared = made.add_argument_group("shared by all experiments")
    shared.add_argument(
        "--device",
        choices=(*devices(), simulation.AUTO),
        default=device,
        help="where to simulate; auto: on a GPU where it is faster",
    )
    shared.add_argument(
        "--precision", choices=("double", "single"), default="double", help="of state variables"
    )
    shared.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of all randomness")
    shared.add_argument(
        "--out",
        type=folder,
        default=os.path.join("runs", name),
        metavar="DIR",
        help="folder of results.json and the figures",
    )
    shared.add_argument(
        "--smoke", action="store_true", help="the same code on smaller numbers, in under a minute"
    )
    shared.add_argument(
        "--json", action="store_true", help="print the results as the last line of stdout"
    )
    shared.add_argument("--quiet", action="store_true", help="show no table and no progress")
    return made


def console_for(args: argparse.Namespace) -> Console:
    """Console for what a human reads: stdout, stderr with ``--json``, silent with ``--quiet``."""
    from rich.console import Console

    return Console(stderr=args.json, quiet=args.quiet, highlight=False)


def save_figure(
    args: argparse.Namespace, figure: Figure | Axes | NDArray[np.object_], name: str
) -> Path:
    """Write a figure as ``DIR/NAME.png``; parameters and errors as :func:`plotting.save`."""
    from biosnn import plotting

    return plotting.save(figure, args.out / f"{name.removesuffix('.png')}.png")


def write_report(
    args: argparse.Namespace,
    *,
    metrics: Mapping[str, Any],
    controls: Mapping[str, Any] | None = None,
    timing: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Write ``DIR/results.json`` and print a table; call it last.

    Parameters
    ----------
    args : argparse.Namespace
        What :func:`parser`'s parser returned.
    metrics, controls : mapping
        What was measured, and the same for what it has to be compared with; accuracies are
        fractions.
    timing : mapping, optional
        Seconds, such as ``build_s`` and ``run_s``, and ``ms_per_sample``.
    parameters : mapping, optional
        All settings that are not flags. The flags are added.
    console : rich.console.Console, optional
        Where the table goes; default: that of :func:`console_for`.

    Returns
    -------
    dict
        The report as plain data: numbers that JSON lacks (NaN, infinities) are None, quantities
        are texts with their unit.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    from biosnn import simulation

    end_of_check()
    notes = ("experiment", "command")
    flags = {key: value for key, value in vars(args).items() if key not in notes}
    report = plain_data(
        {
            "experiment": args.experiment,
            "metrics": metrics,
            "controls": controls or {},
            "timing": timing or {},
            "parameters": {**flags, **(parameters or {})},
            "seed": args.seed,
            "device": _device(args.device),
            "environment": environment(),
        }
    )
    if (jobs := simulation.active_jobs()) is not None and (note := jobs.note()) is not None:
        report["jobs"] = plain_data(note)
    path = args.out / "results.json"
    text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    replace(path, text.encode())
    finish(args)
    shown = console_for(args) if console is None else console
    shown.print(_table(report))
    if args.device == simulation.AUTO:
        for choice in simulation.choices():
            words = f"{choice.network} ran on {choice.device}: {choice.reason}"
            shown.print(words, markup=False, soft_wrap=True)
    shown.print(f"Results and figures are in {args.out}", markup=False, soft_wrap=True)
    if args.json:
        print(json.dumps(report, allow_nan=False), flush=True)
    return report


def _device(asked: str) -> str:
    """The device that was asked for; all that were chosen where it was ``auto``."""
    from biosnn import simulation

    if asked != simulation.AUTO:
        return asked
    return ", ".join(sorted({choice.device for choice in simulation.choices()})) or asked


def plain_data(value: Any) -> Any:
    """Turn a value into strict JSON (see :func:`write_report`)."""
    import numpy as np
    from brian2 import Quantity

    match value:
        case None | bool() | str():
            return value
        case Mapping():
            return {str(key): plain_data(part) for key, part in value.items()}
        case Quantity() if value.ndim == 0:
            if value.is_dimensionless:
                return plain_data(float(value))
            unit = value.get_best_unit()
            return f"{float(value / unit):.12g} {unit}"
        case np.ndarray() | np.generic() if value.ndim == 0:
            return plain_data(value.item())
        case list() | tuple() | range() | np.ndarray():
            return [plain_data(part) for part in value]
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else None
    return str(value)


def _table(report: Mapping[str, Any]) -> Table:
    from rich.table import Table

    table = Table(title=report["experiment"], title_justify="left", show_header=False)
    for section in ("metrics", "controls", "timing"):
        for name, value in _rows(report[section]):
            table.add_row(section, name, value)
            section = ""
        table.add_section()
    return table


def _rows(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and text of all values that fit into a line."""
    for key, value in values.items():
        match value:
            case dict():
                yield from _rows(value, f"{prefix}{key}.")
            case list() if any(isinstance(part, dict) for part in value):
                for number, part in enumerate(value):
                    yield from _rows({str(number): part}, f"{prefix}{key}.")
            case list() if len(value) > _MAX_SHOWN or any(isinstance(v, list) for v in value):
                continue
            case list():
                yield prefix + key, ", ".join(map(_text, value))
            case _:
                yield prefix + key, _text(value)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def environment() -> dict[str, Any]:
    """Versions, CPU and commit, on which a result may depend.

    Returns
    -------
    dict
        ``python``, ``packages`` (name -> version), ``cpu`` (its model) and ``commit``: of the
        checkout that biosnn runs from, with ``-dirty`` if tracked files were changed;
        ``"unknown"`` where there is none.
    """
    return {
        "python": platform.python_version(),
        "packages": {"biosnn": __version__, **{name: _version(name) for name in PACKAGES}},
        "cpu": _cpu(),
        "commit": _commit(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if not models and sys.platform == "darwin":
        models = _said("sysctl", "-n", "machdep.cpu.brand_string").splitlines()
    return next(filter(None, [*models, platform.processor(), platform.machine()]), "unknown")


def _commit() -> str:
    git = ("git", "-C", str(_ROOT))
    top, _, commit = _said(*git, "rev-parse", "--show-toplevel", "HEAD").partition("\n")
    if not commit or Path(top).resolve() != _ROOT:
        return "unknown"
    changed = _said(*git, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changed else commit


def _said(*command: str) -> str:
    """Output of a command; empty if it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def main(function: Callable[[], object]) -> None:
    """Run a script's function; end with a sentence and not with a traceback.

    An error of biosnn goes to stderr and ends the process with status 2, an interrupt with 130,
    SIGTERM with 143. Other exceptions are bugs and pass with their traceback. With ``--quiet`` no
    progress of builds is shown.
    """
    from biosnn import simulation

    shown = simulation.quiet_builds() if "--quiet" in sys.argv else contextlib.nullcontext()
    forget()
    try:
        with shown:
            function()
    except Interrupted as error:
        then = _then(error.folder)
        # A run without a folder says that nothing is kept; the experiment keeps its parts.
        said = "interrupted" if then and error.folder is None else error
        print(f"{said}{then}", file=sys.stderr)
        sys.exit(128 + (error.signal or 2))
    except BiosnnError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"interrupted{_then(None)}", file=sys.stderr)
        sys.exit(130)


def _then(inside: Path | None) -> str:
    """The command with which an interrupted experiment goes on."""
    folder = experiment_folder(inside)
    if folder is None:
        return ""
    script, words = Path(sys.argv[0]).resolve(), ["biosnn", "resume", str(folder)]
    try:
        own = find_experiment(script.stem).resolve() != script
    except ParameterError:
        own = True
    command = shlex.join([*words, "--script", str(script)] if own else words)
    return f"\nGo on with: {command}"
