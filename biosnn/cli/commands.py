"""The commands of ``biosnn`` and their options.

Commands import what they need when they are called, because Brian2 takes seconds to import and
``biosnn --help`` shall not wait for it. An error of biosnn is one sentence on stderr and exit
status 2; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from biosnn.cli.run_script import run_script
from biosnn.errors import BiosnnError, Interrupted, ParameterError, printable
from biosnn.version import __version__


class _Group(TyperGroup):
    """Commands that print biosnn's errors, and which extra is missing, as one sentence."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BiosnnError as error:
            typer.echo(f"error: {printable(error)}", err=True)
            raise typer.Exit(2) from error
        except ModuleNotFoundError as error:
            from biosnn.cli.extras import what_is_missing

            said = what_is_missing(error)
            if said is None:
                raise
            typer.echo(f"error: {said}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Group,
    help="Spiking networks defined by equations, trained as one compiled program.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's help takes longer than everything else together
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"biosnn {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options that stand before a command."""


@app.command(
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
def run(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="The experiment, or the path of a script; without it, all are listed.",
        ),
    ] = None,
    flags: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FLAGS", help="The experiment's own; 'biosnn run NAME --help' lists them."
        ),
    ] = None,
) -> None:
    """Run an experiment that comes with biosnn, or a script of your own."""
    from biosnn import experiments

    if name is None:
        for known in experiments.experiment_names():
            typer.echo(f"{known:22}{experiments.summary(known)}")
        return
    run_script(experiments.find_script(name), flags or ())


_After = Annotated[
    list[Path] | None,
    typer.Option(metavar="DIR", help="An earlier job of it, with its results; may be repeated."),
]


@app.command(context_settings={"ignore_unknown_options": True})
def build(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The experiment, or the path of a script.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The job; must not exist yet.")],
    flags: Annotated[
        list[str] | None, typer.Argument(metavar="FLAGS", help="The experiment's own.")
    ] = None,
    device: Annotated[str, typer.Option(help="What the network is compiled for.")] = "cpp",
    arch: Annotated[
        str | None,
        typer.Option(help="Its architecture, e.g. native or x86-64-v3. Default: any CPU."),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile here, and ship the binary, too.")
    ] = False,
    longest_chunk: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Most samples that a job that ends early loses."),
    ] = None,
    after: _After = None,
) -> None:
    """Write an experiment's first run as a job for another machine without Python."""
    from biosnn.cli import jobs

    jobs.build(
        name,
        flags or (),
        device=device,
        arch=arch,
        out=out,
        compiled=compiled,
        longest_chunk=longest_chunk,
        after=after or (),
    )


_Script = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="The script, if it is no experiment of biosnn."),
]


@app.command(context_settings={"ignore_unknown_options": True})
def collect(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A job with its results.")],
    flags: Annotated[
        list[str] | None,
        typer.Argument(metavar="FLAGS", help="More flags of the experiment, e.g. --restart."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of results and figures. Default: runs/NAME."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to run everything else.")] = "cpp",
    script: _Script = None,
    after: _After = None,
) -> None:
    """Finish an experiment here, with what the other machine has computed."""
    from biosnn.cli import jobs

    jobs.collect(folder, flags or (), device=device, out=out, script=script, after=after or ())


@app.command()
def sweep(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The experiment, or the path of a script.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the tables and of all runs.")],
    flags: Annotated[
        list[str] | None, typer.Argument(metavar="-- FLAGS", help="The experiment's, of all runs.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="FLAG=V,V", help="Values of one of its flags; may be repeated."),
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="N", help="How many, or which: 5 means 0,1,2,3,4.")
    ] = "1",
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Processes here, or jobs. 0: one after the other, no Dask."
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of Dask, e.g. tcp://10.0.0.1:8786.")
    ] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V",
            help="Workers are jobs of SLURM: queue, account, memory, walltime, interface, "
            "directive; may be repeated.",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is shown and drawn. Default: the first.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Check all flags, write SLURM's job script; run nothing."),
    ] = False,
) -> None:
    """Run an experiment under many settings and seeds; status 1 if a run failed.

    The same command goes on where it was stopped, and leaves out what is finished.
    """
    from biosnn.cli import sweep as sweeping

    _end(
        lambda: sweeping.run(
            name,
            grid or (),
            flags or (),
            seeds=seeds,
            out=out,
            workers=workers,
            scheduler=scheduler,
            slurm=slurm or (),
            metric=metric,
            check_only=check,
        )
    )


def _end(sweeping: Callable[[], bool]) -> None:
    """Sweep, and end with status 1 if a run failed, or 130 after Ctrl-C."""
    try:
        fine = sweeping()
    except Interrupted as error:
        typer.echo(printable(error), err=True)
        raise typer.Exit(130) from error
    raise typer.Exit(0 if fine else 1)


@app.command(context_settings={"ignore_unknown_options": True})
def resume(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Output folder of an interrupted experiment.")
    ],
    flags: Annotated[
        list[str] | None,
        typer.Argument(metavar="FLAGS", help="More flags of the experiment, e.g. --overwrite."),
    ] = None,
    script: _Script = None,
) -> None:
    """Go on with an interrupted experiment, from its newest checkpoint, or with a sweep."""
    from biosnn import experiments

    if (folder / "sweep.json").is_file():
        from biosnn.cli import sweep as sweeping

        if flags:
            raise ParameterError("biosnn resume", "FLAGS", flags, "left out for a sweep")
        _end(lambda: sweeping.resume(folder, script))
    path, arguments = experiments.interrupted_command(folder, script)
    run_script(path, [*arguments, *(flags or ())])


@app.command(context_settings={"ignore_unknown_options": True})
def adopt(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Brian2 script of yours.")],
    flags: Annotated[
        list[str] | None,
        typer.Argument(metavar="FLAGS", help="The script's own; after -- if adopt has it, too."),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Stop at the first run, before Brian2 simulates it.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long the script may run.")
    ] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the script with its lines changed, if it can be."),
    ] = None,
) -> None:
    """Run a Brian2 script and tell what of it comes along; status 1 if not all does."""
    from biosnn.cli import adopt as adoption

    found, end = adoption.judge_script(script, flags or (), first=first, timeout=timeout)
    if write is not None and adoption.all_come_along(found, end):
        adoption.write(script, adoption.changes(found, end), write)
    if as_json:
        typer.echo(json.dumps(adoption.as_data(script, found, end)))
    else:
        for line in adoption.report(found, end):
            typer.echo(line)
    raise typer.Exit(0 if adoption.all_come_along(found, end) else 1)


@app.command()
def datasets() -> None:
    """List published datasets: shape, classes, samples, licence, and how to load them."""
    from biosnn.datasets import catalogue

    for entry in catalogue():
        shape = " x ".join(map(str, entry.shape))
        numbers = " + ".join(str(n) for n in (entry.n_train, entry.n_validation, entry.n_test) if n)
        typer.echo(f"{entry.name:15}{entry.kind}, {shape}, {entry.n_classes} classes, {numbers}")
        for line in (entry.source, f"datasets.{entry.loader}", entry.where):
            typer.echo(f"{'':15}{line}")


@app.command()
def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="One of them; without it, all are listed."),
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print all of them as the documentation's page.")
    ] = False,
) -> None:
    """Show neuron models, synapses, plasticity rules and encoders."""
    from biosnn.cli import catalog_pages

    if as_markdown:
        print(catalog_pages.markdown(), end="")
    elif name is None:
        catalog_pages.show_all()
    else:
        catalog_pages.show_one(name)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Check what works on this machine."""
    from biosnn import doctor as checks_of

    checks = checks_of.run_checks()
    if as_json:
        typer.echo(checks_of.as_json(checks))
    else:
        from biosnn.cli import doctor_table

        doctor_table.show(checks)
    raise typer.Exit(checks_of.exit_status(checks))


@app.command()
def train(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Pictures, in a sub-folder for each class."),
    ],
    save: Annotated[Path, typer.Option(metavar="FILE", help="The model's file, *.biosnn.")],
    method: Annotated[
        str, typer.Option(help="How it learns: stdp, surrogate (gradients) or reward.")
    ] = "stdp",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Height and width in pixels. Default: that of all pictures."
        ),
    ] = None,
    channels: Annotated[int, typer.Option(help="1 for grey, 3 for colours.")] = 1,
    invert: Annotated[
        bool | None,
        typer.Option(
            "--invert/--no-invert", help="Dark ink on bright paper, or not. Default: look."
        ),
    ] = None,
    fit: Annotated[
        str, typer.Option(help="What is scaled to the size: whole pictures, or ink as in MNIST.")
    ] = "whole",
    neurons: Annotated[
        int | None, typer.Option(help="Default: stdp 100, surrogate 128, reward 400.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Default: surrogate 20, reward 10, stdp 3, and more if there are few pictures."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order, spikes and divisions.")] = 0,
    device: Annotated[
        str | None,
        typer.Option(help="Where to train. Default: cpp; for surrogate torch's cpu."),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            help="Share of the training pictures by which settings are chosen, where there is no "
            "folder validation. Default: 0.2."
        ),
    ] = None,
    test: Annotated[
        float | None,
        typer.Option(
            help="Share of the pictures that is tested on, where there is no folder test. "
            "Default: 0.2."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it is there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Train a network on a folder of pictures, test it with its controls, and save it."""
    from biosnn.cli import train as training

    def say(line: str) -> None:
        typer.echo(printable(line), err=True)

    settings = training.Settings(
        method=method,
        size=training.parsed_size(size),
        channels=channels,
        invert=invert,
        fit=fit,
        neurons=neurons,
        epochs=epochs,
        seed=seed,
        device=device,
        validation=validation,
        test=test,
    )
    report = training.train(folder, save, settings, overwrite=overwrite, say=say)
    for problem in report["left_out"]:
        say(f"left out: {problem}")
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for line in training.lines(report):
            typer.echo(printable(line))


@app.command()
def classify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A trained model, *.biosnn.")],
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Pictures; folders of them, with all folders inside; .npy and .npz of samples; "
            "files of address events (.bin, .aedat, .h5, .npz) for models that take them.",
        ),
    ],
    device: Annotated[str, typer.Option(help="Where to simulate: runtime or cpp.")] = "runtime",
    seed: Annotated[int, typer.Option(help="Of the input spikes.")] = 0,
    invert: Annotated[
        bool | None,
        typer.Option(
            "--invert/--no-invert",
            help="Dark ink on bright paper, or not. Default: as in training.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a table: path, sample, label, class, true, error.")
    ] = False,
) -> None:
    """Classify pictures, arrays or address events with a trained model.

    What cannot be read is reported and the others are classified; the status is 1 then, and 2 if
    nothing was classified. A picture in a folder that is called as one of the classes is counted
    for the accuracy.
    """
    from biosnn.cli import classify as found_by

    if as_json and as_csv:
        raise ParameterError("biosnn classify", "--csv", "it", "left out with --json")
    found = found_by.classify_paths(model, paths, device=device, seed=seed, invert=invert)
    if as_json:
        right, n = found.accuracy()
        report: dict[str, Any] = {"model": str(model), "device": device, "seed": seed}
        report |= {"predictions": found.rows()}
        report |= {"accuracy": right / n, "n_labelled": n} if n else {}
        typer.echo(json.dumps(report))
    elif as_csv:
        typer.echo(found_by.as_csv(found), nl=False)
    else:
        for line in found_by.lines(found):
            typer.echo(printable(line))
    _report(found.problems, found_by.exit_status(found))


def _report(problems: list[BiosnnError], status: int = 2) -> None:
    """Print what went wrong while the rest was done, and end with a status if anything did."""
    for problem in problems:
        typer.echo(f"error: {printable(problem)}", err=True)
    if problems:
        raise typer.Exit(status)


@app.command()
def plot(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Output folder of an experiment, or a model, *.biosnn."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the pictures. Default: figures/ beside the data."),
    ] = None,
) -> None:
    """Draw the results of an experiment, or the weights of a model, as PNG files."""
    from biosnn.cli import figures

    problems: list[BiosnnError] = []
    for path in figures.draw(run, out, problems):
        typer.echo(printable(path))
    _report(problems)


# --- cache


cache_app = typer.Typer(help="List or remove built networks.", rich_markup_mode=None)
app.add_typer(cache_app, name="cache")

_CacheJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


@cache_app.callback(invoke_without_command=True)
def _cache(ctx: typer.Context, as_json: _CacheJson = False) -> None:
    """List or remove built networks; without a command, list them."""
    if ctx.invoked_subcommand is None:
        cache_list(as_json)
    elif as_json:
        raise ParameterError(
            "biosnn cache", "--json", f"before {ctx.invoked_subcommand}", "behind the command"
        )


@cache_app.command("list")
def cache_list(as_json: _CacheJson = False) -> None:
    """List the builds, newest first."""
    from biosnn.cli import cache

    cache.show(as_json=as_json)


@cache_app.command("clear")
def cache_clear(
    older_than: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS", help="Remove only builds made longer ago. Default: remove all."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove builds, except those that are being made."""
    from biosnn.cli import cache

    cache.remove(older_than=older_than, yes=yes)


@cache_app.command("path")
def cache_path() -> None:
    """Print the folder of the cache; BIOSNN_CACHE_DIR chooses another."""
    from biosnn.devices.base.cache import cache_folder

    typer.echo(str(cache_folder()))
