"""The contract of the scripts in ``experiments/``, for your own scripts too.

A script parses the shared flags and its own, does its work, and ends with one report:

>>> from biosnn import experiments
>>> def run() -> None:
...     args = experiments.parser("coin", "Toss a coin.").parse_args()
...     experiments.write_report(args, metrics={"heads": 0.5})
>>> if __name__ == "__main__":
...     experiments.main(run)  # doctest: +SKIP

Brian2, which takes seconds to import, is imported where it is needed: ``biosnn run`` and
``biosnn resume`` look experiments up here.

The report is ``DIR/results.json``, a table for the reader, and with ``--json`` one line of JSON,
the same object, as the last line of stdout.
"""

from biosnn.experiments.harness import (
    Parts,
    UpTo,
    add_resume_flags,
    add_run_flags,
    available,
    begin,
    console_for,
    environment,
    experiment_names,
    find_experiment,
    find_script,
    fit_settings,
    given,
    interrupted_command,
    main,
    noted_command,
    parser,
    plain_data,
    save_figure,
    summary,
    whole,
    without_effect,
    write_report,
)

__all__ = [
    "Parts",
    "UpTo",
    "add_resume_flags",
    "add_run_flags",
    "available",
    "begin",
    "console_for",
    "environment",
    "experiment_names",
    "find_experiment",
    "find_script",
    "fit_settings",
    "given",
    "interrupted_command",
    "main",
    "noted_command",
    "parser",
    "plain_data",
    "save_figure",
    "summary",
    "whole",
    "without_effect",
    "write_report",
]
