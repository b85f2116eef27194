"""``biosnn sweep``: an experiment under many settings and seeds."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import typer

from biosnn import experiments, plotting, sweeps
from biosnn.cli.run_script import run_script
from biosnn.cli.sweep_child import OUTPUT
from biosnn.errors import DeviceError, ParameterError, StorageError, printable
from biosnn.experiments.flags import Parser
from biosnn.files import locked_folder, replace
from biosnn.validation import check_choice
from biosnn.version import __version__

_WHERE = "biosnn sweep"
#: Flags that the sweep gives itself, or that runs cannot share.
_OWN = {
    "--seed": "give --seeds",
    "--out": "give --out before --",
    "--save": "every run would write the same file",
    "--resume": "the sweep goes on with runs that were interrupted",
    "--restart": "choose another --out",
    "--json": "results are in the tables",
    "--quiet": "runs show nothing",
}
_VALIDATION = "--validation"
_N_VALIDATION = 1000
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")
_LOG = "log.txt"
#: The command of a sweep, in its folder, and the most bytes that it takes.
COMMAND = "sweep.json"
_LONGEST = 2**20
#: Options of dask_jobqueue.SLURMCluster that are texts.
_SLURM = ("queue", "account", "memory", "walltime", "interface", "job_name")


@attrs.frozen(kw_only=True)
class ExperimentRun:
    """An experiment as a function of a setting and a seed, in a process of its own.

    Attributes
    ----------
    script : str
        Path of its script.
    words : tuple of str
        Flags of all runs.
    """

    script: str
    words: tuple[str, ...]

    def __call__(self, setting: Mapping[str, Any], seed: int, folder: Path) -> dict[str, Any]:
        """Run it, and return what its report measured.

        Raises
        ------
        DeviceError
            If it did not end well; its output is in ``log.txt`` of the folder.
        """
        given = [word for name, value in setting.items() for word in _words(name, value)]
        shared = ["--seed", str(seed), "--quiet"]
        command = [sys.executable, "-P", "-m", "biosnn.cli.sweep_child", self.script, str(folder)]
        with (folder / _LOG).open("wb") as log:
            child = subprocess.Popen(
                [*command, *self.words, *given, *shared],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the sweep, which ends its runs
            )
            assert child.stdin is not None
            try:
                status = child.wait()
            finally:
                child.stdin.close()  # which ends it, if it has not ended
                child.wait()
        if status:
            raise DeviceError(_problem(folder / _LOG, status))
        report = json.loads((folder / OUTPUT / "results.json").read_text("utf-8"))
        return {
            **report["metrics"],
            "control": report["controls"],
            "timing": report["timing"],
            **_scored_on(report["parameters"]),
        }


def _problem(log: Path, status: int) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    said = lines[-1].removeprefix("error: ") if lines else "it said nothing"
    if status < 0:
        return f"ended by {signal.Signals(-status).name}: {said}"
    return f"exit status {status}: {said}"


def _scored_on(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Whether scores are those of validation samples, where an experiment has the choice."""
    if "validation" not in parameters:
        return {}
    return {"scored_on": "validation" if parameters["validation"] else "test"}


def _words(name: str, value: Any) -> list[str]:
    """A setting's words on the experiment's command line."""
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    return [f"--{name}={value}"]


# --- what the command line says


def grid_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """Flag -> its values, from texts such as ``neurons=100,400``."""
    grid: dict[str, list[str]] = {}
    for text in texts:
        name, given, values = text.partition("=")
        name = name.removeprefix("--")
        if not given or not name or not all(values.split(",")):
            wanted = "FLAG=VALUE,VALUE, such as neurons=100,400"
            raise ParameterError(_WHERE, "--grid", repr(text), wanted)
        if name in grid:
            raise ParameterError(_WHERE, "--grid", f"{name} twice", "each flag once")
        grid[name] = values.split(",")
    return grid


def seeds_of(text: str) -> int | list[int]:
    """A number of seeds, or the seeds, from ``5`` or ``0,3,7``."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        wanted = "how many seeds, such as 5, or the seeds, such as 0,3,7"
        raise ParameterError(_WHERE, "--seeds", repr(text), wanted) from None
    return numbers[0] if "," not in text else numbers


def checked_flags(script: Path, words: Sequence[str]) -> experiments.FlagCheck:
    """What an experiment takes flags for, without running it.

    Raises
    ------
    ParameterError
        If it refuses them, or reads no flags with ``experiments.parser``.
    """
    check = experiments.FlagCheck()
    said = io.StringIO()
    with tempfile.TemporaryDirectory(prefix="biosnn-") as scratch:
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(said),
                check.active(),
            ):
                run_script(script, [*words, "--quiet", "--out", scratch])
        except SystemExit as error:
            lines = [line for line in said.getvalue().splitlines() if line.strip()]
            why = lines[-1].partition("error: ")[2] if lines else f"exit status {error.code}"
            given = shlex.join(words)
            raise ParameterError(
                _WHERE, script.stem, repr(given), "flags that it takes", why
            ) from None
    if check.parser is None:
        wanted = "an experiment that reads its flags with biosnn.experiments.parser"
        raise ParameterError(_WHERE, "NAME", str(script), wanted)
    return check


def settings_of(
    script: Path, grid: Mapping[str, Sequence[str]], words: Sequence[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The settings of a grid, each checked by the experiment, and the flags of all runs.

    Raises
    ------
    ParameterError
        If the experiment refuses one of them.
    """
    given = {word.partition("=")[0] for word in words}
    for flag in (*given, *(f"--{name}" for name in grid)):
        if flag in _OWN:
            raise ParameterError(_WHERE, "FLAGS", flag, "other flags", _OWN[flag].capitalize())
    base = checked_flags(script, words)
    parser = base.parser
    assert isinstance(parser, Parser)
    for name in grid:
        if parser.action_of(f"--{name}") is None:
            flags = f"flags of {script.stem} (biosnn run {script.stem} --help)"
            raise ParameterError(_WHERE, "--grid", name, flags)
        if f"--{name}" in given:
            raise ParameterError(_WHERE, "FLAGS", f"--{name}", "other flags than those of --grid")
    compares = any(len(values) > 1 for values in grid.values())
    words = [word for word in base.values["command"] if word != "--quiet"]  # with whole paths
    validation = parser.action_of(_VALIDATION)
    if compares and validation is not None and _VALIDATION not in {*given, *_flags(grid)}:
        own = [_VALIDATION] if validation.nargs == 0 else [f"{_VALIDATION}={_N_VALIDATION}"]
        words += own
        typer.echo(
            f"Settings are compared, so they are scored on validation samples ({own[0]}), and the "
            f"test set stays shut. Score the one that you choose on it once, in a run of its own; "
            f"{_VALIDATION} after -- says otherwise.",
            err=True,
        )
    settings = []
    for values in itertools.product(*grid.values()):
        texts = dict(zip(grid, values, strict=True))
        asked = {name: _typed(parser, name, text) for name, text in texts.items()}
        flags = [word for name, value in asked.items() for word in _words(name, value)]
        read = checked_flags(script, [*words, *flags]).values
        dests = {name: _action(parser, name).dest for name in texts}
        settings.append({name: _plain(read[dests[name]], asked[name]) for name in texts})
    return settings, words


def _flags(grid: Mapping[str, Any]) -> Iterator[str]:
    return (f"--{name}" for name in grid)


def _action(parser: Parser, name: str) -> Any:
    return parser.action_of(f"--{name}")


def _typed(parser: Parser, name: str, text: str) -> str | bool:
    """True or False of flags that take no value; the text of others."""
    if _action(parser, name).nargs != 0:
        return text
    if text.lower() not in (*_YES, *_NO):
        raise ParameterError(_WHERE, f"--grid {name}", repr(text), "true or false")
    return text.lower() in _YES


def _plain(value: Any, text: Any) -> Any:
    """A flag's value where it is a number or a text, else the text that was given."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value.absolute()) if isinstance(value, Path) else text


def version_of(script: Path, words: Sequence[str]) -> str:
    """Hash of what a run is besides its setting: the script, those beside it, flags, biosnn."""
    digest = hashlib.sha256(repr((__version__, script.name, list(words))).encode())
    for path in sorted({script, *script.parent.glob("_*.py")}):
        digest.update(path.read_bytes())
    return digest.hexdigest()


# --- the command


def run(
    name: str,
    grid: Sequence[str],
    flags: Sequence[str],
    *,
    seeds: str,
    out: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: Sequence[str] = (),
    metric: str | None = None,
    check_only: bool = False,
) -> bool:
    """Run an experiment under all settings; say where the tables are, and whether all went well.

    Raises
    ------
    ParameterError
        If the experiment refuses a setting; nothing has run then.
    """
    script = experiments.find_script(name).resolve()
    settings, words = settings_of(script, grid_of(grid), flags)
    version = version_of(script, words)
    plan = sweeps.planned_runs(settings, seeds_of(seeds), version)
    if slurm and scheduler is not None:
        raise ParameterError(_WHERE, "--scheduler", scheduler, "left out together with --slurm")
    with contextlib.ExitStack() as stack:
        if not check_only:  # before jobs are submitted, and the note of another sweep is replaced
            stack.callback(locked_folder(out, "command.lock").release)
        where: Any = scheduler
        if slurm:
            jobs = 0 if check_only else min(workers or len(plan), len(plan))
            where, workers = stack.enter_context(_slurm(slurm, jobs, out)), None
        if check_only:
            typer.echo(f"{len(plan)} runs: {len(settings)} settings, whose flags are right")
            return True
        said = {"experiment": script.stem, "grid": list(grid), "flags": words, "seeds": seeds}
        replace(out / COMMAND, json.dumps(said, indent=1).encode())
        found = sweeps.sweep(
            ExperimentRun(script=str(script), words=tuple(words)),
            settings,
            folder=out,
            seeds=seeds_of(seeds),
            version=version,
            workers=workers,
            scheduler=where,
        )
    show(found, metric)
    return not len(found.failed)


def resume(folder: Path, script: Path | None, workers: int | None = None) -> bool:
    """Go on with the sweep in a folder, on this machine.

    The folder tells the experiment's name and flags, and never which file is run.

    Raises
    ------
    StorageError
        If its command is damaged, or the experiment is none of biosnn's and no script is given.
    """
    path = folder / COMMAND
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} bytes")
        said = json.loads(path.read_text("utf-8"))
        name, grid, flags, seeds = (said[key] for key in ("experiment", "grid", "flags", "seeds"))
        if not all(isinstance(text, str) for text in (*grid, seeds)):
            raise TypeError("grid and seeds must be texts")
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StorageError(
            f"{path} is damaged ({error}): give the command that made it again"
        ) from error
    found, words = experiments.noted_command(path, name, flags, script)
    return run(
        name if script is None else str(found),
        grid,
        words,
        seeds=seeds,
        out=folder,
        workers=workers,
    )


def _slurm(texts: Sequence[str], jobs: int, out: Path) -> Any:
    """A cluster of SLURM's jobs; its job script is kept in the sweep's folder, and shown."""
    options: dict[str, Any] = {"log_directory": str(out.absolute() / "slurm")}
    directives = []
    for text in texts:
        name, given, value = text.partition("=")
        if not given or name not in (*_SLURM, "directive"):
            wanted = f"NAME=VALUE with a NAME of {', '.join(_SLURM)}, directive"
            raise ParameterError(_WHERE, "--slurm", repr(text), wanted)
        if name == "directive":
            directives.append(value)
        else:
            options[name] = value
    cluster = sweeps.slurm_cluster(jobs, job_extra_directives=directives, **options)
    path = out / "slurm.sh"
    replace(path, cluster.job_script().encode())
    typer.echo(f"{path}:\n{cluster.job_script()}", err=True)
    return cluster


def show(found: sweeps.Sweep, metric: str | None) -> None:
    """Print the means of a metric and where the rest is, and draw them."""
    if found.metrics:
        metric = found.metrics[0] if metric is None else metric
        check_choice(_WHERE, "--metric", metric, found.metrics)
        part = found.summary[found.summary["metric"] == metric]
        typer.echo(part.to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
        if found.settings:
            plotting.save(found.plot(metric), found.folder / "summary.png")
    failed = found.failed
    for _, row in failed.iterrows():
        setting = ", ".join(f"{name} {row[name]}" for name in found.settings)
        words = f"failed: {setting} seed {row['seed']} (runs/{row['run']}): {row['error']}"
        typer.echo(printable(words), err=True)
    typer.echo(
        f"{len(found.runs) - len(failed)} of {len(found.runs)} runs finished; their tables, "
        f"with mean, standard deviation (ddof 1) and n by setting, are in {found.folder}"
    )
    if (
        "scored_on" in found.runs
        and (found.runs["scored_on"] == "test").any()
        and len(found.runs[list(found.settings)].drop_duplicates()) > 1
    ):
        typer.echo(
            "These are scores on the test set: report them, and choose no setting by them.",
            err=True,
        )
